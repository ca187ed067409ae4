//! Who decides, and the change that they decide about.

use std::fs;
use std::path::{Path, PathBuf};

use holdpoint_tests::program::{ZoneProcess, ask, run, succeed, text};
use serde_json::Value;

/// Enrols an operator, whose profile and key lie in a directory of their own.
pub(super) fn operator(zone: &ZoneProcess, name: &str, person: &str, roles: &[&str]) -> PathBuf {
    let data = zone.data();
    let mut add = vec!["operator", "add", name, "--data", text(&data), "--person", person];
    for role in roles {
        add.extend(["--role", role]);
    }
    let token = succeed("holdpoint-collector", &add);
    let own = zone.beside(name);
    fs::create_dir(&own).unwrap();
    let profile = own.join("operator.toml");
    let collector = zone.address.to_string();
    let enroll = ["enroll", "--collector", &collector, "--token", &token];
    succeed("holdpoint", &[&["--profile", text(&profile)], &enroll[..]].concat());
    profile
}

/// A change, whose collector is killed after every step.
pub(super) struct Change<'a> {
    /// Its id.
    pub(super) id: String,
    zone: &'a mut ZoneProcess,
    profile: PathBuf,
}

impl<'a> Change<'a> {
    /// Drafts a change of a plan.
    pub(super) fn new(zone: &'a mut ZoneProcess, profile: &Path, plan: &Path) -> Self {
        let drafted = ask(profile, &["change", "new", "-f", text(plan)]);
        let id = drafted["id"].as_str().unwrap().to_owned();
        Self { id, zone, profile: profile.to_owned() }
    }

    /// A step by its first words, the change, and the rest: exit code and answer. Then the collector is killed, and
    /// what it has when it is back is what it had before.
    pub(super) fn step(&mut self, by: &Path, verb: &[&str], rest: &[&str]) -> (Option<i32>, Value) {
        let id = self.id.clone();
        let arguments = [&["--profile", text(by), "-o", "json", "change"], verb, &[&id], rest].concat();
        let output = run("holdpoint", &arguments);
        let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        });
        self.survives_a_kill();
        (output.status.code(), answer)
    }

    /// A step that has to succeed.
    pub(super) fn does(&mut self, by: &Path, verb: &str, rest: &[&str]) -> Value {
        let (code, answer) = self.step(by, &[verb], rest);
        assert_eq!(code, Some(0), "{verb}: {answer:#}");
        answer
    }

    /// The change as it stands.
    pub(super) fn show(&self) -> Value {
        ask(&self.profile, &["change", "show", &self.id])
    }

    /// Targets of the first stage with how far their snapshots are: "pre" or "post".
    pub(super) fn taken(&self, phase: &str, assets: &[String]) -> bool {
        let shown = self.show();
        let targets = shown["stages"][0]["targets"].as_array().unwrap();
        let of = |asset: &String| {
            targets.iter().find(|it| it["asset"] == asset.as_str()).map(|it| it[phase].clone())
        };
        assets.iter().all(|it| of(it).is_some_and(|it| it == "taken"))
    }

    /// Kills the collector and starts it again. Hosts go on answering: what is new stands behind what was there.
    pub(super) fn survives_a_kill(&mut self) {
        let before = self.show();
        self.zone.kill();
        self.zone.restart();
        let after = self.show();
        if before["revision"] == after["revision"] {
            assert_eq!(before, after);
        }
        let [before, after] = [&before, &after].map(|it| it["log"].as_array().unwrap());
        assert!(after.starts_with(before), "{before:#?}\n{after:#?}");
    }
}
