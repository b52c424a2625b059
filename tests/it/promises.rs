//! What a customer, an agent and an operator are promised, through the front door.

use serde_json::{Value, json};

use crate::harness::{Answer, Decision, Plan, TestApp, message, with};

#[tokio::test]
async fn the_first_three_questions_are_answered_right_together_with_a_greeting() {
    let app = TestApp::start().await;
    let cases = [
        ("亲，我昨天拍的衣服咋还没寄出来", "dispatch-urge", "zh-Hans", "发出"),
        ("請問幾時出貨", "dispatch-time", "zh-Hant", "小時內出貨"),
        ("when will it ship", "dispatch-time", "en", "hours of payment"),
    ];
    for (place, (text, entry, language, words)) in cases.into_iter().enumerate() {
        let decision = app.say(&format!("first-{place}"), text).await;
        assert_eq!(decision.action(), "answer", "{text}: {decision:?}");
        assert_eq!(decision.entry(), entry, "{text}");
        assert_eq!(decision.language(), language, "{text}");
        assert!(decision.script().starts_with("greeting-"), "{text}: {decision:?}");
        assert!(decision.text().contains(words), "{text}: {}", decision.text());
        assert!(!decision.text().contains("{{"), "{text}: {}", decision.text());
    }
}

#[tokio::test]
async fn a_first_hello_is_greeted_and_told_what_can_be_asked() {
    let app = TestApp::start_shop().await;
    let decision = app.say("c", "在吗").await;
    assert_eq!(decision.summary(), "greet first_message greeting");
    assert_eq!(decision.text(), "欢迎光临，发货、退换、优惠都可以问，现在满百减十。");
}

#[tokio::test]
async fn the_greeting_stands_before_the_first_answer_and_not_before_the_second() {
    let app = TestApp::start_shop().await;
    let first = app.say("c", "什么时候发货").await;
    assert_eq!(first.text(), "欢迎，现在满百减十。\n付款后两天内发出。节假日顺延。");
    assert_eq!((first.entry(), first.script()), ("ship", "greeting"));
    let second = app.say("c", "会员日是哪天").await;
    assert_eq!(second.text(), "每月八号。");
    assert_eq!(second.script(), "");
}

#[tokio::test]
async fn a_returning_customer_is_greeted_as_one() {
    let app = TestApp::start_shop().await;
    let known = json!({"customer_id": "u"});
    app.say_with("c-1", "在吗", known.clone()).await;
    let again = app.say_with("c-2", "在吗", known).await;
    assert_eq!(again.script(), "greeting-returning");
    let told = app.say_with("c-3", "在吗", json!({"context": {"customer": "returning"}})).await;
    assert_eq!(told.script(), "greeting-returning", "the channel may know better than the store");
}

#[tokio::test]
async fn a_script_for_one_channel_is_used_there_only() {
    let app = TestApp::start_shop().await;
    assert_eq!(app.say_with("c", "在吗", json!({"channel": "kiosk"})).await.script(), "greeting-kiosk");
    assert_eq!(app.say_with("c", "在吗", json!({"channel": "web"})).await.script(), "greeting");
}

const EVERYTHING_IS_UNSURE: &str = "[defaults.thresholds]\nanswer = 1.0\nmargin = 1.0\nmenu = 0.0\n";

