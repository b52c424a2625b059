// What the chat page shows: the messages in their order, what is typed for and waited for, in the reader's language.

const GAP = 5 * 60_000; // ms between messages, from which the time is told
const TYPING = 4_000; // ms

const WORDS = {
  "zh-Hans": {
    write: "输入消息", send: "发送", close: "收起", connecting: "连接中…", online: "在线", offline: "连接已断开，正在重连…",
    sending: "发送中…", failed: "未发送，点按重试", refused: "未发送：", bot: "机器人", agent: "人工客服", you: "我：", options: "可选问题",
    fresh: "条新消息", log: "聊天记录", welcome: "您好，请问有什么可以帮您？", over: "超出字数：",
  },
  "zh-Hant": {
    write: "輸入訊息", send: "傳送", close: "收起", connecting: "連線中…", online: "線上", offline: "連線已中斷，正在重連…",
    sending: "傳送中…", failed: "未送出，點按重試", refused: "未送出：", bot: "機器人", agent: "真人客服", you: "我：", options: "可選問題",
    fresh: "則新訊息", log: "聊天記錄", welcome: "您好，請問有什麼可以幫您？", over: "超出字數：",
  },
  en: {
    write: "Write a message", send: "Send", close: "Close", connecting: "Connecting…", online: "Online", offline: "Offline, reconnecting…",
    sending: "Sending…", failed: "Not sent, tap to retry", refused: "Not sent: ", bot: "Bot", agent: "Agent", you: "You: ", options: "Options",
    fresh: "new", log: "Messages", welcome: "Hello, how can we help you?", over: "Too long by ",
  },
};

function language() {
  const wanted = navigator.language || "zh-Hans";
  if (!/^(zh|yue)\b/i.test(wanted)) return "en";
  return /Hant|TW|HK|MO|yue/i.test(wanted) ? "zh-Hant" : "zh-Hans";
}

export const words = WORDS[language()];
document.documentElement.lang = language();

export const byId = (id) => document.getElementById(id);
const [log, list, pill, typing] = ["log", "messages", "pill", "typing"].map(byId);

/** What the page is told: `choose(text)` of a button, `retry(item)` of a message that was not sent. */
export const on = { choose() {}, retry() {} };

/** Items in the order of the page, by `seq`; what has none yet at the end. `state` is sending, sent or failed. */
export const items = [];

/** The state of the connection: connecting, online or offline. */
export function show(state) {
  if (byId("state").dataset.state === state && byId("state").textContent) return;
  byId("state").dataset.state = state;
  byId("state").textContent = words[state];
}

/** The history is there: from now on messages are read out, and an empty page welcomes. */
export function ready() {
  log.setAttribute("aria-busy", "false");
  byId("welcome").hidden = items.length > 0;
}

/** Puts an item where it belongs, or moves it there. `fresh` is what came or was written just now. */
export function place(item, fresh) {
  const stays = atBottom();
  const was = items.indexOf(item);
  if (was >= 0) items.splice(was, 1);
  const after = items.findIndex((other) => isLater(other, item));
  const index = after < 0 ? items.length : after;
  items.splice(index, 0, item);
  item.row ??= build(item);
  item.row.classList.toggle("fresh", fresh);
  list.insertBefore(item.row, items[index + 1]?.row ?? null);
  for (const near of [index, index + 1, was, was + 1]) mark(near);
  restate(item);
  refreshOptions();
  byId("welcome").hidden = true;
  if (stays || item.state === "sending") toBottom();
  else if (fresh) offerPill();
}

// By number; what is on its way is last, and what was not sent stays where it was written.
function isLater(other, item) {
  if (!item.seq && item.state === "sending") return false;
  if (item.seq && other.seq) return other.seq > item.seq;
  return other.state === "sending" || other.at > item.at;
}

function element(tag, className, content) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content ?? "";
  return made;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

function build(item) {
  const row = element("li", "");
  // Else it would rise again whenever a closed widget is opened.
  row.addEventListener("animationend", () => row.classList.remove("fresh"));
  const message = element("div", `message ${item.from}`);
  const column = element("div", "column");
  const bubble = element("p", "bubble");
  bubble.dir = "auto";
  bubble.append(...linked(item.text));
  if (item.from === "customer") {
    bubble.prepend(element("span", "unseen", words.you));
  } else {
    const avatar = element("span", "avatar");
    avatar.setAttribute("aria-hidden", "true");
    avatar.append(icon(item.from === "agent" ? "agent" : "bot"));
    message.append(avatar);
    column.append(element("span", "label", item.from === "agent" ? words.agent : words.bot));
  }
  column.append(bubble);
  if (item.options?.length) column.append(buttons(item));
  message.append(column);
  row.append(message);
  return row;
}

