//! Chatwoot: an agent bot of an inbox, and webhooks of an account.
//!
//! <https://www.chatwoot.com/hc/user-guide/articles/1677693021-how-to-use-webhooks> has the payloads. How they are signed:
//! <https://github.com/chatwoot/chatwoot/pull/13892>. An agent bot's failures, tries and the status `open` that follows:
//! <https://github.com/chatwoot/chatwoot/pull/12379>, <https://github.com/chatwoot/chatwoot/pull/13521>. Calls that an agent
//! bot may make: `app/controllers/concerns/access_token_auth_helper.rb`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Table;

use crate::channel::call::{Call, CallAnswer, Failure, Message};
use crate::channel::hook::{Heard, Moment, Refusal, Request, Said};
use crate::channel::settings::{self, ApiUrl, Hidden};
use crate::channel::signature::{Key, same};
use crate::channel::{Channel, Platform};
use crate::conversation::event::{Context, EventKind};
use crate::conversation::outgoing::PushKind;
use crate::conversation::parts::{TextLimit, Unit};

/// `type = "chatwoot"`.
pub const PLATFORM: Platform =
    Platform { name: "chatwoot", title: "Chatwoot", read: |table| Ok(Box::new(Chatwoot::read(table)?)) };

/// Letters of a secret in an address: shorter ones are guessed.
const LEAST_URL_SECRET: usize = 16;

/// How long a button's title may be: WhatsApp takes 20 characters
/// (`app/services/whatsapp/providers/base_service.rb` passes titles on as they are).
const TITLE: TextLimit = TextLimit { unit: Unit::Utf16, longest: 20, parts: 1 };

/// How long what a button sends may be: Telegram takes 64 bytes (`callback_data` in `app/models/channel/telegram.rb`).
const VALUE: TextLimit = TextLimit { unit: Unit::Bytes, longest: 64, parts: 1 };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    secret: Option<Key>,
    url_secret: Option<Hidden>,
    access_token: Hidden,
    #[serde(default = "cloud")]
    base_url: ApiUrl,
    #[serde(default, deserialize_with = "settings::number")]
    account_id: Option<u64>,
    #[serde(default = "five_minutes")]
    tolerance_seconds: u64,
    #[serde(default = "four_thousand")]
    text_chars: usize,
    #[serde(default = "yes")]
    buttons: bool,
}

fn cloud() -> ApiUrl {
    ApiUrl::of("https://app.chatwoot.com")
}

fn five_minutes() -> u64 {
    300
}

fn four_thousand() -> usize {
    4_000
}

fn yes() -> bool {
    true
}

/// By what a request is known to be Chatwoot's.
#[derive(Debug)]
enum Proof {
    /// Its signature.
    Signature(Key),
    /// A secret in the address.
    Address(Hidden),
}

#[derive(Debug)]
struct Chatwoot {
    proof: Proof,
    access_token: Hidden,
    base_url: ApiUrl,
    /// The only account that is heard; what stands for it where a webhook does not tell the account.
    account_id: Option<u64>,
    tolerance_seconds: u64,
    text_chars: usize,
    buttons: bool,
}

impl Channel for Chatwoot {
    fn hear(&self, request: &Request<'_>, moment: &Moment) -> Result<Heard, Refusal> {
        self.verify(request, moment.now)?;
        let malformed = || Refusal::malformed("no webhook of Chatwoot: a JSON object with `event`");
        let body: Value = request.json().ok_or_else(malformed)?;
        let event = body["event"].as_str().ok_or_else(malformed)?;
        let conversation = if body["conversation"].is_object() { &body["conversation"] } else { &body };
        let told = [&body["account"]["id"], &conversation["account"]["id"], &conversation["messages"][0]["account_id"]];
        let told = told.into_iter().find_map(number);
        if told.zip(self.account_id).is_some_and(|(told, ours)| told != ours) {
            return Err(Refusal::Stranger);
        }
        let thread = || Thread::read(&body, conversation, told.or(self.account_id)?);
        Ok(Heard::from(match event {
            "message_created" => thread().map_or_else(Vec::new, |thread| thread.created()),
            "message_updated" => thread().map_or_else(Vec::new, |thread| thread.updated()),
            "conversation_status_changed" | "conversation_opened" | "conversation_resolved" => {
                thread().and_then(|thread| thread.moved()).into_iter().collect()
            }
            // Opened and assigned in one step, a conversation is only told as updated (chatwoot/chatwoot#9277).
            "conversation_updated" if status_changed(&body) => {
                thread().and_then(|thread| thread.moved()).into_iter().collect()
            }
            _ => Vec::new(),
        }))
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit { unit: Unit::Chars, longest: self.text_chars, parts: 5 }
    }

