//! One immutable generation 版本代 of what the shop knows, and the pointer that a reload swaps.
//!
//! validate -> analyse -> index -> swap: a reload that fails changes nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::civil::Date;
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use crate::analysis::Analyzer;
use crate::faq::fault::Fault;
use crate::faq::load::{LoadError, Loaded, load};
use crate::faq::{Corpus, Entry, EntryId};
use crate::index::{IndexError, build_or_open};
use crate::matching::{Embedded, Matcher, Meanings, Others, Phrasings};
use crate::parallel;
use crate::semantic::Semantic;

/// Changes when the index or the analysis change in a way that old index files do not fit.
const FORMAT: &str = "yingda-1";

/// Phrasings analysed before the table takes them over.
const ANALYSED_AT_ONCE: usize = 8_192;

/// Everything that answers are made from; never changes once built.
#[derive(Debug)]
pub struct Generation {
    /// 指纹: first 16 hex digits of the SHA-256 over everything in it.
    pub fingerprint: String,
    /// Entries, scripts and variables.
    pub corpus: Corpus,
    /// Finds entries for texts.
    pub matcher: Matcher,
    /// Faults that did not stop the load.
    pub warnings: Vec<Fault>,
    /// Number of an entry by its id.
    numbers: FxHashMap<EntryId, usize>,
    /// Versions of the entries and of the scripts, by their numbers.
    versions: [Vec<u32>; 2],
}

/// Why a generation could not be built.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// The files have faults.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The index could not be built.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Another reload is under way.
    #[error("a reload is running; ask again when it is done")]
    Busy,
}

impl Generation {
    /// Builds a generation from a loaded corpus; with an index folder, an index that fits is opened instead of built.
    ///
    /// # Errors
    /// When the index folder cannot be used.
    pub fn build(loaded: Loaded, index: Option<&Path>, semantic: Option<&Semantic>) -> Result<Self, IndexError> {
        let Loaded { corpus, analyzer, warnings } = loaded;
        let extras =
            Extras { out_of_scope: &corpus.out_of_scope, learns_out_of_scope: corpus.has_own_out_of_scope, semantic };
        let matcher = build_matcher(&corpus.entries, &analyzer, &lexicon_digest_of(&corpus), extras, index)?;
        let numbers = corpus.entries.iter().enumerate().map(|(number, entry)| (entry.id.clone(), number)).collect();
        let versions = [
            corpus.entries.iter().map(|entry| version(&(&entry.answer, &entry.states))).collect(),
            corpus.scripts.iter().map(|script| version(&(&script.wordings, &script.leads, &script.fallback))).collect(),
        ];
        Ok(Self { fingerprint: fingerprint(&corpus), corpus, matcher, warnings, numbers, versions })
    }

    /// Eight hex digits that change whenever a wording of the entry does.
    #[must_use]
    pub fn entry_version(&self, id: &str) -> Option<String> {
        self.versions[0].get(*self.numbers.get(id)?).map(|version| format!("{version:08x}"))
    }

    /// Eight hex digits that change whenever a wording of the script does.
    #[must_use]
    pub fn script_version(&self, id: &str) -> Option<String> {
        let number = self.corpus.scripts.iter().position(|script| *script.id == *id)?;
        self.versions[1].get(number).map(|version| format!("{version:08x}"))
    }

    /// The entry of this id.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.corpus.entries.get(*self.numbers.get(id)?)
    }
}

/// What a matcher learns from beside the entries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras<'a> {
    /// Texts that no entry answers: they calibrate the confidence.
    pub out_of_scope: &'a [String],
    /// Whether entries are learned against them as well: the shop itself says that they are out of scope.
    pub learns_out_of_scope: bool,
    /// An embedding model.
    pub semantic: Option<&'a Semantic>,
}

impl<'a> Extras<'a> {
    fn others(&self) -> Others<'a> {
        Others { texts: self.out_of_scope, are_learned: self.learns_out_of_scope }
    }
}

/// Analyses the phrasings on all cores and indexes them; `lexicon_digest` stands for what segmentation depends on.
///
/// # Errors
/// When the index folder cannot be used.
pub fn build_matcher(
    entries: &[Entry],
    analyzer: &Arc<Analyzer>,
    lexicon_digest: &str,
    extras: Extras<'_>,
    index: Option<&Path>,
) -> Result<Matcher, IndexError> {
    let phrasings: Vec<(u32, &str)> = (0..)
        .zip(entries)
        .flat_map(|(number, entry)| entry.phrasings.iter().map(move |phrasing| (number, phrasing.as_str())))
        .collect();
    let mut table = Phrasings::default();
    // Analyses are large beside what the table keeps of them: a batch at a time.
    for batch in phrasings.chunks(ANALYSED_AT_ONCE) {
        let analyses = parallel::flat_map(batch, |run| run.iter().map(|(_, text)| analyzer.analyse(text)).collect());
        for ((entry, _), analysis) in batch.iter().zip(&analyses) {
            table.push(*entry, analysis, analyzer);
        }
    }
    let table = table.measured();
    let mut hasher = Sha256::new();
    hasher.update(FORMAT);
    hasher.update(lexicon_digest);
    for text in table.texts() {
        hasher.update(text);
        hasher.update([0]);
    }
    let name = short_hex(hasher);
    let embedded =
        extras.semantic.and_then(|semantic| embedded(semantic, &table, extras.out_of_scope, analyzer, index));
    let index = build_or_open(index, &name, table.texts(), analyzer)?;
    Matcher::new(Arc::clone(analyzer), table, index, extras.others(), embedded)
}

