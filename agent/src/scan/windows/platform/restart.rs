//! What waits for a restart, each with its reason.
//!
//! Sources of truth: the marks that servicing, the update agent, the session manager, the name service
//! and the logon service leave in the registry. Most of them are volatile: Windows takes them away by
//! restarting, and an image that does not run has none of them, so that there only a mark means anything.
//!
//! Known lie: `PendingFileRenameOperations` is left by every installer that once met a file in use, and
//! by programs that clean up after themselves. It is said, and does not count as a pending restart.

use super::super::values::Values;
use crate::host::Reads;
use crate::scan::Look;

const SERVICING: &str =
    r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending";
const IN_PROGRESS: &str =
    r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootInProgress";
const PACKAGES: &str =
    r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\PackagesPending";
const UPDATE: &str =
    r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired";
const OLD_UPDATE: &str = r"HKLM\SOFTWARE\Microsoft\Updates";
const ROLES: &str = r"HKLM\SOFTWARE\Microsoft\ServerManager\CurrentRebootAttempts";
const SESSION: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager";
const LOGON: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\Netlogon";
pub(super) const NAME: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName";
pub(super) const ACTIVE_NAME: &str = r"HKLM\SYSTEM\CurrentControlSet\Control\ComputerName\ActiveComputerName";
/// Operations that servicing does at the next start.
const OPERATIONS: &str = "Windows/WinSxS/pending.xml";

/// What this source may touch.
pub(in crate::scan::windows) const READS: &[Reads] = &[
    Reads::key(SERVICING),
    Reads::key(IN_PROGRESS),
    Reads::key(PACKAGES),
    Reads::key(UPDATE),
    Reads::key(OLD_UPDATE),
    Reads::key(ROLES),
    Reads::key(SESSION),
    Reads::key(LOGON),
    Reads::key(NAME),
    Reads::key(ACTIVE_NAME),
    Reads::metadata(OPERATIONS),
];

/// A mark that a restart waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scan::windows) struct Mark {
    /// Where it stands.
    pub(in crate::scan::windows) source: &'static str,
    /// What it says, for a person.
    pub(in crate::scan::windows) reason: String,
    /// Whether it proves nothing alone.
    pub(in crate::scan::windows) is_noisy: bool,
    /// Whether it is about what servicing installs, the kernel among it.
    pub(in crate::scan::windows) is_servicing: bool,
}

/// All marks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::scan::windows) struct Marks {
    /// Those that are there.
    pub(in crate::scan::windows) list: Vec<Mark>,
    /// Whether every place could be looked at; `false` also for a machine that does not run.
    is_whole: bool,
}

impl Marks {
    /// Whether a restart waits; `None` where nobody can say.
    pub(in crate::scan::windows) fn pending(&self) -> Option<bool> {
        if self.list.iter().any(|it| !it.is_noisy) { Some(true) } else { self.is_whole.then_some(false) }
    }

    /// Whether servicing waits for nothing, and that is certain.
    pub(in crate::scan::windows) fn servicing_is_done(&self) -> bool {
        self.is_whole && !self.list.iter().any(|it| it.is_servicing)
    }
}

/// Looks for the marks.
pub(in crate::scan::windows) fn read(look: &mut Look<'_>) -> Marks {
    let gaps = look.gaps();
    let mut list = Vec::new();
    let mut add = |source: &'static str, reason: &str, is_servicing: bool| {
        list.push(Mark { source, reason: reason.to_owned(), is_noisy: false, is_servicing });
    };
    for (key, reason) in [
        (SERVICING, "component servicing (RebootPending)"),
        (IN_PROGRESS, "component servicing (RebootInProgress)"),
    ] {
        if look.registry_values(key).is_some() {
            add(key, reason, true);
        }
    }
    // The key itself can stay behind; what is below it waits.
    if look.registry_keys(PACKAGES).is_some_and(|it| !it.is_empty()) {
        add(PACKAGES, "component servicing (PackagesPending)", true);
    }
    if look.exists(OPERATIONS) {
        add(OPERATIONS, "component servicing (pending.xml)", true);
    }
    if look.registry_values(UPDATE).is_some() {
        add(UPDATE, "Windows Update (RebootRequired)", true);
    }
    if number(look, OLD_UPDATE, "UpdateExeVolatile").is_some_and(|it| it != 0) {
        add(OLD_UPDATE, "update package (UpdateExeVolatile)", true);
    }
    if look.registry_values(ROLES).is_some() {
        add(ROLES, "roles and features (CurrentRebootAttempts)", false);
    }
    for name in ["JoinDomain", "AvoidSpnSet"] {
        if look.registry_value(LOGON, name).is_some() {
            add(LOGON, &format!("domain membership changes ({name})"), false);
        }
    }
    let names = [ACTIVE_NAME, NAME].map(|key| text(look, key, "ComputerName"));
    if let [Some(now), Some(next)] = names
        && !now.eq_ignore_ascii_case(&next)
    {
        add(NAME, &format!("computer name changes to {next}"), false);
    }
    let session = look.registry_values(SESSION).map(Values::new).unwrap_or_default();
    let renames = ["PendingFileRenameOperations", "PendingFileRenameOperations2"];
    if renames.iter().any(|it| session.data(it).is_some()) {
        let reason = "file renames (PendingFileRenameOperations, often left behind)".to_owned();
        list.push(Mark { source: SESSION, reason, is_noisy: true, is_servicing: false });
    }
    Marks { list, is_whole: look.host.windows.is_some() && look.gaps() == gaps }
}

pub(super) fn text(look: &mut Look<'_>, key: &str, name: &str) -> Option<String> {
    look.registry_value(key, name).as_ref().and_then(super::super::values::text)
}

fn number(look: &mut Look<'_>, key: &str, name: &str) -> Option<u64> {
    look.registry_value(key, name)?.number()
}
