// WeCom's server with @wecom/crypto; in and out as in wechat_kf.py.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const { encrypt, getSignature } = createRequire(import.meta.url)("@wecom/crypto");
const asked = JSON.parse(await text(process.stdin));
const [timestamp, nonce] = [String(Math.floor(Date.now() / 1000)), "437374425"];

function closed(text, corpId) {
  const sealed = encrypt(asked.key, text, corpId);
  return [sealed, { msg_signature: getSignature(asked.token, timestamp, nonce, sealed), timestamp, nonce }];
}

async function rings(corpId, more = {}) {
  const [sealed, query] = closed(asked.event, corpId);
  const body = `<xml><ToUserName><![CDATA[${corpId}]]></ToUserName><Encrypt><![CDATA[${sealed}]]></Encrypt></xml>`;
  return (await fetch(`${asked.url}?${new URLSearchParams({ ...query, ...more })}`, { method: "POST", body })).status;
}

const [echostr, query] = closed("5927782489442352469", asked.corp_id);
const echo = await (await fetch(`${asked.url}?${new URLSearchParams({ ...query, echostr })}`)).text();
console.log(JSON.stringify({
  echo,
  callback: await rings(asked.corp_id),
  forged: await rings(asked.corp_id, { nonce: "1" }),
  other_corp: await rings("wx0000000000000000"),
}));
