//! Every phrasing of a generation in compact form: canonical text, words, lengths; and how rare each unit is.

use rustc_hash::FxHashMap;

use super::query::gram_keys;
use crate::analysis::{Analysis, Analyzer};
use crate::index::rarity;
use crate::parallel;

/// A character, a pair of neighbours (see [`gram_keys`]) or a word's id with [`WORD_UNIT`] added.
pub(super) type Unit = u64;

/// Tells a word's id from a gram's key, which is below it.
pub(super) const WORD_UNIT: Unit = 1 << 63;

/// Weight of a word's rarity beside a gram's: a word's letters are counted as grams already.
pub(super) const WORD_WEIGHT: f32 = 0.7;

/// The phrasings of a corpus, numbered as in the index.
#[derive(Debug, Default)]
pub struct Phrasings {
    /// Canonical texts, one after another.
    texts: String,
    /// End of each text in `texts`.
    text_ends: Vec<u32>,
    /// Word ids of every phrasing, each once, one phrasing after another.
    words: Vec<u32>,
    /// End of each phrasing's words in `words`.
    word_ends: Vec<u32>,
    /// Entry of each phrasing.
    entries: Vec<u32>,
    /// Length of the vector of gram rarities, and of word rarities.
    norms: Vec<[f32; 2]>,
    /// Number of phrasings that hold a gram.
    gram_counts: FxHashMap<u64, u32>,
    /// Id of a word; synonyms share one.
    word_ids: FxHashMap<String, u32>,
    /// Number of phrasings that hold a word, by id.
    word_counts: Vec<u32>,
    /// Rarity of a unit that so many phrasings hold; commoner units are computed.
    rarities: Vec<f32>,
}

/// Units up to this common have their rarity kept.
const KEPT_RARITIES: u32 = 1024;

impl Phrasings {
    /// Adds a phrasing of an entry; phrasings come in the index's order.
    pub fn push(&mut self, entry: u32, analysis: &Analysis, analyzer: &Analyzer) {
        self.texts.push_str(&analysis.text);
        self.text_ends.push(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        let first = self.words.len();
        for word in analysis.word_texts() {
            let id = self.intern(word, analyzer);
            if !self.words[first..].contains(&id) {
                self.words.push(id);
                self.word_counts[id as usize] += 1;
            }
        }
        self.word_ends.push(u32::try_from(self.words.len()).unwrap_or(u32::MAX));
        let mut grams = Vec::with_capacity(32);
        gram_keys(&analysis.text, |key| grams.push(key));
        grams.sort_unstable();
        grams.dedup();
        for gram in grams {
            *self.gram_counts.entry(gram).or_default() += 1;
        }
        self.entries.push(entry);
    }

    fn intern(&mut self, word: &str, analyzer: &Analyzer) -> u32 {
        if let Some(id) = self.word_ids.get(word) {
            return *id;
        }
        let id = u32::try_from(self.word_counts.len()).unwrap_or(u32::MAX);
        self.word_counts.push(0);
        match analyzer.class(word) {
            Some(class) => self.word_ids.extend(analyzer.synonyms(class).iter().map(|synonym| (synonym.clone(), id))),
            None => {
                self.word_ids.insert(word.to_owned(), id);
            }
        }
        id
    }

    /// The table with the lengths of all vectors, once every phrasing is there.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.rarities = (0..KEPT_RARITIES).map(|holding| rarity(holding, self.count())).collect();
        let numbers: Vec<usize> = (0..self.len()).collect();
        self.norms = parallel::flat_map(&numbers, |run| run.iter().map(|number| self.lengths(*number)).collect());
        self
    }

    /// Lengths of a phrasing's vectors of gram rarities and of word rarities.
    fn lengths(&self, phrasing: usize) -> [f32; 2] {
        let mut keys = Vec::with_capacity(32);
        gram_keys(self.text(phrasing), |key| keys.push(key));
        keys.sort_unstable();
        keys.dedup();
        let grams: f32 = keys.iter().map(|key| self.gram_rarity(*key).powi(2)).sum();
        let words: f32 = self.words(phrasing).iter().map(|word| self.word_rarity(Some(*word)).powi(2)).sum();
        [grams.sqrt(), words.sqrt()]
    }

    /// Number of phrasings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no phrasing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Canonical text of a phrasing.
    #[must_use]
    pub fn text(&self, phrasing: usize) -> &str {
        slice(&self.text_ends, phrasing).and_then(|range| self.texts.get(range)).unwrap_or_default()
    }

    /// Canonical texts in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|phrasing| self.text(phrasing))
    }

    /// Entry of a phrasing.
    #[must_use]
    pub fn entry(&self, phrasing: usize) -> u32 {
        self.entries[phrasing]
    }

    /// Length of the vector of all units.
    pub(super) fn norm(&self, phrasing: usize) -> f32 {
        let [grams, words] = self.norms[phrasing];
        grams.hypot(WORD_WEIGHT * words)
    }

    /// All units with their weighted rarities, scaled to length 1, sorted by unit.
    pub(super) fn units(&self, phrasing: usize) -> Vec<(Unit, f32)> {
        let mut units: Vec<(Unit, f32)> = Vec::new();
        gram_keys(self.text(phrasing), |key| units.push((key, self.gram_rarity(key))));
        let words = self.words(phrasing).iter();
        units.extend(words.map(|word| (WORD_UNIT | u64::from(*word), WORD_WEIGHT * self.word_rarity(Some(*word)))));
        units.sort_unstable_by_key(|(unit, _)| *unit);
        units.dedup_by_key(|(unit, _)| *unit);
        let norm = self.norm(phrasing).max(f32::MIN_POSITIVE);
        for (_, value) in &mut units {
            *value /= norm;
        }
        units
    }

    pub(super) fn words(&self, phrasing: usize) -> &[u32] {
        slice(&self.word_ends, phrasing).and_then(|range| self.words.get(range)).unwrap_or_default()
    }

    /// Lengths of the vectors of gram and word rarities.
    pub(super) fn norms(&self, phrasing: usize) -> [f32; 2] {
        self.norms[phrasing]
    }

    pub(super) fn word_id(&self, word: &str) -> Option<u32> {
        self.word_ids.get(word).copied()
    }

    pub(super) fn gram_rarity(&self, key: u64) -> f32 {
        self.rarity(self.gram_counts.get(&key).copied().unwrap_or(0))
    }

    /// Rarity of a word; of one that no phrasing holds for `None`.
    pub(super) fn word_rarity(&self, id: Option<u32>) -> f32 {
        self.rarity(id.and_then(|id| self.word_counts.get(id as usize).copied()).unwrap_or(0))
    }

    fn rarity(&self, holding: u32) -> f32 {
        self.rarities.get(holding as usize).copied().unwrap_or_else(|| rarity(holding, self.count()))
    }

    fn count(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }
}

fn slice(ends: &[u32], place: usize) -> Option<std::ops::Range<usize>> {
    let end = *ends.get(place)? as usize;
    let start = place.checked_sub(1).map_or(0, |previous| ends[previous] as usize);
    Some(start..end)
}
