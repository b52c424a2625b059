//! Which reply goes out: a pure function of the turn, and the words for it. No clock, lock, await, IO or log.

pub mod decide;
pub mod menu;
pub mod policy;
pub mod render;
mod situation;
pub mod turn;

pub use self::decide::{Action, Choice, Rule, decide};
