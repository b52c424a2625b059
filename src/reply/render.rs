//! From a choice to words: scripts picked, placeholders filled, the customer's language met. Never sends a gap.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::choice::{Choice, Part};
use super::menu;
use super::policy::ReplyScript;
pub use super::situation::Situation;
use crate::analysis::language::Language;
use crate::faq::answer::Wording;
use crate::faq::order::OrderState;
use crate::faq::script::{Script, ScriptKind};
use crate::faq::template::render;
use crate::faq::{Corpus, Entry};

/// One message to the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Plain text.
    pub text: String,
    /// Language it was worded in.
    pub language: Language,
}

/// A choice in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// None when nothing is to be sent, or when nothing could be worded.
    pub reply: Option<Reply>,
    /// Entry answered with.
    pub entry_id: Option<String>,
    /// Scripts used, in order.
    pub scripts: Vec<(String, ScriptKind)>,
    /// Entries offered.
    pub menu: Vec<String>,
    /// What the menu's lines say, in its order.
    pub options: Vec<String>,
}

/// What words are made from.
pub struct Wordings<'a> {
    /// Entries and scripts.
    pub corpus: &'a Corpus,
    /// Finds an entry.
    pub entry: &'a dyn Fn(&str) -> Option<&'a Entry>,
    /// Picks scripts.
    pub situation: Situation<'a>,
    /// Language of the customer.
    pub language: Language,
    /// Values of placeholders.
    pub facts: BTreeMap<String, String>,
    /// State of the customer's order, if it is known.
    pub order: Option<OrderState>,
    /// Chooses among wordings; the same for the whole conversation.
    pub seed: u64,
    /// Whether Chinese is converted to the customer's script.
    pub reply_script: ReplyScript,
    /// Converts Simplified to Traditional.
    pub traditionalise: &'a dyn Fn(&str) -> String,
}

impl Wordings<'_> {
    /// Words a choice. All parts make one message; a greeting's lead that cannot be worded is left out, any other part
    /// that cannot be worded leaves the customer without a reply, which the decision then shows.
    #[must_use]
    pub fn render(&self, choice: &Choice) -> Rendered {
        let mut rendered = Rendered::default();
        let mut texts = Vec::new();
        let mut language = self.language;
        for part in choice.parts.iter().filter(|part| **part != Part::Lead) {
            let Some((in_language, text)) = self.part(part, &mut rendered) else { return Rendered::default() };
            language = in_language;
            texts.push(text);
        }
        // The lead speaks the language of what follows it, which may be the shop's rather than the customer's.
        if choice.parts.contains(&Part::Lead)
            && let Some((_, lead)) = self.script(ScriptKind::Greeting, Form::Lead, language, &self.facts, &mut rendered)
        {
            texts.insert(0, lead);
        }
        if !texts.is_empty() {
            rendered.reply = Some(self.reply(texts.join("\n"), language));
        }
        rendered
    }

    fn reply(&self, text: String, language: Language) -> Reply {
        let convert = self.reply_script == ReplyScript::Customer
            && self.language == Language::ZhHant
            && language == Language::ZhHans;
        if convert {
            Reply { text: (self.traditionalise)(&text), language: Language::ZhHant }
        } else {
            Reply { text, language }
        }
    }

    fn part(&self, part: &Part, rendered: &mut Rendered) -> Option<(Language, String)> {
        match part {
            Part::Script(kind) => self.script(*kind, Form::Whole, self.language, &self.facts, rendered),
            Part::Lead => None,
            Part::Entry(id) => self.entry(id, rendered),
            Part::Brief(id) => self.entry(id, rendered).map(|(language, text)| (language, first_sentence(&text))),
            Part::Menu(ids) => self.menu(ids, ScriptKind::Clarify, rendered),
            Part::Also(ids) => self.menu(ids, ScriptKind::Also, rendered),
        }
    }

    fn entry(&self, id: &str, rendered: &mut Rendered) -> Option<(Language, String)> {
        let entry = (self.entry)(id)?;
        let filled = |answer: &Wording| {
            let (language, text) = answer.get(self.language)?;
            Some((language, render(text, &self.facts).ok()?))
        };
        // The channel may know the order's state and still not its tracking number.
        let worded = filled(entry.answer_for(self.order)).or_else(|| filled(&entry.answer))?;
        rendered.entry_id = Some(id.to_owned());
        Some(worded)
    }

    fn menu(&self, ids: &[String], kind: ScriptKind, rendered: &mut Rendered) -> Option<(Language, String)> {
        let entries: Vec<&Entry> = ids.iter().filter_map(|id| (self.entry)(id)).collect();
        if entries.is_empty() {
            return None;
        }
        rendered.options = entries.iter().map(|entry| self.question(entry)).collect();
        let lines = menu::lines(rendered.options.iter());
        let mut facts = self.facts.clone();
        facts.insert("menu".to_owned(), lines.clone());
        let worded =
            self.script(kind, Form::Whole, self.language, &facts, rendered).unwrap_or((Language::ZhHans, lines));
        rendered.menu = entries.iter().map(|entry| entry.id.to_string()).collect();
        Some(worded)
    }

    /// The entry's question as this customer would read it.
    fn question(&self, entry: &Entry) -> String {
        let question = entry.question();
        match self.language {
            Language::ZhHans => question.to_owned(),
            Language::ZhHant => (self.traditionalise)(question),
            Language::En => {
                let english = entry.phrasings.iter().find(|phrasing| phrasing.is_ascii());
                english.map_or(question, String::as_str).to_owned()
            }
        }
    }

    fn script(
        &self,
        kind: ScriptKind,
        form: Form,
        language: Language,
        facts: &BTreeMap<String, String>,
        rendered: &mut Rendered,
    ) -> Option<(Language, String)> {
        let script = self.situation.pick(&self.corpus.scripts, kind)?;
        let worded = self.wording(script, form, language, facts)?;
        rendered.scripts.push((script.id.to_string(), kind));
        Some(worded)
    }

    /// The conversation's wording if it can be filled, else the next that can, else the fallback.
    fn wording(
        &self,
        script: &Script,
        form: Form,
        language: Language,
        facts: &BTreeMap<String, String>,
    ) -> Option<(Language, String)> {
        let lists = if form == Form::Lead { &script.leads } else { &script.wordings };
        let known = lists.get_key_value(&language).or_else(|| lists.first_key_value());
        let filled = known.and_then(|(language, list)| {
            let start = usize::try_from(self.seed % (list.len().max(1) as u64)).unwrap_or(0);
            let mut turned = list.iter().cycle().skip(start).take(list.len());
            turned.find_map(|text| render(text, facts).ok()).map(|text| (*language, text))
        });
        let fallback = || {
            let text = script.fallback.as_ref().filter(|_| form == Form::Whole)?;
            render(text, facts).ok().map(|text| (Language::ZhHans, text))
        };
        filled.or_else(fallback)
    }
}

