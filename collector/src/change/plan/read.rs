//! From the text of a plan to what it says. All or nothing, and everything that is wrong at once.
//!
//! A plan is read again whenever its change is folded from the audit log: what was a plan once has to stay one. A
//! stricter check belongs into [`crate::change::resolve`], which is asked once, when the change is drafted.

use std::collections::BTreeSet;

use holdpoint_common::proto::store::ControlRecord;
use holdpoint_common::row::{REPORTED, section_name, section_named};
use toml::Table;

use super::table::{Faults, Keys};
use super::{
    Allowed, Backup, Expectation, Limits, MAX_EXPECTATIONS, MAX_PLAN, MAX_STAGES, Package, Plan, Point,
    Procedure, Protocol, Rollback, SafetyReview, Stage, Targets, TestStep, Tier, Wanted, Window,
};
use crate::change::word::BoardRole;
use crate::knowledge::name_pattern::NamePattern;
use crate::knowledge::requirement;
use crate::knowledge::text::shown;
use crate::triage::control;

/// Most patterns of what may move.
const MAX_ALLOWED: usize = 500;
/// Most functional tests.
const MAX_TESTS: usize = 100;
/// Most steps of a functional test.
const MAX_STEPS: usize = 200;
/// Most hold points, and most witness points, of a stage.
const MAX_POINTS: usize = 50;
/// Most advisories by which a stage finds its assets.
const MAX_SUBJECTS: usize = 50;
/// What an expectation can be, in the words of a plan.
const KINDS: [&str; 8] = [
    "at_least",
    "advisory",
    "fact",
    "absent",
    "service_running",
    "listener_open",
    "listener_closed",
    "restarted",
];

/// Reads a plan.
///
/// # Errors
/// Every fault, each as one sentence with the key that it stands at; tables of a list are counted from 1. Text that
/// is no TOML has one fault, with its line.
pub fn read(text: &str) -> Result<Plan, Vec<String>> {
    if text.len() > MAX_PLAN {
        return Err(vec![format!("the plan is larger than {} KiB", MAX_PLAN / 1024)]);
    }
    let table: Table = text.parse().map_err(|it: toml::de::Error| {
        let before = it.span().and_then(|span| text.get(..span.start));
        let place = before.map(|it| format!("line {}: ", it.matches('\n').count() + 1));
        vec![format!("{}{}", place.unwrap_or_default(), shown(it.message(), 200))]
    })?;
    let faults = Faults::default();
    let plan = plan(Keys::of_file(table, &faults));
    let faults = faults.into_lines();
    if faults.is_empty() { Ok(plan) } else { Err(faults) }
}

fn plan(mut file: Keys<'_>) -> Plan {
    let title = file.needed("title").unwrap_or_default();
    let reason = file.prose("reason");
    let refers_to = file.text("refers_to");
    let soak_days = file.whole("soak_days", 1..=730, 35);
    let backup_max_age_days = file.whole("backup_max_age_days", 1..=365, 7);
    let answer_within_min = file.whole("answer_within_min", 1..=7 * 24 * 60, 30);
    let window = file.table("window").and_then(window);
    let rollback = file.table("rollback").map(rollback).unwrap_or_default();
    let backup = file.table("backup").map(backup).unwrap_or_default();
    let safety_review = file.table("safety_review").map(safety_review).unwrap_or_default();
    let package = file.table("package").map(package).unwrap_or_default();

    let why = "there is no [[expectation]], and so nothing that could be verified";
    let listed = file.needed_tables("expectation", MAX_EXPECTATIONS, why);
    // Stages name expectations by their ids, those with a fault as well: one fault is not told twice.
    let (mut expectations, mut ids) = (Vec::new(), Vec::new());
    for mut keys in listed {
        let id = keys.id("id");
        if let Some(id) = &id {
            if ids.contains(id) {
                keys.fault("id", format!("`{id}` is the id of another expectation"));
            }
            ids.push(id.clone());
        }
        let id = id.unwrap_or_default();
        if let Some(wanted) = wanted(keys, &id) {
            expectations.push(Expectation { id, wanted });
        }
    }
    let stages = file.needed_tables("stage", MAX_STAGES, "there is no [[stage]], and so nothing to work on");
    let stages = stages.into_iter().filter_map(|it| stage(it, &ids)).collect();
    let allowed = file.tables("allow", MAX_ALLOWED).into_iter().filter_map(allowed).collect();
    let tests = tests(file.tables("test", MAX_TESTS));
    file.end();
    Plan {
        title,
        reason,
        refers_to,
        window,
        rollback,
        backup,
        safety_review,
        package,
        stages,
        expectations,
        allowed,
        tests,
        soak_days,
        backup_max_age_days,
        answer_within_min,
    }
}

