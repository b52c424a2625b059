//! yingda 应答 answers a shop's customers the moment they write.
//!
//! Two towers and a roof. Knowledge: [`faq`] files pass through the [`analysis`] into the [`index`], and [`matching`]
//! turns hits into candidates; [`knowledge`] holds one immutable generation of all that. Talk: an event of a
//! [`conversation`], which a [`channel`] brings, is read through the same analysis. The [`reply`] is decided from both, and [`bot`] records it; [`report`]
//! tells in figures what came of it.

pub mod config;
pub mod hours;
mod parallel;
pub mod telemetry;

pub mod analysis;
pub mod faq;
pub mod index;
pub mod knowledge;
pub mod matching;
pub mod outbound;
pub mod semantic;

pub mod bot;
pub mod channel;
pub mod conversation;
pub mod reply;
pub mod report;

pub mod cli;
pub mod eval;
pub mod http;
