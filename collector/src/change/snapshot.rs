//! What one report said of a host, kept because a change rests on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdpoint_common::proto::store::{
    AssetRecord, HeldRecord, SectionState, SnapshotRecord, SnapshotSection,
};
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::{SectionKind, SelfRow};
use holdpoint_common::section::Digest;
use prost::Message;

use crate::assess::{AssetFacts, RowSource};
use crate::zone::Grade;

/// A snapshot with its rows at hand.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What is kept of it.
    pub record: SnapshotRecord,
    sections: BTreeMap<SectionKind, Section>,
}

/// A section of a snapshot.
#[derive(Debug, Clone)]
pub struct Section {
    /// What the report said of it.
    pub state: SectionState,
    /// Its rows; `None` when they cannot be read any more.
    pub rows: Option<Arc<Vec<Vec<u8>>>>,
}

impl Section {
    /// Whether everything that was asked for was read, and is still there.
    pub fn is_complete(&self) -> bool {
        self.state.status == i32::from(SectionStatus::Complete) && self.rows.is_some()
    }

    /// Its digest.
    pub fn digest(&self) -> Option<Digest> {
        Digest::try_from(self.state.digest.as_slice()).ok()
    }
}

impl Snapshot {
    /// A snapshot with its rows. Rows that are missing make a section incomplete and nothing else.
    ///
    /// # Errors
    /// One sentence on why the rows cannot be read now.
    pub fn load(record: SnapshotRecord, rows: &dyn RowSource) -> Result<Self, String> {
        let mut sections = BTreeMap::new();
        for section in &record.sections {
            let (Ok(kind), Some(state)) = (SectionKind::try_from(section.kind), &section.state) else {
                continue;
            };
            let found = match Digest::try_from(state.digest.as_slice()) {
                Ok(digest) => rows.rows(kind, &digest)?,
                Err(_) => None,
            };
            sections.insert(kind, Section { state: state.clone(), rows: found });
        }
        Ok(Self { record, sections })
    }

    /// What an asset shows now, as its newest reports said it: evidence of nothing that was asked.
    pub fn now(asset: &AssetRecord) -> SnapshotRecord {
        let newest = |it: &HeldRecord| SnapshotSection {
            kind: it.kind,
            state: it.attempt.clone().or_else(|| it.shown.clone()),
        };
        SnapshotRecord {
            asset: asset.id.clone(),
            fingerprint: asset.fingerprint.clone(),
            sequence: asset.sequence,
            boot_id: asset.boot_id.clone(),
            agent_version: asset.agent_version.clone(),
            sections: asset.sections.iter().map(newest).collect(),
            ..SnapshotRecord::default()
        }
    }

    /// A section; `None` when the report did not name it.
    pub fn section(&self, kind: SectionKind) -> Option<&Section> {
        self.sections.get(&kind)
    }

    /// Rows of a section; empty when there are none to be read.
    pub fn rows(&self, kind: SectionKind) -> &[Vec<u8>] {
        self.section(kind).and_then(|it| it.rows.as_deref()).map_or(&[], Vec::as_slice)
    }

    /// Whether a section was read completely.
    pub fn is_complete(&self, kind: SectionKind) -> bool {
        self.section(kind).is_some_and(Section::is_complete)
    }

    /// Every section.
    pub fn sections(&self) -> impl Iterator<Item = (SectionKind, &Section)> {
        self.sections.iter().map(|(kind, it)| (*kind, it))
    }

    /// What judging needs to know of the host as it was then.
    pub fn facts(&self, role: Option<&str>) -> Option<AssetFacts> {
        let sections = self.sections.iter().map(|(kind, section)| {
            // Whatever the report said of them: rows that are not there any more were not read completely.
            let status =
                if section.rows.is_some() { section.state.status } else { SectionStatus::Failed.into() };
            let shown = Some(SectionState { status, ..section.state.clone() });
            HeldRecord { kind: (*kind).into(), shown, attempt: None }
        });
        let record = AssetRecord {
            id: self.record.asset.clone(),
            role: role.map(str::to_owned),
            sections: sections.collect(),
            ..AssetRecord::default()
        };
        AssetFacts::of(&record)
    }

    /// SHA-256 of the agent's program, hexadecimal, as the agent says; `None` when it does not.
    pub fn agent_digest(&self) -> Option<String> {
        let row = self.rows(SectionKind::Self_).first()?;
        SelfRow::decode(row.as_slice()).ok()?.agent_digest
    }

    /// The lowest grade among its sections.
    pub fn grade(&self) -> Option<Grade> {
        self.sections.values().map(|it| Grade::of(&it.state)).max()
    }
}
