//! W45: evidence that this host is backed up, and whether there is room to go back.
//!
//! Sources of truth: services by which tools are told, the service of shadow copies and its providers,
//! system restore, and the free space of the fixed volumes. Everybody may read them. Whether the last backup
//! worked is not said here: a site names its own marker in `facts.d`.
//!
//! Free space moves by itself, so it is told in coarse steps: the greatest power of two of GiB that is free.
//!
//! Absence: volumes are known of a running system alone.

use holdpoint_common::row::HardeningRow;

use super::ground::{self, Ground};
use super::keys::{policy, service, software};
use super::products;
use super::setting::{Absent, Place, RIGHTS, Setting, places, reads, rows, tell};
use crate::host::Reads;
use crate::scan::fact::{Fact, tell as say};
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[
    ground::READS,
    products::READS,
    &reads::<{ places(SETTINGS) }>(SETTINGS),
    &[Reads::key(PROVIDERS), Reads::key(service!(r"VSS\Providers\*"))],
];

const CHECKS: &[&str] = &["W45"];
const PROVIDERS: &str = service!(r"VSS\Providers");
const MAX_PROVIDERS: usize = 64;

const SETTINGS: &[Setting] = &[
    Setting::start("backup.shadow_copy_start", CHECKS, &[Place::at(service!("VSS"), "Start")]),
    Setting::start("backup.disk_snapshot_start", CHECKS, &[Place::at(service!("swprv"), "Start")]),
    Setting::flag(
        "backup.no_system_restore",
        CHECKS,
        &[
            Place::at(policy!(r"Windows NT\SystemRestore"), "DisableSR"),
            Place::at(software!(r"Windows NT\CurrentVersion\SystemRestore"), "DisableSR"),
        ],
        Absent::Means("nothing turns system restore off; a server has none"),
    ),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        let found = products::installed(look, products::BACKUP);
        rows.push(products::row(ground, "backup.tools", CHECKS, found));
        rows.push(providers(look, ground));
        volumes(look, rows);
    })
}

/// Names of what makes shadow copies; Windows' own is one of them.
fn providers(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    let fact = Fact::new("backup.shadow_copy_providers", CHECKS, PROVIDERS);
    let keys = look.registry_keys_outcome(PROVIDERS);
    tell(ground, PROVIDERS, fact, keys, "no providers", |fact, keys| {
        if keys.len() > MAX_PROVIDERS {
            return fact.because(format!("more than {MAX_PROVIDERS} providers")).error();
        }
        let mut names: Vec<String> = keys
            .into_iter()
            .map(|key| {
                let name = look.registry_outcome(&format!("{PROVIDERS}\\{key}"), "");
                match name {
                    Outcome::Seen(data) => data.text().map_or(key, str::to_owned),
                    Outcome::Absent | Outcome::Denied | Outcome::Failed(_) => key,
                }
            })
            .collect();
        names.sort();
        fact.list(names)
    })
}

fn volumes(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const SOURCE: &str = "GetDiskFreeSpaceExW";
    let fact = || Fact::new("volume.free_gib_at_least", CHECKS, SOURCE);
    let Some(windows) = &look.host.windows else {
        return rows.push(fact().because("only a running system says it").absent());
    };
    let result = look.in_time().and_then(|()| windows.system.volumes());
    match look.outcome(SOURCE, result) {
        Outcome::Seen(volumes) => rows.extend(volumes.iter().map(|it| {
            let total = it.total_bytes >> 30;
            fact()
                .about(&it.root)
                .because(format!("{total} GiB, {}", it.file_system))
                .number(step(it.free_bytes))
        })),
        other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            rows.push(say(fact(), other, RIGHTS, |fact, _| fact.absent()));
        }
    }
}

/// The greatest power of two of GiB that fits; 0 for less than one.
fn step(bytes: u64) -> i64 {
    (bytes >> 30).checked_ilog2().map_or(0, |it| 1 << it)
}

#[cfg(test)]
mod tests {
    use super::step;

    #[test]
    fn free_space_is_told_in_steps_that_seldom_change() {
        const GIB: u64 = 1 << 30;
        for (bytes, expected) in
            [(0, 0), (GIB - 1, 0), (GIB, 1), (63 * GIB, 32), (64 * GIB, 64), (u64::MAX, 1 << 33)]
        {
            assert_eq!(step(bytes), expected, "{bytes}");
        }
    }
}