/// A conversation with an open menu, and the entries on it.
async fn menu_of(app: &TestApp, conversation: &str, text: &str) -> Vec<String> {
    let menu = app.say(conversation, text).await;
    assert_eq!(menu.action(), "clarify", "{menu:?}");
    menu.menu().into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_menu_of_at_most_three_is_chosen_from_by_number_or_numeral() {
    let app = Plan::shop().with_config(EVERYTHING_IS_UNSURE).start().await;
    for (place, reply) in ["2", "二", "第二个", "选2", "２", "②"].into_iter().enumerate() {
        let conversation = format!("menu-{place}");
        let menu = menu_of(&app, &conversation, "书包的颜色，还有什么时候能够发货呢").await;
        assert!((2..=3).contains(&menu.len()), "{menu:?}");
        let chosen = app.say(&conversation, reply).await;
        assert_eq!(chosen.summary(), format!("answer menu_choice {}", menu[1]), "{reply}");
        assert_eq!(chosen.0["confidence"], 1.0, "{reply}");
    }
}

#[tokio::test]
async fn a_menu_shows_its_questions_numbered_and_stays_open_for_one_message() {
    let app = Plan::shop().with_config(EVERYTHING_IS_UNSURE).start().await;
    let menu = app.say("c", "书包的颜色，还有什么时候能够发货呢").await;
    assert!(menu.text().contains("\n1. "), "{}", menu.text());
    assert!(menu.text().contains("\n2. "), "{}", menu.text());
    app.say("c", "谢谢").await;
    let late = app.say("c", "2").await;
    assert_ne!(late.reason(), "menu_choice");
}

#[tokio::test]
async fn a_number_beyond_the_menu_chooses_nothing() {
    let app = Plan::shop().with_config(EVERYTHING_IS_UNSURE).start().await;
    menu_of(&app, "c", "书包的颜色，还有什么时候能够发货呢").await;
    assert_ne!(app.say("c", "4").await.reason(), "menu_choice");
}

#[tokio::test]
async fn an_angry_customer_gets_empathy_no_promotion_and_a_human() {
    let app = TestApp::start_shop().await;
    let decision = app.say("c", "气死我了，什么破客服").await;
    assert_eq!(decision.summary(), "handoff anger empathy");
    assert!(!decision.text().contains("满百减十"), "{}", decision.text());
    let next = app.say("c", "什么时候发货").await;
    assert_eq!(next.summary(), "silent human_active -", "the human has it now");
}

#[tokio::test]
async fn danger_goes_to_a_human_at_once() {
    let app = TestApp::start_shop().await;
    assert_eq!(app.say("c", "充电器冒烟了怎么办").await.summary(), "handoff anger empathy");
}

#[tokio::test]
async fn who_asks_for_a_human_gets_one() {
    let app = TestApp::start_shop().await;
    for (place, text) in ["转人工", "人工", "轉人工客服", "I want a human", "找你们店长"].into_iter().enumerate()
    {
        let conversation = format!("human-{place}");
        assert_eq!(app.say(&conversation, text).await.summary(), "handoff asked_for_human handoff", "{text}");
        assert_eq!(app.say(&conversation, "什么时候发货").await.action(), "silent", "{text}");
    }
}

#[tokio::test]
async fn a_complaint_goes_to_a_human() {
    let app = TestApp::start_shop().await;
    assert_eq!(app.say("c", "我要投诉你们").await.summary(), "handoff complaint handoff");
}

#[tokio::test]
async fn after_the_conversation_is_closed_the_bot_answers_again() {
    let app = TestApp::start_shop().await;
    app.say("c", "转人工").await;
    assert_eq!(app.happens("c", "closed").await.summary(), "close closing_event closing-farewell");
    assert_eq!(app.say("c", "什么时候发货").await.summary(), "answer exact_phrasing ship");
}

#[tokio::test]
async fn while_a_human_writes_the_bot_is_silent() {
    let app = TestApp::start_shop().await;
    app.say("c", "在吗").await;
    let human = app.say_with("c", "我来帮您看", json!({"type": "agent_message"})).await;
    assert_eq!(human.summary(), "silent human_wrote -");
    assert_eq!(app.say("c", "什么时候发货").await.summary(), "silent human_active -");
}

#[tokio::test]
async fn our_own_message_coming_back_is_no_human() {
    let app = TestApp::start_shop().await;
    let greeting = app.say("c", "在吗").await;
    let echo = app.say_with("c", greeting.text(), json!({"type": "agent_message"})).await;
    assert_eq!(echo.summary(), "silent echo -");
    assert_eq!(app.say("c", "什么时候发货").await.action(), "answer");
}

#[tokio::test]
async fn an_advertisement_gets_one_minimal_reply() {
    let app = TestApp::start_shop().await;
    let first = app.say("c", "诚招加盟，日赚五百").await;
    assert_eq!(first.summary(), "advertisement advertisement advertisement");
    assert_eq!(first.text(), "这里只谈购物。");
    let second = app.say("c", "兼职日结，加群赚钱").await;
    assert_eq!(second.summary(), "silent advertisement -");
}

#[tokio::test]
async fn an_incident_is_told_once_a_conversation_until_it_is_closed() {
    let app = TestApp::start_shop().await;
    app.say("old", "在吗").await;
    let slots = json!({"cause": "华东暴雨", "effect": "包裹晚到两天"});
    assert_eq!(app.open_incident("storm", slots).await.status, 200);
    for conversation in ["old", "new"] {
        let told = app.say(conversation, "什么时候发货").await;
        assert_eq!(told.summary(), "incident incident_open incident");
        assert_eq!(told.text(), "因华东暴雨，包裹晚到两天，抱歉。");
        assert_eq!(app.say(conversation, "什么时候发货").await.action(), "answer", "{conversation}");
    }
    assert_eq!(app.get("/v1/incidents").await.json()["incidents"][0]["id"], "storm");
    let closed = app.close_incident("storm").await;
    assert_eq!(closed.status, 200);
    let told: Vec<Value> = closed.json()["told"].as_array().unwrap().clone();
    let told: Vec<&str> = told.iter().map(|told| told["conversation_id"].as_str().unwrap()).collect();
    assert_eq!(told, ["new", "old"], "everybody who wants to hear that it is over");
    app.close_incident("storm").await.problem(404, "a closed incident");
    assert_eq!(app.say("later", "什么时候发货").await.action(), "answer");
    let again = json!({"cause": "又下暴雨", "effect": "包裹晚到一天"});
    assert_eq!(app.open_incident("storm", again).await.status, 200);
    assert_eq!(app.say("old", "在吗").await.action(), "incident", "another one under the same id is news");
    let told = app.get("/v1/incidents/storm/told").await.json();
    assert_eq!(told["told"].as_array().unwrap().len(), 1, "of this one");
}

#[tokio::test]
async fn nobody_takes_the_ids_that_the_service_makes_itself() {
    let app = TestApp::start_shop().await;
    for id in ["timer-0123", "desk-takeover-1"] {
        app.post(&with(message("c", "在吗"), json!({ "message_id": id }))).await.problem(422, id);
    }
}

#[tokio::test]
async fn the_payment_of_another_order_cancels_no_reminder() {
    let config = "[[webhooks]]\nname = \"push\"\nurl = \"http://127.0.0.1:9\"\nallow_private = true\nevents = [\"reply\"]\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    let app = Plan::shop().with_config(config).start().await;
    let order = |kind: &str, order: &str| json!({ "type": kind, "context": { "order_id": order } });
    let unpaid = async || {
        let timers = app.get("/v1/conversations/c?shop=demo&channel=web").await.json()["timers"].clone();
        timers.as_array().unwrap().iter().filter(|timer| timer["kind"] == "unpaid").count()
    };
    app.say_with("c", "", order("order_unpaid", "b")).await;
    app.say_with("c", "", order("order_paid", "a")).await;
    assert_eq!(unpaid().await, 1);
    app.say_with("c", "", order("order_paid", "b")).await;
    assert_eq!(unpaid().await, 0);
}

#[tokio::test]
async fn an_incident_is_told_only_to_whom_it_touches() {
    let app = TestApp::start_shop().await;
    let body = json!({"cause": "仓库停电", "effect": "发货晚一天", "scope": {"region": ["浙江"], "carrier": ["中通"]}});
    app.open_incident("power", body).await;
    let asks = |conversation, context: Value| app.say_with(conversation, "什么时候发货", json!({ "context": context }));
    assert_eq!(asks("both", json!({"region": "浙江", "carrier": "中通"})).await.action(), "incident");
    assert_eq!(asks("one", json!({"region": "浙江", "carrier": "圆通"})).await.action(), "answer");
    assert_eq!(asks("none", json!({})).await.action(), "answer");
}

#[tokio::test]
async fn two_incidents_at_once_are_both_told() {
    let app = TestApp::start_shop().await;
    app.open_incident("a-storm", json!({"cause": "暴雨", "effect": "晚到两天"})).await;
    app.open_incident("b-strike", json!({"cause": "爆仓", "effect": "晚发一天"})).await;
    let first = app.say("c", "什么时候发货").await;
    let second = app.say("c", "什么时候发货").await;
    let told = format!("{}{}", first.text(), second.text());
    assert!(told.contains("暴雨") && told.contains("爆仓"), "{told}");
}

#[tokio::test]
async fn an_incident_must_say_cause_and_effect_in_words() {
    let app = TestApp::start_shop().await;
    for body in [
        json!({"cause": "暴雨"}),
        json!({"cause": "", "effect": "晚到两天"}),
        json!({"cause": "XXX", "effect": "晚到两天"}),
        json!({"cause": "暴雨", "effect": "……"}),
        json!({"cause": "暴雨", "effect": "晚".repeat(201)}),
        json!({"cause": "暴雨", "effect": "晚到两天", "scope": {"planet": ["earth"]}}),
    ] {
        app.open_incident("bad", body.clone()).await.problem(422, &body.to_string());
    }
    assert_eq!(app.get("/v1/incidents").await.json()["incidents"], json!([]));
}

#[tokio::test]
async fn when_agents_are_busy_the_customer_learns_the_place_in_the_queue() {
    let app = TestApp::start_shop().await;
    app.say("c", "在吗").await;
    let busy = json!({"context": {"agents": "busy", "queue_position": 3}});
    let waits = app.say_with("c", "我有点事想商量", busy.clone()).await;
    assert_eq!(waits.summary(), "wait agents_busy waiting");
    assert_eq!(waits.text(), "前面还有3位，请稍候。");
    let again = app.say_with("c", "还在不", busy).await;
    assert_eq!(again.text(), "", "not again within ten minutes");
}

#[tokio::test]
async fn a_queue_of_unknown_length_is_worded_without_a_gap() {
    let app = TestApp::start_shop().await;
    app.say("c", "在吗").await;
    let waits = app.say_with("c", "我有点事想商量", json!({"context": {"agents": "busy"}})).await;
    assert_eq!(waits.text(), "客服正忙，请稍候。");
}

#[tokio::test]
async fn outside_hours_the_customer_learns_the_next_opening() {
    let today = yingda::bot::now().to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap()).date();
    let yesterday = today.yesterday().unwrap();
    let hours = format!("[defaults.hours]\ndaily = [\"09:00-18:00\"]\n{today} = []\n{yesterday} = []\n");
    let app = Plan::shop().with_config(&hours).start().await;
    app.say("c", "在吗").await;
    let closed = app.say("c", "我有点事想商量").await;
    assert_eq!(closed.summary(), "off_hours outside_hours off-hours");
    assert_eq!(closed.text(), "客服下班了，明天 09:00上线。");
    assert_eq!(app.say("c", "什么时候发货").await.action(), "answer", "the bot never sleeps");
}

