//! From a text as said to its canonical text: one form for every way of typing the same characters.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::language::{Language, ScriptCount};
use super::lexicon::Rewrites;
use super::opencc::Converter;

/// The boundary mark of canonical texts: stands for any run of punctuation, emoji and symbols.
pub(super) const BOUNDARY: char = ',';

/// A canonical text and the language in which it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Normalised {
    /// Lower-case letters, digits and Simplified Han characters; one `,` between clauses, one space between words that
    /// are not Han.
    pub text: String,
    /// `None` when the text has neither Han characters nor Latin words.
    pub language: Option<Language>,
}

/// Canonical text of `raw`. Idempotent; never fails: what cannot be read is a boundary.
pub(super) fn normalise(raw: &str, converter: &Converter, rewrites: &Rewrites) -> Normalised {
    let folded =
        if raw.chars().all(is_plain) { clean(raw.chars().map(narrow), converter) } else { clean(fold(raw), converter) };
    let mut text = folded.text;
    // Characters may become neighbours when marks between them go: Hangul letters then compose.
    if !text.chars().all(is_plain) {
        text = text.nfc().collect();
    }
    if folded.count.traditional > 0 {
        text = simplify(text, converter);
    }
    if let Some(rewritten) = rewrites.apply(&text) {
        text = rewritten;
    }
    Normalised { text, language: folded.count.language() }
}

/// Conversions after which a chain of OpenCC's phrases is cut off.
const PASSES: usize = 4;

/// Simplified form of `text`: a phrase may yield a character that is Traditional elsewhere (么麼 -> 幺麽 -> 幺么).
fn simplify(mut text: String, converter: &Converter) -> String {
    for _ in 0..PASSES {
        match converter.simplify(&text) {
            Some(next) if next != text => text = next,
            _ => break,
        }
        if !text.chars().any(|c| converter.is_traditional(c)) {
            break;
        }
    }
    text
}

/// Characters that NFKC leaves alone and [`clean`] reads by itself.
fn is_plain(c: char) -> bool {
    c.is_ascii() || is_han(c) && !matches!(c, '\u{2F800}'..='\u{2FA1F}') || is_cjk_punctuation(c) || is_full_width(c)
}

/// Full-width forms of ASCII: most Chinese questions have one, the comma or the question mark.
fn is_full_width(c: char) -> bool {
    matches!(c, '\u{FF01}'..='\u{FF5E}')
}

/// The ASCII character of a full-width form, as NFKC has it.
fn narrow(c: char) -> char {
    if is_full_width(c) { char::from_u32(c as u32 - 0xFEE0).unwrap_or(c) } else { c }
}

/// Compatibility forms folded, letters lower case.
fn fold(raw: &str) -> impl Iterator<Item = char> + '_ {
    raw.nfkc().flat_map(char::to_lowercase).nfkc()
}

struct Cleaned {
    text: String,
    count: ScriptCount,
}

/// What stands between two letters that are kept.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Gap {
    None,
    Space,
    Boundary,
}

fn clean(chars: impl Iterator<Item = char>, converter: &Converter) -> Cleaned {
    let mut text = String::with_capacity(64);
    let mut count = ScriptCount::default();
    let mut gap = Gap::None;
    let mut last = None;
    for c in chars {
        if is_han(c) || c.is_alphanumeric() {
            let c = c.to_ascii_lowercase();
            push_gap(&mut text, gap, last, c);
            count_character(&mut count, last.filter(|_| gap == Gap::None), c, converter);
            text.push(c);
            last = Some(c);
            gap = Gap::None;
        } else if c.is_whitespace() {
            gap = gap.max(Gap::Space);
        } else if !is_silent(c) {
            gap = Gap::Boundary;
        }
    }
    Cleaned { text, count }
}

fn push_gap(text: &mut String, gap: Gap, last: Option<char>, next: char) {
    let Some(last) = last else { return };
    match gap {
        Gap::None => {}
        Gap::Space if is_han(last) || is_han(next) => {}
        Gap::Space => text.push(' '),
        Gap::Boundary => text.push(BOUNDARY),
    }
}

fn count_character(count: &mut ScriptCount, last: Option<char>, c: char, converter: &Converter) {
    if is_han(c) {
        count.han += 1;
        count.traditional += u32::from(converter.is_traditional(c));
    } else if c.is_alphabetic() && !last.is_some_and(|last| last.is_alphanumeric() && !is_han(last)) {
        count.latin_words += 1;
    }
}

/// Whether `c` is a Han character: one that stands for a syllable and needs no space.
pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}' | '\u{20000}'..='\u{323AF}' | '〇')
}

fn is_cjk_punctuation(c: char) -> bool {
    matches!(c, '\u{3001}'..='\u{3004}' | '\u{3008}'..='\u{3020}' | '\u{2018}'..='\u{201D}' | '\u{2026}')
}

/// Characters that leave no trace: an apostrophe inside a word, marks on letters, invisible and control characters.
fn is_silent(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{AD}')
        || c.is_control()
        || is_combining_mark(c)
}
