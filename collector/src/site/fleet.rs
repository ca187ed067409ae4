//! All zones of a site: objects go in with the time of their receipt, and pages to write come out.
//!
//! No file, clock or socket. An object is looked at first ([`Fleet::examine`]), which changes nothing, so that
//! what has to be set aside is safe before it is counted; then it is taken ([`Fleet::take`]).

mod acts;
mod load;

use std::collections::BTreeMap;

use holdpoint_common::bundle::{
    Body, Bundle, Checked, Class, Content, Key, KeyId, Keyring, Kind, NotAccepted, claim,
};
use holdpoint_common::identity::Name;
use holdpoint_proto::store as pb;
use holdpoint_proto::summary::ZoneSummary;
use prost::Message;

use super::alarm::{Alarms, Refusal, Refusals};
use super::facts::Touch;
use super::history as moments;
use super::keys::{Heard, Lineage, Revoked};
use super::page::{self, InvalidPage, Tag, VERSION};
use super::ruling::Ruling;
use super::shelf::{Changes, Shelf};
use super::zone::{Terms, Zone};

pub use acts::{ActError, Trusted};
pub use load::{LoadError, Source, history, originals};

/// Newest objects of a zone that are kept as they came, so that both sides of a fork can be shown.
pub const ORIGINALS: u64 = 32;
/// Largest object that is kept so, in bytes.
pub const MAX_ORIGINAL: usize = 64 * 1024;
/// Largest object that is kept because it forks another, in bytes.
pub const MAX_FORKING: usize = 16 * 1024 * 1024;
/// An alarm that goes on is written again after so long, in milliseconds.
pub const WRITTEN_AGAIN_MS: i64 = 60_000;

/// What a site sets for its zones.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// For zones that say nothing of their own rhythm.
    pub terms: Terms,
    /// How far signs of life may be apart, for zones whose bundles are carried by hand, in milliseconds.
    pub intervals_ms: BTreeMap<Name, i64>,
}

/// One zone and what belongs to it.
#[derive(Debug)]
pub struct Member {
    /// What is believed of it.
    pub zone: Zone,
    /// Its keys.
    pub lineage: Lineage,
    /// What it says of itself; `None` before it has.
    pub summary: Option<ZoneSummary>,
    shelf: Shelf,
    /// Moments that wait to be written.
    moments: Vec<(Key, pb::FleetMoment)>,
    changed: bool,
    /// When it was written last for nothing but alarms that go on.
    looked_ms: i64,
}

/// What came that belongs to nobody who is known here.
#[derive(Debug, Default)]
pub struct Nobodys {
    /// How much.
    pub refusals: Refusals,
    /// What people have to look at.
    pub alarms: Alarms,
    changed: bool,
}

/// All zones.
#[derive(Debug)]
pub struct Fleet {
    site: Name,
    settings: Settings,
    members: BTreeMap<Name, Member>,
    keys: Keyring,
    revoked: BTreeMap<KeyId, Revoked>,
    nobodys: Nobodys,
    /// What is to be written and is not.
    unwritten: Changes,
}

/// An object that was looked at.
#[derive(Debug)]
pub enum Examined {
    /// A bundle whose signature is good.
    Bundle(Box<Bundle>),
    /// A statement about keys, which travels by itself, and the zone that it is about.
    Statement(Name),
    /// Not to be applied.
    Refused(Refused),
}

/// Why an object is not applied.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Whose it is, as far as the key says.
    pub zone: Option<Name>,
    /// What it is.
    pub refusal: Refusal,
    /// One sentence, lower case.
    pub why: String,
}

impl Refused {
    /// Whether it may be good later, when its key is known, so that it is worth keeping.
    pub fn is_kept(&self) -> bool {
        match self.refusal {
            Refusal::Unverified(_) | Refusal::Expired(_) => true,
            Refusal::Rejected | Refusal::Corrupt | Refusal::Limit => false,
        }
    }
}

/// What became of an object.
#[derive(Debug, Clone)]
pub enum Taken {
    /// A bundle or a beacon.
    Ruled {
        /// Of which zone.
        zone: Name,
        /// Its place.
        sequence: u64,
        /// What it was.
        ruling: Ruling,
    },
    /// A statement about keys.
    Heard {
        /// Of which zone.
        zone: Name,
        /// What it changed.
        heard: Heard,
    },
    /// It was refused.
    Refused(Refused),
}

