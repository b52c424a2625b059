//! Promises that depend on the clock: the bot is asked with a time of the test's own.

use std::cell::Cell;
use std::sync::Arc;

use jiff::{SignedDuration, Zoned};
use serde_json::json;
use tempfile::TempDir;
use yingda::bot::Bot;
use yingda::conversation::event::{Context, EventKind, Id, InboundEvent};
use yingda::conversation::store::SqliteStore;
use yingda::knowledge::Knowledge;

use crate::harness::{Decision, configuration, fixture_shop, starter_pack};

/// A shop whose clock the test sets.
struct Desk {
    bot: Bot,
    now: Zoned,
    messages: Cell<u32>,
    _data: TempDir,
}

impl Desk {
    async fn open(config: &str) -> Self {
        Self::over(fixture_shop(), config).await
    }

    async fn over(knowledge: Arc<Knowledge>, config: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&data.path().join("yingda.db")).await.unwrap();
        let config = configuration(config);
        Self {
            bot: Bot::new(knowledge, Arc::new(store), Arc::new(config.shops), config.webhooks),
            now: "2026-11-22T10:00:00[Asia/Shanghai]".parse().unwrap(),
            messages: Cell::new(0),
            _data: data,
        }
    }

    /// Sets the clock: `2026-11-22T07:59:59`, in Shanghai unless a zone is named.
    fn at(&mut self, time: &str) -> &mut Self {
        let zone = if time.contains('[') { "" } else { "[Asia/Shanghai]" };
        self.now = format!("{time}{zone}").parse().unwrap();
        self
    }

    fn pass(&mut self, time: SignedDuration) -> &mut Self {
        self.now = &self.now + time;
        self
    }

    async fn say(&self, conversation: &str, text: &str) -> Decision {
        self.receive(conversation, EventKind::Message, text, Context::default()).await
    }

    async fn receive(&self, conversation: &str, kind: EventKind, text: &str, context: Context) -> Decision {
        self.messages.set(self.messages.get() + 1);
        let id = |text: &str| Id::try_from(text.to_owned()).unwrap();
        let event = InboundEvent {
            shop: id("demo"),
            channel: id("web"),
            conversation_id: id(conversation),
            customer_id: id(&format!("customer of {conversation}")),
            message_id: id(&format!("m-{}", self.messages.get())),
            kind,
            text: text.to_owned(),
            sender_is_bot: false,
            agent_id: None,
            echo_of: None,
            reply_to: None,
            sent_at: None,
            context,
        };
        let (decision, _) = self.bot.receive(event, self.now.timestamp()).await.unwrap();
        Decision(decision.0)
    }

    /// What a customer who knows the shop hears to a question that no entry answers.
    async fn hears(&self, conversation: &str) -> String {
        self.say(conversation, "我有点事想商量").await.text().to_owned()
    }
}

const ASKS: &str = "什么时候发货";

#[tokio::test]
async fn a_customer_is_greeted_again_after_the_gap_and_not_before() {
    let mut desk = Desk::open("[defaults]\nregreet_hours = 6\n").await;
    assert_eq!(desk.say("c", "在吗").await.action(), "greet");
    let nearly = SignedDuration::from_secs(6 * 3600 - 1);
    assert_eq!(desk.pass(nearly).say("c", "有人吗").await.action(), "silent");
    assert_eq!(desk.pass(SignedDuration::from_hours(6)).say("c", "在吗").await.action(), "greet");
}

#[tokio::test]
async fn half_a_question_leans_on_the_last_one_until_the_gap_and_not_after() {
    let mut desk = Desk::over(starter_pack(), "").await;
    desk.say("c", "怎么退款").await;
    assert_eq!(desk.pass(SignedDuration::from_hours(23)).say("c", "那多久到账呢").await.entry(), "refund-when");
    let after = desk.pass(SignedDuration::from_hours(24)).say("c", "那多久到账呢").await;
    assert_ne!(after.action(), "answer", "{}", after.summary());
}

#[tokio::test]
async fn after_the_gap_a_handed_over_conversation_is_the_bot_s_again() {
    let mut desk = Desk::open("").await;
    assert_eq!(desk.say("c", "转人工").await.action(), "handoff");
    desk.pass(SignedDuration::from_hours(25));
    assert_eq!(desk.say("c", "在吗").await.action(), "greet");
    assert_eq!(desk.say("c", ASKS).await.action(), "answer", "who was just greeted is answered");
}

#[tokio::test]
async fn after_a_pause_the_replies_in_a_row_are_counted_anew() {
    let mut desk = Desk::open("[defaults]\nbreaker_replies = 2\n").await;
    for text in [ASKS, "会员日是哪天"] {
        assert_eq!(desk.say("c", text).await.action(), "answer");
    }
    assert_eq!(desk.say("c", "书包有几种颜色").await.reason(), "loop_breaker");
    desk.pass(SignedDuration::from_hours(25));
    assert_eq!(desk.say("c", "在吗").await.action(), "greet");
    assert_eq!(desk.say("c", "书包有几种颜色").await.action(), "answer", "the customer has paused in between");
}

