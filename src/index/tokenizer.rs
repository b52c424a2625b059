//! Adapter from the analysis to tantivy's tokenizers; texts given to tantivy are canonical already.

use std::sync::Arc;

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::Field;
use crate::analysis::{Analyzer, units};

/// Tokenizer of one field; cloning it is cheap.
#[derive(Clone)]
pub(super) struct CanonicalTokenizer {
    pub field: Field,
    pub analyzer: Arc<Analyzer>,
}

impl Tokenizer for CanonicalTokenizer {
    type TokenStream<'a> = CanonicalStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> CanonicalStream {
        let mut stream = CanonicalStream::default();
        match self.field {
            Field::Words => {
                for word in self.analyzer.words(text) {
                    stream.push(&text[word.span], word.position);
                }
            }
            Field::Grams => units::grams(text, |gram| stream.push(gram, 0)),
            Field::Pinyin => units::syllable_pairs(text, |pair| stream.push(pair, 0)),
        }
        stream
    }
}

/// Tokens of one text, kept in one string.
#[derive(Default)]
pub(super) struct CanonicalStream {
    texts: String,
    /// End of the token in `texts`, and its position.
    ends: Vec<(usize, u32)>,
    next: usize,
    token: Token,
}

impl CanonicalStream {
    fn push(&mut self, text: &str, position: u32) {
        self.texts.push_str(text);
        self.ends.push((self.texts.len(), position));
    }
}

impl TokenStream for CanonicalStream {
    fn advance(&mut self) -> bool {
        let Some(&(end, position)) = self.ends.get(self.next) else {
            return false;
        };
        let start = self.next.checked_sub(1).map_or(0, |previous| self.ends[previous].0);
        self.token.text.clear();
        self.token.text.push_str(&self.texts[start..end]);
        self.token.position = position as usize;
        self.next += 1;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
