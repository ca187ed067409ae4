//! A host with real packages that lags behind, is really upgraded, and is believed when nothing old runs any more.
//!
//! The host is a Debian root that reports from its own name spaces; the records of its distribution are
//! written here. It needs root, `debootstrap`, `gcc`, `dpkg-deb` and `unshare`, and a mirror that the machine's
//! own apt knows; the root is made once, in `target/roots/debian-live`, which the agent's tests use too.

use std::fs;
use std::path::{Path, PathBuf};

use holdpoint_tests::program::{Running, ZoneProcess, ask, program, text, tool, wait};
use serde_json::{Value, json};

const TOOLS: [&str; 4] = ["debootstrap", "gcc", "dpkg-deb", "unshare"];
const RECORD: &str = "EXAMPLE-2026-0001";

/// What is missing, if anything.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can make a Debian root and mount in it".to_owned());
    }
    let path = std::env::var_os("PATH")?;
    let is_here = |name: &str| std::env::split_paths(&path).any(|it| it.join(name).exists());
    TOOLS.into_iter().find(|it| !is_here(it)).map(|it| format!("{it} is not here"))
}

/// The root, made where it is not there yet; the reason when that is not possible here.
fn debian() -> Result<PathBuf, String> {
    let agent = PathBuf::from(program("holdpoint-agent").get_program());
    let target = agent.parent().and_then(Path::parent).ok_or("the programs lie in no target directory")?;
    let roots = target.join("roots");
    let root = roots.join("debian-live");
    if root.join("var/lib/dpkg/status").exists() {
        return Ok(root);
    }
    let told = |cause: std::io::Error| cause.to_string();
    let sources = tool("apt-get")
        .args(["indextargets", "--format", "$(COMPONENT) $(CODENAME) $(REPO_URI)", "Identifier: Packages"])
        .output()
        .map_err(told)?;
    let sources = String::from_utf8_lossy(&sources.stdout).into_owned();
    let words = sources.lines().map(|it| it.split_whitespace().collect::<Vec<_>>());
    let source = words.into_iter().find(|it| it.len() == 3 && it[0] == "main" && !it[1].contains(['-', '/']));
    let Some(source) = source else { return Err("apt knows no mirror (apt-get update)".to_owned()) };
    // Only a whole root gets the name.
    let part = roots.join(format!("debian-live.part-{}", std::process::id()));
    fs::create_dir_all(&roots).map_err(told)?;
    let made = tool("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["debootstrap", "--variant=minbase", source[1]])
        .arg(&part)
        .arg(source[2])
        .output()
        .map_err(told)?;
    if made.status.success() && fs::rename(&part, &root).is_ok() {
        return Ok(root);
    }
    drop(fs::remove_dir_all(&part));
    let said = String::from_utf8_lossy(&made.stdout).lines().last().unwrap_or_default().to_owned();
    Err(format!("debootstrap could not make a root: {said}"))
}

/// The ecosystem of the root in the words of the records: "Debian:12".
fn ecosystem(root: &Path) -> String {
    let release = fs::read_to_string(root.join("etc/os-release")).unwrap();
    let version = release.lines().find_map(|it| it.strip_prefix("VERSION_ID=")).unwrap();
    format!("Debian:{}", version.trim_matches('"'))
}

/// A record about the source package of the library, fixed in its second revision, and about two packages of every
/// Debian: one that nobody has fixed, one that was fixed long ago.
fn record(ecosystem: &str) -> Value {
    let package = |name: &str, fix: Option<&str>| {
        let mut events = vec![json!({ "introduced": "0" })];
        events.extend(fix.map(|it| json!({ "fixed": it })));
        json!({
            "package": { "ecosystem": ecosystem, "name": name },
            "ranges": [{ "type": "ECOSYSTEM", "events": events }]
        })
    };
    json!({
        "schema_version": "1.6.0",
        "id": RECORD,
        "modified": "2026-11-01T00:00:00Z",
        "summary": "Written for a test",
        "affected": [
            package("holdpointpatched", Some("1.0-2")),
            package("dpkg", None),
            package("base-files", Some("1")),
        ]
    })
}

#[test]
fn a_package_is_affected_then_installed_and_not_live_then_fixed() {
    let root = match missing().map_or_else(debian, Err) {
        Ok(root) => root,
        Err(reason) => {
            println!("left out: {reason}");
            return;
        }
    };
    let zone = ZoneProcess::start();
    let profile = zone.operator();
    let file = zone.beside("record.json");
    let ecosystem = ecosystem(&root);
    fs::write(&file, record(&ecosystem).to_string()).unwrap();
    let imported = ask(&profile, &["import", text(&file)]);
    assert_eq!(imported["taken"][0]["kind"], "osv", "{imported}");
    assert_eq!(imported["taken"][0]["items"], 3, "{imported}");

    let work = zone.beside("work");
    fs::create_dir(&work).unwrap();
    let said = fs::File::create(work.join("said")).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/patched/run.sh");
    let agent = PathBuf::from(program("holdpoint-agent").get_program());
    let mut command = tool("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "sh"]).args([&script, &root, &work, &agent]);
    command.args([zone.address.to_string(), zone.token(1)]);
    command.stdout(said.try_clone().unwrap()).stderr(said);
    let mut host = Running::tool(&mut command).unwrap();
    let mut step = |name: &str| {
        wait(name, || {
            let said = || fs::read_to_string(work.join("said")).unwrap_or_default();
            assert!(host.ended().is_none(), "the host ended before `{name}`: {}", said());
            work.join(format!("{name}.done")).exists()
        });
        let id = ask(&profile, &["assets"])[0]["id"].as_str().unwrap().to_owned();
        let found = ask(&profile, &["status", "--asset", &id, "--advisory", RECORD]);
        let of = |package: &str| {
            let entry = format!("{ecosystem}:{package}");
            let findings = found.as_array().unwrap().iter();
            let mut own = findings.filter(|it| it["subject"].as_str().unwrap().ends_with(&entry));
            own.next().map_or(Value::Null, |it| it["verdict"].clone())
        };
        let verdicts = [of("holdpointpatched"), of("dpkg"), of("base-files")];
        let told =
            ask(&profile, &["explain", &id, &format!("{RECORD}/{RECORD}/{ecosystem}:holdpointpatched")]);
        fs::write(work.join(format!("{name}.go")), "").unwrap();
        (verdicts.map(|it| it.as_str().unwrap_or("").to_owned()), told, found)
    };

    let (behind, told, found) = step("behind");
    assert_eq!(behind, ["AFFECTED", "AFFECTED", "FIXED"], "{found:#}");
    let steps: Vec<&str> =
        told["chain"].as_array().unwrap().iter().filter_map(|it| it["step"].as_str()).collect();
    for needed in ["document", "section", "row", "identity", "range", "feed", "verdict"] {
        assert!(steps.contains(&needed), "{needed} is missing in {told:#}");
    }
    let (upgraded, told, _) = step("upgraded");
    assert_eq!(upgraded, ["INSTALLED_NOT_LIVE", "AFFECTED", "FIXED"], "{told:#}");
    let because =
        told["chain"].as_array().unwrap().iter().find(|it| it["step"] == "live" && it["evidence"].is_null());
    assert!(because.unwrap()["text"].as_str().unwrap().contains("libholdpointpatched.so.1"), "{told:#}");
    let (restarted, told, _) = step("restarted");
    assert_eq!(restarted, ["FIXED", "AFFECTED", "FIXED"], "{told:#}");
}
