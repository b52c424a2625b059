//! A database that is gone, frozen, or lost without a word: every request is told in time, and all goes on by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::node::{Caller, Home, Node, within};
use super::receiver::Receiver;
use super::setting;
use super::traffic::{Ledger, Posted, config, deliver_again, everything_acknowledged_is_there, message_to, settled};
use crate::postgres::{PostgresServer, sql};
use crate::stand_in::Answer as Reply;

/// Requests are given up after ten seconds; the rest is the machine's.
const DEADLINE: Duration = Duration::from_secs(11);

/// How long the database is away.
fn away() -> Duration {
    Duration::from_secs(setting("YINGDA_TEST_AWAY", 5))
}

/// Customers who write at once.
const SENDERS: u64 = 8;

/// What was seen while the database was away.
#[derive(Default)]
struct Seen {
    ledger: Ledger,
    refused: usize,
    longest: Duration,
}

/// Writes and reads until told to stop: whatever cannot be done is told in time.
async fn write_and_read(caller: Caller, number: u64, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Ordering::SeqCst) {
        let event = message_to("gone", number, "什么时候发货");
        let asked = Instant::now();
        let answer = caller.post(&event).await.unwrap();
        seen.longest = seen.longest.max(asked.elapsed());
        let stored = answer.status == 200;
        if !stored {
            answer.problem(503, "the database is away");
            assert!(!answer.header("retry-after").is_empty());
            seen.refused += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        seen.ledger.take(vec![Posted { event, acknowledged: stored.then_some(answer.body) }]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    seen
}

async fn read_on(caller: Caller, stop: Arc<AtomicBool>) -> Duration {
    let paths =
        ["/readyz", "/v1/conversations", "/v1/outbox?state=pending", "/v1/timers?shop=demo", "/v1/queue?shop=demo"];
    let (mut longest, mut turn) = (Duration::ZERO, 0);
    while !stop.load(Ordering::SeqCst) {
        let asked = Instant::now();
        let path = paths[turn % paths.len()];
        let answer = caller.send(Method::GET, path, String::new()).await.unwrap();
        assert!(matches!(answer.status, 200 | 503), "{path}: {} {}", answer.status, answer.body);
        longest = longest.max(asked.elapsed());
        turn += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    longest
}

/// Takes the database away under load and gives it back; then everything must be as if nothing had been.
async fn survives(node: &Node, receiver: &Receiver, go: impl AsyncFnOnce(), come: impl FnOnce()) {
    let (caller, stop) = (node.caller(), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> =
        (0..SENDERS).map(|number| tokio::spawn(write_and_read(caller.clone(), number, Arc::clone(&stop)))).collect();
    let reader = tokio::spawn(read_on(caller.clone(), Arc::clone(&stop)));
    tokio::time::sleep(Duration::from_millis(700)).await;
    go().await;
    tokio::time::sleep(away()).await;
    let back = Instant::now();
    come();
    let probe = message_to("probe", 0, "会员日是哪天");
    within(15, async || match caller.post(&probe).await.unwrap() {
        answer if answer.status == 200 => Ok(()),
        answer => Err(answer.body),
    })
    .await;
    let recovered = back.elapsed();
    stop.store(true, Ordering::SeqCst);
    let (mut ledger, mut refused, mut longest) = (Ledger::default(), 0, Duration::ZERO);
    for writer in writers {
        let seen = writer.await.unwrap();
        ledger.acknowledged.extend(seen.ledger.acknowledged);
        ledger.open.extend(seen.ledger.open);
        refused += seen.refused;
        longest = longest.max(seen.longest);
    }
    let read = reader.await.unwrap();
    println!("recovered {recovered:?} after the return; {refused} refused; waits of {longest:?} and {read:?}");
    // A freeze that is shorter than the patience of the store refuses nobody, but everybody waits.
    let felt = refused > 0 || longest + Duration::from_secs(1) >= away();
    assert!(felt && longest < DEADLINE && read < DEADLINE, "{refused} {longest:?} {read:?}");
    deliver_again(&caller, &mut ledger).await;
    let took = settled(30, &caller, receiver, &ledger).await;
    println!("settled {took:?} later");
    everything_acknowledged_is_there(&caller, &ledger).await;
}

async fn served(url: &str) -> (Home, Node, Receiver) {
    let receiver = Receiver::start(|_| Reply::ok()).await;
    let home = Home::postgres(url).with_config(&config(&receiver));
    let node = home.start();
    (home, node, receiver)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_stopped_is_waited_for_and_nothing_is_lost() {
    let server = PostgresServer::start();
    let (_home, node, receiver) = served(&server.create_database()).await;
    survives(&node, &receiver, async || server.kill(), || server.start_again()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_frozen_is_waited_for_and_nothing_is_lost() {
    let server = PostgresServer::start();
    let (_home, node, receiver) = served(&server.create_database()).await;
    survives(&node, &receiver, async || server.pause(), || server.resume()).await;
}

/// A wire to the database. When it is cut, what runs over it is neither answered nor refused ever after, as when a machine
/// loses its power; connections made later reach the machine that took over.
struct Wire {
    port: u16,
    cut: watch::Sender<()>,
}

impl Wire {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().port();
        let (cut, _) = watch::channel(());
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((inner, _)) = listener.accept().await {
                let mut cut = cuts.subscribe();
                tokio::spawn(async move {
                    let (mut inner, mut outer) = (inner, TcpStream::connect(("127.0.0.1", port)).await.unwrap());
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut inner, &mut outer) => {}
                        _ = cut.changed() => {
                            drop(outer);
                            // Held open, and silent.
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self { port: here, cut }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_vanishes_without_a_word_is_found_again_where_it_took_over() {
    let server = PostgresServer::start();
    let url = reqwest::Url::parse(&server.create_database()).unwrap();
    let wire = Wire::to(url.port().unwrap()).await;
    let mut through = url.clone();
    through.set_port(Some(wire.port)).unwrap();
    let (_home, node, receiver) = served(through.as_str()).await;
    let (reader, held) = (node.caller(), url.to_string());
    let cut = async || {
        // Everybody waits for a lock, so that each connection is lost while somebody needs its answer.
        let hold = "BEGIN; LOCK TABLE conversations; SELECT pg_sleep(1.5); COMMIT";
        let lock = tokio::task::spawn_blocking(move || sql(&held, hold));
        tokio::time::sleep(Duration::from_millis(300)).await;
        for _ in 0..20 {
            let reader = reader.clone();
            tokio::spawn(async move { reader.send(Method::GET, "/v1/conversations", String::new()).await });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        wire.cut.send_replace(());
        lock.await.unwrap();
    };
    survives(&node, &receiver, cut, || {}).await;
}
