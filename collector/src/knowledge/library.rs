//! The knowledge of a zone: read from the store when the collector starts, changed by imports and decisions.
//!
//! A change is first prepared (pure, against the current state), then committed by the caller
//! together with its audit entry, then published. Preparing and publishing must not interleave:
//! the caller holds [`Library::turn`] meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use holdpoint_common::chain::Chain;
use holdpoint_common::proto::store::{DocumentRecord, MapRuleRecord};
use holdpoint_common::section::Digest;
use tracing::warn;

use crate::store::{Store, StoreError, Txn};

use super::difference::difference;
use super::import::{self, Content, ImportError, Kind};
use super::lint::lint;
use super::statement::Mapping;
use super::supersede::{self, Standing};
use super::{Held, HeldAdvisory, HeldRequirement, Knowledge, Source};

/// Most documents that a zone holds, replaced ones included.
pub const MAX_DOCUMENTS: usize = 20_000;

/// The knowledge cannot be read from the store.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The store's answer.
    #[error("cannot read what the zone was told")]
    Read(#[from] StoreError),
}

/// A change that is ready to be committed.
#[derive(Debug)]
pub struct Prepared {
    /// What to write; the caller may add to it.
    pub txn: Txn,
    /// What to publish afterwards.
    pub knowledge: Arc<Knowledge>,
    /// The file's digest.
    pub digest: Digest,
    /// Its kind.
    pub kind: Kind,
    /// Entries or requirements in it.
    pub items: u32,
    /// The very same bytes were held already.
    pub unchanged: bool,
    /// What was left out, each with its reason.
    pub skipped: Vec<String>,
    /// Of an advisory that takes the place of an earlier revision: what it says otherwise.
    pub changes: Vec<String>,
    /// Of an advisory: how many of its lines can never be decided, or deserve a person's look.
    pub faults: u32,
    /// Records of documents that are new or changed.
    documents: Vec<DocumentRecord>,
}

/// See the module.
#[derive(Debug)]
pub struct Library {
    state: RwLock<State>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct State {
    knowledge: Arc<Knowledge>,
    documents: Documents,
}

/// Every document, by its digest.
type Documents = HashMap<Vec<u8>, DocumentRecord>;

impl Library {
    /// Reads every document and rule. A document that cannot be read any more is kept, logged, and
    /// makes its kind stale.
    pub fn open(store: &Store) -> Result<Self, LibraryError> {
        let mut documents = store.documents()?;
        // In the order in which they were taken in: each one was judged against those before it.
        documents.sort_by_key(|it| it.imported_ms);
        let mut knowledge =
            Knowledge { revision: 1, rules: store.map_rules()?.into(), ..Knowledge::default() };
        let mut seen = Seen::default();
        let (replaced, current): (Vec<_>, Vec<_>) = documents.iter().partition(|it| it.replaced);
        // A list of a supplier is read by its mapping, which may have been brought in again after it.
        let (mappings, current): (Vec<_>, Vec<_>) =
            current.into_iter().partition(|it| Kind::named(&it.kind) == Some(Kind::Mapping));
        for record in mappings.into_iter().chain(replaced).chain(current) {
            let Some(kind) = Kind::named(&record.kind) else { continue };
            if record.replaced && !kind.is_advisory() {
                continue;
            }
            match reread(store, record, &knowledge) {
                Ok(content) => seen.take(&mut knowledge, content, source_of(record)),
                Err(why) => {
                    warn!(file = record.file, why, "a held document cannot be read again");
                    knowledge.unreadable.push((kind, record.file.clone(), why));
                }
            }
        }
        let documents = documents.into_iter().map(|it| (it.digest.clone(), it)).collect();
        let state = State { knowledge: Arc::new(knowledge), documents };
        Ok(Self { state: RwLock::new(state), turn: tokio::sync::Mutex::default() })
    }

