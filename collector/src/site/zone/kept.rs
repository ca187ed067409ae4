//! A zone as pages, and a zone from its pages: the same one, which rules all that comes the same.

use holdpoint_common::bundle::{Body, Bundle, Epoch, Header, Key, Stream};
use holdpoint_common::identity::ZoneName;
use holdpoint_proto::store as pb;
use prost::Message;

use super::{Agreement, Alarms, Clock, Held, Past, Stranger, Terms, Zone};
use crate::site::alarm::Refusals;
use crate::site::facts::{Applied, Facts};
use crate::site::incarnation::{Fork, Incarnation};
use crate::site::page::{InvalidPage, Tag, VERSION, bytes16, bytes32, digest, record_of, version};
use crate::site::places::Tally;
use crate::site::ruling::Counters;

/// A page without the name of its zone: its kind, the end of its key, its content.
pub type Page = (Tag, Vec<u8>, Vec<u8>);

impl Zone {
    /// Every page but those of the facts.
    pub fn pages(&self) -> Vec<Page> {
        let mut pages = vec![
            (Tag::Zone, Vec::new(), self.to_page().encode_to_vec()),
            (Tag::Listed, Vec::new(), self.facts.listed_page().encode_to_vec()),
        ];
        if let Some(current) = &self.current {
            pages.push((Tag::Present, Vec::new(), current.to_page().encode_to_vec()));
            let places = current.places().into_iter();
            pages
                .extend(places.map(|(number, page)| {
                    (Tag::Places, number.to_be_bytes().to_vec(), page.encode_to_vec())
                }));
        }
        pages.extend(self.past.iter().enumerate().map(|(at, Past { incarnation, high, ended_ms })| {
            let page = pb::FleetIncarnation {
                ended_high: Some(*high),
                ended_ms: Some(*ended_ms),
                ..incarnation.to_page()
            };
            (Tag::Past, place(at), page.encode_to_vec())
        }));
        pages.extend(self.held.iter().enumerate().map(|(at, Held { bundle, received_ms })| {
            let page = pb::FleetHeld {
                version: VERSION,
                hash: bundle.hash.to_vec(),
                received_ms: *received_ms,
                header: bundle.header.keep(),
                body: bundle.body.write(),
            };
            (Tag::Held, place(at), page.encode_to_vec())
        }));
        pages
    }

