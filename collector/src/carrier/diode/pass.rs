//! One pass of an object as shards, in the order in which they leave.
//!
//! The shards of a block are one endless row: its sources, then repair. Each pass sends the next stretch of
//! it, so that what two passes lose parts of adds up. Repair is made anew for each pass, group by group: what
//! waits between passes is the object alone.
//!
//! Blocks go in groups, one shard of each in turn: a burst then takes a little of many blocks instead of much
//! of one.

use std::ops::ControlFlow;

use super::code::Cut;
use super::datagram::{ObjectId, Shard};
use super::erasure::Encoder;

/// Blocks of a group: with full symbols 6 MB of object and as much of repair.
const GROUP: u16 = 16;

/// What a pass sends.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) object: &'a [u8],
    pub(super) id: ObjectId,
    pub(super) cut: Cut,
    pub(super) pass: u8,
}

impl Pass<'_> {
    /// Gives every shard of the pass to `each` until that breaks off. Fails when the code does, which it does
    /// for no shape.
    pub(super) fn run(
        &self,
        encoder: &mut Encoder,
        mut each: impl FnMut(&Shard<'_>) -> ControlFlow<()>,
    ) -> Result<(), reed_solomon_simd::Error> {
        let shape = self.cut.shape;
        let mut first = 0;
        while first < shape.blocks() {
            let group = first..shape.blocks().min(first + GROUP);
            let rows = group.clone().map(|it| self.row(encoder, it)).collect::<Result<Vec<_>, _>>()?;
            let longest = shape.most_sources() + self.cut.repair;
            for at in 0..longest {
                for row in &rows {
                    if let Some((index, symbol)) = row.shard(at, shape.symbol()) {
                        let Self { id: object, pass, .. } = *self;
                        let shard = Shard { pass, object, shape, block: row.block, index, symbol };
                        if each(&shard).is_break() {
                            return Ok(());
                        }
                    }
                }
            }
            first = group.end;
        }
        Ok(())
    }

    fn row<'a>(&'a self, encoder: &mut Encoder, block: u16) -> Result<Row<'a>, reed_solomon_simd::Error> {
        let shape = self.cut.shape;
        let sources = shape.sources(block);
        let length = sources + self.cut.repair;
        let first = u16::from(self.pass).saturating_mul(length);
        let own = shape.of(self.object, block);
        let until = first.saturating_add(length).saturating_sub(sources);
        let skip = first.saturating_sub(sources);
        // Every shard of a single source is a copy of it.
        let repair = match sources {
            1 => Vec::new(),
            _ if until == 0 => Vec::new(),
            _ => encoder.repair(own, shape.symbol(), until)?,
        };
        let unused = usize::from(skip) * usize::from(shape.symbol());
        Ok(Row {
            block,
            sources,
            length,
            first,
            own,
            skip,
            repair: repair.get(unused..).unwrap_or(&[]).into(),
        })
    }
}

struct Row<'a> {
    block: u16,
    sources: u16,
    /// Shards of the pass.
    length: u16,
    /// Number of the first one.
    first: u16,
    own: &'a [u8],
    /// Repair symbols that earlier passes sent.
    skip: u16,
    repair: Box<[u8]>,
}

impl Row<'_> {
    fn shard(&self, at: u16, symbol: u16) -> Option<(u16, &[u8])> {
        if at >= self.length {
            return None;
        }
        let index = self.first.checked_add(at)?;
        let (from, place) = match index.checked_sub(self.sources) {
            _ if self.sources == 1 => (self.own, 0),
            None => (self.own, index),
            Some(repair) => (&*self.repair, repair.checked_sub(self.skip)?),
        };
        let start = usize::from(place) * usize::from(symbol);
        let end = from.len().min(start + usize::from(symbol));
        Some((index, from.get(start..end)?))
    }
}
