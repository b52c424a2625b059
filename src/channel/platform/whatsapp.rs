//! WhatsApp Business Platform, Cloud API.
//!
//! <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages>: what is posted;
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-messages>: what is called.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::meta::{self, Fault, Id};
use crate::channel::call::{Call, CallAnswer, Failure, Message, Undelivered};
use crate::channel::hook::{Happened, Heard, Moment, Refusal, Request, Said};
use crate::channel::settings::{self, ApiUrl, Hidden};
use crate::channel::signature::Key;
use crate::channel::{Channel, Platform};
use crate::conversation::event::{Context, EventKind};
use crate::conversation::parts::{TextLimit, Unit};

/// `type = "whatsapp"`.
pub const PLATFORM: Platform =
    Platform { name: "whatsapp", title: "WhatsApp", read: |table| Ok(Box::new(settings::read::<WhatsApp>(table)?)) };

/// Characters of the text above buttons or a list. Meta's page gives a list more; sources do not agree.
const BODY: usize = 1_024;

/// Buttons of a message, characters of their titles, and of what pressing one sends back.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/messages/interactive-reply-buttons-messages>
const BUTTONS: (usize, usize, usize) = (3, 20, 256);

/// Rows of a list, characters of their titles, descriptions, and of what choosing one sends back.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/messages/interactive-list-messages>
const ROWS: (usize, usize, usize, usize) = (10, 24, 72, 200);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhatsApp {
    app_secret: Key,
    verify_token: Hidden,
    access_token: Hidden,
    phone_number_id: Id,
    #[serde(default = "meta::graph")]
    api_url: ApiUrl,
    #[serde(default = "meta::version")]
    api_version: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Notice {
    metadata: Metadata,
    contacts: Vec<Contact>,
    messages: Vec<Value>,
    /// What a human wrote in the WhatsApp Business app or on a linked device.
    message_echoes: Vec<Value>,
    /// What became of messages that were sent.
    statuses: Vec<Value>,
}

/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status>
#[derive(Deserialize)]
struct Status {
    status: String,
    /// What the call had told.
    biz_opaque_callback_data: String,
    #[serde(default)]
    errors: Vec<Coded>,
}

#[derive(Deserialize)]
struct Coded {
    code: i64,
}

impl Status {
    fn undelivered(self) -> Option<Undelivered> {
        let code = self.errors.first().map(|error| error.code);
        let id = self.biz_opaque_callback_data;
        (self.status == "failed").then(|| Undelivered { id, failure: meta::told_later(code, fault) })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    phone_number_id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Contact {
    profile: Profile,
    wa_id: String,
    user_id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Profile {
    name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Written {
    id: String,
    /// Telephone number of the customer; missing where the customer shows a username instead.
    from: String,
    /// The customer as this business knows them: a country, a dot, digits and letters.
    from_user_id: String,
    /// The customer whom an echo went to.
    to: String,
    group_id: Option<String>,
    /// Seconds.
    timestamp: String,
    #[serde(rename = "type")]
    kind: String,
    text: Option<Body>,
    button: Option<Button>,
    interactive: Option<Interactive>,
    #[serde(alias = "video", alias = "document")]
    image: Option<Captioned>,
}

#[derive(Deserialize)]
struct Body {
    body: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Button {
    text: String,
    payload: String,
}

#[derive(Deserialize)]
struct Interactive {
    #[serde(alias = "list_reply")]
    button_reply: Option<Chosen>,
}

#[derive(Deserialize)]
struct Chosen {
    id: String,
}

#[derive(Deserialize)]
struct Captioned {
    caption: Option<String>,
}

impl Written {
    /// What it is and what it says; none for what nobody needs to answer: reactions, edits, notices of the system.
    fn content(&mut self) -> Option<(EventKind, String)> {
        let caption = |image: Option<Captioned>| image.and_then(|image| image.caption).unwrap_or_default();
        Some(match self.kind.as_str() {
            "text" => (EventKind::Message, self.text.take()?.body),
            "button" => {
                let Button { text, payload } = self.button.take()?;
                (EventKind::Message, if text.is_empty() { payload } else { text })
            }
            "interactive" => match self.interactive.take().and_then(|reply| reply.button_reply) {
                Some(Chosen { id }) => (EventKind::Message, id),
                None => (EventKind::Media, String::new()),
            },
            "image" | "video" | "document" => (EventKind::Media, caption(self.image.take())),
            "audio" | "voice" | "sticker" | "location" | "contacts" | "order" => (EventKind::Media, String::new()),
            "revoke" => (EventKind::Recalled, String::new()),
            _ => return None,
        })
    }

    /// As an event of the conversation with this customer.
    fn said(self, customer: String, kind: EventKind, text: String) -> Option<Said> {
        let sent_at = self.timestamp.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        (!customer.is_empty() && !self.id.is_empty() && self.group_id.is_none()).then(|| Said {
            message_id: self.id,
            conversation_id: customer.clone(),
            customer_id: customer,
            kind,
            text,
            sent_at,
            ..Said::default()
        })
    }
}

/// What a customer said, with the name of their profile.
fn by_customer(message: Value, contacts: &[Contact]) -> Option<Said> {
    let mut written = Written::deserialize(message).ok()?;
    let (kind, text) = written.content()?;
    let is_writer = |contact: &&Contact| match written.from.as_str() {
        "" => contact.user_id == written.from_user_id,
        from => contact.wa_id == from,
    };
    let contact = contacts.iter().find(is_writer).or(contacts.first().filter(|_| contacts.len() == 1));
    let user_id = contact.map(|contact| contact.user_id.clone()).unwrap_or_default();
    let ids = [written.from.clone(), written.from_user_id.clone(), user_id];
    let customer = ids.into_iter().find(|id| !id.is_empty())?;
    let customer_name = contact.and_then(|contact| contact.profile.name.clone());
    let said = written.said(customer, kind, text)?;
    Some(Said { context: Context { customer_name, ..Context::default() }, ..said })
}

/// What a human wrote to a customer. What is taken back there is nothing that the bot could mind.
fn by_agent(echo: Value) -> Option<Said> {
    let mut written = Written::deserialize(echo).ok()?;
    let (kind, text) = written.content()?;
    let customer = written.to.clone();
    (kind != EventKind::Recalled).then(|| written.said(customer, EventKind::AgentMessage, text))?
}

impl WhatsApp {
    /// What is told about this telephone number of the business.
    fn notices(&self, body: &[u8]) -> Result<impl Iterator<Item = Notice>, Refusal> {
        let entries: Vec<Entry> = meta::entries(body, "whatsapp_business_account")?;
        let changes = entries.into_iter().flat_map(|entry| entry.changes);
        let notices = changes.filter_map(|change| Notice::deserialize(change.value).ok());
        Ok(notices.filter(|notice| self.phone_number_id.is(&notice.metadata.phone_number_id)))
    }
}

/// What customers and agents said.
fn said(notice: Notice) -> Vec<Said> {
    let Notice { contacts, messages, message_echoes, .. } = notice;
    let customers = messages.into_iter().filter_map(|message| by_customer(message, &contacts));
    customers.chain(message_echoes.into_iter().filter_map(by_agent)).collect()
}

fn fits(text: &str, longest: usize) -> bool {
    text.encode_utf16().count() <= longest
}

/// What a list is opened by, in the reply's language.
fn opener(push: &str) -> &'static str {
    let push: Value = serde_json::from_str(push).unwrap_or_default();
    match push["data"]["language"].as_str().unwrap_or_default() {
        "en" => "Options",
        "zh-Hant" => "選項",
        _ => "选项",
    }
}

/// A menu as buttons, or as a list where the options are too many or too long for buttons; none where neither takes it.
/// Choosing one sends back the whole option.
fn interactive(message: &Message) -> Option<Value> {
    let Message { text, options, .. } = message;
    let differ = options.iter().collect::<BTreeSet<_>>().len() == options.len();
    if options.is_empty() || !differ || !fits(text, BODY) {
        return None;
    }
    let (most, title, id) = BUTTONS;
    if options.len() <= most && options.iter().all(|option| fits(option, title)) {
        let button = |option: &String| json!({ "type": "reply", "reply": { "id": Unit::Utf16.cut(option, id), "title": option } });
        let action = json!({ "buttons": options.iter().map(button).collect::<Vec<_>>() });
        return Some(json!({ "type": "button", "body": { "text": text }, "action": action }));
    }
    let (most, title, description, id) = ROWS;
    let row = |option: &String| {
        let mut row = json!({ "id": Unit::Utf16.cut(option, id), "title": Unit::Utf16.cut(option, title) });
        if !fits(option, title) {
            row["description"] = json!(Unit::Utf16.cut(option, description));
        }
        row
    };
    let (rows, opener): (Vec<Value>, _) = (options.iter().take(most).map(row).collect(), opener(&message.body));
    let action = json!({ "button": opener, "sections": [{ "title": opener, "rows": rows }] });
    Some(json!({ "type": "list", "body": { "text": text }, "action": action }))
}

/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>, and pywa's `errors.py`, which groups them.
fn fault(code: i64, _subcode: i64) -> Option<Fault> {
    Some(match code {
        131_047 => Fault::Window("the customer wrote more than 24 hours ago"),
        130_429 | 131_048 | 131_056 | 131_064 => Fault::Rate("too many messages from this number"),
        131_000 | 131_016 | 131_057 | 135_000 => Fault::Later("WhatsApp cannot do it now"),
        33 | 133_010 => Fault::Mend("WhatsApp knows no such number: set phone_number_id, or register the number"),
        131_005 => Fault::Mend("the access token lacks whatsapp_business_messaging: grant it"),
        131_031 | 131_042 | 131_045 => {
            Fault::Mend("the account is locked, unpaid or not registered: see WhatsApp Manager")
        }
        131_026 => Fault::Never("the customer cannot get it: no WhatsApp, an old one, or the shop is blocked"),
        131_030 => Fault::Never("a test number sends only to the telephone numbers on its list"),
        100 | 131_008 | 131_009 | 131_021 | 131_051 => Fault::Never("WhatsApp does not take such a message"),
        130_472 | 131_049 | 131_050 => Fault::Never("WhatsApp chose not to deliver it"),
        _ => return None,
    })
}

impl Channel for WhatsApp {
    fn hear(&self, request: &Request<'_>, _: &Moment) -> Result<Heard, Refusal> {
        if let Some(answer) = meta::verify(request, &self.app_secret, &self.verify_token)? {
            return Ok(Heard::Answer(answer));
        }
        let mut happened = Happened::default();
        for mut notice in self.notices(request.body)? {
            let statuses = std::mem::take(&mut notice.statuses).into_iter();
            happened.undelivered.extend(statuses.filter_map(|status| Status::deserialize(status).ok()?.undelivered()));
            happened.said.extend(said(notice));
        }
        Ok(Heard::Events(happened))
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit { unit: Unit::Utf16, longest: 4_096, parts: 5 }
    }

    /// What stands in `biz_opaque_callback_data` comes back with the message's statuses.
    fn call(&self, push: &Message, _: &str, _: &Moment) -> Result<Option<Call>, Failure> {
        let mut body = json!({ "messaging_product": "whatsapp", "recipient_type": "individual" });
        let is_telephone = push.customer_id.chars().all(|c| c.is_ascii_digit());
        body[if is_telephone { "to" } else { "recipient" }] = json!(push.customer_id);
        let (kind, content) = match interactive(push) {
            Some(menu) => ("interactive", menu),
            None => ("text", json!({ "preview_url": false, "body": push.text })),
        };
        body["biz_opaque_callback_data"] = json!(push.id);
        body["type"] = json!(kind);
        body[kind] = content;
        let url = format!("{}/{}/{}/messages", self.api_url, self.api_version, self.phone_number_id.0);
        Ok(Some(Call::json(url, &body).with_bearer(self.access_token.as_str())))
    }

    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        meta::judge(answer, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::outgoing::PushKind;

    fn push(text: &str, options: &[&str], language: &str) -> Message {
        Message {
            id: "msg_1".to_owned(),
            kind: PushKind::Reply,
            conversation_id: "8613800138000".to_owned(),
            customer_id: "8613800138000".to_owned(),
            text: text.to_owned(),
            options: options.iter().map(ToString::to_string).collect(),
            reply_to: None,
            attempts: 0,
            made_at: Timestamp::UNIX_EPOCH,
            body: json!({ "data": { "language": language } }).to_string(),
        }
    }

    #[test]
    fn few_short_options_are_buttons_and_longer_ones_a_list() {
        let buttons = interactive(&push("哪一个？", &["什么时候发货", "书包有几种颜色"], "zh-Hans")).unwrap();
        assert_eq!(buttons["type"], "button");
        assert_eq!(
            buttons["action"]["buttons"][1]["reply"],
            json!({ "id": "书包有几种颜色", "title": "书包有几种颜色" })
        );
        let long = "买了两件同款但颜色不一样的书包可以只退其中的一件吗";
        assert!(!fits(long, ROWS.1));
        let list = interactive(&push("哪一个？", &["什么时候发货", long], "zh-Hant")).unwrap();
        assert_eq!((&list["type"], &list["action"]["button"]), (&json!("list"), &json!("選項")));
        let rows = list["action"]["sections"][0]["rows"].as_array().unwrap();
        assert_eq!((&rows[0]["title"], rows[0].get("description")), (&json!("什么时候发货"), None));
        assert_eq!((&rows[1]["id"], &rows[1]["description"]), (&json!(long), &json!(long)));
        assert!(fits(rows[1]["title"].as_str().unwrap(), ROWS.1));
        let four = interactive(&push("Which?", &["a", "b", "c", "d"], "en")).unwrap();
        assert_eq!((&four["type"], &four["action"]["button"]), (&json!("list"), &json!("Options")));
    }

    #[test]
    fn what_neither_buttons_nor_lists_take_stays_text() {
        assert_eq!(interactive(&push("no menu", &[], "en")), None);
        assert_eq!(interactive(&push(&"长".repeat(BODY + 1), &["a", "b"], "en")), None);
        assert_eq!(interactive(&push("the same twice", &["a", "a"], "en")), None);
        let eleven: Vec<String> = (0..11).map(|number| format!("option {number}")).collect();
        let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
        let list = interactive(&push("Which?", &eleven, "en")).unwrap();
        assert_eq!(list["action"]["sections"][0]["rows"].as_array().unwrap().len(), ROWS.0);
    }

    #[test]
    fn every_documented_code_means_what_the_sender_can_do() {
        let class = |code: i64| {
            let body = json!({ "error": { "code": code } }).to_string().into_bytes();
            let answer = CallAnswer { status: 400, retry_after: None, body };
            meta::judge(&answer, fault).unwrap_err()
        };
        assert!(matches!(class(131_047), Failure::WindowClosed { .. }));
        for code in [4, 613, 80_007, 130_429, 131_048, 131_056, 368] {
            assert!(matches!(class(code), Failure::Quota { after: Some(_), .. }), "{code}");
        }
        for code in [0, 3, 10, 33, 190, 200, 131_005, 131_031, 131_042, 133_010] {
            assert!(matches!(class(code), Failure::Access { .. }), "{code}");
        }
        for code in [1, 2, 131_000, 131_016, 131_057] {
            assert!(matches!(class(code), Failure::Retry { .. }), "{code}");
        }
        for code in [100, 131_008, 131_009, 131_026, 131_030, 131_049, 131_051] {
            assert!(matches!(class(code), Failure::GiveUp { .. }), "{code}");
        }
    }
}
