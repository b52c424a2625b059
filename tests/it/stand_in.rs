//! A server of somebody else: remembers what it is asked, and answers as it is told to.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use yingda::outbound::webhook::{Secret, verify};

/// What both sides know.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How a stand-in answers.
#[derive(Clone)]
pub enum Answer {
    /// A status line with further headers, and a body.
    Says(String, String),
    /// This JSON, so much later.
    Later(Duration, String),
    /// These bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// Nothing, for as long as anybody waits.
    Hangs,
    /// A byte now and then.
    Drips,
}

impl Answer {
    pub fn status(status: &str) -> Self {
        Self::Says(status.to_owned(), String::new())
    }

    pub fn ok() -> Self {
        Self::status("204 No Content")
    }

    pub fn json(body: impl ToString) -> Self {
        Self::Says("200 OK\r\ncontent-type: application/json".to_owned(), body.to_string())
    }

    fn is_success(&self) -> bool {
        match self {
            Self::Says(status, _) => status.starts_with('2'),
            Self::Later(..) => true,
            Self::Raw(_) | Self::Hangs | Self::Drips => false,
        }
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub head: String,
    pub body: String,
    pub at: Instant,
    /// It was answered with a success.
    pub accepted: bool,
}

impl Request {
    /// Path and query.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// Signed with the secret, at `now` or so much before or after it.
    pub fn is_signed(&self, now: Timestamp, tolerance: Duration) -> bool {
        let (secret, body): (Secret, _) = (SECRET.parse().unwrap(), self.body.as_bytes());
        let (id, time) = (self.header("webhook-id"), self.header("webhook-timestamp").parse().unwrap_or_default());
        verify(&[secret], id, time, body, self.header("webhook-signature"), now, tolerance).is_ok()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A server of somebody else.
pub struct StandIn {
    pub port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl StandIn {
    /// Answers the request of this number, counted from 0.
    pub async fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::judging(move |number, _| answer(number)).await
    }

    /// The same, by what is asked.
    pub async fn judging(answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move {
                    let Some(mut request) = read_request(&mut stream).await else { return };
                    let answer = {
                        let mut seen = seen.lock().unwrap();
                        let answer = answer(seen.len(), &request);
                        request.accepted = answer.is_success();
                        seen.push(request);
                        answer
                    };
                    give(&mut stream, answer).await;
                });
            }
        });
        Self { port, requests }
    }

    pub async fn that(answer: Answer) -> Self {
        Self::start(move |_| answer.clone()).await
    }

    /// Where it is, without a path.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?token=in-the-url", self.port)
    }

    /// The requests, once there are so many.
    pub async fn after(&self, count: usize) -> Vec<Request> {
        let started = Instant::now();
        loop {
            let requests = self.requests();
            if requests.len() >= count {
                return requests;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "{count} requests, and only these came: {requests:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn give(stream: &mut TcpStream, answer: Answer) {
    match answer {
        Answer::Says(status, body) => say(stream, &status, &body).await,
        Answer::Later(wait, body) => {
            tokio::time::sleep(wait).await;
            say(stream, "200 OK\r\ncontent-type: application/json", &body).await;
        }
        Answer::Raw(bytes) => drop(stream.write_all(&bytes).await),
        Answer::Hangs => tokio::time::sleep(Duration::from_secs(60)).await,
        Answer::Drips => {
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{").await);
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn say(stream: &mut TcpStream, status: &str, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    drop(stream.write_all((head + body).as_bytes()).await);
}

async fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let (head, body) = (head.to_owned(), body.to_owned());
        let request = Request { head, body, at: Instant::now(), accepted: false };
        let length = request.header("content-length").parse().unwrap_or(0);
        if length == request.body.len() {
            return Some(request);
        }
    }
}
