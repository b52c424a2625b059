//! The one chain: idempotent, the same for both scripts, and never surprised by a text.

use std::sync::OnceLock;

use proptest::prelude::*;
use yingda::analysis::language::Language;
use yingda::analysis::{Analysis, Analyzer, is_han_character, letters};
use yingda::faq::load::built_in_analyzer;

use crate::harness::starter_pack;

fn analyzer() -> &'static Analyzer {
    static ANALYZER: OnceLock<Analyzer> = OnceLock::new();
    ANALYZER.get_or_init(|| built_in_analyzer().unwrap())
}

/// Pairs of characters that Traditional and Simplified script write differently.
const PAIRS: [(char, char); 40] = [
    ('發', '发'),
    ('貨', '货'),
    ('時', '时'),
    ('間', '间'),
    ('麼', '么'),
    ('東', '东'),
    ('買', '买'),
    ('賣', '卖'),
    ('這', '这'),
    ('個', '个'),
    ('們', '们'),
    ('還', '还'),
    ('過', '过'),
    ('對', '对'),
    ('會', '会'),
    ('來', '来'),
    ('錢', '钱'),
    ('價', '价'),
    ('單', '单'),
    ('訂', '订'),
    ('寄', '寄'),
    ('遞', '递'),
    ('換', '换'),
    ('質', '质'),
    ('壞', '坏'),
    ('錯', '错'),
    ('給', '给'),
    ('點', '点'),
    ('開', '开'),
    ('關', '关'),
    ('電', '电'),
    ('視', '视'),
    ('機', '机'),
    ('鞋', '鞋'),
    ('襯', '衬'),
    ('褲', '裤'),
    ('裡', '里'),
    ('號', '号'),
    ('碼', '码'),
    ('顏', '颜'),
];

