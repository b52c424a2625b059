//! What personal data looks like, one row a form; what an earlier row finds is its own.

use super::place;

/// A match in its text.
pub(super) struct Found<'a> {
    pub before: &'a str,
    pub text: &'a str,
    pub after: &'a str,
}

/// One form of personal data.
pub(super) struct Rule {
    /// What it is replaced by.
    pub sign: &'static str,
    /// Case is ignored. The group `it` is hidden; without one, the whole match.
    pub pattern: &'static str,
    /// Whether a match is what it looks like.
    pub holds: fn(&Found) -> bool,
    /// A letter may follow at once: 13800138000wx同号.
    pub before_letters: bool,
    /// The end of an address, whose beginning is looked for backwards.
    pub is_place: bool,
}

/// What patterns write shorter; each may use those below it.
pub(super) const SHORTHANDS: [(&str, &str); 12] = [
    ("<tail>", r"(?:<house>|之\d+|-\d+|\d{3,}| ?<building>)*"),
    ("<house>", " ?<building>?<number> ?<unit>"),
    (
        "<building>",
        concat!(
            "(?:<name>{1,8}?(?:大[厦廈楼樓]|小[区區]|社[区區]|公寓|广场|廣場|[园園][区區]?|苑|新村|新城|中心|宿舍",
            "|大[学學]|[学學]院|[学學]校|中[学學]|小[学學]|[医醫]院|酒店|公司))",
        ),
    ),
    ("<number>", r"(?:[\dA-Z]{1,5}(?:-\d{1,4}){0,2}|[一二三四五六七八九十百甲乙丙东南西北]{1,4})"),
    ("<unit>", "(?:号楼|號樓|号院|[号號栋棟幢座室房户戶楼樓层層弄期F]|单元|單元)"),
    ("<name>", place::NAME),
    ("<no_name>", place::NO_NAME),
    ("<sep>", "(?: {0,2}[-.]? {0,2})"),
    ("<day>", r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"),
    ("<region>", r"(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])\d{4}"),
    ("<wechat>", "(?:微信|薇信|威信|we ?chat|weixin|v信|vx|wx|qq|扣扣|抖音|小红书|旺旺)"),
    (r"\d", "[0-9]"),
];

pub(super) static RULES: &[Rule] = &[
    row("〔邮箱〕", r"[a-z0-9._%+-]+@(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]+"),
    // GB 11643: region, birthday, sequence, check; the form before 1999 has no century and no check. Then Taiwan, Hong Kong.
    row("〔证件〕", r"<region>[ -]?(?:18|19|20)\d{2}[ -]?<day>[ -]?\d{3}[\dX]"),
    row("〔证件〕", r"<region>\d{2}<day>\d{3}"),
    row("〔证件〕", r"[A-Z][1289]\d{8}"),
    row("〔证件〕", r"[A-Z]{1,2}\d{6}\([\dA]\)"),
    row("〔卡号〕", r"[34569]\d{3}(?:[ -]?\d{4}){3}(?:[ -]?\d{1,3})?").only(|it| luhn(it) && !is_counted(it)),
    row("〔卡号〕", r"[34569]\d{3}(?:[ -]\d{4}){3}").only(luhn),
    // Mainland mobile numbers, grouped as people group them.
    phone(
        "〔手机〕",
        concat!(
            r"(?:(?:\+|00)?86<sep>|\(\+?86\) ?|0)?(?:1[3-9]\d<sep>\d{4}<sep>\d{4}|1[3-9]\d\d<sep>\d{3}<sep>\d{4}",
            r"|1[3-9]\d\d<sep>\d{4}<sep>\d{3}|1[3-9]\d<sep>\d{3}<sep>\d{5}|1[3-9]\d{3}<sep>\d{6}",
            r"|1[ .-][3-9](?:[ .-]\d){9})",
        ),
    ),
    phone(
        "〔手机〕",
        r"(?:(?:\+|00)886<sep>(?:\(0\)|0)?|0)9(?:\d\d<sep>\d{3}<sep>\d{3}|<sep>\d{4}<sep>\d{4})",
    ),
    phone("〔手机〕", r"(?:(?:\+|00)85[23]<sep>|85[23][ -]|\(85[23]\) ?)[4-9]\d{3}<sep>\d{4}"),
    phone("〔电话〕", r"(?:(?:\+|00)85[23]<sep>|85[23][ -]|\(85[23]\) ?)[23]\d{3}<sep>\d{4}"),
    phone("〔电话〕", r"(?:\+|00)886<sep>(?:\(0\)|0)?[2-8]<sep>\d{3,4}<sep>\d{4}"),
    phone(
        "〔电话〕",
        r"(?:(?:\+|00)86<sep>\d{2,3}|\(0\d{2,3}\)|0\d{2,3})<sep>[1-9]\d{2,3}<sep>\d{4}(?: ?[-转轉] ?\d{1,6})?",
    ),
    phone("〔电话〕", r"(?:\(0[2-8]\)|0[2-8])<sep>\d{3,4}<sep>\d{4}(?: ?[#转轉] ?\d{1,6})?"),
    phone("〔电话〕", r"0[3-8]\d{1,2}-\d{6}|0800<sep>\d{2,3}<sep>\d{3,4}"),
    row("〔电话〕", r"[48]00-?(?:\d{3}-?\d{4}|\d{4}-?\d{3})"),
    phone("〔电话〕", r"\+[1-9]\d{0,2}[ -]?\(?\d{1,4}\)?[ -]?\d{3,4}[ -]?\d{3,4}").only(|it| digits(it.text) >= 9),
    // Eight digits are a telephone in Hong Kong, or in a mainland town, only beside a word for it; 手机 5999-6999 are prices.
    phone(
        "〔电话〕",
        concat!(
            "(?:电话|電話|座机|座機|固话|联系方式|聯絡|联络|致电|致電|whatsapp|tel|手[机機](?: ?[:是]|号码?|號碼?)",
            "|(?:phone|mobile)(?: ?:| ?no| number))(?:号码|號碼|[号號是为為 :,.(]|no|number|me|us|at|on|is){0,6}?",
            r"(?<it>[5-9]\d{2,3}[ -]?\d{4})",
        ),
    )
    .only(no_amount),
    phone("〔电话〕", r"(?:手[机機]|phone|mobile) ?(?<it>[5-9]\d{7})").only(no_amount),
    phone("〔电话〕", r"(?<it>[5-9]\d{3}[ -]?\d{4})[ ,(]{0,2}whatsapp"),
    // WeChat ids have 6 to 20 characters, QQ numbers 5 to 11 digits. After 号, id or a colon letters are enough.
    row(
        "〔账号〕",
        concat!(
            "(?:<wechat>(?: ?(?:号码|[账帐賬帳]?[号號]|id|群号?)[ :=是为為]{0,4}| ?[:=是为為][ :]{0,2})|line ?id[ :=是]{0,3})",
            "(?<it>[a-z0-9][a-z0-9_-]{3,18}[a-z0-9])",
        ),
    )
    .only(no_amount),
    row("〔账号〕", r"(?:<wechat>|加我|加[vq微]) ?[:,(]? ?(?<it>[a-z0-9][a-z0-9_-]{3,18}[a-z0-9])")
        .only(|it| digits(it.text) > 0 && no_amount(it)),
    row(
        "〔单号〕",
        concat!(
            "(?:订单|訂單|单号|單號|运单|運單|快[递遞][单單]|物流[单單]|order|tracking)",
            "(?:编号|編號|号|號| ?no| number| id)?[ :.是#]{0,3}(?<it>[a-z0-9](?:-?[a-z0-9]){5,39})",
        ),
    )
    .only(|it| digits(it.text) >= 6 && !is_date(it.text) && no_amount(it)),
    row("〔单号〕", r"\d{3}-\d{7}-\d{7}|\d{4}(?:-\d{4}){3}"),
    row("〔单号〕", "[a-z0-9]{9,}").only(|it| digits(it.text) >= 10 || longest_number(it.text) >= 8 && has_letter(it.text)),
    // Addresses: a street with a number; a town and a street; a building with a number; a number of a house with a room.
    place("[路街道巷](?: ?<number>[段巷弄])* ?<number> ?[号號弄]<tail>").only(|it| place::is_street(it.before, it.text)),
    place(concat!(
        r"[省市州盟区區县縣] ?<name>{1,7}(?:[区區县縣镇鎮乡鄉]|街道) ?(?:<name>{1,6}?(?:[镇鎮乡鄉]|街道) ?)?",
        r"[\d<name>]{1,8}?(?:[路道巷村屯]|街道?|<building>)(?:\d+[组組队隊])?<tail>",
    )),
    place("(?:大[厦廈]|小[区區]|社[区區]|花[园園]|公寓|家[园園]|苑|新村) ?<number>(?:号楼|號樓|[栋棟幢座室楼樓]|单元|單元)<tail>"),
    place(r"\d{1,3}(?:[栋棟幢]|号楼|號樓) ?(?:\d{1,2}(?:单元|單元) ?\d{1,4}|\d{3,4})[室房号號]?"),
];

const fn row(sign: &'static str, pattern: &'static str) -> Rule {
    Rule { sign, pattern, holds: |_| true, before_letters: false, is_place: false }
}

const fn phone(sign: &'static str, pattern: &'static str) -> Rule {
    Rule { before_letters: true, ..row(sign, pattern) }
}

const fn place(pattern: &'static str) -> Rule {
    Rule { before_letters: true, is_place: true, ..row("〔地址〕", pattern) }
}

impl Rule {
    const fn only(self, holds: fn(&Found) -> bool) -> Self {
        Self { holds, ..self }
    }
}

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

fn has_letter(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_alphabetic())
}

