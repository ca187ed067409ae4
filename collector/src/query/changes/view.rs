//! Changes as messages.

use holdpoint_common::proto::store::{PreflightCheck, Regressed, TargetVerdict};
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::row::{SectionKind, section_name};

use crate::change::fold::{Change, Collateral, Decided, Stage, Target, TestRun};
use crate::change::plan::{Expectation, Wanted};
use crate::change::{BoardRole, StageState, State, Verdict};

/// A change in short.
pub(super) fn summary(change: &Change) -> pb::ChangeSummary {
    let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
    pb::ChangeSummary {
        id: change.id.clone(),
        title: change.plan.title.clone(),
        state: change.state.as_str().to_owned(),
        assets: count(change.stages.iter().map(|it| it.targets.len()).sum()),
        stages: count(change.stages.len()),
        window_start_ms: change.plan.window.map(|it| it.start_ms),
        window_end_ms: change.plan.window.map(|it| it.end_ms),
        next: next(change),
    }
}

/// A whole change.
pub(super) fn change(change: &Change) -> pb::Change {
    let numbered = (1..).zip(&change.stages);
    pb::Change {
        id: change.id.clone(),
        title: change.plan.title.clone(),
        state: change.state.as_str().to_owned(),
        plan_digest: change.plan_digest.to_vec(),
        plan: change.text.clone(),
        stages: numbered.clone().map(|(number, it)| stage(change, number, it)).collect(),
        sign_offs: change.sign_offs.values().map(sign_off).collect(),
        vetoes: change.vetoes.iter().map(sign_off).collect(),
        missing_roles: change.missing_roles().iter().map(|it| it.as_str().to_owned()).collect(),
        verdicts: numbered
            .flat_map(|(number, it)| it.verdicts.iter().map(move |it| verdict(number, it)))
            .chain(change.regressions.iter().map(regressed))
            .collect(),
        collateral: change.collateral.iter().map(collateral).collect(),
        tests: change.tests.iter().map(|it| test(change, it)).collect(),
        procedures: change.plan.tests.iter().map(|it| format!("{}: {}", it.id, it.title)).collect(),
        steps: change
            .steps
            .iter()
            .map(|it| pb::ChangeStep {
                revision: it.revision,
                audit_number: it.audit_number,
                at_ms: it.at_ms,
                by: it.by.clone(),
                action: it.action.clone(),
                text: it.text.clone(),
            })
            .collect(),
        window_start_ms: change.plan.window.map(|it| it.start_ms),
        window_end_ms: change.plan.window.map(|it| it.end_ms),
        hard_stop_ms: change.plan.window.map(|it| it.hard_stop_ms),
        latest_rollback_ms: change.plan.window.map(|it| it.latest_rollback_ms),
        blocked_by: blocked_by(change),
        next: next(change),
        meetings: change.meetings.iter().map(|it| it.2.clone()).collect(),
        lessons: change.lessons.clone().unwrap_or_default(),
        soak_until_ms: change.closed.as_ref().map(|it| it.soak_until_ms),
        revision: change.revision,
        refers_to: change.plan.refers_to.clone().unwrap_or_default(),
    }
}

/// How the targets of a stage stand.
pub(super) fn targets(change: &Change, number: u32) -> Vec<pb::StageTarget> {
    let Some(stage) = change.stage(number) else { return Vec::new() };
    stage.targets.iter().map(|(asset, it)| target(change, number, asset, it)).collect()
}

fn target(change: &Change, number: u32, asset: &str, target: &Target) -> pb::StageTarget {
    let pre = match target {
        Target { pre: Some(_), .. } => "taken",
        Target { left_out: Some(_), .. } => "left-out",
        Target { pre_asked: Some(_), .. } => "waiting",
        Target { pre_asked: None, .. } => "missing",
    };
    let post = match target {
        Target { post: Some(_), .. } => "taken",
        Target { refused: Some((why, _)), .. } => why.as_str(),
        Target { post_asked: Some(_), .. } => "waiting",
        Target { post_asked: None, .. } => "not-asked",
    };
    pb::StageTarget {
        asset: asset.to_owned(),
        pre: pre.to_owned(),
        post: post.to_owned(),
        pre_sequence: target.pre.as_ref().map(|it| it.sequence),
        post_sequence: target.post.as_ref().map(|it| it.sequence),
        pre_boot_id: target.pre.as_ref().map(|it| it.boot_id.clone()),
        post_boot_id: target.post.as_ref().map(|it| it.boot_id.clone()),
        attested: change.is_attested(number, asset),
    }
}