    /// A zone from its pages, those of each kind in the order of their keys, and from its facts.
    ///
    /// # Errors
    /// A page is not what was written, or one is missing.
    pub fn of_pages(
        pages: Vec<Page>,
        facts: Vec<(Vec<u8>, Vec<u8>)>,
        terms: Terms,
    ) -> Result<Self, InvalidPage> {
        let (mut zone, mut listed, mut present) = (None, None, None);
        let (mut places, mut past, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for (tag, _, bytes) in pages {
            match tag {
                Tag::Zone => zone = Some(read::<pb::FleetZone>(&bytes)?),
                Tag::Listed => listed = Some(read::<pb::FleetListed>(&bytes)?),
                Tag::Present => present = Some(read::<pb::FleetIncarnation>(&bytes)?),
                Tag::Places => places.push(read::<pb::FleetPlaces>(&bytes)?),
                Tag::Past => past.push(ended(read(&bytes)?)?),
                Tag::Held => held.push(waiting(read(&bytes)?)?),
                Tag::Fact | Tag::History | Tag::Original | Tag::Line | Tag::Revoked | Tag::Strangers => {}
            }
        }
        let page = zone.ok_or(InvalidPage("there is no page of a zone"))?;
        let listed = listed.ok_or(InvalidPage("there is no page of what was listed"))?;
        let current = present.map(|it| Incarnation::of_page(it, places)).transpose()?;
        let fact = |(rest, bytes): (Vec<u8>, Vec<u8>)| Ok((record_of(&rest)?, read(&bytes)?));
        let facts: Vec<(Key, pb::FleetFact)> =
            facts.into_iter().map(fact).collect::<Result<_, InvalidPage>>()?;
        let facts = Facts::of_pages(facts, listed, page.inherits, current.as_ref().map(|it| it.epoch))?;
        Self::of_parts(page, terms, (current, past, held), facts)
    }

    fn of_parts(
        page: pb::FleetZone,
        terms: Terms,
        (current, past, held): (Option<Incarnation>, Vec<Past>, Vec<Held>),
        facts: Facts,
    ) -> Result<Self, InvalidPage> {
        version(page.version)?;
        let name = |it: &str| it.parse().map_err(|_| InvalidPage("the name of a zone"));
        let zone = ZoneName { site: name(&page.site)?, zone: name(&page.zone)? };
        let stranger = |it: pb::FleetStranger| {
            let pb::FleetStranger { epoch, first_ms, count, high } = it;
            Ok(Stranger { epoch: Epoch::from(bytes16(&epoch)?), first_ms, count, high })
        };
        let agreement = match (page.same_since_ms, page.differs_since_ms) {
            (Some(since_ms), _) => Agreement::Same { since_ms },
            (None, Some(since_ms)) => Agreement::Differs { since_ms },
            (None, None) => Agreement::Unknown,
        };
        let by_person = page.by_person.as_deref().map(bytes16).transpose()?;
        Ok(Self {
            stream: Stream { zone, collector: bytes32(&page.collector)?.into() },
            terms,
            current,
            past,
            past_forgotten: Tally::of_page(page.past_forgotten.unwrap_or_default()),
            strangers: page.strangers.into_iter().map(stranger).collect::<Result<_, InvalidPage>>()?,
            strangers_beyond: page.strangers_beyond,
            by_root: page.by_root,
            by_person: by_person.map(Epoch::from),
            held,
            forks: page.forks.iter().map(Fork::of_page).collect::<Result<_, InvalidPage>>()?,
            facts,
            records: Applied::of_page(page.records.unwrap_or_default()),
            clock: Clock::of_page(page.clock.unwrap_or_default()),
            agreement,
            heard_ms: page.heard_ms,
            counters: Counters::of_page(&page.counters.unwrap_or_default()),
            refusals: Refusals::of_page(page.refusals.unwrap_or_default())?,
            alarms: Alarms::of_page(page.alarms, page.alarms_beyond)?,
        })
    }

    fn to_page(&self) -> pb::FleetZone {
        let stranger = |it: &Stranger| pb::FleetStranger {
            epoch: it.epoch.as_bytes().to_vec(),
            first_ms: it.first_ms,
            count: it.count,
            high: it.high,
        };
        let (same_since_ms, differs_since_ms) = match self.agreement {
            Agreement::Same { since_ms } => (Some(since_ms), None),
            Agreement::Differs { since_ms } => (None, Some(since_ms)),
            Agreement::Unknown => (None, None),
        };
        let (alarms, alarms_beyond) = self.alarms.to_page();
        pb::FleetZone {
            version: VERSION,
            site: self.stream.zone.site.to_string(),
            zone: self.stream.zone.zone.to_string(),
            collector: self.stream.collector.as_bytes().to_vec(),
            past_forgotten: Some(self.past_forgotten.to_page()),
            strangers: self.strangers.iter().map(stranger).collect(),
            strangers_beyond: self.strangers_beyond,
            by_root: self.by_root,
            by_person: self.by_person.map(|it| it.as_bytes().to_vec()),
            forks: self.forks.iter().map(|(fork, at_ms)| fork.to_page(*at_ms)).collect(),
            records: Some(self.records.to_page()),
            clock: Some(self.clock.to_page()),
            same_since_ms,
            differs_since_ms,
            heard_ms: self.heard_ms,
            counters: Some(self.counters.to_page()),
            refusals: Some(self.refusals.to_page()),
            alarms,
            alarms_beyond,
            inherits: self.facts.inherits(),
        }
    }

    /// Whether two are the same, in all that they show and in all that they will rule.
    #[cfg(test)]
    pub(in crate::site) fn is_the_same(&mut self, other: &mut Self) -> bool {
        let facts = self.facts.parts() == other.facts.parts();
        let rest = (&self.current, &self.past, &self.held) == (&other.current, &other.past, &other.held);
        facts && rest && self.to_page() == other.to_page() && self.digest() == other.digest()
    }
}

/// What keeps the order of a list in its keys.
fn place(at: usize) -> Vec<u8> {
    u32::try_from(at).unwrap_or(u32::MAX).to_be_bytes().to_vec()
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, InvalidPage> {
    M::decode(bytes).map_err(|_| InvalidPage("it cannot be read"))
}

fn ended(page: pb::FleetIncarnation) -> Result<Past, InvalidPage> {
    let (high, ended_ms) = page.ended_high.zip(page.ended_ms).ok_or(InvalidPage("its end"))?;
    // Of one that has ended no place is known one by one.
    Ok(Past { incarnation: Incarnation::of_page(page, Vec::new())?, high, ended_ms })
}

fn waiting(page: pb::FleetHeld) -> Result<Held, InvalidPage> {
    let pb::FleetHeld { version: found, hash, received_ms, header, body } = page;
    version(found)?;
    let header = Header::kept(&header).map_err(|_| InvalidPage("a header"))?;
    let body = Body::read(header.kind, &body).map_err(|_| InvalidPage("a body"))?;
    Ok(Held { bundle: Bundle { header, hash: digest(&hash)?, body }, received_ms })
}
