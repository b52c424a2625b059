//! What a corpus must fulfil beyond its files' shape; every fault is reported, none stops the search for others.

mod states;
mod wording;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use rustc_hash::{FxHashMap, FxHashSet};

use self::wording::{Problem, is_bare_greeting, problems, value_problems};
use super::fault::{Faults, Severity};
use super::load::{Draft, Place};
use super::script::{Script, ScriptKind};
use super::template::{INCIDENT, SITUATION, TemplateError, render};
use super::{Corpus, Entry};
use crate::analysis::Analyzer;
use crate::parallel;

/// Checks the draft; `today` is the day by which dates count as expired.
pub(super) fn check(draft: &Draft, analyzer: &Analyzer, today: Date, faults: &mut Faults) {
    let values_unread = draft.corpus.variables.is_empty() && faults.concern("shop.toml");
    let lint = Lint { corpus: &draft.corpus, analyzer, today, values_unread };
    let numbers: Vec<usize> = (0..draft.corpus.entries.len()).collect();
    let checked = parallel::flat_map(&numbers, |run| run.iter().map(|number| lint.entry(draft, *number)).collect());
    let mut keys = Vec::with_capacity(checked.len());
    for (own_keys, own_faults) in checked {
        keys.push(own_keys);
        faults.append(own_faults);
    }
    lint.entry_ids(draft, faults);
    lint.phrasings(draft, keys, faults);
    for (script, place) in draft.corpus.scripts.iter().zip(&draft.scripts) {
        lint.script(script, place, faults);
    }
    lint.script_ids(draft, faults);
    lint.values(draft, faults);
    if draft.corpus.entries.is_empty() && !faults.has_errors() {
        faults.error("faq", 0, "no entries: nothing could be answered", "write at least one [[entry]]");
    }
}

struct Lint<'a> {
    corpus: &'a Corpus,
    analyzer: &'a Analyzer,
    today: Date,
    /// `shop.toml` could not be read: what it may define is not reported missing.
    values_unread: bool,
}

