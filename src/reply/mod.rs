//! Which reply goes out: a pure function of the turn, and the words for it. No clock, lock, await, IO or log.

pub mod choice;
pub mod decide;
mod events;
pub mod menu;
pub mod policy;
pub mod render;
mod situation;
pub mod timers;
pub mod turn;

pub use self::choice::{Action, Choice, Rule};
pub use self::decide::decide;
