//! Runs a fuzz target on random and mutated inputs, without a fuzzer: the same inputs for the same seed.
//!
//! `cargo run --no-default-features --bin smoke -- TARGET COUNT [SEED]`, or `-- TARGET FILE` for one input from a file.
//! The first input of each kind of failure goes to `artifacts/TARGET/`; the exit code is 1 when there was one.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 3] = [
    ("analysis", yingda_fuzz::analysis),
    ("matching", yingda_fuzz::matching),
    ("message_endpoint", yingda_fuzz::message_endpoint),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let target = |name: &str| TARGETS.into_iter().find(|(known, _)| *known == name);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ([name, what] | [name, what, _]) = arguments[..] else {
        return usage();
    };
    let Some((name, run)) = target(name) else {
        return usage();
    };
    if let Ok(input) = std::fs::read(what) {
        run(&input);
        return ExitCode::SUCCESS;
    }
    let seed = arguments.get(2).map_or(Ok(1), |seed| seed.parse());
    match (what.parse(), seed) {
        (Ok(count), Ok(seed)) => smoke(name, run, count, seed),
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    let names = TARGETS.map(|(name, _)| name).join(", ");
    eprintln!("usage: smoke TARGET COUNT [SEED]\n       smoke TARGET FILE\ntargets: {names}");
    ExitCode::from(2)
}

/// Failures of one kind: those with the same first panic.
struct Failure {
    count: usize,
    message: String,
    shortest: Vec<u8>,
}

fn smoke(name: &str, run: Target, count: usize, seed: u64) -> ExitCode {
    let panicked = record_panics();
    let mut inputs = Inputs::new(seed);
    let mut failures: BTreeMap<String, Failure> = BTreeMap::new();
    let mut slowest = (0.0, Vec::new());
    let started = Instant::now();
    for _ in 0..count {
        let input = inputs.next();
        let began = Instant::now();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(&input)));
        let took = began.elapsed().as_secs_f64();
        // The first input waits for the world to be built.
        if took > slowest.0 && inputs.made > 1 {
            slowest = (took, input.clone());
        }
        let first = std::mem::take(&mut *panicked.lock().unwrap_or_else(PoisonError::into_inner));
        if outcome.is_ok() && first.is_none() {
            continue;
        }
        let (place, message) = first.unwrap_or_default();
        let failure = failures.entry(place).or_insert_with(|| Failure { count: 0, message, shortest: input.clone() });
        failure.count += 1;
        if input.len() < failure.shortest.len() {
            failure.shortest = input;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{name}: {count} inputs of seed {seed} in {seconds:.1} s, {} kinds of failure", failures.len());
    println!("slowest input: {:.1} ms, {} bytes", slowest.0 * 1e3, slowest.1.len());
    for (number, (place, failure)) in failures.iter().enumerate() {
        let file = save(name, number, &failure.shortest);
        println!("\n{place}: {} times\n  {}", failure.count, failure.message.replace('\n', "\n  "));
        println!("  shortest input: {:?}", String::from_utf8_lossy(&failure.shortest));
        println!("  as bytes: \"{}\"", failure.shortest.escape_ascii());
        println!("  kept in {}", file.display());
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Place and message of the first panic since it was last taken; the router turns later ones into answers.
type Panicked = Arc<Mutex<Option<(String, String)>>>;

fn record_panics() -> Panicked {
    let panicked = Panicked::default();
    let record = Arc::clone(&panicked);
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map_or_else(String::new, ToString::to_string);
        let message = info.payload_as_str().unwrap_or_default().to_owned();
        record.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((place, message));
    }));
    panicked
}

fn save(name: &str, number: usize, input: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(name);
    let file = folder.join(format!("smoke-{number}"));
    if let Err(error) = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input)) {
        eprintln!("{} cannot be written: {error}", file.display());
    }
    file
}

