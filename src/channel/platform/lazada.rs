//! Lazada IM.
//!
//! <https://open.lazada.com/apps/doc/doc>: docs 120168 (push mechanism) and 121553 (IM messages), API `/im/message/send`
//! (a copy: lazykern/ecommerce-api-docs, `data/raw/lazada`).

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use toml::Table;

use super::marketplace::{
    Grant, form, given, granted, joined, later, loose, nothing, optional, some, text_of, told, too_fast, unknown,
    unreadable, unwrapped,
};
use crate::channel::call::{Call, CallAnswer, Failure, Granted, Message, Tokens};
use crate::channel::hook::{Heard, Moment, Refusal, Request, Said};
use crate::channel::settings::{self, ApiUrl, Hidden};
use crate::channel::signature::Key;
use crate::channel::{Channel, Platform};
use crate::conversation::event::{Context, EventKind};
use crate::conversation::parts::{TextLimit, Unit};

/// `type = "lazada"`.
pub const PLATFORM: Platform =
    Platform { name: "lazada", title: "Lazada", read: |table| Ok(Box::new(Lazada::read(table)?)) };

/// `message_type` of a chat message; 19 is a change of a session, others are about orders and goods.
const IM_MESSAGE: &str = "2";

/// `template_id` of a text.
const TEXT: &str = "1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(deserialize_with = "loose")]
    app_key: String,
    app_secret: Hidden,
    access_token: Option<Hidden>,
    refresh_token: Option<Hidden>,
    #[serde(default, deserialize_with = "loose")]
    seller_id: String,
    #[serde(default = "longest")]
    text_chars: usize,
    api_url: ApiUrl,
    #[serde(default = "auth")]
    auth_url: ApiUrl,
}

/// How long a text may be is not documented.
fn longest() -> usize {
    1_000
}

fn auth() -> ApiUrl {
    ApiUrl::of("https://auth.lazada.com/rest")
}

#[derive(Debug)]
struct Lazada {
    app_key: String,
    key: Key,
    grant: Grant,
    /// Empty: any seller's messages are taken.
    seller_id: String,
    text_chars: usize,
    api_url: ApiUrl,
    auth_url: ApiUrl,
}

#[derive(Deserialize)]
struct Push {
    #[serde(default, deserialize_with = "loose")]
    message_type: String,
    #[serde(default, deserialize_with = "loose")]
    seller_id: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Data {
    #[serde(deserialize_with = "loose")]
    session_id: String,
    #[serde(deserialize_with = "loose")]
    message_id: String,
    /// JSON in a text.
    #[serde(default)]
    content: String,
    #[serde(default, deserialize_with = "loose")]
    from_account_id: String,
    /// 1 buyer, 2 seller.
    #[serde(deserialize_with = "loose")]
    from_account_type: String,
    #[serde(default, deserialize_with = "loose")]
    to_account_id: String,
    /// Milliseconds.
    #[serde(default, deserialize_with = "loose")]
    send_time: String,
    #[serde(default, deserialize_with = "loose")]
    template_id: String,
    /// 1 a person, 2 the system.
    #[serde(rename = "type", default, deserialize_with = "loose")]
    kind: String,
    #[serde(default, deserialize_with = "loose")]
    auto_reply: String,
    /// 1: taken back.
    #[serde(default, deserialize_with = "loose")]
    status: String,
}

/// What was said; what the system or an automatic reply says is left alone.
fn said(data: Data) -> Option<Said> {
    if data.kind == "2" || data.auto_reply == "true" {
        return None;
    }
    let content = unwrapped(Value::String(data.content));
    let is_text = data.template_id == TEXT;
    let sent_at = data.send_time.parse().ok().and_then(|time| Timestamp::from_millisecond(time).ok());
    let (customer_id, kind, agent_id) = match data.from_account_type.as_str() {
        "1" if is_text => (data.from_account_id, EventKind::Message, None),
        "1" => (data.from_account_id, EventKind::Media, None),
        "2" => (data.to_account_id, EventKind::AgentMessage, Some(data.from_account_id)),
        _ => return None,
    };
    let said = Said {
        message_id: data.message_id,
        conversation_id: data.session_id,
        customer_id,
        kind,
        text: if is_text { text_of(&content["txt"]) } else { String::new() },
        agent_id,
        sent_at,
        context: Context {
            product: some(&content["itemId"]),
            order_id: some(&content["orderId"]),
            ..Context::default()
        },
        ..Said::default()
    };
    Some(if data.status == "1" { recalled(said) } else { said })
}

/// A message that is taken back comes once more under its id, which the message itself has used.
fn recalled(said: Said) -> Said {
    let message_id = format!("recalled-{}", said.message_id);
    Said { message_id, kind: EventKind::Recalled, text: String::new(), agent_id: None, ..said }
}

impl Lazada {
    fn read(table: Table) -> Result<Self, String> {
        let settings: Settings = settings::read(table)?;
        let key = Key::new(settings.app_secret.as_str().as_bytes()).map_err(|error| format!("app_secret: {error}"))?;
        Ok(Self {
            app_key: given("app_key", &settings.app_key)?,
            key,
            grant: Grant::read(settings.access_token, settings.refresh_token)?,
            seller_id: optional("seller_id", &settings.seller_id)?,
            text_chars: settings.text_chars.max(16),
            api_url: settings.api_url,
            auth_url: settings.auth_url,
        })
    }

