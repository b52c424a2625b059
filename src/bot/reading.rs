//! An event read against one generation, and the outcome that follows from its conversation.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use jiff::{SignedDuration, Timestamp, Zoned};
use rustc_hash::FxBuildHasher;

use super::decision::{Considered, Deadlines, Decision, OutgoingReply};
use super::hearing::Ear;
use crate::analysis::Analysis;
use crate::analysis::language::Language;
use crate::analysis::speech::SpeechAct;
use crate::conversation::event::{Context, InboundEvent};
use crate::conversation::incident::Incident;
use crate::conversation::model::Conversation;
use crate::conversation::store::{Outcome, StoredDecision};
use crate::conversation::transition::{Heard, Sent};
use crate::faq::Entry;
use crate::faq::scope::Place;
use crate::faq::script::{AgentsState, CustomerKind};
use crate::hours::describe_opening;
use crate::index::IndexError;
use crate::knowledge::Generation;
use crate::matching::{Candidate, Match, Question, Understood, Verdict};
use crate::reply::policy::ShopPolicy;
use crate::reply::render::{Rendered, Situation, Wordings};
use crate::reply::turn::{Choosable, Finding, Turn};
use crate::reply::{Action, Choice, Rule, decide};

/// Longest value of a placeholder that a channel may give, in characters.
const FACT_CHARS: usize = 64;

/// An event read against one generation: everything that does not depend on the conversation.
pub(super) struct Reading<'a> {
    event: &'a InboundEvent,
    policy: &'a ShopPolicy,
    generation: &'a Generation,
    now: Timestamp,
    /// `now` in the shop's time zone.
    local: Zoned,
    analysis: Analysis,
    acts: Vec<SpeechAct>,
    ear: Ear<'a>,
    understood: Understood,
}

impl<'a> Reading<'a> {
    pub fn new(
        event: &'a InboundEvent,
        policy: &'a ShopPolicy,
        generation: &'a Generation,
        now: Timestamp,
        (analysis, vector): (Analysis, Option<Vec<f32>>),
    ) -> Result<Self, IndexError> {
        let place = Place {
            platform: event.context.platform.clone().or_else(|| policy.platform.clone()),
            shop: event.shop.to_string(),
            category: event.context.category.clone(),
            product: event.context.product.clone(),
        };
        let ear = Ear { generation, place, policy, now };
        let acts = generation.matcher.analyzer().speech_acts(&analysis);
        let question = Question { analysis: &analysis, vector: vector.as_deref() };
        // What asks nothing is for no entry, however well it fits; but an editor may have written it as a phrasing.
        let asks = generation.matcher.is_phrasing(&analysis) || !acts.iter().any(|act| act.asks_nothing());
        let understood = if asks { ear.understand(question)? } else { Understood::default() };
        let local = now.to_zoned(policy.time_zone.clone());
        Ok(Self { event, policy, generation, now, local, analysis, acts, ear, understood })
    }

    /// Decides, words and records; called inside the store's transaction.
    pub fn outcome(&self, conversation: &Conversation, incidents: &[Incident]) -> Outcome {
        let platform = self.policy.platform.as_deref();
        let incident = incidents
            .iter()
            .filter(|incident| !conversation.incidents.contains(&incident.id))
            .find(|incident| incident.concerns(self.event, platform, self.now));
        let agents = self.agents();
        let understood = self.in_conversation(conversation);
        let also: Vec<Choosable> = understood.also.iter().map(|candidate| self.choosable(candidate)).collect();
        let turn = Turn {
            now: self.now,
            kind: self.event.kind,
            text: &self.event.text,
            canonical: &self.analysis.text,
            acts: &self.acts,
            sender_is_bot: self.event.sender_is_bot,
            finding: self.finding(&understood.found),
            also: &also,
            conversation,
            agents,
            incident: incident.map(|incident| incident.id.as_str()),
            ordered_at: self.event.context.ordered_at,
            policy: self.policy,
        };
        let mut choice = decide(&turn);
        let mut rendered = self.words(&choice, conversation, agents, incident);
        if choice.action == Action::Answer && rendered.reply.is_none() {
            choice = choice.without_words();
            rendered = self.words(&choice, conversation, agents, incident);
        }
        let sent = sent(&choice, &rendered, incident);
        let heard = Heard {
            canonical: self.analysis.text.clone(),
            language: self.language(conversation),
            afresh: turn.is_first(),
            question: self.question(&choice, &rendered, &understood),
        };
        let after = conversation.clone().after(self.event, heard, &sent, self.now);
        let decision = self.decision(&choice, rendered, &understood.found, &after);
        let decision = serde_json::to_value(&decision).unwrap_or_default();
        Outcome { conversation: after, decision: StoredDecision(decision) }
    }