impl Fleet {
    /// Looks at an object. Nothing changes.
    pub fn examine(&self, object: &[u8], now_ms: i64) -> Examined {
        let refused = |zone: Option<Name>, refusal, why| Examined::Refused(Refused { zone, refusal, why });
        let (content, key) = match claim(object) {
            Ok(claimed) => claimed,
            Err(invalid) => return refused(None, Refusal::of(&invalid), invalid.to_string()),
        };
        match content {
            Content::Bundle => {}
            Content::Certified => return self.examine_statement(object),
            Content::Statement => {
                return refused(None, Refusal::Rejected, "it is neither a bundle nor certified".to_owned());
            }
        }
        let zone = self.keys.find(&key).map(|it| it.stream.zone.zone.clone());
        let opened = Checked::read(object, &self.keys).and_then(|checked| {
            let expires_ms = zone.as_ref().and_then(|it| self.expiry(it, &key));
            if expires_ms.is_some_and(|it| it <= now_ms) {
                return Ok(None);
            }
            let body = checked.body()?;
            Ok(Some(Bundle { header: checked.header, hash: checked.hash, body }))
        });
        match opened {
            Ok(Some(bundle)) => Examined::Bundle(Box::new(bundle)),
            Ok(None) => refused(zone, Refusal::Expired(key), format!("the time of its key {key} is over")),
            Err(invalid) => refused(zone, Refusal::of(&invalid), invalid.to_string()),
        }
    }

    /// Finds the zone that a statement is about: the one whose line it continues, or contradicts.
    fn examine_statement(&self, statement: &[u8]) -> Examined {
        let (mut missing, mut contradicts) = (None, None);
        for (zone, member) in &self.members {
            match member.lineage.line().clone().accept(statement) {
                Ok(_) => return Examined::Statement(zone.clone()),
                Err(NotAccepted::OtherStream(_)) => {}
                // Perhaps of this zone, and perhaps of none.
                Err(NotAccepted::Missing(key)) => missing = Some(key),
                Err(_) => contradicts = Some(zone.clone()),
            }
        }
        let refused = |refusal, why| Examined::Refused(Refused { zone: None, refusal, why });
        match (contradicts, missing) {
            (Some(zone), _) => Examined::Statement(zone),
            (None, Some(key)) => refused(
                Refusal::Unverified(key),
                format!("it is certified by the key {key}, which does not count here"),
            ),
            (None, None) => {
                refused(Refusal::Rejected, "it is about the keys of no zone that is known here".to_owned())
            }
        }
    }

    fn expiry(&self, zone: &Name, key: &KeyId) -> Option<i64> {
        self.members.get(zone)?.lineage.line().about(key)?.expires_ms
    }

    /// Takes an object that was looked at. Says also whether other keys are believed since.
    pub fn take(&mut self, object: &[u8], examined: Examined, now_ms: i64) -> (Taken, bool) {
        match examined {
            Examined::Bundle(bundle) => self.take_bundle(object, *bundle, now_ms),
            Examined::Statement(zone) => self.take_statement(zone, object, now_ms),
            Examined::Refused(refused) => {
                self.refuse(&refused, now_ms);
                (Taken::Refused(refused), false)
            }
        }
    }

    fn refuse(&mut self, refused: &Refused, now_ms: i64) {
        match refused.zone.as_ref().and_then(|it| self.members.get_mut(it)) {
            Some(member) => {
                member.zone.refuse(refused.refusal, now_ms);
                member.changed = true;
            }
            None => {
                let Nobodys { refusals, alarms, changed } = &mut self.nobodys;
                refusals.note(refused.refusal, alarms, now_ms);
                *changed = true;
            }
        }
    }

