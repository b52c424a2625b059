//! A disk that is full or cannot be written: refused, told, and over by itself.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use super::node::{Caller, Home, Node, within};
use super::traffic::{Ledger, Posted, everything_acknowledged_is_there, message_to};

/// Mounts a small disk for the data folder in a mount namespace of its own, which ends with the process.
const SMALL_DISK: &str = r#"mkdir -p "$1" && mount -t tmpfs -o size=16m tmpfs "$1" && shift && exec "$@""#;

/// Past the capture of tests that pass: a skipped one is worth nothing, and must not look like one that was run.
fn skipped(why: &str) {
    drop(writeln!(std::io::stderr(), "SKIPPED: {why}"));
}

/// Whether a command works here.
fn permitted(what: &str, output: std::io::Result<Output>) -> bool {
    let told = match output {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    skipped(&format!("{what} is not permitted here ({told})"));
    false
}

fn unshare(script: &str, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new("unshare").args(["--mount", "sh", "-c", script, "sh"]).args(arguments).output()
}

/// Posts a message; refused ones must say when to come again.
async fn write(caller: &Caller, ledger: &mut Ledger, number: u64, text: &str) -> bool {
    let event = message_to("disk", number, text);
    let answer = caller.post(&event).await.unwrap();
    let stored = answer.status == 200;
    if !stored {
        answer.problem(503, "a disk that cannot be written");
        assert!(!answer.header("retry-after").is_empty());
    }
    ledger.take(vec![Posted { event, acknowledged: stored.then_some(answer.body) }]);
    stored
}

/// Until a message is refused, and a while on.
async fn write_until_refused(caller: &Caller, ledger: &mut Ledger) {
    let long = "很长的一句话。".repeat(600);
    let mut refused = 0;
    for number in 0..2_000 {
        refused += u32::from(!write(caller, ledger, number, &long).await);
        if refused > 20 {
            return;
        }
    }
    panic!("the disk does not fill");
}

async fn recovered(caller: &Caller, ledger: &mut Ledger) {
    let took = within(15, async || {
        let stored = write(caller, ledger, 0, "什么时候发货").await;
        stored.then_some(()).ok_or_else(|| "still refused".to_owned())
    })
    .await;
    println!("recovered after {took:?}");
    for event in std::mem::take(&mut ledger.open) {
        let answer = caller.post(&event).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        ledger.take(vec![Posted { event, acknowledged: Some(answer.body) }]);
    }
    everything_acknowledged_is_there(caller, ledger).await;
    assert_eq!(caller.get("/readyz").await["entries"].as_u64().map(|entries| entries > 0), Some(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let probe = tempfile::tempdir().unwrap();
    let probed = unshare(SMALL_DISK, &[probe.path().to_str().unwrap(), "true"]);
    if !permitted("mounting a small disk (unshare --mount, mount -t tmpfs)", probed) {
        return;
    }
    let home = Home::sqlite().with_config("[limits]\ntext_chars = 100000\n");
    let data = home.data();
    let node =
        Node::run(home.command_by("unshare", &["--mount", "sh", "-c", SMALL_DISK, "sh", data.to_str().unwrap()]));
    let caller = node.caller();
    // The disk as the process sees it.
    let inside = PathBuf::from(format!("/proc/{}/root", node.process())).join(data.strip_prefix("/").unwrap());
    let filler = inside.join("filler");
    std::fs::write(&filler, vec![0; 10 << 20]).unwrap();
    let mut ledger = Ledger::default();
    write_until_refused(&caller, &mut ledger).await;
    assert!(!ledger.acknowledged.is_empty() && !ledger.open.is_empty());
    std::fs::remove_file(&filler).unwrap();
    recovered(&caller, &mut ledger).await;
}

/// Marks files as immutable, or not: no process can write them, not even through what it has open.
fn chattr(flag: &str, files: &[PathBuf]) -> std::io::Result<Output> {
    Command::new("chattr").arg(flag).args(files).output()
}

/// Writable again when the test is over: else nobody could delete it.
struct Immutable(Vec<PathBuf>);

impl Drop for Immutable {
    fn drop(&mut self) {
        drop(chattr("-i", &self.0));
    }
}

/// Whether an immutable file cannot be written through what was opened before; so it is on ext4 and XFS.
fn immutability_holds(folder: &Path) -> bool {
    let path = folder.join("probe");
    let mut file = std::fs::File::create(&path).unwrap();
    let works = permitted("chattr +i", chattr("+i", std::slice::from_ref(&path)));
    let _writable_again = Immutable(vec![path]);
    let holds = works && file.write_all(b"x").is_err();
    if works && !holds {
        skipped("this file system lets open files be written after chattr +i");
    }
    holds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_turns_read_only_refuses_and_goes_on_when_it_is_writable() {
    let home = Home::sqlite();
    std::fs::create_dir(home.data()).unwrap();
    if !immutability_holds(&home.data()) {
        return;
    }
    let node = home.start();
    let (caller, mut ledger) = (node.caller(), Ledger::default());
    assert!(write(&caller, &mut ledger, 0, "什么时候发货").await);
    let files = Immutable(["yingda.db", "yingda.db-wal"].map(|name| home.data().join(name)).to_vec());
    assert!(chattr("+i", &files.0).unwrap().status.success());
    for number in 0..20 {
        assert!(!write(&caller, &mut ledger, number, "会员日是哪天").await, "nothing can be stored");
    }
    assert_eq!(caller.events("web", "disk-0").await.len(), 1, "what is there can be read");
    drop(files);
    recovered(&caller, &mut ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_read_only_from_the_start_is_named() {
    let home = Home::sqlite();
    let read_only = SMALL_DISK.replace("&& shift", r#"&& mount -o remount,ro "$1" && shift"#);
    let data = home.data();
    let probe = tempfile::tempdir().unwrap();
    let probed = unshare(&read_only, &[probe.path().to_str().unwrap(), "true"]);
    if !permitted("mounting a read-only disk", probed) {
        return;
    }
    let mut command = home.command_by("unshare", &["--mount", "sh", "-c", &read_only, "sh", data.to_str().unwrap()]);
    let output = tokio::time::timeout(Duration::from_secs(20), tokio::task::spawn_blocking(move || command.output()));
    let output = output.await.expect("it ends").unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("yingda.db"), "{told}");
}
