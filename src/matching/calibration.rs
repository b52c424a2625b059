//! Fits the confidence to a corpus: how sure a score makes us depends on how alike the entries are.
//!
//! Platt's scaling (Platt 1999) of the model that ships: `logit' = slope * logit + shift`, fitted to held-out phrasings
//! of the corpus with the shipped model as prior, so that a small corpus changes little. It moves how sure we are, never
//! which of two matches is the surer one.

/// One match whose truth is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trial {
    /// What the shipped model says.
    pub logit: f32,
    /// Whether the best entry was the right one.
    pub right: bool,
}

/// How the shipped model's logit is read in this corpus.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Factor on the logit.
    pub slope: f32,
    /// Added to it.
    pub shift: f32,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { slope: 1.0, shift: 0.0 }
    }
}

/// How firmly slope and shift are held at 1 and 0, beside a weight of 1 for all trials together.
const PRIOR: [f64; 2] = [1.0, 0.06];

/// Newton steps; it settles in five.
const STEPS: usize = 20;

impl Calibration {
    /// Probability, in 0..=1.
    pub(super) fn probability(&self, logit: f32) -> f32 {
        1.0 / (1.0 + (-(self.slope * logit + self.shift)).exp())
    }

    /// The best fit to groups of trials; the second part of a group is the weight of all its trials together.
    pub(super) fn fit(groups: &[(&[Trial], f64)]) -> Self {
        let (mut slope, mut shift) = (1.0_f64, 0.0_f64);
        for _ in 0..STEPS {
            let mut gradient = [PRIOR[0] * (slope - 1.0), PRIOR[1] * shift];
            let mut curvature = [PRIOR[0], 0.0, PRIOR[1]];
            for (trials, whole) in groups.iter().filter(|(trials, _)| !trials.is_empty()) {
                let weight = whole / trials.len() as f64;
                for trial in *trials {
                    let logit = f64::from(trial.logit);
                    let probability = 1.0 / (1.0 + (-(slope * logit + shift)).exp());
                    let error = weight * (probability - f64::from(u8::from(trial.right)));
                    let certainty = weight * probability * (1.0 - probability);
                    gradient = [gradient[0] + error * logit, gradient[1] + error];
                    curvature[0] += certainty * logit * logit;
                    curvature[1] += certainty * logit;
                    curvature[2] += certainty;
                }
            }
            // The prior keeps the determinant positive.
            let determinant = curvature[0] * curvature[2] - curvature[1] * curvature[1];
            slope -= (curvature[2] * gradient[0] - curvature[1] * gradient[1]) / determinant;
            shift -= (curvature[0] * gradient[1] - curvature[1] * gradient[0]) / determinant;
            slope = slope.clamp(0.3, 2.0);
            shift = shift.clamp(-3.0, 3.0);
        }
        Self { slope: slope as f32, shift: shift as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(logit: f32, right: usize, wrong: usize) -> Vec<Trial> {
        let of = |right| move |_| Trial { logit, right };
        (0..right).map(of(true)).chain((0..wrong).map(of(false))).collect()
    }

    #[test]
    fn without_trials_the_shipped_model_stands() {
        assert_eq!(Calibration::fit(&[]), Calibration::default());
        assert_eq!(Calibration::fit(&[(&[], 1.0)]), Calibration::default());
    }

    #[test]
    fn a_model_that_is_right_is_left_alone() {
        let balanced = [trials(0.0, 50, 50), trials(1.0986, 75, 25), trials(-1.0986, 25, 75)].concat();
        let fitted = Calibration::fit(&[(&balanced, 1.0)]);
        assert!((fitted.slope - 1.0).abs() < 0.01 && fitted.shift.abs() < 0.01, "{fitted:?}");
    }

    #[test]
    fn a_model_that_is_too_sure_is_damped() {
        let fitted = Calibration::fit(&[(&trials(2.0, 40, 60), 1.0)]);
        assert!(fitted.probability(2.0) < 0.65, "{fitted:?}");
        assert!(fitted.probability(2.0) > fitted.probability(1.0));
    }
}
