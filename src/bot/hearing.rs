//! How the bot listens: the matcher, with what holds at one shop, place and time.

use jiff::Timestamp;

use crate::analysis::Analysis;
use crate::faq::scope::Place;
use crate::index::IndexError;
use crate::knowledge::Generation;
use crate::matching::{Match, Question, Understood};
use crate::reply::policy::ShopPolicy;

/// Letters of a text that are matched; what follows is kept but not read.
const MATCHED_CHARS: usize = 512;

/// Candidates that a decision lists.
const CONSIDERED: usize = 3;

/// What of a text is matched, read by the generation.
pub(super) fn read(text: &str, generation: &Generation) -> Analysis {
    let end = text.char_indices().nth(MATCHED_CHARS).map_or(text.len(), |(at, _)| at);
    generation.matcher.read(&text[..end])
}

/// Looks entries up that hold at one place and time.
pub(super) struct Ear<'a> {
    pub generation: &'a Generation,
    pub place: Place,
    pub policy: &'a ShopPolicy,
    pub now: Timestamp,
}

impl Ear<'_> {
    /// How specific an entry is here; `None` when it does not hold.
    fn rank(&self) -> impl Fn(u32) -> Option<u8> + '_ {
        let day = self.now.to_zoned(self.policy.time_zone.clone()).date();
        move |number| {
            let entry = &self.generation.corpus.entries[number as usize];
            if entry.validity.contains(day) { entry.scope.specificity(&self.place) } else { None }
        }
    }

    /// The best entries for a text as it stands.
    pub fn find(&self, question: Question<'_>, limit: usize) -> Result<Match, IndexError> {
        self.generation.matcher.find(question, limit, self.rank())
    }

    /// What a message asks by itself.
    pub fn understand(&self, question: Question<'_>) -> Result<Understood, IndexError> {
        self.generation.matcher.understand(question, self.policy.thresholds, CONSIDERED, self.rank())
    }

    /// What a message asks that leans on the customer's last question.
    pub fn follow_up(&self, last: &str, analysis: &Analysis, alone: &Match) -> Result<Option<Understood>, IndexError> {
        let thresholds = self.policy.thresholds;
        self.generation.matcher.follow_up(last, analysis, alone, thresholds, CONSIDERED, self.rank())
    }
}
