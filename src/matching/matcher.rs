//! Finds the entries a text may ask for.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};

use super::confidence::confidence;
use super::features::Features;
use super::query::{Query, probe};
use super::ranker::Ranker;
use super::table::Phrasings;
use crate::analysis::{Analysis, Analyzer, letters};
use crate::index::{Budget, IndexError, PhrasingIndex};

/// Bounds of one retrieval; measured in `benches/matching.rs`.
const BUDGET: Budget = Budget { postings: 12_000, hits: 96 };

/// An entry that may be asked for, with its best phrasing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Number of the entry in the corpus.
    pub entry: u32,
    /// Number of its best phrasing.
    pub phrasing: u32,
    /// Likeness of that phrasing.
    pub features: Features,
    /// Weighted likeness, in 0..=1.
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
    ranker: Ranker,
    /// Phrasings by the hash of their key.
    exact: Vec<(u64, u32)>,
}

impl Matcher {
    /// A matcher over phrasings and their index, both in the same order.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn new(analyzer: Arc<Analyzer>, table: Phrasings, index: PhrasingIndex) -> Result<Self, IndexError> {
        let mut exact: Vec<(u64, u32)> =
            (0..).zip(table.texts()).map(|(number, text)| (key_hash(text), number)).collect();
        exact.sort_unstable();
        let ranker = Ranker::learn(&table, &index, &analyzer)?;
        Ok(Self { analyzer, table, index, ranker, exact })
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
        let query = Query::new(analysis, &self.table);
        let terms = probe(analysis, &self.analyzer);
        let hits = self.index.retrieve(&terms, BUDGET)?;
        let exact = self.exact(&analysis.text);
        let phrasings = exact.iter().copied().chain(hits.iter().map(|hit| hit.phrasing));
        let mut best: FxHashMap<u32, Candidate> = FxHashMap::default();
        for phrasing in phrasings {
            let entry = self.table.entry(phrasing as usize);
            let features = Features::compare(&query, &self.table, phrasing as usize);
            let candidate = Candidate {
                entry,
                phrasing,
                features,
                score: features.likeness(),
                confidence: 0.0,
                exact: exact.contains(&phrasing),
            };
            best.entry(entry)
                .and_modify(|known| {
                    if (candidate.exact, candidate.score) > (known.exact, known.score) {
                        *known = candidate;
                    }
                })
                .or_insert(candidate);
        }
        let units = query.units();
        for candidate in best.values_mut() {
            candidate.features.learned = self.ranker.score(candidate.entry, &units).clamp(0.0, 1.0);
            candidate.features.trust = self.ranker.trust(candidate.entry);
            candidate.score = candidate.features.score();
        }
        Ok(Match { candidates: in_order(self.placed(best, rank), limit) })
    }

    /// Candidates with their specificity; of entries asked for in the same words the most specific stands for all.
    fn placed(&self, best: FxHashMap<u32, Candidate>, rank: impl Fn(u32) -> Option<u8>) -> Vec<(u8, Candidate)> {
        let mut placed: Vec<(u8, Candidate)> =
            best.into_values().filter_map(|candidate| Some((rank(candidate.entry)?, candidate))).collect();
        let text = |candidate: &Candidate| self.table.text(candidate.phrasing as usize);
        let mut strongest: FxHashMap<&str, u8> = FxHashMap::default();
        for (rank, candidate) in &placed {
            let known = strongest.entry(text(candidate)).or_default();
            *known = (*known).max(*rank);
        }
        placed.retain(|(rank, candidate)| strongest.get(text(candidate)) == Some(rank));
        placed
    }
}

/// Hash of a canonical text's letters.
fn key_hash(canonical: &str) -> u64 {
    let mut hasher = FxHasher::default();
    letters(canonical).for_each(|letter| letter.hash(&mut hasher));
    hasher.finish()
}

/// The best `limit`, best first, with their confidences.
fn in_order(mut ranked: Vec<(u8, Candidate)>, limit: usize) -> Vec<Candidate> {
    ranked.sort_unstable_by(|(a_rank, a), (b_rank, b)| {
        b.exact.cmp(&a.exact).then(b.score.total_cmp(&a.score)).then(b_rank.cmp(a_rank)).then(a.entry.cmp(&b.entry))
    });
    let scores: Vec<f32> = ranked.iter().take(2).map(|(_, candidate)| candidate.score).collect();
    ranked.truncate(limit);
    // Confidence weighs more than the score; it must not turn the order round.
    let mut ceiling = 1.0_f32;
    for (place, (_, candidate)) in ranked.iter_mut().enumerate() {
        let rival = if place == 0 { scores.get(1) } else { scores.first() };
        let margin = candidate.score - rival.copied().unwrap_or(0.0);
        let confidence = if candidate.exact { 1.0 } else { confidence(&candidate.features, candidate.score, margin) };
        candidate.confidence = confidence.min(ceiling);
        ceiling = candidate.confidence;
    }
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}
