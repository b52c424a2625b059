//! Scenarios: who says what when, played on a simulated clock on both engines; what the shop replies is a snapshot that an
//! editor can read. The scripts stand in `tests/scenarios`, the language they are written in at [`Scenario::read`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::civil::{Date, Time, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use serde_json::{Value, json};
use yingda::bot::Bot;
use yingda::conversation::desk::{Agent, Presence};
use yingda::conversation::event::ConversationKey;
use yingda::conversation::inbound::EventBody;
use yingda::conversation::store::{PostgresStore, Settled, SqliteStore, Store};
use yingda::conversation::timer::TimerKind;
use yingda::faq::Audience;
use yingda::reply::Rule;
use yingda::reply::timers::first_due;

use crate::harness::{configuration, fixture_shop, project, starter_pack, with};
use crate::postgres::database_url;

/// Where replies that come by themselves go; the player takes them out of the outbox.
const PUSH: &str = "[[webhooks]]\nname = \"push\"\nurl = \"http://127.0.0.1:9/\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n\
                    events = [\"reply\"]\nallow_private = true\n";

/// A script, read.
struct Scenario {
    name: String,
    zone: TimeZone,
    /// Over the small fixture shop instead of the starter pack.
    small: bool,
    /// Lines of the configuration, from `[defaults]` on.
    config: Vec<String>,
    steps: Vec<Step>,
}

/// What happens at a moment.
struct Step {
    at: Timestamp,
    does: Does,
}

enum Does {
    /// A channel posts an event: its fields, the conversation, and the words of the transcript.
    Event { fields: Value, conversation: String, label: String, shows: String },
    /// Our last reply in a conversation comes back, with its id or without.
    Echo { conversation: String, by_id: bool },
    /// The last event is delivered once more.
    Redelivery,
    /// An agent's presence changes: id, presence, capacity, desks.
    Presence(Vec<String>),
    /// An incident opens, or ends where there is no body.
    Incident { id: String, body: Option<Value> },
    /// The service starts anew with this line in its configuration.
    Config(String),
    /// Nothing: the time passes and timers fire.
    Wait,
    /// Nothing: the service is down until now.
    Down,
}

/// Events that are no messages, and what an editor calls them.
const EVENTS: [(&str, &str); 12] = [
    ("media", "发来图片"),
    ("order_unpaid", "拍下未付款"),
    ("order_paid", "订单已付款"),
    ("order_shipped", "订单已发货"),
    ("order_refunded", "订单已退款"),
    ("agent_joined", "客服进入"),
    ("agent_left", "客服离开"),
    ("takeover", "客服接管"),
    ("hand_back", "交还机器人"),
    ("closed", "会话关闭"),
    ("recalled", "撤回消息"),
    ("system", "系统卡片"),
];

