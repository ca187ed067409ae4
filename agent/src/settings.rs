//! What an administrator may choose: `agent.toml` in the state directory.
//!
//! Every setting but the collector's address has a default; `deploy/config/agent.toml` names
//! them all. An unknown name is an error, so that a misspelt ceiling is noticed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::section::Digest;
use serde::Deserialize;

use crate::cage::hours::QuietHours;

/// Name of the file in the state directory.
pub const FILE: &str = "agent.toml";
/// Where an installed agent keeps its state.
pub const DEFAULT_STATE: &str =
    if cfg!(windows) { r"C:\ProgramData\Holdpoint\Agent" } else { "/var/lib/holdpoint-agent" };

/// Name of the kill file in the state directory.
pub const KILL_FILE: &str = "kill";

/// Between two scans that nobody asked for.
pub const SCAN_INTERVAL: Duration = Duration::from_mins(15);
/// A host that starts waits up to this long, so that a line's hosts do not call at once.
pub const FIRST_CONTACT_SPREAD: Duration = Duration::from_secs(10);
/// How long the collector may hold a check-in.
pub const MAX_HOLD: Duration = Duration::from_mins(1);

/// The shortest scan interval: a control host has better things to do.
const LEAST_SCAN_INTERVAL: Duration = Duration::from_secs(30);
/// The longest hold that collectors grant.
const MOST_HOLD: Duration = Duration::from_mins(1);

/// A whole agent's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The state directory.
    pub state: PathBuf,
    /// `HOST:PORT`.
    pub collector: String,
    /// Between two scans that nobody asked for.
    pub scan_interval: Duration,
    /// Longest wait before the first contact; zero to call at once.
    pub first_contact_spread: Duration,
    /// How long the collector may hold a check-in; zero asks for answers at once.
    pub max_hold: Duration,
    /// When the host is not looked at.
    pub quiet_hours: QuietHours,
    /// While this file is there, the host is not looked at.
    pub kill_file: PathBuf,
    /// SHA-256 of the file; `None` when the settings come from elsewhere.
    pub digest: Option<Digest>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No file.
    #[error("this host is not enrolled: {} is not there; run `holdpoint-agent enroll` first", path.display())]
    NotEnrolled {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not TOML, or an unknown or malformed setting.
    #[error("{} is not usable", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value outside its limits.
    #[error("`{name}` in {} must be {limit}", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// The setting.
        name: &'static str,
        /// What is allowed.
        limit: &'static str,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    collector: String,
    scan_interval: Option<Span>,
    first_contact_spread: Option<Span>,
    max_hold: Option<Span>,
    quiet_hours: Option<QuietHours>,
    /// Absolute, or below the state directory.
    kill_file: Option<PathBuf>,
}

/// A duration as people write it: "15m".
#[derive(Debug, Clone, Copy)]
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Settings {
    /// Defaults, for a collector and a state directory.
    pub fn new(state: impl Into<PathBuf>, collector: impl Into<String>) -> Self {
        let state = state.into();
        Self {
            kill_file: state.join(KILL_FILE),
            state,
            collector: collector.into(),
            scan_interval: SCAN_INTERVAL,
            first_contact_spread: FIRST_CONTACT_SPREAD,
            max_hold: MAX_HOLD,
            quiet_hours: QuietHours::default(),
            digest: None,
        }
    }

    /// Reads the settings in a state directory.
    ///
    /// # Errors
    /// No file, no TOML, or a value outside its limits.
    pub fn load(state: &Path) -> Result<Self, SettingsError> {
        let path = state.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(SettingsError::NotEnrolled { path });
            }
            Err(source) => return Err(SettingsError::Read { path, source }),
        };
        Self::parse(state, &path, &text)
    }

    fn parse(state: &Path, path: &Path, text: &str) -> Result<Self, SettingsError> {
        let file: File = toml::from_str(text)
            .map_err(|source| SettingsError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        let File { collector, scan_interval, first_contact_spread, max_hold, quiet_hours, kill_file } = file;
        let limit = |name, limit| SettingsError::Limit { path: path.to_owned(), name, limit };
        let chosen = |it: Option<Span>, default| it.map_or(default, |it| it.0);
        let settings = Self {
            scan_interval: chosen(scan_interval, SCAN_INTERVAL),
            first_contact_spread: chosen(first_contact_spread, FIRST_CONTACT_SPREAD),
            max_hold: chosen(max_hold, MAX_HOLD),
            quiet_hours: quiet_hours.unwrap_or_default(),
            kill_file: state.join(kill_file.unwrap_or_else(|| KILL_FILE.into())),
            digest: Some(Digest::of(text.as_bytes())),
            ..Self::new(state, collector)
        };
        if settings.scan_interval < LEAST_SCAN_INTERVAL {
            return Err(limit("scan_interval", "at least 30s"));
        }
        if settings.max_hold > MOST_HOLD {
            return Err(limit("max_hold", "at most 60s"));
        }
        Ok(settings)
    }
}

