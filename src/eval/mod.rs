//! Measuring the matcher on labelled questions.

pub mod dataset;
pub mod metrics;

use std::time::Instant;

use self::dataset::LabelledQuery;
use self::metrics::{Action, Outcome};
use crate::faq::Entry;
use crate::index::IndexError;
use crate::matching::{Matcher, Question, Thresholds};

/// Entries ranked per query: as many as MRR@10 needs.
const RANKED: usize = 10;

/// Runs every query through the matcher, one at a time; `vector` gives that of a text, if there is an embedding model.
///
/// # Errors
/// When the index cannot be read.
pub fn run(
    matcher: &Matcher,
    entries: &[Entry],
    queries: &[LabelledQuery],
    thresholds: Thresholds,
    mut vector: impl FnMut(&str) -> Option<Vec<f32>>,
) -> Result<Vec<Outcome>, IndexError> {
    let mut outcomes = Vec::with_capacity(queries.len());
    for query in queries {
        let started = Instant::now();
        let analysis = matcher.read(&query.q);
        let vector = vector(&analysis.text);
        let question = Question { analysis: &analysis, vector: vector.as_deref() };
        let found = matcher.understand(question, thresholds, RANKED, |_| Some(0))?.found;
        let micros = started.elapsed().as_secs_f64() * 1e6;
        outcomes.push(Outcome {
            expected: query.right(),
            ranked: found.candidates.iter().map(|candidate| entries[candidate.entry as usize].id.to_string()).collect(),
            confidence: found.best().map_or(0.0, |best| f64::from(best.confidence)),
            action: match thresholds.verdict(&found) {
                crate::matching::Verdict::Answer => Action::Answer,
                crate::matching::Verdict::Menu(entries) => Action::Menu(entries),
                crate::matching::Verdict::Abstain => Action::Abstain,
            },
            micros,
        });
    }
    Ok(outcomes)
}
