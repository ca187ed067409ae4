//! What a pack may hold: names that are fixed or made of a digest, each with its largest size.

use std::fmt;

use data_encoding::HEXLOWER;
use holdpoint_common::section::{Digest, MAX_LISTING};
use holdpoint_common::tls::leaf::MAX_CERTIFICATE;

use crate::change::plan::MAX_PLAN;

const MIB: usize = 1024 * 1024;

/// A member by what it is. The order is that of the names, and that of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// Entries of the audit log.
    Audit,
    /// A certificate, by its SHA-256.
    Certificate(Digest),
    /// What the file holds.
    Manifest,
    /// The signature over that.
    Signature,
    /// The plan as it was written.
    Plan,
    /// For people.
    Report,
    /// Rows, by their digest.
    Section(Digest),
    /// An answer, by the nonce of its question.
    Snapshot([u8; 16]),
}

impl Member {
    /// Reads a name; `None` when no member is called so.
    pub fn named(name: &str) -> Option<Self> {
        let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).ok();
        let digest = |text: &str| Digest::try_from(hex(text)?.as_slice()).ok();
        Some(match name {
            "audit.bin" => Self::Audit,
            "manifest.json" => Self::Manifest,
            "manifest.sig" => Self::Signature,
            "plan.toml" => Self::Plan,
            "report.html" => Self::Report,
            _ => {
                let (folder, file) = name.split_once('/')?;
                let (stem, end) = file.split_once('.')?;
                match (folder, end) {
                    ("certificates", "der") => Self::Certificate(digest(stem)?),
                    ("sections", "bin") => Self::Section(digest(stem)?),
                    ("snapshots", "bin") => Self::Snapshot(hex(stem)?.try_into().ok()?),
                    _ => return None,
                }
            }
        })
    }

    /// Largest size, in bytes.
    pub fn max_bytes(self) -> usize {
        match self {
            Self::Audit => 512 * MIB,
            Self::Certificate(_) => MAX_CERTIFICATE,
            Self::Manifest => 16 * MIB,
            Self::Signature => 64,
            Self::Plan => MAX_PLAN,
            Self::Report => 256 * MIB,
            // What cannot be compressed grows a little.
            Self::Section(_) => MAX_LISTING + MIB,
            Self::Snapshot(_) => MIB,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audit => f.write_str("audit.bin"),
            Self::Certificate(digest) => write!(f, "certificates/{digest}.der"),
            Self::Manifest => f.write_str("manifest.json"),
            Self::Signature => f.write_str("manifest.sig"),
            Self::Plan => f.write_str("plan.toml"),
            Self::Report => f.write_str("report.html"),
            Self::Section(digest) => write!(f, "sections/{digest}.bin"),
            Self::Snapshot(nonce) => write!(f, "snapshots/{}.bin", HEXLOWER.encode(nonce)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_names_sort_as_members_do() {
        let digest = Digest::of(b"a");
        let all = [
            Member::Audit,
            Member::Certificate(digest),
            Member::Manifest,
            Member::Signature,
            Member::Plan,
            Member::Report,
            Member::Section(digest),
            Member::Snapshot([0xab; 16]),
        ];
        for it in all {
            assert_eq!(Member::named(&it.to_string()), Some(it));
        }
        assert!(all.is_sorted() && all.map(|it| it.to_string()).is_sorted());
    }

    #[test]
    fn nothing_else_is_a_name() {
        let upper = format!("sections/{}.bin", "AB".repeat(32));
        let short = format!("sections/{}.bin", "ab".repeat(31));
        let other = format!("sections/{}.der", "ab".repeat(32));
        for it in ["", "/", "report.html/", "../plan.toml", "a/plan.toml", "PLAN.TOML", "snapshots/.bin"] {
            assert_eq!(Member::named(it), None, "{it}");
        }
        for it in [upper, short, other] {
            assert_eq!(Member::named(&it), None, "{it}");
        }
    }
}
