//! Places and holes as pages.

use std::collections::VecDeque;

use holdpoint_common::section::Digest;
use holdpoint_proto::store as pb;

use super::{Hole, HoleState, Holes, Place, Tally, WINDOW, Window};
use crate::site::page::{InvalidPage, VERSION, digest, version};

/// Places of one page: a bundle then changes one or two pages of 4 kB, not the whole window.
pub const PLACES_A_PAGE: u64 = 128;

const UNKNOWN: u8 = 0;
const CLAIMED: u8 = 1;
const SEEN: u8 = 2;

impl Window {
    /// How many places are known one by one.
    pub fn width(&self) -> u64 {
        u64::try_from(self.places.len()).unwrap_or(u64::MAX)
    }

    /// The pages of its places by their number, for whoever keeps them.
    pub fn pages(&self) -> Vec<(u64, pb::FleetPlaces)> {
        let Some(low) = self.width().checked_sub(1).and_then(|it| self.high.checked_sub(it)) else {
            return Vec::new();
        };
        let mut pages: Vec<(u64, pb::FleetPlaces)> = Vec::new();
        for (sequence, place) in (low..=self.high).zip(&self.places) {
            let number = sequence / PLACES_A_PAGE;
            if pages.last().is_none_or(|it| it.0 != number) {
                pages.push((
                    number,
                    pb::FleetPlaces { version: VERSION, first: sequence, places: Vec::new() },
                ));
            }
            let Some((_, page)) = pages.last_mut() else { continue };
            let (tag, hash) = match place {
                Place::Unknown => (UNKNOWN, None),
                Place::Claimed(hash) => (CLAIMED, Some(hash)),
                Place::Seen(hash) => (SEEN, Some(hash)),
            };
            page.places.push(tag);
            page.places.extend(hash.into_iter().flat_map(|it| *it.as_bytes()));
        }
        pages
    }

    /// A window from its end, its width and its pages.
    ///
    /// # Errors
    /// A page is not what was written, or one is missing.
    pub fn of_pages(high: u64, width: u64, pages: Vec<pb::FleetPlaces>) -> Result<Self, InvalidPage> {
        let fault = || InvalidPage("a run of places");
        if width > WINDOW {
            return Err(fault());
        }
        let mut places = VecDeque::new();
        let mut next = high.checked_sub(width.saturating_sub(1)).ok_or_else(fault)?;
        for page in pages {
            let pb::FleetPlaces { version: found, first, places: bytes } = page;
            version(found)?;
            if first != next {
                return Err(fault());
            }
            let mut rest = bytes.as_slice();
            while let Some((tag, more)) = rest.split_first() {
                rest = more;
                let place = if *tag == UNKNOWN {
                    Place::Unknown
                } else {
                    let (hash, more) = rest.split_at_checked(32).ok_or_else(fault)?;
                    rest = more;
                    let hash: Digest = digest(hash)?;
                    match *tag {
                        CLAIMED => Place::Claimed(hash),
                        SEEN => Place::Seen(hash),
                        _ => return Err(fault()),
                    }
                };
                places.push_back(place);
                next = next.saturating_add(1);
            }
        }
        let window = Self { high, places };
        if window.width() == width { Ok(window) } else { Err(fault()) }
    }
}

impl Tally {
    /// For whoever keeps it.
    pub fn to_page(self) -> pb::FleetTally {
        let Self { open, arrived, superseded, lost } = self;
        pb::FleetTally { open, arrived, superseded, lost }
    }

    /// What [`Tally::to_page`] gave.
    pub fn of_page(page: pb::FleetTally) -> Self {
        let pb::FleetTally { open, arrived, superseded, lost } = page;
        Self { open, arrived, superseded, lost }
    }
}

impl Holes {
    /// For whoever keeps them.
    pub fn to_page(&self) -> (Vec<pb::FleetHole>, pb::FleetTally) {
        let hole = |it: &Hole| {
            let Hole { from, to, noticed_ms, state, closed_ms, dropped_before } = it;
            pb::FleetHole {
                from: *from,
                to: *to,
                noticed_ms: *noticed_ms,
                state: state.as_str().to_owned(),
                closed_ms: *closed_ms,
                dropped_before: *dropped_before,
            }
        };
        (self.list.iter().map(hole).collect(), self.forgotten.to_page())
    }

    /// What [`Holes::to_page`] gave.
    ///
    /// # Errors
    /// A hole has a state that is not known.
    pub fn of_page(list: Vec<pb::FleetHole>, forgotten: pb::FleetTally) -> Result<Self, InvalidPage> {
        let hole = |it: pb::FleetHole| {
            let pb::FleetHole { from, to, noticed_ms, state, closed_ms, dropped_before } = it;
            let all = [HoleState::Open, HoleState::Arrived, HoleState::Superseded, HoleState::Lost];
            let state = all.into_iter().find(|it| it.as_str() == state);
            let state = state.ok_or(InvalidPage("the state of a hole"))?;
            Ok(Hole { from, to, noticed_ms, state, closed_ms, dropped_before })
        };
        let list = list.into_iter().map(hole).collect::<Result<_, InvalidPage>>()?;
        Ok(Self { list, forgotten: Tally::of_page(forgotten) })
    }
}
