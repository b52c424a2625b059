//! From the files of a folder to a valid [`Corpus`], or to the list of every fault.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use toml::Spanned;
use toml::value::Datetime;

use super::answer::Wording;
use super::fault::{Fault, Faults};
use super::raw::{ActKind, RawAct, RawAnswer, RawEntry, RawMode, RawScript, RawWordings, TomlFile};
use super::read::{SourceFile, read_folder};
use super::scope::Validity;
use super::script::{Conditions, Script, ScriptKind};
use super::{Corpus, Entry, jsonl, lint};
use crate::analysis::language::Language;
use crate::analysis::lexicon::{Lexicon, LexiconFault, LexiconSource};
use crate::analysis::speech::ActPhrases;
use crate::analysis::{AnalysisError, Analyzer};
use crate::hours::Week;

/// A corpus without errors, and the analyzer that its lexicon gives.
#[derive(Debug)]
pub struct Loaded {
    /// What the shop knows.
    pub corpus: Corpus,
    /// The chain with the corpus' own lexicon.
    pub analyzer: Arc<Analyzer>,
    /// Faults that do not stop the load.
    pub warnings: Vec<Fault>,
}

impl Loaded {
    /// Number of dictionary words, synonym groups and rewrites.
    #[must_use]
    pub fn lexicon_sizes(&self) -> (usize, usize, usize) {
        Lexicon::parse(&self.corpus.lexicon).0.sizes()
    }
}

/// Texts that no entry answers.
const OUT_OF_SCOPE: &str = "out_of_scope.txt";

/// Why a folder could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The content has errors; warnings are listed with them.
    #[error("{} errors in the FAQ files; `yingda check` lists them", .0.iter().filter(|fault| fault.severity == super::fault::Severity::Error).count())]
    Faults(Vec<Fault>),
    /// The analysis could not be set up.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
}

/// Reads and checks a folder; `today` is the day by which dates count as expired.
///
/// # Errors
/// [`LoadError::Faults`] lists every fault of all files at once.
pub fn load(dir: &Path, today: Date) -> Result<Loaded, LoadError> {
    let mut faults = Faults::default();
    let files = read_folder(dir, &mut faults);
    let draft = Draft::read(&files, &mut faults);
    let lexicon = read_lexicon(&draft.corpus.lexicon, &mut faults);
    let analyzer = Analyzer::new(&lexicon)?.with_speech(&draft.corpus.acts, &draft.corpus.fillers);
    lint::check(&draft, &analyzer, today, &mut faults);
    if faults.has_errors() {
        return Err(LoadError::Faults(faults.sorted()));
    }
    Ok(Loaded { corpus: draft.corpus, analyzer: Arc::new(analyzer), warnings: faults.sorted() })
}

/// Entries of one JSONL text, not checked beyond their shape: for measuring.
///
/// # Errors
/// Every row that is not an entry.
pub fn entries_from_jsonl(name: &str, text: &str) -> Result<Vec<Entry>, Vec<Fault>> {
    let mut faults = Faults::default();
    let entries = jsonl::read(name, text, &mut faults).into_iter().map(|(_, entry)| entry).collect();
    if faults.has_errors() { Err(faults.sorted()) } else { Ok(entries) }
}

/// The built-in lexicon and speech acts, for measuring a corpus that has none of its own.
///
/// # Errors
/// When OpenCC cannot be loaded.
pub fn built_in_analyzer() -> Result<Analyzer, AnalysisError> {
    let mut faults = Faults::default();
    let draft = Draft::read(&[], &mut faults);
    let lexicon = read_lexicon(&draft.corpus.lexicon, &mut faults);
    Ok(Analyzer::new(&lexicon)?.with_speech(&draft.corpus.acts, &draft.corpus.fillers))
}

/// The texts that no entry answers, for a folder that has none of its own.
#[must_use]
pub fn built_in_out_of_scope() -> Vec<String> {
    text_lines(include_str!("../../faq/out_of_scope.txt"))
}

/// Lines that are neither empty nor a comment.
fn text_lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// A place in the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub file: Arc<str>,
    pub line: usize,
}

