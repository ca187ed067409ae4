//! From machines back to the assets that run on them. Derived from the records, in memory only.

use std::collections::{BTreeSet, HashMap};

use holdpoint_common::proto::store::AssetRecord;

/// The assets of each machine fingerprint.
#[derive(Debug, Default)]
pub(super) struct Machines(HashMap<Vec<u8>, BTreeSet<String>>);

impl Machines {
    /// Takes a record in the place of the one before it.
    pub(super) fn replace(&mut self, before: Option<&AssetRecord>, after: &AssetRecord) {
        if let Some(before) = before
            && let Some(ids) = self.0.get_mut(&before.fingerprint)
        {
            ids.remove(&before.id);
            if ids.is_empty() {
                self.0.remove(&before.fingerprint);
            }
        }
        if !after.fingerprint.is_empty() {
            self.0.entry(after.fingerprint.clone()).or_default().insert(after.id.clone());
        }
    }

    /// The assets of a machine, sorted by id.
    pub(super) fn assets(&self, fingerprint: &[u8]) -> Vec<String> {
        self.0.get(fingerprint).map(|it| it.iter().cloned().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_an_asset_no_longer_is_is_forgotten() {
        let record = |id: &str, machine: u8| AssetRecord {
            id: id.into(),
            fingerprint: vec![machine; 32],
            ..AssetRecord::default()
        };
        let mut machines = Machines::default();
        machines.replace(None, &record("a", 1));
        machines.replace(None, &record("b", 1));
        machines.replace(Some(&record("a", 1)), &record("a", 2));
        assert_eq!(machines.assets(&[1; 32]), ["b"]);
        assert_eq!(machines.assets(&[2; 32]), ["a"]);
        machines.replace(Some(&record("b", 1)), &record("b", 2));
        assert_eq!(machines.0.len(), 1);
    }
}
