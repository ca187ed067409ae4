//! Disk space: how much is free, what is kept back, who is refused when.
//!
//! The ballast is a file of real blocks that can be given up when the disk is full, so that an
//! engine that needs space to open can open.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::StoreConfig;
use super::backend::Upkeep;
use super::files;
use super::txn::Class;

const FILE: &str = "store.ballast";
/// Without this much, opening an engine again would fail and take the reads with it, in bytes.
pub(super) const TO_OPEN: u64 = 4 * 1024 * 1024;
const PIECE: usize = 64 * 1024;

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Free bytes for this process; `None` when the system does not say.
pub(super) fn free(dir: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(dir).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

/// Whether a transaction of that class may still be written.
pub(super) fn admits(class: Class, free: Option<u64>, config: &StoreConfig) -> bool {
    let mark = match class {
        Class::Report => config.low_free_bytes,
        Class::Admin => config.admin_free_bytes,
    };
    free.is_none_or(|free| free >= mark)
}

/// What an engine that is opened now may do on its own account.
pub(super) fn upkeep(dir: &Path, config: &StoreConfig) -> Upkeep {
    if admits(Class::Report, free(dir), config) { Upkeep::Normal } else { Upkeep::Paused }
}

/// Whether the ballast is there.
pub(super) fn has_ballast(dir: &Path) -> bool {
    path(dir).exists()
}

/// Gives up the ballast; tells whether there was one.
pub(super) fn release_ballast(dir: &Path) -> bool {
    let released = fs::remove_file(path(dir)).is_ok();
    if released {
        // Only a hint to the file system: the space is free either way.
        let _ = files::sync_dir(dir);
    }
    released
}

/// Makes the ballast when it is wanted, missing, and affordable.
pub(super) fn restore_ballast(dir: &Path, config: &StoreConfig) -> io::Result<()> {
    let wanted = config.ballast_bytes;
    if wanted == 0 || has_ballast(dir) {
        return Ok(());
    }
    if free(dir).is_some_and(|free| free < config.low_free_bytes.saturating_add(wanted)) {
        return Ok(());
    }
    let written = fill(&path(dir), wanted);
    if written.is_err() {
        release_ballast(dir);
    }
    written
}

/// Writes real bytes: a hole would keep nothing back.
fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let piece = vec![0x48; PIECE];
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        file.write_all(&piece[..now])?;
        left -= u64::try_from(now).unwrap_or(left);
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_stay_out_before_operators_do() {
        let config = StoreConfig { low_free_bytes: 100, admin_free_bytes: 10, ..StoreConfig::default() };
        assert!(admits(Class::Report, Some(100), &config));
        assert!(!admits(Class::Report, Some(99), &config));
        assert!(admits(Class::Admin, Some(99), &config));
        assert!(!admits(Class::Admin, Some(9), &config));
        assert!(admits(Class::Report, None, &config), "an unknown is decided by the engine");
    }

    #[test]
    fn the_ballast_takes_its_space_and_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig { ballast_bytes: 100_000, low_free_bytes: 0, ..StoreConfig::default() };
        restore_ballast(dir.path(), &config).unwrap();
        assert_eq!(fs::metadata(path(dir.path())).unwrap().len(), 100_000);
        assert!(release_ballast(dir.path()));
        assert!(!release_ballast(dir.path()));
    }

    #[test]
    fn no_ballast_is_made_when_space_is_short() {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig { ballast_bytes: 1000, low_free_bytes: u64::MAX, ..StoreConfig::default() };
        restore_ballast(dir.path(), &config).unwrap();
        assert!(!has_ballast(dir.path()));
    }
}
