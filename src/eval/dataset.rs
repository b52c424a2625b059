//! Labelled questions, one JSON object a line.

use serde::Deserialize;

/// A question and the entries that answer it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LabelledQuery {
    /// As the customer wrote it.
    pub q: String,
    /// The right entry; none means that the right outcome is to abstain.
    pub id: Option<String>,
    /// Further right entries.
    #[serde(default)]
    pub ok_ids: Vec<String>,
    /// A question without label that may have an answer after all: left out of every figure.
    #[serde(default)]
    suspect: bool,
}

impl LabelledQuery {
    /// Every right entry.
    #[must_use]
    pub fn right(&self) -> Vec<String> {
        self.id.iter().chain(&self.ok_ids).cloned().collect()
    }
}

/// Reads the questions of a JSONL text, suspects left out.
///
/// # Errors
/// The first line that is no question, with its number.
pub fn read_queries(text: &str) -> Result<Vec<LabelledQuery>, String> {
    let mut queries = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let query: LabelledQuery = serde_json::from_str(line)
            .map_err(|error| format!("line {}: not a query: {error}; write {{\"q\", \"id\"}}", index + 1))?;
        queries.push(query);
    }
    queries.retain(|query| !query.suspect);
    Ok(queries)
}
