//! Who is who: SPIFFE identities and the names inside them.
//!
//! A certificate carries exactly one URI subject alternative name of the form that
//! [`Identity`] prints. A peer never chooses its own name: an agent's asset is read from its
//! certificate. The form follows the SPIFFE-ID standard (scheme `spiffe`, trust domain = site).

use std::fmt;
use std::str::FromStr;

/// Longest accepted name of a site, zone, asset or operator, in bytes.
pub const MAX_NAME: usize = 63;

/// A lower-case name of letters, digits, `-`, `_` and `.`, 1 to [`MAX_NAME`] bytes, that starts with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest valid name to free text such as a host name; `None` when nothing is left.
    pub fn from_free_text(text: &str) -> Option<Self> {
        let mut name = String::new();
        for c in text.chars().flat_map(char::to_lowercase) {
            let c = if is_name_char(c) { c } else { '-' };
            let doubled = c == '-' && name.ends_with('-');
            if !doubled && name.len() < MAX_NAME && (c.is_ascii_alphanumeric() || !name.is_empty()) {
                name.push(c);
            }
        }
        name.trim_end_matches(['-', '.', '_']).parse().ok()
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.')
}

/// The text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a name: use 1 to {MAX_NAME} of a-z 0-9 - _ . and start with a letter or digit", .0.escape_debug())]
pub struct InvalidName(String);

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let starts_well = text.chars().next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if text.len() <= MAX_NAME && starts_well && text.chars().all(is_name_char) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName(text.chars().take(MAX_NAME + 1).collect()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The site and zone that a collector serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneName {
    /// The SPIFFE trust domain.
    pub site: Name,
    /// The zone of the site.
    pub zone: Name,
}

impl ZoneName {
    /// The identity of an asset's agent in this zone.
    pub fn agent(&self, asset: Name) -> Identity {
        Identity { zone: self.clone(), subject: Subject::Agent(asset) }
    }

    /// The identity of an operator of this zone.
    pub fn operator(&self, name: Name) -> Identity {
        Identity { zone: self.clone(), subject: Subject::Operator(name) }
    }

    /// The identity of this zone's collector.
    pub fn collector(&self) -> Identity {
        Identity { zone: self.clone(), subject: Subject::Collector }
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.site, self.zone)
    }
}

/// What a certificate of a zone speaks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The agent of one asset.
    Agent(Name),
    /// A person at the command line.
    Operator(Name),
    /// The zone's collector.
    Collector,
}

/// A SPIFFE identity inside a zone: `spiffe://SITE/zone/ZONE/agent/ASSET`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Where the identity belongs.
    pub zone: ZoneName,
    /// Whom it names there.
    pub subject: Subject,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/zone/{}/", self.zone.site, self.zone.zone)?;
        match &self.subject {
            Subject::Agent(asset) => write!(f, "agent/{asset}"),
            Subject::Operator(name) => write!(f, "operator/{name}"),
            Subject::Collector => f.write_str("collector"),
        }
    }
}

/// The text is not an identity of a zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentity {
    /// Another scheme, or other path segments.
    #[error("not an identity of a zone: expected spiffe://SITE/zone/ZONE/agent|operator|collector")]
    Form,
    /// A segment is not a name.
    #[error("a name in the identity is malformed")]
    Name(#[from] InvalidName),
}

impl FromStr for Identity {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        let path = text.strip_prefix("spiffe://").ok_or(InvalidIdentity::Form)?;
        let mut parts = path.split('/');
        let mut part = || parts.next().ok_or(InvalidIdentity::Form);
        let site = part()?.parse()?;
        if part()? != "zone" {
            return Err(InvalidIdentity::Form);
        }
        let zone = ZoneName { site, zone: part()?.parse()? };
        let subject = match part()? {
            "agent" => Subject::Agent(part()?.parse()?),
            "operator" => Subject::Operator(part()?.parse()?),
            "collector" => Subject::Collector,
            _ => return Err(InvalidIdentity::Form),
        };
        match parts.next() {
            None => Ok(Self { zone, subject }),
            Some(_) => Err(InvalidIdentity::Form),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> ZoneName {
        ZoneName { site: "plant".parse().unwrap(), zone: "line-1".parse().unwrap() }
    }

    #[test]
    fn identities_survive_their_text() {
        let name = || "hmi-01".parse::<Name>().unwrap();
        for identity in [zone().agent(name()), zone().operator(name()), zone().collector()] {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
    }

    #[test]
    fn look_alikes_are_refused() {
        for text in [
            "https://plant/zone/line-1/agent/hmi-01",
            "spiffe://plant/zone/line-1/agent/",
            "spiffe://plant/zone/line-1/agent/a/b",
            "spiffe://plant/zone/line-1/agent/HMI",
            "spiffe://plant/zone/line-1/collector/x",
            "spiffe://plant/zone//collector",
            "spiffe://plant/agent/hmi-01",
            "",
        ] {
            assert!(text.parse::<Identity>().is_err(), "{text}");
        }
    }

    #[test]
    fn host_names_become_names() {
        let name = |text| Name::from_free_text(text).map(|it| it.to_string());
        assert_eq!(name("HMI 01.Plant_A"), Some("hmi-01.plant_a".into()));
        assert_eq!(name("--übung--"), Some("bung".into()));
        assert_eq!(name("日本"), None);
        assert_eq!(name(&"x".repeat(200)).map(|it| it.len()), Some(MAX_NAME));
    }
}