/// An endless row of inputs: seeds as they are, seeds changed, random letters, random bytes.
struct Inputs {
    random: Random,
    seeds: Vec<Vec<u8>>,
    made: usize,
}

impl Inputs {
    fn new(seed: u64) -> Self {
        let mut seeds: Vec<Vec<u8>> = yingda_fuzz::phrasings().into_iter().map(String::into_bytes).collect();
        for body in BODIES {
            // As many as a quarter of the phrasings, or they would hardly ever be drawn.
            seeds.extend(std::iter::repeat_n(body.as_bytes().to_vec(), 100));
        }
        Self { random: Random(seed), seeds, made: 0 }
    }

    fn next(&mut self) -> Vec<u8> {
        self.made += 1;
        let mut input = match self.random.below(8) {
            0 => self.random_bytes(),
            1..3 => self.random_letters(),
            _ => self.seed(),
        };
        for _ in 0..self.random.below(6) {
            input = self.changed(input);
        }
        input.truncate(80_000);
        input
    }

    fn seed(&mut self) -> Vec<u8> {
        let at = self.random.below(self.seeds.len());
        self.seeds[at].clone()
    }

    fn random_bytes(&mut self) -> Vec<u8> {
        let length = self.random.below(64);
        (0..length).map(|_| self.random.next() as u8).collect()
    }

    fn random_letters(&mut self) -> Vec<u8> {
        let length = self.random.below(24);
        let text: String = (0..length).map(|_| self.random_letter()).collect();
        text.into_bytes()
    }

    fn random_letter(&mut self) -> char {
        let (first, last) = LETTERS[self.random.below(LETTERS.len())];
        let code = first + self.random.below((last - first + 1) as usize) as u32;
        char::from_u32(code).unwrap_or('\u{FFFD}')
    }

    fn changed(&mut self, mut input: Vec<u8>) -> Vec<u8> {
        let (from, to) = self.part(&input);
        match self.random.below(10) {
            0 if !input.is_empty() => {
                let at = self.random.below(input.len());
                input[at] ^= 1 << self.random.below(8);
            }
            1 => drop(input.drain(from..to)),
            2 => {
                let copy = input[from..to].to_vec();
                input.splice(to..to, copy);
            }
            3 => input.reverse(),
            4 => {
                let other = self.seed();
                let (start, end) = self.part(&other);
                input.splice(from..to, other[start..end].to_vec());
            }
            5 => input.extend(self.seed()),
            6 if self.random.below(20) == 0 => {
                let times = self.random.below(3_000);
                input = input.repeat(times.min(80_000 / input.len().max(1)));
            }
            7 => {
                let token = TOKENS[self.random.below(TOKENS.len())];
                input.splice(from..from, token.bytes());
            }
            8 => {
                let letter = self.random_letter().to_string();
                input.splice(from..from, letter.into_bytes());
            }
            _ => {
                let bytes = self.random_letters();
                input.splice(from..to, bytes);
            }
        }
        input
    }

