//! `relay.toml`: what a relay's administrator may set, with every default.
//!
//! The commented sample is `deploy/config/relay.toml`; a test holds the two together.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::conduit::Party;
use holdpoint_common::identity::{InvalidName, Name};
use serde::{Deserialize, Serialize};

use super::desk::Bounds;
use super::listen::Limits;
use super::send::{HostPort, InvalidHostPort};
use crate::carrier::tray;

/// Name of the file in a relay's directory.
pub const FILE: &str = "relay.toml";
/// Where zones connect.
const DEFAULT_PORT: u16 = 7444;
const MIB: usize = 1024 * 1024;

/// The settings of one relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The SPIFFE trust domain.
    pub site: String,
    /// This relay's name.
    pub name: String,
    /// Where zones connect.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Where objects go: every site gets all of them.
    #[serde(default)]
    pub forward: Vec<Destination>,
    /// Bounds on what zones send.
    #[serde(default)]
    pub ingest: IngestSection,
    /// Bounds on what lies here.
    #[serde(default)]
    pub spool: SpoolSection,
}

/// `[[forward]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// Its folder in the spool.
    pub name: String,
    /// HOST:PORT.
    pub address: String,
}

/// `[ingest]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestSection {
    /// Most connections at once.
    pub max_connections: u32,
    /// Most connections at once of one zone.
    pub max_connections_per_zone: u32,
    /// Objects of one zone in a minute; what is more has to wait.
    pub objects_per_minute: u32,
    /// MiB of one zone in a minute; what is more has to wait.
    pub mib_per_minute: u32,
    /// Memory for objects over 64 KiB that are on their way, MiB.
    pub memory_mib: u32,
    /// How long a zone may be silent before its connection is closed, seconds.
    pub idle_s: u32,
}

impl Default for IngestSection {
    fn default() -> Self {
        Self {
            max_connections: 256,
            max_connections_per_zone: 8,
            objects_per_minute: 6_000,
            mib_per_minute: 600,
            memory_mib: 256,
            idle_s: 300,
        }
    }
}

/// `[spool]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolSection {
    /// Of one zone for one site, MiB.
    pub max_mib: u32,
    /// Of one zone for one site, objects.
    pub max_objects: u32,
    /// Of all zones for all sites, MiB.
    pub max_total_mib: u32,
    /// Below this much free space nothing is taken, MiB.
    pub keep_free_mib: u32,
}

