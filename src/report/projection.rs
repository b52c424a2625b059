//! What the reply rate of a day may come to, reckoned from its part that is over.

use serde::Serialize;

/// Decided rounds before which nothing is projected.
const FEWEST_DECIDED: usize = 10;

/// Share of the window before which nothing is projected.
const EARLIEST: f64 = 0.05;

/// The reply rate at the end of the window, if the rest of the day goes on as it went so far.
///
/// With `r = in_time / (in_time + late)` so far, `N` rounds so far, a share `s` of the window's open time over, and
/// `E = max(N, round(N / s))` rounds expected, `E - N` of them still to come and answered in time at the rate `r`:
///
/// - `expected = (in_time + r * (open + E - N)) / E`: open rounds are answered as the decided ones were; this equals `r`;
/// - `low = (in_time + r * (E - N)) / E`: every open round is answered too late;
/// - `high = (in_time + open + r * (E - N)) / E`: every open round is answered in time.
///
/// The span is that of the customers who wait now; how far chance moves the rounds to come is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Projection {
    /// Rounds at the end of the window.
    pub rounds_expected: usize,
    /// The rate when every open round breaches.
    pub low: f64,
    /// The rate when every open round is answered in time.
    pub high: f64,
    /// The rate when open rounds are answered as those before.
    pub expected: f64,
}

/// How far a day has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub in_time: usize,
    pub late: usize,
    pub open: usize,
    /// Share of the window's open time that is over, in 0..=1.
    pub elapsed: f64,
}

impl Progress {
    /// `None` before 10 decided rounds, and before 5 % of the window.
    pub fn projection(self) -> Option<Projection> {
        let decided = self.in_time + self.late;
        if decided < FEWEST_DECIDED || self.elapsed < EARLIEST {
            return None;
        }
        let rounds = decided + self.open;
        let all = (rounds as f64 / self.elapsed).round().max(rounds as f64);
        let rate = self.in_time as f64 / decided as f64;
        let low = (self.in_time as f64 + rate * (all - rounds as f64)) / all;
        let open = self.open as f64 / all;
        // Rounding must carry no figure past another, nor past 1.
        let high = (low + open).min(1.0);
        let expected = rate.clamp(low.min(high), high);
        Some(Projection { rounds_expected: all as usize, low: low.min(high), high, expected })
    }
}
