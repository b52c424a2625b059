//! What a shop's own phrasings teach: for each entry a linear model of what tells it from its neighbours.
//!
//! Kernel ridge regression (Saunders, Gammerman and Vovk 1998), one entry against the rest, on the entry's phrasings
//! (target 1) and the phrasings of other entries that are nearest to them (target 0): `c = (K + aI)^-1 y` with `K` the
//! weighted mean of the cosines of unit weights and of senses. Kept in its primal form, `w = sum_j c_j x_j`, a score is
//! one sum over the query's units and the numbers of its sense. Far phrasings share nothing worth learning from, so
//! leaving them out costs little and makes the work linear in the number of entries.

use rustc_hash::{FxHashMap, FxHashSet};

use super::features::Features;
use super::query::{Query, probe};
use super::ridge;
use super::space::{Example, Space};
use super::table::Unit;
use super::vector::dot;
use crate::analysis::Analyzer;
use crate::index::{Budget, IndexError, PhrasingIndex};
use crate::parallel;

/// Phrasings of an entry that are learned from; enough for any editor.
const OWN: usize = 200;

/// Budget of the retrieval that finds rivals.
const BUDGET: Budget = Budget { postings: 10_000, hits: 64 };

/// Phrasings beyond the first at which an entry's learning is trusted by half.
const HALF_TRUST: f32 = 3.0;

/// Units kept a phrasing that taught them, those of the greatest weight: more adds memory and nothing else.
const KEPT_UNITS: usize = 32;

/// Most units kept for one entry.
const MOST_UNITS: usize = 384;

/// Texts that no entry answers and that an entry is learned against, when they are as near as this.
const OTHERS: usize = 40;
const NEAR: f32 = 0.2;

/// Entries with several phrasings beyond which those texts are left out: each is compared with each phrasing.
const MOST_BESIDE_OTHERS: usize = 2_000;

/// How much work goes into one entry; less in a large corpus, so that learning stays within seconds.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Phrasings of other entries that an entry is learned against.
    rivals: usize,
    /// Own phrasings that rivals are looked up for.
    probes: usize,
}

impl Effort {
    fn of(taught: usize) -> Self {
        let taught = taught.max(1);
        Self { rivals: (600_000 / taught).clamp(16, 200), probes: (30_000 / taught).max(1) }
    }
}

/// What was learned of one entry.
#[derive(Debug, Default)]
struct Model {
    /// Sorted by unit.
    units: Box<[(Unit, f32)]>,
    dense: Box<[f32]>,
}

impl Model {
    fn new(examples: &[Example], coefficients: &[f64], own: usize) -> Self {
        let mut weights: FxHashMap<Unit, f32> = FxHashMap::default();
        let mut dense = vec![0.0; examples.first().map_or(0, |example| example.dense.len())];
        for (example, coefficient) in examples.iter().zip(coefficients) {
            let coefficient = *coefficient as f32;
            for (unit, value) in &example.units {
                *weights.entry(*unit).or_default() += coefficient * value;
            }
            dense.iter_mut().zip(&example.dense).for_each(|(sum, value)| *sum += coefficient * value);
        }
        let mut units: Vec<(Unit, f32)> = weights.into_iter().collect();
        units.sort_unstable_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        units.truncate((KEPT_UNITS * own).min(MOST_UNITS));
        units.sort_unstable_by_key(|(unit, _)| *unit);
        Self { units: units.into(), dense: dense.into() }
    }

    fn score(&self, example: &Example) -> f32 {
        let weight =
            |unit: Unit| self.units.binary_search_by_key(&unit, |(known, _)| *known).map_or(0.0, |at| self.units[at].1);
        let of_units: f32 = example.units.iter().map(|(unit, value)| weight(*unit) * value).sum();
        of_units + dot(&self.dense, &example.dense)
    }
}

/// Models by entry; an entry with one phrasing has none, for it teaches nothing.
#[derive(Debug, Default)]
pub(super) struct Ranker {
    models: Vec<Model>,
    phrasings: Vec<u32>,
}

/// Stands for a text that no entry answers where phrasings have their numbers.
pub(super) fn out_of_scope(place: usize) -> u32 {
    1 << 31 | count(place)
}

/// Score of an entry for a phrasing, had the phrasing not been there to learn from.
pub(super) type HeldOut = FxHashMap<(u32, u32), f32>;

impl Ranker {
    /// Learns every entry on all cores; deterministic. Also tells what each entry's model would say to the phrasings of
    /// `sample` had it not learned from them.
    pub fn learn(
        space: Space<'_>,
        index: &PhrasingIndex,
        analyzer: &Analyzer,
        sample: &FxHashSet<u32>,
        others: &[Example],
    ) -> Result<(Self, HeldOut), IndexError> {
        let members = space.table.members();
        let taught = members.iter().filter(|own| own.len() > 1).count();
        let others = if taught <= MOST_BESIDE_OTHERS { others } else { &[] };
        let pupil = Pupil { space, index, analyzer, sample, others, effort: Effort::of(taught) };
        let lessons = parallel::flat_map(&members, |run| run.iter().map(|own| pupil.lesson(own)).collect());
        let mut ranker = Self { models: Vec::new(), phrasings: members.iter().map(|own| count(own.len())).collect() };
        let mut held_out = HeldOut::default();
        for (entry, lesson) in (0..).zip(lessons) {
            let (model, without) = lesson?;
            ranker.models.push(model);
            held_out.extend(without.into_iter().map(|(phrasing, score)| ((entry, phrasing), score)));
        }
        Ok((ranker, held_out))
    }

