//! A customer's text as weighted units, ready to be compared with phrasings.

use super::table::{Phrasings, Unit};
use super::traits::Traits;
use crate::analysis::sense::{Sense, sense};
use crate::analysis::units::SyllablePair;
use crate::analysis::{Analysis, Analyzer, is_han_character, letters, units};
use crate::index::{Field, ProbeTerm};

/// Weights of the fields in retrieval: a pair of syllables says less than the characters themselves.
const PINYIN_WEIGHT: f32 = 0.4;
const GRAM_WEIGHT: f32 = 0.7;

/// A query's units with their weights, and what it means.
pub(super) struct Query {
    /// Units that some phrasing holds, sorted.
    pub units: Vec<(Unit, f32)>,
    /// Length of the vector of all units, unknown ones too; never 0.
    pub norm: f32,
    pub sense: Sense,
    /// Centred vector of an embedding model, where one was asked.
    pub meaning: Option<Vec<f32>>,
    pub traits: Traits,
    pub syllable_pairs: Vec<SyllablePair>,
}

/// Squared weights that a query and a phrasing share.
pub(super) struct Shared {
    pub grams: f32,
    pub words: f32,
}

/// Key of a pair of neighbouring letters.
pub(super) fn gram_key(left: char, right: char) -> u64 {
    u64::from(left as u32) << 32 | u64::from(right as u32)
}

/// Calls `visit` with a key for each Han character and each pair of neighbouring letters.
pub(super) fn gram_keys(canonical: &str, mut visit: impl FnMut(u64)) {
    let mut last: Option<char> = None;
    for c in letters(canonical) {
        if is_han_character(c) {
            visit(u64::from(c as u32));
        }
        if let Some(last) = last {
            visit(gram_key(last, c));
        }
        last = Some(c);
    }
}

impl Query {
    pub fn new(analysis: &Analysis, table: &Phrasings, meaning: Option<Vec<f32>>) -> Self {
        let (mut units, mut unknown) = (Vec::with_capacity(48), 0);
        let mut add = |unit: Option<Unit>| match unit {
            Some(unit) => units.push((unit, table.weight(unit))),
            None => unknown += 1,
        };
        gram_keys(&analysis.text, |key| add(table.gram(key)));
        analysis.word_texts().for_each(|word| add(table.word(word)));
        units.sort_unstable_by_key(|(unit, _)| *unit);
        units.dedup_by_key(|(unit, _)| *unit);
        let known: f32 = units.iter().map(|(_, weight)| weight * weight).sum();
        let norm = (known + unknown as f32 * table.unknown_weight().powi(2)).sqrt().max(f32::MIN_POSITIVE);
        Self {
            units,
            norm,
            sense: sense(analysis),
            meaning,
            traits: Traits::of(&analysis.text),
            syllable_pairs: syllable_pairs(&analysis.text),
        }
    }

    pub fn shared(&self, table: &Phrasings, phrasing: usize) -> Shared {
        let mut shared = Shared { grams: 0.0, words: 0.0 };
        let mut own = self.units.iter();
        let mut next = own.next();
        for unit in table.units(phrasing) {
            while next.is_some_and(|(known, _)| known < unit) {
                next = own.next();
            }
            match next {
                Some((known, weight)) if known == unit => {
                    *(if unit & super::table::WORD == 0 { &mut shared.grams } else { &mut shared.words }) +=
                        weight * weight;
                }
                Some(_) => {}
                None => break,
            }
        }
        shared
    }
}

fn syllable_pairs(canonical: &str) -> Vec<SyllablePair> {
    let mut pairs = Vec::new();
    units::syllable_pair_keys(canonical, |pair| pairs.push(pair));
    pairs.sort_unstable();
    pairs.dedup();
    pairs
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
