//! What a query and an entry have in common, as numbers between 0 and 1.

use serde::Serialize;

use super::query::Query;
use super::space::{MEANING, SENSE, Space};
use crate::analysis::units::{self, SyllablePair};

/// Likeness of a query and an entry through its best phrasing; each value is in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Features {
    /// Part of the cosine of unit weights, its length pivoted, that shared characters and pairs of neighbours make; pairs
    /// carry the order.
    pub grams: f32,
    /// Part of the same cosine that shared words make, synonyms counted as one word.
    pub words: f32,
    /// Cosine of the senses, by the built-in word vectors.
    pub sense: f32,
    /// Cosine of an embedding model's vectors, where one was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<f32>,
    /// Dice coefficient of the pairs of neighbouring syllables.
    pub pinyin: f32,
    /// 1 when both ask for the same (when, why, how ..), 0 when for something else, 0.5 when one does not tell.
    pub kind: f32,
    /// 1 when both name a number in common, 0 when they name others, 0.5 when one names none.
    pub numbers: f32,
    /// 1 when both deny or both do not.
    pub denial: f32,
    /// Length of the shorter text / that of the longer.
    pub length: f32,
    /// Share of the query's squared unit weights that the phrasing holds.
    pub query_coverage: f32,
    /// Share of the phrasing's squared unit weights that the query holds.
    pub phrasing_coverage: f32,
    /// What all phrasings of the entry together teach, against those of other entries (see `ranker`).
    pub learned: f32,
    /// How far `learned` is trusted: 0 for an entry with one phrasing, towards 1 with many.
    pub trust: f32,
}

/// Weights of `pinyin`, `kind` and `numbers` beside the kernel; 0.5 of the latter two is neutral. Denial and length are
/// shown and not weighed: on five sets of questions they moved wrong entries up as often as right ones.
const PINYIN: f32 = 0.05;
const KIND: f32 = 0.02;
const NUMBERS: f32 = 0.03;

/// Share of the likeness that stays beside fully trusted learning.
const KEPT: f32 = 0.3;

impl Features {
    pub(super) fn compare(query: &Query, space: Space<'_>, phrasing: usize) -> Self {
        let table = space.table;
        let shared = query.shared(table, phrasing);
        let (norm, own, pivoted) = (query.norm, table.norm(phrasing), table.pivoted_norm(phrasing));
        let agreement = query.traits.agreement(table.traits(phrasing));
        Self {
            grams: share(shared.grams, norm * pivoted),
            words: share(shared.words, norm * pivoted),
            sense: space.sense(query, phrasing),
            meaning: space.meaning(query, phrasing),
            pinyin: dice(&query.syllable_pairs, table.text(phrasing)),
            kind: agreement.kind,
            numbers: agreement.numbers,
            denial: agreement.denial,
            length: agreement.length,
            query_coverage: share(shared.grams + shared.words, norm * norm),
            phrasing_coverage: share(shared.grams + shared.words, own * own),
            learned: 0.0,
            trust: 0.0,
        }
    }

    /// Likeness of the phrasing alone, about 0..=1: `(grams + words + 0.3 sense) / 1.3`, or with an embedding
    /// model `(grams + words + 0.3 sense + 2 meaning) / 3.3`, and a little for its sound, the
    /// kind of question and the numbers named.
    #[must_use]
    pub fn likeness(&self) -> f32 {
        self.likenesses().iter().map(|(_, _, share)| share).sum()
    }

    fn likenesses(&self) -> [(&'static str, f32, f32); 7] {
        let whole = 1.0 + SENSE + self.meaning.map_or(0.0, |_| MEANING);
        let meaning = self.meaning.unwrap_or(0.0);
        [
            ("grams", self.grams, self.grams / whole),
            ("words", self.words, self.words / whole),
            ("sense", self.sense, SENSE * self.sense / whole),
            ("meaning", meaning, MEANING * meaning / whole),
            ("pinyin", self.pinyin, PINYIN * self.pinyin),
            ("kind", self.kind, KIND * (self.kind - 0.5)),
            ("numbers", self.numbers, NUMBERS * (self.numbers - 0.5)),
        ]
    }

    /// `t * learned + (1 - 0.7 t) * likeness` with `t` the trust: likeness alone for an entry with one phrasing, mostly
    /// what was learned for one with many.
    #[must_use]
    pub fn score(&self) -> f32 {
        self.shares().iter().map(|(_, _, share)| share).sum::<f32>().clamp(0.0, Self::MOST)
    }

    /// Highest score.
    pub const MOST: f32 = 1.5;

    /// Features with their shares of the score, by name.
    #[must_use]
    pub fn shares(&self) -> [(&'static str, f32, f32); 8] {
        let kept = 1.0 - (1.0 - KEPT) * self.trust;
        let [grams, words, sense, meaning, pinyin, kind, numbers] =
            self.likenesses().map(|(name, value, share)| (name, value, kept * share));
        [("learned", self.learned, self.trust * self.learned), grams, words, sense, meaning, pinyin, kind, numbers]
    }
}

fn share(part: f32, whole: f32) -> f32 {
    if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { 0.0 }
}

/// `pairs` is sorted and holds each pair once.
fn dice(pairs: &[SyllablePair], text: &str) -> f32 {
    let (mut shared, mut all) = (0.0, 0.0);
    units::syllable_pair_keys(text, |pair| {
        all += 1.0;
        shared += f32::from(u8::from(pairs.binary_search(&pair).is_ok()));
    });
    share(2.0 * shared, all + pairs.len() as f32)
}

/// Ranges of characters of `phrasing` that stand in `query` as well, two neighbours at least; both canonical.
#[must_use]
pub fn shared_ranges(phrasing: &str, query: &str) -> Vec<[usize; 2]> {
    let letters: Vec<char> = phrasing.chars().collect();
    let asked: Vec<char> = query.chars().collect();
    let shared = |pair: &[char]| asked.windows(2).any(|known| known == pair);
    let mut ranges: Vec<[usize; 2]> = Vec::new();
    for at in (0..letters.len().saturating_sub(1)).filter(|at| shared(&letters[*at..at + 2])) {
        match ranges.last_mut() {
            Some(last) if last[1] > at => last[1] = at + 2,
            _ => ranges.push([at, at + 2]),
        }
    }
    ranges
}