    /// A signed POST. The path counts without the address's `/rest`, the parameters in the order of their names
    /// (<https://open.lazada.com/apps/doc/doc?nodeId=10450&docId=108068>). Secrets and the text are in the body, which no
    /// proxy writes down.
    fn signed(&self, url: &str, path: &str, own: &[(&str, &str)], moment: &Moment) -> Call {
        let time = moment.now.as_millisecond().to_string();
        let mut parameters = own.to_vec();
        parameters.extend([("app_key", self.app_key.as_str()), ("timestamp", &time), ("sign_method", "sha256")]);
        let sign = self.sign(path, &parameters);
        parameters.push(("sign", &sign));
        form(format!("{url}{path}"), &parameters)
    }

    fn sign(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        self.key.sign(&[path.as_bytes(), joined(parameters).as_bytes()]).upper_hex()
    }

    /// What the gateway's code says: those of Odoo's `sale_lazada/utils.py` (`IllegalAccessToken`, `InvalidAccessToken`,
    /// `SellerCallLimit`, 901) and of the gateway that Lazada and AliExpress share. Of others `type` tells: `ISP` is a
    /// fault behind the gateway that passes (doc 108138).
    fn fault(code: &str, kind: &str, answer: &CallAnswer) -> Failure {
        let give_up = |hint: &str| Failure::GiveUp { why: told(code, hint) };
        match code {
            "IllegalAccessToken" | "InvalidAccessToken" | "IllegalRefreshToken" => {
                Failure::Access { why: told(code, "authorise the shop anew and configure its tokens") }
            }
            "ApiCallLimit" | "AppCallLimit" | "SellerCallLimit" | "901" | "E901" => too_fast(code, answer),
            "ServiceTimeout" | "SystemError" => later(code),
            "InvalidAppKey" | "IncompleteSignature" => give_up("check app_key and app_secret"),
            "InsufficientPermission" => give_up("the app lacks the instant messaging API: apply for it"),
            _ if kind == "ISP" => later(code),
            _ => unknown(code, answer),
        }
    }
}

impl Channel for Lazada {
    fn hear(&self, request: &Request<'_>, _: &Moment) -> Result<Heard, Refusal> {
        let given = request.header("authorization").ok_or(Refusal::Signature)?;
        if !self.key.sign(&[self.app_key.as_bytes(), request.body]).is_hex(given) {
            return Err(Refusal::Signature);
        }
        // The page shows `"data": {{...}}`, which is no JSON and cannot be what is sent. If it were, the counter shall tell.
        let push: Push = request.json().ok_or_else(|| Refusal::malformed("no JSON; see docs/channels/lazada.md"))?;
        let is_ours = self.seller_id.is_empty() || self.seller_id == push.seller_id;
        if push.message_type != IM_MESSAGE || !is_ours {
            return Ok(nothing());
        }
        let data = Data::deserialize(push.data).map_err(|_| Refusal::malformed("no IM message of Lazada"))?;
        Ok(Heard::from(said(data).into_iter().collect::<Vec<_>>()))
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit { unit: Unit::Chars, longest: self.text_chars, parts: 5 }
    }

    fn call(&self, message: &Message, access: &str, moment: &Moment) -> Result<Option<Call>, Failure> {
        let parameters = [
            ("session_id", message.conversation_id.as_str()),
            ("template_id", TEXT),
            ("txt", &message.text),
            ("access_token", self.grant.access(access)),
        ];
        Ok(Some(self.signed(self.api_url.as_str(), "/im/message/send", &parameters, moment)))
    }

    /// `code` is the gateway's, `err_code` and `success` are the chat's. Which `err_code`s there are is not documented.
    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        let body = answer.json();
        let (code, error) = (text_of(&body["code"]), text_of(&body["err_code"]));
        match (code.as_str(), error.as_str()) {
            ("", "") => Err(unreadable(answer)),
            ("" | "0", "" | "0") if body["success"] != Value::Bool(false) => answer.by_status(),
            ("" | "0", error) => Err(Self::fault(if error.is_empty() { "0" } else { error }, "", answer)),
            (code, _) => Err(Self::fault(code, &text_of(&body["type"]), answer)),
        }
    }

    fn tokens(&self) -> Option<&dyn Tokens> {
        self.grant.renews().then_some(self)
    }
}

impl Tokens for Lazada {
    fn fingerprint(&self) -> String {
        self.grant.fingerprint("lazada")
    }

    fn configured(&self) -> Option<Granted> {
        self.grant.configured()
    }

    fn ask(&self, last: Option<&Granted>, moment: &Moment) -> Call {
        let parameters = [("refresh_token", self.grant.refresh(last))];
        self.signed(self.auth_url.as_str(), "/auth/token/refresh", &parameters, moment)
    }

    /// `expires_in` is in seconds.
    fn read(&self, answer: &CallAnswer, moment: &Moment) -> Result<Granted, Failure> {
        let body = answer.json();
        let code = text_of(&body["code"]);
        match (body["access_token"].as_str(), body["expires_in"].as_i64()) {
            (Some(token), Some(seconds)) => Ok(granted(token, &text_of(&body["refresh_token"]), seconds, moment)),
            _ if code.is_empty() || code == "0" => Err(unreadable(answer)),
            _ => Err(Self::fault(&code, &text_of(&body["type"]), answer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vector_is_reproduced() {
        let table = "app_key = 123456\napp_secret = \"helloworld\"\naccess_token = \"test\"\n\
                     api_url = \"https://api.lazada.sg/rest/\"";
        let channel = Lazada::read(table.parse().unwrap()).unwrap();
        let parameters = [
            ("timestamp", "1517820392000"),
            ("order_id", "1234"),
            ("app_key", "123456"),
            ("sign_method", "sha256"),
            ("access_token", "test"),
        ];
        let wanted = "4190D32361CFB9581350222F345CB77F3B19F0E31D162316848A2C1FFD5FAB4A";
        assert_eq!(channel.sign("/order/get", &parameters), wanted);
        assert_eq!(channel.api_url.as_str(), "https://api.lazada.sg/rest");
    }
}
