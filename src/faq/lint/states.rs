//! What holds for the answers to single states of an order.

use super::Lint;
use crate::faq::fault::Faults;
use crate::faq::load::{Draft, Place};
use crate::faq::template::SITUATION;

/// Names of the situation that belong to scripts: an answer tells of no incident and offers no menu.
const OF_SCRIPTS: [&str; 3] = ["cause", "effect", "menu"];

impl Lint<'_> {
    /// Checks an entry's state answers. They may use what the situation gives: where it gives nothing, the general
    /// answer stands in.
    pub(super) fn states(&self, draft: &Draft, number: usize, faults: &mut Faults) {
        let entry = &draft.corpus.entries[number];
        if entry.states.is_empty() {
            return;
        }
        let mut known = self.corpus.variables.clone();
        let given = SITUATION.iter().filter(|name| !OF_SCRIPTS.contains(name));
        known.extend(given.map(|name| ((*name).to_owned(), String::new())));
        for (state, answer) in entry.states.iter() {
            let line = draft.states.get(&(number, *state)).copied().unwrap_or(draft.entries[number].line);
            let place = Place { file: draft.entries[number].file.clone(), line };
            let whose = format!("answer of `{}` when {state}", entry.id);
            if answer.is_empty() {
                faults.error(&place.file, line, format!("the {whose} has no text"), "write it, or delete the state");
            }
            for (language, text) in answer.iter() {
                let whose = format!("{whose} ({language})");
                self.wording(text, &whose, &place, faults);
                self.check_placeholders(text, &whose, &known, &place, faults);
                if entry.answer.iter().any(|(other, general)| other == language && general.trim() == text.trim()) {
                    faults.warning(
                        &place.file,
                        line,
                        format!("{whose}: the same as the general answer"),
                        "say what this state changes, or delete it: the general answer is sent anyway",
                    );
                }
            }
        }
    }
}
