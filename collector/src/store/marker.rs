//! `store.marker`: what the store must hold, written outside the engine.
//!
//! An engine that comes back empty or older than this has lost acknowledged data. The file is
//! replaced at most once a second and when the store closes, so the last second before a crash
//! is not covered. A loss stays written here until somebody has acknowledged it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use holdpoint_common::atomic_file::{self, Readable};

use super::backend::Engine;
use super::error::StoreError;

use super::rows::sha256;

const FILE: &str = "store.marker";
const TITLE: &str = "holdpoint store 1";

/// Acknowledged transactions that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostData {
    /// The last sequence that was known to be durable.
    pub expected: u64,
    /// The last one found when the store was opened; `None` when the store was empty or another one.
    pub found: Option<u64>,
}

/// The contents of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) id: [u8; 16],
    pub(super) engine: Engine,
    pub(super) sequence: u64,
    pub(super) lost: Option<LostData>,
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

impl Marker {
    /// Reads the marker of a store; `None` when there is none, or when it is damaged, which `Err`
    /// would make worse than it is.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, StoreError> {
        match fs::read_to_string(path(dir)) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                Ok(None)
            }
            Err(cause) => Err(StoreError::file("read", &path(dir))(cause)),
        }
    }

    /// Replaces the marker and syncs it.
    pub(super) fn write(&self, dir: &Path) -> Result<(), StoreError> {
        atomic_file::replace(&path(dir), self.to_text().as_bytes(), Readable::All).map_err(|cause| {
            if super::backend::is_full(&cause) {
                StoreError::Full
            } else {
                StoreError::file("replace", &path(dir))(cause)
            }
        })
    }

    fn to_text(&self) -> String {
        let mut text = format!(
            "{TITLE}\nid {}\nengine {}\nsequence {}\n",
            HEXLOWER.encode(&self.id),
            self.engine,
            self.sequence
        );
        if let Some(LostData { expected, found }) = self.lost {
            let found = found.map_or_else(|| "nothing".to_owned(), |it| it.to_string());
            text = text + "lost " + &expected.to_string() + " " + &found + "\n";
        }
        let check = HEXLOWER.encode(&sha256(text.as_bytes())[..8]);
        text + "check " + &check + "\n"
    }

    fn parse(text: &str) -> Option<Self> {
        let at = text.rfind("check ")?;
        let (body, check) = text.split_at(at);
        if check.trim_end() != format!("check {}", HEXLOWER.encode(&sha256(body.as_bytes())[..8])) {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != TITLE {
            return None;
        }
        let id = HEXLOWER.decode(lines.next()?.strip_prefix("id ")?.as_bytes()).ok()?.try_into().ok()?;
        let engine = lines.next()?.strip_prefix("engine ")?.parse().ok()?;
        let sequence = lines.next()?.strip_prefix("sequence ")?.parse().ok()?;
        let lost = match lines.next() {
            None => None,
            Some(line) => {
                let (expected, found) = line.strip_prefix("lost ")?.split_once(' ')?;
                Some(LostData { expected: expected.parse().ok()?, found: found.parse().ok() })
            }
        };
        Some(Self { id, engine, sequence, lost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_survives_and_a_damaged_one_counts_as_none() {
        for lost in [
            None,
            Some(LostData { expected: 9, found: None }),
            Some(LostData { expected: 9, found: Some(3) }),
        ] {
            let marker = Marker { id: [5; 16], engine: Engine::Redb, sequence: 77, lost };
            assert_eq!(Marker::parse(&marker.to_text()), Some(marker.clone()));
            assert_eq!(Marker::parse(&marker.to_text().replace("77", "76")), None);
        }
        assert_eq!(Marker::parse(""), None);
    }
}
