//! What the shop knows: entries and scripts, as valid values. Built by [`load`]; nobody checks them again.

pub mod answer;
pub mod fault;
mod jsonl;
mod lint;
pub mod load;
pub mod order;
mod raw;
mod read;
pub mod scope;
pub mod script;
pub mod template;
mod valid;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::answer::Wording;
use self::order::OrderState;
use self::scope::{Scope, Validity};
use self::script::Script;
use crate::analysis::lexicon::LexiconSource;
use crate::analysis::speech::ActPhrases;

/// Unique name of an entry: lower-case letters, digits, `-`, `_` and `.`.
pub type EntryId = Arc<str>;

/// Who is asked: the desk an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Audience {
    /// 售前.
    PreSale,
    /// 售后.
    AfterSale,
    /// 辅助.
    Assist,
}

impl Audience {
    /// Every desk.
    pub const ALL: [Self; 3] = [Self::PreSale, Self::AfterSale, Self::Assist];

    /// Name as written in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PreSale => "pre-sale",
            Self::AfterSale => "after-sale",
            Self::Assist => "assist",
        }
    }

    /// The desk of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|audience| audience.name() == name)
    }
}

/// A FAQ entry 知识条目.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Unique in the corpus.
    pub id: EntryId,
    /// The topic, by default its file's.
    pub topic: Arc<str>,
    /// 相似问; the first one is the canonical question. Never empty.
    pub phrasings: Vec<String>,
    /// 标准答案.
    pub answer: Wording,
    /// What is answered instead while the order is in a state; shared where there is none.
    pub states: Arc<BTreeMap<OrderState, Wording>>,
    /// Desk that answers it.
    pub audience: Option<Audience>,
    /// Entries a reader may want next; each exists.
    pub related: Vec<EntryId>,
    /// Agents see it among the suggestions; the bot never sends it.
    pub agents_only: bool,
    /// Where it holds.
    pub scope: Arc<Scope>,
    /// When it holds.
    pub validity: Validity,
}

impl Entry {
    /// The canonical question.
    #[must_use]
    pub fn question(&self) -> &str {
        self.phrasings.first().map_or("", String::as_str)
    }

    /// The answer for the state of the customer's order; the general one when the state is unknown or changes nothing.
    #[must_use]
    pub fn answer_for(&self, state: Option<OrderState>) -> &Wording {
        state.and_then(|state| self.states.get(&state)).unwrap_or(&self.answer)
    }
}

/// Everything read from one `faq/` folder.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    /// Entries in the order of file names and lines.
    pub entries: Vec<Entry>,
    /// Scripts in the file's order.
    pub scripts: Vec<Script>,
    /// Values of placeholders, from `shop.toml`.
    pub variables: BTreeMap<String, String>,
    /// Dictionary, synonyms and rewrites.
    pub lexicon: LexiconSource,
    /// Speech acts, as written.
    pub acts: Vec<ActPhrases>,
    /// Words without content, as written.
    pub fillers: Vec<String>,
    /// Texts that no entry answers, as written: they calibrate the confidence.
    pub out_of_scope: Vec<String>,
    /// Whether the folder has those texts itself: built-in ones may be in this shop's scope.
    pub has_own_out_of_scope: bool,
}

impl Corpus {
    /// Number of phrasings of all entries.
    #[must_use]
    pub fn phrasings(&self) -> usize {
        self.entries.iter().map(|entry| entry.phrasings.len()).sum()
    }
}
