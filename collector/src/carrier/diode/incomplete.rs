//! One object of which not all is there.

use std::collections::BTreeMap;
use std::time::Instant;

use super::datagram::Shard;
use super::erasure::{Decoder, Kept};
use super::shape::Shape;

/// What one shard costs beside its bytes: the list's entry and the allocator's.
const SHARD_COST: usize = 64;
/// What one block costs beside its shards: most of it are the bits of the highest shard.
const BLOCK_COST: usize = 704;
/// What one object costs beside its blocks, its places in the order of objects included.
const OBJECT_COST: usize = 512;

/// An object on its way. Grows with what arrived, never with what a header states.
pub(super) struct Incomplete {
    /// When its first shard came.
    pub(super) born: Instant,
    /// Rises with age: its place in the order of objects.
    pub(super) number: u64,
    /// Bytes that it takes.
    pub(super) cost: usize,
    blocks: BTreeMap<u16, Block>,
    /// Blocks that have all their sources.
    whole: u16,
}

#[derive(Default)]
struct Block {
    shards: Vec<Kept>,
    /// One bit a shard, as far as they came.
    seen: Vec<u64>,
}

/// What became of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// It, or all of its block, is there.
    Not,
    /// It is kept.
    Kept,
    /// It is kept, and its block can be restored.
    Enough,
}

impl Incomplete {
    pub(super) fn new(number: u64, born: Instant) -> Self {
        Self { born, number, cost: OBJECT_COST, blocks: BTreeMap::new(), whole: 0 }
    }

    pub(super) fn keep(&mut self, shard: &Shard<'_>) -> Keep {
        let sources = usize::from(shard.shape.sources(shard.block));
        let new = !self.blocks.contains_key(&shard.block);
        let block = self.blocks.entry(shard.block).or_default();
        if block.shards.len() >= sources || !block.see(shard.index) {
            return Keep::Not;
        }
        block.shards.push((shard.index, shard.symbol.into()));
        self.cost += shard.symbol.len() + SHARD_COST + if new { BLOCK_COST } else { 0 };
        if block.shards.len() < sources { Keep::Kept } else { Keep::Enough }
    }

    /// Restores the block of a shard that was enough; gives whether all blocks are whole now.
    pub(super) fn restore(
        &mut self,
        decoder: &mut Decoder,
        shard: &Shard<'_>,
    ) -> Result<bool, reed_solomon_simd::Error> {
        let sources = shard.shape.sources(shard.block);
        if let Some(block) = self.blocks.get_mut(&shard.block) {
            decoder.restore(sources, shard.shape.symbol(), &mut block.shards)?;
            self.whole += 1;
        }
        Ok(self.whole >= shard.shape.blocks())
    }

    /// Puts the blocks behind each other, each freed as soon as it is copied.
    pub(super) fn join(self, shape: Shape) -> Vec<u8> {
        let length = usize::try_from(shape.length()).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(length);
        for (_, shard) in self.blocks.into_values().flat_map(|it| it.shards) {
            let rest = length.saturating_sub(bytes.len());
            bytes.extend_from_slice(shard.get(..rest).unwrap_or(&shard));
        }
        bytes
    }
}

impl Block {
    /// Whether the shard is new.
    fn see(&mut self, index: u16) -> bool {
        let (word, bit) = (usize::from(index / 64), 1_u64 << (index % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let Some(word) = self.seen.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}
