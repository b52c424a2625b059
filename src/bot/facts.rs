//! Facts from the shops' own systems, laid under what a message brings.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::Shops;
use crate::conversation::event::{Context, EventKind, InboundEvent};
use crate::faq::order::OrderState;
use crate::outbound::OutboundError;
use crate::outbound::facts::{Facts, FactsConfig, FactsHook, FactsRequest};

/// The hooks of all shops.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    named: HashMap<String, Arc<FactsHook>>,
    default: Option<Arc<FactsHook>>,
}

impl Hooks {
    pub fn new(shops: &Shops) -> Result<Self, OutboundError> {
        let mut named = HashMap::new();
        for (shop, config) in shops.facts() {
            named.insert(shop.to_owned(), hook(&format!("shops.{shop}"), config)?);
        }
        let default = shops.default_facts().map(|config| hook("defaults", config)).transpose()?;
        Ok(Self { named, default })
    }

    /// Asks what the shop's systems know, where the event may lead to a reply; without an answer in time the event stays
    /// as it is, and wordings fall back.
    pub async fn complete(&self, event: &mut InboundEvent, now: Timestamp) {
        let speaks = matches!(
            event.kind,
            EventKind::Message
                | EventKind::Media
                | EventKind::OrderShipped
                | EventKind::OrderRefunded
                | EventKind::Timer
        );
        let Some(hook) = self.named.get(event.shop.as_str()).or(self.default.as_ref()).filter(|_| speaks) else {
            return;
        };
        let request = FactsRequest {
            shop: event.shop.as_str(),
            channel: event.channel.as_str(),
            customer_id: event.customer_id.as_str(),
            conversation_id: event.conversation_id.as_str(),
            order_id: event.context.order_id.as_deref(),
        };
        if let Some(facts) = hook.ask(&request, now).await {
            lay_under(&mut event.context, facts);
        }
    }
}

fn hook(section: &str, config: &FactsConfig) -> Result<Arc<FactsHook>, OutboundError> {
    let wrong = |error: OutboundError| OutboundError::Config(format!("[{section}] {error}"));
    FactsHook::new(config.clone()).map(Arc::new).map_err(wrong)
}

/// What the channel says stands above what the systems know.
fn lay_under(context: &mut Context, facts: Facts) {
    let texts = [
        (&mut context.customer_name, facts.customer_name),
        (&mut context.tier, facts.tier),
        (&mut context.order_id, facts.order_id),
        (&mut context.carrier, facts.carrier),
        (&mut context.tracking_no, facts.tracking_no),
        (&mut context.ship_time, facts.ship_time),
        (&mut context.region, facts.region),
        (&mut context.product, facts.product),
        (&mut context.category, facts.category),
    ];
    for (known, fact) in texts {
        if known.is_none() {
            *known = fact;
        }
    }
    context.ordered_at = context.ordered_at.or(facts.ordered_at);
    let state = facts.order_state.as_deref().and_then(OrderState::from_name);
    context.order_state = context.order_state.or(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_channel_says_stands_above() {
        let mut context = Context { carrier: Some("顺丰".to_owned()), ..Context::default() };
        let facts = Facts {
            carrier: Some("中通".to_owned()),
            tracking_no: Some("77".to_owned()),
            order_state: Some("shipped".to_owned()),
            ..Facts::default()
        };
        lay_under(&mut context, facts);
        assert_eq!(context.carrier.as_deref(), Some("顺丰"));
        assert_eq!(context.tracking_no.as_deref(), Some("77"));
        assert_eq!(context.order_state, Some(OrderState::Shipped));
    }

    #[test]
    fn a_state_in_other_words_is_not_known() {
        let mut context = Context::default();
        lay_under(&mut context, Facts { order_state: Some("派送中".to_owned()), ..Facts::default() });
        assert_eq!(context.order_state, None);
    }
}
