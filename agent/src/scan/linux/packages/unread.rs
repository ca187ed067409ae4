//! Package databases that this version recognises and cannot read yet.
//!
//! Such a database is a gap with a name, never silence: an inventory that misses a hundred
//! packages must not look complete.

use crate::host::Reads;
use crate::scan::{Look, Reading};

/// What this probe may touch: their places are what it looks for.
pub const READS: &[Reads] = &[
    Reads::metadata("usr/lib/opkg/status"),
    Reads::metadata("var/lib/opkg/status"),
    Reads::metadata("var/db/pkg"),
    Reads::metadata("var/db/xbps"),
    Reads::metadata("var/lib/pkgtools/packages"),
    Reads::metadata("nix/store"),
    Reads::metadata("gnu/store"),
];

/// Databases of rarer distributions: opkg (embedded Linux), Gentoo, Void, Slackware, Nix, Guix.
pub fn others(look: &mut Look<'_>) -> Reading {
    let is_there = |it: &&Reads| look.host.root.exists(it.pattern);
    match READS.iter().find(is_there) {
        Some(it) => {
            Reading::Failed(format!("packages in {} found; this version cannot read them", it.pattern))
        }
        None => look.missing("no database of another kind"),
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
            ("usr/lib/opkg/status", others as fn(&mut Look<'_>) -> Reading),
            ("var/db/pkg/sys-apps/x", others),
            ("nix/store/x", others),
        ] {
            assert!(matches!(read(&[(file, "")], probe), Reading::Failed(_)), "{file}");
            assert!(matches!(read(&[], probe), Reading::Absent(_)), "{file}");
        }
    }
}
