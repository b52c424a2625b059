//! A process that is killed at any moment loses nothing that was acknowledged, and sends everything once.

use std::time::{Duration, Instant};

use super::chance::Chance;
use super::node::Home;
use super::receiver::Receiver;
use super::setting;
use super::traffic::{Ledger, config, deliver_again, everything_acknowledged_is_there, settled, write_on};
use crate::postgres::database_url;
use crate::stand_in::Answer as Reply;

/// Customers who write at once.
const SENDERS: usize = 6;

/// The process is killed within so many milliseconds of its start under load.
const MOST_MILLIS: u64 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_sent_twice_on_sqlite() {
    kill_and_restart(Home::sqlite(), Chance::of("sqlite")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_sent_twice_on_postgres() {
    kill_and_restart(Home::postgres(&database_url().await), Chance::of("postgres")).await;
}

async fn kill_and_restart(home: Home, mut chance: Chance) {
    let receiver = Receiver::start(|_| Reply::ok()).await;
    let home = home.with_config(&config(&receiver));
    let mut ledger = Ledger::default();
    for round in 0..setting("YINGDA_TEST_CRASHES", 12) {
        if chance.below(4) == 0 {
            kill_while_it_starts(&home, &mut chance).await;
        }
        let mut node = home.start();
        let mut open = std::mem::take(&mut ledger.open);
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let share = open.split_off(open.len() - open.len() / (SENDERS - sender));
                tokio::spawn(write_on(node.caller(), chance.fork(), format!("round-{round}"), share))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(chance.below(MOST_MILLIS))).await;
        node.kill();
        for sender in senders {
            ledger.take(sender.await.unwrap());
        }
    }
    let node = home.start();
    let (caller, restarted) = (node.caller(), Instant::now());
    deliver_again(&caller, &mut ledger).await;
    let took = settled(30, &caller, &receiver, &ledger).await;
    everything_acknowledged_is_there(&caller, &ledger).await;
    settled(5, &caller, &receiver, &ledger).await;
    println!(
        "{} messages, settled {took:?}, checked {:?} after the restart",
        ledger.acknowledged.len(),
        restarted.elapsed()
    );
    assert!(!ledger.acknowledged.is_empty() && !receiver.received().is_empty());
}

async fn kill_while_it_starts(home: &Home, chance: &mut Chance) {
    let mut child = home.command().stderr(std::process::Stdio::null()).spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(chance.below(300))).await;
    child.kill().unwrap();
    child.wait().unwrap();
}
