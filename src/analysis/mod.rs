//! The one chain from a text as said to what is matched; index and query side pass through it alike.
//!
//! control characters stripped -> NFKC, lower case -> OpenCC to Simplified -> rewrites -> fillers off the edges -> jieba
//! with the domain dictionary -> words with their synonym classes. Bigrams and pinyin are read off the canonical text.

pub mod language;
pub mod lexicon;
pub mod mask;
mod normalise;
mod opencc;
pub mod pinyin;
mod segment;
pub mod sense;
pub mod speech;
pub mod units;

use std::cell::OnceCell;

use rustc_hash::FxHashMap;

use self::language::Language;
use self::lexicon::{Lexicon, Rewrites};
use self::normalise::{BOUNDARY, is_han, normalise};
use self::opencc::Converter;
use self::segment::Segmenter;
pub use self::segment::Word;
use self::speech::{ActPhrases, Fillers, SpeechAct, SpeechLexicon};

/// Why the analysis could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// OpenCC's dictionaries could not be written out.
    #[error("no temporary folder for OpenCC's dictionaries: {0}; set TMPDIR to a writable folder")]
    Temp(#[source] std::io::Error),
    /// OpenCC refused its own dictionaries.
    #[error("OpenCC could not be loaded: {0}")]
    OpenCc(String),
}

/// A text as the matcher sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// Canonical text without fillers at its edges: Simplified, lower case, `,` between clauses.
    pub text: String,
    /// The canonical text as it was before fillers were taken off.
    pub full: String,
    /// `None` when the text has neither Han characters nor Latin words.
    pub language: Option<Language>,
    /// Words of `text`, in order.
    pub words: Vec<Word>,
}

impl Analysis {
    /// The words' texts.
    pub fn word_texts(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| &self.text[word.span.clone()])
    }

    /// Whether nothing is left that could be matched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// The chain, with its lexicon.
pub struct Analyzer {
    converter: Converter,
    rewrites: Rewrites,
    segmenter: Segmenter,
    fillers: Fillers,
    speech: SpeechLexicon,
    /// Synonym class of a word, counted from 0 in the file's order.
    classes: FxHashMap<String, u32>,
    groups: Vec<Vec<String>>,
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer").field("classes", &self.classes.len()).finish_non_exhaustive()
    }
}

impl Analyzer {
    /// Loads OpenCC and jieba (about 0.2 s) with the lexicon.
    ///
    /// # Errors
    /// When OpenCC's dictionaries cannot be loaded.
    pub fn new(lexicon: &Lexicon) -> Result<Self, AnalysisError> {
        let converter = Converter::new()?;
        let mut classes = FxHashMap::default();
        for (class, group) in (0..).zip(lexicon.groups()) {
            classes.extend(group.iter().map(|word| (word.clone(), class)));
        }
        Ok(Self {
            converter,
            rewrites: lexicon.rewrites().clone(),
            segmenter: Segmenter::new(lexicon),
            fillers: Fillers::default(),
            speech: SpeechLexicon::default(),
            classes,
            groups: lexicon.groups().to_vec(),
        })
    }

    /// The same chain with speech acts and fillers, both given as an editor writes them.
    #[must_use]
    pub fn with_speech(mut self, acts: &[ActPhrases], fillers: &[String]) -> Self {
        let keyed: Vec<ActPhrases> = acts
            .iter()
            .map(|list| ActPhrases { phrases: list.phrases.iter().map(|phrase| self.key(phrase)).collect(), ..*list })
            .collect();
        self.speech = SpeechLexicon::new(&keyed);
        self.fillers = Fillers::new(fillers.iter().map(|filler| self.canonical(filler)));
        self
    }

    /// Everything the matcher needs to know of `raw`.
    #[must_use]
    pub fn analyse(&self, raw: &str) -> Analysis {
        let normalised = normalise(raw, &self.converter, &self.rewrites);
        let mut words = self.segmenter.words(&normalised.text);
        let core = self.fillers.strip(&normalised.text, |at| is_edge(&words, at));
        words.retain(|word| core.start <= word.span.start && word.span.end <= core.end);
        for word in &mut words {
            word.span = word.span.start - core.start..word.span.end - core.start;
        }
        Analysis { text: normalised.text[core].to_owned(), full: normalised.text, language: normalised.language, words }
    }

    /// What the matcher needs to know of a text that is canonical already.
    #[must_use]
    pub fn again(&self, canonical: &str) -> Analysis {
        let words = self.segmenter.words(canonical);
        Analysis { text: canonical.to_owned(), full: canonical.to_owned(), language: None, words }
    }

    /// Canonical text of `raw`, fillers included. Idempotent.
    #[must_use]
    pub fn canonical(&self, raw: &str) -> String {
        normalise(raw, &self.converter, &self.rewrites).text
    }

    /// Canonical text without fillers and boundaries: two texts with one key ask the same in the same words.
    #[must_use]
    pub fn key(&self, raw: &str) -> String {
        let canonical = self.canonical(raw);
        // Few texts have a filler at an end; only they need to be cut into words.
        let words = OnceCell::new();
        let core =
            self.fillers.strip(&canonical, |at| is_edge(words.get_or_init(|| self.segmenter.words(&canonical)), at));
        letters(&canonical[core]).collect()
    }

    /// What the message does, apart from what it asks.
    #[must_use]
    pub fn speech_acts(&self, analysis: &Analysis) -> Vec<SpeechAct> {
        let full: String = letters(&analysis.full).collect();
        let core: String = letters(&analysis.text).collect();
        self.speech.acts(&full, &core)
    }

    /// Words of a canonical text, as [`Self::analyse`] cuts it.
    #[must_use]
    pub fn words(&self, canonical: &str) -> Vec<Word> {
        self.segmenter.words(canonical)
    }

    /// Synonym class of a word, if it has one.
    #[must_use]
    pub fn class(&self, word: &str) -> Option<u32> {
        self.classes.get(word).copied()
    }

    /// Words of a synonym class; empty for a class that does not exist.
    #[must_use]
    pub fn synonyms(&self, class: u32) -> &[String] {
        self.groups.get(class as usize).map_or(&[], Vec::as_slice)
    }

    /// `text` in Traditional characters with Taiwan's words, for a reply.
    #[must_use]
    pub fn traditionalise(&self, text: &str) -> String {
        self.converter.traditionalise(text)
    }
}

/// Whether a word of the text starts or ends at this byte.
fn is_edge(words: &[Word], at: usize) -> bool {
    words.iter().any(|word| !word.inner && (word.span.start == at || word.span.end == at))
}

/// The letters of a canonical text, without boundaries and spaces.
pub fn letters(canonical: &str) -> impl Iterator<Item = char> + '_ {
    canonical.chars().filter(|c| *c != BOUNDARY && *c != ' ')
}

/// Whether `c` is a Han character.
#[must_use]
pub fn is_han_character(c: char) -> bool {
    is_han(c)
}
