//! Build time, query time and memory of the matcher at 10,000 and 100,000 phrasings, and of the starter pack.
//!
//! `CORPUS=texts.txt cargo bench --bench matching`: one short text a line; the first lines are indexed, each as its own
//! entry, and the last 3,000 are asked. Without `CORPUS` the texts are spliced from the starter pack's phrasings.
//!
//! Every figure comes from a process of its own, so that memory is that of one matcher. A query's time is the median of
//! its rounds; p50 and p99 are over queries, nearest rank. `ROUNDS` (5) sets the rounds.
#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::collections::HashSet;
use std::fmt;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use yingda::analysis::Analyzer;
use yingda::faq::load::{built_in_analyzer, built_in_out_of_scope, entries_from_jsonl, load};
use yingda::faq::{Corpus, Entry};
use yingda::knowledge::{Extras, Generation, Knowledge, build_matcher};
use yingda::matching::Matcher;

/// Phrasings indexed.
const SIZES: [usize; 2] = [10_000, 100_000];

/// Phrasings learned from, where entries have several.
const LEARNED: [usize; 3] = [10_000, 100_000, 1_000_000];

/// Phrasings of such an entry.
const PHRASINGS: usize = 10;

/// Queries asked: the last texts.
const QUERIES: usize = 3_000;

/// Entries wanted from each query: what `GET /v1/suggestions` gives by default.
const LIMIT: usize = 5;

/// Reloads of the starter pack.
const RELOADS: usize = 5;

const FAQ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/faq");

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["build", texts, size, index] => build(texts.as_ref(), size.parse()?, index.as_ref()),
        ["ask", texts, size, index] => ask(texts.as_ref(), size.parse()?, index.as_ref()),
        ["learn", texts, size] => learn(texts.as_ref(), size.parse()?),
        ["starter", index] => starter(index.as_ref()),
        _ => all(),
    }
}

/// Runs each measurement in its own process.
fn all() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let texts = match std::env::var_os("CORPUS") {
        Some(corpus) => PathBuf::from(corpus),
        None => write_spliced(folder.path())?,
    };
    let lines = read_lines(&texts)?.len();
    ensure!(lines > QUERIES, "{} has {lines} texts; {QUERIES} are only the queries", texts.display());
    println!("{} texts of {}", lines, texts.display());
    for size in SIZES.into_iter().filter(|size| size + QUERIES <= lines) {
        println!("\n{size} phrasings, {QUERIES} queries");
        let index = folder.path().join(size.to_string());
        for what in ["build", "ask"] {
            run_self(&[what.as_ref(), texts.as_ref(), size.to_string().as_ref(), index.as_ref()])?;
        }
    }
    for size in LEARNED {
        println!("\n{size} phrasings in entries of {PHRASINGS}");
        run_self(&["learn".as_ref(), texts.as_ref(), size.to_string().as_ref()])?;
    }
    println!("\nstarter pack");
    run_self(&["starter".as_ref(), folder.path().join("starter").as_ref()])
}

fn run_self(arguments: &[&Path]) -> anyhow::Result<()> {
    let status = Command::new(std::env::current_exe()?).args(arguments).status()?;
    if status.success() { Ok(()) } else { bail!("{arguments:?} failed: {status}") }
}

/// As `yingda eval` builds it.
fn matcher(entries: &[Entry], analyzer: &Arc<Analyzer>, index: Option<&Path>) -> anyhow::Result<Matcher> {
    let extras = Extras { out_of_scope: &built_in_out_of_scope(), ..Extras::default() };
    Ok(build_matcher(entries, analyzer, "", extras, index)?)
}

fn build(texts: &Path, size: usize, index: &Path) -> anyhow::Result<()> {
    let (analyzer, entries, _) = setup(texts, size)?;
    let started = Instant::now();
    let matcher = matcher(&entries, &analyzer, Some(index))?;
    print_seconds("build", started);
    black_box(matcher);
    println!("  resident after the build  {}", Memory::now()?);
    Ok(())
}

