// WeCom's server with @wecom/crypto; in as in wechat_kf.py, out without what its client compares.
import { deepStrictEqual as same } from "node:assert";
import { createRequire } from "node:module";
import { StandIn, ask, asked, check } from "./stand_in.mjs";

const { decrypt, encrypt, getSignature } = createRequire(import.meta.url)("@wecom/crypto");
const [timestamp, nonce, kf] = [String(Math.floor(Date.now() / 1000)), "437374425", "wkAJ2GCAAASSm4_FhToWMFea0xAFfd3Q"];
const mail = [];
const sent = [];

const api = new StandIn(({ path, body }) => {
  if (path.startsWith("/cgi-bin/gettoken?")) return [200, { errcode: 0, access_token: "t", expires_in: 7200 }];
  if (!path.startsWith("/cgi-bin/kf/sync_msg?")) return sent.push(JSON.parse(body)), [200, { errcode: 0, errmsg: "ok" }];
  const since = Number(JSON.parse(body).cursor ?? 0);
  return [200, { errcode: 0, next_cursor: String(mail.length), has_more: 0, msg_list: mail.slice(since) }];
});

// In an envelope, with the query that signs it; the library opens what it closed.
function closed(text, corpId = asked.corp_id) {
  const sealed = encrypt(asked.key, text, corpId);
  const { message, id } = decrypt(asked.key, sealed);
  same([message, id], [text, corpId]);
  return [sealed, { msg_signature: getSignature(asked.token, timestamp, nonce, sealed), timestamp, nonce }];
}

function rings(more = {}, corpId = asked.corp_id) {
  const [sealed, query] = closed(
    `<xml><ToUserName><![CDATA[${corpId}]]></ToUserName><CreateTime>${timestamp}</CreateTime><MsgType><![CDATA[event]]></MsgType>` +
    `<Event><![CDATA[kf_msg_or_event]]></Event><Token><![CDATA[ENC]]></Token><OpenKfId><![CDATA[${kf}]]></OpenKfId></xml>`, corpId);
  const body = `<xml><ToUserName><![CDATA[${corpId}]]></ToUserName><Encrypt><![CDATA[${sealed}]]></Encrypt></xml>`;
  return ask(`${asked.hook}?${new URLSearchParams({ ...query, ...more })}`, body);
}

async function says(content) {
  const whose = { open_kfid: kf, external_userid: "wmAJ2GCAAAme1XQRC", send_time: Math.floor(Date.now() / 1000) };
  mail.push({ msgid: `n${mail.length}`, origin: 3, msgtype: "text", text: { content }, ...whose });
  same(await rings(), [200, ""]);
  const until = Date.now() + 20_000;
  while (sent.length < mail.length && Date.now() < until) await new Promise((done) => setTimeout(done, 20));
  return sent[mail.length - 1];
}

const [echostr, query] = closed("5927782489442352469");
same(await ask(`${asked.hook}?${new URLSearchParams({ ...query, echostr })}`), [200, "5927782489442352469"]);
same(await ask(`${asked.hook}?${new URLSearchParams({ ...query, echostr, nonce: "1" })}`), [401, ""]);
same(await rings({ nonce: "1" }), [401, ""]);
same(await rings({}, "wx0000000000000000"), [403, ""]);
check(api.calls.length === 0, "nothing was fetched for these");
const menu = await says(asked.menu);
check(menu.msgtype === "msgmenu", JSON.stringify(menu));
const answer = await says(asked.text);
check(answer.text.content.includes(asked.says) && sent.length === 2, JSON.stringify(answer));
console.log(JSON.stringify({ answered: 2, refused: 3 }));
