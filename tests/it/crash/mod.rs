//! What the service promises when the process is killed, the disk is full, the database is gone, or a receiver misbehaves.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures and the seed of a run, shown when it fails")]

pub mod chance;
mod database;
mod disk;
mod kill;
pub mod node;
mod nodes;
mod receiver;
mod receivers;
mod storm;
mod timers;
mod traffic;

/// A number from the environment, for longer runs than `make test` makes.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a whole number"))
}
