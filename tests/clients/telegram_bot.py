"""Telegram as python-telegram-bot knows it: reads updates, and sends what we sent once more.

In:  {"token", "api": where its calls go, "updates": [update], "calls": [body of our sendMessage]}
Out: {"texts", "chats", "stickers": one an update, "keyboards": one a call}
"""

import asyncio
import json
import sys

from telegram import Bot, ReplyKeyboardMarkup, Update

asked = json.load(sys.stdin)


async def main():
    bot = Bot(asked["token"], base_url=asked["api"])
    updates = [Update.de_json(update, bot) for update in asked["updates"]]
    keyboards = []
    for call in asked["calls"]:
        markup = call.get("reply_markup")
        keyboard = markup and ReplyKeyboardMarkup(**markup)
        keyboards.append(keyboard and keyboard.to_dict())
        await bot.send_message(chat_id=call["chat_id"], text=call["text"], reply_markup=keyboard)
    return {
        "texts": [update.message.text for update in updates],
        "chats": [update.effective_chat.id for update in updates],
        "stickers": [update.message.sticker is not None for update in updates],
        "keyboards": keyboards,
    }


print(json.dumps(asyncio.run(main())))
