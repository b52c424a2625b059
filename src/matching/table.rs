//! Every phrasing of a generation in compact form: canonical text, units with their rarities, sense.

use rustc_hash::FxHashMap;

use super::query::gram_keys;
use super::traits::Traits;
use super::vector::kept;
use crate::analysis::sense::{DIMENSIONS, sense};
use crate::analysis::{Analysis, Analyzer};
use crate::index::rarity;
use crate::parallel;

/// Number of a character, of a pair of neighbours, or, with [`WORD`] added, of a word; synonyms share one.
pub(super) type Unit = u32;

/// Tells a word from a gram, whose number is below it.
pub(super) const WORD: Unit = 1 << 31;

/// Factor on a word's weight; a gram's is 1.
const WORD_WEIGHT: f32 = 1.1;

/// How far a phrasing's length counts beside the mean length.
const PIVOT: f32 = 0.75;

/// The phrasings of a corpus, numbered as in the index.
#[derive(Debug, Default)]
pub struct Phrasings {
    /// Canonical texts, one after another.
    texts: String,
    /// End of each text in `texts`.
    text_ends: Vec<u32>,
    /// Units of every phrasing, each once and sorted, one phrasing after another.
    units: Vec<Unit>,
    /// End of each phrasing's units in `units`.
    unit_ends: Vec<u32>,
    /// Entry of each phrasing.
    entries: Vec<u32>,
    /// What each phrasing means to the built-in word vectors, [`DIMENSIONS`] bytes each.
    senses: Vec<i8>,
    /// What each phrasing asks for.
    traits: Vec<Traits>,
    /// Length of the vector of unit weights.
    norms: Vec<f32>,
    /// See [`Phrasings::pivoted_norm`].
    pivoted_norms: Vec<f32>,
    /// Number of a gram by its key.
    grams: FxHashMap<u64, Unit>,
    /// Number of a word.
    words: FxHashMap<String, Unit>,
    /// How many phrasings hold a gram, and how many hold a word; by number.
    holding: [Vec<u32>; 2],
    /// Weight of a unit that so many phrasings hold; that of commoner units is computed.
    weights: Vec<f32>,
}

/// Units up to this common have their weight kept.
const KEPT_WEIGHTS: u32 = 1024;

impl Phrasings {
    /// Adds a phrasing of an entry; phrasings come in the index's order.
    pub fn push(&mut self, entry: u32, analysis: &Analysis, analyzer: &Analyzer) {
        self.texts.push_str(&analysis.text);
        self.text_ends.push(place(self.texts.len()));
        let mut units: Vec<Unit> = Vec::with_capacity(48);
        gram_keys(&analysis.text, |key| {
            let next = place(self.grams.len());
            units.push(*self.grams.entry(key).or_insert(next));
        });
        units.extend(analysis.word_texts().map(|word| self.intern(word, analyzer)));
        units.sort_unstable();
        units.dedup();
        self.holding[0].resize(self.grams.len(), 0);
        for unit in &units {
            self.holding[usize::from(unit & WORD != 0)][(unit & !WORD) as usize] += 1;
        }
        self.units.extend(units);
        self.unit_ends.push(place(self.units.len()));
        self.senses.extend(kept(&sense(analysis)));
        self.traits.push(Traits::of(&analysis.text));
        self.entries.push(entry);
    }

    fn intern(&mut self, word: &str, analyzer: &Analyzer) -> Unit {
        if let Some(unit) = self.words.get(word) {
            return *unit;
        }
        let unit = WORD | place(self.holding[1].len());
        self.holding[1].push(0);
        match analyzer.class(word) {
            Some(class) => self.words.extend(analyzer.synonyms(class).iter().map(|synonym| (synonym.clone(), unit))),
            None => {
                self.words.insert(word.to_owned(), unit);
            }
        }
        unit
    }

