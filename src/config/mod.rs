//! The configuration, read once: defaults, then the file, then the environment; flags stand above all of it.

mod shops;
mod store;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::Deserialize;
use toml::Table;

pub use self::shops::Shops;
pub use self::store::StoreUrl;
use self::tokens::{RawToken, environment_tokens, file_token};
pub use self::tokens::{Role, Token, TokenHash, hash_token};

use crate::channel::account::Account;
use crate::channel::settings;
use crate::conversation::outgoing::{PushKind, Subscriber, Webhook, is_wanted};
use crate::outbound::guard::may_hold_secrets;
use crate::outbound::webhook::Secret;
use crate::reply::policy::{Delivery, ShopPolicy};
use crate::semantic::SemanticConfig;

/// Bounds on requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest body, in bytes.
    pub body_bytes: usize,
    /// Largest body of a platform's webhook, in bytes: some send many events at once.
    pub hook_bytes: usize,
    /// Longest text of a message, in characters.
    pub text_chars: usize,
    /// Requests a second and client (token, or address without one).
    pub requests_per_second: u32,
    /// Requests that a client may make at once.
    pub burst: u32,
    /// Seconds after which a request is given up.
    pub request_seconds: u64,
    /// Web chats that may listen at once; each holds a connection.
    pub streams: usize,
}

impl Limits {
    /// With a limit of nothing nothing would be served.
    fn check(self) -> Result<(), String> {
        let all = [
            ("body_bytes", self.body_bytes == 0),
            ("hook_bytes", self.hook_bytes == 0),
            ("text_chars", self.text_chars == 0),
            ("requests_per_second", self.requests_per_second == 0),
            ("burst", self.burst == 0),
            ("request_seconds", self.request_seconds == 0),
            ("streams", self.streams == 0),
        ];
        let nothing = all.into_iter().find(|(_, is_nothing)| *is_nothing);
        nothing.map_or(Ok(()), |(name, _)| Err(format!("[limits] `{name}`: write 1 or more")))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 10,
            hook_bytes: 4 << 20,
            text_chars: 5_000,
            requests_per_second: 10_000,
            burst: 20_000,
            request_seconds: 10,
            streams: 500,
        }
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
    /// Channel accounts.
    pub accounts: Vec<Account>,
    /// Where conversations are kept: `postgres://...`; a SQLite file in the data folder by default.
    pub store: Option<StoreUrl>,
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
    channels: Vec<Table>,
    store: Option<StoreUrl>,
}

/// Tables of which there may be several.
const LISTS: [&str; 3] = ["channels", "webhooks", "tokens"];

