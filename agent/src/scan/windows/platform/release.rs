//! What Windows says it is.
//!
//! Source of truth: `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion` of the 64-bit view, which every
//! user may read. `CurrentVersion` stays "6.3" on everything newer, so the numbers for Windows 10 and
//! later are `CurrentMajorVersionNumber` and `CurrentMinorVersionNumber`. `UBR` is the revision; where it
//! is missing (Windows 7 and others before 2015) the build has no fourth part, and the service pack is
//! the version.
//!
//! Known lies: `ProductName` says "Windows 10" on Windows 11, where the build decides; `ReleaseId` stays
//! "2009" on everything newer than that, and `DisplayVersion` is what counts.

use std::fmt;

use super::super::values::Values;
use crate::host::Reads;
use crate::scan::Look;

/// The key of all that.
pub(in crate::scan::windows) const KEY: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion";
/// What this source may touch.
pub(in crate::scan::windows) const READS: &[Reads] = &[Reads::key(KEY)];

/// First build of Windows 11.
const ELEVEN: u64 = 22_000;

/// What Windows says it is; a part that it does not say is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::scan::windows) struct Release {
    /// "Windows 11 Pro".
    pub(in crate::scan::windows) name: Option<String>,
    /// "22H2", "1809", or "Service Pack 1".
    pub(in crate::scan::windows) version: Option<String>,
    /// Which build of which line.
    pub(in crate::scan::windows) build: Option<Build>,
    /// `EditionID`: `IoTEnterpriseS`, `ServerStandard`.
    pub(in crate::scan::windows) edition: Option<String>,
    /// "Client", "Server", "Server Core", "Nano Server".
    pub(in crate::scan::windows) installation: Option<String>,
}

/// A build; shown as "10.0.19045.5131".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scan::windows) struct Build {
    /// "10.0".
    pub(in crate::scan::windows) line: String,
    /// 19045.
    pub(in crate::scan::windows) number: u64,
    /// `UBR`; `None` where Windows keeps none.
    pub(in crate::scan::windows) revision: Option<u64>,
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.line, self.number)?;
        self.revision.map_or(Ok(()), |it| write!(f, ".{it}"))
    }
}

/// Reads it; `None` when the key is not there or cannot be read.
pub(in crate::scan::windows) fn read(look: &mut Look<'_>) -> Option<Release> {
    look.registry_values(KEY).map(|it| of(&Values::new(it)))
}

fn of(values: &Values) -> Release {
    let number = ["CurrentBuildNumber", "CurrentBuild"]
        .iter()
        .find_map(|it| values.text(it).and_then(|it| it.parse::<u64>().ok()));
    let newer = values.number("CurrentMajorVersionNumber").zip(values.number("CurrentMinorVersionNumber"));
    let line =
        newer.map(|(major, minor)| format!("{major}.{minor}")).or_else(|| values.text("CurrentVersion"));
    let build = line.zip(number).map(|(line, number)| Build { line, number, revision: values.number("UBR") });
    let name = values.text("ProductName").map(|name| match name.strip_prefix("Windows 10") {
        Some(rest) if number.is_some_and(|it| it >= ELEVEN) => format!("Windows 11{rest}"),
        Some(_) | None => name,
    });
    Release {
        name,
        version: ["DisplayVersion", "ReleaseId", "CSDVersion"].iter().find_map(|it| values.text(it)),
        build,
        edition: values.text("EditionID"),
        installation: values.text("InstallationType"),
    }
}
