//! Two snapshots of each target against what is expected: the verdicts of a stage.
//!
//! Pure. Source of the words and of the evidence that each needs: `verdicts.md`. What stands before any comparison
//! (who answered, whether it may be believed) is `doubt`'s; what two readings come to is `pair`'s; what moved
//! beside is [`super::collateral`]'s.

use std::sync::Arc;

use holdpoint_common::proto::store::{CollateralItem, Evidence, Regressed, TargetVerdict};
use holdpoint_common::row::SectionKind;

use crate::assess::RowSource;
use crate::knowledge::{AllowedAges, Knowledge};
use crate::zone::Grade;

use super::collateral::{self, Declared};
use super::expectation::{Expectations, Finding, Pair, Reading, evidence};
use super::fold::{Change, Stage, Target};
use super::plan;
use super::snapshot::Snapshot;
use super::word::{COLLATERAL_CHANGE, Verdict, Why};

mod doubt;
mod pair;

use pair::{Circumstances, Said};

/// The judge, as it is named beside its verdicts. Its number rises whenever the same snapshots would get another
/// verdict or show another collateral change: evidence that was judged by another number is not held against this one.
pub const JUDGE: &str = concat!("holdpoint-collector ", env!("CARGO_PKG_VERSION"), ", judge 1");

/// Everything that a verdict depends on.
pub struct Question<'a> {
    /// The change.
    pub change: &'a Change,
    /// Which stage, from 1.
    pub stage: u32,
    /// Where rows are read.
    pub rows: Arc<dyn RowSource>,
    /// What is known now.
    pub knowledge: &'a Arc<Knowledge>,
    /// How old it may be.
    pub ages: &'a AllowedAges,
    /// Unix milliseconds.
    pub now_ms: i64,
    /// The role of an asset.
    pub role: &'a dyn Fn(&str) -> Option<String>,
    /// Digests of the advisories and requirements that expectations name, as they are now.
    pub rules: &'a [(String, Vec<u8>)],
}

/// What is said of a stage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judged {
    /// Of each target: one for each expectation, and one as a whole with an empty expectation.
    pub verdicts: Vec<TargetVerdict>,
    /// What moved and was not declared, numbered on from what the change has.
    pub collateral: Vec<CollateralItem>,
}

/// Judges a stage.
///
/// # Errors
/// One sentence on why rows cannot be read now.
pub fn judge(question: &Question<'_>) -> Result<Judged, String> {
    let mut bench = Bench::of(question)?;
    let mut judged = Judged::default();
    for (asset, target) in &bench.stage.targets {
        let (verdicts, moved) = bench.expectations_of(asset, target)?;
        judged.verdicts.extend(verdicts);
        judged.collateral.extend(moved);
    }
    for (number, item) in (question.change.next_collateral()..).zip(&mut judged.collateral) {
        item.number = number;
        item.stage = question.stage;
    }
    Ok(judged)
}

/// What a later report says against the verdicts of a stage: each expectation that was met and no longer is. What
/// cannot be read later is no regression, and no proof that there is none.
///
/// # Errors
/// One sentence on why rows cannot be read now.
pub fn regressed(question: &Question<'_>, asset: &str, later: &Snapshot) -> Result<Vec<Regressed>, String> {
    let mut bench = Bench::of(question)?;
    // Whoever is asked again, after more work or on the way back, is judged by that answer.
    if !bench.stage.is_judged() {
        return Ok(Vec::new());
    }
    let target = bench.stage.targets.get(asset);
    let Some((pre, post)) = target.and_then(|it| it.pre.clone().zip(it.post.as_ref())) else {
        return Ok(Vec::new());
    };
    // Rows from before the verdict tell of nothing that came back.
    if later.record.sequence <= post.sequence {
        return Ok(Vec::new());
    }
    let pre = Snapshot::load(pre, question.rows.as_ref())?;
    let role = (question.role)(asset);
    let pair = bench.known.look(&pre, later, role.as_deref());
    let mut found = Vec::new();
    for (position, expectation) in bench.expected() {
        let Some(old) = bench.met_before(asset, &expectation.id) else { continue };
        // What is mitigated was never gone; its control is tested where it is registered.
        let is_told = |it: &&Regressed| {
            it.asset == asset
                && it.expectation == expectation.id
                && Some(it.verdict_revision) == bench.stage.judged_at
        };
        if old == Verdict::Mitigated || question.change.regressions.iter().any(|it| is_told(&it)) {
            continue;
        }
        let Some((_, now)) = bench.known.read(&pair, position) else { continue };
        if matches!(now.finding, Finding::Fails | Finding::Several)
            && expectation.wanted != plan::Wanted::Restarted
        {
            found.push(Regressed {
                asset: asset.to_owned(),
                expectation: expectation.id.clone(),
                text: format!("it was {old}, and now {}", now.text),
                digest: now.evidence.first().map(|it| it.digest.clone()).unwrap_or_default(),
                verdict_revision: bench.stage.judged_at.unwrap_or_default(),
            });
        }
    }
    Ok(found)
}

