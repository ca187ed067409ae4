//! The agent as a service of Windows: what it is called, what it may, and how it lives from its start to "stop".
//!
//! Everything here compiles and is tested everywhere; the calls to the service manager are in
//! `host::live`. On Linux the agent's service manager is systemd, which needs nothing of this.
//!
//! Three decisions, each for a reason that a plant can check:
//! - **Account**: `NT SERVICE\holdpoint-agent`, which exists as long as the service, has no password and is in no
//!   group but `Users` of its own logon. What it cannot read is counted as denied in the section `self`
//!   (`deploy/windows/README.md` lists it); a site that wants more facts chooses `LocalSystem`.
//! - **Token**: write-restricted, so that whatever it may read, it writes where its own name is granted it:
//!   the state directory. Of privileges only the right to pass through directories is left.
//! - **Recovery**: restarted after 1, 5 and 30 minutes; a service that fails again and again must not be load.

pub mod live;
pub mod order;

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::settings;

/// The service's name for programs.
pub const NAME: &str = "holdpoint-agent";
/// The service's name for people, and the source of its events.
pub const DISPLAY_NAME: &str = "Holdpoint Agent";
/// What `services.msc` says of it.
pub const DESCRIPTION: &str = "Reports installed firmware and software versions to the collector of its zone. It \
                               only looks: it starts no program, opens no port and changes nothing.";

/// Where the source of the application log is registered, below `HKLM`.
pub const EVENT_SOURCE_KEY: &str = r"SYSTEM\CurrentControlSet\Services\EventLog\Application\Holdpoint Agent";
/// Windows' own file with the message `%1` for every number from 1 to 1000.
pub const EVENT_MESSAGE_FILE: &str = r"%SystemRoot%\System32\EventCreate.exe";
/// Errors, warnings and information: `EVENTLOG_*_TYPE` of winnt.h.
pub const EVENT_TYPES: u32 = 0x1 | 0x2 | 0x4;

/// Delays before the service is started again after a failure; the last one counts from then on.
pub const RESTARTS: [Duration; 3] = [Duration::from_mins(1), Duration::from_mins(5), Duration::from_mins(30)];

/// `SERVICE_SID_TYPE_*` of winsvc.h.
const SID_UNRESTRICTED: u32 = 1;
const SID_RESTRICTED: u32 = 3;

/// As whom the service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Account {
    /// `NT SERVICE\holdpoint-agent`: an account of this service alone.
    Virtual,
    /// `NT AUTHORITY\LocalService`: for a Windows whose policy denies virtual accounts the right to log on.
    LocalService,
    /// `LocalSystem`: reads what administrators read, and with its token still writes to its state alone.
    LocalSystem,
}

impl Account {
    /// What the service manager calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Virtual => r"NT SERVICE\holdpoint-agent",
            Self::LocalService => r"NT AUTHORITY\LocalService",
            Self::LocalSystem => "LocalSystem",
        }
    }

    /// The privileges that the service keeps. One that the account does not have would keep the service
    /// from starting.
    fn privileges(self) -> Vec<&'static str> {
        match self {
            Self::Virtual | Self::LocalService => vec!["SeChangeNotifyPrivilege"],
            // Variables of the firmware, and the audit policy.
            Self::LocalSystem => {
                vec!["SeChangeNotifyPrivilege", "SeSystemEnvironmentPrivilege", "SeSecurityPrivilege"]
            }
        }
    }
}

/// What the service manager is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Name for programs.
    pub name: String,
    /// Name for people.
    pub display_name: String,
    /// What it does, for people.
    pub description: String,
    /// The command line.
    pub command: String,
    /// As whom it runs.
    pub account: String,
    /// Delays before restarts.
    pub restarts: Vec<Duration>,
    /// `SERVICE_SID_TYPE_*`.
    pub sid_type: u32,
    /// The only privileges that its token has.
    pub privileges: Vec<&'static str>,
}

impl Plan {
    /// A service that runs this program over a state directory.
    pub fn new(program: &Path, state: &Path, account: Account, write_restricted: bool) -> Self {
        let command = format!(
            "{} service run --state {}",
            quoted(&program.to_string_lossy()),
            quoted(&state.to_string_lossy())
        );
        Self {
            name: NAME.to_owned(),
            display_name: DISPLAY_NAME.to_owned(),
            description: DESCRIPTION.to_owned(),
            command,
            account: account.name().to_owned(),
            restarts: RESTARTS.to_vec(),
            sid_type: if write_restricted { SID_RESTRICTED } else { SID_UNRESTRICTED },
            privileges: account.privileges(),
        }
    }
}

/// An argument as `CommandLineToArgvW` reads it back: backslashes before the last quote are doubled. A path
/// of Windows has no quotes in it.
fn quoted(argument: &str) -> String {
    let body = argument.trim_end_matches('\\');
    let backslashes = argument.len() - body.len();
    format!("\"{body}{}\"", "\\".repeat(2 * backslashes))
}

/// Removes a state directory with everything in it, and the directory above when nothing else is there.
///
/// # Errors
/// It is no agent's state directory, or cannot be removed.
pub fn remove_state(state: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(state) {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>()?,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(cause),
    };
    let marks = [settings::FILE, "lock", order::FILE];
    let is_state = entries.iter().any(|it| marks.iter().any(|mark| it.file_name() == *mark));
    if !entries.is_empty() && !is_state {
        return Err(io::Error::other("it holds files and none of an agent's: remove it by hand"));
    }
    fs::remove_dir_all(state)?;
    if let Some(parent) = state.parent().filter(|it| it.ends_with("Holdpoint")) {
        // Another program's files may be there.
        let _ = fs::remove_dir(parent);
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
