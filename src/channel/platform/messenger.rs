//! Messenger and Instagram: one protocol, the Messenger Platform, with other limits and another inbox.
//!
//! <https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events>,
//! <https://developers.facebook.com/documentation/business-messaging/instagram-messaging/webhooks>: what is posted;
//! <https://developers.facebook.com/docs/messenger-platform/reference/send-api>: what is called.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::meta::{self, Fault, Id};
use crate::channel::call::{Call, CallAnswer, Failure, Message};
use crate::channel::hook::{Heard, Moment, Refusal, Request, Said};
use crate::channel::settings::{self, ApiUrl, Hidden};
use crate::channel::signature::Key;
use crate::channel::{Channel, Platform};
use crate::conversation::event::EventKind;
use crate::conversation::outgoing::PushKind;
use crate::conversation::parts::{TextLimit, Unit};

/// `type = "messenger"`.
pub const MESSENGER: Platform = Platform {
    name: "messenger",
    title: "Messenger",
    read: |table| Ok(Box::new(Account { product: &PAGE, settings: settings::read(table)? })),
};

/// `type = "instagram"`.
pub const INSTAGRAM: Platform = Platform {
    name: "instagram",
    title: "Instagram",
    read: |table| Ok(Box::new(Account { product: &PROFESSIONAL, settings: settings::read(table)? })),
};

/// In what the two differ.
#[derive(Debug)]
struct Product {
    /// What its notifications are about.
    object: &'static str,
    limit: TextLimit,
    /// The app that stands for the inbox where humans write
    /// (<https://developers.facebook.com/docs/messenger-platform/reference/handover-protocol>).
    inbox: u64,
}

/// Text has 2000 characters at most (<https://developers.facebook.com/docs/messenger-platform/reference/send-api>).
const PAGE: Product = Product {
    object: "page",
    limit: TextLimit { unit: Unit::Utf16, longest: 2_000, parts: 5 },
    inbox: 263_902_037_430_900,
};

/// Meta's page says both "less than 1000 characters" and "UTF-8 and 1000 bytes or less"
/// (<https://developers.facebook.com/docs/messenger-platform/instagram/features/send-message>): bytes keep both.
const PROFESSIONAL: Product = Product {
    object: "instagram",
    limit: TextLimit { unit: Unit::Bytes, longest: 1_000, parts: 5 },
    inbox: 1_217_981_644_879_628,
};

/// Quick replies of a message, characters of their titles, and of what pressing one sends back
/// (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages/quick-replies>).
const QUICK_REPLIES: (usize, usize, usize) = (13, 20, 1_000);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    app_secret: Key,
    verify_token: Hidden,
    access_token: Hidden,
    /// The page or the professional account: what happens to others is left alone.
    #[serde(default)]
    account_id: Option<Id>,
    /// Our own app: its echoes are what the bot wrote.
    #[serde(default)]
    app_id: Option<Id>,
    #[serde(default)]
    hand_over: bool,
    /// Who gets the thread, where it is not the inbox.
    #[serde(default)]
    hand_over_to: Option<Id>,
    #[serde(default = "meta::graph")]
    api_url: ApiUrl,
    #[serde(default = "meta::version")]
    api_version: String,
}

#[derive(Debug)]
struct Account {
    product: &'static Product,
    settings: Settings,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    id: String,
    /// What happened where our app has the thread. `standby` beside it is what happened where another app has.
    messaging: Vec<Value>,
}

#[derive(Deserialize)]
struct Happened {
    sender: Party,
    recipient: Party,
    /// Milliseconds.
    #[serde(default)]
    timestamp: i64,
    message: Option<Content>,
    postback: Option<Postback>,
    pass_thread_control: Option<Passed>,
}

