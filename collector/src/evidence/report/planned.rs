//! What was planned.

use holdpoint_common::clock::readable;
use holdpoint_common::row::section_name;

use super::html::Page;
use crate::change::Change;
use crate::change::plan::{Expectation, Plan, Protocol, Targets, Wanted};
use crate::triage::control::Typed;

pub(super) fn write(page: &mut Page, change: &Change) {
    let Plan { reason, refers_to, window, rollback, backup, safety_review, package, .. } = &*change.plan;
    let said = |it: &Option<String>| it.clone().unwrap_or_default();
    let at = |it: Option<i64>| it.map(readable).unwrap_or_default();
    page.heading("What was planned");
    page.facts([
        ("Reason", said(reason)),
        ("Refers to", said(refers_to)),
        (
            "Window",
            window
                .map(|it| format!("{} to {}", readable(it.start_ms), readable(it.end_ms)))
                .unwrap_or_default(),
        ),
        ("Hard stop", at(window.map(|it| it.hard_stop_ms))),
        ("Latest rollback", at(window.map(|it| it.latest_rollback_ms))),
        ("Rollback procedure", said(&rollback.procedure)),
        ("Rollback verified by", said(&rollback.verified_by)),
        ("Backup", said(&backup.place)),
        ("Backup, SHA-256", said(&backup.sha256)),
        ("Backup taken", at(backup.taken_ms)),
        ("Backup restored for a test", at(backup.restore_tested_ms)),
        ("Safety review by", said(&safety_review.by)),
        ("Safety review", said(&safety_review.summary)),
        ("Patch source", said(&package.source)),
        ("Media, SHA-256", said(&package.sha256)),
        ("Media, signature", said(&package.signature)),
    ]);
    page.note("The whole plan, as it was written, is plan.toml in this file.");
    page.subheading("Expectations");
    page.table(
        ["Expectation", "What has to hold"],
        change.plan.expectations.iter().map(|it| [(&it.id).into(), wanted(it).into()]),
        "None.",
    );
    page.subheading("Stages");
    page.table(
        ["No.", "Stage", "Tier", "Chosen by", "Targets", "Expectations", "Points"],
        (1..).zip(change.plan.stages.iter().zip(&change.stages)).map(
            |(number, (planned, stage)): (u32, _)| {
                let ids = planned.expectations.iter().filter_map(|it| change.plan.expectations.get(*it));
                let points = planned.points.iter().map(|it| {
                    format!("{} ({})", it.name, if it.holds { "hold point" } else { "witness point" })
                });
                [
                    number.to_string().into(),
                    (&planned.title).into(),
                    planned.tier.as_str().into(),
                    chosen(&planned.targets).into(),
                    stage.targets.keys().cloned().collect::<Vec<_>>().join(", ").into(),
                    ids.map(|it| it.id.clone()).collect::<Vec<_>>().join(", ").into(),
                    points.collect::<Vec<_>>().join(", ").into(),
                ]
            },
        ),
        "None.",
    );
    if !change.plan.allowed.is_empty() {
        page.subheading("What may move beside");
        page.table(
            ["Section", "Item"],
            change.plan.allowed.iter().map(|it| [section_name(it.kind).into(), (&it.item).into()]),
            "",
        );
    }
}

fn chosen(targets: &Targets) -> String {
    let Targets { assets, roles, tags, affected_by } = targets;
    let parts = [("assets", assets), ("roles", roles), ("tags", tags), ("affected by", affected_by)];
    let named =
        parts.iter().filter(|it| !it.1.is_empty()).map(|(what, of)| format!("{what} {}", of.join(", ")));
    named.collect::<Vec<_>>().join("; ")
}

/// An expectation in words.
fn wanted(it: &Expectation) -> String {
    match &it.wanted {
        Wanted::AtLeast(it) => format!("{} at least {} ({})", it.product(), it.minimum, it.scheme),
        Wanted::NotAffected { subject, control: None } => format!("no longer affected by {subject}"),
        Wanted::NotAffected { subject, control: Some(control) } => {
            format!("no longer affected by {subject}, or {} holds", Typed(control))
        }
        Wanted::Fact(control) => Typed(control).to_string(),
        Wanted::Absent { name, source: None } => format!("{} is not installed", name.as_str()),
        Wanted::Absent { name, source: Some(source) } => {
            format!("{} is not installed by {source}", name.as_str())
        }
        Wanted::ServiceRunning(service) => format!("the service {service} runs"),
        Wanted::Listener { protocol, port, open } => {
            let protocol = match protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            };
            format!("{protocol} port {port} is {}", if *open { "open" } else { "closed" })
        }
        Wanted::Restarted => "restarted between the snapshots".to_owned(),
    }
}
