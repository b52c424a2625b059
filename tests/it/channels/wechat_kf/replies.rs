//! What is sent: replies, menus, handovers, and what comes of refusals.

use serde_json::{Value, json};

use super::{CUSTOMER, KF, Platform, app, calls, event, events_after, item, rings, sent, settings, text};
use crate::channels::{failed, pushes, settled};
use crate::harness::Plan;

#[tokio::test]
async fn a_handover_is_said_and_then_told_to_the_platform() {
    for (more, state) in [
        ("", json!({ "service_state": 2 })),
        ("hand_over_to = \"amy\"", json!({ "service_state": 3, "servicer_userid": "amy" })),
    ] {
        let platform = Platform::default();
        let api = platform.start().await;
        let app = app(&api, more).await;
        platform.has(vec![text("m1", "转人工")]);
        rings(&app).await;
        pushes(&app, "sent", 2).await;
        let requests = api.requests();
        let [.., reply, handover] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!(reply.path(), "/cgi-bin/kf/send_msg?access_token=t1");
        assert_eq!(handover.path(), "/cgi-bin/kf/service_state/trans?access_token=t1");
        let mut expected = json!({ "open_kfid": KF, "external_userid": CUSTOMER });
        expected.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
        assert_eq!(handover.json(), expected);
    }
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "hand_over = false").await;
    platform.has(vec![text("m1", "转人工")]);
    rings(&app).await;
    pushes(&app, "sent", 1).await;
    settled(&app).await;
    assert_eq!(calls(&api.requests(), "/cgi-bin/kf/service_state").len(), 0);
}

const UNSURE: &str = "[defaults.thresholds]\nanswer = 1.0\nmargin = 1.0\nmenu = 0.0\n";

#[tokio::test]
async fn a_menu_can_be_pressed_and_a_press_is_its_text() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, UNSURE).await;
    platform.has(vec![text("m1", "书包的颜色，还有什么时候能够发货呢")]);
    rings(&app).await;
    let [menu] = &sent(&api, 1).await[..] else { panic!("one menu") };
    assert_eq!(menu["msgtype"], "msgmenu", "{menu}");
    let list = menu["msgmenu"]["list"].as_array().unwrap();
    assert!((2..=3).contains(&list.len()));
    assert_eq!((&list[0]["type"], &list[0]["click"]["id"]), (&json!("click"), &json!("1")));
    let around =
        [&menu["msgmenu"]["head_content"], &menu["msgmenu"]["tail_content"]].map(|text| text.as_str().unwrap());
    assert!(around[0].ends_with("您要问的是：") && around[1] == "请回数字。", "{around:?}");
    let pressed = json!({ "msgtype": "text", "text": { "content": list[0]["click"]["content"], "menu_id": "1" } });
    platform.has(vec![item("m2", 3, &pressed)]);
    rings(&app).await;
    let events = events_after(&app, 2).await;
    assert_eq!(events[1]["text"], list[0]["click"]["content"]);
    assert_eq!(sent(&api, 2).await[1]["msgtype"], "text");
}

#[tokio::test]
async fn a_long_answer_is_five_messages_at_most_each_within_the_limit() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = Plan::editable_shop().with_config(&settings(&api.base(), "text_bytes = 100")).start().await;
    let answer = "第一句说晾晒。".repeat(100);
    let entry = format!("[[entry]]\nid = \"long\"\nquestion = \"保养说明书怎么写的\"\nanswer = '''{answer}'''\n");
    app.write_faq("long.toml", entry);
    assert_eq!(app.reload().await.status, 200);
    platform.has(vec![text("m1", "保养说明书怎么写的")]);
    rings(&app).await;
    let replies = sent(&api, 5).await;
    let texts: Vec<&str> = replies.iter().map(|reply| reply["text"]["content"].as_str().unwrap()).collect();
    assert!(texts.iter().all(|text| text.len() <= 100), "{texts:?}");
    assert!(texts[4].ends_with('…'), "{texts:?}");
    let ids: std::collections::BTreeSet<&str> = replies.iter().map(|reply| reply["msgid"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 5);
    settled(&app).await;
    assert_eq!(sent(&api, 5).await.len(), 5);
}

#[tokio::test]
async fn every_refusal_of_a_message_is_told_by_its_class() {
    for (code, state, failure) in [
        (95001, "dead", "quota"),
        (95002, "dead", "window_closed"),
        (95013, "dead", "window_closed"),
        (95018, "dead", "given_up"),
        (95000, "dead", "given_up"),
        (40096, "dead", "given_up"),
        (-1, "pending", "retry"),
        (40014, "pending", "retry"),
        (45009, "pending", "quota"),
        (60020, "pending", "retry"),
    ] {
        let platform = Platform::default();
        *platform.says.lock().unwrap() = code;
        let api = platform.start().await;
        let app = app(&api, "").await;
        platform.has(vec![text("m1", "什么时候发货")]);
        rings(&app).await;
        let push = failed(&app, state).await;
        assert_eq!(push["failure"], failure, "{push}");
        assert!(push["error"].as_str().unwrap().contains(&code.to_string()), "{push}");
        let ids: Vec<Value> = sent(&api, 1).await.iter().map(|reply| reply["msgid"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "attempts share an id: {ids:?}");
    }
}

#[tokio::test]
async fn what_was_taken_and_did_not_arrive_is_seen_in_the_outbox() {
    let platform = Platform::default();
    let api = platform.start().await;
    let app = app(&api, "").await;
    platform.has(vec![text("m1", "什么时候发货")]);
    rings(&app).await;
    let push = pushes(&app, "sent", 1).await[0].clone();
    assert_eq!(sent(&api, 1).await[0]["msgid"], push["id"], "the call gave it the outbox's id");
    let lost = |id: &str, of: &Value, why: u32| {
        event(id, &json!({ "event_type": "msg_send_fail", "fail_msgid": of, "fail_type": why }))
    };
    platform.has(vec![lost("e1", &json!("another"), 4), lost("e2", &push["id"], 4)]);
    rings(&app).await;
    let dead = failed(&app, "dead").await;
    assert_eq!(dead["failure"], "window_closed", "{dead}");
    assert_eq!(dead["id"], push["id"]);
    assert!(dead["error"].as_str().unwrap().contains("msg_send_fail 4"), "{dead}");
}
