//! A private PostgreSQL for tests: started on first use, ended with the test process however that ends.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use reqwest::Url;

const MISSING: &str = "PostgreSQL's server programs (initdb, postgres) are missing: `sudo apt-get install postgresql` on Debian \
                       and Ubuntu, or set YINGDA_TEST_DATABASE_URL to a server on which the tests may create databases";

/// Names of the folders of all servers; what is left of one begins so too.
const PREFIX: &str = "yingda-postgres-";

/// Ports outside those that systems give to outgoing connections, which would take one between a stop and a start.
const PORTS: std::ops::Range<u16> = 16_000..30_000;

/// Started once and then only waits, so that it outlives a test process that is killed: its input ends with that process.
const WATCHER: &str = r#"
cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" && kill -CONT "$pid"
for _ in $(seq 100); do
    [ -e "$1/data/postmaster.pid" ] || break
    sleep 0.1
done
rm -rf "$1"
"#;

/// Drops the databases named on its input when that ends.
const SWEEPER: &str = r#"
names=
while read -r name; do names="$names $name"; done
for name in $names; do "$1" --no-psqlrc --quiet --dbname="$2" --command="DROP DATABASE IF EXISTS $name WITH (FORCE)"; done
"#;

/// URL of a fresh, empty database on the server of this test process, or on the one of `YINGDA_TEST_DATABASE_URL`.
///
/// # Panics
/// When PostgreSQL is missing, naming the package, or does not start.
pub async fn database_url() -> String {
    tokio::task::spawn_blocking(|| match std::env::var("YINGDA_TEST_DATABASE_URL") {
        Ok(url) if !url.is_empty() => on_given_server(&url),
        _ => {
            static SERVER: OnceLock<PostgresServer> = OnceLock::new();
            SERVER.get_or_init(PostgresServer::start).create_database()
        }
    })
    .await
    .expect("a database is created")
}

/// A fresh database on somebody's server, dropped when the test process ends.
fn on_given_server(url: &str) -> String {
    static SWEEPER_SHELL: OnceLock<Mutex<Child>> = OnceLock::new();
    let psql = Programs::client();
    let sweeper = SWEEPER_SHELL.get_or_init(|| Mutex::new(watch(SWEEPER, &[psql.to_str().unwrap(), url])));
    // Other test processes use the same server.
    let name = format!("yingda_test_{}_{}", unique(), next_number());
    sql_with(&psql, url, &format!("CREATE DATABASE {name}"));
    writeln!(sweeper.lock().unwrap().stdin.as_mut().unwrap(), "{name}").unwrap();
    with_database(url, &name)
}

/// Runs a shell script that waits for the end of this process on its input.
fn watch(script: &str, arguments: &[&str]) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // An interrupt from the terminal goes to the tests alone.
    shell.process_group(0).spawn().expect("there is a shell")
}

/// Runs one statement with psql; what it answers, unaligned and without heads.
///
/// # Panics
/// When it fails, with PostgreSQL's words.
pub fn sql(url: &str, statement: &str) -> String {
    sql_with(&Programs::client(), url, statement)
}

fn sql_with(psql: &Path, url: &str, statement: &str) -> String {
    try_sql(psql, url, statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
}

fn try_sql(psql: &Path, url: &str, statement: &str) -> Result<String, String> {
    let mut command = Command::new(psql);
    command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
    let output = command.arg(format!("--dbname={url}")).arg(format!("--command={statement}")).output();
    let output = output.map_err(|error| format!("{}: {error}; Debian package postgresql-client", psql.display()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

fn with_database(url: &str, name: &str) -> String {
    let mut url = Url::parse(url).expect("YINGDA_TEST_DATABASE_URL is a URL such as postgres://user@host/postgres");
    url.set_path(name);
    url.into()
}

fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Differs from process to process, and from machine to machine.
fn unique() -> String {
    use std::hash::{BuildHasher, RandomState};
    static UNIQUE: OnceLock<String> = OnceLock::new();
    UNIQUE.get_or_init(|| format!("{:016x}", RandomState::new().hash_one(0))).clone()
}

/// Where PostgreSQL's programs are.
#[derive(Debug, Clone)]
struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// `None` when no folder has both programs of a server.
    fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        folders.extend(versions("/usr/lib/postgresql", "", "bin"));
        folders.extend(versions("/usr", "pgsql-", "bin"));
        for brew in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
            folders.extend(versions(brew, "postgresql", "bin"));
        }
        // A link in PATH leads to the folder that has the rest.
        let real = |folder: PathBuf| Some(folder.join("postgres").canonicalize().ok()?.parent()?.to_owned());
        let mut folders = folders.into_iter().filter_map(real);
        folders.find(|folder| folder.join("initdb").is_file()).map(|folder| Self { folder })
    }

    /// psql, of the server's folder if it is there.
    fn client() -> PathBuf {
        static CLIENT: OnceLock<PathBuf> = OnceLock::new();
        let found = || Self::find().map(|programs| programs.folder.join("psql")).filter(|psql| psql.is_file());
        CLIENT.get_or_init(|| found().unwrap_or_else(|| PathBuf::from("psql"))).clone()
    }
}

/// `root/PREFIX*/below`, the highest version first.
fn versions(root: &str, prefix: &str, below: &str) -> Vec<PathBuf> {
    let number =
        |name: &str| -> u32 { name.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0) };
    let items = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut names: Vec<String> = items.filter_map(|item| item.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort_by_key(|name| std::cmp::Reverse(number(name)));
    names.into_iter().map(|name| Path::new(root).join(name).join(below)).collect()
}

/// The user that a server runs as, for PostgreSQL refuses to be run by root.
#[derive(Debug, Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// `None` when the tests' own user will do.
    fn needed() -> Option<Self> {
        let id = |arguments: &[&str]| -> Option<u32> {
            let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
            String::from_utf8_lossy(&output.stdout).trim().parse().ok()
        };
        if id(&["-u"]) != Some(0) {
            return None;
        }
        let found = ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| Some(Self { user: id(&["-u", name])?, group: id(&["-g", name])? }));
        Some(found.expect("root's tests run PostgreSQL as the user postgres or nobody; neither exists"))
    }
}