impl Scenario {
    /// Reads a script. `#` begins a comment; the first says the promise, in Chinese and English.
    ///
    /// ```text
    /// zone America/New_York            the shop's zone, for the times that follow; Asia/Shanghai without
    /// date 2026-11-23                  the day of the times that follow; 2026-11-22 without
    /// over shop                        the fixture shop instead of the starter pack
    /// config idle_minutes = 30         a line of [defaults]; `config [defaults.channels.web]` goes on elsewhere
    /// agent amy online 3 pre-sale      an agent's presence, capacity, desks
    /// 10:00 customer: 在吗 {"tier": "vip"}         a message with its context; `customer@乙` is another conversation
    /// 10:00 program: 您好              the sender is known to be a program
    /// 10:00 agent amy: 我在            a human writes
    /// 10:00 echo                       our last reply comes back; `echo by id` with its id
    /// 10:00 takeover amy               any other event, with who and a context where there are some
    /// 10:00 redelivery                 the last event once more
    /// 10:00 incident rain {"cause": "暴雨", "effect": "晚到两天"}       opens; without a body it ends
    /// 10:12 wait                       timers fire, each at its time
    /// 23:00 down                       the service was down until now: timers fire late
    /// ```
    fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(project("tests/scenarios").join(format!("{name}.txt"))).unwrap();
        assert!(text.starts_with("# ") && text.lines().next().is_some_and(|line| line.contains(" / ")), "{name}");
        let (zone, config) = (TimeZone::get("Asia/Shanghai").unwrap(), vec!["[defaults]".to_owned()]);
        let mut scenario = Self { name: name.to_owned(), zone, small: false, config, steps: Vec::new() };
        let mut day = date(2026, 11, 22);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            scenario.line(line, &mut day).unwrap_or_else(|| panic!("{name}: {line}"));
        }
        scenario
    }

    fn line(&mut self, line: &str, day: &mut Date) -> Option<()> {
        let (first, rest) = line.split_once(' ')?;
        match first {
            "zone" => self.zone = TimeZone::get(rest).ok()?,
            "date" => *day = rest.parse().ok()?,
            "over" => self.small = rest == "shop",
            "config" => self.config.push(rest.to_owned()),
            "agent" => {
                let at = self.steps.last().map_or(Timestamp::UNIX_EPOCH, |step| step.at);
                self.steps.push(Step { at, does: presence(rest) });
            }
            time => {
                let time: Time = time.parse().ok()?;
                let at = day.to_datetime(time).to_zoned(self.zone.clone()).ok()?.timestamp();
                assert!(self.steps.last().is_none_or(|before| before.at <= at), "time goes on: {line}");
                self.steps.push(Step { at, does: does(rest)? });
            }
        }
        Some(())
    }

    /// The configuration's text.
    fn toml(&self) -> String {
        let webhook = if self.config.iter().any(|line| line == "[[webhooks]]") { "" } else { PUSH };
        format!("{}\n{webhook}", self.config.join("\n"))
    }

    /// Replaces a line of `[defaults]`, or adds it there.
    fn set(&mut self, line: &str) {
        let key = line.split('=').next().unwrap_or_default();
        match self.config.iter_mut().find(|known| known.starts_with(key)) {
            Some(known) => line.clone_into(known),
            None => self.config.insert(1, line.to_owned()),
        }
    }
}

fn presence(rest: &str) -> Does {
    Does::Presence(rest.split(' ').map(str::to_owned).collect())
}

/// What a step does: the line behind its time.
fn does(rest: &str) -> Option<Does> {
    let word = rest.split(' ').next()?;
    let tail = rest[word.len()..].trim();
    Some(match word {
        "wait" => Does::Wait,
        "down" => Does::Down,
        "redelivery" => Does::Redelivery,
        "config" => Does::Config(tail.to_owned()),
        "incident" => {
            let (id, body) = split_json(tail)?;
            Does::Incident { id: id.to_owned(), body }
        }
        _ if word == "echo" || word.starts_with("echo@") => {
            Does::Echo { conversation: split_conversation(word).1, by_id: tail == "by id" }
        }
        "agent" if !rest.contains(": ") => presence(tail),
        _ => event(rest)?,
    })
}

fn event(rest: &str) -> Option<Does> {
    let (text, context) = split_json(rest)?;
    let (head, said) = text.split_once(": ").map_or((text, None), |(head, said)| (head, Some(said)));
    let (head, conversation) = split_conversation(head);
    let (word, who) = head.split_once(' ').map_or((head, None), |(word, who)| (word, Some(who)));
    let shown = context.as_ref().map_or_else(String::new, |context| format!(" {context}"));
    let (kind, label) = match word {
        "customer" => ("message", format!("顾客{conversation}")),
        "program" => ("message", format!("程序{conversation}")),
        "agent" => ("agent_message", format!("客服{conversation}")),
        other => (EVENTS.iter().find(|(kind, _)| *kind == other)?.0, format!("事件{conversation}")),
    };
    let called = EVENTS.iter().find(|(name, _)| *name == kind).map(|(_, called)| *called);
    let shows = match (said, called) {
        (Some(said), _) => format!("{}{said}{shown}", who.map_or_else(String::new, |who| format!("[{who}] "))),
        (None, called) => {
            format!("{}{}{shown}", called?, who.map_or_else(String::new, |who| format!(" {who}")))
        }
    };
    let mut fields = json!({ "type": kind, "text": said.unwrap_or_default(), "sender_is_bot": word == "program" });
    if let Some(who) = who {
        fields["agent_id"] = json!(who);
    }
    if let Some(context) = context {
        fields["context"] = context;
    }
    Some(Does::Event { fields, conversation, label, shows })
}

