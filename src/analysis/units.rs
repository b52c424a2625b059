//! Units below the word, read off a canonical text: characters, pairs of neighbours, pairs of syllables.

use super::letters;
use super::normalise::is_han;
use super::pinyin::syllable;

/// Calls `visit` with each Han character and each pair of neighbouring letters of a canonical text.
///
/// Pairs run over boundaries and spaces, so that 「发 货」 and 「发货」 share one; single Latin letters and digits say
/// nothing and are left out.
pub fn grams(canonical: &str, mut visit: impl FnMut(&str)) {
    let mut last: Option<char> = None;
    let mut buffer = [0; 8];
    for c in letters(canonical) {
        if is_han(c) {
            visit(c.encode_utf8(&mut buffer));
        }
        if let Some(last) = last {
            visit(pair(last, c, &mut buffer));
        }
        last = Some(c);
    }
}

fn pair(left: char, right: char, buffer: &mut [u8; 8]) -> &str {
    let length = left.encode_utf8(buffer).len();
    let end = length + right.encode_utf8(&mut buffer[length..]).len();
    std::str::from_utf8(&buffer[..end]).unwrap_or_default()
}

/// A number for a pair of syllables: two pairs that are written alike share it.
pub type SyllablePair = u64;

/// Calls `visit` with a number for each pair of neighbouring syllables: [`syllable_pairs`] without their texts.
pub fn syllable_pair_keys(canonical: &str, mut visit: impl FnMut(SyllablePair)) {
    let mut last: Option<&'static str> = None;
    for c in letters(canonical) {
        let current = syllable(c);
        if let (Some(last), Some(current)) = (last, current) {
            visit(last.bytes().chain(current.bytes()).fold(0, mix));
        }
        last = current;
    }
}

/// One step of FxHash over bytes.
fn mix(hash: u64, byte: u8) -> u64 {
    (hash.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x517C_C1B7_2722_0A95)
}

/// Calls `visit` with each pair of neighbouring syllables, written together without tones (发货 -> `fahuo`).
pub fn syllable_pairs(canonical: &str, mut visit: impl FnMut(&str)) {
    let mut last: Option<&'static str> = None;
    let mut buffer = String::with_capacity(16);
    for c in letters(canonical) {
        let current = syllable(c);
        if let (Some(last), Some(current)) = (last, current) {
            buffer.clear();
            buffer.push_str(last);
            buffer.push_str(current);
            visit(&buffer);
        }
        last = current;
    }
}
