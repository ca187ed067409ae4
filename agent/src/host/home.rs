//! Where the agent lives on its host: how its key is kept there, and whether anything is kept at all.
//!
//! A kiosk's write filter sends writes to an overlay that a restart throws away. Under one an agent looks
//! healthy, enrols, reports, and is a stranger after the next restart: its key, its sequence and what its
//! collector knows no longer fit. So it is said at once, in the log and in the section `self`.
//!
//! Source of truth: the registry as Windows' own configuration library of the unified write filter reads it
//! (`uwfcfgmgmt.dll`; Microsoft documents the filter's WMI classes and `uwfmgr.exe`, not these keys):
//! `uwfvol\Parameters\Static` holds copies of the settings; the one in force is `CopyV` where `UsingCopyV`
//! is there, else `Copy0` or `Copy1` by `UpdatedSettings`. In it `UwfEnabled`, and below it one numbered key
//! for each volume with `VolumeEnabled`, `DriveLetter` and `FileExceptionsUserDefined` (paths without
//! their drive). The older filters `EWF` and `FBWF` are noticed and not understood.

use std::path::Path;

use super::reads::{RUNTIME, ReadList};
use super::registry::{Data, Registry};
use super::root::is_absent;

const UWF: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\uwfvol";
const UWF_STATIC: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\uwfvol\Parameters\Static";
const OLDER: [(&str, &str); 2] = [
    ("EWF", r"HKLM\SYSTEM\CurrentControlSet\Services\ewf"),
    ("FBWF", r"HKLM\SYSTEM\CurrentControlSet\Services\fbwf"),
];
/// `Start` of a driver that does not start (`SERVICE_DISABLED` of winsvc.h).
const DISABLED: u64 = 4;
/// Volumes of one filter; a machine has a few.
const MAX_VOLUMES: usize = 256;

/// An agent's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// How the private key is kept: `file-mode`, `dpapi-machine`.
    pub key_protection: &'static str,
    /// Whether what is written there stays.
    pub storage: Storage,
}

/// Whether what an agent writes is there after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// No filter keeps it from its disk.
    Kept,
    /// A write filter throws it away.
    Volatile {
        /// What to do about it.
        advice: String,
    },
    /// A filter is there, and it cannot be said what it does.
    Unknown {
        /// Why not.
        reason: String,
    },
}

impl Storage {
    /// The word of the section `self`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Volatile { .. } => "volatile",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// What a person should know of it; `None` when all is well.
    pub fn warning(&self) -> Option<&str> {
        match self {
            Self::Kept => None,
            Self::Volatile { advice } => Some(advice),
            Self::Unknown { reason } => Some(reason),
        }
    }

    /// Asks a Windows host about a directory; everywhere else nothing filters writes.
    pub fn of(registry: Option<&Registry>, directory: &Path) -> Self {
        let Some(registry) = registry else { return Self::Kept };
        let registry = &registry.limited_to(&ReadList::new(RUNTIME));
        match unified(registry, &directory.to_string_lossy()) {
            Ok(Some(found)) => found,
            Ok(None) => older(registry).unwrap_or(Self::Kept),
            Err(reason) => Self::Unknown { reason: format!("a unified write filter is there, and {reason}") },
        }
    }
}

