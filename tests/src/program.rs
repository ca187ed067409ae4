//! The three programs as a person starts them: real processes, real files, real sockets.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest wait for anything that should happen soon.
const SOON: Duration = Duration::from_mins(1);
/// The collector's settings in its data directory.
const SETTINGS: &str = "collector.toml";

/// A program of this workspace, as built beside the running test.
///
/// # Panics
/// It was not built: `cargo build --workspace` builds it.
#[expect(clippy::disallowed_methods, reason = "the one place where tests start the programs")]
pub fn program(name: &str) -> Command {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("target/PROFILE");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --workspace` or tests/run", path.display());
    Command::new(path)
}

/// A program of the system that a test looks through.
#[expect(clippy::disallowed_methods, reason = "the one place where tests start other programs")]
pub fn tool(name: &str) -> Command {
    Command::new(name)
}

/// Runs a program to its end.
///
/// # Panics
/// It cannot be started.
pub fn run(name: &str, arguments: &[&str]) -> Output {
    program(name).args(arguments).stdin(Stdio::null()).output().expect("the program starts")
}

/// Runs a program that must succeed; its standard output without the last line break.
///
/// # Panics
/// It failed; the message has what it said.
pub fn succeed(name: &str, arguments: &[&str]) -> String {
    let output = run(name, arguments);
    assert!(
        output.status.success(),
        "{name} {arguments:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// A process that is killed when the test ends.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts a program and leaves it running.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        let child = program(name).args(arguments).stdin(Stdio::null()).spawn();
        Self(child.expect("the program starts"))
    }

    /// Starts a program of the system and leaves it running; `None` where it is not.
    pub fn tool(command: &mut Command) -> Option<Self> {
        command.stdin(Stdio::null()).spawn().ok().map(Self)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Panics
    /// The system does not know it.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("the process is ours")
    }

    /// Ends it as a power failure would: no handler runs.
    ///
    /// # Errors
    /// The system's answer.
    pub fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(|_| ())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

/// A zone of its own with a collector process.
#[derive(Debug)]
pub struct ZoneProcess {
    // Ends before the directory goes.
    collector: Running,
    /// Everything that a test adds, and the data directory unless it lies elsewhere.
    pub dir: tempfile::TempDir,
    /// Where the collector listens.
    pub address: SocketAddr,
    data: PathBuf,
}

impl ZoneProcess {
    /// Makes a zone and serves it.
    ///
    /// # Panics
    /// It does not answer soon.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let data = dir.path().join("zone");
        Self::found(dir, data, |_| ())
    }

    /// Makes a zone in the given directory, with settings of its own, and serves it.
    ///
    /// # Panics
    /// It does not answer soon.
    pub fn start_in(data: PathBuf, configure: impl FnOnce(&mut toml::Table)) -> Self {
        Self::found(tempfile::tempdir().expect("temporary directory"), data, configure)
    }

    /// Serves a directory that was a zone's before.
    ///
    /// # Panics
    /// It is none, or the collector does not answer soon.
    pub fn adopt(data: PathBuf) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let listen = settings(&data)["listen"].as_str().map(str::parse);
        let address = listen.expect("an address").expect("an address");
        Self::served(dir, data, address)
    }

    fn found(dir: tempfile::TempDir, data: PathBuf, configure: impl FnOnce(&mut toml::Table)) -> Self {
        let address = free_address();
        let listen = address.to_string();
        succeed(
            "holdpoint-collector",
            &["init", "--data", text(&data), "--site", "plant", "--zone", "line-1", "--listen", &listen],
        );
        let mut table = settings(&data);
        configure(&mut table);
        fs::write(data.join(SETTINGS), table.to_string()).expect("the settings are written");
        Self::served(dir, data, address)
    }

    fn served(dir: tempfile::TempDir, data: PathBuf, address: SocketAddr) -> Self {
        let mut zone = Self { collector: serve(&data), dir, address, data };
        zone.wait_until_it_serves();
        zone
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// A path beside the data directory.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The collector's process id.
    pub fn pid(&self) -> u32 {
        self.collector.pid()
    }

    /// Kills the collector without warning.
    ///
    /// # Panics
    /// The system refuses.
    pub fn kill(&mut self) {
        self.collector.kill().expect("the collector is killed");
    }

    /// Starts the collector again.
    ///
    /// # Panics
    /// It does not answer soon.
    pub fn restart(&mut self) {
        self.launch();
        self.wait_until_it_serves();
    }

    /// Starts the collector again and does not wait until it serves.
    pub fn launch(&mut self) {
        self.collector = serve(&self.data);
    }

    /// How the collector ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.collector.ended()
    }

    /// A token for that many hosts.
    pub fn token(&self, uses: u32) -> String {
        succeed(
            "holdpoint-collector",
            &["token", "create", "--data", text(&self.data()), "--uses", &uses.to_string()],
        )
    }

    /// A token for an operator of that name with every role.
    pub fn operator_token(&self, name: &str) -> String {
        let data = text(&self.data);
        succeed(
            "holdpoint-collector",
            &["operator", "add", name, "--data", data, "--role", "engineer", "--role", "admin"],
        )
    }

    /// An operator with every role, whose profile is returned.
    pub fn operator(&self) -> PathBuf {
        let profile = self.beside("operator.toml");
        let token = self.operator_token("tester");
        let address = self.address.to_string();
        succeed(
            "holdpoint",
            &["--profile", text(&profile), "enroll", "--collector", &address, "--token", &token],
        );
        profile
    }

    fn wait_until_it_serves(&mut self) {
        let (address, collector) = (self.address, &mut self.collector);
        wait("the collector listens", || {
            assert_eq!(collector.ended(), None, "the collector ended by itself");
            TcpStream::connect(address).is_ok()
        });
    }
}

fn settings(data: &Path) -> toml::Table {
    let text = fs::read_to_string(data.join(SETTINGS)).expect("the collector's settings");
    text.parse().expect("TOML")
}

fn serve(data: &Path) -> Running {
    Running::start("holdpoint-collector", &["--log", "warn", "run", "--data", text(data)])
}

/// The JSON that an operator's command prints.
///
/// # Panics
/// It failed or printed no JSON.
pub fn ask(profile: &Path, arguments: &[&str]) -> Value {
    let mut all = vec!["--profile", text(profile), "-o", "json"];
    all.extend(arguments);
    serde_json::from_str(&succeed("holdpoint", &all)).expect("one JSON document")
}

/// Waits for a condition.
///
/// # Panics
/// It does not become true soon.
pub fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < SOON, "waited {SOON:?} until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A loopback address that nobody uses now.
///
/// # Panics
/// The system has none.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

/// A path as an argument.
///
/// # Panics
/// The path is not UTF-8.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}
