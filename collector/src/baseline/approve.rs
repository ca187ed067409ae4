//! Which snapshot may become a baseline.

use holdpoint_common::proto::store::SnapshotRecord;

use crate::change::fold::Change;
use crate::change::word::{StageState, Verdict};

/// The verified snapshot of a change for an asset.
///
/// # Errors
/// One sentence on why there is none.
pub fn of_change<'a>(change: &'a Change, asset: &str) -> Result<&'a SnapshotRecord, String> {
    let stage = change.stages.iter().find(|it| it.targets.contains_key(asset));
    let stage = stage.ok_or_else(|| format!("`{asset}` is no target of {}", change.id))?;
    if stage.state() != StageState::Verified {
        return Err(format!(
            "its stage of {} is {}: only what is verified is approved",
            change.id,
            stage.state()
        ));
    }
    let whole = stage.verdicts.iter().find(|it| it.asset == asset && it.expectation.is_empty());
    let closes = whole.and_then(|it| Verdict::named(&it.verdict)).is_some_and(Verdict::closes);
    if !closes {
        return Err(format!("{} has no verdict for `{asset}` that allows closing", change.id));
    }
    if change.collateral.iter().any(|it| it.item.asset == asset && it.explained.is_none()) {
        return Err(format!("something moved on `{asset}` in {} that nobody explained", change.id));
    }
    let snapshot = stage.targets.get(asset).and_then(|it| it.post.as_ref());
    snapshot.ok_or_else(|| format!("{} has no snapshot of `{asset}` after the work", change.id))
}

/// Why a change lacks baselines of its targets, each as one sentence; for [`Change::open_for_closure`]. Targets
/// that no agent sees have no snapshot and are not asked for one.
pub fn missing_of(change: &Change, baselines: &super::Baselines) -> Vec<String> {
    let targets = change.stages.iter().flat_map(|it| it.targets.values());
    let open = targets.filter_map(|it| it.post.as_ref()).filter(|it| !baselines.covers(it));
    open.map(|it| format!("no baseline of `{}` is approved since the work", it.asset)).collect()
}
