//! Shopee webchat.
//!
//! <https://open.shopee.com/push-mechanism/5> (`webchat_push`: fields, 2 seconds, retries after 1, 2 and 3 seconds) and
//! <https://open.shopee.com/documents/v2/v2.sellerchat.send_message>, which only approved apps see.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Table;

use super::marketplace::{
    Grant, days_quota, encoded, given, granted, later, loose, nothing, some, text_of, told, too_fast, unknown,
    unreadable, unwrapped,
};
use crate::channel::call::{Call, CallAnswer, Failure, Granted, Message, Tokens};
use crate::channel::hook::{Heard, Moment, Refusal, Request, Said};
use crate::channel::settings::{self, ApiUrl, Hidden};
use crate::channel::signature::Key;
use crate::channel::{Channel, Platform};
use crate::conversation::event::{Context, EventKind};
use crate::conversation::parts::{TextLimit, Unit};

/// `type = "shopee"`.
pub const PLATFORM: Platform =
    Platform { name: "shopee", title: "Shopee", read: |table| Ok(Box::new(Shopee::read(table)?)) };

/// `code` of a push about the chat.
const WEBCHAT: &str = "10";

/// `status` of what Shopee answers by itself in the seller's name.
const AUTOMATIC: [&str; 2] = ["auto_reply", "offwork_autoreply"];

/// Kinds of messages that have words: what the buyer writes, and what pressing "chat with the seller" says.
const WORDS: [&str; 2] = ["text", "faq_liveagent"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(deserialize_with = "loose")]
    partner_id: String,
    partner_key: Key,
    #[serde(deserialize_with = "loose")]
    shop_id: String,
    access_token: Option<Hidden>,
    refresh_token: Option<Hidden>,
    callback_url: String,
    #[serde(default)]
    own_user_ids: Vec<Value>,
    #[serde(default = "longest")]
    text_chars: usize,
    #[serde(default = "api")]
    api_url: ApiUrl,
}

/// How long a text may be is not published.
fn longest() -> usize {
    1_000
}

fn api() -> ApiUrl {
    ApiUrl::of("https://partner.shopeemobile.com")
}

#[derive(Debug)]
struct Shopee {
    partner_id: u64,
    key: Key,
    shop_id: u64,
    grant: Grant,
    /// As registered, to the letter: it is signed.
    callback_url: String,
    own_user_ids: Vec<String>,
    text_chars: usize,
    api_url: ApiUrl,
}

#[derive(Deserialize)]
struct Push {
    #[serde(default, deserialize_with = "loose")]
    code: String,
    #[serde(default, deserialize_with = "loose")]
    shop_id: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Content {
    #[serde(deserialize_with = "loose")]
    message_id: String,
    #[serde(deserialize_with = "loose")]
    conversation_id: String,
    #[serde(deserialize_with = "loose")]
    from_id: String,
    #[serde(default, deserialize_with = "loose")]
    to_id: String,
    /// There since April 2025.
    #[serde(default, deserialize_with = "loose")]
    from_shop_id: String,
    #[serde(default, deserialize_with = "loose")]
    sub_account_id: String,
    #[serde(default)]
    message_type: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    content: Value,
    #[serde(default)]
    source_content: Value,
    /// Seconds.
    #[serde(default, deserialize_with = "loose")]
    created_timestamp: String,
    #[serde(default, deserialize_with = "loose")]
    is_in_chatbot_session: String,
    /// 0 is a chat of a buyer, 11 one of an affiliate.
    #[serde(default, deserialize_with = "loose")]
    business_type: String,
}

/// The id that Shopee knows a shop or an app by.
fn number(name: &str, text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("{name} is a number, without spaces and letters"))
}

impl Shopee {
    fn read(table: Table) -> Result<Self, String> {
        let settings: Settings = settings::read(table)?;
        ApiUrl::try_from(settings.callback_url.clone()).map_err(|error| format!("callback_url: {error}"))?;
        Ok(Self {
            partner_id: number("partner_id", &settings.partner_id)?,
            key: settings.partner_key,
            shop_id: number("shop_id", &settings.shop_id)?,
            grant: Grant::read(settings.access_token, settings.refresh_token)?,
            callback_url: given("callback_url", &settings.callback_url)?,
            own_user_ids: settings.own_user_ids.iter().map(text_of).collect(),
            text_chars: settings.text_chars.max(16),
            api_url: settings.api_url,
        })
    }

