//! Ridge regression in its dual form, and what it would have said without one of its examples.

/// Ridge `a`: how far an example's own noise is distrusted.
const RIDGE: f64 = 0.35;

/// Solution of `(K + aI) c = y`.
pub(super) struct Solved {
    pub coefficients: Vec<f64>,
    /// Cholesky factor of `K + aI`, lower triangle, row by row.
    factor: Vec<Vec<f64>>,
}

/// Solves for `size` examples; `kernel` is asked for `column <= row`, `targets` has one value an example.
pub(super) fn solve(size: usize, kernel: impl Fn(usize, usize) -> f64, targets: &[f64]) -> Solved {
    let mut factor: Vec<Vec<f64>> = Vec::with_capacity(size);
    for row in 0..size {
        let mut current: Vec<f64> = (0..=row).map(|column| kernel(row, column)).collect();
        current[row] += RIDGE;
        for (column, known) in factor.iter().enumerate() {
            current[column] = (current[column] - dot(&current[..column], known)) / known[column];
        }
        // The ridge keeps the pivots positive; the bound only guards against rounding.
        current[row] = (current[row] - dot(&current[..row], &current)).max(RIDGE * 1e-6).sqrt();
        factor.push(current);
    }
    let mut values = forward(&factor, targets.to_vec(), 0);
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|below| factor[below][row] * values[below]).sum();
        values[row] = (values[row] - known) / factor[row][row];
    }
    Solved { coefficients: values, factor }
}

/// Solves `L z = values`, where all values before `first` are 0.
fn forward(factor: &[Vec<f64>], mut values: Vec<f64>, first: usize) -> Vec<f64> {
    for row in first..factor.len() {
        let known = dot(&factor[row][first..row], &values[first..]);
        values[row] = (values[row] - known) / factor[row][row];
    }
    values
}

/// Over the shorter of the two, in sums side by side: the processor need not wait for one after another.
fn dot(left: &[f64], right: &[f64]) -> f64 {
    const LANES: usize = 8;
    let length = left.len().min(right.len());
    let (left, left_rest) = left[..length].as_chunks::<LANES>();
    let (right, right_rest) = right[..length].as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (left, right) in left.iter().zip(right) {
        for ((sum, a), b) in sums.iter_mut().zip(left).zip(right) {
            *sum += a * b;
        }
    }
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

impl Solved {
    /// What would be said of the example in `row`, had it not been there: `y - c / ((K + aI)^-1)_ii` (Rifkin and
    /// Lippert, "Notes on regularized least squares", 2007, section 3).
    pub fn held_out(&self, row: usize, target: f64) -> f64 {
        let mut unit = vec![0.0; self.factor.len()];
        unit[row] = 1.0;
        let column = forward(&self.factor, unit, row);
        target - self.coefficients[row] / dot(&column[row..], &column[row..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATRIX: [[f64; 3]; 3] = [[4.0, 2.0, 0.0], [2.0, 5.0, 1.0], [0.0, 1.0, 3.0]];

    fn near(got: f64, want: f64) -> bool {
        (got - want).abs() < 1e-9
    }

    #[test]
    fn solves_what_it_was_given() {
        let kernel = |row: usize, column: usize| MATRIX[row][column] - if row == column { RIDGE } else { 0.0 };
        let solved = solve(3, kernel, &[8.0, 15.0, 11.0]);
        assert!(solved.coefficients.iter().zip([1.0, 2.0, 3.0]).all(|(got, want)| near(*got, want)));
    }

    #[test]
    fn held_out_is_what_the_others_say() {
        let targets = [1.0, 0.0, 1.0];
        let kernel = |row: usize, column: usize| MATRIX[row][column];
        let whole = solve(3, kernel, &targets);
        for left_out in 0..3 {
            let others: Vec<usize> = (0..3).filter(|row| *row != left_out).collect();
            let kept: Vec<f64> = others.iter().map(|row| targets[*row]).collect();
            let part = solve(2, |row, column| MATRIX[others[row]][others[column]], &kept);
            let said: f64 = others
                .iter()
                .zip(&part.coefficients)
                .map(|(row, coefficient)| MATRIX[left_out][*row] * coefficient)
                .sum();
            assert!(near(whole.held_out(left_out, targets[left_out]), said));
        }
    }
}
