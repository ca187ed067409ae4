//! What a line could bring that no sender of ours sends.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use clap::Args;
use holdpoint_collector::carrier::diode::datagram::{Origin, Shard, parse, write_shard};
use holdpoint_collector::carrier::diode::shape::Shape;
use holdpoint_collector::carrier::diode::{Assembler, Cause, KeyError, Keys, Limits, ObjectId, Taken};

use super::figures::{Figures, peak_kib};
use super::{Failed, keys};
use crate::mutation::{Numbers, mutate};

/// Valid parts of objects that never become complete: what somebody who has the key can waste.
#[derive(Debug)]
pub struct Parts {
    keys: Keys,
    object: u64,
    shape: Shape,
    at: u32,
    sequence: u64,
    bytes: Vec<u8>,
}

/// Symbols of such objects, in bytes.
const SYMBOLS: [u16; 3] = [200, 700, 1_400];
/// Numbers of their shards: behind all sources, so that none is one.
const REPAIR: u16 = 300;
/// Most shards of one block: below what would complete it.
const OF_BLOCK: u32 = 255;

impl Parts {
    /// Under a key of the link.
    pub fn new(keys: Keys) -> Option<Self> {
        Some(Self {
            keys,
            object: 0,
            shape: Shape::new(1, SYMBOLS[0])?,
            at: u32::MAX,
            sequence: 0,
            bytes: Vec::new(),
        })
    }

    /// The next datagram.
    pub fn datagram(&mut self) -> &[u8] {
        if self.at >= (OF_BLOCK * u32::from(self.shape.blocks())).min(4_000) {
            self.object += 1;
            self.at = 0;
            let pick = usize::try_from(self.object % 3).unwrap_or(0);
            let symbol = SYMBOLS.get(pick).copied().unwrap_or(SYMBOLS[0]);
            let blocks = u32::try_from(1 + self.object % 40).unwrap_or(1);
            if let Some(shape) = Shape::new(u32::from(symbol) * 256 * blocks, symbol) {
                self.shape = shape;
            }
        }
        let block = u16::try_from(self.at / OF_BLOCK).unwrap_or(0) % self.shape.blocks();
        let index = REPAIR + u16::try_from(self.at % OF_BLOCK).unwrap_or(0);
        self.at += 1;
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(self.object.to_be_bytes()) {
            *to = from;
        }
        let symbol = vec![id[7]; usize::from(self.shape.symbol())];
        let shard = Shard { pass: 0, object: ObjectId(id), shape: self.shape, block, index, symbol: &symbol };
        let origin = Origin { stream: self.object % 10, session: 9, sequence: self.sequence };
        self.sequence += 1;
        self.bytes.clear();
        write_shard(&mut self.bytes, &self.keys, origin, &shard);
        &self.bytes
    }
}

/// A sender that has the key and wants the receiver's memory.
#[derive(Debug, Args)]
pub struct Flood {
    /// The sender's address.
    #[arg(long, default_value = "10.20.4.1:6000")]
    from: SocketAddr,
    /// The receiver's address.
    #[arg(long, default_value = "10.20.4.2:6000")]
    to: SocketAddr,
    /// How long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Flood {
    /// Sends as fast as it can.
    ///
    /// # Errors
    /// There is no such address here.
    pub fn run(&self) -> Result<Figures, Failed> {
        let socket = UdpSocket::bind(self.from)?;
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let (mut parts, mut refused) = (Parts::new(keys()?), 0_u64);
        while let Some(parts) = parts.as_mut().filter(|_| Instant::now() < end) {
            refused += u64::from(socket.send_to(parts.datagram(), self.to).is_err());
        }
        let parts = parts.map_or((0, 0), |it| (it.sequence, it.object));
        Ok(Figures::default().with("datagrams", parts.0).with("objects", parts.1).with("refused", refused))
    }
}

