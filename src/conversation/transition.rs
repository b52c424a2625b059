//! What an event and its decision leave behind in a conversation; pure.

use jiff::Timestamp;

use super::event::{EventKind, InboundEvent};
use super::model::{Bubbles, Conversation, SentEntry, SentScript, UnpaidOrder, digest};
use super::phase::{NotAssigned, Step};
use super::timer::{Timer, TimerKind};
use crate::analysis::language::Language;
use crate::faq::Audience;
use crate::faq::script::ScriptKind;

/// Replies whose echo is recognised.
const ECHOES: usize = 8;

/// Bubbles that are kept to be answered together; older ones have been read long ago.
const BUBBLES: usize = 20;

/// What went out, as far as the conversation must remember it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Texts, in order.
    pub texts: Vec<String>,
    /// Their ids, in order.
    pub ids: Vec<String>,
    /// Entry answered with.
    pub entry_id: Option<String>,
    /// Situations of the scripts used.
    pub scripts: Vec<ScriptKind>,
    /// Entries offered.
    pub menu: Vec<String>,
    /// Incident told.
    pub incident: Option<String>,
    /// Place in the queue that was told.
    pub position: Option<u32>,
    /// Where the decision leads the conversation.
    pub step: Option<Step>,
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
    /// It asks for something that nothing was found for.
    pub missed: bool,
    /// It wants no reply: thanks, a farewell, an advertisement.
    pub courtesy: bool,
    /// The customer says something that is decided now.
    pub speaks: bool,
    /// The message is not decided yet: it waits for the next one.
    pub waits: bool,
    /// The timer that fired.
    pub timer: Option<Timer>,
    /// The desk that the message belongs to.
    pub audience: Option<Audience>,
    /// What came from the shop's side is our own reply.
    pub echo: bool,
}

impl Conversation {
    /// The conversation after `event`, at `now`, was answered with `sent`.
    #[must_use]
    pub fn after(mut self, event: &InboundEvent, heard: Heard, sent: &Sent, now: Timestamp) -> Self {
        self.events += 1;
        self.audience = event.context.audience.or(heard.audience).or(self.audience);
        if let Some(timer) = heard.timer {
            // What fires late has seen to all that was due meanwhile.
            self.fired.insert(timer.kind, timer.due.max(now));
        }
        // A step that cannot be taken leaves the conversation where it is; whoever asks for one is told beforehand.
        if let Ok(Some(phase)) = self.step(event).map(|step| step.and_then(|step| self.phase.after(step, now).ok())) {
            self.phase = phase;
        }
        match event.kind {
            _ if heard.waits => self.gather(event, now),
            _ if heard.speaks => self.hear_customer(heard, event.sender_is_bot, now),
            EventKind::AgentMessage if heard.echo => self.forget_echo(event),
            EventKind::AgentMessage => self.hear_human(now),
            EventKind::Takeover | EventKind::AgentJoined => self.bubbles = None,
            EventKind::OrderUnpaid => self.expect_payment(event, now),
            EventKind::OrderPaid | EventKind::OrderShipped | EventKind::OrderRefunded => self.settle_order(event),
            EventKind::Closed => self.close(),
            _ => {}
        }
        self.remember(sent, now);
        self
    }

    /// The step that an event takes by itself, before anything is decided.
    ///
    /// # Errors
    /// [`NotAssigned`] when the step cannot be taken from here.
    pub fn step(&self, event: &InboundEvent) -> Result<Option<Step>, NotAssigned> {
        let agent = || event.agent_id.as_ref().map(ToString::to_string);
        let step = match event.kind {
            EventKind::Message | EventKind::Media => Step::CustomerWrote,
            EventKind::AgentMessage if self.is_echo(event.echo_of.as_deref(), &event.text) => return Ok(None),
            EventKind::AgentMessage => Step::HumanWrote(agent()),
            EventKind::AgentJoined | EventKind::Takeover => Step::TakenOver(agent()),
            EventKind::AgentLeft => Step::HumanLeft { waits: self.waiting_for_human_since.is_some() },
            EventKind::HandBack => Step::HandedBack,
            EventKind::Closed => Step::Closed,
            _ => return Ok(None),
        };
        self.phase.after(step.clone(), Timestamp::UNIX_EPOCH)?;
        Ok(Some(step))
    }

