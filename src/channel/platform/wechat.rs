//! WeChat Official Accounts 公众号: messages come in, the reply goes out in the answer to the request.
//!
//! <https://developers.weixin.qq.com/doc/subscription/guide/product/message/Passive_user_reply_message.html>, encryption
//! <https://developers.weixin.qq.com/doc/subscription/guide/dev/push/encryption.html>, customer-service messages
//! <https://developers.weixin.qq.com/doc/service/api/customer/message/api_sendcustommessage>, WeChat's own agents
//! <https://developers.weixin.qq.com/doc/subscription/guide/product/kf/forwarding.html>.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use toml::Table;

use super::wechat_api::{address, granted, read};
use crate::channel::call::{Call, CallAnswer, Failure, Granted, Message, Tokens};
use crate::channel::hook::{Answer, Heard, Moment, Recorded, Refusal, Request, Said};
use crate::channel::settings::{self, ApiUrl, Hidden};
use crate::channel::signature::{same_hex, sorted_sha1};
use crate::channel::wechat_crypto::{Crypto, signature};
use crate::channel::xml::{self, Fields, cdata};
use crate::channel::{Channel, Platform};
use crate::conversation::event::EventKind;
use crate::conversation::outgoing::{PushKind, stable_id};
use crate::conversation::parts::{TextLimit, Unit};

/// `type = "wechat"`.
pub const PLATFORM: Platform =
    Platform { name: "wechat", title: "WeChat Official Account", read: |table| Ok(Box::new(Wechat::read(table)?)) };

/// WeChat asks three times within some 15 seconds; whoever asks later than that gets no reply again.
const ASKED_AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// What WeChat writes in place of a sticker, and of whatever else it tells no account (`Wx_Gzh_Text` of yenche123/liubai, and
/// the older form with other brackets).
const UNSHOWN: [&str; 2] = ["[收到不支持的消息类型，暂无法显示]", "【收到不支持的消息类型，暂无法显示】"];

/// Most messages that a customer's message may be answered with by the API within 48 hours.
const MESSAGES: usize = 5;

/// How message ids of events begin: WeChat gives them none.
const EVENT: &str = "event-";

/// How an envelope was closed: not at all, or with which key. Its answer is closed likewise.
const PLAIN: &str = "plain";
const KEYS: [&str; 2] = ["key", "previous-key"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    token: Hidden,
    app_id: Option<String>,
    encoding_aes_key: Option<Hidden>,
    previous_encoding_aes_key: Option<Hidden>,
    #[serde(default)]
    plain: bool,
    account: Option<String>,
    app_secret: Option<Hidden>,
    #[serde(default)]
    transfer: bool,
    #[serde(default)]
    menu_clicks: bool,
    #[serde(default = "max_age")]
    max_age_seconds: u32,
    #[serde(default = "longest")]
    text_bytes: usize,
    #[serde(default = "api")]
    api_url: ApiUrl,
}

fn max_age() -> u32 {
    900
}

fn longest() -> usize {
    2_048
}

fn api() -> ApiUrl {
    ApiUrl::of("https://api.weixin.qq.com")
}

#[derive(Debug)]
struct Wechat {
    settings: Settings,
    app_id: String,
    /// By the names of [`KEYS`]; none where messages come plain.
    cryptos: Vec<(&'static str, Crypto)>,
}

impl Wechat {
    fn read(table: Table) -> Result<Self, String> {
        let settings: Settings = settings::read(table)?;
        let app_id = settings.app_id.clone().unwrap_or_default();
        if app_id.is_empty() && (settings.encoding_aes_key.is_some() || settings.app_secret.is_some()) {
            return Err("`encoding_aes_key` and `app_secret` need the `app_id` (wx...) beside them".to_owned());
        }
        if settings.previous_encoding_aes_key.is_some() && settings.encoding_aes_key.is_none() {
            return Err("`previous_encoding_aes_key` needs an `encoding_aes_key` beside it".to_owned());
        }
        if settings.transfer && settings.app_secret.is_none() {
            let why = "what the bot says goes by the API when the answer to WeChat passes the message on";
            return Err(format!("`transfer` needs the `app_secret`: {why}"));
        }
        let keys = [&settings.encoding_aes_key, &settings.previous_encoding_aes_key];
        let cryptos = KEYS.into_iter().zip(keys).filter_map(|(name, key)| Some((name, key.as_ref()?)));
        let cryptos = cryptos.map(|(name, key)| Ok((name, Crypto::new(key.as_str(), &app_id)?)));
        let cryptos =
            cryptos.collect::<Result<_, _>>().map_err(|error: crate::channel::wechat_crypto::CryptoError| {
                format!("`encoding_aes_key`: {error}; copy it from 基本配置 of the account's console")
            })?;
        Ok(Self { settings, app_id, cryptos })
    }

