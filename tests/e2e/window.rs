//! A maintenance window from end to end: seven stations that are a package behind their security suite, one change,
//! a board of two persons, and what is said of each station afterwards.
//!
//! Each host is a Debian root in its own mount, PID, network and UTS name spaces, with its own `/proc`, machine id
//! and boot id; `apt` inside it takes what the distribution's security suite really has. It needs root,
//! `debootstrap`, `unshare`, `nsenter`, `ip`, and a mirror with a security suite that the machine's own apt knows;
//! the root is made once, in `target/roots/debian-window`.

mod board;
mod host;
mod plant;
mod replay;
mod root;
mod tour;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use holdpoint_tests::program::{ZoneProcess, ask, program, text, wait};
use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use board::{Change, operator};
use host::{Host, Image};
use replay::Replayer;
use root::Root;

const TOOLS: [&str; 4] = ["debootstrap", "unshare", "nsenter", "ip"];
const HOSTS: u8 = 7;

/// A script or file beside this one.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/window").join(name)
}

/// What is missing, if anything.
fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can make hosts with name spaces of their own".to_owned());
    }
    let path = std::env::var_os("PATH")?;
    let is_here = |name: &str| std::env::split_paths(&path).any(|it| it.join(name).exists());
    TOOLS.into_iter().find(|it| !is_here(it)).map(|it| format!("{it} is not here"))
}

#[test]
fn a_window_ends_with_a_verdict_for_each_station_and_evidence_for_a_stranger() {
    let root = match missing().map_or_else(root::make, Err) {
        Ok(root) => root,
        Err(reason) => {
            println!("left out: {reason}");
            return;
        }
    };
    match plant::here() {
        Some(dir) => window(&root, &dir),
        None => {
            plant::run("window::a_window_ends_with_a_verdict_for_each_station_and_evidence_for_a_stranger");
        }
    }
}

/// What is done in the window, station by station.
const WORK: [fn(&mut Host); 7] = [
    |host| {
        host.upgrade();
        host.restart();
    },
    |_| (),
    |host| host.upgrade(),
    |host| {
        host.upgrade();
        host.restart_station();
        host.install("tree");
    },
    Host::switch_off,
    |_| (),
    |host| {
        host.upgrade();
        host.restart_station();
        host.forbid_looking(true);
    },
];

/// What is done after the first verdicts.
const REWORK: [fn(&mut Host); 7] = [
    |_| (),
    |host| {
        host.upgrade();
        host.restart_station();
    },
    Host::restart_station,
    |_| (),
    |host| {
        host.restart();
        host.upgrade();
        host.restart_station();
    },
    |host| {
        host.upgrade();
        host.restart_station();
        host.start_agent();
    },
    |host| host.forbid_looking(false),
];

/// What is said of each station after the work: verdict, reason, modifiers.
const AFTER_WORK: [(&str, &str, Option<&str>, &[&str]); 7] = [
    ("hmi-1", "REMEDIATED", None, &[]),
    ("hmi-2", "NOT_REMEDIATED", None, &[]),
    ("hmi-3", "INSTALLED_NOT_LIVE", Some("OLD_CODE_MAPPED"), &[]),
    ("hmi-4", "REMEDIATED", None, &["COLLATERAL_CHANGE"]),
    ("hmi-5", "INCONCLUSIVE", Some("STALE"), &[]),
    ("hmi-6", "INCONCLUSIVE", Some("REPLAYED"), &[]),
    ("hmi-7", "INCONCLUSIVE", Some("HOST_DECLINED"), &[]),
];

