//! Knowledge packs with the programs as people start them: a desk, an admin, and two persons in the zone.

use std::fs;
use std::path::{Path, PathBuf};

use holdpoint_tests::program::{ZoneProcess, ask, run, succeed, text};

const LIST: &[u8] = b"id,product,min_version,scheme\nR-CURL,curl,8.0,deb\n";
const CATALOG: &[u8] = include_bytes!("../../collector/fixtures/kev/catalog.json");

fn operator(zone: &ZoneProcess, name: &str, roles: &[&str]) -> PathBuf {
    let (data, address) = (zone.data(), zone.address.to_string());
    let mut add = vec!["operator", "add", name, "--data", text(&data)];
    for role in roles {
        add.extend(["--role", role]);
    }
    let token = succeed("holdpoint-collector", &add);
    let profile = zone.beside(&format!("{name}.toml"));
    let enroll = ["enroll", "--collector", &address, "--token", &token];
    succeed("holdpoint", &[&["--profile", text(&profile)], &enroll[..]].concat());
    profile
}

/// The exit code and what was said.
fn tried(profile: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let ended = run("holdpoint", &[&["--profile", text(profile)], arguments].concat());
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[test]
fn knowledge_comes_in_by_two_persons_and_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let packs_only = |settings: &mut toml::Table| {
        settings["knowledge"].as_table_mut().unwrap().insert("packs_only".into(), true.into());
    };
    let mut zone = ZoneProcess::start_in(dir.path().join("zone"), packs_only);
    let (kim, ada) = (operator(&zone, "kim", &["engineer"]), operator(&zone, "ada", &["engineer", "admin"]));

    let at = |name: &str| dir.path().join(name);
    fs::write(at("site.csv"), LIST).unwrap();
    fs::write(at("kev.json"), CATALOG).unwrap();
    let (list, kev, keys, pack) = (at("site.csv"), at("kev.json"), at("keys"), at("nov.pack"));
    let (code, said) = tried(&kim, &["import", text(&list)]);
    assert_eq!(code, Some(1), "{said}");

    succeed("holdpoint", &["pack", "key", "--out", text(&keys)]);
    let (private, public) = (keys.join("pack.key"), keys.join("pack.pub"));
    let compile = ["pack", "make", text(&list), text(&kev), "--key", text(&private), "--title", "November"];
    let place = ["--zone", "plant/line-1", "--out", text(&pack), "-o", "json"];
    let made = succeed("holdpoint", &[&compile[..], &place].concat());
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let (id, fingerprint) = (made["id"].as_str().unwrap(), made["fingerprint"].as_str().unwrap());

    let (code, said) = tried(&kim, &["import", "--pack", text(&pack)]);
    assert!(code == Some(1) && said.contains("whom this zone does not trust"), "{said}");
    let trust = ["pack", "trust", text(&public), "--name", "desk", "--fingerprint", fingerprint];
    let (code, said) = tried(&kim, &trust);
    assert!(code == Some(3) && said.contains("(role)"), "{said}");
    ask(&ada, &trust);
    let brought = ask(&kim, &["import", "--pack", text(&pack)]);
    assert_eq!(
        (brought["state"].as_str(), brought["members"].as_array().unwrap().len()),
        (Some("waiting"), 2)
    );

    zone.kill();
    zone.restart();
    assert_eq!(ask(&ada, &["pack", "list"])[0]["state"], "waiting");
    let requirements = |profile: &Path| {
        let feeds = ask(profile, &["feeds"]);
        let found = feeds.as_array().unwrap().iter().find(|it| it["kind"] == "requirements");
        found.unwrap()["items"].as_u64().unwrap()
    };
    assert_eq!(requirements(&ada), 0, "it counts for nothing yet");
    let (code, said) = tried(&kim, &["pack", "release", id]);
    assert!(code == Some(1) && said.contains("`kim` brought it"), "{said}");
    assert_eq!(ask(&ada, &["pack", "release", id])["state"], "released");
    assert_eq!(requirements(&ada), 1);

    zone.kill();
    zone.restart();
    assert_eq!(requirements(&ada), 1);
    assert_eq!(ask(&kim, &["import", "--pack", text(&pack)])["known"], true);
    assert_eq!(ask(&ada, &["audit", "verify"])["valid"], true);
}
