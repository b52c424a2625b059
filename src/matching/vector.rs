//! Dense vectors of length 1, kept as one signed byte a number.

/// How far the numbers of a vector of length 1 and so many dimensions are stretched: beyond four times their usual size
/// they are cut.
pub(super) fn scale(dimensions: usize) -> f32 {
    127.0 / 4.0 * (dimensions as f32).sqrt()
}

/// A vector as it is kept.
pub(super) fn kept(vector: &[f32]) -> impl Iterator<Item = i8> + '_ {
    let scale = scale(vector.len());
    vector.iter().map(move |value| (value * scale).round().clamp(-127.0, 127.0) as i8)
}

/// The numbers of a kept vector.
pub(super) fn numbers(kept: &[i8]) -> impl Iterator<Item = f32> + '_ {
    let scale = scale(kept.len());
    kept.iter().map(move |byte| f32::from(*byte) / scale)
}

/// Sums that are added up side by side, so that the processor need not wait for one after another.
const LANES: usize = 16;

/// Cosine of a vector and a kept one, as far as the bytes tell, 0..=1: vectors that point apart have nothing in common.
pub(super) fn cosine(left: &[f32], right: &[i8]) -> f32 {
    (dot(left, right) / scale(right.len())).clamp(0.0, 1.0)
}

/// Dot product over the shorter of the two.
pub(super) fn dot<T: Copy + Into<f32>>(left: &[f32], right: &[T]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (left, right) in left.chunks(LANES).zip(right.chunks(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(left).zip(right) {
            *sum += a * (*b).into();
        }
    }
    sums.iter().sum()
}

/// `vector` with length 1; `None` when it has none, or is not made of finite numbers.
pub(super) fn unit(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length < 1e-9 {
        return None;
    }
    vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    Some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_vector_is_close_to_the_vector() {
        for dimensions in [3, 64, 384, 1536] {
            let vector = unit((0..dimensions).map(|at| (at as f32 * 1.7).sin()).collect()).unwrap();
            let bytes: Vec<i8> = kept(&vector).collect();
            assert!((cosine(&vector, &bytes) - 1.0).abs() < 0.02, "{dimensions}");
        }
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        assert!(
            unit(vec![0.0; 8]).is_none() && unit(vec![f32::NAN, 1.0]).is_none() && unit(vec![f32::INFINITY]).is_none()
        );
    }
}