fn window(root: &Root, dir: &Path) {
    plant::build(dir);
    let mut zone = zone(dir);
    let roles = ["engineer", "ot-security", "control-engineer", "maintenance"];
    let engineer = operator(&zone, "engineer", "first", &roles);
    let operations = operator(&zone, "operations", "second", &["operations"]);
    let safety = operator(&zone, "safety", "second", &["plant-safety"]);
    let mut hosts = hosts(&zone, root, dir);
    let ids = inventory(&engineer, root);
    all_look_again(&engineer, &ids, &hosts);
    let id = |number: usize| ids[&format!("hmi-{number}")].clone();

    // The board: five roles, two persons, one of them on a station without a network.
    let plan = zone.beside("plan.toml");
    fs::write(&plan, plan_of(root)).unwrap();
    let address = zone.address;
    let carried = zone.beside("safety.decision");
    let mut change = Change::new(&mut zone, &engineer, &plan);
    change.does(&engineer, "submit", &[]);
    change.does(&engineer, "sign", &["--role", "ot-security"]);
    change.does(&engineer, "sign", &["--role", "control-engineer"]);
    change.does(&engineer, "sign", &["--role", "maintenance", "--rollback-verified"]);
    change.does(&operations, "sign", &["--role", "operations"]);
    let shown = change.show();
    assert_eq!((&shown["state"], &shown["missing_roles"][0]), (&"in_review".into(), &"plant-safety".into()));
    let offline = ["--role", "plant-safety", "--offline", "--plan", text(&plan), "--out", text(&carried)];
    change.does(&safety, "sign", &offline);
    assert_eq!(change.show()["missing_roles"][0], "plant-safety", "nothing was sent");
    let imported = ask(&engineer, &["import", text(&carried)]);
    assert_eq!(imported["taken"][0]["items"], 1, "{imported}");
    change.survives_a_kill();
    let shown = change.show();
    assert_eq!((&shown["state"], shown["sign_offs"].as_array().unwrap().len()), (&"authorised".into(), 5));

    // Before work: every station shows what it is. One of them is not what it seems from now on.
    hosts[5].stop_agent();
    let mut replayer = Replayer::of(&hosts[5], &id(6), address, &engineer);
    thread::scope(|scope| {
        scope.spawn(|| replayer.answer());
        let opened = change.does(&engineer, "open", &["--stage", "1", "--wait", "60s"]);
        assert_eq!(opened["stages"][0]["state"], "open", "{opened:#}");
    });

    each(hosts.iter_mut().zip(WORK), |(host, work)| work(host));

    // After work.
    change.does(&engineer, "complete", &["--stage", "1", "--note", "hmi-5 has a broken power supply"]);
    let refused = replayer.replay();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    let answering: Vec<String> = (1..=4).map(id).collect();
    wait("the stations answered", || change.taken("post", &answering));
    let (code, verified) = change.step(&engineer, &["verify"], &["--stage", "1", "--wait", "3s"]);
    assert_eq!((code, &verified["stages"][0]["state"]), (Some(1), &"failed".into()), "{verified:#}");
    for (name, verdict, reason, modifiers) in AFTER_WORK {
        let found = whole(&verified, &ids[name]);
        println!("{name}: {} {} {}", found["verdict"], found["reason"], found["modifiers"]);
        assert_eq!(found["verdict"], verdict, "{name}: {found:#}");
        assert_eq!(found["reason"].as_str(), reason, "{name}: {found:#}");
        assert_eq!(found["modifiers"], Value::from(modifiers.to_vec()), "{name}: {verified:#}");
    }
    let moved = verified["collateral"].as_array().unwrap();
    assert!(moved.iter().all(|it| it["asset"] == id(4)), "{moved:#?}");
    assert!(moved.iter().any(|it| it["item"].as_str().unwrap().starts_with("tree")), "{moved:#?}");

    // What was not done is done.
    let numbers: Vec<String> = moved.iter().map(|it| it["number"].to_string()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let why = ["--reason", "the shift asked for it, and it stays"];
    change.does(&operations, "explain", &[&numbers[..], &why].concat());
    each(hosts.iter_mut().zip(REWORK), |(host, work)| work(host));
    change.does(&engineer, "complete", &["--stage", "1"]);
    let verified = change.does(&engineer, "verify", &["--stage", "1", "--wait", "60s"]);
    for (name, asset) in &ids {
        let found = whole(&verified, asset);
        assert_eq!(found["verdict"], "REMEDIATED", "{name}: {found:#}");
    }
    assert_eq!(verified["state"], "verified", "{verified:#}");

    // The end, and evidence of all of it.
    let observed =
        ["--observe", "trend=3.2s", "--observe", "alarm=unacknowledged", "--observe", "handover=pass"];
    let record = [&["FTP-1", "--role", "operations"][..], &observed].concat();
    let (code, tested) = change.step(&operations, &["test", "record"], &record);
    assert_eq!((code, &tested["tests"][0]["passed"]), (Some(0), &true.into()), "{tested:#}");
    for asset in ids.values() {
        ask(&engineer, &["baseline", "approve", asset, "--change", &change.id]);
    }
    change.does(&engineer, "lessons", &["--text", "hmi-5 needs another power supply"]);
    let closed = change.does(&engineer, "close", &[]);
    assert_eq!(closed["state"], "closed", "{closed:#}");
    let id = change.id.clone();
    evidence(&engineer, &id, dir);
    assert_eq!(ask(&engineer, &["audit", "verify"])["valid"], true);
}

/// A zone whose collector listens in the plant, and where the test's own programs look for it.
fn zone(dir: &Path) -> ZoneProcess {
    ZoneProcess::start_in(dir.join("zone"), |settings| {
        let port = settings["listen"].as_str().and_then(|it| it.rsplit(':').next()).unwrap().to_owned();
        settings.insert("listen".to_owned(), format!("0.0.0.0:{port}").into());
    })
}

/// Every host, switched on, enrolled, its station and its agent running.
fn hosts(zone: &ZoneProcess, root: &Root, dir: &Path) -> Vec<Host> {
    let agent = PathBuf::from(program("holdpoint-agent").get_program());
    let image = Image::new(root.clone(), dir.join("programs"), &agent);
    let token = zone.token(HOSTS.into());
    let mut hosts: Vec<Host> = (1..=HOSTS).map(|it| Host::new(it, &image, &dir.join("hosts"))).collect();
    each(&mut hosts, |host| {
        host.switch_on();
        host.start_station();
        host.enrol(zone.address.port(), &token);
        host.start_agent();
    });
    hosts
}

/// Waits until every host has shown what is installed; their assets by name.
fn inventory(profile: &Path, root: &Root) -> BTreeMap<String, String> {
    let behind = || {
        let found = ask(profile, &["software", &root.package]);
        let is_behind = |it: &&Value| it["source"] == "dpkg" && it["version"] == root.old.as_str();
        found.as_array().unwrap().iter().filter(is_behind).count()
    };
    wait("every host has shown that it is behind", || behind() == usize::from(HOSTS));
    let assets = ask(profile, &["assets"]);
    let word = |asset: &Value, key: &str| asset[key].as_str().unwrap().to_owned();
    assets.as_array().unwrap().iter().map(|it| (word(it, "name"), word(it, "id"))).collect()
}

/// Asks every host to look again: each answers as the machine and the boot that it is.
fn all_look_again(profile: &Path, ids: &BTreeMap<String, String>, hosts: &[Host]) {
    let asked: Vec<&str> = ids.values().map(String::as_str).collect();
    let answers = ask(profile, &[&["rescan", "--wait", "60s"][..], &asked].concat());
    for host in hosts {
        let answers = answers.as_array().unwrap();
        let answer = answers.iter().find(|it| it["asset"] == ids[&host.name].as_str()).unwrap();
        let said = (&answer["answered"], answer["boot_id"].as_str());
        assert_eq!(said, (&true.into(), Some(host.boot_id().as_str())), "{}: {}", host.name, host.said());
    }
}

/// The plan, with a window that is open now.
fn plan_of(root: &Root) -> String {
    let now = OffsetDateTime::now_utc();
    let at = |hours: i64| (now + Duration::hours(hours)).format(&Rfc3339).unwrap();
    let fill = |text: String, (key, value): (&str, String)| text.replace(&format!("{{{key}}}"), &value);
    let text = fs::read_to_string(script("plan.toml")).unwrap();
    let values = [
        ("package", root.package.clone()),
        ("new", root.new.clone()),
        ("taken", at(-12)),
        ("start", at(-1)),
        ("latest_rollback", at(6)),
        ("hard_stop", at(7)),
        ("end", at(8)),
    ];
    values.into_iter().fold(text, fill)
}

/// What is said of a target as a whole.
fn whole<'a>(change: &'a Value, asset: &str) -> &'a Value {
    let verdicts = change["verdicts"].as_array().unwrap();
    verdicts.iter().find(|it| it["asset"] == asset && it["expectation"].is_null()).unwrap()
}

/// Writes a pack of evidence and has it checked where nobody knows the zone: as it is, and with one byte changed.
fn evidence(profile: &Path, change: &str, dir: &Path) {
    let elsewhere = dir.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let pack = elsewhere.join("pack");
    ask(profile, &["evidence", "export", change, "--out", text(&pack)]);
    let check = || {
        let mut command = program("holdpoint");
        command.env_clear().env("HOME", &elsewhere).current_dir(&elsewhere);
        let output = command.args(["-o", "json", "evidence", "check", "pack"]).output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), said)
    };
    let (code, said) = check();
    assert_eq!((code, &said["valid"]), (Some(0), &true.into()), "{said:#}");
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&pack, bytes).unwrap();
    let (code, said) = check();
    assert_eq!((code, &said["valid"]), (Some(1), &false.into()), "{said:#}");
}

/// Does the same with several at once.
fn each<T: Send>(several: impl IntoIterator<Item = T>, act: impl Fn(T) + Sync) {
    let act = &act;
    thread::scope(|scope| {
        for one in several {
            scope.spawn(move || act(one));
        }
    });
}
