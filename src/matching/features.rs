//! What a query and a phrasing have in common, as numbers between 0 and 1.

use serde::Serialize;

use super::query::Query;
use super::table::Phrasings;
use crate::analysis::units;

/// Likeness of a query and one phrasing; each value is in 0..=1.
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
}

/// Weight of each feature in the score; they add up to 1, so that the score is in 0..=1 as well.
const WEIGHTS: Features = Features {
    grams: 0.55,
    words: 0.35,
    pinyin: 0.1,
    query_coverage: 0.0,
    phrasing_coverage: 0.0,
};

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
        }
    }

    /// Features and their shares of the score, by name.
    #[must_use]
    pub fn shares(&self) -> [(&'static str, f32, f32); 5] {
        [
            ("grams", self.grams, self.grams * WEIGHTS.grams),
            ("words", self.words, self.words * WEIGHTS.words),
            ("pinyin", self.pinyin, self.pinyin * WEIGHTS.pinyin),
            (
                "query_coverage",
                self.query_coverage,
                self.query_coverage * WEIGHTS.query_coverage,
            ),
            (
                "phrasing_coverage",
                self.phrasing_coverage,
                self.phrasing_coverage * WEIGHTS.phrasing_coverage,
            ),
        ]
    }

    /// Weighted sum, in 0..=1.
    #[must_use]
    pub fn score(&self) -> f32 {
        self.shares().iter().map(|(_, _, share)| share).sum()
    }
}

fn ratio(part: f32, whole: f32) -> f32 {
    if whole > 0.0 {
        (part / whole).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// `pairs` is sorted and holds each pair once.
fn dice(pairs: &[String], text: &str) -> f32 {
    let (mut shared, mut all) = (0.0, 0.0);
    units::syllable_pairs(text, |pair| {
        all += 1.0;
        if pairs.binary_search_by(|known| known.as_str().cmp(pair)).is_ok() {
            shared += 1.0;
        }
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
