//! A zone in a temporary directory, with agents and operators that call its services directly.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdpoint_common::identity::ZoneName;
use holdpoint_common::proto::store::{AssetRecord, CertificateRecord, OperatorRecord};
use holdpoint_common::proto::v1::report_part::Part;
use holdpoint_common::proto::v1::{
    CheckInRequest, Directives, Health, HeldSection, Outcome, ReportAck, ReportHeader, ReportPart,
    SectionBody, SectionPart, SectionStatus,
};
use holdpoint_common::row::{PlatformRow, REPORTED, SectionKind, SoftwareRow};
use holdpoint_common::section::{Digest, Rows, Section, pack_delta};
use prost::Message;
use tempfile::TempDir;
use tonic::{Request, Status};

use super::pace::Allowance;
use holdpoint_common::clock::SetClock;

use super::{Allowances, Zone, ZoneSettings};
use crate::intake::Intake;
use crate::pki::{Origin, Pki};
use crate::query::inventory::InventoryService;
use crate::server::Peer;
use crate::store::{Store, StoreConfig, Txn};

/// Where the clock of a world starts.
pub(crate) const START: i64 = 1_700_000_000_000;
/// Certificates of a world are valid for this long.
pub(crate) const VALID_MS: i64 = 365 * 86_400_000;

pub(crate) struct World {
    pub(crate) clock: Arc<SetClock>,
    pub(crate) zone: Arc<Zone>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) inventory: InventoryService,
    dir: TempDir,
}

fn name() -> ZoneName {
    ZoneName { site: "plant".parse().unwrap(), zone: "line-1".parse().unwrap() }
}

