//! What a question asks for, apart from its words: when, how long, why; whether it denies; which numbers it names.

use std::hash::{Hash, Hasher};
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use rustc_hash::FxHasher;
use serde::Serialize;

use crate::analysis::letters;

/// What a question wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// 多久.
    HowLong,
    /// 什么时候.
    When,
    /// 多少.
    HowMuch,
    /// 为什么.
    Why,
    /// 哪里.
    Where,
    /// 谁.
    Who,
    /// 哪个.
    Which,
    /// 怎么.
    How,
    /// 什么.
    What,
    /// 能不能, 吗.
    Whether,
}

use QuestionKind::{How, HowLong, HowMuch, What, When, Where, Whether, Which, Who, Why};

/// Words that tell the kind; where several stand in a text, the kind that comes first in [`QuestionKind`] counts.
const KINDS: [(QuestionKind, &[&str]); 10] = [
    (
        HowLong,
        &["多久", "多长时间", "几天", "几日", "多少天", "几个小时", "几小时", "多少时间", "how long", "how many days"],
    ),
    (When, &["什么时候", "啥时候", "何时", "几时", "哪天", "什么时间", "几号", "几月", "几点", "when"]),
    (
        HowMuch,
        &["多少", "几块", "几元", "多大", "多重", "多高", "多贵", "几个", "几件", "几次", "how much", "how many"],
    ),
    (
        Why,
        &[
            "为什么",
            "为啥",
            "为何",
            "怎么会",
            "咋会",
            "凭什么",
            "怎么没",
            "怎么不",
            "怎么还",
            "咋还",
            "怎么又",
            "怎么这么",
            "why",
        ],
    ),
    (Where, &["哪里", "哪儿", "在哪", "去哪", "什么地方", "何处", "哪个地方", "where"]),
    (Who, &["谁", "哪位", "who"]),
    (Which, &["哪个", "哪些", "哪种", "哪款", "哪一", "which"]),
    (How, &["怎么", "怎样", "如何", "咋", "how"]),
    (What, &["什么", "啥", "what"]),
    (
        Whether,
        &[
            "能不能",
            "可不可以",
            "可以不",
            "行不行",
            "是不是",
            "有没有",
            "会不会",
            "能否",
            "可否",
            "要不要",
            "是否",
            "吗",
            "can i",
            "is it",
            "do you",
        ],
    ),
];

/// Kinds that people mix up in asking for the same.
const NEAR: [(QuestionKind, QuestionKind); 4] = [(HowLong, When), (How, What), (What, Which), (How, Whether)];

/// Words that deny, and words that hold one of them and do not.
const DENIALS: [(&str, bool); 24] = [
    ("不", true),
    ("没", true),
    ("无法", true),
    ("未", true),
    ("别", true),
    ("勿", true),
    ("不错", false),
    ("不同", false),
    ("不好意思", false),
    ("不过", false),
    ("不论", false),
    ("不管", false),
    ("不断", false),
    ("有没有", false),
    ("能不能", false),
    ("是不是", false),
    ("会不会", false),
    ("要不要", false),
    ("可不可以", false),
    ("行不行", false),
    ("好不好", false),
    ("差别", false),
    ("特别", false),
    ("区别", false),
];

struct Patterns {
    kinds: AhoCorasick,
    of_kind: Vec<QuestionKind>,
    denials: AhoCorasick,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    let words = KINDS.iter().flat_map(|(_, words)| words.iter());
    let of_kind = KINDS.iter().flat_map(|(kind, words)| words.iter().map(|_| *kind)).collect();
    let denials = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(DENIALS.map(|(word, _)| word));
    Some(Patterns { kinds: AhoCorasick::new(words).ok()?, of_kind, denials: denials.ok()? })
});

/// Traits of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Traits {
    kind: Option<QuestionKind>,
    denies: bool,
    /// One bit for each number named.
    numbers: u64,
    letters: u16,
}

/// How far two texts agree; each value is 1 for agreement, 0 for a conflict, 0.5 where one of them says nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Agreement {
    pub kind: f32,
    pub denial: f32,
    pub numbers: f32,
    /// Length of the shorter text / that of the longer.
    pub length: f32,
}

impl Traits {
    /// Traits of a canonical text.
    pub fn of(canonical: &str) -> Self {
        let length = u16::try_from(letters(canonical).count()).unwrap_or(u16::MAX);
        let Some(patterns) = PATTERNS.as_ref() else { return Self::default() };
        let hits =
            patterns.kinds.find_overlapping_iter(canonical).filter(|hit| is_whole(canonical, hit.start(), hit.end()));
        let kind = hits.map(|hit| patterns.of_kind[hit.pattern()]).min();
        let denials = patterns.denials.find_iter(canonical).filter(|hit| DENIALS[hit.pattern()].1).count();
        Self { kind, denies: denials % 2 == 1, numbers: numbers(canonical), letters: length }
    }

