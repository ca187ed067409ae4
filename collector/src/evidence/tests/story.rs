//! A whole change, entry by entry: a patch that one station gets late, and a controller that two persons attest.

use std::collections::BTreeMap;

use holdpoint_common::credentials::{Credentials, new_key};
use holdpoint_common::decision;
use holdpoint_common::identity::{Identity, ZoneName};
use holdpoint_common::proto::store::audit_entry::Detail;
use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{
    Attestation, AuditEntry, AuditRecord, BoardMeeting, ChangeChallenge, ChangeClosed, ChangeDrafted,
    ChangeEntry, ChangeSubmitted, CollateralExplained, CollateralItem, Decision, Evidence, FunctionalTest,
    Grade, LeftOut, LessonsRecorded, PreflightCheck, SectionState, SignedDecision, SnapshotRecord,
    SnapshotSection, SnapshotTaken, StageCompleted, StageJudged, StageOpening, StageTargets, StepResult,
    TargetVerdict,
};
use holdpoint_common::row::{LiveRow, SectionKind, SoftwareRow};
use holdpoint_common::section::{Digest, Rows};
use prost::Message;
use rcgen::CertificateParams;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::super::excerpt::{Excerpt, Gathering};
use super::super::rejudge::PackRows;
use super::super::{Input, Policy, export};
use crate::audit::{AuditKey, START, link};
use crate::change::judge::JUDGE;
use crate::pki::{Origin, Pki, Request};

pub(super) const NOW: i64 = 1_804_136_400_000;
pub(super) const ID: &str = "CHG-0001";
/// What nobody may ever see as markup.
pub(super) const HOSTILE: &str = "</td><script>alert(1)</script>";

pub(super) const PLAN: &str = r#"
title = "OpenSSL on the <stations>"
reason = "exploited from the office network"

[window]
start = 2027-03-04T06:00:00+01:00
latest_rollback = 2027-03-04T09:00:00+01:00
hard_stop = 2027-03-04T10:00:00+01:00
end = 2027-03-04T10:30:00+01:00

[rollback]
procedure = "restore the image"
verified_by = "maintenance"

[backup]
place = "backup-02"
sha256 = "6a1f0c8e2b7d4935a0c1e8f7b6d5c4a3928170f6e5d4c3b2a1908f7e6d5c4b3a"
taken = 2027-03-03T20:15:00+01:00
restore_tested = 2027-02-20T10:00:00+01:00

[safety_review]
by = "plant safety"
summary = "the safety system is not touched"

[package]
source = "mirror of the site"
sha256 = "0b1e5f7c9d3a2846b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4"
signature = "checked with gpgv"

[[expectation]]
id = "openssl"
at_least = { product = "openssl", min_version = "3.0.11", scheme = "deb" }

[[stage]]
title = "Stations"
tier = "hmi"
assets = ["hmi-1", "hmi-2"]

[[stage]]
title = "Controllers"
tier = "controllers"
assets = ["plc-7"]

[[test]]
id = "FTP-1"
title = "Station works"
may_sign = ["operations"]

[[test.step]]
id = "trend"
text = "Open the trend"
max = 5
unit = "s"
"#;

pub(super) struct Story {
    _dir: tempfile::TempDir,
    pub(super) pki: Pki,
    pub(super) root: CertificateDer<'static>,
    pub(super) key: AuditKey,
    pub(super) entries: Vec<AuditEntry>,
    pub(super) packed: BTreeMap<Digest, Vec<u8>>,
    ada: Credentials,
    grace: Credentials,
    revision: u64,
    nonce: u8,
}

pub(super) fn zone() -> ZoneName {
    ZoneName { site: "plant".parse().unwrap(), zone: "line-1".parse().unwrap() }
}

pub(super) fn key() -> AuditKey {
    AuditKey::open(tempfile::tempdir().unwrap().path(), true).unwrap()
}

fn enrolled(pki: &Pki, identity: &Identity) -> Credentials {
    let key = new_key().unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap();
    let issued = pki.issue(identity, &Request::read(csr.der()).unwrap(), NOW).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Credentials::new(issued.chain, key, pki.anchors()).unwrap()
}

pub(super) fn operator(pki: &Pki, name: &str) -> Credentials {
    enrolled(pki, &zone().operator(name.parse().unwrap()))
}

