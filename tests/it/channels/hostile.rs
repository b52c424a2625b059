//! What no platform sends, posted to every account that the pages show: it is refused, leaves nothing, and is not repeated.

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sqlx::{Connection, SqliteConnection};
use toml::{Table, Value};
use yingda::bot::now;
use yingda::channel::PLATFORMS;
use yingda::channel::account::Account;
use yingda::outbound::webhook::{Secret, sign};

use super::registry::{example, page, settings};
use crate::cli::Served;
use crate::harness::client;

/// In whatever is sent: nobody may repeat it.
const MARK: &str = "marked-13812345678";

/// Headers by which platforms are known; whoever forges one forges them all.
const PROOFS: [&str; 19] = [
    "authorization",
    "event-sign",
    "svix-id",
    "svix-signature",
    "svix-timestamp",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
    "x-api-key",
    "x-chatwoot-signature",
    "x-chatwoot-timestamp",
    "x-douyin-signature",
    "x-hub-signature",
    "x-hub-signature-256",
    "x-lark-signature",
    "x-line-signature",
    "x-slack-signature",
    "x-telegram-bot-api-secret-token",
    "x-tt-signature",
];

/// What is sent.
struct Assault {
    what: &'static str,
    is_post: bool,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Assault {
    fn post(what: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { what, is_post: true, query: String::new(), headers: HeaderMap::new(), body: body.into() }
    }

    fn get(what: &'static str, query: impl Into<String>) -> Self {
        Self { is_post: false, query: query.into(), ..Self::post(what, "") }
    }

    fn with_headers(self, values: &[&[u8]]) -> Self {
        let mut headers = HeaderMap::new();
        for name in PROOFS {
            for value in values {
                headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
            }
        }
        Self { headers, ..self }
    }

    fn with_query(self, query: &str) -> Self {
        Self { query: query.to_owned(), ..self }
    }
}

fn message() -> String {
    format!("{{\"event\":\"message_created\",\"type\":\"message\",\"data\":{{\"text\":\"{MARK}\"}}}}")
}

fn noise() -> Vec<u8> {
    // A generator of its own, so that each run sends the same.
    let next =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    let bytes = std::iter::successors(Some(42_u64), next).map(|state| (state >> 56) as u8);
    bytes.take(4096).chain(MARK.bytes()).collect()
}

fn entity_bomb() -> String {
    let entities: String =
        (1..9).map(|level| format!("<!ENTITY a{level} \"{}\">", format!("&a{};", level - 1).repeat(10))).collect();
    format!("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a0 \"{MARK}\">{entities}]><xml><Content>&a8;</Content></xml>")
}

fn queries() -> Vec<String> {
    let digits = "0".repeat(40);
    vec![
        String::new(),
        "%".to_owned(),
        "%ff%00=%ff".to_owned(),
        "&&==&=".to_owned(),
        format!("echostr={MARK}"),
        format!("signature={digits}&timestamp=1700000000&nonce=1&echostr={MARK}"),
        format!("signature={digits}&signature={digits}&timestamp=&nonce=&nonce=1&echostr={MARK}&echostr=2"),
        format!("msg_signature={digits}&timestamp=99999999999999999999&nonce=%00&echostr=AAAA{MARK}"),
        format!("signature={digits}&encrypt_type=aes&msg_signature={digits}&timestamp=1&nonce=2&openid={MARK}"),
        format!("hub.mode=subscribe&hub.verify_token={MARK}&hub.challenge={MARK}"),
        format!("hub.mode=subscribe&hub.verify_token=&hub.challenge={MARK}"),
        format!("hub.mode=subscribe&hub.challenge={MARK}"),
        format!("challenge={MARK}&key=&key={MARK}&token=&secret="),
        "x".repeat(8_000),
    ]
}

fn assaults() -> Vec<Assault> {
    let nested = |open: &str| format!("{{\"{MARK}\":{}", open.repeat(100_000));
    let twice = format!(
        "{{\"event\":\"a\",\"event\":\"b\",\"type\":\"message\",\"type\":\"x\",\"data\":{{}},\"data\":\"{MARK}\"}}"
    );
    let broken = [b"{\"text\":\"\xff\xfe\xc0\x80\xed\xa0\x80".as_slice(), MARK.as_bytes(), b"\"}"].concat();
    let mut all = vec![
        Assault::post("nothing", ""),
        Assault::post("noise", noise()),
        Assault::post("deep arrays", nested("[")),
        Assault::post("deep objects", nested("{\"a\":")),
        Assault::post("deep elements", format!("<xml>{MARK}{}", "<a>".repeat(100_000))),
        Assault::post("keys that are there twice", twice),
        Assault::post("no UTF-8", broken),
        Assault::post("an entity bomb", entity_bomb()),
        Assault::post("an encrypted nothing", format!("<xml><ToUserName/><Encrypt>{MARK}</Encrypt></xml>")),
        Assault::post("headers that are no ASCII", message()).with_headers(&["\u{4eb2}\u{ff}".as_bytes()]),
        Assault::post("headers that are no UTF-8", message()).with_headers(&[b"\xff\xfe"]),
        Assault::post("headers that are there twice", message()).with_headers(&[b"sha256=00", b"sha256=00"]),
        Assault::post("empty headers", message()).with_headers(&[b""]),
        Assault::post("headers of no meaning", message()).with_headers(&[MARK.as_bytes()]),
        Assault::post("long headers", message()).with_headers(&["a".repeat(3_000).as_bytes()]),
        Assault::post("a forged signature", message()).with_headers(&[format!("sha256={}", "0".repeat(64)).as_bytes()]),
        Assault::post("much", vec![b'['; 10 << 20]),
    ];
    for query in queries() {
        all.push(Assault::post("a message", message()).with_query(&query));
        all.push(Assault::get("asked", query));
    }
    all
}

/// The accounts of all pages, of the shop `demo`, none of which can call anybody.
fn accounts() -> Vec<Table> {
    let mut accounts = Vec::new();
    for platform in PLATFORMS {
        let shown = example(&page(platform.name));
        for account in shown["channels"].as_array().unwrap() {
            let mut account = account.as_table().unwrap().clone();
            account.insert("name".to_owned(), Value::String(format!("{}-{}", platform.name, accounts.len())));
            account.insert("shop".to_owned(), Value::String("demo".to_owned()));
            account.insert("allow_private".to_owned(), Value::Boolean(true));
            for setting in settings(platform.name).into_iter().filter(|name| name.ends_with("url")) {
                let nobody = Value::String("http://127.0.0.1:9".to_owned());
                let mut mute = account.clone();
                mute.insert(setting, nobody);
                if Account::read(mute.clone()).is_ok() {
                    account = mute;
                }
            }
            accounts.push(account);
        }
    }
    accounts
}

/// Sends it; how it was answered. Whoever refuses much at once may hang up before all of it was sent.
async fn send(served: &Served, account: &str, assault: &Assault) -> Option<(u16, String)> {
    let url = format!("{}/channels/{account}?{}", served.base, assault.query);
    let request = if assault.is_post { client().post(url).body(assault.body.clone()) } else { client().get(url) };
    let answer = request.headers(assault.headers.clone()).send().await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            assert!(assault.body.len() > 4 << 20, "{account}: {}: {error}", assault.what);
            return None;
        }
    };
    Some((answer.status().as_u16(), answer.text().await.unwrap()))
}

