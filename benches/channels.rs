//! How soon platforms are acknowledged: `cargo bench --bench channels [-- OPTIONS]`.
//!
//! The whole service over HTTP on this machine, with its store, its outbox and a stand-in for the platforms' APIs; messages
//! of all platforms in turns, signed as each signs, at a fixed rate, whatever became of the ones before. The senders and the
//! stand-in take their share of the same cores.
//!
//! - `--rate 500`: messages a second
//! - `--seconds 20`: how long
//! - `--store postgres://...`: in PostgreSQL; else in SQLite, in a temporary folder
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement speaks and fails loudly"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::civil::date;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use yingda::bot::courier::Courier;
use yingda::bot::{Bot, clockwork, mailroom, now};
use yingda::channel::signature::Key;
use yingda::config::Config;
use yingda::conversation::store::{PostgresStore, SqliteStore, Store};
use yingda::http::{App, run};
use yingda::knowledge::Knowledge;
use yingda::outbound::webhook::{Secret, sign};
use yingda::telemetry;

const TEXTS: [&str; 6] =
    ["什么时候发货", "亲，我昨天拍的衣服咋还没寄出来", "可以退货吗", "請問幾時出貨", "谢谢", "你们老板是谁"];

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Options {
    rate: u64,
    seconds: u64,
    store: Option<String>,
}

fn options() -> Options {
    let mut options = Options { rate: 500, seconds: 20, store: None };
    let mut given = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = given.next() {
        let value = given.next().expect("every option has a value");
        match name.as_str() {
            "--rate" => options.rate = value.parse().expect("a number"),
            "--seconds" => options.seconds = value.parse().expect("a number"),
            "--store" => options.store = Some(value),
            _ => panic!("unknown option {name}"),
        }
    }
    options
}

