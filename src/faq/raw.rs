//! The shapes of `faq/` files as written: every value with its place, nothing checked yet.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use super::fault::Faults;
use super::scope::Scope;
use super::script::{AgentsState, ClosingEvent, CustomerKind, Profile, ScriptKind};
use crate::analysis::speech::{PhraseMode, SpeechAct};

/// An answer: one text, or one a language tag.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawAnswer {
    Text(String),
    ByLanguage(BTreeMap<String, String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEntry {
    pub id: Spanned<String>,
    pub question: Spanned<String>,
    #[serde(default)]
    pub phrasings: Vec<Spanned<String>>,
    pub answer: Spanned<RawAnswer>,
    /// By the name of a state, which is not checked yet.
    #[serde(default)]
    pub states: BTreeMap<Spanned<String>, Spanned<RawAnswer>>,
    pub topic: Option<String>,
    pub audience: Option<super::Audience>,
    #[serde(default)]
    pub related: Vec<Spanned<String>>,
    #[serde(default)]
    pub agents_only: bool,
    #[serde(default)]
    pub scope: Scope,
    pub valid_from: Option<Spanned<Datetime>>,
    pub valid_until: Option<Spanned<Datetime>>,
}

/// Wordings of a script: a list, or a list a language tag.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawWordings {
    List(Vec<String>),
    ByLanguage(BTreeMap<String, Vec<String>>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScript {
    pub id: Spanned<String>,
    pub kind: ScriptKind,
    pub wordings: Option<Spanned<RawWordings>>,
    pub leads: Option<Spanned<RawWordings>>,
    pub fallback: Option<Spanned<String>>,
    pub profile: Option<Profile>,
    pub agents: Option<AgentsState>,
    pub customer: Option<CustomerKind>,
    pub event: Option<ClosingEvent>,
    #[serde(default)]
    pub tier: Vec<String>,
    #[serde(default)]
    pub shops: Vec<String>,
    #[serde(default)]
    pub channels: Vec<String>,
    pub schedule: Option<Spanned<crate::hours::RawHours>>,
    pub valid_from: Option<Spanned<Datetime>>,
    pub valid_until: Option<Spanned<Datetime>>,
}

/// Phrases of one speech act; `filler` is no act but words to be taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActKind {
    Act(SpeechAct),
    Filler,
}

impl<'de> Deserialize<'de> for ActKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == "filler" {
            return Ok(Self::Filler);
        }
        SpeechAct::deserialize(serde::de::value::StrDeserializer::new(&name)).map(Self::Act)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAct {
    pub kind: ActKind,
    pub mode: Option<RawMode>,
    pub phrases: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawMode {
    Whole,
    Contains,
    /// Only for fillers.
    Strip,
}

impl RawMode {
    pub fn phrase_mode(self) -> PhraseMode {
        match self {
            Self::Whole => PhraseMode::Whole,
            Self::Contains | Self::Strip => PhraseMode::Contains,
        }
    }
}

/// One TOML file: its top-level keys, faults reported with their lines.
pub(super) struct TomlFile<'a> {
    pub name: &'a str,
    text: &'a str,
    table: DeTable<'a>,
}

impl<'a> TomlFile<'a> {
    /// Parses the text; every syntax error is reported, and then there is nothing to read.
    pub fn parse(name: &'a str, text: &'a str, faults: &mut Faults) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            faults.error(
                name,
                line,
                format!("not TOML: {}", first_line(error.message())),
                "mend the syntax; strings stand in \"double quotes\"",
            );
        }
        errors.is_empty().then(|| Self { name, text, table: table.into_inner() })
    }

    /// Line of a place in the file, counted from 1.
    pub fn line(&self, offset: usize) -> usize {
        line_of(self.text, offset)
    }

    /// Reads each item of the array of tables `key`; an item with a fault is reported and left out.
    pub fn items<T: DeserializeOwned>(&mut self, key: &str, faults: &mut Faults) -> Vec<(usize, T)> {
        let Some((_, value)) = self.take(key) else {
            return Vec::new();
        };
        let start = value.span().start;
        let DeValue::Array(items) = value.into_inner() else {
            faults.error(
                self.name,
                self.line(start),
                format!("`{key}` must be a list of tables"),
                format!("write [[{key}]]"),
            );
            return Vec::new();
        };
        items.into_iter().filter_map(|item| self.item(key, item, faults)).collect()
    }

    fn item<T: DeserializeOwned>(
        &self,
        key: &str,
        item: Spanned<DeValue<'a>>,
        faults: &mut Faults,
    ) -> Option<(usize, T)> {
        let line = self.line(item.span().start);
        match T::deserialize(toml::de::ValueDeserializer::from(item)) {
            Ok(value) => Some((line, value)),
            Err(error) => {
                let line = error.span().map_or(line, |span| self.line(span.start));
                faults.error(
                    self.name,
                    line,
                    format!("in [[{key}]]: {}", first_line(error.message())),
                    "see faq/README.md for the keys and their values",
                );
                None
            }
        }
    }

    /// Reads one optional value.
    pub fn value<T: DeserializeOwned>(&mut self, key: &str, faults: &mut Faults) -> Option<T> {
        let (_, value) = self.take(key)?;
        let line = self.line(value.span().start);
        T::deserialize(toml::de::ValueDeserializer::from(value))
            .map_err(|error| {
                faults.error(
                    self.name,
                    line,
                    format!("in `{key}`: {}", first_line(error.message())),
                    "see faq/README.md",
                )
            })
            .ok()
    }

    /// Reports keys that nobody has read.
    pub fn finish(self, known: &str, faults: &mut Faults) {
        for (key, _) in &self.table {
            let line = self.line(key.span().start);
            faults.error(
                self.name,
                line,
                format!("unknown key `{}`", key.get_ref()),
                format!("this file may hold {known}"),
            );
        }
    }

    fn take(&mut self, key: &str) -> Option<(Spanned<std::borrow::Cow<'a, str>>, Spanned<DeValue<'a>>)> {
        self.table.remove_entry(key)
    }
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}