/// What was counted as refused, by account.
async fn counted(served: &Served) -> BTreeMap<String, u64> {
    let metrics = served.get("/metrics").await.body;
    let mut counts = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("yingda_channel_requests_total{")) {
        let account = line.split("account=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert!(!line.contains("outcome=\"taken\""), "{line}");
        *counts.entry(account).or_default() += line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    }
    counts
}

/// Rows of the tables in which something of a request could be kept.
async fn rows(home: &Path) -> BTreeMap<&'static str, i64> {
    let path = home.join("data/yingda.db");
    let mut store = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let mut rows = BTreeMap::new();
    for (table, query) in [
        ("events", "SELECT count(*) FROM events"),
        ("conversations", "SELECT count(*) FROM conversations"),
        ("outbox", "SELECT count(*) FROM outbox"),
    ] {
        rows.insert(table, sqlx::query_scalar(query).fetch_one(&mut store).await.unwrap());
    }
    rows
}

/// A message that is signed with the secret that the generic channel's page shows.
async fn believed(served: &Served, accounts: &[Table]) {
    let account = accounts.iter().find(|account| account["type"].as_str() == Some("generic")).unwrap();
    let secret: Secret = account["secret"].as_str().unwrap().parse().unwrap();
    let body = format!(
        "{{\"type\":\"message\",\"data\":{{\"conversation_id\":\"c\",\"customer_id\":\"u\",\"text\":\"{MARK}\"}}}}"
    );
    let time = now().as_second();
    let request = client()
        .post(format!("{}/channels/{}", served.base, account["name"].as_str().unwrap()))
        .header("webhook-id", "m")
        .header("webhook-timestamp", time)
        .header("webhook-signature", sign(&secret, "m", time, body.as_bytes()));
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_no_platform_sends_is_refused_by_all_counted_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let accounts = accounts();
    let tables: Vec<Value> = accounts.iter().cloned().map(Value::Table).collect();
    let config = Table::from_iter([("channels".to_owned(), Value::Array(tables))]).to_string();
    std::fs::write(home.path().join("yingda.toml"), config).unwrap();
    let (served, started) = (Served::start_logging(home.path(), "debug"), std::time::Instant::now());
    let (assaults, mut refused) = (assaults(), BTreeMap::<String, u64>::new());
    for account in accounts.iter().map(|account| account["name"].as_str().unwrap()) {
        for assault in &assaults {
            let Some((status, body)) = send(&served, account, assault).await else { continue };
            let what = format!("{account}: {} ?{:.60}: {status} {body:.200}", assault.what, assault.query);
            assert!((400..500).contains(&status), "{what}");
            assert!(!body.contains(MARK), "it is repeated: {what}");
            match assault.body.len() > 4 << 20 {
                true => assert_eq!(status, 413, "{what}"),
                // Web chat has a door of its own.
                false if account.starts_with("web-") => assert_eq!(status, 404, "{what}"),
                false => *refused.entry(account.to_owned()).or_default() += 1,
            }
        }
    }
    assert_eq!(counted(&served).await, refused);
    assert_eq!(served.get("/readyz").await.status, 200, "it goes on");
    assert!(rows(home.path()).await.values().all(|count| *count == 0), "{:?}", rows(home.path()).await);
    believed(&served, &accounts).await;
    assert_eq!(rows(home.path()).await["events"], 1, "what is signed does leave something");
    let log = served.log();
    assert!(log.contains("DEBUG"), "it tells much");
    let warned = log.lines().filter(|line| line.contains("WARN") && line.contains("refused: signature")).count();
    let within = 1 + started.elapsed().as_secs() as usize / 60;
    assert!((1..=accounts.len() * within).contains(&warned), "told once a minute for each account: {warned}");
    let told: Vec<&str> = log.lines().filter(|line| line.contains(MARK)).collect();
    assert!(told.is_empty(), "{told:#?}");
}
