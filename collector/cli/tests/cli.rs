//! The binary as a person meets it: what it accepts, what it writes where, how it ends.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use holdpoint_common::section::Digest;
use holdpoint_common::token::{Token, TokenSecret};

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this package's tests start its own binary"
)]
fn binary(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdpoint"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("APPDATA", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Ended {
    let home = tempfile::tempdir().expect("a directory");
    binary(home.path(), arguments).output().expect("it starts").into()
}

fn run_with(arguments: &[&str], stdin: &[u8]) -> Ended {
    let home = tempfile::tempdir().expect("a directory");
    let mut child = binary(home.path(), arguments).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(stdin).expect("it reads"));
        child.wait_with_output().expect("it starts").into()
    })
}

#[test]
fn help_is_data_with_examples_and_exit_codes() {
    let help = run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for part in
        ["Examples:", "Exit codes: 0 done, 1 the answer is no", "HOLDPOINT_PROFILE", "vercmp", "explain"]
    {
        assert!(help.stdout.contains(part), "{part} is not in\n{}", help.stdout);
    }
    assert!(!help.stdout.contains('\u{1b}'), "colour in a pipe");
    assert_eq!(run(&["--version"]).stdout, format!("holdpoint {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_cannot_be_understood_is_usage() {
    for arguments in [
        &["nothing-like-that"][..],
        &["status", "--verdict", "FINE"],
        &["status", "--limit", "0"],
        &["status", "--summary", "--asset", "a"],
        &["rescan"],
        &["rescan", "a", "--wait", "2h"],
        &["import"],
        &["import", "--pack", "a", "b"],
        &["pack", "make", "f", "--key", "k", "--out", "p"],
        &["pack", "make", "f", "--key", "k", "--title", "t", "--out", "p", "--serial", "0"],
        &["pack", "release"],
        &["pack", "reject", "3b6a91c4-7"],
        &["pack", "distrust", "desk"],
        &["asset", "retire", "a"],
        &["change", "new"],
        &["change", "sign", "CHG-0001"],
        &["change", "sign", "CHG-0001", "--role", "operations", "--offline"],
        &["change", "veto", "CHG-0001", "--role", "maintenance", "--reason", "r"],
        &["change", "open", "CHG-0001", "--stage", "0"],
        &["change", "open", "CHG-0001", "--stage", "1", "--leave-out", "hmi-01"],
        &["change", "attest", "CHG-0001", "--stage", "1", "--asset", "a", "--method", "m"],
        &["control", "test", "C-7", "--text", "t"],
        &["baseline", "approve", "hmi-01"],
        &["evidence", "check", "f", "--audit-key", "0a"],
        &["vercmp", "guess", "1", "2"],
        &["vercmp", "deb", "1"],
        &["-o", "xml", "feeds"],
    ] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(ended.stderr.starts_with("error: "), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn without_a_profile_the_next_step_is_named() {
    let home = tempfile::tempdir().unwrap();
    let ended: Ended = binary(home.path(), &["assets"]).output().unwrap().into();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    let looked = home.path().display().to_string();
    assert!(
        ended.stderr.starts_with("error: no operator profile: ") && ended.stderr.contains(&looked),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("\nhint: `holdpoint enroll --collector HOST:PORT --token TOKEN`"),
        "{}",
        ended.stderr
    );

    let named = run(&["--profile", "/nowhere/operator.toml", "assets"]);
    assert_eq!(named.code, Some(2));
    assert!(
        named.stderr.starts_with("error: cannot read the profile /nowhere/operator.toml: "),
        "{}",
        named.stderr
    );
}

#[test]
fn a_decision_without_a_network_needs_the_plan_and_the_operators_key_alone() {
    let home = tempfile::tempdir().unwrap();
    let plan = home.path().join("plan.toml");
    std::fs::write(&plan, "titel = \"x\"\n").unwrap();
    let out = home.path().join("sign.hpd");
    let (plan, out) = (plan.to_str().unwrap(), out.to_str().unwrap());
    let arguments =
        ["change", "sign", "CHG-0001", "--role", "operations", "--offline", "--plan", plan, "--out", out];
    let ended: Ended = binary(home.path(), &arguments).output().unwrap().into();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("plan.toml is refused:\n  title: it is missing\n"), "{}", ended.stderr);
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/config/change/plan.toml");
    let arguments =
        ["change", "sign", "CHG-0001", "--role", "operations", "--offline", "--plan", sample, "--out", out];
    let ended: Ended = binary(home.path(), &arguments).output().unwrap().into();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.starts_with("error: no operator profile: "), "{}", ended.stderr);
    assert!(!std::path::Path::new(out).exists());
}

#[test]
fn colour_is_written_only_when_wanted() {
    let stderr = |arguments: &[&str]| run(arguments).stderr;
    assert!(!stderr(&["assets"]).contains('\u{1b}'));
    assert!(stderr(&["assets", "--color", "always"]).contains("\u{1b}[31merror:\u{1b}[0m"));
    assert!(!stderr(&["assets", "--color", "never"]).contains('\u{1b}'));
}

#[test]
fn a_damaged_token_is_usage_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let profile = home.path().join("operator.toml");
    let arguments =
        ["enroll", "--collector", "127.0.0.1:1", "--token", "hp1.x", "--profile", profile.to_str().unwrap()];
    let ended: Ended = binary(home.path(), &arguments).output().unwrap().into();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.starts_with("error: the token is malformed: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);

    std::fs::write(&profile, "").unwrap();
    let ended: Ended = binary(home.path(), &arguments).output().unwrap().into();
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("exists already") && ended.stderr.contains("--replace"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_collector_that_is_not_there_is_unreachable_and_no_profile_is_written() {
    let home = tempfile::tempdir().unwrap();
    let secret = TokenSecret::random().unwrap();
    let token = Token { pin: Digest::of(b"zone CA"), secret }.reveal().to_string();
    // A port that was free a moment ago: nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let profile = home.path().join("operator.toml");
    let arguments =
        ["enroll", "--collector", &closed, "--token", "-", "--profile", profile.to_str().unwrap()];
    let mut child = binary(home.path(), &arguments).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{token}\n").as_bytes()).unwrap();
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), ""), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("error: cannot enroll at 127.0.0.1:"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("\nhint: on the collector's machine: `holdpoint-collector run"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains(&token), "the token is a secret");
    assert!(!profile.exists());

    let address = run(&["enroll", "--collector", "nowhere", "--token", &token]);
    assert_eq!(address.code, Some(2), "{}", address.stderr);
}

#[test]
fn versions_are_compared_without_a_profile() {
    for (scheme, a, b, sign) in
        [("deb", "1.0~rc1-1", "1.0-1", "<"), ("rpm", "1:1", "2", ">"), ("semver", "1.0.0", "1.0.0", "=")]
    {
        let ended = run(&["vercmp", scheme, a, b]);
        assert_eq!((ended.code, ended.stdout), (Some(0), format!("{sign}\t\n")), "{scheme} {a} {b}");
    }
    let unknown = run(&["vercmp", "win4", "one", "-2"]);
    assert_eq!(unknown.code, Some(0));
    assert!(unknown.stdout.starts_with("?\t") && unknown.stdout.len() > 4, "{}", unknown.stdout);

    let json = run(&["vercmp", "deb", "1", "2", "-o", "json"]);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value, serde_json::json!([{"left": "1", "right": "2", "result": "<", "reason": null}]));
}

#[test]
fn each_line_of_versions_gets_exactly_one_line() {
    let mut lines = b"1\t2\n\n2\t1\r\nno tab\n\xff\t\xfe\n1\t1\t1\n".to_vec();
    lines.extend(vec![b'9'; 300_000]);
    lines.extend(b"\t1\n\x1b[2J\t1\n3\t3");
    let ended = run_with(&["vercmp", "intdot", "-"], &lines);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let signs: Vec<_> = ended.stdout.lines().map(|it| it.split_once('\t').unwrap().0).collect();
    assert_eq!(signs.len(), 9, "{}", ended.stdout);
    assert_eq!((signs[0], signs[1], signs[3], signs[6], signs[8]), ("<", "?", "?", "?", "="));
    assert!(!ended.stdout.contains('\u{1b}'));
}

#[test]
fn ranges_are_judged_without_a_profile() {
    assert_eq!(run(&["range", "intdot", "< 2.0", "1.10"]).stdout, "in\t\n");
    assert_eq!(run(&["range", "intdot", "< 2.0", "2.0"]).stdout, "out\t\n");
    let lines = run_with(&["range", "intdot", "-"], b"< 2.0\t1.0\nonly with option\t1.0\n");
    let words: Vec<_> = lines.stdout.lines().map(|it| it.split_once('\t').unwrap().0).collect();
    assert_eq!((lines.code, words), (Some(0), vec!["in", "unknown"]));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    let mut child = binary(home.path(), &["vercmp", "deb", "-"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    // The child stops reading when nobody reads it; that the pipe breaks here too is expected.
    let _ = input.write_all(&b"1\t2\n".repeat(100_000));
    drop(input);
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn completions_and_manual_pages_cover_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = run(&["completions", shell]);
        assert_eq!(script.code, Some(0));
        assert!(script.stdout.contains("vercmp"), "{shell}");
    }
    assert!(run(&["man"]).stdout.contains(".TH holdpoint 1"));
    let home = tempfile::tempdir().unwrap();
    let pages = home.path().join("man1");
    let ended: Ended = binary(home.path(), &["man", pages.to_str().unwrap()]).output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for page in ["holdpoint.1", "holdpoint-status.1", "holdpoint-asset-show.1", "holdpoint-change-sign.1"] {
        assert!(pages.join(page).is_file(), "{page} is missing");
    }
}
