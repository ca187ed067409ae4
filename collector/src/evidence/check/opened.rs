//! The outer layers of a pack: archive, manifest, and the digest of every member.

use std::collections::BTreeMap;

use holdpoint_common::section::Digest;

use super::super::container;
use super::super::manifest::{self, Listed, Manifest};
use super::super::member::Member;
use super::super::shown;

/// A pack whose bytes are those that its audit key signed.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub(super) manifest: Manifest,
    pub(super) key: [u8; 32],
    pub(super) members: BTreeMap<Member, &'a [u8]>,
}

impl<'a> Opened<'a> {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each as one sentence.
    pub(super) fn read(file: &'a [u8]) -> Result<Self, Vec<String>> {
        let found = container::read(file).map_err(|it| vec![it.to_string()])?;
        let members: BTreeMap<Member, &[u8]> = found.into_iter().collect();
        let needed = [Member::Audit, Member::Manifest, Member::Signature, Member::Plan, Member::Report];
        let missing: Vec<String> = needed
            .iter()
            .filter(|it| !members.contains_key(it))
            .map(|it| format!("`{it}` is missing"))
            .collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let bytes = members.get(&Member::Manifest).copied().unwrap_or_default();
        let signature = members.get(&Member::Signature).copied().unwrap_or_default();
        let manifest = Manifest::read(bytes).map_err(|it| vec![it.to_string()])?;
        let key = manifest.key().map_err(|it| vec![it.to_string()])?;
        if !manifest::is_signed(bytes, signature, &key) {
            return Err(vec!["the manifest is not signed by the audit key that it names".to_owned()]);
        }
        let faults = differences(&manifest.members, &members);
        if faults.is_empty() { Ok(Self { manifest, key, members }) } else { Err(faults) }
    }

    /// The bytes of a member; none when it is not there.
    pub(super) fn member(&self, member: Member) -> &'a [u8] {
        self.members.get(&member).copied().unwrap_or_default()
    }

    /// Certificates by their names.
    pub(super) fn certificates(&self) -> impl Iterator<Item = (Digest, &'a [u8])> {
        self.members.iter().filter_map(|(member, bytes)| {
            let Member::Certificate(digest) = member else { return None };
            Some((*digest, *bytes))
        })
    }

    /// Packed rows by their digest.
    pub(super) fn sections(&self) -> BTreeMap<Digest, Vec<u8>> {
        let section = |(member, bytes): (&Member, &&[u8])| {
            let Member::Section(digest) = member else { return None };
            Some((*digest, bytes.to_vec()))
        };
        self.members.iter().filter_map(section).collect()
    }
}

/// What the manifest lists and the file holds, where the two differ.
fn differences(listed: &[Listed], members: &BTreeMap<Member, &[u8]>) -> Vec<String> {
    let mut faults = Vec::new();
    let held: BTreeMap<String, Listed> = members
        .iter()
        .filter(|(member, _)| !matches!(member, Member::Manifest | Member::Signature))
        .map(|(member, bytes)| (member.to_string(), Listed::of(*member, bytes)))
        .collect();
    if !listed.is_sorted_by(|one, two| one.name < two.name) {
        faults.push("the manifest lists its members in another order, or one of them twice".to_owned());
    }
    for it in listed {
        match held.get(&it.name) {
            None => faults.push(format!("`{}` is in the manifest and missing in the file", shown(&it.name))),
            Some(found) if found != it => {
                faults.push(format!(
                    "`{}` is not what was signed: it has SHA-256 {}",
                    found.name, found.sha256
                ));
            }
            Some(_) => {}
        }
    }
    let names: std::collections::BTreeSet<&str> = listed.iter().map(|it| it.name.as_str()).collect();
    for name in held.keys().filter(|it| !names.contains(it.as_str())) {
        faults.push(format!("`{name}` is in the file and not in the manifest"));
    }
    faults
}
