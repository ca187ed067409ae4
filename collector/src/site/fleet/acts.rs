//! What people do: trust a zone, revoke a key, admit an incarnation, acknowledge an alarm.

use holdpoint_common::bundle::{Epoch, KeyId, NotAccepted, PublicKey};
use holdpoint_common::identity::{Name, ZoneName};
use holdpoint_proto::store as pb;
use prost::Message;

use super::{Fleet, Heard, Member, Settings};
use crate::site::alarm::Kind as AlarmKind;
use crate::site::keys::{Lineage, Revoked};
use crate::site::page::{Tag, VERSION};
use crate::site::shelf::Shelf;
use crate::site::zone::Zone;

/// Fewest hexadecimal digits by which an incarnation is named.
const EPOCH_DIGITS: usize = 8;
/// Fewest hexadecimal digits by which a key is named: as many as are shown.
const KEY_DIGITS: usize = 16;

/// Why an act is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// The enrolment is another site's.
    #[error("{zone} is a zone of another site: this is {site}")]
    OtherSite {
        /// Of which zone it is.
        zone: ZoneName,
        /// Which site this is.
        site: Name,
    },
    /// Another root is trusted for the zone.
    #[error(
        "{0} is trusted with another root: if its root was made anew, everything that is known of it is \
         another zone's"
    )]
    OtherRoot(Name),
    /// The statement does not count.
    #[error("the enrolment does not hold")]
    Statement(#[from] NotAccepted),
    /// No such zone.
    #[error("there is no zone `{0}` here")]
    NoZone(String),
    /// No incarnation of that name waits.
    #[error("no incarnation that waits begins with `{0}`: `holdpoint fleet zone` shows those that do")]
    NoEpoch(String),
    /// Several begin so.
    #[error("`{0}` is not enough: give at least {1} digits, and so many that only one begins with them")]
    Ambiguous(String, usize),
    /// Not the name of a key.
    #[error("`{0}` is not the name of a key that is known here; one that is not known needs all 64 digits")]
    NoKey(String),
    /// No such kind.
    #[error("there is no kind of alarm `{0}`")]
    NoKind(String),
    /// Nothing to acknowledge.
    #[error("the zone has no such alarm that goes on")]
    NoAlarm,
}

/// What came of trusting a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// Which zone.
    pub zone: Name,
    /// The key that counts now.
    pub key: KeyId,
    /// Whether it said something new.
    pub news: bool,
}

impl Fleet {
    /// Believes a zone's root, and with it the key that it certified.
    ///
    /// # Errors
    /// It is another site's, contradicts what is trusted, or does not count.
    pub fn trust(
        &mut self,
        zone: &ZoneName,
        root: &PublicKey,
        statement: &[u8],
        by: &str,
        now_ms: i64,
    ) -> Result<Trusted, ActError> {
        if zone.site != self.site {
            return Err(ActError::OtherSite { zone: zone.clone(), site: self.site.clone() });
        }
        let name = zone.zone.clone();
        let news = match self.members.get(&name) {
            Some(member) if member.lineage.line().root() != root => {
                return Err(ActError::OtherRoot(name));
            }
            Some(_) => self.hear(&name, statement, now_ms)? != Heard::Known,
            None => {
                let lineage = Lineage::found(zone, root, statement, (now_ms, by.to_owned()))?;
                self.add(lineage);
                true
            }
        };
        let member = self.members.get(&name).ok_or_else(|| ActError::NoZone(name.to_string()))?;
        let key = member.lineage.line().current().key.id();
        Ok(Trusted { zone: name, key, news })
    }

    fn add(&mut self, lineage: Lineage) {
        let stream = lineage.line().current().stream.clone();
        let name = stream.zone.zone.clone();
        self.keys.follow(lineage.line());
        let Settings { terms, .. } = self.settings;
        let mut member = Member::new(Zone::new(stream, terms), lineage, Shelf::default(), &self.settings);
        member.changed = true;
        self.members.insert(name.clone(), member);
        self.keep_line(&name);
    }

