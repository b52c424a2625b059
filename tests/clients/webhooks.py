"""Webhooks as a receiver and a sender with Python's libraries see them; webhooks.mjs does the same with npm's.

In:  {"secret": "whsec_...", "messages": [{"id", "timestamp" (s), "body", "signature"}]}
Out: {"library": [{"accepts", "accepts_forged", "signature"}]}, one object a message and in its order.
"""

import json
import sys
from datetime import datetime, timezone

import standardwebhooks
import svix.webhooks

asked = json.load(sys.stdin)


def accepts(library, message, body):
    headers = {
        "webhook-id": message["id"],
        "webhook-timestamp": str(message["timestamp"]),
        "webhook-signature": message["signature"],
    }
    try:
        library.Webhook(asked["secret"]).verify(body, headers)
    except library.WebhookVerificationError:
        return False
    return True


def seen_by(library, message):
    body, time = message["body"], datetime.fromtimestamp(message["timestamp"], timezone.utc)
    return {
        "accepts": accepts(library, message, body),
        "accepts_forged": accepts(library, message, body + " "),
        "signature": library.Webhook(asked["secret"]).sign(message["id"], time, body),
    }


libraries = {"standardwebhooks": standardwebhooks, "svix": svix.webhooks}
print(json.dumps({name: [seen_by(library, each) for each in asked["messages"]] for name, library in libraries.items()}))
