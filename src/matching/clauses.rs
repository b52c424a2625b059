//! Messages that ask more than one thing, and messages that ask only half of one.

use super::matcher::Matcher;
use crate::analysis::sense::{Sense, sense};
use crate::analysis::{Analysis, Word, letters};

/// Clauses of one message that are looked for by themselves.
const MOST: usize = 5;

/// Letters below which a clause says nothing by itself.
const SHORTEST: usize = 3;

/// The parts between punctuation marks, when there is more than one that could be a question.
#[must_use]
pub(super) fn clauses(analysis: &Analysis) -> Vec<Analysis> {
    let text = analysis.text.as_str();
    let mut found = Vec::new();
    let mut start = 0;
    for part in text.split(',') {
        if letters(part).count() >= SHORTEST {
            found.push(cut(analysis, start, start + part.len()));
        }
        start += part.len() + 1;
    }
    found.truncate(MOST);
    if found.len() < 2 { Vec::new() } else { found }
}

/// The bytes `start..end` of an analysed text.
fn cut(analysis: &Analysis, start: usize, end: usize) -> Analysis {
    let inside = analysis.words.iter().filter(|word| start <= word.span.start && word.span.end <= end);
    let words =
        inside.map(|word| Word { span: word.span.start - start..word.span.end - start, ..word.clone() }).collect();
    let text = analysis.text[start..end].to_owned();
    Analysis { full: text.clone(), text, language: analysis.language, words }
}

/// Beginnings and ends that lean on what was asked before.
const BEGINNINGS: [&str; 9] = ["那么", "那", "如果是", "如果", "要是", "换成", "what about", "how about", "and"];
const ENDS: [&str; 4] = ["的话呢", "的话", "呢", "呐"];

/// Letters of the longest fragment: a longer message stands by itself.
const LONGEST_FRAGMENT: usize = 12;

/// Cosine of senses from which one word may stand for another.
const ALIKE: f32 = 0.35;

/// What a message leans on, without the words that lean; `None` when it stands by itself.
fn fragment(canonical: &str) -> Option<&str> {
    let text = canonical.trim_matches([',', ' ']);
    let beginning = BEGINNINGS.iter().find_map(|beginning| text.strip_prefix(beginning));
    let rest = beginning.unwrap_or(text);
    let end = ENDS.iter().find_map(|end| rest.strip_suffix(end));
    let rest = end.unwrap_or(rest).trim_matches([',', ' ']);
    let leans = beginning.is_some() || end.is_some();
    (leans
        && !rest.is_empty()
        && letters(text).count() <= LONGEST_FRAGMENT.max(2 * usize::from(text.is_ascii()) * LONGEST_FRAGMENT))
    .then_some(rest)
}

impl Matcher {
    /// Readings of a message that leans on the customer's last question (「那退货呢」 after 「换货怎么操作」): the question
    /// with the word that means most nearly the same replaced, then question and message together. Likelier ones first;
    /// none when the message stands by itself.
    pub(super) fn follow_ups(&self, last: &str, analysis: &Analysis) -> Vec<Analysis> {
        let Some(fragment) = fragment(&analysis.text).filter(|_| !last.is_empty()) else { return Vec::new() };
        let read = |text: String| {
            let words = self.analyzer().words(&text);
            Analysis { full: text.clone(), text, language: analysis.language, words }
        };
        let meant = sense(&read(fragment.to_owned()));
        let last_words = self.analyzer().words(last);
        let word = |word: &Word| read(last[word.span.clone()].to_owned());
        let alike =
            last_words.iter().filter(|word| !word.inner).map(|known| (cosine(&sense(&word(known)), &meant), known));
        let nearest = alike
            .filter(|(alike, _)| *alike >= ALIKE)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.span.start.cmp(&a.1.span.start)));
        let replaced =
            nearest.map(|(_, known)| format!("{}{fragment}{}", &last[..known.span.start], &last[known.span.end..]));
        replaced.into_iter().chain([format!("{last},{fragment}")]).map(read).collect()
    }
}

fn cosine(left: &Sense, right: &Sense) -> f32 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leans_is_told_from_what_stands() {
        for (text, core) in [
            ("那退货呢", "退货"),
            ("退货呢", "退货"),
            ("那么多久到账", "多久到账"),
            ("要是换货的话", "换货"),
            ("what about returns", "returns"),
        ] {
            assert_eq!(fragment(text), Some(core), "{text}");
        }
        for text in ["什么时候发货", "那我昨天买的那件红色的裙子到底什么时候才能寄出来呢", "那", "呢", ""]
        {
            assert_eq!(fragment(text), None, "{text}");
        }
    }
}