/// A corpus that may still have faults, with the place of each part.
#[derive(Default)]
pub(super) struct Draft {
    pub corpus: Corpus,
    /// A place an entry.
    pub entries: Vec<Place>,
    /// Lines of an entry's phrasings, in their order.
    pub phrasings: Vec<Vec<usize>>,
    /// A place a script.
    pub scripts: Vec<Place>,
    /// A place a value of `shop.toml`, by name.
    pub variables: Vec<Place>,
}

impl Draft {
    fn read(files: &[SourceFile], faults: &mut Faults) -> Self {
        let mut draft =
            Self { corpus: Corpus { lexicon: lexicon_source(files), ..Corpus::default() }, ..Self::default() };
        for file in files {
            match file.name.as_str() {
                "scripts.toml" => draft.read_scripts(file, faults),
                "speech_acts.toml" => draft.read_acts(file, faults),
                OUT_OF_SCOPE => {
                    draft.corpus.out_of_scope = text_lines(&file.text);
                    draft.corpus.has_own_out_of_scope = true;
                }
                "shop.toml" => draft.read_shop(file, faults),
                name if name.ends_with(".jsonl") => draft.read_jsonl(file, faults),
                name if name.ends_with(".toml") => draft.read_entries(file, faults),
                _ => {}
            }
        }
        if draft.corpus.acts.is_empty() {
            let text = include_str!("../../faq/speech_acts.toml").to_owned();
            draft.read_acts(&SourceFile { name: "speech_acts.toml".to_owned(), text }, faults);
        }
        if !draft.corpus.has_own_out_of_scope {
            draft.corpus.out_of_scope = built_in_out_of_scope();
        }
        draft
    }

    fn read_jsonl(&mut self, file: &SourceFile, faults: &mut Faults) {
        let name: Arc<str> = file.name.as_str().into();
        for (line, entry) in jsonl::read(&file.name, &file.text, faults) {
            check_id(&file.name, line, &entry.id, faults);
            self.entries.push(Place { file: Arc::clone(&name), line });
            self.phrasings.push(vec![line; entry.phrasings.len()]);
            self.corpus.entries.push(entry);
        }
    }

    fn read_entries(&mut self, file: &SourceFile, faults: &mut Faults) {
        let Some(mut toml) = TomlFile::parse(&file.name, &file.text, faults) else {
            return;
        };
        let topic: Arc<str> = toml
            .value::<String>("topic", faults)
            .unwrap_or_else(|| file.name.trim_end_matches(".toml").rsplit('/').next().unwrap_or_default().to_owned())
            .into();
        for (line, raw) in toml.items::<RawEntry>("entry", faults) {
            self.push_entry(&toml, line, &topic, raw, faults);
        }
        toml.finish("`topic` and [[entry]]", faults);
    }

    fn push_entry(&mut self, toml: &TomlFile<'_>, line: usize, topic: &Arc<str>, raw: RawEntry, faults: &mut Faults) {
        check_id(toml.name, toml.line(raw.id.span().start), raw.id.get_ref(), faults);
        let mut lines = vec![toml.line(raw.question.span().start)];
        lines.extend(raw.phrasings.iter().map(|phrasing| toml.line(phrasing.span().start)));
        let answer = wording(toml, raw.answer, faults);
        let validity = validity(toml, raw.valid_from, raw.valid_until, faults);
        self.corpus.entries.push(Entry {
            id: raw.id.into_inner().into(),
            topic: raw.topic.map_or_else(|| Arc::clone(topic), Arc::from),
            phrasings: std::iter::once(raw.question).chain(raw.phrasings).map(Spanned::into_inner).collect(),
            answer,
            audience: raw.audience,
            related: raw.related.into_iter().map(|id| id.into_inner().into()).collect(),
            agents_only: raw.agents_only,
            scope: Arc::new(raw.scope),
            validity,
        });
        self.entries.push(Place { file: toml.name.into(), line });
        self.phrasings.push(lines);
    }

    fn read_scripts(&mut self, file: &SourceFile, faults: &mut Faults) {
        let Some(mut toml) = TomlFile::parse(&file.name, &file.text, faults) else {
            return;
        };
        let name: Arc<str> = file.name.as_str().into();
        for (line, raw) in toml.items::<RawScript>("script", faults) {
            let script = script(&toml, raw, faults);
            self.corpus.scripts.push(script);
            self.scripts.push(Place { file: Arc::clone(&name), line });
        }
        toml.finish("[[script]]", faults);
    }

