//! A text in parts that a platform takes: cut at a line or sentence where that is near, never inside a character.

/// What a platform counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of UTF-8.
    Bytes,
    /// Unicode scalar values.
    Chars,
    /// UTF-16 code units: an emoji counts two.
    Utf16,
}

impl Unit {
    /// A text cut to so many units, 16 at least, with an ellipsis where something is missing.
    #[must_use]
    pub fn cut(self, text: &str, longest: usize) -> String {
        TextLimit { unit: self, longest, parts: 1 }.split(text).pop().unwrap_or_default()
    }

    fn of(self, c: char) -> usize {
        match self {
            Self::Bytes => c.len_utf8(),
            Self::Chars => 1,
            Self::Utf16 => c.len_utf16(),
        }
    }
}

/// How long a message may be, and how many messages a reply may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLimit {
    /// What is counted.
    pub unit: Unit,
    /// Longest message, in units; 16 at least.
    pub longest: usize,
    /// Most messages of one reply: what is over is cut, and ends in an ellipsis.
    pub parts: usize,
}

/// Stands for what was cut.
const ELLIPSIS: char = '…';

impl TextLimit {
    /// The text in parts that fit; one part when it fits whole.
    #[must_use]
    pub fn split(self, text: &str) -> Vec<String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let fits = self.fitting(rest, self.longest);
            if fits == rest.len() {
                parts.push(rest.to_owned());
                break;
            }
            if parts.len() + 1 >= self.parts {
                let short = self.fitting(rest, self.longest - self.unit.of(ELLIPSIS));
                parts.push(format!("{}{ELLIPSIS}", rest[..short].trim_end()));
                break;
            }
            let (part, left) = rest.split_at(natural_end(&rest[..fits]));
            parts.push(part.trim_end().to_owned());
            rest = left.trim_start();
        }
        parts
    }

    /// Bytes of the longest start of `text` that has `longest` units at most and ends between characters as people see
    /// them; the first character when even that is too long.
    fn fitting(self, text: &str, longest: usize) -> usize {
        let (mut used, mut end) = (0, 0);
        let mut letters = text.char_indices().peekable();
        while let Some((at, c)) = letters.next() {
            used += self.unit.of(c);
            if used > longest {
                break;
            }
            let next = letters.peek().map(|(_, next)| *next);
            if next.is_none_or(|next| !joined(c, next)) {
                end = at + c.len_utf8();
            }
        }
        if end > 0 { end } else { text.chars().next().map_or(0, char::len_utf8) }
    }
}

/// Whether two neighbours are one character to the eye: joiners, variation selectors, skin tones, combining marks, flags.
fn joined(left: char, right: char) -> bool {
    let extends = matches!(right, '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{300}'..='\u{36f}' | '\u{20e3}');
    let regional = |c| matches!(c, '\u{1f1e6}'..='\u{1f1ff}');
    extends || left == '\u{200d}' || (left == '\r' && right == '\n') || (regional(left) && regional(right))
}

/// Where to cut a start that fits: after the last line, else after the last sentence, else after the last word, if that
/// leaves at least half of it; else at its end.
fn natural_end(start: &str) -> usize {
    let after_last = |stops: &[char]| {
        let at = start.rfind(stops)?;
        let end = at + start[at..].chars().next().map_or(0, char::len_utf8);
        (end * 2 >= start.len()).then_some(end)
    };
    let sentence = || after_last(&['。', '！', '？', '；', '!', '?', ';']);
    let word = || after_last(&[' ', '，', ',', '、']);
    after_last(&['\n']).or_else(sentence).or_else(word).unwrap_or(start.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WECHAT: TextLimit = TextLimit { unit: Unit::Bytes, longest: 2048, parts: 3 };

    #[test]
    fn a_text_that_fits_stays_whole() {
        assert_eq!(WECHAT.split("亲，在的"), ["亲，在的"]);
        assert_eq!(WECHAT.split(&"好".repeat(682)).len(), 1);
        assert!(WECHAT.split("").is_empty());
    }

    #[test]
    fn a_long_text_is_cut_at_lines_and_sentences_and_nothing_is_lost() {
        let text = "第一句说发货。第二句说退货，要先申请。\n".repeat(80);
        let parts = WECHAT.split(&text);
        assert!(parts.len() > 1);
        assert!(parts.iter().all(|part| part.len() <= 2048 && part.trim_end().ends_with('。')));
        assert_eq!(parts.join("\n").trim_end(), text.trim_end());
    }

    #[test]
    fn what_is_over_is_cut_with_an_ellipsis_within_the_limit() {
        let one = TextLimit { parts: 1, ..WECHAT };
        let [part] = &one.split(&"货".repeat(1000))[..] else { panic!("one part") };
        assert!(part.len() <= 2048 && part.ends_with('…'), "{}", part.len());
    }

    #[test]
    fn no_character_is_cut_in_two_whatever_is_counted() {
        let text = "家👨‍👩‍👧‍👦好👍🏽的🇨🇳了e\u{301}".repeat(30);
        for unit in [Unit::Bytes, Unit::Chars, Unit::Utf16] {
            for longest in 30..60 {
                let parts = TextLimit { unit, longest, parts: 1000 }.split(&text);
                let size = |part: &String| part.chars().map(|c| unit.of(c)).sum::<usize>();
                assert!(parts.iter().all(|part| size(part) <= longest), "{unit:?} {longest}");
                assert_eq!(parts.concat(), text, "{unit:?} {longest}");
                let whole = |part: &String| !part.starts_with('\u{200d}') && !part.ends_with('\u{200d}');
                assert!(parts.iter().all(whole), "{unit:?} {longest}");
            }
        }
    }
}
