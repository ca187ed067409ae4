//! Checking a pack: what it proves, what it does not, and what is wrong with it.
//!
//! Nothing is believed because it is there. The file is taken apart in layers (bytes, manifest, chain, change,
//! persons, snapshots), and a layer is only looked at when the one below it holds. What remains a word of somebody is
//! said to be one.

mod decisions;
mod opened;
mod snapshots;
mod verdicts;

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use holdpoint_common::proto::store::change_entry::What;
use rustls::pki_types::CertificateDer;

use super::certificates::{Certificates, Pinned};
use super::excerpt::{Excerpt, Own};
use super::export::folded;
use super::manifest::Policy;
use super::member::Member;
use super::rejudge::{Again, PackRows, again};
use super::{report, shown};
use crate::change::Change;
use crate::change::judge::JUDGE;
use opened::Opened;

/// Most sentences of one kind.
pub const MAX_FAULTS: usize = 100;

/// Most differences to another version that are told one by one.
const MAX_OTHERS: usize = 10;

/// What whoever checks knows by another way than the pack.
#[derive(Debug, Clone, Default)]
pub struct Pins {
    /// The public key of the zone's audit log.
    pub audit_key: Option<[u8; 32]>,
    /// Zone CAs, or what signed them.
    pub anchors: Vec<CertificateDer<'static>>,
}

/// What a pack came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Nothing is wrong with it.
    pub valid: bool,
    /// The change; `None` when the manifest cannot be believed.
    pub change: Option<String>,
    /// Where the change stands.
    pub state: Option<String>,
    /// The audit key that signed, in hexadecimal.
    pub audit_key: Option<String>,
    /// What it proves, each as one sentence.
    pub proves: Vec<String>,
    /// What it does not, each as one sentence.
    pub proves_not: Vec<String>,
    /// What is wrong, each as one sentence.
    pub faults: Vec<String>,
}

impl Checked {
    fn proves(&mut self, what: impl Into<String>) {
        push(&mut self.proves, what);
    }

    fn leaves_open(&mut self, what: impl Into<String>) {
        push(&mut self.proves_not, what);
    }

    fn fault(&mut self, what: impl Into<String>) {
        push(&mut self.faults, what);
    }
}

fn push(list: &mut Vec<String>, what: impl Into<String>) {
    if list.len() < MAX_FAULTS {
        list.push(what.into());
    }
}

/// Checks a pack.
pub fn check(file: &[u8], pins: &Pins) -> Checked {
    let mut said = Checked::default();
    match Opened::read(file) {
        Ok(pack) => inside(&pack, pins, &mut said),
        Err(faults) => {
            for fault in faults {
                said.fault(fault);
            }
            said.leaves_open("anything: what is inside was not looked at, because the file does not hold");
        }
    }
    said.valid = said.faults.is_empty();
    said
}

/// Everything behind the manifest.
fn inside(pack: &Opened<'_>, pins: &Pins, said: &mut Checked) {
    let manifest = &pack.manifest;
    let id = shown(&manifest.change);
    said.change = Some(id.clone());
    said.audit_key = Some(manifest.audit_key.clone());
    said.proves(format!(
        "the file is whole: {} members, each with the SHA-256 that the signed manifest gives, and no byte beside them",
        pack.members.len()
    ));
    whose_key(pack, pins, said);
    let Some(entries) = chained(pack, said) else { return };
    let rows = Arc::new(PackRows::new(if manifest.policy == Policy::Rows {
        pack.sections()
    } else {
        BTreeMap::new()
    }));
    let (change, others) = match refolded(&entries, &rows, said) {
        Ok(folded) => folded,
        Err(faults) => {
            for fault in faults {
                said.fault(shown_long(&fault));
            }
            return;
        }
    };
    said.state = Some(change.state.to_string());
    said.proves(format!(
        "every entry of {id} may follow the ones before it by the rules of changes, folded again here: the change is {}",
        change.state
    ));
    if pack.member(Member::Plan) == change.text.as_bytes() {
        said.proves(format!("plan.toml is the plan that was drafted: SHA-256 {}", change.plan_digest));
    } else {
        said.fault("plan.toml is not the plan that was drafted");
    }
    let certificates = match Certificates::read(pack.certificates()) {
        Ok(certificates) => certificates,
        Err(why) => return said.fault(why),
    };
    let Ok(pinned) = Pinned::new(&pins.anchors) else {
        return said.fault("a pinned certificate is not one of a certificate authority");
    };
    decisions::check(&entries, manifest, &certificates, &pinned, said);
    snapshots::check(pack, &entries, &certificates, &pinned, said);
    verdicts::check(&change, said);
    let expected = report::page(&change, manifest);
    if pack.member(Member::Report) == expected.as_bytes() {
        said.proves("report.html says what the entries say: this version makes the same page of them");
    } else {
        said.leaves_open(
            "that report.html says what the entries say: another version made it, or somebody wrote it; the entries \
             count",
        );
    }
    in_general(pack, said);
    // Last, because whoever made the pack decides how many there are.
    for it in others.iter().take(MAX_OTHERS) {
        said.leaves_open(it.clone());
    }
    if let Some(more) = others.len().checked_sub(MAX_OTHERS).filter(|it| *it > 0) {
        said.leaves_open(format!("{more} more verdicts or changes that another version judged otherwise"));
    }
}

