//! How settings are read, and told about when they are wrong: an error names the setting and never repeats its value, which
//! may be a secret.

use std::fmt::Debug;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use super::signature::EmptyKey;

/// Reads settings.
///
/// # Errors
/// What is wrong, see [`fault`].
pub fn read<T: DeserializeOwned>(table: Table) -> Result<T, String> {
    T::deserialize(Value::Table(table)).map_err(|error| fault(&error))
}

/// A text that somebody has written, without blanks and line ends around it: neither nothing, nor what stands for it in
/// examples.
///
/// # Errors
/// [`EmptyKey`] when it is one of these.
pub fn written(text: &str) -> Result<&str, EmptyKey> {
    Some(text.trim()).filter(|text| !matches!(*text, "" | "...")).ok_or(EmptyKey)
}

/// A number that may be written as a text: what comes from the environment is one.
///
/// # Errors
/// When it is no number.
pub fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(from)?;
    let number = value.as_integer().and_then(|number| number.try_into().ok());
    let number = number.or_else(|| value.as_str()?.parse().ok());
    number.map(Some).ok_or_else(|| D::Error::custom("write a number"))
}

/// What is wrong with a setting, without its value.
#[must_use]
pub fn fault(error: &toml::de::Error) -> String {
    let message = error.message();
    let repeats = ["invalid type", "invalid value"].iter().any(|start| message.starts_with(start));
    let what = match message.split_once(", expected ").filter(|_| repeats) {
        Some((_, expected)) => format!("not as it should be, expected {}", plainly(expected)),
        None => message.to_owned(),
    };
    match key(error).filter(|_| !message.starts_with("unknown field")) {
        Some(key) => format!("`{key}`: {what}"),
        None => what,
    }
}

/// What Rust and serde call a value, as TOML does.
fn plainly(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list, [...]",
        "a map" => "a table",
        other => other,
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
        Ok(Self(written(&text)?.to_owned()))
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
#[error("an address begins with https:// (or http:// on your own network) and has no ? or # in it")]
pub struct NoUrl;

impl TryFrom<String> for ApiUrl {
    type Error = NoUrl;

    fn try_from(url: String) -> Result<Self, NoUrl> {
        if is_web(&url) && !url.contains(['?', '#']) {
            Ok(Self(url.trim_end_matches('/').to_owned()))
        } else {
            Err(NoUrl)
        }
    }
}

/// Whether a text is an address of the web.
#[must_use]
pub fn is_web(url: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme))
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
