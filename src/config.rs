//! The configuration, read once: defaults, then the file, then the environment; flags stand above all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::conversation::outgoing::{PushKind, Webhook, is_wanted};
use crate::outbound::facts::FactsConfig;
use crate::reply::policy::{Delivery, ShopPolicy};
use crate::semantic::SemanticConfig;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Posts events.
    Channel,
    /// Searches suggestions, reads entries and incidents.
    Agent,
    /// What an agent may, reloads, opens and closes incidents.
    Editor,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Channel, Self::Agent, Self::Editor, Self::Admin];

    /// Name as configured.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Agent => "agent",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// SHA-256 of a bearer token. Tokens are random, so a fast hash without salt is enough.
pub type TokenHash = [u8; 32];

/// Hash of a bearer token.
#[must_use]
pub fn hash_token(token: &str) -> TokenHash {
    Sha256::digest(token).into()
}

/// A bearer token that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Who holds it; stands in logs.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its hash.
    pub hash: TokenHash,
    /// Shops it may speak for; empty means all.
    pub shops: Vec<String>,
}

/// Bounds on requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest body, in bytes.
    pub body_bytes: usize,
    /// Longest text of a message, in characters.
    pub text_chars: usize,
    /// Requests a second and client (token, or address without one).
    pub requests_per_second: u32,
    /// Requests that a client may make at once.
    pub burst: u32,
    /// Seconds after which a request is given up.
    pub request_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 10,
            text_chars: 5_000,
            requests_per_second: 10_000,
            burst: 20_000,
            request_seconds: 10,
        }
    }
}

/// The shops that are served.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shops {
    defaults: Shop,
    named: BTreeMap<String, Shop>,
}

/// A shop as configured.
#[derive(Debug, Clone, PartialEq, Default)]
struct Shop {
    policy: Arc<ShopPolicy>,
    facts: Option<FactsConfig>,
}

impl Shops {
    /// Where named shops' own systems answer.
    pub fn facts(&self) -> impl Iterator<Item = (&str, &FactsConfig)> {
        self.named.iter().filter_map(|(name, shop)| Some((name.as_str(), shop.facts.as_ref()?)))
    }

    /// Where the systems of all other shops answer.
    #[must_use]
    pub fn default_facts(&self) -> Option<&FactsConfig> {
        self.defaults.facts.as_ref()
    }

    /// The shops that are served, by name; the defaults, under no name, where any shop is.
    fn each(&self) -> impl Iterator<Item = (&str, &ShopPolicy)> {
        let any = self.named.is_empty().then_some(("", &*self.defaults.policy));
        any.into_iter().chain(self.named.iter().map(|(name, shop)| (name.as_str(), &*shop.policy)))
    }

    /// The policy of a shop that may not be configured any more: what was promised to its customers is still kept.
    #[must_use]
    pub fn policy_or_default(&self, shop: &str) -> &Arc<ShopPolicy> {
        &self.named.get(shop).unwrap_or(&self.defaults).policy
    }

    /// The policy of a shop. When the configuration names no shop, every shop has the defaults; when it names one, the
    /// others are unknown.
    #[must_use]
    pub fn policy(&self, shop: &str) -> Option<&Arc<ShopPolicy>> {
        let shop = if self.named.is_empty() { Some(&self.defaults) } else { self.named.get(shop) };
        shop.map(|shop| &shop.policy)
    }
}

/// The whole configuration, valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Bounds on requests.
    pub limits: Limits,
    /// Accepted tokens; none means that whoever reaches the address may do everything.
    pub tokens: Vec<Token>,
    /// Shops.
    pub shops: Shops,
    /// An embedding model to ask beside the words; none by default.
    pub semantic: Option<SemanticConfig>,
    /// Endpoints that get pushes.
    pub webhooks: Vec<Webhook>,
    /// Where conversations are kept: `postgres://...`; a SQLite file in the data folder by default.
    pub store: Option<StoreUrl>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            limits: Limits::default(),
            tokens: Vec::new(),
            shops: Shops::default(),
            semantic: None,
            webhooks: Vec::new(),
            store: None,
        }
    }
}

/// Why a configuration is not valid.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0} cannot be read: {1}")]
    File(String, std::io::Error),
    /// The file is not TOML, or has a wrong key or value.
    #[error("{0}: {1}")]
    Toml(String, String),
    /// A token is malformed.
    #[error("{0}")]
    Token(String),
    /// A channel's replies would be lost.
    #[error(
        "channel `{0}` pushes its replies, but no [[webhooks]] takes them: add one with events = [\"reply\"] for this shop and channel, or set replies = \"response\""
    )]
    Unheard(String),
    /// The address would serve strangers without asking for a token.
    #[error(
        "{0} is not a loopback address and no tokens are configured: anybody who reaches it could read and post. Make a token with `yingda token` and configure it, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    listen: Option<SocketAddr>,
    limits: Limits,
    defaults: Table,
    shops: BTreeMap<String, Table>,
    semantic: Option<SemanticConfig>,
    tokens: Vec<RawToken>,
    webhooks: Vec<Webhook>,
    store: Option<StoreUrl>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawToken {
    name: String,
    role: Role,
    sha256: String,
    #[serde(default)]
    shops: Vec<String>,
}

