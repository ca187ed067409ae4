//! Compares what was acknowledged with what an operator is shown.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1::Asset;

use super::Acked;

/// The assets whose acknowledged report is not there.
pub fn lost<'a>(assets: &BTreeMap<String, Asset>, acked: impl IntoIterator<Item = &'a Acked>) -> Vec<String> {
    let missing =
        acked.into_iter().filter(|it| !assets.get(&it.asset).is_some_and(|asset| it.is_held(asset)));
    missing.map(|it| it.asset.clone()).collect()
}

impl Acked {
    /// Whether the asset has this report, every section of it, or a later sequence of the same sections.
    pub fn is_held(&self, asset: &Asset) -> bool {
        asset.sequence >= self.sequence
            && self.digests.iter().all(|(kind, digest)| {
                asset.sections.iter().any(|section| section.kind == *kind && section.digest == *digest)
            })
    }
}