#[tokio::test]
async fn the_same_words_on_two_days_are_no_program() {
    let mut desk = Desk::open("").await;
    for _ in 0..3 {
        desk.say("c", "在吗").await;
    }
    assert_eq!(desk.pass(SignedDuration::from_hours(25)).say("c", "在吗").await.action(), "greet");
}

#[tokio::test]
async fn a_human_keeps_the_bot_silent_for_five_minutes() {
    let mut desk = Desk::open("").await;
    desk.say("c", "在吗").await;
    desk.receive("c", EventKind::AgentMessage, "我在", Context::default()).await;
    assert_eq!(desk.pass(SignedDuration::from_secs(299)).say("c", ASKS).await.reason(), "human_active");
    assert_eq!(desk.pass(SignedDuration::from_secs(1)).say("c", ASKS).await.action(), "answer");
}

#[tokio::test]
async fn opening_hours_begin_and_end_on_the_minute() {
    let mut desk = Desk::open("[defaults.hours]\ndaily = [\"08:00-23:00\"]\n").await;
    for (time, hears) in [
        ("07:59:59", "客服下班了，今天 08:00上线。"),
        ("08:00:00", ""),
        ("22:59:59", ""),
        ("23:00:00", "客服下班了，明天 08:00上线。"),
    ] {
        desk.at(&format!("2026-11-22T{time}")).say(time, "在吗").await;
        assert_eq!(desk.hears(time).await, hears, "{time}");
    }
}

#[tokio::test]
async fn a_window_across_midnight_is_open_on_both_sides() {
    let mut desk = Desk::open("[defaults.hours]\nsat = [\"20:00-02:00\"]\nmon = [\"09:00-24:00\"]\n").await;
    for (time, open) in [
        ("2026-11-21T19:59:59", false),
        ("2026-11-21T20:00:00", true),
        ("2026-11-21T23:59:59", true),
        ("2026-11-22T00:00:00", true),
        ("2026-11-22T01:59:59", true),
        ("2026-11-22T02:00:00", false),
        ("2026-11-23T23:59:59", true),
        ("2026-11-24T00:00:00", false),
    ] {
        desk.at(time).say(time, "在吗").await;
        assert_eq!(desk.hears(time).await.is_empty(), open, "{time}");
    }
}

#[tokio::test]
async fn a_holiday_beats_the_weekday() {
    let mut desk =
        Desk::open("[defaults.hours]\ndaily = [\"09:00-18:00\"]\n2026-10-01 = []\n2026-10-02 = [\"13:00-15:00\"]\n")
            .await;
    for (time, hears) in [
        ("2026-09-30T10:00:00", ""),
        ("2026-10-01T10:00:00", "客服下班了，明天 13:00上线。"),
        ("2026-10-02T14:00:00", ""),
        ("2026-10-02T15:00:00", "客服下班了，明天 09:00上线。"),
    ] {
        desk.at(time).say(time, "在吗").await;
        assert_eq!(desk.hears(time).await, hears, "{time}");
    }
}

#[tokio::test]
async fn hours_follow_the_shop_s_own_clock_through_summer_time() {
    let config = "[defaults]\ntime_zone = \"America/New_York\"\n[defaults.hours]\ndaily = [\"08:00-20:00\"]\n";
    let mut desk = Desk::open(config).await;
    for (time, open) in [
        ("2026-03-07T12:59:59[UTC]", false),
        ("2026-03-07T13:00:00[UTC]", true),
        ("2026-03-08T11:59:59[UTC]", false),
        ("2026-03-08T12:00:00[UTC]", true),
        ("2026-11-01T12:59:59[UTC]", false),
        ("2026-11-01T13:00:00[UTC]", true),
    ] {
        desk.at(time).say(time, "在吗").await;
        assert_eq!(desk.hears(time).await.is_empty(), open, "{time}");
    }
}

#[tokio::test]
async fn the_next_opening_is_told_in_the_customer_s_language() {
    let mut desk = Desk::open("[defaults.hours]\nmon = [\"09:00-18:00\"]\n").await;
    desk.at("2026-11-21T10:00:00").say("c", "在吗").await;
    assert_eq!(desk.hears("c").await, "客服下班了，周一 09:00上线。");
    desk.say("d", "請問有人嗎").await;
    assert!(desk.say("d", "想跟您們商量一下").await.text().contains("週一 09:00"));
}

