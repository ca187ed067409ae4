//! Where a bundle belongs: stream, incarnation, place, and the links to those before it.

use std::fmt;

use super::key::KeyId;
use super::strict::{Flaw, Reader, Writer};
use crate::identity::ZoneName;
use crate::section::Digest;

/// Most links of one bundle: to those 1, 2, 4 ... 1024 places before it.
pub const MAX_LINKS: usize = 11;

/// Keeps what a stream signs from being a signature of anything else.
const PURPOSE: &str = "holdpoint bundle 1";

/// Whose bundles these are: one collector of one zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// The site and the zone.
    pub zone: ZoneName,
    /// The first key of the collector. It stays the stream's name when keys follow each other, so that a new
    /// key starts no new stream.
    pub collector: KeyId,
}

impl Stream {
    /// The external data of every signature of this stream, so that a bundle of one is never one of another.
    pub(super) fn external(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.array(2).text(PURPOSE);
        self.write(&mut writer);
        writer.finish()
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let Self { zone: ZoneName { site, zone }, collector } = self;
        writer.array(3).text(site.as_str()).text(zone.as_str()).bytes(collector.as_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Flaw> {
        reader.array_of(3, "a stream")?;
        let mut name = |what| reader.text(what)?.parse().map_err(|_| Flaw::Expected(what));
        let zone = ZoneName { site: name("the name of a site")?, zone: name("the name of a zone")? };
        Ok(Self { zone, collector: KeyId::read(reader)? })
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.zone, self.collector)
    }
}

/// One incarnation of a collector: 128 random bits, new after every installation, restore or clone. Epochs
/// have no order; which came later is said by [`Before`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch([u8; 16]);

impl Epoch {
    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for Epoch {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The newest bundle of the incarnation before this one, as far as the sender knows it: after a restore from
/// a backup there may have been later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// That incarnation.
    pub epoch: Epoch,
    /// The sequence of its newest bundle.
    pub sequence: u64,
}

impl Before {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.array(2).bytes(self.epoch.as_bytes()).unsigned(self.sequence);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Flaw> {
        reader.array_of(2, "the incarnation before")?;
        let epoch = Epoch(reader.exactly("an epoch")?);
        Ok(Self { epoch, sequence: reader.unsigned("a sequence")? })
    }
}

/// Hashes of the bundles 1, 2, 4 ... 1024 places before, so that continuity can be shown across holes.
/// Evidence, and never a condition for applying anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links(Vec<Option<Digest>>);

impl Links {
    /// The links of a place; `hash` knows the bundles that were made before. One that it does not know stays
    /// open.
    pub fn of(sequence: u64, hash: impl Fn(u64) -> Option<Digest>) -> Self {
        Self(places(sequence).map(hash).collect())
    }

    /// What is said of earlier places, for the place that the links belong to: sequence and hash.
    pub fn claims(&self, sequence: u64) -> impl Iterator<Item = (u64, Digest)> {
        places(sequence).zip(&self.0).filter_map(|(place, hash)| hash.map(|it| (place, it)))
    }

    /// Whether there are as many as this place has.
    pub(super) fn fit(&self, sequence: u64) -> bool {
        self.0.len() == places(sequence).count()
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.array(self.0.len());
        for link in &self.0 {
            match link {
                Some(hash) => writer.bytes(hash.as_bytes()),
                None => writer.null(),
            };
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Flaw> {
        let count = reader.array("the links")?;
        if usize::try_from(count).map_or(true, |it| it > MAX_LINKS) {
            return Err(Flaw::Value("too many links"));
        }
        let link = |_| {
            if reader.null() {
                return Ok(None);
            }
            reader.exactly::<32>("a link").map(|it| Some(Digest::from(it)))
        };
        (0..count).map(link).collect::<Result<_, _>>().map(Self)
    }
}

/// The places that a place links to, nearest first. The first bundle of an epoch is number 1.
fn places(sequence: u64) -> impl Iterator<Item = u64> {
    (0..MAX_LINKS).filter_map(move |it| sequence.checked_sub(1 << it)).filter(|it| *it > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_reach_back_in_growing_steps_and_not_before_the_first() {
        let to = |sequence| places(sequence).collect::<Vec<_>>();
        assert!(to(0).is_empty());
        assert!(to(1).is_empty());
        assert_eq!(to(2), [1]);
        assert_eq!(to(6), [5, 4, 2]);
        assert_eq!(to(1_025), [1_024, 1_023, 1_021, 1_017, 1_009, 993, 961, 897, 769, 513, 1]);
        assert_eq!(to(u64::MAX).len(), MAX_LINKS);
    }

    #[test]
    fn an_unknown_link_leaves_the_others_in_their_places() {
        let hash = |place: u64| (place != 4).then(|| Digest::of(&place.to_be_bytes()));
        let links = Links::of(6, hash);
        let claims: Vec<_> = links.claims(6).collect();
        assert_eq!(claims, [(5, hash(5).unwrap()), (2, hash(2).unwrap())]);
        assert!(links.fit(6) && !links.fit(9));
    }
}
