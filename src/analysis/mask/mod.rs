//! Personal data of customers, hidden in texts that go into logs, samples and reports.

mod place;
mod rules;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use self::rules::{Found, RULES, Rule, SHORTHANDS};

/// Passes over one text. What one pass hides may uncover the edge of something else: a second pass is common, a third rare.
const PASSES: usize = 8;

/// Stands for a whole text that still changes after all passes: it was built to be hard to read.
const UNREADABLE: &str = "〔隐去〕";

/// Masks every text of a value; keys stay, and texts that are a time (RFC 3339): a fraction of a second is no number of
/// anybody.
pub fn mask_json(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => {}
        Value::String(text) => *text = mask(text).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(mask_json),
        Value::Object(fields) => fields.values_mut().for_each(mask_json),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `text` with personal data replaced by what it was: 〔手机〕 mobile numbers, 〔电话〕 other telephone numbers, 〔邮箱〕 e-mail,
/// 〔证件〕 identity cards, 〔卡号〕 bank cards, 〔单号〕 order and tracking numbers, 〔账号〕 WeChat, QQ and LINE ids,
/// 〔地址〕 postal addresses down to the street.
///
/// Knows the ways of the mainland, Taiwan and Hong Kong to write them, in full-width characters too. Prices, sizes, quantities,
/// dates, times and regions survive. It works on the look of a text alone, so it hides too much rather than too little:
/// any ten digits in a row are taken for an order number. Names of people are not recognised.
///
/// Idempotent; the time grows with the length of the text.
#[must_use]
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(text);
    for _ in 0..PASSES {
        match pass(&masked) {
            Some(next) => masked = Cow::Owned(next),
            None => return masked,
        }
    }
    Cow::Borrowed(UNREADABLE)
}

/// The rules with their patterns, in order; a unit test sees that every pattern compiles.
static COMPILED: LazyLock<Vec<(Regex, &'static Rule)>> = LazyLock::new(|| {
    let compiled = |rule: &'static Rule| {
        let pattern = SHORTHANDS.iter().fold(rule.pattern.to_owned(), |text, (short, long)| text.replace(short, long));
        Some((Regex::new(&format!("(?i){pattern}")).ok()?, rule))
    };
    RULES.iter().filter_map(compiled).collect()
});

/// `text` with everything hidden that the rules find side by side; `None` when they find nothing.
fn pass(text: &str) -> Option<String> {
    let folded = Folded::new(text);
    let mut taken = vec![false; folded.text.len()];
    let mut found: Vec<(Range<usize>, &str)> = Vec::new();
    for (pattern, rule) in COMPILED.iter() {
        for span in spans(&folded.text, pattern, rule) {
            // An earlier rule knows better; where the two only overlap, the next pass finds the rest.
            if !taken[span.clone()].contains(&true) {
                taken[span.clone()].fill(true);
                found.push((span, rule.sign));
            }
        }
    }
    if found.is_empty() {
        return None;
    }
    found.sort_unstable_by_key(|(span, _)| span.start);
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for (span, sign) in found {
        masked.push_str(&text[end..folded.origin[span.start]]);
        masked.push_str(sign);
        end = folded.origin[span.end];
    }
    masked.push_str(&text[end..]);
    Some(masked)
}

/// What one rule finds, from left to right; the spans do not overlap.
fn spans(text: &str, pattern: &Regex, rule: &Rule) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while let Some(captures) = pattern.captures_at(text, from) {
        let Some(whole) = captures.get(0) else { break };
        let hidden = captures.name("it").unwrap_or(whole).range();
        let (before, after) = (&text[..hidden.start], &text[hidden.end..]);
        let found = Found { before, text: &text[hidden.clone()], after };
        if stands_alone(text, whole.start(), hidden.end, rule) && (rule.holds)(&found) {
            from = hidden.end;
            let start = if rule.is_place { place::start(text, hidden.start) } else { hidden.start };
            let free = spans.last().map_or(0, |last| last.end);
            spans.push(start.max(free)..hidden.end);
        } else {
            from = next_start(text, whole.start());
        }
    }
    spans
}

/// Whether a match is no part of a longer number or word.
fn stands_alone(text: &str, start: usize, end: usize, rule: &Rule) -> bool {
    let (Some(before), Some(first)) = (text[..start].chars().next_back(), text[start..].chars().next()) else {
        return !runs_on(text, end, rule);
    };
    let inside = before.is_ascii_digit() || (before.is_ascii_alphabetic() && first.is_ascii_alphanumeric());
    (rule.is_place || !inside) && !runs_on(text, end, rule)
}

fn runs_on(text: &str, end: usize, rule: &Rule) -> bool {
    let last = text[..end].chars().next_back();
    let after = text[end..].chars().next();
    last.is_some_and(|last| last.is_ascii_alphanumeric())
        && after.is_some_and(|c| c.is_ascii_digit() || (c.is_ascii_alphabetic() && !rule.before_letters))
}

