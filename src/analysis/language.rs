//! The language and script of a text, told from its characters.

use serde::{Deserialize, Serialize};

/// A language in which an answer or a script may be worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Language {
    /// Chinese in Simplified characters.
    #[serde(rename = "zh-Hans")]
    ZhHans,
    /// Chinese in Traditional characters.
    #[serde(rename = "zh-Hant")]
    ZhHant,
    /// English.
    #[serde(rename = "en")]
    En,
}

impl Language {
    /// Every language, in the order in which a missing wording is looked for.
    pub const ALL: [Self; 3] = [Self::ZhHans, Self::ZhHant, Self::En];

    /// The BCP 47 tag, as written in `faq/` files.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::ZhHans => "zh-Hans",
            Self::ZhHant => "zh-Hant",
            Self::En => "en",
        }
    }

    /// Reads a BCP 47 tag as written in `faq/` files.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }
}

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.tag())
    }
}

/// Characters counted over one text; `language` weighs them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ScriptCount {
    pub han: u32,
    pub traditional: u32,
    pub latin_words: u32,
}

impl ScriptCount {
    /// `None` when the text has neither Han characters nor Latin words.
    ///
    /// One character that only Traditional script writes makes a text Traditional: Simplified writers never type one,
    /// while most characters are common to both. A text with Han characters is Chinese unless Latin words are three
    /// times as many.
    pub fn language(self) -> Option<Language> {
        match (self.han, self.latin_words) {
            (0, 0) => None,
            (0, _) => Some(Language::En),
            (han, words) if words > 3 * han => Some(Language::En),
            _ if self.traditional > 0 => Some(Language::ZhHant),
            _ => Some(Language::ZhHans),
        }
    }
}
