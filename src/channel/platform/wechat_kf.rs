//! WeChat customer service 微信客服, by WeCom: a callback tells that there is something, messages are fetched.
//!
//! <https://developer.work.weixin.qq.com/document/path/94670> (callback, `sync_msg`),
//! <https://developer.work.weixin.qq.com/document/path/94677> (`send_msg`),
//! <https://developer.work.weixin.qq.com/document/path/94669> (states of a session).

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Table;

use super::wechat_api::{address, granted, read};
use crate::channel::call::{Call, CallAnswer, Failure, Granted, Inbox, Message, Page, Tokens, Undelivered};
use crate::channel::hook::{Answer, Fetch, Happened, Heard, Moment, Refusal, Request, Said};
use crate::channel::settings::{self, ApiUrl, Hidden};
use crate::channel::signature::same_hex;
use crate::channel::wechat_crypto::{Crypto, CryptoError, signature};
use crate::channel::xml;
use crate::channel::{Channel, Platform};
use crate::conversation::event::EventKind;
use crate::conversation::outgoing::{PushKind, stable_id};
use crate::conversation::parts::{TextLimit, Unit};

/// `type = "wechat_kf"`.
pub const PLATFORM: Platform = Platform {
    name: "wechat_kf",
    title: "WeChat customer service",
    read: |table| Ok(Box::new(WechatKf::read(table)?)),
};

/// Most messages that a customer's message may be answered with, within 48 hours.
const MESSAGES: usize = 5;

/// Of a menu: lines, bytes of a line, bytes of the text before and of the text after the lines (silenceper/wechat
/// `work/kf/sendmsgonevent/message.go`, which quotes the platform's page).
const MENU: (usize, usize, usize) = (10, 128, 1_024);

/// States of a session (silenceper/wechat `work/kf/servicestate.go`): waiting for an agent, and with one.
const QUEUED: u32 = 2;
const WITH_AGENT: u32 = 3;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    corp_id: String,
    secret: Hidden,
    token: Hidden,
    encoding_aes_key: Hidden,
    previous_encoding_aes_key: Option<Hidden>,
    #[serde(default)]
    open_kfids: Vec<String>,
    #[serde(default = "yes")]
    hand_over: bool,
    hand_over_to: Option<String>,
    #[serde(default = "longest")]
    text_bytes: usize,
    #[serde(default = "page_messages")]
    page_messages: u32,
    #[serde(default = "api")]
    api_url: ApiUrl,
}

fn yes() -> bool {
    true
}

fn longest() -> usize {
    2_048
}

fn page_messages() -> u32 {
    1_000
}

fn api() -> ApiUrl {
    ApiUrl::of("https://qyapi.weixin.qq.com")
}

#[derive(Debug)]
struct WechatKf {
    settings: Settings,
    cryptos: Vec<Crypto>,
}

/// A page of messages.
#[derive(Deserialize)]
struct Sync {
    #[serde(default)]
    next_cursor: String,
    #[serde(default)]
    has_more: u32,
    /// One that cannot be read must not keep the others back.
    #[serde(default)]
    msg_list: Vec<Value>,
}

