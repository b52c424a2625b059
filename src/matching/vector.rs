//! Dense vectors of length 1, kept as one signed byte a number.

use crate::analysis::sense::{DIMENSIONS, Sense};

/// A sense as it is kept: its numbers times [`SCALE`].
pub(super) type Dense = [i8; DIMENSIONS];

/// Numbers of a vector of length 1 are at most 1; few come near 0.5.
const SCALE: f32 = 254.0;

/// Numbers beyond 0.5 are cut.
pub(super) fn dense(sense: &Sense) -> Dense {
    sense.map(byte)
}

fn byte(value: f32) -> i8 {
    (value * SCALE).round().clamp(-127.0, 127.0) as i8
}

/// Cosine of a vector and a kept one, as far as the bytes tell; 0 where one is missing.
pub(super) fn cosine(left: &[f32], right: &[i8]) -> f32 {
    left.iter().zip(right).map(|(a, b)| a * f32::from(*b)).sum::<f32>() / SCALE
}

/// The numbers of a kept vector.
pub(super) fn numbers(kept: &[i8]) -> impl Iterator<Item = f32> + '_ {
    kept.iter().map(|byte| f32::from(*byte) / SCALE)
}
