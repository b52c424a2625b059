//! Opening hours of a shop and assessment windows of a platform: when they hold, open next and close.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};
use serde::Deserialize;

use crate::analysis::language::Language;

/// Minutes since midnight of the date it starts on: starts below 1440, lasts at most 1440.
type Interval = Range<u16>;

const MINUTES_A_DAY: u16 = 24 * 60;
const WHOLE_DAY: Interval = 0..MINUTES_A_DAY;

/// How far ahead openings and closings are looked for: a few days, which nearly always find one,
/// then a little over a year.
const SEARCH_DAYS: [i32; 2] = [3, 400];

/// Weekly hours with dated exceptions, always in wall-clock time of the zone of the `now` asked about.
///
/// A moment is open when the wall clock then reads a time inside an interval. So a time which the
/// clock skips (spring) is never open, and one it shows twice (autumn) is open both times. An interval
/// belongs to the date it starts on: Friday's `17:30-01:00` runs into Saturday whatever Saturday's own
/// hours are.
///
/// The default, for a shop whose config says nothing, is always open.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawHours")]
pub struct Week {
    /// Monday first.
    weekdays: [Vec<Interval>; 7],
    dates: BTreeMap<Date, Vec<Interval>>,
}

impl Week {
    /// Whether the hours hold at `now`; a start is inside its interval, an end is not.
    pub fn is_open(&self, now: &Zoned) -> bool {
        let minute = now.hour() as u16 * 60 + now.minute() as u16;
        let reads = |day, minute| self.on(day).iter().any(|it| it.contains(&minute));
        let yesterday = now.date().yesterday();
        reads(now.date(), minute) || yesterday.is_ok_and(|day| reads(day, minute + MINUTES_A_DAY))
    }

    /// The first moment after `now` at which a closed shop opens, in the zone of `now`.
    ///
    /// `None` when the shop is open now, or stays closed for the next 400 days.
    pub fn next_opening(&self, now: &Zoned) -> Option<Zoned> {
        (!self.is_open(now)).then(|| self.next_change(now, true))?
    }

    /// The moment at which an open shop closes, in the zone of `now`; touching intervals count as one.
    ///
    /// `None` when the shop is closed now, or stays open for the next 400 days.
    pub fn closes_at(&self, now: &Zoned) -> Option<Zoned> {
        self.is_open(now).then(|| self.next_change(now, false))?
    }

    /// When the hours that start on `day` hold, in order; those that touch count as one.
    ///
    /// They may run into the next date. What the clock skips is left out, and what it shows twice is in it twice.
    pub fn of_day(&self, day: Date, zone: &TimeZone) -> Vec<Range<Timestamp>> {
        let midnight = day.at(0, 0, 0, 0);
        let holds = |at: Timestamp| {
            let minute = zone.to_datetime(at).duration_since(midnight).as_secs().div_euclid(60);
            u16::try_from(minute).is_ok_and(|minute| self.on(day).iter().any(|it| it.contains(&minute)))
        };
        let bounds = self.on(day).iter().flat_map(|it| [it.start, it.end]);
        let mut edges: Vec<Timestamp> = bounds.flat_map(|minute| readings(zone, day, minute)).collect();
        let (Some(first), Some(last)) = (edges.iter().min().copied(), edges.iter().max().copied()) else {
            return Vec::new();
        };
        edges.extend(zone.following(first).map(|change| change.timestamp()).take_while(|edge| *edge < last));
        edges.sort_unstable();
        edges.dedup();
        let mut spans: Vec<Range<Timestamp>> = Vec::new();
        for pair in edges.windows(2).filter(|pair| holds(pair[0])) {
            match spans.last_mut() {
                Some(span) if span.end == pair[0] => span.end = pair[1],
                _ => spans.push(pair[0]..pair[1]),
            }
        }
        spans
    }

