//! Reads a text by its sound: homophones that an input method slipped in (法货), whole questions typed in pinyin
//! (fahuo), and chat abbreviations by first letters (fh). Only words that the corpus itself uses are ever read into a text.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::query::gram_key;
use super::table::Phrasings;
use crate::analysis::language::Language;
use crate::analysis::pinyin::{is_syllable, syllable};
use crate::analysis::{Analysis, Analyzer, Word, is_han_character};

/// Longest word that is looked for, in characters.
const LONGEST: usize = 5;

/// Longest run of Latin letters that is read as pinyin, in bytes.
const LONGEST_RUN: usize = 60;

/// Phrasings from which a word that only one of them holds is not worth its memory.
const LARGE: usize = 20_000;

/// Words of a run of Latin ones that are tried together.
const MOST_IN_RUN: usize = 20;

/// Words of the longest message that is read by its sound.
const MOST_WORDS: usize = 40;

/// Latin words that are no abbreviation of Chinese ones from a shop: units, sizes, laughter, thanks and curses.
const LATIN: [&str; 73] = [
    "kg", "cm", "mm", "ml", "xs", "xl", "xxl", "gb", "mb", "wx", "qq", "id", "ok", "vip", "app", "pc", "tv", "no",
    "hi", "my", "dm", "wifi", "usb", "ems", "dhl", "hk", "tw", "ios", "plus", "pro", "max", "thx", "ty", "np", "plz",
    "pls", "btw", "omg", "lol", "hh", "hhh", "hhhh", "sb", "jb", "wk", "wc", "cao", "tmd", "nmd", "nm", "md", "gg",
    "dd", "jj", "pp", "bb", "kk", "xx", "zz", "yy", "ww", "bc", "gd", "nd", "zs", "pt", "pl", "ch", "ry", "jc", "jy",
    "rnm", "sx",
];

/// English words that are spelled like Chinese ones.
const ENGLISH: [&str; 14] = [
    "women", "china", "dance", "fence", "linen", "change", "danger", "guide", "manage", "canada", "shanghai", "mango",
    "banana", "sauna",
];

/// A word of the corpus and how many phrasings hold it.
#[derive(Debug, Clone)]
struct Known {
    word: Box<str>,
    holding: u32,
    /// Whether no other word with this sound is held nearly as often.
    clear: bool,
}

/// Words of a corpus by their sounds.
#[derive(Debug, Default)]
pub(super) struct Sounds {
    /// Words of two or more characters by their blurred sound, syllables written together.
    words: FxHashMap<Box<str>, Known>,
    /// The commonest character of a syllable.
    characters: FxHashMap<&'static str, Known>,
    /// Words of two to four characters by the first letters of their syllables.
    initials: FxHashMap<Box<str>, Known>,
}

impl Sounds {
    pub fn new(table: &Phrasings) -> Self {
        let mut sounds = Self::default();
        let least = if table.len() > LARGE { 2 } else { 1 };
        let mut vocabulary: Vec<(&str, u32)> = table
            .vocabulary()
            .map(|(word, unit)| (word, table.holding(unit)))
            .filter(|(_, holding)| *holding >= least)
            .collect();
        vocabulary.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        for (word, holding) in vocabulary {
            let Some(syllables) = syllables(word) else { continue };
            if let [only] = syllables[..] {
                enter(sounds.characters.entry(only), word, holding);
                continue;
            }
            if syllables.len() > LONGEST {
                continue;
            }
            enter(sounds.words.entry(blurred(&syllables.concat()).into()), word, holding);
            if syllables.len() <= 4 {
                let firsts: String = syllables.iter().filter_map(|syllable| syllable.chars().next()).collect();
                enter(sounds.initials.entry(firsts.into()), word, holding);
            }
        }
        sounds
    }

