//! TikTok Shop Customer Service.
//!
//! Webhooks and messages as <https://partner.tiktokshop.com/docv2/page/customer-service-api-overview>,
//! `/14-new-message` and `/650a58bbbace3e02b7556286` (Send Message) tell (a copy: lazykern/ecommerce-api-docs,
//! `data/raw/tiktok/api-reference/customer-service`). The official pages name no recipe for the webhook's `Authorization`:
//! it is that of PyPI's tiktok-shop-api 0.1.0 and of Hookdeck, who agree.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Table;

use super::marketplace::{
    Grant, days_quota, encoded, given, granted, joined, later, loose, nothing, optional, some, text_of, told, too_fast,
    unknown, unreadable, unwrapped,
};
use crate::channel::call::{Call, CallAnswer, Failure, Granted, Message, Tokens};
use crate::channel::hook::{Heard, Moment, Refusal, Request, Said};
use crate::channel::settings::{self, ApiUrl, Hidden};
use crate::channel::signature::Key;
use crate::channel::{Channel, Platform};
use crate::conversation::event::{Context, EventKind};
use crate::conversation::parts::{TextLimit, Unit};

/// `type = "tiktok"`.
pub const PLATFORM: Platform =
    Platform { name: "tiktok", title: "TikTok Shop", read: |table| Ok(Box::new(TikTok::read(table)?)) };

/// `type` of a webhook that brings a chat message; 13, a new conversation, and all others are not ours.
const NEW_MESSAGE: &str = "14";

/// Messages that the platform makes for the seller's desk, whoever is their sender.
const NOTICES: [&str; 5] = [
    "ALLOCATED_SERVICE",
    "NOTIFICATION",
    "BUYER_ENTER_FROM_TRANSFER",
    "BUYER_ENTER_FROM_PRODUCT",
    "BUYER_ENTER_FROM_ORDER",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(deserialize_with = "loose")]
    app_key: String,
    app_secret: Hidden,
    shop_cipher: String,
    access_token: Option<Hidden>,
    refresh_token: Option<Hidden>,
    #[serde(default, deserialize_with = "loose")]
    shop_id: String,
    #[serde(default)]
    shop_sender: Sender,
    #[serde(default = "longest")]
    text_chars: usize,
    #[serde(default = "api")]
    api_url: ApiUrl,
    #[serde(default = "auth")]
    auth_url: ApiUrl,
    #[serde(default = "version", deserialize_with = "loose")]
    api_version: String,
}

fn longest() -> usize {
    2_000
}

fn api() -> ApiUrl {
    ApiUrl::of("https://open-api.tiktokglobalshop.com")
}

fn auth() -> ApiUrl {
    ApiUrl::of("https://auth.tiktok-shops.com")
}

fn version() -> String {
    "202309".to_owned()
}

/// Who writes as `SHOP`: the overview says that auto-replies and FAQs do, and that the shop's main account does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sender {
    #[default]
    Agent,
    Robot,
}

#[derive(Debug)]
struct TikTok {
    app_key: String,
    app_secret: Hidden,
    key: Key,
    shop_cipher: String,
    grant: Grant,
    /// Empty: any shop's messages are taken.
    shop_id: String,
    shop_sender: Sender,
    text_chars: usize,
    api_url: ApiUrl,
    auth_url: ApiUrl,
    api_version: String,
}

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "type", default, deserialize_with = "loose")]
    kind: String,
    #[serde(default, deserialize_with = "loose")]
    shop_id: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Data {
    #[serde(deserialize_with = "loose")]
    message_id: String,
    #[serde(deserialize_with = "loose")]
    conversation_id: String,
    #[serde(rename = "type", default)]
    kind: String,
    /// JSON in a text.
    #[serde(default)]
    content: String,
    /// Seconds.
    #[serde(default, deserialize_with = "loose")]
    create_time: String,
    /// Whether agents see it.
    #[serde(default, deserialize_with = "loose")]
    is_visible: String,
    sender: From,
}

#[derive(Deserialize)]
struct From {
    #[serde(default, deserialize_with = "loose")]
    im_user_id: String,
    role: String,
}

