//! From a customer's text to candidates with bounded features and a confidence.

mod calibration;
mod confidence;
mod features;
mod matcher;
mod query;
mod ranker;
mod ridge;
mod sounds;
mod table;
mod traits;
mod vector;

pub use self::calibration::Calibration;
pub use self::confidence::{Thresholds, Verdict};
pub use self::features::{Features, shared_ranges};
pub use self::matcher::{Candidate, Match, Matcher};
pub use self::table::Phrasings;