    /// The table with the lengths of all vectors, once every phrasing is there.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.weights = (0..KEPT_WEIGHTS).map(|holding| weight(holding, self.count())).collect();
        let numbers: Vec<usize> = (0..self.len()).collect();
        self.norms = parallel::flat_map(&numbers, |run| run.iter().map(|number| self.length(*number)).collect());
        let mean = self.norms.iter().sum::<f32>() / self.norms.len().max(1) as f32;
        let pivoted = |norm: &f32| (norm.powf(PIVOT) * mean.powf(1.0 - PIVOT)).max(f32::MIN_POSITIVE);
        self.pivoted_norms = self.norms.iter().map(pivoted).collect();
        self
    }

    fn length(&self, phrasing: usize) -> f32 {
        self.units(phrasing).iter().map(|unit| self.weight(*unit).powi(2)).sum::<f32>().sqrt()
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

    /// Phrasings of every entry, by its number.
    pub(super) fn members(&self) -> Vec<Vec<u32>> {
        let mut members: Vec<Vec<u32>> = Vec::new();
        for (phrasing, entry) in (0..).zip(&self.entries) {
            let entry = *entry as usize;
            members.resize_with(members.len().max(entry + 1), Vec::new);
            members[entry].push(phrasing);
        }
        members
    }

    /// Units of a phrasing, sorted.
    pub(super) fn units(&self, phrasing: usize) -> &[Unit] {
        slice(&self.unit_ends, phrasing).and_then(|range| self.units.get(range)).unwrap_or_default()
    }

    /// Length of the vector of unit weights; never 0.
    pub(super) fn norm(&self, phrasing: usize) -> f32 {
        self.norms[phrasing].max(f32::MIN_POSITIVE)
    }

    /// The same drawn towards the mean, so that long phrasings are not held down as hard (pivoted length normalisation,
    /// Singhal, Buckley and Mitra, SIGIR 1996).
    pub(super) fn pivoted_norm(&self, phrasing: usize) -> f32 {
        self.pivoted_norms[phrasing]
    }

    pub(super) fn sense(&self, phrasing: usize) -> &[i8] {
        &self.senses[phrasing * DIMENSIONS..][..DIMENSIONS]
    }

    pub(super) fn traits(&self, phrasing: usize) -> &Traits {
        &self.traits[phrasing]
    }

    pub(super) fn gram(&self, key: u64) -> Option<Unit> {
        self.grams.get(&key).copied()
    }

    pub(super) fn word(&self, word: &str) -> Option<Unit> {
        self.words.get(word).copied()
    }

    /// Every word with its unit, in no order.
    pub(super) fn vocabulary(&self) -> impl Iterator<Item = (&str, Unit)> {
        self.words.iter().map(|(word, unit)| (word.as_str(), *unit))
    }

    /// How many phrasings hold a unit.
    pub(super) fn holding(&self, unit: Unit) -> u32 {
        let of_kind = &self.holding[usize::from(unit & WORD != 0)];
        of_kind.get((unit & !WORD) as usize).copied().unwrap_or(0)
    }

    /// Weight of a unit; see [`weight`].
    pub(super) fn weight(&self, unit: Unit) -> f32 {
        let holding = self.holding(unit);
        let factor = if unit & WORD == 0 { 1.0 } else { WORD_WEIGHT };
        factor * self.weights.get(holding as usize).copied().unwrap_or_else(|| weight(holding, self.count()))
    }

    /// Weight of a unit that no phrasing holds.
    pub(super) fn unknown_weight(&self) -> f32 {
        self.weights.first().copied().unwrap_or(1.0)
    }

    fn count(&self) -> u32 {
        place(self.len())
    }
}

/// Square root of the rarity: in the product of two vectors it counts once, as in BM25. (The usual cosine of tf-idf
/// counts it twice, and a rare character then outweighs the whole rest of a short question.)
fn weight(holding: u32, all: u32) -> f32 {
    rarity(holding, all).sqrt()
}

fn place(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn slice(ends: &[u32], place: usize) -> Option<std::ops::Range<usize>> {
    let end = *ends.get(place)? as usize;
    let start = place.checked_sub(1).map_or(0, |previous| ends[previous] as usize);
    Some(start..end)
}
