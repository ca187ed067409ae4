//! `collector.toml`: what a zone's administrator may set, with every default.
//!
//! The commented sample is `deploy/config/collector.toml`; a test holds the two together.
//! Unknown keys are refused by name, so that a typing error never becomes a silent default.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::identity::{InvalidName, ZoneName};
use serde::{Deserialize, Serialize};

use crate::carrier::relay::HostPort;
use crate::knowledge::{AllowedAges, Kind, default_days};
use crate::outbox;
use crate::outbox::schedule::Rhythm;
use crate::outbox::spool::Limits;
use crate::summary::{Field, Level, Policy};

/// Name of the file in a data directory.
pub const FILE: &str = "collector.toml";

/// The settings of one collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The SPIFFE trust domain.
    pub site: String,
    /// The zone that this collector serves.
    pub zone: String,
    /// Where agents and operators connect.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Names under which this collector is reached; the first one is shown in commands to type.
    #[serde(default)]
    pub names: Vec<String>,
    /// Where Prometheus may scrape, on loopback; absent: no endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// The embedded store.
    #[serde(default)]
    pub store: StoreSection,
    /// How agents are paced and judged.
    #[serde(default)]
    pub agents: AgentsSection,
    /// How old knowledge may be.
    #[serde(default)]
    pub knowledge: KnowledgeSection,
    /// What leaves the zone; absent: nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<OutboxSection>,
}

/// `[outbox]`: what leaves the zone, how often, and by what. Made by `holdpoint-collector outbox init`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboxSection {
    /// How much leaves: "counts", "assets" or "full".
    pub policy: Level,
    /// Fields that are struck out of everything.
    pub redact: Vec<Field>,
    /// From one interval to the next, seconds: what changed leaves with it, and one slice of everything.
    pub interval_s: u32,
    /// Slices of everything: a cycle takes so many intervals.
    pub slices: NonZeroU16,
    /// From one sign of life to the next, seconds.
    pub beacon_s: u32,
    /// How much may wait for a carrier, MiB.
    pub spool_mib: u64,
    /// How long it may wait, days.
    pub spool_days: u32,
    /// Host and port of the relay that takes bundles; absent: none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<HostPort>,
    /// Whether `holdpoint-collector diode send` empties the outbox's folder `diode`.
    pub diode: bool,
    /// Whether a person may type a code that the site printed, so that kept bundles leave again.
    pub resend_codes: bool,
}

impl Default for OutboxSection {
    fn default() -> Self {
        Self {
            policy: Level::Counts,
            redact: Vec::new(),
            interval_s: 60,
            slices: NonZeroU16::MIN.saturating_add(59),
            beacon_s: 10,
            spool_mib: 2_048,
            spool_days: 7,
            relay: None,
            diode: false,
            resend_codes: false,
        }
    }
}

impl OutboxSection {
    /// How the outbox of a data directory works.
    pub fn settings(&self, data: &Path) -> outbox::office::Settings {
        const MS: u32 = 1_000;
        let rhythm = Rhythm {
            interval_ms: self.interval_s.clamp(1, 24 * 3_600).saturating_mul(MS),
            slices: self.slices,
            beacon_ms: self.beacon_s.clamp(1, 24 * 3_600).saturating_mul(MS),
            ..Rhythm::default()
        };
        let limits = Limits {
            bytes: self.spool_mib.saturating_mul(1024 * 1024),
            age_ms: i64::from(self.spool_days) * 86_400_000,
            cycle_ms: rhythm.cycle_ms(),
            ..Limits::default()
        };
        let policy = Policy { level: self.policy, redacted: self.redact.iter().copied().collect() };
        let relay = self.relay.iter().map(|_| outbox::RELAY);
        let carriers = relay.chain(self.diode.then_some(outbox::DIODE)).collect();
        outbox::office::Settings { dir: data.join(outbox::DIRECTORY), policy, rhythm, limits, carriers }
    }
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// Engine of a new store: "sled" or "redb". An existing store keeps its own.
    pub engine: String,
    /// Below this much free space reports are refused, MiB.
    pub low_watermark_mib: u64,
    /// Size of the file that can be deleted when the disk is full, MiB.
    pub ballast_mib: u64,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self { engine: "sled".into(), low_watermark_mib: 128, ballast_mib: 16 }
    }
}