/// What the unified filter does to a directory; `None` where there is none.
fn unified(registry: &Registry, directory: &str) -> Result<Option<Storage>, String> {
    let numeric = |key: &str, name: &str| match registry.value(key, name) {
        Ok(data) => data.number().map(Some).ok_or_else(|| format!("{key}\\{name} is no number")),
        Err(cause) if is_absent(&cause) => Ok(None),
        Err(cause) => Err(format!("{key} cannot be read: {cause}")),
    };
    match registry.values(UWF) {
        Err(cause) if is_absent(&cause) => return Ok(None),
        Err(cause) => return Err(format!("{UWF} cannot be read: {cause}")),
        Ok(_) => {}
    }
    if numeric(UWF, "Start")? == Some(DISABLED) {
        return Ok(Some(Storage::Kept));
    }
    let copies = match registry.keys(UWF_STATIC) {
        Ok(copies) => copies,
        // The feature is there and was never set up.
        Err(cause) if is_absent(&cause) => return Ok(Some(Storage::Kept)),
        Err(cause) => return Err(format!("{UWF_STATIC} cannot be read: {cause}")),
    };
    let in_force = if copies.iter().any(|it| it.eq_ignore_ascii_case("UsingCopyV")) {
        "CopyV"
    } else if numeric(UWF_STATIC, "UpdatedSettings")?.unwrap_or(0) == 1 {
        "Copy1"
    } else {
        "Copy0"
    };
    let settings = format!(r"{UWF_STATIC}\{in_force}");
    if numeric(&settings, "UwfEnabled")?.unwrap_or(0) == 0 {
        return Ok(Some(Storage::Kept));
    }
    let Some((drive, path)) = directory.split_once(':') else {
        return Err(format!("{directory} has no drive letter"));
    };
    let volumes = registry.keys(&settings).map_err(|it| format!("{settings} cannot be read: {it}"))?;
    if volumes.len() > MAX_VOLUMES {
        return Err(format!("{settings} has more than {MAX_VOLUMES} volumes"));
    }
    for volume in volumes {
        let volume = format!(r"{settings}\{volume}");
        let letter = match registry.value(&volume, "DriveLetter") {
            Ok(data) => data.text().map(str::to_owned).unwrap_or_default(),
            Err(cause) if is_absent(&cause) => continue,
            Err(cause) => return Err(format!("{volume} cannot be read: {cause}")),
        };
        if !letter.trim_end_matches(['\\', ':']).eq_ignore_ascii_case(drive) {
            continue;
        }
        if numeric(&volume, "VolumeEnabled")?.unwrap_or(0) == 0 {
            return Ok(Some(Storage::Kept));
        }
        let excepted = match registry.value(&volume, "FileExceptionsUserDefined") {
            Ok(Data::List(paths)) => paths,
            Ok(_) => return Err(format!("{volume} lists its exclusions in an unknown form")),
            Err(cause) if is_absent(&cause) => Vec::new(),
            Err(cause) => return Err(format!("{volume} cannot be read: {cause}")),
        };
        if excepted.iter().any(|it| holds(it, path)) {
            return Ok(Some(Storage::Kept));
        }
        return Ok(Some(Storage::Volatile {
            advice: format!(
                "a unified write filter throws away what is written to {directory} at the next restart: \
                 exclude it (`uwfmgr file add-exclusion {directory}`, then restart) or keep the state on \
                 another volume"
            ),
        }));
    }
    // A volume without an entry is not protected.
    Ok(Some(Storage::Kept))
}

/// Whether an excluded path is a directory or one above it; both without their drive.
fn holds(excluded: &str, directory: &str) -> bool {
    let parts = |path: &str| -> Vec<String> {
        let path = path.split_once(':').map_or(path, |(_, rest)| rest);
        let parts = path.split(['\\', '/']).filter(|it| !it.is_empty() && *it != ".");
        parts.map(str::to_lowercase).collect()
    };
    let excluded = parts(excluded);
    !excluded.is_empty() && parts(directory).starts_with(&excluded)
}

/// Filters of Windows 7 and 8 for embedded systems.
fn older(registry: &Registry) -> Option<Storage> {
    OLDER.into_iter().find_map(|(name, key)| {
        let start = match registry.value(key, "Start") {
            Ok(data) => data.number(),
            Err(cause) if is_absent(&cause) => return None,
            Err(_) => None,
        };
        let reason = format!(
            "this host has the write filter {name}, of which this version cannot tell what it protects: \
             make sure that the state directory is kept"
        );
        (start != Some(DISABLED)).then_some(Storage::Unknown { reason })
    })
}

#[cfg(test)]
#[path = "home_tests.rs"]
mod tests;
