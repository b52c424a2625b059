//! Words that must not reach a customer: gaps, off-platform contacts, blame, empty phrases, unbound scarcity.

use std::sync::LazyLock;

use regex::Regex;

use crate::analysis::{Analyzer, letters};
use crate::faq::fault::Severity;

/// Something wrong in one text.
pub(super) struct Problem {
    pub severity: Severity,
    pub what: &'static str,
    pub mend: &'static str,
}

/// What a pattern is matched against.
#[derive(PartialEq, Eq)]
enum View {
    /// The text as written.
    Written,
    /// Its letters alone, Simplified and lower case: dots and spaces between them hide nothing.
    Letters,
}

struct Rule {
    severity: Severity,
    /// What the rule forbids in a wording may be bound in `shop.toml`.
    bindable: bool,
    view: View,
    pattern: &'static str,
    what: &'static str,
    mend: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        severity: Severity::Error,
        bindable: false,
        view: View::Written,
        pattern: r"(?i)(?:^|[^a-z])x{3,}(?:[^a-z]|$)|[X×x][天元件日]|×{2,}|\*{3,}|[<＜][^<>＜＞]{1,12}[>＞]|\[(?:name|姓名|名字|日期|金额)\]|_{3,}|某某",
        what: "a gap left in the template (XXX, X天, <名字>)",
        mend: "write the value, or a placeholder such as {{ ship_days }}",
    },
    Rule {
        severity: Severity::Error,
        bindable: false,
        view: View::Letters,
        pattern: r"(?:加|扫|联系|搜|留)(?:我|你|您|个|下|一下)*(?:微信|薇信|威信|v信|vx|wx|qq|企鹅|wechat)|(?:微信|薇信|威信|wechat|qq|vx|wx)(?:号|是|为)*[a-z0-9_]*[0-9][a-z0-9_]{3,}|(?:微信|薇信|威信)号",
        what: "an off-platform contact",
        mend: "platforms punish it: point to the shop's own service instead",
    },
    Rule {
        severity: Severity::Error,
        bindable: true,
        view: View::Letters,
        pattern: r"(?:^|[^0-9])(?:1[3-9][0-9]{9}|400[0-9]{7})(?:[^0-9]|$)",
        what: "a phone number",
        mend: "platforms punish it: point to the shop's own service, or bind the number in shop.toml",
    },
    Rule {
        severity: Severity::Error,
        bindable: false,
        view: View::Letters,
        pattern: r"全网最低|史上最低|国家级|全国第一|世界第一|绝对正品|百分百有效|包治|稳赚",
        what: "a claim that advertising law forbids",
        mend: "say it without the superlative or the promise",
    },
    Rule {
        severity: Severity::Error,
        bindable: false,
        view: View::Letters,
        pattern: r"傻逼|滚蛋|爱买不买|神经病|脑残|妈的|去死|白痴",
        what: "an insult",
        mend: "delete it",
    },
    Rule {
        severity: Severity::Warning,
        bindable: false,
        view: View::Letters,
        pattern: r"但是(?:您|你|亲)|(?:您|你)自己(?:没|不|选|拍|填|写|操作|弄)|谁让(?:您|你)|只能怪|没看清楚吗|说过多少",
        what: "words that blame the customer",
        mend: "say what can be done instead of whose fault it is",
    },
    Rule {
        severity: Severity::Error,
        bindable: true,
        view: View::Letters,
        pattern: r"(?:最后|仅剩|只剩|限量|还剩)[0-9一二三四五六七八九十百两]+(?:件|个|小时|分钟|套|份|台|双|只|条|瓶|名)",
        what: "a scarcity claim without a bound value",
        mend: "bind the number to a placeholder, such as 仅剩{{ stock }}件, or delete the claim",
    },
    Rule {
        severity: Severity::Error,
        bindable: true,
        view: View::Letters,
        pattern: r"^(?:希望.{0,4}(?:能|可以)?帮(?:到|助).{0,10}|请采纳.{0,8}|有.{0,3}问题.{0,6}(?:找|联系).{0,8}|谢谢.{0,4}|略|无|暂无|待补充|todo|tbd|同上|见上|不清楚|不知道)?$",
        what: "an answer without content",
        mend: "write what the customer should know or do",
    },
];

