//! Package databases that this version recognises and cannot read yet.
//!
//! Such a database is a gap with a name, never silence: an inventory that misses a hundred
//! packages must not look complete.

use crate::host::Reads;
use crate::scan::{Look, Reading};

/// What these probes may touch.
pub const READS: &[Reads] = &[
    Reads::metadata("lib/apk/db/installed"),
    Reads::metadata("usr/lib/apk/db/installed"),
    Reads::metadata("var/lib/pacman/local/ALPM_DB_VERSION"),
    Reads::content("var/lib/snapd/snaps"),
];

/// Alpine's database.
pub fn apk(look: &mut Look<'_>) -> Reading {
    found(look, "apk", &["lib/apk/db/installed", "usr/lib/apk/db/installed"])
}

/// Arch Linux's database.
pub fn pacman(look: &mut Look<'_>) -> Reading {
    found(look, "pacman", &["var/lib/pacman/local/ALPM_DB_VERSION"])
}

/// Snaps. An installed `snapd` without snaps is no gap.
pub fn snap(look: &mut Look<'_>) -> Reading {
    const DIRECTORY: &str = "var/lib/snapd/snaps";
    const MAX_SNAPS: usize = 4_096;
    match look.list(DIRECTORY, MAX_SNAPS) {
        None => look.missing("no snaps: var/lib/snapd/snaps is not there"),
        Some(it) if it.entries.iter().any(|it| it.name.ends_with(".snap")) => {
            Reading::Failed("snaps found; this version cannot read them".to_owned())
        }
        Some(_) => Reading::Absent("no snaps are installed".to_owned()),
    }
}

fn found(look: &mut Look<'_>, format: &str, places: &[&str]) -> Reading {
    if places.iter().any(|it| look.exists(it)) {
        Reading::Failed(format!("{format} database found; this version cannot read it"))
    } else {
        look.missing(format!("no {format} database"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host};

    fn read(files: &[(&str, &str)], probe: fn(&mut Look<'_>) -> Reading) -> Reading {
        let (_dir, host) = host(files);
        let budget = ample();
        probe(&mut Look::new(&host, &budget, "test"))
    }

    #[test]
    fn every_database_is_recognised_and_never_silent() {
        for (file, probe) in [
            ("lib/apk/db/installed", apk as fn(&mut Look<'_>) -> Reading),
            ("var/lib/pacman/local/ALPM_DB_VERSION", pacman),
            ("var/lib/snapd/snaps/core20_2318.snap", snap),
        ] {
            assert!(matches!(read(&[(file, "")], probe), Reading::Failed(_)), "{file}");
            assert!(matches!(read(&[], probe), Reading::Absent(_)), "{file}");
        }
        assert!(matches!(read(&[("var/lib/snapd/snaps/partial", "")], snap), Reading::Absent(_)));
    }
}