fn whose_key(pack: &Opened<'_>, pins: &Pins, said: &mut Checked) {
    let key = &pack.manifest.audit_key;
    match pins.audit_key {
        Some(pin) if pin == pack.key => {
            said.proves(format!("the audit key {key} signed the manifest, and it is the one that you pinned"));
        }
        Some(pin) => said.fault(format!(
            "the audit key {key} signed the manifest, and you pinned {}: this is another zone's evidence, or a forgery",
            HEXLOWER.encode(&pin)
        )),
        None => {
            said.proves(format!("whoever holds the audit key {key} signed the manifest"));
            said.leaves_open(format!(
                "whose key that is: nobody's word says so here. Compare {key} with the audit key that \
                 `holdpoint audit verify` shows in {}, by another way than the one on which this file came",
                shown(&pack.manifest.zone)
            ));
        }
    }
}

/// The change's entries, when chain and signatures hold.
fn chained(pack: &Opened<'_>, said: &mut Checked) -> Option<Vec<Own>> {
    let manifest = &pack.manifest;
    let read = Excerpt::read(pack.member(Member::Audit)).map_err(|it| it.to_string());
    let read = read.and_then(|excerpt| {
        let entries = excerpt.verified(&manifest.change, &pack.key)?;
        Ok((excerpt, entries))
    });
    let (excerpt, entries) = match read {
        Ok(read) => read,
        Err(why) => {
            said.fault(shown_long(&why));
            return None;
        }
    };
    let number = |it: Option<&Own>| it.map_or(0, |it| it.audit.number);
    let (first, last) = (number(entries.first()), number(entries.last()));
    let head = excerpt.records.last().map(|it| HEXLOWER.encode(&it.chain)).unwrap_or_default();
    if (manifest.log.first, manifest.log.last, &manifest.log.head) != (first, last, &head) {
        said.fault("the manifest names other entries of the audit log than audit.bin holds");
        return None;
    }
    let others = excerpt.records.len() - entries.len();
    said.proves(format!(
        "{} entries of the change, numbers {first} to {last} of the audit log, are what was chained and signed, in \
         this order and with none left out between them ({others} entries of others are known by their signed chain \
         values alone)",
        entries.len()
    ));
    said.leaves_open(format!(
        "that nothing was written about the change after entry {last}: ask the collector, or compare with a later \
         pack; its audit log must have the chain value {head} at entry {last}"
    ));
    Some(entries)
}

/// Folds the entries, and looks at each judgement in the change as it was then. Returns what another version judged
/// otherwise, too.
fn refolded(
    entries: &[Own],
    rows: &Arc<PackRows>,
    said: &mut Checked,
) -> Result<(Change, Vec<String>), Vec<String>> {
    let mut sum = Again::default();
    let mut others = Vec::new();
    let mut judged = 0;
    let change = folded(entries, |before, entry| {
        let Some(What::Judged(it)) = &entry.change.what else { return };
        judged += 1;
        verdicts::evidence(before, it, said);
        let again = again(before, it, entry.audit.at_ms, rows);
        sum.verdicts += again.verdicts;
        sum.compared += again.compared;
        sum.confirmed += again.confirmed;
        sum.left += again.left;
        for why in again.other {
            // Another version may judge otherwise, and both in good faith.
            if it.judge == JUDGE {
                said.fault(shown_long(&why));
            } else {
                let judge = if it.judge.is_empty() { "an earlier version" } else { it.judge.as_str() };
                others
                    .push(shown_long(&format!("what {judge} judged, where {JUDGE} judges otherwise: {why}")));
            }
        }
    })
    .map_err(|it| it.0)?;
    let Again { verdicts, compared, confirmed, left, .. } = sum;
    if verdicts + compared + confirmed > 0 {
        said.proves(format!(
            "judged again here from the rows of both snapshots, with the same result: verdicts, {verdicts}; targets of \
             which what moved was compared, {compared}; of which what is named did move, {confirmed}"
        ));
    }
    if judged > 0 {
        said.leaves_open(
            "that the collector judged rightly what was not judged again here: verdicts on advisories, and what their \
             products let move, rest on advisories and the product map, which stay in the zone; what each rests on is \
             named beside it",
        );
    }
    if left > 0 {
        said.leaves_open(format!("what {left} pairs of snapshots say: they were not judged again here"));
    }
    Ok((change, others))
}

fn in_general(pack: &Opened<'_>, said: &mut Checked) {
    said.leaves_open(format!(
        "when anything happened: times are those of clocks, the collector's and the persons' own; the order is proven \
         by chain, questions and sequences. The pack says that it was made {}",
        shown(&pack.manifest.exported)
    ));
}

/// A sentence that may hold text from the file.
fn shown_long(text: &str) -> String {
    const MOST: usize = 2_000;
    text.chars().take(MOST).map(|it| if it.is_control() { char::REPLACEMENT_CHARACTER } else { it }).collect()
}
