//! Changes: `change list`, and `change show` and everything else that ends with the change as it stands then.

use std::path::Path;

use holdpoint_collector::change::Verdict;
use holdpoint_common::proto::store::Decision;
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::section::Digest;
use serde::Serialize;

use super::{hex, joined, number, short_time, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// A change in a list.
#[derive(Debug, Serialize)]
pub struct Listed {
    id: String,
    title: String,
    state: String,
    next: Option<String>,
    assets: u32,
    stages: u32,
    window_start: Option<String>,
    window_end: Option<String>,
}

/// A change as it stands.
#[derive(Debug, Serialize)]
pub struct Change {
    id: String,
    title: String,
    state: String,
    next: Option<String>,
    blocked_by: Vec<String>,
    stages: Vec<Stage>,
    sign_offs: Vec<SignOff>,
    missing_roles: Vec<String>,
    vetoes: Vec<SignOff>,
    verdicts: Vec<Judged>,
    collateral: Vec<Moved>,
    tests: Vec<TestRun>,
    procedures: Vec<String>,
    meetings: Vec<String>,
    lessons: Option<String>,
    plan_digest: Option<String>,
    plan: Option<String>,
    refers_to: Option<String>,
    window: Window,
    soak_until: Option<String>,
    revision: u64,
    log: Vec<Step>,
}

/// The agreed time.
#[derive(Debug, Serialize)]
pub struct Window {
    start: Option<String>,
    latest_rollback: Option<String>,
    hard_stop: Option<String>,
    end: Option<String>,
}

/// A stage as it stands.
#[derive(Debug, Serialize)]
pub struct Stage {
    n: u32,
    state: String,
    title: String,
    tier: String,
    targets: Vec<Target>,
    preflight: Vec<Check>,
    #[serde(rename = "override")]
    overridden: Option<String>,
    points: Vec<Point>,
    answers_until: Option<String>,
    expectations: Vec<String>,
}

/// A target of a stage.
#[derive(Debug, Serialize)]
pub struct Target {
    asset: String,
    pre: String,
    post: String,
    pre_sequence: Option<u64>,
    post_sequence: Option<u64>,
    pre_boot_id: Option<String>,
    post_boot_id: Option<String>,
    attested: bool,
}

/// Something that was looked at before a stage opened.
#[derive(Debug, Serialize)]
pub struct Check {
    check: String,
    asset: Option<String>,
    result: String,
    text: Option<String>,
}

/// A hold point or a witness point.
#[derive(Debug, Serialize)]
pub struct Point {
    name: String,
    kind: String,
    released: bool,
    by: Option<String>,
}

/// A signature of the board.
#[derive(Debug, Serialize)]
pub struct SignOff {
    role: String,
    person: String,
    operator: String,
    at: Option<String>,
    text: Option<String>,
    rollback_verified: bool,
    digest: Option<String>,
}

/// A verdict about a target and an expectation, or about a target as a whole.
#[derive(Debug, Serialize)]
pub struct Judged {
    stage: u32,
    asset: String,
    expectation: Option<String>,
    verdict: String,
    reason: Option<String>,
    modifiers: Vec<String>,
    text: Option<String>,
    evidence: Vec<Evidence>,
    grade: Option<String>,
}

/// What a verdict rests on.
#[derive(Debug, Serialize)]
pub struct Evidence {
    phase: String,
    what: String,
    value: Option<String>,
    digest: Option<String>,
    section: Option<String>,
}

/// Something that moved beside the plan.
#[derive(Debug, Serialize)]
pub struct Moved {
    number: u32,
    stage: u32,
    asset: String,
    section: String,
    item: String,
    before: Option<String>,
    after: Option<String>,
    explained_by: Option<String>,
    explanation: Option<String>,
}

/// A functional test as it was recorded.
#[derive(Debug, Serialize)]
pub struct TestRun {
    procedure: String,
    person: String,
    role: String,
    at: Option<String>,
    passed: bool,
    steps: Vec<TestStep>,
}

/// What came out of one step.
#[derive(Debug, Serialize)]
pub struct TestStep {
    step: String,
    observed: String,
    limits: Option<String>,
    passed: bool,
}

/// An entry of the audit log.
#[derive(Debug, Serialize)]
pub struct Step {
    revision: u64,
    audit_number: u64,
    at: Option<String>,
    by: String,
    action: String,
    text: Option<String>,
}

/// A signed decision that waits to be carried.
#[derive(Debug, Serialize)]
pub struct Carried {
    file: String,
    change: String,
    kind: String,
    role: Option<String>,
    by: String,
    plan_digest: Option<String>,
    digest: Option<String>,
}

/// The skeleton of a plan.
#[derive(Debug, Serialize)]
pub struct Written {
    file: String,
    subject: String,
    assets: usize,
    stages: usize,
}

impl From<pb::ChangeSummary> for Listed {
    fn from(wire: pb::ChangeSummary) -> Self {
        let pb::ChangeSummary { id, title, state, assets, stages, window_start_ms, window_end_ms, next } =
            wire;
        Self {
            id,
            title,
            state,
            next: text(next),
            assets,
            stages,
            window_start: window_start_ms.and_then(time),
            window_end: window_end_ms.and_then(time),
        }
    }
}

impl From<pb::Change> for Change {
    fn from(wire: pb::Change) -> Self {
        let pb::Change {
            id,
            title,
            state,
            plan_digest,
            plan,
            stages,
            sign_offs,
            vetoes,
            missing_roles,
            verdicts,
            collateral,
            tests,
            procedures,
            steps,
            window_start_ms,
            window_end_ms,
            hard_stop_ms,
            latest_rollback_ms,
            blocked_by,
            next,
            meetings,
            lessons,
            soak_until_ms,
            revision,
            refers_to,
        } = wire;
        Self {
            id,
            title,
            state,
            next: text(next),
            blocked_by,
            stages: stages.into_iter().map(Stage::from).collect(),
            sign_offs: sign_offs.into_iter().map(SignOff::from).collect(),
            missing_roles,
            vetoes: vetoes.into_iter().map(SignOff::from).collect(),
            verdicts: verdicts.into_iter().map(Judged::from).collect(),
            collateral: collateral.into_iter().map(Moved::from).collect(),
            tests: tests.into_iter().map(TestRun::from).collect(),
            procedures,
            meetings,
            lessons: text(lessons),
            plan_digest: hex(&plan_digest),
            plan: text(plan),
            refers_to: text(refers_to),
            window: Window {
                start: window_start_ms.and_then(time),
                latest_rollback: latest_rollback_ms.and_then(time),
                hard_stop: hard_stop_ms.and_then(time),
                end: window_end_ms.and_then(time),
            },
            soak_until: soak_until_ms.and_then(time),
            revision,
            log: steps.into_iter().map(Step::from).collect(),
        }
    }
}

impl From<pb::ChangeStage> for Stage {
    fn from(wire: pb::ChangeStage) -> Self {
        let pb::ChangeStage {
            n,
            title,
            state,
            tier,
            targets,
            preflight,
            r#override,
            points,
            answers_until_ms,
            expectations,
        } = wire;
        let check = |pb::Check { check, asset, result, text: said }| Check {
            check,
            asset: text(asset),
            result,
            text: text(said),
        };
        let point =
            |pb::StagePoint { name, kind, released, by }| Point { name, kind, released, by: text(by) };
        Self {
            n,
            state,
            title,
            tier,
            targets: targets.into_iter().map(Target::from).collect(),
            preflight: preflight.into_iter().map(check).collect(),
            overridden: text(r#override),
            points: points.into_iter().map(point).collect(),
            answers_until: answers_until_ms.and_then(time),
            expectations,
        }
    }
}

impl From<pb::StageTarget> for Target {
    fn from(wire: pb::StageTarget) -> Self {
        let pb::StageTarget {
            asset,
            pre,
            post,
            pre_sequence,
            post_sequence,
            pre_boot_id,
            post_boot_id,
            attested,
        } = wire;
        Self {
            asset,
            pre,
            post,
            pre_sequence,
            post_sequence,
            pre_boot_id: some_text(pre_boot_id),
            post_boot_id: some_text(post_boot_id),
            attested,
        }
    }
}

impl From<pb::SignOff> for SignOff {
    fn from(wire: pb::SignOff) -> Self {
        let pb::SignOff { role, person, operator, at_ms, text: said, rollback_verified, digest } = wire;
        Self {
            role,
            person,
            operator,
            at: time(at_ms),
            text: text(said),
            rollback_verified,
            digest: hex(&digest),
        }
    }
}

impl From<pb::ChangeVerdict> for Judged {
    fn from(wire: pb::ChangeVerdict) -> Self {
        let pb::ChangeVerdict {
            asset,
            expectation,
            verdict,
            reason,
            modifiers,
            text: said,
            evidence,
            grade,
            stage,
        } = wire;
        let evidence = evidence.into_iter().map(|it| {
            let pb::ChangeEvidence { phase, what, value, digest, section } = it;
            Evidence { phase, what, value: text(value), digest: hex(&digest), section: text(section) }
        });
        Self {
            stage,
            asset,
            expectation: text(expectation),
            verdict,
            reason: text(reason),
            modifiers,
            text: text(said),
            evidence: evidence.collect(),
            grade: text(grade),
        }
    }
}

impl From<pb::Collateral> for Moved {
    fn from(wire: pb::Collateral) -> Self {
        let pb::Collateral { number, stage, asset, section, item, before, after, explained_by, explanation } =
            wire;
        Self {
            number,
            stage,
            asset,
            section,
            item,
            before: some_text(before),
            after: some_text(after),
            explained_by: text(explained_by),
            explanation: text(explanation),
        }
    }
}

impl From<pb::TestRun> for TestRun {
    fn from(wire: pb::TestRun) -> Self {
        let pb::TestRun { procedure, person, role, at_ms, passed, steps } = wire;
        let step = |pb::TestStep { step, observed, limits, passed }| TestStep {
            step,
            observed,
            limits: text(limits),
            passed,
        };
        let steps = steps.into_iter().map(step).collect();
        Self { procedure, person, role, at: time(at_ms), passed, steps }
    }
}

impl From<pb::ChangeStep> for Step {
    fn from(wire: pb::ChangeStep) -> Self {
        let pb::ChangeStep { revision, audit_number, at_ms, by, action, text: said } = wire;
        Self { revision, audit_number, at: time(at_ms), by, action, text: text(said) }
    }
}

impl Carried {
    /// A decision that was signed by `by` and written to `file`.
    pub fn new(decision: &Decision, by: String, file: &Path, digest: &Digest) -> Self {
        Self {
            file: file.display().to_string(),
            change: decision.change.clone(),
            kind: decision.kind.clone(),
            role: text(decision.role.clone()),
            by,
            plan_digest: hex(&decision.plan_digest),
            digest: hex(digest.as_bytes()),
        }
    }
}

impl Written {
    /// A skeleton with what stands in it.
    pub fn new(subject: &str, file: &Path, assets: usize, stages: usize) -> Self {
        Self { file: file.display().to_string(), subject: subject.to_owned(), assets, stages }
    }
}

impl Change {
    /// Whether a stage is in a state.
    pub fn stage_is(&self, number: u32, state: &str) -> bool {
        self.stages.iter().any(|it| it.n == number && it.state == state)
    }

    /// Whether every target of a stage has a verdict of its own, and every verdict of the stage allows closing. A
    /// word that this version does not know does not.
    pub fn closes(&self, number: u32) -> bool {
        let Some(stage) = self.stages.iter().find(|it| it.n == number) else { return false };
        let judged: Vec<&Judged> = self.verdicts.iter().filter(|it| it.stage == number).collect();
        let has_its_own =
            |target: &Target| judged.iter().any(|it| it.asset == target.asset && it.expectation.is_none());
        !stage.targets.is_empty()
            && stage.targets.iter().all(has_its_own)
            && judged.iter().all(|it| Verdict::named(&it.verdict).is_some_and(Verdict::closes))
    }

    /// Its entries of the audit log.
    pub fn into_log(self) -> Vec<Step> {
        self.log
    }

    fn stages_table(&self) -> Table {
        let mut table =
            Table::new(["stage", "title", "tier", "state", "targets", "before", "after", "waits_for"]);
        for it in &self.stages {
            let taken = |of: fn(&Target) -> &str| {
                let taken = it.targets.iter().filter(|target| of(target) == "taken").count();
                Some(format!("{taken}/{}", it.targets.len()))
            };
            let held = it.points.iter().filter(|point| point.kind == "hold" && !point.released);
            let held: Vec<String> = held.map(|it| it.name.clone()).collect();
            table.row([
                number(it.n),
                Some(it.title.clone()),
                Some(it.tier.clone()),
                Some(it.state.clone()),
                number(it.targets.len()),
                taken(|it| &it.pre),
                taken(|it| &it.post),
                joined(&held),
            ]);
        }
        table
    }

    /// What is not as it has to be before work, and targets that have not answered in a stage that is worked on.
    fn trouble_table(&self) -> Table {
        let mut table = Table::new(["stage", "asset", "check", "result", "text"]);
        for stage in &self.stages {
            for it in stage.preflight.iter().filter(|it| it.result != "pass") {
                table.row([
                    number(stage.n),
                    it.asset.clone(),
                    Some(it.check.clone()),
                    Some(it.result.clone()),
                    it.text.clone(),
                ]);
            }
            if stage.state == "pending" && stage.preflight.is_empty() {
                continue;
            }
            for it in &stage.targets {
                let (phase, state) = match (it.pre.as_str(), it.post.as_str()) {
                    ("missing" | "waiting", _) => ("before", &it.pre),
                    (_, "not-asked" | "taken") => continue,
                    _ => ("after", &it.post),
                };
                let phase = Some(format!("snapshot {phase}"));
                table.row([number(stage.n), Some(it.asset.clone()), phase, Some(state.clone()), None]);
            }
        }
        table
    }

    fn board_table(&self) -> Table {
        let mut table = Table::new(["role", "person", "at", "rollback_verified", "text"]);
        for (word, it) in self
            .sign_offs
            .iter()
            .map(|it| (it.role.clone(), it))
            .chain(self.vetoes.iter().map(|it| (format!("VETO {}", it.role), it)))
        {
            table.row([
                Some(word),
                Some(it.person.clone()),
                short_time(it.at.as_deref()),
                it.rollback_verified.then(|| "yes".to_owned()),
                it.text.clone(),
            ]);
        }
        table
    }

    fn verdicts_table(&self) -> Table {
        let mut table =
            Table::new(["stage", "asset", "expectation", "verdict", "reason", "modifiers", "grade", "text"]);
        for it in &self.verdicts {
            table.row([
                number(it.stage),
                Some(it.asset.clone()),
                it.expectation.clone(),
                Some(it.verdict.clone()),
                it.reason.clone(),
                joined(&it.modifiers),
                it.grade.clone(),
                it.text.clone(),
            ]);
        }
        table
    }

    fn collateral_table(&self) -> Table {
        let mut table =
            Table::new(["item", "stage", "asset", "section", "moved", "before", "after", "explained_by"]);
        for it in &self.collateral {
            table.row([
                number(it.number),
                number(it.stage),
                Some(it.asset.clone()),
                Some(it.section.clone()),
                Some(it.item.clone()),
                it.before.clone(),
                it.after.clone(),
                Some(it.explained_by.clone().unwrap_or_else(|| "OPEN".to_owned())),
            ]);
        }
        table
    }

    fn tests_table(&self) -> Table {
        let mut table = Table::new(["test", "result", "person", "role", "at", "observed"]);
        for it in &self.tests {
            let observed: Vec<String> =
                it.steps.iter().map(|step| format!("{} {}", step.step, step.observed)).collect();
            table.row([
                Some(it.procedure.clone()),
                Some(if it.passed { "passed" } else { "failed" }.to_owned()),
                Some(it.person.clone()),
                Some(it.role.clone()),
                short_time(it.at.as_deref()),
                joined(&observed),
            ]);
        }
        for it in &self.procedures {
            if !self.tests.iter().any(|run| run.procedure == *it) {
                table.row([Some(it.clone()), Some("not recorded".to_owned()), None, None, None, None]);
            }
        }
        table
    }
}

impl Answer for Vec<Listed> {
    fn page(&self) -> Page {
        let mut table =
            Table::new(["id", "title", "state", "next", "assets", "stages", "window_start", "window_end"]);
        for it in self {
            table.row([
                Some(it.id.clone()),
                Some(it.title.clone()),
                Some(it.state.clone()),
                it.next.clone(),
                number(it.assets),
                number(it.stages),
                short_time(it.window_start.as_deref()),
                short_time(it.window_end.as_deref()),
            ]);
        }
        Page::of(table.dense()).or_line("there is no change that goes on: --all shows those that have ended")
    }

    fn records(&self) -> Table {
        let mut table =
            Table::new(["id", "title", "state", "next", "assets", "stages", "window_start", "window_end"]);
        for it in self {
            table.row([
                Some(it.id.clone()),
                Some(it.title.clone()),
                Some(it.state.clone()),
                it.next.clone(),
                number(it.assets),
                number(it.stages),
                it.window_start.clone(),
                it.window_end.clone(),
            ]);
        }
        table
    }
}

impl Answer for Change {
    /// First what is next and what stands in the way.
    fn page(&self) -> Page {
        let mut page = Page::default().line(format!("{} {}: {}", self.id, self.state, self.title));
        if let Some(next) = &self.next {
            page = page.line(format!("next: {next}"));
        }
        for it in &self.blocked_by {
            page = page.line(format!("blocked: {it}"));
        }
        let window = self.window.start.as_deref().zip(self.window.end.as_deref());
        page.facts([
            (
                "window",
                window.and_then(|it| {
                    Some(format!("{} to {}", short_time(Some(it.0))?, short_time(Some(it.1))?))
                }),
            ),
            ("latest rollback", short_time(self.window.latest_rollback.as_deref())),
            ("hard stop", short_time(self.window.hard_stop.as_deref())),
            ("not signed by", joined(&self.missing_roles)),
            ("refers to", self.refers_to.clone()),
            ("lessons", self.lessons.clone()),
            ("soak until", short_time(self.soak_until.as_deref())),
        ])
        .table(self.verdicts_table().dense())
        .table(self.collateral_table().dense())
        .table(self.trouble_table().dense())
        .table(self.stages_table().dense())
        .table(self.board_table().dense())
        .table(self.tests_table().dense())
    }

    /// Its verdicts.
    fn records(&self) -> Table {
        self.verdicts_table()
    }
}

impl Answer for Vec<Step> {
    fn page(&self) -> Page {
        Page::of(self.records().only(&["revision", "at", "by", "action", "text"]).dense())
            .or_line("nothing was written")
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["revision", "audit_number", "at", "by", "action", "text"]);
        for it in self {
            table.row([
                number(it.revision),
                number(it.audit_number),
                it.at.clone(),
                Some(it.by.clone()),
                Some(it.action.clone()),
                it.text.clone(),
            ]);
        }
        table
    }
}

impl Answer for Carried {
    fn page(&self) -> Page {
        Page::default().rows_or_facts(self.records())
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["file", "change", "kind", "role", "by", "plan_digest", "digest"]);
        table.row([
            Some(self.file.clone()),
            Some(self.change.clone()),
            Some(self.kind.clone()),
            self.role.clone(),
            Some(self.by.clone()),
            self.plan_digest.clone(),
            self.digest.clone(),
        ]);
        table
    }
}