    fn take_bundle(&mut self, object: &[u8], bundle: Bundle, now_ms: i64) -> (Taken, bool) {
        let (zone, sequence, hash) =
            (bundle.header.stream.zone.zone.clone(), bundle.header.sequence, bundle.hash);
        let beacon = bundle.header.kind == Kind::Beacon;
        let statements = match &bundle.body {
            Body::Statements(statements) => statements.clone(),
            Body::Records(_) | Body::Nothing => Vec::new(),
        };
        let Some(member) = self.members.get_mut(&zone) else {
            // Its key is believed for a zone, so the zone is there.
            let (refusal, why) = (Refusal::Rejected, "its zone is not known here".to_owned());
            return (Taken::Refused(Refused { zone: None, refusal, why }), false);
        };
        let ruling = member.zone.take(bundle, now_ms);
        member.changed = true;
        let original =
            || pb::FleetOriginal { version: VERSION, sequence, hash: hash.to_vec(), object: object.to_vec() };
        let applied = matches!(ruling, Ruling::Accepted | Ruling::Late);
        if applied && !beacon && object.len() <= MAX_ORIGINAL {
            let slot = (sequence % ORIGINALS).to_be_bytes();
            let key = page::key(Tag::Original, zone.as_str(), &slot);
            self.unwritten.insert(key, Some(original().encode_to_vec()));
        }
        if ruling == Ruling::Fork && object.len() <= MAX_FORKING {
            let key = page::key(Tag::Original, zone.as_str(), &fork_key(sequence));
            self.unwritten.insert(key, Some(original().encode_to_vec()));
        }
        member.learn(&self.settings, now_ms);
        let mut others = false;
        for statement in &statements {
            others |= self.hear(&zone, statement, now_ms).is_ok_and(|it| matches!(it, Heard::Changed { .. }));
        }
        (Taken::Ruled { zone, sequence, ruling }, others)
    }

    fn take_statement(&mut self, zone: Name, statement: &[u8], now_ms: i64) -> (Taken, bool) {
        match self.hear(&zone, statement, now_ms) {
            Ok(heard) => {
                let others = matches!(heard, Heard::Changed { .. });
                (Taken::Heard { zone, heard }, others)
            }
            Err(why) => {
                let refused = Refused { zone: Some(zone), refusal: Refusal::Corrupt, why: why.to_string() };
                self.refuse(&refused, now_ms);
                (Taken::Refused(refused), false)
            }
        }
    }

    /// Takes in what is said of a zone's keys.
    fn hear(&mut self, zone: &Name, statement: &[u8], now_ms: i64) -> Result<Heard, NotAccepted> {
        let Some(member) = self.members.get_mut(zone) else { return Ok(Heard::Known) };
        let heard = match member.lineage.hear(statement) {
            Ok(heard) => heard,
            Err(why) => {
                if contradicts(&why) {
                    member.zone.doubt_keys(&why.to_string(), now_ms);
                    member.changed = true;
                }
                return Err(why);
            }
        };
        match heard {
            Heard::Known => {}
            Heard::Waits => self.keep_line(zone),
            Heard::Changed { by_root } => {
                if let Some(place) = by_root {
                    member.zone.recertified(place);
                    member.changed = true;
                }
                self.keys.follow(member.lineage.line());
                self.keep_line(zone);
            }
        }
        Ok(heard)
    }

    fn keep_line(&mut self, zone: &Name) {
        if let Some(member) = self.members.get(zone) {
            let page = member.lineage.to_page().encode_to_vec();
            self.unwritten.insert(page::key(Tag::Line, zone.as_str(), &[]), Some(page));
        }
    }

    /// Raises and ends the alarms that only time brings.
    pub fn look(&mut self, now_ms: i64) {
        for member in self.members.values_mut() {
            let active =
                |it: &Zone| it.alarms().active().map(|it| (it.kind, it.sequence)).collect::<Vec<_>>();
            let before = active(&member.zone);
            member.zone.look(now_ms);
            let long = now_ms.saturating_sub(member.looked_ms) >= WRITTEN_AGAIN_MS;
            if active(&member.zone) != before || (long && !before.is_empty()) {
                (member.changed, member.looked_ms) = (true, now_ms);
            }
        }
    }

    /// Brings together what has to be written. `source` has what was written before.
    ///
    /// # Errors
    /// A history cannot be read, or is not what was written; then everything still has to be written.
    pub fn collect<S: Source>(&mut self, source: &S) -> Result<(), S::Error> {
        for (zone, member) in &mut self.members {
            if !std::mem::take(&mut member.changed) && member.moments.is_empty() {
                continue;
            }
            member.shelf.collect(&mut member.zone, &mut self.unwritten);
            while let Some((record, moment)) = member.moments.first() {
                let key = page::key(Tag::History, zone.as_str(), &page::of_record(record));
                let held = match self.unwritten.get(&key) {
                    Some(unwritten) => unwritten.clone(),
                    None => source.page(&key)?,
                };
                let mut history = moments::read(held.as_deref())?;
                if moments::add(&mut history, moment.clone()) {
                    self.unwritten.insert(key, Some(history.encode_to_vec()));
                }
                member.moments.remove(0);
            }
        }
        if std::mem::take(&mut self.nobodys.changed) {
            let page = self.nobodys.to_page().encode_to_vec();
            self.unwritten.insert(vec![Tag::Strangers.byte()], Some(page));
        }
        Ok(())
    }