static PATTERNS: LazyLock<Vec<(Regex, &'static Rule)>> =
    LazyLock::new(|| RULES.iter().filter_map(|rule| Some((Regex::new(rule.pattern).ok()?, rule))).collect());

/// Every rule that a wording breaks.
pub(super) fn problems(text: &str, analyzer: &Analyzer) -> Vec<Problem> {
    broken(text, analyzer, |_| true)
}

/// Rules that a value of `shop.toml` breaks; what is bound there is what the others ask for.
pub(super) fn value_problems(text: &str, analyzer: &Analyzer) -> Vec<Problem> {
    broken(text, analyzer, |rule| !rule.bindable)
}

fn broken(text: &str, analyzer: &Analyzer, applies: impl Fn(&Rule) -> bool) -> Vec<Problem> {
    let squeezed: String = letters(&analyzer.canonical(text)).collect();
    PATTERNS
        .iter()
        .filter(|(_, rule)| applies(rule))
        .filter(|(pattern, rule)| pattern.is_match(if rule.view == View::Written { text } else { &squeezed }))
        .map(|(_, rule)| Problem { severity: rule.severity, what: rule.what, mend: rule.mend })
        .collect()
}

/// Letters that a greeting needs beyond its courtesies to carry anything.
const GREETING_CONTENT: usize = 5;

/// Courtesies, in squeezed canonical text.
const COURTESIES: &str = r"欢迎(?:您|你)?(?:来到|光临|惠顾|回来)?|光临|惠顾|(?:本|小|我们)?店铺?|(?:很|非常|十分)?(?:高兴|荣幸|乐意)|(?:竭诚)?为(?:您|你)服务|请?(?:稍等|稍候)(?:一下)?|在(?:的|吗|呢)|您|你|亲|好|们|的|啊|呀|哦|呢|hello|hi|dear|customer|friend|there|welcome|to(?:our)?(?:shop|store)|nicetomeetyou|gladtoserveyou|pleasewait|onemoment|good(?:morning|afternoon|evening)";

/// A name, which is a courtesy whatever it is filled with.
const NAME: &str = r"\{\{\s*(?:customer|shop)_name\b.*?\}\}";

static COURTESY_PATTERNS: LazyLock<Option<(Regex, Regex)>> =
    LazyLock::new(|| Some((Regex::new(NAME).ok()?, Regex::new(COURTESIES).ok()?)));

/// Whether a greeting says nothing but hello.
pub(super) fn is_bare_greeting(text: &str, analyzer: &Analyzer) -> bool {
    let Some((name, courtesies)) = &*COURTESY_PATTERNS else { return false };
    if text.contains("{{ promo") {
        return false;
    }
    let squeezed: String = letters(&analyzer.canonical(&name.replace_all(text, ","))).collect();
    courtesies.replace_all(&squeezed, "").chars().count() < GREETING_CONTENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faq::load::built_in_analyzer;

    fn breaks(text: &str) -> Vec<&'static str> {
        problems(text, &built_in_analyzer().unwrap()).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), RULES.len());
    }

    #[test]
    fn hidden_contacts_are_found() {
        for text in [
            "请加微.信咨询",
            "加 V 信 领券",
            "微信号是：abc",
            "qq：12345678",
            "打 138 0013 8000 就行",
            "热线400-123-4567",
        ] {
            assert!(!breaks(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn ordinary_answers_pass() {
        for text in [
            "支持微信支付和支付宝，下单时选择即可。",
            "订单号是20261122123456789的请稍等，我们查一下。",
            "付款后{{ ship_hours }}小时内发出。",
        ] {
            assert_eq!(breaks(text), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn gaps_scarcity_and_empty_answers_are_found() {
        for text in
            ["由于XXX的原因", "X天内发货", "亲爱的<真实名字>，您好", "最后100件，快抢", "请采纳", "……", "希望能帮到你"]
        {
            assert!(!breaks(text).is_empty(), "{text}");
        }
    }
}
