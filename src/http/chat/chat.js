// The chat page and its server: a session, the messages that come, and those that the customer writes.

import { byId, hideTyping, items, on, place, ready, restate, show, showTyping, toBottom, words } from "./view.js";

const base = new URL(".", import.meta.url).pathname.replace(/\/$/, "");
const embedded = new URLSearchParams(location.search).has("embed") && window.parent !== window;

const LIMIT = 5000; // characters of a message
const TRIES = 5; // after which the customer is asked to try again
const SILENCE = 40_000; // ms without a byte, after which a stream is dead: the server speaks every 15 s

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const backOff = (tries) => Math.min(30_000, 1000 * 2 ** tries) * (0.5 + Math.random() / 2);

/* ---- Storage: may be forbidden in a frame; then the tab's own memory has to do. ---- */

function memory(storage, key) {
  let kept = null;
  return {
    read() {
      try { return window[storage].getItem(key) ?? kept; } catch { return kept; }
    },
    write(value) {
      kept = value;
      try {
        if (value === null) window[storage].removeItem(key);
        else window[storage].setItem(key, value);
      } catch { /* kept above */ }
    },
  };
}

const token = memory("localStorage", `yingda-session:${base}`);
const unsent = memory("sessionStorage", `yingda-unsent:${base}`);

/* ---- The server ---- */

let opening = null; // one new session at a time

function session() {
  if (token.read()) return Promise.resolve(token.read());
  opening ??= openSession().finally(() => { opening = null; });
  return opening;
}

async function openSession() {
  const answer = await fetch(`${base}/sessions`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  if (!answer.ok) throw new Refused(answer);
  token.write((await answer.json()).session);
  // What an earlier session left on the page stays above; the new one counts from the start.
  lastSeq = 0;
  for (const item of items) if (item.seq) item.seq = -1;
  return token.read();
}

class Refused extends Error {
  constructor(answer, detail = "") {
    super(detail || `status ${answer.status}`);
    this.detail = detail;
    this.wait = answer.status === 429 ? 1000 * Math.min(60, Number(answer.headers.get("retry-after")) || 3) : 0;
    this.final = answer.status < 500 && ![401, 408, 425, 429].includes(answer.status);
  }
}

// A request of the session. A session that the server does not know any more is replaced by a new one, once.
async function ask(path, options = {}, again = true) {
  const mine = await session();
  const headers = { ...options.headers, authorization: `Bearer ${mine}` };
  const answer = await fetch(base + path, { ...options, headers, cache: "no-store" });
  if (answer.ok) return answer;
  if (answer.status === 401) {
    if (token.read() === mine) token.write(null); // another tab may have a new one already
    if (again) return ask(path, options, false);
  }
  const problem = await answer.json().catch(() => ({}));
  throw new Refused(answer, typeof problem.detail === "string" ? problem.detail : "");
}

/* ---- Receiving ---- */

let lastSeq = 0;
let stream = new AbortController();
let followed = null; // the session whose stream is read
let isHurried = false;
let wake = () => {};

// Connects now, whatever the back-off.
function hurry() {
  isHurried = true;
  wake();
}

function reconnect() {
  followed = null;
  stream.abort();
  hurry();
}

// Several messages may share a number, and a stream may break between them: the last number is asked for again.
const resumeAfter = () => Math.max(0, lastSeq - 1);

async function receive() {
  for (let tries = 0; ; tries += 1) {
    if (tries === 0 || !navigator.onLine) show(navigator.onLine ? "connecting" : "offline");
    let wait = 0;
    if (navigator.onLine) {
      stream = new AbortController();
      try {
        await catchUp();
        await follow(() => { tries = 0; });
      } catch (error) {
        wait = error.wait || 0;
      }
    }
    if (!isHurried) {
      show("offline");
      await Promise.race([pause(Math.max(wait, backOff(tries))), new Promise((done) => { wake = done; })]);
    }
    if (isHurried) tries = -1;
    isHurried = false;
  }
}

async function catchUp() {
  for (let after = resumeAfter(), more = true; more;) {
    const page = await (await ask(`/messages?after=${after}`, { signal: stream.signal })).json();
    page.messages.forEach((message) => take(message, false));
    more = page.more && lastSeq > after;
    after = lastSeq;
  }
  ready();
}

// Reads the stream of events until it ends. EventSource could not send the session's token.
async function follow(opened) {
  const { signal } = stream;
  const answer = await ask(`/events?after=${resumeAfter()}`, { signal, headers: { accept: "text/event-stream" } });
  followed = token.read();
  opened();
  show("online");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const deadline = setTimeout(() => stream.abort(), SILENCE);
    const { value, done } = await reader.read().finally(() => clearTimeout(deadline));
    if (done) return;
    const events = (buffer + value).split(/\r?\n\r?\n/);
    buffer = events.pop();
    events.forEach(event);
  }
}

function event(lines) {
  let kind = "message";
  const data = [];
  for (const line of lines.split(/\r?\n/)) {
    // A text may have any character in it, also those that end a line elsewhere (U+2028).
    const colon = line.indexOf(":");
    const field = line.slice(0, Math.max(colon, 0));
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") kind = value;
    if (field === "data") data.push(value);
  }
  if (kind === "message" && data.length > 0) take(JSON.parse(data.join("\n")), true);
}

