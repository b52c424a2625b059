"""LINE as line-bot-sdk for Python knows it: posts webhooks made of its models, stands for the Messaging API, and sends what it gets
once more. line.mjs does the same with npm's.

In:  {"hook", "secret", "token", "port" of the API, "menu": a text that gets one, "text", "says": what answers it}
Out: {"answered", "refused", "ignored", "compared": how many}
"""

import base64
import hashlib
import hmac
import itertools
import json
import sys
import time

from linebot.v3 import WebhookHandler
from linebot.v3.exceptions import InvalidSignatureError
from linebot.v3.messaging import ApiClient, Configuration, MessagingApi, PushMessageRequest, ReplyMessageRequest, TextMessage
from linebot.v3.webhooks import CallbackRequest, Event, MessageEvent, TextMessageContent
from stand_in import StandIn, alike, ask

asked = json.load(sys.stdin)
numbers = itertools.count(1)
handler, read = WebhookHandler(asked["secret"]), []
handler.add(MessageEvent, message=TextMessageContent)(lambda event: read.append(event.message.text))
handler.default()(lambda event: read.append(event.type))

# Everything else that happens with a customer.
OTHERS = {
    "accountLink": {"link": {"result": "ok", "nonce": "n"}},
    "activated": {"chatControl": {"expireAt": 1}},
    "beacon": {"beacon": {"hwid": "h", "type": "enter"}},
    "botResumed": {},
    "botSuspended": {},
    "deactivated": {},
    "delivery": {"delivery": {"data": "d"}},
    "follow": {"follow": {"isUnblocked": False}},
    "join": {},
    "leave": {},
    "memberJoined": {"joined": {"members": [{"type": "user", "userId": "U1"}]}},
    "memberLeft": {"left": {"members": [{"type": "user", "userId": "U1"}]}},
    "membership": {"membership": {"type": "joined", "membershipId": 1}},
    "messageEdited": {"message": {"type": "text", "id": "1", "text": asked["text"], "quoteToken": "q"}},
    "module": {"module": {"type": "attached", "botId": "U", "scopes": []}},
    "unfollow": {},
    "unsend": {"unsend": {"messageId": "1"}},
    "videoPlayComplete": {"videoPlayComplete": {"trackingId": "t"}},
}
MEDIA = {
    "image": {"contentProvider": {"type": "line"}, "quoteToken": "q"},
    "video": {"contentProvider": {"type": "line"}, "quoteToken": "q"},
    "audio": {"contentProvider": {"type": "line"}},
    "file": {"fileName": "f", "fileSize": 1},
    "location": {"latitude": 31.2, "longitude": 121.5},
    "sticker": {"packageId": "1", "stickerId": "1", "stickerResourceType": "STATIC", "quoteToken": "q"},
}


def event(kind, **more):
    number = next(numbers)
    told = {"mode": "active", "timestamp": int(time.time() * 1000), "webhookEventId": f"E{number}", "replyToken": f"r{number}"}
    made = {"type": kind, "source": {"type": "user", "userId": "U1"}, "deliveryContext": {"isRedelivery": False}, **told, **more}
    return Event.from_dict(made)


def said(text):
    return event("message", message={"type": "text", "id": f"m{next(numbers)}", "text": text, "quoteToken": "q"})


def post(*events):
    """The status of the webhook, which the library believes and reads, and not of the same with another signature."""
    body = CallbackRequest(destination="U" + "0" * 32, events=list(events)).to_json()
    digest = lambda secret: base64.b64encode(hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest()).decode()
    right, wrong = digest(asked["secret"]), digest("forged")
    handler.handle(body, right)
    try:
        handler.handle(body, wrong)
        raise AssertionError("the library believes another signature")
    except InvalidSignatureError:
        headers = {"Content-Type": "application/json; charset=utf-8"}
    assert ask(asked["hook"], body, {**headers, "X-Line-Signature": wrong}) == (401, "")
    return ask(asked["hook"], body, {**headers, "X-Line-Signature": right})


def taken(call):
    """The second reply is too late."""
    is_late = call.path.endswith("/reply") and len(api.calls) == 1
    return (400, {"message": "Invalid reply token"}) if is_late else {"sentMessages": [{"id": "1", "quoteToken": "q"}]}


api = StandIn(asked["port"], taken)
others = [event(kind, **more) for kind, more in OTHERS.items()]
media = [event("message", message={"type": kind, "id": kind, **more}) for kind, more in MEDIA.items()]
assert post() == (200, ""), "the console's check"
assert post(said(asked["menu"])) == (200, "")
api.after(1)
assert post(*others, said(asked["text"])) == (200, ""), "one text among them"
api.after(3)
assert post(event("postback", postback={"data": asked["text"]})) == (200, "")
ours = api.after(4)
assert post(*media) == (200, "")
assert read == [asked["menu"], *OTHERS, asked["text"], "postback", *["message"] * len(MEDIA)]

with ApiClient(Configuration(access_token=asked["token"], host=api.base)) as client:
    messaging = MessagingApi(client)
    for number, call in enumerate(ours):
        if call.path.endswith("/reply"):
            request = ReplyMessageRequest.from_json(call.body)
            messaging.reply_message(request)
        else:
            request = PushMessageRequest.from_json(call.body)
            messaging.push_message(request, call.headers["x-line-retry-key"])
        [message] = request.messages
        assert isinstance(message, TextMessage) and (asked["says"] in message.text or message.quick_reply)
assert [call.path.rsplit("/")[-1] for call in ours] == ["reply", "reply", "push", "reply"]


def told(call):
    return {name: value for name, value in call.json().items() if (name, value) != ("notificationDisabled", False)}


for call, again in zip(ours, api.after(2 * len(ours))[len(ours) :]):
    alike(call, again, ["authorization", "x-line-retry-key"], told)
print(json.dumps({"answered": 3, "refused": 5, "ignored": len(others), "compared": len(ours)}))
