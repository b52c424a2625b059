//! What a channel account must remember: cursors of mailboxes, access tokens.

use std::collections::BTreeMap;

use sqlx::Row;

use super::EngineStore;
use crate::conversation::store::StoreError;

impl EngineStore {
    pub(super) async fn account_state(&self, account: &str) -> Result<BTreeMap<String, String>, StoreError> {
        let sql = "SELECT name, value FROM account_state WHERE account = $1";
        let rows = sqlx::query(sql).bind(account).fetch_all(&self.reader).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    pub(super) async fn swap_account_state(
        &self,
        account: &str,
        name: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<bool, StoreError> {
        let query = match from {
            None => sqlx::query(
                "INSERT INTO account_state (account, name, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            ),
            Some(_) => {
                sqlx::query("UPDATE account_state SET value = $3 WHERE account = $1 AND name = $2 AND value = $4")
            }
        };
        let query = query.bind(account).bind(name).bind(to);
        let query = if let Some(from) = from { query.bind(from) } else { query };
        let mut transaction = self.writing().await?;
        let swapped = query.execute(&mut *transaction).await?.rows_affected() == 1;
        transaction.commit().await?;
        Ok(swapped)
    }
}