/// A datagram that was taken for what it is not, with which it can be made again.
#[derive(Debug, thiserror::Error)]
pub enum Misjudged {
    /// Nobody who has the key made it.
    #[error("damaged datagram {0} of this seed was believed")]
    Believed(u64),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Damaged datagrams in this process.
#[derive(Debug, Args)]
pub struct Storm {
    /// How many.
    #[arg(long, default_value_t = 10_000_000)]
    count: u64,
    /// The same seed makes the same datagrams.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Right datagrams that are damaged.
const SEEDS: u16 = 64;

impl Storm {
    /// Damages right datagrams and gives each to the parser and to an assembler.
    ///
    /// # Errors
    /// One was believed.
    pub fn run(&self) -> Result<Figures, Misjudged> {
        let keys = keys()?;
        let mut numbers = Numbers::from_seed(self.seed);
        let seeds = seeds(&keys, &mut numbers);
        let mut assembler = Assembler::new(keys.clone(), &[], Limits::default());
        let started = Instant::now();
        let mut unchanged = 0_u64;
        for number in 0..self.count {
            let (one, other) = (numbers.index(seeds.len()), numbers.index(seeds.len()));
            let damaged = damage(&seeds, one, other, &mut numbers);
            if seeds.contains(&damaged) {
                unchanged += 1;
                continue;
            }
            let taken = assembler.take(&damaged, started);
            if parse(&keys, &damaged).is_ok() || !matches!(taken, Taken::Rejected(_)) {
                return Err(Misjudged::Believed(number));
            }
        }
        let counters = assembler.counters();
        let mut figures = Figures::default()
            .with("count", self.count)
            .with("unchanged", unchanged)
            .with("believed", 0)
            .with("waiting", assembler.waiting())
            .with("took_ms", started.elapsed().as_millis());
        for cause in Cause::ALL {
            figures = figures.with(cause.word(), counters.rejected(cause));
        }
        Ok(figures.with("peak_kib", peak_kib("self")))
    }
}

fn seeds(keys: &Keys, numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let mut symbol = vec![0; 200];
    let one = |index: u16| {
        numbers.fill(&mut symbol);
        let shape = Shape::new(60_000, 200)?;
        let shard =
            Shard { pass: 0, object: ObjectId([3; 16]), shape, block: index % 2, index, symbol: &symbol };
        let mut datagram = Vec::new();
        write_shard(&mut datagram, keys, Origin { stream: 1, session: 1, sequence: 1 }, &shard);
        Some(datagram)
    };
    (0..SEEDS).filter_map(one).collect()
}

fn damage(seeds: &[Vec<u8>], one: usize, other: usize, numbers: &mut Numbers) -> Vec<u8> {
    let (Some(one), Some(other)) = (seeds.get(one), seeds.get(other)) else { return Vec::new() };
    match numbers.index(5) {
        // Noise, half of it behind the right first bytes.
        0 => {
            let mut bytes = vec![0; numbers.index(300)];
            numbers.fill(&mut bytes);
            if let (Some(first), Some(right), 0) = (bytes.get_mut(..4), one.get(..4), numbers.index(2)) {
                first.copy_from_slice(right);
            }
            bytes
        }
        // Cut off.
        1 => one.get(..numbers.index(one.len())).unwrap_or_default().to_vec(),
        // Two in one.
        2 => {
            let at = numbers.index(one.len());
            let (head, tail) = (one.get(..at).unwrap_or_default(), other.get(at..).unwrap_or_default());
            [head, tail].concat()
        }
        // One bit.
        3 => {
            let mut bytes = one.clone();
            let at = numbers.index(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << numbers.index(8);
            }
            bytes
        }
        _ => mutate(one, other, numbers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_damaged_datagram_is_believed() {
        let figures = Storm { count: 20_000, seed: 7 }.run().unwrap().to_string();
        assert!(figures.contains("believed=0 waiting=0"), "{figures}");
    }

    #[test]
    fn parts_are_believed_and_complete_nothing() {
        let keys = keys().unwrap();
        let mut parts = Parts::new(keys.clone()).unwrap();
        let mut assembler = Assembler::new(keys, &[], Limits::default());
        for _ in 0..20_000 {
            assert_eq!(assembler.take(parts.datagram(), Instant::now()), Taken::Kept);
        }
        assert!(assembler.waiting() > 1);
    }
}
