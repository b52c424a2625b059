//! The reply-rate ledger of one shop and day: who was answered in time, who waits, and what the day may come to.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::conversation::clock::Clock;
use crate::hours::Week;
use crate::report::projection::{Progress, Projection};

/// One wait of a customer, from a message that nobody had answered to the reply that did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Channel of the conversation.
    pub channel: String,
    /// Conversation within the channel.
    pub conversation: String,
    /// When the customer began to wait.
    pub started_at: Timestamp,
    /// When the reply came; none while there is none, and when the conversation was closed without one.
    pub replied_at: Option<Timestamp>,
}

/// When the platform assesses.
#[derive(Debug, Clone)]
pub struct Window {
    /// Its hours. Those that start on a day belong to it, though they run past midnight.
    pub week: Week,
    /// Zone of the hours and of the day.
    pub zone: TimeZone,
}

/// Whose ledger is asked for.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The shop.
    pub shop: &'a str,
    /// The day, in the zone of the window.
    pub day: Date,
    /// When the platform assesses.
    pub window: &'a Window,
    /// How long a customer may wait; a reply at exactly this time is in time.
    pub limit: SignedDuration,
    /// The clock that the platform counts.
    pub counted: Clock,
    /// The moment whose knowledge is told: what happened later is not seen.
    pub now: Timestamp,
}

/// Replies of one day by one clock.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Rate {
    /// Rounds that started inside the window of the day, its first moment included, its end not.
    pub rounds: usize,
    /// Of these, replied to within the limit.
    pub in_time: usize,
    /// Replied to after the limit, or not at all though it has passed.
    pub late: usize,
    /// Without a reply, and still within the limit.
    pub open: usize,
    /// `in_time / (in_time + late)`; null while nothing is decided.
    pub rate: Option<f64>,
    /// Half of the replies came within so many seconds; null without a reply. Customers who got none are not counted.
    pub median_seconds: Option<i64>,
    /// Nine of ten replies came within so many seconds; null without a reply.
    pub p90_seconds: Option<i64>,
    /// Every round of the day that started before this moment is decided: `now - limit`, within the window.
    #[schema(value_type = String, format = DateTime)]
    pub complete_up_to: Timestamp,
    /// What the day may come to; null before a tenth decided round and before a twentieth of the window.
    pub projection: Option<Projection>,
}

/// A customer of the counted clock who waits, in time or no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Breaching {
    /// Shop.
    pub shop: String,
    /// Channel.
    pub channel: String,
    /// Conversation within the channel.
    pub conversation_id: String,
    /// When the customer began to wait.
    #[schema(value_type = String, format = DateTime)]
    pub waiting_since: Timestamp,
    /// Until when a reply is in time.
    #[schema(value_type = String, format = DateTime)]
    pub deadline: Timestamp,
    /// Seconds until then; negative when it is over.
    pub seconds_left: i64,
}

/// The ledger of one shop and day.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Ledger {
    /// Shop.
    pub shop: String,
    /// Day, in the zone of the window.
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    /// Minutes in which a reply is in time.
    pub limit_minutes: f64,
    /// The clock that the platform counts.
    pub counted: Clock,
    /// Waits ended by any reply.
    pub any: Rate,
    /// Waits ended by a human's reply.
    pub human: Rate,
    /// The same of each conversation's first round of the day only.
    pub first_any: Rate,
    /// The same of each conversation's first round of the day only.
    pub first_human: Rate,
    /// Who waits by the counted clock, least time left first.
    pub breaching: Vec<Breaching>,
}

/// The ledger from the rounds of both clocks, in any order; rounds of other days are left out.
#[must_use]
pub fn ledger(question: &Question, any: &[Round], human: &[Round]) -> Ledger {
    let day = Day::new(question);
    let (any, human) = (day.rounds(any), day.rounds(human));
    let counted = if question.counted == Clock::Any { &any } else { &human };
    let breaching = day.breaching(counted);
    Ledger {
        shop: question.shop.to_owned(),
        day: question.day,
        limit_minutes: question.limit.as_secs_f64() / 60.0,
        counted: question.counted,
        any: day.rate(&any),
        human: day.rate(&human),
        first_any: day.rate(&firsts(&any)),
        first_human: day.rate(&firsts(&human)),
        breaching,
    }
}

