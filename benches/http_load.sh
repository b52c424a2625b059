#!/usr/bin/env bash
# HTTP load on one machine: a corpus of up to 100,000 entries, then the agents' search as fast as it goes.
#   benches/http_load.sh TEXTS      TEXTS: one short text a line (default: $CORPUS)
# The first 100,000 lines become entries, the last 3,000 are asked. Needs Linux, python3 and wrk (or oha).
# YINGDA names another binary, PORT another port. Nothing outside a temporary folder is written.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
texts=${1:-${CORPUS:-}}
if [ ! -r "$texts" ]; then
    echo "usage: benches/http_load.sh TEXTS   (a readable file, one short text a line; or set CORPUS)" >&2
    exit 2
fi
texts=$(realpath "$texts")
cd "$here"
binary=${YINGDA:-target/release/yingda}
port=${PORT:-18080}
address=127.0.0.1:$port
connections=16 threads=2 seconds=15

tool=$(command -v wrk || command -v oha) || {
    echo "wrk or oha is missing: sudo apt-get install wrk, or cargo install --locked oha" >&2
    exit 1
}
if (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "$address is taken: set PORT to a free one" >&2
    exit 1
fi
[ -x "$binary" ] || cargo build --release --locked

tmp=$(mktemp -d)
server=
stop() {
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
trap 'stop; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

write_corpus() {
    mkdir -p "$tmp/faq"
    python3 - "$texts" "$tmp" "http://$address" <<'PY'
import collections, itertools, json, sys, urllib.parse
texts, tmp, base = sys.argv[1:]
with open(texts, encoding="utf-8") as lines, open(f"{tmp}/faq/entries.jsonl", "w", encoding="utf-8") as out:
    asked = collections.deque(maxlen=3000)
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        asked.append(text)
        if number <= 100_000:
            row = {"id": f"q-{number}", "question": text, "answer": f"见 {number}"}
            print(json.dumps(row, ensure_ascii=False), file=out)
if not asked:
    sys.exit(f"{texts} holds no text")
paths = [f"/v1/suggestions?q={urllib.parse.quote(text, safe='')}&shop=demo" for text in asked]
open(f"{tmp}/paths", "w").write("".join(path + "\n" for path in paths))
open(f"{tmp}/urls", "w").write("".join(base + path + "\n" for path in paths))
PY
}

# Found texts hold lines that mean the same to the service (你好，怎么退款 and 怎么退款), which it refuses in one corpus.
drop_refused() {
    "$binary" check "$tmp/faq" >"$tmp/check" 2>&1 && return
    python3 - "$tmp" <<'PY'
import re, sys
tmp = sys.argv[1]
report = open(f"{tmp}/check", encoding="utf-8", errors="replace").read()
refused = {int(line) for line in re.findall(r"entries\.jsonl:(\d+): error", report)}
if not refused:
    sys.exit(f"yingda check refuses the corpus:\n{report[:2000]}")
rows = open(f"{tmp}/faq/entries.jsonl", encoding="utf-8").readlines()
kept = [row for line, row in enumerate(rows, 1) if line not in refused]
open(f"{tmp}/faq/entries.jsonl", "w", encoding="utf-8").writelines(kept)
print(f"{len(refused)} lines left out: repeats of others, or without a letter")
PY
    "$binary" check "$tmp/faq" >"$tmp/check" 2>&1 || {
        head -c 2000 "$tmp/check" >&2
        exit 1
    }
}

# Starts the service and says how long it took until it was ready.
start() {
    env -u YINGDA_TOKENS "$binary" serve --listen "$address" --faq "$tmp/faq" --index "$tmp/index" --data "$tmp/data" \
        >>"$tmp/log" 2>&1 &
    server=$!
    python3 - "http://$address/readyz" "$server" "$1" <<'PY' || { tail -n 20 "$tmp/log" >&2; exit 1; }
import os, sys, time, urllib.request
url, server, label = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
began = time.monotonic()
while time.monotonic() - began < 300:
    state = open(f"/proc/{server}/stat").read().rsplit(")", 1)[1].split()[0] if os.path.exists(f"/proc/{server}") else "Z"
    if state == "Z":
        sys.exit("the service stopped before it was ready; its last words:")
    try:
        opener.open(url, timeout=5).close()
        print(f"ready after {time.monotonic() - began:6.2f} s   {label}")
        sys.exit()
    except OSError:
        time.sleep(0.02)
sys.exit("the service was not ready in 300 s; its last words:")
PY
}

resident() {
    awk -v label="$1" '/^VmRSS/ { printf "resident    %6.0f MB   %s\n", $2 / 1024, label }' "/proc/$server/status"
}

check_one_answer() {
    python3 - "$(head -n 1 "$tmp/urls")" <<'PY'
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
body = opener.open(sys.argv[1], timeout=10).read()
print(f"one answer: {body[:200].decode(errors='ignore')}")
PY
}

load_with_wrk() {
    cat >"$tmp/cycle.lua" <<'LUA'
local threads = 0
function setup(thread)
    thread:set("first", threads * 1500) -- each thread starts elsewhere
    threads = threads + 1
end
local requests, at = {}, 0
function init(args)
    for path in io.lines(args[1]) do
        requests[#requests + 1] = wrk.format("GET", path)
    end
    at = first
end
function request()
    at = at % #requests + 1
    return requests[at]
end
LUA
    wrk --connections $connections --threads $threads --duration ${seconds}s --latency \
        --script "$tmp/cycle.lua" "http://$address" -- "$tmp/paths" | tee "$tmp/result"
    if grep -qE 'Non-2xx|Socket errors' "$tmp/result"; then
        echo "some requests failed: the figures above do not count" >&2
        exit 1
    fi
}

load_with_oha() {
    oha --no-tui -c $connections -z ${seconds}s --urls-from-file "$tmp/urls"
}

write_corpus
drop_refused
echo "$(wc -l <"$tmp/faq/entries.jsonl") entries, $(wc -l <"$tmp/paths") queries, $connections connections"
start "first start, builds the index"
stop
start "second start, the index is up to date"
resident "ready"
check_one_answer
"load_with_$(basename "$tool")"
resident "after the load"
