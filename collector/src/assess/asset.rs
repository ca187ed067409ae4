//! What judging needs to know of an asset, taken from its record.

use std::sync::Arc;

use holdpoint_common::proto::store::{AssetRecord, HeldRecord, SectionState};
use holdpoint_common::proto::v1::{SectionKind, SectionStatus};
use holdpoint_common::row::PlatformRow;
use holdpoint_common::section::Digest;
use prost::Message;

use crate::zone::Grade;

/// Where the rows of a section come from.
pub trait RowSource: Send + Sync + 'static {
    /// The rows with that digest; `None` when they are not there.
    ///
    /// # Errors
    /// One sentence on why they cannot be read.
    fn rows(&self, kind: SectionKind, digest: &Digest) -> Result<Option<Arc<Vec<Vec<u8>>>>, String>;
}

impl RowSource for crate::store::Store {
    fn rows(&self, kind: SectionKind, digest: &Digest) -> Result<Option<Arc<Vec<Vec<u8>>>>, String> {
        let key = crate::store::SectionKey::new(kind, *digest.as_bytes());
        self.section(key).map_err(|it| holdpoint_common::chain::Chain(&it).to_string())
    }
}

/// How far the absence of a row proves anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coverage {
    /// The newest attempt read everything: an absent row is an absent thing.
    Complete,
    /// The newest attempt was not complete; the rows may be older than the host.
    Incomplete,
    /// There are no rows of this section.
    Missing,
}

/// A section as it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which rows; `None` when there never were any.
    pub digest: Option<Digest>,
    /// How complete they are.
    pub coverage: Coverage,
    /// Status of the newest attempt.
    pub status: SectionStatus,
    /// When the rows were received, Unix milliseconds.
    pub received_ms: Option<i64>,
    /// Sequence of the report that brought them.
    pub sequence: u64,
    /// How far they can be trusted; `None` when there are none.
    pub grade: Option<Grade>,
}

impl Held {
    const MISSING: Self = Self {
        digest: None,
        coverage: Coverage::Missing,
        status: SectionStatus::Unspecified,
        received_ms: None,
        sequence: 0,
        grade: None,
    };

    /// A section of a record.
    pub fn of(record: &AssetRecord, kind: SectionKind) -> Self {
        let held = record.sections.iter().find(|it| it.kind == i32::from(kind));
        let Some(HeldRecord { shown: Some(shown), attempt, .. }) = held else { return Self::MISSING };
        let SectionState { digest, received_ms, sequence, .. } = shown;
        let newest = attempt.as_ref().unwrap_or(shown);
        let status = SectionStatus::try_from(newest.status).unwrap_or(SectionStatus::Unspecified);
        let digest = Digest::try_from(digest.as_slice()).ok();
        let shown_status = SectionStatus::try_from(shown.status).unwrap_or(SectionStatus::Unspecified);
        let coverage = match (digest, status) {
            (None, _) => Coverage::Missing,
            (Some(_), SectionStatus::Complete) if shown_status == SectionStatus::Complete => {
                Coverage::Complete
            }
            (Some(_), _) => Coverage::Incomplete,
        };
        Self {
            digest,
            coverage,
            status,
            received_ms: Some(*received_ms),
            sequence: *sequence,
            grade: Some(Grade::of(shown)),
        }
    }
}

impl Held {
    /// When the asset last vouched for these rows: when it called, or when they came, whichever is later. Rows that
    /// were carried in come without a call.
    pub fn heard_ms(&self, seen_ms: Option<i64>) -> Option<i64> {
        seen_ms.max(self.received_ms)
    }
}

/// What is kept of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetFacts {
    /// Its identifier.
    pub id: Arc<str>,
    /// Its role; requirements may be for one role only.
    pub role: Option<Arc<str>>,
    /// The software section.
    pub software: Held,
    /// The platform section.
    pub platform: Held,
    /// The section on what is in effect.
    pub live: Held,
    /// The section on what servicing installed.
    pub updates: Held,
    /// The firmware section.
    pub firmware: Held,
    /// The section on services, which triage asks.
    pub services: Held,
    /// The section on listeners, which triage asks.
    pub listeners: Held,
    /// The section of hardening facts: rules of the map ask for them, and controls are tested by them.
    pub hardening: Held,
}

impl AssetFacts {
    /// Takes what is needed from a record; `None` for a retired asset, which is not judged. A
    /// copy of another asset is judged as what it is: one more host with this software.
    pub fn of(record: &AssetRecord) -> Option<Self> {
        if record.retired_ms.is_some() {
            return None;
        }
        Some(Self {
            id: record.id.as_str().into(),
            role: record.role.as_deref().map(Into::into),
            software: Held::of(record, SectionKind::Software),
            platform: Held::of(record, SectionKind::Platform),
            live: Held::of(record, SectionKind::Live),
            updates: Held::of(record, SectionKind::Updates),
            firmware: Held::of(record, SectionKind::Firmware),
            services: Held::of(record, SectionKind::Services),
            listeners: Held::of(record, SectionKind::Listeners),
            hardening: Held::of(record, SectionKind::Hardening),
        })
    }

    /// When anything was last heard of the asset.
    pub fn heard_ms(&self, seen_ms: Option<i64>) -> Option<i64> {
        self.platform.heard_ms(self.software.heard_ms(seen_ms))
    }
}

/// The values of a platform row that judging looks at. Two machines of one image are equal here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PlatformFacts {
    /// `ID` of os-release: "debian"; "windows" on Windows.
    pub os_id: Option<String>,
    /// Name of the operating system; its `ID` where there is no name.
    pub os_name: Option<String>,
    /// `VERSION_ID` of os-release: "12"; on Windows the version that it displays: "21H2".
    pub os_version: Option<String>,
    /// Its build.
    pub build: Option<String>,
    /// The machine's architecture: `x86_64`, `x86`, `aarch64`.
    pub architecture: Option<String>,
    /// Windows: "Client", "Server", "Server Core", "Nano Server".
    pub installation_type: Option<String>,
    /// The kernel that runs.
    pub kernel_running: Option<String>,
    /// The newest kernel on disk.
    pub kernel_newest: Option<String>,
    /// Something that was installed waits for a restart.
    pub restart_pending: bool,
    /// Who said so.
    pub source: String,
}

impl PlatformFacts {
    /// Reads the one row of a platform section; `None` when there is none or it cannot be read.
    pub fn read(rows: &[Vec<u8>]) -> Option<Self> {
        let row = PlatformRow::decode(rows.first()?.as_slice()).ok()?;
        let PlatformRow { os_id, os_name, os_version, build, architecture, installation_type, .. } = row;
        let PlatformRow { kernel_running, kernel_newest, source, restart_pending, .. } = row;
        Some(Self {
            os_name: os_name.or_else(|| os_id.clone()),
            os_id,
            os_version,
            build,
            architecture,
            installation_type,
            kernel_running,
            kernel_newest,
            restart_pending: restart_pending == Some(true),
            source,
        })
    }

    /// Whether it is a Windows.
    pub(super) fn is_windows(&self) -> bool {
        self.os_id.as_deref() == Some("windows")
            || self.os_id.is_none() && self.os_name.as_deref().is_some_and(|it| it.contains("Windows"))
    }
}
