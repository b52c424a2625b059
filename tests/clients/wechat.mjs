// WeChat's server with @wecom/crypto: closes a message, posts it, opens the answer; in as in wechat.py.
// Out: {"closed": text, "id": receive id of the envelope, "signed": its signature is right}
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const { decrypt, encrypt, getSignature } = createRequire(import.meta.url)("@wecom/crypto");
const asked = JSON.parse(await text(process.stdin));

const [time, nonce] = [String(Math.floor(Date.now() / 1000)), "nonce-3"];
const message =
  `<xml><ToUserName><![CDATA[${asked.account}]]></ToUserName><FromUserName><![CDATA[${asked.customer}]]></FromUserName>` +
  `<CreateTime>${time}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[什么时候发货]]></Content>` +
  "<MsgId>31</MsgId></xml>";
const sealed = encrypt(asked.key, message, asked.app_id);
const signed = getSignature(asked.token, time, nonce, sealed);
const query = new URLSearchParams({ encrypt_type: "aes", timestamp: time, nonce, msg_signature: signed });
const body = `<xml><ToUserName><![CDATA[${asked.account}]]></ToUserName><Encrypt><![CDATA[${sealed}]]></Encrypt></xml>`;
const answer = await (await fetch(`${asked.closed}?${query}`, { method: "POST", body })).text();

const field = (name) => new RegExp(`<${name}>(?:<!\\[CDATA\\[)?(.*?)(?:\\]\\]>)?</${name}>`, "s").exec(answer)[1];
const opened = decrypt(asked.key, field("Encrypt"));
const right = getSignature(asked.token, field("TimeStamp"), field("Nonce"), field("Encrypt"));
console.log(JSON.stringify({ closed: opened.message, id: opened.id, signed: right === field("MsgSignature") }));
