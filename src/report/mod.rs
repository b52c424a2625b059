//! What happened, in figures: pure functions of what the store remembers.

pub mod ledger;
pub mod projection;