    /// The intervals that start on a date: date before weekday (which has taken in `daily`).
    fn on(&self, date: Date) -> &[Interval] {
        let weekday = date.weekday().to_monday_zero_offset();
        let usual = self.weekdays.get(usize::from(weekday.unsigned_abs()));
        self.dates.get(&date).or(usual).map_or(&[], Vec::as_slice)
    }

    fn next_change(&self, now: &Zoned, open: bool) -> Option<Zoned> {
        SEARCH_DAYS.into_iter().find_map(|days| {
            self.edges(now, days)
                .into_iter()
                .map(|edge| edge.to_zoned(now.time_zone().clone()))
                .find(|edge| self.is_open(edge) == open)
        })
    }

    /// Every moment in the `days` (of 24 hours) after `now` at which [`Week::is_open`] may change, in
    /// order: starts and ends of intervals, and the moments at which the zone sets its clocks.
    fn edges(&self, now: &Zoned, days: i32) -> Vec<Timestamp> {
        let (zone, from) = (now.time_zone(), now.timestamp());
        let until = from.checked_add(SignedDuration::from_hours(i64::from(days) * 24)).unwrap_or(Timestamp::MAX);
        let mut edges: Vec<Timestamp> = (-2..=days + 2)
            .filter_map(|day| now.date().checked_add(day.days()).ok())
            .flat_map(|date| self.on(date).iter().map(move |it| (date, it)))
            .flat_map(|(date, it)| [it.start, it.end].map(|minute| (date, minute)))
            .flat_map(|(date, minute)| readings(zone, date, minute))
            .filter(|edge| *edge > from && *edge <= until)
            .collect();
        let clock_changes = zone.following(from).map(|change| change.timestamp());
        edges.extend(clock_changes.take_while(|edge| *edge <= until));
        edges.sort_unstable();
        edges
    }
}

impl Default for Week {
    fn default() -> Self {
        Self { weekdays: std::array::from_fn(|_| vec![WHOLE_DAY]), dates: BTreeMap::new() }
    }
}

/// Both moments at which a clock in `zone` reads this minute of the date; when the clock skips it,
/// moments around the skip, which do no harm as edges.
fn readings(zone: &TimeZone, date: Date, minute: u16) -> impl Iterator<Item = Timestamp> + use<> {
    let minute = SignedDuration::from_mins(minute.into());
    let civil = date.at(0, 0, 0, 0).saturating_add(minute);
    let moments = zone.to_ambiguous_timestamp(civil);
    (moments.earlier().into_iter()).chain(moments.later())
}

/// Hours as the config file writes them: a day to its `HH:MM-HH:MM` intervals.
///
/// Keys: `daily`, `mon` to `sun`, and dates such as `2026-10-01`; a date beats a weekday beats `daily`.
/// An empty list is a closed day. `24:00` may end an interval; an end not after the start is on the
/// next day. A weekday that neither itself nor `daily` names is closed, unless no key names any: dates
/// alone are exceptions to being always open.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct RawHours(pub BTreeMap<String, Vec<String>>);

impl TryFrom<RawHours> for Week {
    type Error = HoursErrors;

    /// Fails with every fault of the table, in the order of its keys.
    fn try_from(RawHours(raw): RawHours) -> Result<Self, HoursErrors> {
        let mut daily = None;
        let mut named: [Option<Vec<Interval>>; 7] = Default::default();
        let mut dates = BTreeMap::new();
        let mut faults = Vec::new();
        for (key, texts) in raw {
            let parsed = texts.iter().map(|text| parse_interval(&key, text));
            let sound = parsed.filter_map(|parsed| parsed.map_err(|fault| faults.push(fault)).ok());
            let intervals = sound.collect();
            if key == "daily" {
                daily = Some(intervals);
            } else if let Some(day) = WEEKDAYS.iter().position(|name| *name == key) {
                named[day] = Some(intervals);
            } else if let Some(date) = iso_date(&key) {
                dates.insert(date, intervals);
            } else {
                faults.push(HoursError::Key { key });
            }
        }
        if !faults.is_empty() {
            return Err(HoursErrors(faults));
        }
        let only_dates = daily.is_none() && named.iter().all(Option::is_none);
        let always = only_dates.then(|| vec![WHOLE_DAY]);
        let usual = daily.or(always).unwrap_or_default();
        let weekdays = named.map(|day| day.unwrap_or_else(|| usual.clone()));
        Ok(Self { weekdays, dates })
    }
}

