//! Pinyin without tones: how a text sounds, for homophone typos and for customers who type no characters.

use pinyin::ToPinyin;

/// The syllable of a Han character without its tone (`发` -> `fa`), the most common reading where there are several.
#[must_use]
pub fn syllable(c: char) -> Option<&'static str> {
    c.to_pinyin().map(|reading| reading.plain())
}