#[derive(Deserialize)]
struct Party {
    id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Content {
    mid: String,
    text: String,
    is_echo: bool,
    /// Whose echo it is.
    app_id: Value,
    is_deleted: bool,
    quick_reply: Option<Pressed>,
}

#[derive(Deserialize)]
struct Pressed {
    payload: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Postback {
    mid: Option<String>,
    title: String,
    payload: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Passed {
    new_owner_app_id: Value,
}

impl Account {
    /// What happened; none for what nobody needs to answer: reads, deliveries, reactions, edits, our own echoes.
    fn said(&self, happened: Value) -> Option<Said> {
        let Happened { sender, recipient, timestamp, message, postback, pass_thread_control } =
            Happened::deserialize(happened).ok()?;
        let unnamed = format!("{}-{timestamp}", sender.id);
        let (customer, id, kind, text) = match (message, postback, pass_thread_control) {
            (Some(echo), ..) if echo.is_echo => {
                let Content { mid, text, app_id, is_deleted, .. } = echo;
                let is_humans = !is_deleted && !self.is_our_app(&app_id);
                is_humans.then_some((recipient.id, mid, EventKind::AgentMessage, text))?
            }
            (Some(content), ..) => {
                let (id, kind, text) = by_customer(content);
                (sender.id, id, kind, text)
            }
            (_, Some(Postback { mid, title, payload }), _) => {
                let text = if title.is_empty() { payload } else { title };
                (sender.id, mid.unwrap_or(format!("postback-{unnamed}")), EventKind::Message, text)
            }
            (.., Some(passed)) => {
                let is_to_us = self.is_our_app(&passed.new_owner_app_id);
                is_to_us.then_some((sender.id, format!("passed-{unnamed}"), EventKind::HandBack, String::new()))?
            }
            _ => return None,
        };
        (!customer.is_empty() && !id.is_empty()).then(|| Said {
            message_id: id,
            conversation_id: customer.clone(),
            customer_id: customer,
            kind,
            text,
            sent_at: Timestamp::from_millisecond(timestamp).ok(),
            ..Said::default()
        })
    }

    fn is_our_app(&self, app: &Value) -> bool {
        self.settings.app_id.is_some_and(|ours| Id::of(app) == Some(ours))
    }

    fn is_ours(&self, entry: &Entry) -> bool {
        self.settings.account_id.is_none_or(|id| id.is(&entry.id))
    }

    /// The call that gives the thread to the inbox, or to whom the settings name
    /// (<https://developers.facebook.com/docs/messenger-platform/handover-protocol/pass-thread-control>).
    fn pass(&self, customer: &str) -> Call {
        let Id(target) = self.settings.hand_over_to.unwrap_or(Id(self.product.inbox));
        self.called("pass_thread_control", &json!({ "recipient": { "id": customer }, "target_app_id": target }))
    }

    fn called(&self, what: &str, body: &Value) -> Call {
        let Settings { api_url, api_version, access_token, .. } = &self.settings;
        Call::json(format!("{api_url}/{api_version}/me/{what}"), body).with_bearer(access_token.as_str())
    }
}

/// Id, kind and text of what a customer sent.
fn by_customer(content: Content) -> (String, EventKind, String) {
    let Content { mid, text, is_deleted, quick_reply, .. } = content;
    match quick_reply {
        _ if is_deleted => (format!("unsend-{mid}"), EventKind::Recalled, String::new()),
        Some(Pressed { payload }) if !payload.is_empty() => (mid, EventKind::Message, payload),
        _ if text.is_empty() => (mid, EventKind::Media, text),
        _ => (mid, EventKind::Message, text),
    }
}

fn message(text: &str, options: &[String]) -> Value {
    let (most, title, payload) = QUICK_REPLIES;
    let quick_reply = |option: &String| json!({ "content_type": "text", "title": Unit::Utf16.cut(option, title), "payload": Unit::Utf16.cut(option, payload) });
    let mut message = json!({ "text": text });
    if !options.is_empty() {
        message["quick_replies"] = options.iter().take(most).map(quick_reply).collect();
    }
    message
}

/// <https://developers.facebook.com/documentation/business-messaging/messenger-platform/error-codes>; 1200 is in the older
/// <https://developers.facebook.com/docs/messenger-platform/reference/send-api/error-codes>.
fn fault(code: i64, subcode: i64) -> Option<Fault> {
    Some(match (code, subcode) {
        (10, 2_018_278 | 2_018_065 | 2_534_022) => Fault::Window("the customer wrote more than 24 hours ago"),
        (2_018_300, _) | (_, 2_018_300 | 2_534_037) => Fault::Never("another app has the conversation"),
        (551, _) | (10, 2_018_108) | (200, 1_545_041) => Fault::Never("the customer gets no messages from the shop"),
        (10, 1_893_063) => Fault::Rate("Meta has restricted the account for a while: see its quality page"),
        (200, 2_534_041) => Fault::Mend("the account's owner has switched message access off"),
        (100, 2_534_013) => Fault::Mend("no Instagram account is linked to the page of the access token"),
        (100, _) => Fault::Never("Meta knows no such customer, or does not take such a message"),
        (1_200, _) => Fault::Later("Meta cannot do it now"),
        (2_022, _) => Fault::Rate("Meta has restricted the account for a while: see its quality page"),
        _ => return None,
    })
}

impl Channel for Account {
    fn hear(&self, request: &Request<'_>, _: &Moment) -> Result<Heard, Refusal> {
        let Settings { app_secret, verify_token, .. } = &self.settings;
        if let Some(answer) = meta::verify(request, app_secret, verify_token)? {
            return Ok(Heard::Answer(answer));
        }
        let entries: Vec<Entry> = meta::entries(request.body, self.product.object)?;
        let happened = entries.into_iter().filter(|entry| self.is_ours(entry)).flat_map(|entry| entry.messaging);
        Ok(Heard::from(happened.filter_map(|happened| self.said(happened)).collect::<Vec<_>>()))
    }

    fn text_limit(&self) -> TextLimit {
        self.product.limit
    }

    fn brings(&self) -> &'static [PushKind] {
        if self.settings.hand_over { &[PushKind::Reply, PushKind::Handoff] } else { &[PushKind::Reply] }
    }

    fn call(&self, push: &Message, _: &str, _: &Moment) -> Result<Option<Call>, Failure> {
        if push.kind == PushKind::Handoff {
            return Ok(Some(self.pass(&push.customer_id)));
        }
        let message = message(&push.text, &push.options);
        let recipient = json!({ "id": push.customer_id });
        let body = json!({ "recipient": recipient, "messaging_type": "RESPONSE", "message": message });
        Ok(Some(self.called("messages", &body)))
    }

    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        meta::judge(answer, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_quick_replies_within_their_limits() {
        let long = "买了两件同款但颜色不一样的书包可以只退其中的一件吗".to_owned();
        let options: Vec<String> = (0..20).map(|number| format!("{number}")).chain([long.clone()]).rev().collect();
        let message = message("哪一个？", &options);
        let replies = message["quick_replies"].as_array().unwrap();
        assert_eq!(replies.len(), 13);
        assert_eq!((&replies[0]["payload"], &replies[1]["title"]), (&json!(long), &json!("19")));
        assert_eq!(replies[0]["title"].as_str().unwrap().chars().count(), 20);
        assert_eq!(super::message("无", &[]), json!({ "text": "无" }));
    }

    #[test]
    fn every_documented_code_means_what_the_sender_can_do() {
        let class = |code: i64, subcode: i64| {
            let body = json!({ "error": { "code": code, "error_subcode": subcode } }).to_string().into_bytes();
            meta::judge(&CallAnswer { status: 400, retry_after: None, body }, fault).unwrap_err()
        };
        for subcode in [2_018_278, 2_534_022] {
            assert!(matches!(class(10, subcode), Failure::WindowClosed { .. }), "{subcode}");
        }
        for (code, subcode) in [(551, 0), (551, 1_545_041), (200, 1_545_041), (100, 2_018_001), (10, 2_018_300)] {
            assert!(matches!(class(code, subcode), Failure::GiveUp { .. }), "{code} {subcode}");
        }
        for (code, subcode) in [(4, 0), (32, 0), (613, 2_534_040), (80_006, 0), (10, 1_893_063)] {
            assert!(matches!(class(code, subcode), Failure::Quota { after: Some(_), .. }), "{code} {subcode}");
        }
        for (code, subcode) in [(190, 463), (10, 0), (200, 2_018_028), (100, 2_534_013)] {
            assert!(matches!(class(code, subcode), Failure::Access { .. }), "{code} {subcode}");
        }
        for code in [2, 1_200] {
            assert!(matches!(class(code, 0), Failure::Retry { .. }), "{code}");
        }
    }
}
