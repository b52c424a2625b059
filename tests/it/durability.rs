//! Acknowledged means on disk: whatever the database's own settings say.

use reqwest::Url;

use crate::harness::{Plan, TestApp};
use crate::postgres::{database_url, sql};

/// Notes how careful the sessions are that write events.
const WITNESS: [&str; 3] = [
    "CREATE TABLE seen (level text)",
    "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
     $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$",
    "CREATE TRIGGER see AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION see()",
];

/// A service over a database that has this level of its own; the levels at which it stored messages of many customers.
async fn levels_over(own: &str) -> String {
    let url = database_url().await;
    let database = Url::parse(&url).unwrap().path()[1..].to_owned();
    sql(&url, &format!("ALTER DATABASE {database} SET synchronous_commit TO {own}"));
    assert_eq!(sql(&url, "SHOW synchronous_commit"), own, "what others get there");
    let app = Plan::shop().with_database(&url).start().await;
    for statement in WITNESS {
        sql(&url, statement);
    }
    write_in_all_lanes(&app).await;
    assert!(sql(&url, "SELECT count(*) FROM seen").parse::<u32>().unwrap() >= 30);
    sql(&url, "SELECT DISTINCT level FROM seen")
}

async fn write_in_all_lanes(app: &TestApp) {
    for number in 0..30 {
        app.say(&format!("c-{number}"), "什么时候发货").await;
    }
}

#[tokio::test]
async fn a_database_that_acknowledges_too_early_is_told_to_wait_for_its_disk() {
    assert_eq!(levels_over("off").await, "on");
}

#[tokio::test]
async fn a_database_that_is_more_careful_stays_so() {
    assert_eq!(levels_over("remote_apply").await, "remote_apply");
}

#[tokio::test]
async fn the_file_is_written_through_its_log() {
    let home = tempfile::tempdir().unwrap();
    let served = crate::cli::Served::start(home.path());
    served.post(&crate::harness::message("c", "什么时候发货")).await;
    let header = std::fs::read(home.path().join("data/yingda.db")).unwrap();
    assert_eq!(header[18..20], [2, 2], "versions of the file format to write and to read: 2 is WAL");
    assert!(home.path().join("data/yingda.db-wal").metadata().unwrap().len() > 0);
}
