"""The calls of an agent bot as the library chatwoot-sdk makes them, and a webhook signed as Chatwoot's lib/webhooks/trigger.rb does.

In:  {"base_url", "token", "account", "conversation", "content", "secret", "timestamp" (s), "webhook" (JSON text)}
Out: {"status", "body", "timestamp", "signature"}: the status that the library read, and the webhook with its headers.
"""

import hashlib
import hmac
import json
import sys

from chatwoot import ChatwootClient

asked = json.load(sys.stdin)

with ChatwootClient(base_url=asked["base_url"], api_token=asked["token"]) as client:
    place = {"account_id": asked["account"], "conversation_id": asked["conversation"]}
    client.messages.create(content=asked["content"], message_type="outgoing", private=False, **place)
    toggled = client.conversations.toggle_status(status="open", **place)

body, timestamp = json.dumps(json.loads(asked["webhook"]), indent=1), str(asked["timestamp"])
digest = hmac.new(asked["secret"].encode(), f"{timestamp}.".encode() + body.encode(), hashlib.sha256).hexdigest()
print(json.dumps({"status": toggled.current_status, "body": body, "timestamp": timestamp, "signature": f"sha256={digest}"}))
