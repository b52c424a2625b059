// The generic channel with npm's library; in and out as in generic_channel.py.
import { deepStrictEqual as same, throws } from "node:assert";
import { createRequire } from "node:module";
import { StandIn, ask, asked, check } from "./stand_in.mjs";

const { Webhook, WebhookVerificationError } = createRequire(import.meta.url)("standardwebhooks");
const receiver = new StandIn();
const now = new Date();
const later = (seconds) => new Date(now.getTime() + seconds * 1000);

function body(what, space, words = asked.text) {
  const data = { conversation_id: what, customer_id: "u", text: words };
  return JSON.stringify({ type: "message", timestamp: now, data }, null, space);
}

const escape = (text) => text.replace(/[^\0-~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

async function sent(what, { secret = "secret", time = now, signed, text = body(what), signedId, change = (same) => same } = {}) {
  const id = `msg_${what}`;
  const signature = new Webhook(asked[secret]).sign(signedId ?? id, time, signed ?? text);
  const seconds = String(Math.floor(time.getTime() / 1000));
  const headers = { "webhook-id": id, "webhook-timestamp": seconds, "webhook-signature": change(signature) };
  return (await ask(asked.hook, text, headers))[0];
}

const believed = {
  right: await sent("right"),
  previous: await sent("previous", { secret: "previous" }),
  among_others: await sent("among_others", { change: (right) => `v1a,abc v1,${"A".repeat(43)}= ${right}` }),
  escaped: await sent("escaped", { text: escape(body("escaped")) }),
  spaced: await sent("spaced", { text: body("spaced", 2) }),
};
const refused = {
  forged: await sent("forged", { secret: "other" }),
  old: await sent("old", { time: later(-330) }),
  new: await sent("new", { time: later(330) }),
  changed: await sent("changed", { signed: body("another") }),
  unsigned: (await ask(asked.hook, body("unsigned")))[0],
  another_id: await sent("another_id", { signedId: "msg_1" }),
  another_version: await sent("another_version", { change: (right) => right.replace("v1,", "v2,") }),
};
same([new Set(Object.values(believed)), new Set(Object.values(refused))], [new Set([200]), new Set([401])]);

// What a push says; the library believes it, and neither the same with another secret nor another with its signature.
function verified(push) {
  const [ours, others] = push.path === "/desk" ? ["other", "secret"] : ["secret", "other"];
  for (const [secret, text] of [[others, push.body], [ours, `${push.body} `]]) {
    throws(() => new Webhook(asked[secret]).verify(text, push.headers), WebhookVerificationError);
  }
  return new Webhook(asked[ours]).verify(push.body, push.headers);
}

const replies = (await receiver.after(5)).map(verified);
same(new Set(replies.map((reply) => reply.data.conversation_id)), new Set(Object.keys(believed)));
check(replies.every(({ type, data }) => type === "reply" && data.text.includes(asked.says)), JSON.stringify(replies));
same(await sent("human", { text: body("human", null, "转人工") }), 200);
const pushes = (await receiver.after(8)).slice(5).map((push) => `${push.path} ${verified(push).type}`);
same(pushes.sort(), ["/ handoff", "/ reply", "/desk handoff"]);
console.log(JSON.stringify({ standardwebhooks: { answered: 5, refused: 7 } }));
