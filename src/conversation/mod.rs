//! Who said what: inbound events, the facts of a conversation, and where they are stored.

pub mod event;
pub mod incident;
pub mod model;
pub mod store;
pub mod transition;
