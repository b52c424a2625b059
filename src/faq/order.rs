//! The state of an order, on which an answer may depend.

use serde::{Deserialize, Serialize};

/// State 订单状态 of the order that a customer asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// 待付款: made, not paid.
    Unpaid,
    /// 待发货: paid, not sent.
    Paid,
    /// 待收货: on its way.
    Shipped,
    /// 已签收: the customer has it.
    Delivered,
    /// 退款中: a refund is asked for and not done.
    Refunding,
    /// 已退款: the money has been sent back.
    Refunded,
    /// 交易关闭: cancelled, or never paid in time.
    Closed,
}

impl OrderState {
    /// Every state, in the order of an order's life.
    pub const ALL: [Self; 7] =
        [Self::Unpaid, Self::Paid, Self::Shipped, Self::Delivered, Self::Refunding, Self::Refunded, Self::Closed];

    /// Name as `faq/` files and channels write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::Closed => "closed",
        }
    }

    /// Reads a name as `faq/` files write it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl std::fmt::Display for OrderState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_channels_write_the_same_names() {
        for state in OrderState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
            assert_eq!(OrderState::from_name(state.name()), Some(state));
        }
        assert_eq!(OrderState::from_name("Shipped"), None);
    }

    #[test]
    fn the_states_stand_in_the_order_of_an_orders_life() {
        assert!(OrderState::ALL.is_sorted());
    }
}
