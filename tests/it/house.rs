//! The laws of the house: which room may use what, and whom. Read from the source as text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::harness::project;

/// A source file without comments and unit tests.
struct Source {
    /// Path below `src/`, with `/`.
    name: String,
    code: String,
}

impl Source {
    /// Folder or file name below `src/`.
    fn room(&self) -> &str {
        self.name.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    fn is_in(&self, place: &str) -> bool {
        self.name == place || self.name.starts_with(&format!("{place}/"))
    }
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    collect(&project("src"), &mut files);
    files.sort();
    let root = project("src");
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        Source { name, code: code_of(&text) }
    };
    files.into_iter().map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
}

/// Everything above the unit tests, without lines of comment.
fn code_of(text: &str) -> String {
    let code: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    code.join("\n")
}

/// Files outside `allowed` whose code matches.
fn trespassers(pattern: &str, allowed: &[&str]) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    sources()
        .into_iter()
        .filter(|source| !allowed.iter().any(|place| source.is_in(place)))
        .filter_map(|source| Some(format!("{}: {}", source.name, pattern.find(&source.code)?.as_str())))
        .collect()
}

#[test]
fn each_library_lives_in_its_room() {
    for (library, pattern, rooms) in [
        ("axum", r"\b(?:axum|tower_http|tower|utoipa_axum|utoipa_swagger_ui)::", &["http"][..]),
        ("tantivy", r"\btantivy::", &["index"]),
        ("jieba", r"\bjieba_rs::", &["analysis"]),
        ("OpenCC", r"\bopencc_rust::", &["analysis"]),
        ("pinyin", r"\bpinyin::ToPinyin", &["analysis"]),
        ("clap", r"\b(?:clap|clap_complete|indicatif)::", &["cli"]),
        ("sqlx", r"\bsqlx::", &["conversation/store"]),
        ("reqwest", r"\b(?:reqwest|rustls)::", &["outbound", "semantic"]),
        ("minijinja", r"\bminijinja::", &["faq"]),
    ] {
        assert_eq!(trespassers(pattern, rooms), Vec::<String>::new(), "{library} belongs to {rooms:?}");
    }
}

/// Files that break the law that only `cli/` uses anyhow. To be emptied.
const ANYHOW_OUTSIDE_CLI: [&str; 1] = ["telemetry.rs"];

#[test]
fn anyhow_is_for_commands_only() {
    let found = trespassers(r"\banyhow\b", &["cli"]);
    let names: Vec<&str> = found.iter().filter_map(|found| found.split(':').next()).collect();
    assert_eq!(names, ANYHOW_OUTSIDE_CLI);
}

/// Rooms and files that are pure; of `conversation/`, everything but its store.
const PURE: [&str; 7] =
    ["reply", "matching", "channel", "conversation", "conversation/store/batch.rs", "report", "analysis/mask"];

fn is_pure(source: &Source) -> bool {
    let stored = source.is_in("conversation/store") && !source.is_in("conversation/store/batch.rs");
    !stored && PURE.iter().any(|place| source.is_in(place))
}

