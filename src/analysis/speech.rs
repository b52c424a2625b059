//! Speech acts: what a message does (greets, thanks, complains, asks for a human) apart from what it asks.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

/// What a message does apart from asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeechAct {
    /// 你好, 在吗.
    Greeting,
    /// 谢谢.
    Thanks,
    /// 再见.
    Farewell,
    /// 好的, 知道了.
    Acknowledge,
    /// 转人工.
    AskHuman,
    /// 我要投诉.
    Complaint,
    /// 气死我了.
    Anger,
    /// Danger, injury, press or court: a human must see it now.
    Risk,
    /// 加群, 刷单.
    Advertisement,
    /// An order, parcel or phone number alone, or with a word that says what it is: it asks nothing by itself.
    Number,
}

impl SpeechAct {
    /// Whether a message that does this asks nothing: it is a courtesy as a whole, or a number.
    #[must_use]
    pub const fn asks_nothing(self) -> bool {
        self.is_courtesy() || matches!(self, Self::Number)
    }

    /// Whether it is said out of politeness.
    const fn is_courtesy(self) -> bool {
        matches!(self, Self::Greeting | Self::Thanks | Self::Farewell | Self::Acknowledge)
    }

    /// Name as editors write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Thanks => "thanks",
            Self::Farewell => "farewell",
            Self::Acknowledge => "acknowledge",
            Self::AskHuman => "ask_human",
            Self::Complaint => "complaint",
            Self::Anger => "anger",
            Self::Risk => "risk",
            Self::Advertisement => "advertisement",
            Self::Number => "number",
        }
    }
}

/// How a phrase must stand in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhraseMode {
    /// The message, without fillers and punctuation, is the phrase.
    Whole,
    /// The phrase stands anywhere in the message.
    #[default]
    Contains,
}

/// Phrases of one speech act, in canonical text.
#[derive(Debug, Clone)]
pub struct ActPhrases {
    /// What they do.
    pub act: SpeechAct,
    /// How they must stand.
    pub mode: PhraseMode,
    /// Canonical texts without boundaries (see [`super::Analyzer::key`]).
    pub phrases: Vec<String>,
}

/// Recognises speech acts in canonical text.
#[derive(Debug, Clone, Default)]
pub struct SpeechLexicon {
    whole: FxHashMap<String, SpeechAct>,
    contains: Option<AhoCorasick>,
    acts: Vec<SpeechAct>,
    /// What may stand beside a number that is sent alone: 订单号, 我的手机是.
    labels: Vec<String>,
}

impl SpeechLexicon {
    /// Joins the phrases of all acts; where two acts share a phrase, the first keeps it.
    #[must_use]
    pub fn new(lists: &[ActPhrases]) -> Self {
        let mut whole = FxHashMap::default();
        let mut sources = Vec::new();
        let mut acts = Vec::new();
        let mut labels: Vec<String> = Vec::new();
        for list in lists {
            for phrase in list.phrases.iter().filter(|phrase| !phrase.is_empty()) {
                match list.mode {
                    _ if list.act == SpeechAct::Number => labels.push(phrase.clone()),
                    PhraseMode::Whole => {
                        whole.entry(phrase.clone()).or_insert(list.act);
                    }
                    PhraseMode::Contains => {
                        sources.push(phrase.clone());
                        acts.push(list.act);
                    }
                }
            }
        }
        let contains = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&sources).ok();
        labels.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        Self { whole, contains, acts, labels }
    }

    /// Acts of a message, each once. `core` is the message's key without fillers, `full` its key with them.
    #[must_use]
    pub fn acts(&self, full: &str, core: &str) -> Vec<SpeechAct> {
        let mut found = FxHashSet::default();
        found.extend(self.whole.get(core));
        found.extend(self.whole.get(full));
        if let Some(matcher) = &self.contains {
            found.extend(matcher.find_overlapping_iter(full).map(|hit| self.acts[hit.pattern()]));
        }
        if self.is_number(full) {
            found.insert(SpeechAct::Number);
        }
        found.extend(self.courtesies(core));
        let mut acts: Vec<_> = found.into_iter().collect();
        acts.sort_unstable();
        acts
    }
}

/// Characters of the longest message that is read as courtesies.
const LONGEST_COURTESY: usize = 24;

/// Digits from which a number is no quantity, price or size.
const LEAST_DIGITS: usize = 6;

/// Letters that a parcel number may begin with.
const MOST_LETTERS: usize = 6;