    fn brings(&self) -> &'static [PushKind] {
        &[PushKind::Reply, PushKind::Handoff]
    }

    /// A reply, or the status `open`: to Chatwoot that is the bot's handing over.
    fn call(&self, push: &Message, _: &str, _: &Moment) -> Result<Option<Call>, Failure> {
        let plain = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let ids = push.conversation_id.split_once('-').filter(|(account, id)| plain(account) && plain(id));
        let Some((account, id)) = ids else {
            return Err(Failure::GiveUp { why: "the conversation's id is none of Chatwoot's (ACCOUNT-ID)".to_owned() });
        };
        let place = format!("{}/api/v1/accounts/{account}/conversations/{id}", self.base_url);
        let call = match push.kind {
            PushKind::Handoff => Call::json(format!("{place}/toggle_status"), &json!({ "status": "open" })),
            _ => Call::json(format!("{place}/messages"), &self.message(push)),
        };
        Ok(Some(call.with_header("api_access_token", self.access_token.as_str())))
    }

    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        let give_up = |why: &str| Err(Failure::GiveUp { why: why.to_owned() });
        match answer.status {
            300..=399 => give_up("it redirects: write base_url as Chatwoot is reached in the end, https:// and all"),
            401 => Err(Failure::Access {
                why: "status 401: access_token is not the agent bot's, or a proxy drops headers with underscores"
                    .to_owned(),
            }),
            404 => give_up("status 404: no such conversation for this access_token at base_url"),
            _ => answer.by_status(),
        }
    }
}

impl Chatwoot {
    fn read(table: Table) -> Result<Self, String> {
        let settings: Settings = settings::read(table)?;
        let proof = match (settings.secret, settings.url_secret) {
            (Some(secret), None) => Proof::Signature(secret),
            (None, Some(secret)) if secret.as_str().chars().count() >= LEAST_URL_SECRET => Proof::Address(secret),
            (None, Some(_)) => {
                return Err(format!("`url_secret` is too short: {LEAST_URL_SECRET} letters at least, made by chance"));
            }
            _ => {
                return Err("set one of `secret`, the agent bot's webhook secret (Chatwoot 4.13 and newer), and \
                            `url_secret`, for older ones: their webhook URL ends in ?key= and that secret"
                    .to_owned());
            }
        };
        Ok(Self {
            proof,
            access_token: settings.access_token,
            base_url: settings.base_url,
            account_id: settings.account_id,
            tolerance_seconds: settings.tolerance_seconds,
            text_chars: settings.text_chars.clamp(16, 150_000),
            buttons: settings.buttons,
        })
    }

    fn verify(&self, request: &Request<'_>, now: Timestamp) -> Result<(), Refusal> {
        let key = match &self.proof {
            Proof::Address(secret) => {
                let given = request.query("key");
                let right = given.is_some_and(|given| same(&given, secret.as_str()));
                return if right { Ok(()) } else { Err(Refusal::Signature) };
            }
            Proof::Signature(key) => key,
        };
        let given = request.header("x-chatwoot-signature").and_then(|value| value.strip_prefix("sha256="));
        let given = given.ok_or(Refusal::Signature)?;
        let timestamp = request.header("x-chatwoot-timestamp").ok_or(Refusal::Timestamp)?;
        if !key.sign(&[timestamp.as_bytes(), b".", request.body]).is_hex(given) {
            return Err(Refusal::Signature);
        }
        let at: i64 = timestamp.parse().map_err(|_| Refusal::Timestamp)?;
        if now.as_second().abs_diff(at) > self.tolerance_seconds {
            return Err(Refusal::Timestamp);
        }
        Ok(())
    }

    /// The lines of a menu as buttons, where the inbox has them; elsewhere Chatwoot shows the text alone, which has the lines
    /// too (<https://www.chatwoot.com/hc/user-guide/articles/1677689344-how-to-use-interactive-messages>).
    fn message(&self, push: &Message) -> Value {
        let mut message = json!({ "content": push.text, "message_type": "outgoing", "private": false });
        if self.buttons && !push.options.is_empty() {
            let short = |text: &String, limit: TextLimit| limit.split(text).pop().unwrap_or_default();
            let item = |option| json!({ "title": short(option, TITLE), "value": short(option, VALUE) });
            message["content_type"] = json!("input_select");
            message["content_attributes"] = json!({ "items": push.options.iter().map(item).collect::<Vec<_>>() });
        }
        message
    }
}