/// A platform's message number `n`: path with query, headers, body.
type Request = (String, Vec<(&'static str, String)>, String);

/// A platform: the settings of its account beside name and type, and how it posts.
struct Platform {
    name: &'static str,
    settings: &'static str,
    request: fn(u64) -> Request,
}

fn text(n: u64) -> &'static str {
    TEXTS[usize::try_from(n).unwrap() % TEXTS.len()]
}

fn customer(n: u64) -> u64 {
    n % 5_000
}

fn generic(n: u64) -> Request {
    let data =
        json!({ "conversation_id": customer(n).to_string(), "customer_id": customer(n).to_string(), "text": text(n) });
    let body = json!({ "type": "message", "timestamp": now(), "data": data }).to_string();
    let (secret, id, time): (Secret, _, _) = (SECRET.parse().unwrap(), format!("msg_{n}"), now().as_second());
    let signature = sign(&secret, &id, time, body.as_bytes());
    let headers = vec![("webhook-id", id), ("webhook-timestamp", time.to_string()), ("webhook-signature", signature)];
    ("/channels/generic".to_owned(), headers, body)
}

fn web(n: u64) -> Request {
    let mut visitor = [0; 32];
    visitor[..8].copy_from_slice(&customer(n).to_le_bytes());
    let headers = vec![("authorization", format!("Bearer {}", yingda::channel::web::token(visitor)))];
    ("/chat/web/messages".to_owned(), headers, json!({ "message_id": format!("m-{n}"), "text": text(n) }).to_string())
}

fn line(n: u64) -> Request {
    let event = json!({ "type": "message", "mode": "active", "timestamp": now().as_millisecond(),
        "source": { "type": "user", "userId": format!("U{}", customer(n)) }, "webhookEventId": format!("E{n}"),
        "replyToken": format!("r{n}"), "message": { "id": n.to_string(), "type": "text", "text": text(n) } });
    let body = json!({ "destination": "U", "events": [event] }).to_string();
    let signature = Key::new(b"secret").unwrap().sign(&[body.as_bytes()]).base64();
    ("/channels/line".to_owned(), vec![("x-line-signature", signature)], body)
}

const PLATFORMS: &[Platform] = &[
    Platform {
        name: "generic",
        settings: "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\nurl = \"API\"",
        request: generic,
    },
    Platform { name: "web", settings: "messages_per_minute = 0", request: web },
    Platform {
        name: "line",
        settings: "channel_secret = \"secret\"\nchannel_access_token = \"token\"\napi_url = \"API\"",
        request: line,
    },
];

/// What every platform takes for a success, and for a token.
fn success() -> String {
    let body = json!({ "code": 0, "errcode": 0, "ok": true, "error": "", "message": "", "access_token": "t", "expires_in": 7200,
        "refresh_token": "r", "expire_in": 14400, "data": { "access_token": "t", "refresh_token": "r", "access_token_expire_in": 4102444800_u64 },
        "next_cursor": "c", "has_more": 0, "msg_list": [] });
    let body = body.to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Stands in for the APIs: takes everything at once; its address.
async fn api() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut seen, mut part, answer) = (Vec::new(), [0; 8192], success());
                while let Ok(1..) = stream.read(&mut part).await.inspect(|read| seen.extend_from_slice(&part[..*read]))
                {
                    while let Some(length) = whole(&seen) {
                        seen.drain(..length);
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

/// Length of the request that these bytes begin with, once it is whole.
fn whole(seen: &[u8]) -> Option<usize> {
    let head = seen.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&seen[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let length = head + length.unwrap_or(0);
    (seen.len() >= length).then_some(length)
}

async fn serve(options: &Options, folder: &std::path::Path) -> (String, Bot) {
    let api = api().await;
    let accounts: String = PLATFORMS
        .iter()
        .map(|platform| {
            let Platform { name, settings, .. } = platform;
            let common = "shop = \"demo\"\nallow_private = true\n";
            format!("[[channels]]\nname = \"{name}\"\ntype = \"{name}\"\n{common}{settings}\n")
        })
        .collect::<String>()
        .replace("API", &api);
    let file = folder.join("yingda.toml");
    std::fs::write(&file, accounts).unwrap();
    let config = Arc::new(Config::read(Some(&file), None).expect("the configuration is valid"));
    let knowledge =
        Arc::new(Knowledge::open("faq".as_ref(), None, None, date(2026, 11, 22)).expect("the starter pack loads"));
    let store: Arc<dyn Store> = match &options.store {
        Some(url) => Arc::new(PostgresStore::connect(url).await.unwrap()),
        None => Arc::new(SqliteStore::open(&folder.join("yingda.db")).await.unwrap()),
    };
    let bot = Bot::new(knowledge, store, Arc::new(config.shops.clone()), config.webhooks.clone())
        .with_accounts(config.accounts.clone());
    tokio::spawn(clockwork::run(bot.clone()));
    tokio::spawn(Courier::new(bot.clone()).unwrap().run());
    tokio::spawn(mailroom::run(bot.clone(), config.limits.text_chars).unwrap());
    let app = App::new(bot.clone(), config, telemetry::metrics().unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(run(listener, app, std::future::pending()));
    (base, bot)
}

fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
}

fn tell(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let [half, most, all] = [0.5, 0.99, 0.999].map(|share| percentile(times, share));
    println!("{name:<12} {:>7} messages  p50 {half:>6.1} ms  p99 {most:>6.1} ms  p99.9 {all:>6.1} ms", times.len());
}

fn main() {
    let options = options();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&options));
}

async fn measure(options: &Options) {
    let folder = tempfile::tempdir().unwrap();
    let (base, bot) = serve(options, folder.path()).await;
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::new();
    // Numbers of another run would be redeliveries.
    let first = u64::try_from(now().as_millisecond()).unwrap() * 1_000;
    let post = |n: u64, due: Instant| {
        let place = usize::try_from(n).unwrap() % PLATFORMS.len();
        let (path, headers, body) = (PLATFORMS[place].request)(first + n);
        let mut request = client.post(format!("{base}{path}")).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        async move {
            let response = request.send().await.expect("an answer");
            assert!(response.status().is_success(), "{}: {}", PLATFORMS[place].name, response.status());
            drop(response.bytes().await.expect("a whole answer"));
            (place, due.elapsed())
        }
    };
    for n in 0..200 {
        post(n, Instant::now()).await;
    }
    let (started, gap) = (Instant::now(), Duration::from_secs_f64(1.0 / options.rate as f64));
    let mut under_way = JoinSet::new();
    for n in 0..options.rate * options.seconds {
        let due = started + gap * u32::try_from(n).unwrap();
        tokio::time::sleep_until(due.into()).await;
        under_way.spawn(post(1_000 + n, due));
    }
    let mut times = vec![Vec::new(); PLATFORMS.len()];
    while let Some(done) = under_way.join_next().await {
        let (place, time) = done.unwrap();
        times[place].push(time);
    }
    println!("{} messages a second of {} platforms for {} s", options.rate, PLATFORMS.len(), options.seconds);
    let mut all: Vec<Duration> = times.concat();
    for (platform, times) in PLATFORMS.iter().zip(&mut times) {
        tell(platform.name, times);
    }
    tell("all", &mut all);
    let sent = bot.store().pushes(yingda::conversation::outgoing::PushState::Pending, None, 500).await.unwrap().len();
    println!("replies not brought yet: {sent}");
}