#[test]
fn the_pure_rooms_have_no_clock_no_chance_no_file_and_no_network() {
    let forbidden = Regex::new(
        r"::now\(|\bInstant\b|\bSystemTime\b|std::(?:fs|net|io|env|process|time)\b|\brand\b|tokio|reqwest|tempfile",
    )
    .unwrap();
    let found: Vec<String> = sources()
        .iter()
        .filter(|source| is_pure(source))
        .filter_map(|source| Some(format!("{}: {}", source.name, forbidden.find(&source.code)?.as_str())))
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_decision_has_no_lock_no_await_and_no_log() {
    let forbidden =
        Regex::new(r"\bMutex\b|\bRwLock\b|\bAtomic|\basync\b|\.await|\btracing\b|\bmetrics::|println!|static ")
            .unwrap();
    let found: Vec<String> = sources()
        .iter()
        .filter(|source| source.is_in("reply"))
        .filter_map(|source| Some(format!("{}: {}", source.name, forbidden.find(&source.code)?.as_str())))
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn only_the_bot_reads_the_clock() {
    let found = trespassers(r"\b(?:Timestamp|Zoned|SystemTime)::now\(|\bTimeZone::system\(", &["bot"]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn imports_name_their_room() {
    for pattern in [r"\buse crate::\{", r"\buse crate::\*", r"\buse super::super::", r"\buse [a-z_:]+::\*;"] {
        assert_eq!(trespassers(pattern, &[]), Vec::<String>::new(), "{pattern}");
    }
}

#[test]
fn nothing_ends_the_process_in_the_middle() {
    assert_eq!(trespassers(r"process::exit|\.unwrap\(\)|panic!\(|unreachable!\(|todo!\(", &[]), Vec::<String>::new());
}

/// Who may import whom: the table of rooms in ARCHITECTURE.md.
const DESIGN: [(&str, &[&str]); 15] = [
    ("main", &["cli"]),
    (
        "cli",
        &[
            "analysis",
            "bot",
            "config",
            "conversation",
            "eval",
            "faq",
            "http",
            "knowledge",
            "matching",
            "semantic",
            "telemetry",
        ],
    ),
    ("config", &[]),
    ("telemetry", &[]),
    ("faq", &["analysis"]),
    ("analysis", &[]),
    ("index", &["faq", "analysis"]),
    ("matching", &["analysis", "faq", "index"]),
    ("reply", &["matching", "faq"]),
    ("conversation", &[]),
    ("channel", &["conversation"]),
    ("knowledge", &["faq", "analysis", "index", "matching"]),
    ("bot", &["knowledge", "reply", "conversation"]),
    ("http", &["bot", "knowledge", "report", "channel", "config"]),
    ("report", &["conversation", "analysis"]),
];

/// What the house as built imports beyond that table, and why it had to.
const BEYOND_DESIGN: [(&str, &[&str], &str); 13] = [
    (
        "config",
        &["channel", "conversation", "outbound", "reply", "semantic"],
        "sections are read straight into the policy and the settings of their rooms",
    ),
    ("faq", &["hours", "parallel"], "a script's schedule; the lint runs on all cores"),
    (
        "knowledge",
        &["parallel", "semantic"],
        "phrasings are analysed on all cores, embedded where a model is configured",
    ),
    ("matching", &["parallel"], "entries are learned on all cores"),
    ("hours", &["analysis"], "an opening is told in a language"),
    ("reply", &["analysis", "conversation", "hours"], "a turn is made of speech acts, facts and policy"),
    ("conversation", &["analysis", "faq"], "the facts name languages and kinds of scripts"),
    (
        "bot",
        &["analysis", "channel", "config", "faq", "hours", "index", "matching", "outbound", "report"],
        "it joins both towers, hears platforms, brings pushes and asks for facts",
    ),
    ("channel", &["faq", "outbound"], "agents sit at desks; the generic channel is signed as webhooks are"),
    ("http", &["analysis", "conversation", "faq"], "bodies are read into events, faults are shown, exports are masked"),
    ("report", &["hours"], "a day's window is a week's"),
    ("eval", &["faq", "index", "matching"], "the measures are no room of the table"),
    ("semantic", &["outbound"], "whoever calls others shares one breaker"),
];

/// Rooms that each room imports, as the source has it.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let path = Regex::new(r"\b(?:crate|yingda)::([a-z_]+)").unwrap();
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources().iter().filter(|source| source.name != "lib.rs") {
        let found = rooms.entry(source.room().to_owned()).or_default();
        found.extend(path.captures_iter(&source.code).map(|found| found[1].to_owned()));
        found.remove(source.room());
    }
    rooms
}

#[test]
fn a_room_imports_only_whom_the_table_allows() {
    let mut broken = Vec::new();
    for (room, imported) in imports() {
        let design = DESIGN.iter().filter(|(name, _)| *name == room).flat_map(|(_, rooms)| *rooms);
        let beyond = BEYOND_DESIGN.iter().filter(|(name, ..)| *name == room).flat_map(|(_, rooms, _)| *rooms);
        let allowed: BTreeSet<&str> = design.chain(beyond).copied().collect();
        broken.extend(
            imported.iter().filter(|other| !allowed.contains(other.as_str())).map(|other| format!("{room} -> {other}")),
        );
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn an_exception_that_nobody_needs_any_more_is_struck_out() {
    let imports = imports();
    let mut idle = Vec::new();
    for (room, others, _) in BEYOND_DESIGN {
        let imported = imports.get(room).cloned().unwrap_or_default();
        idle.extend(
            others.iter().filter(|other| !imported.contains(**other)).map(|other| format!("{room} -> {other}")),
        );
    }
    assert_eq!(idle, Vec::<String>::new());
}

#[test]
fn no_two_rooms_import_each_other_in_a_circle() {
    let mut open = imports();
    loop {
        let closed: Vec<String> = open
            .iter()
            .filter(|(_, imported)| imported.iter().all(|other| !open.contains_key(other)))
            .map(|(room, _)| room.clone())
            .collect();
        if closed.is_empty() {
            break;
        }
        for room in closed {
            open.remove(&room);
        }
    }
    assert!(open.is_empty(), "in a circle, or above one: {open:?}");
}

/// Lines of code a file should not exceed.
const ROOF: usize = 400;

#[test]
fn files_stay_under_the_roof() {
    let mut above = Vec::new();
    for source in sources() {
        let text = std::fs::read_to_string(project("src").join(&source.name)).unwrap();
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        if lines > ROOF {
            above.push(format!("{}: {lines} lines", source.name));
        }
    }
    assert_eq!(above, Vec::<String>::new());
}

#[test]
fn signatures_are_compared_in_constant_time() {
    let signature = sources().into_iter().find(|source| source.name == "channel/signature.rs").unwrap();
    assert!(signature.code.contains("given.as_bytes().ct_eq(wanted.as_bytes())"));
    let bare =
        Regex::new(r"==\s*\*?(?:given|wanted|signature|signed)\b|\b(?:given|wanted|signature|signed)\s*==").unwrap();
    let found: Vec<String> = sources()
        .iter()
        .filter(|source| source.is_in("channel"))
        .filter_map(|source| Some(format!("{}: {}", source.name, bare.find(&source.code)?.as_str())))
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn each_file_opens_with_a_sentence() {
    for source in sources() {
        let text = std::fs::read_to_string(project("src").join(&source.name)).unwrap();
        assert!(text.starts_with("//! "), "{}", source.name);
    }
}

#[test]
fn exceptions_to_lints_are_expected_with_a_reason() {
    assert_eq!(trespassers(r"#!?\[allow\(", &[]), Vec::<String>::new());
    for source in sources() {
        let exceptions = source.code.matches("[expect(").count();
        let reasons = source.code.matches("reason = \"").count();
        assert!(exceptions <= reasons, "{}", source.name);
    }
}
