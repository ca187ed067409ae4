//! `site.toml`: what a site's administrator may set, with every default.
//!
//! The commented sample is `deploy/config/site.toml`; a test holds the two together. Unknown keys are refused by
//! name, so that a typing error never becomes a silent default.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::identity::Name;
use serde::{Deserialize, Serialize};

use super::fleet::Settings;
use super::zone::Terms;
use crate::config::{ConfigError, StoreSection};

/// Name of the file in a site's directory.
pub const FILE: &str = "site.toml";

/// The settings of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The SPIFFE trust domain.
    pub site: String,
    /// Where relays and zones deliver bundles.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Where operators of the site ask.
    #[serde(default = "default_operators")]
    pub operators: SocketAddr,
    /// Names under which the site is reached; the first one is shown in commands to type.
    #[serde(default)]
    pub names: Vec<String>,
    /// The embedded store.
    #[serde(default)]
    pub store: StoreSection,
    /// What is expected of zones.
    #[serde(default)]
    pub zones: ZonesSection,
}

/// `[zones]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ZonesSection {
    /// In what time a zone that does not say it tells its whole state once, seconds.
    pub cycle_s: u32,
    /// How far signs of life may be apart, seconds, for zones whose bundles are carried by hand. A zone that is
    /// not named is believed what it says is due.
    pub interval_s: BTreeMap<String, u32>,
}

impl Default for ZonesSection {
    fn default() -> Self {
        Self { cycle_s: 3_600, interval_s: BTreeMap::new() }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 7445))
}

fn default_operators() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 7446))
}

impl Config {
    /// The defaults for a site.
    pub fn new(site: &Name) -> Self {
        Self {
            site: site.to_string(),
            listen: default_listen(),
            operators: default_operators(),
            names: Vec::new(),
            store: StoreSection::default(),
            zones: ZonesSection::default(),
        }
    }

    /// Reads the configuration of a site's directory.
    pub fn read(data: &Path) -> Result<Self, ConfigError> {
        let path = data.join(FILE);
        let text =
            fs::read_to_string(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let config: Self =
            toml::from_str(&text).map_err(|source| ConfigError::Parse { path, source: Box::new(source) })?;
        config.site_name()?;
        config.settings()?;
        Ok(config)
    }

    /// Writes the configuration of a new directory.
    pub fn write(&self, data: &Path) -> Result<(), ConfigError> {
        let path = data.join(FILE);
        let text = toml::to_string_pretty(self)?;
        atomic_file::replace(&path, text.as_bytes(), Readable::All)
            .map_err(|source| ConfigError::Write { path, source })
    }

    /// The site as a checked name.
    pub fn site_name(&self) -> Result<Name, ConfigError> {
        self.site.parse().map_err(|source| ConfigError::Name { key: "site", source })
    }

    /// What is set for the zones.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let ms = |seconds: u32| i64::from(seconds) * 1_000;
        let interval = |(zone, seconds): (&String, &u32)| {
            let zone: Name = zone.parse().map_err(|source| ConfigError::Name { key: "zone", source })?;
            Ok((zone, ms(*seconds)))
        };
        let intervals_ms = self.zones.interval_s.iter().map(interval).collect::<Result<_, ConfigError>>()?;
        Ok(Settings { terms: Terms { cycle_ms: ms(self.zones.cycle_s), interval_ms: None }, intervals_ms })
    }

    /// The address that operators type.
    pub fn reached_at(&self) -> String {
        match self.names.first() {
            Some(name) => format!("{name}:{}", self.operators.port()),
            None if self.operators.ip().is_unspecified() => format!("THIS-HOST:{}", self.operators.port()),
            None => self.operators.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../../deploy/config/site.toml");

    #[test]
    fn the_sample_documents_every_setting_with_its_default() {
        let uncommented: String = SAMPLE
            .lines()
            .map(|line| line.strip_prefix("#").filter(|it| !it.starts_with(' ')).unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        let sample: Config = toml::from_str(&uncommented).unwrap();
        let expected = Config::new(&"plant".parse().unwrap());
        assert_eq!(sample, expected);

        let defaults = toml::Table::try_from(&expected).unwrap();
        let written: toml::Table = toml::from_str(&uncommented).unwrap();
        assert_eq!(written.keys().collect::<Vec<_>>(), defaults.keys().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::new(&"plant".parse().unwrap());
        config.zones.interval_s.insert("line-1".into(), 604_800);
        config.write(dir.path()).unwrap();
        assert_eq!(Config::read(dir.path()).unwrap(), config);
        let line: Name = "line-1".parse().unwrap();
        assert_eq!(config.settings().unwrap().intervals_ms.get(&line), Some(&604_800_000));
    }

    #[test]
    fn a_typing_error_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "site='a'\noperator='x'").unwrap();
        let error = Config::read(dir.path()).unwrap_err();
        let text = holdpoint_common::chain::Chain(&error).to_string();
        assert!(text.contains("operator"), "{text}");
    }
}