impl TikTok {
    fn read(table: Table) -> Result<Self, String> {
        let settings: Settings = settings::read(table)?;
        let key = Key::new(settings.app_secret.as_str().as_bytes()).map_err(|error| format!("app_secret: {error}"))?;
        Ok(Self {
            app_key: given("app_key", &settings.app_key)?,
            app_secret: settings.app_secret,
            key,
            shop_cipher: given("shop_cipher", &settings.shop_cipher)?,
            grant: Grant::read(settings.access_token, settings.refresh_token)?,
            shop_id: optional("shop_id", &settings.shop_id)?,
            shop_sender: settings.shop_sender,
            text_chars: settings.text_chars.clamp(16, longest()),
            api_url: settings.api_url,
            auth_url: settings.auth_url,
            api_version: given("api_version", &settings.api_version)?,
        })
    }

    /// What was said. Robots (the seller's "Chat Bot"), system messages and what agents do not see are left alone.
    fn said(&self, data: Data) -> Option<Said> {
        if data.is_visible == "false" || NOTICES.contains(&data.kind.as_str()) {
            return None;
        }
        let content = unwrapped(Value::String(data.content));
        let text = if data.kind == "TEXT" { text_of(&content["content"]) } else { String::new() };
        let sent_at = data.create_time.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let (message_id, conversation_id, sender) = (data.message_id, data.conversation_id, data.sender.im_user_id);
        let said = Said { message_id, conversation_id: conversation_id.clone(), text, sent_at, ..Said::default() };
        match data.sender.role.as_str() {
            "BUYER" => {
                let kind = if data.kind == "TEXT" { EventKind::Message } else { EventKind::Media };
                let (product, order_id) = (some(&content["product_id"]), some(&content["order_id"]));
                let context = Context { product, order_id, ..Context::default() };
                Some(Said { customer_id: sender, kind, context, ..said })
            }
            role if role == "CUSTOMER_SERVICE" || (role == "SHOP" && self.shop_sender == Sender::Agent) => {
                // Whom the agent answers is not told: the conversation has one buyer.
                Some(Said {
                    customer_id: conversation_id,
                    kind: EventKind::AgentMessage,
                    agent_id: Some(sender),
                    ..said
                })
            }
            _ => None,
        }
    }

    /// Signature of a call: the secret around path, parameters in the order of their names, and body
    /// (<https://partner.tiktokshop.com/docv2/page/sign-your-api-request>; tiktok-shop-api's `Signer` agrees).
    fn sign(&self, path: &str, parameters: &[(&str, &str)], body: &str) -> String {
        let (secret, parameters) = (self.app_secret.as_str().as_bytes(), joined(parameters));
        self.key.sign(&[secret, path.as_bytes(), parameters.as_bytes(), body.as_bytes(), secret]).hex()
    }
}

impl Channel for TikTok {
    fn hear(&self, request: &Request<'_>, _: &Moment) -> Result<Heard, Refusal> {
        let given = request.header("authorization").ok_or(Refusal::Signature)?;
        if !self.key.sign(&[self.app_key.as_bytes(), request.body]).is_hex(given) {
            return Err(Refusal::Signature);
        }
        // What the platform posts to prove an address is not documented.
        let Some(push) = request.json::<Push>() else { return Ok(nothing()) };
        // All shops of an app post to the same address.
        let is_ours = self.shop_id.is_empty() || self.shop_id == push.shop_id;
        if push.kind != NEW_MESSAGE || !is_ours {
            return Ok(nothing());
        }
        let data = Data::deserialize(push.data).map_err(|_| Refusal::malformed("no message of TikTok Shop"))?;
        Ok(Heard::from(self.said(data).into_iter().collect::<Vec<_>>()))
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit { unit: Unit::Chars, longest: self.text_chars, parts: 5 }
    }

