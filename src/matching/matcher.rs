//! Finds the entries a text may ask for.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::calibration::Calibration;
use super::confidence::logit;
use super::exam::Exam;
use super::features::Features;
use super::meaning::Meanings;
use super::query::{Query, probe};
use super::ranker::{HeldOut, Ranker};
use super::sounds::{Sounds, looks_like_pinyin};
use super::space::{Example, Space};
use super::table::Phrasings;
use crate::analysis::{Analysis, Analyzer, letters};
use crate::index::{Budget, IndexError, PhrasingIndex};

/// Bounds of one retrieval; measured in `benches/matching.rs`.
const BUDGET: Budget = Budget { postings: 12_000, hits: 96 };

/// Phrasings that an embedding model adds to those of the index.
const NEAREST: usize = 32;

/// Entries that are judged by what was learned of them: those with the likeliest phrasings.
const JUDGED: usize = 40;

/// Phrasings that are held out to calibrate the confidence.
const SAMPLE: usize = 400;

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

/// A text that is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The text, analysed.
    pub analysis: &'a Analysis,
    /// Its vector by the embedding model that made those of the phrasings; without one only words count.
    pub vector: Option<&'a [f32]>,
}

impl<'a> From<&'a Analysis> for Question<'a> {
    fn from(analysis: &'a Analysis) -> Self {
        Self { analysis, vector: None }
    }
}

/// Texts that no entry answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Others<'a> {
    /// As written.
    pub texts: &'a [String],
    /// Whether entries are learned against them; else they only calibrate.
    pub are_learned: bool,
}

/// What an embedding model made of a corpus.
#[derive(Debug)]
pub struct Embedded {
    /// A vector a phrasing.
    pub phrasings: Meanings,
    /// A vector a text that no entry answers.
    pub out_of_scope: Vec<Vec<f32>>,
}

/// Which phrasings may be found.
pub(super) struct Among<'a> {
    /// Whether an entry holds here and now.
    pub holds: &'a dyn Fn(u32) -> bool,
    /// A phrasing that is to count as not there.
    pub without: Option<(u32, &'a HeldOut)>,
}

/// What was learned in one space.
#[derive(Debug, Default)]
struct Judge {
    ranker: Ranker,
    calibration: Calibration,
}

/// The matcher of one generation.
#[derive(Debug)]
pub struct Matcher {
    analyzer: Arc<Analyzer>,
    pub(super) table: Phrasings,
    index: PhrasingIndex,
    sounds: Sounds,
    /// Judges by words alone.
    judge: Judge,
    /// Judges by words and an embedding model's vectors.
    joined: Option<(Meanings, Judge)>,
    /// Phrasings by the hash of their key.
    exact: Vec<(u64, u32)>,
    /// Hashes of the keys of texts that the shop says no entry answers.
    out_of_scope: FxHashSet<u64>,
}

