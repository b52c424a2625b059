//! Finds the entries a text may ask for.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::calibration::{Calibration, Trial};
use super::confidence::logit;
use super::features::Features;
use super::query::{Query, probe};
use super::ranker::{Example, HeldOut, Ranker, trust};
use super::sounds::Sounds;
use super::table::Phrasings;
use crate::analysis::{Analysis, Analyzer, letters};
use crate::index::{Budget, IndexError, PhrasingIndex};
use crate::parallel;

/// Bounds of one retrieval; measured in `benches/matching.rs`.
const BUDGET: Budget = Budget { postings: 12_000, hits: 96 };

/// Entries that are judged by what was learned of them: those with the likeliest phrasings.
const JUDGED: usize = 40;

/// Phrasings that are held out to calibrate the confidence.
const SAMPLE: usize = 400;

/// Shares of a shop's messages that the calibration reckons with: questions that an entry answers, questions near
/// an entry that is not there, and texts that are no question to the shop.
const TRAFFIC: [f64; 3] = [0.65, 0.2, 0.15];

/// Score of the runner-up where there is none: being the only entry makes nothing likely.
const LEAST_RIVAL: f32 = 0.25;

/// An entry that may be asked for, with its best phrasing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Number of the entry in the corpus.
    pub entry: u32,
    /// Number of its best phrasing.
    pub phrasing: u32,
    /// Likeness of that phrasing.
    pub features: Features,
    /// Weighted features, in 0..=[`Features::MOST`].
    pub score: f32,
    /// Probability, as far as it is known, that this is the entry asked for; in 0..=1.
    pub confidence: f32,
    /// Whether the text is one of the entry's phrasings, letter for letter after normalising.
    pub exact: bool,
}

/// Candidates, best first; of equals the one with the more specific scope, then the one that stands first in the corpus.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Match {
    /// At most as many as were asked for.
    pub candidates: Vec<Candidate>,
}

impl Match {
    /// The best candidate.
    #[must_use]
    pub fn best(&self) -> Option<&Candidate> {
        self.candidates.first()
    }

    /// Distance between the two best confidences; the best one's own when there is no other.
    #[must_use]
    pub fn margin(&self) -> f32 {
        let second = self.candidates.get(1).map_or(0.0, |candidate| candidate.confidence);
        self.best().map_or(0.0, |best| best.confidence - second)
    }
}

/// The matcher of one generation.
#[derive(Debug)]
pub struct Matcher {
    analyzer: Arc<Analyzer>,
    table: Phrasings,
    index: PhrasingIndex,
    sounds: Sounds,
    ranker: Ranker,
    calibration: Calibration,
    /// Phrasings by the hash of their key.
    exact: Vec<(u64, u32)>,
}