/// A webhook about a conversation.
struct Thread<'a> {
    body: &'a Value,
    conversation: &'a Value,
    /// The account and the number of the conversation in it: what its calls need.
    id: String,
    customer: u64,
}

impl<'a> Thread<'a> {
    /// None when it does not tell which conversation it is about, and whose.
    fn read(body: &'a Value, conversation: &'a Value, account: u64) -> Option<Self> {
        let id = format!("{account}-{}", number(&conversation["id"])?);
        let contact = [&conversation["meta"]["sender"]["id"], &conversation["contact_inbox"]["contact_id"]];
        let sender = &body["sender"]["id"];
        let writes = body["message_type"] == "incoming";
        let customer = contact.into_iter().chain(writes.then_some(sender)).find_map(number)?;
        Some(Self { body, conversation, id, customer })
    }

    /// What somebody wrote. What is sent by a rule, a campaign or a bot, private notes, templates and notices say nothing.
    fn created(&self) -> Vec<Said> {
        let Some(id) = number(&self.body["id"]).filter(|_| self.body["private"] != true) else { return Vec::new() };
        let text = self.body["content"].as_str().unwrap_or_default().to_owned();
        match self.body["message_type"].as_str() {
            Some("incoming") => {
                let text = if text.is_empty() { self.chosen().unwrap_or_default() } else { text };
                self.asked(&id.to_string(), text)
            }
            Some("outgoing") if self.is_humans() => {
                let agent = (self.body["sender"]["type"] == "user").then(|| number(&self.body["sender"]["id"]));
                let agent_id = agent.flatten().map(|agent| agent.to_string());
                let said = self.said(id.to_string(), EventKind::AgentMessage);
                vec![Said { text, agent_id, sent_at: self.sent_at(), ..said }]
            }
            _ => Vec::new(),
        }
    }

    /// A line of a menu that was chosen, or a message of the customer's that was deleted.
    fn updated(&self) -> Vec<Said> {
        let Some(id) = number(&self.body["id"]).filter(|_| self.body["private"] != true) else { return Vec::new() };
        let deleted = self.body["content_attributes"]["deleted"] == true;
        match self.chosen() {
            _ if deleted && self.body["message_type"] == "incoming" => {
                vec![self.said(format!("{id}-deleted"), EventKind::Recalled)]
            }
            // What was chosen is told again whenever anything of the message changes.
            Some(text) if !deleted => self.asked(&format!("{id}-{text}"), text),
            _ => Vec::new(),
        }
    }

    /// The conversation goes to humans, back to the bot, or ends. That it is open may be our own handing over: the bot keeps
    /// silent either way.
    fn moved(&self) -> Option<Said> {
        let status = self.conversation["status"].as_str()?;
        let kind = match status {
            "open" | "snoozed" => EventKind::Takeover,
            "pending" => EventKind::HandBack,
            "resolved" => EventKind::Closed,
            _ => return None,
        };
        let moment = [&self.conversation["updated_at"], &self.conversation["timestamp"]];
        let moment = moment.into_iter().find(|moment| moment.is_number())?;
        let said = self.said(format!("{status}-{}-{moment}", self.id), kind);
        Some(Said { agent_id: self.assignee().filter(|_| kind == EventKind::Takeover), ..said })
    }

    /// What the customer says. Humans have what is not pending: that is recorded before it, for the agents' clock runs on in
    /// the ledger, and the bot is silent. A conversation that stays resolved is a muted customer's.
    fn asked(&self, id: &str, text: String) -> Vec<Said> {
        let asked = Said {
            text,
            sent_at: self.sent_at(),
            context: Context { customer_name: self.name(), ..Context::default() },
            ..self.said(id.to_owned(), EventKind::Message)
        };
        match self.conversation["status"].as_str() {
            Some("pending") => vec![asked],
            Some("open" | "snoozed") => {
                let takeover = self.said(format!("open-{id}"), EventKind::Takeover);
                vec![Said { agent_id: self.assignee(), ..takeover }, asked]
            }
            _ => Vec::new(),
        }
    }

    fn said(&self, message_id: String, kind: EventKind) -> Said {
        Said {
            message_id,
            conversation_id: self.id.clone(),
            customer_id: self.customer.to_string(),
            kind,
            ..Said::default()
        }
    }

    /// A user wrote it, here or in the platform's own app (`external_echo`, <https://github.com/chatwoot/chatwoot/pull/13371>).
    fn is_humans(&self) -> bool {
        let attributes = &self.body["content_attributes"];
        let by_rule = !attributes["automation_rule_id"].is_null();
        let campaign = !self.body["additional_attributes"]["campaign_id"].is_null();
        let human = self.body["sender"]["type"] == "user" || attributes["external_echo"] == true;
        human && !by_rule && !campaign
    }

