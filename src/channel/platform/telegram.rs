//! Telegram Bot API: webhook updates, `sendMessage`.
//!
//! <https://core.telegram.org/bots/api>: `setWebhook`, `Update`, `sendMessage`, `ResponseParameters`.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::channel::call::{Call, CallAnswer, Failure, Message};
use crate::channel::hook::{Heard, Moment, Refusal, Request, Said};
use crate::channel::settings::{self, ApiUrl, Hidden};
use crate::channel::signature::same;
use crate::channel::{Channel, Platform};
use crate::conversation::event::{Context, EventKind};
use crate::conversation::parts::{TextLimit, Unit};

/// `type = "telegram"`.
pub const PLATFORM: Platform =
    Platform { name: "telegram", title: "Telegram", read: |table| Ok(Box::new(settings::read::<Telegram>(table)?)) };

/// Fields of a message by which it is something that a customer sent and no text. A message without any of them, and without a
/// text, is a notice: somebody pinned something, set a timer.
const MEDIA: [&str; 16] = [
    "animation",
    "audio",
    "contact",
    "dice",
    "document",
    "game",
    "location",
    "paid_media",
    "photo",
    "poll",
    "sticker",
    "story",
    "venue",
    "video",
    "video_note",
    "voice",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Telegram {
    bot_token: BotToken,
    secret_token: SecretToken,
    #[serde(default = "api")]
    api_url: ApiUrl,
}

fn api() -> ApiUrl {
    ApiUrl::of("https://api.telegram.org")
}

/// The token that `@BotFather` gives: it stands in every address that is called.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct BotToken(Hidden);

impl TryFrom<String> for BotToken {
    type Error = &'static str;

    fn try_from(token: String) -> Result<Self, Self::Error> {
        let parts = token.split_once(':').filter(|(bot, key)| !bot.is_empty() && !key.is_empty());
        let is_one = parts.is_some_and(|(bot, key)| bot.chars().all(|c| c.is_ascii_digit()) && is_plain(key));
        let hidden = Hidden::try_from(token).ok().filter(|_| is_one);
        hidden.map(Self).ok_or("write what @BotFather gave, such as \"123456:ABC-DEF1234\"")
    }
}

/// What Telegram shows with every update.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct SecretToken(Hidden);

impl TryFrom<String> for SecretToken {
    type Error = &'static str;

    fn try_from(token: String) -> Result<Self, Self::Error> {
        let is_one = token.len() <= 256 && is_plain(&token);
        let hidden = Hidden::try_from(token).ok().filter(|_| is_one);
        hidden.map(Self).ok_or("1 to 256 letters, digits, `_` and `-`, the same as in setWebhook")
    }
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

#[derive(Deserialize)]
struct Update {
    update_id: i64,
    message: Option<Value>,
    callback_query: Option<Value>,
}

#[derive(Deserialize)]
struct Written {
    chat: Chat,
    from: Option<User>,
    date: i64,
    #[serde(flatten)]
    content: Map<String, Value>,
}

#[derive(Deserialize)]
struct Chat {
    id: i64,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct User {
    id: i64,
    #[serde(default)]
    is_bot: bool,
    first_name: Option<String>,
    /// Of the app, where the user shows it: `zh-hans`, `en` (IETF).
    language_code: Option<String>,
}

/// What pressing "start" sends, with what the link to the bot had behind it.
const START: &str = "/start";

impl User {
    /// Pressing "start" says hello; the command itself is in no language.
    fn words(&self, text: String) -> String {
        if text.split_whitespace().next() != Some(START) {
            return text;
        }
        let speaks = |language: &str| language.starts_with("zh");
        if self.language_code.as_deref().is_none_or(speaks) { "你好".to_owned() } else { "Hello".to_owned() }
    }
}

/// A button under a message was pressed.
#[derive(Deserialize)]
struct Pressed {
    from: User,
    message: Option<Under>,
    data: Option<String>,
}

/// The message that the button was under.
#[derive(Deserialize)]
struct Under {
    chat: Chat,
}

/// What happened in a chat with one person.
fn said(update: Update) -> Option<Said> {
    let (chat, from, sent_at, kind, text) = match (update.message, update.callback_query) {
        (Some(message), _) => {
            let Written { chat, from, date, content } = Written::deserialize(message).ok()?;
            let text = |name: &str| content.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let is_media = MEDIA.iter().any(|name| content.contains_key(*name));
            let (kind, text) = match text("text") {
                empty if empty.is_empty() => is_media.then(|| (EventKind::Media, text("caption")))?,
                text => (EventKind::Message, text),
            };
            (chat, from?, Timestamp::from_second(date).ok(), kind, text)
        }
        (_, Some(query)) => {
            let Pressed { from, message, data } = Pressed::deserialize(query).ok()?;
            (message?.chat, from, None, EventKind::Message, data?)
        }
        _ => return None,
    };
    let text = from.words(text);
    (chat.kind == "private" && !from.is_bot).then(|| Said {
        message_id: update.update_id.to_string(),
        conversation_id: chat.id.to_string(),
        customer_id: from.id.to_string(),
        kind,
        text,
        sent_at,
        context: Context { customer_name: from.first_name, ..Context::default() },
        ..Said::default()
    })
}

impl Channel for Telegram {
    /// The body is not signed: whoever knows the secret token may write what they like.
    fn hear(&self, request: &Request<'_>, _: &Moment) -> Result<Heard, Refusal> {
        let given = request.header("x-telegram-bot-api-secret-token").ok_or(Refusal::Signature)?;
        if !same(given, self.secret_token.0.as_str()) {
            return Err(Refusal::Signature);
        }
        let update = request.json().ok_or_else(|| Refusal::malformed("no update of Telegram"))?;
        Ok(Heard::from(said(update).into_iter().collect::<Vec<_>>()))
    }

    /// 4096 characters at most.
    fn text_limit(&self) -> TextLimit {
        TextLimit { unit: Unit::Utf16, longest: 4_096, parts: 5 }
    }

    /// A menu is a keyboard whose keys send what they say, and which goes when one is pressed.
    fn call(&self, push: &Message, _: &str, _: &Moment) -> Result<Option<Call>, Failure> {
        let chat: i64 =
            push.conversation_id.parse().map_err(|_| Failure::GiveUp { why: "no chat of Telegram".to_owned() })?;
        let mut body = json!({ "chat_id": chat, "text": push.text });
        if !push.options.is_empty() {
            let keys: Vec<Value> = push.options.iter().map(|option| json!([{ "text": option }])).collect();
            body["reply_markup"] = json!({ "keyboard": keys, "one_time_keyboard": true, "resize_keyboard": true });
        }
        let url = format!("{}/bot{}/sendMessage", self.api_url, self.bot_token.0.as_str());
        Ok(Some(Call::json(url, &body)))
    }

    /// <https://core.telegram.org/bots/api#making-requests> and `ResponseParameters`; what 401, 403 and 404 mean is in
    /// python-telegram-bot's `_baserequest.py`. Telegram's words are not repeated: they may name the customer.
    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        let asks = || answer.json()["parameters"]["retry_after"].as_i64().map(SignedDuration::from_secs);
        let why = |what: &str| format!("status {}: {what}", answer.status);
        match answer.status {
            401 | 404 => Err(Failure::Access { why: why("the bot token is not right: set bot_token") }),
            403 => Err(Failure::GiveUp { why: why("the customer has blocked the bot or is gone") }),
            429 => {
                let after = asks().or(answer.retry_after).unwrap_or_default();
                Err(Failure::Quota { after: Some(after), why: why("too many messages") })
            }
            400 => Err(Failure::GiveUp { why: why("Telegram knows no such chat, or does not take such a message") }),
            _ => answer.by_status(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bot: &str, secret: &str) -> Result<Telegram, String> {
        let table = [("bot_token", bot), ("secret_token", secret)];
        settings::read(table.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect())
    }

    #[test]
    fn malformed_tokens_are_told_and_never_shown() {
        assert!(read("123456:ABC-DEF1234ghIkl_zyx57W2v1u123ew11", "yingda_1").is_ok());
        for bot in ["", "987654", "987654:", ":XYZ", "987654:X/../y", "bot987654:XYZ", "987654:X YZ"] {
            let fault = read(bot, "s").unwrap_err();
            assert!(fault.contains("@BotFather") && (bot.is_empty() || !fault.contains(bot)), "{fault}");
        }
        for secret in ["", "has a blank", "字", &"x".repeat(257)] {
            let fault = read("1:A", secret).unwrap_err();
            assert!(fault.contains("setWebhook") && (secret.is_empty() || !fault.contains(secret)), "{fault}");
        }
    }

    #[test]
    fn what_telegram_asks_for_is_how_long_it_is_left_alone() {
        let telegram = read("1:A", "s").unwrap();
        let body = br#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}"#;
        let answer = CallAnswer { status: 429, retry_after: None, body: body.to_vec() };
        let Err(Failure::Quota { after, .. }) = telegram.judge(&answer) else { panic!("a quota") };
        assert_eq!(after, Some(SignedDuration::from_secs(35)));
    }
}