// A message of the server. `live` is what came just now, not history.
function take(message, live) {
  lastSeq = Math.max(lastSeq, message.seq);
  const old = items.find((item) => item.id === message.id);
  if (old?.seq) return;
  const item = old ?? { id: message.id, from: message.from, text: message.text, options: message.options ?? [] };
  item.seq = message.seq;
  item.at = Number.isNaN(Date.parse(message.at)) ? new Date() : new Date(message.at);
  item.state = "sent";
  outbox = outbox.filter((waiting) => waiting !== item);
  keepUnsent();
  place(item, live && !old);
  if (item.from === "customer") return;
  hideTyping();
  if (live) announce();
}

/* ---- Sending: one after the other, each with one id over all tries ---- */

let outbox = [];
let busy = false;

function write(content) {
  const item = { id: uuid(), from: "customer", text: content, at: new Date(), state: "sending" };
  outbox.push(item);
  place(item, true);
  toBottom();
  keepUnsent();
  deliver();
}

function keepUnsent() {
  const kept = outbox.map((item) => ({ id: item.id, text: item.text, at: item.at, state: item.state, refused: item.refused }));
  unsent.write(JSON.stringify(kept));
}

// What a reload interrupted goes on; the id keeps the server from taking it twice.
function resume() {
  for (const kept of JSON.parse(unsent.read() || "[]")) {
    const item = { ...kept, from: "customer", at: new Date(kept.at) };
    outbox.push(item);
    place(item, false);
  }
  deliver();
}

async function deliver() {
  if (busy) return;
  busy = true;
  for (let item; (item = outbox.find((waiting) => waiting.state === "sending"));) {
    await attempt(item);
    if (item.state !== "sending") outbox = outbox.filter((other) => other !== item || item.state === "failed");
    keepUnsent();
    restate(item);
  }
  busy = false;
}

async function attempt(item) {
  const body = JSON.stringify({ message_id: item.id, text: item.text });
  for (let tries = 0; item.state === "sending";) {
    if (!navigator.onLine) await new Promise((done) => window.addEventListener("online", done, { once: true }));
    try {
      await ask("/messages", { method: "POST", headers: { "content-type": "application/json" }, body });
      item.state = "sent";
      showTyping(item);
      if (followed && followed !== token.read()) reconnect();
    } catch (error) {
      if (error.final) item.refused = error.detail;
      if (!error.wait && navigator.onLine) tries += 1;
      if (error.final || tries >= TRIES) item.state = item.state === "sent" ? "sent" : "failed";
      else await pause(error.wait || backOff(tries - 1));
    }
  }
}

// Also where the page has no secure context, and with it no randomUUID.
function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/* ---- The field ---- */

const [text, send, count] = ["text", "send", "count"].map(byId);
const excess = () => [...text.value].length - LIMIT;
const isReady = () => text.value.trim() !== "" && excess() <= 0;

function reflect() {
  byId("grow").dataset.text = text.value;
  send.disabled = !isReady();
  const over = excess();
  count.textContent = over > 0 ? words.over + over : over > -500 ? `${LIMIT + over} / ${LIMIT}` : "";
  count.classList.toggle("over", over > 0);
}

text.addEventListener("input", reflect);
text.addEventListener("keydown", (key) => {
  // An Enter that ends the composition of a word is the input method's: keyCode 229 where isComposing is not told.
  if (key.key !== "Enter" || key.shiftKey || key.isComposing || key.keyCode === 229) return;
  key.preventDefault();
  submit();
});
byId("composer").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  submit();
});

function submit() {
  if (!isReady()) return;
  write(text.value.trim());
  text.value = "";
  reflect();
  text.focus();
}

on.choose = write;
on.retry = (item) => {
  item.state = "sending";
  place(item, false);
  deliver();
};

/* ---- The tab and the page around it: the host's page learns only that there is something new ---- */

const title = document.title;
let unseen = 0;
const tell = (what) => embedded && window.parent.postMessage({ yingda: what }, "*");

function announce() {
  tell("message");
  if (!document.hidden) return;
  unseen += 1;
  document.title = `(${unseen}) ${title}`;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unseen = 0;
  document.title = title;
  hurry();
});
window.addEventListener("online", reconnect);
window.addEventListener("offline", reconnect);
window.addEventListener("message", (said) => {
  if (embedded && said.source === window.parent && said.data?.yingda === "opened") text.focus();
});
if (embedded) {
  byId("close").hidden = false;
  byId("close").addEventListener("click", () => tell("close"));
  document.addEventListener("keydown", (key) => key.key === "Escape" && !key.isComposing && tell("close"));
}

byId("log").setAttribute("aria-label", words.log);
byId("welcome").textContent = words.welcome;
text.placeholder = words.write;
for (const [id, label] of [["text", words.write], ["send", words.send], ["close", words.close]]) {
  byId(id).setAttribute("aria-label", label);
}
reflect();
resume();
receive();