/// A stage with everything at hand by which it is judged.
struct Bench<'a> {
    question: &'a Question<'a>,
    stage: &'a Stage,
    planned: &'a plan::Stage,
    known: Expectations,
}

/// What is said of one target.
type OfTarget = (Vec<TargetVerdict>, Vec<CollateralItem>);

impl<'a> Bench<'a> {
    fn of(question: &'a Question<'a>) -> Result<Self, String> {
        let Question { change, stage: number, rows, knowledge, ages, now_ms, .. } = question;
        let planned = change.planned_stage(*number).map_err(|it| it.to_string())?;
        let stage = change.stage(*number).ok_or_else(|| format!("the change has no stage {number}"))?;
        let hosts = stage.targets.len();
        let known = Expectations::new(&change.plan, Arc::clone(rows), knowledge, ages, *now_ms, hosts);
        Ok(Self { question, stage, planned, known })
    }

    /// Expectations of the stage, with their positions in the plan.
    fn expected(&self) -> impl Iterator<Item = (usize, &'a plan::Expectation)> + use<'a> {
        let (planned, all) = (self.planned, &self.question.change.plan.expectations);
        planned.expectations.iter().filter_map(|&it| Some((it, all.get(it)?)))
    }

    /// The good verdict that was given before on an expectation.
    fn met_before(&self, asset: &str, expectation: &str) -> Option<Verdict> {
        let before =
            self.stage.verdicts.iter().find(|it| it.asset == asset && it.expectation == expectation)?;
        Verdict::named(&before.verdict).filter(|it| it.closes() && it.needs_snapshots())
    }

    fn expectations_of(&mut self, asset: &str, target: &Target) -> Result<OfTarget, String> {
        let (change, number) = (self.question.change, self.question.stage);
        let (pre, post) = match doubt::answered(change, number, asset, target) {
            Ok(pair) => pair,
            Err(said) => {
                let grade = if said.verdict == Verdict::AttestedOnly { Grade::E.as_str() } else { "" };
                return Ok((self.all(asset, &said, grade, &[]), Vec::new()));
            }
        };
        let pre = Snapshot::load(pre.clone(), self.question.rows.as_ref())?;
        let post = Snapshot::load(post.clone(), self.question.rows.as_ref())?;
        let grade = pre.grade().max(post.grade()).map_or("", Grade::as_str);
        let envelope = envelope(&pre, &post);
        if let Some(said) = doubt::same_speaker(&change.plan, self.planned, &pre, &post) {
            return Ok((self.all(asset, &said, grade, &envelope), Vec::new()));
        }
        let role = (self.question.role)(asset);
        let pair = self.known.look(&pre, &post, role.as_deref());
        let mut declared = Declared::of(&change.plan);
        let mut verdicts = Vec::new();
        let mut said = Vec::new();
        for (position, expectation) in self.expected() {
            let Some((before, after)) = self.known.read(&pair, position) else { continue };
            declared.add(expectation, &before, &after);
            let it = self.of_expectation(asset, expectation, &pair, &before, &after);
            let evidence = phased(before.evidence, after.evidence);
            verdicts.push(verdict(asset, &expectation.id, &it, grade, evidence));
            said.push(it);
        }
        let (moved, lowered) = collateral::compare(&pair, declared);
        said.extend(lowered.map(|kinds| {
            Said::inconclusive(Why::CoverageLower, format!("less was read than before: {kinds}"))
        }));
        let mut whole = verdict(asset, "", &pair::whole(&said), grade, envelope);
        if !moved.is_empty() {
            whole.modifiers.push(COLLATERAL_CHANGE.to_owned());
        }
        verdicts.push(whole);
        Ok((verdicts, moved))
    }

    fn of_expectation(
        &self,
        asset: &str,
        expectation: &plan::Expectation,
        pair: &Pair<'_>,
        before: &Reading,
        after: &Reading,
    ) -> Said {
        if let Some(said) = doubt::same_rule(self.question, expectation) {
            return said;
        }
        let expects_restart = self.expected().any(|it| it.1.wanted == plan::Wanted::Restarted);
        let is_product =
            matches!(expectation.wanted, plan::Wanted::AtLeast(_) | plan::Wanted::NotAffected { .. });
        let circumstances = Circumstances {
            needs_restart: is_product && (expects_restart || after.by_restart),
            is_restarted: pair.pre.record.boot_id != pair.post.record.boot_id,
            is_rolled_back: self.stage.rollback.is_some(),
            met_before: self.met_before(asset, &expectation.id).zip(self.stage.judged_at),
            lowered: doubt::lowered(pair, &after.decides),
            names_by_hand: matches!(expectation.wanted, plan::Wanted::AtLeast(_)),
        };
        let said = pair::said(before, after, &circumstances);
        if let plan::Wanted::NotAffected { control: Some(control), .. } = &expectation.wanted {
            return pair::mitigated(said, after, pair.post, control);
        }
        said
    }

    /// The same of every expectation of a target, and of the target.
    fn all(&self, asset: &str, said: &Said, grade: &str, evidence: &[Evidence]) -> Vec<TargetVerdict> {
        let ids = self.expected().map(|it| it.1.id.as_str()).chain([""]);
        ids.map(|it| verdict(asset, it, said, grade, evidence.to_vec())).collect()
    }
}

fn verdict(
    asset: &str,
    expectation: &str,
    said: &Said,
    grade: &str,
    evidence: Vec<Evidence>,
) -> TargetVerdict {
    TargetVerdict {
        asset: asset.to_owned(),
        expectation: expectation.to_owned(),
        verdict: said.verdict.as_str().to_owned(),
        reason: said.why.map(|it| it.as_str().to_owned()).unwrap_or_default(),
        modifiers: Vec::new(),
        text: said.text.clone(),
        evidence,
        grade: grade.to_owned(),
    }
}

fn phased(pre: Vec<Evidence>, post: Vec<Evidence>) -> Vec<Evidence> {
    let of = |phase: &'static str, all: Vec<Evidence>| {
        all.into_iter().map(move |it| Evidence { phase: phase.to_owned(), ..it })
    };
    of("pre", pre).chain(of("post", post)).collect()
}

/// What every verdict rests on beside the deciding facts: who answered, when, and in which order.
fn envelope(pre: &Snapshot, post: &Snapshot) -> Vec<Evidence> {
    let of = |it: &Snapshot| {
        let record = &it.record;
        let mut all = vec![
            evidence(it, SectionKind::Self_, "sequence", &record.sequence.to_string()),
            evidence(it, SectionKind::Platform, "boot id", &record.boot_id),
            evidence(it, SectionKind::Self_, "agent", &record.agent_version),
        ];
        let clock = record.host_time_ms.saturating_sub(record.received_ms);
        if record.host_time_ms != 0 {
            all.push(evidence(it, SectionKind::Self_, "host clock ahead, ms", &clock.to_string()));
        }
        all.extend(
            it.agent_digest().map(|digest| evidence(it, SectionKind::Self_, "agent program", &digest)),
        );
        all
    };
    phased(of(pre), of(post))
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