fn window(mut keys: Keys<'_>) -> Option<Window> {
    let mut moment = |key: &'static str| {
        if !keys.has(key) {
            keys.fault(key, "it is missing");
        }
        keys.moment(key)
    };
    let times = (moment("start"), moment("latest_rollback"), moment("hard_stop"), moment("end"));
    let window = match times {
        (Some(start_ms), Some(latest_rollback_ms), Some(hard_stop_ms), Some(end_ms)) => {
            if start_ms >= latest_rollback_ms {
                keys.fault("latest_rollback", "it is not after `start`");
            }
            if latest_rollback_ms > hard_stop_ms {
                keys.fault("hard_stop", "it is before `latest_rollback`");
            }
            if hard_stop_ms > end_ms {
                keys.fault("end", "it is before `hard_stop`");
            }
            Some(Window { start_ms, end_ms, hard_stop_ms, latest_rollback_ms })
        }
        _ => None,
    };
    keys.end();
    window
}

fn rollback(mut keys: Keys<'_>) -> Rollback {
    let rollback = Rollback { procedure: keys.prose("procedure"), verified_by: keys.text("verified_by") };
    keys.end();
    rollback
}

fn backup(mut keys: Keys<'_>) -> Backup {
    let backup = Backup {
        place: keys.text("place"),
        sha256: keys.sha256("sha256"),
        taken_ms: keys.moment("taken"),
        restore_tested_ms: keys.moment("restore_tested"),
    };
    keys.end();
    backup
}

fn safety_review(mut keys: Keys<'_>) -> SafetyReview {
    let review = SafetyReview { by: keys.text("by"), summary: keys.prose("summary") };
    keys.end();
    review
}

fn package(mut keys: Keys<'_>) -> Package {
    let package = Package {
        source: keys.text("source"),
        sha256: keys.sha256("sha256"),
        signature: keys.prose("signature"),
    };
    keys.end();
    package
}

fn stage(mut keys: Keys<'_>, ids: &[String]) -> Option<Stage> {
    let title = keys.needed("title");
    let tier = keys.needed("tier").and_then(|word| {
        let tier = Tier::ALL.into_iter().find(|it| it.as_str() == word);
        if tier.is_none() {
            let known = Tier::ALL.map(Tier::as_str).join(", ");
            keys.fault("tier", format!("`{word}` is no tier; known are {known}"));
        }
        tier
    });
    if !["assets", "roles", "tags", "affected_by"].iter().any(|it| keys.has(it)) {
        keys.fault_here("it names no asset: give assets, roles, tags or affected_by");
    }
    let targets = Targets {
        assets: keys.words("assets"),
        roles: keys.words("roles"),
        tags: keys.words("tags"),
        affected_by: keys.words("affected_by"),
    };
    if targets.affected_by.len() > MAX_SUBJECTS {
        keys.fault("affected_by", format!("there are more than {MAX_SUBJECTS}"));
    }
    let expectations = expected(&mut keys, ids);
    let points = points(&mut keys);
    keys.end();
    Some(Stage { title: title?, tier: tier?, targets, expectations, points })
}

