//! Judging again from what a pack holds: the seam to `change::judge`.
//!
//! Most verdicts rest on knowledge that stays in the zone (advisories, the product map, rules), and are never given
//! again here. What needs the two snapshots alone could be: collateral, and whether something is absent, runs or
//! listens. Until that part of the judge can be called without a zone, nothing is judged again and nothing is
//! claimed.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdpoint_common::proto::store::StageJudged;
use holdpoint_common::row::SectionKind;
use holdpoint_common::section::{Digest, Rows};

use crate::assess::RowSource;
use crate::change::Change;

/// What judging again came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// Nothing was judged again.
    NotDone,
    /// As the entry says; what was judged again, in words.
    Same(Vec<String>),
    /// Otherwise than the entry says, each as one sentence.
    Other(Vec<String>),
}

/// The rows in a pack.
#[derive(Debug, Default)]
pub struct PackRows(pub BTreeMap<Digest, Vec<u8>>);

impl RowSource for PackRows {
    fn rows(&self, _: SectionKind, digest: &Digest) -> Result<Option<Arc<Vec<Vec<u8>>>>, String> {
        let Some(packed) = self.0.get(digest) else { return Ok(None) };
        let rows = Rows::unpack(packed).map_err(|it| it.to_string())?;
        Ok((rows.digest() == *digest).then(|| Arc::new(rows.into_encoded())))
    }
}

/// Judges a stage again: `change` is as it was before the entry `judged`.
pub fn again(change: &Change, judged: &StageJudged, rows: &Arc<PackRows>) -> Again {
    let _ = (change, judged, rows);
    Again::NotDone
}