fn parse_interval(key: &str, text: &str) -> Result<Interval, HoursError> {
    let times = text.split_once('-').and_then(|(start, end)| {
        let start = minutes(start.trim()).filter(|start| *start < MINUTES_A_DAY)?;
        let end = minutes(end.trim())?;
        let next_day = if end <= start { MINUTES_A_DAY } else { 0 };
        Some(start..end + next_day)
    });
    times.ok_or_else(|| HoursError::Interval { key: key.to_owned(), text: text.to_owned() })
}

/// Minutes since midnight of an `HH:MM` from 00:00 to 24:00.
fn minutes(text: &str) -> Option<u16> {
    if text == "24:00" {
        return Some(MINUTES_A_DAY);
    }
    let time: Time = text.parse().ok()?; // takes more than HH:MM
    let minutes = time.hour() as u16 * 60 + time.minute() as u16;
    (time.strftime("%H:%M").to_string() == text).then_some(minutes)
}

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Only `YYYY-MM-DD`, so that no two keys mean one date.
fn iso_date(key: &str) -> Option<Date> {
    let date: Date = key.parse().ok()?;
    (date.to_string() == key).then_some(date)
}

/// One fault in a table of hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// A key that is neither a day nor a date of the calendar.
    #[error("`{key}` is no day; write daily, mon, tue, wed, thu, fri, sat, sun or a date such as 2026-10-01")]
    Key {
        /// The key as written.
        key: String,
    },
    /// A text that is not an interval of times.
    #[error(
        "{key}: `{text}` is no interval; write HH:MM-HH:MM with times from 00:00 to 23:59 \
         (24:00 only as an end), such as 09:00-18:00"
    )]
    Interval {
        /// The day whose list holds the text.
        key: String,
        /// The text as written.
        text: String,
    },
}

/// Every fault of one table of hours; shown on one line, parted by semicolons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct HoursErrors(pub Vec<HoursError>);

impl fmt::Display for HoursErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "opening hours: {}", faults.join("; "))
    }
}

