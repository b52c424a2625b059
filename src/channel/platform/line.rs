//! LINE Messaging API.
//!
//! <https://developers.line.biz/en/reference/messaging-api/>: signature of the raw body, webhook events, reply and push
//! messages, retry keys.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::channel::call::{Call, CallAnswer, Failure, Message};
use crate::channel::hook::{Heard, Moment, Refusal, Request, Said};
use crate::channel::settings::{self, ApiUrl, Hidden};
use crate::channel::signature::Key;
use crate::channel::{Channel, Platform};
use crate::conversation::event::EventKind;
use crate::conversation::outgoing::stable_id;
use crate::conversation::parts::{TextLimit, Unit};

/// `type = "line"`.
pub const PLATFORM: Platform =
    Platform { name: "line", title: "LINE", read: |table| Ok(Box::new(settings::read::<Line>(table)?)) };

/// Quick replies of a message, characters of their labels, and of the text that pressing one sends.
const QUICK_REPLIES: (usize, usize, usize) = (13, 20, 300);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    channel_secret: Key,
    channel_access_token: Hidden,
    #[serde(default = "api")]
    api_url: ApiUrl,
}

fn api() -> ApiUrl {
    ApiUrl::of("https://api.line.me")
}

#[derive(Deserialize)]
struct Body {
    /// One that is not as documented must not keep the others back.
    #[serde(default)]
    events: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    /// `standby` while another program has the chat.
    #[serde(default)]
    mode: String,
    /// Milliseconds.
    #[serde(default)]
    timestamp: i64,
    #[serde(default)]
    source: Source,
    webhook_event_id: Option<String>,
    reply_token: Option<String>,
    message: Option<Content>,
    postback: Option<Postback>,
    unsend: Option<Unsend>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    user_id: String,
}

#[derive(Deserialize)]
struct Content {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Postback {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unsend {
    message_id: String,
}

/// What happened in a chat with one person; groups and rooms, and what another program answers, are left alone.
fn said(event: Event) -> Option<Said> {
    if event.mode == "standby" || event.source.kind != "user" || event.source.user_id.is_empty() {
        return None;
    }
    let (id, kind, text) = match (event.kind.as_str(), event.message, event.postback, event.unsend) {
        ("message", Some(content), ..) if content.kind == "text" => (content.id, EventKind::Message, content.text),
        ("message", Some(content), ..) => (content.id, EventKind::Media, String::new()),
        ("postback", _, Some(postback), _) => (event.webhook_event_id?, EventKind::Message, postback.data),
        ("unsend", _, _, Some(unsend)) => (format!("unsend-{}", unsend.message_id), EventKind::Recalled, String::new()),
        _ => return None,
    };
    Some(Said {
        message_id: id,
        conversation_id: event.source.user_id.clone(),
        customer_id: event.source.user_id,
        kind,
        text,
        reply_to: event.reply_token,
        sent_at: Timestamp::from_millisecond(event.timestamp).ok(),
        ..Said::default()
    })
}

fn message(text: &str, options: &[String]) -> Value {
    let (most, label, sent) = QUICK_REPLIES;
    let item = |option: &String| {
        let action = json!({ "type": "message", "label": Unit::Utf16.cut(option, label), "text": Unit::Utf16.cut(option, sent) });
        json!({ "type": "action", "action": action })
    };
    let mut message = json!({ "type": "text", "text": text });
    if !options.is_empty() {
        message["quickReply"] = json!({ "items": options.iter().take(most).map(item).collect::<Vec<_>>() });
    }
    message
}

/// A UUID that follows from the push: the same for all its attempts.
fn retry_key(id: &str) -> String {
    let hex = stable_id("", &["line", id]) + &stable_id("", &[id, "line"]);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

impl Channel for Line {
    fn hear(&self, request: &Request<'_>, _: &Moment) -> Result<Heard, Refusal> {
        let given = request.header("x-line-signature").ok_or(Refusal::Signature)?;
        if !self.channel_secret.sign(&[request.body]).is_base64(given) {
            return Err(Refusal::Signature);
        }
        let body: Body = request.json().ok_or_else(|| Refusal::malformed("no webhook of LINE"))?;
        let events = body.events.into_iter().filter_map(|event| Event::deserialize(event).ok());
        Ok(Heard::from(events.filter_map(said).collect::<Vec<_>>()))
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit { unit: Unit::Utf16, longest: 5_000, parts: 5 }
    }

    /// By the reply token at the first attempt, which costs nothing; afterwards, and without one, by a push.
    fn call(&self, push: &Message, _: &str, _: &Moment) -> Result<Option<Call>, Failure> {
        let messages = json!([message(&push.text, &push.options)]);
        let call = match push.reply_to.as_ref().filter(|_| push.attempts == 0) {
            Some(token) => {
                let body = json!({ "replyToken": token, "messages": messages });
                Call::json(format!("{}/v2/bot/message/reply", self.api_url), &body)
            }
            None => {
                let body = json!({ "to": push.customer_id, "messages": messages });
                let call = Call::json(format!("{}/v2/bot/message/push", self.api_url), &body);
                call.with_header("x-line-retry-key", retry_key(&push.id))
            }
        };
        Ok(Some(call.with_bearer(self.channel_access_token.as_str())))
    }

    /// By the retry key of a push.
    fn knows_ids(&self) -> bool {
        true
    }

    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        let says = answer.json()["message"].as_str().unwrap_or_default().to_lowercase();
        match answer.status {
            // A retry key that was taken before: the message is out.
            409 => Ok(()),
            400 if says.contains("reply token") => {
                Err(Failure::Retry { after: None, why: "the reply token is used up or too old".to_owned() })
            }
            401 => Err(Failure::Access {
                why: "status 401: is channel_access_token the long-lived one of this channel?".to_owned(),
            }),
            429 if says.contains("monthly limit") => {
                Err(Failure::Quota { after: None, why: "the month's messages are used up".to_owned() })
            }
            _ => answer.by_status(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_menu_becomes_quick_replies_within_their_limits() {
        let options: Vec<String> = (0..20).map(|number| format!("{number}{}", "发".repeat(400))).collect();
        let message = message("您想问：", &options);
        let items = message["quickReply"]["items"].as_array().unwrap();
        assert_eq!(items.len(), 13);
        let length = |field: &str| items[0]["action"][field].as_str().unwrap().encode_utf16().count();
        assert_eq!((length("label"), length("text")), (20, 300));
        assert_eq!(super::message("在的", &[])["quickReply"], Value::Null);
    }

    #[test]
    fn a_retry_key_is_a_uuid_that_follows_from_the_push() {
        let key = retry_key("msg_1");
        assert_eq!(key, retry_key("msg_1"));
        assert_ne!(key, retry_key("msg_2"));
        let shape: Vec<usize> = key.split('-').map(str::len).collect();
        assert_eq!((shape, &key[14..15]), (vec![8, 4, 4, 4, 12], "4"));
    }
}
