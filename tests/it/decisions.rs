//! The decision: every rule, every pair of neighbours, every boundary in time. A table of scenes and their outcomes.

use jiff::{SignedDuration, Timestamp};
use serde_json::to_value;
use yingda::analysis::speech::SpeechAct;
use yingda::analysis::speech::SpeechAct::{
    Acknowledge, Advertisement, Anger, AskHuman, Complaint, Farewell, Greeting, Risk, Thanks,
};
use yingda::conversation::event::EventKind;
use yingda::conversation::event::EventKind::{AgentMessage, Closed, Media, OrderPaid, OrderUnpaid, Recalled, System};
use yingda::conversation::model::{Conversation, SentEntry, SentScript, digest};
use yingda::conversation::phase::Phase;
use yingda::conversation::timer::Timer;
use yingda::faq::script::AgentsState::{Busy, OffHours};
use yingda::faq::script::{AgentsState, ScriptKind};
use yingda::reply::choice::Part;
use yingda::reply::policy::ShopPolicy;
use yingda::reply::turn::{Choosable, Finding, Turn};
use yingda::reply::{Choice, decide};

/// One turn to be decided.
#[derive(Clone)]
struct Scene {
    now: Timestamp,
    kind: EventKind,
    text: &'static str,
    canonical: &'static str,
    acts: Vec<SpeechAct>,
    sender_is_bot: bool,
    finding: Finding,
    also: Vec<Choosable>,
    conversation: Conversation,
    agents: AgentsState,
    incident: Option<&'static str>,
    ordered_at: Option<Timestamp>,
    gathers: bool,
    timer: Option<Timer>,
    position: Option<u32>,
    may_step: bool,
    policy: ShopPolicy,
}

/// The first message of a conversation.
fn first() -> Scene {
    Scene {
        now: "2026-11-22T02:00:00Z".parse().unwrap(),
        kind: EventKind::Message,
        text: "随便",
        canonical: "随便",
        acts: Vec::new(),
        sender_is_bot: false,
        finding: Finding::Nothing,
        also: Vec::new(),
        conversation: Conversation::default(),
        agents: AgentsState::Free,
        incident: None,
        ordered_at: None,
        gathers: false,
        timer: None,
        position: None,
        may_step: true,
        policy: ShopPolicy::default(),
    }
}

/// A message a minute after the last one.
fn later() -> Scene {
    let mut scene = first().last_customer(60);
    scene.conversation.phase = Phase::Bot;
    scene
}

fn choosable(id: &str, agents_only: bool) -> Choosable {
    Choosable { entry_id: id.to_owned(), confidence: 0.9, agents_only, contradicted: None }
}

impl Scene {
    fn ago(&self, seconds: i64) -> Timestamp {
        self.now - SignedDuration::from_secs(seconds)
    }

    fn kind(mut self, kind: EventKind) -> Self {
        self.kind = kind;
        self
    }

    fn says(mut self, text: &'static str) -> Self {
        (self.text, self.canonical) = (text, text);
        self
    }

    fn act(mut self, act: SpeechAct) -> Self {
        self.acts.push(act);
        self
    }

    fn by_a_program(mut self) -> Self {
        self.sender_is_bot = true;
        self
    }

    fn exact(mut self) -> Self {
        self.finding = Finding::Exact(choosable("ship", false));
        self
    }

    fn confident(mut self) -> Self {
        self.finding = Finding::Confident(choosable("ship", false));
        self
    }

    fn for_agents(mut self) -> Self {
        self.finding = Finding::Confident(choosable("margin", true));
        self
    }

    fn near(mut self, ids: &[(&str, bool)]) -> Self {
        self.finding = Finding::Near(ids.iter().map(|(id, agents_only)| choosable(id, *agents_only)).collect());
        self
    }

    fn also(mut self, ids: &[(&str, bool)]) -> Self {
        self.also = ids.iter().map(|(id, agents_only)| choosable(id, *agents_only)).collect();
        self
    }

    fn last_customer(mut self, seconds_ago: i64) -> Self {
        self.conversation.last_customer_at = Some(self.ago(seconds_ago));
        self
    }

    fn human(mut self, seconds_ago: i64) -> Self {
        let since = self.ago(seconds_ago);
        self.conversation.last_human_at = Some(since);
        self.conversation.phase = Phase::Assigned { agent: None, since, taken_over: false };
        self
    }

    fn handed_over(mut self) -> Self {
        self.conversation.phase = Phase::Queued { since: self.ago(60), handed_over: true };
        self
    }

