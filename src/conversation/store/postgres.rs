//! The shared engine: PostgreSQL, for many nodes.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{Pool, Transaction};
use tokio::task::JoinSet;

use self::engine::EngineStore;
use super::StoreError;

#[expect(clippy::duplicate_mod, reason = "the SQL is one text for both engines, compiled for each")]
#[path = "engine/mod.rs"]
mod engine;

/// Conversations in a PostgreSQL database.
pub type PostgresStore = EngineStore;

type Db = sqlx::Postgres;

/// Transactions that run side by side.
const LANES: usize = 4;

/// Rows of a transaction's conversations are locked, in one order everywhere.
const LOCK: &str = r#" ORDER BY c.channel COLLATE "C", c.shop COLLATE "C", c.id COLLATE "C" FOR UPDATE OF c"#;
const LOCKS_ROWS: bool = true;
const SKIP_LOCKED: &str = " FOR UPDATE SKIP LOCKED";

/// Connections of this process.
const CONNECTIONS: u32 = 10;

/// How long a connection is waited for: a database that is gone is told quickly.
const ACQUIRE: Duration = Duration::from_secs(3);

/// How long a connection may take to show that it lives: one to a machine that vanished without a word would hang for the
/// quarter of an hour that TCP tries on.
const ALIVE: Duration = Duration::from_secs(2);

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 256;

async fn begin(pool: &Pool<Db>) -> Result<Transaction<'static, Db>, StoreError> {
    Ok(pool.begin().await?)
}

/// Where a server, a database or a role has switched it off, a commit would be acknowledged that a crash of the server
/// loses. What they have instead of off is theirs to choose.
const ON_DISK: &str =
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// A connection that was used so lately need not show that it lives: under load that would be a round trip a commit.
const FRESH: Duration = Duration::from_millis(500);

/// Whether the database answers on this connection and can be written, which one that was replaced by another cannot; else the
/// connection is closed and another one opened.
async fn alive(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query_scalar("SHOW transaction_read_only").fetch_one(connection);
    let read_only: String = tokio::time::timeout(ALIVE, asked).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
    Ok(read_only == "off")
}

/// How often a young database is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Bytes of events from which the server's own round keeps its statistics well enough.
const GROWN: i64 = 64 << 20;

/// Keeps the server's statistics in step with a database that grows from nothing. Its own round comes once a minute; until then
/// the plans that were made for empty tables walk through whole shops to find a message.
async fn keep_statistics(pool: Pool<Db>) {
    let mut known = 0;
    while known < GROWN {
        let size = sqlx::query_scalar("SELECT pg_relation_size('events')").fetch_one(&pool).await.unwrap_or(known);
        if size > known * 2 {
            let analyzed = sqlx::query("ANALYZE events, conversations, rounds, outbox").execute(&pool).await;
            known = if analyzed.is_ok() { size } else { known };
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// On a connection of its own, without the limits of the others: a large table takes its time, and a node that starts
/// meanwhile waits for it.
async fn migrate(options: &PgConnectOptions) -> Result<(), StoreError> {
    let options = options.clone().options([("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")]);
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE).connect_with(options).await?;
    sqlx::migrate!("src/conversation/store/migrations/postgres").run(&pool).await?;
    pool.close().await;
    Ok(())
}

impl PostgresStore {
    /// Connects to `postgres://user:password@host:port/database` and brings the schema up to date.
    ///
    /// # Errors
    /// When the database cannot be reached, or the schema cannot be changed.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("yingda")
            .statement_cache_capacity(STATEMENTS)
            // A transaction that a lost client left behind must not hold its rows.
            .options([("idle_in_transaction_session_timeout", "10s"), ("statement_timeout", "8s")]);
        migrate(&options).await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::query(ON_DISK).execute(&mut *connection).await?;
                    let writable = alive(connection).await?;
                    writable.then_some(()).ok_or_else(|| sqlx::Error::Protocol("the server takes no writes".to_owned()))
                })
            })
            .test_before_acquire(false)
            .before_acquire(|connection, known| {
                Box::pin(async move { if known.idle_for < FRESH { Ok(true) } else { alive(connection).await } })
            })
            .after_release(|connection, _| Box::pin(alive(connection)))
            .connect_with(options)
            .await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_statistics(pool.clone()));
        Ok(Self::over(pool.clone(), pool, tasks))
    }
}