    /// Bounds of a part, most often between whole letters.
    fn part(&mut self, input: &[u8]) -> (usize, usize) {
        let (a, b) = (self.random.below(input.len() + 1), self.random.below(input.len() + 1));
        let (mut from, mut to) = (a.min(b), a.max(b));
        if self.random.below(4) > 0 {
            let inside = |at: usize| input.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
            while from > 0 && inside(from) {
                from -= 1;
            }
            while inside(to) {
                to += 1;
            }
        }
        (from.min(to), to)
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// First and last code points of what letters are drawn from: plain ones, and every kind that folds or hides.
const LETTERS: [(u32, u32); 32] = [
    (0x20, 0x7E),
    (0x00, 0x1F),
    (0x7F, 0xFF),
    (0x0100, 0x024F),
    (0x0300, 0x036F),
    (0x0370, 0x03FF),
    (0x0590, 0x06FF),
    (0x0E00, 0x0E7F),
    (0x1100, 0x11FF),
    (0x1E00, 0x1FFF),
    (0x2000, 0x206F),
    (0x2070, 0x218F),
    (0x2460, 0x24FF),
    (0x2E80, 0x2FFF),
    (0x3000, 0x303F),
    (0x3040, 0x30FF),
    (0x3130, 0x318F),
    (0x3200, 0x33FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0x4E00, 0x5FFF),
    (0xAC00, 0xD7A3),
    (0xE000, 0xE0FF),
    (0xF900, 0xFAFF),
    (0xFB00, 0xFDFF),
    (0xFE00, 0xFE6F),
    (0xFF00, 0xFFEF),
    (0x1D400, 0x1D7FF),
    (0x1F100, 0x1F2FF),
    (0x1F300, 0x1FAFF),
    (0x20000, 0x32000),
    (0xE0000, 0xE01FF),
];

/// Parts with a meaning of their own.
const TOKENS: &[&str] = &[
    "亲",
    "请问",
    "麻烦",
    "亲，",
    "你好",
    "在吗",
    "谢谢",
    "吗",
    "呢",
    "呀",
    "~",
    "，",
    "。",
    "？！",
    " ",
    "\u{3000}",
    "\n",
    "\0",
    "\u{FEFF}",
    "\u{200D}",
    "\u{202E}",
    "\u{301}",
    "\u{30A}",
    "\u{FE0F}",
    "🙏",
    "👨‍👩‍👧",
    "①",
    "㎏",
    "ﬀ",
    "ß",
    "İ",
    "ı",
    "ſ",
    "Ω",
    "Å",
    "ǆ",
    "Ｌ",
    "ｶﾞ",
    "㍿",
    "﨑",
    "契",
    "裏",
    "隻",
    "乾",
    "么",
    "麼",
    "著",
    "後",
    "什麼時候",
    "發貨",
    "打坏",
    "iPhone 15",
    "{{ shop_name }}",
    "{% raw %}",
    "%s",
    "\"",
    "\\u0000",
    "\\ud800",
    "\\",
    "}",
    "{",
    "[",
    "]",
    "null",
    "true",
    "-1",
    "1e999",
    "\"type\":\"closed\",",
    "\"text\":\"\",",
    "\"sent_at\":\"1969-12-31T23:59:59Z\",",
    "\"context\":{\"customer_name\":\"A\"},",
];

/// Bodies near a valid one.
const BODIES: [&str; 8] = [
    r#"{"shop":"s","channel":"web","conversation_id":"c","customer_id":"u","message_id":"m","text":"多久发货"}"#,
    r#"{"shop":"s","channel":"web","conversation_id":"c","customer_id":"u","message_id":"m","text":"轉人工","type":"message","sender_is_bot":false}"#,
    r#"{"shop":"s","channel":"web","conversation_id":"c","customer_id":"u","message_id":"m","type":"order_paid","context":{"order_id":"1","region":"台北"}}"#,
    r#"{"shop":"s","channel":"web","conversation_id":"c","customer_id":"u","message_id":"m","type":"order_unpaid","sent_at":"2026-01-02T03:04:05Z"}"#,
    r#"{"shop":"s","channel":"web","conversation_id":"c","customer_id":"u","message_id":"m","text":"when will it ship","context":{"customer_name":"Li","customer":"new","agents":"busy","queue_position":3,"wait_minutes":5,"platform":"p","category":"c","product":"x","carrier":"y","tracking_no":"1","ship_time":"z","ordered_at":"2026-01-01T00:00:00Z"}}"#,
    r#"{"shop":"s","channel":"web","conversation_id":"c","customer_id":"u","message_id":"m","type":"agent_message","text":"在的"}"#,
    r#"{"shop":"s","channel":"web","conversation_id":"c","customer_id":"u","message_id":"m","type":"media"}"#,
    r#"[[[[[[{"shop":"s","text":"\ud83d\ude4f"}]]]]]]"#,
];
