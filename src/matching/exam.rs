//! The exam of a new matcher: questions whose truth is known, to fit its confidence to the corpus.

use super::calibration::{Calibration, Trial};
use super::confidence::logit;
use super::matcher::{Among, Candidate, Matcher, margin};
use super::query::Query;
use super::ranker::{HeldOut, Ranker, out_of_scope, trust};
use super::space::Space;
use crate::analysis::Analysis;
use crate::index::IndexError;
use crate::parallel;

/// Shares of a shop's messages that the calibration reckons with, as shops' chats have them by and large: questions that an entry answers, questions near
/// an entry that is not there, and texts that are no question to the shop.
const TRAFFIC: [f64; 3] = [0.65, 0.2, 0.15];

/// Asks a matcher questions whose truth is known: held-out phrasings, once with their entry and once without it, and
/// texts that no entry answers.
pub(super) struct Exam<'a> {
    pub matcher: &'a Matcher,
    pub space: Space<'a>,
    pub ranker: &'a Ranker,
    pub held_out: &'a HeldOut,
}

impl Exam<'_> {
    /// The calibration that fits the answers best.
    pub fn calibration(&self, sample: &[u32], others: &[(Analysis, Query)]) -> Result<Calibration, IndexError> {
        let asked = parallel::flat_map(sample, |run| run.iter().map(|phrasing| self.held_out(*phrasing)).collect());
        let (mut answered, mut missing) = (Vec::new(), Vec::new());
        for trials in asked {
            let [with, without]: [Option<Trial>; 2] = trials?;
            answered.extend(with);
            missing.extend(without);
        }
        let numbered: Vec<(usize, &(Analysis, Query))> = others.iter().enumerate().collect();
        let others = parallel::flat_map(&numbered, |run| {
            run.iter().map(|(place, (analysis, query))| self.out_of_scope(*place, analysis, query)).collect()
        });
        let others: Vec<Trial> = others.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let [for_answered, for_missing, for_others] = TRAFFIC;
        Ok(Calibration::fit(&[(&answered, for_answered), (&missing, for_missing), (&others, for_others)]))
    }

    fn held_out(&self, phrasing: u32) -> Result<[Option<Trial>; 2], IndexError> {
        let table = &self.matcher.table;
        let text = table.text(phrasing as usize);
        let analysis = self.matcher.analyzer().again(text);
        let meaning = self.space.meanings.map(|meanings| meanings.numbers(phrasing as usize).collect());
        let query = Query::new(&analysis, table, meaning);
        let among = Among { holds: &|_| true, without: Some((phrasing, self.held_out)) };
        let mut candidates = self.matcher.candidates(&analysis, &query, self.space, self.ranker, &among)?;
        if candidates.iter().any(|candidate| candidate.exact) {
            return Ok([None; 2]);
        }
        let entry = table.entry(phrasing as usize);
        let siblings = self.ranker.phrasings(entry).saturating_sub(1);
        for own in candidates.iter_mut().filter(|candidate| candidate.entry == entry) {
            own.features.trust = trust(siblings);
            own.score = own.features.score();
        }
        let with = trial(&candidates, Some(entry)).filter(|_| siblings > 0);
        candidates.retain(|candidate| candidate.entry != entry);
        Ok([with, trial(&candidates, None)])
    }

    fn out_of_scope(&self, place: usize, analysis: &Analysis, query: &Query) -> Result<Option<Trial>, IndexError> {
        let among = Among { holds: &|_| true, without: Some((out_of_scope(place), self.held_out)) };
        let candidates = self.matcher.candidates(analysis, query, self.space, self.ranker, &among)?;
        Ok(trial(&candidates, None))
    }
}

/// What the best of these is worth when `right` is the right entry.
fn trial(candidates: &[Candidate], right: Option<u32>) -> Option<Trial> {
    let by_score = |a: &&Candidate, b: &&Candidate| a.score.total_cmp(&b.score).then(b.entry.cmp(&a.entry));
    let best = candidates.iter().max_by(by_score)?;
    let others = candidates.iter().filter(|candidate| candidate.entry != best.entry);
    let second = others.map(|candidate| candidate.score).max_by(f32::total_cmp);
    Some(Trial {
        logit: logit(&best.features, best.score, margin(best.score, second)),
        right: right == Some(best.entry),
    })
}