impl Lint<'_> {
    /// Checks an entry by itself; the keys of its phrasings, and its faults.
    fn entry(&self, draft: &Draft, number: usize) -> (Vec<String>, Faults) {
        let (entry, place) = (&draft.corpus.entries[number], &draft.entries[number]);
        let mut faults = Faults::default();
        self.answer(entry, place, &mut faults);
        self.states(draft, number, &mut faults);
        let keys: Vec<String> = entry.phrasings.iter().map(|phrasing| self.analyzer.key(phrasing)).collect();
        for (place_in_entry, _) in keys.iter().enumerate().filter(|(_, key)| key.is_empty()) {
            let what = format!("the phrasing 「{}」 holds no letter", entry.phrasings[place_in_entry]);
            faults.error(&place.file, draft.phrasings[number][place_in_entry], what, "write a question, or delete it");
        }
        (keys, faults)
    }

    fn answer(&self, entry: &Entry, place: &Place, faults: &mut Faults) {
        let error = |faults: &mut Faults, what: String, mend: &str| faults.error(&place.file, place.line, what, mend);
        if entry.answer.is_empty() {
            error(faults, format!("`{}` has no answer", entry.id), "write an answer, or delete the entry");
        }
        for (language, text) in entry.answer.iter() {
            self.wording(text, &format!("answer of `{}` ({language})", entry.id), place, faults);
            self.placeholders(text, &format!("answer of `{}` ({language})", entry.id), place, faults);
        }
        if entry.validity.until.is_some_and(|last| last < self.today) {
            faults.warning(
                &place.file,
                place.line,
                format!("`{}` has expired", entry.id),
                "renew valid_until, or delete the entry",
            );
        }
    }

    fn entry_ids(&self, draft: &Draft, faults: &mut Faults) {
        let mut first: FxHashMap<&str, &Place> = FxHashMap::default();
        for (entry, place) in self.corpus.entries.iter().zip(&draft.entries) {
            if let Some(known) = first.insert(&entry.id, place) {
                let what = format!("the id `{}` stands in {}:{} already", entry.id, known.file, known.line);
                faults.error(&place.file, place.line, what, "give each entry an id of its own");
            }
        }
        if draft.is_partial {
            return;
        }
        for (entry, place) in self.corpus.entries.iter().zip(&draft.entries) {
            for related in entry.related.iter().filter(|related| !first.contains_key(&***related)) {
                let what = format!("`{}` names the related entry `{related}`, which does not exist", entry.id);
                faults.error(&place.file, place.line, what, "name an existing id, or delete it from `related`");
            }
        }
    }

    /// The same phrasing may stand in two entries only when their scopes differ: then the more specific one wins.
    fn phrasings(&self, draft: &Draft, keys: Vec<Vec<String>>, faults: &mut Faults) {
        let mut known: FxHashMap<String, Vec<(usize, usize)>> = FxHashMap::default();
        for (number, keys) in keys.into_iter().enumerate() {
            for (place, key) in keys.into_iter().enumerate() {
                let line = draft.phrasings[number][place];
                let others = known.entry(key).or_default();
                if let Some((other, other_line)) = others.iter().find(|(other, _)| self.collide(number, *other)) {
                    self.repeated(draft, (number, place), (*other, *other_line), faults);
                } else {
                    others.push((number, line));
                }
            }
        }
    }

    fn collide(&self, number: usize, other: usize) -> bool {
        self.corpus.entries[number].scope == self.corpus.entries[other].scope
    }

    fn repeated(&self, draft: &Draft, here: (usize, usize), there: (usize, usize), faults: &mut Faults) {
        let (number, place) = here;
        let (other, other_line) = there;
        let (entry, known) = (&self.corpus.entries[number], &self.corpus.entries[other]);
        let phrasing = &entry.phrasings[place];
        let (file, line) = (&draft.entries[number].file, draft.phrasings[number][place]);
        if number == other {
            let what = format!("the phrasing 「{phrasing}」 stands in line {other_line} already");
            faults.warning(file, line, what, "delete one of the two: they are the same to the matcher");
        } else {
            let what = format!(
                "the phrasing 「{phrasing}」 of `{}` is also one of `{}` ({}:{other_line})",
                entry.id, known.id, draft.entries[other].file
            );
            faults.error(file, line, what, "delete it from one of the two entries, or give them different scopes");
        }
    }

    fn script(&self, script: &Script, place: &Place, faults: &mut Faults) {
        let texts =
            || script.wordings.values().flatten().chain(script.leads.values().flatten()).chain(&script.fallback);
        for text in texts() {
            self.wording(text, &format!("script `{}`", script.id), place, faults);
            self.unknown_placeholders(text, script, place, faults);
        }
        if script.kind == ScriptKind::Greeting {
            for text in script.wordings.values().flatten().filter(|text| is_bare_greeting(text, self.analyzer)) {
                let what = format!("the greeting 「{text}」 of `{}` carries neither help nor promotion", script.id);
                faults.error(
                    &place.file,
                    place.line,
                    what,
                    "say what can be asked, or name the promotion with {{ promo }}",
                );
            }
        }
        if script.kind == ScriptKind::Incident {
            self.incident(script, place, faults);
        }
        if script.conditions.validity.until.is_some_and(|last| last < self.today) {
            faults.warning(
                &place.file,
                place.line,
                format!("`{}` has expired", script.id),
                "renew valid_until, or delete the script",
            );
        }
        self.fallback(script, place, faults);
    }

    fn incident(&self, script: &Script, place: &Place, faults: &mut Faults) {
        for text in script.wordings.values().flatten() {
            let names = super::template::placeholders(text);
            for slot in INCIDENT.iter().filter(|slot| !names.contains(**slot)) {
                let what = format!("a wording of the incident script `{}` lacks {{{{ {slot} }}}}", script.id);
                faults.error(&place.file, place.line, what, "an incident script names both its cause and its effect");
            }
        }
    }

    /// Whatever the situation leaves out, something must remain that can be sent.
    fn fallback(&self, script: &Script, place: &Place, faults: &mut Faults) {
        let mut known = self.corpus.variables.clone();
        match script.kind {
            ScriptKind::Incident => known.extend(INCIDENT.map(|name| (name.to_owned(), String::new()))),
            ScriptKind::Clarify | ScriptKind::Also => known.extend([("menu".to_owned(), String::new())]),
            _ => {}
        }
        let mut texts = script.wordings.values().flatten().chain(&script.fallback);
        if !self.values_unread && !texts.any(|text| render(text, &known).is_ok()) {
            let what = format!("every wording of `{}` needs a value that may be missing", script.id);
            faults.error(&place.file, place.line, what, "write `fallback = \"...\"` without such placeholders");
        }
    }

    /// What `shop.toml` fills into wordings is read by customers as well.
    fn values(&self, draft: &Draft, faults: &mut Faults) {
        for ((name, text), place) in self.corpus.variables.iter().zip(&draft.variables) {
            if text.trim().is_empty() {
                let what = format!("`{name}` is empty: wordings with it would have a gap");
                faults.error(&place.file, place.line, what, "write the value, or delete the line");
            }
            if text.contains("{{") {
                let what = format!("`{name}` holds a placeholder: values are not templates");
                faults.error(&place.file, place.line, what, "write the text out");
            }
            for Problem { severity, what, mend } in value_problems(text, self.analyzer) {
                if severity == Severity::Error {
                    faults.error(&place.file, place.line, format!("`{name}`: {what}"), mend);
                }
            }
        }
    }

    fn script_ids(&self, draft: &Draft, faults: &mut Faults) {
        let mut seen = FxHashSet::default();
        for (script, place) in self.corpus.scripts.iter().zip(&draft.scripts) {
            if !seen.insert(&script.id) {
                faults.error(
                    &place.file,
                    place.line,
                    format!("a second script `{}`", script.id),
                    "give each script an id of its own",
                );
            }
        }
        for kind in ScriptKind::ALL {
            let has_one = self.corpus.scripts.iter().any(|script| script.kind == kind);
            if !has_one && !self.corpus.scripts.is_empty() {
                let what = format!("no script of the kind {kind:?}: in that situation customers get nothing");
                faults.warning("scripts.toml", 1, what, "write one, see faq/README.md");
            }
        }
        if self.corpus.scripts.is_empty() {
            faults.warning(
                "scripts.toml",
                0,
                "no scripts: greeting, waiting and the other situations stay silent",
                "write scripts.toml",
            );
        }
    }

    /// An answer must be sendable from `shop.toml` and fallbacks alone.
    fn placeholders(&self, text: &str, whose: &str, place: &Place, faults: &mut Faults) {
        self.check_placeholders(text, whose, &self.corpus.variables, place, faults);
    }

    /// A script may use what the situation gives, and `shop.toml`; nothing else has a source.
    fn unknown_placeholders(&self, text: &str, script: &Script, place: &Place, faults: &mut Faults) {
        let mut known = self.corpus.variables.clone();
        known.extend(SITUATION.map(|name| (name.to_owned(), String::new())));
        self.check_placeholders(text, &format!("script `{}`", script.id), &known, place, faults);
    }

    fn check_placeholders(
        &self,
        text: &str,
        whose: &str,
        known: &BTreeMap<String, String>,
        place: &Place,
        faults: &mut Faults,
    ) {
        let (what, mend) = match render(text, known) {
            Ok(_) => return,
            Err(TemplateError::Missing(_)) if self.values_unread => return,
            Err(TemplateError::Missing(names)) => (
                format!("no source for {}", list(&names)),
                "define it in shop.toml, or write {{ name | default(\"...\") }}",
            ),
            Err(TemplateError::Syntax(message)) => {
                (message, "a placeholder is {{ name }} or {{ name | default(\"...\") }}")
            }
        };
        faults.error(&place.file, place.line, format!("{whose}: {what}"), mend);
    }

    fn wording(&self, text: &str, whose: &str, place: &Place, faults: &mut Faults) {
        for Problem { severity, what, mend } in problems(text, self.analyzer) {
            let what = format!("{whose}: {what}");
            match severity {
                Severity::Error => faults.error(&place.file, place.line, what, mend),
                Severity::Warning => faults.warning(&place.file, place.line, what, mend),
            }
        }
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(|name| format!("{{{{ {name} }}}}")).collect::<Vec<_>>().join(", ")
}