    /// A message that is answered together with those that may follow.
    fn gather(&mut self, event: &InboundEvent, now: Timestamp) {
        self.wait(now);
        if self.bubbles.is_none() {
            self.fired.remove(&TimerKind::Bubbles);
        }
        let bubbles = self.bubbles.get_or_insert_with(|| Bubbles {
            first_at: now,
            last_at: now,
            texts: Vec::new(),
            context: Box::default(),
            reply_to: None,
        });
        bubbles.reply_to.clone_from(&event.reply_to);
        bubbles.last_at = bubbles.last_at.max(now);
        bubbles.texts.push(event.text.clone());
        bubbles.texts.drain(..bubbles.texts.len().saturating_sub(BUBBLES));
        *bubbles.context = event.context.clone();
    }

    fn hear_customer(&mut self, heard: Heard, is_program: bool, now: Timestamp) {
        if heard.afresh {
            self.phase = self.phase.after(Step::MetAfresh, now).unwrap_or_default();
            self.replies_in_a_row = 0;
            self.misses = 0;
            self.last_text.clear();
            self.question.clear();
            self.entries.clear();
            self.scripts.clear();
        }
        if let Some(question) = heard.question {
            self.question = question;
        }
        self.courtesy = heard.courtesy;
        self.misses = if heard.missed { self.misses + 1 } else { 0 };
        self.same_text =
            if !heard.canonical.is_empty() && heard.canonical == self.last_text { self.same_text + 1 } else { 1 };
        self.last_text = heard.canonical;
        self.language = heard.language.or(self.language);
        self.last_customer_at = Some(now);
        // Held by the reply guard, two programs would talk for ever.
        if !is_program {
            self.wait(now);
        }
        self.menu.clear();
        self.bubbles = None;
    }

    fn wait(&mut self, now: Timestamp) {
        // A new wait has a guard of its own, even if a clock that was set back says that it had one already.
        if self.waiting_since.is_none() {
            self.fired.remove(&TimerKind::Guard);
        }
        self.waiting_since.get_or_insert(now);
        self.waiting_for_human_since.get_or_insert(now);
    }

    fn hear_human(&mut self, now: Timestamp) {
        self.last_human_at = Some(now);
        self.waiting_since = None;
        self.waiting_for_human_since = None;
        self.replies_in_a_row = 0;
        self.misses = 0;
        self.told_position = None;
        self.bubbles = None;
        self.menu.clear();
    }

    /// Each reply comes back once: the same words a second time are a human's.
    fn forget_echo(&mut self, event: &InboundEvent) {
        match &event.echo_of {
            Some(id) => self.reply_ids.retain(|known| known != id),
            None => {
                let digest = digest(&event.text);
                if let Some(place) = self.echoes.iter().position(|known| *known == digest) {
                    self.echoes.remove(place);
                }
            }
        }
    }

    fn expect_payment(&mut self, event: &InboundEvent, now: Timestamp) {
        let since = event.context.ordered_at.unwrap_or(now).min(now);
        self.unpaid = Some(UnpaidOrder { since, context: Box::new(event.context.clone()) });
    }

    /// Another order's payment leaves this one waiting; a payment of no order that is named may be any.
    fn settle_order(&mut self, event: &InboundEvent) {
        let paid = event.context.order_id.as_deref();
        let other = |order: &UnpaidOrder| {
            paid.is_some() && order.context.order_id.is_some() && order.context.order_id.as_deref() != paid
        };
        if !self.unpaid.as_ref().is_some_and(other) {
            self.unpaid = None;
        }
    }

    fn close(&mut self) {
        self.replies_in_a_row = 0;
        self.misses = 0;
        self.last_text.clear();
        self.question.clear();
        self.entries.clear();
        // A conversation that is closed twice is not taken leave of twice.
        self.scripts.retain(|sent| sent.kind == ScriptKind::Closing);
        self.waiting_since = None;
        self.waiting_for_human_since = None;
        self.told_position = None;
        self.bubbles = None;
        self.unpaid = None;
        self.menu.clear();
    }

    fn remember(&mut self, sent: &Sent, now: Timestamp) {
        if !sent.texts.is_empty() {
            self.waiting_since = None;
            self.last_reply_at = Some(now);
            self.replies_in_a_row += 1;
            extend(&mut self.echoes, sent.texts.iter().map(|text| digest(text)));
            extend(&mut self.reply_ids, sent.ids.iter().cloned());
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
        if let Some(step) = &sent.step {
            if *step == Step::Closed {
                self.close();
            }
            self.phase = self.phase.after(step.clone(), now).unwrap_or_default();
        }
        self.told_position = match self.phase.queued_since() {
            Some(_) => sent.position.or(self.told_position),
            None => None,
        };
    }
}

/// Appends, and forgets the oldest.
fn extend(known: &mut Vec<String>, fresh: impl Iterator<Item = String>) {
    known.extend(fresh);
    known.drain(..known.len().saturating_sub(ECHOES));
}
