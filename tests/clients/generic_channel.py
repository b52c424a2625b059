"""Posts a customer's message to the generic channel, signed by Python's libraries in ways right and wrong; generic_channel.mjs does the
same with npm's.

In:  {"address", "secret", "previous", "other": "whsec_...", "text"}
Out: {"library": {"what was done": status}}
"""

import json
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

import standardwebhooks
import svix.webhooks

asked = json.load(sys.stdin)
now = datetime.now(timezone.utc)


def post(headers, body):
    try:
        with urllib.request.urlopen(urllib.request.Request(asked["address"], body.encode(), headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def played_by(name, library):
    def body(what, **style):
        data = {"conversation_id": f"{name}-{what}", "customer_id": "u", "text": asked["text"]}
        return json.dumps({"type": "message", "timestamp": now.isoformat(), "data": data}, **style)

    def sign(secret, message_id, time, text):
        return library.Webhook(asked[secret]).sign(message_id, time, text)

    def sent(what, secret="secret", time=now, signed=None, text=None, signed_id=None, change=lambda signature: signature):
        message_id, text = f"msg_{name}_{what}", text or body(what, ensure_ascii=False)
        signature = sign(secret, signed_id or message_id, time, signed or text)
        headers = {"webhook-id": message_id, "webhook-timestamp": str(int(time.timestamp())), "webhook-signature": change(signature)}
        return post(headers, text)

    return {
        "right": sent("right"),
        "previous": sent("previous", secret="previous"),
        "among_others": sent("among_others", change=lambda right: f"v1a,abc v1,{'A' * 43}= {right}"),
        "escaped": sent("escaped", text=body("escaped")),
        "spaced": sent("spaced", text=body("spaced", indent=2)),
        "forged": sent("forged", secret="other"),
        "old": sent("old", time=now - timedelta(seconds=330)),
        "new": sent("new", time=now + timedelta(seconds=330)),
        "changed": sent("changed", signed=body("another")),
        "unsigned": post({}, body("unsigned")),
        "another_id": sent("another_id", signed_id="msg_1"),
        "another_version": sent("another_version", change=lambda right: right.replace("v1,", "v2,")),
    }


libraries = {"standardwebhooks": standardwebhooks, "svix": svix.webhooks}
print(json.dumps({name: played_by(name, library) for name, library in libraries.items()}))