    /// Outside opening hours nobody is there, whatever the channel says.
    fn agents(&self) -> AgentsState {
        if self.policy.hours.is_open(&self.local) {
            self.event.context.agents.unwrap_or(self.policy.agents)
        } else {
            AgentsState::OffHours
        }
    }

    /// What is asked, with the customer's last question where the message leans on it.
    fn in_conversation(&self, conversation: &Conversation) -> Understood {
        // What was asked before the customer was met afresh is forgotten.
        let first = conversation.is_first(self.now, self.policy.regreet_gap());
        let last = if first || !self.acts.is_empty() { "" } else { conversation.question.as_str() };
        // What the index could not read a moment ago it cannot read now: the message then stands by itself.
        let follow_up = self.ear.follow_up(last, &self.analysis, &self.understood.found);
        follow_up.ok().flatten().unwrap_or_else(|| self.understood.clone())
    }

    /// What the customer's question was, once an entry has answered it: a later message may lean on it.
    fn question(&self, choice: &Choice, rendered: &Rendered, understood: &Understood) -> Option<String> {
        let entry = self.generation.entry(rendered.entry_id.as_deref()?)?;
        Some(match &understood.instead {
            _ if choice.rule == Rule::MenuChoice => self.generation.matcher.analyzer().analyse(entry.question()).text,
            Some(instead) => instead.text.clone(),
            None => self.analysis.text.clone(),
        })
    }

    fn choosable(&self, candidate: &Candidate) -> Choosable {
        let entry = &self.generation.corpus.entries[candidate.entry as usize];
        Choosable { entry_id: entry.id.to_string(), confidence: candidate.confidence, agents_only: entry.agents_only }
    }

    fn finding(&self, found: &Match) -> Finding {
        let choosable = |candidate: &Candidate| self.choosable(candidate);
        match (self.policy.thresholds.verdict(found), found.best()) {
            (Verdict::Answer, Some(best)) if best.exact => Finding::Exact(choosable(best)),
            (Verdict::Answer, Some(best)) => Finding::Confident(choosable(best)),
            (Verdict::Menu(size), _) => Finding::Near(found.candidates.iter().take(size).map(choosable).collect()),
            _ => Finding::Nothing,
        }
    }

    fn words(
        &self,
        choice: &Choice,
        conversation: &Conversation,
        agents: AgentsState,
        incident: Option<&Incident>,
    ) -> Rendered {
        let context = &self.event.context;
        let known = if conversation.returning { CustomerKind::Returning } else { CustomerKind::New };
        let language = self.language(conversation).unwrap_or(Language::ZhHans);
        let analyzer = self.generation.matcher.analyzer();
        Wordings {
            corpus: &self.generation.corpus,
            entry: &|id| self.generation.entry(id).filter(|entry| self.may_send(entry)),
            situation: Situation {
                shop: self.event.shop.as_str(),
                channel: self.event.channel.as_str(),
                now: &self.local,
                profile: self.policy.profile(self.local.date()),
                agents,
                customer: context.customer.unwrap_or(known),
                event: choice.event,
                tier: None,
            },
            language,
            facts: self.facts(language, incident),
            order: None,
            seed: seed(self.event),
            reply_script: self.policy.reply_script,
            traditionalise: &|text| analyzer.traditionalise(text),
        }
        .render(choice)
    }

    /// The customer's language; characters that both scripts share (二, 人工) do not turn a Traditional writer Simplified.
    fn language(&self, conversation: &Conversation) -> Option<Language> {
        let text = self.event.text.as_str();
        let said = self.analysis.language.filter(|_| !self.acts.contains(&SpeechAct::Number));
        match (said, conversation.language) {
            (Some(Language::ZhHans), Some(Language::ZhHant))
                if self.generation.matcher.analyzer().traditionalise(text) == text =>
            {
                Some(Language::ZhHant)
            }
            (said, before) => said.or(before),
        }
    }