    pub fn agreement(&self, other: &Self) -> Agreement {
        let kind = match (self.kind, other.kind) {
            (Some(one), Some(two)) if one == two => 1.0,
            (Some(one), Some(two)) if !NEAR.contains(&(one, two)) && !NEAR.contains(&(two, one)) => 0.0,
            _ => 0.5,
        };
        let numbers = if self.numbers == 0 || other.numbers == 0 {
            0.5
        } else {
            f32::from(u8::from(self.numbers & other.numbers != 0))
        };
        let (short, long) = (self.letters.min(other.letters), self.letters.max(other.letters));
        Agreement {
            kind,
            denial: f32::from(u8::from(self.denies == other.denies)),
            numbers,
            length: f32::from(short) / f32::from(long.max(1)),
        }
    }
}

/// Whether the bytes `start..end` are no part of a longer Latin word: show asks no how.
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
    let bytes = text.as_bytes();
    let (before, after) = (start.checked_sub(1).and_then(|at| bytes.get(at)), bytes.get(end));
    !(is_letter(bytes.get(start)) && is_letter(before) || is_letter(bytes.get(end - 1)) && is_letter(after))
}

/// Numbers as bits, one of 64 each: 3天 and 三天 share one. A single 一 is an article more often than a number: 换一个.
fn numbers(canonical: &str) -> u64 {
    let mut bits = 0;
    let mut written = String::new();
    for c in canonical.chars().chain([' ']) {
        if c.is_ascii_digit() || NUMERALS.contains(c) {
            written.push(c);
        } else if !written.is_empty() {
            if written != "一" {
                let mut hasher = FxHasher::default();
                value(&written).hash(&mut hasher);
                bits |= 1 << (hasher.finish() >> 58);
            }
            written.clear();
        }
    }
    bits
}

const NUMERALS: &str = "零一二两三四五六七八九十百千万";

/// Value of digits and numerals: 三十, 30 and 三0 are 30; too large a number is cut.
fn value(written: &str) -> u64 {
    let (mut whole, mut part, mut digits) = (0_u64, 0_u64, 0_u64);
    for c in written.chars() {
        let place = match c {
            '十' => 10,
            '百' => 100,
            '千' => 1_000,
            '万' => 10_000,
            _ => {
                digits = digits.saturating_mul(10).saturating_add(digit(c));
                continue;
            }
        };
        if place == 10_000 {
            whole = whole.saturating_add(part.saturating_add(digits).max(1).saturating_mul(place));
            part = 0;
        } else {
            part = part.saturating_add(digits.max(1).saturating_mul(place));
        }
        digits = 0;
    }
    whole.saturating_add(part).saturating_add(digits)
}

fn digit(c: char) -> u64 {
    let numeral = |c: char| "零一二三四五六七八九".chars().position(|known| known == c);
    match c {
        '两' => 2,
        _ => c.to_digit(10).map(u64::from).or_else(|| u64::try_from(numeral(c)?).ok()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(one: &str, two: &str) -> Agreement {
        Traits::of(one).agreement(&Traits::of(two))
    }

    #[test]
    fn kinds_of_questions_are_told_apart() {
        for (text, kind) in [
            ("什么时候发货", When),
            ("退款多久到", HowLong),
            ("怎么还不发货", Why),
            ("怎么退货", How),
            ("哪里改地址", Where),
            ("能不能包邮", Whether),
            ("when will it ship", When),
            ("can i show it", Whether),
        ] {
            assert_eq!(Traits::of(text).kind, Some(kind), "{text}");
        }
        assert_eq!(Traits::of("退货").kind, None);
    }

    #[test]
    fn agreement_knows_conflicts_from_silence() {
        assert_eq!(agreement("什么时候发货", "为什么发货").kind, 0.0);
        assert_eq!(agreement("什么时候发货", "多久发货").kind, 0.5);
        assert_eq!(agreement("什么时候发货", "发货").kind, 0.5);
        assert_eq!(agreement("收到货了", "没收到货").denial, 0.0);
        assert_eq!(agreement("有没有货", "有货").denial, 1.0);
        assert_eq!(agreement("满300减30", "满200减20").numbers, 0.0);
        assert_eq!(agreement("3天能到", "三天能到").numbers, 1.0);
        assert_eq!(agreement("3天能到", "能到").numbers, 0.5);
        assert_eq!(agreement("3天能到", "三十天能到").numbers, 0.0);
        assert_eq!(agreement("30天", "三十天").numbers, 1.0);
        assert_eq!(agreement("1天能到", "3天能到").numbers, 0.0);
        assert_eq!(agreement("发货", "发货发货").length, 0.5);
    }
}
