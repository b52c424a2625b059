"""WeChat's server with wechatpy and with WeRoBot: each signs and closes what happens, posts it, opens and reads the answers; stands for the
API, and sends what it gets once more.

In:  {"hook" (plain, passes on to agents, calls the API), "closed" (in envelopes), "token", "app_id", "key", "secret" of the app,
      "account", "port" of the API, "text", "says": what answers it}
Out: {"library": {"answered", "refused", "ignored", "compared": how many}}
"""

import json
import sys
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import requests
import wechatpy.crypto
import wechatpy.events
import wechatpy.messages
import wechatpy.utils
import werobot.client
import werobot.crypto
import werobot.messages.events
import werobot.messages.messages
import werobot.parser
import werobot.utils
import xmltodict
from stand_in import StandIn, alike, ask

asked = json.load(sys.stdin)


class Wechatpy:
    """The platform as wechatpy knows it."""

    messages = wechatpy.messages.MESSAGE_TYPES.keys() - {"text"}
    events = wechatpy.events.EVENT_TYPES.keys()
    crypto = wechatpy.crypto.WeChatCrypto(asked["token"], asked["key"], asked["app_id"])
    read = staticmethod(wechatpy.parse_message)

    def signature(self, time, nonce):
        signer = wechatpy.utils.WeChatSigner()
        signer.add_data(asked["token"], time, nonce)
        wechatpy.utils.check_signature(asked["token"], signer.signature, time, nonce)
        return signer.signature

    def close(self, text, nonce, time):
        return self.crypto.encrypt_message(text, nonce, time)

    def open(self, body, outer):
        return self.crypto.decrypt_message(body, outer["MsgSignature"], outer["TimeStamp"], outer["Nonce"])

    def send(self, customer, text):
        wechatpy.WeChatClient(asked["app_id"], asked["secret"]).message.send_text(customer, text)


class Werobot:
    """The platform as WeRoBot knows it."""

    messages = werobot.messages.messages.MessageMetaClass.TYPES.keys() - {"text"}
    events = {name.removesuffix("_event") for name in werobot.messages.events.EventMetaClass.TYPES}
    crypto = werobot.crypto.MessageCrypt(asked["token"], asked["key"], asked["app_id"])
    read = staticmethod(werobot.parser.parse_user_msg)

    def signature(self, time, nonce):
        return werobot.utils.get_signature(asked["token"], time, nonce)

    def close(self, text, nonce, time):
        return self.crypto.encrypt_message(text, time, nonce)

    def open(self, body, outer):
        return self.crypto.decrypt_message(outer["TimeStamp"], outer["Nonce"], outer["MsgSignature"], outer["Encrypt"])

    def send(self, customer, text):
        werobot.client.Client({"APP_ID": asked["app_id"], "APP_SECRET": asked["secret"]}).send_text_message(customer, text)


class Here(requests.adapters.HTTPAdapter):
    """Brings to the stand-in what the libraries send to WeChat."""

    def send(self, request, **more):
        request.url = request.url.replace("https://api.weixin.qq.com", api.base)
        return super().send(request, **more)


def taken(call):
    grants = call.path.startswith("/cgi-bin/token?")
    return {"access_token": "t", "expires_in": 7200} if grants else {"errcode": 0, "errmsg": "ok"}


def played_by(library):
    customer, nonce, numbers = f"o-{type(library).__name__}", "nonce-1", iter(range(1_000))

    def document(kind, body):
        number = f"<MsgId>{library.__class__.__name__}{next(numbers)}</MsgId>" if kind != "event" else ""
        return (
            f"<xml><ToUserName><![CDATA[{asked['account']}]]></ToUserName><FromUserName><![CDATA[{customer}]]></FromUserName>"
            f"<CreateTime>{int(time.time())}</CreateTime><MsgType><![CDATA[{kind}]]></MsgType>{body}{number}</xml>"
        )

    def text(words):
        return document("text", f"<Content><![CDATA[{words}]]></Content>")

    def query(**more):
        now = str(int(time.time()))
        return {"signature": library.signature(now, nonce), "timestamp": now, "nonce": nonce, "openid": customer, **more}

    def post(where, body, query):
        return ask(f"{asked[where]}?{urlencode(query)}", body, {"Content-Type": "text/xml"})

    def closed(body, **changed):
        """The answer to a message in an envelope, opened."""
        asking = query()
        sealed = library.close(body, nonce, asking["timestamp"])
        asking |= {"encrypt_type": "aes", "msg_signature": xmltodict.parse(sealed)["xml"]["MsgSignature"], **changed}
        status, answer = post("closed", sealed, asking)
        if status != 200 or answer == "success":
            return answer or status
        return library.open(answer, xmltodict.parse(answer)["xml"])

    def read(answer):
        """Who is answered, and what."""
        assert xmltodict.parse(answer)["xml"]["MsgType"] == "text"
        told = library.read(answer)
        assert (told.target, told.source) == (customer, asked["account"]) and asked["says"] in told.content, answer

    for where in ["hook", "closed"]:
        echo = query(echostr="8412035717042341912+/=")
        assert ask(f"{asked[where]}?{urlencode(echo)}") == (200, echo["echostr"])
        assert ask(f"{asked[where]}?{urlencode({**echo, 'nonce': 'another'})}") == (401, "")
    for event in library.events - {"kf_create_session", "kf_switch_session"}:
        told = document("event", f"<Event><![CDATA[{event}]]></Event><EventKey><![CDATA[]]></EventKey>")
        assert closed(told) == "success", event
        assert post("hook", told, query()) == (200, "success"), event
    read(closed(text(asked["text"])))
    read(post("hook", text(asked["text"]), query())[1])
    for kind in library.messages:
        told = document(kind, "<MediaId><![CDATA[m]]></MediaId><PicUrl><![CDATA[http://x]]></PicUrl>")
        assert closed(told) == "success", kind
    assert closed(text(asked["text"]), nonce="another") == closed(text(asked["text"]), msg_signature="0" * 40) == 401
    assert post("hook", text(asked["text"]), query(nonce="another")) == (401, "")
    assert post("closed", text(asked["text"]), query()) == (401, ""), "nothing plain where envelopes are wanted"

    before = len(api.calls)
    passed = post("hook", text("转人工"), query())[1]
    assert xmltodict.parse(passed)["xml"]["MsgType"] == "transfer_customer_service"
    *grant, ours = api.after(before + (1 if before else 2))[before:]
    library.send(ours.json()["touser"], ours.json()["text"]["content"])
    theirs = api.after(before + len(grant) + 3)[-2:]
    for call, again in zip([*grant, ours], theirs[-1 - len(grant) :]):
        alike(call, again, read=lambda call: call.body and call.json())
    assert theirs[0].path.startswith("/cgi-bin/token?") and ours.json()["touser"] == customer
    return {"answered": 2, "refused": 6, "ignored": len(library.events) - 2, "compared": len(grant) + 1}


api = StandIn(asked["port"], taken)
requests.Session.get_adapter = lambda *_, **__: Here()
print(json.dumps({name: played_by(library) for name, library in {"wechatpy": Wechatpy(), "werobot": Werobot()}.items()}))