impl Matcher {
    /// A matcher over phrasings and their index, both in the same order. `out_of_scope` are texts that no entry answers.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn new(
        analyzer: Arc<Analyzer>,
        table: Phrasings,
        index: PhrasingIndex,
        out_of_scope: &[String],
    ) -> Result<Self, IndexError> {
        let mut exact: Vec<(u64, u32)> =
            (0..).zip(table.texts()).map(|(number, text)| (key_hash(text), number)).collect();
        exact.sort_unstable();
        let sample: Vec<u32> = spread(&exact).collect();
        let (ranker, held_out) =
            Ranker::learn(&table, &index, &analyzer, &sample.iter().copied().collect::<FxHashSet<u32>>())?;
        let sounds = Sounds::new(&table);
        let mut matcher = Self { analyzer, table, index, sounds, ranker, calibration: Calibration::default(), exact };
        matcher.calibration = matcher.calibrated(&sample, &held_out, out_of_scope)?;
        Ok(matcher)
    }

    /// The chain that built this matcher.
    #[must_use]
    pub fn analyzer(&self) -> &Arc<Analyzer> {
        &self.analyzer
    }

    /// The phrasings.
    #[must_use]
    pub fn phrasings(&self) -> &Phrasings {
        &self.table
    }

    /// How the confidence is read in this corpus.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// Phrasings with the same letters.
    fn exact(&self, canonical: &str) -> Vec<u32> {
        let hash = key_hash(canonical);
        let start = self.exact.partition_point(|(known, _)| *known < hash);
        let same_hash =
            self.exact[start..].iter().take_while(|(known, _)| *known == hash).map(|(_, phrasing)| *phrasing);
        same_hash.filter(|phrasing| letters(self.table.text(*phrasing as usize)).eq(letters(canonical))).collect()
    }

    /// The best `limit` entries. `rank` tells an entry's specificity, or `None` when it does not hold here and now.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn find(
        &self,
        analysis: &Analysis,
        limit: usize,
        rank: impl Fn(u32) -> Option<u8>,
    ) -> Result<Match, IndexError> {
        if analysis.is_empty() {
            return Ok(Match::default());
        }
        let heard = self.sounds.read(analysis, &self.table, &self.analyzer);
        let placed = self.placed(self.candidates(heard.as_ref().unwrap_or(analysis), None)?, rank);
        Ok(Match { candidates: self.in_order(placed, limit) })
    }

    /// Every entry with a phrasing near the text. `without` names a phrasing that is to count as not there.
    fn candidates(&self, analysis: &Analysis, without: Option<(u32, &HeldOut)>) -> Result<Vec<Candidate>, IndexError> {
        let query = Query::new(analysis, &self.table);
        let hits = self.index.retrieve(&probe(analysis, &self.analyzer), BUDGET)?;
        let left_out = without.map(|(phrasing, _)| phrasing);
        let exact = self.exact(&analysis.text);
        let phrasings = exact.iter().copied().chain(hits.iter().map(|hit| hit.phrasing));
        let mut best: FxHashMap<u32, Candidate> = FxHashMap::default();
        for phrasing in phrasings.filter(|phrasing| Some(*phrasing) != left_out) {
            let features = Features::compare(&query, &self.table, phrasing as usize);
            let candidate = Candidate {
                entry: self.table.entry(phrasing as usize),
                phrasing,
                features,
                score: features.likeness(),
                confidence: 0.0,
                exact: exact.contains(&phrasing),
            };
            best.entry(candidate.entry)
                .and_modify(|known| {
                    if (candidate.exact, candidate.score) > (known.exact, known.score) {
                        *known = candidate;
                    }
                })
                .or_insert(candidate);
        }
        let example = Example::of_query(&query);
        let mut candidates: Vec<Candidate> = best.into_values().collect();
        candidates.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.entry.cmp(&b.entry)));
        candidates.truncate(JUDGED);
        for candidate in &mut candidates {
            self.ranker.judge(candidate.entry, &example, &mut candidate.features, without);
            candidate.score = candidate.features.score();
        }
        Ok(candidates)
    }

    /// Candidates with their specificity; of entries asked for in the same words the most specific stands for all.
    fn placed(&self, best: Vec<Candidate>, rank: impl Fn(u32) -> Option<u8>) -> Vec<(u8, Candidate)> {
        let mut placed: Vec<(u8, Candidate)> =
            best.into_iter().filter_map(|candidate| Some((rank(candidate.entry)?, candidate))).collect();
        let text = |candidate: &Candidate| self.table.text(candidate.phrasing as usize);
        let mut strongest: FxHashMap<&str, u8> = FxHashMap::default();
        for (rank, candidate) in &placed {
            let known = strongest.entry(text(candidate)).or_default();
            *known = (*known).max(*rank);
        }
        placed.retain(|(rank, candidate)| strongest.get(text(candidate)) == Some(rank));
        placed
    }

    /// The best `limit`, best first, with their confidences.
    fn in_order(&self, mut ranked: Vec<(u8, Candidate)>, limit: usize) -> Vec<Candidate> {
        ranked.sort_unstable_by(|(a_rank, a), (b_rank, b)| {
            b.exact.cmp(&a.exact).then(b.score.total_cmp(&a.score)).then(b_rank.cmp(a_rank)).then(a.entry.cmp(&b.entry))
        });
        let scores: Vec<f32> = ranked.iter().take(2).map(|(_, candidate)| candidate.score).collect();
        ranked.truncate(limit);
        // Confidence weighs more than the score; it must not turn the order round.
        let mut ceiling = 1.0_f32;
        for (place, (_, candidate)) in ranked.iter_mut().enumerate() {
            let rival = if place == 0 { scores.get(1) } else { scores.first() };
            let margin = candidate.score - rival.copied().unwrap_or(0.0).max(LEAST_RIVAL);
            let logit = logit(&candidate.features, candidate.score, margin);
            let confidence = if candidate.exact { 1.0 } else { self.calibration.probability(logit) };
            candidate.confidence = confidence.min(ceiling);
            ceiling = candidate.confidence;
        }
        ranked.into_iter().map(|(_, candidate)| candidate).collect()
    }

    /// Asks held-out phrasings, once with their entry and once without it, and texts that no entry answers.
    fn calibrated(
        &self,
        sample: &[u32],
        held_out: &HeldOut,
        out_of_scope: &[String],
    ) -> Result<Calibration, IndexError> {
        let asked = parallel::flat_map(sample, |run| {
            run.iter().map(|phrasing| self.held_out_trials(*phrasing, held_out)).collect()
        });
        let (mut answered, mut missing) = (Vec::new(), Vec::new());
        for trials in asked {
            let [with, without]: [Option<Trial>; 2] = trials?;
            answered.extend(with);
            missing.extend(without);
        }
        let others =
            parallel::flat_map(out_of_scope, |run| run.iter().map(|text| self.out_of_scope_trial(text)).collect());
        let others: Vec<Trial> = others.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let [for_answered, for_missing, for_others] = TRAFFIC;
        Ok(Calibration::fit(&[(&answered, for_answered), (&missing, for_missing), (&others, for_others)]))
    }

    fn held_out_trials(&self, phrasing: u32, held_out: &HeldOut) -> Result<[Option<Trial>; 2], IndexError> {
        let text = self.table.text(phrasing as usize);
        let words = self.analyzer.words(text);
        let analysis = Analysis { text: text.to_owned(), full: text.to_owned(), language: None, words };
        let mut candidates = self.candidates(&analysis, Some((phrasing, held_out)))?;
        if candidates.iter().any(|candidate| candidate.exact) {
            return Ok([None; 2]);
        }
        let entry = self.table.entry(phrasing as usize);
        let siblings = self.ranker.phrasings(entry) > 1;
        for own in candidates.iter_mut().filter(|candidate| candidate.entry == entry) {
            own.features.trust = trust(self.ranker.phrasings(entry) - 1);
            own.score = own.features.score();
        }
        let with = trial(&candidates, Some(entry)).filter(|_| siblings);
        candidates.retain(|candidate| candidate.entry != entry);
        Ok([with, trial(&candidates, None)])
    }

    fn out_of_scope_trial(&self, text: &str) -> Result<Option<Trial>, IndexError> {
        let analysis = self.analyzer.analyse(text);
        let candidates = self.candidates(&analysis, None)?;
        let is_a_phrasing = candidates.iter().any(|candidate| candidate.exact);
        Ok(trial(&candidates, None).filter(|_| !is_a_phrasing))
    }
}

/// What the best of these is worth when `right` is the right entry.
fn trial(candidates: &[Candidate], right: Option<u32>) -> Option<Trial> {
    let by_score = |a: &&Candidate, b: &&Candidate| a.score.total_cmp(&b.score).then(b.entry.cmp(&a.entry));
    let best = candidates.iter().max_by(by_score)?;
    let others = candidates.iter().filter(|candidate| candidate.entry != best.entry);
    let second = others.map(|candidate| candidate.score).fold(LEAST_RIVAL, f32::max);
    Some(Trial { logit: logit(&best.features, best.score, best.score - second), right: right == Some(best.entry) })
}

/// Phrasings spread over the corpus: those whose hashes come first, at most [`SAMPLE`].
fn spread(by_hash: &[(u64, u32)]) -> impl Iterator<Item = u32> + '_ {
    by_hash.iter().take(SAMPLE).map(|(_, phrasing)| *phrasing)
}

/// Hash of a canonical text's letters.
fn key_hash(canonical: &str) -> u64 {
    let mut hasher = FxHasher::default();
    letters(canonical).for_each(|letter| letter.hash(&mut hasher));
    hasher.finish()
}
