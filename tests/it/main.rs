//! The promises of yingda, tested from outside: one binary, one module a part of the service.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod harness;
mod stand_in;

mod analysis;
mod bad_input;
mod channels;
mod cli;
mod cli_store;
mod clients;
mod content;
mod conversations;
mod crash;
mod decisions;
mod desk;
mod durability;
mod evaluation;
mod facts;
mod house;
mod incidents;
mod ledger;
mod logs;
mod matching;
mod outbound;
mod outbox;
mod postgres;
mod promises;
mod records;
mod scenarios;
mod security;
mod semantic;
mod stalls;
mod store;
mod timing;
mod understanding;