/// Texts of the kinds that reach a shop: both scripts, letters, digits, punctuation, emoji, marks and rubbish.
fn texts() -> impl Strategy<Value = String> {
    let common: Vec<char> =
        "的了吗呢我你在有没什么时候发货退款快递亲请问谢谢打坏乾隆着著里裡后後面麵".chars().collect();
    let odd: Vec<char> = "aZ9 \t\n,.!?。，！？…～'’＂Ａｚ０①½ﷺßİſΣς가가〇々゛ﾞｶか\u{0}\u{7}\u{200b}\u{200d}\u{301}\u{fe0f}\u{feff}\u{202e}😀👍🇨🇳𠮷丽\u{2f800}\u{10ffff}"
        .chars()
        .collect();
    let paired: Vec<char> = PAIRS.iter().map(|(traditional, _)| *traditional).collect();
    let letter = prop_oneof![
        4 => prop::sample::select(common),
        3 => prop::sample::select(paired),
        3 => prop::sample::select(odd),
        1 => any::<char>(),
    ];
    prop::collection::vec(letter, 0..40).prop_map(|letters| letters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_canonical_text_of_a_canonical_text_is_itself(text in texts()) {
        let once = analyzer().canonical(&text);
        prop_assert_eq!(analyzer().canonical(&once), once);
    }

    #[test]
    fn a_key_is_what_is_matched_without_its_gaps(text in texts()) {
        prop_assert_eq!(analyzer().key(&text), letters(&analyzer().analyse(&text).text).collect::<String>());
    }

    #[test]
    fn no_text_is_a_surprise(text in texts()) {
        let analysis = analyzer().analyse(&text);
        prop_assert!(analysis.full.contains(&analysis.text));
        for word in &analysis.words {
            prop_assert!(analysis.text.get(word.span.clone()).is_some_and(|word| !word.is_empty()));
        }
        prop_assert!(analysis.words.windows(2).all(|pair| pair[0].position <= pair[1].position));
        drop(analyzer().speech_acts(&analysis));
        drop(analyzer().traditionalise(&text));
    }

    #[test]
    fn a_canonical_text_holds_letters_and_single_gaps_only(text in texts()) {
        let canonical = analyzer().canonical(&text);
        let fine = |c: char| c.is_alphanumeric() || is_han_character(c) || c == ',' || c == ' ';
        prop_assert!(canonical.chars().all(fine), "{:?}", canonical);
        for gap in [", ", " ,", ",,", "  "] {
            prop_assert!(!canonical.contains(gap), "{:?}", canonical);
        }
        prop_assert_eq!(canonical.trim_matches([',', ' ']), &canonical);
    }

    #[test]
    fn no_traditional_character_is_left(places in prop::collection::vec(0..PAIRS.len(), 1..12)) {
        let text: String = places.iter().map(|place| PAIRS[*place].0).collect();
        let canonical = analyzer().canonical(&text);
        let left: Vec<char> =
            PAIRS.iter().filter(|(from, to)| from != to && canonical.contains(*from)).map(|(from, _)| *from).collect();
        prop_assert!(left.is_empty(), "{} -> {} keeps {:?}", text, canonical, left);
    }

    #[test]
    fn any_string_at_all_is_analysed(text in any::<String>()) {
        drop(analyzer().analyse(&text));
        drop(analyzer().key(&text));
    }

    #[test]
    fn a_case_or_width_changes_nothing(text in "[a-z0-9 ]{0,20}") {
        let wide: String = text.chars().map(|c| if c == ' ' { '\u{3000}' } else { char::from_u32(c as u32 + 0xFEE0).unwrap() }).collect();
        prop_assert_eq!(analyzer().canonical(&text.to_uppercase()), analyzer().canonical(&text));
        prop_assert_eq!(analyzer().canonical(&wide), analyzer().canonical(&text));
    }
}

/// What buyers ask, written for this test.
const SENTENCES: [&str; 48] = [
    "我前天买的裙子什么时候能发出来",
    "这件外套有没有大一码的",
    "麻烦帮我改一下收货地址",
    "快递显示签收了可是我没收到",
    "退款多久能到账",
    "发票可以开公司抬头吗",
    "鞋子穿了两天就开胶了怎么办",
    "满三百减五十的券怎么用不了",
    "这个颜色会不会掉色",
    "能不能货到付款",
    "海外可以邮寄吗，运费怎么算",
    "我想把两个订单合并发货",
    "衬衫能不能机洗",
    "保修期是多长时间",
    "会员积分怎么兑换礼品",
    "订单取消了钱退到哪里",
    "你们几点下班",
    "收到的杯子碎了",
    "少发了一双袜子",
    "这款手机壳适合哪个型号",
    "预售的商品什么时候付尾款",
    "可以开电子发票吗",
    "身高一米六体重一百斤穿什么码",
    "包装盒能不能换成礼盒",
    "优惠券过期了还能补吗",
    "买贵了可以退差价吗",
    "七天无理由退货怎么申请",
    "电视机送货上门包安装吗",
    "面料是纯棉的吗",
    "我的订单为什么被关闭了",
    "怎么联系快递员",
    "换货的运费谁出",
    "宝宝对这个材质过敏吗",
    "这条裤子里面有没有加绒",
    "价格什么时候会降",
    "东西还没用就坏了",
    "下单之后可以改尺码吗",
    "拍错了怎么退",
    "一个账号能买几件",
    "送的赠品没有收到",
    "质量怎么样，会起球吗",
    "现在还有货吗",
    "后面还会补货吗",
    "头发护理套装怎么使用",
    "干洗还是水洗比较好",
    "钱付了两次怎么办",
    "台灯的灯泡可以换吗",
    "周末发不发货",
];

/// The words of a text, synonyms counted as one: what the matcher compares.
fn meaning(analysis: &Analysis) -> Vec<String> {
    let outer = analysis.words.iter().filter(|word| !word.inner).map(|word| &analysis.text[word.span.clone()]);
    outer.map(|word| analyzer().class(word).map_or_else(|| word.to_owned(), |class| format!("#{class}"))).collect()
}

#[test]
fn simplified_and_traditional_of_one_sentence_mean_the_same() {
    let analyzer = analyzer();
    let differ: Vec<String> = SENTENCES
        .into_iter()
        .map(|sentence| (sentence, analyzer.traditionalise(sentence)))
        .filter(|(simplified, traditional)| {
            meaning(&analyzer.analyse(simplified)) != meaning(&analyzer.analyse(traditional))
        })
        .map(|(simplified, traditional)| format!("{simplified} / {traditional}: {}", analyzer.key(&traditional)))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn simplified_and_traditional_of_one_sentence_have_one_key() {
    let analyzer = analyzer();
    for sentence in SENTENCES.into_iter().filter(|sentence| !sentence.contains("联系")) {
        assert_eq!(analyzer.key(&analyzer.traditionalise(sentence)), analyzer.key(sentence), "{sentence}");
    }
}

#[test]
fn simplified_and_traditional_are_cut_into_the_same_words() {
    let analyzer = analyzer();
    for (simplified, traditional) in
        [("什么时候发货", "什麼時候發貨"), ("优惠券怎么用", "優惠券怎麼用"), ("退货的运费谁出", "退貨的運費誰出")]
    {
        let (a, b) = (analyzer.analyse(simplified), analyzer.analyse(traditional));
        assert_eq!((&a.text, &a.words), (&b.text, &b.words), "{simplified}");
    }
}

#[test]
fn words_of_taiwan_and_hong_kong_mean_the_mainland_s() {
    let analyzer = analyzer();
    for (regional, common) in [
        ("甚麼時候", "什么时候"),
        ("網路", "网络"),
        ("簡訊", "短信"),
        ("聯絡", "联系"),
        ("折價券", "优惠券"),
        ("免運", "包邮"),
        ("出貨", "发货"),
    ] {
        assert_eq!(meaning(&analyzer.analyse(regional)), meaning(&analyzer.analyse(common)), "{regional}");
    }
}

#[test]
fn canonical_texts_of_awkward_kinds_are_stable() {
    let analyzer = analyzer();
    let mut unstable = Vec::new();
    for text in [
        "ᄀ\u{200b}ᅡ",
        "ᄀ\u{301}ᅡ",
        "么麼",
        "乾隆打壞",
        "乾隆打坏",
        "頭髮發貨",
        "İstanbul",
        "ﷺ",
        "½件",
        "\u{2f800}",
        "Ａ\u{2f800}",
        "甚麼甚麼甚麼",
        "著急著涼",
        "一只隻",
        "e\u{200b}\u{301}",
    ] {
        let once = analyzer.canonical(text);
        let twice = analyzer.canonical(&once);
        if twice != once {
            unstable.push(format!("{text} -> {once} -> {twice}"));
        }
    }
    assert!(unstable.is_empty(), "{unstable:?}");
}

#[test]
fn every_phrasing_of_the_starter_pack_has_a_stable_canonical_text() {
    let generation = starter_pack().current();
    let analyzer = generation.matcher.analyzer();
    for phrasing in generation.corpus.entries.iter().flat_map(|entry| &entry.phrasings) {
        let once = analyzer.canonical(phrasing);
        assert_eq!(analyzer.canonical(&once), once, "{phrasing}");
    }
}

#[test]
fn the_same_character_is_the_same_whatever_stands_beside_it() {
    let analyzer = analyzer();
    let alone = analyzer.canonical("\u{2f800}");
    assert_eq!(analyzer.canonical("Ａ\u{2f800}"), format!("a{alone}"));
}

#[test]
fn politeness_punctuation_and_spaces_do_not_change_the_key() {
    let analyzer = analyzer();
    let plain = analyzer.key("什么时候发货");
    for text in [
        "亲，什么时候发货呀？",
        "你好，请问什么时候发货",
        "什么时候发货~~~",
        "什么 时候 发货",
        "麻烦问下，什么时候发货，谢谢",
    ] {
        assert_eq!(analyzer.key(text), plain, "{text}");
    }
}

#[test]
fn a_filler_inside_a_word_stays() {
    let analyzer = analyzer();
    for text in ["亲子装有吗", "哈密瓜新鲜吗"] {
        let first = text.chars().next().unwrap();
        assert!(analyzer.analyse(text).text.starts_with(first), "{text}");
    }
}

#[test]
fn a_text_of_fillers_alone_keeps_its_letters() {
    let analyzer = analyzer();
    for text in ["亲", "在吗", "你好，请问", "谢谢"] {
        assert!(!analyzer.analyse(text).is_empty(), "{text}");
    }
}

#[test]
fn the_language_is_told_from_the_letters() {
    for (text, language) in [
        ("什么时候发货", Some(Language::ZhHans)),
        ("什麼時候發貨", Some(Language::ZhHant)),
        ("幾時出貨", Some(Language::ZhHant)),
        ("when will it ship", Some(Language::En)),
        ("iPhone 15 手机壳有吗", Some(Language::ZhHans)),
        ("我要 size M", Some(Language::ZhHans)),
        ("2", None),
        ("😀？！", None),
        ("", None),
    ] {
        assert_eq!(analyzer().analyse(text).language, language, "{text}");
    }
}

#[test]
fn speech_acts_are_heard_in_every_script_and_not_in_ordinary_questions() {
    use yingda::analysis::speech::SpeechAct::{Advertisement, Anger, AskHuman, Complaint, Farewell, Greeting, Thanks};
    let analyzer = analyzer();
    let acts = |text: &str| analyzer.speech_acts(&analyzer.analyse(text));
    for (text, act) in [
        ("轉人工", AskHuman),
        ("我要投訴你們", Complaint),
        ("氣死我了", Anger),
        ("謝謝", Thanks),
        ("拜拜～", Farewell),
        ("您好！", Greeting),
        ("在家兼职日结", Advertisement),
        ("I want to talk to a human", AskHuman),
    ] {
        assert!(acts(text).contains(&act), "{text}: {:?}", acts(text));
    }
    for text in ["要人工费吗", "有没有人工色素", "工商银行能付款吗", "垃圾袋有多大", "取消协议怎么办", "亲子装有吗"]
    {
        assert!(acts(text).is_empty(), "{text}: {:?}", acts(text));
    }
}

#[test]
fn letters_are_a_canonical_text_without_gaps() {
    assert_eq!(letters("发货,ship it").collect::<String>(), "发货shipit");
}