    /// Adds what was learned to the features of an entry. `without` names a phrasing that is to count as not there.
    pub fn judge(&self, entry: u32, example: &Example, features: &mut Features, without: Option<(u32, &HeldOut)>) {
        let Some(model) = self.models.get(entry as usize) else { return };
        let held_out = without.and_then(|(phrasing, held_out)| held_out.get(&(entry, phrasing)));
        features.learned = held_out.copied().unwrap_or_else(|| model.score(example)).clamp(0.0, 1.0);
        features.trust = trust(self.phrasings[entry as usize]);
    }

    /// Number of phrasings of an entry.
    pub fn phrasings(&self, entry: u32) -> u32 {
        self.phrasings.get(entry as usize).copied().unwrap_or(0)
    }
}

/// How far a model is trusted that learned from so many phrasings.
pub(super) fn trust(phrasings: u32) -> f32 {
    let taught = phrasings.saturating_sub(1) as f32;
    taught / (taught + HALF_TRUST)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

struct Pupil<'a> {
    space: Space<'a>,
    index: &'a PhrasingIndex,
    analyzer: &'a Analyzer,
    sample: &'a FxHashSet<u32>,
    others: &'a [Example],
    effort: Effort,
}

/// A model, and its scores for sampled phrasings held out.
type Lesson = (Model, Vec<(u32, f32)>);

impl Pupil<'_> {
    fn lesson(&self, own: &[u32]) -> Result<Lesson, IndexError> {
        if own.len() < 2 {
            return Ok(Lesson::default());
        }
        let own = &own[..own.len().min(OWN)];
        let phrasings: Vec<u32> = own.iter().copied().chain(self.rivals(own)?).collect();
        let mut examples: Vec<Example> =
            phrasings.iter().map(|phrasing| self.space.of_phrasing(*phrasing as usize)).collect();
        let near = self.near_others(&examples[..own.len()]);
        examples.extend(near.iter().map(|other| self.others[*other].clone()));
        let targets: Vec<f64> = (0..examples.len()).map(|place| if place < own.len() { 1.0 } else { 0.0 }).collect();
        let kernel = |row: usize, column: usize| f64::from(examples[row].dot(&examples[column]));
        let solved = ridge::solve(examples.len(), kernel, &targets);
        let sampled = phrasings.iter().enumerate().filter(|(_, phrasing)| self.sample.contains(phrasing));
        let sampled = sampled.map(|(row, phrasing)| (row, *phrasing));
        let others = near.iter().enumerate().map(|(place, other)| (phrasings.len() + place, out_of_scope(*other)));
        let held_out = sampled.chain(others).map(|(row, id)| (id, solved.held_out(row, targets[row]) as f32)).collect();
        Ok((Model::new(&examples, &solved.coefficients, own.len()), held_out))
    }

    /// The texts that no entry answers and that are nearest to any of `own`.
    fn near_others(&self, own: &[Example]) -> Vec<usize> {
        let nearest = |other: &Example| own.iter().map(|example| example.dot(other)).fold(0.0, f32::max);
        let mut near: Vec<(f32, usize)> = self
            .others
            .iter()
            .enumerate()
            .map(|(place, other)| (nearest(other), place))
            .filter(|(near, _)| *near >= NEAR)
            .collect();
        near.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        near.truncate(OTHERS);
        near.into_iter().map(|(_, place)| place).collect()
    }

    /// The phrasings of other entries nearest to any of `own`, nearest first; of equals the first in the corpus.
    fn rivals(&self, own: &[u32]) -> Result<Vec<u32>, IndexError> {
        let table = self.space.table;
        let entry = own.first().map(|phrasing| table.entry(*phrasing as usize));
        let texts: FxHashSet<&str> = own.iter().map(|phrasing| table.text(*phrasing as usize)).collect();
        let mut nearest: FxHashMap<u32, f32> = FxHashMap::default();
        for phrasing in own.iter().take(self.effort.probes) {
            let text = table.text(*phrasing as usize);
            let analysis = self.analyzer.again(text);
            let query = Query::new(
                &analysis,
                table,
                self.space.meanings.map(|meanings| meanings.numbers(*phrasing as usize).collect()),
            );
            let hits = self.index.retrieve(&probe(&analysis, self.analyzer), BUDGET, |_| true)?;
            for hit in hits.iter().filter(|hit| Some(table.entry(hit.phrasing as usize)) != entry) {
                let likeness = nearest.entry(hit.phrasing).or_default();
                *likeness = likeness.max(Features::compare(&query, self.space, hit.phrasing as usize).likeness());
            }
        }
        // An entry of another scope may be asked for in the same words: nothing tells the two apart.
        nearest.retain(|phrasing, _| !texts.contains(table.text(*phrasing as usize)));
        let mut rivals: Vec<(u32, f32)> = nearest.into_iter().collect();
        rivals.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        rivals.truncate(self.effort.rivals);
        Ok(rivals.into_iter().map(|(phrasing, _)| phrasing).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_phrasing_is_not_trusted_and_many_are() {
        assert_eq!(trust(1), 0.0);
        assert!(trust(3) < trust(16) && trust(16) < 1.0);
    }

    #[test]
    fn effort_falls_with_the_size_of_the_corpus() {
        assert_eq!(Effort::of(200).rivals, 200);
        assert_eq!(Effort::of(100_000).rivals, 16);
        assert_eq!(Effort::of(1_000_000).probes, 1);
    }
}
