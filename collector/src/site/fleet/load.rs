//! A fleet from its pages.

use std::collections::BTreeMap;

use holdpoint_common::bundle::{Class, Key};
use holdpoint_common::identity::Name;
use holdpoint_proto::store as pb;
use prost::Message;

use super::{Fleet, Member, Nobodys, Settings};
use crate::site::keys::{Lineage, Revoked, keyring};
use crate::site::page::{InvalidPage, Tag, bytes32, key, of_record, prefix, version};
use crate::site::shelf::{Changes, Shelf};
use crate::site::zone::Zone;
use crate::store::{Page, Store, StoreError, Volume};

/// Where pages were written.
pub trait Source {
    /// Why a page cannot be read.
    type Error: From<InvalidPage>;

    /// A page; `None` when there is none.
    ///
    /// # Errors
    /// It cannot be read.
    fn page(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Self::Error>;

    /// All pages whose key begins so, in order of the keys, which are whole.
    ///
    /// # Errors
    /// They cannot be read.
    fn pages(&self, prefix: &[u8]) -> Result<Vec<Page>, Self::Error>;
}

/// What is kept of the fleet cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store.
    #[error("what is kept of the zones cannot be read")]
    Store(#[from] StoreError),
    /// A page.
    #[error(transparent)]
    Page(#[from] InvalidPage),
}

impl Source for Store {
    type Error = LoadError;

    fn page(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LoadError> {
        Ok(Store::page(self, Volume::Fleet, key)?)
    }

    fn pages(&self, prefix: &[u8]) -> Result<Vec<Page>, LoadError> {
        Ok(Store::pages(self, Volume::Fleet, prefix)?)
    }
}

impl Source for Changes {
    type Error = InvalidPage;

    fn page(&self, key: &[u8]) -> Result<Option<Vec<u8>>, InvalidPage> {
        Ok(self.get(key).cloned().flatten())
    }

    fn pages(&self, prefix: &[u8]) -> Result<Vec<Page>, InvalidPage> {
        let from = self.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(from.filter_map(|(key, page)| Some((key.clone(), page.clone()?))).collect())
    }
}

impl Fleet {
    /// A fleet from what was written of it; one without zones when nothing was.
    ///
    /// # Errors
    /// A page cannot be read, or is not what was written.
    pub fn load<S: Source>(site: Name, settings: Settings, source: &S) -> Result<Self, S::Error> {
        let mut revoked = BTreeMap::new();
        for (_, bytes) in source.pages(&[Tag::Revoked.byte()])? {
            let pb::FleetRevoked { version: found, key, at_ms, by } = read(&bytes)?;
            version(found)?;
            revoked.insert(bytes32(&key)?.into(), Revoked { at_ms, by });
        }
        let mut members = BTreeMap::new();
        for (_, bytes) in source.pages(&[Tag::Line.byte()])? {
            let lineage = Lineage::of_page(read(&bytes)?)?;
            let stream = &lineage.line().current().stream;
            let name = stream.zone.zone.clone();
            let (zone, shelf) = load_zone(&name, &settings, source)?;
            let zone = zone.unwrap_or_else(|| Zone::new(stream.clone(), settings.terms));
            members.insert(name, Member::new(zone, lineage, shelf, &settings));
        }
        let nobodys = match source.page(&[Tag::Strangers.byte()])? {
            Some(bytes) => Nobodys::of_page(read(&bytes)?)?,
            None => Nobodys::default(),
        };
        let keys = keyring(members.values().map(|it| &it.lineage), &revoked);
        Ok(Self { site, settings, members, keys, revoked, nobodys, unwritten: Changes::new() })
    }
}

/// `None` for a zone that was trusted and never written.
fn load_zone<S: Source>(
    name: &Name,
    settings: &Settings,
    source: &S,
) -> Result<(Option<Zone>, Shelf), S::Error> {
    let mut whole = Vec::new();
    for tag in [Tag::Zone, Tag::Present, Tag::Past, Tag::Places, Tag::Listed, Tag::Held] {
        let start = prefix(tag, name.as_str());
        for (key, bytes) in source.pages(&start)? {
            whole.push((tag, key, bytes));
        }
    }
    let shelf = Shelf::of_pages(whole.iter().map(|(_, key, bytes)| (key.as_slice(), bytes.as_slice())));
    if whole.is_empty() {
        return Ok((None, shelf));
    }
    let start = prefix(Tag::Fact, name.as_str());
    let rest = |key: &[u8]| key.get(start.len()..).unwrap_or_default().to_vec();
    let facts = source.pages(&start)?.into_iter().map(|(key, bytes)| (rest(&key), bytes)).collect();
    Ok((Some(Zone::of_pages(whole, facts, settings.terms)?), shelf))
}

/// The history of an asset or a change.
///
/// # Errors
/// It cannot be read, or is not what was written.
pub fn history<S: Source>(
    source: &S,
    zone: &str,
    class: Class,
    name: &str,
) -> Result<pb::FleetHistory, S::Error> {
    let record = Key::new(class, name).map_err(|_| InvalidPage("the name of a record"))?;
    let page = source.page(&key(Tag::History, zone, &of_record(&record)))?;
    Ok(crate::site::history::read(page.as_deref())?)
}

/// The newest objects of a zone as they came, and those that fork others.
///
/// # Errors
/// They cannot be read, or are not what was written.
pub fn originals<S: Source>(source: &S, zone: &str) -> Result<Vec<pb::FleetOriginal>, S::Error> {
    let mut originals = Vec::new();
    for (_, bytes) in source.pages(&prefix(Tag::Original, zone))? {
        let original: pb::FleetOriginal = read(&bytes)?;
        version(original.version)?;
        originals.push(original);
    }
    Ok(originals)
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, InvalidPage> {
    M::decode(bytes).map_err(|_| InvalidPage("it cannot be read"))
}
