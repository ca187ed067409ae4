//! Knowledge packs: brought by one person, released by another, and taken member by member.

mod message;
mod release;
mod signers;
mod trial;

use std::sync::Arc;

use holdpoint_common::bundle::KeyId;
use holdpoint_common::chain::Chain;
use holdpoint_common::identity::ZoneName;
use holdpoint_common::pack::{Head, InvalidPack, Manifest, Pack};
use holdpoint_common::proto::store::PackPage;
use holdpoint_common::proto::store::pack_page::State;
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::section::Digest;
use tonic::Status;
use tracing::info;

use crate::knowledge::Rehearsal;
use crate::knowledge::text::shown;
use crate::packs::admit::{self, Brought};
use crate::packs::{MAX_DECIDED, QuarantineError, Record, Signer, quarantine};
use crate::store::Txn;
use crate::zone::status_of;

use super::{Caller, Deed, KnowledgeService, Office, blocking};
use message::message;
use trial::{Trial, rehearse};

/// Bytes of members that are written at once.
const AT_ONCE: usize = 4 * 1024 * 1024;
/// Fewest digits of a digest or key that name it.
const MIN_DIGITS: usize = 8;

/// A pack whose signature, signer, zone, serial and members are in order.
struct Judged {
    manifest: Manifest,
    digest: Digest,
    signer: Signer,
    /// Bytes before the members.
    before: usize,
    members: Vec<pb::PackMember>,
}

/// What became of a pack that was looked at.
enum Verdict {
    New(Box<Judged>),
    Known(Box<(Record, Signer)>),
    Refused(String),
}

impl<O: Office> KnowledgeService<O> {
    /// Puts a pack into quarantine. One that cannot be used is an answer, not a failure.
    pub(super) async fn bring_pack(
        &self,
        caller: Caller,
        file: String,
        bytes: Result<Vec<u8>, InvalidPack>,
    ) -> Result<pb::ImportPackResult, Status> {
        let quarantined = |pack| Ok(pb::ImportPackResult { quarantined: Some(pack), refused: String::new() });
        let refused = |refused| Ok(pb::ImportPackResult { quarantined: None, refused });
        let bytes = match bytes {
            Ok(bytes) => Arc::new(bytes),
            Err(error) => return refused(error.to_string()),
        };
        let quarantine = Arc::clone(self.office.quarantine());
        let _turn = quarantine.turn().await;
        self.sweep().await?;
        let (own, rehearsal, now_ms) =
            (self.office.zone().clone(), self.library.rehearsal(), self.office.now_ms());
        let (looked_at, here) = (Arc::clone(&bytes), Arc::clone(&quarantine));
        let verdict = blocking(move || {
            let held = here.packs()?;
            judge(&looked_at, &own, &held, |key| here.signer(key), rehearsal, now_ms)
        });
        let judged = match verdict.await?.map_err(|it| failed(&it))? {
            Verdict::New(judged) => *judged,
            Verdict::Known(known) => {
                let (record, signer) = *known;
                let message = message(&record, Some(&signer), Vec::new());
                return quarantined(pb::Pack { known: true, ..message });
            }
            Verdict::Refused(why) => {
                info!(file, why, "a pack is refused");
                return refused(why);
            }
        };
        let (record, signer, members) = self.lay_aside(caller, file, &bytes, judged).await?;
        quarantined(message(&record, Some(&signer), members))
    }

    /// Writes a pack that is in order: its members first, and what makes them count last.
    async fn lay_aside(
        &self,
        caller: Caller,
        file: String,
        bytes: &[u8],
        judged: Judged,
    ) -> Result<(Record, Signer, Vec<pb::PackMember>), Status> {
        let Judged { manifest, digest, signer, before, members } = judged;
        let Caller { by, person, .. } = caller;
        let (head, mut rest) = bytes.split_at_checked(before).unwrap_or((bytes, &[]));
        let page = PackPage {
            state: State::Arriving.into(),
            title: manifest.title.clone(),
            serial: manifest.serial,
            signer: signer.id().as_bytes().to_vec(),
            made_ms: manifest.made_ms,
            zones: manifest.zones.clone(),
            files: u32::try_from(manifest.members.len()).unwrap_or(u32::MAX),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            file,
            brought_ms: self.office.now_ms(),
            brought_by: by.clone(),
            brought_person: person.clone(),
            ..PackPage::default()
        };
        let mut record = Record { digest, page };
        self.office.keep(quarantine::put_pack(Txn::report(), &record)).await?;
        let (mut txn, mut waiting) = (Txn::report(), 0);
        for (number, listed) in manifest.members.iter().enumerate() {
            let (member, more) = rest.split_at_checked(listed.bytes()).unwrap_or((rest, &[]));
            rest = more;
            txn = quarantine::put_member(txn, &digest, number, member);
            waiting += member.len();
            if waiting >= AT_ONCE {
                self.office.keep(std::mem::replace(&mut txn, Txn::report())).await?;
                waiting = 0;
            }
        }
        record.page.set_state(State::Waiting);
        txn = quarantine::put_pack(quarantine::put_head(txn, &digest, head), &record);
        let text = format!(
            "`{}`: {} files, signed by {}; brought by {person}",
            manifest.title,
            manifest.members.len(),
            named(&signer)
        );
        let deed = Deed { by, action: "pack-quarantined", subject: subject(&record), text };
        self.office.commit(txn, deed).await?;
        Ok((record, signer, members))
    }