impl Config {
    /// Reads `file`, if there is one, and then `tokens` of the environment: `role:token` pairs separated by commas.
    ///
    /// # Errors
    /// What is wrong, where, and how to mend it.
    pub fn read(file: Option<&Path>, tokens: Option<&str>) -> Result<Self, ConfigError> {
        let mut config = match file {
            None => Self::parse("", "")?,
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
            let written = text.lines().nth(line - 1).unwrap_or_default().trim();
            let twice = LISTS.iter().find(|list| written.starts_with(&format!("[{list}]")));
            wrong(match twice {
                Some(list) => format!("line {line}: write [[{list}]]: there may be several"),
                None => format!("line {line}: {}", settings::fault(&error)),
            })
        })?;
        let mut shops = Shops::read(raw.defaults, raw.shops).map_err(wrong)?;
        let tables = if raw.channels.is_empty() && shops.are_any() { vec![first_chat()] } else { raw.channels };
        let accounts = accounts(tables, &mut shops).map_err(wrong)?;
        let tokens = raw.tokens.into_iter().map(file_token).collect::<Result<_, _>>()?;
        check_webhooks(&raw.webhooks).map_err(wrong)?;
        raw.limits.check().map_err(wrong)?;
        Ok(Self {
            listen: raw.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            limits: raw.limits,
            tokens,
            shops,
            semantic: raw.semantic,
            webhooks: raw.webhooks,
            accounts,
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
        let subscribers: Vec<Subscriber> =
            self.webhooks.iter().map(Subscriber::from).chain(self.accounts.iter().map(Account::subscriber)).collect();
        let takes = |channel: &str| {
            let is_account = self.accounts.iter().any(|account| account.name.as_str() == channel);
            is_account || is_wanted(&subscribers, PushKind::Reply, shop, Some(channel))
        };
        match pushed.map(|(channel, _)| channel).find(|channel| !takes(channel)) {
            Some(channel) => Err(ConfigError::Unheard(channel.clone())),
            None => Ok(()),
        }
    }
}

/// The web chat that is there when nothing is configured: whoever starts the service can talk to it at once.
fn first_chat() -> Table {
    let settings = [("name", "chat"), ("shop", "demo"), ("type", "web")];
    let mut table: Table = settings.map(|(key, value)| (key.to_owned(), value.into())).into_iter().collect();
    table.insert("debounce_ms".to_owned(), 700.into());
    table
}

fn accounts(tables: Vec<Table>, shops: &mut Shops) -> Result<Vec<Account>, String> {
    let mut names = BTreeSet::new();
    let mut accounts = Vec::with_capacity(tables.len());
    for table in tables {
        let account = Account::read(with_environment(table)?)?;
        if !names.insert(account.name.clone()) {
            return Err(format!("[[channels]]: the name `{}` is used twice", account.name));
        }
        for (setting, url) in &account.addresses {
            let wrong = |error| format!("[[channels]] `{}`: `{setting}`: {error}", account.name);
            may_hold_secrets(url, account.allow_private).map_err(wrong)?;
        }
        shops.serve(&account)?;
        accounts.push(account);
    }
    Ok(accounts)
}

/// Settings that are written `env:NAME` are read from the environment: secrets need not stand in a file.
fn with_environment(mut table: Table) -> Result<Table, String> {
    let account = table.get("name").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
    for (key, value) in &mut table {
        let Some(name) = value.as_str().and_then(|text| text.strip_prefix("env:")) else { continue };
        let read = std::env::var(name);
        let unset = |_| match name {
            "" => format!("[[channels]] `{account}`: `{key}`: write the variable's name behind env:"),
            name => format!("[[channels]] `{account}`: `{key}`: no variable {name} in the environment"),
        };
        *value = read.map_err(unset)?.into();
    }
    Ok(table)
}

fn check_webhooks(webhooks: &[Webhook]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for webhook in webhooks {
        if webhook.name.is_empty() || !names.insert(&webhook.name) {
            return Err(format!("[[webhooks]]: the name `{}` is empty or used twice", webhook.name));
        }
        if webhook.name.starts_with("channel:") {
            return Err(format!(
                "[[webhooks]] `{}`: names that begin with channel: are those of accounts",
                webhook.name
            ));
        }
        if let Err(error) = webhook.secret.parse::<Secret>() {
            return Err(format!("[[webhooks]] `{}`: `secret`: {error}", webhook.name));
        }
        if webhook.events.is_empty() {
            return Err(format!("[[webhooks]] `{}`: name the events it gets, such as \"reply\"", webhook.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::PLATFORMS;

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

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const EXAMPLE: &str = include_str!("../../yingda.example.toml");

    #[test]
    fn the_example_shows_the_defaults() {
        assert_eq!(Config::parse("example", EXAMPLE).unwrap(), Config::parse("", "").unwrap());
    }

    #[test]
    fn what_the_example_comments_out_is_valid_too() {
        let is_setting = |line: &&str| line.starts_with('[') || line.split(' ').nth(1) == Some("=");
        let settings = EXAMPLE.lines().map(|line| line.strip_prefix("# ").filter(is_setting).unwrap_or(line));
        let text = settings
            .collect::<Vec<_>>()
            .join("\n")
            .replace("sha256 = \"...\"", &format!("sha256 = \"{:064}\"", 0))
            .replace("whsec_...", KEY)
            .replace("aes_key = \"...\"", "aes_key = \"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG\"")
            .replace("\"...\"", "\"hush\"");
        let config = Config::parse("example", &text).unwrap();
        assert_eq!((config.tokens.len(), config.webhooks.len(), config.shops.facts().count()), (1, 1, 1));
        assert_eq!(config.accounts.len(), PLATFORMS.len());
        assert!(config.store.is_some() && config.semantic.is_some());
    }

    #[test]
    fn faults_name_the_place() {
        for (text, place) in [
            ("[defaults]\ntime_zone = \"Mars\"", "[defaults]"),
            ("[shops.a]\nhours = { mon = [\"9-5\"] }", "[shops.a]"),
            ("lisen = 1", "lisen"),
            ("[limits]\nstreams = 0", "`streams`"),
            ("[limits]\nrequest_seconds = 0", "`request_seconds`"),
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
            let common = "[[webhooks]]\nname = \"w\"\nurl = \"https://example.com\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
            Config::parse("test", &format!("{channel}{common}{more}")).unwrap().guard()
        };
        assert!(Config::parse("test", channel).unwrap().guard().is_err());
        assert!(webhook("events = [\"handoff\"]").is_err());
        assert!(webhook("events = [\"reply\"]\nchannels = [\"b\"]").is_err());
        assert!(webhook("events = [\"reply\"]\nchannels = [\"a\"]").is_ok());
    }

    #[test]
    fn a_secret_may_stand_in_the_environment() {
        let account = |secret: &str| {
            let text = format!(
                "[[channels]]\nname = \"a\"\nshop = \"s\"\ntype = \"line\"\nchannel_access_token = \"t\"\nchannel_secret = \"{secret}\""
            );
            Config::parse("test", &text)
        };
        assert_eq!(account("env:CARGO_PKG_NAME").unwrap().accounts.len(), 1);
        let fault = account("env:NOBODY_SET_THIS").unwrap_err().to_string();
        assert!(fault.contains("channel_secret") && fault.contains("NOBODY_SET_THIS"), "{fault}");
    }

    #[test]
    fn an_account_that_cannot_be_is_told_why_without_its_secret() {
        for (text, says) in [
            ("type = \"line\"", "missing field"),
            ("type = \"lime\"", "types are generic"),
            (
                "type = \"line\"\nchannel_secret = \"\"\nchannel_access_token = \"t\"",
                "`channel_secret`: it is empty or a placeholder",
            ),
            (
                "type = \"line\"\nchannel_secret = [\"hush\"]\nchannel_access_token = \"t\"",
                "`channel_secret`: not as it should be, expected a string",
            ),
            ("type = [\"hush\"]", "`type`: not as it should be"),
            ("type = \"web\"\ndebounce = 1", "debounce_ms"),
            (
                "type = \"line\"\nchannel_secret = \"hush\"\nchannel_access_token = \"hush\"\napi_url = \"https://api.line.me?x\"",
                "`api_url`",
            ),
            ("type = \"line\"\nchannel_secret = \"...\"\nchannel_access_token = \"hush\"", "`channel_secret`"),
            ("type = \"line\"\nchannel_secret = \"env:\"\nchannel_access_token = \"hush\"", "behind env:"),
            (
                "type = \"line\"\nchannel_secret = \"hush\"\nchannel_access_token = \"hush\"\napi_url = \"http://example.com\"",
                "`api_url`: the address may not be called: write https://",
            ),
            (
                "type = \"line\"\nchannel_secret = \"hush\"\nchannel_access_token = \"hush\"\napi_url = \"https://10.0.0.1\"",
                "allow_private",
            ),
            ("type = \"line\"\nchannel_secrets = \"hush\"", "channel_secret"),
            ("type = \"generic\"\nsecret = \"hush\"", "whsec_"),
        ] {
            let text = format!("[[channels]]\nname = \"a\"\nshop = \"s\"\n{text}");
            let fault = Config::parse("test", &text).unwrap_err().to_string();
            assert!(fault.contains(says) && fault.contains("`a`") && !fault.contains("hush"), "{fault}");
        }
        let single = Config::parse("test", "[channels]\nname = \"a\"").unwrap_err().to_string();
        assert!(single.contains("line 1: write [[channels]]"), "{single}");
        let twice = "[[channels]]\nname = \"a\"\nshop = \"s\"\ntype = \"web\"\n".repeat(2);
        assert!(Config::parse("test", &twice).unwrap_err().to_string().contains("twice"));
        let stranger = "[shops.b]\n[[channels]]\nname = \"a\"\nshop = \"s\"\ntype = \"web\"\n";
        assert!(Config::parse("test", stranger).unwrap_err().to_string().contains("[shops.s]"));
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_not_repeated() {
        for (text, says) in [
            ("[[webhooks]]\nsecret = 20211", "line 2: "),
            ("[semantic]\nkey = 20211", "line 2: "),
            ("[shops.a]\nregreet_hours = \"20211\"", "`regreet_hours`: not as it should be"),
        ] {
            let fault = Config::parse("test", text).unwrap_err().to_string();
            assert!(fault.contains(says) && !fault.contains("20211"), "{fault}");
        }
    }

    #[test]
    fn a_stranger_s_address_needs_a_token() {
        let mut config = Config { listen: SocketAddr::from(([0, 0, 0, 0], 80)), ..Config::parse("", "").unwrap() };
        assert!(config.guard().is_err());
        config.tokens = environment_tokens("admin:0123456789abcdef").unwrap();
        assert!(config.guard().is_ok());
        assert!(environment_tokens("root:0123456789abcdef").is_err());
        assert!(environment_tokens("admin:short").is_err());
    }
}