/// What an embedding model makes of the corpus. Without it the words decide alone: no reload fails for it.
fn embedded(
    semantic: &Semantic,
    table: &Phrasings,
    out_of_scope: &[String],
    analyzer: &Analyzer,
    folder: Option<&Path>,
) -> Option<Embedded> {
    let others: Vec<String> = out_of_scope.iter().map(|text| analyzer.analyse(text).text).collect();
    let texts: Vec<&str> = table.texts().chain(others.iter().map(String::as_str)).collect();
    let vectors = semantic.vectors(&texts, folder).map_err(|error| error.to_string());
    let embedded = vectors.and_then(|mut vectors| {
        let out_of_scope = vectors.split_off(table.len());
        let phrasings = Meanings::new(&vectors, table.len()).map_err(|error| error.to_string())?;
        Ok(Embedded { phrasings, out_of_scope })
    });
    embedded.map_err(|error| tracing::warn!(error, "words alone decide until the next reload")).ok()
}

fn lexicon_digest_of(corpus: &Corpus) -> String {
    let mut hasher = Sha256::new();
    for text in [&corpus.lexicon.dictionary, &corpus.lexicon.synonyms, &corpus.lexicon.rewrites] {
        hasher.update(text);
        hasher.update([0]);
    }
    short_hex(hasher)
}

/// Hash over everything that answers are made from. Texts are hashed as they are: formatting each of them takes longer
/// than all the rest.
fn fingerprint(corpus: &Corpus) -> String {
    let mut hasher = Sha256::new();
    let mut feed = |text: &str| {
        hasher.update(text.len().to_le_bytes());
        hasher.update(text);
    };
    feed(FORMAT);
    for entry in &corpus.entries {
        feed(&entry.id);
        feed(&entry.topic);
        entry.phrasings.iter().for_each(|phrasing| feed(phrasing));
        for (language, text) in entry.answer.iter() {
            feed(language.tag());
            feed(text);
        }
        entry.related.iter().for_each(|related| feed(related));
        feed(&format!(
            "{:?}{:?}{:?}{:?}{}",
            entry.states, entry.audience, entry.scope, entry.validity, entry.agents_only
        ));
    }
    feed(&format!(
        "{:?}{:?}{:?}{:?}{:?}{:?}",
        corpus.scripts, corpus.variables, corpus.acts, corpus.fillers, corpus.out_of_scope, corpus.has_own_out_of_scope
    ));
    [&corpus.lexicon.dictionary, &corpus.lexicon.synonyms, &corpus.lexicon.rewrites]
        .into_iter()
        .for_each(|text| feed(text));
    short_hex(hasher)
}

/// First 32 bits of the SHA-256 of wordings.
fn version(wordings: &impl std::fmt::Debug) -> u32 {
    let digest: [u8; 32] = Sha256::digest(format!("{wordings:?}")).into();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

fn short_hex(hasher: Sha256) -> String {
    hex::encode(&hasher.finalize()[..8])
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// Fingerprint of the generation now serving.
    pub fingerprint: String,
    /// Fingerprint of the one before.
    pub before: String,
    /// Entries, phrasings and scripts now serving.
    pub sizes: [usize; 3],
    /// Faults that did not stop it.
    pub warnings: Vec<Fault>,
    /// How long it took.
    pub took: Duration,
}

/// The serving generation. Readers hold what they started with; a reload swaps one pointer.
#[derive(Debug)]
pub struct Knowledge {
    current: ArcSwap<Generation>,
    faq: PathBuf,
    index: Option<PathBuf>,
    semantic: Option<Arc<Semantic>>,
    /// One reload at a time; held while files are read and indexed, never by a reader.
    reloading: Mutex<()>,
}

impl Knowledge {
    /// Loads the folder `faq`, with its index under `index`. `today` dates the check for expired content.
    ///
    /// # Errors
    /// When the content has errors or the index folder cannot be used.
    pub fn open(
        faq: &Path,
        index: Option<&Path>,
        semantic: Option<Arc<Semantic>>,
        today: Date,
    ) -> Result<Self, KnowledgeError> {
        let generation = Generation::build(load(faq, today)?, index, semantic.as_deref())?;
        Ok(Self {
            current: ArcSwap::from_pointee(generation),
            faq: faq.to_owned(),
            index: index.map(Path::to_owned),
            semantic,
            reloading: Mutex::new(()),
        })
    }

    /// The embedding model, where one is configured.
    #[must_use]
    pub fn semantic(&self) -> Option<&Semantic> {
        self.semantic.as_deref()
    }

    /// The serving generation.
    #[must_use]
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Reads the folder again and swaps, unless it has an error. Long: call it off the async threads.
    ///
    /// # Errors
    /// When the content has errors, or another reload is running; the old generation then keeps serving.
    pub fn reload(&self, today: Date) -> Result<Reloaded, KnowledgeError> {
        let _one_at_a_time = match self.reloading.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(KnowledgeError::Busy),
        };
        let started = Instant::now();
        let next = Generation::build(load(&self.faq, today)?, self.index.as_deref(), self.semantic.as_deref())?;
        let reloaded = Reloaded {
            fingerprint: next.fingerprint.clone(),
            before: self.current().fingerprint.clone(),
            sizes: [next.corpus.entries.len(), next.corpus.phrasings(), next.corpus.scripts.len()],
            warnings: next.warnings.clone(),
            took: started.elapsed(),
        };
        self.current.store(Arc::new(next));
        Ok(reloaded)
    }
}
