//! A wording in one or several languages.

use std::collections::BTreeMap;

use crate::analysis::language::Language;

/// One text a language; the default language is the first of zh-Hans, zh-Hant, en that has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wording(Box<[(Language, String)]>);

impl Wording {
    /// A wording from its texts.
    #[must_use]
    pub fn new(texts: BTreeMap<Language, String>) -> Self {
        Self(texts.into_iter().collect())
    }

    /// The text for a language: the variant if there is one, else the default.
    #[must_use]
    pub fn get(&self, language: Language) -> Option<(Language, &str)> {
        self.iter().find(|(known, _)| *known == language).or_else(|| self.iter().next())
    }

    /// Every text with its language.
    pub fn iter(&self) -> impl Iterator<Item = (Language, &str)> {
        self.0.iter().map(|(language, text)| (*language, text.as_str()))
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
