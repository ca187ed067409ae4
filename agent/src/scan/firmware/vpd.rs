//! What a disk says in pages of Vital Product Data, which the kernel keeps as it read them.
//!
//! Source of truth: page 0x89 of SAT (`device/vpd_pg89`), in which a SATA disk's answer to IDENTIFY
//! DEVICE is kept (ACS, words 10 to 46), and page 0x80 of SPC (`device/vpd_pg80`), the serial number.
//! Known lie: a bridge can make up the page for a disk behind it.

use crate::scan::look::said;

/// Largest page: its length is a 16-bit number.
pub const MAX_PAGE: usize = 4 + 0xffff;

const SERIAL: u8 = 0x80;
const ATA: u8 = 0x89;
/// Where the answer of the disk starts in page 0x89, and how long it is.
const IDENTIFY: std::ops::Range<usize> = 60..572;
/// Commands whose answers have the fields: IDENTIFY DEVICE and IDENTIFY PACKET DEVICE.
const COMMANDS: [u8; 2] = [0xec, 0xa1];
/// Low byte of the last word when the high one is a checksum.
const HAS_CHECKSUM: u8 = 0xa5;

/// A SATA disk about itself, in full length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Up to 40 characters, of which the SCSI name has 16.
    pub model: Option<String>,
    /// Up to 8 characters, of which the SCSI revision has 4.
    pub firmware: Option<String>,
    /// Up to 20 characters.
    pub serial: Option<String>,
}

/// Why a page cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPage {
    /// Another page, or none.
    #[error("this is another page")]
    Other,
    /// Shorter than it says or has to be.
    #[error("the page is cut off")]
    Cut,
    /// Its bytes do not add up.
    #[error("the disk's answer has a wrong checksum")]
    Checksum,
}

/// Reads page 0x89; `None` when it holds the answer to another command.
///
/// # Errors
/// The page is malformed.
pub fn ata(page: &[u8]) -> Result<Option<Identity>, InvalidPage> {
    let page = body(page, ATA)?;
    // Offsets of the standard count the header of the page.
    let answer = page.get(IDENTIFY).ok_or(InvalidPage::Cut)?;
    if !page.get(56).is_some_and(|it| COMMANDS.contains(it)) {
        return Ok(None);
    }
    let sum = answer.iter().fold(0_u8, |sum, it| sum.wrapping_add(*it));
    if answer.get(510) == Some(&HAS_CHECKSUM) && sum != 0 {
        return Err(InvalidPage::Checksum);
    }
    let text = |words: std::ops::Range<usize>| {
        let bytes = answer.get(words.start * 2..words.end * 2)?;
        // The first letter of a word is in its upper half, which comes second.
        plain(bytes.chunks_exact(2).flat_map(|it| it.iter().rev().copied()))
    };
    Ok(Some(Identity { serial: text(10..20), firmware: text(23..27), model: text(27..47) }))
}

/// Reads page 0x80.
///
/// # Errors
/// The page is malformed.
pub fn serial(page: &[u8]) -> Result<Option<String>, InvalidPage> {
    Ok(plain(body(page, SERIAL)?.get(4..).unwrap_or_default().iter().copied()))
}

/// A page with its header and without what is behind it.
fn body(page: &[u8], code: u8) -> Result<&[u8], InvalidPage> {
    match page {
        [_, found, high, low, ..] if *found == code => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            page.get(..4 + length).ok_or(InvalidPage::Cut)
        }
        [_, _, _, _, ..] => Err(InvalidPage::Other),
        _ => Err(InvalidPage::Cut),
    }
}

/// Text of which every character can be printed; anything else is no text.
fn plain(bytes: impl Iterator<Item = u8>) -> Option<String> {
    let text: String = bytes.map(char::from).collect();
    said(&text).filter(|it| it.chars().all(|it| it.is_ascii_graphic() || it == ' '))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Page 0x89 as a SATA disk fills it.
    pub(crate) fn ata_page(model: &str, firmware: &str, serial: &str) -> Vec<u8> {
        let mut answer = vec![0; 512];
        for (at, length, text) in [(20, 20, serial), (46, 8, firmware), (54, 40, model)] {
            for (number, byte) in format!("{text:length$}").bytes().enumerate() {
                answer[at + (number ^ 1)] = byte;
            }
        }
        answer[510] = HAS_CHECKSUM;
        answer[511] = answer.iter().fold(0_u8, |sum, it| sum.wrapping_sub(*it));
        let mut page = vec![0, ATA, 2, 0x38, 0, 0, 0, 0];
        page.extend(b"linux   libata          3.00");
        page.resize(60, 0);
        page[56] = COMMANDS[0];
        page.extend(answer);
        page
    }

    #[test]
    fn a_disk_says_its_whole_revision() {
        let page = ata_page("Micron_5300_MTFDDAK480TDS", "D3MU001", "20302A3C1F2E");
        assert_eq!(page.len(), 572);
        assert_eq!(
            ata(&page),
            Ok(Some(Identity {
                model: Some("Micron_5300_MTFDDAK480TDS".into()),
                firmware: Some("D3MU001".into()),
                serial: Some("20302A3C1F2E".into()),
            }))
        );
    }

    #[test]
    fn cut_damaged_and_foreign_pages_are_told() {
        let page = ata_page("M", "F", "S");
        for end in 0..page.len() {
            assert_eq!(ata(&page[..end]), Err(InvalidPage::Cut), "{end}");
        }
        let mut damaged = page.clone();
        damaged[106] ^= 1;
        assert_eq!(ata(&damaged), Err(InvalidPage::Checksum));
        let mut other = page.clone();
        other[56] = 0;
        assert_eq!(ata(&other), Ok(None));
        assert_eq!(serial(&page), Err(InvalidPage::Other));
        assert_eq!(ata(&[0, ATA, 0, 4, 0, 0, 0, 0]), Err(InvalidPage::Cut));
    }

    #[test]
    fn a_serial_number_is_what_can_be_printed() {
        assert_eq!(serial(b"\0\x80\0\x0c  Z1D5ABCD  "), Ok(Some("Z1D5ABCD".into())));
        assert_eq!(serial(b"\0\x80\0\x04    "), Ok(None));
        assert_eq!(serial(b"\0\x80\0\x04\xff\x01\x02\x03"), Ok(None));
        assert_eq!(serial(b"\0\x80\xff\xff1"), Err(InvalidPage::Cut));
    }

    proptest! {
        #[test]
        fn any_page_is_read_or_refused(mut page in proptest::collection::vec(any::<u8>(), 0..700), code in any::<bool>()) {
            if let Some(it) = page.get_mut(1) {
                *it = if code { ATA } else { SERIAL };
            }
            let _ = (ata(&page), serial(&page));
        }
    }
}
