//! Facts that the host's own administrator asks for, in `ProgramData\Holdpoint\facts.d\*.toml`; see
//! [`crate::scan::site`] for what holds on every host.
//!
//! `ProgramData` lets every user make files, so on a running system the security descriptors of the folder
//! and of each file decide: where others than administrators and the system may write, it is refused. Of a
//! machine that does not run they are not known, and whoever mounts its disk answers for it.
//!
//! Paths are of the system drive. Of a service the way in which it starts is told; whether it runs is in
//! the section `services`.

use super::products::SERVICES;
use super::setting::START;
use crate::host::{Family, Reads};
use crate::scan::site::{self, Site};
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch before any file of a site is read.
pub(super) const READS: &[&[Reads]] = &[
    super::files::READS,
    &[
        Reads::content("ProgramData/Holdpoint/facts.d/*.toml"),
        Reads::key(r"HKLM\SYSTEM\CurrentControlSet\Services\*"),
    ],
];

const DIRECTORY: &str = "ProgramData/Holdpoint/facts.d";

/// Reads the site's facts.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    let drive = super::files::system_root(look).and_then(|it| it.chars().next());
    let site = Site {
        family: Family::Windows,
        drive,
        directory: DIRECTORY,
        parent: "ProgramData/Holdpoint",
        loose: super::files::loose,
        service,
    };
    site::read(look, &site)
}

/// How a service starts.
fn service(look: &mut Look<'_>, name: &str) -> Outcome<String> {
    if name.contains('\\') {
        return Outcome::Failed("no name of a service".to_owned());
    }
    look.registry_outcome(&format!("{SERVICES}\\{name}"), "Start").map_seen(|data| {
        let word = data.number().and_then(|it| START.iter().find(|(number, _)| *number == it));
        word.map_or("unknown", |it| it.1).to_owned()
    })
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
