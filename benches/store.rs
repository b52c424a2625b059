//! How many messages a second are durable: `cargo bench --bench store [-- OPTIONS]`.
//!
//! In one run and on one disk: one sender, whose every message takes a commit of its own, against 64 senders, whose
//! messages share commits. First the store alone, then the whole way of a message: read, matched, decided, stored.
//!
//! - `--store postgres://...`: in PostgreSQL; else in SQLite, in the folder of `--data DIR` or a temporary one
//! - `--seconds 5`: how long each part takes
//! - `--stored 1000000`: conversations that are there already, and the same once more with 1,000 for comparison
//! - `--soak 600`: so many seconds at half the rate, with the resident memory every tenth of it
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement speaks and fails loudly"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::civil::date;
use serde_json::json;
use yingda::bot::{Bot, now};
use yingda::config::Shops;
use yingda::conversation::event::{Context, ConversationKey, EventKind, Id, InboundEvent};
use yingda::conversation::store::{Decide, Outcome, PostgresStore, SqliteStore, Store, StoredDecision};
use yingda::knowledge::Knowledge;

const SENDERS: usize = 64;

const TEXTS: [&str; 6] =
    ["什么时候发货", "亲，我昨天拍的衣服咋还没寄出来", "可以退货吗", "請問幾時出貨", "谢谢", "你们老板是谁"];

struct Options {
    store: Option<String>,
    data: Option<PathBuf>,
    seconds: u64,
    stored: Option<u64>,
    soak: Option<u64>,
}

fn options() -> Options {
    let mut options = Options { store: None, data: None, seconds: 5, stored: None, soak: None };
    let mut given = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = given.next() {
        let value = given.next().expect("every option has a value");
        match name.as_str() {
            "--store" => options.store = Some(value),
            "--data" => options.data = Some(value.into()),
            "--seconds" => options.seconds = value.parse().expect("a number"),
            "--stored" => options.stored = Some(value.parse().expect("a number")),
            "--soak" => options.soak = Some(value.parse().expect("a number")),
            _ => panic!("unknown option {name}"),
        }
    }
    options
}

fn id(text: String) -> Id {
    Id::try_from(text).unwrap()
}

/// A message of one of many conversations.
fn message(number: u64, conversations: u64) -> InboundEvent {
    let conversation = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % conversations;
    InboundEvent {
        shop: id("demo".to_owned()),
        channel: id("web".to_owned()),
        conversation_id: id(format!("c-{conversation}")),
        customer_id: id(format!("u-{conversation}")),
        message_id: id(format!("m-{number}-{}", std::process::id())),
        kind: EventKind::Message,
        text: TEXTS[(number % TEXTS.len() as u64) as usize].to_owned(),
        sender_is_bot: false,
        agent_id: None,
        echo_of: None,
        reply_to: None,
        sent_at: None,
        context: Context::default(),
    }
}

#[derive(Clone)]
struct Bench {
    bot: Bot,
    next: Arc<AtomicU64>,
    /// Only stored: the decision is made beforehand.
    store_alone: bool,
}

#[derive(Debug)]
struct Measured {
    rate: f64,
    p50: Duration,
    p99: Duration,
}

impl Bench {
    async fn open(store: Arc<dyn Store>) -> Self {
        let faq = Path::new(env!("CARGO_MANIFEST_DIR")).join("faq");
        let knowledge = Arc::new(Knowledge::open(&faq, None, None, date(2026, 11, 22)).expect("the content loads"));
        let bot = Bot::new(knowledge, store, Arc::new(Shops::default()), Vec::new());
        Self { bot, next: Arc::new(AtomicU64::new(0)), store_alone: false }
    }

    async fn send(&self, event: InboundEvent) {
        if !self.store_alone {
            self.bot.receive(event, now()).await.expect("it is stored");
            return;
        }
        let decide: Decide = Arc::new(|before| {
            let mut conversation = before.conversation.clone();
            conversation.events += 1;
            let decision = StoredDecision(json!({ "action": "silent", "reason": "queued", "replies": [] }));
            Outcome { conversation, decision, due_at: None, outgoing: Vec::new(), rounds: Vec::new() }
        });
        self.bot.store().record(Arc::new(event), now(), decide).await.expect("it is stored");
    }

