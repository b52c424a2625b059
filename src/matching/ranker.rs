//! What a shop's own phrasings teach: for each entry a linear model of the units that tell it from its neighbours.
//!
//! Kernel ridge regression (Saunders, Gammerman and Vovk 1998), one entry against the rest, on the entry's phrasings
//! (target 1) and the phrasings of other entries that are nearest to them (target 0): `c = (K + aI)^-1 y` with `K` the
//! cosine of rarity-weighted units. Kept in its primal form, `w = sum_j c_j x_j`, a score is one sum over the query's
//! units, and a unit's weight says how far it speaks for or against the entry. Far phrasings share no units worth
//! learning from, so leaving them out costs nothing and makes the work linear in the number of entries.

use rustc_hash::{FxHashMap, FxHashSet};

use super::query::{Query, probe};
use super::table::{Phrasings, Unit};
use crate::analysis::{Analysis, Analyzer};
use crate::index::{Budget, IndexError, PhrasingIndex};
use crate::parallel;

/// Ridge `a`: how far a phrasing's own noise is distrusted.
const RIDGE: f64 = 0.5;

/// Phrasings of other entries that an entry is learned against.
const RIVALS: usize = 100;

/// Phrasings of an entry that are learned from; enough for any editor.
const OWN: usize = 200;

/// Budget of the retrieval that finds rivals.
const BUDGET: Budget = Budget { postings: 10_000, hits: 64 };

/// Phrasings at which half of an entry's score is what was learned.
const HALF_TRUST: f32 = 2.0;

/// Weights of units by entry; none for an entry with one phrasing, which teaches nothing.
#[derive(Debug, Default)]
pub(super) struct Ranker {
    /// Sorted by unit.
    models: Vec<Box<[(Unit, f32)]>>,
    /// Share of what was learned in the entry's score, in 0..1.
    trust: Vec<f32>,
}

impl Ranker {
    /// Learns every entry on all cores; deterministic.
    pub fn learn(table: &Phrasings, index: &PhrasingIndex, analyzer: &Analyzer) -> Result<Self, IndexError> {
        let mut members: Vec<Vec<u32>> = Vec::new();
        for phrasing in 0..table.len() {
            let entry = table.entry(phrasing) as usize;
            members.resize_with(members.len().max(entry + 1), Vec::new);
            members[entry].push(u32::try_from(phrasing).unwrap_or(u32::MAX));
        }
        let pupil = Pupil { table, index, analyzer };
        let models = parallel::flat_map(&members, |run| run.iter().map(|own| pupil.model(own)).collect());
        let trust = members.iter().map(|own| trust(own.len())).collect();
        Ok(Self { models: models.into_iter().collect::<Result<_, _>>()?, trust })
    }

    /// What was learned of an entry says to a query with these units: about 1 for its own phrasings, about 0 for others.
    pub fn score(&self, entry: u32, units: &[(Unit, f32)]) -> f32 {
        let Some(model) = self.models.get(entry as usize) else {
            return 0.0;
        };
        let weight = |unit: Unit| model.binary_search_by_key(&unit, |(known, _)| *known).map_or(0.0, |at| model[at].1);
        units.iter().map(|(unit, value)| weight(*unit) * value).sum()
    }

    /// Share of what was learned in the entry's score, in 0..1.
    pub fn trust(&self, entry: u32) -> f32 {
        self.trust.get(entry as usize).copied().unwrap_or(0.0)
    }
}

fn trust(phrasings: usize) -> f32 {
    let taught = phrasings.saturating_sub(1) as f32;
    taught / (taught + HALF_TRUST)
}

struct Pupil<'a> {
    table: &'a Phrasings,
    index: &'a PhrasingIndex,
    analyzer: &'a Analyzer,
}

