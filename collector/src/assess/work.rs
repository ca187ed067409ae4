//! The work of judging: from an asset's facts to its findings, with everything that may be used again.
//!
//! Assets with equal facts share one image, and an image is judged once. When knowledge changes, images that the
//! change does not touch are renumbered; the others are joined again from rows that are remembered. The store
//! is read for what was never seen before.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use holdpoint_common::proto::v1::{SectionKind, UpdateRow};
use holdpoint_common::section::Digest;
use prost::Message;
use tracing::warn;

use super::asset::{AssetFacts, Coverage, Held, PlatformFacts, RowSource};
use super::change::Difference;
use super::explain::Trace;
use super::firmware;
use super::in_effect::NotInEffect;
use super::index::Index;
use super::judge::{self, Image, Judged, Spoken};
use super::memory::{Memory, RowId};
use super::microsoft;
use super::package::Distribution;
use super::qualifiers::Qualifiers;
use super::row::{self, Beside, Match, RowResult};
use super::subject::SubjectId;
use super::verdict::Outcome;

/// Images and sections that are remembered beyond those in use.
pub(super) const SPARE: usize = 256;
/// Fewer images are not worth a thread of their own.
const LEAST_SHARE: usize = 64;
/// Most updates of one host that count.
const MAX_UPDATES: usize = 4_096;

/// Sections as they are read for judging.
pub(super) struct Sections(pub(super) Arc<dyn RowSource>);

impl std::fmt::Debug for Sections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sections").finish_non_exhaustive()
    }
}

impl Sections {
    /// The rows of a section; `None` when there are none or they cannot be read now.
    pub(super) fn rows(&self, kind: SectionKind, digest: &Digest) -> Option<Arc<Vec<Vec<u8>>>> {
        match self.0.rows(kind, digest) {
            Ok(rows) => rows,
            Err(why) => {
                warn!(%digest, why, "rows cannot be read for judging");
                None
            }
        }
    }

    pub(super) fn not_in_effect(&self, live: &Held) -> NotInEffect {
        let rows = live.digest.and_then(|it| self.rows(SectionKind::Live, &it));
        rows.map(|it| NotInEffect::read(&it)).unwrap_or_default()
    }

    pub(super) fn platform(&self, held: &Held) -> Option<PlatformFacts> {
        PlatformFacts::read(&self.rows(SectionKind::Platform, &held.digest?)?)
    }

    /// Firmware in the form of software.
    pub(super) fn firmware(&self, digest: &Digest) -> Vec<Vec<u8>> {
        let rows = self.rows(SectionKind::Firmware, digest);
        rows.map(|it| firmware::as_software(&it)).unwrap_or_default()
    }

    /// What of the host decides beside each row.
    pub(super) fn beside(
        &self,
        index: &Index,
        facts: &AssetFacts,
        platform: Option<&PlatformFacts>,
    ) -> Beside {
        Beside { distribution: Distribution::of(platform), facts: self.qualifiers(index, facts) }
    }

    /// What is known of the facts that rules of the map ask for.
    fn qualifiers(&self, index: &Index, facts: &AssetFacts) -> Qualifiers {
        let mut known = Qualifiers::default();
        if index.facts.is_empty() {
            return known;
        }
        let observed = facts.hardening.digest.filter(|_| facts.hardening.coverage == Coverage::Complete);
        if let Some(rows) = observed.and_then(|it| self.rows(SectionKind::Hardening, &it)) {
            known.observe(&rows, &|it| index.facts.contains(it));
        }
        for (name, value) in index.declared.get(&*facts.id).into_iter().flatten() {
            if index.facts.contains(name) {
                known.add(name, value);
            }
        }
        known
    }