fn stage(change: &Change, number: u32, stage: &Stage) -> pb::ChangeStage {
    let planned = change.planned_stage(number).ok();
    let points = planned.iter().flat_map(|it| &it.points);
    let expectations = planned.iter().flat_map(|it| &it.expectations);
    pb::ChangeStage {
        n: number,
        title: planned.map(|it| it.title.clone()).unwrap_or_default(),
        state: stage.state().as_str().to_owned(),
        tier: planned.map(|it| it.tier.as_str().to_owned()).unwrap_or_default(),
        targets: targets(change, number),
        preflight: stage.preflight.iter().map(check).collect(),
        r#override: stage.overridden.clone(),
        points: points
            .map(|it| pb::StagePoint {
                name: it.name.clone(),
                kind: if it.holds { "hold" } else { "witness" }.to_owned(),
                released: stage.released.contains_key(&it.name),
                by: stage.released.get(&it.name).cloned().unwrap_or_default(),
            })
            .collect(),
        answers_until_ms: stage.answers_until_ms,
        expectations: expectations
            .filter_map(|&it| change.plan.expectations.get(it))
            .map(|it| format!("{}: {}", it.id, wanted(it)))
            .collect(),
    }
}

/// An expectation in words.
fn wanted(expectation: &Expectation) -> String {
    match &expectation.wanted {
        Wanted::AtLeast(it) => format!("{} {}", it.product(), it.required()),
        Wanted::NotAffected { subject, control: None } => format!("{subject} no longer affects"),
        Wanted::NotAffected { subject, control: Some(_) } => {
            format!("{subject} no longer affects, or its control works")
        }
        Wanted::Fact(it) => crate::triage::control::Typed(it).to_string(),
        Wanted::Absent { name, .. } => format!("{} is not installed", name.as_str()),
        Wanted::ServiceRunning(name) => format!("{name} runs"),
        Wanted::Listener { protocol, port, open } => {
            let protocol = match protocol {
                crate::change::plan::Protocol::Tcp => "tcp",
                crate::change::plan::Protocol::Udp => "udp",
            };
            format!("{protocol}/{port} is {}", if *open { "open" } else { "closed" })
        }
        Wanted::Restarted => "the host was restarted".to_owned(),
    }
}

fn check(it: &PreflightCheck) -> pb::Check {
    pb::Check {
        check: it.check.clone(),
        asset: it.asset.clone(),
        result: it.result.clone(),
        text: it.text.clone(),
    }
}

fn sign_off(it: &Decided) -> pb::SignOff {
    pb::SignOff {
        role: it.role.clone(),
        person: it.person.clone(),
        operator: it.operator.clone(),
        at_ms: it.at_ms,
        text: it.text.clone(),
        rollback_verified: it.rollback_verified,
        digest: it.digest.to_vec(),
    }
}

fn verdict(stage: u32, it: &TargetVerdict) -> pb::ChangeVerdict {
    let evidence = it.evidence.iter().map(|it| pb::ChangeEvidence {
        phase: it.phase.clone(),
        what: it.what.clone(),
        value: it.value.clone(),
        digest: it.digest.clone(),
        section: section(it.kind),
    });
    pb::ChangeVerdict {
        asset: it.asset.clone(),
        expectation: it.expectation.clone(),
        verdict: it.verdict.clone(),
        reason: it.reason.clone(),
        modifiers: it.modifiers.clone(),
        text: it.text.clone(),
        evidence: evidence.collect(),
        grade: it.grade.clone(),
        stage,
    }
}

/// What came back after the work, beside the verdict that it was gone.
fn regressed(it: &Regressed) -> pb::ChangeVerdict {
    pb::ChangeVerdict {
        asset: it.asset.clone(),
        expectation: it.expectation.clone(),
        verdict: Verdict::Regressed.as_str().to_owned(),
        text: it.text.clone(),
        ..pb::ChangeVerdict::default()
    }
}

fn section(kind: i32) -> String {
    SectionKind::try_from(kind).map(|it| section_name(it).to_owned()).unwrap_or_default()
}

fn collateral(it: &Collateral) -> pb::Collateral {
    pb::Collateral {
        number: it.item.number,
        stage: it.item.stage,
        asset: it.item.asset.clone(),
        section: section(it.item.kind),
        item: it.item.item.clone(),
        before: it.item.before.clone(),
        after: it.item.after.clone(),
        explained_by: it.explained.as_ref().map(|it| it.person.clone()).unwrap_or_default(),
        explanation: it.explained.as_ref().map(|it| it.text.clone()).unwrap_or_default(),
    }
}