    /// Every pack; or one, with what each of its members would do now.
    pub(super) async fn packs(&self, one: Option<String>) -> Result<Vec<pb::Pack>, Status> {
        let quarantine = Arc::clone(self.office.quarantine());
        let (rehearsal, now_ms) = (self.library.rehearsal(), self.office.now_ms());
        let listed = blocking(move || {
            let signers = quarantine.signers().map_err(|it| failed(&it))?;
            let mut held = quarantine.packs().map_err(|it| failed(&it))?;
            held.retain(|it| it.state() != State::Arriving);
            let signer = |record: &Record| signers.iter().find(|it| record.is_of(&it.id()));
            let Some(typed) = one else {
                return Ok(held.iter().map(|it| message(it, signer(it), Vec::new())).collect());
            };
            let record = find(held, &typed)?;
            if record.state() != State::Waiting {
                return Ok(vec![message(&record, signer(&record), Vec::new())]);
            }
            let contents = quarantine.contents(&record.digest).map_err(|it| failed(&it))?;
            let mut pack = message(&record, signer(&record), Vec::new());
            match rehearse(rehearsal, &contents, now_ms).map_err(|it| failed(&it))? {
                Ok(members) => pack.members = members,
                Err(why) => pack.hindrance = Some(why),
            }
            Ok(vec![pack])
        });
        listed.await?
    }

    /// Removes packs that arrived in part.
    async fn sweep(&self) -> Result<(), Status> {
        for record in self.every_pack().await?.iter().filter(|it| it.state() == State::Arriving) {
            let txn = quarantine::delete_contents(Txn::admin(), record);
            self.office.keep(quarantine::delete_pack(txn, &record.digest)).await?;
        }
        Ok(())
    }

    /// Forgets decided packs beyond those that stay listed, and makes room for one more.
    async fn forget_oldest(&self, txn: Txn) -> Result<Txn, Status> {
        let held = self.every_pack().await?;
        let decided = held.iter().filter(|it| matches!(it.state(), State::Released | State::Rejected));
        let old = decided.skip(MAX_DECIDED - 1);
        Ok(old.fold(txn, |txn, it| quarantine::delete_pack(txn, &it.digest)))
    }

    async fn every_pack(&self) -> Result<Vec<Record>, Status> {
        let quarantine = Arc::clone(self.office.quarantine());
        blocking(move || quarantine.packs()).await?.map_err(|it| failed(&it))
    }

    async fn found(&self, typed: &str) -> Result<(Record, Option<Signer>), Status> {
        let record = find(self.every_pack().await?, typed)?;
        let signer = self.every_signer().await?.into_iter().find(|it| record.is_of(&it.id()));
        Ok((record, signer))
    }
}

/// Judges a pack that somebody brought: nothing of it is parsed before its signer is known and the signature right.
fn judge(
    bytes: &[u8],
    own: &ZoneName,
    packs: &[Record],
    signer: impl FnOnce(&KeyId) -> Result<Option<Signer>, QuarantineError>,
    rehearsal: Rehearsal,
    now_ms: i64,
) -> Result<Verdict, QuarantineError> {
    let refused = |why: &dyn std::error::Error| Ok(Verdict::Refused(Chain(why).to_string()));
    let key = match Head::read(bytes) {
        Ok((head, _)) => head.key().clone(),
        Err(why) => return refused(&why),
    };
    let found = signer(&key.id())?;
    let signer = match admit::signer(found.as_ref(), &key) {
        Ok(signer) => signer.clone(),
        Err(why) => return refused(&why),
    };
    let Pack { manifest, digest, head, members, .. } = match Pack::read(bytes) {
        Ok(pack) => pack,
        Err(why) => return refused(&why),
    };
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match admit::arrival(&Brought { manifest: &manifest, digest: &digest, bytes: size }, &signer, own, packs)
    {
        Ok(None) => {}
        Ok(Some(known)) => return Ok(Verdict::Known(Box::new((known.clone(), signer)))),
        Err(why) => return refused(&why),
    }
    let mut trial = Trial::new(rehearsal, now_ms);
    let tried: Result<Vec<_>, String> =
        manifest.members.iter().zip(members).map(|(listed, bytes)| trial.member(listed, bytes)).collect();
    Ok(match tried {
        Ok(members) => {
            Verdict::New(Box::new(Judged { manifest, digest, signer, before: head.len(), members }))
        }
        Err(why) => Verdict::Refused(why),
    })
}

/// The pack of that name, or whose digest begins so.
fn find(held: Vec<Record>, typed: &str) -> Result<Record, Status> {
    let typed = typed.trim();
    let is_digest = |it: &Record| {
        typed.len() >= MIN_DIGITS && it.digest.to_string().starts_with(&typed.to_ascii_lowercase())
    };
    let mut meant = held
        .into_iter()
        .filter(|it| it.state() != State::Arriving && (it.id().eq_ignore_ascii_case(typed) || is_digest(it)));
    let shown = shown(typed, 80);
    match (meant.next(), meant.next()) {
        (Some(record), None) => Ok(record),
        (Some(_), Some(_)) => Err(Status::failed_precondition(format!(
            "several packs are called `{shown}`: say more of the digest"
        ))),
        (None, _) => {
            Err(Status::not_found(format!("no pack is called `{shown}`: `holdpoint pack list` lists them")))
        }
    }
}

fn failed(cause: &QuarantineError) -> Status {
    match cause {
        QuarantineError::Store(cause) => status_of(cause),
        QuarantineError::Page(_) | QuarantineError::Contents(_) => {
            Status::failed_precondition(Chain(cause).to_string())
        }
    }
}

/// A signer in a sentence: its name here and its key's.
fn named(signer: &Signer) -> String {
    format!("{} {}", signer.page.name, signer.id())
}

/// A pack in the audit log: its name and all of its digest.
fn subject(record: &Record) -> String {
    format!("{} {}", record.id(), record.digest)
}