/// `[agents]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentsSection {
    /// Usual time between two check-ins of an agent, seconds. A crowded collector makes it longer.
    pub check_in_s: u32,
    /// An asset that did not call for this long is stale, seconds.
    pub stale_after_s: u32,
    /// An asset that did not call for this long is silent, seconds.
    pub silent_after_s: u32,
    /// How long after its expiry an agent may still renew, days.
    pub renewal_grace_days: u32,
    /// Most connections at once.
    pub max_connections: u32,
    /// Most connections at once from one address.
    pub max_connections_per_address: u32,
}

impl Default for AgentsSection {
    fn default() -> Self {
        Self {
            check_in_s: 60,
            stale_after_s: 3_600,
            silent_after_s: 86_400,
            renewal_grace_days: 400,
            max_connections: 12_000,
            max_connections_per_address: 64,
        }
    }
}

/// `[knowledge]`: past these ages answers become UNKNOWN instead of good; and how knowledge comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KnowledgeSection {
    /// Age of the newest import of CSAF advisories, days.
    pub csaf_max_age_days: u32,
    /// Age of the newest import of OSV records, days.
    pub osv_max_age_days: u32,
    /// Age of the newest import of Microsoft's updates, days.
    pub microsoft_max_age_days: u32,
    /// Age of the newest import of the catalogue of exploited vulnerabilities, days.
    pub kev_max_age_days: u32,
    /// Age of the newest import of probabilities of exploitation, days.
    pub epss_max_age_days: u32,
    /// Age of the newest import of suppliers' statements, days.
    pub statements_max_age_days: u32,
    /// Age of the newest import of requirements, days.
    pub requirements_max_age_days: u32,
    /// Time since an asset last called, days.
    pub inventory_max_age_days: u32,
    /// Whether knowledge comes in by signed packs alone, brought by one person and released by another.
    pub packs_only: bool,
}

impl Default for KnowledgeSection {
    fn default() -> Self {
        Self {
            csaf_max_age_days: default_days(Kind::Csaf),
            osv_max_age_days: default_days(Kind::Osv),
            microsoft_max_age_days: default_days(Kind::Microsoft),
            kev_max_age_days: default_days(Kind::Kev),
            epss_max_age_days: default_days(Kind::Epss),
            statements_max_age_days: default_days(Kind::Statements),
            requirements_max_age_days: default_days(Kind::Requirements),
            inventory_max_age_days: 7,
            packs_only: false,
        }
    }
}

impl KnowledgeSection {
    /// The ages as judging takes them.
    pub fn allowed_ages(&self) -> AllowedAges {
        let feeds = [
            (Kind::Csaf, self.csaf_max_age_days),
            (Kind::Osv, self.osv_max_age_days),
            (Kind::Microsoft, self.microsoft_max_age_days),
            (Kind::Kev, self.kev_max_age_days),
            (Kind::Epss, self.epss_max_age_days),
            (Kind::Statements, self.statements_max_age_days),
            (Kind::Requirements, self.requirements_max_age_days),
        ];
        AllowedAges {
            feeds: feeds.into_iter().map(|(kind, number)| (kind, days(number))).collect(),
            inventory: days(self.inventory_max_age_days),
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 7443))
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No such directory or file, or no permission.
    #[error("cannot read {}; `holdpoint-collector init` makes a data directory", path.display())]
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
    /// The site or zone is no name.
    #[error("{key} in the configuration is not a name")]
    Name {
        /// "site" or "zone".
        key: &'static str,
        /// Why.
        source: InvalidName,
    },
    /// The metrics endpoint has no authentication and so stays on this machine.
    #[error("metrics = \"{0}\" is not a loopback address")]
    MetricsNotLoopback(SocketAddr),
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
    /// The defaults for a zone.
    pub fn new(zone: &ZoneName) -> Self {
        Self {
            site: zone.site.to_string(),
            zone: zone.zone.to_string(),
            listen: default_listen(),
            names: Vec::new(),
            metrics: None,
            store: StoreSection::default(),
            agents: AgentsSection::default(),
            knowledge: KnowledgeSection::default(),
            outbox: None,
        }
    }

