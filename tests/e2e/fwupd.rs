//! Devices of fwupd over a real message bus: never started, and told as fwupd's own tool tells them.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use holdpoint_agent::host::Host;
use holdpoint_agent::scan::{Budget, take};
use holdpoint_common::row::{SectionKind, to_json};
use holdpoint_tests::program::{Running, text, tool};
use serde_json::Value;

const FWUPD: &str = "/usr/libexec/fwupd/fwupd";
/// Longest wait for anything that should happen soon.
const SOON: Duration = Duration::from_mins(1);

/// A message bus of its own, on which asking for fwupd by name leaves a mark.
struct Bus {
    _daemon: Running,
    dir: tempfile::TempDir,
}

impl Bus {
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let services = dir.path().join("services");
        fs::create_dir(&services).unwrap();
        let service = format!(
            "[D-BUS Service]\nName=org.freedesktop.fwupd\nExec=/bin/touch {}\n",
            text(&dir.path().join("started"))
        );
        fs::write(services.join("org.freedesktop.fwupd.service"), service).unwrap();
        let settings = dir.path().join("bus.conf");
        let policy =
            "<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/>";
        fs::write(
            &settings,
            format!(
                "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
                 <servicedir>{}</servicedir><policy context='default'>{policy}</policy></busconfig>",
                text(&dir.path().join("socket")),
                text(&services)
            ),
        )
        .unwrap();
        let daemon = Running::tool(
            tool("dbus-daemon")
                .arg(format!("--config-file={}", text(&settings)))
                .args(["--nofork", "--nopidfile"])
                .stderr(Stdio::null()),
        )?;
        let bus = Self { _daemon: daemon, dir };
        until("the bus listens", || UnixStream::connect(bus.socket()).ok());
        Some(bus)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    fn address(&self) -> String {
        format!("unix:path={}", text(&self.socket()))
    }

    fn mark(&self) -> PathBuf {
        self.dir.path().join("started")
    }

    /// The rows of fwupd, and why there may be more.
    fn scan(&self) -> (Vec<Value>, Vec<String>) {
        let mut host = Host::running();
        host.live.as_mut().unwrap().system_bus = self.socket();
        let snapshot = take(&host, &[SectionKind::Firmware], &Budget::starting_now(SOON));
        let section = snapshot.section(SectionKind::Firmware).unwrap();
        let rows = section.rows.as_slice().iter().map(|it| to_json(SectionKind::Firmware, it).unwrap());
        let reasons = section.reasons.iter().filter(|it| it.contains("fwupd")).cloned().collect();
        (rows.filter(|it| it["source"] == "firmware/fwupd").collect(), reasons)
    }
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(start.elapsed() < SOON, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn fwupd_is_never_started() {
    let Some(bus) = Bus::start() else {
        println!("left out: dbus-daemon is not here");
        return;
    };
    // Somebody is connected, as on every bus that runs.
    let other = UnixStream::connect(bus.socket()).unwrap();
    assert_eq!(bus.scan(), (Vec::new(), Vec::new()));
    assert!(!bus.mark().exists(), "the agent had a service started");
    drop(other);
    // The mark is real: a call that does not forbid it starts the service.
    let sent = tool("dbus-send")
        .arg(format!("--bus={}", bus.address()))
        .args(["--dest=org.freedesktop.fwupd", "/", "org.freedesktop.fwupd.GetDevices"])
        .status();
    if sent.is_ok_and(|it| it.success()) {
        until("the mark", || bus.mark().exists().then_some(()));
    } else {
        println!("left out: dbus-send is not here, so the mark was not tried");
    }
}

#[test]
fn devices_are_those_that_fwupds_own_tool_shows() {
    let bus = if Path::new(FWUPD).exists() { Bus::start() } else { None };
    let Some(bus) = bus else {
        println!("left out: fwupd or dbus-daemon is not here");
        return;
    };
    fs::write(bus.dir.path().join("fwupd.conf"), "[fwupd]\nTestDevices=true\n").unwrap();
    let mut fwupd = Running::tool(
        tool(FWUPD)
            .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
            .env("CONFIGURATION_DIRECTORY", bus.dir.path())
            .env("STATE_DIRECTORY", bus.dir.path())
            .env("CACHE_DIRECTORY", bus.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
    .unwrap();
    let rows = until("fwupd answers", || {
        let (rows, faults) = bus.scan();
        // It takes its name before it answers.
        assert!(faults.iter().all(|it| it.contains("no answer within")), "{faults:?}");
        (!rows.is_empty() || fwupd.ended().is_some()).then_some(rows)
    });
    if rows.is_empty() {
        println!("left out: fwupd does not run here");
        return;
    }
    assert_eq!(bus.scan().0, rows, "two scans are equal");
    let webcam = rows.iter().find(|it| it["name"] == "Integrated Webcam™").expect("fwupd's test device");
    assert_eq!((&webcam["version"], &webcam["kind"]), (&Value::from("1.2.2"), &Value::from("device")));

    let shown = tool("fwupdmgr")
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .args(["get-devices", "--json", "--show-all", "--no-unreported-check", "--no-metadata-check"])
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let of_tool: Vec<_> =
        shown["Devices"].as_array().unwrap().iter().map(|it| (&it["Name"], &it["Version"])).collect();
    assert_eq!(of_tool.len(), rows.len());
    for row in &rows {
        assert!(of_tool.contains(&(&row["name"], &row["version"])), "{row} is not in {of_tool:?}");
    }
    println!("{} devices, as fwupdmgr shows them", rows.len());
}
