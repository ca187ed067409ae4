//! A player: a relay with good certificates in bad hands. It takes whatever a zone sends and drops, repeats,
//! holds back, reorders and alters it on the way; in a fixed order for each seed.

use std::path::Path;
use std::sync::Mutex;

use holdpoint_collector::carrier::relay::{Sink, Took};
use holdpoint_collector::carrier::tray::{Filler, Limits};
use holdpoint_common::conduit::Party;

/// What was played.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Played {
    pub(crate) dropped: u32,
    pub(crate) repeated: u32,
    pub(crate) held: u32,
    pub(crate) altered: u32,
}

/// The [`Sink`] of such a relay; a sender empties the tray that it fills.
pub(crate) struct Mischief(Mutex<State>);

struct State {
    tray: Filler,
    random: u64,
    held: Vec<Vec<u8>>,
    last: Vec<u8>,
    played: Played,
}

impl Mischief {
    pub(crate) fn new(tray: &Path, seed: u64) -> Self {
        let tray = Filler::open(tray, Limits::default()).unwrap();
        let (held, last) = (Vec::new(), vec![0]);
        Self(Mutex::new(State { tray, random: seed.max(1), held, last, played: Played::default() }))
    }

    pub(crate) fn played(&self) -> Played {
        self.0.lock().unwrap().played
    }
}

impl Sink for Mischief {
    fn admits(&self, _: &Party) -> bool {
        true
    }

    fn take(&self, _: &Party, object: Vec<u8>) -> Took {
        self.0.lock().unwrap().play(object);
        Took::Kept
    }
}

impl State {
    fn play(&mut self, object: Vec<u8>) {
        match self.below(8) {
            0 | 1 => self.played.dropped += 1,
            2 => {
                self.played.repeated += 1;
                self.pass(&object);
                self.pass(&object);
            }
            3 => {
                self.played.held += 1;
                self.held.push(object.clone());
            }
            4 => {
                // Later ones first.
                while let Some(held) = self.held.pop() {
                    self.pass(&held);
                }
                self.pass(&object);
            }
            5 => {
                self.played.altered += 1;
                let altered = self.alter(&object);
                self.pass(&altered);
            }
            _ => self.pass(&object),
        }
        self.last = object;
    }

    /// Turns a bit over, cuts off, puts behind, or joins the halves of two objects.
    fn alter(&mut self, object: &[u8]) -> Vec<u8> {
        let at = self.below(object.len());
        match self.below(4) {
            0 => object[..at.max(1)].to_vec(),
            1 => [object, b"more"].concat(),
            2 => {
                let of_last = at.min(self.last.len());
                [&object[..at], &self.last[of_last..], b"."].concat()
            }
            _ => {
                let mut altered = object.to_vec();
                altered[at] ^= 1 << self.below(8);
                altered
            }
        }
    }

    fn pass(&mut self, object: &[u8]) {
        self.tray.put(object).unwrap();
    }

    /// Xorshift: good enough to be capricious.
    fn below(&mut self, most: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % u64::try_from(most).unwrap()).unwrap()
    }
}
