// WeChat's server with @wecom/crypto: closes messages, posts them, opens the answers; in as in wechat.py, out without what a client
// compares.
import { deepStrictEqual as same } from "node:assert";
import { createRequire } from "node:module";
import { ask, asked, check } from "./stand_in.mjs";

const { decrypt, encrypt, getSignature } = createRequire(import.meta.url)("@wecom/crypto");
const [time, nonce, customer] = [String(Math.floor(Date.now() / 1000)), "nonce-3", "o-wecom-crypto"];
let number = 0;

function post(content, changed = {}, appId = asked.app_id) {
  number += 1;
  const message =
    `<xml><ToUserName><![CDATA[${asked.account}]]></ToUserName><FromUserName><![CDATA[${customer}]]></FromUserName>` +
    `<CreateTime>${time}</CreateTime>${content}<MsgId>${number}</MsgId></xml>`;
  const sealed = encrypt(asked.key, message, appId);
  const signed = getSignature(asked.token, time, nonce, sealed);
  const query = new URLSearchParams({ encrypt_type: "aes", timestamp: time, nonce, msg_signature: signed, ...changed });
  const body = `<xml><ToUserName><![CDATA[${asked.account}]]></ToUserName><Encrypt><![CDATA[${sealed}]]></Encrypt></xml>`;
  return ask(`${asked.closed}?${query}`, body);
}

const text = `<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[${asked.text}]]></Content>`;
same(await post("<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[VIEW]]></Event>"), [200, "success"]);
same(await post(text, { nonce: "another" }), [401, ""]);
same(await post(text, { msg_signature: "0".repeat(40) }), [401, ""]);
same(await post(text, {}, "wx0000000000000000"), [403, ""]);
const [status, answer] = await post(text);
same(status, 200);
const field = (document, name) => new RegExp(`<${name}>(?:<!\\[CDATA\\[)?(.*?)(?:\\]\\]>)?</${name}>`, "s").exec(document)[1];
const [sealed, stamp, own, signed] = ["Encrypt", "TimeStamp", "Nonce", "MsgSignature"].map((name) => field(answer, name));
same(getSignature(asked.token, stamp, own, sealed), signed);
const opened = decrypt(asked.key, sealed);
same([opened.id, field(opened.message, "ToUserName")], [asked.app_id, customer]);
check(field(opened.message, "Content").includes(asked.says), opened.message);
console.log(JSON.stringify({ answered: 1, refused: 3, ignored: 1 }));