fn zone_in(dir: &TempDir, clock: &Arc<SetClock>, config: &StoreConfig) -> Arc<Zone> {
    if !dir.path().join("store").exists() {
        Pki::init(dir.path(), &name(), Origin::NewRoot, START).unwrap();
    }
    let pki = Pki::open(dir.path(), &name(), START).unwrap();
    let (store, _) = Store::open(&dir.path().join("store"), config).unwrap();
    let many = Allowance { burst: 10_000, per_minute: 10_000 };
    let settings = ZoneSettings {
        clock: clock.clone(),
        allowances: Allowances { check_ins: many, reports: many, ..Allowances::default() },
        ..ZoneSettings::default()
    };
    Zone::open(dir.path(), settings, store, pki, START).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&StoreConfig { ballast_bytes: 0, ..StoreConfig::default() })
    }

    pub(crate) fn with(config: &StoreConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SetClock::new(START));
        Self::assemble(zone_in(&dir, &clock, config), dir, clock)
    }

    /// One whose store held something before it was opened.
    pub(crate) fn filled(fill: impl FnOnce(&Store)) -> Self {
        let (dir, config) =
            (tempfile::tempdir().unwrap(), StoreConfig { ballast_bytes: 0, ..Default::default() });
        Pki::init(dir.path(), &name(), Origin::NewRoot, START).unwrap();
        let (store, _) = Store::open(&dir.path().join("store"), &config).unwrap();
        fill(&store);
        store.close_blocking().unwrap();
        let clock = Arc::new(SetClock::new(START));
        Self::assemble(zone_in(&dir, &clock, &config), dir, clock)
    }

    fn assemble(zone: Arc<Zone>, dir: TempDir, clock: Arc<SetClock>) -> Self {
        let intake = Arc::new(Intake::new(zone.clone()));
        Self { inventory: InventoryService::new(zone.clone()), intake, zone, clock, dir }
    }

    /// The collector stops and starts again.
    pub(crate) async fn restarted(self) -> Self {
        let Self { clock, zone, intake, inventory, dir } = self;
        zone.store().clone().close().await.unwrap();
        drop((zone, intake, inventory));
        let config = StoreConfig { ballast_bytes: 0, ..StoreConfig::default() };
        Self::assemble(zone_in(&dir, &clock, &config), dir, clock)
    }

    pub(crate) async fn agent(&self, id: &str) -> Agent {
        let certificate = Digest::of(id.as_bytes());
        let machine = Digest::of(format!("machine of {id}").as_bytes());
        let record = AssetRecord {
            id: id.into(),
            name: id.into(),
            fingerprint: machine.to_vec(),
            certificates: vec![certificate_record(certificate)],
            enrolled_ms: START,
            ..AssetRecord::default()
        };
        self.zone.create_asset(record, Txn::admin(), Vec::new()).await.unwrap();
        let peer = Peer::Certificate {
            identity: name().agent(id.parse().unwrap()),
            fingerprint: certificate,
            issuer: Digest::of(b"ca"),
            not_before_ms: START,
            not_after_ms: START + VALID_MS,
        };
        Agent {
            peer,
            machine,
            boot_id: "boot-1".into(),
            sequence: 0,
            host_time_ms: START,
            sections: REPORTED.into_iter().map(|kind| (kind, section(kind, Vec::new()))).collect(),
        }
    }

    pub(crate) async fn operator(&self, operator: &str, roles: &[&str]) -> Peer {
        let certificate = Digest::of(format!("operator {operator}").as_bytes());
        let record = OperatorRecord {
            name: operator.into(),
            roles: roles.iter().map(|&it| it.to_owned()).collect(),
            certificates: vec![certificate_record(certificate)],
            ..OperatorRecord::default()
        };
        let change = |_: Option<&OperatorRecord>, _: &mut Txn| Ok((record, (), Vec::new()));
        self.zone.change_operator(operator, Txn::admin(), change).await.unwrap();
        Peer::Certificate {
            identity: name().operator(operator.parse().unwrap()),
            fingerprint: certificate,
            issuer: Digest::of(b"ca"),
            not_before_ms: START,
            not_after_ms: START + VALID_MS,
        }
    }

    pub(crate) fn record(&self, id: &str) -> AssetRecord {
        AssetRecord::clone(&*self.zone.asset(id).unwrap())
    }

    pub(crate) fn alarms(&self, id: &str) -> Vec<String> {
        self.record(id).alarms.into_iter().map(|it| it.kind).collect()
    }

    pub(crate) fn events(&self, id: &str) -> Vec<String> {
        let events = self.zone.store().events(Some(id), None, 100).unwrap();
        events.into_iter().map(|(_, it)| format!("{}: {}", it.kind, it.text)).collect()
    }

    /// The rows that are shown of a section.
    pub(crate) fn rows(&self, id: &str, kind: SectionKind) -> Vec<Vec<u8>> {
        let record = self.record(id);
        let held = record.sections.iter().find(|it| it.kind == i32::from(kind)).unwrap();
        let key = crate::store::SectionKey::of(held.kind, &held.shown.as_ref().unwrap().digest).unwrap();
        self.zone.store().section(key).unwrap().unwrap().to_vec()
    }
}

fn certificate_record(fingerprint: Digest) -> CertificateRecord {
    CertificateRecord {
        fingerprint: fingerprint.to_vec(),
        not_before_ms: START,
        not_after_ms: START + VALID_MS,
        ..CertificateRecord::default()
    }
}

/// A request as the server hands it over.
pub(crate) fn from<T>(peer: &Peer, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(peer.clone());
    request
}

pub(crate) fn software(name: &str, version: &str) -> Vec<u8> {
    SoftwareRow {
        name: name.into(),
        version: Some(version.into()),
        architecture: Some("amd64".into()),
        source: "dpkg".into(),
        ..SoftwareRow::default()
    }
    .encode_to_vec()
}

pub(crate) fn section(kind: SectionKind, rows: Vec<Vec<u8>>) -> Section {
    Section::new(kind, SectionStatus::Complete, Vec::new(), Rows::from_encoded(rows))
}

/// An agent without a host.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) peer: Peer,
    pub(crate) machine: Digest,
    pub(crate) boot_id: String,
    pub(crate) sequence: u64,
    pub(crate) host_time_ms: i64,
    pub(crate) sections: BTreeMap<SectionKind, Section>,
}

