"""LINE as line-bot-sdk for Python knows it; line.mjs does the same with npm's.

In:  {"hook": url, "secret", "body": webhook}
Out: {"status": of the signed body, "forged": status, "texts": what the library reads in its events}
In:  {"api": where its calls go, "token", "calls": [{"path", "key": retry key, "body"}]}
Out: {"sent": how many it sent once more}
"""

import base64
import hashlib
import hmac
import json
import sys
import urllib.error
import urllib.request

from linebot.v3.messaging import ApiClient, Configuration, MessagingApi, PushMessageRequest, ReplyMessageRequest
from linebot.v3.webhook import SignatureValidator, WebhookParser

asked = json.load(sys.stdin)


def post(body, signature):
    headers = {"X-Line-Signature": signature, "Content-Type": "application/json; charset=utf-8"}
    try:
        with urllib.request.urlopen(urllib.request.Request(asked["hook"], data=body.encode(), headers=headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def play():
    body = json.dumps(asked["body"], ensure_ascii=False)
    digest = hmac.new(asked["secret"].encode(), body.encode(), hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    assert SignatureValidator(asked["secret"]).validate(body, signature)
    events = WebhookParser(asked["secret"]).parse(body, signature)
    texts = [getattr(event.message, "text", None) for event in events]
    return {"forged": post(body + " ", signature), "status": post(body, signature), "texts": texts}


def send():
    with ApiClient(Configuration(access_token=asked["token"], host=asked["api"])) as client:
        api = MessagingApi(client)
        for call in asked["calls"]:
            if call["path"].endswith("/reply"):
                api.reply_message_with_http_info(ReplyMessageRequest.from_dict(call["body"]))
            else:
                api.push_message_with_http_info(PushMessageRequest.from_dict(call["body"]), call["key"])
    return {"sent": len(asked["calls"])}


print(json.dumps(send() if "calls" in asked else play()))
