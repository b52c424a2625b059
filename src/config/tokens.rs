//! Bearer tokens: who may call the API, and what for.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::ConfigError;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Posts events.
    Channel,
    /// Searches suggestions, reads entries and incidents.
    Agent,
    /// What an agent may, reloads, opens and closes incidents.
    Editor,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Channel, Self::Agent, Self::Editor, Self::Admin];

    /// Name as configured.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Agent => "agent",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// SHA-256 of a bearer token. Tokens are random, so a fast hash without salt is enough.
pub type TokenHash = [u8; 32];

/// Hash of a bearer token.
#[must_use]
pub fn hash_token(token: &str) -> TokenHash {
    Sha256::digest(token).into()
}

/// A bearer token that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Who holds it; stands in logs.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Its hash.
    pub hash: TokenHash,
    /// Shops it may speak for; empty means all.
    pub shops: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawToken {
    name: String,
    role: Role,
    sha256: String,
    #[serde(default)]
    shops: Vec<String>,
}

pub(super) fn file_token(raw: RawToken) -> Result<Token, ConfigError> {
    let mut hash = TokenHash::default();
    hex::decode_to_slice(&raw.sha256, &mut hash).map_err(|_| {
        ConfigError::Token(format!("token `{}`: sha256 must be 64 hex digits; `yingda token` prints them", raw.name))
    })?;
    Ok(Token { name: raw.name, role: raw.role, hash, shops: raw.shops })
}

pub(super) fn environment_tokens(text: &str) -> Result<Vec<Token>, ConfigError> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let known = pair.split_once(':').and_then(|(role, token)| Some((Role::from_name(role)?, token)));
            let Some((role, token)) = known.filter(|(_, token)| token.len() >= 16) else {
                let what = "YINGDA_TOKENS holds `role:token` pairs separated by commas; roles are channel, agent, editor, admin; a token has 16 characters or more";
                return Err(ConfigError::Token(what.to_owned()));
            };
            Ok(Token { name: format!("{} from the environment", role.name()), role, hash: hash_token(token), shops: Vec::new() })
        })
        .collect()
}
