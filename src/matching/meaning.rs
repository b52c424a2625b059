//! What phrasings mean to an embedding model: vectors that a server made when the generation was built.

use super::vector::{cosine, kept, numbers, unit};

/// Fewer phrasings do not tell what all texts have in common, which is taken off every vector.
const LEAST: usize = 20;

/// Why vectors cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeaningError {
    /// A vector a phrasing is needed.
    #[error("{got} vectors for {wanted} phrasings")]
    Count {
        /// Vectors given.
        got: usize,
        /// Phrasings.
        wanted: usize,
    },
    /// Too few to take the mean of.
    #[error("{0} phrasings are too few to learn from an embedding model; {LEAST} are needed")]
    Few(usize),
    /// A vector has another length than the first, no length, or numbers that are none.
    #[error("vector {0} is not a direction in {1} dimensions")]
    Malformed(usize, usize),
}

/// A vector a phrasing.
///
/// The mean of all vectors is taken off each: embeddings of one language lie in a narrow cone, and what they have in
/// common says nothing (Mu and Viswanath, "All-but-the-top", ICLR 2018).
#[derive(Debug)]
pub struct Meanings {
    mean: Vec<f32>,
    /// `mean.len()` bytes a phrasing.
    bytes: Vec<i8>,
}

impl Meanings {
    /// Vectors of the phrasings, in the order of the table.
    ///
    /// # Errors
    /// When they are not one finite vector a phrasing, all of one length.
    pub fn new(vectors: &[Vec<f32>], phrasings: usize) -> Result<Self, MeaningError> {
        if vectors.len() != phrasings {
            return Err(MeaningError::Count { got: vectors.len(), wanted: phrasings });
        }
        if phrasings < LEAST {
            return Err(MeaningError::Few(phrasings));
        }
        let dimensions = vectors[0].len();
        let mut mean = vec![0.0; dimensions];
        for (place, vector) in vectors.iter().enumerate() {
            let unit = Some(vector.clone()).filter(|vector| vector.len() == dimensions).and_then(unit);
            let unit = unit.ok_or(MeaningError::Malformed(place, dimensions))?;
            mean.iter_mut().zip(&unit).for_each(|(sum, value)| *sum += value / phrasings as f32);
        }
        let mut meanings = Self { mean, bytes: Vec::with_capacity(dimensions * phrasings) };
        for vector in vectors {
            let centred = meanings.centred(vector).unwrap_or_else(|| vec![0.0; dimensions]);
            meanings.bytes.extend(kept(&centred));
        }
        Ok(meanings)
    }

    /// Direction of a vector from the mean; `None` when it is no vector of this model or says nothing.
    pub(super) fn centred(&self, vector: &[f32]) -> Option<Vec<f32>> {
        if vector.len() != self.mean.len() {
            return None;
        }
        let direction = unit(vector.to_vec())?;
        unit(direction.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect())
    }

    fn of(&self, phrasing: usize) -> &[i8] {
        &self.bytes[phrasing * self.mean.len()..][..self.mean.len()]
    }

    /// Cosine of a centred vector and a phrasing's, 0..=1.
    pub(super) fn likeness(&self, centred: &[f32], phrasing: usize) -> f32 {
        cosine(centred, self.of(phrasing))
    }

    /// The numbers of a phrasing's vector.
    pub(super) fn numbers(&self, phrasing: usize) -> impl Iterator<Item = f32> + '_ {
        numbers(self.of(phrasing))
    }

    /// The phrasings that mean most nearly the same, nearest first; equals by number.
    pub(super) fn nearest(&self, centred: &[f32], limit: usize) -> Vec<u32> {
        let mut all: Vec<(f32, u32)> = (0..)
            .zip(self.bytes.chunks_exact(self.mean.len()))
            .map(|(phrasing, bytes)| (cosine(centred, bytes), phrasing))
            .collect();
        let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if all.len() > limit && limit > 0 {
            all.select_nth_unstable_by(limit - 1, order);
            all.truncate(limit);
        }
        all.sort_unstable_by(order);
        all.into_iter().map(|(_, phrasing)| phrasing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> Vec<Vec<f32>> {
        (0..40_u16)
            .map(|at| {
                (0..8_u16).map(|axis| 5.0 + f32::from(at * 37 + axis * axis * 11 + at * axis * 3).sin()).collect()
            })
            .collect()
    }

    #[test]
    fn the_nearest_phrasing_of_a_phrasing_is_itself() {
        let meanings = Meanings::new(&vectors(), 40).unwrap();
        for (phrasing, vector) in (0..).zip(vectors()) {
            assert_eq!(meanings.nearest(&meanings.centred(&vector).unwrap(), 3)[0], phrasing);
        }
    }

    #[test]
    fn lies_about_the_vectors_are_refused() {
        let with = |place: usize, vector: Vec<f32>| {
            let mut vectors = vectors();
            vectors[place] = vector;
            Meanings::new(&vectors, 40).unwrap_err()
        };
        assert_eq!(with(7, vec![1.0; 9]), MeaningError::Malformed(7, 8));
        assert_eq!(with(3, vec![f32::NAN; 8]), MeaningError::Malformed(3, 8));
        assert_eq!(with(0, vec![0.0; 8]), MeaningError::Malformed(0, 8));
        assert_eq!(with(0, Vec::new()), MeaningError::Malformed(0, 0));
        assert!(matches!(Meanings::new(&vectors(), 41), Err(MeaningError::Count { .. })));
        assert!(matches!(Meanings::new(&vectors()[..3], 3), Err(MeaningError::Few(3))));
        let meanings = Meanings::new(&vectors(), 40).unwrap();
        assert!(meanings.centred(&[1.0; 3]).is_none() && meanings.centred(&[f32::NAN; 8]).is_none());
    }
}
