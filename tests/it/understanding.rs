//! People type as they like: pinyin, typos, two questions at once, half a question, numbers without a word.

use std::sync::Arc;

use serde_json::json;
use yingda::eval::dataset::read_queries;
use yingda::eval::metrics::summarise;
use yingda::faq::load::{built_in_analyzer, entries_from_jsonl};
use yingda::knowledge::{Extras, build_matcher};
use yingda::matching::{Matcher, Thresholds};

use crate::harness::{TestApp, starter_pack};

#[tokio::test]
async fn two_questions_in_one_message_are_both_met() {
    let app = TestApp::start().await;
    let both = app.say("two", "什么时候发货？可以开发票吗").await;
    assert_eq!(both.entry(), "dispatch-time", "{}", both.summary());
    assert_eq!(both.menu(), ["invoice-get"]);
    assert!(both.text().contains("能开发票吗"), "{}", both.text());
    let other = app.say("two", "1").await;
    assert_eq!((other.reason(), other.entry()), ("menu_choice", "invoice-get"));
}

#[tokio::test]
async fn half_a_question_is_read_with_the_one_before() {
    let app = TestApp::start().await;
    for (conversation, first, entry, half, other) in [
        ("exchange", "换货怎么操作", "exchange-how", "那退货呢", "return-how"),
        ("refund", "怎么退款", "refund-apply", "那多久到账呢", "refund-when"),
        ("postage", "退货的运费谁出", "return-postage", "那换货呢", "exchange-postage"),
        ("carrier", "你们发什么快递", "logistics-carrier", "那可以换顺丰吗", "logistics-choose-carrier"),
    ] {
        assert_eq!(app.say(conversation, first).await.entry(), entry);
        assert_eq!(app.say(conversation, half).await.entry(), other, "{half}");
    }
    let alone = app.say("alone", "那换成呢").await;
    assert_ne!(alone.action(), "answer", "nothing was asked before: {}", alone.summary());
}

#[tokio::test]
async fn half_a_question_after_the_conversation_was_closed_stands_alone() {
    let app = TestApp::start().await;
    app.say("closed", "怎么退款").await;
    app.happens("closed", "closed").await;
    let after = app.say("closed", "那多久到账呢").await;
    assert_ne!(after.action(), "answer", "{}", after.summary());
}

#[tokio::test]
async fn pinyin_is_answered_in_chinese() {
    let app = TestApp::start().await;
    for (text, entry) in
        [("shenme shihou fahuo", "dispatch-time"), ("sm shihou fh", "dispatch-time"), ("zenme tuikuan", "refund-apply")]
    {
        let decision = app.say(text, text).await;
        assert_eq!(decision.entry(), entry, "{text}: {}", decision.summary());
        assert_eq!(decision.language(), "zh-Hans", "{text}");
    }
    for text in ["kuaidi dao nar le", "wo xiang wen yi xia"] {
        let decision = app.say(text, text).await;
        assert_eq!(decision.language(), "zh-Hans", "{text}: {}", decision.summary());
    }
    let english = app.say("english", "when will it ship").await;
    assert_eq!(english.language(), "en");
}

#[test]
fn mistyped_and_abbreviated_questions_find_their_entries() {
    let generation = starter_pack().current();
    let queries = read_queries(include_str!("../eval/robust/queries.jsonl")).unwrap();
    let outcomes =
        yingda::eval::run(&generation.matcher, &generation.corpus.entries, &queries, Thresholds::default(), |_| None)
            .unwrap();
    let reached = summarise(&outcomes);
    let bars = [("top1", reached.top1, 0.84), ("hit3", reached.hit3, 0.90), ("precision", reached.precision, 0.96)];
    let missed: Vec<_> = bars.iter().filter(|(_, value, bar)| value < bar).collect();
    assert!(missed.is_empty(), "{missed:?}\n{reached}");
}

