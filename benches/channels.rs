//! How soon platforms are acknowledged: `cargo bench --bench channels [-- OPTIONS]`.
//!
//! The whole service over HTTP on this machine, with its store, its outbox and a stand-in for the platforms' APIs; messages
//! of all platforms in turns, signed as each signs, at a fixed rate, whatever became of the ones before. The senders and the
//! stand-in take their share of the same cores.
//!
//! - `--rate 500`: messages a second
//! - `--seconds 20`: how long
//! - `--at-most 20`: fail when the p99 of all is more, in milliseconds
//! - `--store postgres://...`: in PostgreSQL; else in SQLite, in a temporary folder
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement speaks and fails loudly"
)]

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::civil::date;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use yingda::bot::courier::Courier;
use yingda::bot::{Bot, clockwork, mailroom, now};
use yingda::channel::platform::web::token;
use yingda::channel::signature::{Key, sorted_sha1};
use yingda::channel::wechat_crypto;
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
    at_most: Option<f64>,
}

fn options() -> Options {
    let mut options = Options { rate: 500, seconds: 20, store: None, at_most: None };
    let mut given = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = given.next() {
        let value = given.next().expect("every option has a value");
        match name.as_str() {
            "--rate" => options.rate = value.parse().expect("a number"),
            "--seconds" => options.seconds = value.parse().expect("a number"),
            "--store" => options.store = Some(value),
            "--at-most" => options.at_most = Some(value.parse().expect("milliseconds")),
            _ => panic!("unknown option {name}"),
        }
    }
    options
}

/// What the tokens of the web chat's visitors are made with.
static VISITOR_KEY: OnceLock<Key> = OnceLock::new();

