//! What the tests of this module share: numbers from a seed, and a sender without a socket.

use std::ops::ControlFlow;

use super::code::{Odds, Plan};
use super::datagram::{ObjectId, Origin, write_shard};
use super::erasure::Encoder;
use super::keys::Keys;
use super::pass::{self, Pass};
#[cfg(unix)]
use super::profile::{Profile, Written};

/// Numbers that are the same for the same seed (xorshift64*).
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap() % end
    }

    pub(super) fn permille(&mut self, of: u16) -> bool {
        self.below(1_000) < usize::from(of)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| self.next().to_be_bytes()).collect();
        bytes.truncate(length);
        bytes
    }
}

pub(super) const KEY: (u8, [u8; 32]) = (7, [0x5a; 32]);

pub(super) fn keys() -> Keys {
    Keys::new(&[KEY]).unwrap()
}

/// For tests with sockets: a fast profile with passes that are close to each other.
#[cfg(unix)]
pub(super) fn profile(change: impl FnOnce(&mut Written)) -> Profile {
    let mut written =
        Written { rate_bits_per_s: 100_000_000, spacing_ms: 50, stream: 1, ..Written::default() };
    change(&mut written);
    Profile::try_from(written).unwrap()
}

/// Makes datagrams as a line would.
pub(super) struct Sender {
    pub(super) keys: Keys,
    pub(super) origin: Origin,
    encoder: Encoder,
    plan: Plan,
}

impl Sender {
    pub(super) fn new(loss_permille: u16, symbol: u16) -> Self {
        let plan = Plan::new(Odds::new(loss_permille, 1e-6), symbol);
        let origin = Origin { stream: 1, session: 1, sequence: 0 };
        Self { keys: keys(), origin, encoder: Encoder::default(), plan }
    }

    /// One pass of an object.
    pub(super) fn pass(&mut self, object: &[u8], pass: u8) -> Vec<Vec<u8>> {
        self.pass_named(object, pass, ObjectId::of(object))
    }

    /// One pass of an object under a name that may be another's.
    pub(super) fn pass_named(&mut self, object: &[u8], pass: u8, id: ObjectId) -> Vec<Vec<u8>> {
        let cut = self.plan.cut(u32::try_from(object.len()).unwrap()).unwrap();
        let mut datagrams = Vec::new();
        let (keys, origin) = (&self.keys, &mut self.origin);
        pass::run(&[Pass { object, id, cut, pass }], &mut self.encoder, |shard| {
            let mut datagram = Vec::new();
            write_shard(&mut datagram, keys, *origin, shard);
            origin.sequence += 1;
            datagrams.push(datagram);
            ControlFlow::Continue(())
        })
        .unwrap();
        datagrams
    }
}
