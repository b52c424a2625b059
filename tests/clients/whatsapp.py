"""WhatsApp as pywa knows it: posts notifications to a hook, or sends what we sent once more with pywa.

In:  {"hook": url, "secret", "token", "bodies": [notification]}
Out: {"challenge": [status, text], "statuses": [status], "forged": status, "read": [what pywa reads in each]}
In:  {"calls": [body of a call], "number": id}
Out: {"sent": [body that pywa sends for the same]}
"""

import hashlib
import hmac
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

import httpx
from pywa import WhatsApp, utils
from pywa.types import Button, CallbackButton, Message, Section, SectionList, SectionRow

asked = json.load(sys.stdin)


def ask(url, body=None, headers={}):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers)) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]


def signature(body):
    """As Meta signs: checked by pywa, which has no signer."""
    given = "sha256=" + hmac.new(asked["secret"].encode(), body, hashlib.sha256).hexdigest()
    assert utils.webhook_updates_validator(asked["secret"], body, given)
    assert not utils.webhook_updates_validator(asked["secret"], body + b" ", given)
    return given


def post(body, sign=signature):
    raw = json.dumps(body).encode()
    headers = {utils.HUB_SIG: sign(raw), "Content-Type": "application/json"}
    return ask(asked["hook"], raw, headers)[0]


def read(body):
    client = WhatsApp(phone_id="1", token=None)
    kind = body["entry"][0]["changes"][0]["value"]["messages"][0]["type"]
    if kind == "interactive":
        pressed = CallbackButton.from_update(client, body)
        return {"kind": kind, "text": pressed.data, "title": pressed.title}
    message = Message.from_update(client, body)
    return {"kind": message.type.value, "text": message.text, "name": message.from_user.name}


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
    sent = []

    def take(request):
        sent.append({"path": request.url.path, "body": json.loads(request.content)})
        to = call.get("to") or call["recipient"]
        return httpx.Response(200, json={"messages": [{"id": "wamid.1"}], "contacts": [{"input": to, "wa_id": to, "user_id": to}]})

    session = httpx.Client(transport=httpx.MockTransport(take))
    client = WhatsApp(phone_id=asked["number"], token="EAAG", session=session, api_version="25.0")
    text = call["interactive"]["body"]["text"] if "interactive" in call else call["text"]["body"]
    client.send_message(to=call.get("to") or call["recipient"], text=text, buttons=menu(call))
    return sent[0]


if "calls" in asked:
    print(json.dumps({"sent": [send(call) for call in asked["calls"]]}))
else:
    query = {"hub.mode": "subscribe", utils.HUB_CH: "1158201444", utils.HUB_VT: asked["token"]}
    print(
        json.dumps(
            {
                "challenge": ask(f"{asked['hook']}?{urllib.parse.urlencode(query)}"),
                "forged": post(asked["bodies"][0], lambda raw: signature(raw + b" ")),
                "statuses": [post(body) for body in asked["bodies"]],
                "read": [read(body) for body in asked["bodies"]],
            }
        )
    )