/// Digits of the longest number: eight in SF12345678, four in 1280x1024.
fn longest_number(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or_default()
}

/// The check of ISO/IEC 7812: every second digit from the right doubled, the sum of all digits is a multiple of ten.
fn luhn(it: &Found) -> bool {
    let digits = it.text.bytes().rev().filter(u8::is_ascii_digit).map(|digit| u32::from(digit - b'0'));
    let weighed = digits.enumerate().map(|(at, digit)| match digit * if at % 2 == 1 { 2 } else { 1 } {
        sum @ 10.. => sum - 9,
        sum => sum,
    });
    weighed.sum::<u32>().is_multiple_of(10)
}

/// Whether this is no bare number of money or things.
fn no_amount(it: &Found) -> bool {
    digits(it.text) < it.text.len() || !is_counted(it)
}

/// Whether a unit of money, things or time follows.
fn is_counted(it: &Found) -> bool {
    it.after.trim_start().starts_with(|c| "元块塊圆圓件双雙個个折%天年月".contains(c))
}

/// Whether these are eight digits such as 20260506 or 2026-05-06.
fn is_date(text: &str) -> bool {
    let number: String = text.chars().filter(char::is_ascii_digit).collect();
    number.len() == 8 && (number.starts_with("19") || number.starts_with("20")) && !has_letter(text)
}
