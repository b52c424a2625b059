//! From a customer's text to candidates with bounded features and a confidence.

mod calibration;
mod clauses;
mod confidence;
mod exam;
mod features;
mod matcher;
mod meaning;
mod query;
mod ranker;
mod ridge;
mod sounds;
mod space;
mod table;
mod traits;
mod understand;
mod vector;

pub use self::calibration::Calibration;
pub use self::confidence::{Thresholds, Verdict};
pub use self::features::{Features, shared_ranges};
pub use self::matcher::{Candidate, Embedded, Match, Matcher, Others, Question};
pub use self::meaning::{MeaningError, Meanings};
pub use self::table::Phrasings;
pub use self::understand::Understood;
