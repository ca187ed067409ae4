//! The code between symbols: Reed-Solomon over 16-bit words, in its low-rate form.
//!
//! That form is chosen because its repair symbols do not depend on how many of them there are: a sender makes
//! as many as it likes, a later pass sends further ones, and a receiver needs no number but that of each
//! shard. A test holds the bytes themselves: another version of the code would be another protocol.

use reed_solomon_simd::Error;
use reed_solomon_simd::engine::DefaultEngine;
use reed_solomon_simd::rate::{LowRateDecoder, LowRateEncoder, RateDecoder, RateEncoder};

/// A shard as it is kept: its number in the block and its bytes.
pub(super) type Kept = (u16, Box<[u8]>);

/// Makes repair symbols. Keeps its working space from one block to the next.
#[derive(Default)]
pub(super) struct Encoder(Option<LowRateEncoder<DefaultEngine>>);

impl Encoder {
    /// The repair symbols below `until` of a block, one behind the other; `block` may end within a symbol.
    pub(super) fn repair(&mut self, block: &[u8], symbol: u16, until: u16) -> Result<Vec<u8>, Error> {
        let symbol = usize::from(symbol);
        let (sources, until) = (block.len().div_ceil(symbol), usize::from(until));
        let encoder = match self.0.as_mut() {
            Some(encoder) => {
                encoder.reset(sources, until, symbol)?;
                encoder
            }
            None => self.0.insert(LowRateEncoder::new(sources, until, symbol, DefaultEngine::new(), None)?),
        };
        for source in block.chunks(symbol) {
            if source.len() == symbol {
                encoder.add_original_shard(source)?;
            } else {
                let mut padded = source.to_vec();
                padded.resize(symbol, 0);
                encoder.add_original_shard(padded)?;
            }
        }
        let result = encoder.encode()?;
        let mut repair = Vec::with_capacity(until * symbol);
        for shard in result.recovery_iter() {
            repair.extend_from_slice(shard);
        }
        Ok(repair)
    }
}

/// Restores lost symbols. Keeps its working space from one block to the next.
#[derive(Default)]
pub(super) struct Decoder(Option<LowRateDecoder<DefaultEngine>>);

impl Decoder {
    /// Puts the sources of a block in the place of what arrived of it: `sources` different shards.
    pub(super) fn restore(&mut self, sources: u16, symbol: u16, shards: &mut Vec<Kept>) -> Result<(), Error> {
        shards.sort_by_key(|it| it.0);
        if sources == 1 {
            // Every shard of a single source is a copy of it.
            shards.truncate(1);
            return Ok(());
        }
        let highest = shards.last().map_or(0, |it| it.0);
        if highest < sources {
            return Ok(());
        }
        let count = usize::from(highest - sources) + 1;
        let (original, symbol) = (usize::from(sources), usize::from(symbol));
        // Taken out, so that what a panic leaves half done is not used again.
        let mut decoder = match self.0.take() {
            Some(mut decoder) => {
                decoder.reset(original, count, symbol)?;
                decoder
            }
            None => LowRateDecoder::new(original, count, symbol, DefaultEngine::new(), None)?,
        };
        for (index, shard) in shards.iter() {
            if *index < sources {
                decoder.add_original_shard(usize::from(*index), shard)?;
            } else {
                decoder.add_recovery_shard(usize::from(*index - sources), shard)?;
            }
        }
        let restored = decoder.decode()?;
        shards.retain(|it| it.0 < sources);
        for (index, source) in restored.restored_original_iter() {
            shards.push((u16::try_from(index).unwrap_or(u16::MAX), source.into()));
        }
        drop(restored);
        shards.sort_by_key(|it| it.0);
        self.0 = Some(decoder);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};
    use data_encoding::HEXLOWER;
    use reed_solomon_simd::engine::NoSimd;

    use super::*;

    fn block(sources: u16, symbol: u16) -> Vec<u8> {
        (0..u32::from(sources) * u32::from(symbol)).map(|it| (it * it / 7 % 251).to_le_bytes()[0]).collect()
    }

    #[test]
    fn further_repair_leaves_the_first_as_it_is() {
        for sources in [2, 3, 7, 64, 200, 256] {
            let (block, mut encoder) = (block(sources, 64), Encoder::default());
            let few = encoder.repair(&block, 64, 5).unwrap();
            let many = encoder.repair(&block, 64, 700).unwrap();
            assert_eq!(few, many[..few.len()], "{sources}");
        }
    }

    #[test]
    fn any_shards_of_all_passes_restore_a_block() {
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        for (sources, symbol) in [(1_u16, 10_u16), (2, 2), (3, 64), (17, 130), (255, 66), (256, 64)] {
            let block = block(sources, symbol);
            let repair = encoder.repair(&block, symbol, 900).unwrap();
            for step in [1_u16, 2, 5, 31] {
                let mut shards: Vec<Kept> = (0..sources)
                    .map(|at| {
                        let index = if at % 2 == 0 { at } else { sources + (at * step) % 900 };
                        let from = if index < sources { &block } else { &repair };
                        let place = usize::from(if index < sources { index } else { index - sources });
                        let symbol = usize::from(symbol);
                        (index, from[place * symbol..(place + 1) * symbol].into())
                    })
                    .collect();
                shards.sort();
                shards.dedup_by_key(|it| it.0);
                if shards.len() < usize::from(sources) {
                    continue;
                }
                decoder.restore(sources, symbol, &mut shards).unwrap();
                let restored: Vec<u8> = shards.iter().flat_map(|it| it.1.iter().copied()).collect();
                assert_eq!(restored, block, "{sources} {symbol} {step}");
            }
        }
    }

    #[test]
    fn every_shard_of_one_source_is_a_copy() {
        let repair = Encoder::default().repair(b"only", 4, 3).unwrap();
        assert_eq!(repair, b"onlyonlyonly");
    }

    #[test]
    fn the_code_is_the_one_that_is_written_down() {
        let repair = Encoder::default().repair(&block(256, 64), 64, 600).unwrap();
        let digest = digest(&SHA256, &repair);
        assert_eq!(HEXLOWER.encode(&digest.as_ref()[..8]), "63042f4f8d13c3bc");
    }

    /// Both ends may have processors of different kinds.
    #[test]
    fn the_code_is_the_same_on_every_processor() {
        let block = block(200, 66);
        let mut plain = LowRateEncoder::new(200, 300, 66, NoSimd::new(), None).unwrap();
        for source in block.chunks(66) {
            plain.add_original_shard(source).unwrap();
        }
        let plain: Vec<u8> = plain.encode().unwrap().recovery_iter().flatten().copied().collect();
        assert_eq!(Encoder::default().repair(&block, 66, 300).unwrap(), plain);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let mut decoder = Decoder::default();
        let mut shards: Vec<Kept> = vec![(0, [0; 4].into()), (9, [0; 6].into())];
        assert!(decoder.restore(2, 4, &mut shards).is_err());
        let mut few: Vec<Kept> = vec![(9, [0; 4].into())];
        assert!(decoder.restore(2, 4, &mut few).is_err());
        assert!(Encoder::default().repair(&[], 4, 3).is_err());
    }
}
