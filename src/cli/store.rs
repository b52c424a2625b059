//! `yingda export`, `erase` and `outbox`: what an operator does with the store at hand, the service running or not.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Error, ensure};
use serde_json::json;

use super::FAILED;
use crate::bot::now;
use crate::config::{Config, StoreUrl};
use crate::conversation::event::ConversationKey;
use crate::conversation::outgoing::PushState;
use crate::conversation::store::{PostgresStore, PushRow, SqliteStore, Store};

/// Events read at once.
const PAGE: u32 = 500;

/// Where the conversations are.
#[derive(Debug, clap::Args)]
pub(super) struct StoreFlags {
    /// Folder of the store
    #[arg(long, value_name = "DIR", default_value = "data", env = "YINGDA_DATA")]
    pub data: PathBuf,
    /// PostgreSQL (postgres://...) instead of the data folder
    #[arg(long, value_name = "URL", env = "YINGDA_STORE", hide_env_values = true)]
    store: Option<Given>,
}

/// Where the conversations of a configured service are.
#[derive(Debug, clap::Args)]
pub(super) struct Configured {
    /// Configuration file; yingda.toml is used when it is there
    #[arg(long, value_name = "FILE", env = "YINGDA_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: StoreFlags,
}

impl Configured {
    /// Opens the store that the service would open, and says which.
    async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        let configured = Config::read(super::config_file(self.config.as_deref()).as_deref(), None)?.store;
        let postgres = self.flags.store.is_some() || configured.is_some();
        let store = self.flags.open(configured.as_ref(), false).await?;
        match postgres {
            true => eprintln!("store: PostgreSQL"),
            false => eprintln!("store: {}", self.flags.data.join("yingda.db").display()),
        }
        Ok(store)
    }
}

/// A flag's text as it was typed: clap shows what it refuses, and this may hold a password.
#[derive(Clone)]
struct Given(String);

impl From<String> for Given {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given(..)")
    }
}

impl StoreFlags {
    /// Opens the store; the folder is made where it is missing and `make` says so.
    pub async fn open(&self, configured: Option<&StoreUrl>, make: bool) -> anyhow::Result<Arc<dyn Store>> {
        let given: Option<StoreUrl> =
            self.store.as_ref().map(|given| given.0.parse()).transpose().map_err(Error::msg)?;
        if let Some(url) = given.as_ref().or(configured) {
            let store = PostgresStore::connect(url.as_str()).await;
            return Ok(Arc::new(store.context("the PostgreSQL of `store` cannot be used")?));
        }
        let file = self.data.join("yingda.db");
        if make {
            make_private(&self.data)?;
        } else {
            ensure!(file.exists(), "{} is not there; name the data folder with --data", file.display());
        }
        let store = SqliteStore::open(&file).await.with_context(|| format!("{} cannot be used", file.display()))?;
        Ok(Arc::new(store))
    }
}

/// What customers wrote is for nobody else on this machine.
fn make_private(folder: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| {
        format!("the data folder {} cannot be made; name a writable one with --data", folder.display())
    })
}

/// Prints every event of a conversation with its decision, one JSON object a line.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// Shop
    #[arg(long)]
    shop: String,
    /// Channel account
    #[arg(long)]
    channel: String,
    /// Conversation within the channel
    conversation: String,
    /// Hide phone numbers, addresses, ids and e-mail
    #[arg(long)]
    masked: bool,
    #[command(flatten)]
    store: Configured,
}

/// Deletes a customer's conversations, messages and pushes; ids of messages stay, without content.
#[derive(Debug, clap::Args)]
pub(super) struct Erase {
    /// Shop
    #[arg(long)]
    shop: String,
    /// Channel account
    #[arg(long)]
    channel: String,
    /// Customer within the channel
    customer: String,
    #[command(flatten)]
    store: Configured,
}

/// Lists pushes, or sends dead letters again.
#[derive(Debug, clap::Args)]
pub(super) struct Outbox {
    /// Which pushes: pending, sent, dead or dropped
    #[arg(long, default_value = "dead", value_parser = state)]
    state: PushState,
    /// Send dead letters again, all or those of --endpoint
    #[arg(long)]
    replay: bool,
    /// Switch an endpoint on again that answered 410 Gone
    #[arg(long, value_name = "NAME")]
    enable: Option<String>,
    /// Only pushes of this endpoint
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    #[command(flatten)]
    store: Configured,
}

fn state(name: &str) -> Result<PushState, String> {
    PushState::from_name(name).ok_or_else(|| "states are pending, sent, dead, dropped".to_owned())
}

pub(super) fn export(options: &Export) -> anyhow::Result<ExitCode> {
    block_on(async {
        let store = options.store.open().await?;
        let key = ConversationKey {
            channel: options.channel.clone(),
            shop: options.shop.clone(),
            conversation_id: options.conversation.clone(),
        };
        if store.conversation(&key).await?.is_none() {
            eprintln!("no conversation `{}` of this shop and channel", options.conversation);
            return Ok(ExitCode::from(FAILED));
        }
        let (mut out, mut next) = (std::io::stdout().lock(), 0);
        loop {
            let events = store.history(&key, next, PAGE).await?;
            let Some(last) = events.last() else { return Ok(ExitCode::SUCCESS) };
            next = last.seq + 1;
            for mut event in events {
                if options.masked {
                    event.mask();
                }
                match writeln!(out, "{}", serde_json::to_string(&event)?) {
                    // Whoever reads has read enough.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                    written => written?,
                }
            }
        }
    })
}

pub(super) fn erase(options: &Erase) -> anyhow::Result<ExitCode> {
    block_on(async {
        let store = options.store.open().await?;
        let erased = store.erase(&options.channel, &options.shop, &options.customer).await?;
        println!("{}", serde_json::to_string(&erased)?);
        Ok(if erased.events == 0 { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    })
}

pub(super) fn outbox(options: &Outbox) -> anyhow::Result<ExitCode> {
    block_on(async {
        let store = options.store.open().await?;
        if let Some(name) = &options.enable {
            let off = store.disabled_endpoints().await?;
            if !off.iter().any(|endpoint| endpoint.name == *name) {
                let off: Vec<&str> = off.iter().map(|endpoint| endpoint.name.as_str()).collect();
                eprintln!("no endpoint `{name}` is switched off; these are: [{}]", off.join(", "));
                return Ok(ExitCode::from(FAILED));
            }
            store.switch_endpoint(name, None, now()).await?;
            println!("{name} is on");
        }
        if options.replay {
            println!("{} sent again", store.replay(None, options.endpoint.as_deref(), now()).await?);
        } else if options.enable.is_none() {
            let rows = store.pushes(options.state, None, PAGE).await?;
            if rows.is_empty() {
                eprintln!("no push is {}", options.state.name());
            }
            let shown = |row: &PushRow| options.endpoint.as_ref().is_none_or(|name| *name == row.outgoing.endpoint);
            for row in rows.into_iter().filter(shown) {
                let line = json!({
                    "id": row.outgoing.id, "endpoint": row.outgoing.endpoint, "type": row.outgoing.kind,
                    "attempts": row.attempts, "created_at": row.created_at, "error": row.error,
                });
                println!("{line}");
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}
