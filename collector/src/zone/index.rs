//! From rows and machines back to the assets that have them. Derived from the records, in memory only.

use std::collections::{BTreeSet, HashMap};

use holdpoint_common::proto::store::AssetRecord;

use crate::store::SectionKey;

/// The reverse of what the records say.
#[derive(Debug, Default)]
pub(super) struct Index {
    holders: HashMap<SectionKey, BTreeSet<String>>,
    machines: HashMap<Vec<u8>, BTreeSet<String>>,
}

impl Index {
    /// Takes a record in the place of the one before it.
    pub(super) fn replace(&mut self, before: Option<&AssetRecord>, after: &AssetRecord) {
        if let Some(before) = before {
            for key in shown(before) {
                remove(&mut self.holders, &key, &before.id);
            }
            remove(&mut self.machines, &before.fingerprint, &before.id);
        }
        for key in shown(after) {
            self.holders.entry(key).or_default().insert(after.id.clone());
        }
        if !after.fingerprint.is_empty() {
            self.machines.entry(after.fingerprint.clone()).or_default().insert(after.id.clone());
        }
    }

    pub(super) fn holders(&self, key: SectionKey) -> Vec<String> {
        self.holders.get(&key).map(|it| it.iter().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn machines(&self, fingerprint: &[u8]) -> Vec<String> {
        self.machines.get(fingerprint).map(|it| it.iter().cloned().collect()).unwrap_or_default()
    }
}

fn shown(record: &AssetRecord) -> impl Iterator<Item = SectionKey> {
    record
        .sections
        .iter()
        .filter_map(|held| held.shown.as_ref().and_then(|it| SectionKey::of(held.kind, &it.digest)))
}

fn remove<K: std::hash::Hash + Eq>(map: &mut HashMap<K, BTreeSet<String>>, key: &K, id: &str) {
    if let Some(ids) = map.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdpoint_common::proto::store::{HeldRecord, SectionState};
    use holdpoint_common::row::SectionKind;

    fn record(digest: u8, machine: u8) -> AssetRecord {
        let state = SectionState { digest: vec![digest; 32], ..SectionState::default() };
        AssetRecord {
            id: "hmi".into(),
            fingerprint: vec![machine; 32],
            sections: vec![HeldRecord {
                kind: SectionKind::Software.into(),
                shown: Some(state),
                attempt: None,
            }],
            ..AssetRecord::default()
        }
    }

    #[test]
    fn what_an_asset_no_longer_has_is_forgotten() {
        let mut index = Index::default();
        index.replace(None, &record(1, 1));
        index.replace(Some(&record(1, 1)), &record(2, 1));
        let key = |digest| SectionKey::new(SectionKind::Software, [digest; 32]);
        assert!(index.holders(key(1)).is_empty());
        assert_eq!(index.holders(key(2)), ["hmi"]);
        assert_eq!(index.machines(&[1; 32]), ["hmi"]);
        assert_eq!((index.holders.len(), index.machines.len()), (1, 1));
    }
}
