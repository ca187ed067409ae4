//! Hosts, plans and persons for tests: believable images, snapshots of them, decisions that are really signed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use holdpoint_common::credentials::{Credentials, new_key};
use holdpoint_common::decision;
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{
    ChangeChallenge, ChangeEntry, Decision, SectionState, SignedDecision, SnapshotRecord, SnapshotSection,
};
use holdpoint_common::proto::v1::hardening_row::Value;
use holdpoint_common::proto::v1::{
    AccountRow, FirmwareRow, HardeningRow, ListenerRow, LiveRow, PlatformRow, SectionStatus, SelfRow,
    ServiceRow, SoftwareRow,
};
use holdpoint_common::row::{SectionKind, section_name};
use holdpoint_common::section::{Digest, Rows};
use holdpoint_common::version::Scheme;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, SanType};
use rustls::pki_types::PrivateKeyDer;

use super::fold::{Change, Written};
use super::judge::{Judged, Question, judge};
use super::plan::{
    self, Backup, Expectation, Package, Plan, Rollback, SafetyReview, Stage, Targets, Tier, Wanted,
};
use crate::assess::RowSource;
use crate::knowledge::{
    Advisory, AllowedAges, Branch, Ecosystem, Entry, Event, HeldAdvisory, Identity, Kind, Knowledge,
    NameKind, Pattern, Requirement, Revision, Source, Stated, Versions, Vulnerability, Wanted as Required,
};

/// The version that is wanted.
pub(super) const FIXED: &str = "3.0.15-1~deb12u1";
/// The version before.
pub(super) const OLD: &str = "3.0.11-1~deb12u2";

/// Sections as a store would keep them.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<HashMap<Digest, Arc<Vec<Vec<u8>>>>>);

impl Shelf {
    fn keep(&self, rows: &Rows) -> Digest {
        let digest = rows.digest();
        self.0.lock().unwrap().entry(digest).or_insert_with(|| Arc::new(rows.as_slice().to_vec()));
        digest
    }

