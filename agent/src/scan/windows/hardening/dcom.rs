//! W36 and W37: how much DCOM asks of those who call, and who may call at all. OPC Classic lives of it.
//!
//! Sources of truth: `Ole`, its `AppCompat`, and the policy that beats the machine's limits. Everybody may
//! read them.
//!
//! Absence: since the updates of March 2023 packet integrity is asked for whatever the value says, since June
//! 2022 unless it is 0. Which of them is installed is in the sections `platform` and `updates`.
//!
//! Known lies: who was refused stands in the event log (10036 to 10038), which is not read. Permissions
//! of single applications (`AppID`) may be wider than the machine's defaults, not wider than its limits.

use holdpoint_common::row::HardeningRow;

use super::descriptor::{Descriptor, Effect, Entry};
use super::ground::{self, Ground};
use super::keys::{policy, software};
use super::setting::{Absent, Place, RIGHTS, Setting, places, reads, rows, tell};
use crate::host::Reads;
use crate::host::registry::Data;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] =
    &[ground::READS, &reads::<{ places(SETTINGS) }>(SETTINGS), &[Reads::key(LIMITS_POLICY)]];

const OLE: &str = software!("Ole");
const COMPATIBILITY: &str = software!(r"Ole\AppCompat");
const LIMITS_POLICY: &str = policy!(r"Windows NT\DCOM");

const HARDENING: &[&str] = &["W36"];
const LIMITS: &[&str] = &["W37"];

/// `RPC_C_AUTHN_LEVEL`.
const LEVELS: &[(u64, &str)] = &[
    (1, "none"),
    (2, "connect"),
    (3, "call"),
    (4, "packet"),
    (5, "packet integrity"),
    (6, "packet privacy"),
];

const SETTINGS: &[Setting] = &[
    Setting::number(
        "dcom.requires_integrity",
        HARDENING,
        &[Place::at(COMPATIBILITY, "RequireIntegrityActivationAuthenticationLevel")],
        Absent::Means("the update decides: asked for since June 2022, not before"),
    ),
    Setting::number(
        "dcom.raises_client_level",
        HARDENING,
        &[Place::at(COMPATIBILITY, "RaiseActivationAuthenticationLevel")],
        Absent::Means("the update decides: raised since November 2022, not before"),
    ),
    Setting::text(
        "dcom.enabled",
        HARDENING,
        &[Place::at(OLE, "EnableDCOM")],
        Absent::Means("not said; Windows is installed with it on"),
    ),
    Setting::words(
        "dcom.default_authentication",
        HARDENING,
        &[Place::at(OLE, "LegacyAuthenticationLevel")],
        LEVELS,
        Absent::Means("connect"),
    ),
    Setting::words(
        "dcom.default_impersonation",
        HARDENING,
        &[Place::at(OLE, "LegacyImpersonationLevel")],
        &[(1, "anonymous"), (2, "identify"), (3, "impersonate"), (4, "delegate")],
        Absent::Means("identify"),
    ),
];

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| {
        for (id, value) in [
            ("dcom.launch_limit", "MachineLaunchRestriction"),
            ("dcom.access_limit", "MachineAccessRestriction"),
        ] {
            rows.push(limit(look, ground, id, value));
        }
        for (id, value) in [
            ("dcom.launch_default", "DefaultLaunchPermission"),
            ("dcom.access_default", "DefaultAccessPermission"),
        ] {
            rows.push(grants(look, ground, id, OLE, value, "not set: what Windows has built in holds"));
        }
    })
}

/// A limit of the machine, which policy may set, as text of another form.
fn limit(look: &mut Look<'_>, ground: &Ground, id: &str, value: &str) -> HardeningRow {
    let fact = Fact::new(id, LIMITS, &format!("{LIMITS_POLICY}\\{value}"));
    match look.registry_outcome(LIMITS_POLICY, value) {
        Outcome::Seen(data) => match data.text() {
            Some(text) if !text.is_empty() => fact.because("by policy, as SDDL").text(text),
            Some(_) | None => fact.because("no descriptor as text").error(),
        },
        Outcome::Denied => fact.because(RIGHTS).denied(),
        Outcome::Failed(why) => fact.because(why).error(),
        Outcome::Absent => grants(look, ground, id, OLE, value, "not set: what Windows has built in holds"),
    }
}

fn grants(
    look: &mut Look<'_>,
    ground: &Ground,
    id: &str,
    key: &str,
    value: &str,
    absent: &str,
) -> HardeningRow {
    let fact = Fact::new(id, LIMITS, &format!("{key}\\{value}"));
    let outcome = look.registry_outcome(key, value);
    tell(ground, key, fact, outcome, absent, |fact, data| {
        let Data::Bytes { bytes, .. } = data else { return fact.because("no bytes").error() };
        match Descriptor::parse(&bytes) {
            Ok(Descriptor { entries: None, .. }) => {
                fact.list(["everybody: everything (no access list)".to_owned()])
            }
            Ok(Descriptor { entries: Some(entries), .. }) => fact.list(entries.iter().map(said)),
            Err(why) => fact.because(why.to_string()).error(),
        }
    })
}

/// An entry as "Everyone: local launch, remote activation".
fn said(entry: &Entry) -> String {
    const RIGHTS: [(u32, &str); 5] =
        [(1, "any"), (2, "local"), (4, "remote"), (8, "local activation"), (16, "remote activation")];
    let known = RIGHTS.iter().fold(0, |sum, (bit, _)| sum | bit);
    let mut words: Vec<String> =
        RIGHTS.iter().filter(|(bit, _)| entry.mask & bit != 0).map(|it| it.1.to_owned()).collect();
    if entry.mask & !known != 0 {
        words.push(format!("{:#x}", entry.mask & !known));
    }
    let effect = match entry.effect {
        Effect::Allow => "",
        Effect::Deny => "deny ",
        Effect::Other(_) => "conditional ",
    };
    format!("{effect}{}: {}", entry.sid, words.join(", "))
}
