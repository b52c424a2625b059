//! What a message asks: its whole, the clearest of its clauses, or a question begun before.

use super::clauses::clauses;
use super::confidence::{Thresholds, Verdict};
use super::matcher::{Candidate, Match, Matcher, Question};
use crate::analysis::Analysis;
use crate::index::IndexError;

/// Further questions of one message that are named.
const ALSO: usize = 2;

/// Entries that the new words of a message may point at.
const POINTED: usize = 10;

/// How much surer a reading must be than a message that is sure by itself.
const CLEARLY: f32 = 0.1;

/// What was understood.
#[derive(Debug, Clone, Default)]
pub struct Understood {
    /// The best entries for what was clearest.
    pub found: Match,
    /// Other entries that the same message surely asks for.
    pub also: Vec<Candidate>,
    /// What was looked for, where it is not the message itself.
    pub instead: Option<Analysis>,
}

impl Matcher {
    /// The best entries for a message as a whole; where its clauses surely ask for different ones, the clearest clause's,
    /// and the others' beside. A single sure clause decides nothing: what stands around it may turn it round.
    /// `rank` is that of [`Matcher::find`].
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn understand(
        &self,
        question: Question<'_>,
        thresholds: Thresholds,
        limit: usize,
        rank: impl Fn(u32) -> Option<u8>,
    ) -> Result<Understood, IndexError> {
        let is_sure = |found: &Match| thresholds.verdict(found) == Verdict::Answer;
        let whole = self.find(question, limit, &rank)?;
        let parts = clauses(question.analysis);
        if parts.is_empty() || whole.best().is_some_and(|best| best.exact) {
            return Ok(Understood { found: whole, ..Understood::default() });
        }
        let mut sure: Vec<(Match, Analysis)> = Vec::new();
        for part in parts {
            let found = self.find(&part, limit, &rank)?;
            let is_new = |best: &Candidate| sure.iter().all(|(other, _)| entry(other) != Some(best.entry));
            if is_sure(&found) && found.best().is_some_and(is_new) {
                sure.push((found, part));
            }
        }
        // Of equals the one that was asked first.
        sure.sort_by(|(a, _), (b, _)| confidence(b).total_cmp(&confidence(a)));
        let mut sure = sure.into_iter();
        match sure.next() {
            Some((found, part)) if sure.len() > 0 => {
                let also = sure.filter_map(|(other, _)| other.best().copied()).take(ALSO).collect();
                Ok(Understood { found, also, instead: Some(part) })
            }
            _ => Ok(Understood { found: whole, ..Understood::default() }),
        }
    }

    /// A message that leans on the customer's last question, read with it; `None` when it does not, or is the surer by
    /// itself.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn follow_up(
        &self,
        last: &str,
        analysis: &Analysis,
        alone: &Match,
        thresholds: Thresholds,
        limit: usize,
        rank: impl Fn(u32) -> Option<u8>,
    ) -> Result<Option<Understood>, IndexError> {
        if alone.best().is_some_and(|best| best.exact) {
            return Ok(None);
        }
        let is_sure_alone = thresholds.verdict(alone) == Verdict::Answer;
        // What is sure by itself gives way only to what is clearly surer.
        let least = if is_sure_alone { confidence(alone) + CLEARLY } else { 0.0 };
        let Some((fragment, readings)) = self.follow_ups(last, analysis) else { return Ok(None) };
        // The last question alone finds its answer again: what was added must point somewhere itself, and elsewhere.
        let before = entry(&self.find(&self.analyzer().again(last), 1, &rank)?);
        let pointed: Vec<u32> =
            self.find(&fragment, POINTED, &rank)?.candidates.iter().map(|known| known.entry).collect();
        let mut likely = None;
        for reading in readings {
            let found = self.find(&reading, limit, &rank)?;
            let leads_on = entry(&found).is_some_and(|best| Some(best) != before && pointed.contains(&best));
            let verdict = thresholds.verdict(&found);
            let understood = Understood { found, also: Vec::new(), instead: Some(reading) };
            match verdict {
                _ if !leads_on => {}
                Verdict::Answer if confidence(&understood.found) >= least => return Ok(Some(understood)),
                Verdict::Menu(_) if likely.is_none() && !is_sure_alone => likely = Some(understood),
                _ => {}
            }
        }
        Ok(likely)
    }
}

fn entry(found: &Match) -> Option<u32> {
    found.best().map(|best| best.entry)
}

fn confidence(found: &Match) -> f32 {
    found.best().map_or(0.0, |best| best.confidence)
}
