//! Who said what: inbound events, the facts of a conversation, and where they are stored.

pub mod clock;
pub mod desk;
pub mod event;
pub mod inbound;
pub mod incident;
pub mod model;
pub mod outgoing;
pub mod parts;
pub mod phase;
pub mod store;
pub mod timer;
pub mod transition;
