//! The reply-rate ledger over HTTP: both clocks, up to when they are complete, and who is about to wait too long.

use std::time::Duration;

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use yingda::bot::now;
use yingda::conversation::inbound::EventBody;

use crate::harness::{Plan, TestApp, message, with};

/// A shop that is assessed around the clock.
async fn assessed(more: &str) -> TestApp {
    let config = format!("[defaults]\nwindow = {{ daily = [\"00:00-24:00\"] }}\n{more}\n");
    Plan::shop().with_config(&config).start().await
}

async fn ledger(app: &TestApp) -> Value {
    let answer = app.get("/v1/ledger?shop=demo").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// `[rounds, in_time, late, open]`.
fn figures(rate: &Value) -> [u64; 4] {
    ["rounds", "in_time", "late", "open"].map(|name| rate[name].as_u64().unwrap())
}

fn breaching(ledger: &Value) -> Vec<String> {
    let waiting = ledger["breaching"].as_array().unwrap();
    waiting.iter().map(|waiting| waiting["conversation_id"].as_str().unwrap().to_owned()).collect()
}

async fn moment() {
    tokio::time::sleep(Duration::from_millis(3)).await;
}

/// A bot's answer at once; a greeting, a human's reply; a greeting, then a question that waits.
async fn a_few_rounds(app: &TestApp) {
    app.say("answered", "什么时候发货").await;
    moment().await;
    app.say("helped", "在吗").await;
    app.say_with("helped", "我来帮您", json!({"type": "agent_message", "agent_id": "amy"})).await;
    moment().await;
    app.say("waits", "在吗").await;
    moment().await;
    app.say("waits", "我有点事想商量").await;
}

#[tokio::test]
async fn both_clocks_are_told_with_the_moment_up_to_which_they_are_complete() {
    let app = assessed("").await;
    a_few_rounds(&app).await;
    let before = now();
    let ledger = ledger(&app).await;
    assert_eq!((&ledger["shop"], &ledger["counted"]), (&json!("demo"), &json!("human")));
    assert_eq!(ledger["limit_minutes"], 5.0);
    assert_eq!(figures(&ledger["any"]), [4, 3, 0, 1], "{ledger}");
    assert_eq!(figures(&ledger["first_any"]), [3, 3, 0, 0], "{ledger}");
    assert_eq!(figures(&ledger["human"]), [3, 1, 0, 2], "{ledger}");
    assert_eq!((&ledger["any"]["rate"], &ledger["human"]["rate"]), (&json!(1.0), &json!(1.0)));
    assert_eq!(ledger["any"]["median_seconds"], 0);
    let complete: Timestamp = ledger["any"]["complete_up_to"].as_str().unwrap().parse().unwrap();
    let apart = before.duration_since(complete);
    let midnight = before.to_zoned(TimeZone::get("Asia/Shanghai").unwrap()).start_of_day().unwrap();
    let most = SignedDuration::from_mins(5).min(before.duration_since(midnight.timestamp()));
    assert!((apart - most).abs() < SignedDuration::from_secs(5), "five minutes ago, or the day's start: {apart}");
    assert_eq!(ledger["any"]["projection"], Value::Null, "too early to tell");
}

#[tokio::test]
async fn who_waits_for_the_counted_reply_is_listed_least_time_left_first() {
    let app = assessed("").await;
    a_few_rounds(&app).await;
    let told = ledger(&app).await;
    assert_eq!(breaching(&told), ["answered", "waits"]);
    let first = &told["breaching"][0];
    assert_eq!((&first["shop"], &first["channel"]), (&json!("demo"), &json!("web")));
    assert!((290..=300).contains(&first["seconds_left"].as_i64().unwrap()), "{first}");
    assert!(first["deadline"].is_string() && first["waiting_since"].is_string());
    app.happens("answered", "closed").await;
    assert_eq!(breaching(&ledger(&app).await), ["waits"], "nobody waits in a closed conversation");
    app.say_with("waits", "我来了", json!({"type": "agent_message", "agent_id": "amy"})).await;
    assert_eq!(breaching(&ledger(&app).await), Vec::<String>::new());
}

#[tokio::test]
async fn who_comes_back_to_a_closed_conversation_waits_once() {
    let app = assessed("").await;
    app.say("c", "我有点事想商量").await;
    let before = ledger(&app).await["breaching"][0]["waiting_since"].clone();
    app.happens("c", "closed").await;
    moment().await;
    app.say("c", "我又来了").await;
    let told = ledger(&app).await;
    assert_eq!(breaching(&told), ["c"], "{told}");
    assert_ne!(told["breaching"][0]["waiting_since"], before, "since the customer came back");
    assert_eq!(figures(&told["human"]), [2, 0, 0, 2], "both are counted");
}

#[tokio::test]
async fn a_wait_beyond_the_limit_is_late_and_overdue() {
    let app = assessed("counted = \"any\"").await;
    a_few_rounds(&app).await;
    let today = now().to_zoned(TimeZone::get("Asia/Shanghai").unwrap()).date();
    let later = app.bot.ledger("demo", today, now() + SignedDuration::from_mins(6)).await.unwrap();
    assert_eq!((later.any.in_time, later.any.late, later.any.open), (3, 1, 0));
    let [waits] = &later.breaching[..] else { panic!("{later:?}") };
    assert!(waits.conversation_id == "waits" && (-61..=-50).contains(&waits.seconds_left), "{waits:?}");
    assert_eq!(breaching(&ledger(&app).await), ["waits"], "by the clock that this platform counts");
}

#[tokio::test]
async fn a_day_is_asked_for_by_its_date() {
    let app = assessed("").await;
    a_few_rounds(&app).await;
    let past = app.get("/v1/ledger?shop=demo&day=2026-01-31").await.json();
    assert_eq!((&past["day"], figures(&past["any"])), (&json!("2026-01-31"), [0, 0, 0, 0]));
    assert_eq!(past["any"]["rate"], Value::Null);
    for day in ["2026-13-01", "2026-02-30", "yesterday", "", "31.01.2026", "1763800000", "2026-1-1", "99999-01-01"] {
        let problem = app.get(&format!("/v1/ledger?shop=demo&day={day}")).await.problem(422, day);
        assert!(problem["detail"].as_str().unwrap().contains("day"), "{day}: {problem}");
    }
    for day in ["-009999-01-01", "9999-12-31"] {
        assert_eq!(app.get(&format!("/v1/ledger?shop=demo&day={day}")).await.status, 200, "{day}");
    }
}

/// A zone in which it is noon, so that the hour of the test does not matter.
fn zone_of_noon() -> String {
    let now = now();
    let ahead = 12 - now.to_zoned(TimeZone::UTC).hour();
    assert_eq!(now.to_zoned(TimeZone::fixed(Offset::constant(ahead))).hour(), 12);
    // POSIX has it that zones west of Greenwich are above zero.
    if ahead > 0 { format!("Etc/GMT-{ahead}") } else { format!("Etc/GMT+{}", -ahead) }
}

/// Something happened so many minutes ago.
async fn ago(app: &TestApp, minutes: i64, conversation: &str, text: &str, more: Value) {
    let at = now() - SignedDuration::from_mins(minutes);
    let body: EventBody = serde_json::from_value(with(message(conversation, text), more)).unwrap();
    app.bot.receive(body.check(5_000, at).unwrap(), at).await.unwrap();
}

/// A greeting that is answered, and a minute later a question that waits for a human.
async fn waits_since(app: &TestApp, minutes: i64, conversation: &str) {
    ago(app, minutes + 1, conversation, "在吗", json!({})).await;
    ago(app, minutes, conversation, "我有点事想商量", json!({})).await;
}

/// Eleven first messages are answered at once; of the questions after them two were too late, one is overdue, two wait.
async fn a_morning(app: &TestApp) {
    let human = json!({"type": "agent_message", "agent_id": "amy"});
    for number in 0..6 {
        app.say(&format!("answered-{number}"), "什么时候发货").await;
    }
    for number in 0..2 {
        waits_since(app, 30, &format!("late-{number}")).await;
        ago(app, 24, &format!("late-{number}"), "我来了", human.clone()).await;
    }
    for (minutes, conversation) in [(1, "fresh"), (6, "overdue"), (3, "waits")] {
        waits_since(app, minutes, conversation).await;
    }
}

fn number(of: &Value) -> f64 {
    of.as_f64().unwrap_or_else(|| panic!("a number: {of}"))
}

/// Share of the day that is over at noon.
fn elapsed(zone: &str) -> f64 {
    let local = now().to_zoned(TimeZone::get(zone).unwrap());
    local.duration_since(&local.start_of_day().unwrap()).as_secs_f64() / 86_400.0
}

/// The formula of `report/projection.rs`, reckoned from what the ledger says of today.
fn is_projected(rate: &Value, elapsed: std::ops::RangeInclusive<f64>) {
    let [rounds, in_time, late, open] = figures(rate).map(|figure| figure as f64);
    let projection = &rate["projection"];
    let expected = number(&projection["rounds_expected"]);
    let bounds = (rounds / elapsed.end()).round()..=(rounds / elapsed.start()).round();
    assert!(bounds.contains(&expected), "{expected} of {bounds:?}");
    let share = in_time / (in_time + late);
    let to_come = share * (expected - rounds);
    for (name, sure) in [("low", in_time), ("expected", in_time + share * open), ("high", in_time + open)] {
        let wanted = (sure + to_come) / expected;
        assert!((number(&projection[name]) - wanted).abs() < 1e-9, "{name}: {wanted}, {projection}");
    }
}

#[tokio::test]
async fn today_is_told_with_what_it_may_come_to_and_who_is_about_to_wait_too_long() {
    let zone = zone_of_noon();
    let app = assessed(&format!("counted = \"any\"\ntime_zone = \"{zone}\"")).await;
    a_morning(&app).await;
    let (from, before) = (elapsed(&zone), now());
    let told = ledger(&app).await;
    let (until, after) = (elapsed(&zone), now());
    assert_eq!(told["day"], before.to_zoned(TimeZone::get(&zone).unwrap()).date().to_string());
    assert_eq!(figures(&told["any"]), [16, 11, 3, 2], "{told}");
    assert!((number(&told["any"]["rate"]) - 11.0 / 14.0).abs() < 1e-9, "{told}");
    is_projected(&told["any"], from..=until);
    assert_eq!(figures(&told["first_any"]), [11, 11, 0, 0], "every greeting came in time");
    is_projected(&told["first_any"], from..=until);
    assert_eq!(breaching(&told), ["overdue", "waits", "fresh"], "least time left first");
    for (waiting, seconds) in told["breaching"].as_array().unwrap().iter().zip([-60, 120, 240]) {
        let left = waiting["seconds_left"].as_i64().unwrap();
        assert!((seconds - 20..=seconds).contains(&left), "{seconds}: {waiting}");
    }
    for name in ["any", "human", "first_any", "first_human"] {
        let complete: Timestamp = told[name]["complete_up_to"].as_str().unwrap().parse().unwrap();
        let limit = SignedDuration::from_mins(5);
        assert!((before - limit..=after - limit).contains(&complete), "{name}: {complete}");
    }
}

#[tokio::test]
async fn a_morning_that_has_just_begun_is_told_without_a_projection() {
    let zone = zone_of_noon();
    let app = assessed(&format!("counted = \"any\"\ntime_zone = \"{zone}\"")).await;
    for number in 0..9 {
        app.say(&format!("c-{number}"), "什么时候发货").await;
    }
    assert_eq!(ledger(&app).await["any"]["projection"], Value::Null, "nine decided rounds say too little");
    app.say("c-9", "什么时候发货").await;
    assert_eq!(ledger(&app).await["any"]["projection"]["expected"], 1.0);
}
