//! Package databases that this version recognises and cannot read yet.
//!
//! Such a database is a gap with a name, never silence: an inventory that misses a hundred
//! packages must not look complete.

use crate::host::Reads;
use crate::scan::{Look, Reading};

/// What these probes may touch.
pub const READS: &[Reads] = &[Reads::metadata("usr/lib/sysimage/rpm/*"), Reads::metadata("var/lib/rpm/*")];
/// What the probe of rarer ones may touch: their places are what it looks for.
pub const OTHERS: &[Reads] = &[
    Reads::metadata("usr/lib/opkg/status"),
    Reads::metadata("var/lib/opkg/status"),
    Reads::metadata("var/db/pkg"),
    Reads::metadata("var/db/xbps"),
    Reads::metadata("var/lib/pkgtools/packages"),
    Reads::metadata("nix/store"),
    Reads::metadata("gnu/store"),
];

/// Red Hat's and SUSE's database, in each place and form it has had.
pub fn rpm(look: &mut Look<'_>) -> Reading {
    found(
        look,
        "rpm",
        &[
            "usr/lib/sysimage/rpm/rpmdb.sqlite",
            "usr/lib/sysimage/rpm/Packages.db",
            "var/lib/rpm/rpmdb.sqlite",
            "var/lib/rpm/Packages.db",
            "var/lib/rpm/Packages",
        ],
    )
}

/// Databases of rarer distributions: opkg (embedded Linux), Gentoo, Void, Slackware, Nix, Guix.
pub fn others(look: &mut Look<'_>) -> Reading {
    let is_there = |it: &&Reads| look.host.root.exists(it.pattern);
    match OTHERS.iter().find(is_there) {
        Some(it) => {
            Reading::Failed(format!("packages in {} found; this version cannot read them", it.pattern))
        }
        None => look.missing("no database of another kind"),
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
            ("var/lib/rpm/rpmdb.sqlite", rpm as fn(&mut Look<'_>) -> Reading),
            ("usr/lib/sysimage/rpm/Packages.db", rpm),
            ("usr/lib/opkg/status", others),
            ("var/db/pkg/sys-apps/x", others),
            ("nix/store/x", others),
        ] {
            assert!(matches!(read(&[(file, "")], probe), Reading::Failed(_)), "{file}");
            assert!(matches!(read(&[], probe), Reading::Absent(_)), "{file}");
        }
    }
}
