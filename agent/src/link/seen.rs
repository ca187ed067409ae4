//! The last scan as the agent keeps it between two calls: packed, because a control host's
//! memory is for something else.

use holdpoint_common::proto::v1::{HeldSection, SectionStatus};
use holdpoint_common::row::SectionKind;
use holdpoint_common::section::{Digest, Rows, Section};

/// Largest packed section that is reported, in bytes: all of them fit into one report.
pub const MAX_PACKED: usize = 3 * 512 * 1024;

/// One section of the last scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What the rows are about.
    pub kind: SectionKind,
    /// How completely they were read.
    pub status: SectionStatus,
    /// Why not more.
    pub reasons: Vec<String>,
    /// The rows' digest.
    pub digest: Digest,
    /// The rows, packed.
    pub packed: Vec<u8>,
}

impl Seen {
    /// Packs a section. One that cannot be packed small enough becomes a failed one that says so.
    pub fn pack(section: Section) -> Self {
        let Section { kind, status, reasons, rows, digest } = section;
        let failed = |why: String| {
            let rows = Rows::default();
            Self {
                kind,
                status: SectionStatus::Failed,
                reasons: vec![why],
                digest: rows.digest(),
                packed: rows.pack().unwrap_or_default(),
            }
        };
        match rows.pack() {
            Ok(mut packed) if packed.len() <= MAX_PACKED => {
                // The compressor reserves for the worst case.
                packed.shrink_to_fit();
                Self { kind, status, reasons, digest, packed }
            }
            Ok(packed) => {
                failed(format!("{} rows pack to {} bytes: too many to report", rows.len(), packed.len()))
            }
            Err(cause) => failed(format!("the rows cannot be packed: {cause}")),
        }
    }

    /// The rows; empty when they cannot be unpacked, which own packing never causes.
    pub fn rows(&self) -> Rows {
        Rows::unpack(&self.packed).unwrap_or_default()
    }

    /// What a check-in says of it.
    pub fn summary(&self) -> HeldSection {
        HeldSection { kind: self.kind.into(), digest: self.digest.to_vec(), status: self.status.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_too_large_to_report_says_so_instead_of_blocking_the_others() {
        let mut noise = 1_u64;
        let mut row = || {
            let next = |noise: &mut u64| {
                *noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                noise.to_be_bytes()[0]
            };
            (0..8_000).map(|_| next(&mut noise)).collect::<Vec<u8>>()
        };
        let rows = Rows::from_encoded((0..400).map(|_| row()).collect());
        let seen = Seen::pack(Section::new(SectionKind::Software, SectionStatus::Complete, vec![], rows));
        assert_eq!(seen.status, SectionStatus::Failed);
        assert!(seen.reasons[0].contains("too many to report"), "{:?}", seen.reasons);
        assert!(seen.rows().is_empty());
    }
}