/// A server of a test's own, in a temporary folder and on a port of its own, with everything durable as PostgreSQL's
/// defaults have it. Dropping it ends it and deletes the folder.
pub struct PostgresServer {
    programs: Programs,
    account: Option<Account>,
    folder: PathBuf,
    port: u16,
    /// The running server.
    postgres: Mutex<Option<Child>>,
    watcher: Child,
    /// Held as long as the process lives: what nobody holds may be cleaned away.
    _lock: File,
}

impl PostgresServer {
    /// # Panics
    /// When PostgreSQL is missing, naming the package, or does not start, with its log.
    pub fn start() -> Self {
        clean_up();
        let programs = Programs::find().expect(MISSING);
        let account = Account::needed();
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap().keep();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        if let Some(Account { user, group }) = account {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let watcher = watch(WATCHER, &[folder.to_str().unwrap()]);
        let mut server = Self { programs, account, folder, port: 0, postgres: Mutex::new(None), watcher, _lock: lock };
        server.initialise();
        server.take_a_port();
        server
    }

    /// URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// URL of a fresh, empty database.
    pub fn create_database(&self) -> String {
        let name = format!("yingda_test_{}", next_number());
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Runs one statement in a database.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        sql_with(&self.programs.folder.join("psql"), &self.url(database), statement)
    }

    /// Ends the server as an administrator does: connections are cut, what was committed is on disk.
    pub fn stop(&self) {
        self.end("INT");
    }

    /// Ends the server as a crash does: the next start recovers.
    pub fn kill(&self) {
        self.end("QUIT");
    }

    /// Starts the server again, on the same port, after [`Self::stop`] or [`Self::kill`].
    pub fn start_again(&self) {
        if let Err(error) = self.run() {
            panic!("PostgreSQL does not start again: {error}");
        }
    }

    /// Holds the server and every connection still: nothing is refused, nothing is answered. Needs `/proc`.
    pub fn pause(&self) {
        assert!(Path::new("/proc/self/stat").exists(), "connections are found through /proc");
        let server = self.process();
        signal("STOP", server);
        for connection in children(server) {
            signal("STOP", connection);
        }
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        let server = self.process();
        for connection in children(server) {
            signal("CONT", connection);
        }
        signal("CONT", server);
    }

    fn process(&self) -> u32 {
        self.postgres.lock().unwrap().as_ref().expect("the server runs").id()
    }

    fn end(&self, name: &str) {
        let mut postgres = self.postgres.lock().unwrap().take().expect("the server runs");
        signal(name, postgres.id());
        postgres.wait().unwrap();
    }

    /// A program of PostgreSQL as the user that may run it.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.folder.join(name);
        let mut command = match self.account {
            None => Command::new(program),
            Some(Account { user, group }) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
                command.arg("--").arg(program);
                command
            }
        };
        command.current_dir(&self.folder).stdin(Stdio::null()).process_group(0);
        command
    }

    fn initialise(&self) {
        let mut initdb = self.program("initdb");
        initdb.args(["--auth=trust", "--encoding=UTF8", "--no-locale", "--username=postgres", "--no-sync"]);
        let output = initdb.arg("--pgdata").arg(self.folder.join("data")).output();
        let output = output.expect("initdb runs (root needs setpriv, of Debian's package util-linux)");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts on the first port that is free; another process may take one at the same moment.
    fn take_a_port(&mut self) {
        let width = usize::from(PORTS.end - PORTS.start);
        let from = std::process::id() as usize * 37 + next_number() as usize * 11;
        let ports = PORTS.cycle().skip(from % width).take(200);
        let mut last = String::new();
        for port in ports.filter(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).take(5) {
            self.port = port;
            match self.run() {
                Ok(()) => return,
                Err(error) => last = error,
            }
        }
        panic!("PostgreSQL does not start: {last}");
    }

    /// Starts the program and waits until it answers; its log when it does not.
    fn run(&self) -> Result<(), String> {
        let log_file = self.folder.join("log");
        let log = File::create(&log_file).unwrap();
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.folder.join("data")).arg("-k").arg(&self.folder);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", "max_connections=200"]);
        let mut postgres = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let psql = self.programs.folder.join("psql");
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until && postgres.try_wait().unwrap().is_none() {
            if try_sql(&psql, &self.url("postgres"), "SELECT 1").is_ok() {
                *self.postgres.lock().unwrap() = Some(postgres);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        signal("QUIT", postgres.id());
        postgres.wait().unwrap();
        Err(std::fs::read_to_string(log_file).unwrap_or_default())
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // Connections that are paused would not hear that all is over.
        let server = self.postgres.lock().unwrap().as_ref().map(Child::id);
        server.map(children).into_iter().flatten().for_each(|connection| signal("CONT", connection));
        if let Some(mut postgres) = self.postgres.lock().unwrap().take() {
            drop(postgres.wait());
        }
        drop(self.watcher.wait());
    }
}

fn signal(name: &str, process: u32) {
    drop(Command::new("kill").args([format!("-{name}"), process.to_string()]).stderr(Stdio::null()).status());
}

/// Processes started by this one.
fn children(process: u32) -> Vec<u32> {
    let parent = |stat: &str| stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok();
    let items = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    items
        .filter_map(|item| item.file_name().to_str()?.parse().ok())
        .filter(|id: &u32| {
            std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| parent(&stat) == Some(process))
        })
        .collect()
}