    /// Updates that are installed for certain: of a section that was not read completely, none.
    pub(super) fn updates(&self, held: &Held) -> Box<[Box<str>]> {
        if held.coverage != Coverage::Complete {
            return Box::default();
        }
        let rows = held.digest.and_then(|it| self.rows(SectionKind::Updates, &it));
        let rows = rows.iter().flat_map(|it| it.iter());
        let rows = rows.filter_map(|it| UpdateRow::decode(it.as_slice()).ok());
        let installed = rows.filter(|it| it.state == "installed").filter_map(|it| it.kb);
        let mut updates: Vec<Box<str>> = installed.map(Into::into).take(MAX_UPDATES).collect();
        updates.sort_unstable();
        updates.dedup();
        updates.into()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Work {
    index: Arc<Index>,
    memory: Memory,
    images: HashMap<Image, Known>,
    not_in_effect: HashMap<Option<Digest>, Arc<NotInEffect>>,
    platforms: HashMap<Digest, Arc<PlatformFacts>>,
    updates: HashMap<(Digest, Coverage), Updates>,
    /// What is judged of a Windows, by all that decides.
    windows: HashMap<(Arc<PlatformFacts>, Coverage, Updates), OfWindows>,
    /// Facts that are equal are held once.
    distinct: HashMap<PlatformFacts, Arc<PlatformFacts>>,
    /// Firmware in the form of software: serial numbers are not in it, so many hosts share one list.
    firmware: HashMap<Digest, Firmware>,
    lists: HashMap<Vec<Vec<u8>>, Firmware>,
    /// By list: what the present index speaks of.
    spoken_of: HashMap<Firmware, Firmware>,
    /// How often rows were forgotten: their numbers are given to others then.
    forgotten: u64,
}

/// What a change of the index does not touch: no asset whose findings these were has to be looked at.
#[derive(Debug, Default)]
pub(super) struct Untouched {
    /// The findings as they are now, by the address of what they were.
    findings: HashMap<usize, Arc<Judged>>,
    /// Sections of firmware of which the same rows count.
    firmware: HashSet<Digest>,
}

impl Untouched {
    /// The findings of an asset, when neither they nor what they are made of is touched. `before` is what they were
    /// by the index before.
    pub(super) fn findings(&self, facts: &AssetFacts, before: &Arc<Judged>) -> Option<&Arc<Judged>> {
        let same = facts.firmware.digest.is_none_or(|it| self.firmware.contains(&it));
        self.findings.get(&Arc::as_ptr(before).addr()).filter(|_| same)
    }
}

/// Of software, of firmware, and what is not in effect.
pub(super) type RowsOf = (Vec<Arc<RowResult>>, Vec<Arc<RowResult>>, Arc<NotInEffect>);
type Firmware = Arc<Vec<Vec<u8>>>;
type Updates = Arc<[Box<str>]>;
type OfWindows = Arc<[(SubjectId, Outcome)]>;

/// What is known of an asset's findings.
#[derive(Debug)]
pub(super) enum Looked {
    /// The findings.
    Known(Arc<Judged>),
    /// What they are joined from.
    ToJoin(Box<Job>),
}

/// Everything that findings are joined from, so that nobody has to wait while that is done.
#[derive(Debug)]
pub(super) struct Job {
    index: Arc<Index>,
    image: Image,
    rows: judge::Rows,
    of_windows: OfWindows,
    /// As in [`Known`].
    ids: Option<Box<[RowId]>>,
    of_firmware: Option<Box<[RowId]>>,
    is_kept: bool,
    /// [`Work::forgotten`] when the rows had these numbers.
    forgotten: u64,
}

impl Job {
    /// Joins the findings.
    pub(super) fn join(&self) -> Judged {
        judge::judge(&self.index, &self.image, &self.rows, &self.of_windows)
    }
}

/// An image that was judged.
#[derive(Debug)]
struct Known {
    /// Its rows, in order; `None` when there are too many different ones in the zone to remember.
    rows: Option<Box<[RowId]>>,
    /// Rows of its firmware, likewise.
    firmware: Option<Box<[RowId]>>,
    /// There were no rows to be read.
    is_without: bool,
    /// `None` when it has to be joined again.
    judged: Option<Arc<Judged>>,
}

impl Work {
    /// The index that findings are of.
    pub(super) fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Goes over to a new index. Afterwards every image is either as it would be judged by it, or marked; findings
    /// that the change does not touch are returned.
    pub(super) fn advance(&mut self, index: &Arc<Index>) -> Untouched {
        let difference = Difference::between(&self.index, index);
        let touched = self.memory.advance(&self.index, index, &difference);
        if difference.touches_windows() {
            self.windows.clear();
        } else {
            self.windows.retain(|_, found| match difference.renumbered(found) {
                None => false,
                Some(None) => true,
                Some(Some(new)) => {
                    *found = new.into();
                    true
                }
            });
        }
        let is_touched =
            |id: &RowId| usize::try_from(*id).ok().and_then(|it| touched.get(it)) != Some(&false);
        let looks = (looks_at_platform(&self.index), !self.index.windows.is_empty());
        let keeps_images = looks == (looks_at_platform(index), !index.windows.is_empty());
        if !keeps_images {
            // Images are made of other facts now.
            self.images.clear();
        }
        let findings = self.renumber(&difference, &is_touched);
        self.images.retain(|_, known| known.judged.is_some() || known.rows.is_some());
        self.index = Arc::clone(index);
        let spoken_of = std::mem::take(&mut self.spoken_of);
        let same = |list: &Firmware| {
            spoken_of.get(list).is_some_and(|before| *before == Arc::new(spoken_of_by(index, list)))
        };
        let mut lists: HashMap<&Firmware, bool> = HashMap::new();
        let firmware = self.firmware.iter().filter(|it| *lists.entry(it.1).or_insert_with(|| same(it.1)));
        Untouched { findings, firmware: firmware.map(|it| *it.0).collect() }
    }

    /// Gives findings that a change does not touch the new numbers of their subjects, and forgets the others. Returns
    /// the new ones by the address of the old ones. On every core: there may be millions.
    fn renumber(
        &mut self,
        difference: &Difference,
        is_touched: &(impl Fn(&RowId) -> bool + Sync),
    ) -> HashMap<usize, Arc<Judged>> {
        let renumber = |image: &Image, known: &mut Known| {
            let before = known.judged.take()?;
            let of_windows = difference.touches_windows() && image.platform.is_some();
            let any_touched =
                |it: &Option<Box<[RowId]>>| it.as_ref().is_none_or(|it| it.iter().any(is_touched));
            let rows_touched = any_touched(&known.firmware) || !known.is_without && any_touched(&known.rows);
            known.judged = match difference {
                Difference::Products(products) if !of_windows && !rows_touched => before.renumbered(products),
                Difference::Products(_) | Difference::Everything => None,
            };
            Some((Arc::as_ptr(&before).addr(), Arc::clone(known.judged.as_ref()?)))
        };
        let mut images: Vec<(&Image, &mut Known)> = self.images.iter_mut().collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = images.len().div_ceil(cores).max(LEAST_SHARE);
        std::thread::scope(|scope| {
            let shares = images.chunks_mut(share).map(|share| {
                scope.spawn(|| share.iter_mut().filter_map(|it| renumber(it.0, it.1)).collect::<Vec<_>>())
            });
            let shares: Vec<_> = shares.collect();
            // A share that panicked has no findings, and its images none either: they are judged again.
            shares.into_iter().filter_map(|it| it.join().ok()).flatten().collect()
        })
    }

    /// The findings of an asset. `assets` says how many there are.
    pub(super) fn judge(&mut self, sections: &Sections, facts: &AssetFacts, assets: usize) -> Arc<Judged> {
        match self.look(sections, facts, assets) {
            Looked::Known(judged) => judged,
            Looked::ToJoin(job) => {
                let judged = Arc::new(job.join());
                self.keep(*job, &judged).unwrap_or(judged)
            }
        }
    }

    /// The findings of an asset, or what they are to be joined from. `assets` says how many there are.
    pub(super) fn look(&mut self, sections: &Sections, facts: &AssetFacts, assets: usize) -> Looked {
        self.forget(assets);
        let image = self.image(sections, facts);
        let known_rows = match self.images.get(&image) {
            Some(Known { judged: Some(judged), .. }) => return Looked::Known(Arc::clone(judged)),
            Some(Known { rows: Some(rows), is_without: false, .. }) => Some(rows.clone()),
            Some(_) | None => None,
        };
        let index = Arc::clone(&self.index);
        let of_windows = self.of_windows(&index, &image);
        let (results, ids) = match known_rows {
            Some(ids) => (Some(self.memory.again(&index, &ids)), Some(ids)),
            None => {
                let rows = facts.software.digest.and_then(|it| sections.rows(SectionKind::Software, &it));
                let looked = rows.map(|it| self.memory.look(&index, &image.beside, &it));
                looked.map_or((None, None), |(results, ids)| (Some(results), ids))
            }
        };
        let (firmware, of_firmware) = self.memory.look(&index, &image.beside, &image.firmware);
        let is_without = results.is_none();
        Looked::ToJoin(Box::new(Job {
            index,
            image,
            rows: judge::Rows { software: results.map(Spoken::of), firmware: Spoken::of(firmware) },
            of_windows,
            ids: if is_without { Some(Box::default()) } else { ids },
            of_firmware,
            // Rows that could not be read just now may be readable the next time.
            is_kept: !is_without || facts.software.digest.is_none(),
            forgotten: self.forgotten,
        }))
    }

    /// Keeps findings that were joined, for every asset with the same image. Returns what is kept of the image;
    /// `None` when there is another index by now, to which they mean nothing.
    pub(super) fn keep(&mut self, job: Job, judged: &Arc<Judged>) -> Option<Arc<Judged>> {
        if !Arc::ptr_eq(&self.index, &job.index) {
            return None;
        }
        let Job { image, rows, ids, of_firmware, is_kept, forgotten, .. } = job;
        if !is_kept {
            return Some(Arc::clone(judged));
        }
        // Rows that no image had were forgotten meanwhile, and these may be among them.
        let (ids, of_firmware) = if forgotten == self.forgotten { (ids, of_firmware) } else { (None, None) };
        let is_without = rows.software.is_none();
        let known = self.images.entry(image).or_insert(Known {
            rows: None,
            firmware: None,
            is_without,
            judged: None,
        });
        // Somebody else may have joined the same.
        if known.judged.is_none() {
            *known = Known { rows: ids, firmware: of_firmware, is_without, judged: Some(Arc::clone(judged)) };
        }
        known.judged.clone()
    }

    /// What follows from each row of an asset's software and firmware, and what of it is not in effect.
    pub(super) fn rows(&mut self, sections: &Sections, facts: &AssetFacts) -> RowsOf {
        let image = self.image(sections, facts);
        let index = Arc::clone(&self.index);
        let known = self.images.get(&image).filter(|it| !it.is_without).and_then(|it| it.rows.clone());
        let software = match known {
            Some(ids) => self.memory.again(&index, &ids),
            None => {
                let rows = facts.software.digest.and_then(|it| sections.rows(SectionKind::Software, &it));
                rows.map(|it| self.memory.look(&index, &image.beside, &it).0).unwrap_or_default()
            }
        };
        let firmware = self.memory.look(&index, &image.beside, &image.firmware).0;
        (software, firmware, image.not_in_effect)
    }

    fn of_windows(&mut self, index: &Index, image: &Image) -> OfWindows {
        let Some(platform) = image.platform.as_ref().filter(|it| it.is_windows()) else {
            return OfWindows::default();
        };
        if index.windows.is_empty() {
            return OfWindows::default();
        }
        let key = (Arc::clone(platform), image.platform_coverage, Arc::clone(&image.updates));
        let judged = self.windows.entry(key).or_insert_with(|| {
            let host =
                microsoft::Host { platform, coverage: image.platform_coverage, updates: &image.updates };
            microsoft::judge(index, host, None, &mut Trace::off()).into()
        });
        Arc::clone(judged)
    }

    fn image(&mut self, sections: &Sections, facts: &AssetFacts) -> Image {
        let AssetFacts { role, software, live, platform, updates, .. } = facts;
        let known = platform.digest.and_then(|digest| match self.platforms.get(&digest) {
            Some(known) => Some(Arc::clone(known)),
            None => {
                let read = sections.platform(platform)?;
                let shared = shared(&mut self.distinct, read);
                self.platforms.insert(digest, Arc::clone(&shared));
                Some(shared)
            }
        });
        let is_windows = known.as_ref().is_some_and(|it| it.is_windows());
        let looks = !self.index.platform.is_empty() || is_windows && !self.index.windows.is_empty();
        let updates = match updates.digest.filter(|_| is_windows && !self.index.windows.is_empty()) {
            None => Updates::default(),
            Some(digest) => Arc::clone(
                self.updates
                    .entry((digest, updates.coverage))
                    .or_insert_with(|| sections.updates(updates).into()),
            ),
        };
        let not_in_effect =
            self.not_in_effect.entry(live.digest).or_insert_with(|| Arc::new(sections.not_in_effect(live)));
        let not_in_effect = Arc::clone(not_in_effect);
        let beside = sections.beside(&self.index, facts, known.as_deref());
        Image {
            software: software.digest,
            coverage: software.coverage,
            beside: Arc::new(beside),
            platform: known.filter(|_| looks),
            platform_coverage: platform.coverage,
            updates,
            role: role.clone(),
            not_in_effect,
            firmware: facts.firmware.digest.map(|it| self.spoken_of(sections, it)).unwrap_or_default(),
            firmware_coverage: facts.firmware.coverage,
        }
    }

    /// Rows of firmware that something speaks of. Most components are nobody's product, and would only make every
    /// image another one.
    fn spoken_of(&mut self, sections: &Sections, digest: Digest) -> Firmware {
        let list = match self.firmware.get(&digest) {
            Some(known) => Arc::clone(known),
            None => {
                let rows = sections.firmware(&digest);
                let list = shared(&mut self.lists, rows);
                self.firmware.insert(digest, Arc::clone(&list));
                list
            }
        };
        let index = &self.index;
        let spoken_of = self.spoken_of.entry(Arc::clone(&list));
        Arc::clone(spoken_of.or_insert_with(|| Arc::new(spoken_of_by(index, &list))))
    }

    /// Forgets what nothing uses any more, once there is much of it.
    fn forget(&mut self, assets: usize) {
        let limit = 2 * assets + SPARE;
        if self.not_in_effect.len() > limit {
            self.not_in_effect.clear();
        }
        if self.platforms.len() > limit {
            self.platforms.clear();
            self.distinct.clear();
        }
        if self.updates.len() > limit {
            self.updates.clear();
        }
        if self.windows.len() > limit {
            self.windows.clear();
        }
        if self.firmware.len() > limit {
            self.firmware.clear();
            self.lists.clear();
            self.spoken_of.clear();
        }
        if self.images.len() > limit {
            self.images.retain(|_, known| known.judged.as_ref().is_some_and(|it| Arc::strong_count(it) > 1));
            let used =
                self.images.values().flat_map(|it| [it.rows.as_deref(), it.firmware.as_deref()]).flatten();
            self.memory.keep_only(used);
            self.forgotten += 1;
        }
    }
}

/// Rows of firmware that an index speaks of.
fn spoken_of_by(index: &Index, list: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let nobody = Beside::default();
    let is_spoken_of =
        |row: &&Vec<u8>| row::judge(index, &nobody, row).is_some_and(|it| it.matched != Match::NoFeed);
    list.iter().filter(is_spoken_of).cloned().collect()
}

/// Whether anything looks at the platform of every asset.
fn looks_at_platform(index: &Index) -> bool {
    !index.platform.is_empty()
}

fn shared<T: Eq + Hash + Clone>(held: &mut HashMap<T, Arc<T>>, value: T) -> Arc<T> {
    Arc::clone(held.entry(value.clone()).or_insert_with(|| Arc::new(value)))
}
