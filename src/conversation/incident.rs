//! Incidents 突发状况: something is broken, for some customers, for some time.

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
    /// Only orders made from then on.
    pub ordered_from: Option<Timestamp>,
    /// Only orders made before.
    pub ordered_until: Option<Timestamp>,
}

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// 发货延迟.
    DelayedDispatch,
    /// 物流爆仓.
    CourierOverload,
    /// 无法付款.
    PaymentOutage,
    /// 库存异常.
    StockAnomaly,
    /// 停电.
    Power,
    /// 断网.
    Network,
    /// 系统故障.
    Machine,
    /// 客服不足.
    StaffShortage,
    /// Anything else.
    #[default]
    Other,
}

impl IncidentKind {
    /// Topics of entries whose promises it contradicts, where the incident names none itself.
    #[must_use]
    pub fn contradicts(self) -> &'static [&'static str] {
        match self {
            Self::DelayedDispatch => &["dispatch"],
            Self::CourierOverload => &["dispatch", "logistics"],
            Self::PaymentOutage => &["payment"],
            Self::StockAnomaly => &["stock"],
            Self::Power | Self::Network | Self::Machine | Self::StaffShortage | Self::Other => &[],
        }
    }
}

/// What becomes of an answer that the incident contradicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Contradicted {
    /// It is not sent: the incident is told instead, and then a human is called.
    #[default]
    Mute,
    /// It is sent with the incident's script after it.
    Annotate,
}

/// An incident with the two things its script must name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Unique.
    pub id: String,
    /// What is broken.
    #[serde(default, rename = "type")]
    pub kind: IncidentKind,
    /// Why it happened.
    pub cause: String,
    /// What it means for the customer.
    pub effect: String,
    /// Whom it touches.
    #[serde(default)]
    pub scope: IncidentScope,
    /// Topics of entries that it contradicts; those of its kind when none are named.
    #[serde(default)]
    pub topics: Vec<String>,
    /// What becomes of their answers.
    #[serde(default)]
    pub contradicted: Contradicted,
    /// Who follows it up.
    #[serde(default)]
    pub owner: Option<String>,
    /// Who has approved what customers are told.
    #[serde(default)]
    pub approver: Option<String>,
    /// From when on.
    pub opened_at: Timestamp,
    /// When it is expected to be over; told to customers.
    #[serde(default)]
    pub expected_end: Option<Timestamp>,
    /// Until when, if nobody closes it before.
    pub expires_at: Option<Timestamp>,
    /// When it was closed.
    #[serde(default)]
    pub closed_at: Option<Timestamp>,
}

impl Incident {
    /// What a conversation remembers of it: an incident opened again under its old id is news.
    #[must_use]
    pub fn edition(&self) -> String {
        format!("{}@{}", self.id, self.opened_at.as_millisecond())
    }

    /// Whether it is open at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.closed_at.is_none() && self.opened_at <= now && self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it is open at `now` and touches the sender of `event` on `platform`.
    #[must_use]
    pub fn concerns(&self, event: &InboundEvent, platform: Option<&str>, now: Timestamp) -> bool {
        let within = |list: &[String], value: Option<&str>| {
            list.is_empty() || value.is_some_and(|value| list.iter().any(|known| known == value))
        };
        let context = &event.context;
        self.is_open(now)
            && within(&self.scope.shop, Some(event.shop.as_str()))
            && within(&self.scope.platform, context.platform.as_deref().or(platform))
            && within(&self.scope.region, context.region.as_deref())
            && within(&self.scope.carrier, context.carrier.as_deref())
            && within(&self.scope.product, context.product.as_deref())
            && self.ordered_within(context.ordered_at)
    }

    fn ordered_within(&self, ordered_at: Option<Timestamp>) -> bool {
        let (from, until) = (self.scope.ordered_from, self.scope.ordered_until);
        match ordered_at {
            Some(at) => from.is_none_or(|from| from <= at) && until.is_none_or(|until| at < until),
            None => from.is_none() && until.is_none(),
        }
    }

    /// Whether it contradicts what entries of this topic promise.
    #[must_use]
    pub fn contradicts(&self, topic: &str) -> bool {
        if self.topics.is_empty() {
            self.kind.contradicts().contains(&topic)
        } else {
            self.topics.iter().any(|known| known == topic)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::conversation::inbound::EventBody;

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn concerns(scope: Value, context: Value) -> bool {
        let incident =
            json!({ "id": "i", "cause": "x", "effect": "y", "scope": scope, "opened_at": NOW, "expires_at": null });
        let incident: Incident = serde_json::from_value(incident).unwrap();
        let event = json!({
            "shop": "demo", "channel": "web", "conversation_id": "c", "customer_id": "u", "message_id": "m", "text": "在吗",
            "context": context,
        });
        let event = serde_json::from_value::<EventBody>(event).unwrap().check(100, NOW).unwrap();
        incident.concerns(&event, Some("taobao"), NOW)
    }

    #[test]
    fn it_concerns_whom_every_list_names() {
        for (scope, context, touches) in [
            (json!({}), json!({}), true),
            (json!({ "shop": ["demo"] }), json!({}), true),
            (json!({ "shop": ["other"] }), json!({}), false),
            (json!({ "platform": ["taobao"] }), json!({}), true),
            (json!({ "platform": ["taobao"] }), json!({ "platform": "jd" }), false),
            (json!({ "region": ["上海"] }), json!({ "region": "上海" }), true),
            (json!({ "region": ["上海"] }), json!({}), false),
            (json!({ "carrier": ["中通"] }), json!({ "carrier": "圆通" }), false),
            (json!({ "product": ["p1"], "carrier": ["中通"] }), json!({ "product": "p1", "carrier": "中通" }), true),
            (json!({ "product": ["p1"], "carrier": ["中通"] }), json!({ "product": "p1" }), false),
            (json!({ "ordered_from": NOW }), json!({ "ordered_at": NOW }), true),
            (json!({ "ordered_until": NOW }), json!({ "ordered_at": NOW }), false),
            (json!({ "ordered_until": NOW }), json!({}), false),
        ] {
            assert_eq!(concerns(scope.clone(), context.clone()), touches, "{scope} {context}");
        }
    }

    #[test]
    fn its_type_tells_what_it_contradicts_unless_it_names_topics() {
        let incident = |kind: &str, topics: Value| -> Incident {
            let incident = json!({
                "id": "i", "type": kind, "topics": topics, "cause": "x", "effect": "y", "opened_at": NOW, "expires_at": null,
            });
            serde_json::from_value(incident).unwrap()
        };
        assert!(incident("courier_overload", json!([])).contradicts("dispatch"));
        assert!(!incident("courier_overload", json!([])).contradicts("size"));
        assert!(!incident("courier_overload", json!(["size"])).contradicts("dispatch"));
        assert!(!incident("power", json!([])).contradicts("dispatch"));
    }
}