/// Of each conversation, the round that started first.
fn firsts<'a>(rounds: &[&'a Round]) -> Vec<&'a Round> {
    let mut firsts: BTreeMap<(&str, &str), &Round> = BTreeMap::new();
    for &round in rounds {
        let first = firsts.entry((&round.channel, &round.conversation)).or_insert(round);
        if round.started_at < first.started_at {
            *first = round;
        }
    }
    firsts.into_values().collect()
}

/// The window of one day, seen from one moment.
struct Day<'a> {
    question: &'a Question<'a>,
    /// When the window is open, in order.
    open: Vec<Range<Timestamp>>,
}

impl<'a> Day<'a> {
    fn new(question: &'a Question<'a>) -> Self {
        Self { question, open: question.window.week.of_day(question.day, &question.window.zone) }
    }

    /// Rounds of the day that have started.
    fn rounds<'r>(&self, rounds: &'r [Round]) -> Vec<&'r Round> {
        let is_in = |at: &Timestamp| *at <= self.question.now && self.open.iter().any(|open| open.contains(at));
        rounds.iter().filter(|round| is_in(&round.started_at)).collect()
    }

    fn rate(&self, rounds: &[&Round]) -> Rate {
        let (mut in_time, mut late, mut open) = (0, 0, 0);
        for round in rounds {
            match self.waited(round) {
                Some(waited) if waited <= self.question.limit => in_time += 1,
                Some(_) => late += 1,
                None if self.since(round) > self.question.limit => late += 1,
                None => open += 1,
            }
        }
        let mut waits: Vec<i64> = rounds.iter().filter_map(|round| Some(self.waited(round)?.as_secs())).collect();
        waits.sort_unstable();
        let decided = in_time + late;
        Rate {
            rounds: rounds.len(),
            in_time,
            late,
            open,
            rate: (decided > 0).then(|| in_time as f64 / decided as f64),
            median_seconds: percentile(&waits, 50),
            p90_seconds: percentile(&waits, 90),
            complete_up_to: self.complete_up_to(),
            projection: Progress { in_time, late, open, elapsed: self.elapsed() }.projection(),
        }
    }

    /// How long the customer waited for the reply, if it has come; a reply that a fast clock dates before it took no time.
    fn waited(&self, round: &Round) -> Option<SignedDuration> {
        let replied = round.replied_at.filter(|at| *at <= self.question.now)?;
        Some(replied.duration_since(round.started_at).max(SignedDuration::ZERO))
    }

    fn since(&self, round: &Round) -> SignedDuration {
        self.question.now.duration_since(round.started_at)
    }

    fn complete_up_to(&self) -> Timestamp {
        let decided = self.question.now.checked_sub(self.question.limit).unwrap_or(Timestamp::MIN);
        match (self.open.first(), self.open.last()) {
            (Some(first), Some(last)) => decided.clamp(first.start, last.end),
            _ => decided,
        }
    }

    /// Share of the window's open time that is over, in 0..=1; 1 when it never opens.
    fn elapsed(&self) -> f64 {
        let length = |open: Range<Timestamp>| open.end.duration_since(open.start).as_secs_f64().max(0.0);
        let all: f64 = self.open.iter().cloned().map(length).sum();
        let over = self.open.iter().map(|open| open.start..open.end.min(self.question.now));
        if all > 0.0 { over.map(length).sum::<f64>() / all } else { 1.0 }
    }

    fn breaching(&self, rounds: &[&Round]) -> Vec<Breaching> {
        let waiting = rounds.iter().filter(|round| self.waited(round).is_none());
        let mut breaching: Vec<Breaching> = waiting.map(|round| self.breach(round)).collect();
        breaching.sort_by(|a, b| {
            (a.deadline, &a.channel, &a.conversation_id).cmp(&(b.deadline, &b.channel, &b.conversation_id))
        });
        breaching
    }

    fn breach(&self, round: &Round) -> Breaching {
        let deadline = round.started_at.checked_add(self.question.limit).unwrap_or(Timestamp::MAX);
        Breaching {
            shop: self.question.shop.to_owned(),
            channel: round.channel.clone(),
            conversation_id: round.conversation.clone(),
            waiting_since: round.started_at,
            deadline,
            seconds_left: deadline.duration_since(self.question.now).as_secs(),
        }
    }
}