/// Which wordings of a script.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A message of its own.
    Whole,
    /// What stands before an answer.
    Lead,
}

/// Up to the first full stop; the whole text when there is none.
fn first_sentence(text: &str) -> String {
    let end = text
        .char_indices()
        .find(|(at, c)| matches!(c, '。' | '！' | '？') || (*c == '.' && text[at + 1..].starts_with(' ')));
    end.map_or_else(|| text.to_owned(), |(at, c)| text[..at + c.len_utf8()].to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::faq::scope::{Scope, Validity};
    use crate::faq::script::{AgentsState, CustomerKind, Profile};

    fn chinese(text: &str) -> Wording {
        Wording::new(BTreeMap::from([(Language::ZhHans, text.to_owned())]))
    }

    fn entry() -> Entry {
        let shipped = chinese("已由{{ carrier | default(\"快递\") }}发出，单号{{ tracking_no }}。");
        Entry {
            id: "urge".into(),
            topic: "dispatch".into(),
            phrasings: vec!["怎么还没发货".to_owned()],
            answer: chinese("付款后两天内发出。"),
            states: Arc::new(BTreeMap::from([
                (OrderState::Shipped, shipped),
                (OrderState::Unpaid, chinese("还没付款，付款后才发。")),
            ])),
            audience: None,
            related: Vec::new(),
            agents_only: false,
            scope: Arc::new(Scope::default()),
            validity: Validity::default(),
        }
    }

    /// What the entry says to a customer whose order is in a state, with these facts known.
    fn said(order: Option<OrderState>, facts: &[(&str, &str)]) -> Option<String> {
        let entry = entry();
        let now = date(2026, 11, 22).to_zoned(TimeZone::UTC).unwrap();
        let words = Wordings {
            corpus: &Corpus::default(),
            entry: &|id| (id == "urge").then_some(&entry),
            situation: Situation {
                shop: "s",
                channel: "c",
                now: &now,
                profile: Profile::Everyday,
                agents: AgentsState::Free,
                customer: CustomerKind::New,
                event: None,
                tier: None,
            },
            language: Language::ZhHans,
            facts: facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            order,
            seed: 0,
            reply_script: ReplyScript::AsWritten,
            traditionalise: &str::to_owned,
        };
        let mut rendered = Rendered::default();
        let worded = words.entry("urge", &mut rendered)?;
        assert_eq!(rendered.entry_id.as_deref(), Some("urge"));
        Some(worded.1)
    }

    #[test]
    fn the_state_of_the_order_chooses_the_answer() {
        assert_eq!(said(Some(OrderState::Unpaid), &[]).as_deref(), Some("还没付款，付款后才发。"));
        assert_eq!(
            said(Some(OrderState::Shipped), &[("tracking_no", "YT1")]).as_deref(),
            Some("已由快递发出，单号YT1。")
        );
    }

    #[test]
    fn the_general_answer_stands_in_where_the_state_is_unknown_or_changes_nothing() {
        for order in [None, Some(OrderState::Paid), Some(OrderState::Closed)] {
            assert_eq!(said(order, &[("tracking_no", "YT1")]).as_deref(), Some("付款后两天内发出。"), "{order:?}");
        }
    }

    #[test]
    fn a_state_answer_that_lacks_a_value_falls_back_to_the_general_one() {
        let known = [("carrier", "中通")];
        assert_eq!(said(Some(OrderState::Shipped), &known).as_deref(), Some("付款后两天内发出。"));
    }
}