    /// What is known now.
    pub fn current(&self) -> Arc<Knowledge> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).knowledge)
    }

    /// One change at a time: to be held from preparing until after publishing.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Reads a file and prepares to hold it. Takes as long as the file is large: not for an asynchronous thread.
    pub fn prepare(
        &self,
        file: &str,
        bytes: Vec<u8>,
        by: &str,
        now_ms: i64,
    ) -> Result<Prepared, ImportError> {
        // Reading takes long, and whoever prepares has the turn: nothing changes meanwhile.
        let read = import::read(file, &bytes, &self.current())?;
        self.state.read().unwrap_or_else(PoisonError::into_inner).prepare(file, read, bytes, by, now_ms)
    }

    /// What is known now, to try files on that are not to be taken yet.
    pub fn rehearsal(&self) -> Rehearsal {
        Rehearsal(self.state.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Shows a change that has become durable.
    pub fn publish(&self, prepared: Prepared) -> Arc<Knowledge> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.show(prepared);
        Arc::clone(&state.knowledge)
    }

    /// Shows a decision that has become durable.
    pub fn publish_rule(&self, rule: MapRuleRecord) -> Arc<Knowledge> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut knowledge = (*state.knowledge).clone();
        knowledge.revision += 1;
        let rules = Arc::make_mut(&mut knowledge.rules);
        rules.retain(|it| it.id != rule.id);
        rules.push(rule);
        state.knowledge = Arc::new(knowledge);
        Arc::clone(&state.knowledge)
    }
}

impl State {
    /// Prepares to hold what was read of a file.
    fn prepare(
        &self,
        file: &str,
        (content, skipped): (Content, Vec<String>),
        bytes: Vec<u8>,
        by: &str,
        now_ms: i64,
    ) -> Result<Prepared, ImportError> {
        let digest = Digest::of(&bytes);
        let (kind, items) = (content.kind(), content.items());
        let faults = match &content {
            Content::Advisory(advisory) => u32::try_from(lint(advisory).len()).unwrap_or(u32::MAX),
            Content::Kev(_)
            | Content::Epss(_)
            | Content::Statements(_)
            | Content::Mapping(_)
            | Content::Placement(_)
            | Content::Requirements(_)
            | Content::Hardening(_)
            | Content::Map(_) => 0,
        };
        let mut record = DocumentRecord {
            digest: digest.to_vec(),
            file: file.to_owned(),
            kind: kind.as_str().to_owned(),
            imported_ms: now_ms,
            imported_by: by.to_owned(),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            tracking_id: String::new(),
            tracking_version: String::new(),
            replaced: false,
            items,
        };
        if let Content::Advisory(advisory) = &content {
            record.tracking_id.clone_from(&advisory.revision.id);
            record.tracking_version.clone_from(&advisory.revision.version);
        }
        let mut knowledge = (*self.knowledge).clone();
        knowledge.revision += 1;

        if let Some(held) = self.documents.get(&record.digest) {
            let unchanged = |txn, knowledge, skipped, documents| Prepared {
                txn,
                knowledge,
                digest,
                kind,
                items,
                unchanged: true,
                skipped,
                changes: Vec::new(),
                faults,
                documents,
            };
            if held.replaced && kind.is_advisory() {
                let note = vec!["a newer revision is held; this one is kept and not judged".to_owned()];
                return Ok(unchanged(Txn::admin(), Arc::clone(&self.knowledge), note, Vec::new()));
            }
            // Somebody has carried the same file in again: it is as current as if it were new.
            let mut held = held.clone();
            held.imported_ms = now_ms;
            by.clone_into(&mut held.imported_by);
            file.clone_into(&mut held.file);
            held.replaced = false;
            let txn = Txn::admin().update_document(held.clone());
            take(&mut knowledge, content, source_of(&held));
            return Ok(unchanged(txn, Arc::new(knowledge), skipped, vec![held]));
        }
        if self.documents.len() >= MAX_DOCUMENTS {
            return Err(ImportError::TooMany { max: MAX_DOCUMENTS });
        }
        let mut txn = Txn::admin();
        let mut documents = replaced_by(&self.knowledge, &content, file, &self.documents)?;
        let changes = changes(&self.knowledge, &content, &documents);
        for held in &documents {
            txn = txn.update_document(held.clone());
        }
        txn = txn.put_document(record.clone(), bytes);
        take(&mut knowledge, content, source_of(&record));
        documents.push(record);
        let knowledge = Arc::new(knowledge);
        Ok(Prepared {
            txn,
            knowledge,
            digest,
            kind,
            items,
            unchanged: false,
            skipped,
            changes,
            faults,
            documents,
        })
    }

    /// Shows what was prepared.
    fn show(&mut self, prepared: Prepared) {
        let Prepared { knowledge, documents, .. } = prepared;
        self.knowledge = knowledge;
        self.documents.extend(documents.into_iter().map(|it| (it.digest.clone(), it)));
    }
}

/// What would be known if some files were taken, one after the other. Nothing of it is kept or shown to anybody.
#[derive(Debug, Default)]
pub struct Rehearsal(State);