/// A message, or an event, which has its ids inside (silenceper/wechat `work/kf/syncmsg/message.go`).
#[derive(Deserialize)]
struct Item {
    msgid: String,
    #[serde(flatten)]
    whose: Whose,
    #[serde(default)]
    servicer_userid: String,
    #[serde(default)]
    send_time: i64,
    origin: u32,
    #[serde(default)]
    msgtype: String,
    #[serde(default)]
    text: Text,
    event: Option<Event>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Whose {
    open_kfid: String,
    external_userid: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Text {
    content: String,
}

#[derive(Deserialize)]
struct Event {
    event_type: String,
    #[serde(flatten)]
    whose: Whose,
    #[serde(default)]
    new_servicer_userid: String,
    #[serde(default)]
    change_type: u32,
    #[serde(default)]
    fail_type: u32,
    #[serde(default)]
    fail_msgid: String,
}

/// What a message or an event is: customers have origin 3, events 4, agents 5. Other events say nothing of a conversation.
fn said(item: Item) -> Option<Said> {
    let text = if item.msgtype == "text" { item.text.content } else { String::new() };
    let (whose, kind, text, agent) = match (item.origin, item.event) {
        (3, _) if item.msgtype == "text" => (item.whose, EventKind::Message, text, String::new()),
        (3, _) => (item.whose, EventKind::Media, text, String::new()),
        (5, _) => (item.whose, EventKind::AgentMessage, text, item.servicer_userid),
        (4, Some(event)) => {
            let (kind, text) = match (event.event_type.as_str(), event.change_type) {
                ("user_recall_msg", _) => (EventKind::Recalled, String::new()),
                // Not closed: a farewell would be refused, for the session is over.
                ("session_status_change", 3) => (EventKind::HandBack, String::new()),
                ("session_status_change", 1 | 2 | 4) => (EventKind::Takeover, String::new()),
                _ => return None,
            };
            let inside = !event.whose.external_userid.is_empty();
            (if inside { event.whose } else { item.whose }, kind, text, event.new_servicer_userid)
        }
        _ => return None,
    };
    Some(Said {
        message_id: item.msgid,
        conversation_id: format!("{}:{}", whose.open_kfid, whose.external_userid),
        customer_id: whose.external_userid,
        kind,
        text,
        agent_id: Some(agent).filter(|agent| !agent.is_empty()),
        sent_at: Timestamp::from_second(item.send_time).ok(),
        ..Said::default()
    })
}

/// A message that the platform had taken and that did not reach the customer after all, by the id that the call gave it
/// (`msg_send_fail`, <https://developer.work.weixin.qq.com/document/path/94670>).
fn undelivered(item: &Item) -> Option<Undelivered> {
    let event = item.event.as_ref().filter(|event| event.event_type == "msg_send_fail")?;
    let why = |what: &str| format!("told later, msg_send_fail {}: {what}", event.fail_type);
    let failure = match event.fail_type {
        4 => Failure::WindowClosed { why: why("48 hours are over") },
        5 => Failure::WindowClosed { why: why("the session is closed") },
        6 => Failure::Quota { after: None, why: why("more than 5 messages") },
        1 => Failure::GiveUp { why: why("the account was deleted") },
        2 => Failure::GiveUp { why: why("the app is switched off") },
        8 | 9 => Failure::GiveUp { why: why("the company is not verified") },
        10 => Failure::GiveUp { why: why("the customer takes no messages") },
        _ => Failure::GiveUp { why: why("no reason was told") },
    };
    Some(Undelivered { id: event.fail_msgid.clone(), failure })
}

impl WechatKf {
    fn read(table: Table) -> Result<Self, String> {
        let settings: Settings = settings::read(table)?;
        let keys = [Some(&settings.encoding_aes_key), settings.previous_encoding_aes_key.as_ref()];
        let cryptos = keys.into_iter().flatten().map(|key| Crypto::new(key.as_str(), &settings.corp_id));
        let cryptos = cryptos
            .collect::<Result<_, CryptoError>>()
            .map_err(|error| format!("`encoding_aes_key`: {error}; copy it from the page where the callback is set"))?;
        match settings.page_messages {
            1..=1_000 => Ok(Self { settings, cryptos }),
            _ => Err("`page_messages` is 1 to 1000".to_owned()),
        }
    }

    /// What is in an envelope that the platform closed.
    fn opened(&self, request: &Request<'_>, encrypt: &str) -> Result<Vec<u8>, Refusal> {
        let values = (request.query("msg_signature"), request.query("timestamp"), request.query("nonce"));
        let (Some(given), Some(timestamp), Some(nonce)) = values else { return Err(Refusal::Signature) };
        if !same_hex(&given, &signature(self.settings.token.as_str(), &timestamp, &nonce, encrypt)) {
            return Err(Refusal::Signature);
        }
        self.cryptos.iter().find_map(|crypto| crypto.decrypt(encrypt).ok()).ok_or(Refusal::Sealed)
    }

    /// A menu whose lines can be pressed; none where the platform takes none such.
    fn menu(push: &Message) -> Option<Value> {
        let (lines, line, around) = MENU;
        let numbered = push.options.iter().enumerate().map(|(place, option)| format!("{}. {option}", place + 1));
        let (head, tail) = push.text.split_once(&numbered.collect::<Vec<_>>().join("\n"))?;
        let (head, tail) = (head.trim_end(), tail.trim_start());
        let fits = (1..=lines).contains(&push.options.len()) && head.len() <= around && tail.len() <= around;
        if !fits || push.options.iter().any(|option| option.len() > line) {
            return None;
        }
        let item = |(place, option): (usize, &String)| json!({ "type": "click", "click": { "id": (place + 1).to_string(), "content": option } });
        let list: Vec<Value> = push.options.iter().enumerate().map(item).collect();
        Some(json!({ "head_content": head, "list": list, "tail_content": tail }))
    }

    fn reply(push: &Message, open_kfid: &str) -> Value {
        let mut body = json!({ "touser": push.customer_id, "open_kfid": open_kfid, "msgid": push.id });
        let (kind, content) = match Self::menu(push) {
            Some(menu) => ("msgmenu", menu),
            None => ("text", json!({ "content": push.text })),
        };
        body["msgtype"] = json!(kind);
        body[kind] = content;
        body
    }

    fn handover(&self, push: &Message, open_kfid: &str) -> Value {
        let mut body = json!({ "open_kfid": open_kfid, "external_userid": push.customer_id });
        match &self.settings.hand_over_to {
            Some(agent) => {
                body["service_state"] = json!(WITH_AGENT);
                body["servicer_userid"] = json!(agent);
            }
            None => body["service_state"] = json!(QUEUED),
        }
        body
    }
}

/// Codes of the platform's own (<https://developer.work.weixin.qq.com/document/path/90313>): 95001 and 95002 the limits
/// of `send_msg`, 95013 and 95018 the state of the session, 95007 the token of the callback, 95017 the switch.
fn own(code: i64) -> Option<Failure> {
    let why = |what: &str| format!("errcode {code}: {what}");
    Some(match code {
        95001 => Failure::Quota { after: None, why: why("no more messages until the customer writes") },
        95002 | 95024 => Failure::WindowClosed { why: why("the customer's last message is too long ago") },
        95013 => Failure::WindowClosed { why: why("the session has ended") },
        95018 => Failure::GiveUp { why: why("the session waits for an agent, is with one, or has ended") },
        95007 => Failure::Retry { after: None, why: why("the token of the callback is too old") },
        95000 | 95004 => Failure::GiveUp { why: why("no such customer-service account") },
        95017 => {
            Failure::GiveUp { why: why("let the API manage this account: 微信客服 - 可调用接口的应用") }
        }
        _ => return None,
    })
}

impl Channel for WechatKf {
    /// An old callback that is sent again only has the messages looked for: none is answered twice, so no window is kept.
    fn hear(&self, request: &Request<'_>, _: &Moment) -> Result<Heard, Refusal> {
        if !request.is_post {
            // A `+` that was not encoded arrives as a blank.
            let echo = request.query("echostr").ok_or(Refusal::Signature)?.replace(' ', "+");
            let echo = String::from_utf8(self.opened(request, &echo)?);
            return Ok(Heard::Answer(Answer::text(echo.map_err(|_| Refusal::malformed("no text in echostr"))?)));
        }
        // Whoever cannot sign an envelope learns nothing, not even what is wrong with its XML.
        let envelope = xml::parse(request.body).map_err(|_| Refusal::Signature)?;
        let document = self.opened(request, envelope.get("Encrypt").ok_or(Refusal::Signature)?)?;
        let fields = xml::parse(&document).map_err(|_| Refusal::malformed("no event of WeCom"))?;
        let field = |name: &str| fields.get(name).map(str::trim).filter(|text| !text.is_empty());
        let ours = &self.settings.open_kfids;
        let mailbox = field("OpenKfId").filter(|id| ours.is_empty() || ours.iter().any(|known| known == id));
        Ok(match (field("Event"), mailbox) {
            (Some("kf_msg_or_event"), Some(mailbox)) => Heard::Fetch(Fetch {
                mailbox: mailbox.to_owned(),
                token: field("Token").unwrap_or_default().to_owned(),
            }),
            _ => Heard::from(Vec::new()),
        })
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit { unit: Unit::Bytes, longest: self.settings.text_bytes.max(16), parts: MESSAGES }
    }

    fn brings(&self) -> &'static [PushKind] {
        if self.settings.hand_over { &[PushKind::Reply, PushKind::Handoff] } else { &[PushKind::Reply] }
    }

    fn call(&self, push: &Message, access: &str, _: &Moment) -> Result<Option<Call>, Failure> {
        let (open_kfid, _) = push.conversation_id.split_once(':').ok_or_else(|| Failure::GiveUp {
            why: "the conversation is not one of this account: open_kfid:external_userid".to_owned(),
        })?;
        let (path, body) = match push.kind {
            PushKind::Handoff => ("/cgi-bin/kf/service_state/trans", self.handover(push, open_kfid)),
            _ => ("/cgi-bin/kf/send_msg", Self::reply(push, open_kfid)),
        };
        Ok(Some(Call::json(self.address(path, access), &body)))
    }

    /// By the `msgid` of the call.
    fn knows_ids(&self) -> bool {
        true
    }

    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        read(answer, own).map(drop)
    }