    /// Everything is gone.
    pub(super) fn burn(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl RowSource for Shelf {
    fn rows(&self, _: SectionKind, digest: &Digest) -> Result<Option<Arc<Vec<Vec<u8>>>>, String> {
        self.0.lock().map(|it| it.get(digest).cloned()).map_err(|it| it.to_string())
    }
}

/// What a host is at a moment.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) platform: PlatformRow,
    pub(super) software: Vec<SoftwareRow>,
    pub(super) services: Vec<ServiceRow>,
    pub(super) listeners: Vec<ListenerRow>,
    pub(super) accounts: Vec<AccountRow>,
    pub(super) firmware: Vec<FirmwareRow>,
    pub(super) hardening: Vec<HardeningRow>,
    pub(super) live: Vec<LiveRow>,
    pub(super) agent: SelfRow,
    pub(super) boot: String,
    pub(super) fingerprint: [u8; 32],
    /// Sections that were not read completely.
    pub(super) statuses: BTreeMap<SectionKind, (SectionStatus, &'static str)>,
}

pub(super) fn package(name: &str, version: &str, source: &str) -> SoftwareRow {
    SoftwareRow {
        name: name.into(),
        version: Some(version.into()),
        architecture: Some("amd64".into()),
        source: "dpkg".into(),
        source_package: Some(source.into()),
        source_version: Some(version.into()),
        ..SoftwareRow::default()
    }
}

pub(super) fn fact(id: &str, value: Value) -> HardeningRow {
    HardeningRow {
        id: id.into(),
        source: "etc/x".into(),
        state: "observed".into(),
        value: Some(value),
        ..HardeningRow::default()
    }
}

pub(super) fn service(name: &str, state: &str) -> ServiceRow {
    ServiceRow {
        source: "systemd".into(),
        name: name.into(),
        state: Some(state.into()),
        start_mode: Some("enabled".into()),
        image_path: Some(format!("/usr/sbin/{name}")),
        ..ServiceRow::default()
    }
}

pub(super) fn listener(port: u32, program: &str, package: &str) -> ListenerRow {
    ListenerRow {
        source: "proc".into(),
        protocol: "tcp".into(),
        address: "0.0.0.0".into(),
        port,
        program: Some(format!("/usr/sbin/{program}")),
        service: Some(program.into()),
        package: Some(package.into()),
    }
}

impl Host {
    /// An operator station with an old `libssl3`, beside as many other packages as a real one has.
    pub(super) fn new(packages: usize) -> Self {
        let mut software = vec![package("libssl3", OLD, "openssl"), package("openssl", OLD, "openssl")];
        software
            .extend((2..packages).map(|it| package(&format!("lib-{it}"), "1.2.3-4", &format!("src-{it}"))));
        let accounts = ["root", "operator"].map(|it| AccountRow {
            kind: "user".into(),
            name: it.into(),
            uid: Some(1_000),
            ..AccountRow::default()
        });
        Self {
            platform: PlatformRow {
                source: "proc".into(),
                os_id: Some("debian".into()),
                os_name: Some("Debian GNU/Linux 12".into()),
                os_version: Some("12".into()),
                kernel_running: Some("6.1.0-18-amd64".into()),
                kernel_newest: Some("6.1.0-18-amd64".into()),
                boot_id: Some("boot-1".into()),
                ..PlatformRow::default()
            },
            software,
            services: (0..packages / 8)
                .map(|it| service(&format!("unit-{it}"), "running"))
                .chain([service("ssh", "running")])
                .collect(),
            listeners: vec![listener(22, "sshd", "openssh-server"), listener(4_840, "scada", "scada-server")],
            accounts: accounts.to_vec(),
            firmware: vec![FirmwareRow {
                kind: "bios".into(),
                version: Some("1.9".into()),
                ..FirmwareRow::default()
            }],
            hardening: (0..packages / 4)
                .map(|it| fact(&format!("fact.number.{it}"), Value::Number(1)))
                .chain([fact("smb.v1", Value::Flag(false))])
                .collect(),
            live: vec![LiveRow {
                source: "proc".into(),
                kind: "kernel".into(),
                state: "current".into(),
                ..LiveRow::default()
            }],
            agent: SelfRow {
                agent_version: "0.1.0".into(),
                agent_digest: Some("aa".repeat(32)),
                ..SelfRow::default()
            },
            boot: "boot-1".into(),
            fingerprint: [7; 32],
            statuses: BTreeMap::new(),
        }
    }

    /// With a package in another version.
    pub(super) fn install(mut self, name: &str, version: &str) -> Self {
        match self.software.iter_mut().find(|it| it.name == name) {
            Some(row) => {
                row.version = Some(version.into());
                row.source_version = Some(version.into());
            }
            None => self.software.push(package(name, version, name)),
        }
        self
    }

    /// The work as it was planned.
    pub(super) fn patched(self) -> Self {
        self.install("libssl3", FIXED).install("openssl", FIXED)
    }

    pub(super) fn remove(mut self, name: &str) -> Self {
        self.software.retain(|it| it.name != name);
        self
    }

    pub(super) fn restarted(mut self) -> Self {
        self.boot.push('+');
        self.platform.boot_id = Some(self.boot.clone());
        self.live.retain(|it| it.kind == "kernel");
        self
    }

    pub(super) fn incomplete(
        mut self,
        kind: SectionKind,
        status: SectionStatus,
        reason: &'static str,
    ) -> Self {
        self.statuses.insert(kind, (status, reason));
        self
    }

    fn rows(&self) -> [(SectionKind, Rows); 10] {
        [
            (SectionKind::Platform, Rows::encode(std::slice::from_ref(&self.platform))),
            (SectionKind::Software, Rows::encode(&self.software)),
            (SectionKind::Services, Rows::encode(&self.services)),
            (SectionKind::Listeners, Rows::encode(&self.listeners)),
            (SectionKind::Accounts, Rows::encode(&self.accounts)),
            (SectionKind::Firmware, Rows::encode(&self.firmware)),
            (SectionKind::Hardening, Rows::encode(&self.hardening)),
            (SectionKind::Live, Rows::encode(&self.live)),
            (SectionKind::Updates, Rows::default()),
            (SectionKind::Self_, Rows::encode(std::slice::from_ref(&self.agent))),
        ]
    }

    /// What a report of the host says.
    pub(super) fn report(&self, store: &Shelf, asset: &str, sequence: u64, nonce: &[u8]) -> SnapshotRecord {
        let section = |(kind, rows): (SectionKind, Rows)| {
            let (status, reasons) = match self.statuses.get(&kind) {
                Some((status, reason)) => (*status, vec![(*reason).to_owned()]),
                None => (SectionStatus::Complete, Vec::new()),
            };
            let state = SectionState {
                status: status.into(),
                reasons,
                digest: store.keep(&rows).to_vec(),
                rows: u32::try_from(rows.as_slice().len()).unwrap(),
                received_ms: 1_000,
                sequence,
                ..SectionState::default()
            };
            SnapshotSection { kind: kind.into(), state: Some(state) }
        };
        SnapshotRecord {
            nonce: nonce.to_vec(),
            asset: asset.to_owned(),
            fingerprint: self.fingerprint.to_vec(),
            sequence,
            boot_id: self.boot.clone(),
            issued_ms: 900,
            received_ms: 1_000,
            host_time_ms: 990,
            agent_version: self.agent.agent_version.clone(),
            sections: self.rows().map(section).to_vec(),
            certificate: vec![1; 32],
        }
    }
}

pub(super) fn at_least(id: &str, name: &str, minimum: &str) -> Expectation {
    let wanted =
        Required::Software { name: Pattern::new(name).unwrap(), by: NameKind::SourcePackage, source: None };
    let requirement = Requirement {
        id: id.into(),
        wanted,
        minimum: minimum.into(),
        scheme: Scheme::Deb,
        role: None,
        reference: None,
        title: None,
    };
    expectation(id, Wanted::AtLeast(Box::new(requirement)))
}

pub(super) fn expectation(id: &str, wanted: Wanted) -> Expectation {
    Expectation { id: id.into(), wanted }
}

/// A plan that says everything that the board asks for; its stages expect everything.
pub(super) fn plan(expectations: Vec<Expectation>, tiers: &[Tier]) -> Plan {
    let some = || Some("x".to_owned());
    let all: Vec<usize> = (0..expectations.len()).collect();
    let stage = |tier: &Tier| Stage {
        title: tier.as_str().to_owned(),
        tier: *tier,
        targets: Targets::default(),
        expectations: all.clone(),
        points: Vec::new(),
    };
    Plan {
        title: "TLS".into(),
        reason: None,
        refers_to: None,
        window: Some(plan::Window { start_ms: 0, end_ms: 1, hard_stop_ms: 1, latest_rollback_ms: 1 }),
        rollback: Rollback { procedure: some(), verified_by: some() },
        backup: Backup { place: some(), sha256: some(), taken_ms: Some(0), restore_tested_ms: Some(0) },
        safety_review: SafetyReview { by: some(), summary: some() },
        package: Package { source: some(), sha256: some(), signature: some() },
        stages: tiers.iter().map(stage).collect(),
        expectations,
        allowed: Vec::new(),
        tests: Vec::new(),
        soak_days: 30,
        backup_max_age_days: 7,
        answer_within_min: 60,
    }
}

/// An operator with a key of his own.
pub(super) fn operator(name: &str) -> Credentials {
    let ca_key = new_key().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca_certificate = ca.self_signed(&ca_key).unwrap().der().clone();
    let key = new_key().unwrap();
    let mut leaf = CertificateParams::default();
    let uri = format!("spiffe://plant/zone/line-1/operator/{name}");
    leaf.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Credentials::new(vec![leaf, ca_certificate.clone()], key, vec![ca_certificate]).unwrap()
}

/// 16 bytes that occur once for each number.
pub(super) fn nonce(number: u64) -> Vec<u8> {
    Digest::of(&number.to_be_bytes()).as_bytes()[..16].to_vec()
}

/// A decision of a person, signed.
pub(super) fn signed(by: &Credentials, person: &str, decision: &Decision) -> SignedDecision {
    SignedDecision { person: person.to_owned(), ..decision::sign(decision, by).unwrap() }
}

pub(super) fn challenge(asset: &str, nonce: Vec<u8>, sequence: u64) -> ChangeChallenge {
    ChangeChallenge { asset: asset.to_owned(), nonce, issued_ms: 900, sequence }
}

/// The next entry of a change.
pub(super) fn next(change: &Change, what: What) -> ChangeEntry {
    ChangeEntry { change: change.id.clone(), revision: change.revision + 1, what: Some(what) }
}

pub(super) const WRITTEN: Written<'static> =
    Written { number: 1, at_ms: 5, by: "local", action: "test", text: "" };

/// One target of one stage, before and after, as it is judged.
pub(super) struct Case {
    pub(super) plan: Plan,
    pub(super) pre: Option<Host>,
    pub(super) post: Option<Host>,
    pub(super) knowledge: Knowledge,
    /// Of the rules that expectations name, when the board decided and now.
    pub(super) rules: [Vec<(String, Vec<u8>)>; 2],
    pub(super) now_ms: i64,
}

/// The asset of a [`Case`].
pub(super) const ASSET: &str = "hmi-1";

impl Case {
    pub(super) fn new(expectations: Vec<Expectation>, pre: Host, post: Host) -> Self {
        let rules = || {
            expectations.iter().filter_map(|it| {
                let Wanted::NotAffected { subject, .. } = &it.wanted else { return None };
                Some((subject.split('/').next()?.to_owned(), vec![1]))
            })
        };
        let rules = [rules().collect(), rules().collect()];
        Self {
            plan: plan(expectations, &[Tier::Hmi]),
            pre: Some(pre),
            post: Some(post),
            knowledge: Knowledge::default(),
            rules,
            now_ms: 2_000,
        }
    }

    /// The change as far as judging looks at it.
    pub(super) fn change(&self, store: &Shelf) -> Change {
        let mut change = Change::of_plan("CHG-0001", self.plan.clone(), &[vec![ASSET.to_owned()]]);
        change.rules.clone_from(&self.rules[0]);
        let target = change.stages[0].targets.get_mut(ASSET).unwrap();
        target.pre_asked = Some(challenge(ASSET, nonce(1), 1));
        target.post_asked = Some(challenge(ASSET, nonce(2), 2));
        target.pre = self.pre.as_ref().map(|it| it.report(store, ASSET, 2, &nonce(1)));
        target.post = self.post.as_ref().map(|it| it.report(store, ASSET, 3, &nonce(2)));
        change
    }

    pub(super) fn judge_change(&self, change: &Change, store: &Arc<Shelf>) -> Judged {
        judge(&Question {
            change,
            stage: 1,
            rows: Arc::clone(store) as Arc<dyn RowSource>,
            knowledge: &Arc::new(self.knowledge.clone()),
            ages: &AllowedAges::default(),
            now_ms: self.now_ms,
            role: &|_| None,
            rules: &self.rules[1],
        })
        .unwrap()
    }

    pub(super) fn judged(&self) -> Judged {
        let store = Arc::new(Shelf::default());
        self.judge_change(&self.change(&store), &store)
    }

    /// The verdict of an expectation with its reason; of the target for an empty one.
    pub(super) fn word(&self, expectation: &str) -> String {
        word(&self.judged(), expectation)
    }
}

/// `VERDICT`, `VERDICT(REASON)`, with `+COLLATERAL_CHANGE` where something moved.
pub(super) fn word(judged: &Judged, expectation: &str) -> String {
    let it = judged.verdicts.iter().find(|it| it.expectation == expectation).unwrap();
    let reason = if it.reason.is_empty() { String::new() } else { format!("({})", it.reason) };
    let words: Vec<&str> =
        [it.verdict.as_str()].into_iter().chain(it.modifiers.iter().map(String::as_str)).collect();
    let (verdict, modifiers) = words.split_first().unwrap();
    let modifiers = modifiers.iter().fold(String::new(), |all, it| all + "+" + it);
    format!("{verdict}{reason}{modifiers}")
}

/// What moved, each as "section item: before -> after".
pub(super) fn moved(judged: &Judged) -> Vec<String> {
    let told = |it: &holdpoint_common::proto::store::CollateralItem| {
        let kind = SectionKind::try_from(it.kind).map_or("?", section_name);
        let side = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".to_owned());
        format!("{kind} {}: {} -> {}", it.item, side(&it.before), side(&it.after))
    };
    judged.collateral.iter().map(told).collect()
}

/// A record of Debian about packages that were built from a source, fixed in a version.
pub(super) fn advisory_of(id: &str, source: &str, fixed: &str) -> HeldAdvisory {
    let ecosystem =
        Ecosystem { distribution: "debian".into(), release: Some("12".into()), scheme: Scheme::Deb };
    let events = vec![Event::Introduced("0".into()), Event::Fixed(fixed.into())];
    let versions = Versions::Events(vec![Branch { events, listed: Vec::new() }]);
    advisory(id, Kind::Osv, source, versions, Identity::Package(ecosystem))
}

/// An advisory about a product that only a person could recognise.
pub(super) fn named_advisory(id: &str, product: &str) -> HeldAdvisory {
    advisory(id, Kind::Csaf, product, Versions::All, Identity::Named)
}

fn advisory(id: &str, kind: Kind, product: &str, versions: Versions, identity: Identity) -> HeldAdvisory {
    let entry = Entry {
        id: "E".into(),
        vendor: "Debian".into(),
        product: product.into(),
        versions,
        identity,
        conditions: Vec::new(),
        model_numbers: Vec::new(),
        purl: None,
    };
    let vulnerability = Vulnerability {
        id: format!("CVE-{id}"),
        severity: None,
        vector: None,
        statements: vec![(0, Stated::Affected)],
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
        entries: vec![entry],
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
