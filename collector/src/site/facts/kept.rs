//! Facts as pages.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use holdpoint_common::bundle::{Epoch, Key, Record, State, slice_of};
use holdpoint_proto::store as pb;

use super::{Applied, Fact, Facts, Listed};
use crate::site::page::{InvalidPage, VERSION, bytes16, version};

impl Fact {
    /// For whoever keeps it.
    pub fn to_page(&self) -> pb::FleetFact {
        let Self { revision, content, epoch, sequence, since_ms, said_ms, evidence, slice: _ } = self;
        pb::FleetFact {
            version: VERSION,
            revision: revision.get(),
            content: content.clone(),
            epoch: epoch.as_bytes().to_vec(),
            sequence: *sequence,
            since_ms: *since_ms,
            said_ms: *said_ms,
            evidence: *evidence,
        }
    }

    fn of_page(page: pb::FleetFact, slice: u16) -> Result<Self, InvalidPage> {
        let pb::FleetFact { version: found, revision, content, epoch, sequence, since_ms, said_ms, evidence } =
            page;
        version(found)?;
        let revision = NonZeroU64::new(revision).ok_or(InvalidPage("a revision"))?;
        let epoch = Epoch::from(bytes16(&epoch)?);
        Ok(Self { revision, content, epoch, sequence, since_ms, said_ms, evidence, slice })
    }
}

impl Facts {
    /// Which parts were listed when, for whoever keeps it.
    pub fn listed_page(&self) -> pb::FleetListed {
        let Listed { slices, all } = &self.listed;
        pb::FleetListed { version: VERSION, slices: slices.clone(), all: *all }
    }

    /// Whether some may be of an earlier incarnation.
    pub fn inherits(&self) -> bool {
        self.inherits
    }

    /// Facts from their pages. What the present incarnation said is its state again.
    ///
    /// # Errors
    /// A page is not what was written.
    pub fn of_pages(
        pages: Vec<(Key, pb::FleetFact)>,
        listed: pb::FleetListed,
        inherits: bool,
        present: Option<Epoch>,
    ) -> Result<Self, InvalidPage> {
        let pb::FleetListed { version: found, slices, all } = listed;
        version(found)?;
        let listed = Listed { slices, all };
        let of = listed.of();
        let (mut facts, mut state, mut bytes) = (BTreeMap::new(), State::default(), 0_usize);
        for (key, page) in pages {
            let fact = Fact::of_page(page, slice_of(&key, of))?;
            if Some(fact.epoch) == present && !fact.evidence {
                let Fact { revision, content, .. } = fact.clone();
                state.apply(&Record { key: key.clone(), revision, content });
            }
            bytes = bytes.saturating_add(fact.content.as_ref().map_or(0, Vec::len));
            facts.insert(key, fact);
        }
        Ok(Self { facts, state, digest: None, listed, bytes, inherits, touched: BTreeMap::new() })
    }

    /// What two that are the same have the same; the digest over the state is apart from it.
    #[cfg(test)]
    pub(in crate::site) fn parts(&self) -> (&BTreeMap<Key, Fact>, &Listed, usize, bool) {
        (&self.facts, &self.listed, self.bytes, self.inherits)
    }
}

impl Applied {
    /// For whoever keeps it.
    pub fn to_page(self) -> pb::FleetApplied {
        let Self { applied, known, stale, conflicts, over_limit, went_back, gone } = self;
        pb::FleetApplied { applied, known, stale, conflicts, over_limit, went_back, gone }
    }

    /// What [`Applied::to_page`] gave.
    pub fn of_page(page: pb::FleetApplied) -> Self {
        let pb::FleetApplied { applied, known, stale, conflicts, over_limit, went_back, gone } = page;
        Self { applied, known, stale, conflicts, over_limit, went_back, gone }
    }
}