/// `words {json}`; `None` when the JSON is none.
fn split_json(text: &str) -> Option<(&str, Option<Value>)> {
    match text.find(" {") {
        Some(at) if text.ends_with('}') => Some((&text[..at], Some(serde_json::from_str(&text[at + 1..]).ok()?))),
        _ => Some((text, None)),
    }
}

fn split_conversation(head: &str) -> (&str, String) {
    head.split_once('@').map_or_else(|| (head, String::new()), |(head, name)| (head, name.to_owned()))
}

/// What is known of a conversation that is played.
#[derive(Default)]
struct Seen {
    events: u64,
    phase: String,
    reply: Option<(String, String)>,
}

/// Plays a script and writes the transcript.
struct Player {
    scenario: Scenario,
    store: Arc<dyn Store>,
    bot: Bot,
    now: Timestamp,
    messages: u32,
    last: Option<(Value, String)>,
    seen: BTreeMap<String, Seen>,
    day: Option<Date>,
    /// Ids of replies that were taken out of the outbox.
    pushed: BTreeSet<String>,
    transcript: String,
    reasons: BTreeSet<String>,
}

impl Player {
    /// Plays a scenario over a fresh store: the transcript, and the rules that decided.
    async fn play(name: &str, store: Arc<dyn Store>) -> (String, BTreeSet<String>) {
        let mut scenario = Scenario::read(name);
        let steps = std::mem::take(&mut scenario.steps);
        let mut player = Self {
            bot: bot(&scenario, &store),
            scenario,
            store,
            now: Timestamp::UNIX_EPOCH,
            messages: 0,
            last: None,
            seen: BTreeMap::new(),
            day: None,
            pushed: BTreeSet::new(),
            transcript: String::new(),
            reasons: BTreeSet::new(),
        };
        for step in steps {
            if !matches!(step.does, Does::Down) {
                player.fire_until(step.at).await;
            }
            player.now = step.at;
            player.take(step.does).await;
        }
        (player.transcript, player.reasons)
    }

    async fn take(&mut self, does: Does) {
        match does {
            Does::Wait => {}
            Does::Down => {
                self.write("停机", "服务停到现在才恢复");
                self.fire_until(self.now).await;
            }
            Does::Event { fields, conversation, label, shows } => {
                self.write(&label, &shows);
                self.post(fields, &conversation).await;
            }
            Does::Echo { conversation, by_id } => {
                let (id, text) = self.seen[&conversation].reply.clone().expect("a reply went out");
                let how = if by_id { "带回执编号" } else { "只有原文" };
                self.write("回显", &format!("（机器人刚发的话，{how}）"));
                let fields = json!({ "type": "agent_message", "text": text, "echo_of": by_id.then_some(id) });
                self.post(fields, &conversation).await;
            }
            Does::Redelivery => {
                let (event, conversation) = self.last.clone().expect("something was delivered");
                self.write("重投", "（同一条消息又送来一次）");
                let events = self.seen[&conversation].events;
                assert!(self.receive(&event).await, "it is known");
                self.show(&conversation).await;
                assert_eq!(self.seen[&conversation].events, events);
            }
            Does::Presence(words) => self.seat(&words).await,
            Does::Incident { id, body } => self.incident(id, body).await,
            Does::Config(line) => {
                self.write("重启", &format!("配置改为 {line}"));
                self.scenario.set(&line);
                self.bot = bot(&self.scenario, &self.store);
            }
        }
    }

    async fn post(&mut self, fields: Value, conversation: &str) {
        self.messages += 1;
        let event = json!({
            "shop": "demo", "channel": "web", "conversation_id": self.key(conversation).conversation_id,
            "customer_id": format!("customer {conversation}"), "message_id": format!("m-{}", self.messages),
        });
        let event = with(event, fields);
        assert!(!self.receive(&event).await, "it is new");
        self.last = Some((event, conversation.to_owned()));
        self.show(conversation).await;
    }

    async fn receive(&self, event: &Value) -> bool {
        let body: EventBody = serde_json::from_value(event.clone()).unwrap();
        self.bot.receive(body.check(5_000, self.now).unwrap(), self.now).await.unwrap().1
    }

