//! Candidate retrieval: rare terms first, within a budget of postings.
//!
//! A plain OR over all terms spends most of its time on characters that every question has. Here terms are walked from
//! the one that can add most to a score to the one that can add least, until the budget is used up; what the common
//! terms would have added is decided by the matcher's features on the few phrasings that are left.

use std::sync::{Mutex, PoisonError};

use tantivy::postings::TermInfo;
use tantivy::schema::{Field as TantivyField, IndexRecordOption};
use tantivy::{Index, InvertedIndexReader, ReloadPolicy, Searcher, Term};

use super::{Field, IndexError, fields};

/// A term of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeTerm {
    /// Where it is looked up.
    pub field: Field,
    /// The term as indexed.
    pub text: String,
    /// Factor on its rarity.
    pub weight: f32,
}

/// Bounds of one retrieval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Postings to walk; the first term is always walked whole.
    pub postings: usize,
    /// Hits to return.
    pub hits: usize,
}

/// A phrasing 命中 and the rarity of the walked terms it holds, added up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Number of the phrasing in the corpus.
    pub phrasing: u32,
    /// Unbounded; comparable within one query only.
    pub score: f32,
}

/// The phrasings of one generation.
pub struct PhrasingIndex {
    searcher: Searcher,
    fields: [TantivyField; 3],
    /// Working memory is reused; a query holds the lock only to take or give back one piece.
    scratch: Mutex<Vec<Scratch>>,
}

impl std::fmt::Debug for PhrasingIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhrasingIndex").field("phrasings", &self.searcher.num_docs()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Scratch {
    /// A score a phrasing; zero between queries.
    scores: Vec<f32>,
    /// Phrasings with a score.
    touched: Vec<u32>,
}

/// A term that the index knows.
struct Known {
    field: TantivyField,
    info: TermInfo,
    gain: f32,
}

impl PhrasingIndex {
    pub(super) fn new(index: &Index) -> Result<Self, IndexError> {
        let fields = fields(&index.schema())?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { searcher: reader.searcher(), fields, scratch: Mutex::default() })
    }

    /// Number of phrasings.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.searcher.num_docs()).unwrap_or(usize::MAX)
    }

    /// Whether there is no phrasing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The phrasings that share most rare terms with the query, best first; equals by number. Those that are not to be
    /// kept make room for others where they would take most of it.
    ///
    /// # Errors
    /// When the index files cannot be read.
    pub fn retrieve(
        &self,
        terms: &[ProbeTerm],
        budget: Budget,
        keep: impl Fn(u32) -> bool,
    ) -> Result<Vec<Hit>, IndexError> {
        let Some(segment) = self.searcher.segment_readers().first() else {
            return Ok(Vec::new());
        };
        let mut known = Vec::with_capacity(terms.len());
        for term in terms {
            known.extend(self.look_up(segment, term)?);
        }
        known.sort_unstable_by(|a, b| {
            b.gain.total_cmp(&a.gain).then(a.info.postings_range.start.cmp(&b.info.postings_range.start))
        });
        let mut scratch = self.take_scratch();
        let mut left = budget.postings;
        for (place, term) in known.iter().enumerate() {
            let cost = term.info.doc_freq as usize;
            if place > 0 && cost > left {
                continue;
            }
            left = left.saturating_sub(cost);
            scratch.walk(&*segment.inverted_index(term.field)?, term)?;
        }
        let hits = scratch.best(budget.hits, keep);
        self.give_back(scratch);
        Ok(hits)
    }

    fn look_up(&self, segment: &tantivy::SegmentReader, term: &ProbeTerm) -> Result<Option<Known>, IndexError> {
        let field = self.fields[term.field as usize];
        let inverted = segment.inverted_index(field)?;
        let info =
            inverted.get_term_info(&Term::from_field_text(field, &term.text)).map_err(tantivy::TantivyError::from)?;
        Ok(info.map(|info| Known { field, gain: term.weight * rarity(info.doc_freq, segment.max_doc()), info }))
    }

    fn take_scratch(&self) -> Scratch {
        let mut pool = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = pool.pop().unwrap_or_default();
        drop(pool);
        scratch.scores.resize(self.len(), 0.0);
        scratch
    }

    fn give_back(&self, scratch: Scratch) {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }
}

/// Inverse document frequency of BM25 (Robertson and Zaragoza 2009, eq. 3.7, with 1 added inside the logarithm so that
/// it is never negative).
#[must_use]
pub fn rarity(holding: u32, all: u32) -> f32 {
    let (holding, all) = (f64::from(holding), f64::from(all));
    ((all - holding + 0.5) / (holding + 0.5)).ln_1p() as f32
}

impl Scratch {
    fn walk(&mut self, inverted: &InvertedIndexReader, term: &Known) -> Result<(), IndexError> {
        let mut block = inverted
            .read_block_postings_from_terminfo(&term.info, IndexRecordOption::Basic)
            .map_err(tantivy::TantivyError::from)?;
        loop {
            let documents = block.docs();
            if documents.is_empty() {
                return Ok(());
            }
            for document in documents {
                let Some(score) = self.scores.get_mut(*document as usize) else {
                    continue;
                };
                if *score == 0.0 {
                    self.touched.push(*document);
                }
                *score += term.gain;
            }
            block.advance();
        }
    }

    /// The best `limit` hits, best first; leaves the working memory clean.
    fn best(&mut self, limit: usize, keep: impl Fn(u32) -> bool) -> Vec<Hit> {
        // Scores are positive, so that their bits are in their order: an integer maximum is far quicker than `f32::max`.
        let top = self.touched.iter().map(|phrasing| self.scores[*phrasing as usize].to_bits()).max();
        let top = f32::from_bits(top.unwrap_or_default());
        // Far weaker hits never reach the first places; leaving them out early saves the sort.
        let floor = if self.touched.len() > 4 * limit { top * 0.2 } else { 0.0 };
        let mut hits: Vec<Hit> = Vec::with_capacity(limit * 2);
        for phrasing in self.touched.drain(..) {
            let score = std::mem::take(&mut self.scores[phrasing as usize]);
            if score >= floor {
                hits.push(Hit { phrasing, score });
            }
        }
        let order = |a: &Hit, b: &Hit| b.score.total_cmp(&a.score).then(a.phrasing.cmp(&b.phrasing));
        if hits.len() > limit && limit > 0 {
            hits.select_nth_unstable_by(limit - 1, order);
        }
        let rest = hits.split_off(limit.min(hits.len()));
        hits.retain(|hit| keep(hit.phrasing));
        // Entries of other shops may stand before one's own in great number: only then is every hit looked at.
        if hits.len() < limit / 2 {
            let mut more: Vec<Hit> = rest.into_iter().filter(|hit| keep(hit.phrasing)).collect();
            more.sort_unstable_by(order);
            hits.extend(more.into_iter().take(limit - hits.len()));
        }
        hits.sort_unstable_by(order);
        hits
    }
}
