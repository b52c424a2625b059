//! `yingda serve`: the HTTP API over one folder of FAQ files.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::bot::courier::Courier;
use crate::bot::{Bot, clockwork, mailroom};
use crate::config::Config;
use crate::conversation::outgoing::PushKind;
use crate::faq::load::LoadError;
use crate::http::{App, run as serve};
use crate::knowledge::{Knowledge, KnowledgeError};
use crate::semantic::Semantic;
use crate::telemetry;

/// Without tokens it listens on loopback addresses only. Stop it with Ctrl-C or SIGTERM: open requests end first.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Address to listen on, over the configuration's
    #[arg(long, value_name = "ADDR:PORT", env = "YINGDA_LISTEN")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    folders: super::Folders,
    /// Folder of the built index
    #[arg(long, value_name = "DIR", default_value = "index", env = "YINGDA_INDEX")]
    index: PathBuf,
    #[command(flatten)]
    store: super::store::StoreFlags,
    /// Configuration file; yingda.toml is used when it is there
    #[arg(long, value_name = "FILE", env = "YINGDA_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    semantic: super::semantic::SemanticFlags,
    /// Log one JSON object a line
    #[arg(long, env = "YINGDA_LOG_JSON", value_parser = clap::builder::BoolishValueParser::new())]
    log_json: bool,
}

pub(super) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    telemetry::start_logs(options.log_json)?;
    let config = Arc::new(config(&options)?);
    let spinner = super::spinner("reading, indexing and learning the FAQ files");
    let semantic = options.semantic.config(config.semantic.as_ref()).map(Semantic::new).transpose()?.map(Arc::new);
    let knowledge = match Knowledge::open(&options.folders.faq, Some(&options.index), semantic, super::today()) {
        Ok(knowledge) => Arc::new(knowledge),
        Err(KnowledgeError::Load(LoadError::Faults(faults))) => {
            for fault in &faults {
                eprintln!("{fault}");
            }
            anyhow::bail!("{} has errors; mend them, or name another folder with --faq", options.folders.faq.display());
        }
        Err(error) => return Err(error.into()),
    };
    spinner.finish_and_clear();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run_until_stopped(&options, config, knowledge, started));
    // A reload that hangs on a file must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome?;
    Ok(ExitCode::SUCCESS)
}

fn config(options: &Options) -> anyhow::Result<Config> {
    let file = super::config_file(options.config.as_deref());
    let tokens = std::env::var("YINGDA_TOKENS").ok();
    let mut config = Config::read(file.as_deref(), tokens.as_deref())?;
    config.listen = options.listen.unwrap_or(config.listen);
    config.guard()?;
    Ok(config)
}

async fn run_until_stopped(
    options: &Options,
    config: Arc<Config>,
    knowledge: Arc<Knowledge>,
    started: Instant,
) -> anyhow::Result<()> {
    let store = options.store.open(config.store.as_ref(), true).await?;
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("{} cannot be listened on; name another address with --listen", config.listen))?;
    let address = listener.local_addr()?;
    let generation = knowledge.current();
    let bot = Bot::new(knowledge, store, Arc::new(config.shops.clone()), config.webhooks.clone())
        .with_accounts(config.accounts.clone())
        .with_facts()?;
    let courier = Courier::new(bot.clone())?;
    let mailroom = mailroom::run(bot.clone(), config.limits.text_chars)?;
    if !bot.subscribers().iter().any(|subscriber| subscriber.events.contains(&PushKind::Reply)) {
        tracing::info!(
            "no [[webhooks]] or [[channels]] takes replies: reminders, holding and queue scripts do not go out by themselves"
        );
    }
    if config.tokens.is_empty() {
        tracing::warn!(
            "no tokens are configured: whoever reaches {address} may do everything, so only loopback addresses are served"
        );
    }
    let has_chat = bot.accounts().iter().any(|account| account.channel().page().is_some());
    let chat = if has_chat { format!(", chat as a customer at http://{address}/chat") } else { String::new() };
    tracing::info!(
        entries = generation.corpus.entries.len(),
        phrasings = generation.corpus.phrasings(),
        warnings = generation.warnings.len(),
        generation = generation.fingerprint,
        milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "ready on http://{address}, API page at http://{address}/docs{chat}"
    );
    // All end with the runtime: what they were at is found in the store by the next start.
    tokio::spawn(clockwork::run(bot.clone()));
    tokio::spawn(courier.run());
    tokio::spawn(mailroom);
    serve(listener, App::new(bot, config, telemetry::metrics()?), stop_signal()).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Ctrl-C or SIGTERM.
async fn stop_signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be waited for");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => {
            if let Err(error) = outcome {
                tracing::warn!(%error, "Ctrl-C cannot be waited for");
                std::future::pending::<()>().await;
            }
        }
        () = terminate => {}
    }
}