#[tokio::test]
async fn a_shop_that_never_opens_is_worded_without_a_gap() {
    let app = Plan::shop().with_config("[defaults.hours]\ndaily = []\n").start().await;
    app.say("c", "在吗").await;
    assert_eq!(app.say("c", "我有点事想商量").await.text(), "客服下班了，服务时间9:00-18:00。");
}

#[tokio::test]
async fn a_payment_is_acknowledged_once() {
    let app = TestApp::start_shop().await;
    app.say("c", "在吗").await;
    let paid = app.happens("c", "order_paid").await;
    assert_eq!(paid.summary(), "close closing_event closing-paid");
    assert_eq!(app.happens("c", "order_paid").await.summary(), "silent system_event -");
}

#[tokio::test]
async fn an_unpaid_order_is_asked_about_once_after_ten_minutes() {
    // The test's clock may stand in the quiet hours.
    let app = Plan::shop().with_config("[defaults]\nquiet_hours = { daily = [] }\n").start().await;
    let minutes_ago = |minutes| {
        let at = yingda::bot::now() - jiff::SignedDuration::from_mins(minutes);
        json!({"type": "order_unpaid", "context": {"ordered_at": at.to_string()}})
    };
    assert_eq!(app.say_with("c", "", minutes_ago(9)).await.action(), "silent");
    assert_eq!(app.say_with("c", "", minutes_ago(11)).await.summary(), "remind unpaid_order reminder");
    assert_eq!(app.say_with("c", "", minutes_ago(12)).await.action(), "silent");
}

