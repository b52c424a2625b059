//! What follows from an event: decided, worded, and put together for the store. A pure function of what the store gives.

use jiff::{SignedDuration, Timestamp};

use super::decision::{Considered, Deadlines, Decision, OutgoingReply};
use super::pushes::{messages, pushes};
use super::reading::{Reading, Scene};
use crate::conversation::clock::{Replied, rounds};
use crate::conversation::event::EventKind;
use crate::conversation::model::Conversation;
use crate::conversation::outgoing::stable_id;
use crate::conversation::store::{Before, Outcome, StoredDecision};
use crate::conversation::transition::{Heard, Sent};
use crate::matching::Candidate;
use crate::reply::policy::Delivery;
use crate::reply::render::Rendered;
use crate::reply::turn::{Finding, Turn};
use crate::reply::{Action, Choice, Rule, decide};

impl Reading {
    /// Decides, words and puts together; called inside the store's transaction, again when that is tried again.
    pub fn outcome(&self, before: &Before<'_>) -> Outcome {
        let scene = self.scene(before);
        let turn = self.turn(&scene);
        let mut choice = decide(&turn);
        let mut rendered = self.words(&choice, &scene);
        if choice.action == Action::Answer && rendered.reply.is_none() {
            choice = choice.without_words();
            rendered = self.words(&choice, &scene);
        }
        let replies = self.replies(&rendered);
        let sent = self.sent(&choice, &rendered, &replies, &scene, turn.asks);
        let heard = self.heard(&choice, &rendered, &scene, &turn);
        let missed = heard.missed;
        let after = before.conversation.clone().after(&self.event, heard, &sent, self.now);
        let replied = self.replied(&replies, turn.echo);
        let rounds = rounds(before.conversation, &after, replied, self.now);
        let decision = self.decision(&choice, rendered, replies, &scene, &after);
        let outgoing = pushes(self, &choice, &decision, missed);
        Outcome {
            due_at: self.timers(&after).into_iter().map(|timer| timer.due).min(),
            decision: StoredDecision(serde_json::to_value(&decision).unwrap_or_default()),
            conversation: after,
            outgoing,
            rounds,
        }
    }

    fn replies(&self, rendered: &Rendered) -> Vec<OutgoingReply> {
        let event = &self.event;
        let parts = [event.channel.as_str(), event.shop.as_str(), event.message_id.as_str()];
        let reply = rendered.reply.iter().map(|reply| OutgoingReply {
            id: stable_id("reply_", &parts),
            text: reply.text.clone(),
            language: reply.language,
        });
        reply.collect()
    }

    fn heard(&self, choice: &Choice, rendered: &Rendered, scene: &Scene<'_>, turn: &Turn<'_>) -> Heard {
        let waits = choice.rule == Rule::Gathering;
        let unanswered = matches!(
            choice.rule,
            Rule::FirstMessage | Rule::Queued | Rule::AgentsBusy | Rule::OutsideHours | Rule::Missed
        );
        Heard {
            canonical: self.analysis.text.clone(),
            language: self.language(scene.conversation),
            afresh: turn.is_first(),
            question: self.question(choice, rendered, scene),
            courtesy: matches!(choice.rule, Rule::SmallTalk | Rule::Farewell | Rule::Advertisement),
            missed: turn.asks && unanswered && turn.finding == Finding::Nothing,
            speaks: turn.kind.is_customers() && !waits,
            waits,
            timer: scene.timer,
            audience: scene.audience,
            echo: turn.echo,
        }
    }

    /// What the customer's question was, once an entry has answered it: a later message may lean on it.
    fn question(&self, choice: &Choice, rendered: &Rendered, scene: &Scene<'_>) -> Option<String> {
        let entry = self.generation.entry(rendered.entry_id.as_deref()?)?;
        Some(match &scene.understood.instead {
            _ if choice.rule == Rule::MenuChoice => self.generation.matcher.analyzer().analyse(entry.question()).text,
            Some(instead) => instead.text.clone(),
            None => self.analysis.text.clone(),
        })
    }

    /// What went out, for the conversation to remember.
    fn sent(
        &self,
        choice: &Choice,
        rendered: &Rendered,
        replies: &[OutgoingReply],
        scene: &Scene<'_>,
        asks: bool,
    ) -> Sent {
        let tells = choice.action == Action::Incident;
        let waits = choice.action == Action::Wait && !replies.is_empty();
        let place = self.event.context.queue_position.or(scene.place.map(|place| place.position));
        Sent {
            texts: replies.iter().flat_map(|reply| messages(self, &reply.text)).collect(),
            ids: replies.iter().map(|reply| reply.id.clone()).collect(),
            entry_id: rendered.entry_id.clone(),
            scripts: rendered.scripts.iter().map(|(_, kind)| *kind).collect(),
            menu: rendered.menu.clone(),
            incident: scene.untold.clone().filter(|_| tells),
            position: place.filter(|_| waits),
            step: choice.step(asks, scene.conversation.waiting_for_human_since.is_some()),
        }
    }

    fn replied(&self, replies: &[OutgoingReply], echo: bool) -> Replied {
        let human = self.event.kind == EventKind::AgentMessage && !echo;
        Replied { asked: self.event.kind.is_customers(), any: human || !replies.is_empty(), human }
    }

    fn decision(
        &self,
        choice: &Choice,
        rendered: Rendered,
        replies: Vec<OutgoingReply>,
        scene: &Scene<'_>,
        after: &Conversation,
    ) -> Decision {
        let limit = SignedDuration::from_mins(i64::from(self.policy.reply_minutes));
        let deadline = |since: Option<Timestamp>| since.and_then(|since| since.checked_add(limit).ok());
        let script = rendered.scripts.first().map(|(id, _)| id.clone());
        let pushed = self.event.kind == EventKind::Timer || self.channel.replies == Delivery::Push;
        Decision {
            action: choice.action,
            counts_as: (!replies.is_empty()).then(|| "any_reply".to_owned()),
            replies,
            entry_version: rendered.entry_id.as_deref().and_then(|id| self.generation.entry_version(id)),
            entry_id: rendered.entry_id,
            script_version: script.as_deref().and_then(|id| self.generation.script_version(id)),
            script_id: script,
            confidence: choice.confidence,
            reason: choice.rule,
            candidates: scene.understood.found.candidates.iter().map(|found| self.considered(found)).collect(),
            menu: rendered.menu,
            options: rendered.options,
            delivery: if pushed { Delivery::Push } else { Delivery::Response },
            phase: after.phase.name().to_owned(),
            deadlines: Deadlines {
                any_reply: deadline(after.waiting_since),
                human_reply: deadline(after.waiting_for_human_since),
            },
            generation: self.generation.fingerprint.clone(),
        }
    }

    fn considered(&self, candidate: &Candidate) -> Considered {
        let entry = self.entry(candidate);
        Considered {
            entry_id: entry.id.to_string(),
            question: entry.question().to_owned(),
            confidence: candidate.confidence,
        }
    }
}
