//! The embedded engine: one SQLite file, one writer, every commit on disk before it is acknowledged.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Pool, Transaction};
use tokio::task::JoinSet;

use self::engine::EngineStore;
use super::StoreError;

#[path = "engine/mod.rs"]
mod engine;

/// Conversations in a SQLite file.
pub type SqliteStore = EngineStore;

type Db = sqlx::Sqlite;

/// SQLite has one writer at a time: more lanes would only wait for each other.
const LANES: usize = 1;

/// The whole file is locked by the transaction.
const LOCK: &str = "";
const LOCKS_ROWS: bool = false;
const SKIP_LOCKED: &str = "";

/// How long a writer waits for another process before it gives up.
const BUSY: Duration = Duration::from_secs(5);

/// Connections that read, for lists and exports.
const READERS: u32 = 2;

/// Memory for pages, in KB as SQLite wants it. More would hold more, but every commit looks through it.
const CACHE: &str = "-16384";

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 256;

async fn begin(pool: &Pool<Db>) -> Result<Transaction<'static, Db>, StoreError> {
    let begun = pool.begin_with("BEGIN IMMEDIATE").await;
    if begun.as_ref().is_err_and(is_read_only)
        && let Ok(connection) = pool.acquire().await
    {
        // Opened while the file could not be written, it would never write again.
        connection.close().await?;
    }
    Ok(begun?)
}

/// SQLITE_READONLY, whatever its extension.
fn is_read_only(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 8)
}

impl SqliteStore {
    /// Opens or makes the file and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened or written.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .statement_cache_capacity(STATEMENTS)
            .pragma("cache_size", CACHE)
            .foreign_keys(true);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY)
            // A full disk ends a transaction behind the driver's back; such a connection is of no more use.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options.clone())
            .await?;
        sqlx::migrate!("src/conversation/store/migrations/sqlite").run(&writer).await?;
        let reader = SqlitePoolOptions::new().max_connections(READERS).acquire_timeout(BUSY);
        let reader = reader.connect_lazy_with(options.create_if_missing(false));
        Ok(Self::over(writer, reader, JoinSet::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_writes_waits_until_the_log_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("yingda.db")).await.unwrap();
        for _ in 0..2 {
            let mut writer = store.writer.acquire().await.unwrap();
            let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *writer).await.unwrap();
            let level: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *writer).await.unwrap();
            assert_eq!((mode.as_str(), level), ("wal", 2), "2 is FULL: each commit waits for fsync");
            // The connection that takes its place is as careful.
            writer.close().await.unwrap();
        }
    }
}