/// Where to look on after a match at `start` that was none: no match begins within the same run of letters and digits.
fn next_start(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let run = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    start + run.max(rest.chars().next().map_or(1, char::len_utf8))
}

/// A text in the characters that the rules know, each with its place in the original.
struct Folded {
    text: String,
    /// Byte in the original of each byte of `text`, and of its end.
    origin: Vec<usize>,
}

impl Folded {
    fn new(original: &str) -> Self {
        let mut folded =
            Self { text: String::with_capacity(original.len()), origin: Vec::with_capacity(original.len()) };
        for (at, c) in original.char_indices() {
            if let Some(c) = fold(c) {
                folded.text.push(c);
                folded.origin.resize(folded.text.len(), at);
            }
        }
        folded.origin.push(original.len());
        folded
    }
}

/// Full-width forms as ASCII, every dash and dot as one, and nothing for what cannot be seen.
fn fold(c: char) -> Option<char> {
    let moved = |by: u32| char::from_u32(u32::from(c) - by);
    match c {
        '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{AD}' => None,
        '！'..='～' => moved(0xFEE0),
        '𝟎'..='𝟿' => char::from_digit((u32::from(c) - 0x1_D7CE) % 10, 10),
        '\u{3000}' | '\u{A0}' | '\t' => Some(' '),
        '\u{2010}'..='\u{2015}' | '−' => Some('-'),
        '·' | '•' | '・' => Some('.'),
        _ => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Instant;

    fn becomes(cases: &[(&str, &str)]) {
        let wrong: Vec<String> = cases
            .iter()
            .filter(|(text, expected)| mask(text) != *expected)
            .map(|(text, expected)| format!("{text} -> {}, not {expected}", mask(text)))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    fn survives(texts: &[&str]) {
        becomes(&texts.iter().map(|text| (*text, *text)).collect::<Vec<_>>());
    }

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(COMPILED.len(), RULES.len());
    }

    #[test]
    fn mobile_numbers_are_hidden() {
        becomes(&[
            ("我的手机13800138000谢谢", "我的手机〔手机〕谢谢"),
            ("13800138000", "〔手机〕"),
            ("+86 138 0013 8000", "〔手机〕"),
            ("+8613800138000", "〔手机〕"),
            ("008613800138000打不通", "〔手机〕打不通"),
            ("(+86)13800138000", "〔手机〕"),
            ("86-138-0013-8000", "〔手机〕"),
            ("138-0013-8000", "〔手机〕"),
            ("138 0013 8000", "〔手机〕"),
            ("138.0013.8000", "〔手机〕"),
            ("138 - 0013 - 8000", "〔手机〕"),
            ("138—0013—8000", "〔手机〕"),
            ("1380 013 8000", "〔手机〕"),
            ("1380013 8000", "〔手机〕"),
            ("138 00138000", "〔手机〕"),
            ("138 001 38000", "〔手机〕"),
            ("13800 138000", "〔手机〕"),
            ("1 3 8 0 0 1 3 8 0 0 0", "〔手机〕"),
            ("１３８００１３８０００", "〔手机〕"),
            ("１３８－００１３－８０００", "〔手机〕"),
            ("13800\u{200B}138000", "〔手机〕"),
            ("13800138000wx同号", "〔手机〕wx同号"),
            ("收件人张三,13800138000,急", "收件人张三,〔手机〕,急"),
            ("13800138000 13900139000", "〔手机〕 〔手机〕"),
            ("13800138000/13900139000", "〔手机〕/〔手机〕"),
            ("我的手機0912-345-678", "我的手機〔手机〕"),
            ("0912345678", "〔手机〕"),
            ("0912 345678", "〔手机〕"),
            ("+886 912 345 678", "〔手机〕"),
            ("+886-0912-345-678", "〔手机〕"),
            ("+886(0)912345678", "〔手机〕"),
            ("+852 9123 4567", "〔手机〕"),
            ("+85261234567", "〔手机〕"),
            ("852-9123-4567", "〔手机〕"),
            ("(852) 91234567", "〔手机〕"),
            ("+853 6612 3456", "〔手机〕"),
        ]);
    }

    #[test]
    fn other_telephones_are_hidden() {
        becomes(&[
            ("电话 5123 4567", "电话 〔电话〕"),
            ("手機:91234567", "手機:〔电话〕"),
            ("手机 91234567", "手机 〔电话〕"),
            ("WhatsApp me at 9123 4567 please", "WhatsApp me at 〔电话〕 please"),
            ("91234567 whatsapp", "〔电话〕 whatsapp"),
            ("我电话号码是8812345", "我电话号码是〔电话〕"),
            ("+852 2345 6789", "〔电话〕"),
            ("010-88886666", "〔电话〕"),
            ("0755-8888 6666", "〔电话〕"),
            ("(0755)88886666转801", "〔电话〕"),
            ("02088886666", "〔电话〕"),
            ("+86 21 6888 6666", "〔电话〕"),
            ("（02）2345-6789", "〔电话〕"),
            ("02-23456789#123", "〔电话〕"),
            ("+886 2 2345 6789", "〔电话〕"),
            ("037-123456", "〔电话〕"),
            ("0800-123-456", "〔电话〕"),
            ("0800-30-1313", "〔电话〕"),
            ("客服400-820-8820", "客服〔电话〕"),
            ("4008208820", "〔电话〕"),
            ("400-8208-820", "〔电话〕"),
            ("+1 (415) 555-2671", "〔电话〕"),
            ("+65 9123 4567", "〔电话〕"),
        ]);
    }

    #[test]
    fn mail_identity_cards_and_bank_cards_are_hidden() {
        becomes(&[
            ("发到abc_1.2@mail.qq.com谢谢", "发到〔邮箱〕谢谢"),
            ("123456789@qq.com", "〔邮箱〕"),
            ("ａｂｃ＠ｑｑ．ｃｏｍ", "〔邮箱〕"),
            ("身份证11010519491231002X", "身份证〔证件〕"),
            ("11010519491231002x", "〔证件〕"),
            ("110105 19491231 002X", "〔证件〕"),
            ("440301199003071234哈", "〔证件〕哈"),
            ("110105491231002", "〔证件〕"),
            ("身分證A123456789", "身分證〔证件〕"),
            ("a823456789", "〔证件〕"),
            ("A123456(7)", "〔证件〕"),
            ("卡号6222021234567890128", "卡号〔卡号〕"),
            ("4111 1111 1111 1111", "〔卡号〕"),
            ("4111-1111-1111-1111", "〔卡号〕"),
            ("退到4111 1111 1111 1111 59元", "退到〔卡号〕 59元"),
        ]);
    }

    #[test]
    fn orders_and_parcels_are_hidden() {
        becomes(&[
            ("订单315987654321098765还没发", "订单〔单号〕还没发"),
            ("SF1234567890123到哪了", "〔单号〕到哪了"),
            ("sf1234567890123", "〔单号〕"),
            ("RR123456789CN", "〔单号〕"),
            ("JDVA00012345678", "〔单号〕"),
            ("单号是7712345678901", "单号是〔单号〕"),
            ("订单号：123456", "订单号：〔单号〕"),
            ("運單號 AB-1234-5678", "運單號 〔单号〕"),
            ("112-1234567-1234567", "〔单号〕"),
            ("https://item.taobao.com/item.htm?id=612345678901", "https://item.taobao.com/item.htm?id=〔单号〕"),
        ]);
    }

    #[test]
    fn accounts_are_hidden() {
        becomes(&[
            ("加我微信 abc_12345", "加我微信 〔账号〕"),
            ("微信号：zhangsanfeng", "微信号：〔账号〕"),
            ("wx:zhang-san", "wx:〔账号〕"),
            ("vx zhangsan88", "vx 〔账号〕"),
            ("wx13800138000", "wx〔账号〕"),
            ("WeChat ID: zhangsan", "WeChat ID: 〔账号〕"),
            ("QQ12345678", "QQ〔账号〕"),
            ("qq群 987654321", "qq群 〔账号〕"),
            ("加我 qwe_789", "加我 〔账号〕"),
            ("加V：abc12345", "加V：〔账号〕"),
            ("LINE ID: shop_tw", "LINE ID: 〔账号〕"),
            ("我的weixin是abcdef，记得加", "我的weixin是〔账号〕，记得加"),
        ]);
    }

    #[test]
    fn addresses_are_hidden() {
        becomes(&[
            ("寄到广东省深圳市南山区科技园科苑路15号科兴科学园B栋3单元1201室", "寄到〔地址〕"),
            ("地址：浙江省杭州市西湖区文三路100号", "地址：〔地址〕"),
            ("浙江省 杭州市 西湖区 文三路 100号 2幢501", "〔地址〕"),
            ("台北市信義區松仁路100號5樓", "〔地址〕"),
            ("110台北市信義區松仁路100號5樓之2，謝謝", "110〔地址〕，謝謝"),
            ("新北市板橋區文化路一段188巷12弄5號3樓", "〔地址〕"),
            ("香港九龍旺角彌敦道100號A座5樓", "〔地址〕"),
            ("麻烦改成上海市浦东新区世纪大道100弄3号502室", "麻烦改成〔地址〕"),
            ("我住中山北路12号", "我住〔地址〕"),
            ("阳光花园3栋2单元502", "〔地址〕"),
            ("送到3号楼2单元501室门口", "送到〔地址〕门口"),
            ("河南省周口市太康县王集乡李庄村12组", "〔地址〕"),
            ("科苑路15号13800138000张三", "〔地址〕〔手机〕张三"),
            ("北京市朝阳区建国路８８号", "〔地址〕"),
            ("40355 台中市西區五權路 2-107 號 11 樓", "40355 〔地址〕"),
            ("江苏省南京市溧水区石湫镇南京工业大学浦江学院 高海收", "〔地址〕 高海收"),
            ("湖南省长沙市岳麓区桃花岭街道桃花社区3栋", "〔地址〕"),
        ]);
    }

    #[test]
    fn what_is_no_personal_data_survives() {
        survives(&[
            "",
            "亲，在吗",
            "满59元包邮吗",
            "618和双11哪个便宜",
            "双12 1111 有活动吗",
            "3-5天能到吗",
            "尺码170/92A，175/96A",
            "165 170 175 180 185",
            "身高175体重130穿几码",
            "1380元能便宜点吗",
            "¥12,999.00",
            "手机 5999-6999 的有吗",
            "2026-05-06 12:30:45 下的单",
            "2026年5月6日 20260506",
            "10月1日-10月7日放假",
            "营业时间 08:00-23:00",
            "2021 2022 2023 2024 年款",
            "1000 1200 1500 1800 多少钱",
            "iPhone 15 Pro Max 256GB",
            "型号ABC-1234567有货吗",
            "要100件，每件19.9",
            "微信支付可以吗",
            "微信转10000元",
            "微信 10000元",
            "QQ糖5包",
            "打12315投诉",
            "12306",
            "不知道3号能不能到",
            "5号发货吗",
            "广东省深圳市多久到",
            "上海市浦东新区包邮吗",
            "坐2号线到3楼",
            "how long does it take, 3 to 5 days?",
            "订单 2026-05-06 拍的",
            "订单 100000元",
            "40*60*120cm",
            "1280x1024",
            "192.168.1.100",
            "😀😀 2件 80% off",
        ]);
        assert!(matches!(mask("满59元包邮吗"), Cow::Borrowed(_)));
    }

    #[test]
    fn several_kinds_in_one_text_are_told_apart() {
        becomes(&[
            (
                "张三 13800138000 广东省深圳市南山区科苑路15号 订单315987654321098765，买了2件共159元",
                "张三 〔手机〕 〔地址〕 订单〔单号〕，买了2件共159元",
            ),
            ("微信abc12345 邮箱a@b.cn 电话010-88886666", "微信〔账号〕 邮箱〔邮箱〕 电话〔电话〕"),
            ("〔手机〕已隐去", "〔手机〕已隐去"),
        ]);
    }

    #[test]
    fn the_time_grows_with_the_length() {
        for piece in
            ["1", "a", "路", "省市", "1 ", "a@", "微信", "科技路12号", "1380013", "13800138000 ", "3栋", "电话:", "+1 "]
        {
            let took = |length: usize| {
                let text = piece.repeat(length / piece.len());
                let started = Instant::now();
                let _masked = mask(&text);
                started.elapsed()
            };
            took(1_000);
            let (short, long) = (took(20_000), took(160_000));
            assert!(long < short * 40 + std::time::Duration::from_millis(200), "{piece}: {short:?}, {long:?}");
        }
    }

    /// Texts of pieces that may become personal data beside each other.
    fn pieces() -> impl Strategy<Value = String> {
        let pieces = [
            "1",
            "138",
            "0013",
            "8000",
            "13800138000",
            "+86",
            "0086",
            "-",
            " ",
            ".",
            ",",
            "，",
            "\n",
            "@",
            "qq.com",
            "a",
            "SF",
            "X",
            "110105",
            "19491231",
            "002",
            "4111",
            "1111",
            "微信",
            "号",
            "：",
            "电话",
            "手机",
            "订单",
            "加我",
            "元",
            "09",
            "+852",
            "(",
            ")",
            "浙江省",
            "杭州市",
            "西湖区",
            "文三",
            "路",
            "12",
            "号",
            "3栋",
            "2单元",
            "室",
            "楼",
            "花园",
            "〔手机〕",
            "〕",
            "〔",
            "０",
            "９",
            "\u{200B}",
            "村",
            "组",
            "_",
        ];
        proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn masking_again_changes_nothing(text in prop_oneof![pieces(), any::<String>(), "[0-9 a-z.@+-]{0,60}"]) {
            let masked = mask(&text).into_owned();
            prop_assert_ne!(&masked, UNREADABLE);
            prop_assert_eq!(mask(&masked), masked.as_str());
        }

        #[test]
        fn no_ten_digits_in_a_row_are_left(text in pieces()) {
            let digits = Regex::new("[0-9]{10}").unwrap();
            prop_assert!(!digits.is_match(&mask(&text)), "{}", mask(&text));
        }
    }
}