    /// Senders that each wait for an answer before they send again; with `rate`, all together no faster than that.
    async fn run(&self, senders: usize, time: Duration, conversations: u64, rate: Option<f64>) -> Measured {
        let (started, mut under_way) = (Instant::now(), Vec::new());
        for _ in 0..senders {
            let (bench, next) = (self.clone(), Arc::clone(&self.next));
            under_way.push(tokio::spawn(async move {
                let mut took = Vec::new();
                while started.elapsed() < time {
                    let sent = Instant::now();
                    let event = message(next.fetch_add(1, Ordering::Relaxed), conversations);
                    bench.send(event).await;
                    took.push(sent.elapsed());
                    if let Some(rate) = rate {
                        let pace = Duration::from_secs_f64(senders as f64 / rate);
                        tokio::time::sleep(pace.saturating_sub(sent.elapsed())).await;
                    }
                }
                took
            }));
        }
        let mut took = Vec::new();
        for sender in under_way {
            took.extend(sender.await.unwrap());
        }
        let seconds = started.elapsed().as_secs_f64();
        took.sort_unstable();
        let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
        Measured { rate: took.len() as f64 / seconds, p50: at(0.5), p99: at(0.99) }
    }

    /// One commit a message against shared commits, in turns, so that both see the same disk.
    async fn compare(&self, time: Duration) -> f64 {
        let (mut alone, mut together) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            alone.push(self.run(1, time / 3, 1_000, None).await);
            together.push(self.run(SENDERS, time / 3, 1_000, None).await);
        }
        for measured in [&mut alone, &mut together] {
            measured.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        }
        let (alone, together) = (&alone[1], &together[1]);
        println!("one commit a message: {:.0}/s, p50 {:?}, p99 {:?}", alone.rate, alone.p50, alone.p99);
        println!("{SENDERS} senders: {:.0}/s, p50 {:?}, p99 {:?}", together.rate, together.p50, together.p99);
        println!("ratio {:.1}", together.rate / alone.rate);
        together.rate
    }

    async fn is_filled(&self, conversations: u64) -> bool {
        let last = message(0, 1);
        let key = ConversationKey { conversation_id: format!("c-{}", conversations - 1), ..last.conversation() };
        self.bot.store().conversation(&key).await.expect("it is read").is_some()
    }

    /// Fills the store, many senders at once; every conversation gets one message.
    async fn fill(&self, conversations: u64) {
        let from = Arc::new(AtomicU64::new(0));
        let mut under_way = Vec::new();
        for _ in 0..256 {
            let (bench, from) = (self.clone(), Arc::clone(&from));
            under_way.push(tokio::spawn(async move {
                loop {
                    let number = from.fetch_add(1, Ordering::Relaxed);
                    if number >= conversations {
                        return;
                    }
                    let mut event = message(number, u64::MAX);
                    event.conversation_id = id(format!("c-{number}"));
                    event.customer_id = id(format!("u-{number}"));
                    event.message_id = id(format!("fill-{number}"));
                    bench.send(event).await;
                }
            }));
        }
        for sender in under_way {
            sender.await.unwrap();
        }
    }
}

/// Resident memory in MB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}

async fn open(options: &Options, folder: &Path, name: &str) -> Arc<dyn Store> {
    match &options.store {
        Some(url) => Arc::new(PostgresStore::connect(url).await.expect("the database answers")),
        None => Arc::new(SqliteStore::open(&folder.join(name)).await.expect("the file opens")),
    }
}

#[tokio::main]
async fn main() {
    let options = options();
    let temporary = tempfile::tempdir().unwrap();
    let folder = options.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    let time = Duration::from_secs(options.seconds);
    let bench = Bench::open(open(&options, &folder, "bench.db").await).await;
    bench.run(SENDERS, time / 5, 1_000, None).await;
    println!("the store alone");
    Bench { store_alone: true, ..bench.clone() }.compare(time).await;
    println!("the whole way");
    let rate = bench.compare(time).await;
    if let Some(stored) = options.stored {
        let few = bench.run(SENDERS, time, 1_000, None).await;
        let filling = Instant::now();
        if !bench.is_filled(stored).await {
            bench.fill(stored).await;
        }
        println!("{stored} conversations stored in {:.0?}", filling.elapsed());
        let many = bench.run(SENDERS, time, stored, None).await;
        println!("with 1000 conversations {few:?}\nwith {stored} {many:?}\nslower by {:.2}", few.rate / many.rate);
    }
    if let Some(seconds) = options.soak {
        for tenth in 1..=10 {
            let measured = bench.run(SENDERS, Duration::from_secs(seconds) / 10, 100_000, Some(rate / 2.0)).await;
            println!("soak {tenth}/10: {:.0}/s, p99 {:?}, resident {:.0} MB", measured.rate, measured.p99, resident());
        }
    }
}