    /// The text as it sounds, when it sounds like words of the corpus and does not read like them.
    pub fn read(&self, analysis: &Analysis, table: &Phrasings, analyzer: &Analyzer) -> Option<Analysis> {
        let words: Vec<&Word> = analysis.words.iter().filter(|word| !word.inner).collect();
        if words.len() > MOST_WORDS {
            return None;
        }
        let is_pinyin = self.is_pinyin(analysis, &words, table);
        let (mut text, mut end, mut at) = (String::new(), 0, 0);
        while at < words.len() {
            let found = self
                .homophone(analysis, &words[at..], table)
                .or_else(|| self.latin(analysis, &words[at..], table).filter(|_| is_pinyin));
            let Some((span, reading, taken)) = found else {
                at += 1;
                continue;
            };
            text.push_str(&analysis.text[end..span.start]);
            text.push_str(&reading);
            end = span.end;
            at += taken;
        }
        if end == 0 {
            return None;
        }
        text.push_str(&analysis.text[end..]);
        let words = analyzer.words(&text);
        let language = analysis.language.filter(|language| *language != Language::En);
        Some(Analysis { text, words, full: analysis.full.clone(), language })
    }

    /// A word that sounds like the first of these words together; the longest.
    fn homophone(
        &self,
        analysis: &Analysis,
        words: &[&Word],
        table: &Phrasings,
    ) -> Option<(Range<usize>, String, usize)> {
        let start = words.first()?.span.start;
        (2..=words.len().min(LONGEST)).rev().find_map(|taken| {
            let span = start..words[taken - 1].span.end;
            let written = &analysis.text[span.clone()];
            let letters: Vec<char> = written.chars().collect();
            let cut_small = words[..taken].iter().any(|word| word.span.len() == letters[0].len_utf8());
            if letters.len() > LONGEST || !cut_small || table.word(written).is_some() {
                return None;
            }
            let known = self.words.get(blurred(&syllables(written)?.concat()).as_str())?;
            let same = known.word.chars().zip(&letters).filter(|(one, other)| one == *other).count();
            let strange = letters.windows(2).any(|pair| table.gram(gram_key(pair[0], pair[1])).is_none());
            (strange && same > 0 && known.word.chars().count() == letters.len())
                .then(|| (span, known.word.to_string(), taken))
        })
    }

    /// Whether the Latin words of a message may be pinyin: beside Han characters, or when nothing else is among them and
    /// one of them is spelled out.
    fn is_pinyin(&self, analysis: &Analysis, words: &[&Word], table: &Phrasings) -> bool {
        if analysis.text.chars().any(is_han_character) {
            return true;
        }
        let (mut at, mut spelled) = (0, false);
        while at < words.len() {
            let Some((span, reading, taken)) = self.latin(analysis, &words[at..], table) else { return false };
            let written = &analysis.text[span];
            spelled |= reading.chars().count() * 2 <= written.len() && !ENGLISH.contains(&written);
            at += taken;
        }
        spelled
    }

    /// Chinese words that these Latin ones spell.
    fn latin(&self, analysis: &Analysis, words: &[&Word], table: &Phrasings) -> Option<(Range<usize>, String, usize)> {
        let written = |word: &Word| &analysis.text[word.span.clone()];
        let strange = |word: &&&Word| {
            let text = written(word);
            text.bytes().all(|byte| byte.is_ascii_lowercase()) && table.word(text).is_none() && !LATIN.contains(&text)
        };
        let run: Vec<&&Word> = words.iter().take_while(strange).take(MOST_IN_RUN).collect();
        let first = *run.first()?;
        let letters: String = run.iter().map(|word| written(word)).take_while(fits(LONGEST_RUN)).collect();
        let readings = self.spelled(&letters);
        let ends = run.iter().scan(0, |end, word| {
            *end += word.span.len();
            Some(*end)
        });
        let found = ends.enumerate().filter_map(|(place, end)| Some((place, readings.get(end)?.clone()?))).last();
        if let Some((place, reading)) = found {
            return Some((first.span.start..run[place].span.end, reading, place + 1));
        }
        let abbreviated = written(first);
        let after_digit = analysis.text[..first.span.start].ends_with(|c: char| c.is_ascii_digit());
        let known = self.initials.get(abbreviated).filter(|known| known.clear && known.holding > 2 && !after_digit)?;
        Some((first.span.clone(), known.word.to_string(), 1))
    }