/// A zone CA and the root above it.
pub(super) fn authority(dir: &std::path::Path) -> (Pki, CertificateDer<'static>) {
    use rustls::pki_types::pem::PemObject;
    let founded = Pki::init(dir, &zone(), Origin::NewRoot, NOW).unwrap();
    let away = founded.root_to_take_away.unwrap();
    let file = std::fs::read_dir(away).unwrap().map(|it| it.unwrap().path());
    let pem = file.into_iter().find(|it| it.extension().is_some_and(|it| it == "crt")).unwrap();
    (Pki::open(dir, &zone(), NOW).unwrap(), CertificateDer::from_pem_file(pem).unwrap())
}

impl Story {
    /// Nothing yet but somebody else's entry.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (pki, root) = authority(dir.path());
        let mut story = Self {
            ada: operator(&pki, "ada"),
            grace: operator(&pki, "grace"),
            pki,
            root,
            key: key(),
            entries: Vec::new(),
            packed: BTreeMap::new(),
            revision: 0,
            nonce: 0,
            _dir: dir,
        };
        story.others();
        story
    }

    /// From draft to closure.
    pub(super) fn whole() -> Self {
        let mut story = Self::new();
        story.board();
        story.stations();
        story.controllers();
        story.end();
        story
    }

    pub(super) fn board(&mut self) {
        let stages = [vec!["hmi-1", "hmi-2"], vec!["plc-7"]];
        self.write(What::Drafted(ChangeDrafted {
            plan: PLAN.into(),
            file: "plan.toml".into(),
            stages: stages.map(|it| StageTargets { assets: it.into_iter().map(Into::into).collect() }).into(),
        }));
        self.write(What::Submitted(ChangeSubmitted::default()));
        self.write(What::Meeting(BoardMeeting {
            held_ms: NOW,
            present: vec!["ada".into(), "grace".into()],
            minutes: HOSTILE.into(),
        }));
        for role in ["ot-security", "control-engineer", "maintenance", "operations", "plant-safety"] {
            let by_grace = ["operations", "plant-safety"].contains(&role);
            let signed = self.signed(
                by_grace,
                Decision {
                    kind: "sign-off".into(),
                    role: role.into(),
                    text: "as agreed".into(),
                    rollback_verified: role == "maintenance",
                    ..Decision::default()
                },
            );
            self.write(What::Decision(signed));
            self.others();
        }
    }

    pub(super) fn stations(&mut self) {
        let asked = self.asked(&["hmi-1", "hmi-2"], 3);
        self.write(What::Opening(StageOpening {
            stage: 1,
            checks: vec![PreflightCheck {
                check: "backup-age".into(),
                asset: String::new(),
                result: "fail".into(),
                text: "8 days".into(),
            }],
            r#override: "the backup is of the same image".into(),
            challenges: asked.clone(),
            left_out: Vec::new(),
        }));
        let old = self.section(&[("openssl", "3.0.9"), ("editor", "3")]);
        let new = self.section(&[("openssl", "3.0.11"), ("editor", "3")]);
        let more = self.section(&[("openssl", "3.0.11"), ("editor", "4")]);
        for it in &asked {
            self.answer(1, "pre", it, 4, old.clone());
        }
        let asked = self.asked(&["hmi-1", "hmi-2"], 4);
        self.complete(1, &asked);
        self.answer(1, "post", &asked[0], 5, new.clone());
        self.answer(1, "post", &asked[1], 5, old.clone());
        self.judge(
            1,
            vec![verdict("hmi-1", "REMEDIATED", &old, &new), verdict("hmi-2", "NOT_REMEDIATED", &old, &old)],
            Vec::new(),
        );
        let asked = self.asked(&["hmi-1", "hmi-2"], 5);
        self.complete(1, &asked);
        self.answer(1, "post", &asked[0], 6, new.clone());
        self.answer(1, "post", &asked[1], 6, more.clone());
        self.judge(
            1,
            vec![
                verdict("hmi-1", "REMEDIATED", &old, &new),
                TargetVerdict {
                    modifiers: vec!["COLLATERAL_CHANGE".into()],
                    ..verdict("hmi-2", "REMEDIATED", &old, &more)
                },
            ],
            vec![CollateralItem {
                number: 1,
                stage: 1,
                asset: "hmi-2".into(),
                kind: SectionKind::Software.into(),
                item: "editor".into(),
                before: Some("3".into()),
                after: Some("4".into()),
            }],
        );
        let signed = self.signed(
            false,
            Decision {
                kind: "explain".into(),
                text: "asked for by operations".into(),
                items: vec![1],
                ..Decision::default()
            },
        );
        self.write(What::Explained(CollateralExplained { items: vec![1], decision: Some(signed) }));
    }

    fn controllers(&mut self) {
        self.write(What::Opening(StageOpening {
            stage: 2,
            left_out: vec![LeftOut { asset: "plc-7".into(), reason: "no agent".into() }],
            ..StageOpening::default()
        }));
        self.complete(2, &[]);
        for by_grace in [false, true] {
            let signed = self.signed(
                by_grace,
                Decision {
                    kind: "attest".into(),
                    role: "control-engineer".into(),
                    stage: 2,
                    attestation: Some(Attestation {
                        asset: "plc-7".into(),
                        expectation: "openssl".into(),
                        method: "compare in the engineering tool".into(),
                        artefact_digest: Digest::of(b"photograph").to_vec(),
                        artefact: "plc-7.jpg".into(),
                        claim: "remediated".into(),
                    }),
                    ..Decision::default()
                },
            );
            self.write(What::Decision(signed));
        }
        let whole = TargetVerdict {
            asset: "plc-7".into(),
            verdict: "ATTESTED_ONLY".into(),
            grade: "E".into(),
            ..TargetVerdict::default()
        };
        self.judge(2, vec![whole], Vec::new());
    }

    fn end(&mut self) {
        let signed = self.signed(
            true,
            Decision {
                kind: "functional-test".into(),
                role: "operations".into(),
                test: Some(FunctionalTest {
                    procedure: "FTP-1".into(),
                    procedure_digest: Digest::of(PLAN.as_bytes()).to_vec(),
                    steps: vec![StepResult { step: "trend".into(), observed: "2.5 s".into(), passed: true }],
                }),
                ..Decision::default()
            },
        );
        self.write(What::Decision(signed));
        self.others();
        self.write(What::Lessons(LessonsRecorded { text: "none".into() }));
        self.write(What::Closed(ChangeClosed { r#as: "closed".into(), ..ChangeClosed::default() }));
        self.others();
    }

    /// Somebody does something else.
    pub(super) fn others(&mut self) {
        let number = self.next();
        self.entries.push(AuditEntry {
            number,
            at_ms: NOW,
            by: "local".into(),
            action: "imported".into(),
            text: "what is nobody's business".into(),
            ..AuditEntry::default()
        });
    }

    pub(super) fn write(&mut self, what: What) {
        self.revision += 1;
        let number = self.next();
        let entry = ChangeEntry { change: ID.into(), revision: self.revision, what: Some(what) };
        self.entries.push(AuditEntry {
            number,
            at_ms: NOW + i64::try_from(number).unwrap() * 1_000,
            by: "spiffe://plant/zone/line-1/operator/ada".into(),
            action: "change-step".into(),
            subject: ID.into(),
            text: "a step".into(),
            detail: Some(Detail::Change(entry.encode_to_vec())),
        });
    }

    fn next(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap() + 1
    }

    fn nonce(&mut self) -> Vec<u8> {
        self.nonce += 1;
        vec![self.nonce; 16]
    }

    pub(super) fn signed(&mut self, by_grace: bool, decision: Decision) -> SignedDecision {
        let decision = Decision {
            change: ID.into(),
            plan_digest: Digest::of(PLAN.as_bytes()).to_vec(),
            nonce: self.nonce(),
            at_ms: NOW,
            ..decision
        };
        let (who, person) = if by_grace { (&self.grace, "grace") } else { (&self.ada, "ada") };
        SignedDecision { person: person.into(), ..decision::sign(&decision, who).unwrap() }
    }

    fn asked(&mut self, assets: &[&str], sequence: u64) -> Vec<ChangeChallenge> {
        let ask = |it: &&str| ChangeChallenge {
            asset: (*it).into(),
            nonce: self.nonce(),
            issued_ms: NOW,
            sequence,
        };
        assets.iter().map(ask).collect()
    }

    fn complete(&mut self, stage: u32, asked: &[ChangeChallenge]) {
        self.write(What::Completed(StageCompleted {
            stage,
            challenges: asked.to_vec(),
            answers_until_ms: NOW + 1_800_000,
            note: String::new(),
        }));
    }

    fn judge(&mut self, stage: u32, verdicts: Vec<TargetVerdict>, collateral: Vec<CollateralItem>) {
        // Of the one expectation, and of the target as a whole.
        let both = |whole: TargetVerdict| {
            let (expectation, modifiers) = ("openssl".into(), Vec::new());
            [TargetVerdict { expectation, modifiers, ..whole.clone() }, whole]
        };
        let verdicts = verdicts.into_iter().flat_map(both).collect();
        let judge = JUDGE.to_owned();
        self.write(What::Judged(StageJudged { stage, verdicts, collateral, rules: Vec::new(), judge }));
    }

    fn answer(
        &mut self,
        stage: u32,
        phase: &str,
        to: &ChangeChallenge,
        sequence: u64,
        software: SnapshotSection,
    ) {
        let live = self.read_whole(SectionKind::Live, &Rows::encode::<LiveRow>(&[]));
        let snapshot = SnapshotRecord {
            nonce: to.nonce.clone(),
            asset: to.asset.clone(),
            fingerprint: vec![1; 32],
            sequence,
            boot_id: format!("boot-{sequence}"),
            issued_ms: NOW,
            received_ms: NOW + 1_000,
            host_time_ms: NOW,
            agent_version: "0.1.0".into(),
            sections: vec![software, live],
            certificate: Digest::of(to.asset.as_bytes()).to_vec(),
        };
        self.write(What::Snapshot(SnapshotTaken { stage, phase: phase.into(), snapshot: Some(snapshot) }));
    }

    fn section(&mut self, software: &[(&str, &str)]) -> SnapshotSection {
        let row = |(name, version): &(&str, &str)| SoftwareRow {
            name: (*name).into(),
            version: Some((*version).into()),
            source: "dpkg".into(),
            ..SoftwareRow::default()
        };
        let rows = Rows::encode(&software.iter().map(row).collect::<Vec<_>>());
        self.read_whole(SectionKind::Software, &rows)
    }

    /// A section that was read completely.
    fn read_whole(&mut self, kind: SectionKind, rows: &Rows) -> SnapshotSection {
        self.packed.insert(rows.digest(), rows.pack().unwrap());
        SnapshotSection {
            kind: kind.into(),
            state: Some(SectionState {
                status: 1,
                digest: rows.digest().to_vec(),
                rows: u32::try_from(rows.len()).unwrap(),
                grade: Grade::B.into(),
                ..SectionState::default()
            }),
        }
    }

    pub(super) fn rows(&self) -> PackRows {
        PackRows::new(self.packed.clone())
    }

    /// The log, chained and signed by a key.
    pub(super) fn records(&self, key: &AuditKey) -> Vec<AuditRecord> {
        let mut before = START;
        let record = |it: &AuditEntry| {
            let entry = it.encode_to_vec();
            before = link(&before, &entry);
            AuditRecord { entry, chain: before.to_vec(), signature: key.sign(&before) }
        };
        self.entries.iter().map(record).collect()
    }

    pub(super) fn excerpt(&self, key: &AuditKey) -> Excerpt {
        let mut gathering = Gathering::of(ID);
        for (number, record) in (1..).zip(self.records(key)) {
            gathering.take(number, record).unwrap();
        }
        gathering.finish().unwrap()
    }

    pub(super) fn pack(&self, policy: Policy) -> Vec<u8> {
        self.pack_by(&self.key, policy)
    }

    /// A pack as a collector with that audit key makes it.
    pub(super) fn pack_by(&self, key: &AuditKey, policy: Policy) -> Vec<u8> {
        export(&Input {
            change: ID,
            zone: &zone(),
            excerpt: &self.excerpt(key),
            certificates: &self.pki.anchors(),
            rows: &self.rows(),
            policy,
            exported_ms: NOW,
            key,
        })
        .unwrap()
    }

    pub(super) fn public(&self) -> [u8; 32] {
        self.key.public().try_into().unwrap()
    }

    /// Rows that are no longer there.
    pub(super) fn without_rows(mut self) -> Self {
        self.packed = BTreeMap::new();
        self
    }
}

/// A verdict on a target.
fn verdict(asset: &str, word: &str, pre: &SnapshotSection, post: &SnapshotSection) -> TargetVerdict {
    let seen = |phase: &str, it: &SnapshotSection| Evidence {
        phase: phase.into(),
        what: "openssl".into(),
        value: HOSTILE.into(),
        digest: it.state.as_ref().unwrap().digest.clone(),
        kind: it.kind,
    };
    TargetVerdict {
        asset: asset.into(),
        verdict: word.into(),
        text: HOSTILE.into(),
        evidence: vec![seen("pre", pre), seen("post", post)],
        grade: "B".into(),
        ..TargetVerdict::default()
    }
}
