//! Who is who on the conduit, between the zones and the site.
//!
//! A CA of its own signs these identities (see the collector's `conduit`), so nothing that a zone's CA signs
//! is worth anything here, and the other way round. A zone's collector has the same name on both: there it
//! serves, and here it calls.
//!
//! ```text
//! spiffe://SITE/relay/NAME             a relay: called by zones, calls the site
//! spiffe://SITE/site                   the site: called by relays, zones and its operators
//! spiffe://SITE/site/operator/NAME     a person who asks the site
//! spiffe://SITE/zone/ZONE/collector    a zone's collector as the one that sends; never called
//! ```

use std::fmt;
use std::str::FromStr;

use crate::identity::{InvalidName, Name, ZoneName};
use crate::tls::Purpose;

/// Somebody on the conduit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A relay in the DMZ.
    Relay {
        /// The trust domain.
        site: Name,
        /// Which relay.
        name: Name,
    },
    /// The site, which receives everything.
    Site {
        /// The trust domain.
        site: Name,
    },
    /// A person who asks the site.
    SiteOperator {
        /// The trust domain.
        site: Name,
        /// Who.
        name: Name,
    },
    /// The collector of a zone, as the one that sends.
    Collector(ZoneName),
}

impl Party {
    /// The trust domain.
    pub fn site(&self) -> &Name {
        match self {
            Self::Relay { site, .. } | Self::Site { site } | Self::SiteOperator { site, .. } => site,
            Self::Collector(zone) => &zone.site,
        }
    }

    /// What a certificate of this party may be good for.
    pub fn purposes(&self) -> &'static [Purpose] {
        match self {
            Self::Relay { .. } => &[Purpose::Server, Purpose::Client],
            Self::Site { .. } => &[Purpose::Server],
            Self::SiteOperator { .. } | Self::Collector(_) => &[Purpose::Client],
        }
    }

    /// Whether this party hands its objects to that one: always outwards, and within one site.
    pub fn delivers_to(&self, other: &Self) -> bool {
        let outwards = match (self, other) {
            (Self::Collector(_), Self::Relay { .. } | Self::Site { .. })
            | (Self::Relay { .. }, Self::Site { .. }) => true,
            (Self::Collector(_) | Self::Relay { .. } | Self::Site { .. } | Self::SiteOperator { .. }, _) => {
                false
            }
        };
        outwards && self.site() == other.site()
    }

    /// A name for files that are about this party.
    pub fn file_stem(&self) -> String {
        match self {
            Self::Relay { name, .. } => format!("relay-{name}"),
            Self::Site { .. } => "site".to_owned(),
            Self::SiteOperator { name, .. } => format!("operator-{name}"),
            Self::Collector(zone) => format!("zone-{}", zone.zone),
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relay { site, name } => write!(f, "spiffe://{site}/relay/{name}"),
            Self::Site { site } => write!(f, "spiffe://{site}/site"),
            Self::SiteOperator { site, name } => write!(f, "spiffe://{site}/site/operator/{name}"),
            Self::Collector(zone) => fmt::Display::fmt(&zone.collector(), f),
        }
    }
}

/// The text is no party of a conduit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidParty {
    /// Another scheme, or other path segments.
    #[error(
        "not a party of the conduit: expected spiffe://SITE/relay/NAME, site, site/operator/NAME or zone/ZONE/collector"
    )]
    Form,
    /// A segment is not a name.
    #[error("a name in the identity is malformed")]
    Name(#[from] InvalidName),
}

impl FromStr for Party {
    type Err = InvalidParty;

    fn from_str(text: &str) -> Result<Self, InvalidParty> {
        let path = text.strip_prefix("spiffe://").ok_or(InvalidParty::Form)?;
        let (site, rest) = path.split_once('/').ok_or(InvalidParty::Form)?;
        let site: Name = site.parse()?;
        match *rest.split('/').collect::<Vec<_>>().as_slice() {
            ["relay", name] => Ok(Self::Relay { site, name: name.parse()? }),
            ["site"] => Ok(Self::Site { site }),
            ["site", "operator", name] => Ok(Self::SiteOperator { site, name: name.parse()? }),
            ["zone", zone, "collector"] => Ok(Self::Collector(ZoneName { site, zone: zone.parse()? })),
            _ => Err(InvalidParty::Form),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    fn parties() -> [Party; 4] {
        let name = |text: &str| text.parse::<Name>().unwrap();
        [
            Party::Relay { site: name("plant"), name: name("dmz-1") },
            Party::Site { site: name("plant") },
            Party::SiteOperator { site: name("plant"), name: name("anna") },
            Party::Collector(ZoneName { site: name("plant"), zone: name("line-1") }),
        ]
    }

    #[test]
    fn parties_survive_their_text() {
        for party in parties() {
            assert_eq!(party.to_string().parse(), Ok(party));
        }
    }

    #[test]
    fn look_alikes_are_refused() {
        for text in [
            "https://plant/site",
            "spiffe://plant",
            "spiffe://plant/",
            "spiffe://plant/site/",
            "spiffe://plant/site/operator",
            "spiffe://plant/site/operator/a/b",
            "spiffe://plant/site/viewer/anna",
            "spiffe://plant/relay",
            "spiffe://plant/relay/",
            "spiffe://plant/relay/DMZ",
            "spiffe://plant/relay/dmz-1/x",
            "spiffe:///site",
            "spiffe://plant/zone/line-1/agent/hmi-01",
            "spiffe://plant/zone/line-1/operator/anna",
            "spiffe://plant/zone/line-1/collector/x",
            "spiffe://plant/zone//collector",
            "",
        ] {
            assert!(text.parse::<Party>().is_err(), "{text}");
        }
    }

    #[test]
    fn of_all_parties_only_the_collector_is_anybody_inside_a_zone() {
        let inside: Vec<_> =
            parties().iter().filter(|it| it.to_string().parse::<Identity>().is_ok()).cloned().collect();
        assert!(matches!(inside.as_slice(), [Party::Collector(_)]));
    }

    #[test]
    fn objects_go_outwards_only_and_stay_with_their_site() {
        let all = parties();
        let [relay, site, _, collector] = &all;
        for from in &all {
            for to in &all {
                let outwards = [(collector, relay), (collector, site), (relay, site)];
                assert_eq!(from.delivers_to(to), outwards.contains(&(from, to)), "{from} to {to}");
            }
        }
        let elsewhere = Party::Site { site: "other".parse().unwrap() };
        assert!(!collector.delivers_to(&elsewhere));
    }
}
