//! A board in memory for tests: sections by digest, records by hand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use holdpoint_common::proto::store::{AssetRecord, HeldRecord, MapRuleRecord, SectionState};
use holdpoint_common::proto::v1::{SectionKind, SectionStatus, SoftwareRow};
use holdpoint_common::row::{LiveRow, PlatformRow};
use holdpoint_common::section::{Digest, Rows};

use super::RowSource;
use crate::knowledge::library::take;
use crate::knowledge::map::{self, InstalledName, ProductName};
use crate::knowledge::{
    Advisory, Entry, HeldAdvisory, Kind, Knowledge, Revision, Source, Stated, Vulnerability, read,
};

/// Sections as a store would keep them.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<HashMap<Digest, Arc<Vec<Vec<u8>>>>>);

impl Shelf {
    pub(super) fn keep(&self, rows: &Rows) -> Digest {
        let digest = rows.digest();
        self.0.lock().unwrap().entry(digest).or_insert_with(|| Arc::new(rows.as_slice().to_vec()));
        digest
    }
}

impl RowSource for Shelf {
    fn rows(&self, _: SectionKind, digest: &Digest) -> Result<Option<Arc<Vec<Vec<u8>>>>, String> {
        self.0.lock().map(|it| it.get(digest).cloned()).map_err(|it| it.to_string())
    }
}

pub(super) fn software(name: &str, version: Option<&str>) -> SoftwareRow {
    SoftwareRow {
        name: name.into(),
        version: version.map(Into::into),
        architecture: Some("amd64".into()),
        source: "registry64".into(),
        publisher: Some("Example Controls".into()),
        ..SoftwareRow::default()
    }
}

fn state(status: SectionStatus, digest: Digest, rows: usize) -> SectionState {
    SectionState {
        status: status.into(),
        digest: digest.to_vec(),
        rows: u32::try_from(rows).unwrap(),
        received_ms: 1_000,
        sequence: 7,
        ..SectionState::default()
    }
}

pub(super) fn asset(id: &str, shelf: &Shelf, rows: &[SoftwareRow], status: SectionStatus) -> AssetRecord {
    let digest = shelf.keep(&Rows::encode(rows));
    let complete = status == SectionStatus::Complete;
    let shown = state(SectionStatus::Complete, digest, rows.len());
    let attempt = (!complete).then(|| state(status, Digest::of(b"other"), 0));
    let software = HeldRecord { kind: SectionKind::Software.into(), shown: Some(shown), attempt };
    AssetRecord { id: id.into(), name: id.into(), sections: vec![software], ..AssetRecord::default() }
}

pub(super) fn with_platform(mut record: AssetRecord, shelf: &Shelf, row: PlatformRow) -> AssetRecord {
    let digest = shelf.keep(&Rows::encode(&[row]));
    let shown = Some(state(SectionStatus::Complete, digest, 1));
    record.sections.push(HeldRecord { kind: SectionKind::Platform.into(), shown, attempt: None });
    record
}

pub(super) fn with_live(mut record: AssetRecord, shelf: &Shelf, rows: &[LiveRow]) -> AssetRecord {
    let digest = shelf.keep(&Rows::encode(rows));
    let shown = Some(state(SectionStatus::Complete, digest, rows.len()));
    record.sections.push(HeldRecord { kind: SectionKind::Live.into(), shown, attempt: None });
    record
}

/// An advisory with one vulnerability that states the same of every entry.
pub(super) fn advisory(kind: Kind, id: &str, entries: Vec<Entry>, stated: Stated) -> HeldAdvisory {
    let vulnerability = Vulnerability {
        id: format!("CVE-{id}"),
        severity: None,
        vector: None,
        statements: (0_u32..).take(entries.len()).map(|it| (it, stated)).collect(),
        remediations: Vec::new(),
        fixes: Vec::new(),
    };
    let advisory = Advisory {
        kind,
        revision: Revision { id: id.into(), version: "1".into(), released_ms: Some(1_000) },
        title: String::new(),
        publisher: String::new(),
        status: "final".into(),
        withdrawn: false,
        original: None,
        entries,
        vulnerabilities: vec![vulnerability],
    };
    let source = Source {
        digest: Digest::of(id.as_bytes()),
        file: id.into(),
        imported_ms: 1_000,
        imported_by: "tester".into(),
    };
    HeldAdvisory { advisory: Arc::new(advisory), source: Arc::new(source), superseded: false }
}

/// Knowledge from files, the last one of a kind being the newest.
pub(super) fn knowledge(files: &[(&str, &[u8])]) -> Knowledge {
    let mut knowledge = Knowledge { revision: 1, ..Knowledge::default() };
    for (file, bytes) in files {
        let source = Arc::new(Source {
            digest: Digest::of(bytes),
            file: (*file).to_owned(),
            imported_ms: 1_000,
            imported_by: "tester".into(),
        });
        let content = read(file, bytes, &knowledge).unwrap().0;
        take(&mut knowledge, content, source);
    }
    knowledge
}

/// A decision about something installed of the publisher `Example Controls`.
pub(super) fn rule(
    decision: &str,
    vendor: &str,
    product: &str,
    installed: &str,
    scheme: &str,
) -> MapRuleRecord {
    let name = ProductName { vendor: vendor.into(), product: product.into() };
    let side = InstalledName {
        name: installed.into(),
        publisher: Some("Example Controls".into()),
        source: "registry64".into(),
    };
    MapRuleRecord {
        id: map::pair_id(&name, &side),
        decision: decision.into(),
        vendor: name.vendor,
        product: name.product,
        installed_name: side.name,
        installed_publisher: side.publisher,
        source: side.source,
        scheme: Some(scheme.into()),
        by: "kim".into(),
        at_ms: 5,
        why: "nameplate".into(),
        expires_ms: None,
        details: None,
    }
}