/// Notes the collector's address in a state directory; other settings there stay as they are.
///
/// # Errors
/// The file cannot be read or written.
pub fn set_collector(state: &Path, collector: &str) -> Result<(), SettingsError> {
    let path = state.join(FILE);
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(SettingsError::Read { path, source }),
    };
    let line = format!("collector = {}\n", toml::Value::from(collector));
    let others = old.lines().filter(|it| it.split('=').next().is_none_or(|it| it.trim() != "collector"));
    let text = others.fold(line, |text, it| text + it + "\n");
    atomic_file::replace(&path, text.as_bytes(), Readable::Agent)
        .map_err(|source| SettingsError::Write { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../deploy/config/agent.toml");

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse(Path::new("/state"), Path::new("/state/agent.toml"), text)
    }

    #[test]
    fn the_sample_names_every_default() {
        let all: String = SAMPLE
            .lines()
            .map(|it| it.strip_prefix('#').filter(|it| !it.starts_with([' ', '#'])).unwrap_or(it))
            .fold(String::new(), |text, line| text + line + "\n");
        let sample = parse(&all).unwrap();
        assert_eq!(Settings { digest: None, ..sample.clone() }, Settings::new("/state", &sample.collector));
        for name in ["scan_interval", "first_contact_spread", "max_hold", "quiet_hours", "kill_file"] {
            assert!(all.contains(&format!("\n{name} = ")), "{name}");
        }
        assert!(parse(SAMPLE).is_ok());
    }

    #[test]
    fn misspelt_and_harmful_settings_are_refused() {
        for text in [
            "",
            "collector = 7",
            "collector = \"a:1\"\nscan_intervall = \"1h\"",
            "collector = \"a:1\"\nscan_interval = \"1s\"",
            "collector = \"a:1\"\nmax_hold = \"10m\"",
            "collector = \"a:1\"\nmax_hold = \"soon\"",
            "collector = \"a:1\"\nquiet_hours = \"22:00-02:00\"",
            "collector = \"a:1\"\nquiet_hours = [\"22-02\"]",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_kill_file_lies_where_it_is_said_or_in_the_state() {
        let at = |text: &str| parse(&format!("collector = \"a:1\"\n{text}")).unwrap().kill_file;
        assert_eq!(at(""), Path::new("/state/kill"));
        assert_eq!(at("kill_file = \"stop\""), Path::new("/state/stop"));
        assert_eq!(at("kill_file = \"/etc/holdpoint/stop\""), Path::new("/etc/holdpoint/stop"));
    }

    #[test]
    fn enrolling_again_keeps_what_the_administrator_chose() {
        let dir = tempfile::tempdir().unwrap();
        set_collector(dir.path(), "old:1").unwrap();
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap() + "scan_interval = \"1h\"\n";
        fs::write(dir.path().join(FILE), text).unwrap();
        set_collector(dir.path(), "new:2").unwrap();
        let settings = Settings::load(dir.path()).unwrap();
        assert_eq!(settings.collector, "new:2");
        assert_eq!(settings.scan_interval, Duration::from_hours(1));
    }
}