impl Rehearsal {
    /// Reads a file as if it were taken.
    ///
    /// # Errors
    /// The file would be refused.
    pub fn take(&mut self, file: &str, bytes: &[u8], now_ms: i64) -> Result<Rehearsed, ImportError> {
        let read = import::read(file, bytes, &self.0.knowledge)?;
        let mut prepared = self.0.prepare(file, read, bytes.to_vec(), "", now_ms)?;
        let Prepared { digest, kind, items, unchanged, faults, .. } = prepared;
        let (skipped, changes) =
            (std::mem::take(&mut prepared.skipped), std::mem::take(&mut prepared.changes));
        self.0.show(prepared);
        Ok(Rehearsed { digest, kind, items, unchanged, skipped, changes, faults })
    }
}

/// What a file would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// The file's digest.
    pub digest: Digest,
    /// Its kind.
    pub kind: Kind,
    /// Entries or requirements in it.
    pub items: u32,
    /// The very same bytes are held already.
    pub unchanged: bool,
    /// What would be left out, each with its reason.
    pub skipped: Vec<String>,
    /// Of an advisory that takes the place of an earlier revision: what it says otherwise.
    pub changes: Vec<String>,
    /// Of an advisory: how many of its lines can never be decided, or deserve a person's look.
    pub faults: u32,
}

fn reread(store: &Store, record: &DocumentRecord, known: &Knowledge) -> Result<Content, String> {
    let digest = record.digest.as_slice().try_into().map_err(|_| "its digest is not 32 bytes".to_owned())?;
    let bytes = store.document_bytes(&digest).map_err(|it| Chain(&it).to_string())?;
    let bytes = bytes.ok_or_else(|| "its bytes are missing".to_owned())?;
    import::read(&record.file, &bytes, known).map(|it| it.0).map_err(|it| it.to_string())
}

fn source_of(record: &DocumentRecord) -> Arc<Source> {
    let digest = Digest::try_from(record.digest.as_slice()).unwrap_or_else(|_| Digest::of(&record.digest));
    Arc::new(Source {
        digest,
        file: record.file.clone(),
        imported_ms: record.imported_ms,
        imported_by: record.imported_by.clone(),
    })
}

/// What was taken already, so that thousands of files that have nothing to do with each other are not compared.
#[derive(Debug, Default)]
struct Seen {
    families: HashSet<String>,
    digests: HashSet<Digest>,
}

impl Seen {
    fn take(&mut self, knowledge: &mut Knowledge, content: Content, source: Arc<Source>) {
        if let Content::Advisory(advisory) = content {
            let is_new = self.families.insert(advisory.revision.family().to_owned())
                & self.digests.insert(source.digest);
            if is_new {
                let advisory = Arc::new(*advisory);
                knowledge.advisories.push(HeldAdvisory { advisory, source, superseded: false });
            } else {
                take(knowledge, Content::Advisory(advisory), source);
            }
        } else {
            take(knowledge, content, source);
        }
    }
}

/// Adds what a file says. The newest word on an identifier wins.
pub(crate) fn take(knowledge: &mut Knowledge, content: Content, source: Arc<Source>) {
    match content {
        Content::Advisory(advisory) => {
            let digest = source.digest;
            knowledge.advisories.retain(|it| it.source.digest != digest);
            let newer = HeldAdvisory { advisory: Arc::new(*advisory), source, superseded: false };
            supersede::add(&mut knowledge.advisories, newer);
        }
        Content::Requirements(listed) => {
            let ids: HashSet<&str> = listed.iter().map(|it| it.id.as_str()).collect();
            knowledge
                .requirements
                .retain(|it| it.source.file != source.file && !ids.contains(it.requirement.id.as_str()));
            let held = |it| HeldRequirement { requirement: Arc::new(it), source: Arc::clone(&source) };
            knowledge.requirements.extend(listed.into_iter().map(held));
        }
        Content::Kev(catalog) => knowledge.kev = Some(Held { content: catalog.into(), source }),
        Content::Epss(scores) => knowledge.epss = Some(Held { content: scores.into(), source }),
        Content::Statements(it) => {
            // A later list never edits an earlier one: all of them stay.
            knowledge.statements.retain(|it| it.source.digest != source.digest);
            knowledge.statements.push(Held { content: Arc::new(*it), source });
        }
        Content::Mapping(it) => {
            for held in &mut knowledge.statements {
                if let Some(again) = held.content.read_again(&it) {
                    held.content = Arc::new(again);
                }
            }
            knowledge.mappings.retain(|held| held.content.id != it.id);
            put(&mut knowledge.mappings, *it, source);
        }
        Content::Placement(it) => put(&mut knowledge.placements, *it, source),
        Content::Hardening(it) => put(&mut knowledge.hardening, *it, source),
        Content::Map(it) => put(&mut knowledge.maps, *it, source),
    }
}

