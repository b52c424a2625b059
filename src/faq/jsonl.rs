//! Entries in the short form `{"id","question","alts":[],"answer"}`, one a line.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::answer::Wording;
use super::fault::Faults;
use super::order::OrderState;
use super::{Entry, Scope, Validity};
use crate::analysis::language::Language;

#[derive(Deserialize)]
struct Row {
    id: String,
    question: String,
    #[serde(default)]
    alts: Vec<String>,
    #[serde(default)]
    answer: String,
}

/// Entries with their lines; a row with a fault is reported and left out.
pub(super) fn read(name: &str, text: &str, faults: &mut Faults) -> Vec<(usize, Entry)> {
    let shared = Shared { topic: name.trim_end_matches(".jsonl").into(), ..Shared::default() };
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Row>(line) {
            Ok(row) => entries.push((index + 1, entry(row, &shared))),
            Err(error) => faults.error(
                name,
                index + 1,
                format!("not an entry: {error}"),
                "write one object a line: {\"id\", \"question\", \"alts\": [], \"answer\"}",
            ),
        }
    }
    entries
}

/// What all rows of a file have in common: there may be a million of them.
#[derive(Default)]
struct Shared {
    topic: Arc<str>,
    everywhere: Arc<Scope>,
    no_states: Arc<BTreeMap<OrderState, Wording>>,
}

fn entry(row: Row, shared: &Shared) -> Entry {
    let answer =
        if row.answer.trim().is_empty() { BTreeMap::new() } else { BTreeMap::from([(Language::ZhHans, row.answer)]) };
    Entry {
        id: row.id.into(),
        topic: Arc::clone(&shared.topic),
        phrasings: std::iter::once(row.question).chain(row.alts).collect(),
        answer: Wording::new(answer),
        states: Arc::clone(&shared.no_states),
        audience: None,
        related: Vec::new(),
        agents_only: false,
        scope: Arc::clone(&shared.everywhere),
        validity: Validity::default(),
    }
}