/// Deletes the folders of processes that ended together with their watchers. A server that still runs in one ends by itself
/// when it finds its files gone, within a minute.
fn clean_up() {
    for item in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = item.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        // A younger one may not have its lock yet.
        let age = item.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
        if !is_ours || age.is_none_or(|age| age < Duration::from_secs(60)) {
            continue;
        }
        let is_held = File::open(item.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_err());
        if !is_held {
            drop(std::fs::remove_dir_all(item.path()));
        }
    }
}

#[tokio::test]
async fn two_databases_are_separate() {
    let (one, other) = (database_url().await, database_url().await);
    assert_ne!(one, other);
    sql(&one, "CREATE TABLE kept (word text)");
    sql(&one, "INSERT INTO kept VALUES ('应答')");
    assert_eq!(sql(&one, "SELECT word FROM kept"), "应答");
    assert_eq!(sql(&other, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'"), "0");
}

#[test]
fn what_was_committed_survives_a_stop_and_a_crash() {
    let server = PostgresServer::start();
    let url = server.create_database();
    sql(&url, "CREATE TABLE kept (number int)");
    for (number, end) in [(1, PostgresServer::stop as fn(&PostgresServer)), (2, PostgresServer::kill)] {
        sql(&url, &format!("INSERT INTO kept VALUES ({number})"));
        end(&server);
        assert!(try_sql(&Programs::client(), &url, "SELECT 1").is_err(), "it is away");
        server.start_again();
        assert_eq!(sql(&url, "SELECT max(number) FROM kept"), number.to_string());
    }
    assert_eq!(server.sql("postgres", "SHOW fsync"), "on");
    assert_eq!(server.sql("postgres", "SHOW max_connections"), "200");
}

#[test]
fn a_paused_server_answers_when_it_is_resumed() {
    let server = PostgresServer::start();
    let url = server.create_database();
    server.pause();
    let asked = Instant::now();
    let answer = std::thread::spawn(move || (sql(&url, "SELECT 7"), asked.elapsed()));
    std::thread::sleep(Duration::from_millis(700));
    assert!(!answer.is_finished());
    server.resume();
    let (seven, waited) = answer.join().unwrap();
    assert_eq!(seven, "7");
    assert!(waited >= Duration::from_millis(700));
}

#[test]
fn a_server_leaves_nothing_behind() {
    let server = PostgresServer::start();
    let (folder, port) = (server.folder.clone(), server.port);
    server.pause();
    drop(server);
    assert!(!folder.exists());
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
}
