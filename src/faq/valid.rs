//! From what an editor wrote to values that are valid; what is not is reported with its line.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use toml::Spanned;
use toml::value::Datetime;

use super::answer::Wording;
use super::fault::Faults;
use super::order::OrderState;
use super::raw::{RawAnswer, RawScript, RawWordings, TomlFile};
use super::scope::Validity;
use super::script::{Conditions, Script, ScriptKind};
use crate::analysis::language::Language;
use crate::hours::{RawHours, Week};

fn language(toml: &TomlFile<'_>, line: usize, tag: &str, faults: &mut Faults) -> Option<Language> {
    let language = Language::from_tag(tag);
    if language.is_none() {
        faults.error(toml.name, line, format!("unknown language `{tag}`"), "use zh-Hans, zh-Hant or en");
    }
    language
}

pub(super) fn wording(toml: &TomlFile<'_>, raw: Spanned<RawAnswer>, faults: &mut Faults) -> Wording {
    let line = toml.line(raw.span().start);
    let texts = match raw.into_inner() {
        RawAnswer::Text(text) => BTreeMap::from([(Language::ZhHans, text)]),
        RawAnswer::ByLanguage(texts) => {
            texts.into_iter().filter_map(|(tag, text)| Some((language(toml, line, &tag, faults)?, text))).collect()
        }
    };
    Wording::new(texts)
}

/// State answers with their lines; an unknown state is reported and left out.
pub(super) fn states(
    toml: &TomlFile<'_>,
    raw: BTreeMap<Spanned<String>, Spanned<RawAnswer>>,
    faults: &mut Faults,
) -> BTreeMap<OrderState, (usize, Wording)> {
    let mut answers = BTreeMap::new();
    for (name, answer) in raw {
        let line = toml.line(name.span().start);
        let answer = wording(toml, answer, faults);
        match OrderState::from_name(name.get_ref()) {
            Some(state) => {
                answers.insert(state, (line, answer));
            }
            None => faults.error(
                toml.name,
                line,
                format!("unknown state of an order `{}`", name.get_ref()),
                format!("use one of {}", OrderState::ALL.map(OrderState::name).join(", ")),
            ),
        }
    }
    answers
}

pub(super) fn wordings(
    toml: &TomlFile<'_>,
    raw: Option<Spanned<RawWordings>>,
    faults: &mut Faults,
) -> BTreeMap<Language, Vec<String>> {
    let Some(raw) = raw else { return BTreeMap::new() };
    let line = toml.line(raw.span().start);
    match raw.into_inner() {
        RawWordings::List(list) => BTreeMap::from([(Language::ZhHans, list)]),
        RawWordings::ByLanguage(lists) => {
            lists.into_iter().filter_map(|(tag, list)| Some((language(toml, line, &tag, faults)?, list))).collect()
        }
    }
}

pub(super) fn script(toml: &TomlFile<'_>, raw: RawScript, faults: &mut Faults) -> Script {
    let line = toml.line(raw.id.span().start);
    let wordings_by_language = wordings(toml, raw.wordings, faults);
    let fallback = raw.fallback.map(Spanned::into_inner);
    if fallback.is_none() && wordings_by_language.values().all(Vec::is_empty) {
        faults.error(toml.name, line, "a script without any wording", "write [script.wordings] with at least one text");
    }
    if raw.event.is_some() && raw.kind != ScriptKind::Closing {
        faults.error(toml.name, line, "`event` belongs to closing scripts", "delete `event` or set kind = \"closing\"");
    }
    Script {
        id: raw.id.into_inner().into(),
        kind: raw.kind,
        conditions: Conditions {
            profile: raw.profile,
            agents: raw.agents,
            customer: raw.customer,
            event: raw.event,
            tier: raw.tier,
            shops: raw.shops,
            channels: raw.channels,
            schedule: raw.schedule.and_then(|hours| schedule(toml, hours, faults)),
            validity: validity(toml, raw.valid_from, raw.valid_until, faults),
        },
        wordings: wordings_by_language,
        leads: wordings(toml, raw.leads, faults),
        fallback,
    }
}

fn schedule(toml: &TomlFile<'_>, raw: Spanned<RawHours>, faults: &mut Faults) -> Option<Arc<Week>> {
    let line = toml.line(raw.span().start);
    Week::try_from(raw.into_inner())
        .map_err(|error| faults.error(toml.name, line, error.to_string(), "see faq/README.md"))
        .ok()
        .map(Arc::new)
}

pub(super) fn validity(
    toml: &TomlFile<'_>,
    from: Option<Spanned<Datetime>>,
    until: Option<Spanned<Datetime>>,
    faults: &mut Faults,
) -> Validity {
    let validity = Validity { from: date(toml, from, faults), until: date(toml, until.clone(), faults) };
    if let (Some(first), Some(last), Some(place)) = (validity.from, validity.until, until)
        && last < first
    {
        faults.error(
            toml.name,
            toml.line(place.span().start),
            "valid_until is before valid_from",
            "swap the two dates",
        );
    }
    validity
}

fn date(toml: &TomlFile<'_>, raw: Option<Spanned<Datetime>>, faults: &mut Faults) -> Option<Date> {
    let raw = raw?;
    let line = toml.line(raw.span().start);
    let date = raw.get_ref().date.filter(|_| raw.get_ref().time.is_none()).and_then(|date| {
        Date::new(i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?).ok()
    });
    if date.is_none() {
        faults.error(toml.name, line, format!("`{}` is no date", raw.get_ref()), "write a day such as 2026-11-01");
    }
    date
}
