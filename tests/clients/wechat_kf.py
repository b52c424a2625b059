"""WeCom's server with wechatpy: proves the address, rings for messages, and tries what must be refused.

In:  {"url", "token", "corp_id", "key", "event" (XML of the callback)}
Out: {"echo" (text), "callback", "forged", "other_corp" (statuses)}; wechat_kf.mjs does the same with npm's library
"""

import json
import sys
import time

import requests
import xmltodict
from wechatpy.enterprise.crypto import WeChatCrypto

asked = json.load(sys.stdin)
now, nonce = str(int(time.time())), "437374425"


def closed(text, corp_id):
    body = WeChatCrypto(asked["token"], asked["key"], corp_id).encrypt_message(text, nonce, now)
    outer = xmltodict.parse(body)["xml"]
    return outer["Encrypt"], {"msg_signature": outer["MsgSignature"], "timestamp": now, "nonce": nonce}


def rings(corp_id, more={}):
    encrypt, query = closed(asked["event"], corp_id)
    body = f"<xml><ToUserName><![CDATA[{corp_id}]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
    return requests.post(asked["url"], params={**query, **more}, data=body.encode()).status_code


echostr, query = closed("5927782489442352469", asked["corp_id"])
echo = requests.get(asked["url"], params={**query, "echostr": echostr})
print(json.dumps({
    "echo": echo.text,
    "callback": rings(asked["corp_id"]),
    "forged": rings(asked["corp_id"], {"nonce": "1"}),
    "other_corp": rings("wx0000000000000000"),
}))
