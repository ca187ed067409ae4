//! W39: what is written down, and how long it is kept.
//!
//! Sources of truth: the audit policy in effect, which only a running system says and only to who may
//! manage it; sizes of the event logs by policy, by their service and by the newer channels; whom events are
//! forwarded to.
//!
//! Absence: a log without a size has what Windows has built in.
//!
//! Known lies: how far back a log reaches moves by itself and is not said.

use holdpoint_common::row::HardeningRow;

use super::audit_names;
use super::ground::{self, Ground};
use super::keys::{control, policy, service, software};
use super::setting::{Absent, Place, Setting, number, places, reads, rows, tell};
use crate::host::Reads;
use crate::host::windows::accounts::Audited;
use crate::scan::fact::{Fact, tell as say};
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[
    ground::READS,
    &reads::<{ places(SETTINGS) }>(SETTINGS),
    &[
        Reads::key(policy!(r"Windows\EventLog\*")),
        Reads::key(service!(r"EventLog\*")),
        Reads::key(software!(r"Windows\CurrentVersion\WINEVT\Channels\*")),
        Reads::key(FORWARDING),
    ],
];

const CHECKS: &[&str] = &["W39"];
const FORWARDING: &str = policy!(r"Windows\EventLog\EventForwarding\SubscriptionManager");
/// Logs by their names.
const CLASSIC: [&str; 3] = ["Application", "Security", "System"];
const CHANNELS: [&str; 4] = [
    "Microsoft-Windows-PowerShell/Operational",
    "Microsoft-Windows-Windows Defender/Operational",
    "Microsoft-Windows-AppLocker/EXE and DLL",
    "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
];

const SETTINGS: &[Setting] = &[
    Setting::flag(
        "audit.subcategories_count",
        CHECKS,
        &[Place::at(control!("Lsa"), "SCENoApplyLegacyAuditPolicy")],
        Absent::Means("on: the finer policy beats the older one"),
    ),
    Setting::flag(
        "audit.command_lines",
        CHECKS,
        &[Place::at(
            software!(r"Windows\CurrentVersion\Policies\System\Audit"),
            "ProcessCreationIncludeCmdLine_Enabled",
        )],
        Absent::Means("off"),
    ),
    Setting::flag(
        "audit.halts_when_full",
        CHECKS,
        &[Place::at(control!("Lsa"), "CrashOnAuditFail")],
        Absent::Means("off: the host goes on when nothing can be logged"),
    ),
    Setting::start("log.service_start", CHECKS, &[Place::at(service!("EventLog"), "Start")]),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        audited(look, rows);
        for log in CLASSIC {
            rows.push(size(look, ground, log, &format!("{}\\{log}", service!("EventLog"))));
        }
        for channel in CHANNELS {
            let key = format!("{}\\{channel}", software!(r"Windows\CurrentVersion\WINEVT\Channels"));
            rows.push(size(look, ground, channel, &key));
        }
        rows.push(forwards(look, ground));
    })
}

fn audited(look: &mut Look<'_>, rows: &mut Vec<HardeningRow>) {
    const SOURCE: &str = "AuditQuerySystemPolicy";
    let fact = |source: &str| Fact::new("audit.subcategory", CHECKS, source);
    let Some(windows) = &look.host.windows else {
        return rows.push(fact(SOURCE).because("only a running system says it").absent());
    };
    let result = look.in_time().and_then(|()| windows.accounts.audited());
    match look.outcome(SOURCE, result) {
        Outcome::Seen(list) => {
            let mut list: Vec<(String, Audited)> =
                list.into_iter().map(|it| (audit_names::of(&it.subcategory), it)).collect();
            list.sort_by(|a, b| a.0.cmp(&b.0));
            for (name, it) in list {
                let word = match (it.success, it.failure) {
                    (true, true) => "success and failure",
                    (true, false) => "success",
                    (false, true) => "failure",
                    (false, false) => "none",
                };
                rows.push(fact(SOURCE).about(&name).text(word));
            }
        }
        other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            rows.push(say(fact(SOURCE), other, "needs the privilege to manage auditing", |fact, _| {
                fact.absent()
            }));
        }
    }
}

/// Largest size of a log, bytes. Policy counts in KiB, the log itself in bytes.
fn size(look: &mut Look<'_>, ground: &Ground, log: &str, key: &str) -> HardeningRow {
    const VALUE: &str = "MaxSize";
    let by_policy = format!("{}\\{log}", policy!(r"Windows\EventLog"));
    let fact = |key: &str| Fact::new("log.max_bytes", CHECKS, &format!("{key}\\{VALUE}")).about(log);
    // Policy knows the three old logs alone.
    if CLASSIC.contains(&log) {
        match look.registry_outcome(&by_policy, VALUE) {
            Outcome::Absent => {}
            there @ (Outcome::Seen(_) | Outcome::Denied | Outcome::Failed(_)) => {
                return tell(ground, &by_policy, fact(&by_policy), there, "", |fact, data| {
                    match number(&data).and_then(|it| it.checked_mul(1_024)) {
                        Some(bytes) => fact.number(bytes),
                        None => fact.because("no size").error(),
                    }
                });
            }
        }
    }
    let outcome = look.registry_outcome(key, VALUE);
    tell(
        ground,
        key,
        fact(key),
        outcome,
        "what Windows has built in: 1 or 20 MiB",
        |fact, data| match number(&data) {
            Some(bytes) => fact.number(bytes),
            None => fact.because("no size").error(),
        },
    )
}

fn forwards(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    let outcome = look.registry_values_outcome(FORWARDING);
    let fact = Fact::new("log.forwards", CHECKS, FORWARDING);
    tell(ground, FORWARDING, fact, outcome, "no policy forwards events", |fact, values| {
        let mut servers: Vec<String> = values
            .iter()
            .filter_map(|it| it.data.text())
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect();
        servers.sort();
        fact.list(servers)
    })
}