impl Config {
    /// Reads `file`, if there is one, and then `tokens` of the environment: `role:token` pairs separated by commas.
    ///
    /// # Errors
    /// What is wrong, where, and how to mend it.
    pub fn read(file: Option<&Path>, tokens: Option<&str>) -> Result<Self, ConfigError> {
        let mut config = match file {
            None => Self::default(),
            Some(path) => {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File(name.clone(), error))?;
                Self::parse(&name, &text)?
            }
        };
        config.tokens.extend(environment_tokens(tokens.unwrap_or_default())?);
        Ok(config)
    }

    fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let wrong = |what: String| ConfigError::Toml(name.to_owned(), what);
        // The parser's own report quotes the line, which may hold a key.
        let raw: RawConfig = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            wrong(format!("line {line}: {}", error.message()))
        })?;
        let defaults = shop(raw.defaults.clone()).map_err(|what| wrong(format!("[defaults]: {what}")))?;
        let mut named = BTreeMap::new();
        for (name, table) in raw.shops {
            let merged = merge(raw.defaults.clone(), table);
            named.insert(name.clone(), shop(merged).map_err(|what| wrong(format!("[shops.{name}]: {what}")))?);
        }
        let tokens = raw.tokens.into_iter().map(file_token).collect::<Result<_, _>>()?;
        check_webhooks(&raw.webhooks).map_err(wrong)?;
        Ok(Self {
            listen: raw.listen.unwrap_or(Self::default().listen),
            limits: raw.limits,
            tokens,
            shops: Shops { defaults, named },
            semantic: raw.semantic,
            webhooks: raw.webhooks,
            store: raw.store,
        })
    }

    /// Refuses an address that strangers reach while no token is asked for, and channels whose replies nobody would get.
    ///
    /// # Errors
    /// [`ConfigError::Open`], [`ConfigError::Unheard`].
    pub fn guard(&self) -> Result<(), ConfigError> {
        self.shops.each().try_for_each(|(shop, policy)| self.heard(shop, policy))?;
        if self.tokens.is_empty() && !self.listen.ip().is_loopback() {
            Err(ConfigError::Open(self.listen))
        } else {
            Ok(())
        }
    }

    /// Every channel whose replies are pushed has an endpoint that takes them.
    fn heard(&self, shop: &str, policy: &ShopPolicy) -> Result<(), ConfigError> {
        let pushed = policy.channels.iter().filter(|(_, channel)| channel.replies == Delivery::Push);
        let takes = |channel: &str| is_wanted(&self.webhooks, PushKind::Reply, shop, Some(channel));
        match pushed.map(|(channel, _)| channel).find(|channel| !takes(channel)) {
            Some(channel) => Err(ConfigError::Unheard(channel.clone())),
            None => Ok(()),
        }
    }
}

/// Address of a database; its password is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StoreUrl(String);

impl StoreUrl {
    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StoreUrl {
    type Error = String;

    fn try_from(url: String) -> Result<Self, String> {
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        known.then_some(Self(url)).ok_or_else(|| "store: write postgres://user:password@host:5432/database".to_owned())
    }
}

impl std::str::FromStr for StoreUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        Self::try_from(url.to_owned())
    }
}

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreUrl(postgres://...)")
    }
}

fn check_webhooks(webhooks: &[Webhook]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for webhook in webhooks {
        if webhook.name.is_empty() || !names.insert(&webhook.name) {
            return Err(format!("[[webhooks]]: the name `{}` is empty or used twice", webhook.name));
        }
        if webhook.events.is_empty() {
            return Err(format!("[[webhooks]] `{}`: name the events it gets, such as \"reply\"", webhook.name));
        }
    }
    Ok(())
}

fn shop(mut table: Table) -> Result<Shop, String> {
    let facts = table.remove("facts").map(FactsConfig::deserialize).transpose();
    let facts = facts.map_err(|error| format!("facts: {}", error.message()))?;
    let policy = ShopPolicy::deserialize(Value::Table(table)).map_err(|error| error.message().to_owned())?;
    if !policy.thresholds.are_confidences() {
        return Err("thresholds are confidences: write values from 0 to 1".to_owned());
    }
    Ok(Shop { policy: Arc::new(policy), facts })
}