/// The smallest value that at least `percent` of a hundred do not exceed (nearest rank).
fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn window(hours: serde_json::Value, zone: &str) -> Window {
        Window { week: serde_json::from_value(hours).unwrap(), zone: TimeZone::get(zone).unwrap() }
    }

    fn usual() -> Window {
        window(json!({"daily": ["08:00-23:00"]}), "Asia/Shanghai")
    }

    /// A moment in the zone of the window.
    fn at(window: &Window, civil: &str) -> Timestamp {
        civil.parse::<jiff::civil::DateTime>().unwrap().to_zoned(window.zone.clone()).unwrap().timestamp()
    }

    fn question<'a>(window: &'a Window, day: &str, now: &str) -> Question<'a> {
        Question {
            shop: "demo",
            day: day.parse().unwrap(),
            window,
            limit: SignedDuration::from_mins(5),
            counted: Clock::Any,
            now: at(window, now),
        }
    }

    fn round(conversation: &str, started_at: Timestamp, waited: Option<i64>) -> Round {
        Round {
            channel: "web".to_owned(),
            conversation: conversation.to_owned(),
            started_at,
            replied_at: waited.map(|seconds| started_at + SignedDuration::from_secs(seconds)),
        }
    }

    /// Rounds that started on 2026-03-02 at these times, each of its own conversation, with the seconds until the reply.
    fn rounds(window: &Window, waits: &[(&str, Option<i64>)]) -> Vec<Round> {
        let started = |time: &str| at(window, &format!("2026-03-02T{time}"));
        waits.iter().enumerate().map(|(n, (time, waited))| round(&format!("c{n}"), started(time), *waited)).collect()
    }

    fn rate(window: &Window, now: &str, rounds: &[Round]) -> Rate {
        ledger(&question(window, "2026-03-02", now), rounds, &[]).any
    }

    #[test]
    fn a_round_counts_for_the_window_that_it_started_in() {
        let window = usual();
        let rounds = rounds(
            &window,
            &[("07:59:59", Some(1)), ("08:00", Some(1)), ("22:59:59", Some(1)), ("23:00", Some(1)), ("23:30", None)],
        );
        let rate = rate(&window, "2026-03-03T09:00", &rounds);
        assert_eq!((rate.rounds, rate.in_time), (2, 2));
    }

    #[test]
    fn rounds_are_in_time_late_or_open() {
        let window = usual();
        let rounds = rounds(
            &window,
            &[
                ("09:00", Some(300)),
                ("09:00", Some(301)),
                ("09:54:59", None),
                ("09:55", None),
                ("09:59", None),
                ("09:58", Some(-3)),
                ("09:58", Some(3600)),
            ],
        );
        let rate = rate(&window, "2026-03-02T10:00", &rounds);
        assert_eq!((rate.rounds, rate.in_time, rate.late, rate.open), (7, 2, 2, 3));
        assert_eq!(rate.rate, Some(0.5));
        assert_eq!((rate.median_seconds, rate.p90_seconds), (Some(300), Some(301)));
        assert_eq!(rate.complete_up_to, at(&window, "2026-03-02T09:55"));
        assert_eq!(rate.projection, None, "too few are decided");
    }

    #[test]
    fn nothing_is_known_before_the_day_and_all_after_it() {
        let window = usual();
        let rounds = rounds(&window, &[("09:00", Some(10)), ("22:59", None)]);
        let before = rate(&window, "2026-03-01T12:00", &rounds);
        assert_eq!((before.rounds, before.rate, before.median_seconds), (0, None, None));
        assert_eq!(before.complete_up_to, at(&window, "2026-03-02T08:00"));
        let evening = rate(&window, "2026-03-02T23:01", &rounds);
        assert_eq!((evening.open, evening.complete_up_to), (1, at(&window, "2026-03-02T22:56")));
        let after = rate(&window, "2026-04-01T00:00", &rounds);
        assert_eq!((after.in_time, after.late, after.open), (1, 1, 0));
        assert_eq!(after.complete_up_to, at(&window, "2026-03-02T23:00"));
    }

    #[test]
    fn the_day_is_projected_from_its_open_time() {
        let window = usual();
        let mut waits = vec![("09:00", Some(60)); 8];
        waits.extend([("09:10", Some(900)), ("09:20", None), ("10:58", None), ("10:59", None)]);
        let projected = |now: &str| rate(&window, now, &rounds(&window, &waits)).projection;
        // 3 of 15 hours are over: 12 rounds make 60, of which 48 are to come.
        let projection = projected("2026-03-02T11:00").unwrap();
        assert_eq!(projection.rounds_expected, 60);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(projection.low, (8.0 + 0.8 * 48.0) / 60.0), "{projection:?}");
        assert!(close(projection.expected, 0.8), "{projection:?}");
        assert!(close(projection.high, (8.0 + 2.0 + 0.8 * 48.0) / 60.0), "{projection:?}");
        let over = projected("2026-03-03T11:00").unwrap();
        assert_eq!((over.rounds_expected, over.low, over.high), (12, over.expected, over.expected));
    }

    #[test]
    fn nothing_is_projected_from_too_little() {
        let window = usual();
        let projected = |count: usize, now: &str| {
            let waits = vec![("08:00", Some(1)); count];
            rate(&window, now, &rounds(&window, &waits)).projection.is_some()
        };
        assert!(projected(10, "2026-03-02T08:45"), "5 % of 15 hours");
        assert!(!projected(10, "2026-03-02T08:44"));
        assert!(!projected(9, "2026-03-02T12:00"));
    }

    #[test]
    fn the_clocks_are_told_apart_and_one_is_counted() {
        let window = usual();
        let any = rounds(&window, &[("09:00", Some(1)), ("09:30", Some(1))]);
        let human = rounds(&window, &[("09:00", Some(400)), ("09:58", None), ("09:30", None), ("07:00", None)]);
        let mut question = question(&window, "2026-03-02", "2026-03-02T10:00");
        question.counted = Clock::Human;
        let ledger = ledger(&question, &any, &human);
        assert_eq!((ledger.any.rate, ledger.human.rate), (Some(1.0), Some(0.0)));
        let left: Vec<(&str, i64)> =
            ledger.breaching.iter().map(|it| (it.conversation_id.as_str(), it.seconds_left)).collect();
        assert_eq!(left, [("c2", -1500), ("c1", 180)]);
        assert_eq!(ledger.breaching[0].deadline, at(&window, "2026-03-02T09:35"));
        let told = serde_json::to_value(&ledger).unwrap();
        assert_eq!((&told["counted"], &told["day"]), (&json!("human"), &json!("2026-03-02")));
        assert_eq!(told["human"]["complete_up_to"], "2026-03-02T01:55:00Z");
        assert_eq!(told["any"]["projection"], json!(null));
    }

    #[test]
    fn first_rounds_are_the_first_of_their_conversation() {
        let window = usual();
        let started = |time: &str| at(&window, &format!("2026-03-02T{time}"));
        let mut any = vec![
            round("c1", started("12:00"), Some(1)),
            round("c1", started("09:00"), Some(900)),
            round("c1", started("07:00"), Some(1)),
            round("c2", started("09:00"), Some(1)),
        ];
        any.push(Round { channel: "app".to_owned(), ..any[3].clone() });
        let ledger = ledger(&question(&window, "2026-03-02", "2026-03-03T10:00"), &any, &[]);
        assert_eq!((ledger.any.in_time, ledger.any.late), (3, 1));
        assert_eq!((ledger.first_any.in_time, ledger.first_any.late), (2, 1));
        assert_eq!(ledger.first_human.rounds, 0);
    }

    #[test]
    fn a_night_belongs_to_the_day_it_began() {
        for zone in ["Asia/Shanghai", "Asia/Kolkata", "Australia/Adelaide"] {
            let window = window(json!({"daily": ["18:00-02:00"]}), zone);
            let rounds = [
                round("c1", at(&window, "2026-03-03T01:59"), Some(1)),
                round("c2", at(&window, "2026-03-02T01:59"), None),
            ];
            let ledger = ledger(&question(&window, "2026-03-02", "2026-03-03T12:00"), &rounds, &[]);
            assert_eq!((ledger.any.rounds, ledger.any.in_time), (1, 1), "{zone}");
            assert_eq!(ledger.any.complete_up_to, at(&window, "2026-03-03T02:00"), "{zone}");
        }
    }

    #[test]
    fn a_day_of_25_hours_is_half_over_after_twelve_and_a_half() {
        let window = window(json!({}), "America/New_York");
        let waits = vec![("00:00", Some(1)); 10];
        let mut rounds = rounds(&window, &waits);
        for round in &mut rounds {
            round.started_at = at(&window, "2026-11-01T00:00");
            round.replied_at = Some(round.started_at);
        }
        let now = at(&window, "2026-11-01T00:00") + SignedDuration::from_mins(750);
        let question = Question { now, ..question(&window, "2026-11-01", "2026-11-01T00:00") };
        let projection = ledger(&question, &rounds, &[]).any.projection.unwrap();
        assert_eq!(projection.rounds_expected, 20);
    }

    #[test]
    fn a_closed_day_has_no_rounds() {
        let window = window(json!({"daily": []}), "Asia/Shanghai");
        let rounds = rounds(&window, &[("09:00", None)]);
        let ledger = ledger(&question(&window, "2026-03-02", "2026-03-02T10:00"), &rounds, &[]);
        assert_eq!((ledger.any.rounds, ledger.breaching.len()), (0, 0));
    }

    fn any_rounds() -> impl Strategy<Value = Vec<Round>> {
        let waited = proptest::option::of(-5..900_i64);
        let one = (0..5_u8, -7200..90_000_i64, waited).prop_map(|(conversation, seconds, waited)| {
            let started = at(&usual(), "2026-03-08T00:00") + SignedDuration::from_secs(seconds);
            round(&conversation.to_string(), started, waited)
        });
        proptest::collection::vec(one, 0..80)
    }

    proptest! {
        #[test]
        fn every_round_is_one_of_three_and_the_projection_is_in_order(
            any in any_rounds(),
            human in any_rounds(),
            now in -10_000..100_000_i64,
            zone in proptest::sample::select(vec!["Asia/Shanghai", "America/New_York", "Asia/Kolkata"]),
            hours in proptest::sample::select(vec!["08:00-23:00", "18:00-02:00", "00:00-24:00", "01:30-03:30"]),
        ) {
            let window = window(json!({"daily": [hours]}), zone);
            let now = at(&usual(), "2026-03-08T00:00") + SignedDuration::from_secs(now);
            let question = Question { now, ..question(&window, "2026-03-08", "2026-03-08T12:00") };
            let ledger = ledger(&question, &any, &human);
            for rate in [&ledger.any, &ledger.human, &ledger.first_any, &ledger.first_human] {
                prop_assert_eq!(rate.in_time + rate.late + rate.open, rate.rounds);
                prop_assert!(rate.rate.is_none_or(|rate| (0.0..=1.0).contains(&rate)));
                prop_assert!(rate.median_seconds <= rate.p90_seconds);
                if let Some(it) = rate.projection {
                    prop_assert!(0.0 <= it.low && it.low <= it.expected && it.expected <= it.high && it.high <= 1.0);
                    prop_assert!(it.rounds_expected >= rate.rounds);
                }
            }
            prop_assert!(ledger.first_any.rounds <= ledger.any.rounds);
            prop_assert!(ledger.breaching.is_sorted_by_key(|it| it.seconds_left));
            prop_assert!(ledger.breaching.len() >= ledger.any.open);
        }
    }
}
