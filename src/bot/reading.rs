//! An event read against one generation: everything that does not depend on the conversation, and the turn that it makes
//! with one.

use std::sync::Arc;

use jiff::{Timestamp, Zoned};

use super::hearing::Ear;
use crate::analysis::Analysis;
use crate::analysis::speech::SpeechAct;
use crate::conversation::desk::{Desk, Handling, Place as QueuePlace};
use crate::conversation::event::{EventKind, InboundEvent};
use crate::conversation::incident::{Contradicted, Incident};
use crate::conversation::model::Conversation;
use crate::conversation::outgoing::{PushKind, Subscriber, is_wanted};
use crate::conversation::store::Before;
use crate::conversation::timer::{Timer, TimerKind};
use crate::faq::scope::Place;
use crate::faq::script::AgentsState;
use crate::faq::{Audience, Entry};
use crate::index::IndexError;
use crate::knowledge::Generation;
use crate::matching::{Candidate, Match, Question, Understood, Verdict};
use crate::reply::policy::{ChannelPolicy, ShopPolicy};
use crate::reply::timers::{first_due, timers};
use crate::reply::turn::{Choosable, Finding, Turn};

/// An event read against one generation: everything that does not depend on the conversation.
pub(super) struct Reading {
    pub event: Arc<InboundEvent>,
    pub policy: Arc<ShopPolicy>,
    pub channel: ChannelPolicy,
    pub subscribers: Arc<[Subscriber]>,
    pub generation: Arc<Generation>,
    pub now: Timestamp,
    /// `now` in the shop's time zone.
    pub local: Zoned,
    pub analysis: Analysis,
    pub acts: Vec<SpeechAct>,
    pub understood: Understood,
}

/// What the reading finds in the store, put in the terms of the decision.
pub(super) struct Scene<'a> {
    pub conversation: &'a Conversation,
    pub understood: Understood,
    pub also: Vec<Choosable>,
    /// The incident to tell, else one in scope that was told.
    pub incident: Option<&'a Incident>,
    /// The incident to tell, as the conversation remembers it.
    pub untold: Option<String>,
    pub agents: AgentsState,
    pub place: Option<QueuePlace>,
    pub audience: Option<Audience>,
    pub timer: Option<Timer>,
}

impl Reading {
    /// Reads an event against one generation.
    pub fn new(
        event: Arc<InboundEvent>,
        (policy, subscribers): (Arc<ShopPolicy>, Arc<[Subscriber]>),
        generation: Arc<Generation>,
        now: Timestamp,
        (analysis, vector): (Analysis, Option<Vec<f32>>),
    ) -> Result<Self, IndexError> {
        let acts = generation.matcher.analyzer().speech_acts(&analysis);
        let (local, channel) = (now.to_zoned(policy.time_zone.clone()), policy.channel(event.channel.as_str()));
        let understood = Understood::default();
        let mut reading =
            Self { event, policy, channel, subscribers, generation, now, local, analysis, acts, understood };
        let question = Question { analysis: &reading.analysis, vector: vector.as_deref() };
        // What asks nothing is for no entry, however well it fits; but an editor may have written it as a phrasing.
        let asks = reading.generation.matcher.is_phrasing(&reading.analysis) || reading.asks();
        reading.understood = if asks { reading.ear().understand(question)? } else { Understood::default() };
        Ok(reading)
    }

    fn asks(&self) -> bool {
        !self.analysis.is_empty() && !self.acts.iter().any(|act| act.asks_nothing())
    }

