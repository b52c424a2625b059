//! How settings are read, and told about when they are wrong: an error names the setting and never repeats its value, which
//! may be a secret.

use std::fmt::Debug;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::signature::EmptyKey;

/// Reads settings.
///
/// # Errors
/// What is wrong, see [`fault`].
pub fn read<T: DeserializeOwned>(table: Table) -> Result<T, String> {
    T::deserialize(Value::Table(table)).map_err(|error| fault(&error))
}

/// What is wrong with a setting, without its value.
#[must_use]
pub fn fault(error: &toml::de::Error) -> String {
    let message = error.message();
    let repeats = ["invalid type", "invalid value", "unknown variant"].iter().any(|start| message.starts_with(start));
    let what = match message.split_once(", expected ").filter(|_| repeats) {
        Some((_, expected)) => format!("not as it should be, expected {expected}"),
        None => message.to_owned(),
    };
    match key(error) {
        Some(key) => format!("`{key}`: {what}"),
        None => what,
    }
}

/// The setting that an error is about. The error tells it in its whole text only, in a line of its own.
fn key(error: &toml::de::Error) -> Option<String> {
    let text = error.to_string();
    let line = text.lines().rev().find(|line| !line.is_empty())?;
    Some(line.strip_prefix("in `")?.strip_suffix('`')?.to_owned())
}

/// A setting that is never shown: an access token, a password.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Hidden(String);

impl TryFrom<String> for Hidden {
    type Error = EmptyKey;

    fn try_from(text: String) -> Result<Self, EmptyKey> {
        if text.trim().is_empty() { Err(EmptyKey) } else { Ok(Self(text)) }
    }
}

impl Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(..)")
    }
}

impl Hidden {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An address that paths are appended to, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ApiUrl(String);

/// A text that is no address of an API.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("an address begins with https:// (or http:// on your own network)")]
pub struct NoUrl;

impl TryFrom<String> for ApiUrl {
    type Error = NoUrl;

    fn try_from(url: String) -> Result<Self, NoUrl> {
        let known = ["https://", "http://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
        if known { Ok(Self(url.trim_end_matches('/').to_owned())) } else { Err(NoUrl) }
    }
}

impl ApiUrl {
    /// The address that a platform documents.
    #[must_use]
    pub fn of(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
