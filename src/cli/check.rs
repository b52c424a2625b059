//! `yingda check`: every fault of all FAQ files at once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::analysis::speech::SpeechAct;
use crate::config::Config;
use crate::faq::Corpus;
use crate::faq::fault::{Fault, Severity};
use crate::faq::load::{LoadError, load};

/// Prints file, line, what is wrong and how to mend it. Exit code 0: no errors (warnings may stand); 1: errors.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Folder of FAQ files
    #[arg(value_name = "DIR", default_value = "faq")]
    dir: PathBuf,
    /// Read this configuration too, as `yingda serve` would
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the faults as a JSON list
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if let Some(file) = &options.config {
        let tokens = std::env::var("YINGDA_TOKENS").ok();
        Config::read(Some(file), tokens.as_deref())?.guard()?;
    }
    let (faults, summary) = match load(&options.dir, super::today()) {
        Ok(loaded) => {
            let corpus = &loaded.corpus;
            let (words, groups, rewrites) = loaded.lexicon_sizes();
            let summary = format!(
                "{} entries with {} phrasings, {} scripts, {words} dictionary words, {groups} synonym groups, {rewrites} rewrites, {} texts out of scope, phrases of speech acts: {}",
                corpus.entries.len(),
                corpus.phrasings(),
                corpus.scripts.len(),
                corpus.out_of_scope.len(),
                acts(corpus),
            );
            (loaded.warnings, summary)
        }
        Err(LoadError::Faults(faults)) => (faults, "not loadable".to_owned()),
        Err(error @ LoadError::Analysis(_)) => return Err(error.into()),
    };
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error).count();
    print(&faults, errors, &summary, options)?;
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) })
}

/// Speech acts with the number of their phrases.
fn acts(corpus: &Corpus) -> String {
    let mut counts: BTreeMap<SpeechAct, usize> = BTreeMap::new();
    for list in &corpus.acts {
        *counts.entry(list.act).or_default() += list.phrases.len();
    }
    let named = counts.iter().map(|(act, count)| format!("{} {count}", act.name()));
    named.chain([format!("filler {}", corpus.fillers.len())]).collect::<Vec<_>>().join(", ")
}

fn print(faults: &[Fault], errors: usize, summary: &str, options: &Options) -> anyhow::Result<()> {
    if options.json {
        println!("{}", serde_json::to_string_pretty(faults)?);
        return Ok(());
    }
    for fault in faults {
        println!("{fault}");
    }
    println!(
        "{}: {summary}; {}, {}",
        options.dir.display(),
        counted(errors, "error"),
        counted(faults.len() - errors, "warning")
    );
    Ok(())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