/// Analyses, indexes and learns entries of several phrasings; texts come again with a number when there are too few.
fn learn(texts: &Path, size: usize) -> anyhow::Result<()> {
    let lines = read_lines(texts)?;
    let text = |number: usize| match number / lines.len() {
        0 => lines[number].clone(),
        round => format!("{}{round}", lines[number % lines.len()]),
    };
    let rows = (0..size).step_by(PHRASINGS).map(|first| {
        let phrasings: Vec<String> = (first..(first + PHRASINGS).min(size)).map(text).collect();
        serde_json::json!({ "id": format!("e{first}"), "question": phrasings[0], "alts": phrasings[1..], "answer": "-" }).to_string()
    });
    let rows: Vec<String> = rows.collect();
    let Ok(entries) = entries_from_jsonl("texts", &rows.join("\n")) else { bail!("the texts are no entries") };
    drop((rows, lines));
    let analyzer = Arc::new(built_in_analyzer()?);
    let without = Memory::now()?;
    let started = Instant::now();
    let matcher = matcher(&entries, &analyzer, None)?;
    print_seconds("analyse, index, learn", started);
    println!("  resident before           {without}");
    println!("  resident after            {}", Memory::now()?);
    black_box(matcher);
    Ok(())
}

/// Opens the index that `build` left and asks.
fn ask(texts: &Path, size: usize, index: &Path) -> anyhow::Result<()> {
    let (analyzer, entries, queries) = setup(texts, size)?;
    println!("  resident without matcher  {}", Memory::now()?);
    let started = Instant::now();
    let matcher = matcher(&entries, &analyzer, Some(index))?;
    print_seconds("open, index up to date", started);
    println!("  resident after opening    {}", Memory::now()?);
    let rounds = std::env::var("ROUNDS").map_or(Ok(5), |rounds| rounds.parse::<usize>())?;
    let times = time_queries(&matcher, &queries, rounds.max(1))?;
    for (name, pick) in [
        ("analyse", (|time| time.analyse) as fn(&Time) -> f64),
        ("find", |time| time.find),
        ("analyse + find", |time| time.analyse + time.find),
    ] {
        let mut sorted: Vec<f64> = times.iter().map(pick).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| nearest_rank(&sorted, share));
        println!("  {name:<25} p50 {p50:7.1} us   p99 {p99:7.1} us   max {max:7.1} us");
    }
    println!("  resident after queries    {}", Memory::now()?);
    Ok(())
}

fn starter(index: &Path) -> anyhow::Result<()> {
    let today = jiff::civil::date(2026, 1, 1);
    let started = Instant::now();
    let loaded = load(FAQ.as_ref(), today)?;
    print_seconds("read and check", started);
    println!("  {}", Sizes(&loaded.corpus));
    let started = Instant::now();
    black_box(Generation::build(loaded, Some(index), None)?);
    print_seconds("learn: analyse and index", started);
    let started = Instant::now();
    let knowledge = Knowledge::open(FAQ.as_ref(), Some(index), None, today)?;
    print_seconds("open, index up to date", started);
    let mut reloads = Vec::with_capacity(RELOADS);
    for _ in 0..RELOADS {
        reloads.push(knowledge.reload(today)?.took.as_secs_f64());
    }
    reloads.sort_unstable_by(f64::total_cmp);
    println!("  {:<25} {:6.3} s   (median of {RELOADS})", "reload, unchanged", nearest_rank(&reloads, 0.5));
    println!("  resident after reloads    {}", Memory::now()?);
    Ok(())
}

/// What one query took, in microseconds: the round with the median of the sums.
struct Time {
    analyse: f64,
    find: f64,
}

fn time_queries(matcher: &Matcher, queries: &[String], rounds: usize) -> anyhow::Result<Vec<Time>> {
    let mut times: Vec<Vec<Time>> = queries.iter().map(|_| Vec::with_capacity(rounds)).collect();
    // The first round warms caches and is not counted.
    for round in 0..=rounds {
        for (query, times) in queries.iter().zip(&mut times) {
            let started = Instant::now();
            let analysis = matcher.analyzer().analyse(black_box(query));
            let analysed = Instant::now();
            black_box(matcher.find(&analysis, LIMIT, |_| Some(0))?);
            let found = Instant::now();
            if round > 0 {
                times.push(Time {
                    analyse: (analysed - started).as_secs_f64() * 1e6,
                    find: (found - analysed).as_secs_f64() * 1e6,
                });
            }
        }
    }
    let median = |mut rounds: Vec<Time>| {
        rounds.sort_unstable_by(|a, b| (a.analyse + a.find).total_cmp(&(b.analyse + b.find)));
        rounds.swap_remove(rounds.len() / 2)
    };
    Ok(times.into_iter().map(median).collect())
}