    fn call(&self, message: &Message, access: &str, moment: &Moment) -> Result<Option<Call>, Failure> {
        let id = &message.conversation_id;
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(Failure::GiveUp { why: "the conversation's id is none of TikTok Shop".to_owned() });
        }
        let path = format!("/customer_service/{}/conversations/{id}/messages", self.api_version);
        let content = json!({ "content": message.text }).to_string();
        let body = json!({ "type": "TEXT", "content": content }).to_string();
        let time = moment.now.as_second().to_string();
        let mut parameters =
            vec![("app_key", self.app_key.as_str()), ("shop_cipher", &self.shop_cipher), ("timestamp", &time)];
        let sign = self.sign(&path, &parameters, &body);
        parameters.push(("sign", &sign));
        let url = format!("{}{path}?{}", self.api_url, encoded(&parameters));
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-tts-access-token", self.grant.access(access).to_owned()),
        ];
        Ok(Some(Call { is_post: true, url, headers, body }))
    }

    /// By the code, whatever the status. 45... and 36009003 stand in the table of Send Message, the others among
    /// the common errors (<https://partner.tiktokshop.com/docv2/page/common-errors>).
    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        let Some(number) = answer.json()["code"].as_i64() else { return Err(unreadable(answer)) };
        let code = &number.to_string();
        let give_up = |hint: &str| Failure::GiveUp { why: told(code, hint) };
        Err(match number {
            0 => return answer.by_status(),
            105_002 => Failure::Access { why: told(code, "the access token has expired: authorise the shop anew") },
            36_009_002 => too_fast(code, answer),
            36_009_003 | 36_009_007 | 45_102_007 => later(code),
            45_101_004 => days_quota(code),
            45_109_001 => {
                Failure::WindowClosed { why: told(code, "the platform's rules for conversations forbid it now") }
            }
            45_101_006 => give_up("the platform forbids a word of it: change the entry"),
            105_001 | 105_005 => {
                give_up("the app or the token lacks the customer service scope: apply for it, authorise anew")
            }
            106_001 => give_up("the signature is wrong: check app_secret"),
            101_000 | 106_013 => give_up("check shop_cipher"),
            36_009_033 => give_up("this machine's address is not on the app's IP allow list"),
            36_009_004 | 36_009_014 => give_up("check app_key, shop_cipher, api_version and this machine's clock"),
            _ => unknown(code, answer),
        })
    }

    fn tokens(&self) -> Option<&dyn Tokens> {
        self.grant.renews().then_some(self)
    }
}

impl Tokens for TikTok {
    fn fingerprint(&self) -> String {
        self.grant.fingerprint("tiktok")
    }

    fn configured(&self) -> Option<Granted> {
        self.grant.configured()
    }

    /// A GET with the secrets in the query, as tiktok-shop-api's `TikTokShopAuth` does.
    fn ask(&self, last: Option<&Granted>, _: &Moment) -> Call {
        let parameters = [
            ("app_key", self.app_key.as_str()),
            ("app_secret", self.app_secret.as_str()),
            ("refresh_token", self.grant.refresh(last)),
            ("grant_type", "refresh_token"),
        ];
        Call::get(format!("{}/api/v2/token/refresh?{}", self.auth_url, encoded(&parameters)))
    }

    /// `access_token_expire_in` is the moment in Unix seconds at which the token ends, not a duration.
    fn read(&self, answer: &CallAnswer, moment: &Moment) -> Result<Granted, Failure> {
        let body = answer.json();
        let data = &body["data"];
        let tokens = (data["access_token"].as_str(), data["access_token_expire_in"].as_i64());
        match (body["code"].as_i64(), tokens) {
            (Some(0), (Some(token), Some(end))) => {
                Ok(granted(token, &text_of(&data["refresh_token"]), end.saturating_sub(moment.now.as_second()), moment))
            }
            (Some(0) | None, _) => Err(unreadable(answer)),
            (Some(code), _) => Err(unknown(&code.to_string(), answer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_of_a_call_is_that_of_another_implementation() {
        let table = "app_key = 38\napp_secret = \"tiktok_secret\"\nshop_cipher = \"c\"\naccess_token = \"a\"";
        let channel = TikTok::read(table.parse().unwrap()).unwrap();
        let path = "/customer_service/202309/conversations/7494560109732334262/messages";
        let body = r#"{"type":"TEXT","content":"{\"content\":\"亲，在的\"}"}"#;
        let parameters = [
            ("timestamp", "1623812664"),
            ("shop_cipher", "GCP_XF90igAAAABh00qsWgtvOiGFNqyubMt3"),
            ("app_key", "38abcd"),
        ];
        // Made by `Signer.sign` of PyPI's tiktok-shop-api 0.1.0.
        let wanted = "5e500909dbf12e205bd4212695433b0b6f287150451fb5092bccedb00af2deab";
        assert_eq!(channel.sign(path, &parameters, body), wanted);
        assert_eq!(channel.app_key, "38", "a key of digits may be written without quotes");
    }
}
