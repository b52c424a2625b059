"""Telegram as python-telegram-bot knows it: posts updates made of its models, stands for the Bot API, and sends what it gets once more.

In:  {"hook", "secret", "token", "port" of the Bot API, "menu": a text that gets one, "text", "says": what answers it}
Out: {"answered", "refused", "ignored", "compared": how many}
"""

import asyncio
import itertools
import json
import sys
import time
from datetime import datetime, timezone
from urllib.parse import parse_qs

from stand_in import StandIn, alike, ask
from telegram import Bot, CallbackQuery, Chat, Message, ReplyKeyboardMarkup, Sticker, Update, User

asked = json.load(sys.stdin)
numbers = itertools.count(1)
person = User(5_000_000_001, "小王", False, language_code="zh-hans")
chat = {"id": person.id, "type": "private", "first_name": "小王"}
message = {"message_id": 9, "date": int(time.time()), "chat": chat, "from": person.to_dict(), "text": asked["text"]}
channel = {"id": -1001, "type": "channel", "title": "news"}
whose = {"chat": chat, "from": person.to_dict(), "user": person.to_dict(), "date": 1}
member = {"status": "member", "user": person.to_dict()}
boost = {"chat": channel, "boost": {"boost_id": "b", "add_date": 1, "expiration_date": 2, "source": {"source": "premium", "user": person.to_dict()}}}

# One update of every other kind.
OTHERS = {
    "edited_message": {**message, "edit_date": 2},
    "channel_post": {**message, "chat": channel},
    "edited_channel_post": {**message, "chat": channel, "edit_date": 2},
    "business_connection": {"id": "c", "user_chat_id": 1, "is_enabled": True, **whose},
    "business_message": message,
    "edited_business_message": message,
    "deleted_business_messages": {"business_connection_id": "c", "chat": chat, "message_ids": [9]},
    "message_reaction": {"message_id": 9, "old_reaction": [], "new_reaction": [{"type": "emoji", "emoji": "👍"}], **whose},
    "message_reaction_count": {"message_id": 9, "reactions": [], **whose},
    "inline_query": {"id": "1", "query": asked["text"], "offset": "", **whose},
    "chosen_inline_result": {"result_id": "1", "query": asked["text"], **whose},
    "shipping_query": {"id": "1", "invoice_payload": "p", "shipping_address": dict.fromkeys(
        ("country_code", "state", "city", "street_line1", "street_line2", "post_code"), "x"), **whose},
    "pre_checkout_query": {"id": "1", "currency": "CNY", "total_amount": 1, "invoice_payload": "p", **whose},
    "poll": {"id": "1", "question": "?", "options": [], "total_voter_count": 0, "is_closed": False, "is_anonymous": True,
             "type": "regular", "allows_multiple_answers": False, "allows_revoting": False, "members_only": False},
    "poll_answer": {"poll_id": "1", "option_ids": [0], "option_persistent_ids": ["0"], **whose},
    "my_chat_member": {"old_chat_member": member, "new_chat_member": member, **whose},
    "chat_member": {"old_chat_member": member, "new_chat_member": member, **whose},
    "chat_join_request": {"user_chat_id": 1, **whose},
    "chat_boost": boost,
    "removed_chat_boost": {"chat": channel, "boost_id": "b", "remove_date": 1, "source": boost["boost"]["source"]},
    "guest_message": message,
    "managed_bot": {"user": person.to_dict(), "bot": {"id": 1, "is_bot": True, "first_name": "b"}},
    "purchased_paid_media": {"paid_media_payload": "p", **whose},
}


def taken(call):
    return {"ok": True, "result": {"message_id": 1, "date": 1, "chat": chat}}


def post(update, secret=asked["secret"]):
    headers = {"X-Telegram-Bot-Api-Secret-Token": secret, "Content-Type": "application/json"}
    return ask(asked["hook"], update.to_json(), headers)


def said(**content):
    made = Message(next(numbers), datetime.now(timezone.utc), Chat(person.id, "private"), person, **content)
    return Update(next(numbers), message=made)


def pressed(data):
    under = Message(1, datetime.now(timezone.utc), Chat(person.id, "private"), text="?")
    return Update(next(numbers), callback_query=CallbackQuery("1", person, "1", message=under, data=data))


def fields(call):
    """What a call says, in JSON or in a form."""
    if call.headers["content-type"].startswith("application/json"):
        return call.json()
    form = {name: values[0] for name, values in parse_qs(call.body, strict_parsing=True).items()}
    return {name: value if name == "text" else json.loads(value) for name, value in form.items()}


async def main():
    api = StandIn(asked["port"], taken)
    sticker = said(sticker=Sticker("A", "a", 1, 1, False, False, "regular"))
    spoken = [said(text=asked["menu"]), said(text=asked["text"]), pressed(asked["text"]), sticker]
    for number, update in enumerate(spoken, 1):
        assert post(update, "forged") == (401, "")
        assert post(update) == post(update) == (200, ""), "a second time it is a redelivery"
        api.after(min(number, 3))
    assert OTHERS.keys() == set(Update.ALL_TYPES) - {"message", "callback_query"}
    for kind, body in OTHERS.items():
        update = Update.de_json({"update_id": next(numbers), kind: body}, None)
        assert getattr(update, kind) is not None and post(update) == (200, ""), kind
    ours = api.after(3)
    assert "reply_markup" in ours[0].json() and all(asked["says"] in call.json()["text"] for call in ours[1:])
    bot = Bot(asked["token"], base_url=f"{api.base}/bot")
    for call in ours:
        body = call.json()
        markup = body.pop("reply_markup", None)
        await bot.send_message(reply_markup=markup and ReplyKeyboardMarkup(**markup), **body)
    for call, again in zip(ours, api.after(2 * len(ours))[len(ours) :]):
        alike(call, again, read=fields)
    return {"answered": 2, "refused": len(spoken), "ignored": len(OTHERS), "compared": len(ours)}


print(json.dumps(asyncio.run(main())))
