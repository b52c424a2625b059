//! What queries and phrasings are compared by: units and senses always, an embedding model's vectors where there are any.

use super::meaning::Meanings;
use super::query::Query;
use super::table::{Phrasings, Unit};
use super::vector::{cosine, dot, numbers};

/// Weight of the cosine of senses beside that of units, which is 1.
pub(super) const SENSE: f32 = 0.3;

/// Weight of the cosine of an embedding model's vectors beside that of units, which is 1.
pub(super) const MEANING: f32 = 2.0;

/// One way to compare.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space<'a> {
    pub table: &'a Phrasings,
    pub meanings: Option<&'a Meanings>,
}

/// A query or a phrasing as the kernel sees it: parts that together have length 1, so that the product of two is the
/// weighted mean of the cosines of their parts.
#[derive(Clone)]
pub(super) struct Example {
    pub units: Vec<(Unit, f32)>,
    pub dense: Vec<f32>,
}

impl<'a> Space<'a> {
    /// Lengths of an example's parts: units, sense, meaning.
    fn parts(self) -> [f32; 3] {
        let weights = [1.0, SENSE, if self.meanings.is_some() { MEANING } else { 0.0 }];
        weights.map(|weight| (weight / weights.iter().sum::<f32>()).sqrt())
    }

    /// Cosine of the senses.
    pub fn sense(self, query: &Query, phrasing: usize) -> f32 {
        cosine(&query.sense, self.table.sense(phrasing))
    }

    /// Cosine of the embedding model's vectors; none where they are not compared.
    pub fn meaning(self, query: &Query, phrasing: usize) -> Option<f32> {
        let (meanings, meaning) = (self.meanings?, query.meaning.as_ref());
        Some(meaning.map_or(0.0, |meaning| meanings.likeness(meaning, phrasing)))
    }

    pub fn of_query(self, query: &Query) -> Example {
        let [of_units, of_sense, of_meaning] = self.parts();
        let meaning = query.meaning.iter().flatten().filter(|_| self.meanings.is_some());
        Example {
            units: query.units.iter().map(|(unit, weight)| (*unit, of_units * weight / query.norm)).collect(),
            dense: query
                .sense
                .iter()
                .map(|value| of_sense * value)
                .chain(meaning.map(|value| of_meaning * value))
                .collect(),
        }
    }

    pub fn of_phrasing(self, phrasing: usize) -> Example {
        let [of_units, of_sense, of_meaning] = self.parts();
        let scale = of_units / self.table.norm(phrasing);
        let sense = numbers(self.table.sense(phrasing)).map(|value| of_sense * value);
        let meaning =
            self.meanings.iter().flat_map(|meanings| meanings.numbers(phrasing)).map(|value| of_meaning * value);
        Example {
            units: self.table.units(phrasing).iter().map(|unit| (*unit, scale * self.table.weight(*unit))).collect(),
            dense: sense.chain(meaning).collect(),
        }
    }
}

impl Example {
    pub fn dot(&self, other: &Self) -> f32 {
        sparse_dot(&self.units, &other.units) + dot(&self.dense, &other.dense)
    }
}

/// Dot product of vectors sorted by unit.
fn sparse_dot(left: &[(Unit, f32)], right: &[(Unit, f32)]) -> f32 {
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
