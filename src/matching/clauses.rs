//! Messages that ask more than one thing, and messages that ask only half of one.

use super::matcher::Matcher;
use super::vector::dot;
use crate::analysis::sense::sense;
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

/// Words at the beginning and at the end that lean on what was asked before.
const BEGINNINGS: [&str; 6] = ["那么", "那", "如果", "要是", "换成", "and"];
const ENDS: [&str; 3] = ["的话", "呢", "呐"];

/// English words of which two begin a leaning message: what about, how about.
const ABOUT: [[&str; 2]; 2] = [["what", "about"], ["how", "about"]];

/// Words of the longest fragment: a longer message stands by itself.
const LONGEST_FRAGMENT: usize = 6;

/// Cosine of senses from which one word may stand for another.
const ALIKE: f32 = 0.35;

/// What a message leans on, without the words that lean; `None` when it stands by itself. `words` are those of the
/// canonical text with its fillers, for 呢 is one.
fn fragment<'a>(canonical: &'a str, words: &[Word]) -> Option<&'a str> {
    let outer: Vec<&Word> = words.iter().filter(|word| !word.inner).collect();
    let text = |word: &&Word| &canonical[word.span.clone()];
    let about = outer.len() > 1 && ABOUT.contains(&[text(&outer[0]), text(&outer[1])]);
    let first = if about { 2 } else { usize::from(outer.first().is_some_and(|word| BEGINNINGS.contains(&text(word)))) };
    let rest = outer.get(first..)?;
    let last = usize::from(rest.last().is_some_and(|word| ENDS.contains(&text(word))));
    let rest = &rest[..rest.len() - last];
    let leans = first + last > 0 && rest.len() <= LONGEST_FRAGMENT;
    let (from, to) = (rest.first()?.span.start, rest.last()?.span.end);
    leans.then(|| &canonical[from..to])
}

impl Matcher {
    /// What a message adds that leans on the customer's last question (「那退货呢」 after 「换货怎么操作」), and its readings:
    /// the question with the word that means most nearly the same replaced, then question and message together; `None`
    /// when the message stands by itself.
    pub(super) fn follow_ups(&self, last: &str, analysis: &Analysis) -> Option<(Analysis, Vec<Analysis>)> {
        let words = if last.is_empty() { Vec::new() } else { self.analyzer().words(&analysis.full) };
        let fragment = fragment(&analysis.full, &words)?;
        let added = self.analyzer().again(fragment);
        let meant = sense(&added);
        let last_words = self.analyzer().words(last);
        let alike = last_words
            .iter()
            .filter(|word| !word.inner)
            .map(|known| (dot(&sense(&self.analyzer().again(&last[known.span.clone()])), &meant), known));
        let nearest = alike
            .filter(|(alike, _)| *alike >= ALIKE)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.span.start.cmp(&a.1.span.start)));
        let replaced =
            nearest.map(|(_, known)| format!("{}{fragment}{}", &last[..known.span.start], &last[known.span.end..]));
        let readings =
            replaced.into_iter().chain([format!("{last},{fragment}")]).map(|text| self.analyzer().again(&text));
        let readings = readings.collect();
        Some((added, readings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leans_is_told_from_what_stands() {
        let analyzer = crate::faq::load::built_in_analyzer().unwrap();
        let core = |raw: &str| {
            let full = analyzer.analyse(raw).full;
            fragment(&full, &analyzer.words(&full)).map(str::to_owned)
        };
        for (raw, expected) in [
            ("那退货呢", "退货"),
            ("退货呢？", "退货"),
            ("那么多久到账", "多久到账"),
            ("要是换货的话", "换货"),
            ("what about returns", "returns"),
        ] {
            assert_eq!(core(raw).as_deref(), Some(expected), "{raw}");
        }
        for raw in [
            "什么时候发货",
            "那里有现货吗",
            "android能用吗",
            "那我昨天买的那件红色的裙子到底什么时候才能寄出来呢",
            "那",
            "呢",
            "",
        ] {
            assert_eq!(core(raw), None, "{raw}");
        }
    }
}
