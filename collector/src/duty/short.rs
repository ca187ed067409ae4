//! What duties need to know of changes, assets and exceptions.

use std::collections::BTreeSet;
use std::sync::Arc;

use holdpoint_common::proto::store::{AssetRecord, SnapshotRecord};

use crate::change::fold::Change;
use crate::change::plan::{Expectation, Plan, Wanted};
use crate::change::word::{State, Verdict};

/// The action under which the audit log has the end of a change.
const CLOSED: &str = "change-closed";

/// A change in short.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeShort {
    /// "CHG-0001".
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// When its planned window ends, Unix milliseconds.
    pub window_end_ms: Option<i64>,
    /// When it ended, Unix milliseconds.
    pub ended_ms: Option<i64>,
    /// Every target.
    pub targets: Vec<TargetShort>,
}

/// A target of a change in short.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetShort {
    /// The asset.
    pub asset: String,
    /// What is expected of it: subjects of findings, requirements, and the planner's own words.
    pub subjects: Arc<BTreeSet<String>>,
    /// Its verdict as a whole.
    pub verdict: Option<Verdict>,
    /// What it was after the work.
    pub post: Option<SnapshotRecord>,
}

impl ChangeShort {
    /// A change in short.
    pub fn of(change: &Change) -> Self {
        let stages = change.plan.stages.iter().zip(&change.stages);
        let targets = stages.flat_map(|(planned, stage)| {
            let subjects = Arc::new(subjects(&change.plan, &planned.expectations));
            stage.targets.iter().map(move |(asset, target)| {
                let whole = stage.verdicts.iter().find(|it| it.asset == *asset && it.expectation.is_empty());
                TargetShort {
                    asset: asset.clone(),
                    subjects: Arc::clone(&subjects),
                    verdict: whole.and_then(|it| Verdict::named(&it.verdict)),
                    post: target.post.clone(),
                }
            })
        });
        Self {
            id: change.id.clone(),
            state: change.state,
            window_end_ms: change.plan.window.map(|it| it.end_ms),
            ended_ms: ended_ms(change),
            targets: targets.collect(),
        }
    }

    /// Whether it answers an item on an asset: proven, or planned for a day that lies ahead.
    pub fn answers(&self, asset: &str, item: &str, now_ms: i64) -> bool {
        let covers = |it: &TargetShort| {
            it.asset == asset
                && it.subjects.iter().any(|it| crate::triage::disposition::covers(it, item, None))
        };
        let Some(target) = self.targets.iter().find(|it| covers(it)) else { return false };
        match self.state {
            State::Closed | State::Verified => target.verdict.is_some_and(Verdict::closes),
            State::Draft | State::InReview | State::Authorised | State::InProgress => {
                self.window_end_ms.is_some_and(|it| now_ms < it)
            }
            State::Vetoed | State::ClosedUnremediated | State::RolledBack => false,
        }
    }
}

/// When a change ended. Where the log does not say it in the usual word, the last verdict counts, which is earlier: a
/// clock that starts early forgives nothing.
fn ended_ms(change: &Change) -> Option<i64> {
    change.closed.as_ref()?;
    let closed = change.steps.iter().find(|it| it.action == CLOSED);
    let judged = change.stages.iter().filter_map(|it| it.judged_at).max();
    let judged = change.steps.iter().find(|it| Some(it.revision) == judged);
    closed.or(judged).or(change.steps.first()).map(|it| it.at_ms)
}

fn subjects(plan: &Plan, chosen: &[usize]) -> BTreeSet<String> {
    let said = |it: &Expectation| {
        let named = match &it.wanted {
            Wanted::NotAffected { subject, .. } => Some(subject.clone()),
            Wanted::AtLeast(requirement) => Some(requirement.id.clone()),
            Wanted::Fact(_)
            | Wanted::Absent { .. }
            | Wanted::ServiceRunning(_)
            | Wanted::Listener { .. }
            | Wanted::Restarted => None,
        };
        named.into_iter().chain([it.id.clone()])
    };
    chosen.iter().filter_map(|&at| plan.expectations.get(at)).flat_map(said).collect()
}

/// An asset in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetShort {
    /// Its identifier.
    pub id: String,
    /// When it enrolled, Unix milliseconds.
    pub since_ms: i64,
    /// It was taken out of service.
    pub retired: bool,
}

impl AssetShort {
    /// An asset in short; `None` for a copy that waits for a decision, which is no asset yet.
    pub fn of(record: &AssetRecord) -> Option<Self> {
        let AssetRecord { id, enrolled_ms, retired_ms, copy_of, .. } = record;
        let short = Self { id: id.clone(), since_ms: *enrolled_ms, retired: retired_ms.is_some() };
        copy_of.is_none().then_some(short)
    }
}
