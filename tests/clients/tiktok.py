"""TikTok Shop as PyPI's tiktok-shop-api knows it: signs a webhook and reads it, signs a call that was made.

In:  {"app_key", "app_secret", "webhook": raw body, "call": null or {"url": path and query, "content_type", "body"}}
Out: {"signature", "event": class, "role": of the sender; with a call "sign", "operation": its path from the version on}
"""

import hashlib
import hmac
import json
import sys
from urllib.parse import parse_qsl

from tiktok_shop_api.signing import Signer, operation_for
from tiktok_shop_api.webhooks import Webhooks

asked = json.load(sys.stdin)
key, secret, webhook = asked["app_key"], asked["app_secret"], asked["webhook"]

# The library verifies and does not sign: what it takes is signed as it wants it.
signature = hmac.new(secret.encode(), (key + webhook).encode(), hashlib.sha256).hexdigest()
seen = {"signature": signature}
if webhook != "{}":
    event = Webhooks.verify_and_parse(app_key=key, app_secret=secret, raw_body=webhook, signature=signature)
    seen |= {"event": type(event).__name__, "role": event.data.sender.role}
if asked.get("call"):
    path, _, query = asked["call"]["url"].partition("?")
    seen["sign"] = Signer.sign(
        path=path,
        query=parse_qsl(query, keep_blank_values=True),
        content_type=asked["call"]["content_type"],
        body=asked["call"]["body"],
        app_secret=secret,
    )
    # The library knows a newer version of the same operation.
    found = operation_for("POST", path.replace("/202309/", "/202606/"))
    seen["operation"] = found and "/" + found["path"].split("/", 3)[3]
print(json.dumps(seen))
