//! W40: who sets this host's clock, and from where.
//!
//! Sources of truth: policy and parameters of the Windows time service and of its providers. Everybody may
//! read them. How far the clock is off, and when it was last set, moves by itself and is never here.
//!
//! Absence: without `Type` the service follows `NtpServer` on a workstation and the domain in a domain; the
//! value is always there where the service is registered.

use holdpoint_common::row::HardeningRow;

use super::ground::{self, Ground};
use super::keys::{policy, service};
use super::setting::{Absent, Place, RIGHTS, Setting, places, reads, rows, tell};
use crate::host::Reads;
use crate::host::registry::Data;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[ground::READS, &reads::<{ places(SETTINGS) }>(SETTINGS)];

const CHECKS: &[&str] = &["W40"];
const POLICY: &str = policy!(r"W32Time\Parameters");
const PARAMETERS: &str = service!(r"W32Time\Parameters");

const SETTINGS: &[Setting] = &[
    Setting::start("time.service_start", CHECKS, &[Place::at(service!("W32Time"), "Start")]),
    Setting::text(
        "time.type",
        CHECKS,
        &[Place::at(POLICY, "Type"), Place::at(PARAMETERS, "Type")],
        Absent::Means("the time service is not registered"),
    ),
    Setting::text(
        "time.servers",
        CHECKS,
        &[Place::at(POLICY, "NtpServer"), Place::at(PARAMETERS, "NtpServer")],
        Absent::Means("no server is named"),
    ),
    Setting::flag(
        "time.client_enabled",
        CHECKS,
        &[
            Place::at(policy!(r"W32Time\TimeProviders\NtpClient"), "Enabled"),
            Place::at(service!(r"W32Time\TimeProviders\NtpClient"), "Enabled"),
        ],
        Absent::Means("there is no client"),
    ),
    Setting::flag(
        "time.server_enabled",
        CHECKS,
        &[
            Place::at(policy!(r"W32Time\TimeProviders\NtpServer"), "Enabled"),
            Place::at(service!(r"W32Time\TimeProviders\NtpServer"), "Enabled"),
        ],
        Absent::Means("there is no server"),
    ),
    Setting::flag(
        "time.from_hypervisor",
        CHECKS,
        &[Place::at(service!(r"W32Time\TimeProviders\VMICTimeProvider"), "Enabled")],
        Absent::Means("there is no such provider"),
    ),
    Setting::number(
        "time.poll_seconds",
        CHECKS,
        &[
            Place::at(policy!(r"W32Time\TimeProviders\NtpClient"), "SpecialPollInterval"),
            Place::at(service!(r"W32Time\TimeProviders\NtpClient"), "SpecialPollInterval"),
        ],
        Absent::Means("what Windows has built in"),
    ),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| rows.push(sources(look, ground)))
}

/// The sources in effect, which `Type` decides: servers that are named count only for some types.
fn sources(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    let fact = |key: &str| Fact::new("time.sources", CHECKS, key);
    let (key, kind) = strongest(look, "Type");
    let kind = match kind {
        Outcome::Seen(data) => data.text().unwrap_or_default().to_uppercase(),
        other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            let absent = "the time service is not registered";
            return tell(ground, key, fact(key), other, absent, |fact, _| fact.absent());
        }
    };
    match kind.as_str() {
        "NOSYNC" => return fact(key).because("the clock is set by nobody (NoSync)").list([]),
        "NT5DS" => {
            return fact(key).because("named servers do not count (NT5DS)").list(["domain".to_owned()]);
        }
        "NTP" | "ALLSYNC" => {}
        _ => return fact(key).because("a type that is not known").error(),
    }
    let domain = (kind == "ALLSYNC").then(|| "domain".to_owned());
    let (key, servers) = strongest(look, "NtpServer");
    match servers {
        Outcome::Seen(data) => {
            // Behind the comma stand flags.
            let names = data.text().unwrap_or_default().split_whitespace();
            let names = names.map(|it| it.split(',').next().unwrap_or(it).to_owned());
            fact(key).list(names.chain(domain))
        }
        Outcome::Absent => fact(key).because("no server is named").list(domain),
        Outcome::Denied => fact(key).because(RIGHTS).denied(),
        Outcome::Failed(why) => fact(key).because(why).error(),
    }
}

fn strongest(look: &mut Look<'_>, value: &str) -> (&'static str, Outcome<Data>) {
    match look.registry_outcome(POLICY, value) {
        Outcome::Absent => (PARAMETERS, look.registry_outcome(PARAMETERS, value)),
        there @ (Outcome::Seen(_) | Outcome::Denied | Outcome::Failed(_)) => (POLICY, there),
    }
}
