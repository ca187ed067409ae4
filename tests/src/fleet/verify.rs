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
        self.is_held_or_followed(None, asset)
    }

    /// The same, where sections of the next report, which nobody acknowledged, may stand instead.
    pub fn is_held_or_followed(&self, next: Option<&Self>, asset: &Asset) -> bool {
        // Its sections are there only if it is: a sequence and its sections are one transaction.
        let next = next.filter(|it| asset.sequence >= it.sequence);
        let may_be = |digests: &[(i32, Vec<u8>)], kind, digest: &[u8]| {
            digests.iter().any(|it| it.0 == kind && it.1 == digest)
        };
        asset.sequence >= self.sequence
            && self.digests.iter().all(|(kind, _)| {
                asset.sections.iter().filter(|it| it.kind == *kind).any(|it| {
                    may_be(&self.digests, *kind, &it.digest)
                        || next.is_some_and(|next| may_be(&next.digests, *kind, &it.digest))
                })
            })
    }
}
