//! Who decided: each signature by a key of the zone, each key of a certificate that leads to an authority.

use std::collections::BTreeSet;

use holdpoint_common::decision;
use holdpoint_common::identity::Subject;

use super::super::certificates::{Certificates, Pinned};
use super::super::excerpt::Own;
use super::super::export;
use super::super::manifest::Manifest;
use super::super::shown;
use super::Checked;

/// Checks every decision. That signature and certificate fit, and that the decision is about this plan, the fold has
/// asked before.
pub(super) fn check(
    entries: &[Own],
    manifest: &Manifest,
    certificates: &Certificates,
    pinned: &Pinned,
    said: &mut Checked,
) {
    let mut counted = 0;
    let mut persons = BTreeSet::new();
    let mut authorities = BTreeSet::new();
    let faults = said.faults.len();
    for (entry, signed) in entries.iter().filter_map(|it| Some((it, export::decision(it)?))) {
        let Ok(verified) = decision::verify(signed) else { continue };
        let who = format!("entry {}: the decision of {}", entry.change.revision, shown(&signed.person));
        let identity = &verified.leaf.identity;
        if !matches!(identity.subject, Subject::Operator(_)) || identity.zone.to_string() != manifest.zone {
            said.fault(format!("{who} is signed as {identity}, who is no operator of the zone"));
        }
        match certificates.issuer(&verified.certificate, &verified.leaf) {
            Some(authority) => {
                authorities.insert(authority);
            }
            None => said
                .fault(format!("{who} is signed under a certificate that no authority in the pack issued")),
        }
        if !pinned.is_empty() && !pinned.issued(&verified.certificate, &verified.leaf, certificates) {
            said.fault(format!(
                "{who} is signed under a certificate that does not lead to the pinned authority"
            ));
        }
        counted += 1;
        persons.insert(signed.person.as_str());
    }
    if counted == 0 {
        said.leaves_open("that anybody decided anything: the change has no signed decision");
        return;
    }
    if said.faults.len() > faults {
        return;
    }
    let named: Vec<String> = authorities.iter().map(ToString::to_string).collect();
    let named = named.join(", ");
    said.proves(format!(
        "{counted} decisions of {} persons are signed by their own keys over this plan, under certificates of the zone \
         CA {named}{}",
        persons.len(),
        if pinned.is_empty() { "" } else { ", which is the pinned one or leads to it" }
    ));
    if pinned.is_empty() {
        said.leaves_open(format!(
            "whose authority {named} is: compare this SHA-256 with the zone CA that you know, or pin its certificate"
        ));
    }
    said.leaves_open(
        "that a person is who the name says, held the role, and that the certificate was not revoked when it signed: \
         the collector's word, as it stood when the entry was written",
    );
}
