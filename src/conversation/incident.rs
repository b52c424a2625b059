//! Incidents: something is broken, for some customers, for some time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::InboundEvent;

/// Whom an incident touches; an empty list means everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IncidentScope {
    /// Shop ids.
    pub shop: Vec<String>,
    /// Platforms.
    pub platform: Vec<String>,
    /// Regions of delivery.
    pub region: Vec<String>,
    /// Carriers.
    pub carrier: Vec<String>,
    /// Product ids.
    pub product: Vec<String>,
}

/// An incident 突发状况 with the two things its script must name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Unique.
    pub id: String,
    /// Why it happened.
    pub cause: String,
    /// What it means for the customer.
    pub effect: String,
    /// Whom it touches.
    #[serde(default)]
    pub scope: IncidentScope,
    /// From when on.
    pub opened_at: Timestamp,
    /// Until when, if nobody closes it before.
    pub expires_at: Option<Timestamp>,
}

impl Incident {
    /// Whether it is open at `now` and touches the sender of `event` on `platform`.
    #[must_use]
    pub fn concerns(&self, event: &InboundEvent, platform: Option<&str>, now: Timestamp) -> bool {
        let open = self.opened_at <= now && self.expires_at.is_none_or(|end| now < end);
        let within = |list: &[String], value: Option<&str>| {
            list.is_empty() || value.is_some_and(|value| list.iter().any(|known| known == value))
        };
        open && within(&self.scope.shop, Some(event.shop.as_str()))
            && within(&self.scope.platform, event.context.platform.as_deref().or(platform))
            && within(&self.scope.region, event.context.region.as_deref())
            && within(&self.scope.carrier, event.context.carrier.as_deref())
            && within(&self.scope.product, event.context.product.as_deref())
    }
}
