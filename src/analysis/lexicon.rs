//! The editable part of the analysis: dictionary, synonyms and rewrites, read from plain text.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use rustc_hash::FxHashMap;

/// A fault in one line of a lexicon file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LexiconFault {
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub mend: String,
}

/// The texts of the three lexicon files.
#[derive(Debug, Clone, Default)]
pub struct LexiconSource {
    /// `dictionary.txt`: one word a line.
    pub dictionary: String,
    /// `synonyms.txt`: groups, one a line, words separated by commas.
    pub synonyms: String,
    /// `rewrites.txt`: `from => to`, one a line.
    pub rewrites: String,
}

impl LexiconSource {
    /// The lexicon that ships inside the program, for a folder without one of its own.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            dictionary: include_str!("../../faq/dictionary.txt").to_owned(),
            synonyms: include_str!("../../faq/synonyms.txt").to_owned(),
            rewrites: include_str!("../../faq/rewrites.txt").to_owned(),
        }
    }
}

/// Dictionary words, synonym groups and rewrites, checked.
#[derive(Debug, Clone, Default)]
pub struct Lexicon {
    dictionary: Vec<String>,
    groups: Vec<Vec<String>>,
    rewrites: Rewrites,
}

/// The faults of each file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LexiconFaults {
    /// Of `dictionary.txt`.
    pub dictionary: Vec<LexiconFault>,
    /// Of `synonyms.txt`.
    pub synonyms: Vec<LexiconFault>,
    /// Of `rewrites.txt`.
    pub rewrites: Vec<LexiconFault>,
}

impl Lexicon {
    /// Reads the three texts; lines with a fault are left out and reported.
    #[must_use]
    pub fn parse(source: &LexiconSource) -> (Self, LexiconFaults) {
        let mut faults = LexiconFaults::default();
        let lexicon = Self {
            dictionary: parse_dictionary(&source.dictionary, &mut faults.dictionary),
            groups: parse_synonyms(&source.synonyms, &mut faults.synonyms),
            rewrites: parse_rewrites(&source.rewrites, &mut faults.rewrites),
        };
        (lexicon, faults)
    }

    /// Every word that segmentation must know: of the dictionary and of the synonym groups.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.dictionary.iter().chain(self.groups.iter().flatten()).map(String::as_str)
    }

    /// Synonym groups, in the file's order.
    pub(super) fn groups(&self) -> &[Vec<String>] {
        &self.groups
    }

    pub(super) fn rewrites(&self) -> &Rewrites {
        &self.rewrites
    }

    /// Number of dictionary words, synonym groups and rewrites.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.dictionary.len(), self.groups.len(), self.rewrites.targets.len())
    }
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_start_matches('\u{FEFF}').trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn parse_dictionary(text: &str, faults: &mut Vec<LexiconFault>) -> Vec<String> {
    let mut seen = FxHashMap::default();
    let mut words = Vec::new();
    for (line, word) in lines(text) {
        if word.chars().count() < 2 || word.contains(char::is_whitespace) {
            faults.push(LexiconFault {
                line,
                what: format!("「{word}」 is not a word of two or more characters"),
                mend: "write one word a line, without spaces".to_owned(),
            });
        } else if let Some(first) = seen.insert(word.to_owned(), line) {
            faults.push(LexiconFault {
                line,
                what: format!("「{word}」 stands in line {first} already"),
                mend: "delete one of the two lines".to_owned(),
            });
        } else {
            words.push(word.to_owned());
        }
    }
    words
}

fn parse_synonyms(text: &str, faults: &mut Vec<LexiconFault>) -> Vec<Vec<String>> {
    let mut seen: FxHashMap<String, usize> = FxHashMap::default();
    let mut groups = Vec::new();
    for (line, group) in lines(text) {
        let mut words = Vec::new();
        for word in group.split([',', '，']).map(str::trim).filter(|word| !word.is_empty()) {
            match seen.get(word) {
                Some(first) => faults.push(LexiconFault {
                    line,
                    what: format!("「{word}」 stands in the group of line {first} already"),
                    mend: "a word belongs to one group: join the two groups or delete it from one".to_owned(),
                }),
                None => {
                    seen.insert(word.to_owned(), line);
                    words.push(word.to_owned());
                }
            }
        }
        if words.len() < 2 {
            faults.push(LexiconFault {
                line,
                what: "a group needs two words".to_owned(),
                mend: "separate the words by commas, or delete the line".to_owned(),
            });
        } else {
            groups.push(words);
        }
    }
    groups
}

fn parse_rewrites(text: &str, faults: &mut Vec<LexiconFault>) -> Rewrites {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (line, rule) in lines(text) {
        let fault = |what: &str, mend: &str| LexiconFault { line, what: what.to_owned(), mend: mend.to_owned() };
        let Some((from, to)) = rule.split_once("=>").map(|(from, to)| (from.trim(), to.trim())) else {
            faults.push(fault("a rewrite without `=>`", "write `from => to`"));
            continue;
        };
        if from.is_empty() || to.is_empty() {
            faults.push(fault("a rewrite with an empty side", "write `from => to`"));
        } else if to.contains(from) {
            faults.push(fault(
                "the right side contains the left side",
                "choose sides so that applying twice changes nothing",
            ));
        } else if pairs.iter().any(|(known, _)| known == from) {
            faults.push(fault("this left side stands above already", "delete one of the two lines"));
        } else {
            pairs.push((from.to_owned(), to.to_owned()));
        }
    }
    Rewrites::new(pairs)
}

/// Spellings brought to one form, leftmost and longest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Rewrites {
    matcher: Option<AhoCorasick>,
    targets: Vec<String>,
}

impl Rewrites {
    /// Passes after which a chain of rewrites is cut off.
    const PASSES: usize = 4;

    fn new(pairs: Vec<(String, String)>) -> Self {
        let (sources, targets): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let matcher = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&sources)
            .ok();
        Self { matcher, targets }
    }

    /// `None` when nothing changes.
    pub fn apply(&self, text: &str) -> Option<String> {
        let matcher = self.matcher.as_ref().filter(|_| !self.targets.is_empty())?;
        let mut result: Option<String> = None;
        for _ in 0..Self::PASSES {
            let current = result.as_deref().unwrap_or(text);
            if matcher.find(current).is_none() {
                break;
            }
            result = Some(matcher.replace_all(current, &self.targets));
        }
        result
    }
}