#[tokio::test]
async fn notices_recalls_and_images_are_met_in_silence() {
    let app = TestApp::start_shop().await;
    app.say("c", "在吗").await;
    for (kind, summary) in
        [("recalled", "silent system_event -"), ("system", "silent system_event -"), ("media", "silent media -")]
    {
        assert_eq!(app.happens("c", kind).await.summary(), summary);
    }
    assert_eq!(app.happens("fresh", "media").await.summary(), "greet first_message greeting");
}

#[tokio::test]
async fn a_farewell_is_answered_once_and_thanks_are_met_in_silence() {
    let app = TestApp::start_shop().await;
    app.say("c", "在吗").await;
    assert_eq!(app.say("c", "谢谢").await.summary(), "silent small_talk -");
    assert_eq!(app.say("c", "拜拜").await.summary(), "close farewell closing-farewell");
    assert_eq!(app.say("c", "再见").await.summary(), "silent farewell -");
}

#[tokio::test]
async fn a_redelivered_message_gets_the_same_decision_and_nothing_new() {
    let app = TestApp::start_shop().await;
    let event = message("c", "什么时候发货");
    let first = app.post(&event).await;
    app.say("c", "会员日是哪天").await;
    let again = app.post(&event).await;
    assert!(!first.is_duplicate());
    assert!(again.is_duplicate());
    assert_eq!(again.body, first.body);
    let next = app.say("c", "什么时候发货").await;
    assert_eq!(next.text(), "付款后两天内发出。", "the redelivery counted as nothing");
}

