//! Code that really runs while its file is really replaced.
//!
//! The upgrade needs root, `debootstrap`, `gcc`, `dpkg-deb` and `unshare`, and a mirror that the
//! machine's own apt knows; its root is made once, in `target/roots/debian-live`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use holdpoint_agent::host::Host;
use holdpoint_agent::scan::{self, Budget};
use holdpoint_common::row::{SectionKind, to_json};
use serde_json::Value;

/// Longest wait for something that should happen at once.
const SOON: Duration = Duration::from_secs(10);
const TOOLS: [&str; 4] = ["debootstrap", "gcc", "dpkg-deb", "unshare"];

#[expect(clippy::disallowed_methods, reason = "what runs can only be replaced from outside")]
fn command(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null());
    command
}

/// A process that ends with the test, whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The rows about mapped files of this machine that name a program.
fn rows_about(program: &Path) -> Vec<Value> {
    let budget = Budget::starting_now(scan::TIME_LIMIT);
    let snapshot = scan::take(&Host::running(), &[SectionKind::Live], &budget);
    let rows = snapshot.section(SectionKind::Live).unwrap().rows.clone();
    let rows = rows.as_slice().iter().map(|it| to_json(SectionKind::Live, it).unwrap());
    rows.filter(|it| it["program"] == program.to_str().unwrap()).collect()
}

#[test]
fn a_program_whose_file_is_replaced_has_a_row_until_it_is_started_again() {
    let Some(sleep) = ["/usr/bin/sleep", "/bin/sleep"].map(Path::new).into_iter().find(|it| it.exists())
    else {
        println!("left out: sleep is not here");
        return;
    };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = dir.path().canonicalize().unwrap().join("sleeper");
    let start = || {
        let child = Running(command(&program).arg("600").spawn().unwrap());
        let link = format!("/proc/{}/exe", child.0.id());
        let begun = Instant::now();
        while fs::read_link(&link).is_ok_and(|it| it != program) && begun.elapsed() < SOON {
            std::thread::yield_now();
        }
        child
    };
    fs::copy(sleep, &program).unwrap();
    let child = start();
    assert_eq!(rows_about(&program), Vec::<Value>::new());

    fs::copy(sleep, dir.path().join("new")).unwrap();
    fs::rename(dir.path().join("new"), &program).unwrap();
    let rows = rows_about(&program);
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["state"], "replaced");
    assert_eq!((&rows[0]["file"], &rows[0]["package"]), (&rows[0]["program"], &Value::Null));

    drop(child);
    let child = start();
    assert_eq!(rows_about(&program), Vec::<Value>::new());

    fs::remove_file(&program).unwrap();
    let rows = rows_about(&program);
    assert_eq!((rows.len(), &rows[0]["state"]), (1, &Value::from("deleted")));
    drop(child);
}

/// What is missing for an upgrade, if anything.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can make a Debian root and mount in it".to_owned());
    }
    let is_here = |name: &str| {
        std::env::split_paths(&std::env::var_os("PATH")?).map(|it| it.join(name)).find(|it| it.exists())
    };
    TOOLS.into_iter().find(|it| is_here(it).is_none()).map(|it| format!("{it} is not here"))
}

/// The root, made where it is not there yet; the reason when that is not possible here.
fn debian() -> Result<PathBuf, String> {
    let roots = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("roots");
    let root = roots.join("debian-live");
    if root.join("var/lib/dpkg/status").exists() {
        return Ok(root);
    }
    let sources = command("apt-get")
        .args(["indextargets", "--format", "$(COMPONENT) $(CODENAME) $(REPO_URI)", "Identifier: Packages"])
        .output()
        .map_err(|cause| cause.to_string())?;
    let sources = String::from_utf8_lossy(&sources.stdout).into_owned();
    let source = sources
        .lines()
        .map(|it| it.split_whitespace().collect::<Vec<_>>())
        .find(|it| it.len() == 3 && it[0] == "main" && !it[1].contains(['-', '/']));
    let Some(source) = source else { return Err("apt knows no mirror (apt-get update)".to_owned()) };
    // Only a whole root gets the name.
    let part = roots.join(format!("debian-live.part-{}", std::process::id()));
    fs::create_dir_all(&roots).map_err(|cause| cause.to_string())?;
    // It mounts inside the root, and a test can be stopped: nothing may stay mounted or go on.
    let made = command("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["debootstrap", "--variant=minbase", source[1]])
        .arg(&part)
        .arg(source[2])
        .output()
        .map_err(|cause| cause.to_string())?;
    if made.status.success() && fs::rename(&part, &root).is_ok() {
        return Ok(root);
    }
    drop(fs::remove_dir_all(&part));
    let said = String::from_utf8_lossy(&made.stdout).lines().last().unwrap_or_default().to_owned();
    Err(format!("debootstrap could not make a root: {said}"))
}

fn mapped(scan: &Path) -> Vec<[String; 4]> {
    let document: Value = serde_json::from_slice(&fs::read(scan).unwrap()).unwrap();
    let section = &document["sections"]["live"];
    assert_eq!((&section["status"], &section["reasons"]), (&Value::from("complete"), &Value::Array(vec![])));
    let mut rows: Vec<_> = section["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["kind"] == "mapped-file")
        .map(|it| {
            ["state", "program", "file", "package"].map(|key| it[key].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn an_upgraded_library_is_live_only_after_a_restart() {
    if let Some(reason) = missing() {
        println!("left out: {reason}");
        return;
    }
    let root = match debian() {
        Ok(root) => root,
        Err(reason) => {
            println!("left out: {reason}");
            return;
        }
    };
    let work = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgraded_library/run.sh");
    let said = fs::File::create(work.path().join("said")).unwrap();
    let mut run = Running(
        command("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh"])
            .args([&script, &root, work.path(), Path::new(env!("CARGO_BIN_EXE_holdpoint-agent"))])
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap(),
    );
    let status = run.0.wait().unwrap();
    let said = fs::read_to_string(work.path().join("said")).unwrap();
    if said.starts_with("unshare: ") || said.starts_with("mount: ") {
        println!("left out: {said}");
        return;
    }
    assert!(status.success(), "{said}");

    let loaded = |name: &str| fs::read_to_string(work.path().join(name)).unwrap();
    assert_eq!((loaded("old").trim(), loaded("new").trim()), ("1 1", "2 2"));
    assert_eq!(mapped(&work.path().join("before.json")), Vec::<[String; 4]>::new());
    let rows = mapped(&work.path().join("after.json"));
    let said: Vec<_> = rows
        .iter()
        .map(|[state, program, file, package]| {
            (state.as_str(), program.as_str(), file.rsplit('/').next().unwrap(), package.as_str())
        })
        .collect();
    let program = "/usr/bin/holdpointdemo";
    assert_eq!(
        said,
        [
            ("deleted", program, "libholdpointversioned.so.1.1", "libholdpointversioned1"),
            ("replaced", program, "libholdpointdemo.so.1", "libholdpointdemo1"),
        ]
    );
    assert_eq!(mapped(&work.path().join("restarted.json")), Vec::<[String; 4]>::new());
}
