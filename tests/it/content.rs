//! Content: every fault of all files at once, good content loads, and a broken reload changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use yingda::analysis::language::Language;
use yingda::faq::Entry;
use yingda::faq::fault::{Fault, Severity};
use yingda::faq::load::{LoadError, load};
use yingda::faq::order::OrderState;
use yingda::faq::script::ScriptKind;

use crate::harness::{Plan, TODAY, editable, fixture, project, starter_pack};

fn faults(folder: &Path) -> Vec<Fault> {
    match load(folder, TODAY) {
        Ok(loaded) => loaded.warnings,
        Err(LoadError::Faults(faults)) => faults,
        Err(error) => panic!("{error}"),
    }
}

fn shown(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

#[test]
fn every_fault_of_all_files_is_found_at_once() {
    insta::assert_snapshot!(shown(&faults(&fixture("faq_bad"))));
}

#[test]
fn each_fault_says_what_is_wrong_and_how_to_mend_it() {
    for fault in faults(&fixture("faq_bad")) {
        assert!(!fault.what.is_empty() && !fault.mend.is_empty(), "{fault}");
        assert!(fault.line > 0, "{fault}");
        let lines = std::fs::read_to_string(fixture("faq_bad").join(&fault.file)).unwrap().lines().count();
        assert!(fault.line <= lines, "{fault}");
    }
}

/// Faults of an otherwise good folder in which one file is written or replaced.
fn with_file(file: &str, text: impl AsRef<[u8]>) -> Vec<Fault> {
    let folder = editable(&fixture("shop"));
    std::fs::write(folder.path().join(file), text).unwrap();
    let mut found = faults(folder.path());
    found.retain(|fault| fault.file == file);
    found
}

/// The faults of each answer, all of them loaded at once.
fn faults_of_answers(answers: &[&str]) -> Vec<Vec<Fault>> {
    let entry = |(number, answer)| {
        format!("[[entry]]\nid = \"probe-{number}\"\nquestion = \"第{number}条怎么样\"\nanswer = '''{answer}'''\n")
    };
    let text: String = answers.iter().enumerate().map(entry).collect();
    let found = with_file("probe.toml", text);
    let of = |number| found.iter().filter(|fault| fault.what.contains(&format!("`probe-{number}`"))).cloned().collect();
    (0..answers.len()).map(of).collect()
}

#[test]
fn answers_with_a_fault_are_found() {
    let cases = [
        ("", Severity::Error, ""),
        ("   ", Severity::Error, ""),
        ("……", Severity::Error, "without content"),
        ("略", Severity::Error, "without content"),
        ("TODO", Severity::Error, "without content"),
        ("希望能帮到您", Severity::Error, "without content"),
        ("請採納", Severity::Error, "without content"),
        ("由XXX承运，三天到", Severity::Error, "gap"),
        ("由xxxx承运，三天到", Severity::Error, "gap"),
        ("由×××承运，三天到", Severity::Error, "gap"),
        ("由***承运，三天到", Severity::Error, "gap"),
        ("付款后X天内发货", Severity::Error, "gap"),
        ("亲爱的<名字>，您好，已经发货", Severity::Error, "gap"),
        ("请在____前付款，谢谢", Severity::Error, "gap"),
        ("请加微信咨询，马上回复", Severity::Error, "off-platform"),
        ("请加微.信咨询，马上回复", Severity::Error, "off-platform"),
        ("请加 微 信 咨询，马上回复", Severity::Error, "off-platform"),
        ("請加微信諮詢，馬上回覆", Severity::Error, "off-platform"),
        ("加V.X领券，人人有份", Severity::Error, "off-platform"),
        ("Ｑ Ｑ：1 2 3 4 5 6 7 8，欢迎咨询", Severity::Error, "off-platform"),
        ("打13800138000就行，随时在线", Severity::Error, "phone"),
        ("打138 0013 8000就行，随时在线", Severity::Error, "phone"),
        ("热线400-123-4567，随时在线", Severity::Error, "phone"),
        ("打１３８００１３８０００就行", Severity::Error, "phone"),
        ("全网最低价，放心买", Severity::Error, "advertising law"),
        ("全 網 最 低 價，放心買", Severity::Error, "advertising law"),
        ("国家级的品质，放心买", Severity::Error, "advertising law"),
        ("爱买不买，请自便", Severity::Error, "insult"),
        ("只能怪您下单太晚，请谅解", Severity::Warning, "blame"),
        ("是您自己没看清楚，请重拍", Severity::Warning, "blame"),
        ("仅剩3件，快抢，抢完为止", Severity::Error, "scarcity"),
        ("最后一百件，快抢，抢完为止", Severity::Error, "scarcity"),
        ("還剩２小時，快搶", Severity::Error, "scarcity"),
        ("还有{{ nobody_knows }}天就到", Severity::Error, "no source"),
        ("还有{{ order_id }}，请稍等", Severity::Error, "no source"),
        ("还有{{ nobody_knows }天就到", Severity::Error, "syntax"),
        ("{% for i in [1] %}好{% endfor %}，已经发货", Severity::Error, "placeholders"),
    ];
    let found = faults_of_answers(&cases.map(|(answer, ..)| answer));
    for ((answer, severity, what), found) in cases.iter().zip(found) {
        assert!(
            found.iter().any(|fault| fault.severity == *severity && fault.what.contains(what)),
            "{answer}: {}",
            shown(&found)
        );
    }
}

#[test]
fn ordinary_answers_have_no_fault() {
    let answers = [
        "支持微信支付和支付宝，下单时选择即可。",
        "订单号20261122123456789已经登记，请稍等。",
        "尺码从XS到XXL都有，详见商品页。",
        "XL码适合130斤左右。",
        "还剩{{ stock | default(\"少量\") }}件，需要请尽快下单。",
        "最后一步点提交就好。",
        "付款后48小时内发出，{{ promo }}。",
        "您可以在订单里点申请售后，选择退货退款。",
        "Please choose a size from S to 3XL.",
        "没有问题的，七天内都可以退换。",
        "如果您自己寄回，请保留快递单号。",
        "不清楚尺码的话，可以看商品页的尺码表。",
        "本店没有线下门店，全部由仓库直接发出。",
    ];
    for (answer, found) in answers.iter().zip(faults_of_answers(&answers)) {
        assert!(found.is_empty(), "{answer}: {}", shown(&found));
    }
}

#[test]
fn a_greeting_must_carry_help_or_a_promotion() {
    let scripts = std::fs::read_to_string(fixture("shop/scripts.toml")).unwrap();
    let script = |wording: &&str| {
        format!(
            "\n[[script]]\nid = '''{wording}'''\nkind = \"greeting\"\nchannels = [\"p\"]\nwordings = ['''{wording}''']\n"
        )
    };
    let bare = [
        "您好",
        "{{ customer_name | default(\"亲\") }}，您好！",
        "亲，您好！在的",
        "欢迎光临",
        "亲，您好，欢迎光临小店",
        "您好，很高兴为您服务",
        "您好，欢迎光临本店，很高兴为您服务",
        "Hello dear customer",
        "您好，請稍等",
    ];
    let full = [
        "您好，发货、退换、优惠都可以问我",
        "您好，现在{{ promo }}",
        "Hi, ask me about dispatch, returns and discounts.",
        "亲，尺码、发货都可以问",
        "{{ customer_name | default(\"亲\") }}，满{{ free_shipping | default(\"99\") }}元包邮",
    ];
    let text: String = std::iter::once(scripts).chain(bare.iter().chain(&full).map(script)).collect();
    let found = with_file("scripts.toml", text);
    let told = |wording: &str| found.iter().any(|fault| fault.what.contains(&format!("「{wording}」")));
    let passed: Vec<_> = bare.iter().filter(|wording| !told(wording)).collect();
    assert!(passed.is_empty(), "these say nothing: {passed:?}");
    let refused: Vec<_> = full.iter().filter(|wording| told(wording)).collect();
    assert!(refused.is_empty(), "these say something: {refused:?}");
}

#[test]
fn values_of_the_shop_are_checked_like_the_wordings_they_stand_in() {
    for (value, what) in
        [("加微.信领券", "off-platform"), ("全网最低", "advertising law"), ("XXX", "gap"), ("", "empty")]
    {
        let text = format!("[variables]\nshop_name = \"小店\"\nservice_hours = \"9:00-18:00\"\npromo = \"{value}\"\n");
        let found = with_file("shop.toml", text);
        assert!(found.iter().any(|fault| fault.what.contains(what)), "{value:?}: {}", shown(&found));
    }
}

#[test]
fn the_same_phrasing_in_two_entries_of_one_scope_is_found_past_a_scoped_one() {
    let one = |id: &str, scope: &str| {
        format!("[[entry]]\nid = \"{id}\"\nquestion = \"能开发票吗\"\nanswer = \"可以，下单时填写抬头。\"\n{scope}\n")
    };
    let scoped = "scope = { shop = [\"flagship\"] }";
    let found = with_file("probe.toml", format!("{}{}{}", one("a", ""), one("b", scoped), one("c", "")));
    assert_eq!(found.len(), 1, "{}", shown(&found));
    assert!(found[0].what.contains("`c`") && found[0].what.contains("`a`"), "{}", shown(&found));
}

#[test]
fn a_phrasing_is_the_same_in_any_script_width_and_politeness() {
    for other in ["什麼時候發貨", "什么时候发货？", "亲，什么时候发货呀", "什 么 时 候 发 货", "请问什么时候发货"]
    {
        let text = format!("[[entry]]\nid = \"probe\"\nquestion = \"{other}\"\nanswer = \"付款后两天内发出。\"\n");
        let found = with_file("probe.toml", text);
        assert!(found.iter().any(|fault| fault.what.contains("`ship`")), "{other}: {}", shown(&found));
    }
}

#[test]
fn jsonl_entries_load() {
    let row =
        "{\"id\":\"row\",\"question\":\"能刻字吗\",\"alts\":[\"可以刻名字吗\"],\"answer\":\"可以免费刻六个字。\"}\n";
    let folder = editable(&fixture("shop"));
    std::fs::write(folder.path().join("rows.jsonl"), format!("\u{feff}{row}\n")).unwrap();
    let loaded = load(folder.path(), TODAY).unwrap();
    let entry = loaded.corpus.entries.iter().find(|entry| &*entry.id == "row").unwrap();
    assert_eq!(entry.phrasings, ["能刻字吗", "可以刻名字吗"]);
    assert_eq!(entry.answer.get(Language::En), Some((Language::ZhHans, "可以免费刻六个字。")));
    assert_eq!(&*entry.topic, "rows");
}

#[test]
fn jsonl_entries_are_checked_like_toml_entries() {
    for (row, what) in [
        (r#"{"id":"","question":"能刻字吗","answer":"可以免费刻六个字。"}"#, "no id"),
        (r#"{"id":"A B","question":"能刻字吗","answer":"可以免费刻六个字。"}"#, "no id"),
        (r#"{"id":"row","question":"","answer":"可以免费刻六个字。"}"#, "no letter"),
        (r#"{"id":"row","question":"能刻字吗","answer":""}"#, "no answer"),
        (r#"{"id":"row","question":"能刻字吗","anser":"可以免费刻六个字。"}"#, ""),
        (r#"{"id":"ship","question":"能刻字吗","answer":"可以免费刻六个字。"}"#, "already"),
        (r#"{"id":"row","question":"什么时候发货","answer":"可以免费刻六个字。"}"#, "`ship`"),
    ] {
        let found = with_file("rows.jsonl", row);
        assert!(found.iter().any(|fault| fault.what.contains(what)), "{row}: {}", shown(&found));
    }
}

/// The entry `probe` of an otherwise good folder, with these keys besides id and question.
fn probe(keys: &str) -> Entry {
    let folder = editable(&fixture("shop"));
    let text = format!("[[entry]]\nid = \"probe\"\nquestion = \"能刻字吗\"\n{keys}");
    std::fs::write(folder.path().join("probe.toml"), text).unwrap();
    let loaded = load(folder.path(), TODAY).unwrap_or_else(|error| panic!("{keys}: {error:?}"));
    assert!(!loaded.warnings.iter().any(|fault| fault.file == "probe.toml"), "{}", shown(&loaded.warnings));
    loaded.corpus.entries.into_iter().find(|entry| &*entry.id == "probe").unwrap()
}

#[test]
fn a_state_answer_may_be_written_like_any_answer() {
    for keys in [
        "[entry.answer]\nzh-Hans = \"可以免费刻六个字。\"\n[entry.states.shipped]\nzh-Hans = \"已经发出，刻不了了。\"",
        "answer = \"可以免费刻六个字。\"\nstates = { shipped = \"已经发出，刻不了了。\" }",
        "answer = \"可以免费刻六个字。\"\nstates.shipped = { zh-Hans = \"已经发出，刻不了了。\" }",
        "states = { shipped = \"已经发出，刻不了了。\" }\n[entry.answer]\nzh-Hans = \"可以免费刻六个字。\"",
    ] {
        let entry = probe(keys);
        let said = |state| entry.answer_for(state).get(Language::ZhHans).map(|(_, text)| text);
        assert_eq!(said(Some(OrderState::Shipped)), Some("已经发出，刻不了了。"), "{keys}");
        for state in [None, Some(OrderState::Unpaid)] {
            assert_eq!(said(state), Some("可以免费刻六个字。"), "{keys}");
        }
    }
}

#[test]
fn a_state_answer_may_mention_what_the_situation_gives() {
    let entry =
        probe("answer = \"可以免费刻六个字。\"\nstates = { shipped = \"已由{{ carrier }}发出：{{ tracking_no }}\" }");
    assert_eq!(entry.states.len(), 1);
}

#[test]
fn a_fault_of_a_state_answer_names_its_own_line() {
    let head = "[[entry]]\nid = \"probe\"\nquestion = \"能刻字吗\"\nanswer = \"可以免费刻六个字。\"\n";
    for (states, line, what) in [
        ("[entry.states.shipped]\nzh-Hans = \"XXX天后到。\"", 5, "`probe` when shipped"),
        ("[entry.states.paid]\nzh-Hans = \"正在备货。\"\n[entry.states.sent]\nen = \"Sent.\"", 7, "`sent`"),
        ("states = { paid = \"正在备货。\", closed = \"可以免费刻六个字。\" }", 5, "the same as the general answer"),
        ("[entry.states]\npaid = \"正在备货。\"\nclosed = \"{{ menu }}\"", 7, "no source for {{ menu }}"),
    ] {
        let found = with_file("probe.toml", format!("{head}{states}\n"));
        assert_eq!(found.len(), 1, "{states}: {}", shown(&found));
        assert!(found[0].line == line && found[0].what.contains(what), "{states}: {}", shown(&found));
        assert!(!found[0].mend.is_empty());
    }
}

#[test]
fn a_script_may_be_for_some_tiers_of_customers() {
    let folder = editable(&fixture("shop"));
    let file = folder.path().join("scripts.toml");
    let text = "\n[[script]]\nid = \"gold\"\nkind = \"shipped\"\ntier = [\"vip\", \"gold\"]\nwordings = [\"已经优先发出了。\"]\n";
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + text).unwrap();
    let loaded = load(folder.path(), TODAY).unwrap();
    let script = loaded.corpus.scripts.iter().find(|script| &*script.id == "gold").unwrap();
    assert_eq!((script.kind, script.conditions.tier.join(" ")), (ScriptKind::Shipped, "vip gold".to_owned()));
}

#[test]
fn a_related_entry_that_does_not_exist_is_found() {
    let text = "[[entry]]\nid = \"probe\"\nquestion = \"能刻字吗\"\nanswer = \"可以免费刻六个字。\"\nrelated = [\"ship\", \"nowhere\"]\n";
    let found = with_file("probe.toml", text);
    assert_eq!(found.len(), 1, "{}", shown(&found));
    assert!(found[0].what.contains("`nowhere`, which does not exist"), "{}", shown(&found));
}

#[test]
fn entries_of_a_file_that_cannot_be_read_are_not_reported_missing() {
    let folder = editable(&fixture("shop"));
    let text =
        "[[entry]]\nid = \"probe\"\nquestion = \"能刻字吗\"\nanswer = \"可以免费刻六个字。\"\nrelated = [\"ship\"]\n";
    std::fs::write(folder.path().join("probe.toml"), text).unwrap();
    for broken in [b"[[entry]]\nid = \"ship".as_slice(), b"\xff\xff"] {
        std::fs::write(folder.path().join("goods.toml"), broken).unwrap();
        let mut found = faults(folder.path());
        found.retain(|fault| fault.severity == Severity::Error);
        assert!(!found.is_empty() && found.iter().all(|fault| fault.file == "goods.toml"), "{}", shown(&found));
    }
}

#[test]
fn a_missing_folder_is_named() {
    let found = faults(&project("no-such-folder"));
    let told = found.iter().find(|fault| fault.severity == Severity::Error).expect("an error");
    assert!(told.what.contains("no-such-folder"), "{told}");
}

#[test]
fn an_empty_folder_is_not_a_shop() {
    let folder = tempfile::tempdir().unwrap();
    let found = faults(folder.path());
    assert!(found.iter().any(|fault| fault.what.contains("no scripts")), "{}", shown(&found));
    assert!(
        found.iter().any(|fault| fault.severity == Severity::Error && fault.what.contains("no entries")),
        "a folder that a copy has emptied must not replace what serves: {}",
        shown(&found)
    );
}

#[test]
fn a_file_that_is_not_utf8_is_named_with_its_line() {
    let gb18030 = [b"# 1\n# 2\nquestion = \"".as_slice(), &[0xb7, 0xa2, 0xbb, 0xf5], b"\"\n"].concat();
    for file in ["probe.toml", "rows.jsonl", "dictionary.txt", "scripts.toml"] {
        let found = with_file(file, &gb18030);
        assert!(found.iter().any(|fault| fault.line == 3 && fault.what == "not UTF-8"), "{file}: {}", shown(&found));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = editable(&fixture("shop"));
    let file = folder.path().join("goods.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&file).is_ok() {
        return; // root reads everything
    }
    let found = faults(folder.path());
    assert!(
        found.iter().any(|fault| fault.file == "goods.toml" && fault.what.contains("cannot be read")),
        "{}",
        shown(&found)
    );
}

#[test]
fn a_dangling_link_is_named() {
    let folder = editable(&fixture("shop"));
    std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join("probe.toml")).unwrap();
    let found = faults(folder.path());
    assert!(
        found.iter().any(|fault| fault.file == "probe.toml" && fault.what.contains("cannot be read")),
        "{}",
        shown(&found)
    );
}

#[test]
fn a_file_cut_anywhere_is_never_a_panic() {
    let text = std::fs::read_to_string(fixture("shop/goods.toml")).unwrap();
    let folder = editable(&fixture("shop"));
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).step_by(211).collect();
    for at in places {
        std::fs::write(folder.path().join("goods.toml"), &text[..at]).unwrap();
        faults(folder.path());
    }
}

#[test]
fn backup_files_and_other_formats_are_left_alone() {
    let folder = editable(&fixture("shop"));
    for name in [".goods.toml.swp", "goods.toml~", ".hidden.toml", "notes.md", "picture.png", "goods.toml.bak"] {
        std::fs::write(folder.path().join(name), b"\xff\xfe no content").unwrap();
    }
    assert!(load(folder.path(), TODAY).is_ok());
}

#[tokio::test]
async fn a_broken_reload_lists_its_faults_and_the_old_content_keeps_serving() {
    let app = Plan::editable_shop().start().await;
    let generation = app.get("/readyz").await.json()["generation"].clone();
    let good = app.read_faq("goods.toml");
    for (what, broken) in [
        ("half a file", good.as_bytes()[..good.len() / 2].to_vec()),
        ("not UTF-8", b"\xff\xff".to_vec()),
        ("a gap", good.replace("每月八号。", "每月XXX号。").into_bytes()),
    ] {
        app.write_faq("goods.toml", broken);
        let problem = app.reload().await.problem(422, what);
        assert_eq!(problem["type"], "urn:yingda:faq-faults");
        assert_eq!(problem["faults"][0]["file"], "goods.toml", "{what}: {problem}");
        assert!(problem["faults"][0]["line"].as_u64().unwrap() > 0, "{what}: {problem}");
        assert_eq!(app.get("/readyz").await.json()["generation"], generation, "{what}");
        assert_eq!(app.say(what, "会员日是哪天").await.entry(), "always", "{what}");
    }
    app.write_faq("goods.toml", good.replace("每月八号。", "每月九号。"));
    assert_eq!(app.reload().await.status, 200);
    assert!(app.say("mended", "会员日是哪天").await.text().contains("每月九号。"));
}

#[tokio::test]
async fn a_reload_of_unchanged_files_is_the_same_generation() {
    let app = Plan::editable_shop().start().await;
    let reload = app.reload().await.json();
    assert_eq!(reload["generation"], reload["before"]);
}

#[tokio::test]
async fn messages_are_answered_while_the_content_reloads() {
    let app = Plan::editable_shop().start().await;
    let (reload, answers) = tokio::join!(app.reload(), async {
        let mut answers = Vec::new();
        for place in 0..20 {
            answers.push(app.say(&format!("during-{place}"), "会员日是哪天").await);
        }
        answers
    });
    assert_eq!(reload.status, 200);
    assert!(answers.iter().all(|answer| answer.entry() == "always"));
}

mod starter_pack_promises {
    use super::*;

    fn entries() -> Vec<Entry> {
        starter_pack().current().corpus.entries.clone()
    }

    #[test]
    fn it_has_no_fault() {
        assert_eq!(shown(&faults(&project("faq"))), "");
    }

    #[test]
    fn it_has_150_entries_with_12_phrasings_each() {
        let entries = entries();
        assert!(entries.len() >= 150, "{}", entries.len());
        let few: Vec<_> = entries.iter().filter(|entry| entry.phrasings.len() < 12).map(|entry| &entry.id).collect();
        assert!(few.is_empty(), "fewer than 12 phrasings: {few:?}");
    }

    #[test]
    fn a_hundred_entries_are_asked_and_answered_in_english() {
        let english = |entry: &&Entry| {
            entry.phrasings.iter().any(|phrasing| phrasing.is_ascii())
                && entry.answer.iter().any(|(language, _)| language == Language::En)
        };
        let count = entries().iter().filter(english).count();
        assert!(count >= 100, "{count}");
    }

    #[test]
    fn many_entries_know_traditional_wording() {
        let answered = |entry: &&Entry| entry.answer.iter().any(|(language, _)| language == Language::ZhHant);
        let count = entries().iter().filter(answered).count();
        assert!(count >= 100, "{count}");
    }

    #[test]
    fn it_covers_the_topics_of_a_shop() {
        let topics: BTreeSet<String> = entries().into_iter().map(|entry| entry.topic.to_string()).collect();
        for topic in [
            "dispatch",
            "logistics",
            "return",
            "exchange",
            "refund",
            "invoice",
            "promotion",
            "coupon",
            "size",
            "stock",
            "payment",
            "address",
            "care",
            "warranty",
            "membership",
            "crossborder",
        ] {
            assert!(topics.contains(topic), "{topic} is not among {topics:?}");
        }
        let complaint = |entry: &Entry| entry.phrasings.iter().any(|phrasing| phrasing.contains("投诉"));
        assert!(entries().iter().any(complaint), "complaints");
    }

    #[test]
    fn it_has_scripts_of_every_kind_in_several_wordings_and_three_languages() {
        let generation = starter_pack().current();
        for kind in ScriptKind::ALL {
            let scripts: Vec<_> = generation.corpus.scripts.iter().filter(|script| script.kind == kind).collect();
            assert!(!scripts.is_empty(), "{kind:?}");
            for script in scripts {
                for language in Language::ALL {
                    let wordings = script.wordings.get(&language).map_or(0, Vec::len);
                    assert!(wordings >= 2, "{} has {wordings} wordings in {language}", script.id);
                }
            }
        }
    }

    #[test]
    fn the_answers_that_depend_on_the_order_are_in_three_languages_and_leave_no_gap() {
        let generation = starter_pack().current();
        let given = yingda::faq::template::SITUATION.map(|name| (name.to_owned(), "1".to_owned()));
        let mut known = generation.corpus.variables.clone();
        known.extend(given);
        let entries: Vec<&Entry> = generation.corpus.entries.iter().filter(|entry| !entry.states.is_empty()).collect();
        assert!(entries.len() >= 20, "{}", entries.len());
        for entry in entries {
            for (state, answer) in entry.states.iter() {
                assert_eq!(answer.iter().count(), Language::ALL.len(), "{} when {state}", entry.id);
                for (language, text) in answer.iter() {
                    let filled = yingda::faq::template::render(text, &known);
                    assert!(filled.is_ok_and(|text| !text.contains("{{")), "{} when {state} in {language}", entry.id);
                }
            }
        }
    }

    #[test]
    fn every_state_of_an_order_changes_some_answer() {
        let entries = entries();
        for state in OrderState::ALL {
            assert!(entries.iter().any(|entry| entry.states.contains_key(&state)), "{state}");
        }
    }

    #[test]
    fn an_order_script_can_be_sent_when_the_channel_names_no_parcel() {
        let generation = starter_pack().current();
        for kind in [ScriptKind::Shipped, ScriptKind::Refunded] {
            for script in generation.corpus.scripts.iter().filter(|script| script.kind == kind) {
                let fallback = script.fallback.as_deref().expect("a fallback");
                assert!(yingda::faq::template::placeholders(fallback).is_empty(), "{}", script.id);
                for (language, wordings) in &script.wordings {
                    let sendable =
                        |text: &String| yingda::faq::template::render(text, &generation.corpus.variables).is_ok();
                    assert!(wordings.iter().any(sendable), "{} in {language}", script.id);
                }
            }
        }
    }

    #[test]
    fn it_has_a_large_dictionary_and_many_synonym_groups() {
        let (words, groups, _) = load(&project("faq"), TODAY).unwrap().lexicon_sizes();
        assert!(words >= 1_000, "{words} words");
        assert!(groups >= 300, "{groups} groups");
    }

    #[test]
    fn no_answer_leaves_a_gap() {
        let generation = starter_pack().current();
        for entry in &generation.corpus.entries {
            for (language, text) in entry.answer.iter() {
                let filled = yingda::faq::template::render(text, &generation.corpus.variables);
                assert!(filled.is_ok_and(|text| !text.contains("{{")), "{} in {language}", entry.id);
            }
        }
    }
}

#[test]
fn an_unreadable_shop_toml_is_reported_once_and_not_through_every_wording() {
    let folder = editable(&fixture("shop"));
    std::fs::write(folder.path().join("shop.toml"), "[variables]\nship_hours = 48\"\n").unwrap();
    let mut found = faults(folder.path());
    found.retain(|fault| fault.severity == Severity::Error);
    assert!(!found.is_empty() && found.iter().all(|fault| fault.file == "shop.toml"), "{}", shown(&found));
}

#[test]
fn a_value_that_holds_a_placeholder_is_a_fault() {
    let found = with_file("shop.toml", "[variables]\npromo = \"满 {{ free_shipping }} 元包邮\"\n");
    assert!(found.iter().any(|fault| fault.line == 2 && fault.what.contains("placeholder")), "{}", shown(&found));
}