    /// The last gate: a menu may be older than the knowledge.
    fn may_send(&self, entry: &Entry) -> bool {
        !entry.agents_only && entry.validity.contains(self.local.date())
    }

    fn facts(&self, language: Language, incident: Option<&Incident>) -> BTreeMap<String, String> {
        let mut facts = variables(self.generation, self.policy);
        facts.extend(context_facts(&self.event.context));
        if let Some(opening) = self.policy.hours.next_opening(&self.local) {
            facts.insert("next_opening".to_owned(), describe_opening(&self.local, &opening, language));
        }
        if let Some(incident) = incident {
            facts.insert("cause".to_owned(), incident.cause.clone());
            facts.insert("effect".to_owned(), incident.effect.clone());
        }
        facts
    }

    fn decision(&self, choice: &Choice, rendered: Rendered, found: &Match, after: &Conversation) -> Decision {
        let limit = SignedDuration::from_mins(i64::from(self.policy.reply_minutes));
        let deadline = |since: Option<Timestamp>| since.and_then(|since| since.checked_add(limit).ok());
        Decision {
            action: choice.action,
            counts_as: rendered.reply.as_ref().map(|_| "any_reply".to_owned()),
            replies: rendered.reply.into_iter().map(OutgoingReply::from).collect(),
            entry_id: rendered.entry_id,
            script_id: rendered.scripts.first().map(|(id, _)| id.clone()),
            confidence: choice.confidence,
            reason: choice.rule,
            candidates: found.candidates.iter().map(|candidate| self.considered(candidate)).collect(),
            menu: rendered.menu,
            deadlines: Deadlines {
                any_reply: deadline(after.waiting_since),
                human_reply: deadline(after.waiting_for_human_since),
            },
            generation: self.generation.fingerprint.clone(),
        }
    }

    fn considered(&self, candidate: &Candidate) -> Considered {
        let entry: &Entry = &self.generation.corpus.entries[candidate.entry as usize];
        Considered {
            entry_id: entry.id.to_string(),
            question: entry.question().to_owned(),
            confidence: candidate.confidence,
        }
    }
}

/// What went out, for the conversation to remember.
fn sent(choice: &Choice, rendered: &Rendered, incident: Option<&Incident>) -> Sent {
    Sent {
        texts: rendered.reply.iter().map(|reply| reply.text.clone()).collect(),
        entry_id: rendered.entry_id.clone(),
        scripts: rendered.scripts.iter().map(|(_, kind)| *kind).collect(),
        menu: rendered.menu.clone(),
        incident: incident.filter(|_| choice.action == Action::Incident).map(|incident| incident.id.clone()),
        hands_over: choice.hands_over,
    }
}

/// Whether a value could be read as markup or lead the customer away: then the fallback wording is better.
fn is_suspect(text: &str) -> bool {
    let invisible = |c: char| matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}');
    text.contains(['{', '}', '<', '>']) || text.contains("://") || text.chars().any(invisible)
}

/// Values that a channel gives; control characters are taken out, long values cut, suspect ones left out.
fn context_facts(context: &Context) -> impl Iterator<Item = (String, String)> + '_ {
    let numbers = [("queue_position", context.queue_position), ("wait_minutes", context.wait_minutes)];
    let texts = [
        ("customer_name", &context.customer_name),
        ("order_id", &context.order_id),
        ("tracking_no", &context.tracking_no),
        ("carrier", &context.carrier),
        ("ship_time", &context.ship_time),
    ];
    let clean =
        |text: &String| text.chars().filter(|c| !c.is_control()).take(FACT_CHARS).collect::<String>().trim().to_owned();
    let numbers = numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_string())));
    let texts = texts.into_iter().filter_map(move |(name, value)| Some((name.to_owned(), clean(value.as_ref()?))));
    numbers.chain(texts.filter(|(_, value)| !value.is_empty() && !is_suspect(value)))
}

/// The same for every event of a conversation, on every machine.
fn seed(event: &InboundEvent) -> u64 {
    FxBuildHasher.hash_one((event.shop.as_str(), event.channel.as_str(), event.conversation_id.as_str()))
}

pub(super) fn variables(generation: &Generation, policy: &ShopPolicy) -> BTreeMap<String, String> {
    let mut facts = generation.corpus.variables.clone();
    facts.extend(policy.variables.clone());
    facts
}