    /// Whether the query's `name` signs its timestamp, its nonce and `more` with the token.
    fn is_signed(&self, request: &Request<'_>, name: &str, encrypt: Option<&str>) -> bool {
        let values = (request.query(name), request.query("timestamp"), request.query("nonce"));
        let (Some(given), Some(timestamp), Some(nonce)) = values else { return false };
        let token = self.settings.token.as_str();
        let wanted = match encrypt {
            Some(encrypt) => signature(token, &timestamp, &nonce, encrypt),
            None => sorted_sha1(&[token, &timestamp, &nonce]),
        };
        same_hex(&given, &wanted)
    }

    fn in_time(&self, request: &Request<'_>, now: Timestamp) -> Result<(), Refusal> {
        if self.settings.max_age_seconds == 0 {
            return Ok(());
        }
        let signed_at: Option<i64> = request.query("timestamp").and_then(|value| value.parse().ok());
        let age = now.as_second().abs_diff(signed_at.ok_or(Refusal::Timestamp)?);
        if age > u64::from(self.settings.max_age_seconds) { Err(Refusal::Timestamp) } else { Ok(()) }
    }

    /// The verified document, and how it was closed.
    fn opened(&self, request: &Request<'_>, now: Timestamp) -> Result<(Fields, &'static str), Refusal> {
        let no_xml = |_| Refusal::malformed("no message of WeChat");
        let is_encrypted = request.query("encrypt_type").as_deref() == Some("aes");
        if self.cryptos.is_empty() || (!is_encrypted && self.settings.plain) {
            if !self.is_signed(request, "signature", None) {
                return Err(Refusal::Signature);
            }
            self.in_time(request, now)?;
            let fields = xml::parse(request.body).map_err(no_xml)?;
            let is_message = fields.get("MsgType").is_some();
            let closed = Refusal::malformed("it is encrypted: set encoding_aes_key and app_id");
            return if is_message { Ok((fields, PLAIN)) } else { Err(closed) };
        }
        // Whoever cannot sign an envelope learns nothing, not even what is wrong with its XML.
        let envelope = xml::parse(request.body).map_err(|_| Refusal::Signature)?;
        let encrypt = envelope.get("Encrypt").filter(|encrypt| self.is_signed(request, "msg_signature", Some(encrypt)));
        let encrypt = encrypt.ok_or(Refusal::Signature)?;
        self.in_time(request, now)?;
        let opened = self.cryptos.iter().find_map(|(name, crypto)| Some((*name, crypto.decrypt(encrypt).ok()?)));
        let (name, document) = opened.ok_or(Refusal::Sealed)?;
        Ok((xml::parse(&document).map_err(no_xml)?, name))
    }