    /// For each end of a beginning of `letters`, in bytes: the fewest words that together are spelled like that beginning,
    /// at least one of them of two syllables.
    fn spelled(&self, letters: &str) -> Vec<Option<String>> {
        // Characters alone are a last resort.
        let mut best: Vec<Option<(u32, bool, String)>> = vec![None; letters.len() + 1];
        best[0] = Some((0, false, String::new()));
        for start in 0..letters.len() {
            let Some((cost, whole, text)) = best[start].clone() else { continue };
            for end in start + 1..=letters.len().min(start + 6 * LONGEST) {
                let part = &letters[start..end];
                let (known, more) = match self.words.get(blurred(part).as_str()).filter(|_| is_spelled(part)) {
                    Some(known) => (known, 2),
                    None => match self.characters.get(part) {
                        Some(known) => (known, 3),
                        None => continue,
                    },
                };
                let candidate = (cost + more, whole || more == 2, format!("{text}{}", known.word));
                if best[end].as_ref().is_none_or(|(known, ..)| candidate.0 < *known) {
                    best[end] = Some(candidate);
                }
            }
        }
        best.into_iter().map(|reading| reading.filter(|(_, whole, _)| *whole).map(|(_, _, text)| text)).collect()
    }
}

/// Tells of one text after another whether it still fits into so many bytes.
fn fits(mut room: usize) -> impl FnMut(&&str) -> bool {
    move |text| match room.checked_sub(text.len()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    }
}

/// Whether a Latin text is pinyin rather than English, known to the corpus or not: most words are syllables and none is a
/// common English word.
pub(super) fn looks_like_pinyin(analysis: &Analysis) -> bool {
    if analysis.language != Some(Language::En) || analysis.text.chars().any(is_han_character) {
        return false;
    }
    let words: Vec<&str> = analysis.text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let spelled = words.iter().filter(|word| is_spelled(word)).count();
    words.len() <= MOST_WORDS
        && 3 * spelled >= 2 * words.len()
        && !words.iter().any(|word| COMMON_ENGLISH.contains(word))
}

/// Words that an English message can hardly do without, among them those that are spelled like pinyin.
const COMMON_ENGLISH: [&str; 36] = [
    "a", "an", "the", "i", "you", "he", "she", "it", "we", "they", "me", "my", "your", "is", "are", "was", "do",
    "does", "can", "have", "has", "to", "of", "in", "on", "for", "and", "what", "how", "when", "where", "why", "not",
    "no", "women", "men",
];

fn enter<K>(entry: std::collections::hash_map::Entry<'_, K, Known>, word: &str, holding: u32) {
    // Words come by falling count: the first keeps the place.
    entry.and_modify(|known| known.clear &= known.holding >= 2 * holding).or_insert_with(|| Known {
        word: word.into(),
        holding,
        clear: true,
    });
}

/// Syllables of a word of Han characters.
fn syllables(word: &str) -> Option<Vec<&'static str>> {
    word.chars().map(|c| is_han_character(c).then(|| syllable(c)).flatten()).collect()
}

/// Whether the letters are syllables one after another.
fn is_spelled(letters: &str) -> bool {
    if !letters.is_ascii() {
        return false;
    }
    let mut reached = vec![false; letters.len() + 1];
    reached[0] = true;
    for start in 0..letters.len() {
        if reached[start] {
            for end in start + 1..=letters.len().min(start + 6) {
                reached[end] |= is_syllable(&letters[start..end]);
            }
        }
    }
    reached[letters.len()]
}

/// Sounds that many speakers do not tell apart made one: zh and z, ch and c, sh and s, -ng and -n.
fn blurred(letters: &str) -> String {
    let mut blurred = String::with_capacity(letters.len());
    let mut last = ' ';
    for c in letters.chars() {
        let dropped = matches!((last, c), ('z' | 'c' | 's', 'h') | ('n', 'g'));
        if !dropped {
            blurred.push(c);
        }
        last = c;
    }
    blurred
}
