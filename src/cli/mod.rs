//! The command line: one file a subcommand.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks on its standard streams")]

mod check;
mod completions;
mod eval;
mod search;
mod semantic;
mod serve;
mod store;
mod token;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Exit codes: 0 fine; 1 the content or the measurement fails; 2 wrong usage or a broken environment.
const FAILED: u8 = 1;
const BROKEN: u8 = 2;

/// yingda 应答 answers a shop's customers the moment they write.
///
/// Start with `yingda check`, which reads the FAQ files in ./faq and lists every fault; then `yingda serve`, and post a
/// customer's message to http://127.0.0.1:8080/v1/messages. `yingda search 多久发货` shows what a text would match and why.
#[derive(Debug, Parser)]
#[command(name = "yingda", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the HTTP API
    Serve(serve::Options),
    /// Read all FAQ files and list every fault
    Check(check::Options),
    /// Show what a text matches, and why
    Search(search::Options),
    /// Measure the matcher on labelled questions
    Eval(eval::Options),
    /// Print a conversation: every event with its decision
    Export(store::Export),
    /// Delete what is kept of a customer
    Erase(store::Erase),
    /// List pushes, send dead letters again
    Outbox(store::Outbox),
    /// Make a bearer token and the hash to configure
    Token(token::Options),
    /// Print a completion script for a shell
    Completions(completions::Options),
}

/// Where the content lies.
#[derive(Debug, Args)]
struct Folders {
    /// Folder of FAQ files
    #[arg(long, value_name = "DIR", default_value = "faq", env = "YINGDA_FAQ")]
    faq: PathBuf,
}

/// Read when no `--config` is given.
const DEFAULT_CONFIG: &str = "yingda.toml";

/// The configuration file: the one named, else the default where it is there.
fn config_file(named: Option<&Path>) -> Option<PathBuf> {
    let found = Path::new(DEFAULT_CONFIG);
    named.or_else(|| found.exists().then_some(found)).map(Path::to_owned)
}

/// Parses the arguments, runs the subcommand, tells its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(options) => serve::run(options),
        Command::Check(options) => check::run(&options),
        Command::Search(options) => search::run(&options),
        Command::Eval(options) => eval::run(&options),
        Command::Export(options) => store::export(&options),
        Command::Erase(options) => store::erase(&options),
        Command::Outbox(options) => store::outbox(&options),
        Command::Token(options) => token::run(&options),
        Command::Completions(options) => completions::run(&options),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("yingda: {error:#}");
        ExitCode::from(BROKEN)
    })
}

/// Today in UTC, by which content counts as expired.
fn today() -> jiff::civil::Date {
    crate::bot::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// A progress bar for work of more than a second; silent when nobody watches.
fn progress(length: usize, what: &'static str) -> indicatif::ProgressBar {
    let style = indicatif::ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} {eta}")
        .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    indicatif::ProgressBar::new(length as u64).with_style(style).with_message(what)
}

/// A spinner for work of unknown length; silent when nobody watches.
fn spinner(what: &'static str) -> indicatif::ProgressBar {
    let spinner = indicatif::ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    spinner
}
