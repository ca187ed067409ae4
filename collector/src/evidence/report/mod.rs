//! The page for people: what was planned, who decided, what was seen, what was said of it.
//!
//! A function of the folded change and of the manifest's head, so that whoever checks makes the same page again. It
//! loads nothing and runs nothing, and every text in it is escaped in [`html`].

mod html;
mod planned;
mod stages;

use holdpoint_common::clock::readable;

use super::manifest::Manifest;
use crate::change::fold::Decided;
use crate::change::{BoardRole, Change, State, Verdict};
use html::{Cell, Look, Page};

/// The page.
pub(super) fn page(change: &Change, manifest: &Manifest) -> String {
    let mut page = Page::new(&format!("Evidence of change {}: {}", change.id, change.plan.title));
    head(&mut page, change, manifest);
    planned::write(&mut page, change);
    board(&mut page, change);
    stages::write(&mut page, change);
    collateral(&mut page, change);
    tests(&mut page, change);
    attestations(&mut page, change);
    end(&mut page, change);
    steps(&mut page, change);
    how_to_check(&mut page, manifest);
    page.finish()
}

fn head(page: &mut Page, change: &Change, manifest: &Manifest) {
    page.facts([
        ("Change", change.id.clone()),
        ("State", change.state.to_string()),
        ("Zone", manifest.zone.clone()),
        ("Made", format!("{} by {}", manifest.exported, manifest.made_by)),
        ("Plan, SHA-256", change.plan_digest.to_string()),
        ("Audit log", format!("entries {} to {}", manifest.log.first, manifest.log.last)),
        ("Chain value at the last entry", manifest.log.head.clone()),
        ("Audit key (Ed25519)", manifest.audit_key.clone()),
        (
            "Rows of snapshots",
            match manifest.policy {
                super::Policy::Rows => "in this file".to_owned(),
                super::Policy::Digests => "not in this file, by policy: digests alone".to_owned(),
            },
        ),
    ]);
    let whole = || change.stages.iter().flat_map(|it| &it.verdicts).filter(|it| it.expectation.is_empty());
    page.table(
        ["Verdict", "Targets"],
        Verdict::ALL.iter().filter(|it| **it != Verdict::AttestedOnly).filter_map(|verdict| {
            let count = whole().filter(|it| it.verdict == verdict.as_str()).count();
            (count > 0).then(|| [verdict_cell(verdict.as_str()), count.to_string().into()])
        }),
        "No target has a verdict of the machine.",
    );
    let attested = whole().filter(|it| it.verdict == Verdict::AttestedOnly.as_str()).count();
    if attested > 0 {
        page.paragraph(&format!(
            "Apart from these, {attested} targets are attested by persons and were seen by no machine."
        ));
    }
    page.note("This page is made of the entries in audit.bin; where the two differ, the entries count.");
}

fn board(page: &mut Page, change: &Change) {
    page.heading("Who decided");
    page.table(
        ["Role", "Person", "Signed as", "Taken in", "Rollback verified", "Words", "Decision, SHA-256"],
        change.sign_offs.values().map(|it| {
            let verified = if it.rollback_verified { "yes" } else { "" };
            let Decided { role, person, operator, at_ms, text, digest, .. } = it;
            [
                role.into(),
                person.into(),
                operator.into(),
                readable(*at_ms).into(),
                verified.into(),
                text.into(),
                digest.to_string().into(),
            ]
        }),
        "Nobody has signed.",
    );
    let missing: Vec<&str> = change.missing_roles().into_iter().map(BoardRole::as_str).collect();
    if !missing.is_empty() {
        page.paragraph(&format!("Not signed by: {}.", missing.join(", ")));
    }
    if !change.vetoes.is_empty() {
        page.subheading("Vetoes");
        page.table(["Role", "Person", "Taken in", "Words"], change.vetoes.iter().map(by), "");
    }
    if !change.meetings.is_empty() {
        page.subheading("Meetings of the board");
        page.table(
            ["Held", "Present", "Minutes"],
            change.meetings.iter().map(|(held, present, minutes)| {
                [readable(*held).into(), present.join(", ").into(), minutes.into()]
            }),
            "",
        );
    }
}

fn by(it: &Decided) -> [Cell; 4] {
    [(&it.role).into(), (&it.person).into(), readable(it.at_ms).into(), (&it.text).into()]
}

fn collateral(page: &mut Page, change: &Change) {
    page.heading("What moved and was not declared");
    page.table(
        ["No.", "Stage", "Target", "Section", "Item", "Before", "After", "Explained by", "Explanation"],
        change.collateral.iter().map(|it| {
            let item = &it.item;
            let value = |it: &Option<String>| it.clone().unwrap_or_else(|| "not there".to_owned());
            let (who, why) = match &it.explained {
                Some(it) => (Cell::from(&it.person), Cell::from(&it.text)),
                None => (Cell::new("open", Look::Bad), Cell::from("")),
            };
            [
                item.number.to_string().into(),
                item.stage.to_string().into(),
                (&item.asset).into(),
                stages::section(item.kind).into(),
                (&item.item).into(),
                value(&item.before).into(),
                value(&item.after).into(),
                who,
                why,
            ]
        }),
        "Nothing was found.",
    );
}