/// The positions of what a stage expects: all, when it does not say.
fn expected(keys: &mut Keys<'_>, ids: &[String]) -> Vec<usize> {
    if !keys.has("expect") {
        // It is taken all the same, so that it counts as known.
        let _ = keys.words("expect");
        return (0..ids.len()).collect();
    }
    let words = keys.words("expect");
    if words.is_empty() {
        keys.fault(
            "expect",
            "it is empty, and so nothing would be verified; leave it out to expect everything",
        );
    }
    let mut positions = BTreeSet::new();
    for word in words {
        match ids.iter().position(|it| *it == word) {
            Some(position) => {
                positions.insert(position);
            }
            None => keys.fault("expect", format!("there is no expectation `{word}`")),
        }
    }
    positions.into_iter().collect()
}

fn points(keys: &mut Keys<'_>) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for (key, holds) in [("hold_points", true), ("witness_points", false)] {
        let names = keys.words(key);
        if names.len() > MAX_POINTS {
            keys.fault(key, format!("there are more than {MAX_POINTS}"));
            continue;
        }
        for name in names {
            if points.iter().any(|it| it.name == name) {
                keys.fault(key, format!("`{name}` is a hold point as well"));
            }
            points.push(Point { name, holds });
        }
    }
    points
}

/// What is expected: exactly one of [`KINDS`].
fn wanted(mut keys: Keys<'_>, id: &str) -> Option<Wanted> {
    let given: Vec<&str> = KINDS.into_iter().filter(|it| keys.has(it)).collect();
    let wanted = match given.as_slice() {
        ["at_least"] => at_least(&mut keys, id),
        ["advisory"] => {
            let subject = subject(&mut keys);
            // A control with a fault refuses the plan, so nothing rests on its absence here.
            let control = keys.text("control").and_then(|it| fact(&keys, "control", &it));
            subject.map(|subject| Wanted::NotAffected { subject, control })
        }
        ["fact"] => keys.text("fact").and_then(|it| fact(&keys, "fact", &it)).map(Wanted::Fact),
        ["absent"] => absent(&mut keys),
        ["service_running"] => keys.text("service_running").map(Wanted::ServiceRunning),
        ["listener_open"] => listener(&mut keys, "listener_open", true),
        ["listener_closed"] => listener(&mut keys, "listener_closed", false),
        ["restarted"] => match keys.flag("restarted") {
            Some(true) => Some(Wanted::Restarted),
            Some(false) => {
                keys.fault("restarted", "only `true` can be expected; leave it out otherwise");
                None
            }
            None => None,
        },
        [] => {
            keys.fault_here(format!("it expects nothing: give one of {}", KINDS.join(", ")));
            None
        }
        several => {
            keys.fault_here(format!(
                "it expects {} at once: write one [[expectation]] for each",
                several.join(" and ")
            ));
            // None of them is held against anything, and none is unknown.
            return None;
        }
    };
    // Without a word of what is expected, the keys beside it cannot be told from unknown ones.
    if !given.is_empty() {
        keys.end();
    }
    wanted
}

fn at_least(keys: &mut Keys<'_>, id: &str) -> Option<Wanted> {
    let table = keys.table("at_least")?.into_table();
    match requirement::read_inside(table, id) {
        Ok(requirement) => Some(Wanted::AtLeast(Box::new(requirement))),
        Err(why) => {
            keys.fault("at_least", why);
            None
        }
    }
}

/// A subject of `status`, in whole parts.
fn subject(keys: &mut Keys<'_>) -> Option<String> {
    let subject = keys.text("advisory")?;
    if subject.split('/').any(|it| it.trim().is_empty()) {
        keys.fault("advisory", format!("`{subject}` has an empty part"));
        return None;
    }
    Some(subject)
}

fn fact(keys: &Keys<'_>, key: &str, typed: &str) -> Option<ControlRecord> {
    control::read(typed).map_err(|it| keys.fault(key, it.to_string())).ok()
}

fn absent(keys: &mut Keys<'_>) -> Option<Wanted> {
    let name = keys.text("absent")?;
    let source = keys.text("source");
    match NamePattern::new(&name) {
        Ok(name) => Some(Wanted::Absent { name, source }),
        Err(why) => {
            keys.fault("absent", why.to_string());
            None
        }
    }
}