    /// What happened; nothing where nobody said anything.
    fn said(&self, fields: &Fields, closed: &str) -> Result<Option<Said>, Refusal> {
        let field = |name: &str| fields.get(name).map(str::trim).filter(|text| !text.is_empty());
        let (Some(customer), Some(account)) = (field("FromUserName"), field("ToUserName")) else {
            return Err(Refusal::malformed("a message has FromUserName and ToUserName"));
        };
        if self.settings.account.as_ref().is_some_and(|ours| ours != account) {
            return Err(Refusal::Stranger);
        }
        let kind = field("MsgType").unwrap_or_default().to_lowercase();
        let what = match kind.as_str() {
            "event" => self.event(&field),
            "text" if field("Content").is_some_and(|text| UNSHOWN.contains(&text)) => {
                Some((EventKind::Media, "", None))
            }
            "text" => Some((EventKind::Message, fields.get("Content").unwrap_or_default(), None)),
            // What WeChat understood of a voice message, where the account has that switched on.
            "voice" => Some((EventKind::Message, field("Recognition").unwrap_or_default(), None)),
            "image" | "video" | "shortvideo" | "location" | "link" | "music" | "file" | "miniprogrampage" => {
                Some((EventKind::Media, "", None))
            }
            _ => None,
        };
        let Some((kind, text, agent)) = what else { return Ok(None) };
        let made = field("CreateTime").unwrap_or_default();
        let id = field("MsgId").map(str::to_owned).unwrap_or_else(|| {
            let [event, key] = ["Event", "EventKey"].map(|name| field(name).unwrap_or_default());
            stable_id(EVENT, &[customer, made, event, key])
        });
        Ok(Some(Said {
            message_id: id,
            conversation_id: customer.to_owned(),
            customer_id: customer.to_owned(),
            kind,
            text: text.to_owned(),
            agent_id: agent.map(str::to_owned),
            reply_to: Some(format!("{closed}:{account}")),
            sent_at: made.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()),
            ..Said::default()
        }))
    }

    /// Events that matter: WeChat's own agents (kf_*, the names of wechatpy `events.py`), and clicks on a menu whose keys
    /// are questions.
    fn event<'a>(&self, field: &impl Fn(&str) -> Option<&'a str>) -> Option<(EventKind, &'a str, Option<&'a str>)> {
        match field("Event")?.to_lowercase().as_str() {
            "click" if self.settings.menu_clicks => Some((EventKind::Message, field("EventKey")?, None)),
            "kf_create_session" => Some((EventKind::Takeover, "", field("KfAccount"))),
            "kf_switch_session" => Some((EventKind::Takeover, "", field("ToKfAccount"))),
            "kf_close_session" => Some((EventKind::HandBack, "", field("KfAccount"))),
            _ => None,
        }
    }

    /// The document that answers a message; none where there is nothing to say.
    fn passive(&self, recorded: &Recorded<'_>, moment: &Moment) -> Option<Answer> {
        let event = recorded.event;
        let is_late = event.sent_at.is_none_or(|at| moment.now.duration_since(at) > ASKED_AGAIN);
        let is_said = matches!(event.kind, EventKind::Message | EventKind::Media);
        if !is_said || (recorded.redelivered && is_late) {
            return None;
        }
        let content = if self.settings.transfer && recorded.with_humans {
            // Agents would not know what to make of a click.
            if event.message_id.as_str().starts_with(EVENT) {
                return None;
            }
            "<MsgType><![CDATA[transfer_customer_service]]></MsgType>".to_owned()
        } else {
            let part = self.text_limit().split(recorded.reply?).into_iter().next()?;
            format!("<MsgType><![CDATA[text]]></MsgType><Content>{}</Content>", cdata(&part))
        };
        let (closed, account) = event.reply_to.as_deref()?.split_once(':')?;
        let (to, from) = (cdata(event.customer_id.as_str()), cdata(account));
        let made = moment.now.as_second();
        Some(self.closed(
            closed,
            format!(
                "<xml><ToUserName>{to}</ToUserName><FromUserName>{from}</FromUserName><CreateTime>{made}</CreateTime>\
                 {content}</xml>"
            ),
            moment,
        ))
    }

    /// A document as it goes out: in an envelope where the message came in one.
    fn closed(&self, how: &str, document: String, moment: &Moment) -> Answer {
        let Some((_, crypto)) = self.cryptos.iter().find(|(name, _)| *name == how) else {
            return Answer::xml(document);
        };
        let encrypt = crypto.encrypt(moment.random, document.as_bytes());
        let (timestamp, nonce) = (moment.now.as_second().to_string(), stable_id("", &[&encrypt]));
        let signed = signature(self.settings.token.as_str(), &timestamp, &nonce, &encrypt);
        Answer::xml(format!(
            "<xml><Encrypt>{}</Encrypt><MsgSignature>{}</MsgSignature><TimeStamp>{timestamp}</TimeStamp>\
             <Nonce>{}</Nonce></xml>",
            cdata(&encrypt),
            cdata(&signed),
            cdata(&nonce)
        ))
    }
}

