"""WeChat's server and two readers of its answers, with wechatpy and WeRoBot: each signs messages as the platform does, posts
them, and reads what comes back. wechatpy closes and opens envelopes too; WeRoBot would need another library for that.

In:  {"plain", "closed", "transfers" (addresses of accounts), "token", "app_id", "key", "account", "customer"}
Out: {"library": {"plain", "transferred", "closed": {"to", "from", "type", "content"}, "media", "echo", "forged"}}
"""

import json
import sys
import time

import requests
import wechatpy.crypto
import wechatpy.utils
import werobot.parser
import werobot.utils
import xmltodict

asked = json.load(sys.stdin)


def message(kind, number, content=""):
    now = int(time.time())
    body = f"<Content><![CDATA[{content}]]></Content>" if content else "<MediaId>m</MediaId><PicUrl>http://x</PicUrl>"
    return (
        f"<xml><ToUserName><![CDATA[{asked['account']}]]></ToUserName>"
        f"<FromUserName><![CDATA[{asked['customer']}]]></FromUserName><CreateTime>{now}</CreateTime>"
        f"<MsgType><![CDATA[{kind}]]></MsgType>{body}<MsgId>{number}</MsgId></xml>"
    )


class Wechatpy:
    """The platform as wechatpy knows it."""

    def __init__(self):
        self.crypto = wechatpy.crypto.WeChatCrypto(asked["token"], asked["key"], asked["app_id"])

    def signature(self, time, nonce):
        signer = wechatpy.utils.WeChatSigner()
        signer.add_data(asked["token"], time, nonce)
        wechatpy.utils.check_signature(asked["token"], signer.signature, time, nonce)
        return signer.signature

    def close(self, text, nonce, time):
        return self.crypto.encrypt_message(text, nonce, time)

    def open(self, body):
        outer = xmltodict.parse(body)["xml"]
        return self.crypto.decrypt_message(body, outer["MsgSignature"], outer["TimeStamp"], outer["Nonce"])

    def read(self, body):
        read = wechatpy.parse_message(body)
        return {"to": read.target, "from": read.source, "type": xmltodict.parse(body)["xml"]["MsgType"],
                "content": getattr(read, "content", None)}


class Werobot:
    """The platform as WeRoBot knows it."""

    def signature(self, time, nonce):
        return werobot.utils.get_signature(asked["token"], time, nonce)

    def read(self, body):
        read = werobot.parser.parse_user_msg(body)
        return {"to": read.target, "from": read.source, "type": xmltodict.parse(body)["xml"]["MsgType"],
                "content": getattr(read, "content", None)}


def played_by(library, number):
    now, nonce = str(int(time.time())), "nonce-1"
    query = {"signature": library.signature(now, nonce), "timestamp": now, "nonce": nonce, "openid": asked["customer"]}

    def post(where, body, more={}):
        answer = requests.post(asked[where], params={**query, **more}, data=body.encode())
        return answer.text if answer.status_code == 200 else answer.status_code

    echo = requests.get(asked["closed"], params={**query, "echostr": "8412035717042341912"})
    seen = {
        "plain": library.read(post("plain", message("text", number, "什么时候发货"))),
        "transferred": library.read(post("transfers", message("text", number, "转人工"))),
        "media": post("plain", message("image", number + 1)),
        "echo": echo.text,
    }
    if isinstance(library, Wechatpy):
        closed = library.close(message("text", number, "什么时候发货"), nonce, now)
        sealed = {"encrypt_type": "aes", "msg_signature": xmltodict.parse(closed)["xml"]["MsgSignature"]}
        seen["closed"] = library.read(library.open(post("closed", closed, sealed)))
        seen["forged"] = post("closed", closed, {**sealed, "nonce": "nonce-2"})
    return seen


libraries = {"wechatpy": Wechatpy(), "werobot": Werobot()}
print(json.dumps({name: played_by(library, 10 * place + 11) for place, (name, library) in enumerate(libraries.items())}))
