//! Pinyin without tones: how a text sounds, for homophone typos and for customers who type no characters.

use std::sync::LazyLock;

use pinyin::ToPinyin;
use rustc_hash::FxHashSet;

/// The syllable of a Han character without its tone (`发` -> `fa`), the most common reading where there are several.
#[must_use]
pub fn syllable(c: char) -> Option<&'static str> {
    c.to_pinyin().map(|reading| reading.plain())
}

/// Every syllable that a Han character has.
static SYLLABLES: LazyLock<FxHashSet<&'static str>> =
    LazyLock::new(|| ('\u{4E00}'..='\u{9FFF}').filter_map(syllable).filter(|syllable| syllable.is_ascii()).collect());

/// Whether the letters spell one syllable without its tone.
#[must_use]
pub fn is_syllable(letters: &str) -> bool {
    SYLLABLES.contains(letters)
}