/// Adds a file in place of the one of that name.
fn put<T>(held: &mut Vec<Held<T>>, content: T, source: Arc<Source>) {
    held.retain(|it| it.source.file != source.file);
    held.push(Held { content: Arc::new(content), source });
}

/// The digests of the files of that name.
fn of_file<T>(held: &[Held<T>], file: &str) -> Vec<Digest> {
    held.iter().filter(|it| it.source.file == file).map(|it| it.source.digest).collect()
}

/// What an advisory says otherwise than those whose place it takes.
fn changes(knowledge: &Knowledge, content: &Content, replaced: &[DocumentRecord]) -> Vec<String> {
    let Content::Advisory(new) = content else { return Vec::new() };
    let is_replaced = |it: &&HeldAdvisory| {
        !it.superseded
            && replaced.iter().any(|record| record.digest.as_slice() == it.source.digest.as_bytes())
    };
    let held = knowledge.advisories.iter().filter(is_replaced);
    held.flat_map(|it| difference(&it.advisory, new)).collect()
}

/// Marks the documents that new content replaces; refuses content that is older than what is held.
fn replaced_by(
    knowledge: &Knowledge,
    content: &Content,
    file: &str,
    documents: &Documents,
) -> Result<Vec<DocumentRecord>, ImportError> {
    let digests: Vec<Digest> = match content {
        Content::Advisory(new) => {
            let mut digests = Vec::new();
            for held in knowledge.advisories.iter().filter(|it| !it.superseded) {
                let old = &held.advisory.revision;
                let refuse = |what: &str| {
                    Err(ImportError::Revision(format!(
                        "version {} of {} is held; version {} of {} {what}",
                        old.version, old.id, new.revision.version, new.revision.id
                    )))
                };
                match supersede::standing(new, &held.advisory) {
                    Standing::Unrelated => {}
                    Standing::Newer => digests.push(held.source.digest),
                    Standing::Older => return refuse("is older"),
                    Standing::Equal => return refuse("has other bytes and does not say that it is newer"),
                    Standing::Unordered => return refuse("cannot be ordered beside it"),
                    Standing::Outranked => {
                        return refuse(
                            "repeats it, and the vendor's own document outranks what was made of it",
                        );
                    }
                }
            }
            digests
        }
        Content::Requirements(_) => {
            let same = knowledge.requirements.iter().filter(|it| it.source.file == file);
            same.map(|it| it.source.digest).collect()
        }
        Content::Kev(new) => {
            let held = knowledge.kev.iter();
            if let Some(held) = held.clone().find(|it| it.content.released_ms > new.released_ms) {
                return Err(ImportError::Revision(format!(
                    "the catalogue of {} is held; {} is older",
                    held.content.version, new.version
                )));
            }
            held.map(|it| it.source.digest).collect()
        }
        Content::Epss(new) => {
            let held = knowledge.epss.iter();
            if let Some(held) = held.clone().find(|it| it.content.scored > new.scored) {
                return Err(ImportError::Revision(format!(
                    "the scores of {} are held; those of {} are older",
                    held.content.scored, new.scored
                )));
            }
            held.map(|it| it.source.digest).collect()
        }
        Content::Statements(_) => Vec::new(),
        Content::Mapping(new) => {
            let same = |it: &&Held<Mapping>| it.source.file == file || it.content.id == new.id;
            knowledge.mappings.iter().filter(same).map(|it| it.source.digest).collect()
        }
        Content::Placement(_) => of_file(&knowledge.placements, file),
        Content::Hardening(_) => of_file(&knowledge.hardening, file),
        Content::Map(_) => of_file(&knowledge.maps, file),
    };
    let mut digests = digests;
    digests.sort_unstable();
    digests.dedup();
    let held = digests.iter().filter_map(|it| documents.get(it.as_bytes().as_slice()));
    let replaced = held.filter(|it| !it.replaced);
    Ok(replaced.map(|it| DocumentRecord { replaced: true, ..it.clone() }).collect())
}
