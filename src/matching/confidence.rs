//! From likeness and margin to a confidence in 0..=1.

use serde::{Deserialize, Serialize};

use super::features::Features;
use super::matcher::Match;

/// Confidences from which the bot acts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// From here on the answer is sent.
    pub answer: f32,
    /// Least distance to the runner-up's confidence for a plain answer.
    pub margin: f32,
    /// From here on a menu is offered.
    pub menu: f32,
}

impl Default for Thresholds {
    /// Confidences from 0.75 on have a mean above 0.9; of menus offered at 0.35, six of ten hold the right entry.
    fn default() -> Self {
        Self { answer: 0.75, margin: 0.0, menu: 0.35 }
    }
}

/// Logistic model of "the best candidate is the right one", fitted on `tests/eval/starter`: bias, then a weight each for
/// the score, the margin to the best other entry's score, the covered share of the query, that of the phrasing, and the
/// trust in what was learned. A corpus reads it through its own [`super::calibration::Calibration`].
const MODEL: [f32; 6] = [-3.8, 8.5, 5.6, -3.6, 1.7, -0.7];

/// Logit of a candidate with these features, `margin` ahead of the best other entry (negative when behind).
pub(super) fn logit(features: &Features, score: f32, margin: f32) -> f32 {
    let inputs =
        [1.0, score, margin.clamp(-0.6, 0.6), features.query_coverage, features.phrasing_coverage, features.trust];
    MODEL.iter().zip(inputs).map(|(weight, input)| weight * input).sum()
}

/// Entries stand in a menu whose confidence is this share of what the best needs.
const MENU_SHARE: f32 = 0.25;

/// What the thresholds make of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The best candidate is sure enough.
    Answer,
    /// So many of the best candidates may be offered.
    Menu(usize),
    /// Nothing is likely enough.
    Abstain,
}

impl Thresholds {
    /// Most entries that a menu offers.
    pub const MENU_SIZE: usize = 3;

    /// Whether every value is in 0..=1.
    #[must_use]
    pub fn are_confidences(&self) -> bool {
        [self.answer, self.margin, self.menu].iter().all(|value| (0.0..=1.0).contains(value))
    }

    /// What to do with a match.
    #[must_use]
    pub fn verdict(&self, found: &Match) -> Verdict {
        let Some(best) = found.best() else {
            return Verdict::Abstain;
        };
        if best.exact || (best.confidence >= self.answer && found.margin() >= self.margin) {
            return Verdict::Answer;
        }
        if best.confidence < self.menu {
            return Verdict::Abstain;
        }
        let near = found.candidates.iter().filter(|candidate| candidate.confidence >= MENU_SHARE * self.menu).count();
        // One line asks whether that is meant; a second that is not would only confuse.
        Verdict::Menu(near.clamp(1, Self::MENU_SIZE).min(found.candidates.len()))
    }
}
