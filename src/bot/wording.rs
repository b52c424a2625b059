//! From a choice to the words for this customer: language, placeholders, scripts.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

use super::reading::{Reading, Scene};
use crate::analysis::language::Language;
use crate::analysis::speech::SpeechAct;
use crate::conversation::event::{Context, InboundEvent};
use crate::conversation::incident::Incident;
use crate::conversation::model::Conversation;
use crate::faq::Entry;
use crate::faq::script::CustomerKind;
use crate::hours::describe_opening;
use crate::knowledge::Generation;
use crate::reply::Choice;
use crate::reply::policy::ShopPolicy;
use crate::reply::render::{Rendered, Situation, Wordings};

/// Longest value of a placeholder that a channel may give, in characters.
const FACT_CHARS: usize = 64;

impl Reading {
    /// The choice in words.
    pub fn words(&self, choice: &Choice, scene: &Scene<'_>) -> Rendered {
        let context = &self.event.context;
        let known = if scene.conversation.returning { CustomerKind::Returning } else { CustomerKind::New };
        let language = self.language(scene.conversation).unwrap_or(Language::ZhHans);
        let analyzer = self.generation.matcher.analyzer();
        Wordings {
            corpus: &self.generation.corpus,
            entry: &|id| self.generation.entry(id).filter(|entry| self.may_send(entry)),
            order: context.order_state,
            situation: Situation {
                shop: self.event.shop.as_str(),
                channel: self.event.channel.as_str(),
                now: &self.local,
                profile: self.policy.profile(self.local.date()),
                agents: scene.agents,
                customer: context.customer.unwrap_or(known),
                tier: context.tier.as_deref(),
                event: choice.event,
            },
            language,
            facts: self.facts(language, scene),
            seed: seed(&self.event),
            reply_script: self.policy.reply_script,
            traditionalise: &|text| analyzer.traditionalise(text),
        }
        .render(choice)
    }

    /// The customer's language; characters that both scripts share (二, 人工) do not turn a Traditional writer Simplified.
    pub fn language(&self, conversation: &Conversation) -> Option<Language> {
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

    fn facts(&self, language: Language, scene: &Scene<'_>) -> BTreeMap<String, String> {
        let mut facts = variables(&self.generation, &self.policy);
        facts.extend(context_facts(&self.event.context));
        if let Some(place) = scene.place {
            facts.entry("queue_position".to_owned()).or_insert_with(|| place.position.to_string());
            facts.entry("wait_minutes".to_owned()).or_insert_with(|| place.minutes.to_string());
        }
        if let Some(opening) = self.policy.hours.next_opening(&self.local) {
            facts.insert("next_opening".to_owned(), describe_opening(&self.local, &opening, language));
        }
        if let Some(incident) = scene.incident {
            facts.extend(self.incident_facts(incident, language));
        }
        facts
    }

    fn incident_facts(&self, incident: &Incident, language: Language) -> Vec<(String, String)> {
        let mut facts =
            vec![("cause".to_owned(), incident.cause.clone()), ("effect".to_owned(), incident.effect.clone())];
        // One that has passed was wrong: nothing is said of it.
        if let Some(end) = incident.expected_end.filter(|end| *end > self.now) {
            let end = end.to_zoned(self.policy.time_zone.clone());
            facts.push(("expected_end".to_owned(), describe_opening(&self.local, &end, language)));
        }
        facts
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
        ("tier", &context.tier),
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
