//! From the files of a folder to a valid [`Corpus`], or to the list of every fault.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use toml::Spanned;

use super::fault::{Fault, Faults};
use super::order::OrderState;
use super::raw::{ActKind, RawAct, RawEntry, RawMode, RawScript, TomlFile};
use super::read::{SourceFile, read_folder};
use super::{Corpus, Entry, jsonl, lint, valid};
use crate::analysis::lexicon::{Lexicon, LexiconFault, LexiconSource};
use crate::analysis::speech::ActPhrases;
use crate::analysis::{AnalysisError, Analyzer};

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
    /// Lines of state answers, by the entry's number; few entries have any.
    pub states: BTreeMap<(usize, OrderState), usize>,
    /// A place a script.
    pub scripts: Vec<Place>,
    /// A place a value of `shop.toml`, by name.
    pub variables: Vec<Place>,
    /// A file could not be read: what it may hold is not reported missing.
    pub is_partial: bool,
}

impl Draft {
    fn read(files: &[SourceFile], faults: &mut Faults) -> Self {
        let corpus = Corpus { lexicon: lexicon_source(files), ..Corpus::default() };
        let mut draft = Self { corpus, is_partial: faults.has_errors(), ..Self::default() };
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
            self.is_partial = true;
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
        let answer = valid::wording(toml, raw.answer, faults);
        let validity = valid::validity(toml, raw.valid_from, raw.valid_until, faults);
        let mut states = BTreeMap::new();
        for (state, (line, answer)) in valid::states(toml, raw.states, faults) {
            self.states.insert((self.entries.len(), state), line);
            states.insert(state, answer);
        }
        self.corpus.entries.push(Entry {
            id: raw.id.into_inner().into(),
            topic: raw.topic.map_or_else(|| Arc::clone(topic), Arc::from),
            phrasings: std::iter::once(raw.question).chain(raw.phrasings).map(Spanned::into_inner).collect(),
            answer,
            states: Arc::new(states),
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
            let script = valid::script(&toml, raw, faults);
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
