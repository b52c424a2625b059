//! What an event and its decision leave behind in a conversation; pure.

use jiff::Timestamp;

use super::event::{EventKind, InboundEvent};
use super::model::{Conversation, SentEntry, SentScript};
use crate::analysis::language::Language;
use crate::faq::script::ScriptKind;

/// Replies whose echo is recognised.
const ECHOES: usize = 8;

/// What went out, as far as the conversation must remember it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Texts, in order.
    pub texts: Vec<String>,
    /// Entry answered with.
    pub entry_id: Option<String>,
    /// Situations of the scripts used.
    pub scripts: Vec<ScriptKind>,
    /// Entries offered.
    pub menu: Vec<String>,
    /// Incident told.
    pub incident: Option<String>,
    /// The conversation goes to a human.
    pub hands_over: bool,
}

/// How the text looked to the analysis.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Canonical text.
    pub canonical: String,
    /// Its language, if it has one.
    pub language: Option<Language>,
    /// The customer was silent long enough to be met afresh.
    pub afresh: bool,
    /// The question, where an entry answers it.
    pub question: Option<String>,
}

impl Conversation {
    /// The conversation after `event`, at `now`, was answered with `sent`.
    #[must_use]
    pub fn after(mut self, event: &InboundEvent, heard: Heard, sent: &Sent, now: Timestamp) -> Self {
        match event.kind {
            EventKind::Message | EventKind::Media => self.hear_customer(heard, now),
            EventKind::AgentMessage if !self.is_echo(&event.text) => self.hear_human(now),
            EventKind::Closed => self.close(),
            _ => {}
        }
        self.remember(sent, now);
        self
    }

    /// Whether a text from the shop's side is one of our own replies coming back.
    #[must_use]
    pub fn is_echo(&self, text: &str) -> bool {
        self.echoes.iter().any(|known| known == text)
    }

    fn hear_customer(&mut self, heard: Heard, now: Timestamp) {
        if heard.afresh {
            self.handed_over = false;
            self.replies_in_a_row = 0;
            self.last_text.clear();
            self.question.clear();
            self.entries.clear();
            self.scripts.clear();
        }
        if let Some(question) = heard.question {
            self.question = question;
        }
        self.same_text =
            if !heard.canonical.is_empty() && heard.canonical == self.last_text { self.same_text + 1 } else { 1 };
        self.last_text = heard.canonical;
        self.language = heard.language.or(self.language);
        self.last_customer_at = Some(now);
        self.waiting_since.get_or_insert(now);
        self.waiting_for_human_since.get_or_insert(now);
        self.menu.clear();
    }

    fn hear_human(&mut self, now: Timestamp) {
        self.last_human_at = Some(now);
        self.waiting_since = None;
        self.waiting_for_human_since = None;
        self.replies_in_a_row = 0;
        self.menu.clear();
    }

    fn close(&mut self) {
        self.handed_over = false;
        self.replies_in_a_row = 0;
        self.last_text.clear();
        self.question.clear();
        self.entries.clear();
        // A conversation that is closed twice is not taken leave of twice.
        self.scripts.retain(|sent| sent.kind == ScriptKind::Closing);
        self.waiting_since = None;
        self.waiting_for_human_since = None;
        self.menu.clear();
    }

    fn remember(&mut self, sent: &Sent, now: Timestamp) {
        if !sent.texts.is_empty() {
            self.waiting_since = None;
            self.replies_in_a_row += 1;
            self.echoes.extend(sent.texts.iter().cloned());
            self.echoes.drain(..self.echoes.len().saturating_sub(ECHOES));
        }
        if let Some(entry_id) = &sent.entry_id {
            match self.entries.iter_mut().find(|known| known.entry_id == *entry_id) {
                Some(known) => known.times += 1,
                None => self.entries.push(SentEntry { entry_id: entry_id.clone(), times: 1 }),
            }
        }
        for kind in &sent.scripts {
            match self.scripts.iter_mut().find(|known| known.kind == *kind) {
                Some(known) => known.at = now,
                None => self.scripts.push(SentScript { kind: *kind, at: now }),
            }
        }
        self.menu.extend(sent.menu.iter().cloned());
        self.incidents.extend(sent.incident.clone());
        self.handed_over |= sent.hands_over;
    }
}