    fn sent(mut self, entry: &str, times: u32) -> Self {
        self.conversation.entries.push(SentEntry { entry_id: entry.to_owned(), times });
        self
    }

    fn script(mut self, kind: ScriptKind, seconds_ago: i64) -> Self {
        let at = self.ago(seconds_ago);
        self.conversation.scripts.push(SentScript { kind, at });
        self
    }

    fn menu(mut self, ids: &[&str]) -> Self {
        self.conversation.menu = ids.iter().map(ToString::to_string).collect();
        self
    }

    fn echoes(mut self, text: &str) -> Self {
        self.conversation.echoes.push(digest(text));
        self
    }

    fn said_before(mut self, times: u32) -> Self {
        (self.conversation.last_text, self.conversation.same_text) = (self.canonical.to_owned(), times);
        self
    }

    fn replies_in_a_row(mut self, replies: u32) -> Self {
        self.conversation.replies_in_a_row = replies;
        self
    }

    fn agents(mut self, agents: AgentsState) -> Self {
        self.agents = agents;
        self
    }

    fn incident(mut self, id: &'static str) -> Self {
        self.incident = Some(id);
        self
    }

    fn told(mut self, id: &str) -> Self {
        self.conversation.incidents.push(id.to_owned());
        self
    }

    fn ordered(mut self, seconds_ago: i64) -> Self {
        self.ordered_at = Some(self.ago(seconds_ago));
        self
    }

    fn policy(mut self, change: impl FnOnce(&mut ShopPolicy)) -> Self {
        change(&mut self.policy);
        self
    }

    fn decide(&self) -> Choice {
        decide(&Turn {
            now: self.now,
            kind: self.kind,
            text: self.text,
            canonical: self.canonical,
            acts: &self.acts,
            sender_is_bot: self.sender_is_bot,
            finding: self.finding.clone(),
            also: &self.also,
            conversation: &self.conversation,
            agents: self.agents,
            incident: self.incident,
            ordered_at: self.ordered_at,
            order_state: None,
            asks: self.kind == EventKind::Message && self.acts.is_empty(),
            gathers: self.gathers,
            timer: self.timer,
            position: self.position,
            may_step: self.may_step,
            echo: self.conversation.is_echo(None, self.text),
            policy: &self.policy,
        })
    }

    fn rule(&self) -> String {
        name(&self.decide().rule)
    }

    /// `action by rule: parts`, with `, to a human` when the conversation is handed over.
    fn outcome(&self) -> String {
        let choice = self.decide();
        let parts: Vec<String> = choice.parts.iter().map(part).collect();
        let event = choice.event.map(|event| format!(" ({})", name(&event))).unwrap_or_default();
        let hands_over = if choice.hands_over { ", to a human" } else { "" };
        format!(
            "{} by {}: {}{event}{hands_over}",
            name(&choice.action),
            name(&choice.rule),
            if parts.is_empty() { "-".to_owned() } else { parts.join(" + ") }
        )
    }
}

fn name(value: &impl serde::Serialize) -> String {
    to_value(value).unwrap().as_str().unwrap().to_owned()
}

fn part(part: &Part) -> String {
    match part {
        Part::Script(kind) => format!("{} script", name(kind)),
        Part::Lead => "lead".to_owned(),
        Part::Entry(id) => format!("answer {id}"),
        Part::Brief(id) => format!("brief {id}"),
        Part::Menu(ids) => format!("menu {}", ids.join(" ")),
        Part::Also(ids) => format!("also {}", ids.join(" ")),
    }
}