    fn ear(&self) -> Ear<'_> {
        let context = &self.event.context;
        let place = Place {
            platform: context.platform.clone().or_else(|| self.policy.platform.clone()),
            shop: self.event.shop.to_string(),
            category: context.category.clone(),
            product: context.product.clone(),
        };
        Ear { generation: &self.generation, place, policy: &self.policy, now: self.now }
    }

    /// What the conversation, the incidents and the desk add.
    pub fn scene<'a>(&self, before: &Before<'a>) -> Scene<'a> {
        let platform = self.policy.platform.as_deref();
        let conversation = before.conversation;
        let concerns = |incident: &&Incident| incident.concerns(&self.event, platform, self.now);
        let told = |incident: &&Incident| conversation.incidents.contains(&incident.edition());
        let untold = before.incidents.iter().filter(concerns).find(|incident| !told(incident));
        let incident = untold.or_else(|| before.incidents.iter().find(concerns));
        let understood = self.in_conversation(conversation);
        let also = understood.also.iter().map(|candidate| self.choosable(candidate, incident)).collect();
        let audience = self.audience(conversation, &understood.found);
        Scene {
            conversation,
            also,
            incident,
            untold: untold.map(Incident::edition),
            agents: self.agents(before.desk, audience),
            place: self.place(before.desk, conversation, audience),
            audience,
            timer: self.timer(conversation),
            understood,
        }
    }

    pub fn turn<'a>(&'a self, scene: &'a Scene<'a>) -> Turn<'a> {
        let (event, conversation) = (&*self.event, scene.conversation);
        // Messages that were answered together: the event is the timer's, the turn is the customer's.
        let merged = scene.timer.is_some_and(|timer| timer.kind == TimerKind::Bubbles);
        let kind = if merged { EventKind::Message } else { event.kind };
        Turn {
            now: self.now,
            kind,
            text: &event.text,
            canonical: &self.analysis.text,
            acts: &self.acts,
            sender_is_bot: event.sender_is_bot,
            finding: self.finding(&scene.understood.found, scene.incident),
            also: &scene.also,
            conversation,
            agents: scene.agents,
            incident: scene.untold.as_deref(),
            ordered_at: event.context.ordered_at,
            order_state: event.context.order_state,
            asks: kind == EventKind::Message && self.asks(),
            gathers: event.kind == EventKind::Message && self.channel.debounce().is_positive(),
            timer: scene.timer,
            position: event.context.queue_position.or(scene.place.map(|place| place.position)),
            may_step: conversation.step(event).is_ok(),
            echo: conversation.is_echo(event.echo_of.as_deref(), &event.text),
            policy: &self.policy,
        }
    }

    /// Timers that run in a conversation of this shop and channel.
    pub fn timers(&self, conversation: &Conversation) -> Vec<Timer> {
        let (shop, channel) = (self.event.shop.as_str(), self.event.channel.as_str());
        let speaks = is_wanted(&self.subscribers, PushKind::Reply, shop, Some(channel));
        timers(conversation, &self.policy, &self.channel, speaks)
    }

    /// The timer that fires; none when the facts have changed since it was looked at.
    fn timer(&self, conversation: &Conversation) -> Option<Timer> {
        if self.event.kind != EventKind::Timer {
            return None;
        }
        let timer = first_due(&self.timers(conversation), self.now)?;
        let text = match (&conversation.bubbles, timer.kind) {
            (Some(bubbles), TimerKind::Bubbles) => bubbles.text(),
            _ => String::new(),
        };
        (text == self.event.text).then_some(timer)
    }

    fn agents(&self, desk: &Desk, audience: Option<Audience>) -> AgentsState {
        let on_duty = |agent: &str| self.policy.on_duty(agent, &self.local);
        let present = || desk.state(audience, self.policy.overflow, &on_duty).unwrap_or(self.policy.agents);
        self.policy.agents_at(&self.local, self.event.context.agents.unwrap_or_else(present))
    }

    fn place(&self, desk: &Desk, conversation: &Conversation, audience: Option<Audience>) -> Option<QueuePlace> {
        if desk.seats.is_empty() {
            return None;
        }
        let since = conversation.phase.queued_since().unwrap_or(self.now);
        let on_duty = |agent: &str| self.policy.on_duty(agent, &self.local);
        let handling = Handling { minutes: self.policy.handling_minutes, overflow: self.policy.overflow };
        Some(desk.place(audience, since, handling, &on_duty))
    }

    /// The desk that a message belongs to: what the channel says, else the entry that is likely meant, else as before.
    fn audience(&self, conversation: &Conversation, found: &Match) -> Option<Audience> {
        let likely = found.best().filter(|best| best.confidence >= self.policy.thresholds.menu);
        let meant = likely.and_then(|best| self.entry(best).audience);
        self.event.context.audience.or(meant).or(conversation.audience)
    }

    pub fn entry(&self, candidate: &Candidate) -> &Entry {
        &self.generation.corpus.entries[candidate.entry as usize]
    }

    /// What is asked, with the customer's last question where the message leans on it.
    fn in_conversation(&self, conversation: &Conversation) -> Understood {
        // What was asked before the customer was met afresh is forgotten.
        let first = conversation.is_first(self.now, self.policy.regreet_gap());
        let last = if first || !self.acts.is_empty() { "" } else { conversation.question.as_str() };
        // What the index could not read a moment ago it cannot read now: the message then stands by itself.
        let follow_up = self.ear().follow_up(last, &self.analysis, &self.understood.found);
        follow_up.ok().flatten().unwrap_or_else(|| self.understood.clone())
    }

    fn choosable(&self, candidate: &Candidate, incident: Option<&Incident>) -> Choosable {
        let entry = self.entry(candidate);
        Choosable {
            entry_id: entry.id.to_string(),
            confidence: candidate.confidence,
            agents_only: entry.agents_only,
            contradicted: contradicted(entry, incident),
        }
    }

    fn finding(&self, found: &Match, incident: Option<&Incident>) -> Finding {
        let choosable = |candidate: &Candidate| self.choosable(candidate, incident);
        match (self.policy.thresholds.verdict(found), found.best()) {
            (Verdict::Answer, Some(best)) if best.exact => Finding::Exact(choosable(best)),
            (Verdict::Answer, Some(best)) => Finding::Confident(choosable(best)),
            (Verdict::Menu(size), _) => Finding::Near(found.candidates.iter().take(size).map(choosable).collect()),
            _ => Finding::Nothing,
        }
    }
}

fn contradicted(entry: &Entry, incident: Option<&Incident>) -> Option<Contradicted> {
    incident.filter(|incident| incident.contradicts(&entry.topic)).map(|incident| incident.contradicted)
}
