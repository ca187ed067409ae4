//! W25 and W26: what scripts may do here, and what of it is written down.
//!
//! Sources of truth: registration of PowerShell's engines, its policies and its preference, settings of
//! the Windows Script Host in both views. Everybody may read them. Users' own settings are not read: where
//! the machine's policy has a value it wins.
//!
//! Known lies: the old engine also needs an old .NET to start; both are said. A policy of execution is no
//! barrier, as its maker says.

use holdpoint_common::row::HardeningRow;

use super::ground::{self, Ground, build};
use super::keys::{policy, software};
use super::setting::{Absent, Place, RIGHTS, Setting, number, places, reads, rows, tell};
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] =
    &[ground::READS, &reads::<{ places(SETTINGS) }>(SETTINGS), &[Reads::key(SHELL)]];

const SHELL: &str = policy!(r"Windows\PowerShell");
const PREFERENCE: &str = software!(r"PowerShell\1\ShellIds\Microsoft.PowerShell");

const POWERSHELL: &[&str] = &["W25"];
const HOST: &[&str] = &["W26"];

const SETTINGS: &[Setting] = &[
    Setting::text(
        "powershell.old_engine",
        POWERSHELL,
        &[Place::at(software!(r"PowerShell\1\PowerShellEngine"), "PowerShellVersion")],
        Absent::Means("the engine of version 2 is not registered"),
    ),
    Setting::flag(
        "powershell.old_runtime",
        POWERSHELL,
        &[Place::at(software!(r"NET Framework Setup\NDP\v2.0.50727"), "Install")],
        Absent::Means(".NET 2.0 to 3.5, which the engine of version 2 needs, is not installed"),
    ),
    Setting::text(
        "powershell.engine",
        POWERSHELL,
        &[Place::at(software!(r"PowerShell\3\PowerShellEngine"), "PowerShellVersion")],
        Absent::Means("no engine of version 3 or later"),
    ),
    Setting::flag(
        "powershell.script_block_logging",
        POWERSHELL,
        &[Place::at(policy!(r"Windows\PowerShell\ScriptBlockLogging"), "EnableScriptBlockLogging")],
        Absent::Means("no policy: suspicious blocks alone are logged, from version 5 on"),
    ),
    Setting::flag(
        "powershell.module_logging",
        POWERSHELL,
        &[Place::at(policy!(r"Windows\PowerShell\ModuleLogging"), "EnableModuleLogging")],
        Absent::Means("off"),
    ),
    Setting::flag(
        "powershell.transcription",
        POWERSHELL,
        &[Place::at(policy!(r"Windows\PowerShell\Transcription"), "EnableTranscripting")],
        Absent::Means("off"),
    ),
    Setting::text(
        "powershell.preferred_policy",
        POWERSHELL,
        &[Place::at(PREFERENCE, "ExecutionPolicy")],
        Absent::Varies(execution),
    ),
    Setting::flag(
        "script_host.enabled",
        HOST,
        &[Place::at(software!(r"Windows Script Host\Settings"), "Enabled")],
        Absent::Means("on, but for a user who turned it off"),
    )
    .about("64-bit"),
    Setting::flag(
        "script_host.enabled",
        HOST,
        &[Place::at(r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows Script Host\Settings", "Enabled")],
        Absent::Means("on, but for a user who turned it off"),
    )
    .about("32-bit"),
];

fn execution(ground: &Ground) -> String {
    match ground.is_server() {
        Some(true) => ground.since(build::WINDOWS_8_1, "RemoteSigned, the default of servers", "Restricted"),
        Some(false) => "Restricted, the default of workstations".to_owned(),
        None => "the default: RemoteSigned on servers, Restricted on workstations".to_owned(),
    }
}

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, SETTINGS, |look, ground, rows| rows.push(effective(look, ground)))
}

/// The policy in effect: group policy, which may also forbid scripts as a whole, else the preference.
fn effective(look: &mut Look<'_>, ground: &Ground) -> HardeningRow {
    let fact = |source: &str| Fact::new("powershell.execution_policy", POWERSHELL, source);
    let source = format!("{SHELL}\\EnableScripts");
    match look.registry_outcome(SHELL, "EnableScripts") {
        Outcome::Seen(data) => match number(&data) {
            Some(0) => return fact(&source).text("Restricted"),
            Some(_) => {}
            None => return fact(&source).because("no number").error(),
        },
        Outcome::Absent => {}
        Outcome::Denied => return fact(&source).because(RIGHTS).denied(),
        Outcome::Failed(why) => return fact(&source).because(why).error(),
    }
    let mut asked = (PREFERENCE, Outcome::Absent);
    for key in [SHELL, PREFERENCE] {
        match look.registry_outcome(key, "ExecutionPolicy") {
            Outcome::Absent => {}
            there @ (Outcome::Seen(_) | Outcome::Denied | Outcome::Failed(_)) => {
                asked = (key, there);
                break;
            }
        }
    }
    let (key, outcome) = asked;
    let fact = fact(&format!("{key}\\ExecutionPolicy"));
    tell(ground, key, fact, outcome, &execution(ground), |fact, data| match data.text() {
        Some(name) => fact.text(name),
        None => fact.because("no name of a policy").error(),
    })
}
