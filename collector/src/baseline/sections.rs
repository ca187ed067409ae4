//! Which rows a baseline may rest on: of an asset as it is shown now, or of a snapshot.

use std::sync::{Arc, LazyLock};

use holdpoint_common::proto::store::{AssetRecord, SnapshotRecord};
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::SectionKind;
use holdpoint_common::section::{Digest, Rows};

use crate::assess::{Coverage, Held, RowSource};

/// Why nothing can be said of a part. A closed list: programs branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gap {
    /// Nobody approved a baseline of it.
    NoBaseline,
    /// The asset never sent what it rests on.
    SectionMissing,
    /// The newest scan did not read everything.
    SectionIncomplete,
    /// The rows are held and cannot be read.
    RowsUnreadable,
    /// Nothing was heard of the asset for too long.
    InventoryStale,
    /// The asset is out of service.
    Retired,
}

impl Gap {
    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoBaseline => "no-baseline",
            Self::SectionMissing => "section-missing",
            Self::SectionIncomplete => "section-incomplete",
            Self::RowsUnreadable => "rows-unreadable",
            Self::InventoryStale => "inventory-stale",
            Self::Retired => "asset-retired",
        }
    }
}

/// What is known of a section before its rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stated {
    /// Everything was read; these are the rows.
    Whole(Digest),
    /// The host or its agent has no such source: there is nothing to approve.
    Unsupported,
    /// Nothing follows from it.
    Not(Gap),
}

impl Stated {
    /// A section as it is shown of an asset now.
    pub fn now(record: &AssetRecord, kind: SectionKind) -> Self {
        let held = Held::of(record, kind);
        match (held.status, held.coverage, held.digest) {
            (SectionStatus::Unsupported, _, _) => Self::Unsupported,
            (_, Coverage::Complete, Some(digest)) => Self::Whole(digest),
            (_, Coverage::Missing, _) => Self::Not(Gap::SectionMissing),
            (_, Coverage::Complete | Coverage::Incomplete, _) => Self::Not(Gap::SectionIncomplete),
        }
    }

    /// A section as one report said it.
    pub fn then(snapshot: &SnapshotRecord, kind: SectionKind) -> Self {
        let section = snapshot.sections.iter().find(|it| it.kind == i32::from(kind));
        let Some(state) = section.and_then(|it| it.state.as_ref()) else {
            return Self::Not(Gap::SectionMissing);
        };
        let status = SectionStatus::try_from(state.status).unwrap_or(SectionStatus::Unspecified);
        match (status, Digest::try_from(state.digest.as_slice())) {
            (SectionStatus::Unsupported, _) => Self::Unsupported,
            (SectionStatus::Complete, Ok(digest)) => Self::Whole(digest),
            (_, _) => Self::Not(Gap::SectionIncomplete),
        }
    }
}

/// The rows with a digest; `None` when they are not there any more.
///
/// # Errors
/// One sentence on why they cannot be read now.
pub fn rows_of(
    source: &dyn RowSource,
    kind: SectionKind,
    digest: &Digest,
) -> Result<Option<Arc<Vec<Vec<u8>>>>, String> {
    static NONE: LazyLock<Digest> = LazyLock::new(|| Rows::from_encoded(Vec::new()).digest());
    // A section without rows need not be kept to be known.
    if *digest == *NONE {
        return Ok(Some(Arc::default()));
    }
    source.rows(kind, digest)
}
