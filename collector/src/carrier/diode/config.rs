//! `diode.toml`: one end of a line.
//!
//! The commented sample is `deploy/config/diode.toml`; a test holds the two together.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use holdpoint_common::atomic_file::{self, Readable};
use serde::{Deserialize, Serialize};

use super::keys::{KeyError, Keys, Slot};
use super::profile::{Profile, Written};
use super::wire::Route;

/// Name of the file in the directory of an end.
pub const FILE: &str = "diode.toml";
/// The link key that `init` makes.
pub const KEY_FILE: &str = "link-1.key";

/// The settings of one end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder that is emptied onto the line, or filled from it.
    pub tray: PathBuf,
    /// The sender's own address. A filter on the way may want a fixed port.
    pub from: SocketAddr,
    /// The receiver's address.
    pub to: SocketAddr,
    /// What the line bears, as commissioned.
    #[serde(default = "profile")]
    pub profile: Profile,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No such file, or no permission.
    #[error("cannot read {}; `holdpoint-collector diode init` makes it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Not TOML, an unknown key, a value that is out of bounds.
    #[error("{} is not valid", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// It is there already.
    #[error("{} is there already and is not replaced", .0.display())]
    Exists(PathBuf),
    /// A link key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The settings cannot be written as TOML.
    #[error("the settings cannot be written as TOML")]
    Print(#[from] toml::ser::Error),
}

fn profile() -> Profile {
    let keys = vec![Slot { id: 1, file: KEY_FILE.into() }];
    // The defaults are within their own bounds: a test reads them back.
    match Profile::try_from(Written { keys, ..Written::default() }) {
        Ok(profile) => profile,
        Err(_) => unreachable!("the defaults are a profile"),
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tray: "tray".into(),
            from: SocketAddr::from(([192, 0, 2, 1], 6_000)),
            to: SocketAddr::from(([192, 0, 2, 2], 6_000)),
            profile: profile(),
        }
    }
}

impl Config {
    /// Reads the settings of a directory.
    ///
    /// # Errors
    /// There are none, or they are not valid.
    pub fn read(data: &Path) -> Result<Self, ConfigError> {
        let path = data.join(FILE);
        let text =
            fs::read_to_string(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        toml::from_str(&text).map_err(|source| ConfigError::Parse { path, source: Box::new(source) })
    }

    /// Writes the settings of a new directory.
    ///
    /// # Errors
    /// There are some already, or the disk refuses.
    pub fn write(&self, data: &Path) -> Result<(), ConfigError> {
        let path = data.join(FILE);
        if path.exists() {
            return Err(ConfigError::Exists(path));
        }
        let text = toml::to_string_pretty(self)?;
        atomic_file::replace(&path, text.as_bytes(), Readable::All)
            .map_err(|source| ConfigError::Write { path, source })
    }

    /// The link keys; a relative path counts from the directory.
    ///
    /// # Errors
    /// One cannot be read, or is open to others.
    pub fn keys(&self, data: &Path) -> Result<Keys, ConfigError> {
        let slot = |it: &Slot| Slot { id: it.id, file: data.join(&it.file) };
        let slots: Vec<_> = self.profile.slots().iter().map(slot).collect();
        Ok(Keys::read(&slots)?)
    }

    /// The tray; a relative path counts from the directory.
    pub fn tray(&self, data: &Path) -> PathBuf {
        data.join(&self.tray)
    }

    /// From where to where.
    pub fn route(&self) -> Route {
        Route { from: self.from, to: self.to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_documents_every_setting_with_its_default() {
        let sample = include_str!("../../../../deploy/config/diode.toml");
        assert_eq!(toml::from_str::<Config>(sample).unwrap(), Config::default());
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        let written: toml::Table = toml::from_str(sample).unwrap();
        assert_eq!(written, defaults);
    }

    #[test]
    fn what_is_written_is_what_is_read_and_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        Config::default().write(dir.path()).unwrap();
        assert_eq!(Config::read(dir.path()).unwrap(), Config::default());
        assert!(matches!(Config::default().write(dir.path()), Err(ConfigError::Exists(_))));
    }
}