/// `tcp/443`.
fn listener(keys: &mut Keys<'_>, key: &'static str, open: bool) -> Option<Wanted> {
    let text = keys.text(key)?;
    let (protocol, port) = text.split_once('/').unwrap_or_default();
    let protocol = match protocol {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        _ => None,
    };
    let is_number = port.bytes().all(|it| it.is_ascii_digit());
    let port = port.parse::<u16>().ok().filter(|it| *it > 0 && is_number);
    match (protocol, port) {
        (Some(protocol), Some(port)) => Some(Wanted::Listener { protocol, port, open }),
        _ => {
            keys.fault(key, format!("`{text}` is no listener, such as tcp/443 or udp/161"));
            None
        }
    }
}

fn allowed(mut keys: Keys<'_>) -> Option<Allowed> {
    let kind = keys.needed("section").and_then(|word| {
        let kind = section_named(&word).filter(|it| REPORTED.contains(it));
        if kind.is_none() {
            let known = REPORTED.map(section_name).join(", ");
            keys.fault("section", format!("`{word}` is no section; known are {known}"));
        }
        kind
    });
    let item = keys.needed("item");
    if item.as_ref().is_some_and(|it| it.chars().all(|it| it == '*')) {
        keys.fault("item", "it would allow everything that moves in the section");
    }
    keys.end();
    Some(Allowed { kind: kind?, item: item? })
}

fn tests(listed: Vec<Keys<'_>>) -> Vec<Procedure> {
    let (mut tests, mut seen) = (Vec::new(), BTreeSet::new());
    for mut keys in listed {
        let id = keys.id("id");
        if let Some(id) = &id
            && !seen.insert(id.clone())
        {
            keys.fault("id", format!("`{id}` is the id of another test"));
        }
        let title = keys.needed("title");
        let may_sign = keys.words("may_sign");
        let known = BoardRole::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
        if may_sign.is_empty() {
            keys.fault("may_sign", format!("it names no role of the board; known are {known}"));
        }
        for role in may_sign.iter().filter(|it| BoardRole::named(it).is_none()) {
            keys.fault("may_sign", format!("`{role}` is no role of the board; known are {known}"));
        }
        let steps = steps(keys.needed_tables("step", MAX_STEPS, "there is no [[test.step]]"));
        keys.end();
        if let (Some(id), Some(title)) = (id, title) {
            tests.push(Procedure { id, title, may_sign, steps });
        }
    }
    tests
}

fn steps(listed: Vec<Keys<'_>>) -> Vec<TestStep> {
    let (mut steps, mut seen) = (Vec::new(), BTreeSet::new());
    for mut keys in listed {
        let id = keys.id("id");
        if let Some(id) = &id
            && !seen.insert(id.clone())
        {
            keys.fault("id", format!("`{id}` is the id of another step of this test"));
        }
        let text = keys.needed("text");
        let limits = limits(&mut keys);
        keys.end();
        if let (Some(id), Some(text), Some(limits)) = (id, text, limits) {
            steps.push(TestStep { id, text, limits });
        }
    }
    steps
}

fn limits(keys: &mut Keys<'_>) -> Option<Limits> {
    let is_number = ["min", "max", "unit"].into_iter().any(|it| keys.has(it));
    let is_text = keys.has("equals");
    let (min, max, unit) = (keys.number("min"), keys.number("max"), keys.text("unit"));
    let equals = keys.text("equals");
    match (is_number, is_text) {
        (true, true) => {
            keys.fault_here("it has `equals` beside `min`, `max` or `unit`: a step has one outcome");
            None
        }
        (true, false) => {
            if let (Some(min), Some(max)) = (min, max)
                && min > max
            {
                keys.fault("max", "it is less than `min`, so that no number would do");
            }
            if unit.is_none() {
                keys.fault("unit", "it is missing or wrong: a number needs its unit");
            }
            Some(Limits::Number { min, max, unit: unit? })
        }
        (false, true) => equals.map(Limits::Equals),
        (false, false) => Some(Limits::Judged),
    }
}