impl Agent {
    pub(crate) fn has_software(&mut self, rows: Vec<Vec<u8>>) {
        self.sections.insert(SectionKind::Software, section(SectionKind::Software, rows));
    }

    pub(crate) fn runs(&mut self, os: &str, version: &str) {
        let row = PlatformRow {
            os_name: Some(os.into()),
            os_version: Some(version.into()),
            ..PlatformRow::default()
        };
        self.sections
            .insert(SectionKind::Platform, section(SectionKind::Platform, vec![row.encode_to_vec()]));
    }

    pub(crate) fn check_in(&self) -> CheckInRequest {
        CheckInRequest {
            sequence: self.sequence,
            boot_id: self.boot_id.clone(),
            fingerprint: self.machine.to_vec(),
            held: self
                .sections
                .values()
                .map(|it| HeldSection {
                    kind: it.kind.into(),
                    digest: it.digest.to_vec(),
                    status: it.status.into(),
                })
                .collect(),
            health: Some(Health { host_time_ms: self.host_time_ms, ..Health::default() }),
            agent_version: "0.1.0".into(),
            ..CheckInRequest::default()
        }
    }

    pub(crate) async fn calls(&self, world: &World) -> Result<Directives, Status> {
        world.intake.check_in_from(&self.peer, self.check_in()).await
    }

    pub(crate) fn header(&mut self, nonces: &[Vec<u8>]) -> ReportHeader {
        self.sequence += 1;
        ReportHeader {
            sequence: self.sequence,
            boot_id: self.boot_id.clone(),
            fingerprint: self.machine.to_vec(),
            host_time_ms: self.host_time_ms,
            nonces: nonces.to_vec(),
            agent_version: "0.1.0".into(),
            ..ReportHeader::default()
        }
    }

    pub(crate) fn full(&self, kind: SectionKind) -> SectionPart {
        let section = &self.sections[&kind];
        part(section, SectionBody::Full, section.rows.pack().unwrap())
    }

    pub(crate) fn reference(&self, kind: SectionKind) -> SectionPart {
        part(&self.sections[&kind], SectionBody::Reference, Vec::new())
    }

    /// The section as a delta; `base` is what the collector is believed to hold.
    pub(crate) fn delta(&self, kind: SectionKind, base: &Rows) -> SectionPart {
        let section = &self.sections[&kind];
        let payload = pack_delta(&section.rows.delta_from(base)).unwrap();
        SectionPart { base: base.digest().to_vec(), ..part(section, SectionBody::Delta, payload) }
    }

    pub(crate) async fn sends(
        &mut self,
        world: &World,
        header: ReportHeader,
        parts: Vec<SectionPart>,
    ) -> Result<ReportAck, Status> {
        let header = Part::Header(header);
        let parts = std::iter::once(header).chain(parts.into_iter().map(Part::Section));
        let parts: Vec<_> = parts.map(|it| Ok(ReportPart { part: Some(it) })).collect();
        world.intake.report_from(&self.peer, tokio_stream::iter(parts)).await
    }

    /// Reports every section in full, answering `nonces`.
    pub(crate) async fn reports(&mut self, world: &World, nonces: &[Vec<u8>]) -> Result<ReportAck, Status> {
        let header = self.header(nonces);
        let parts = self.sections.keys().map(|&kind| self.full(kind)).collect();
        self.sends(world, header, parts).await
    }
}

fn part(section: &Section, body: SectionBody, payload: Vec<u8>) -> SectionPart {
    SectionPart {
        kind: section.kind.into(),
        status: section.status.into(),
        reasons: section.reasons.clone(),
        digest: section.digest.to_vec(),
        body: body.into(),
        base: Vec::new(),
        payload_bytes: u32::try_from(payload.len()).unwrap(),
        payload,
    }
}

/// What became of each section, by name.
pub(crate) fn outcomes(ack: &ReportAck) -> BTreeMap<SectionKind, Outcome> {
    ack.outcomes
        .iter()
        .map(|it| (SectionKind::try_from(it.kind).unwrap(), Outcome::try_from(it.outcome).unwrap()))
        .collect()
}