    async fn seat(&mut self, words: &[String]) {
        let [id, presence, more @ ..] = words else { panic!("an agent has a presence") };
        let presence: Presence = serde_json::from_value(json!(presence)).unwrap();
        let capacity = more.first().map_or(1, |capacity| capacity.parse().unwrap());
        let audiences = more.iter().skip(1).map(|name| Audience::from_name(name).expect("a desk")).collect();
        let (shop, updated_at) = ("demo".to_owned(), self.now);
        let agent = Agent { shop, id: id.clone(), presence, capacity, audiences, updated_at };
        self.store.put_agent(&agent).await.unwrap();
        if self.now > Timestamp::UNIX_EPOCH {
            self.write("席位", &words.join(" "));
        }
    }

    async fn incident(&mut self, id: String, body: Option<Value>) {
        let Some(body) = body else {
            self.write("突发", &format!("{id} 结束"));
            assert!(self.bot.close_incident(&id, self.now).await.unwrap(), "{id} was open");
            return;
        };
        let shows = format!("{id}：{}，{}", body["cause"].as_str().unwrap(), body["effect"].as_str().unwrap());
        self.write("突发", &shows);
        let incident = with(json!({ "id": id, "opened_at": self.now }), body);
        self.bot.open_incident(&serde_json::from_value(incident).unwrap(), self.now).await.unwrap();
    }

    /// Fires timers up to `until`, each at its own time, or now where that has passed.
    async fn fire_until(&mut self, until: Timestamp) {
        for _ in 0..500 {
            let mut due = self.store.due(None, until, 200).await.unwrap();
            let Some(first) = due.iter().map(|due| due.due_at).min() else { return };
            self.now = self.now.max(first);
            due.retain(|due| due.due_at <= self.now);
            due.sort_by(|one, other| (one.due_at, &one.key).cmp(&(other.due_at, &other.key)));
            // One after another: the transcript must not depend on which was quicker.
            for event in self.bot.due_events(self.now).await.unwrap() {
                self.bot.receive(event, self.now).await.unwrap();
            }
            for due in due {
                let timer = first_due(&self.bot.timers(&due.key, &due.facts), self.now);
                let kind = timer.map_or("（已不需要）", |timer| called(timer.kind));
                let prefix = self.key("").conversation_id;
                let conversation = due.key.conversation_id[prefix.len()..].trim_start_matches('@').to_owned();
                self.write(&format!("⏰{conversation}"), kind);
                self.show(&conversation).await;
            }
        }
        panic!("timers fire without end");
    }

    /// What was decided since the conversation was last looked at.
    async fn show(&mut self, conversation: &str) {
        self.take_pushes().await;
        let mut seen = self.seen.remove(conversation).unwrap_or_default();
        let history = self.store.history(&self.key(conversation), seen.events + 1, 100).await.unwrap();
        for event in history {
            seen.events = event.seq;
            let decision = &event.decision;
            let text = |field: &str| decision[field].as_str().unwrap_or_default().to_owned();
            self.reasons.insert(text("reason"));
            let used = [text("entry_id"), text("script_id")].into_iter().find(|id| !id.is_empty());
            let why = [text("action"), text("reason")].into_iter().chain(used).collect::<Vec<_>>().join(", ");
            let phase = text("phase");
            let before = std::mem::replace(&mut seen.phase, phase.clone());
            let before = if before.is_empty() { "new" } else { before.as_str() };
            let moved = if before == phase { String::new() } else { format!("  [{before} → {phase}]") };
            let replies = decision["replies"].as_array().unwrap();
            if replies.is_empty() {
                self.say("—", &format!("（不回复）  ({why}){moved}"));
            }
            for reply in replies {
                let (id, said) = (reply["id"].as_str().unwrap(), reply["text"].as_str().unwrap());
                let label = match text("delivery").as_str() {
                    "push" if self.pushed.contains(id) => "推送",
                    "push" => "未送",
                    _ => "应答",
                };
                self.say(label, &format!("{said}  ({why}){moved}"));
                seen.reply = Some((id.to_owned(), said.to_owned()));
            }
        }
        self.seen.insert(conversation.to_owned(), seen);
    }

