//! Calls to others over HTTP: which addresses may be called, signed webhooks, and facts from the shop's own systems.
//!
//! Whoever configures an address decides where this machine connects to. So what a name resolves to is looked at before
//! anything connects, redirects are not followed, and every call ends in time whatever the other side does.

pub mod breaker;
mod cache;
pub mod facts;
pub mod guard;
pub mod webhook;

/// Why a call came to nothing. Never tells a secret, nor the address that a name resolved to.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The settings cannot be used.
    #[error("{0}")]
    Config(String),
    /// The address may not be called, however often it is tried.
    #[error("the address may not be called: {0}")]
    Forbidden(&'static str),
    /// There is no answer, or none in time.
    #[error("{0}")]
    Unreachable(String),
    /// The answer does not come in time: whether the other side has what was sent, nobody knows.
    #[error("no answer in time")]
    Late,
    /// There is an answer, but not what was asked for.
    #[error("the endpoint answers {0}")]
    Unusable(String),
    /// The answer is longer than anybody needs.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}
