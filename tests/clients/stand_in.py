"""What the scripts share: a server that stands for a platform's API, and posts to a hook."""

import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Call:
    """A call of the platform's API as it came."""

    method: str
    path: str
    headers: Message
    body: str

    def json(self):
        return json.loads(self.body)


class StandIn:
    """A platform's API at a port of this machine: remembers its calls, answers each with what `answer` makes of it, as
    JSON: a value, or a status and a value."""

    def __init__(self, port, answer=lambda call: {}):
        self.calls, self.base = [], f"http://127.0.0.1:{port}"
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                call = Call(self.command, self.path, self.headers, body)
                answered = answer(call)
                status, value = answered if isinstance(answered, tuple) else (200, answered)
                written = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(written)))
                self.end_headers()
                self.wfile.write(written)
                stand_in.calls.append(call)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def after(self, count):
        """The calls, once there are so many, and no more of them."""
        until = time.monotonic() + 20
        while len(self.calls) < count and time.monotonic() < until:
            time.sleep(0.02)
        assert len(self.calls) == count, f"{count} calls, not {self.calls}"
        return list(self.calls)


def ask(url, body=None, headers={}):
    """What a request is answered: status and text. With a body it is posted."""
    raw = body.encode() if isinstance(body, str) else body
    try:
        with urllib.request.urlopen(urllib.request.Request(url, raw, headers), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def alike(ours, theirs, headers=(), read=Call.json):
    """Asserts that two calls ask the same of the platform: address, some headers, and what `read` reads in their bodies."""
    assert (ours.method, ours.path) == (theirs.method, theirs.path), f"{ours} {theirs}"
    for name in headers:
        assert ours.headers[name] == theirs.headers[name], f"{name}: {ours} {theirs}"
    assert read(ours) == read(theirs), f"{ours} {theirs}"
