"""Lazada and Shopee, for which no library is at hand, by the recipes of their pages in Python's own hmac.

In:  {"platform", "key": app key or partner id, "secret", "callback": Shopee's, "webhook": raw body,
      "call": null or {"url": path and query, "body"}}
Out: {"signature": of the webhook; with a call "sign"}
"""

import hashlib
import hmac
import json
import sys
from urllib.parse import parse_qs, urlsplit

asked = json.load(sys.stdin)


def signed(text):
    return hmac.new(asked["secret"].encode(), text.encode(), hashlib.sha256).hexdigest()


def lazada(call):
    """open.lazada.com, "Signature algorithm": sort, join, path before, HMAC-SHA256, upper case."""
    given = {name: values[0] for name, values in parse_qs(call["body"], strict_parsing=True).items()}
    path = urlsplit(call["url"]).path.removeprefix("/rest")
    return signed(path + "".join(name + given[name] for name in sorted(given) if name != "sign")).upper()


def shopee(call):
    """open.shopee.com, "API calls": partner id, path, timestamp, access token, shop id."""
    address = urlsplit(call["url"])
    given = parse_qs(address.query, strict_parsing=True)
    json.loads(call["body"])
    return signed(asked["key"] + address.path + "".join(given[name][0] for name in ("timestamp", "access_token", "shop_id")))


before, sign = {"lazada": (asked["key"], lazada), "shopee": (asked.get("callback", "") + "|", shopee)}[asked["platform"]]
seen = {"signature": signed(before + asked["webhook"])}
if asked.get("call"):
    seen["sign"] = sign(asked["call"])
print(json.dumps(seen))
