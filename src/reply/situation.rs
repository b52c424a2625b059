//! Which script fits: of those whose conditions hold, the one with most conditions.

use jiff::Zoned;

use crate::faq::script::{AgentsState, ClosingEvent, Conditions, CustomerKind, Profile, Script, ScriptKind};

/// What conditions are held against.
#[derive(Debug, Clone)]
pub struct Situation<'a> {
    /// Shop id.
    pub shop: &'a str,
    /// Channel id.
    pub channel: &'a str,
    /// Now, in the shop's time zone.
    pub now: &'a Zoned,
    /// Part of the campaign calendar.
    pub profile: Profile,
    /// Whether a human can answer now.
    pub agents: AgentsState,
    /// New or returning.
    pub customer: CustomerKind,
    /// What ends the conversation, if anything does.
    pub event: Option<ClosingEvent>,
}

impl Situation<'_> {
    /// The best script of a kind; of equals the first.
    pub fn pick<'s>(&self, scripts: &'s [Script], kind: ScriptKind) -> Option<&'s Script> {
        let mut best: Option<(usize, &Script)> = None;
        for script in scripts.iter().filter(|script| script.kind == kind) {
            if let Some(strength) = self.strength(&script.conditions)
                && best.is_none_or(|(known, _)| strength > known)
            {
                best = Some((strength, script));
            }
        }
        best.map(|(_, script)| script)
    }

    /// Number of conditions, or `None` when one does not hold.
    fn strength(&self, conditions: &Conditions) -> Option<usize> {
        let list = |list: &[String], value: &str| (!list.is_empty()).then(|| list.iter().any(|known| known == value));
        let validity = conditions.validity;
        let checks = [
            conditions.profile.map(|profile| profile == self.profile),
            conditions.agents.map(|agents| agents == self.agents),
            conditions.customer.map(|customer| customer == self.customer),
            conditions.event.map(|event| Some(event) == self.event),
            list(&conditions.shops, self.shop),
            list(&conditions.channels, self.channel),
            conditions.schedule.as_ref().map(|week| week.is_open(self.now)),
            (validity.from.is_some() || validity.until.is_some()).then(|| validity.contains(self.now.date())),
        ];
        let held: Vec<bool> = checks.into_iter().flatten().collect();
        held.iter().all(|held| *held).then_some(held.len())
    }
}
