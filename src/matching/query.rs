//! A customer's text as weighted units, ready to be compared with phrasings.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use super::table::{Phrasings, Unit, WORD_UNIT, WORD_WEIGHT};
use crate::analysis::units::SyllablePair;
use crate::analysis::{Analysis, Analyzer, is_han_character, letters, units};
use crate::index::{Field, ProbeTerm};

/// Weights of the fields in retrieval: a pair of syllables says less than the characters themselves.
const PINYIN_WEIGHT: f32 = 0.4;
const GRAM_WEIGHT: f32 = 0.7;

/// A query's units with their rarities.
pub(super) struct Query {
    /// Place of a gram in `grams`.
    gram_places: FxHashMap<u64, usize>,
    grams: Vec<f32>,
    /// The comparison in which each gram was last met, and the number of the present one.
    met: RefCell<(Vec<u32>, u32)>,
    word_places: FxHashMap<u32, usize>,
    words: Vec<f32>,
    /// Length of the vector of gram rarities, and of word rarities.
    pub norms: [f32; 2],
    pub syllable_pairs: Vec<SyllablePair>,
}

/// Calls `visit` with a key for each Han character and each pair of neighbouring letters.
pub(super) fn gram_keys(canonical: &str, mut visit: impl FnMut(u64)) {
    let mut last: Option<char> = None;
    for c in letters(canonical) {
        if is_han_character(c) {
            visit(u64::from(c as u32));
        }
        if let Some(last) = last {
            visit(u64::from(last as u32) << 32 | u64::from(c as u32));
        }
        last = Some(c);
    }
}

impl Query {
    pub fn new(analysis: &Analysis, table: &Phrasings) -> Self {
        let mut query = Self {
            gram_places: FxHashMap::default(),
            grams: Vec::new(),
            met: RefCell::default(),
            word_places: FxHashMap::default(),
            words: Vec::new(),
            norms: [0.0; 2],
            syllable_pairs: Vec::new(),
        };
        gram_keys(&analysis.text, |key| {
            query.gram_places.entry(key).or_insert_with(|| {
                query.grams.push(table.gram_rarity(key));
                query.grams.len() - 1
            });
        });
        let mut unknown = 0.0;
        for word in analysis.word_texts() {
            let id = table.word_id(word);
            let rarity = table.word_rarity(id);
            match id {
                Some(id) => {
                    query.word_places.entry(id).or_insert_with(|| {
                        query.words.push(rarity);
                        query.words.len() - 1
                    });
                }
                None => unknown += rarity * rarity,
            }
        }
        let length = |rarities: &[f32]| rarities.iter().map(|rarity| rarity * rarity).sum::<f32>();
        query.norms = [length(&query.grams).sqrt(), (length(&query.words) + unknown).sqrt()];
        units::syllable_pair_keys(&analysis.text, |pair| query.syllable_pairs.push(pair));
        query.syllable_pairs.sort_unstable();
        query.syllable_pairs.dedup();
        query
    }

    /// Length of the vector of all units.
    fn norm(&self) -> f32 {
        let [grams, words] = self.norms;
        grams.hypot(WORD_WEIGHT * words).max(f32::MIN_POSITIVE)
    }

    /// Known units with their weighted rarities, scaled so that all units, unknown ones too, have length 1.
    pub fn units(&self) -> Vec<(Unit, f32)> {
        let norm = self.norm();
        let grams = self.gram_places.iter().map(|(key, place)| (*key, self.grams[*place] / norm));
        let words = self
            .word_places
            .iter()
            .map(|(id, place)| (WORD_UNIT | u64::from(*id), WORD_WEIGHT * self.words[*place] / norm));
        let mut units: Vec<(Unit, f32)> = grams.chain(words).collect();
        units.sort_unstable_by_key(|(unit, _)| *unit);
        units
    }

    /// Cosine with a phrasing over all units.
    pub fn likeness(&self, table: &Phrasings, phrasing: usize) -> f32 {
        let shared =
            self.shared_grams(table.text(phrasing)) + WORD_WEIGHT.powi(2) * self.shared_words(table.words(phrasing));
        shared / (self.norm() * table.norm(phrasing).max(f32::MIN_POSITIVE))
    }

    /// Shared squared rarity of grams with a phrasing's canonical text.
    pub fn shared_grams(&self, text: &str) -> f32 {
        let (met, present) = &mut *self.met.borrow_mut();
        met.resize(self.grams.len(), 0);
        *present += 1;
        let mut shared = 0.0;
        gram_keys(text, |key| {
            if let Some(place) = self.gram_places.get(&key)
                && std::mem::replace(&mut met[*place], *present) != *present
            {
                shared += self.grams[*place].powi(2);
            }
        });
        shared
    }

    /// Shared squared rarity of words; `words` holds each id once.
    pub fn shared_words(&self, words: &[u32]) -> f32 {
        words.iter().filter_map(|id| self.word_places.get(id)).map(|place| self.words[*place].powi(2)).sum()
    }
}

/// Terms to look up, synonyms included.
pub(super) fn probe(analysis: &Analysis, analyzer: &Analyzer) -> Vec<ProbeTerm> {
    let mut terms: Vec<ProbeTerm> = Vec::with_capacity(analysis.text.len() * 2);
    let mut push = |field, text: &str, weight| terms.push(ProbeTerm { field, text: text.to_owned(), weight });
    for word in analysis.word_texts() {
        match analyzer.class(word) {
            Some(class) => analyzer.synonyms(class).iter().for_each(|synonym| push(Field::Words, synonym, 1.0)),
            None => push(Field::Words, word, 1.0),
        }
    }
    units::grams(&analysis.text, |gram| push(Field::Grams, gram, GRAM_WEIGHT));
    units::syllable_pairs(&analysis.text, |pair| push(Field::Pinyin, pair, PINYIN_WEIGHT));
    terms.sort_unstable_by(|a, b| (a.field as u8, &a.text).cmp(&(b.field as u8, &b.text)));
    terms.dedup_by(|a, b| a.field == b.field && a.text == b.text);
    terms
}