    /// Reads the configuration of a data directory.
    pub fn read(data: &Path) -> Result<Self, ConfigError> {
        let path = data.join(FILE);
        let text =
            fs::read_to_string(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let config: Self =
            toml::from_str(&text).map_err(|source| ConfigError::Parse { path, source: Box::new(source) })?;
        config.zone_name()?;
        match config.metrics {
            Some(address) if !address.ip().is_loopback() => Err(ConfigError::MetricsNotLoopback(address)),
            _ => Ok(config),
        }
    }

    /// Writes the configuration of a new data directory.
    pub fn write(&self, data: &Path) -> Result<(), ConfigError> {
        let path = data.join(FILE);
        let text = toml::to_string_pretty(self)?;
        atomic_file::replace(&path, text.as_bytes(), Readable::All)
            .map_err(|source| ConfigError::Write { path, source })
    }

    /// The site and zone as checked names.
    pub fn zone_name(&self) -> Result<ZoneName, ConfigError> {
        let name = |key, text: &str| text.parse().map_err(|source| ConfigError::Name { key, source });
        Ok(ZoneName { site: name("site", &self.site)?, zone: name("zone", &self.zone)? })
    }

    /// The address to type on another machine.
    pub fn reached_at(&self) -> String {
        match self.names.first() {
            Some(name) => format!("{name}:{}", self.listen.port()),
            None if self.listen.ip().is_unspecified() => format!("THIS-HOST:{}", self.listen.port()),
            None => self.listen.to_string(),
        }
    }

    /// How long after its expiry an agent may still renew.
    pub fn renewal_grace(&self) -> Duration {
        days(self.agents.renewal_grace_days)
    }
}

/// That many days.
pub fn days(count: u32) -> Duration {
    Duration::from_secs(u64::from(count) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../deploy/config/collector.toml");

    fn zone() -> ZoneName {
        ZoneName { site: "plant".parse().unwrap(), zone: "line-1".parse().unwrap() }
    }

    #[test]
    fn the_sample_documents_every_setting_with_its_default() {
        let uncommented: String = SAMPLE
            .lines()
            .map(|line| line.strip_prefix("#").filter(|it| !it.starts_with(' ')).unwrap_or(line))
            .fold(String::new(), |text, line| text + line + "\n");
        let sample: Config = toml::from_str(&uncommented).unwrap();
        let outbox = OutboxSection {
            relay: sample.outbox.as_ref().and_then(|it| it.relay.clone()),
            ..Default::default()
        };
        let expected = Config { metrics: sample.metrics, outbox: Some(outbox), ..Config::new(&zone()) };
        assert_eq!(sample, expected);

        let defaults = toml::Table::try_from(&expected).unwrap();
        let written: toml::Table = toml::from_str(&uncommented).unwrap();
        assert_eq!(written.keys().collect::<Vec<_>>(), defaults.keys().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(&zone());
        config.write(dir.path()).unwrap();
        assert_eq!(Config::read(dir.path()).unwrap(), config);
    }

    #[test]
    fn a_typing_error_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "site='a'\nzone='b'\nlisten_adress='x'").unwrap();
        let error = Config::read(dir.path()).unwrap_err();
        let text = holdpoint_common::chain::Chain(&error).to_string();
        assert!(text.contains("listen_adress"), "{text}");
    }

    #[test]
    fn metrics_stay_on_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "site='a'\nzone='b'\nmetrics='0.0.0.0:9743'").unwrap();
        assert!(matches!(Config::read(dir.path()), Err(ConfigError::MetricsNotLoopback(_))));
    }
}
