// LINE as @line/bot-sdk knows it; in and out as in line.py.
import { createHmac } from "node:crypto";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const { messagingApi, validateSignature } = createRequire(import.meta.url)("@line/bot-sdk");
const asked = JSON.parse(await text(process.stdin));

async function post(body, signature) {
  const headers = { "x-line-signature": signature, "content-type": "application/json; charset=utf-8" };
  return (await fetch(asked.hook, { method: "POST", headers, body })).status;
}

async function play() {
  const body = JSON.stringify(asked.body);
  const signature = createHmac("sha256", asked.secret).update(body).digest("base64");
  if (!validateSignature(body, asked.secret, signature)) throw new Error("the library does not believe it");
  const texts = asked.body.events.map((event) => event.message?.text ?? null);
  return { forged: await post(`${body} `, signature), status: await post(body, signature), texts };
}

async function send() {
  const client = new messagingApi.MessagingApiClient({ channelAccessToken: asked.token, baseURL: asked.api });
  for (const call of asked.calls) {
    if (call.path.endsWith("/reply")) await client.replyMessage(call.body);
    else await client.pushMessage(call.body, call.key);
  }
  return { sent: asked.calls.length };
}

console.log(JSON.stringify(asked.calls ? await send() : await play()));