    /// Whether somebody on the shop's side wrote it: the shop, one of its sub-accounts, or an account that is configured.
    fn is_own(&self, content: &Content) -> bool {
        let has_sub_account = !matches!(content.sub_account_id.as_str(), "" | "0");
        has_sub_account
            || [&content.from_shop_id, &content.from_id].into_iter().any(|id| *id == self.shop_id.to_string())
            || self.own_user_ids.contains(&content.from_id)
    }

    /// What was said in a chat with a buyer. Shopee's own automatic replies and its chatbot's sessions are left alone.
    fn said(&self, content: Content) -> Option<Said> {
        let is_automatic = AUTOMATIC.contains(&content.status.as_str()) || content.is_in_chatbot_session == "true";
        if is_automatic || !matches!(content.business_type.as_str(), "" | "0") {
            return None;
        }
        let is_own = self.is_own(&content);
        let has_words = WORDS.contains(&content.message_type.as_str());
        let kind = match (is_own, has_words) {
            (true, _) => EventKind::AgentMessage,
            (false, true) => EventKind::Message,
            (false, false) => EventKind::Media,
        };
        let words = unwrapped(content.content);
        let about = &content.source_content;
        let sent_at = content.created_timestamp.parse().ok().and_then(|time| Timestamp::from_second(time).ok());
        let (customer_id, agent_id) = match (is_own, content.sub_account_id.as_str()) {
            (false, _) => (content.from_id, None),
            (true, "" | "0") => (content.to_id, Some(content.from_id)),
            (true, _) => (content.to_id, Some(content.sub_account_id)),
        };
        Some(Said {
            message_id: content.message_id,
            conversation_id: content.conversation_id,
            customer_id,
            kind,
            text: if has_words { text_of(&words["text"]) } else { String::new() },
            agent_id,
            sent_at,
            context: Context {
                product: some(&words["item_id"]).or_else(|| some(&about["item_id"])),
                order_id: some(&words["order_sn"]).or_else(|| some(&about["order_sn"])),
                ..Context::default()
            },
            ..Said::default()
        })
    }

    /// Signature of a call: partner, path and time, and for a shop's calls its token and id
    /// (<https://open.shopee.com/developer-guide/16>).
    fn sign(&self, path: &str, time: i64, shop: &str) -> String {
        let base = format!("{}{path}{time}{shop}", self.partner_id);
        self.key.sign(&[base.as_bytes()]).hex()
    }

    /// What an error says: the common errors of Shopee's API pages. `error_auth` and `error_param` say several things, so
    /// their message counts. The first spelling is Shopee's own.
    fn fault(error: &str, message: &str, answer: &CallAnswer) -> Failure {
        let give_up = |hint: &str| Failure::GiveUp { why: told(error, hint) };
        let access = || Failure::Access { why: told(error, "authorise the shop anew and configure its tokens") };
        let message = message.to_lowercase();
        match error {
            "invalid_acceess_token" | "invalid_access_token" => access(),
            "error_auth" if message.contains("access_token") => access(),
            "error_rate_limit" => too_fast(error, answer),
            "error_limit" => days_quota(error),
            "error_server" | "error_inner" | "error_network" | "error_system_busy" | "error_unknown" => later(error),
            "error_auth" if message.contains("system error") => later(error),
            "error_sign" => give_up("the signature is wrong: check partner_id and partner_key"),
            "error_param" if message.contains("timestamp") => give_up("check this machine's clock"),
            "error_partner_key_expired" => give_up("the partner key has expired: make a new one in the console"),
            "source_ip_undeclared" => give_up("declare this machine's address in the console"),
            "error_api_permission" | "error_api_call_restricted" => {
                give_up("the app lacks the seller chat API: apply for it")
            }
            "shop_no_linked" | "partner_shop_no_link" | "shop_access_expired" => {
                give_up("the shop is not authorised for this app: authorise it anew")
            }
            _ => unknown(error, answer),
        }
    }
}