    /// Believes a key no more. Gives its name and the zone whose it was.
    ///
    /// # Errors
    /// The digits name no key.
    pub fn revoke(&mut self, digits: &str, by: &str, now_ms: i64) -> Result<(KeyId, Option<Name>), ActError> {
        let key = self.key_of(digits)?;
        let zone = self.keys.revoke(&key).map(|it| it.stream.zone.zone);
        let revoked = Revoked { at_ms: now_ms, by: by.to_owned() };
        let page = pb::FleetRevoked {
            version: VERSION,
            key: key.as_bytes().to_vec(),
            at_ms: now_ms,
            by: by.to_owned(),
        };
        self.revoked.insert(key, revoked);
        let place = [&[Tag::Revoked.byte()], key.as_bytes().as_slice()].concat();
        self.unwritten.insert(place, Some(page.encode_to_vec()));
        Ok((key, zone))
    }

    fn key_of(&self, digits: &str) -> Result<KeyId, ActError> {
        let digits = digits.to_ascii_lowercase();
        if digits.len() < KEY_DIGITS {
            return Err(ActError::Ambiguous(digits, KEY_DIGITS));
        }
        let lines = self.members.values().map(|it| it.lineage.line());
        let mut meant: Vec<KeyId> = lines
            .flat_map(|line| line.trusted().map(|it| it.key.id()))
            .filter(|it| data_encoding::HEXLOWER.encode(it.as_bytes()).starts_with(&digits))
            .collect();
        meant.dedup();
        match meant.as_slice() {
            [only] => Ok(*only),
            [] => {
                let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok();
                let bytes = bytes.and_then(|it| <[u8; 32]>::try_from(it).ok());
                bytes.map(KeyId::from).ok_or(ActError::NoKey(digits))
            }
            _ => Err(ActError::Ambiguous(digits, KEY_DIGITS)),
        }
    }

    /// Believes an incarnation that does not follow the present one.
    ///
    /// # Errors
    /// There is no such zone, or no such incarnation waits.
    pub fn admit(&mut self, zone: &str, digits: &str) -> Result<Epoch, ActError> {
        let digits = digits.to_ascii_lowercase();
        let member = self.member_mut(zone)?;
        if digits.len() < EPOCH_DIGITS {
            return Err(ActError::Ambiguous(digits, EPOCH_DIGITS));
        }
        let waiting = member.zone.strangers().0.iter().map(|it| it.epoch);
        let meant: Vec<Epoch> = waiting.filter(|it| it.to_string().starts_with(&digits)).collect();
        match meant.as_slice() {
            [only] => {
                member.zone.admit(*only);
                member.changed = true;
                Ok(*only)
            }
            [] => Err(ActError::NoEpoch(digits)),
            _ => Err(ActError::Ambiguous(digits, EPOCH_DIGITS)),
        }
    }

    /// Notes that somebody has seen an alarm.
    ///
    /// # Errors
    /// There is no such zone, or it has no such alarm.
    pub fn acknowledge(
        &mut self,
        zone: &str,
        kind: &str,
        sequence: Option<u64>,
        by: &str,
        now_ms: i64,
    ) -> Result<(), ActError> {
        let kind: AlarmKind = kind.parse().map_err(|_| ActError::NoKind(kind.to_owned()))?;
        let member = self.member_mut(zone)?;
        if member.zone.acknowledge(kind, sequence, by, now_ms) == 0 {
            return Err(ActError::NoAlarm);
        }
        member.changed = true;
        Ok(())
    }

    fn member_mut(&mut self, zone: &str) -> Result<&mut Member, ActError> {
        let found = self.members.iter_mut().find(|(name, _)| name.as_str() == zone);
        found.map(|(_, it)| it).ok_or_else(|| ActError::NoZone(zone.to_owned()))
    }
}