    /// Takes what waits in the outbox, as if it had been brought.
    async fn take_pushes(&mut self) {
        let lease = self.now + SignedDuration::from_secs(8);
        loop {
            let pushes = self.store.claim(self.now, lease.into(), 100, &[]).await.unwrap();
            if pushes.is_empty() {
                return;
            }
            for push in pushes {
                let body: Value = serde_json::from_str(&push.outgoing.body).unwrap();
                self.pushed.extend(body["data"]["reply_id"].as_str().map(str::to_owned));
                self.store.settle(&[(push.outgoing.id, Settled::Sent)], self.now).await.unwrap();
            }
        }
    }

    /// Wordings are chosen by the conversation's id: each scenario reads differently.
    fn key(&self, conversation: &str) -> ConversationKey {
        let at = if conversation.is_empty() { "" } else { "@" };
        let conversation_id = format!("{}{at}{conversation}", self.scenario.name);
        ConversationKey { channel: "web".to_owned(), shop: "demo".to_owned(), conversation_id }
    }

    /// A line with its time; the day where it is another one.
    fn write(&mut self, label: &str, text: &str) {
        let local: Zoned = self.now.to_zoned(self.scenario.zone.clone());
        if self.day.replace(local.date()).is_some_and(|day| day != local.date()) {
            writeln!(self.transcript, "---- {}", local.date()).unwrap();
        }
        let time = if local.second() == 0 && local.subsec_nanosecond() == 0 { "%H:%M" } else { "%H:%M:%S%.f" };
        self.line(&local.strftime(time).to_string(), label, text);
    }

    fn say(&mut self, label: &str, text: &str) {
        self.line("", label, text);
    }

    fn line(&mut self, time: &str, label: &str, text: &str) {
        let wide = label.chars().map(|c| if c > '\u{2000}' && c != '—' { 2 } else { 1 }).sum::<usize>();
        let text = text.replace('\n', &format!("\n{:20}", ""));
        writeln!(self.transcript, "{time:<11}{label}{:1$} {text}", "", 8_usize.saturating_sub(wide)).unwrap();
    }
}

fn bot(scenario: &Scenario, store: &Arc<dyn Store>) -> Bot {
    let config = configuration(&scenario.toml());
    let knowledge = if scenario.small { fixture_shop() } else { starter_pack() };
    Bot::new(knowledge, Arc::clone(store), Arc::new(config.shops), config.webhooks)
}

/// What an editor calls a timer.
fn called(kind: TimerKind) -> &'static str {
    match kind {
        TimerKind::Bubbles => "顾客说完了 bubbles",
        TimerKind::HandBack => "客服久未说话 hand_back",
        TimerKind::Guard => "回复快超时 guard",
        TimerKind::Unpaid => "催付 unpaid",
        TimerKind::Position => "看排位 position",
        TimerKind::Idle => "久无人说话 idle",
    }
}

/// Every rule there is: serde names them all to whoever asks for another.
fn all_rules() -> BTreeSet<String> {
    let error = serde_json::from_str::<Rule>("\"?\"").unwrap_err().to_string();
    let names: BTreeSet<String> = error.split('`').skip(1).step_by(2).skip(1).map(str::to_owned).collect();
    assert!(names.contains("echo") && names.contains("queued"), "{error}");
    names
}

async fn on_sqlite(name: &str) -> (String, BTreeSet<String>) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("yingda.db")).await.unwrap();
    Player::play(name, Arc::new(store)).await
}

async fn keeps(name: &str) {
    let (transcript, _) = on_sqlite(name).await;
    let store = PostgresStore::connect(&database_url().await).await.unwrap();
    let (other, _) = Player::play(name, Arc::new(store)).await;
    assert_eq!(transcript, other, "{name}: both engines tell the same");
    let script = std::fs::read_to_string(project("tests/scenarios").join(format!("{name}.txt"))).unwrap();
    let promise = script.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned();
    insta::with_settings!({ description => promise, omit_expression => true }, {
        insta::assert_snapshot!(name, transcript);
    });
}

/// A test for each script.
macro_rules! scenarios {
    ($($promise:ident),* $(,)?) => {
        const NAMES: &[&str] = &[$(stringify!($promise)),*];

        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            keeps(&stringify!($promise).replace('_', "-")).await;
        })*
    };
}

