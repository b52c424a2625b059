// Posts a customer's message to the generic channel, signed by npm's library; in and out as in generic_channel.py.
import { createRequire } from "node:module";
import { text as read } from "node:stream/consumers";

const { Webhook } = createRequire(import.meta.url)("standardwebhooks");
const asked = JSON.parse(await read(process.stdin));
const now = new Date();
const later = (seconds) => new Date(now.getTime() + seconds * 1000);

async function post(headers, body) {
  return (await fetch(asked.address, { method: "POST", headers, body })).status;
}

function body(what, space) {
  const data = { conversation_id: what, customer_id: "u", text: asked.text };
  return JSON.stringify({ type: "message", timestamp: now, data }, null, space);
}

const escape = (text) => text.replace(/[^\0-~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

function sent(what, { secret = "secret", time = now, signed, text = body(what), signedId, change = (same) => same } = {}) {
  const id = `msg_${what}`;
  const signature = new Webhook(asked[secret]).sign(signedId ?? id, time, signed ?? text);
  const seconds = String(Math.floor(time.getTime() / 1000));
  return post({ "webhook-id": id, "webhook-timestamp": seconds, "webhook-signature": change(signature) }, text);
}

const statuses = {
  right: await sent("right"),
  previous: await sent("previous", { secret: "previous" }),
  among_others: await sent("among_others", { change: (right) => `v1a,abc v1,${"A".repeat(43)}= ${right}` }),
  escaped: await sent("escaped", { text: escape(body("escaped")) }),
  spaced: await sent("spaced", { text: body("spaced", 2) }),
  forged: await sent("forged", { secret: "other" }),
  old: await sent("old", { time: later(-330) }),
  new: await sent("new", { time: later(330) }),
  changed: await sent("changed", { signed: body("another") }),
  unsigned: await post({}, body("unsigned")),
  another_id: await sent("another_id", { signedId: "msg_1" }),
  another_version: await sent("another_version", { change: (right) => right.replace("v1,", "v2,") }),
};
console.log(JSON.stringify({ standardwebhooks: statuses }));
