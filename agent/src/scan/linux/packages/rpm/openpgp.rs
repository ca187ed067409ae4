//! Which key made an OpenPGP signature (RFC 4880, RFC 9580): its identifier, and nothing else.
//!
//! A signature says by itself who made it; nothing is verified here, so the identifier is what the
//! database claims. It is in the open in version 3, and in a subpacket in versions 4 and 6.

use data_encoding::HEXLOWER;

const SIGNATURE: u8 = 2;
const ISSUER: u8 = 16;
const ISSUER_FINGERPRINT: u8 = 33;
/// Most packets and subpackets that are looked through.
const MAX_PARTS: usize = 64;

/// Identifier of the key of the first signature, 16 hexadecimal digits in lower case.
pub(super) fn key_id(mut bytes: &[u8]) -> Option<String> {
    for _ in 0..MAX_PARTS {
        let (tag, body, rest) = packet(bytes)?;
        if tag == SIGNATURE
            && let Some(id) = issuer(body)
        {
            return Some(HEXLOWER.encode(id));
        }
        bytes = rest;
    }
    None
}

/// The first packet: its tag, its body, and what follows.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if first & 0x80 == 0 {
        return None;
    }
    let (tag, len, rest) = if first & 0x40 == 0 {
        let (len, rest) = match first & 3 {
            0 => number(rest, 1)?,
            1 => number(rest, 2)?,
            2 => number(rest, 4)?,
            _ => (rest.len(), rest),
        };
        (first >> 2 & 0x0f, len, rest)
    } else {
        let (len, rest) = length(rest)?;
        (first & 0x3f, len, rest)
    };
    // A long signature that was read only to a bound still begins with its subpackets.
    let (body, rest) = rest.split_at(len.min(rest.len()));
    Some((tag, body, rest))
}

/// A length of one, two or five octets; a partial one is refused.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match first {
        0..192 => Some((usize::from(*first), rest)),
        192..224 => {
            let (second, rest) = rest.split_first()?;
            Some(((usize::from(*first) - 192) * 256 + usize::from(*second) + 192, rest))
        }
        255 => number(rest, 4),
        224..255 => None,
    }
}

fn number(bytes: &[u8], octets: usize) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_at_checked(octets)?;
    Some((number.iter().fold(0, |sum, it| sum << 8 | usize::from(*it)), rest))
}

fn issuer(body: &[u8]) -> Option<&[u8]> {
    let (version, rest) = body.split_first()?;
    match version {
        // Length of what is hashed (5), type, time; then the identifier.
        2 | 3 => rest.get(6..14),
        4 => subpackets(rest.get(3..)?, 2),
        6 => subpackets(rest.get(3..)?, 4),
        _ => None,
    }
}

/// Looks through the hashed subpackets, then through the others.
fn subpackets(bytes: &[u8], octets: usize) -> Option<&[u8]> {
    let (len, rest) = number(bytes, octets)?;
    let (hashed, rest) = rest.split_at_checked(len)?;
    if let Some(id) = named(hashed) {
        return Some(id);
    }
    let (len, rest) = number(rest, octets)?;
    named(rest.get(..len)?)
}

fn named(mut area: &[u8]) -> Option<&[u8]> {
    for _ in 0..MAX_PARTS {
        let (len, rest) = length(area)?;
        let (body, rest) = rest.split_at_checked(len)?;
        let (kind, value) = body.split_first()?;
        match (kind & 0x7f, value) {
            (ISSUER, id) if id.len() == 8 => return Some(id),
            // The identifier is the end of a version 4 fingerprint, and the beginning of a later one.
            (ISSUER_FINGERPRINT, [4, fingerprint @ ..]) if fingerprint.len() == 20 => {
                return fingerprint.get(12..);
            }
            (ISSUER_FINGERPRINT, [5 | 6, fingerprint @ ..]) if fingerprint.len() == 32 => {
                return fingerprint.get(..8);
            }
            _ => area = rest,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: [u8; 8] = [0x19, 0x9e, 0x2f, 0x91, 0xfd, 0x43, 0x1d, 0x51];
    const TEXT: &str = "199e2f91fd431d51";

    fn v4(hashed: &[u8], unhashed: &[u8]) -> Vec<u8> {
        let mut body = vec![4, 0, 1, 8];
        for area in [hashed, unhashed] {
            body.extend(u16::try_from(area.len()).unwrap().to_be_bytes());
            body.extend(area);
        }
        [vec![0x89], u16::try_from(body.len()).unwrap().to_be_bytes().to_vec(), body].concat()
    }

    #[test]
    fn every_version_names_its_key() {
        let v3 = [&[0x88, 19, 3, 5, 0, 1, 2, 3, 4][..], &ID, &[1, 8, 0, 0]].concat();
        assert_eq!(key_id(&v3).as_deref(), Some(TEXT));
        let issuer = [&[9, 16][..], &ID].concat();
        let time = [5, 2, 1, 2, 3, 4];
        assert_eq!(key_id(&v4(&time, &issuer)).as_deref(), Some(TEXT));
        let fingerprint = [&[22, 33, 4][..], &[7; 12], &ID].concat();
        assert_eq!(key_id(&v4(&[&time[..], &fingerprint].concat(), &[])).as_deref(), Some(TEXT));
        let long = [&[34, 0x80 | 0x21, 6][..], &ID, &[7; 24]].concat();
        let body = [&[6, 0, 27, 8, 0, 0, 0, 35][..], &long, &[0; 4]].concat();
        let v6 = [&[0xc2, 47][..], &body].concat();
        assert_eq!(key_id(&v6).as_deref(), Some(TEXT));
    }

    #[test]
    fn another_packet_before_it_is_passed_over_and_no_key_is_no_key() {
        let issuer = [&[9, 16][..], &ID].concat();
        let signature = v4(&issuer, &[]);
        assert_eq!(key_id(&[&[0xcd, 2, b'x', b'y'][..], &signature].concat()).as_deref(), Some(TEXT));
        for bytes in [&[][..], &[0], &v4(&[], &[]), &signature[..10], &[0xc2, 230, 4]] {
            assert_eq!(key_id(bytes), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), first in 0x80_u8..) {
            drop(key_id(&bytes));
            drop(key_id(&[&[first][..], &bytes].concat()));
        }
    }
}
