"""WeCom's server with wechatpy: proves the address, rings for messages in envelopes, hands them out as the API, and asks the API the same
with wechatpy's client. wechat_kf.mjs does the same with npm's library, which has no client.

In:  {"hook", "token", "corp_id", "key", "secret", "port" of the API, "menu": a text that gets one, "text", "says": what answers it}
Out: {"answered", "refused", "ignored", "compared": how many}
"""

import json
import sys
import time
from urllib.parse import urlencode

import requests
import xmltodict
from stand_in import StandIn, alike, ask
from wechatpy.enterprise import WeChatClient
from wechatpy.enterprise.crypto import WeChatCrypto

asked = json.load(sys.stdin)
now, nonce, kf = str(int(time.time())), "437374425", "wkAJ2GCAAASSm4_FhToWMFea0xAFfd3Q"
mail = []


def taken(call):
    if call.path.startswith("/cgi-bin/gettoken?"):
        return {"errcode": 0, "errmsg": "ok", "access_token": "t", "expires_in": 7200}
    if not call.path.startswith("/cgi-bin/kf/sync_msg?"):
        return {"errcode": 0, "errmsg": "ok", "msgid": call.json()["msgid"]}
    since = int(call.json().get("cursor") or 0)
    return {"errcode": 0, "errmsg": "ok", "next_cursor": str(len(mail)), "has_more": 0, "msg_list": mail[since:]}


def closed(text, corp_id=asked["corp_id"]):
    """In an envelope, with the query that signs it; the library opens what it closed."""
    crypto = WeChatCrypto(asked["token"], asked["key"], corp_id)
    body = crypto.encrypt_message(text, nonce, now)
    outer = xmltodict.parse(body)["xml"]
    assert crypto.decrypt_message(body, outer["MsgSignature"], now, nonce) == text
    return outer["Encrypt"], {"msg_signature": outer["MsgSignature"], "timestamp": now, "nonce": nonce}


def rings(event="kf_msg_or_event", corp_id=asked["corp_id"], **changed):
    told = (
        f"<xml><ToUserName><![CDATA[{corp_id}]]></ToUserName><CreateTime>{now}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
        f"<Event><![CDATA[{event}]]></Event><Token><![CDATA[ENC]]></Token><OpenKfId><![CDATA[{kf}]]></OpenKfId></xml>"
    )
    encrypt, query = closed(told, corp_id)
    body = f"<xml><ToUserName><![CDATA[{corp_id}]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
    return ask(f"{asked['hook']}?{urlencode({**query, **changed})}", body, {"Content-Type": "text/xml"})


def arrives(kind, content, origin=3):
    mail.append({"msgid": f"m{len(mail)}", "open_kfid": kf, "external_userid": "wmAJ2GCAAAme1XQRC", "send_time": int(time.time()),
                 "origin": origin, "msgtype": kind, kind: content})


def sent(count):
    """What the service sent, once there is so much."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        calls = [call for call in api.calls if "send_msg" in call.path]
        if len(calls) >= count:
            break
        time.sleep(0.02)
    assert len(calls) == count, calls
    return calls


class Here(requests.adapters.HTTPAdapter):
    """Brings to the stand-in what the library sends to WeCom."""

    def send(self, request, **more):
        request.url = request.url.replace("https://qyapi.weixin.qq.com", api.base)
        return super().send(request, **more)


api = StandIn(asked["port"], taken)
echo, query = closed("5927782489442352469")
assert ask(f"{asked['hook']}?{urlencode({**query, 'echostr': echo})}") == (200, "5927782489442352469")
assert ask(f"{asked['hook']}?{urlencode({**query, 'echostr': echo, 'nonce': '1'})}") == (401, "")
assert rings(nonce="1") == (401, "") and rings(corp_id="wx0000000000000000") == (403, "")
assert rings(event="change_external_contact") == (200, "")
assert not api.calls, "nothing was fetched for these"
arrives("event", {"event_type": "enter_session", "open_kfid": kf, "external_userid": "wmAJ2GCAAAme1XQRC"}, origin=4)
arrives("text", {"content": asked["menu"]})
assert rings() == (200, "")
sent(1)
arrives("of next year", {})
arrives("text", {"content": asked["text"], "menu_id": "1"})
assert rings() == rings() == (200, "")
menu, answer = sent(2)
assert menu.json()["msgtype"] == "msgmenu" and asked["says"] in answer.json()["text"]["content"]

requests.Session.get_adapter = lambda *_, **__: Here()
client, ours = WeChatClient(asked["corp_id"], asked["secret"]), list(api.calls)
for call in [menu, answer]:
    client.post("kf/send_msg", data=call.json())
grant, *theirs = api.after(len(ours) + 3)[len(ours) :]
for call, again in zip([ours[0], menu, answer], [grant, *theirs]):
    alike(call, again, read=lambda call: call.body and call.json())
print(json.dumps({"answered": 2, "refused": 3, "ignored": 3, "compared": 3}))