#[tokio::test]
async fn a_redelivery_may_carry_another_context_and_time() {
    let app = TestApp::start_shop().await;
    let event = message("c", "什么时候发货");
    let first = app.post(&event).await;
    let more = json!({"context": {"agents": "busy"}, "sent_at": "2026-11-22T08:00:00Z"});
    let again = app.post(&with(event, more)).await;
    assert!(again.is_duplicate());
    assert_eq!(again.body, first.body);
}

#[tokio::test]
async fn fifty_deliveries_at_once_are_one_message() {
    let app = TestApp::start_shop().await;
    let event = message("c", "什么时候发货");
    let answers = at_once((0..50).map(|_| app.post(&event))).await;
    assert_eq!(answers.iter().filter(|answer| !answer.is_duplicate()).count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body));
}

#[tokio::test]
async fn messages_of_one_conversation_at_once_are_decided_one_after_another() {
    let app = TestApp::start_shop().await;
    let events: Vec<Value> = (0..20).map(|n| message("c", &format!("我有点事想商量{n}"))).collect();
    let answers = at_once(events.iter().map(|event| app.post(event))).await;
    let greeted = answers.iter().filter(|answer| answer.decision().action() == "greet").count();
    assert_eq!(greeted, 1);
}

/// Runs all futures together and waits for every answer.
async fn at_once(posts: impl Iterator<Item = impl Future<Output = Answer>>) -> Vec<Answer> {
    let mut waiting: Vec<_> = posts.map(|post| (Box::pin(post), None)).collect();
    std::future::poll_fn(|context| {
        for (post, answer) in &mut waiting {
            if answer.is_none()
                && let std::task::Poll::Ready(ready) = post.as_mut().poll(context)
            {
                *answer = Some(ready);
            }
        }
        if waiting.iter().all(|(_, answer)| answer.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    waiting.into_iter().filter_map(|(_, answer)| answer).collect()
}

#[tokio::test]
async fn a_message_id_cannot_be_used_for_another_message() {
    let app = TestApp::start_shop().await;
    let event = message("c", "什么时候发货");
    app.post(&event).await;
    for other in [
        json!({"text": "会员日是哪天"}),
        json!({"conversation_id": "d"}),
        json!({"customer_id": "u-2"}),
        json!({"type": "media"}),
    ] {
        let problem = app.post(&with(event.clone(), other.clone())).await.problem(409, &other.to_string());
        assert_eq!(problem["type"], "urn:yingda:conflict");
    }
    for elsewhere in [json!({"channel": "app"}), json!({"shop": "other"})] {
        let answer = app.post(&with(event.clone(), elsewhere)).await;
        assert_eq!((answer.status, answer.is_duplicate()), (200, false));
    }
}

#[tokio::test]
async fn the_reply_is_in_the_customer_s_language() {
    let app = TestApp::start_shop().await;
    for (text, language, words) in [
        ("什么时候发货", "zh-Hans", "付款后两天内发出"),
        ("什麼時候發貨", "zh-Hant", "付款後兩天內出貨"),
        ("When will it ship?", "en", "It leaves within two days"),
    ] {
        let decision = app.say(text, text).await;
        assert_eq!((decision.entry(), decision.language()), ("ship", language), "{text}");
        assert!(decision.text().contains(words), "{text}: {}", decision.text());
    }
}

#[tokio::test]
async fn a_number_in_a_traditional_conversation_is_answered_in_traditional() {
    let app = Plan::shop().with_config(EVERYTHING_IS_UNSURE).start().await;
    for reply in ["1", "一"] {
        let menu = menu_of(&app, reply, "請問什麼時候才能夠發貨呢").await;
        assert_eq!(menu[0], "ship");
        assert_eq!(app.say(reply, reply).await.language(), "zh-Hant", "{reply}");
    }
}

#[tokio::test]
async fn words_that_both_scripts_write_alike_do_not_change_the_language() {
    let app = TestApp::start().await;
    app.say("c", "請問幾時出貨").await;
    assert_eq!(app.say("c", "人工").await.language(), "zh-Hant");
}

#[tokio::test]
async fn replies_are_converted_to_the_customer_s_script_where_the_shop_wants_it() {
    let asks = "鼠標的軟件怎麼安裝";
    let as_written = TestApp::start_shop().await.say("c", asks).await;
    assert!(as_written.text().contains("软件在包装里"), "{}", as_written.text());
    let app = Plan::shop().with_config("[defaults]\nreply_script = \"customer\"\n").start().await;
    let converted = app.say("c", asks).await;
    assert_eq!(converted.entry(), "software");
    assert_eq!(converted.language(), "zh-Hant");
    assert!(converted.text().contains("軟體在包裝裡"), "{}", converted.text());
    let simplified = app.say("d", "鼠标的软件怎么安装").await;
    assert!(simplified.text().contains("软件在包装里"), "{}", simplified.text());
}

#[tokio::test]
async fn an_entry_for_agents_is_never_sent_by_the_bot() {
    let app = TestApp::start_shop().await;
    let decision = app.say("c", "你们的进货价是多少").await;
    assert_eq!(decision.summary(), "handoff exact_phrasing handoff");
    assert!(!decision.text().contains("内部同事"), "{}", decision.text());
    let offered = app.suggestions(&[("q", "你们的进货价是多少")]).await.json();
    assert_eq!(offered["suggestions"][0]["entry_id"], "margin");
    assert_eq!(offered["suggestions"][0]["bot_may_send"], false);
}

#[tokio::test]
async fn an_entry_for_agents_is_in_no_menu() {
    let app = Plan::shop().with_config(EVERYTHING_IS_UNSURE).start().await;
    for text in ["你们进货价到底是多少啊，什么时候发货", "进货价格"] {
        let decision = app.say(text, text).await;
        assert!(!decision.menu().contains(&"margin"), "{text}: {decision:?}");
        assert!(!decision.text().contains("进货价是多少"), "{text}: {}", decision.text());
    }
}

#[tokio::test]
async fn an_entry_that_became_the_agents_own_cannot_be_chosen_from_an_old_menu() {
    let app = Plan::editable_shop().with_config(EVERYTHING_IS_UNSURE).start().await;
    let menu = menu_of(&app, "c", "什么时候才能够发货呢").await;
    assert_eq!(menu[0], "ship");
    let goods = app.read_faq("goods.toml").replacen("id = \"ship\"", "id = \"ship\"\nagents_only = true", 1);
    app.write_faq("goods.toml", goods);
    assert_eq!(app.reload().await.status, 200);
    let chosen = app.say("c", "1").await;
    assert!(!chosen.text().contains("付款后两天内"), "{}", chosen.text());
}

#[tokio::test]
async fn a_deleted_entry_chosen_from_an_old_menu_is_not_an_answer_without_words() {
    let app = Plan::editable_shop().with_config(EVERYTHING_IS_UNSURE).start().await;
    let menu = menu_of(&app, "c", "什么时候才能够发货呢").await;
    assert_eq!(menu[0], "ship");
    app.write_faq("goods.toml", app.read_faq("goods.toml").replacen("id = \"ship\"", "id = \"sail\"", 1));
    assert_eq!(app.reload().await.status, 200);
    let chosen = app.say("c", "1").await;
    assert!(chosen.action() != "answer" || !chosen.text().is_empty(), "{chosen:?}");
}

#[tokio::test]
async fn the_most_specific_entry_answers() {
    let app = TestApp::start_shop().await;
    let question = "书包有几种颜色";
    let bag = json!({"product": "limited-bag"});
    for (conversation, more, entry) in [
        ("general", json!({}), "colours"),
        ("shop", json!({"shop": "flagship"}), "colours-flagship"),
        ("product", json!({ "context": bag }), "colours-limited"),
        ("both", json!({"shop": "flagship", "context": bag}), "colours-limited"),
    ] {
        let decision = app.say_with(conversation, question, more).await;
        assert_eq!(decision.entry(), entry, "{conversation}");
    }
}

#[tokio::test]
async fn the_most_specific_entry_answers_a_paraphrase_too() {
    let app = TestApp::start_shop().await;
    let asks = "想知道书包都有啥颜色";
    for (conversation, more, entry) in [
        ("general", json!({}), "colours"),
        ("shop", json!({"shop": "flagship"}), "colours-flagship"),
        ("product", json!({"context": {"product": "limited-bag"}}), "colours-limited"),
    ] {
        let decision = app.say_with(conversation, asks, more).await;
        assert_eq!(decision.summary(), format!("answer confident_match {entry}"), "{decision:?}");
    }
}

#[tokio::test]
async fn an_entry_answers_only_while_it_is_valid() {
    let app = TestApp::start_shop().await;
    for (text, entry) in [("会员日是哪天", "always"), ("周年庆送什么", ""), ("火星店开了吗", "")] {
        assert_eq!(app.say(text, text).await.entry(), entry, "{text}");
    }
}

#[tokio::test]
async fn the_same_answer_is_shorter_the_second_time_and_a_human_the_third() {
    let app = TestApp::start_shop().await;
    app.say("c", "在吗").await;
    let replies: Vec<Decision> =
        [app.say("c", "什么时候发货").await, app.say("c", "多久能发货").await, app.say("c", "什么时候发货呀").await]
            .into();
    assert_eq!(replies[0].text(), "付款后两天内发出。节假日顺延。");
    assert_eq!(replies[1].text(), "付款后两天内发出。");
    assert_eq!(replies[2].summary(), "handoff asked_again handoff");
}

#[tokio::test]
async fn a_program_that_repeats_itself_is_left_alone() {
    let app = TestApp::start_shop().await;
    let mut last = app.say("c", "我是自动回复").await;
    for _ in 0..3 {
        last = app.say("c", "我是自动回复").await;
    }
    assert_eq!(last.summary(), "silent loop_breaker -");
    let known = app.say_with("d", "什么时候发货", json!({"sender_is_bot": true})).await;
    assert_eq!(known.summary(), "silent loop_breaker -");
}

#[tokio::test]
async fn placeholders_are_filled_from_the_message_and_never_left_as_gaps() {
    let app = TestApp::start_shop().await;
    app.say("a", "在吗").await;
    app.say("b", "在吗").await;
    let filled = app
        .say_with("a", "我的包裹到哪里了", json!({"context": {"tracking_no": "SF1\n23", "carrier": " 顺丰 "}}))
        .await;
    assert_eq!(filled.text(), "SF123正在路上，顺丰会尽快送达。");
    let plain = app.say("b", "我的包裹到哪里了").await;
    assert_eq!(plain.text(), "您的包裹正在路上，快递会尽快送达。");
}

#[tokio::test]
async fn what_a_channel_fills_in_never_looks_like_a_template() {
    let app = TestApp::start_shop().await;
    app.say("c", "在吗").await;
    let name = json!({"context": {"tracking_no": "{{ promo }}{% raw %}"}});
    let decision = app.say_with("c", "我的包裹到哪里了", name).await;
    assert_eq!(decision.text(), "您的包裹正在路上，快递会尽快送达。");
}

#[tokio::test]
async fn a_decision_tells_what_decided_and_until_when_a_reply_is_due() {
    let app = TestApp::start_shop().await;
    let answered = app.say("c", "什么时候发货").await.0;
    assert_eq!(answered["reason"], "exact_phrasing");
    assert_eq!(answered["confidence"], 1.0);
    assert_eq!(answered["candidates"][0]["entry_id"], "ship");
    assert_eq!(answered["counts_as"], "any_reply");
    assert_eq!(answered["deadlines"]["any_reply"], Value::Null, "a reply has gone out");
    assert!(answered["deadlines"]["human_reply"].is_string());
    assert_eq!(answered["generation"], app.get("/readyz").await.json()["generation"]);
    let silent = app.say("c", "我有点事想商量").await.0;
    assert_eq!(silent["action"], "silent");
    assert_eq!(silent["counts_as"], Value::Null);
    assert!(silent["deadlines"]["any_reply"].is_string());
}

#[tokio::test]
async fn agents_get_suggestions_with_highlights_and_reasons() {
    let app = TestApp::start().await;
    let answer = app.suggestions(&[("q", "多久發貨"), ("k", "3")]).await;
    let suggestions = answer.json()["suggestions"].as_array().unwrap().clone();
    assert_eq!(suggestions.len(), 3);
    let best = &suggestions[0];
    assert_eq!(best["entry_id"], "dispatch-time");
    assert!(!best["highlights"].as_array().unwrap().is_empty());
    assert!(best["why"]["grams"].as_f64().unwrap() > 0.0);
    assert!(!best["answer"].as_str().unwrap().contains("{{"), "{best}");
    let letters = best["phrasing"].as_str().unwrap().chars().count() as u64;
    for range in best["highlights"].as_array().unwrap() {
        let (from, to) = (range[0].as_u64().unwrap(), range[1].as_u64().unwrap());
        assert!(from < to && to <= letters, "{best}");
    }
    assert_eq!(app.suggestions(&[("q", "发货")]).await.json()["suggestions"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn an_entry_can_be_read() {
    let app = TestApp::start_shop().await;
    let entry = app.get("/v1/entries/ship").await.json();
    assert_eq!(entry["question"], "什么时候发货");
    assert_eq!(entry["answer"]["zh-Hant"], "付款後兩天內出貨。假日順延。");
    assert_eq!(entry["bot_may_send"], true);
    app.get("/v1/entries/nothing").await.problem(404, "an unknown entry");
}

#[tokio::test]
async fn operators_can_watch() {
    let app = TestApp::start_shop().await;
    app.say("c", "什么时候发货").await;
    assert_eq!(app.get("/healthz").await.body, "ok");
    let ready = app.get("/readyz").await.json();
    assert_eq!(ready["entries"], 11);
    let metrics = app.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for name in ["yingda_decisions_total", "yingda_http_requests_total", "yingda_message_seconds", "yingda_entries"] {
        assert!(metrics.body.contains(name), "{name}");
    }
}

#[tokio::test]
async fn the_api_describes_itself_offline() {
    let app = TestApp::start_shop().await;
    let document = app.get("/openapi.json").await.json();
    for path in ["/v1/messages", "/v1/suggestions", "/v1/reload", "/v1/entries/{id}", "/healthz", "/readyz", "/metrics"]
    {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    for (tag, paths) in [
        (
            "conversations",
            vec![
                "/v1/conversations",
                "/v1/conversations/{id}",
                "/v1/conversations/{id}/events",
                "/v1/conversations/{id}/takeover",
                "/v1/conversations/{id}/hand-back",
                "/v1/timers",
                "/v1/shops",
            ],
        ),
        ("agents", vec!["/v1/agents", "/v1/agents/{id}", "/v1/queue", "/v1/suggestions"]),
        ("incidents", vec!["/v1/incidents", "/v1/incidents/{id}", "/v1/incidents/{id}/told"]),
        ("outbox", vec!["/v1/outbox", "/v1/outbox/replay", "/v1/endpoints", "/v1/endpoints/{id}/enable"]),
        ("records", vec!["/v1/ledger", "/v1/customers/{id}"]),
    ] {
        assert!(document["tags"].as_array().unwrap().iter().any(|known| known["name"] == tag), "{tag}");
        for path in paths {
            let methods = document["paths"][path].as_object().unwrap_or_else(|| panic!("{path}"));
            assert!(methods.values().all(|method| method["tags"] == json!([tag])), "{path}");
        }
    }
    for (list, field) in [("Conversations", "phase"), ("Outbox", "attempts")] {
        let lists = document["components"]["schemas"][list]["properties"].as_object().unwrap();
        let row = lists.values().next().unwrap()["items"]["$ref"].as_str().unwrap();
        let row = document.pointer(&row[1..]).unwrap();
        assert!(row["properties"][field].is_object(), "{list}: {row}");
    }
    let page = app.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(!page.body.contains("https://"), "nothing is fetched from elsewhere: {}", page.body);
}

#[tokio::test]
async fn a_reload_serves_what_the_editor_wrote() {
    let app = Plan::editable_shop().start().await;
    let before = app.get("/readyz").await.json();
    app.write_faq("goods.toml", app.read_faq("goods.toml").replace("每月八号。", "每月九号。"));
    let reload = app.reload().await;
    assert_eq!(reload.status, 200, "{}", reload.body);
    assert_eq!(reload.json()["before"], before["generation"]);
    assert_ne!(reload.json()["generation"], before["generation"]);
    app.say("c", "在吗").await;
    assert_eq!(app.say("c", "会员日是哪天").await.text(), "每月九号。");
}