#[test]
fn every_way_of_writing_a_question_is_one_question() {
    let matcher = &starter_pack().current().matcher;
    let best = |text: &str| matcher.find(&matcher.read(text), 5, |_| Some(0)).unwrap();
    for (plain, other) in [
        ("什么时候发货", "什麼時候發貨"),
        ("什么时候发货", "什么时候　发货？？？"),
        ("可以用优惠券吗", "可以用優惠券嗎"),
        ("支持iphone15吗", "支持ＩＰＨＯＮＥ１５吗"),
        ("怎么退款", "亲😊怎么退款呀"),
    ] {
        assert_eq!(best(plain).best().map(|best| best.entry), best(other).best().map(|best| best.entry), "{other}");
    }
}

fn corpus(rows: impl Iterator<Item = (String, Vec<String>)>) -> Matcher {
    let rows: Vec<String> = rows
        .map(|(id, texts)| {
            json!({ "id": id, "question": texts[0], "alts": texts[1..], "answer": "好的。" }).to_string()
        })
        .collect();
    let entries = entries_from_jsonl("rows", &rows.join("\n")).unwrap();
    let analyzer = Arc::new(built_in_analyzer().unwrap());
    build_matcher(&entries, &analyzer, "", Extras::default(), None).unwrap()
}

fn one(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

#[test]
fn a_corpus_of_one_entry_answers_it_and_nothing_else() {
    let matcher = corpus(std::iter::once(("ship".to_owned(), one("什么时候发货"))));
    let ask = |text: &str| matcher.find(&matcher.read(text), 3, |_| Some(0)).unwrap();
    assert!(ask("什么时候发货").best().unwrap().exact);
    assert!(ask("今天什么时候可以发货呀").best().unwrap().confidence > 0.6);
    for other in ["今天天气不错", "时候不早了", "货", "hello"] {
        assert!(ask(other).best().is_none_or(|best| best.confidence < 0.5), "{other}: {:?}", ask(other).best());
    }
}

#[test]
fn ten_thousand_entries_that_differ_in_one_character_are_never_guessed_among() {
    let letter = |number: u32| char::from_u32(0x4E00 + number).unwrap();
    let matcher = corpus(
        (0..10_000).map(|number| (format!("e{number}"), one(&format!("这款{}色的什么时候发货", letter(number))))),
    );
    for number in [0, 77, 4_321, 9_999] {
        let asked = matcher.read(&format!("这款{}色的什么时候发货呢", letter(number)));
        let found = matcher.find(&asked, 3, |_| Some(0)).unwrap();
        // Two characters may be one in Simplified script.
        let phrasing = matcher.phrasings().text(found.best().unwrap().phrasing as usize);
        assert!(asked.text.starts_with(phrasing), "{} finds {phrasing}", asked.text);
    }
    for vague in ["这款什么时候发货", "这款什么色的什么时候发货", "什么时候发货"] {
        let found = matcher.find(&matcher.read(vague), 3, |_| Some(0)).unwrap();
        assert!(found.best().unwrap().confidence < 0.75, "{vague}: {:?}", found.best());
    }
}

#[test]
fn learning_twice_gives_the_same_confidences() {
    let texts = |entry: usize| {
        (0..4).map(|at| format!("第{entry}个问题的第{at}种问法{}", "嗯啊呀呢".chars().nth(at).unwrap())).collect()
    };
    let build = || corpus((0..60).map(|entry| (format!("e{entry}"), texts(entry))));
    let (one, two) = (build(), build());
    assert_eq!(one.calibration(), two.calibration());
    for text in ["第7个问题", "第3个问题的第2种", "问法"] {
        let ask = |matcher: &Matcher| matcher.find(&matcher.read(text), 5, |_| Some(0)).unwrap();
        assert_eq!(ask(&one), ask(&two));
    }
}

#[tokio::test]
async fn courtesies_one_after_another_are_a_farewell() {
    let app = TestApp::start().await;
    for text in ["好的谢谢，拜拜", "好的谢谢拜拜", "知道了，谢谢亲，再见"] {
        app.say(text, "什么时候发货").await;
        let decision = app.say(text, text).await;
        assert_eq!((decision.action(), decision.reason()), ("close", "farewell"), "{text}");
    }
    app.say("no farewell", "什么时候发货").await;
    assert_ne!(app.say("no farewell", "好的谢谢，那怎么退款").await.action(), "close");
}

#[tokio::test]
async fn a_number_alone_asks_nothing_and_is_no_english() {
    let app = TestApp::start().await;
    app.say("number", "你好").await;
    for text in [
        "SF1234567890123",
        "订单号：2026112212345678",
        "13800138000",
        "我的手机号是13800138000",
        "order number 2026112212345678",
    ] {
        let decision = app.say("number", text).await;
        assert_eq!((decision.action(), decision.reason()), ("silent", "queued"), "{text}");
    }
    let first = app.say("number first", "SF1234567890123").await;
    assert_eq!((first.action(), first.language()), ("greet", "zh-Hans"));
    for text in ["订单号在哪里看", "满300减30怎么用", "身高165体重52穿什么码"] {
        assert_ne!(app.say(text, text).await.action(), "greet", "{text}");
    }
}

#[tokio::test]
async fn a_remark_after_an_answer_does_not_bring_the_answer_again() {
    let app = TestApp::start().await;
    for (place, remark) in
        ["那好", "那就好", "那我知道了谢谢", "那算了", "如果下雨", "那我先睡了", "and I love you", "那猫呢"]
            .iter()
            .enumerate()
    {
        let conversation = format!("remark {place}");
        assert_eq!(app.say(&conversation, "什么时候发货").await.entry(), "dispatch-time");
        let decision = app.say(&conversation, remark).await;
        assert_ne!(decision.action(), "answer", "{remark}: {}", decision.summary());
    }
}

#[tokio::test]
async fn courtesies_and_chat_letters_ask_nothing() {
    let app = TestApp::start().await;
    app.say("chat", "什么时候发货").await;
    for text in ["thx", "嗯嗯 hh", "感谢你", "多谢你", "lol hh", "哈哈hh"] {
        let decision = app.say("chat", text).await;
        assert_ne!(decision.action(), "answer", "{text}: {}", decision.summary());
    }
}

#[test]
fn what_an_editor_put_out_of_scope_is_never_answered() {
    let generation = starter_pack().current();
    let matcher = &generation.matcher;
    for text in &generation.corpus.out_of_scope {
        let found = matcher.find(&matcher.read(text), 3, |_| Some(0)).unwrap();
        assert!(found.best().is_none(), "{text}: {:?}", found.best());
    }
}

#[test]
fn english_and_long_latin_texts_are_left_alone() {
    let matcher = &starter_pack().current().matcher;
    for text in ["women size please", "can you help me with the size", "android phone case", "I want to change it"] {
        assert_eq!(matcher.read(text).text, matcher.analyzer().analyse(text).text, "{text}");
    }
    let started = std::time::Instant::now();
    for long in ["ni ".repeat(171), "zenmetuikuan".repeat(40)] {
        assert!(!matcher.read(&long).is_empty());
    }
    assert!(started.elapsed().as_millis() < 200, "{:?}", started.elapsed());
}

#[test]
fn phrasings_read_as_they_are_written() {
    let generation = starter_pack().current();
    let matcher = &generation.matcher;
    let phrasings = generation.corpus.entries.iter().flat_map(|entry| &entry.phrasings);
    for phrasing in phrasings {
        assert_eq!(matcher.read(phrasing).text, matcher.analyzer().analyse(phrasing).text, "{phrasing}");
    }
}

#[test]
fn each_of_many_shops_finds_its_own_entry_by_the_same_words() {
    let matcher = corpus((0..120).map(|shop| (format!("shop{shop}"), one("什么时候发货"))));
    for shop in [0, 41, 119] {
        let found = matcher.find(&matcher.read("什么时候发货"), 3, |entry| (entry == shop).then_some(1)).unwrap();
        assert_eq!(found.best().map(|best| (best.entry, best.exact)), Some((shop, true)));
        let near = matcher.find(&matcher.read("什么时候能发货呀"), 3, |entry| (entry == shop).then_some(1)).unwrap();
        assert_eq!(near.best().map(|best| best.entry), Some(shop));
    }
}
