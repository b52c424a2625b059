//! The way in for whoever has no public chat API: documented events by Standard Webhooks, in both directions.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Table;

use crate::channel::call::{Call, CallAnswer, Failure, Message};
use crate::channel::hook::{Answer, Heard, Moment, Present, Recorded, Refusal, Request, Said};
use crate::channel::settings;
use crate::channel::{Channel, Platform};
use crate::conversation::event::{Context, EventKind};
use crate::conversation::outgoing::PushKind;
use crate::conversation::parts::{TextLimit, Unit};
use crate::outbound::webhook::{Secret, sign, verify};

/// `type = "generic"`.
pub const PLATFORM: Platform =
    Platform { name: "generic", title: "Standard Webhooks", read: |table| Ok(Box::new(Generic::read(table)?)) };

/// How far from now a timestamp may be (the reference libraries' five minutes).
const TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    secret: String,
    #[serde(default)]
    previous_secret: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default = "longest")]
    text_chars: usize,
}

fn longest() -> usize {
    5_000
}

#[derive(Debug)]
struct Generic {
    /// The one to sign with comes first.
    secrets: Vec<Secret>,
    /// Where replies go; without it they are in the answer to the event.
    url: Option<String>,
    text_chars: usize,
}

/// An event as an integrator posts it.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Option<Timestamp>,
    data: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    conversation_id: String,
    customer_id: String,
    message_id: Option<String>,
    #[serde(default)]
    text: String,
    agent_id: Option<String>,
    #[serde(default)]
    sender_is_bot: bool,
    echo_of: Option<String>,
    #[serde(default)]
    context: Context,
}

impl Generic {
    fn read(table: Table) -> Result<Self, String> {
        let settings: Settings = settings::read(table)?;
        if settings.url.as_ref().is_some_and(|url| !settings::is_web(url)) {
            return Err("`url` begins with https:// (or http:// on your own network)".to_owned());
        }
        let secrets = [Some(settings.secret), settings.previous_secret];
        let secrets =
            secrets.into_iter().flatten().map(|secret| secret.parse().map_err(|error| format!("`secret`: {error}")));
        let text_chars = settings.text_chars.max(16);
        Ok(Self { secrets: secrets.collect::<Result<_, _>>()?, url: settings.url, text_chars })
    }

    /// The id and the time that are signed, by the headers of the specification, else by those that Svix sends in their place
    /// (<https://docs.svix.com/receiving/verifying-payloads/how-manual>).
    fn verified<'a>(&self, request: &'a Request<'_>, now: Timestamp) -> Result<(&'a str, Timestamp), Refusal> {
        let headers = |names: [&str; 3]| {
            let [id, timestamp, signature] = names.map(|name| request.header(name));
            Some((id?, timestamp.and_then(|value| value.parse().ok()), signature?))
        };
        let given = headers(["webhook-id", "webhook-timestamp", "webhook-signature"])
            .or_else(|| headers(["svix-id", "svix-timestamp", "svix-signature"]));
        let (id, timestamp, signature) = given.ok_or(Refusal::Signature)?;
        let timestamp: i64 = timestamp.ok_or(Refusal::Timestamp)?;
        verify(&self.secrets, id, timestamp, request.body, signature, now, TOLERANCE.unsigned_abs())
            .map_err(Refusal::from)?;
        Ok((id, Timestamp::from_second(timestamp).map_err(|_| Refusal::Timestamp)?))
    }
}

impl Channel for Generic {
    fn hear(&self, request: &Request<'_>, moment: &Moment) -> Result<Heard, Refusal> {
        let (id, signed_at) = self.verified(request, moment.now)?;
        let wrong = || Refusal::malformed("write {\"type\": ..., \"timestamp\": RFC 3339, \"data\": {...}}");
        let event: Event = request.json().ok_or_else(wrong)?;
        if event.kind == "presence" {
            let present = Present::deserialize(event.data).map_err(|error| {
                let wants = "`data` of a presence has agent_id and presence (online, busy, away)";
                Refusal::malformed(format!("{wants}: {error}"))
            })?;
            let at = event.timestamp.map_or(signed_at, |at| at.min(signed_at));
            return Ok(Heard::Presence { present, at, id: id.to_owned() });
        }
        let kind = EventKind::deserialize(Value::String(event.kind))
            .map_err(|_| Refusal::malformed("unknown `type`; docs/channels/generic.md lists them"))?;
        let data = Data::deserialize(event.data)
            .map_err(|error| Refusal::malformed(format!("`data` has what docs/channels/generic.md lists: {error}")))?;
        if matches!(kind, EventKind::Message | EventKind::AgentMessage) && data.text.trim().is_empty() {
            return Err(Refusal::malformed("`text` is missing or empty; what is no text is of the type `media`"));
        }
        Ok(Heard::from(vec![Said {
            message_id: data.message_id.unwrap_or_else(|| id.to_owned()),
            conversation_id: data.conversation_id,
            customer_id: data.customer_id,
            kind,
            text: data.text,
            agent_id: data.agent_id,
            sender_is_bot: data.sender_is_bot,
            echo_of: data.echo_of,
            reply_to: None,
            sent_at: event.timestamp,
            context: data.context,
        }]))
    }

    fn acknowledge(&self, recorded: &[Recorded<'_>], _: &Moment) -> Answer {
        let Some(recorded) = recorded.first() else { return Answer::empty() };
        let Recorded { reply, hands_over, redelivered, .. } = *recorded;
        Answer::json(&json!({ "reply": reply, "handoff": hands_over, "duplicate": redelivered }))
    }

    fn answers_in_response(&self) -> bool {
        self.url.is_none()
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit { unit: Unit::Chars, longest: self.text_chars, parts: 5 }
    }

    fn brings(&self) -> &'static [PushKind] {
        if self.url.is_some() { &[PushKind::Reply, PushKind::Handoff] } else { &[] }
    }

    fn call(&self, message: &Message, _: &str, moment: &Moment) -> Result<Option<Call>, Failure> {
        let (Some(url), Some(secret)) = (&self.url, self.secrets.first()) else { return Ok(None) };
        let (id, time) = (message.id.clone(), moment.now.as_second());
        let signature = sign(secret, &id, time, message.body.as_bytes());
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id),
            ("webhook-timestamp", time.to_string()),
            ("webhook-signature", signature),
        ];
        Ok(Some(Call { is_post: true, url: url.clone(), headers, body: message.body.clone() }))
    }

    /// By the `webhook-id`.
    fn knows_ids(&self) -> bool {
        true
    }

    /// 410: no more messages at this address (Standard Webhooks, "Delivery").
    fn judge(&self, answer: &CallAnswer) -> Result<(), Failure> {
        match answer.status {
            410 => Err(Failure::Gone { why: "it answered 410 Gone".to_owned() }),
            _ => answer.by_status(),
        }
    }
}
