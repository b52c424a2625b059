//! `yingda eval`: the matcher measured on labelled questions.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};

use crate::eval::dataset::read_queries;
use crate::eval::metrics::summarise;
use crate::eval::run as run_queries;
use crate::faq::Entry;
use crate::faq::load::{built_in_analyzer, built_in_out_of_scope, entries_from_jsonl, load};
use crate::knowledge::{Extras, build_matcher};
use crate::matching::{Matcher, Thresholds};
use crate::semantic::Semantic;

/// Prints top-1, hit@3, MRR@10, coverage at 95, 90 and 80 % precision, the outcome at the shipped thresholds, the
/// calibration error and the time a query.
///
/// A query line is {"q": "...", "id": "entry id or null"}; null means that abstaining is right.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The corpus: a FAQ folder, or a file of lines {"id", "question", "alts"}
    #[arg(long, value_name = "PATH", default_value = "faq")]
    entries: PathBuf,
    /// Labelled questions, one JSON object a line
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    #[command(flatten)]
    semantic: super::semantic::SemanticFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Exit with 1 when top-1 is below this
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_top1: Option<f64>,
    /// Exit with 1 when coverage at 90 % precision is below this
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_cov90: Option<f64>,
    /// Exit with 1 when precision at the shipped thresholds is below this
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_precision: Option<f64>,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let spinner = super::spinner("reading and learning the entries");
    let asked = options.semantic.open()?;
    let (matcher, entries) = corpus(&options.entries, asked.as_ref().map(|asked| &asked.semantic))?;
    spinner.finish_and_clear();
    let queries = read_queries(&read(&options.queries)?)
        .map_err(|what| anyhow::anyhow!("{}: {what}", options.queries.display()))?;
    if queries.is_empty() {
        bail!("{} holds no queries", options.queries.display());
    }
    let bar = super::progress(queries.len(), "asking");
    let outcomes = run_queries(&matcher, &entries, &queries, Thresholds::default(), |text| {
        bar.inc(1);
        asked.as_ref().and_then(|asked| asked.vector(text))
    })?;
    bar.finish_and_clear();
    let summary = summarise(&outcomes);
    if options.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        println!("{summary}");
    }
    let bars = [
        ("top1", summary.top1, options.min_top1),
        ("cov90", summary.cov90, options.min_cov90),
        ("precision", summary.precision, options.min_precision),
    ];
    let missed: Vec<_> = bars.iter().filter(|(_, value, bar)| bar.is_some_and(|bar| *value < bar)).collect();
    for (name, value, bar) in &missed {
        eprintln!("{name} is {value:.4}, below {:.4}", bar.unwrap_or_default());
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) })
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "write a share from 0 to 1".to_owned())
}

fn corpus(path: &Path, semantic: Option<&Semantic>) -> anyhow::Result<(Matcher, Vec<Entry>)> {
    let (entries, analyzer, out_of_scope) = if path.is_dir() {
        let loaded = load(path, super::today()).context("the FAQ files cannot be measured")?;
        (loaded.corpus.entries, loaded.analyzer, (loaded.corpus.out_of_scope, loaded.corpus.has_own_out_of_scope))
    } else {
        let entries = entries_from_jsonl(&path.display().to_string(), &read(path)?).map_err(|faults| {
            anyhow::anyhow!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?;
        (entries, Arc::new(built_in_analyzer()?), (built_in_out_of_scope(), false))
    };
    if entries.is_empty() {
        bail!("{} holds no entries", path.display());
    }
    Ok((
        build_matcher(
            &entries,
            &analyzer,
            "",
            Extras { out_of_scope: &out_of_scope.0, learns_out_of_scope: out_of_scope.1, semantic },
            None,
        )?,
        entries,
    ))
}

fn read(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(text.trim_start_matches('\u{FEFF}').to_owned())
}
