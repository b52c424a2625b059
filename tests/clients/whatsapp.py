"""WhatsApp as pywa knows it: posts notifications that its validator believes, stands for the Graph API, and sends what it gets once more.

In:  {"hook", "secret", "verify": token of the subscription, "token" of access, "number": its id, "port" of the API,
      "menu": a text that gets one, "text", "says": what answers it}
Out: {"answered", "refused", "ignored", "compared": how many}
"""

import hashlib
import hmac
import itertools
import json
import sys
import time
from urllib.parse import urlencode

import httpx
from pywa import WhatsApp, utils
from pywa.types import Button, CallbackButton, CallbackSelection, Message, MessageStatus, Section, SectionList, SectionRow
from stand_in import StandIn, alike, ask

asked = json.load(sys.stdin)
numbers = itertools.count(1)
session = httpx.Client()
client = WhatsApp(phone_id=asked["number"], token=asked["token"], session=session, api_version="25.0",
                  app_secret=asked["secret"], verify_token=asked["verify"], server=None)
customer, media = "8613800138000", {"id": "1013859600285441", "mime_type": "image/jpeg", "sha256": "x"}
contacts = [{"profile": {"name": "小王"}, "wa_id": customer, "user_id": "CN.13491208655302741918"}]

# What a customer sends that is no text.
MEDIA = {
    "image": {**media, "caption": "就是这个"},
    "video": media,
    "document": {**media, "filename": "f"},
    "audio": {**media, "voice": True},
    "sticker": {**media, "animated": False},
    "location": {"latitude": 31.2, "longitude": 121.5},
    "contacts": [{"name": {"formatted_name": "小李", "first_name": "李"}}],
    "order": {"catalog_id": "1", "text": "", "product_items": [{"product_retailer_id": "p", "quantity": 1, "item_price": 1, "currency": "CNY"}]},
}
# What nobody answers.
OTHERS = {
    "reaction": {"message_id": "wamid.X", "emoji": "👍"},
    "unsupported": {"type": "poll"},
    "system": {"body": "changed", "wa_id": customer, "type": "user_changed_number"},
    "request_welcome": {},
}


def message(kind, content, **more):
    """A notification of a message, as Meta nests it."""
    told = {"from": customer, "id": f"wamid.{next(numbers)}", "timestamp": str(int(time.time())), "type": kind, kind: content}
    return notification(contacts=contacts, messages=[{**told, **more}])


def notification(field="messages", **value):
    metadata = {"display_phone_number": "15550783881", "phone_number_id": asked["number"]}
    change = {"field": field, "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
    return {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [change]}]}


def post(body):
    """Posts it as Meta does, with all that is not ASCII escaped; and before it the same with another signature."""
    raw = json.dumps(body).replace("/", "\\/").encode()
    for secret, status in [("forged", 401), (asked["secret"], 200)]:
        given = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
        assert bool(client.webhook_update_validator(raw, given)) == (status == 401)
        assert ask(asked["hook"], raw, {utils.HUB_SIG: given, "Content-Type": "application/json"}) == (status, ""), body
    return body


def chosen(kind, **more):
    reply = {"type": kind, kind: {"id": asked["text"], "title": "什么…"}}
    return message("interactive", reply, context={"from": "15550783881", "id": "wamid.S"}, **more)


def proved():
    """The service proves its address as pywa proves its own."""
    for token in [asked["verify"], "guessed"]:
        query = {"hub.mode": "subscribe", utils.HUB_CH: "1158201444", utils.HUB_VT: token}
        status, told = ask(f"{asked['hook']}?{urlencode(query)}")
        theirs = client.webhook_challenge_handler(vt=token, ch="1158201444")
        assert (told, status) in [theirs, ("", 403)] and status == theirs[1]


def menu(call):
    """The buttons or the list of a call, in pywa's terms; none in a text."""
    action = call.get("interactive", {}).get("action", {})
    if "buttons" in action:
        return [Button(each["reply"]["title"], each["reply"]["id"]) for each in action["buttons"]]
    if "sections" in action:
        rows = lambda section: [SectionRow(row["title"], row["id"], row.get("description")) for row in section["rows"]]
        return SectionList(action["button"], [Section(each["title"], rows(each)) for each in action["sections"]])
    return None


def send(call):
    text = call["interactive"]["body"]["text"] if "interactive" in call else call["text"]["body"]
    client.send_message(to=call["to"], text=text, buttons=menu(call), tracker=call["biz_opaque_callback_data"])


taken = {"messaging_product": "whatsapp", "messages": [{"id": "wamid.S"}], "contacts": [{"input": customer, "wa_id": customer, "user_id": customer}]}
api = StandIn(asked["port"], lambda call: taken)
session.base_url = f"{api.base}/v25.0"
proved()
for kind, content in OTHERS.items():
    assert Message.from_update(client, post(message(kind, content))).type.value == kind
status = {"id": "wamid.S", "status": "read", "timestamp": "1", "recipient_id": customer}
assert MessageStatus.from_update(client, post(notification(contacts=contacts, statuses=[status]))).status.value == "read"
post(notification("message_template_status_update", event="APPROVED"))
read = Message.from_update(client, post(message("text", {"body": asked["menu"]})))
assert (read.text, read.from_user.name) == (asked["menu"], "小王")
api.after(1)
pressed = CallbackButton.from_update(client, post(chosen("button_reply")))
picked = CallbackSelection.from_update(client, post(chosen("list_reply", **{"from": "8613900139000"})))
assert pressed.data == picked.data == asked["text"]
assert Message.from_update(client, post(message("text", {"body": asked["text"]}))).text == asked["text"]
ours = api.after(4)
assert "interactive" in ours[0].json() and all(asked["says"] in call.json()["text"]["body"] for call in ours[1:])
for call in ours:
    send(call.json())
for call, again in zip(ours, api.after(8)[4:]):
    alike(call, again, ["authorization"])
for kind, content in MEDIA.items():
    assert Message.from_update(client, post(message(kind, content))).type.value == kind
print(json.dumps({"answered": 3, "refused": 4 + len(MEDIA) + len(OTHERS) + 2, "ignored": len(OTHERS) + 2, "compared": len(ours)}))
