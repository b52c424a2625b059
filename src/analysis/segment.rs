//! Words of a canonical text: jieba with the domain dictionary, and the shorter words inside long ones.

use std::ops::Range;

use jieba_rs::Jieba;

use super::lexicon::Lexicon;
use super::normalise::is_han;

/// A word of a canonical text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Where the word stands in the canonical text, in bytes.
    pub span: Range<usize>,
    /// Ordinal of the word; a shorter word inside a longer one has the position of the longer.
    pub position: u32,
    /// Whether this is a shorter word inside a longer one.
    pub inner: bool,
}

/// Frequency of a domain word without one: high enough to stay whole against its parts.
const DOMAIN_FREQUENCY: usize = 2_000;

/// Cuts canonical texts into words.
pub(super) struct Segmenter(Jieba);

impl Segmenter {
    /// jieba's dictionary with the lexicon's words; new words are never guessed (HMM off), so that the same characters
    /// are cut alike in every sentence.
    pub fn new(lexicon: &Lexicon) -> Self {
        let mut jieba = Jieba::new();
        // A Latin word is cut at its ends anyway; in the dictionary it would be cut out of longer ones (ship in shipping).
        for word in lexicon.words().filter(|word| !word.is_ascii()) {
            let frequency = jieba.suggest_freq(word).max(DOMAIN_FREQUENCY);
            jieba.add_word(word, Some(frequency), None);
        }
        Self(jieba)
    }

    /// Words in order; a shorter word follows the longer one in which it stands.
    pub fn words(&self, text: &str) -> Vec<Word> {
        let mut words = Vec::with_capacity(text.len() / 4 + 1);
        let mut position = 0;
        for token in self.0.cut(text, false) {
            if !token.word.starts_with(|c: char| is_han(c) || c.is_alphanumeric()) {
                continue;
            }
            let span = token.byte_start..token.byte_end;
            words.push(Word { span: span.clone(), position, inner: false });
            if token.end - token.start > 2 {
                self.push_inner(text, span, position, &mut words);
            }
            position += 1;
        }
        words
    }

    /// Dictionary words of two and three characters inside a longer word, as jieba's search mode gives them.
    fn push_inner(&self, text: &str, outer: Range<usize>, position: u32, words: &mut Vec<Word>) {
        let word = &text[outer.clone()];
        if word.is_ascii() {
            return;
        }
        let mut starts: Vec<usize> = word.char_indices().map(|(at, _)| at).collect();
        starts.push(word.len());
        for length in [2, 3] {
            for pair in starts.windows(length + 1) {
                let (from, to) = (pair[0], pair[length]);
                if to - from < word.len() && self.0.has_word(&word[from..to]) {
                    words.push(Word { span: outer.start + from..outer.start + to, position, inner: true });
                }
            }
        }
    }
}