/// The value of this rank in `sorted`, which is not empty.
fn nearest_rank(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.saturating_sub(1)]
}

fn print_seconds(what: &str, started: Instant) {
    println!("  {what:<25} {:6.3} s", started.elapsed().as_secs_f64());
}

fn setup(texts: &Path, size: usize) -> anyhow::Result<(Arc<Analyzer>, Vec<Entry>, Vec<String>)> {
    let analyzer = Arc::new(built_in_analyzer()?);
    let mut lines = read_lines(texts)?;
    let queries = lines.split_off(lines.len() - QUERIES);
    lines.truncate(size);
    Ok((analyzer, entries(&lines)?, queries))
}

fn read_lines(texts: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(texts).with_context(|| format!("{} cannot be read", texts.display()))?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

fn entries(texts: &[String]) -> anyhow::Result<Vec<Entry>> {
    let rows: String = (0..)
        .zip(texts)
        .map(|(number, text): (usize, _)| {
            let row = serde_json::json!({ "id": format!("q-{number}"), "question": text, "answer": "-" });
            format!("{row}\n")
        })
        .collect();
    entries_from_jsonl("texts", &rows)
        .map_err(|faults| anyhow::anyhow!("{}", faults.first().map(ToString::to_string).unwrap_or_default()))
}

/// Distinct texts from the starter pack: the first half of one phrasing and the second half of another.
fn write_spliced(folder: &Path) -> anyhow::Result<PathBuf> {
    let corpus = load(FAQ.as_ref(), jiff::civil::date(2026, 1, 1))?.corpus;
    let halves: Vec<(&str, &str)> = corpus
        .entries
        .iter()
        .flat_map(|entry| &entry.phrasings)
        .filter(|phrasing| !phrasing.is_ascii())
        .map(|phrasing| {
            let middle = phrasing.chars().count() / 2;
            let at = phrasing.char_indices().nth(middle).map_or(0, |(at, _)| at);
            phrasing.split_at(at)
        })
        .collect();
    let mut texts = HashSet::new();
    let mut lines = String::new();
    // A linear congruential generator (Knuth's MMIX constants): the same texts on every machine.
    let mut state = 1_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % halves.len()
    };
    while texts.len() < SIZES[1] + QUERIES {
        let text = format!("{}{}", halves[draw()].0, halves[draw()].1);
        if !texts.contains(&text) {
            lines.push_str(&text);
            lines.push('\n');
            texts.insert(text);
        }
    }
    let file = folder.join("spliced.txt");
    std::fs::write(&file, lines)?;
    Ok(file)
}

/// Resident memory, in kB; of it, what belongs to the process alone and what to mapped files.
struct Memory {
    resident: u64,
    anonymous: u64,
    files: u64,
}

impl Memory {
    /// Linux only.
    fn now() -> anyhow::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status cannot be read")?;
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        Ok(Self {
            resident: value("VmRSS:").context("no VmRSS")?,
            anonymous: value("RssAnon:").unwrap_or_default(),
            files: value("RssFile:").unwrap_or_default(),
        })
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [resident, anonymous, files] =
            [self.resident, self.anonymous, self.files].map(|kilobytes| kilobytes / 1024);
        write!(f, "{resident:6} MB  (own {anonymous}, of files {files})")
    }
}

/// Entries, phrasings and scripts.
struct Sizes<'a>(&'a Corpus);

impl fmt::Display for Sizes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(corpus) = self;
        write!(
            f,
            "{} entries, {} phrasings, {} scripts",
            corpus.entries.len(),
            corpus.phrasings(),
            corpus.scripts.len()
        )
    }
}