    fn tokens(&self) -> Option<&dyn Tokens> {
        Some(self)
    }

    fn inbox(&self) -> Option<&dyn Inbox> {
        Some(self)
    }
}

impl WechatKf {
    fn address(&self, path: &str, access: &str) -> String {
        address(&self.settings.api_url, path, &[("access_token", access)])
    }
}

impl Inbox for WechatKf {
    fn mailboxes(&self) -> Vec<String> {
        self.settings.open_kfids.clone()
    }

    fn fetch(&self, what: &Fetch, cursor: &str, access: &str) -> Call {
        let mut body = json!({
            "open_kfid": what.mailbox, "limit": self.settings.page_messages, "voice_format": 0,
        });
        for (name, value) in [("cursor", cursor), ("token", what.token.as_str())] {
            if !value.is_empty() {
                body[name] = json!(value);
            }
        }
        Call::json(self.address("/cgi-bin/kf/sync_msg", access), &body)
    }

    fn page(&self, answer: &CallAnswer) -> Result<Page, Failure> {
        let body = read(answer, own)?;
        let page = Sync::deserialize(body)
            .map_err(|_| Failure::Retry { after: None, why: "an answer without a list of messages".to_owned() })?;
        let items = page.msg_list.into_iter().filter_map(|item| Item::deserialize(item).ok());
        let mut happened = Happened::default();
        for item in items {
            happened.undelivered.extend(undelivered(&item));
            happened.said.extend(said(item));
        }
        Ok(Page { happened, cursor: page.next_cursor, more: page.has_more == 1 })
    }
}

impl Tokens for WechatKf {
    fn fingerprint(&self) -> String {
        let Settings { api_url, corp_id, secret, .. } = &self.settings;
        stable_id("", &[api_url.as_str(), corp_id, secret.as_str()])
    }

    /// <https://developer.work.weixin.qq.com/document/path/91039>
    fn ask(&self, _: Option<&Granted>, _: &Moment) -> Call {
        let query = [("corpid", self.settings.corp_id.as_str()), ("corpsecret", self.settings.secret.as_str())];
        Call::get(address(&self.settings.api_url, "/cgi-bin/gettoken", &query))
    }

    fn read(&self, answer: &CallAnswer, moment: &Moment) -> Result<Granted, Failure> {
        granted(answer, moment)
    }
}
