//! Keys of the tokens that visitors of web chats hold: one an account, made when it is first needed, shared by all nodes
//! through the store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Bot;
use crate::channel::account::Account;
use crate::channel::signature::Key;
use crate::conversation::store::StoreError;

/// What the key stands under in the account's state.
const NAME: &str = "visitor-key";

/// Keys that are known already, by account. Held for a look.
#[derive(Debug, Default)]
pub(super) struct VisitorKeys(Mutex<HashMap<String, Key>>);

impl Bot {
    /// The key that visitors' tokens of an account are made and known by.
    ///
    /// # Errors
    /// When the store cannot be used, or the system gives no random bytes.
    pub async fn visitor_key(&self, account: &Account) -> Result<Key, StoreError> {
        let name = account.name.as_str();
        if let Some(key) = self.visitor_keys.lock().get(name) {
            return Ok(key.clone());
        }
        let key = match self.stored(name).await? {
            Some(key) => key,
            None => self.made(name).await?,
        };
        self.visitor_keys.lock().insert(name.to_owned(), key.clone());
        Ok(key)
    }

    async fn stored(&self, account: &str) -> Result<Option<Key>, StoreError> {
        let states = self.store.account_state(account).await?;
        Ok(states.get(NAME).and_then(|text| Key::new(text.as_bytes()).ok()))
    }

    /// A new key, or that of whoever was quicker.
    async fn made(&self, account: &str) -> Result<Key, StoreError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        self.store.swap_account_state(account, NAME, None, &hex::encode(random)).await?;
        let stored = self.stored(account).await?;
        stored.ok_or_else(|| StoreError::Corrupt(format!("{NAME} of {account} is empty")))
    }
}

impl VisitorKeys {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