impl Pupil<'_> {
    fn model(&self, own: &[u32]) -> Result<Box<[(Unit, f32)]>, IndexError> {
        if own.len() < 2 {
            return Ok(Box::default());
        }
        let own = &own[..own.len().min(OWN)];
        let rivals = self.rivals(own)?;
        let vectors: Vec<Vec<(Unit, f32)>> =
            own.iter().chain(&rivals).map(|phrasing| self.table.units(*phrasing as usize)).collect();
        let targets: Vec<f64> = (0..vectors.len()).map(|place| if place < own.len() { 1.0 } else { 0.0 }).collect();
        let coefficients = solve(kernel(&vectors), targets);
        let mut weights: FxHashMap<Unit, f32> = FxHashMap::default();
        for (vector, coefficient) in vectors.iter().zip(coefficients) {
            for (unit, value) in vector {
                *weights.entry(*unit).or_default() += coefficient as f32 * value;
            }
        }
        let mut model: Vec<(Unit, f32)> = weights.into_iter().collect();
        model.sort_unstable_by_key(|(unit, _)| *unit);
        Ok(model.into())
    }

    /// The phrasings of other entries nearest to any of `own`, nearest first; of equals the first in the corpus.
    fn rivals(&self, own: &[u32]) -> Result<Vec<u32>, IndexError> {
        let entry = own.first().map(|phrasing| self.table.entry(*phrasing as usize));
        let texts: FxHashSet<&str> = own.iter().map(|phrasing| self.table.text(*phrasing as usize)).collect();
        let mut nearest: FxHashMap<u32, f32> = FxHashMap::default();
        for phrasing in own {
            let text = self.table.text(*phrasing as usize);
            let words = self.analyzer.words(text);
            let analysis = Analysis { text: text.to_owned(), full: text.to_owned(), language: None, words };
            let query = Query::new(&analysis, self.table);
            let hits = self.index.retrieve(&probe(&analysis, self.analyzer), BUDGET)?;
            for hit in hits.iter().filter(|hit| Some(self.table.entry(hit.phrasing as usize)) != entry) {
                let likeness = nearest.entry(hit.phrasing).or_default();
                *likeness = likeness.max(query.likeness(self.table, hit.phrasing as usize));
            }
        }
        // An entry of another scope may be asked for in the same words: nothing tells the two apart.
        nearest.retain(|phrasing, _| !texts.contains(self.table.text(*phrasing as usize)));
        let mut rivals: Vec<(u32, f32)> = nearest.into_iter().collect();
        rivals.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        rivals.truncate(RIVALS);
        Ok(rivals.into_iter().map(|(phrasing, _)| phrasing).collect())
    }
}

/// Lower triangle of the matrix of cosines, row by row, the ridge on its diagonal.
fn kernel(vectors: &[Vec<(Unit, f32)>]) -> Vec<Vec<f64>> {
    let row = |(place, vector): (usize, &Vec<(Unit, f32)>)| {
        let mut row: Vec<f64> = vectors[..=place].iter().map(|other| f64::from(dot(vector, other))).collect();
        row[place] += RIDGE;
        row
    };
    vectors.iter().enumerate().map(row).collect()
}

/// Dot product of vectors sorted by unit.
fn dot(left: &[(Unit, f32)], right: &[(Unit, f32)]) -> f32 {
    let (mut at, mut sum) = (0, 0.0);
    for (unit, value) in left {
        while at < right.len() && right[at].0 < *unit {
            at += 1;
        }
        if let Some((_, other)) = right.get(at).filter(|(known, _)| known == unit) {
            sum += value * other;
        }
    }
    sum
}

/// Solves a symmetric positive definite system by Cholesky decomposition; `matrix` is its lower triangle.
fn solve(mut matrix: Vec<Vec<f64>>, mut values: Vec<f64>) -> Vec<f64> {
    for row in 0..matrix.len() {
        let (above, current) = matrix.split_at_mut(row);
        let current = &mut current[0];
        for (column, known) in above.iter().enumerate() {
            let sum: f64 = current[..column].iter().zip(&known[..column]).map(|(a, b)| a * b).sum();
            current[column] = (current[column] - sum) / known[column];
        }
        let sum: f64 = current[..row].iter().map(|a| a * a).sum();
        // The ridge keeps the pivots positive; the bound only guards against rounding.
        current[row] = (current[row] - sum).max(RIDGE * 1e-6).sqrt();
        let known: f64 = current[..row].iter().zip(&values).map(|(a, b)| a * b).sum();
        values[row] = (values[row] - known) / current[row];
    }
    for row in (0..matrix.len()).rev() {
        let known: f64 = (row + 1..matrix.len()).map(|below| matrix[below][row] * values[below]).sum();
        values[row] = (values[row] - known) / matrix[row][row];
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_what_it_was_given() {
        let matrix = vec![vec![4.0], vec![2.0, 5.0], vec![0.0, 1.0, 3.0]];
        let solution = solve(matrix, vec![8.0, 15.0, 11.0]);
        let expected = [1.0, 2.0, 3.0];
        assert!(solution.iter().zip(expected).all(|(got, want)| (got - want).abs() < 1e-9), "{solution:?}");
    }

    #[test]
    fn one_phrasing_is_not_trusted_and_many_are() {
        assert_eq!(trust(1), 0.0);
        assert!(trust(3) < trust(16) && trust(16) < 1.0);
    }
}