scenarios!(
    a_closed_conversation_opens_again,
    a_downtime_into_the_night_wakes_nobody,
    a_first_message_is_greeted_and_again_after_the_gap,
    a_greeting_and_an_answer_make_one_message,
    a_human_keeps_the_bot_silent_for_five_minutes,
    a_human_who_has_the_customer_is_not_talked_over_by_the_reminder,
    a_human_who_replies_meanwhile_cancels_the_bubbles,
    a_late_word_of_an_unpaid_order_is_asked_about_at_once,
    a_menu_is_answered_with_a_number,
    a_number_alone_waits_for_a_human,
    a_parcel_that_left_and_money_that_came_back_are_told,
    a_payment_is_acknowledged_once,
    a_program_that_chats_on_and_on_is_left_alone,
    a_redelivery_says_nothing_new,
    a_silent_conversation_is_closed,
    a_takeover_cancels_the_bubbles,
    a_takeover_lasts_until_the_agent_is_silent_for_half_an_hour,
    a_timer_whose_reason_has_gone_says_nothing,
    an_advertisement_gets_one_sentence_once,
    an_agent_hands_back_and_nobody_hands_back_twice,
    an_agent_who_leaves_a_waiting_customer_puts_them_back_in_the_queue,
    an_agent_who_writes_first_is_not_talked_over,
    an_answer_between_starts_the_count_of_misses_anew,
    an_answer_goes_out_whole_then_short_then_a_human_comes,
    an_incident_ends_by_itself_or_by_hand,
    an_incident_is_told_once_and_mutes_what_it_contradicts,
    an_incident_may_stand_beside_the_answer,
    an_incident_touches_only_whom_it_names,
    an_unpaid_order_is_asked_about_once_unless_it_is_paid,
    another_program_is_not_answered,
    bubbles_are_answered_together,
    cards_recalls_and_pictures_are_met_in_silence,
    complaints_and_anger_go_to_a_human_without_promotion,
    greetings_follow_the_campaign_and_the_customer,
    half_a_question_leans_on_the_last_one,
    in_busy_hours_nobody_counts_as_free,
    orders_of_a_closed_conversation_are_heard,
    other_desks_help_out_only_where_overflow_is_on,
    our_own_words_that_come_back_are_no_human,
    reminders_wait_for_the_morning,
    thanks_are_met_in_silence_and_a_farewell_is_answered_once,
    the_queue_tells_the_place_and_again_only_when_it_is_better,
    the_reply_guard_is_called_off_by_any_reply,
    the_reply_guard_speaks_before_the_limit_and_only_inside_the_window,
    the_roster_says_who_is_on_duty,
    the_second_question_of_a_message_is_not_overlooked,
    the_shop_s_own_clock_decides,
    the_state_of_the_order_chooses_the_answer,
    traditional_and_english_are_answered_in_kind,
    two_questions_without_an_answer_call_a_human,
    what_is_overdue_after_a_day_is_closed_without_a_word,
    what_is_overdue_after_a_long_downtime_is_dropped,
    what_is_overdue_after_a_short_downtime_comes_once,
    what_only_agents_may_say_goes_to_an_agent,
    when_the_shop_is_closed_the_next_opening_is_told,
    who_asks_for_a_human_gets_one_and_the_bot_is_silent,
    who_types_on_and_on_is_answered_all_the_same,
    who_waits_for_a_human_is_not_closed,
    with_nobody_to_bring_it_nothing_is_said_unasked,
);

#[test]
fn every_script_is_played() {
    let files = std::fs::read_dir(project("tests/scenarios")).unwrap();
    let found: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().to_str().unwrap().trim_end_matches(".txt").to_owned()).collect();
    let played: BTreeSet<String> = NAMES.iter().map(|name| name.replace('_', "-")).collect();
    assert_eq!(found, played);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rule_has_its_scenario() {
    let mut seen = BTreeSet::new();
    for name in NAMES {
        seen.extend(on_sqlite(&name.replace('_', "-")).await.1);
    }
    let missing: Vec<String> = all_rules().difference(&seen).cloned().collect();
    assert_eq!(missing, Vec::<String>::new(), "rules without a scenario");
}