impl SpeechLexicon {
    /// Acts of a message that is put together from courtesies alone: 好的谢谢拜拜.
    fn courtesies(&self, core: &str) -> Vec<SpeechAct> {
        let ends: Vec<usize> = core.char_indices().map(|(at, _)| at).chain([core.len()]).collect();
        if ends.len() > LONGEST_COURTESY {
            return Vec::new();
        }
        // Acts of each beginning that courtesies make up, by its length in characters.
        let mut acts: Vec<Option<Vec<SpeechAct>>> = vec![None; ends.len()];
        acts[0] = Some(Vec::new());
        for start in 0..ends.len() {
            let Some(so_far) = acts[start].clone() else { continue };
            for end in start + 1..ends.len() {
                let known = self.whole.get(&core[ends[start]..ends[end]]).filter(|act| act.is_courtesy());
                if let Some(act) = known.filter(|_| acts[end].is_none()) {
                    acts[end] = Some(so_far.iter().copied().chain([*act]).collect());
                }
            }
        }
        acts.pop().flatten().unwrap_or_default()
    }

    /// Whether nothing but numbers is left of a message without the labels.
    fn is_number(&self, full: &str) -> bool {
        let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
        if digits(full) < LEAST_DIGITS {
            return false;
        }
        let rest = self.labels.iter().fold(full.to_owned(), |rest, label| rest.replace(label.as_str(), ""));
        rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) && rest.len() - digits(&rest) <= MOST_LETTERS
    }
}

/// Words without content at the edges of a message: 亲, 请问, 麻烦.
#[derive(Debug, Clone, Default)]
pub(super) struct Fillers {
    words: FxHashSet<String>,
    longest: usize,
    /// What fillers begin and end with: few messages do, and the others need no more than this.
    firsts: FxHashSet<char>,
    lasts: FxHashSet<char>,
}

impl Fillers {
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        let words: FxHashSet<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let longest = words.iter().map(|word| word.chars().count()).max().unwrap_or(0);
        let firsts = words.iter().filter_map(|word| word.chars().next()).collect();
        let lasts = words.iter().filter_map(|word| word.chars().next_back()).collect();
        Self { words, longest, firsts, lasts }
    }

    /// What is left of `text` without fillers and boundaries at both ends; all but the boundaries when nothing else
    /// would be left. A filler is taken off only where a word ends (`is_edge` of a byte offset), so that 亲子装 keeps
    /// its 亲.
    pub fn strip(&self, text: &str, is_edge: impl Fn(usize) -> bool) -> Range<usize> {
        let trimmed = trim(text, 0..text.len());
        let mut rest = trimmed.clone();
        while let Some(start) = self.after_filler(text, &rest, &is_edge) {
            rest = trim(text, start..rest.end);
        }
        while let Some(end) = self.before_filler(text, &rest, &is_edge) {
            rest = trim(text, rest.start..end);
        }
        if rest.is_empty() { trimmed } else { rest }
    }

    /// End of the longest filler at the start.
    fn after_filler(&self, text: &str, rest: &Range<usize>, is_edge: impl Fn(usize) -> bool) -> Option<usize> {
        let part = &text[rest.clone()];
        if !part.starts_with(|c| self.firsts.contains(&c)) {
            return None;
        }
        let ends = part.char_indices().map(|(at, c)| at + c.len_utf8()).take(self.longest);
        ends.filter(|end| self.words.contains(&part[..*end]) && is_edge(rest.start + end))
            .last()
            .map(|end| rest.start + end)
    }

    /// Start of the longest filler at the end.
    fn before_filler(&self, text: &str, rest: &Range<usize>, is_edge: impl Fn(usize) -> bool) -> Option<usize> {
        let part = &text[rest.clone()];
        if !part.ends_with(|c| self.lasts.contains(&c)) {
            return None;
        }
        let starts = part.char_indices().rev().map(|(at, _)| at).take(self.longest);
        starts
            .filter(|start| self.words.contains(&part[*start..]) && is_edge(rest.start + start))
            .last()
            .map(|start| rest.start + start)
    }
}

/// `range` without boundaries and spaces at its ends.
fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start_matches(is_gap).len());
    let end = range.end - (part.len() - part.trim_end_matches(is_gap).len());
    start..end.max(start)
}

fn is_gap(c: char) -> bool {
    c == super::normalise::BOUNDARY || c == ' '
}
