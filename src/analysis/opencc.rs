//! OpenCC: Traditional to Simplified for matching, Simplified to Traditional for replies.

use std::path::Path;

use opencc_rust::{DefaultConfig, OpenCC, generate_static_dictionary};

use super::AnalysisError;

/// First and one past the last code point that OpenCC's dictionaries can change: CJK radicals to the end of Extension I.
const HAN: std::ops::Range<u32> = 0x2E80..0x32000;

/// Converts Chinese text between scripts.
pub struct Converter {
    to_simplified: OpenCC,
    to_taiwan: OpenCC,
    traditional: BitSet,
}

impl std::fmt::Debug for Converter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Converter").finish_non_exhaustive()
    }
}

impl Converter {
    /// Loads OpenCC's built-in dictionaries (t2s and s2twp).
    ///
    /// # Errors
    /// When the temporary folder cannot be written: OpenCC reads its dictionaries from files.
    pub fn new() -> Result<Self, AnalysisError> {
        let dir = tempfile::tempdir().map_err(AnalysisError::Temp)?;
        let to_simplified = open(dir.path(), DefaultConfig::T2S)?;
        let to_taiwan = open(dir.path(), DefaultConfig::S2TWP)?;
        let traditional = changed_characters(&to_simplified)?;
        Ok(Self { to_simplified, to_taiwan, traditional })
    }

    /// Whether Simplified script writes this character otherwise.
    #[must_use]
    pub fn is_traditional(&self, c: char) -> bool {
        self.traditional.contains(c)
    }

    /// Simplified form of `text`, which must hold no NUL; `None` when OpenCC refuses it.
    ///
    /// Call it only for texts with a Traditional character: OpenCC's phrases rewrite some plain Simplified texts
    /// (打坏 -> 打坯, BYVoid/OpenCC#1390), and it is the dearest step of the chain.
    #[must_use]
    pub fn simplify(&self, text: &str) -> Option<String> {
        self.to_simplified.convert(text).ok()
    }

    /// `text` in Traditional characters with Taiwan's words, for a reply; unchanged when OpenCC refuses it.
    #[must_use]
    pub fn traditionalise(&self, text: &str) -> String {
        self.to_taiwan.convert(text).unwrap_or_else(|_| text.to_owned())
    }
}

fn open(dir: &Path, config: DefaultConfig) -> Result<OpenCC, AnalysisError> {
    generate_static_dictionary(dir, config).map_err(|what| AnalysisError::OpenCc(what.to_owned()))?;
    OpenCC::new(dir.join(config.get_file_name())).map_err(|error| AnalysisError::OpenCc(error.to_string()))
}

/// The characters that OpenCC changes when each stands alone on a line.
fn changed_characters(opencc: &OpenCC) -> Result<BitSet, AnalysisError> {
    let all: Vec<char> = HAN.filter_map(char::from_u32).collect();
    let mut lines = String::with_capacity(all.len() * 5);
    for c in &all {
        lines.push(*c);
        lines.push('\n');
    }
    let converted = opencc.convert(&lines).map_err(|error| AnalysisError::OpenCc(error.to_string()))?;
    let mut set = BitSet::new();
    for (c, line) in all.into_iter().zip(converted.lines()) {
        if !line.chars().eq([c]) {
            set.insert(c);
        }
    }
    Ok(set)
}

/// One bit a code point of [`HAN`].
struct BitSet(Vec<u64>);

impl BitSet {
    fn new() -> Self {
        Self(vec![0; (HAN.end - HAN.start).div_ceil(64) as usize])
    }

    fn place(c: char) -> Option<(usize, u64)> {
        let code = c as u32;
        HAN.contains(&code).then(|| {
            let bit = code - HAN.start;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    fn insert(&mut self, c: char) {
        if let Some((word, bit)) = Self::place(c) {
            self.0[word] |= bit;
        }
    }

    fn contains(&self, c: char) -> bool {
        Self::place(c).is_some_and(|(word, bit)| self.0[word] & bit != 0)
    }
}
