//! What a query and a phrasing have in common, as numbers between 0 and 1.

use serde::Serialize;

use super::query::Query;
use super::table::Phrasings;
use crate::analysis::units::{self, SyllablePair};

/// Likeness of a query and an entry through its best phrasing; each value is in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Features {
    /// Cosine of the rarities of shared characters and pairs of neighbours.
    pub grams: f32,
    /// Cosine of the rarities of shared words, synonyms counted as one word.
    pub words: f32,
    /// Dice coefficient of the pairs of neighbouring syllables.
    pub pinyin: f32,
    /// Share of the query's gram rarity that the phrasing holds.
    pub query_coverage: f32,
    /// Share of the phrasing's gram rarity that the query holds.
    pub phrasing_coverage: f32,
    /// What all phrasings of the entry together teach, against those of other entries (see `ranker`).
    pub learned: f32,
    /// How far `learned` is trusted: 0 for an entry with one phrasing, towards 1 with many.
    pub trust: f32,
}

/// Weights of `grams`, `words` and `pinyin` in the likeness of one phrasing; they add up to 1.
const LIKENESS: [f32; 3] = [0.45, 0.45, 0.1];

/// Weight that the best phrasing keeps beside fully trusted learning.
const KEPT: f32 = 0.3;

impl Features {
    pub(super) fn compare(query: &Query, table: &Phrasings, phrasing: usize) -> Self {
        let norms = table.norms(phrasing);
        let grams = query.shared_grams(table.text(phrasing));
        let words = query.shared_words(table.words(phrasing));
        Self {
            grams: ratio(grams, query.norms[0] * norms[0]),
            words: ratio(words, query.norms[1] * norms[1]),
            pinyin: dice(&query.syllable_pairs, table.text(phrasing)),
            query_coverage: ratio(grams, query.norms[0].powi(2)),
            phrasing_coverage: ratio(grams, norms[0].powi(2)),
            learned: 0.0,
            trust: 0.0,
        }
    }

    /// Likeness of the phrasing alone, in 0..=1.
    #[must_use]
    pub fn likeness(&self) -> f32 {
        let [grams, words, pinyin] = LIKENESS;
        grams * self.grams + words * self.words + pinyin * self.pinyin
    }

    /// `(t * learned + (1 - 0.7 t) * likeness) / (1 + 0.3 t)` with `t` the trust: likeness alone for an entry with one
    /// phrasing, mostly what was learned for one with many; in 0..=1.
    #[must_use]
    pub fn score(&self) -> f32 {
        self.shares().iter().map(|(_, _, share)| share).sum()
    }

    /// Features with their shares of the score, by name.
    #[must_use]
    pub fn shares(&self) -> [(&'static str, f32, f32); 4] {
        let [grams, words, pinyin] = LIKENESS;
        let whole = 1.0 + KEPT * self.trust;
        let kept = (1.0 - (1.0 - KEPT) * self.trust) / whole;
        [
            ("learned", self.learned, self.trust * self.learned / whole),
            ("grams", self.grams, kept * grams * self.grams),
            ("words", self.words, kept * words * self.words),
            ("pinyin", self.pinyin, kept * pinyin * self.pinyin),
        ]
    }
}

fn ratio(part: f32, whole: f32) -> f32 {
    if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { 0.0 }
}

/// `pairs` is sorted and holds each pair once.
fn dice(pairs: &[SyllablePair], text: &str) -> f32 {
    let (mut shared, mut all) = (0.0, 0.0);
    units::syllable_pair_keys(text, |pair| {
        all += 1.0;
        shared += f32::from(u8::from(pairs.binary_search(&pair).is_ok()));
    });
    ratio(2.0 * shared, all + pairs.len() as f32)
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
