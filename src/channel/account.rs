//! An account on a platform, as configured: whose it is, and what its messages become here.

use std::sync::Arc;

use serde::Deserialize;
use toml::{Table, Value};

use super::hook::Said;
use super::{Channel, PLATFORMS, Platform, settings};
use crate::conversation::event::{EventKind, Id, InboundEvent};
use crate::conversation::inbound::{EventBody, EventFault, RESERVED};
use crate::conversation::outgoing::{Subscriber, stable_id};

/// Longest id that is taken as it is, in bytes.
const ID_BYTES: usize = 128;

/// Stands for what a human sent that is no text.
const NO_WORDS: &str = "[media]";

/// What every account has, whatever its platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Common {
    name: String,
    shop: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    platform: Option<String>,
    #[serde(default)]
    debounce_ms: Option<u32>,
    #[serde(default)]
    allow_private: bool,
}

/// Names of the settings that every account has.
pub const COMMON: [&str; 6] = ["name", "shop", "type", "platform", "debounce_ms", "allow_private"];

/// An account of a shop.
#[derive(Clone)]
pub struct Account {
    /// Unique; the `channel` of its events and the end of its address.
    pub name: Id,
    /// The shop it belongs to.
    pub shop: Id,
    /// What is spoken there.
    pub platform: &'static Platform,
    /// The platform for entries scoped to one, where it is not the shop's own.
    pub scope: Option<String>,
    /// Milliseconds to wait for a customer's next message.
    pub debounce_ms: Option<u32>,
    /// Its API may stand at a private address.
    pub allow_private: bool,
    /// Addresses that are configured to be called: setting and address.
    pub addresses: Vec<(String, String)>,
    channel: Arc<dyn Channel>,
}

/// The same name stands for the same account: names are unique.
impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.shop, self.platform.name) == (&other.name, &other.shop, other.platform.name)
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("name", &self.name).field("type", &self.platform.name).finish_non_exhaustive()
    }
}

impl Account {
    /// Reads one table of `[[channels]]`.
    ///
    /// # Errors
    /// What is wrong with it and how to mend it, without a secret.
    pub fn read(mut table: Table) -> Result<Self, String> {
        let common: Table = COMMON.iter().filter_map(|key| Some(((*key).to_owned(), table.remove(*key)?))).collect();
        let named = common.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let wrong = |what: String| format!("[[channels]] `{named}`: {what}");
        let common: Common = settings::read(common).map_err(&wrong)?;
        let platform = PLATFORMS.iter().find(|platform| platform.name == common.kind).ok_or_else(|| {
            let known: Vec<&str> = PLATFORMS.iter().map(|platform| platform.name).collect();
            wrong(format!("unknown type `{}`; types are {}", common.kind, known.join(", ")))
        })?;
        let addresses = addresses(&table);
        let channel = (platform.read)(table).map_err(|what| match what.contains("unknown field") {
            true => wrong(format!("{what}; and every account's {}", COMMON.join(", "))),
            false => wrong(what),
        })?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !common.name.chars().all(plain) || common.name.chars().all(|c| c == '.') {
            return Err(wrong("a name stands in an address: write letters, digits, `-`, `_` and `.`".to_owned()));
        }
        Ok(Self {
            name: Id::try_from(common.name).map_err(|error| wrong(format!("name {error}")))?,
            shop: Id::try_from(common.shop).map_err(|error| wrong(format!("shop {error}")))?,
            platform,
            scope: common.platform,
            debounce_ms: common.debounce_ms,
            allow_private: common.allow_private,
            addresses,
            channel: Arc::from(channel),
        })
    }

    /// Its protocol.
    #[must_use]
    pub fn channel(&self) -> &dyn Channel {
        &*self.channel
    }

    /// What it stands under in the outbox.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("channel:{}", self.name)
    }

    /// What it gets of the bot's pushes.
    #[must_use]
    pub fn subscriber(&self) -> Subscriber {
        Subscriber {
            name: self.endpoint(),
            events: self.channel.brings().to_vec(),
            shops: vec![self.shop.to_string()],
            channels: vec![self.name.to_string()],
            limit: Some(self.channel.text_limit()),
            passes_on: self.channel.passes_on(),
        }
    }

    /// What happened on the platform, as an event. What a platform sends cannot be mended by sending it again, so it is made
    /// to fit: a text that is too long is cut, one without words is media, a time that cannot be is left out.
    ///
    /// # Errors
    /// When an id is missing.
    pub fn event(&self, said: Said, text_chars: usize, now: jiff::Timestamp) -> Result<InboundEvent, EventFault> {
        let (mut kind, mut text) = (said.kind, said.text);
        if text.trim().is_empty() {
            text.clear();
            match kind {
                EventKind::Message => kind = EventKind::Media,
                EventKind::AgentMessage => NO_WORDS.clone_into(&mut text),
                _ => {}
            }
        }
        if let Some((end, _)) = text.char_indices().nth(text_chars) {
            text.truncate(end);
        }
        let believable =
            |at: &jiff::Timestamp| at.as_second() > 946_684_800 && *at <= now + jiff::SignedDuration::from_hours(1);
        let mut context = said.context;
        context.platform = context.platform.or_else(|| self.scope.clone());
        let body = EventBody {
            shop: self.shop.to_string(),
            channel: self.name.to_string(),
            conversation_id: fit(said.conversation_id),
            customer_id: fit(said.customer_id),
            message_id: fit(said.message_id),
            text,
            kind,
            sender_is_bot: said.sender_is_bot,
            agent_id: said.agent_id.map(fit).filter(|id| !id.is_empty()),
            echo_of: said.echo_of,
            sent_at: said.sent_at.filter(believable),
            context,
        };
        let event = body.check(text_chars, now)?;
        Ok(InboundEvent { reply_to: said.reply_to, ..event })
    }
}

/// Settings that hold an address that is called; `callback_url` is our own.
fn addresses(table: &Table) -> Vec<(String, String)> {
    let is_called = |name: &str| name == "url" || (name.ends_with("_url") && name != "callback_url");
    let settings = table.iter().filter(|(name, _)| is_called(name));
    settings.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// An id that is too long, has control characters, or looks like one of our own, is known by its digest. An empty one stays
/// empty.
fn fit(id: String) -> String {
    let odd = id.len() > ID_BYTES || id.chars().any(char::is_control);
    let ours = RESERVED.iter().any(|prefix| id.starts_with(prefix));
    if odd || ours { stable_id("id_", &[&id]) } else { id }
}