fn check(table: Vec<(&str, Scene, &str)>) {
    let wrong: Vec<String> = table
        .iter()
        .map(|(what, scene, expected)| (what, scene.outcome(), expected))
        .filter(|(_, outcome, expected)| outcome != *expected)
        .map(|(what, outcome, expected)| format!("{what}:\n  is        {outcome}\n  should be {expected}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_rule_decides_its_scene() {
    let long_gone = 25 * 3600;
    check(vec![
        ("our own message", later().kind(AgentMessage).says("您好").echoes("您好"), "silent by echo: -"),
        ("a human's message", later().kind(AgentMessage).says("您好"), "silent by human_wrote: -"),
        ("a payment", later().kind(OrderPaid), "close by closing_event: closing script (paid)"),
        ("a closed conversation", later().kind(Closed), "close by closing_event: closing script (farewell)"),
        (
            "a payment after the closing script",
            later().kind(OrderPaid).script(ScriptKind::Closing, 60),
            "silent by system_event: -",
        ),
        ("an unpaid order", later().kind(OrderUnpaid).ordered(660), "remind by unpaid_order: reminder script"),
        (
            "an unpaid order, reminded of",
            later().kind(OrderUnpaid).ordered(660).script(ScriptKind::Reminder, 60),
            "silent by system_event: -",
        ),
        ("an unpaid order of unknown age", later().kind(OrderUnpaid), "silent by system_event: -"),
        ("a notice", later().kind(System), "silent by system_event: -"),
        ("a notice before anything was said", first().kind(System), "silent by system_event: -"),
        ("a recalled message", later().kind(Recalled), "silent by system_event: -"),
        ("a known program", later().by_a_program(), "silent by loop_breaker: -"),
        ("the same text for the fourth time", later().says("喂").said_before(3), "silent by loop_breaker: -"),
        ("twenty replies in a row", later().replies_in_a_row(20), "silent by loop_breaker: -"),
        ("a human wrote", later().human(60), "silent by human_active: -"),
        ("handed over", later().handed_over(), "silent by human_active: -"),
        ("an image, first", first().kind(Media), "greet by first_message: greeting script"),
        ("an image", later().kind(Media), "silent by media: -"),
        ("an image while agents are busy", later().kind(Media).agents(Busy), "wait by agents_busy: waiting script"),
        ("an advertisement", first().act(Advertisement), "advertisement by advertisement: advertisement script"),
        (
            "another advertisement",
            later().act(Advertisement).script(ScriptKind::Advertisement, 60),
            "silent by advertisement: -",
        ),
        ("for a human", first().act(AskHuman), "handoff by asked_for_human: handoff script, to a human"),
        ("a complaint", first().act(Complaint), "handoff by complaint: handoff script, to a human"),
        ("anger", first().act(Anger), "handoff by anger: empathy script, to a human"),
        ("danger", later().act(Risk), "handoff by anger: empathy script, to a human"),
        ("an incident", first().incident("storm"), "incident by incident_open: incident script"),
        ("an incident that was told", later().incident("storm").told("storm"), "silent by queued: -"),
        ("another incident", later().incident("strike").told("storm"), "incident by incident_open: incident script"),
        ("a menu's second line", later().says("二").menu(&["a", "b"]), "answer by menu_choice: answer b"),
        ("a number without a menu", later().says("2"), "silent by queued: -"),
        ("a phrasing, first", first().exact(), "answer by exact_phrasing: lead + answer ship"),
        ("a phrasing", later().exact(), "answer by exact_phrasing: answer ship"),
        ("a likely entry", later().confident(), "answer by confident_match: answer ship"),
        ("a likely entry, first", first().confident(), "answer by confident_match: lead + answer ship"),
        (
            "a likely entry, after a day",
            first().confident().last_customer(long_gone),
            "answer by confident_match: lead + answer ship",
        ),
        (
            "a likely entry for agents only",
            later().for_agents(),
            "handoff by confident_match: handoff script, to a human",
        ),
        ("asked for the second time", later().exact().sent("ship", 1), "answer by exact_phrasing: brief ship"),
        (
            "asked for the third time",
            later().exact().sent("ship", 2),
            "handoff by asked_again: handoff script, to a human",
        ),
        (
            "two questions",
            later().confident().also(&[("size", false)]),
            "answer by confident_match: answer ship + also size",
        ),
        (
            "two questions, the other for agents",
            later().exact().also(&[("secret", true)]),
            "answer by exact_phrasing: answer ship",
        ),
        (
            "two questions, the other answered",
            later().sent("size", 1).confident().also(&[("size", false)]),
            "answer by confident_match: answer ship",
        ),
        (
            "two questions, the third time",
            later().sent("ship", 2).confident().also(&[("size", false)]),
            "handoff by asked_again: handoff script, to a human",
        ),
        ("near ties", later().near(&[("a", false), ("b", false)]), "clarify by near_ties: menu a b"),
        ("near ties, first", first().near(&[("a", false), ("b", false)]), "clarify by near_ties: lead + menu a b"),
        (
            "near ties, one for agents only",
            later().near(&[("a", false), ("secret", true), ("b", false)]),
            "clarify by near_ties: menu a b",
        ),
        ("near ties, all for agents only", later().near(&[("secret", true)]), "silent by queued: -"),
        ("a farewell", later().act(Farewell), "close by farewell: closing script (farewell)"),
        ("another farewell", later().act(Farewell).script(ScriptKind::Closing, 60), "silent by farewell: -"),
        ("hello", first().act(Greeting), "greet by first_message: greeting script"),
        ("hello after a day", first().last_customer(long_gone), "greet by first_message: greeting script"),
        ("thanks", later().act(Thanks), "silent by small_talk: -"),
        ("all right", later().act(Acknowledge), "silent by small_talk: -"),
        ("thanks, first", first().act(Thanks), "greet by first_message: greeting script"),
        ("agents are busy", later().agents(Busy), "wait by agents_busy: waiting script"),
        ("nobody is there", later().agents(OffHours), "off_hours by outside_hours: off_hours script"),
        ("nothing applies", later(), "silent by queued: -"),
        ("hello again", later().act(Greeting), "silent by queued: -"),
    ]);
}

type Trigger = (&'static str, fn(Scene) -> Scene);

/// A way to make each rule apply to a customer's message, in the order of the rules.
const TRIGGERS: [Trigger; 15] = [
    ("loop_breaker", Scene::by_a_program),
    ("human_active", |scene| scene.human(60)),
    ("advertisement", |scene| scene.act(Advertisement)),
    ("asked_for_human", |scene| scene.act(AskHuman)),
    ("complaint", |scene| scene.act(Complaint)),
    ("anger", |scene| scene.act(Anger)),
    ("incident_open", |scene| scene.incident("storm")),
    ("menu_choice", |scene| scene.says("1").menu(&["a", "b"])),
    ("exact_phrasing", Scene::exact),
    ("confident_match", Scene::confident),
    ("near_ties", |scene| scene.near(&[("a", false), ("b", false)])),
    ("farewell", |scene| scene.act(Farewell)),
    ("first_message", |mut scene| {
        scene.conversation.last_customer_at = None;
        scene
    }),
    ("small_talk", |scene| scene.act(Thanks)),
    ("agents_busy", |scene| scene.agents(Busy)),
];

#[test]
fn of_two_neighbouring_rules_the_earlier_one_decides() {
    for pair in TRIGGERS.windows(2) {
        let [(earlier, pull), (later_rule, pull_next)] = pair else { unreachable!("windows of two") };
        assert_eq!(pull_next(later()).rule(), *later_rule, "{later_rule} alone");
        let both = pull(pull_next(later()));
        assert_eq!(both.rule(), *earlier, "{earlier} before {later_rule}");
    }
}

#[test]
fn each_rule_wins_against_everything_below_it() {
    for (place, (rule, _)) in TRIGGERS.iter().enumerate() {
        let scene = TRIGGERS[place..].iter().rev().fold(later(), |scene, (_, pull)| pull(scene));
        assert_eq!(scene.rule(), *rule);
    }
}

#[test]
fn of_any_two_rules_the_earlier_one_decides() {
    for (place, (rule, pull)) in TRIGGERS.iter().enumerate() {
        for (other, pull_other) in &TRIGGERS[place + 1..] {
            assert_eq!(pull(pull_other(later())).rule(), *rule, "{rule} before {other}");
        }
    }
}

#[test]
fn events_are_no_messages_whatever_else_holds() {
    let crowded = |kind| {
        let all = TRIGGERS.iter().rev().fold(later(), |scene, (_, pull)| pull(scene));
        all.handed_over().kind(kind)
    };
    check(vec![
        ("a human's message", crowded(AgentMessage), "silent by human_wrote: -"),
        ("a payment", crowded(OrderPaid), "close by closing_event: closing script (paid)"),
        ("a closed conversation", crowded(Closed), "close by closing_event: closing script (farewell)"),
        ("an unpaid order", crowded(OrderUnpaid).ordered(660), "remind by unpaid_order: reminder script"),
        ("an unpaid order just made", crowded(OrderUnpaid).ordered(10), "silent by system_event: -"),
        ("a recalled message", crowded(Recalled), "silent by system_event: -"),
        ("a notice", crowded(System), "silent by system_event: -"),
    ]);
}

#[test]
fn an_image_stands_below_the_human_and_above_what_a_text_says() {
    check(vec![
        ("with a human", later().kind(Media).human(60), "silent by human_active: -"),
        ("from a program", first().kind(Media).by_a_program(), "silent by loop_breaker: -"),
        ("with words of an advertisement", later().kind(Media).act(Advertisement), "silent by media: -"),
        ("with angry words", later().kind(Media).act(Anger), "silent by media: -"),
        ("outside hours", later().kind(Media).agents(OffHours), "off_hours by outside_hours: off_hours script"),
    ]);
}

#[test]
fn a_greeting_goes_out_before_the_waiting_and_off_hours_scripts() {
    for agents in [Busy, OffHours] {
        assert_eq!(first().agents(agents).outcome(), "greet by first_message: greeting script");
    }
}

#[test]
fn a_human_is_active_for_five_minutes() {
    for (seconds, rule) in [(0, "human_active"), (299, "human_active"), (300, "queued"), (301, "queued")] {
        assert_eq!(later().human(seconds).rule(), rule, "{seconds} s");
    }
    assert_eq!(later().human(-30).rule(), "human_active", "a clock set back");
    let patient = later().policy(|policy| policy.human_minutes = 10);
    assert_eq!(patient.clone().human(599).rule(), "human_active");
    assert_eq!(patient.human(600).rule(), "queued");
}

#[test]
fn a_customer_is_greeted_again_after_a_day() {
    let day = 24 * 3600;
    for (seconds, rule) in [(1, "queued"), (day - 1, "queued"), (day, "first_message"), (day + 1, "first_message")] {
        assert_eq!(first().last_customer(seconds).rule(), rule, "{seconds} s");
    }
    let short = |seconds| first().policy(|policy| policy.regreet_hours = 1).last_customer(seconds).rule();
    assert_eq!((short(3_599).as_str(), short(3_600).as_str()), ("queued", "first_message"));
}

#[test]
fn a_handed_over_conversation_stays_with_the_human_for_a_day() {
    let day = 24 * 3600;
    assert_eq!(first().handed_over().last_customer(day - 1).rule(), "human_active");
    assert_eq!(first().handed_over().last_customer(day).rule(), "first_message");
}

#[test]
fn an_unpaid_order_is_asked_about_after_ten_minutes() {
    for (seconds, rule) in [(599, "system_event"), (600, "unpaid_order"), (601, "unpaid_order")] {
        assert_eq!(later().kind(OrderUnpaid).ordered(seconds).rule(), rule, "{seconds} s");
    }
    assert_eq!(later().kind(OrderUnpaid).ordered(-60).rule(), "system_event", "an order of the future");
}

#[test]
fn waiting_and_off_hours_scripts_rest_for_ten_minutes() {
    for (agents, kind, rule) in
        [(Busy, ScriptKind::Waiting, "agents_busy: "), (OffHours, ScriptKind::OffHours, "outside_hours: ")]
    {
        let said = |seconds| later().agents(agents).script(kind, seconds).outcome();
        for (seconds, silent) in [(0, true), (599, true), (600, false)] {
            let outcome = said(seconds);
            assert!(outcome.contains(rule), "{outcome}");
            assert_eq!(outcome.starts_with("silent"), silent, "{seconds} s: {outcome}");
        }
    }
}

#[test]
fn the_breaker_trips_at_the_twentieth_reply_and_the_fourth_repetition() {
    for (replies, rule) in [(19, "exact_phrasing"), (20, "loop_breaker"), (21, "loop_breaker")] {
        assert_eq!(later().exact().replies_in_a_row(replies).rule(), rule, "{replies} replies");
    }
    for (times, rule) in [(1, "queued"), (2, "queued"), (3, "loop_breaker"), (9, "loop_breaker")] {
        assert_eq!(later().says("喂").said_before(times).rule(), rule, "said {times} times before");
    }
    assert_eq!(later().act(AskHuman).replies_in_a_row(21).rule(), "asked_for_human", "heard all the same");
    assert_eq!(later().says("").said_before(9).rule(), "queued", "images and emoji have no text");
    assert_eq!(first().exact().replies_in_a_row(20).last_customer(86_400).rule(), "exact_phrasing", "a day later");
}

#[test]
fn a_repeated_answer_counts_by_entry_not_by_rule() {
    check(vec![
        ("by menu", later().says("1").menu(&["ship"]).sent("ship", 1), "answer by menu_choice: brief ship"),
        (
            "by menu, third time",
            later().says("1").menu(&["ship"]).sent("ship", 2),
            "handoff by asked_again: handoff script, to a human",
        ),
        ("another entry", later().confident().sent("size", 2), "answer by confident_match: answer ship"),
    ]);
}

#[test]
fn a_decision_is_the_same_every_time() {
    for (_, pull) in TRIGGERS {
        let scene = pull(later());
        assert_eq!(scene.decide(), scene.decide());
    }
}

#[test]
fn anger_never_carries_a_promotion() {
    for scene in [first(), later()] {
        for act in [Anger, Risk] {
            let choice = scene.clone().act(act).exact().decide();
            assert_eq!(choice.parts, [Part::Script(ScriptKind::Empathy)]);
            assert!(choice.hands_over);
        }
    }
}