impl Default for SpoolSection {
    fn default() -> Self {
        Self { max_mib: 2_048, max_objects: 200_000, max_total_mib: 8_192, keep_free_mib: 256 }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], DEFAULT_PORT))
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No such directory or file, or no permission.
    #[error("cannot read {}; `holdpoint-collector relay init` makes a relay's directory", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Not TOML, an unknown key, a value of another type.
    #[error("{} is not valid", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A name is none.
    #[error("{key} in the configuration is not a name")]
    Name {
        /// Which key.
        key: &'static str,
        /// Why.
        source: InvalidName,
    },
    /// An address is none.
    #[error("an address under [[forward]]")]
    Address(#[from] InvalidHostPort),
    /// Two sites of one name would share a folder.
    #[error("two sites under [[forward]] have the name `{0}`")]
    Twice(Name),
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The settings cannot be written as TOML.
    #[error("the settings cannot be written as TOML")]
    Print(#[from] toml::ser::Error),
}

impl Config {
    /// The defaults for a relay.
    pub fn new(site: &Name, name: &Name) -> Self {
        Self {
            site: site.to_string(),
            name: name.to_string(),
            listen: default_listen(),
            forward: Vec::new(),
            ingest: IngestSection::default(),
            spool: SpoolSection::default(),
        }
    }

    /// Reads the configuration of a relay's directory. Names and addresses in it are good.
    ///
    /// # Errors
    /// It cannot be read or used.
    pub fn read(data: &Path) -> Result<Self, ConfigError> {
        let path = data.join(FILE);
        let text =
            fs::read_to_string(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let config: Self =
            toml::from_str(&text).map_err(|source| ConfigError::Parse { path, source: Box::new(source) })?;
        config.party()?;
        config.destinations()?;
        Ok(config)
    }

    /// Writes the configuration of a new directory.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn write(&self, data: &Path) -> Result<(), ConfigError> {
        let path = data.join(FILE);
        let text = toml::to_string_pretty(self)?;
        atomic_file::replace(&path, text.as_bytes(), Readable::All)
            .map_err(|source| ConfigError::Write { path, source })
    }

    /// Who this relay is.
    ///
    /// # Errors
    /// The site or the name is no name.
    pub fn party(&self) -> Result<Party, ConfigError> {
        let name = |key, text: &str| text.parse().map_err(|source| ConfigError::Name { key, source });
        Ok(Party::Relay { site: name("site", &self.site)?, name: name("name", &self.name)? })
    }

    /// Where objects go.
    ///
    /// # Errors
    /// A name or an address is none, or two sites have one name.
    pub fn destinations(&self) -> Result<Vec<(Name, HostPort)>, ConfigError> {
        let mut all: Vec<(Name, HostPort)> = Vec::new();
        for it in &self.forward {
            let name: Name = it
                .name
                .parse()
                .map_err(|source| ConfigError::Name { key: "a name under [[forward]]", source })?;
            if all.iter().any(|(held, _)| *held == name) {
                return Err(ConfigError::Twice(name));
            }
            all.push((name, it.address.parse()?));
        }
        Ok(all)
    }

    /// What zones may use up.
    pub fn limits(&self) -> Limits {
        let IngestSection {
            max_connections,
            max_connections_per_zone,
            objects_per_minute,
            mib_per_minute,
            memory_mib,
            idle_s,
        } = self.ingest;
        let count = |it: u32| usize::try_from(it).unwrap_or(usize::MAX);
        Limits {
            connections: count(max_connections),
            per_party: count(max_connections_per_zone),
            objects_per_minute,
            bytes_per_minute: mib_per_minute.saturating_mul(u32::try_from(MIB).unwrap_or(u32::MAX)),
            memory: count(memory_mib).saturating_mul(MIB),
            idle: Duration::from_secs(idle_s.into()),
            ..Limits::default()
        }
    }

    /// What may lie here.
    pub fn bounds(&self) -> Bounds {
        let SpoolSection { max_mib, max_objects, max_total_mib, keep_free_mib } = self.spool;
        let bytes = |mib: u32| u64::from(mib) * u64::try_from(MIB).unwrap_or(u64::MAX);
        let objects = usize::try_from(max_objects).unwrap_or(usize::MAX);
        Bounds {
            tray: tray::Limits { bytes: bytes(max_mib), objects },
            total: bytes(max_total_mib),
            keep_free: bytes(keep_free_mib),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../../../deploy/config/relay.toml");

    fn sample() -> Config {
        Config::new(&"plant".parse().unwrap(), &"dmz-1".parse().unwrap())
    }

    #[test]
    fn the_sample_documents_every_setting_with_its_default() {
        let uncommented: String = SAMPLE
            .lines()
            .map(|line| line.strip_prefix("#").filter(|it| !it.starts_with(' ')).unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        let read: Config = toml::from_str(&uncommented).unwrap();
        let expected = Config { forward: read.forward.clone(), ..sample() };
        assert_eq!(read, expected);
        assert_eq!(read.destinations().unwrap().len(), 1);

        let defaults = toml::Table::try_from(&expected).unwrap();
        let written: toml::Table = toml::from_str(&uncommented).unwrap();
        for (key, value) in defaults {
            let keys = |it: &toml::Value| it.as_table().map(|it| it.keys().cloned().collect::<Vec<_>>());
            assert_eq!(keys(&value), keys(&written[&key]), "{key}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_read_and_mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = sample();
        config.forward.push(Destination { name: "site".into(), address: "[fd00::1]:7445".into() });
        config.write(dir.path()).unwrap();
        assert_eq!(Config::read(dir.path()).unwrap(), config);

        config.forward.push(config.forward[0].clone());
        config.write(dir.path()).unwrap();
        assert!(matches!(Config::read(dir.path()), Err(ConfigError::Twice(_))));
        config.forward[1] = Destination { name: "other".into(), address: "nowhere".into() };
        config.write(dir.path()).unwrap();
        assert!(matches!(Config::read(dir.path()), Err(ConfigError::Address(_))));
        fs::write(dir.path().join(FILE), "site='a'\nname='b'\nlissten='x'").unwrap();
        assert!(matches!(Config::read(dir.path()), Err(ConfigError::Parse { .. })));
    }
}
