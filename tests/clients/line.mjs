// LINE as @line/bot-sdk knows it; in and out as in line.py.
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { deepStrictEqual as same } from "node:assert";
import { StandIn, ask, asked, check } from "./stand_in.mjs";

const { messagingApi, validateSignature } = createRequire(import.meta.url)("@line/bot-sdk");
const sent = [200, { sentMessages: [{ id: "1", quoteToken: "q" }] }];
const api = new StandIn((call, calls) => {
  const isLate = call.path.endsWith("/reply") && calls.length === 1;
  return isLate ? [400, { message: "Invalid reply token" }] : sent;
});
let number = 0;

function event(kind, more) {
  number += 1;
  return {
    type: kind, mode: "active", timestamp: Date.now(), source: { type: "user", userId: "U2" }, webhookEventId: `F${number}`,
    deliveryContext: { isRedelivery: false }, replyToken: `n${number}`, ...more,
  };
}

const said = (text) => event("message", { message: { type: "text", id: `n${number}`, text, quoteToken: "q" } });

// Posts a webhook that the library believes, and before it the same with another signature, which it does not.
async function post(...events) {
  const body = JSON.stringify({ destination: "U", events });
  for (const [secret, status] of [["forged", 401], [asked.secret, 200]]) {
    const signature = createHmac("sha256", secret).update(body).digest("base64");
    same(validateSignature(body, asked.secret, signature), status === 200);
    same(await ask(asked.hook, body, { "x-line-signature": signature, "content-type": "application/json" }), [status, ""]);
  }
}

await post();
await post(said(asked.menu));
await api.after(1);
await post(event("follow", { follow: { isUnblocked: false } }), event("of next year", { source: null }), said(asked.text + "👋".slice(0, 1)));
await api.after(3);
await post(event("postback", { postback: { data: asked.text } }));
const ours = await api.after(4);

const client = new messagingApi.MessagingApiClient({ channelAccessToken: asked.token, baseURL: api.base });
for (const [place, { path, headers, body }] of ours.entries()) {
  const request = JSON.parse(body);
  const [message] = request.messages;
  check(place === 0 ? message.quickReply.items.length > 1 : message.text.includes(asked.says), body);
  if (path.endsWith("/reply")) await client.replyMessage(request);
  else await client.pushMessage(request, headers["x-line-retry-key"]);
}
const theirs = (await api.after(8)).slice(4);
for (const [place, call] of ours.entries()) {
  const shape = ({ method, path, headers, body }) =>
    [method, path, headers.authorization, headers["x-line-retry-key"], JSON.parse(body)];
  same(shape(call), shape(theirs[place]));
}
console.log(JSON.stringify({ answered: 3, refused: 4, ignored: 2, compared: ours.length }));
