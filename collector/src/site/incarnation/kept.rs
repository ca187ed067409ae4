//! An incarnation as a page, and the pages of its places.

use holdpoint_common::bundle::{Epoch, Header};
use holdpoint_proto::store as pb;

use super::super::places::{Holes, Window};
use super::{Beacons, Fork, Head, Incarnation};
use crate::site::page::{InvalidPage, VERSION, bytes16, digest, version};

impl Fork {
    /// For whoever keeps it, with the time at which it was found.
    pub fn to_page(self, at_ms: i64) -> pb::FleetFork {
        let Self { sequence, held, other } = self;
        pb::FleetFork { sequence, held: held.to_vec(), other: other.to_vec(), at_ms }
    }

    /// What [`Fork::to_page`] gave.
    ///
    /// # Errors
    /// A hash has another length.
    pub fn of_page(page: &pb::FleetFork) -> Result<(Self, i64), InvalidPage> {
        let pb::FleetFork { sequence, held, other, at_ms } = page;
        Ok((Self { sequence: *sequence, held: digest(held)?, other: digest(other)? }, *at_ms))
    }
}

impl Incarnation {
    /// For whoever keeps it; the pages of its places are apart.
    pub fn to_page(&self) -> pb::FleetIncarnation {
        let Self { epoch, floor, seen, seen_before, head, last_bundle, frozen, window, holes, beacons } =
            self;
        let (holes, forgotten) = holes.to_page();
        let beacon = |(hash, created_ms): &(holdpoint_common::section::Digest, i64)| pb::FleetBeacon {
            hash: hash.to_vec(),
            created_ms: *created_ms,
        };
        let head = head.as_ref().map(|it| pb::FleetHead {
            sequence: it.sequence,
            state: it.state.to_vec(),
            received_ms: it.received_ms,
            header: it.header.keep(),
        });
        pb::FleetIncarnation {
            version: VERSION,
            epoch: epoch.as_bytes().to_vec(),
            floor: *floor,
            seen: *seen,
            seen_before: *seen_before,
            head,
            last_bundle: *last_bundle,
            frozen: frozen.map(|(fork, at_ms)| fork.to_page(at_ms)),
            high: window.high(),
            window: window.width(),
            holes,
            forgotten: Some(forgotten),
            beacons_of: beacons.sequence,
            beacons: beacons.hashes.iter().map(beacon).collect(),
            beacons_before_ms: beacons.before_ms,
            ended_high: None,
            ended_ms: None,
        }
    }

    /// The pages of its places by their number.
    pub fn places(&self) -> Vec<(u64, pb::FleetPlaces)> {
        self.window.pages()
    }

    /// What [`Incarnation::to_page`] and [`Incarnation::places`] gave.
    ///
    /// # Errors
    /// A page is not what was written.
    pub fn of_page(page: pb::FleetIncarnation, places: Vec<pb::FleetPlaces>) -> Result<Self, InvalidPage> {
        version(page.version)?;
        let head = |it: pb::FleetHead| {
            let header = Header::kept(&it.header).map_err(|_| InvalidPage("a header"))?;
            Ok(Head { sequence: it.sequence, state: digest(&it.state)?, received_ms: it.received_ms, header })
        };
        let beacon = |it: pb::FleetBeacon| Ok((digest(&it.hash)?, it.created_ms));
        Ok(Self {
            epoch: Epoch::from(bytes16(&page.epoch)?),
            floor: page.floor,
            seen: page.seen,
            seen_before: page.seen_before,
            head: page.head.map(head).transpose()?,
            last_bundle: page.last_bundle,
            frozen: page.frozen.as_ref().map(Fork::of_page).transpose()?,
            window: Window::of_pages(page.high, page.window, places)?,
            holes: Holes::of_page(page.holes, page.forgotten.unwrap_or_default())?,
            beacons: Beacons {
                sequence: page.beacons_of,
                hashes: page.beacons.into_iter().map(beacon).collect::<Result<_, InvalidPage>>()?,
                before_ms: page.beacons_before_ms,
            },
        })
    }
}