impl Channel for Wechat {
    fn hear(&self, request: &Request<'_>, moment: &Moment) -> Result<Heard, Refusal> {
        if request.is_post {
            let (fields, closed) = self.opened(request, moment.now)?;
            return Ok(Heard::from(self.said(&fields, closed)?.into_iter().collect::<Vec<_>>()));
        }
        let echo = request.query("echostr").filter(|_| self.is_signed(request, "signature", None));
        Ok(Heard::Answer(Answer::text(echo.ok_or(Refusal::Signature)?)))
    }

    fn acknowledge(&self, recorded: &[Recorded<'_>], moment: &Moment) -> Answer {
        let answer = recorded.first().and_then(|recorded| self.passive(recorded, moment));
        answer.unwrap_or_else(|| Answer::text("success"))
    }

    fn answers_in_response(&self) -> bool {
        true
    }

    fn passes_on(&self) -> bool {
        self.settings.transfer
    }

    fn text_limit(&self) -> TextLimit {
        let parts = if self.settings.app_secret.is_some() { MESSAGES } else { 1 };
        TextLimit { unit: Unit::Bytes, longest: self.settings.text_bytes.max(16), parts }
    }

    fn brings(&self) -> &'static [PushKind] {
        if self.settings.app_secret.is_some() { &[PushKind::Reply] } else { &[] }
    }

    /// As text, menus too: `msgmenu` is refused to accounts that are not verified service accounts (errcode 40200).
    fn call(&self, push: &Message, access: &str, _: &Moment) -> Result<Option<Call>, Failure> {
        let url = address(&self.settings.api_url, "/cgi-bin/message/custom/send", &[("access_token", access)]);
        let body = json!({ "touser": push.customer_id, "msgtype": "text", "text": { "content": push.text } });
        Ok(Some(Call::json(url, &body)))
    }

    /// Codes of wechatpy `constants.py` (`WeChatErrorCode`) and of the platform's list
    /// (<https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html>).
    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        let own = |code| {
            let why = |what: &str| format!("errcode {code}: {what}");
            match code {
                45015 => Some(Failure::WindowClosed { why: why("the customer's last message is too long ago") }),
                45047 => Some(Failure::Quota { after: None, why: why("no more messages until the customer writes") }),
                45002 => Some(Failure::GiveUp { why: why("the text is too long: lower text_bytes") }),
                48001 => Some(Failure::GiveUp { why: why("the account may not send customer-service messages") }),
                _ => None,
            }
        };
        read(answer, own).map(drop)
    }

    fn tokens(&self) -> Option<&dyn Tokens> {
        self.settings.app_secret.as_ref().map(|_| self as &dyn Tokens)
    }
}

impl Tokens for Wechat {
    fn fingerprint(&self) -> String {
        stable_id("", &[self.settings.api_url.as_str(), &self.app_id, self.secret()])
    }

    /// <https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken>
    fn ask(&self, _: Option<&Granted>, _: &Moment) -> Call {
        let query = [("grant_type", "client_credential"), ("appid", self.app_id.as_str()), ("secret", self.secret())];
        Call::get(address(&self.settings.api_url, "/cgi-bin/token", &query))
    }

    fn read(&self, answer: &CallAnswer, moment: &Moment) -> Result<Granted, Failure> {
        granted(answer, moment)
    }
}

impl Wechat {
    fn secret(&self) -> &str {
        self.settings.app_secret.as_ref().map_or("", Hidden::as_str)
    }
}
