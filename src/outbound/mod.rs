//! Calls to others over HTTP: which addresses may be called, signed webhooks, and facts from the shop's own systems.
//!
//! Whoever configures an address decides where this machine connects to. So names are resolved here, answers of the
//! resolver are filtered, redirects are not followed, and every call ends in time whatever the other side does.

pub mod breaker;
