//! A receiver of pushes: checks signatures, remembers what came, answers as it is told to.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use yingda::outbound::webhook::{Secret, verify};

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How a receiver answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status line, with further headers behind it.
    Status(String),
    /// These bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// Nothing.
    Hangs,
}

impl Reply {
    pub fn status(line: &str) -> Self {
        Self::Status(line.to_owned())
    }

    pub fn ok() -> Self {
        Self::status("204 No Content")
    }
}

/// One attempt as it came.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub id: String,
    pub body: Value,
    pub at: Instant,
    /// It was answered with a success.
    pub accepted: bool,
}

/// Serves until the test ends, through every crash of the sender.
#[derive(Clone)]
pub struct Receiver {
    port: u16,
    attempts: Arc<Mutex<Vec<Attempt>>>,
}

impl Receiver {
    /// Answers the attempt of this number, counted from 0.
    pub async fn start(answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (attempts, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let seen = Arc::clone(&attempts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move { receive(stream, &seen, &*answer).await });
            }
        });
        Self { port, attempts }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// `[[webhooks]]` for it, with further lines.
    pub fn webhook(&self, name: &str, more: &str) -> String {
        let events = r#"["reply", "handoff"]"#;
        let url = self.url();
        format!("[[webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nevents = {events}\n{more}\n")
    }

    pub fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().unwrap().clone()
    }

    /// What was accepted, once each, in the order of its first coming.
    pub fn received(&self) -> Vec<Attempt> {
        let mut once: Vec<Attempt> = Vec::new();
        for attempt in self.attempts().into_iter().filter(|attempt| attempt.accepted) {
            match once.iter().find(|known| known.id == attempt.id) {
                Some(known) => assert_eq!(known.body, attempt.body, "a push is the same each time"),
                None => once.push(attempt),
            }
        }
        once
    }
}

async fn receive(mut stream: TcpStream, seen: &Mutex<Vec<Attempt>>, answer: &(dyn Fn(usize) -> Reply + Send + Sync)) {
    let Some((head, body)) = read(&mut stream).await else { return };
    let header = |name: &str| -> String {
        let mut headers = head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let (id, time) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap_or_default());
    let secret: Secret = SECRET.parse().unwrap();
    let (now, tolerance) = (yingda::bot::now(), Duration::from_secs(300));
    let checked = verify(&[secret], &id, time, body.as_bytes(), &header("webhook-signature"), now, tolerance);
    // A refusal that no test expects: the push would never count as received.
    let reply = {
        let mut seen = seen.lock().unwrap();
        let reply = if checked.is_ok() { answer(seen.len()) } else { Reply::status("401 Unauthorized") };
        let accepted = matches!(&reply, Reply::Status(line) if line.starts_with('2'));
        let body = serde_json::from_str(&body).unwrap_or_default();
        seen.push(Attempt { id, body, at: Instant::now(), accepted });
        reply
    };
    match reply {
        Reply::Status(line) => {
            let answer = format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            drop(stream.write_all(answer.as_bytes()).await);
        }
        Reply::Raw(bytes) => drop(stream.write_all(&bytes).await),
        Reply::Hangs => tokio::time::sleep(Duration::from_secs(60)).await,
    }
}

async fn read(stream: &mut TcpStream) -> Option<(String, String)> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length == Some(body.len()) {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}
