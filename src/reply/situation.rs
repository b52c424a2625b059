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
    /// The customer's tier, if the channel knows it.
    pub tier: Option<&'a str>,
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
        let list = |list: &[String], value: Option<&str>| {
            (!list.is_empty()).then(|| value.is_some_and(|value| list.iter().any(|known| known == value)))
        };
        let validity = conditions.validity;
        let checks = [
            conditions.profile.map(|profile| profile == self.profile),
            conditions.agents.map(|agents| agents == self.agents),
            conditions.customer.map(|customer| customer == self.customer),
            conditions.event.map(|event| Some(event) == self.event),
            list(&conditions.tier, self.tier),
            list(&conditions.shops, Some(self.shop)),
            list(&conditions.channels, Some(self.channel)),
            conditions.schedule.as_ref().map(|week| week.is_open(self.now)),
            (validity.from.is_some() || validity.until.is_some()).then(|| validity.contains(self.now.date())),
        ];
        let held: Vec<bool> = checks.into_iter().flatten().collect();
        held.iter().all(|held| *held).then_some(held.len())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;

    fn strength(tier: Option<&str>, conditions: &Conditions) -> Option<usize> {
        let now = date(2026, 11, 22).to_zoned(TimeZone::UTC).unwrap();
        let situation = Situation {
            shop: "s",
            channel: "c",
            now: &now,
            profile: Profile::Everyday,
            agents: AgentsState::Free,
            customer: CustomerKind::New,
            event: None,
            tier,
        };
        situation.strength(conditions)
    }

    #[test]
    fn a_script_for_a_tier_is_for_nobody_else_and_counts_as_one_condition() {
        let vip = Conditions { tier: vec!["vip".to_owned(), "gold".to_owned()], ..Conditions::default() };
        assert_eq!(strength(Some("gold"), &vip), Some(1));
        assert_eq!(strength(Some("silver"), &vip), None);
        assert_eq!(strength(None, &vip), None);
        assert_eq!(strength(Some("gold"), &Conditions::default()), Some(0));
    }
}
