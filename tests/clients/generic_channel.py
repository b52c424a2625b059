"""The generic channel and webhooks with Python's libraries of Standard Webhooks: posts what they sign in ways right and wrong, receives
what is pushed, which they verify. generic_channel.mjs does the same with npm's.

In:  {"hook", "secret", "previous", "other": "whsec_...", "port" of the account's `url` and of /desk, which subscribes to handovers with
      the other secret, "text", "says": what answers it}
Out: {"library": {"answered", "refused": how many}}
"""

import json
import sys
from datetime import datetime, timedelta, timezone

import standardwebhooks
import svix.webhooks
from stand_in import StandIn, ask

asked = json.load(sys.stdin)
now = datetime.now(timezone.utc)


def played_by(name, library):
    def body(what, words=asked["text"], **style):
        data = {"conversation_id": f"{name}-{what}", "customer_id": "u", "text": words}
        return json.dumps({"type": "message", "timestamp": now.isoformat(), "data": data}, **style)

    def sent(what, secret="secret", time=now, signed=None, text=None, signed_id=None, change=lambda signature: signature, brand="webhook"):
        message_id, text = f"msg_{name}_{what}", text or body(what, ensure_ascii=False)
        signature = library.Webhook(asked[secret]).sign(signed_id or message_id, time, signed or text)
        headers = {"id": message_id, "timestamp": str(int(time.timestamp())), "signature": change(signature)}
        return ask(asked["hook"], text, {f"{brand}-{header}": value for header, value in headers.items()})[0]

    before = len(receiver.calls)
    believed = {
        "right": sent("right"),
        "previous": sent("previous", secret="previous"),
        "among_others": sent("among_others", change=lambda right: f"v1a,abc v1,{'A' * 43}= {right}"),
        "escaped": sent("escaped", text=body("escaped")),
        "spaced": sent("spaced", text=body("spaced", indent=2)),
        "branded": sent("branded", brand="svix"),
    }
    refused = {
        "forged": sent("forged", secret="other"),
        "old": sent("old", time=now - timedelta(seconds=330)),
        "new": sent("new", time=now + timedelta(seconds=330)),
        "changed": sent("changed", signed=body("another")),
        "changed_branded": sent("changed", signed=body("another"), brand="svix"),
        "unsigned": ask(asked["hook"], body("unsigned"))[0],
        "another_id": sent("another_id", signed_id="msg_1"),
        "another_version": sent("another_version", change=lambda right: right.replace("v1,", "v2,")),
    }
    assert set(believed.values()) == {200} and set(refused.values()) == {401}, (believed, refused)
    pushes = receiver.after(before + len(believed))[before:]
    replies = [verified(library, push) for push in pushes]
    assert {reply["data"]["conversation_id"] for reply in replies} == {f"{name}-{what}" for what in believed}
    assert all(reply["type"] == "reply" and asked["says"] in reply["data"]["text"] for reply in replies)
    assert sent("human", text=body("human", "转人工")) == 200
    pushes = receiver.after(before + len(believed) + 3)[-3:]
    kinds = sorted((push.path, verified(library, push)["type"]) for push in pushes)
    assert kinds == [("/", "handoff"), ("/", "reply"), ("/desk", "handoff")], kinds
    return {"answered": len(believed), "refused": len(refused)}


def verified(library, push):
    """What a push says; the library believes it, and neither the same with another secret nor another with its signature."""
    headers = {name.lower(): value for name, value in push.headers.items()}
    ours, others = ("other", "secret") if push.path == "/desk" else ("secret", "other")
    for secret, body in [(others, push.body), (ours, push.body + " ")]:
        try:
            library.Webhook(asked[secret]).verify(body, headers)
            raise AssertionError("the library believes what is forged")
        except library.WebhookVerificationError:
            pass
    told = library.Webhook(asked[ours]).verify(push.body, headers)
    return told or push.json()


receiver = StandIn(asked["port"])
libraries = {"standardwebhooks": standardwebhooks, "svix": svix.webhooks}
print(json.dumps({name: played_by(name, library) for name, library in libraries.items()}))