    fn read_acts(&mut self, file: &SourceFile, faults: &mut Faults) {
        let Some(mut toml) = TomlFile::parse(&file.name, &file.text, faults) else {
            return;
        };
        for (_, raw) in toml.items::<RawAct>("act", faults) {
            let phrases: Vec<String> = raw.phrases.into_iter().map(Spanned::into_inner).collect();
            match raw.kind {
                ActKind::Filler => self.corpus.fillers.extend(phrases),
                ActKind::Act(act) => {
                    let mode = raw.mode.map(RawMode::phrase_mode).unwrap_or_default();
                    self.corpus.acts.push(ActPhrases { act, mode, phrases });
                }
            }
        }
        toml.finish("[[act]]", faults);
    }

    fn read_shop(&mut self, file: &SourceFile, faults: &mut Faults) {
        let Some(mut toml) = TomlFile::parse(&file.name, &file.text, faults) else {
            return;
        };
        let values = toml.value::<BTreeMap<String, Spanned<String>>>("variables", faults).unwrap_or_default();
        let name: Arc<str> = file.name.as_str().into();
        for (key, value) in values {
            self.variables.push(Place { file: Arc::clone(&name), line: toml.line(value.span().start) });
            self.corpus.variables.insert(key, value.into_inner());
        }
        toml.finish("[variables]", faults);
    }
}

fn check_id(file: &str, line: usize, id: &str, faults: &mut Faults) {
    if !is_id(id) {
        faults.error(file, line, format!("`{id}` is no id"), "use lower-case letters, digits and hyphens");
    }
}

fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 64
        && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
}

fn lexicon_source(files: &[SourceFile]) -> LexiconSource {
    let mut source = LexiconSource::built_in();
    for file in files {
        match file.name.as_str() {
            "dictionary.txt" => source.dictionary.clone_from(&file.text),
            "synonyms.txt" => source.synonyms.clone_from(&file.text),
            "rewrites.txt" => source.rewrites.clone_from(&file.text),
            _ => {}
        }
    }
    source
}

fn read_lexicon(source: &LexiconSource, faults: &mut Faults) -> Lexicon {
    let (lexicon, found) = Lexicon::parse(source);
    let mut report = |file: &str, list: Vec<LexiconFault>| {
        for fault in list {
            faults.error(file, fault.line, fault.what, fault.mend);
        }
    };
    report("dictionary.txt", found.dictionary);
    report("synonyms.txt", found.synonyms);
    report("rewrites.txt", found.rewrites);
    lexicon
}

fn language(toml: &TomlFile<'_>, line: usize, tag: &str, faults: &mut Faults) -> Option<Language> {
    let language = Language::from_tag(tag);
    if language.is_none() {
        faults.error(toml.name, line, format!("unknown language `{tag}`"), "use zh-Hans, zh-Hant or en");
    }
    language
}

fn wording(toml: &TomlFile<'_>, raw: Spanned<RawAnswer>, faults: &mut Faults) -> Wording {
    let line = toml.line(raw.span().start);
    let texts = match raw.into_inner() {
        RawAnswer::Text(text) => BTreeMap::from([(Language::ZhHans, text)]),
        RawAnswer::ByLanguage(texts) => {
            texts.into_iter().filter_map(|(tag, text)| Some((language(toml, line, &tag, faults)?, text))).collect()
        }
    };
    Wording::new(texts)
}

fn wordings(
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

fn script(toml: &TomlFile<'_>, raw: RawScript, faults: &mut Faults) -> Script {
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

fn schedule(toml: &TomlFile<'_>, raw: Spanned<crate::hours::RawHours>, faults: &mut Faults) -> Option<Arc<Week>> {
    let line = toml.line(raw.span().start);
    Week::try_from(raw.into_inner())
        .map_err(|error| faults.error(toml.name, line, error.to_string(), "see faq/README.md"))
        .ok()
        .map(Arc::new)
}

fn validity(
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
