//! The promises of yingda, tested from outside: one binary, one module a part of the service.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod harness;

mod analysis;
mod bad_input;
mod cli;
mod content;
mod crash;
mod decisions;
mod evaluation;
mod house;
mod matching;
mod outbound;
mod postgres;
mod promises;
mod scenarios;
mod security;
mod semantic;
mod store;
mod timing;
mod understanding;