    /// What was chosen from a menu, or filled into a form.
    fn chosen(&self) -> Option<String> {
        let values = self.body["content_attributes"]["submitted_values"].as_array()?;
        let texts: Vec<&str> =
            values.iter().filter_map(|one| one["value"].as_str().or(one["title"].as_str())).collect();
        Some(texts.join("\n")).filter(|text| !text.trim().is_empty())
    }

    /// The human whose conversation it is.
    fn assignee(&self) -> Option<String> {
        let assignee = &self.conversation["meta"]["assignee"];
        number(&assignee["id"]).filter(|_| assignee["type"] == "user").map(|agent| agent.to_string())
    }

    /// The contact's name, unless Chatwoot made it up.
    fn name(&self) -> Option<String> {
        let names = [&self.conversation["meta"]["sender"]["name"], &self.body["sender"]["name"]];
        let name = names.into_iter().find_map(|name| name.as_str())?.trim();
        (!name.is_empty() && !is_made_up(name)).then(|| name.to_owned())
    }

    fn sent_at(&self) -> Option<Timestamp> {
        match &self.body["created_at"] {
            Value::Number(seconds) => Timestamp::from_second(seconds.as_i64()?).ok(),
            at => at.as_str()?.parse().ok(),
        }
    }
}

/// An id: a number, in older payloads written as a text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn status_changed(body: &Value) -> bool {
    let changed = body["changed_attributes"].as_array();
    changed.is_some_and(|changed| changed.iter().any(|change| !change["status"].is_null()))
}

/// `restless-brook-417`: so Chatwoot names visitors who did not tell theirs (Haikunator in
/// `app/builders/contact_inbox_with_contact_builder.rb`).
fn is_made_up(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(&parts[..], [first, second, last] if word(first) && word(second) && digits(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(settings: &str) -> String {
        Chatwoot::read(settings.parse().unwrap()).unwrap_err()
    }

    #[test]
    fn a_fault_of_the_settings_says_what_to_do_and_no_secret() {
        for (settings, says) in [
            ("access_token = \"t\"", "set one of `secret`"),
            ("access_token = \"t\"\nsecret = \"abc\"\nurl_secret = \"0123456789abcdef\"", "set one of `secret`"),
            ("access_token = \"t\"\nurl_secret = \"tooshort\"", "16 letters"),
            ("secret = \"abc\"", "access_token"),
            ("access_token = \"t\"\nsecret = \"abc\"\nbase_url = \"chat.example.com\"", "https://"),
            ("access_token = \"t\"\nsecret = \"\"", "empty"),
            ("access_token = \"t\"\nsecret = \"abc\"\naccount_id = \"tooshort\"", "`account_id`: write a number"),
        ] {
            let fault = fault(settings);
            assert!(fault.contains(says) && !fault.contains("tooshort"), "{settings}: {fault}");
        }
    }

    #[test]
    fn names_that_chatwoot_made_up_address_nobody() {
        for name in ["restless-brook-417", "old-fog-7"] {
            assert!(is_made_up(name), "{name}");
        }
        for name in ["王小明", "Jean-Luc", "mary-jane-watson", "Old-Fog-7", "a-b-", "--1", "x-1"] {
            assert!(!is_made_up(name), "{name}");
        }
    }

    #[test]
    fn buttons_fit_whatsapp_and_telegram() {
        let read = Chatwoot::read("access_token = \"t\"\nsecret = \"s\"".parse().unwrap()).unwrap();
        let option = "定制的商品如果尺码不合适可以在七天之内申请退换货吗".to_owned();
        let push = Message {
            id: "m".to_owned(),
            kind: PushKind::Reply,
            conversation_id: "1-2".to_owned(),
            customer_id: "3".to_owned(),
            text: "1. ...".to_owned(),
            options: vec![option, "多久发货".to_owned()],
            reply_to: None,
            attempts: 0,
            made_at: Timestamp::UNIX_EPOCH,
            body: String::new(),
        };
        let message = read.message(&push);
        let items = message["content_attributes"]["items"].as_array().unwrap();
        let (title, value) = (items[0]["title"].as_str().unwrap(), items[0]["value"].as_str().unwrap());
        assert!(title.chars().count() <= 20 && value.len() <= 64 && title.ends_with('…'), "{title} {value}");
        assert_eq!(items[1], json!({ "title": "多久发货", "value": "多久发货" }));
        assert_eq!(Chatwoot { buttons: false, ..read }.message(&push)["content_type"], Value::Null);
    }
}