impl Channel for Shopee {
    fn hear(&self, request: &Request<'_>, _: &Moment) -> Result<Heard, Refusal> {
        let given = request.header("authorization").ok_or(Refusal::Signature)?;
        if !self.key.sign(&[self.callback_url.as_bytes(), b"|", request.body]).is_hex(given) {
            return Err(Refusal::Signature);
        }
        // What is posted to prove an address is not documented.
        let Some(push) = request.json::<Push>() else { return Ok(nothing()) };
        let mut data = unwrapped(push.data);
        // All shops of an app post to the same address.
        if push.code != WEBCHAT || push.shop_id != self.shop_id.to_string() || data["type"] != "message" {
            return Ok(nothing());
        }
        let content = Content::deserialize(unwrapped(data["content"].take()))
            .map_err(|_| Refusal::malformed("no message of Shopee's webchat"))?;
        Ok(Heard::from(self.said(content).into_iter().collect::<Vec<_>>()))
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit { unit: Unit::Chars, longest: self.text_chars, parts: 5 }
    }

    fn call(&self, message: &Message, access: &str, moment: &Moment) -> Result<Option<Call>, Failure> {
        let Ok(to) = message.customer_id.parse::<u64>() else {
            return Err(Failure::GiveUp { why: "the customer's id is none of Shopee".to_owned() });
        };
        let (path, access) = ("/api/v2/sellerchat/send_message", self.grant.access(access));
        let (time, shop, partner) = (moment.now.as_second(), self.shop_id.to_string(), self.partner_id.to_string());
        let sign = self.sign(path, time, &format!("{access}{shop}"));
        let query = encoded(&[
            ("partner_id", &partner),
            ("timestamp", &time.to_string()),
            ("access_token", access),
            ("shop_id", &shop),
            ("sign", &sign),
        ]);
        let body = json!({ "to_id": to, "message_type": "text", "content": { "text": message.text } });
        Ok(Some(Call::json(format!("{}{path}?{query}", self.api_url), &body)))
    }

    /// By `error`, whatever the status; empty is success.
    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        let body = answer.json();
        if !body.is_object() {
            return Err(unreadable(answer));
        }
        match text_of(&body["error"]).as_str() {
            "" => answer.by_status(),
            error => Err(Self::fault(error, &text_of(&body["message"]), answer)),
        }
    }

    fn tokens(&self) -> Option<&dyn Tokens> {
        self.grant.renews().then_some(self)
    }
}

impl Tokens for Shopee {
    fn fingerprint(&self) -> String {
        self.grant.fingerprint("shopee")
    }

    fn configured(&self) -> Option<Granted> {
        self.grant.configured()
    }

    /// <https://open.shopee.com/documents/v2/v2.public.refresh_access_token>. A refresh token is good once.
    fn ask(&self, last: Option<&Granted>, moment: &Moment) -> Call {
        let (path, time, partner) =
            ("/api/v2/auth/access_token/get", moment.now.as_second(), self.partner_id.to_string());
        let sign = self.sign(path, time, "");
        let query = encoded(&[("partner_id", &partner), ("timestamp", &time.to_string()), ("sign", &sign)]);
        let refresh = self.grant.refresh(last);
        let body = json!({ "refresh_token": refresh, "partner_id": self.partner_id, "shop_id": self.shop_id });
        Call::json(format!("{}{path}?{query}", self.api_url), &body)
    }

    /// `expire_in` is in seconds.
    fn read(&self, answer: &CallAnswer, moment: &Moment) -> Result<Granted, Failure> {
        let body = answer.json();
        match (body["access_token"].as_str(), body["expire_in"].as_i64(), text_of(&body["error"]).as_str()) {
            (Some(token), Some(seconds), "") => Ok(granted(token, &text_of(&body["refresh_token"]), seconds, moment)),
            (_, _, "") => Err(unreadable(answer)),
            (_, _, error) => Err(Self::fault(error, &text_of(&body["message"]), answer)),
        }
    }
}