    /// Hands over what was brought together, to be written as one.
    pub fn hand_over(&mut self) -> Changes {
        std::mem::take(&mut self.unwritten)
    }

    /// Takes back what could not be written. What changed since is newer.
    pub fn take_back(&mut self, changes: Changes) {
        for (key, page) in changes {
            self.unwritten.entry(key).or_insert(page);
        }
    }
}

/// What may be asked.
impl Fleet {
    /// The site.
    pub fn site(&self) -> &Name {
        &self.site
    }

    /// All zones by name.
    pub fn members(&self) -> impl Iterator<Item = (&Name, &Member)> {
        self.members.iter()
    }

    /// One zone.
    pub fn member(&self, zone: &str) -> Option<&Member> {
        self.members.iter().find(|(name, _)| name.as_str() == zone).map(|(_, it)| it)
    }

    /// What came of nobody.
    pub fn nobodys(&self) -> &Nobodys {
        &self.nobodys
    }

    /// The keys that are believed.
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// The keys that are not any more.
    pub fn revoked(&self) -> &BTreeMap<KeyId, Revoked> {
        &self.revoked
    }
}

impl Member {
    fn new(zone: Zone, lineage: Lineage, shelf: Shelf, settings: &Settings) -> Self {
        let (moments, changed, looked_ms) = (Vec::new(), false, 0);
        let mut member = Self { zone, lineage, summary: None, shelf, moments, changed, looked_ms };
        member.read_summary(settings);
        member
    }

    /// Reads what became otherwise of its facts.
    fn learn(&mut self, settings: &Settings, now_ms: i64) {
        let touched = self.shelf.note(&mut self.zone);
        let mut own = false;
        for (key, touch) in touched {
            if touch == Touch::Changed {
                own |= key.class() == Class::Zone;
                let moment = moments::moment(&key, self.zone.facts().find(&key), now_ms);
                self.moments.extend(moment.map(|it| (key, it)));
            }
        }
        if own {
            self.read_summary(settings);
        }
    }

    /// What the zone says of itself, and so of its rhythm.
    fn read_summary(&mut self, settings: &Settings) {
        let name = self.zone.stream().zone.zone.clone();
        let fact = Key::new(Class::Zone, name.as_str()).ok().and_then(|it| self.zone.facts().find(&it));
        let content = fact.and_then(|it| it.content.as_deref());
        self.summary = content.and_then(|it| ZoneSummary::decode(it).ok());
        let said = self.summary.as_ref().and_then(|it| i64::try_from(it.cycle_ms).ok());
        let cycle_ms = said.filter(|it| *it > 0).map(|it| it.clamp(MIN_CYCLE_MS, MAX_CYCLE_MS));
        self.zone.set_terms(Terms {
            cycle_ms: cycle_ms.unwrap_or(settings.terms.cycle_ms),
            interval_ms: settings.intervals_ms.get(&name).copied().or(settings.terms.interval_ms),
        });
    }
}

/// A zone's word on its cycle is taken from a minute up to a week, so that none makes itself never late.
const MIN_CYCLE_MS: i64 = 60_000;
const MAX_CYCLE_MS: i64 = 7 * 24 * 3_600_000;

impl Nobodys {
    fn to_page(&self) -> pb::FleetStrangers {
        let (alarms, alarms_beyond) = self.alarms.to_page();
        let refusals = Some(self.refusals.to_page());
        pb::FleetStrangers { version: VERSION, refusals, alarms, alarms_beyond }
    }

    fn of_page(page: pb::FleetStrangers) -> Result<Self, InvalidPage> {
        page::version(page.version)?;
        Ok(Self {
            refusals: Refusals::of_page(page.refusals.unwrap_or_default())?,
            alarms: Alarms::of_page(page.alarms, page.alarms_beyond)?,
            changed: false,
        })
    }
}

/// The end of the key of an object that forks another: behind those of the slots.
pub fn fork_key(sequence: u64) -> Vec<u8> {
    [&b"fork"[..], &sequence.to_be_bytes()].concat()
}

/// Whether a statement that does not count shows that a key is in two hands, or that the root is kept badly.
fn contradicts(why: &NotAccepted) -> bool {
    matches!(why, NotAccepted::Fork(_) | NotAccepted::RootFork(_) | NotAccepted::NotAnnounced(_))
}
