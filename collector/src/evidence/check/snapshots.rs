//! What hosts answered: each snapshot as its entry has it, each row as its digest says.

use std::collections::BTreeMap;

use holdpoint_common::identity::Subject;
use holdpoint_common::proto::store::SnapshotRecord;
use holdpoint_common::section::{Digest, Rows};
use prost::Message;

use super::super::certificates::{Certificates, Pinned};
use super::super::excerpt::Own;
use super::super::export::{named, snapshot};
use super::super::manifest::Policy;
use super::super::member::Member;
use super::super::shown;
use super::Checked;
use super::opened::Opened;
use crate::zone::Grade;

/// Most rows that are unpacked of one pack, in bytes of their listings.
const MAX_ROWS_BYTES: u64 = 64 * 1024 * 1024 * 1024;

pub(super) fn check(
    pack: &Opened<'_>,
    entries: &[Own],
    certificates: &Certificates,
    pinned: &Pinned,
    said: &mut Checked,
) {
    let faults = said.faults.len();
    let mut expected = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    let mut grades: BTreeMap<Grade, usize> = BTreeMap::new();
    let mut unknown = 0;
    for it in entries.iter().filter_map(snapshot) {
        let Ok(nonce) = <[u8; 16]>::try_from(it.nonce.as_slice()) else { continue };
        expected.insert(Member::Snapshot(nonce), it);
        for (_, digest, rows) in named(it) {
            if wanted.insert(digest, rows).is_some_and(|before| before != rows) {
                said.fault(format!("two snapshots say different numbers of rows of the section {digest}"));
            }
        }
        let grade = it.sections.iter().filter_map(|it| it.state.as_ref()).map(Grade::of).max();
        *grades.entry(grade.unwrap_or(Grade::E)).or_default() += 1;
        unknown += usize::from(!agent(it, pack, certificates, pinned, said));
    }
    for (member, it) in &expected {
        match pack.members.get(member) {
            None => said.fault(format!("`{member}`, the answer of {}, is missing", shown(&it.asset))),
            Some(bytes) if **bytes != it.encode_to_vec() => {
                said.fault(format!("`{member}` is not the answer that its entry has"));
            }
            Some(_) => {}
        }
    }
    for member in pack.members.keys() {
        if matches!(member, Member::Snapshot(_)) && !expected.contains_key(member) {
            said.fault(format!("`{member}` answers nothing that the change asked"));
        }
    }
    if !expected.is_empty() && said.faults.len() == faults {
        said.proves(format!(
            "{} snapshots are what the entries say: each answers the very question that the change asked of that host \
             then, under a higher sequence than any report before it",
            expected.len()
        ));
        said.leaves_open(
            "that a host said what its snapshot says: the collector received it over TLS under the agent's certificate, \
             and its audit key speaks for that; reports carry no signature of their own",
        );
    }
    sections(pack, &wanted, said);
    if unknown > 0 {
        said.leaves_open(format!(
            "whose keys answered in {unknown} snapshots: their agents' certificates are named by SHA-256 and are not \
             in the pack"
        ));
    }
    for (grade, count) in grades {
        let why = match grade {
            Grade::A => "only that machine can have answered, but whoever rules it rules what it says",
            Grade::B | Grade::C | Grade::D | Grade::E => {
                "whoever rules the host, or has a copy of its key, can say it"
            }
        };
        said.leaves_open(format!(
            "more than grade {} in {count} snapshots: {}; {why}",
            grade.as_str(),
            grade.meaning()
        ));
    }
}

/// Whether the agent's certificate is in the pack; a wrong one is a fault.
fn agent(
    it: &SnapshotRecord,
    pack: &Opened<'_>,
    certificates: &Certificates,
    pinned: &Pinned,
    said: &mut Checked,
) -> bool {
    let Ok(digest) = Digest::try_from(it.certificate.as_slice()) else { return false };
    let Some((certificate, leaf)) = certificates.leaf(&digest) else { return false };
    let asset = shown(&it.asset);
    if !matches!(&leaf.identity.subject, Subject::Agent(name) if name.as_str() == it.asset)
        || leaf.identity.zone.to_string() != pack.manifest.zone
    {
        said.fault(format!("the answer of `{asset}` came under the certificate of {}", leaf.identity));
    }
    if certificates.issuer(certificate, leaf).is_none()
        || !pinned.is_empty() && !pinned.issued(certificate, leaf, certificates)
    {
        said.fault(format!("the answer of `{asset}` came under a certificate of another authority"));
    }
    true
}

/// Rows against the digests that snapshots name.
fn sections(pack: &Opened<'_>, wanted: &BTreeMap<Digest, u32>, said: &mut Checked) {
    let faults = said.faults.len();
    let (mut held, mut rows, mut bytes) = (0, 0_u64, 0_u64);
    for (member, packed) in &pack.members {
        let Member::Section(digest) = member else { continue };
        let Some(counted) = wanted.get(digest) else {
            said.fault(format!("`{member}` belongs to no snapshot"));
            continue;
        };
        if bytes > MAX_ROWS_BYTES {
            said.fault("the sections expand to more than is ever unpacked");
            return;
        }
        match Rows::unpack(packed) {
            Ok(unpacked) if unpacked.digest() != *digest => {
                said.fault(format!("the rows in `{member}` have another digest"));
            }
            Ok(unpacked) if u32::try_from(unpacked.len()) != Ok(*counted) => {
                said.fault(format!("`{member}` has another number of rows than its snapshot says"));
            }
            Ok(unpacked) => {
                held += 1;
                rows += u64::from(*counted);
                let listing: usize = unpacked.as_slice().iter().map(|it| it.len() + 4).sum();
                bytes += u64::try_from(listing).unwrap_or(u64::MAX);
            }
            Err(why) => said.fault(format!("`{member}` holds no rows: {why}")),
        }
    }
    if pack.manifest.policy == Policy::Digests {
        if held > 0 {
            said.fault("the pack holds rows, although its policy is `digests`");
        } else if !wanted.is_empty() {
            said.leaves_open(format!(
                "what the {} sections of the snapshots say: by its policy the pack holds their digests alone",
                wanted.len()
            ));
        }
        return;
    }
    if said.faults.len() == faults && held > 0 {
        said.proves(format!(
            "the rows of {held} sections ({rows} rows) are those whose digests the snapshots name"
        ));
    }
    if held < wanted.len() {
        said.leaves_open(format!(
            "what {} of {} sections say: their rows were no longer in the store, and are not in the pack",
            wanted.len() - held,
            wanted.len()
        ));
    }
}
