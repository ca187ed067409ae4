//! Passes of objects as shards, in the order in which they leave.
//!
//! The shards of a block are one endless row: its sources, then repair. Each pass sends the next stretch of
//! it, so that what two passes lose parts of adds up. Repair is made anew for each pass, group by group: what
//! waits between passes is the object alone.
//!
//! Blocks go in groups, a little of each in turn: a burst then takes a little of many blocks instead of much
//! of one. A group is of one large object or of several small ones.

use std::iter;
use std::ops::ControlFlow;

use super::code::Cut;
use super::datagram::{ObjectId, Shard};
use super::erasure::Encoder;

/// Blocks of a group: with full symbols 6 MB of object and as much of repair.
pub(super) const GROUP: u16 = 16;
/// Shards of a block in one go where symbols differ in length: only equal ones leave in one call.
const TURN: u16 = 8;

/// What a pass sends.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) object: &'a [u8],
    pub(super) id: ObjectId,
    pub(super) cut: Cut,
    pub(super) pass: u8,
}

/// Gives every shard of the passes to `each` until that breaks off. Fails when the code does, which it does for
/// no shape.
pub(super) fn run(
    passes: &[Pass<'_>],
    encoder: &mut Encoder,
    mut each: impl FnMut(&Shard<'_>) -> ControlFlow<()>,
) -> Result<(), reed_solomon_simd::Error> {
    let mut blocks = passes.iter().flat_map(|it| (0..it.cut.shape.blocks()).map(move |block| (it, block)));
    loop {
        let group = blocks.by_ref().take(usize::from(GROUP));
        let rows = group.map(|(pass, block)| pass.row(encoder, block)).collect::<Result<Vec<_>, _>>()?;
        if rows.is_empty() || send(&rows, &mut each).is_break() {
            return Ok(());
        }
    }
}

fn send(rows: &[Row<'_>], each: &mut impl FnMut(&Shard<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
    let symbol = |it: &Row<'_>| it.pass.cut.shape.symbol();
    let equal = iter::zip(rows, rows.iter().skip(1)).all(|(a, b)| symbol(a) == symbol(b));
    let turn = if equal { 1 } else { TURN };
    let longest = rows.iter().map(|it| it.length).max().unwrap_or(0);
    for start in (0..longest).step_by(usize::from(turn)) {
        for row in rows {
            for at in start..row.length.min(start + turn) {
                let Some((index, symbol)) = row.shard(at) else { continue };
                let Pass { id: object, pass, cut, .. } = *row.pass;
                each(&Shard { pass, object, shape: cut.shape, block: row.block, index, symbol })?;
            }
        }
    }
    ControlFlow::Continue(())
}

impl Pass<'_> {
    fn row(&self, encoder: &mut Encoder, block: u16) -> Result<Row<'_>, reed_solomon_simd::Error> {
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
        let repair = repair.get(unused..).unwrap_or_default().into();
        Ok(Row { pass: self, block, sources, length, first, own, skip, repair })
    }
}

/// What one pass sends of one block.
struct Row<'a> {
    pass: &'a Pass<'a>,
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
    /// The number and the bytes of a shard of the pass. The last source of an object may be short.
    fn shard(&self, at: u16) -> Option<(u16, &[u8])> {
        let index = self.first.checked_add(at)?;
        let (from, place) = match index.checked_sub(self.sources) {
            _ if self.sources == 1 => (self.own, 0),
            None => (self.own, index),
            Some(repair) => (&*self.repair, repair.checked_sub(self.skip)?),
        };
        let symbol = usize::from(self.pass.cut.shape.symbol());
        let start = usize::from(place) * symbol;
        let end = from.len().min(start + symbol);
        Some((index, from.get(start..end)?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::code::{Odds, Plan};
    use super::*;

    fn indices(objects: &[Vec<u8>], pass: u8) -> Vec<(ObjectId, u16, u16)> {
        let plan = Plan::new(Odds::new(100, 1e-6), 1_400);
        let cut = |it: &[u8]| plan.cut(u32::try_from(it.len()).unwrap()).unwrap();
        let passes: Vec<Pass<'_>> =
            objects.iter().map(|it| Pass { object: it, id: ObjectId::of(it), cut: cut(it), pass }).collect();
        let mut sent = Vec::new();
        run(&passes, &mut Encoder::default(), |it| {
            sent.push((it.object, it.block, it.index));
            ControlFlow::Continue(())
        })
        .unwrap();
        let planned: u32 = objects.iter().map(|it| cut(it).datagrams()).sum();
        assert_eq!(sent.len(), usize::try_from(planned).unwrap());
        sent
    }

    #[test]
    fn no_two_passes_send_the_same_shard() {
        let objects = [vec![1; 900], vec![2; 20_000], vec![3; 1_000_000]];
        let all: Vec<_> = (0..3).flat_map(|pass| indices(&objects, pass)).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn a_burst_takes_a_little_of_many() {
        for objects in
            [vec![vec![1; 2_000_000]], (0..16).map(|it| vec![it; 60_000 + usize::from(it) * 500]).collect()]
        {
            let sent = indices(&objects, 0);
            let hit = |it: &(ObjectId, u16, u16)| (it.0, it.1);
            let most = sent.windows(64).map(|burst| {
                let of = |block| burst.iter().filter(|it| hit(it) == block).count();
                burst.iter().map(|it| of(hit(it))).max().unwrap()
            });
            // 6 blocks, one in turn; 16 objects, 8 in turn, and the last few have no others beside them.
            assert!(most.clone().take(sent.len() / 2).max().unwrap() <= 11, "{:?}", most.max());
        }
    }

    #[test]
    fn a_pass_ends_where_it_is_broken_off() {
        let object = vec![1; 100_000];
        let cut = Plan::new(Odds::new(100, 1e-6), 1_400).cut(100_000).unwrap();
        let mut count = 0;
        let pass = Pass { object: &object, id: ObjectId::of(&object), cut, pass: 0 };
        run(&[pass], &mut Encoder::default(), |_| {
            count += 1;
            if count == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        assert_eq!(count, 10);
    }
}