impl Answer for Written {
    fn page(&self) -> Page {
        Page::default().rows_or_facts(self.records())
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["file", "subject", "assets", "stages"]);
        table.row([
            Some(self.file.clone()),
            Some(self.subject.clone()),
            number(self.assets),
            number(self.stages),
        ]);
        table
    }
}

/// One line about a target for a person who waits.
pub fn progress(target: &pb::StageTarget, state: &str) -> String {
    let asset = &target.asset;
    match state {
        "taken" => {
            let sequence = target.post_sequence.or(target.pre_sequence);
            let sequence = sequence.map_or_else(String::new, |it| format!(" with report {it}"));
            format!("{asset} answered{sequence}")
        }
        "waiting" => format!("{asset} was asked"),
        "left-out" => format!("{asset} is left out"),
        "missing" | "not-asked" => format!("{asset} was not asked yet"),
        refused => format!("{asset} answered, and it does not count: {refused}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(verdicts: &[(&str, &str, &str)]) -> Change {
        let target = |asset: &str| pb::StageTarget { asset: asset.into(), ..pb::StageTarget::default() };
        let verdict = |it: &(&str, &str, &str)| pb::ChangeVerdict {
            stage: 1,
            asset: it.0.into(),
            expectation: it.1.into(),
            verdict: it.2.into(),
            ..pb::ChangeVerdict::default()
        };
        let stage =
            pb::ChangeStage { n: 1, targets: vec![target("a"), target("b")], ..pb::ChangeStage::default() };
        Change::from(pb::Change {
            stages: vec![stage],
            verdicts: verdicts.iter().map(verdict).collect(),
            ..pb::Change::default()
        })
    }

    #[test]
    fn a_stage_closes_only_when_every_verdict_does_and_nobody_is_forgotten() {
        let good = [("a", "", "REMEDIATED"), ("a", "x", "ALREADY_REMEDIATED"), ("b", "", "ATTESTED_ONLY")];
        assert!(change(&good).closes(1));
        assert!(!change(&good).closes(2), "there is no such stage");
        assert!(!change(&good[..2]).closes(1), "b was not judged");
        assert!(!change(&[]).closes(1));
        for word in ["INCONCLUSIVE", "NOT_ASSESSED", "FINE", ""] {
            let mut verdicts = good.to_vec();
            verdicts.push(("b", "x", word));
            assert!(!change(&verdicts).closes(1), "{word}");
        }
    }

    #[test]
    fn a_page_begins_with_what_is_next_and_what_stands_in_the_way() {
        let wire = pb::Change {
            id: "CHG-0001".into(),
            title: "OpenSSL".into(),
            state: "in_review".into(),
            next: "sign".into(),
            blocked_by: vec!["operations has not signed".into()],
            ..pb::Change::default()
        };
        let text = crate::output::Output::plain(crate::args::Format::Table, None)
            .render(&Change::from(wire))
            .unwrap();
        assert_eq!(text, "CHG-0001 in_review: OpenSSL\nnext: sign\nblocked: operations has not signed\n");
    }

    #[test]
    fn a_refused_answer_is_told_with_its_reason() {
        let target = pb::StageTarget { asset: "a".into(), ..pb::StageTarget::default() };
        assert_eq!(progress(&target, "REPLAYED"), "a answered, and it does not count: REPLAYED");
        let target = pb::StageTarget { post_sequence: Some(7), ..target };
        assert_eq!(progress(&target, "taken"), "a answered with report 7");
    }
}
