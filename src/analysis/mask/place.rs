//! Where a postal address begins: backwards from its first sure sign over names of towns and streets.

/// A character that names of places are made of: Han, without the words that stand before addresses.
pub(super) const NAME: &str = "[[㐀-鿿]--[<no_name>]]";

/// Characters of words that stand before addresses and in no name of a place.
pub(super) const NO_NAME: &str =
    "到至在於是为為给給寄送住我你您他她们們吗嗎呢吧了请請问問哪么麼怎这這就也要想把麻烦煩帮幫忙改换換址";

/// What ends a part of an address.
const PARTS: &str = "省市州盟区區县縣旗镇鎮乡鄉";

const PROVINCES: [&str; 47] = [
    "北京",
    "天津",
    "上海",
    "重庆",
    "重慶",
    "河北",
    "山西",
    "辽宁",
    "遼寧",
    "吉林",
    "黑龙江",
    "黑龍江",
    "江苏",
    "江蘇",
    "浙江",
    "安徽",
    "福建",
    "江西",
    "山东",
    "山東",
    "河南",
    "湖北",
    "湖南",
    "广东",
    "廣東",
    "广西",
    "廣西",
    "海南",
    "四川",
    "贵州",
    "貴州",
    "云南",
    "雲南",
    "西藏",
    "陕西",
    "陝西",
    "甘肃",
    "甘肅",
    "青海",
    "宁夏",
    "寧夏",
    "新疆",
    "内蒙古",
    "台湾",
    "台灣",
    "香港",
    "澳门",
];

/// Words that end like a street and are none: 不知道3号能不能到.
const NO_STREETS: [&str; 12] =
    ["知道", "味道", "频道", "頻道", "渠道", "通道", "难道", "一路", "半路", "线路", "电路", "逛街"];

/// Characters that are looked through backwards.
const REACH: usize = 40;

/// Characters of a name without a sign before it: 科技路, 中山北路; 杭州市, 浦东新区.
const NAME_LENGTH: usize = 4;

/// Whether the street of a match, which begins with its last character, has a name.
pub(super) fn is_street(before: &str, found: &str) -> bool {
    let Some(kind) = found.chars().next() else { return false };
    let is_none = |word: &str| word.strip_suffix(kind).is_some_and(|stem| before.ends_with(stem));
    before.chars().next_back().is_some_and(is_name) && !NO_STREETS.iter().any(|word| is_none(word))
}

/// Start of the address whose first sure sign is at `sign`.
pub(super) fn start(text: &str, sign: usize) -> usize {
    let run = names_before(text, sign);
    let begin = sign - run.len();
    // The sign itself may end the first part, as 市 does.
    let signed = &text[begin..][..run.len() + text[sign..].chars().next().map_or(0, char::len_utf8)];
    let part = signed.find(|c: char| PARTS.contains(c)).unwrap_or(signed.len());
    let province = PROVINCES.iter().filter_map(|name| run.find(name)).min();
    match province {
        Some(province) if province < part => begin + province,
        _ => {
            let name = run[..part.min(run.len())].char_indices().rev();
            begin + name.take(NAME_LENGTH).last().map_or(part.min(run.len()), |(at, _)| at)
        }
    }
}

/// The names that end at `sign`, in one run; a space may stand after a part.
fn names_before(text: &str, sign: usize) -> &str {
    let mut begin = sign;
    for (at, c) in text[..sign].char_indices().rev().take(REACH) {
        let after_part = || text[..at].ends_with(|c: char| PARTS.contains(c));
        if !(is_name(c) || c == ' ' && after_part()) {
            break;
        }
        begin = at;
    }
    &text[begin..sign]
}

fn is_name(c: char) -> bool {
    ('㐀'..='鿿').contains(&c) && !NO_NAME.contains(c)
}