// Addresses become links; whatever else the text holds stays text.
function linked(content) {
  const parts = [];
  let end = 0;
  for (const found of content.matchAll(/https?:\/\/[^\s<>"'\u2018-\u201f\u3000-\u9fff\uff00-\uffef]+/gi)) {
    const address = found[0].replace(/[.,;:!?)\]}]+$/, "");
    if (!isAddress(address)) continue;
    const link = element("a", "", address);
    link.href = address;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    parts.push(content.slice(end, found.index), link);
    end = found.index + address.length;
  }
  return [...parts, content.slice(end)];
}

function isAddress(candidate) {
  try { return /^https?:$/.test(new URL(candidate).protocol); } catch { return false; }
}

function buttons(item) {
  const options = element("ul", "options");
  options.setAttribute("aria-label", words.options);
  for (const option of item.options) {
    const button = element("button", "", option);
    button.type = "button";
    button.addEventListener("click", () => on.choose(option));
    const row = document.createElement("li");
    row.append(button);
    options.append(row);
  }
  return options;
}

// Only the newest message of the shop can still be chosen from, and only once.
function refreshOptions() {
  const newest = items.filter((item) => item.from !== "customer").slice(-1)[0];
  items.forEach((item, index) => {
    if (!item.options?.length) return;
    const said = items.slice(index + 1).find((later) => later.from !== "customer" || item.options.includes(later.text));
    const chosen = said?.from === "customer" ? said.text : null;
    for (const button of item.row.querySelectorAll(".options button")) {
      button.disabled = item !== newest || chosen !== null;
      button.classList.toggle("chosen", button.textContent === chosen);
    }
  });
}

// The time above a message, and whether it continues the one before.
function mark(index) {
  const [item, before] = [items[index], items[index - 1]];
  if (!item) return;
  const apart = !before || item.at - before.at > GAP || item.at.toDateString() !== before.at.toDateString();
  item.row.querySelector(".time")?.remove();
  if (apart) {
    const time = element("time", "time", when(item.at));
    time.dateTime = item.at.toISOString();
    item.row.prepend(time);
  }
  item.row.querySelector(".message").classList.toggle("follows", !apart && before.from === item.from);
}

function when(at) {
  const locale = language() === "en" ? navigator.language : language();
  const clock = at.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
  const days = Math.round((midnight(at) - midnight(new Date())) / 86_400_000);
  if (days === 0) return clock;
  if (days === -1) return `${new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(-1, "day")} ${clock}`;
  const year = at.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return `${at.toLocaleDateString(locale, { year, month: "long", day: "numeric" })} ${clock}`;
}

// Under a message of the customer: that it is on its way, or why it is not.
export function restate(item) {
  if (item.from !== "customer") return;
  item.row.querySelector(".note")?.remove();
  item.row.querySelector(".message").classList.toggle("sending", item.state === "sending");
  if (item.state === "sent") return;
  const canRetry = item.state === "failed" && !item.refused;
  const note = element(canRetry ? "button" : "p", "note", item.refused ? words.refused + item.refused : words[item.state]);
  note.classList.toggle("bad", item.state === "failed");
  if (canRetry) {
    note.type = "button";
    note.addEventListener("click", () => on.retry(item));
  }
  item.row.querySelector(".column").append(note);
  if (atBottom(120)) toBottom();
}


/* ---- Where the reader is ---- */

const atBottom = (slack = 60) => log.scrollHeight - log.scrollTop - log.clientHeight < slack;
let unread = 0;

export function toBottom() {
  log.scrollTop = log.scrollHeight;
  unread = 0;
  pill.hidden = true;
}

function offerPill() {
  unread += 1;
  pill.textContent = `${unread} ${words.fresh} ↓`;
  pill.hidden = false;
}

let wasAtBottom = true;
log.addEventListener("scroll", () => {
  wasAtBottom = atBottom();
  if (wasAtBottom) toBottom();
}, { passive: true });
// A keyboard that opens, or a field that grows, must not hide the newest message.
new ResizeObserver(() => wasAtBottom && toBottom()).observe(log);
pill.addEventListener("click", () => { toBottom(); log.focus({ preventScroll: true }); });

/* ---- Waiting for a reply ---- */

let typed = 0;

/** Shows that the shop is about to answer this item, unless it has, or a human has the chat: who answers when they like. */
export function showTyping(item) {
  const before = items.slice(0, items.indexOf(item)).findLast((earlier) => earlier.from !== "customer");
  if (before?.from === "agent") return;
  if (items.slice(items.indexOf(item) + 1).some((later) => later.from !== "customer")) return;
  const stays = atBottom();
  typing.hidden = false;
  if (stays) toBottom();
  clearTimeout(typed);
  typed = setTimeout(hideTyping, TYPING);
}

export function hideTyping() {
  typing.hidden = true;
}
