//! How much packed members unpack to, before any of them is read.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;

/// Most that the members of one pack unpack to together, in bytes.
pub const MAX_UNPACKED: u64 = 512 * 1024 * 1024;

/// How a file that is packed with gzip begins.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

/// Adds what a member unpacks to; `None` when the sum is over [`MAX_UNPACKED`]. Damage is for its reader to tell.
pub fn measure(sum: u64, member: &[u8]) -> Option<u64> {
    let left = MAX_UNPACKED.checked_sub(sum)?;
    let bytes = if member.starts_with(&GZIP) {
        let mut packed = MultiGzDecoder::new(member).take(left.saturating_add(1));
        io::copy(&mut packed, &mut io::sink()).unwrap_or_default()
    } else {
        u64::try_from(member.len()).unwrap_or(u64::MAX)
    };
    (bytes <= left).then(|| sum + bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn what_is_packed_counts_as_what_it_unpacks_to() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![0; 1024 * 1024]).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(measure(1, &packed), Some(1024 * 1024 + 1));
        assert_eq!(measure(MAX_UNPACKED - 1024 * 1024, &packed), Some(MAX_UNPACKED));
        assert_eq!(measure(MAX_UNPACKED - 1024 * 1024 + 1, &packed), None);
        assert_eq!(measure(5, b"plain"), Some(10));
        assert_eq!(measure(5, &packed[..20]), Some(5), "its reader will say that it is cut off");
    }
}