/// A platform's message number `n`: path with query, headers, body.
type Request = (String, Vec<(&'static str, String)>, String);

type Platform = (&'static str, &'static str, fn(u64) -> Request);

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
    let mut visitor = [0; 16];
    visitor[..8].copy_from_slice(&customer(n).to_le_bytes());
    let key = VISITOR_KEY.get().expect("it is set before the first message");
    let headers = vec![("authorization", format!("Bearer {}", token(key, visitor)))];
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

/// Signed by HMAC-SHA256 in hexadecimal, with something before the body.
fn hex(before: &str, body: &str) -> String {
    Key::new(b"secret").unwrap().sign(&[before.as_bytes(), body.as_bytes()]).hex()
}

/// The query of a call of WeChat's: signed, with the envelope where there is one.
fn wechat_query(n: u64, envelope: Option<&str>) -> String {
    let (time, nonce) = (now().as_second().to_string(), n.to_string());
    let plain = sorted_sha1(&["token", &time, &nonce]);
    let signed = envelope.map(|envelope| wechat_crypto::signature("token", &time, &nonce, envelope));
    let more = signed.map_or_else(String::new, |signed| format!("&encrypt_type=aes&msg_signature={signed}"));
    format!("signature={plain}&timestamp={time}&nonce={nonce}{more}")
}

fn envelope(id: &str, n: u64, document: &str) -> String {
    let crypto = wechat_crypto::Crypto::new(AES, id).unwrap();
    let mut random = [7; 16];
    random[..8].copy_from_slice(&n.to_le_bytes());
    crypto.encrypt(random, document.as_bytes())
}

fn wechat(n: u64) -> Request {
    let (time, user) = (now().as_second(), customer(n));
    let document = format!(
        "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[o{user}]]></FromUserName><CreateTime>{time}</CreateTime>\
         <MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{}]]></Content><MsgId>{n}</MsgId></xml>",
        text(n)
    );
    let envelope = envelope("wx1", n, &document);
    let body = format!("<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[{envelope}]]></Encrypt></xml>");
    (format!("/channels/wechat?{}", wechat_query(n, Some(&envelope))), Vec::new(), body)
}

fn wechat_kf(n: u64) -> Request {
    let time = now().as_second();
    let document = format!(
        "<xml><ToUserName><![CDATA[ww1]]></ToUserName><CreateTime>{time}</CreateTime><MsgType><![CDATA[event]]></MsgType>\
         <Event><![CDATA[kf_msg_or_event]]></Event><Token><![CDATA[T]]></Token><OpenKfId><![CDATA[wk1]]></OpenKfId></xml>"
    );
    let envelope = envelope("ww1", n, &document);
    let body = format!("<xml><ToUserName><![CDATA[ww1]]></ToUserName><Encrypt><![CDATA[{envelope}]]></Encrypt></xml>");
    (format!("/channels/wechat_kf?{}", wechat_query(n, Some(&envelope))), Vec::new(), body)
}

fn chatwoot(n: u64) -> Request {
    let body = json!({ "event": "message_created", "id": n, "content": text(n), "content_type": "text", "message_type": "incoming",
        "private": false, "sender": { "id": customer(n), "name": "王" }, "account": { "id": 1 }, "inbox": { "id": 5 },
        "conversation": { "id": customer(n), "status": "pending", "inbox_id": 5 } }).to_string();
    let time = now().as_second().to_string();
    let signature = format!("sha256={}", hex(&format!("{time}."), &body));
    ("/channels/chatwoot".to_owned(), vec![("x-chatwoot-timestamp", time), ("x-chatwoot-signature", signature)], body)
}

fn tiktok(n: u64) -> Request {
    let content = json!({ "content": text(n) }).to_string();
    let body = json!({ "type": 14, "tts_notification_id": format!("n{n}"), "shop_id": "1", "timestamp": now().as_second(), "data": {
        "content": content, "conversation_id": customer(n).to_string(), "create_time": now().as_second(), "is_visible": true,
        "message_id": n.to_string(), "index": "1", "type": "TEXT",
        "sender": { "im_user_id": customer(n).to_string(), "role": "BUYER" } } }).to_string();
    ("/channels/tiktok".to_owned(), vec![("authorization", hex("app", &body))], body)
}

fn lazada(n: u64) -> Request {
    let content = json!({ "txt": text(n) }).to_string();
    let (buyer, time) = (customer(n).to_string(), now().as_millisecond());
    let body = json!({ "seller_id": "1", "message_type": 2, "timestamp": now().as_second(), "site": "lazada_sg", "data": {
        "session_id": buyer, "message_id": n.to_string(), "content": content, "from_account_id": buyer, "from_account_type": 1,
        "to_account_id": "1", "to_account_type": 2, "send_time": time, "template_id": 1, "type": 1, "site_id": "SG",
        "process_msg": "", "auto_reply": false, "status": 0 } }).to_string();
    ("/channels/lazada".to_owned(), vec![("authorization", hex("app", &body))], body)
}

fn shopee(n: u64) -> Request {
    let buyer = customer(n) + 1;
    let body = json!({ "msg_id": "", "code": 10, "shop_id": 1, "timestamp": now().as_second(), "data": { "type": "message",
        "region": "ID", "content": { "message_id": n.to_string(), "shop_id": 1, "from_id": buyer, "to_id": 2, "from_shop_id": 0,
        "message_type": "text", "content": { "text": text(n) }, "conversation_id": buyer.to_string(),
        "created_timestamp": now().as_second(), "is_in_chatbot_session": false } } }).to_string();
    ("/channels/shopee".to_owned(), vec![("authorization", hex("https://example.com/channels/shopee|", &body))], body)
}

fn meta(path: &str, body: String) -> Request {
    let signature = format!("sha256={}", hex("", &body));
    (path.to_owned(), vec![("x-hub-signature-256", signature)], body)
}

fn whatsapp(n: u64) -> Request {
    let from = format!("65{:08}", customer(n));
    let value = json!({ "messaging_product": "whatsapp", "metadata": { "display_phone_number": "1", "phone_number_id": "1" },
        "contacts": [{ "wa_id": from, "profile": { "name": "Wang" } }], "messages": [{ "from": from, "id": format!("wamid.{n}"),
        "timestamp": now().as_second().to_string(), "type": "text", "text": { "body": text(n) } }] });
    let body = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": value }] }] });
    meta("/channels/whatsapp", body.to_string())
}

fn page(n: u64, path: &str, object: &str) -> Request {
    let messaging = json!({ "sender": { "id": customer(n).to_string() }, "recipient": { "id": "1" },
        "timestamp": now().as_millisecond(), "message": { "mid": format!("m_{n}"), "text": text(n) } });
    let body =
        json!({ "object": object, "entry": [{ "id": "1", "time": now().as_millisecond(), "messaging": [messaging] }] });
    meta(path, body.to_string())
}

fn messenger(n: u64) -> Request {
    page(n, "/channels/messenger", "page")
}

fn instagram(n: u64) -> Request {
    page(n, "/channels/instagram", "instagram")
}

fn telegram(n: u64) -> Request {
    let chat = json!({ "id": customer(n) + 1, "type": "private", "first_name": "W" });
    let body =
        json!({ "update_id": n, "message": { "message_id": n % 1_000_000, "date": now().as_second(), "chat": chat,
        "from": { "id": customer(n) + 1, "is_bot": false, "first_name": "W" }, "text": text(n) } })
        .to_string();
    ("/channels/telegram".to_owned(), vec![("x-telegram-bot-api-secret-token", "secret".to_owned())], body)
}

const AES: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

const META: &str = "app_secret = \"secret\"\nverify_token = \"v\"\naccess_token = \"t\"\napi_url = \"API\"";

/// Of each platform: `type`, settings, and how it posts.
const PLATFORMS: &[Platform] = &[
    ("generic", "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\nurl = \"API\"", generic),
    ("web", "messages_per_minute = 0", web),
    ("wechat", "token = \"token\"\napp_id = \"wx1\"\nencoding_aes_key = \"AES\"", wechat),
    (
        "wechat_kf",
        "corp_id = \"ww1\"\nsecret = \"s\"\ntoken = \"token\"\nencoding_aes_key = \"AES\"\napi_url = \"API\"",
        wechat_kf,
    ),
    ("line", "channel_secret = \"secret\"\nchannel_access_token = \"token\"\napi_url = \"API\"", line),
    ("chatwoot", "secret = \"secret\"\naccess_token = \"t\"\nbase_url = \"API\"", chatwoot),
    (
        "tiktok",
        "app_key = \"app\"\napp_secret = \"secret\"\nshop_cipher = \"c\"\naccess_token = \"t\"\napi_url = \"API\"",
        tiktok,
    ),
    ("lazada", "app_key = \"app\"\napp_secret = \"secret\"\naccess_token = \"t\"\napi_url = \"API/rest\"", lazada),
    (
        "shopee",
        "partner_id = 1\npartner_key = \"secret\"\nshop_id = 1\naccess_token = \"t\"\ncallback_url = \"https://example.com/channels/shopee\"\napi_url = \"API\"",
        shopee,
    ),
    ("whatsapp", "phone_number_id = \"1\"\nMETA", whatsapp),
    ("messenger", "META", messenger),
    ("instagram", "META", instagram),
    (
        "telegram",
        "bot_token = \"123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11\"\nsecret_token = \"secret\"\napi_url = \"API\"",
        telegram,
    ),
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
        .map(|(name, settings, _)| {
            let common = "shop = \"demo\"\nallow_private = true\n";
            format!("[[channels]]\nname = \"{name}\"\ntype = \"{name}\"\n{common}{settings}\n")
        })
        .collect::<String>()
        .replace("META", META)
        .replace("AES", AES)
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
    let names = |platforms: &mut dyn Iterator<Item = &'static str>| platforms.collect::<Vec<_>>();
    let known = names(&mut yingda::channel::PLATFORMS.iter().map(|platform| platform.name));
    assert_eq!(names(&mut PLATFORMS.iter().map(|(name, ..)| *name)), known, "all platforms are measured");
    let (base, bot) = serve(options, folder.path()).await;
    drop(VISITOR_KEY.set(bot.visitor_key(bot.account("web").unwrap()).await.unwrap()));
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::new();
    // Numbers of another run would be redeliveries.
    let first = u64::try_from(now().as_millisecond()).unwrap() * 1_000;
    let post = |n: u64, due: Instant| {
        let place = usize::try_from(n).unwrap() % PLATFORMS.len();
        let (path, headers, body) = (PLATFORMS[place].2)(first + n);
        let mut request = client.post(format!("{base}{path}")).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        async move {
            let response = request.send().await.expect("an answer");
            assert!(response.status().is_success(), "{}: {}", PLATFORMS[place].0, response.status());
            drop(response.bytes().await.expect("a whole answer"));
            (place, due, due.elapsed())
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
    let mut worst = vec![Duration::ZERO; usize::try_from(options.seconds).unwrap()];
    while let Some(done) = under_way.join_next().await {
        let (place, due, time) = done.unwrap();
        times[place].push(time);
        let second = usize::try_from(due.duration_since(started).as_secs()).unwrap();
        worst[second] = worst[second].max(time);
    }
    println!("{} messages a second of {} platforms for {} s", options.rate, PLATFORMS.len(), options.seconds);
    let mut all: Vec<Duration> = times.concat();
    for ((name, ..), times) in PLATFORMS.iter().zip(&mut times) {
        tell(name, times);
    }
    tell("all", &mut all);
    let worst: Vec<String> = worst.iter().map(|time| format!("{:.0}", time.as_secs_f64() * 1_000.0)).collect();
    println!("slowest of each second, ms: {}", worst.join(" "));
    let sent = bot.store().pushes(yingda::conversation::outgoing::PushState::Pending, None, 500).await.unwrap().len();
    println!("replies not brought yet: {sent}");
    if let Some(most) = options.at_most {
        let p99 = percentile(&all, 0.99);
        assert!(p99 <= most, "p99 is {p99:.1} ms, at most {most} ms are wanted");
    }
}