fn test(change: &Change, run: &TestRun) -> pb::TestRun {
    let procedure = change.plan.tests.iter().find(|it| it.id == run.test.procedure);
    let limits = |step: &str| {
        let step = procedure.and_then(|it| it.steps.iter().find(|it| it.id == step));
        step.map(|it| it.limits.to_string()).unwrap_or_default()
    };
    pb::TestRun {
        procedure: run.test.procedure.clone(),
        person: run.by.person.clone(),
        role: run.by.role.clone(),
        at_ms: run.by.at_ms,
        passed: run.passed,
        steps: run
            .test
            .steps
            .iter()
            .map(|it| pb::TestStep {
                step: it.step.clone(),
                observed: it.observed.clone(),
                limits: limits(&it.step),
                passed: it.passed,
            })
            .collect(),
    }
}

/// What stands in the way of the next step.
fn blocked_by(change: &Change) -> Vec<String> {
    match change.state {
        State::Draft => {
            change.plan.missing().into_iter().map(|it| format!("the plan does not say {it}")).collect()
        }
        State::InReview => {
            change.missing_roles().into_iter().map(|it| format!("{it} has not signed")).collect()
        }
        State::Verified => change.open_for_closure(),
        State::Authorised | State::InProgress => {
            stage_in_turn(change).map(|(number, stage)| held_by(change, number, stage)).unwrap_or_default()
        }
        State::Closed | State::Vetoed | State::ClosedUnremediated | State::RolledBack => Vec::new(),
    }
}

fn held_by(change: &Change, number: u32, stage: &Stage) -> Vec<String> {
    let waiting = |phase: &str, wanted: fn(&Target) -> bool| {
        let of = stage.targets.iter().filter(|it| wanted(it.1)).map(|it| it.0.as_str()).collect::<Vec<_>>();
        let text = format!("stage {number} waits for the {phase}-snapshot of {}", of.join(", "));
        (!of.is_empty()).then_some(text)
    };
    match stage.state() {
        StageState::Pending if stage.is_opened() => {
            waiting("pre", |it| it.pre.is_none() && it.left_out.is_none()).into_iter().collect()
        }
        StageState::Pending => {
            let points = change.planned_stage(number).map(|it| it.points.clone()).unwrap_or_default();
            let held = points.into_iter().filter(|it| it.holds && !stage.released.contains_key(&it.name));
            held.map(|it| format!("the hold point `{}` of stage {number} is not released", it.name)).collect()
        }
        StageState::WorkComplete => waiting("post", Target::is_waited_for).into_iter().collect(),
        StageState::Open | StageState::Verified | StageState::Failed | StageState::Inconclusive => Vec::new(),
    }
}

/// The first stage that is not verified.
fn stage_in_turn(change: &Change) -> Option<(u32, &Stage)> {
    (1..).zip(&change.stages).find(|it| it.1.state() != StageState::Verified)
}

/// What has to be done next, in one sentence.
fn next(change: &Change) -> String {
    let id = &change.id;
    match change.state {
        State::Draft => format!("put it before the board: holdpoint change submit {id}"),
        State::InReview => {
            let role = change.missing_roles().first().copied().unwrap_or(BoardRole::OtSecurity);
            format!("the board signs: holdpoint change sign {id} --role {role}")
        }
        State::Authorised | State::InProgress => match stage_in_turn(change) {
            None => format!("holdpoint change show {id}"),
            Some((number, stage)) => match stage.state() {
                StageState::Pending if stage.is_opened() => {
                    format!("wait for the pre-snapshots of stage {number}")
                }
                StageState::Pending => format!("in the window: holdpoint change open {id} --stage {number}"),
                StageState::Open => {
                    format!("work on stage {number}, then: holdpoint change complete {id} --stage {number}")
                }
                StageState::WorkComplete => format!("holdpoint change verify {id} --stage {number}"),
                StageState::Failed | StageState::Inconclusive | StageState::Verified => format!(
                    "put it right and ask again (holdpoint change complete {id} --stage {number}), or go back \
                     (holdpoint change rollback {id} --stage {number})"
                ),
            },
        },
        State::Verified if change.open_for_closure().is_empty() => format!("holdpoint change close {id}"),
        State::Verified => "settle what is open, then close it".to_owned(),
        State::Vetoed => "vetoed: verify what was begun; a new change may refer to this one".to_owned(),
        State::Closed | State::ClosedUnremediated | State::RolledBack => {
            format!("ended: holdpoint evidence export {id} --out FILE")
        }
    }
}