#[tokio::test]
async fn the_off_hours_script_rests_for_ten_minutes() {
    let mut desk = Desk::open("[defaults.hours]\ndaily = []\n").await;
    desk.say("c", "在吗").await;
    assert!(!desk.hears("c").await.is_empty());
    assert!(desk.pass(SignedDuration::from_secs(599)).say("c", "那我等等看吧").await.text().is_empty());
    assert!(!desk.pass(SignedDuration::from_secs(1)).say("c", "还没有人来吗").await.text().is_empty());
}

#[tokio::test]
async fn agents_who_are_closed_are_not_busy() {
    let mut desk = Desk::open("[defaults.hours]\ndaily = [\"09:00-18:00\"]\n").await;
    desk.at("2026-11-22T20:00:00").say("c", "在吗").await;
    let context = serde_json::from_value(json!({"agents": "free"})).unwrap();
    let decision = desk.receive("c", EventKind::Message, "我有点事想商量", context).await;
    assert_eq!(decision.action(), "off_hours");
}

#[tokio::test]
async fn the_greeting_follows_the_campaign_calendar() {
    let campaign = "[[defaults.campaigns]]\nbefore = \"2026-11-01\"\nfrom = \"2026-11-10\"\nuntil = \"2026-11-11\"\nafter = \"2026-11-15\"\n";
    let mut desk = Desk::open(campaign).await;
    for (time, script) in [
        ("2026-10-31T23:59:59", "greeting"),
        ("2026-11-01T00:00:00", "greeting-before"),
        ("2026-11-09T23:59:59", "greeting-before"),
        ("2026-11-10T00:00:00", "greeting-during"),
        ("2026-11-11T23:59:59", "greeting-during"),
        ("2026-11-12T00:00:00", "greeting-after"),
        ("2026-11-15T23:59:59", "greeting-after"),
        ("2026-11-16T00:00:00", "greeting"),
    ] {
        assert_eq!(desk.at(time).say(time, "在吗").await.script(), script, "{time}");
    }
}

#[tokio::test]
async fn an_entry_is_valid_from_its_first_to_its_last_day_in_the_shop_s_time_zone() {
    let asks = "春季新品有折扣吗";
    let mut desk = Desk::open("").await;
    for (time, entry) in [
        ("2026-02-28T23:59:59", ""),
        ("2026-03-01T00:00:00", "spring"),
        ("2026-03-31T23:59:59", "spring"),
        ("2026-04-01T00:00:00", ""),
    ] {
        assert_eq!(desk.at(time).say(time, asks).await.entry(), entry, "{time} in Shanghai");
    }
    let mut desk = Desk::open("[defaults]\ntime_zone = \"America/Los_Angeles\"\n").await;
    for (time, entry) in [
        ("2026-03-01T07:59:59[UTC]", ""),
        ("2026-03-01T08:00:00[UTC]", "spring"),
        ("2026-04-01T06:59:59[UTC]", "spring"),
        ("2026-04-01T07:00:00[UTC]", ""),
    ] {
        assert_eq!(desk.at(time).say(time, asks).await.entry(), entry, "{time}");
    }
}

#[tokio::test]
async fn an_incident_ends_by_itself_at_its_time() {
    use yingda::conversation::incident::Incident;
    let mut desk = Desk::open("").await;
    let opened_at = desk.now.timestamp();
    let incident: Incident = serde_json::from_value(json!({
        "id": "storm", "cause": "暴雨", "effect": "晚到两天", "opened_at": opened_at,
        "expires_at": opened_at + SignedDuration::from_hours(1),
    }))
    .unwrap();
    desk.bot.open_incident(&incident, opened_at).await.unwrap();
    assert_eq!(desk.pass(SignedDuration::from_secs(3_599)).say("a", ASKS).await.action(), "incident");
    assert_eq!(desk.pass(SignedDuration::from_secs(1)).say("b", ASKS).await.action(), "answer");
}

#[tokio::test]
async fn the_reply_clocks_run_from_the_message_that_waits() {
    let mut desk = Desk::open("[defaults]\nreply_minutes = 5\nmisses = 0\n").await;
    desk.at("2026-11-22T10:00:00").say("c", "在吗").await;
    desk.at("2026-11-22T10:01:00");
    let waits = desk.say("c", "我有点事想商量").await.0;
    assert_eq!(waits["deadlines"]["any_reply"], "2026-11-22T02:06:00Z");
    assert_eq!(waits["deadlines"]["human_reply"], "2026-11-22T02:05:00Z", "the first message waits for a human still");
    desk.at("2026-11-22T10:02:00");
    let again = desk.say("c", "你们看一下呗").await.0;
    assert_eq!(again["deadlines"]["any_reply"], "2026-11-22T02:06:00Z", "a second message does not set it back");
    let human = desk.receive("c", EventKind::AgentMessage, "我来了", Context::default()).await.0;
    assert_eq!(human["deadlines"]["any_reply"], serde_json::Value::Null);
    assert_eq!(human["deadlines"]["human_reply"], serde_json::Value::Null);
}
