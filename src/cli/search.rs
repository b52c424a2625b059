//! `yingda search`: the debugger of relevance.

use std::process::ExitCode;

use anyhow::Context;

use crate::analysis::Analysis;
use crate::faq::load::load;
use crate::knowledge::Generation;
use crate::matching::{Candidate, Question};

/// Shows the canonical text, its words, and the best entries with each feature's value and share of the score.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// What a customer might write
    query: String,
    #[command(flatten)]
    folders: super::Folders,
    #[command(flatten)]
    semantic: super::semantic::SemanticFlags,
    /// How many entries to show
    #[arg(short = 'n', long, default_value_t = 5)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let spinner = super::spinner("reading and learning the FAQ files");
    let asked = options.semantic.open()?;
    let loaded = load(&options.folders.faq, super::today()).context("the FAQ files cannot be searched")?;
    let generation = Generation::build(loaded, None, asked.as_ref().map(|asked| &asked.semantic))?;
    spinner.finish_and_clear();
    let analysis = generation.matcher.read(&options.query);
    let vector = asked.as_ref().and_then(|asked| asked.vector(&analysis.text));
    let question = Question { analysis: &analysis, vector: vector.as_deref() };
    let found = generation.matcher.find(question, options.limit, |_| Some(0))?;
    if options.json {
        let rows: Vec<_> = found.candidates.iter().map(|candidate| row(&generation, candidate)).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&generation, &analysis, &found.candidates);
    }
    Ok(if found.candidates.is_empty() { ExitCode::from(super::FAILED) } else { ExitCode::SUCCESS })
}

fn row(generation: &Generation, candidate: &Candidate) -> serde_json::Value {
    let entry = &generation.corpus.entries[candidate.entry as usize];
    serde_json::json!({
        "entry_id": entry.id,
        "question": entry.question(),
        "phrasing": generation.matcher.phrasings().text(candidate.phrasing as usize),
        "score": candidate.score,
        "confidence": candidate.confidence,
        "exact": candidate.exact,
        "features": candidate.features,
    })
}

fn print(generation: &Generation, analysis: &Analysis, candidates: &[Candidate]) {
    println!("canonical   {}", analysis.text);
    println!("words       {}", analysis.word_texts().collect::<Vec<_>>().join(" | "));
    let acts = generation.matcher.analyzer().speech_acts(analysis);
    println!("speech acts {}", if acts.is_empty() { "-".to_owned() } else { format!("{acts:?}") });
    for (place, candidate) in candidates.iter().enumerate() {
        let entry = &generation.corpus.entries[candidate.entry as usize];
        let exact = if candidate.exact { ", exact" } else { "" };
        println!("\n{}. {} 「{}」", place + 1, entry.id, entry.question());
        println!("   confidence {:.3}, score {:.3}{exact}", candidate.confidence, candidate.score);
        println!("   best phrasing 「{}」", generation.matcher.phrasings().text(candidate.phrasing as usize));
        let features = candidate.features;
        let told = |name: &str| name != "meaning" || features.meaning.is_some();
        for (name, value, share) in features.shares().into_iter().filter(|(name, ..)| told(name)) {
            println!("   {name:<18} {value:.3}  share {share:+.3}");
        }
        println!(
            "   beside the score: coverage of the query {:.2}, of the phrasing {:.2}; trust {:.2}; denial {:.0}; length {:.2}",
            features.query_coverage, features.phrasing_coverage, features.trust, features.denial, features.length
        );
    }
}