fn tests(page: &mut Page, change: &Change) {
    page.heading("Functional tests");
    for run in &change.tests {
        let passed = if run.passed { "passed" } else { "did not pass" };
        page.subheading(&format!("{}: {passed}", run.test.procedure));
        page.paragraph(&format!(
            "Signed by {} as {}, {}. {}",
            run.by.person,
            run.by.role,
            readable(run.by.at_ms),
            run.by.text
        ));
        let procedure = change.plan.tests.iter().find(|it| it.id == run.test.procedure);
        page.table(
            ["Step", "What is done", "Limits", "Observed", "Result"],
            run.test.steps.iter().map(|it| {
                let step = procedure.and_then(|procedure| procedure.steps.iter().find(|at| at.id == it.step));
                let look = if it.passed { Look::Good } else { Look::Bad };
                [
                    (&it.step).into(),
                    step.map(|it| it.text.clone()).unwrap_or_default().into(),
                    step.map(|it| it.limits.to_string()).unwrap_or_default().into(),
                    (&it.observed).into(),
                    Cell::new(if it.passed { "pass" } else { "fail" }, look),
                ]
            }),
            "No step was recorded.",
        );
    }
    if change.tests.is_empty() {
        page.note("None is recorded.");
    }
}

fn attestations(page: &mut Page, change: &Change) {
    page.heading("Attested by persons, seen by no machine (grade E)");
    page.table(
        ["Stage", "Target", "Expectation", "Claim", "Person", "Role", "Method", "Artefact", "Its SHA-256"],
        change.attestations.iter().map(|it| {
            let word = &it.word;
            [
                it.stage.to_string().into(),
                (&word.asset).into(),
                (&word.expectation).into(),
                (&word.claim).into(),
                (&it.by.person).into(),
                (&it.by.role).into(),
                (&word.method).into(),
                (&word.artefact).into(),
                stages::hex(&word.artefact_digest).into(),
            ]
        }),
        "Nothing was attested.",
    );
}

fn end(page: &mut Page, change: &Change) {
    page.heading("How it ended");
    let closed = change.closed.as_ref();
    page.facts([
        ("State", change.state.to_string()),
        ("Reason", closed.map(|it| it.reason.clone()).unwrap_or_default()),
        (
            "Later reports are compared until",
            closed.filter(|it| it.soak_until_ms > 0).map(|it| readable(it.soak_until_ms)).unwrap_or_default(),
        ),
        ("Lessons", change.lessons.clone().unwrap_or_default()),
    ]);
    if !change.state.has_ended() && change.state != State::Vetoed {
        page.subheading("What stands in the way of closing");
        page.list(change.open_for_closure());
    }
    if !change.regressions.is_empty() {
        page.subheading("Old states that came back");
        page.table(
            ["Target", "Expectation", "Seen", "Verdict that no longer holds"],
            change.regressions.iter().map(|it| {
                let revision = format!("entry {} of the change", it.verdict_revision);
                [(&it.asset).into(), (&it.expectation).into(), (&it.text).into(), revision.into()]
            }),
            "",
        );
    }
}

fn steps(page: &mut Page, change: &Change) {
    page.heading("Every entry");
    page.table(
        ["No.", "Audit log", "Written", "By", "What", "In words"],
        change.steps.iter().map(|it| {
            [
                it.revision.to_string().into(),
                it.audit_number.to_string().into(),
                readable(it.at_ms).into(),
                (&it.by).into(),
                (&it.action).into(),
                (&it.text).into(),
            ]
        }),
        "There is none.",
    );
}

fn how_to_check(page: &mut Page, manifest: &Manifest) {
    page.heading("How to check it");
    page.list([
        "Run `holdpoint evidence check FILE` on any machine; it needs no collector and no network. It says what the \
         file proves, and what it does not."
            .to_owned(),
        format!(
            "Ask the zone for its audit key by another way than this file came, and compare it with {}.",
            manifest.audit_key
        ),
        format!(
            "Ask the collector for its audit log's chain value at entry {}: it has to be {}.",
            manifest.log.last, manifest.log.head
        ),
        "Without Holdpoint: unpack the file, compare each member's SHA-256 with manifest.json, and verify manifest.sig \
         (Ed25519) over the text `holdpoint evidence 1`, a zero byte, and the SHA-256 of manifest.json."
            .to_owned(),
    ]);
}

/// A verdict, looking as what it says.
fn verdict_cell(word: &str) -> Cell {
    let look = match Verdict::named(word) {
        Some(it) if it.fails() => Look::Bad,
        Some(it) if it.closes() => Look::Good,
        Some(_) | None => Look::Open,
    };
    Cell::new(word, look)
}