impl Matcher {
    /// A matcher over phrasings and their index, both in the same order.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn new(
        analyzer: Arc<Analyzer>,
        table: Phrasings,
        index: PhrasingIndex,
        others: Others<'_>,
        embedded: Option<Embedded>,
    ) -> Result<Self, IndexError> {
        let mut exact: Vec<(u64, u32)> =
            (0..).zip(table.texts()).map(|(number, text)| (key_hash(text), number)).collect();
        exact.sort_unstable();
        let sounds = Sounds::new(&table);
        let mut matcher = Self {
            analyzer,
            table,
            index,
            sounds,
            judge: Judge::default(),
            joined: None,
            exact,
            out_of_scope: FxHashSet::default(),
        };
        let out_of_scope = others.texts;
        if others.are_learned {
            matcher.out_of_scope = out_of_scope.iter().map(|text| key_hash(&matcher.read(text).text)).collect();
        }
        let others: Vec<(&String, Option<&[f32]>)> = out_of_scope.iter().map(|text| (text, None)).collect();
        matcher.judge = matcher.taught(None, &others)?;
        if let Some(Embedded { phrasings, out_of_scope: vectors }) = embedded {
            let others: Vec<_> =
                out_of_scope.iter().zip(vectors.iter().map(|vector| Some(vector.as_slice()))).collect();
            let judge = matcher.taught(Some(&phrasings), &others)?;
            matcher.joined = Some((phrasings, judge));
        }
        Ok(matcher)
    }

    /// A judge of this space, calibrated on held-out phrasings and on texts that no entry answers.
    fn taught(&self, meanings: Option<&Meanings>, others: &[(&String, Option<&[f32]>)]) -> Result<Judge, IndexError> {
        let space = Space { table: &self.table, meanings };
        let sample: Vec<u32> = self.exact.iter().take(SAMPLE).map(|(_, phrasing)| *phrasing).collect();
        let others: Vec<(Analysis, Query)> = others
            .iter()
            .map(|(text, vector)| (self.read(text), vector))
            .filter(|(analysis, _)| !self.is_phrasing(analysis))
            .map(|(analysis, vector)| {
                let meaning = meanings.zip(*vector).and_then(|(meanings, vector)| meanings.centred(vector));
                let query = Query::new(&analysis, &self.table, meaning);
                (analysis, query)
            })
            .collect();
        let learned = others.iter().filter(|_| !self.out_of_scope.is_empty());
        let examples: Vec<Example> = learned.map(|(_, query)| space.of_query(query)).collect();
        let held: FxHashSet<u32> = sample.iter().copied().collect();
        let (ranker, held_out) = Ranker::learn(space, &self.index, &self.analyzer, &held, &examples)?;
        let exam = Exam { matcher: self, space, ranker: &ranker, held_out: &held_out };
        let calibration = exam.calibration(&sample, &others)?;
        Ok(Judge { ranker, calibration })
    }

    /// The chain that built this matcher.
    #[must_use]
    pub fn analyzer(&self) -> &Arc<Analyzer> {
        &self.analyzer
    }

    /// A customer's text, read by its sound where it does not read like the corpus.
    #[must_use]
    pub fn read(&self, raw: &str) -> Analysis {
        let mut analysis = self.analyzer.analyse(raw);
        if looks_like_pinyin(&analysis) {
            // Which script the customer reads is not known from it.
            analysis.language = None;
        }
        self.sounds.read(&analysis, &self.table, &self.analyzer).unwrap_or(analysis)
    }

    /// Whether an editor wrote that no entry answers this text.
    fn is_out_of_scope(&self, analysis: &Analysis) -> bool {
        self.out_of_scope.contains(&key_hash(&analysis.text)) && !self.is_phrasing(analysis)
    }

    /// Whether a text is a phrasing, letter for letter.
    #[must_use]
    pub fn is_phrasing(&self, analysis: &Analysis) -> bool {
        !self.exact(&analysis.text).is_empty()
    }

    /// The phrasings.
    #[must_use]
    pub fn phrasings(&self) -> &Phrasings {
        &self.table
    }

    /// How the confidence is read in this corpus.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        self.judge.calibration
    }

    /// Whether an embedding model's vectors can be compared.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.joined.is_some()
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
    pub fn find<'a>(
        &self,
        question: impl Into<Question<'a>>,
        limit: usize,
        rank: impl Fn(u32) -> Option<u8>,
    ) -> Result<Match, IndexError> {
        let Question { analysis, vector } = question.into();
        if analysis.is_empty() || self.is_out_of_scope(analysis) {
            return Ok(Match::default());
        }
        let joined = self.joined.as_ref().zip(vector);
        let meaning = joined.and_then(|((meanings, judge), vector)| Some((meanings, judge, meanings.centred(vector)?)));
        let (space, judge, meaning) = match meaning {
            Some((meanings, judge, meaning)) => {
                (Space { table: &self.table, meanings: Some(meanings) }, judge, Some(meaning))
            }
            None => (Space { table: &self.table, meanings: None }, &self.judge, None),
        };
        let query = Query::new(analysis, &self.table, meaning);
        let candidates = self.candidates(
            analysis,
            &query,
            space,
            &judge.ranker,
            &Among { holds: &|entry| rank(entry).is_some(), without: None },
        )?;
        Ok(Match { candidates: in_order(self.placed(candidates, rank), limit, judge.calibration) })
    }

    /// The likeliest entries with a phrasing near the text.
    pub(super) fn candidates(
        &self,
        analysis: &Analysis,
        query: &Query,
        space: Space<'_>,
        ranker: &Ranker,
        among: &Among<'_>,
    ) -> Result<Vec<Candidate>, IndexError> {
        let left_out = among.without.map(|(phrasing, _)| phrasing);
        let holds = |phrasing: &u32| Some(*phrasing) != left_out && (among.holds)(self.table.entry(*phrasing as usize));
        let hits = self.index.retrieve(&probe(analysis, &self.analyzer), BUDGET, |phrasing| holds(&phrasing))?;
        let exact = self.exact(&analysis.text);
        let phrasings = exact.iter().copied().chain(hits.iter().map(|hit| hit.phrasing)).chain(nearest(query, space));
        let mut best: FxHashMap<u32, Candidate> = FxHashMap::default();
        for phrasing in phrasings.filter(&holds) {
            let features = Features::compare(query, space, phrasing as usize);
            let candidate = Candidate {
                entry: self.table.entry(phrasing as usize),
                phrasing,
                features,
                score: features.likeness(),
                confidence: 0.0,
                exact: exact.binary_search(&phrasing).is_ok(),
            };
            best.entry(candidate.entry)
                .and_modify(|known| {
                    if (candidate.exact, candidate.score) > (known.exact, known.score) {
                        *known = candidate;
                    }
                })
                .or_insert(candidate);
        }
        let mut candidates: Vec<Candidate> = best.into_values().collect();
        candidates.sort_unstable_by(|a, b| {
            b.exact.cmp(&a.exact).then(b.score.total_cmp(&a.score)).then(a.entry.cmp(&b.entry))
        });
        candidates.truncate(JUDGED);
        let example = space.of_query(query);
        for candidate in &mut candidates {
            ranker.judge(candidate.entry, &example, &mut candidate.features, among.without);
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
}

/// How far a score is ahead of its rival's.
pub(super) fn margin(score: f32, rival: Option<f32>) -> f32 {
    score - rival.unwrap_or(0.0).max(LEAST_RIVAL)
}

/// Phrasings that an embedding model finds near, beside those that share words.
fn nearest(query: &Query, space: Space<'_>) -> Vec<u32> {
    match (space.meanings, &query.meaning) {
        (Some(meanings), Some(meaning)) => meanings.nearest(meaning, NEAREST),
        _ => Vec::new(),
    }
}

/// The best `limit`, best first, with their confidences.
fn in_order(mut ranked: Vec<(u8, Candidate)>, limit: usize, calibration: Calibration) -> Vec<Candidate> {
    ranked.sort_unstable_by(|(a_rank, a), (b_rank, b)| {
        b.exact.cmp(&a.exact).then(b.score.total_cmp(&a.score)).then(b_rank.cmp(a_rank)).then(a.entry.cmp(&b.entry))
    });
    let scores: Vec<f32> = ranked.iter().take(2).map(|(_, candidate)| candidate.score).collect();
    ranked.truncate(limit);
    // Confidence weighs more than the score; it must not turn the order round.
    let mut ceiling = 1.0_f32;
    for (place, (_, candidate)) in ranked.iter_mut().enumerate() {
        let rival = if place == 0 { scores.get(1) } else { scores.first() };
        let logit = logit(&candidate.features, candidate.score, margin(candidate.score, rival.copied()));
        let confidence = if candidate.exact { 1.0 } else { calibration.probability(logit) };
        candidate.confidence = confidence.min(ceiling);
        ceiling = candidate.confidence;
    }
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Hash of a canonical text's letters.
fn key_hash(canonical: &str) -> u64 {
    let mut hasher = FxHasher::default();
    letters(canonical).for_each(|letter| letter.hash(&mut hasher));
    hasher.finish()
}
