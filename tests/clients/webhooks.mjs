// Webhooks as a receiver and a sender with npm's library see them; in and out as in webhooks.py.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const { Webhook, WebhookVerificationError } = createRequire(import.meta.url)("standardwebhooks");
const asked = JSON.parse(await text(process.stdin));

function accepts(message, body) {
  const headers = {
    "webhook-id": message.id,
    "webhook-timestamp": String(message.timestamp),
    "webhook-signature": message.signature,
  };
  try {
    new Webhook(asked.secret).verify(body, headers);
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
  return true;
}

const seen = asked.messages.map((message) => ({
  accepts: accepts(message, message.body),
  accepts_forged: accepts(message, `${message.body} `),
  signature: new Webhook(asked.secret).sign(message.id, new Date(message.timestamp * 1000), message.body),
}));
console.log(JSON.stringify({ standardwebhooks: seen }));