/// An opening as told to a customer at `now`: `今天 13:30`, `明天 09:00`, `周一 09:00` (two to six days
/// ahead, when the weekday cannot be mistaken) or `10月8日 09:00`; in the zone of `now`.
pub fn describe_opening(now: &Zoned, opening: &Zoned, language: Language) -> String {
    use Language::{En, ZhHans, ZhHant};
    let opening = opening.with_time_zone(now.time_zone().clone());
    let index = usize::from(opening.weekday().to_sunday_zero_offset().unsigned_abs());
    let weekday = "日一二三四五六".chars().nth(index).unwrap_or_default();
    let day = match ((opening.date() - now.date()).get_days(), language) {
        (0, ZhHans | ZhHant) => "今天".to_owned(),
        (0, En) => "today at".to_owned(),
        (1, ZhHans | ZhHant) => "明天".to_owned(),
        (1, En) => "tomorrow at".to_owned(),
        (2..=6, ZhHans) => format!("周{weekday}"),
        (2..=6, ZhHant) => format!("週{weekday}"),
        (2..=6, En) => opening.strftime("%a at").to_string(),
        (_, ZhHans | ZhHant) => opening.strftime("%-m月%-d日").to_string(),
        (_, En) => opening.strftime("%b %-d at").to_string(),
    };
    format!("{day} {}", opening.strftime("%H:%M"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn week(hours: Value) -> Week {
        serde_json::from_value(hours).unwrap()
    }

    fn faults(hours: Value) -> Vec<HoursError> {
        let raw: RawHours = serde_json::from_value(hours).unwrap();
        Week::try_from(raw).unwrap_err().0
    }

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    fn shanghai(text: &str) -> Zoned {
        at(&format!("{text}[Asia/Shanghai]"))
    }

    fn new_york(text: &str) -> Zoned {
        at(&format!("{text}[America/New_York]"))
    }

    #[test]
    fn a_start_is_open_and_an_end_is_closed() {
        let week = week(json!({"daily": ["08:00-23:00"]}));
        let open = |time: &str| week.is_open(&shanghai(&format!("2026-03-02T{time}")));
        assert!(!open("07:59:59"));
        assert!(open("08:00:00"));
        assert!(open("22:59:59"));
        assert!(!open("23:00:00"));
    }

    #[test]
    fn a_night_shift_belongs_to_the_day_it_starts_on() {
        let week = week(json!({"sat": ["17:30-01:00"]}));
        let open = |time: &str| week.is_open(&shanghai(time));
        assert!(!open("2026-03-07T00:30"), "friday has no shift");
        assert!(open("2026-03-07T17:30"));
        assert!(open("2026-03-08T00:59"));
        assert!(!open("2026-03-08T01:00"));
        let closes = week.closes_at(&shanghai("2026-03-07T20:00"));
        assert_eq!(closes, Some(shanghai("2026-03-08T01:00")));
    }

    #[test]
    fn midnight_as_an_end_joins_the_next_day() {
        let evenings = week(json!({"daily": ["13:30-24:00"]}));
        assert!(evenings.is_open(&shanghai("2026-03-02T23:59")));
        assert!(!evenings.is_open(&shanghai("2026-03-03T00:00")));
        let weekend = week(json!({"sat": ["20:00-24:00"], "sun": ["00:00-02:00"]}));
        let closes = weekend.closes_at(&shanghai("2026-03-07T21:00"));
        assert_eq!(closes, Some(shanghai("2026-03-08T02:00")));
    }

    #[test]
    fn a_whole_day_is_open_from_midnight_to_midnight() {
        for text in ["00:00-24:00", "00:00-00:00"] {
            let week = week(json!({"mon": [text]}));
            assert!(!week.is_open(&shanghai("2026-03-01T23:59")));
            assert!(week.is_open(&shanghai("2026-03-02T00:00")));
            assert!(week.is_open(&shanghai("2026-03-02T23:59")));
            assert!(!week.is_open(&shanghai("2026-03-03T00:00")));
        }
    }

    #[test]
    fn lunch_is_a_break() {
        let week = week(json!({"daily": ["09:00-12:00", "13:30-18:00"]}));
        let noon = shanghai("2026-03-02T12:00");
        assert!(!week.is_open(&noon));
        let reopens = shanghai("2026-03-02T13:30");
        assert_eq!(week.next_opening(&noon), Some(reopens));
        let closes = week.closes_at(&shanghai("2026-03-02T11:00:30"));
        assert_eq!(closes, Some(noon));
    }

    #[test]
    fn no_hours_means_always_open() {
        for always in [Week::default(), week(json!({}))] {
            let now = shanghai("2026-03-02T03:00");
            assert!(always.is_open(&now));
            assert_eq!(always.next_opening(&now), None);
            assert_eq!(always.closes_at(&now), None);
        }
    }

    #[test]
    fn dates_alone_are_exceptions_to_always_open() {
        let week = week(json!({"2026-10-01": []}));
        assert!(week.is_open(&shanghai("2026-09-30T23:59")));
        let holiday = shanghai("2026-10-01T08:00");
        assert!(!week.is_open(&holiday));
        let reopens = shanghai("2026-10-02T00:00");
        assert_eq!(week.next_opening(&holiday), Some(reopens));
    }

    #[test]
    fn a_weekday_nobody_names_is_closed() {
        let week = week(json!({"mon": ["09:00-18:00"]}));
        let tuesday = shanghai("2026-03-03T10:00");
        assert!(!week.is_open(&tuesday));
        let monday = shanghai("2026-03-09T09:00");
        assert_eq!(week.next_opening(&tuesday), Some(monday));
    }

    #[test]
    fn a_date_beats_a_weekday_which_beats_daily() {
        let week = week(json!({
            "daily": ["09:00-12:00", "13:30-24:00"], "sat": ["17:30-01:00"], "sun": [],
            "2026-10-01": [], "2026-12-31": ["09:00-15:00"],
        }));
        let open = |time: &str| week.is_open(&shanghai(time));
        assert!(open("2026-09-30T10:00"));
        assert!(!open("2026-10-01T10:00"), "closed by date");
        assert!(!open("2026-10-03T10:00"), "saturday has its own");
        assert!(!open("2026-10-04T10:00"), "sunday is closed");
        assert!(open("2026-12-31T14:59") && !open("2026-12-31T15:00"));
        assert!(open("2026-12-31T12:30"), "no lunch break by date");
    }

    #[test]
    fn a_night_shift_runs_into_a_closed_date() {
        let week = week(json!({"daily": ["17:30-01:00"], "2026-10-01": []}));
        let eve = shanghai("2026-09-30T23:00");
        assert!(week.is_open(&shanghai("2026-10-01T00:59")));
        assert_eq!(week.closes_at(&eve), Some(shanghai("2026-10-01T01:00")));
        let holiday = shanghai("2026-10-01T20:00");
        assert!(!week.is_open(&holiday));
        assert!(!week.is_open(&shanghai("2026-10-02T00:30")));
        let reopens = shanghai("2026-10-02T17:30");
        assert_eq!(week.next_opening(&holiday), Some(reopens));
    }

    #[test]
    fn an_opening_is_found_within_400_days_or_not_at_all() {
        let now = shanghai("2026-03-02T10:00");
        let hours = json!({"daily": [], "2027-04-06": ["09:00-10:00"]});
        assert_eq!(week(hours).next_opening(&now), Some(shanghai("2027-04-06T09:00")));
        let too_late = json!({"daily": [], "2027-04-07": ["09:00-10:00"]});
        assert_eq!(week(too_late).next_opening(&now), None);
        assert_eq!(week(json!({"daily": []})).next_opening(&now), None);
    }

    #[test]
    fn an_open_shop_has_no_opening_and_a_closed_one_no_closing() {
        let week = week(json!({"daily": ["09:00-18:00"]}));
        assert_eq!(week.next_opening(&shanghai("2026-03-02T10:00")), None);
        assert_eq!(week.closes_at(&shanghai("2026-03-02T20:00")), None);
    }

    #[test]
    fn the_clock_of_the_shop_decides() {
        let week = week(json!({"mon": ["09:00-18:00"]}));
        let now: Timestamp = "2026-03-02T01:00Z".parse().unwrap();
        let zone = |name: &str| now.to_zoned(TimeZone::get(name).unwrap());
        assert!(week.is_open(&zone("Asia/Shanghai")), "monday 09:00");
        assert!(!week.is_open(&zone("America/New_York")), "sunday 20:00");
    }

    #[test]
    fn an_opening_the_clock_skips_comes_with_the_skip() {
        let week = week(json!({"daily": ["02:30-10:00"]}));
        let opens = week.next_opening(&new_york("2026-03-08T01:00")).unwrap();
        assert_eq!(opens, new_york("2026-03-08T03:00-04:00"));
        let usual = week.next_opening(&new_york("2026-03-09T01:00")).unwrap();
        assert_eq!(usual, new_york("2026-03-09T02:30"));
    }

    #[test]
    fn a_closing_the_clock_skips_comes_with_the_skip() {
        let week = week(json!({"daily": ["20:00-02:30"]}));
        let now = new_york("2026-03-07T23:00");
        let closes = new_york("2026-03-08T03:00-04:00");
        assert_eq!(week.closes_at(&now), Some(closes));
    }

    #[test]
    fn an_interval_the_clock_skips_does_not_happen() {
        let week = week(json!({"daily": ["02:15-02:45"]}));
        let next = week.next_opening(&new_york("2026-03-08T01:00")).unwrap();
        assert_eq!(next, new_york("2026-03-09T02:15"));
    }

    #[test]
    fn an_hour_the_clock_repeats_counts_both_times() {
        let week = week(json!({"daily": ["01:00-01:30"]}));
        let midnight = new_york("2026-11-01T00:00");
        let first = week.next_opening(&midnight).unwrap();
        assert_eq!(first, new_york("2026-11-01T01:00-04:00"));
        let closes = week.closes_at(&first).unwrap();
        assert_eq!(closes, new_york("2026-11-01T01:30-04:00"));
        let second = week.next_opening(&closes).unwrap();
        assert_eq!(second, new_york("2026-11-01T01:00-05:00"));
        let closes = week.closes_at(&second).unwrap();
        assert_eq!(closes, new_york("2026-11-01T01:30-05:00"));
    }

    #[test]
    fn a_night_shift_is_an_hour_longer_when_the_clock_goes_back() {
        let week = week(json!({"daily": ["20:00-02:00"]}));
        let now = new_york("2026-10-31T20:00");
        let closes = week.closes_at(&now).unwrap();
        assert_eq!(now.duration_until(&closes), SignedDuration::from_hours(7));
    }

    #[test]
    fn a_day_without_a_midnight_opens_with_its_first_minute() {
        let week = week(json!({"fri": ["00:00-12:00"], "sun": ["00:00-12:00"]}));
        for (now, opens) in [
            ("2024-04-25T22:00[Africa/Cairo]", "2024-04-26T01:00[Africa/Cairo]"),
            ("2018-11-03T22:00[America/Sao_Paulo]", "2018-11-04T01:00[America/Sao_Paulo]"),
        ] {
            let (now, opens) = (at(now), at(opens));
            assert_eq!(week.next_opening(&now), Some(opens.clone()));
            assert_eq!(now.duration_until(&opens), SignedDuration::from_hours(2));
        }
    }

    #[test]
    fn a_day_that_begins_again_after_midnight_keeps_its_order() {
        // St John's once set its clocks back at 00:01, to 23:01 of the day before.
        let week = week(json!({"sat": ["23:30-24:00"], "sun": ["00:00-00:01"]}));
        let zone = "[America/St_Johns]";
        let now = at(&format!("2010-11-06T23:45{zone}"));
        let closes = week.closes_at(&now).unwrap();
        assert_eq!(closes, at(&format!("2010-11-06T23:01-03:30{zone}")));
        let reopens = week.next_opening(&closes).unwrap();
        assert_eq!(reopens, at(&format!("2010-11-06T23:30-03:30{zone}")));
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_key_and_text() {
        let hours = json!({"daily": ["9:00-12:00", "13:30-18:00"], "Monday": [], "sat": ["x"]});
        let interval = |key: &str, text: &str| HoursError::Interval { key: key.to_owned(), text: text.to_owned() };
        let key = "Monday".to_owned();
        assert_eq!(
            faults(hours.clone()),
            [HoursError::Key { key }, interval("daily", "9:00-12:00"), interval("sat", "x"),]
        );
        let told = serde_json::from_value::<Week>(hours).unwrap_err();
        assert_eq!(
            told.to_string(),
            "opening hours: `Monday` is no day; write daily, mon, tue, wed, thu, fri, sat, sun or a \
             date such as 2026-10-01; daily: `9:00-12:00` is no interval; write HH:MM-HH:MM with \
             times from 00:00 to 23:59 (24:00 only as an end), such as 09:00-18:00; sat: `x` is no \
             interval; write HH:MM-HH:MM with times from 00:00 to 23:59 (24:00 only as an end), such \
             as 09:00-18:00"
        );
    }

    #[test]
    fn what_is_not_hhmm_is_refused() {
        for text in [
            "",
            "09:00",
            "09:00-",
            "09:00-25:00",
            "24:00-09:00",
            "09:00-24:01",
            "09:60-10:00",
            "09-10",
            "+9:00-10:00",
            "09:00:00-10:00:00",
            "09:00-10:00-11:00",
            "09:00—10:00",
            "-09:00-10:00",
        ] {
            assert_eq!(faults(json!({"daily": [text]})).len(), 1, "{text}");
        }
        let spaced = json!({"daily": ["09:00 - 10:00"]});
        assert!(week(spaced).is_open(&shanghai("2026-03-02T09:00")));
    }

    #[test]
    fn a_date_has_one_spelling_and_must_exist() {
        for key in ["2026-02-30", "20261001", "2026-10-1", "2026-10-01T00:00", "10-01", ""] {
            assert_eq!(faults(json!({key: []})).len(), 1, "{key}");
        }
    }

    #[test]
    fn an_opening_is_told_as_people_say_it() {
        let now = shanghai("2026-10-01T10:00"); // a Thursday
        let said = |opening: &str| {
            [Language::ZhHans, Language::ZhHant, Language::En]
                .map(|language| describe_opening(&now, &shanghai(opening), language))
        };
        for (opening, expected) in [
            ("2026-10-01T13:30", ["今天 13:30", "今天 13:30", "today at 13:30"]),
            ("2026-10-02T09:00", ["明天 09:00", "明天 09:00", "tomorrow at 09:00"]),
            ("2026-10-04T00:00", ["周日 00:00", "週日 00:00", "Sun at 00:00"]),
            ("2026-10-05T09:00", ["周一 09:00", "週一 09:00", "Mon at 09:00"]),
            ("2026-10-07T09:00", ["周三 09:00", "週三 09:00", "Wed at 09:00"]),
            ("2026-10-08T09:00", ["10月8日 09:00", "10月8日 09:00", "Oct 8 at 09:00"]),
            ("2027-01-10T09:05", ["1月10日 09:05", "1月10日 09:05", "Jan 10 at 09:05"]),
        ] {
            assert_eq!(said(opening), expected);
        }
    }

    #[test]
    fn an_opening_is_told_in_the_zone_of_now() {
        let now = shanghai("2026-10-01T23:00");
        let opening = at("2026-10-01T16:30[UTC]");
        let told = describe_opening(&now, &opening, Language::ZhHans);
        assert_eq!(told, "明天 00:30");
    }

    /// Zones and the dates around which they set their clocks, in the ways that go wrong.
    const CLOCK_CHANGES: [(&str, &str); 9] = [
        ("America/New_York", "2026-03-08T02:00"),
        ("America/New_York", "2026-11-01T01:00"),
        ("Africa/Cairo", "2024-04-26T00:00"),
        ("Africa/Cairo", "2024-11-01T00:00"),
        ("America/Sao_Paulo", "2018-02-18T00:00"),
        ("America/Sao_Paulo", "2018-11-04T00:00"),
        ("America/St_Johns", "2010-11-07T00:01"),
        ("Pacific/Apia", "2011-12-30T00:00"),
        ("Asia/Shanghai", "2026-10-01T00:00"),
    ];

    fn interval() -> impl Strategy<Value = String> {
        let time = |range: Range<u16>| range.prop_map(|at| format!("{:02}:{:02}", at / 60, at % 60));
        (time(0..1440), time(0..1441)).prop_map(|(start, end)| format!("{start}-{end}"))
    }

    fn any_week() -> impl Strategy<Value = Week> {
        let keys = ["daily", "mon", "fri", "sat", "sun", "2026-03-08", "2018-02-17"];
        let key = proptest::sample::select(keys.map(str::to_owned).to_vec());
        proptest::collection::btree_map(key, proptest::collection::vec(interval(), 0..3), 0..5)
            .prop_map(|hours| Week::try_from(RawHours(hours)).unwrap())
    }

    fn any_now() -> impl Strategy<Value = Zoned> {
        let near = -3 * 86_400..2 * 86_400_i64;
        (proptest::sample::select(&CLOCK_CHANGES[..]), near).prop_map(|((zone, change), seconds)| {
            let change: jiff::civil::DateTime = change.parse().unwrap();
            let change = change.in_tz(zone).unwrap();
            change + SignedDuration::from_secs(seconds)
        })
    }

    /// The full minutes of the six days after `now`: every moment at which hours can change.
    fn minutes_after(now: &Zoned) -> impl Iterator<Item = Zoned> {
        let whole = now.timestamp().as_second().div_euclid(60) * 60;
        let zone = now.time_zone().clone();
        (1..6 * 1440).map(move |minute| {
            let at = Timestamp::from_second(whole + minute * 60).unwrap();
            at.to_zoned(zone.clone())
        })
    }

    #[test]
    fn the_hours_of_a_day_run_past_midnight_and_touch() {
        let zone = TimeZone::get("Asia/Kolkata").unwrap();
        let spans = |hours: Value, day: &str| {
            let spans = week(hours).of_day(day.parse().unwrap(), &zone);
            let told = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%d %H:%M").to_string();
            spans.into_iter().map(|span| format!("{} - {}", told(span.start), told(span.end))).collect::<Vec<_>>()
        };
        let day = "2026-03-02";
        assert_eq!(spans(json!({"daily": ["08:00-23:00"]}), day), ["02 08:00 - 02 23:00"]);
        assert_eq!(spans(json!({"daily": ["18:00-02:00"]}), day), ["02 18:00 - 03 02:00"]);
        assert_eq!(spans(json!({"daily": ["13:00-18:00", "09:00-12:00"]}), day).len(), 2);
        assert_eq!(
            spans(json!({"daily": ["09:00-12:00", "12:00-13:00", "11:00-12:30"]}), day),
            ["02 09:00 - 02 13:00"]
        );
        assert_eq!(spans(json!({"2026-03-02": []}), day), Vec::<String>::new());
        assert_eq!(spans(json!({}), day), ["02 00:00 - 03 00:00"]);
    }

    #[test]
    fn the_hours_of_a_day_follow_the_clock() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let hours = |hours: Value, day: &str| {
            let spans = week(hours).of_day(day.parse().unwrap(), &zone);
            spans.iter().map(|span| span.end.duration_since(span.start).as_secs() as f64 / 3600.0).collect::<Vec<_>>()
        };
        assert_eq!(hours(json!({}), "2026-03-08"), [23.0], "an hour is skipped");
        assert_eq!(hours(json!({}), "2026-11-01"), [25.0], "an hour comes twice");
        assert_eq!(hours(json!({"daily": ["01:00-01:30"]}), "2026-11-01"), [0.5, 0.5]);
        assert_eq!(hours(json!({"daily": ["02:15-02:45"]}), "2026-03-08"), Vec::<f64>::new());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_moment_is_open_when_the_hours_of_a_day_hold_it((week, now) in (any_week(), any_now())) {
            let of_days = [-1, 0].into_iter().filter_map(|days| now.date().checked_add(days.days()).ok());
            let open = of_days.flat_map(|day| week.of_day(day, now.time_zone())).any(|span| span.contains(&now.timestamp()));
            prop_assert_eq!(open, week.is_open(&now));
        }

        #[test]
        fn the_next_change_is_the_first_minute_that_differs((week, now) in (any_week(), any_now())) {
            let open = week.is_open(&now);
            let (opens, closes) = (week.next_opening(&now), week.closes_at(&now));
            let opposite = if open { &opens } else { &closes };
            prop_assert_eq!(opposite, &None);
            let change = if open { closes } else { opens };
            if let Some(change) = &change {
                prop_assert!(*change > now);
                prop_assert_eq!(week.is_open(change), !open);
            }
            let last = minutes_after(&now).last().unwrap();
            let seen = minutes_after(&now).find(|minute| week.is_open(minute) != open);
            prop_assert_eq!(seen, change.filter(|change| *change <= last));
        }
    }
}