/// `over` on top of `base`, tables joined key by key.
fn merge(mut base: Table, over: Table) -> Table {
    for (key, value) in over {
        let joined = match (base.remove(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => Value::Table(merge(below, above)),
            (_, value) => value,
        };
        base.insert(key, joined);
    }
    base
}

fn file_token(raw: RawToken) -> Result<Token, ConfigError> {
    let mut hash = TokenHash::default();
    hex::decode_to_slice(&raw.sha256, &mut hash).map_err(|_| {
        ConfigError::Token(format!("token `{}`: sha256 must be 64 hex digits; `yingda token` prints them", raw.name))
    })?;
    Ok(Token { name: raw.name, role: raw.role, hash, shops: raw.shops })
}

fn environment_tokens(text: &str) -> Result<Vec<Token>, ConfigError> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let known = pair.split_once(':').and_then(|(role, token)| Some((Role::from_name(role)?, token)));
            let Some((role, token)) = known.filter(|(_, token)| token.len() >= 16) else {
                let what = "YINGDA_TOKENS holds `role:token` pairs separated by commas; roles are channel, agent, editor, admin; a token has 16 characters or more";
                return Err(ConfigError::Token(what.to_owned()));
            };
            Ok(Token { name: format!("{} from the environment", role.name()), role, hash: hash_token(token), shops: Vec::new() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_shops_every_shop_has_the_defaults() {
        let config = Config::parse("test", "[defaults]\nregreet_hours = 6").unwrap();
        assert_eq!(config.shops.policy("any").unwrap().regreet_hours, 6);
    }

    #[test]
    fn a_named_shop_stands_on_the_defaults_and_others_are_unknown() {
        let text = "[defaults]\nregreet_hours = 6\n[defaults.thresholds]\nanswer = 0.9\n[shops.a]\nplatform = \"line\"\n[shops.a.thresholds]\nmenu = 0.5";
        let config = Config::parse("test", text).unwrap();
        let policy = config.shops.policy("a").unwrap();
        assert_eq!((policy.regreet_hours, policy.thresholds.answer, policy.thresholds.menu), (6, 0.9, 0.5));
        assert!(config.shops.policy("b").is_none());
    }

    const EXAMPLE: &str = include_str!("../yingda.example.toml");

    #[test]
    fn the_example_shows_the_defaults() {
        assert_eq!(Config::parse("example", EXAMPLE).unwrap(), Config::default());
    }

    #[test]
    fn what_the_example_comments_out_is_valid_too() {
        let is_setting = |line: &&str| line.starts_with('[') || line.split(' ').nth(1) == Some("=");
        let settings = EXAMPLE.lines().map(|line| line.strip_prefix("# ").filter(is_setting).unwrap_or(line));
        let text =
            settings.collect::<Vec<_>>().join("\n").replace("sha256 = \"...\"", &format!("sha256 = \"{:064}\"", 0));
        let config = Config::parse("example", &text).unwrap();
        assert_eq!((config.tokens.len(), config.webhooks.len(), config.shops.facts().count()), (1, 1, 1));
        assert!(config.store.is_some() && config.semantic.is_some());
    }

    #[test]
    fn faults_name_the_place() {
        for (text, place) in [
            ("[defaults]\ntime_zone = \"Mars\"", "[defaults]"),
            ("[shops.a]\nhours = { mon = [\"9-5\"] }", "[shops.a]"),
            ("lisen = 1", "lisen"),
            ("[defaults.thresholds]\nanswer = 80.0", "[defaults]"),
            ("[[tokens]]\nname = \"x\"\nrole = \"admin\"\nsha256 = \"12\"", "`x`"),
        ] {
            let message = Config::parse("test", text).unwrap_err().to_string();
            assert!(message.contains(place), "{message}");
        }
    }

    #[test]
    fn pushed_replies_need_somebody_who_takes_them() {
        let channel = "[defaults.channels.a]\nreplies = \"push\"\n";
        let webhook = |more: &str| {
            let common = "[[webhooks]]\nname = \"w\"\nurl = \"https://example.com\"\nsecret = \"x\"\n";
            Config::parse("test", &format!("{channel}{common}{more}")).unwrap().guard()
        };
        assert!(Config::parse("test", channel).unwrap().guard().is_err());
        assert!(webhook("events = [\"handoff\"]").is_err());
        assert!(webhook("events = [\"reply\"]\nchannels = [\"b\"]").is_err());
        assert!(webhook("events = [\"reply\"]\nchannels = [\"a\"]").is_ok());
    }

    #[test]
    fn a_stranger_s_address_needs_a_token() {
        let mut config = Config { listen: SocketAddr::from(([0, 0, 0, 0], 80)), ..Config::default() };
        assert!(config.guard().is_err());
        config.tokens = environment_tokens("admin:0123456789abcdef").unwrap();
        assert!(config.guard().is_ok());
        assert!(environment_tokens("root:0123456789abcdef").is_err());
        assert!(environment_tokens("admin:short").is_err());
    }
}
