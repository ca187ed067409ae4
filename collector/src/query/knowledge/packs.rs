//! Knowledge packs: brought by one person, released by another, and taken member by member.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use holdpoint_common::bundle::{Algorithm, KeyId};
use holdpoint_common::chain::Chain;
use holdpoint_common::identity::ZoneName;
use holdpoint_common::one_shot::is_one_shot;
use holdpoint_common::pack::{self, Head, InvalidPack, Manifest, Pack, fingerprint, is_typed};
use holdpoint_common::proto::store::pack_page::State;
use holdpoint_common::proto::store::{PackPage, PackSignerPage};
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::section::Digest;
use tonic::Status;
use tracing::{info, warn};

use crate::knowledge::text::shown;
use crate::knowledge::{ImportError, Prepared, Rehearsal};
use crate::packs::admit::{self, Brought, Refusal};
use crate::packs::{
    Contents, MAX_DECIDED, MAX_SIGNERS, MAX_UNPACKED, QuarantineError, Record, Signer, measure, quarantine,
};
use crate::store::Txn;
use crate::zone::{amend, status_of};

use super::{Caller, Deed, KnowledgeService, Office, blocking, why};

/// Bytes of members that are written at once.
const AT_ONCE: usize = 4 * 1024 * 1024;
/// Longest name of a signer, in characters.
const MAX_SIGNER_NAME: usize = 100;
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

    /// Lets a second person say that a pack counts, and takes its members in their order.
    pub(super) async fn release(&self, caller: Caller, typed: &str) -> Result<pb::Pack, Status> {
        let quarantine = Arc::clone(self.office.quarantine());
        let _turn = quarantine.turn().await;
        let (mut record, signer) = self.found(typed).await?;
        refuse(admit::release(&record, signer.as_ref()))?;
        refuse(admit::second_person(&record, &caller.by, &caller.person))?;
        if caller.key_made_here {
            return Err(Status::failed_precondition(format!(
                "the key of `{}` was made by the collector, so it releases nothing: enrol this operator with \
                 `operator add` and `holdpoint enroll`",
                caller.person
            )));
        }
        let _library = self.library.turn().await;
        if record.state() == State::Waiting {
            let (digest, rehearsal) = (record.digest, self.library.rehearsal());
            let (now_ms, here) = (self.office.now_ms(), Arc::clone(&quarantine));
            let tried = blocking(move || rehearse(rehearsal, &here.contents(&digest)?, now_ms));
            if let Err(why) = tried.await?.map_err(|it| failed(&it))? {
                return Err(Status::failed_precondition(format!("nothing of it is taken: {why}")));
            }
            self.begin(&caller, &mut record, signer).await?;
        }
        self.take_members(&mut record).await?;
        let (record, signer) = self.found(typed).await?;
        Ok(message(&record, signer.as_ref(), Vec::new()))
    }

    /// Writes that a pack is released, by whom, and that no earlier one of its signer comes in any more.
    async fn begin(
        &self,
        caller: &Caller,
        record: &mut Record,
        signer: Option<Signer>,
    ) -> Result<(), Status> {
        let Caller { by, person, .. } = caller;
        let page = &mut record.page;
        page.set_state(State::Releasing);
        page.decided_ms = Some(self.office.now_ms());
        page.decided_by.clone_from(by);
        page.decided_person.clone_from(person);
        let mut txn = quarantine::put_pack(Txn::admin(), record);
        let name = signer.as_ref().map_or_else(|| "nobody".to_owned(), named);
        if let Some(mut signer) = signer {
            signer.page.released_serial = record.page.serial;
            txn = quarantine::put_signer(txn, &signer);
        }
        let PackPage { title, files, brought_by, brought_person, .. } = &record.page;
        let text = format!(
            "`{title}`: {files} files, signed by {name}; brought by {brought_person} ({brought_by}), released by \
             {person}"
        );
        let deed = Deed { by: by.clone(), action: "pack-released", subject: subject(record), text };
        self.office.commit(txn, deed).await
    }

    /// Takes what is left of a pack that is being released. Who calls it has the turns of quarantine and library.
    async fn take_members(&self, record: &mut Record) -> Result<(), Status> {
        let outcome = self.take_each(record).await;
        // Also of what was taken before something failed.
        self.announce(self.library.current(), self.office.now_ms()).await?;
        outcome
    }

    async fn take_each(&self, record: &mut Record) -> Result<(), Status> {
        let here = Arc::clone(self.office.quarantine());
        let digest = record.digest;
        let contents = blocking(move || here.contents(&digest)).await?.map_err(|it| failed(&it))?;
        let contents = Arc::new(contents);
        let (by, id) = (record.page.decided_by.clone(), record.id());
        let mut imported_ms = self.office.now_ms();
        for number in
            usize::try_from(record.page.taken).unwrap_or(usize::MAX)..contents.manifest.members.len()
        {
            // A zone reads its files again in the order of these times.
            imported_ms = self.office.now_ms().max(imported_ms + 1);
            let (library, contents, who) = (Arc::clone(&self.library), Arc::clone(&contents), by.clone());
            let prepared = blocking(move || {
                let name =
                    contents.manifest.members.get(number).map(|it| it.name.clone()).unwrap_or_default();
                let bytes = contents.member(number)?;
                let prepared = library.prepare(&name, bytes, &who, imported_ms);
                Ok::<_, QuarantineError>((name, prepared))
            });
            let (name, prepared) = prepared.await?.map_err(|it| failed(&it))?;
            record.page.taken += 1;
            let (mut txn, published, action, text) = match prepared {
                Ok(mut prepared) => {
                    let Prepared { kind, items, unchanged, .. } = prepared;
                    let unchanged = if unchanged { ", unchanged" } else { "" };
                    let text = format!("{} with {items} items{unchanged}, from pack {id}", kind.as_str());
                    let txn = std::mem::replace(&mut prepared.txn, Txn::admin());
                    (txn, Some(prepared), "imported", text)
                }
                Err(why) => (Txn::admin(), None, "import-left-out", format!("from pack {id}: {why}")),
            };
            amend(&mut txn, |it| quarantine::put_pack(it, record));
            let deed = Deed { by: by.clone(), action, subject: name, text };
            self.office.commit(txn, deed).await?;
            if let Some(prepared) = published {
                self.library.publish(prepared);
            }
        }
        let taken = record.page.taken;
        let txn = quarantine::delete_contents(Txn::admin(), record);
        record.page.set_state(State::Released);
        let txn = self.forget_oldest(quarantine::put_pack(txn, record)).await?;
        let text = format!("all of its {taken} files are in");
        self.office.commit(txn, Deed { by, action: "pack-taken", subject: subject(record), text }).await
    }

    /// Lets a person say that a pack never counts.
    pub(super) async fn reject(&self, caller: Caller, typed: &str, reason: &str) -> Result<pb::Pack, Status> {
        let reason = why(reason, "a rejection needs its reason")?;
        let quarantine = Arc::clone(self.office.quarantine());
        let _turn = quarantine.turn().await;
        let (mut record, signer) = self.found(typed).await?;
        match record.state() {
            State::Waiting => {}
            State::Releasing | State::Released => {
                return Err(Status::failed_precondition("the pack is released already"));
            }
            State::Rejected | State::Arriving | State::Unspecified => {
                return Err(Status::failed_precondition("the pack is rejected already"));
            }
        }
        let Caller { by, person, .. } = caller;
        let page = &mut record.page;
        page.set_state(State::Rejected);
        page.decided_ms = Some(self.office.now_ms());
        page.decided_by.clone_from(&by);
        page.decided_person.clone_from(&person);
        page.reason.clone_from(&reason);
        let txn = quarantine::put_pack(quarantine::delete_contents(Txn::admin(), &record), &record);
        let txn = self.forget_oldest(txn).await?;
        let PackPage { title, brought_by, brought_person, .. } = &record.page;
        let name = signer.as_ref().map_or_else(|| "nobody".to_owned(), named);
        let text = format!(
            "`{title}`, signed by {name}; brought by {brought_person} ({brought_by}), rejected by {person}: {reason}"
        );
        let deed = Deed { by, action: "pack-rejected", subject: subject(&record), text };
        self.office.commit(txn, deed).await?;
        Ok(message(&record, signer.as_ref(), Vec::new()))
    }

    /// Believes a key from now on. The person has typed its fingerprint from elsewhere.
    pub(super) async fn trust(
        &self,
        by: String,
        request: pb::TrustPackSignerRequest,
    ) -> Result<pb::PackSigner, Status> {
        let pb::TrustPackSignerRequest { public_pem, name, typed_fingerprint } = request;
        if public_pem.len() > pack::MAX_KEY_FILE {
            return Err(Status::invalid_argument("that is no key: far too large"));
        }
        let key = pack::public_key(public_pem.as_bytes())
            .map_err(|it| Status::invalid_argument(format!("the key is refused: {it}")))?;
        let name = shown(&name, MAX_SIGNER_NAME);
        if name.is_empty() {
            return Err(Status::invalid_argument("say what this zone calls the signer"));
        }
        if !is_typed(&key, &typed_fingerprint) {
            return Err(Status::invalid_argument(format!(
                "what was typed is not the fingerprint of this key: at least its first {} digits are compared with \
                 those that the signer reads out",
                pack::MIN_TYPED
            )));
        }
        let quarantine = Arc::clone(self.office.quarantine());
        let _turn = quarantine.turn().await;
        let signers = self.every_signer().await?;
        if let Some(other) =
            signers.iter().find(|it| it.page.name == name && it.key != key && it.is_trusted())
        {
            return Err(Status::already_exists(format!("{} is trusted under this name", named(other))));
        }
        let before = signers.iter().find(|it| it.key == key);
        if before.is_none() && signers.len() >= MAX_SIGNERS {
            return Err(Status::resource_exhausted(format!("there are {MAX_SIGNERS} signers already")));
        }
        let page = PackSignerPage {
            name,
            algorithm: quarantine::algorithm_number(&key),
            key: key.as_bytes().to_vec(),
            trusted_ms: self.office.now_ms(),
            trusted_by: by.clone(),
            // Trust that comes back forgets nothing: what was out of date stays so.
            released_serial: before.map_or(0, |it| it.page.released_serial),
            ..PackSignerPage::default()
        };
        let signer = Signer { key, page };
        let text = format!("fingerprint {}", fingerprint(&signer.key));
        let deed = Deed { by, action: "pack-signer-trusted", subject: named(&signer), text };
        self.office.commit(quarantine::put_signer(Txn::admin(), &signer), deed).await?;
        Ok(signer_message(&signer))
    }

    /// Believes a key no more. Packs of it that wait cannot be released.
    pub(super) async fn distrust(
        &self,
        by: String,
        request: pb::DistrustPackSignerRequest,
    ) -> Result<pb::PackSigner, Status> {
        let pb::DistrustPackSignerRequest { signer: typed, reason } = request;
        let reason = why(&reason, "say why its packs are not taken any more")?;
        let quarantine = Arc::clone(self.office.quarantine());
        let _turn = quarantine.turn().await;
        let is_meant = |it: &Signer| {
            let key = HEXLOWER.encode(it.id().as_bytes());
            it.page.name == typed || typed.len() >= MIN_DIGITS && key.starts_with(&typed.to_ascii_lowercase())
        };
        let mut meant = self.every_signer().await?.into_iter().filter(|it| it.is_trusted() && is_meant(it));
        let (mut signer, more) = (meant.next(), meant.next());
        let Some(signer) = signer.as_mut().filter(|_| more.is_none()) else {
            let typed = shown(&typed, 80);
            return Err(Status::not_found(format!(
                "no signer that is trusted is called `{typed}`, or several are: `holdpoint pack signers` lists them"
            )));
        };
        signer.page.distrusted_ms = Some(self.office.now_ms());
        signer.page.distrusted_by.clone_from(&by);
        signer.page.reason.clone_from(&reason);
        let deed = Deed { by, action: "pack-signer-distrusted", subject: named(signer), text: reason };
        self.office.commit(quarantine::put_signer(Txn::admin(), signer), deed).await?;
        Ok(signer_message(signer))
    }

    /// Whose packs are taken, or were.
    pub(super) async fn signers(&self) -> Result<Vec<pb::PackSigner>, Status> {
        Ok(self.every_signer().await?.iter().map(signer_message).collect())
    }

    /// Finishes what a stop has interrupted: to be called before anybody is served. What cannot be finished is
    /// logged, and `pack release` goes on with it.
    pub async fn finish_packs(&self) {
        let quarantine = Arc::clone(self.office.quarantine());
        let _turn = quarantine.turn().await;
        let _library = self.library.turn().await;
        let interrupted = async {
            self.sweep().await?;
            self.every_pack().await
        };
        let packs = match interrupted.await {
            Ok(packs) => packs,
            Err(error) => {
                warn!(%error, "what is kept of packs cannot be used");
                return;
            }
        };
        for mut record in packs.into_iter().filter(|it| it.state() == State::Releasing) {
            let (id, taken) = (record.id(), record.page.taken);
            match self.take_members(&mut record).await {
                Ok(()) => info!(pack = id, taken, "a release that was interrupted is finished"),
                Err(error) => {
                    warn!(pack = id, taken, %error, "a release that was interrupted is not finished")
                }
            }
        }
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

    async fn every_signer(&self) -> Result<Vec<Signer>, Status> {
        let quarantine = Arc::clone(self.office.quarantine());
        blocking(move || quarantine.signers()).await?.map_err(|it| failed(&it))
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
    let mut trial = Trial { rehearsal, unpacked: 0, now_ms };
    let tried: Result<Vec<_>, String> =
        manifest.members.iter().zip(members).map(|(listed, bytes)| trial.member(listed, bytes)).collect();
    Ok(match tried {
        Ok(members) => {
            Verdict::New(Box::new(Judged { manifest, digest, signer, before: head.len(), members }))
        }
        Err(why) => Verdict::Refused(why),
    })
}

/// What each member of a pack that waits would do now, or why the pack cannot be taken.
fn rehearse(
    rehearsal: Rehearsal,
    contents: &Contents,
    now_ms: i64,
) -> Result<Result<Vec<pb::PackMember>, String>, QuarantineError> {
    let mut trial = Trial { rehearsal, unpacked: 0, now_ms };
    let mut members = Vec::with_capacity(contents.manifest.members.len());
    for (number, listed) in contents.manifest.members.iter().enumerate() {
        match trial.member(listed, &contents.member(number)?) {
            Ok(member) => members.push(member),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(members))
}

/// Members that are read one after the other, as if each were taken.
struct Trial {
    rehearsal: Rehearsal,
    unpacked: u64,
    now_ms: i64,
}

impl Trial {
    fn member(&mut self, listed: &pack::Listed, bytes: &[u8]) -> Result<pb::PackMember, String> {
        let name = &listed.name;
        if is_one_shot(bytes) {
            return Err(format!("`{name}` is a scan of a host: `holdpoint import` takes it by itself"));
        }
        self.unpacked = measure(self.unpacked, bytes)
            .ok_or_else(|| format!("its files unpack to more than {} MiB", MAX_UNPACKED >> 20))?;
        let member = pb::PackMember {
            name: name.clone(),
            kind: listed.kind.clone(),
            size: listed.size,
            digest: Digest::of(bytes).to_vec(),
            ..pb::PackMember::default()
        };
        let tried = match self.rehearsal.take(name, bytes, self.now_ms) {
            Ok(tried) => tried,
            // Older than what is held, or not to be placed beside it: the rest of the pack is good all the same.
            Err(ImportError::Revision(why)) => {
                return Ok(pb::PackMember { left_out: Some(why), ..member });
            }
            Err(why) => return Err(format!("`{name}`: {}", Chain(&why))),
        };
        if tried.kind.as_str() != listed.kind {
            let (said, seen) = (shown(&listed.kind, 40), tried.kind.as_str());
            return Err(format!("`{name}` is listed as {said} and is {seen}"));
        }
        Ok(pb::PackMember {
            items: tried.items,
            unchanged: tried.unchanged,
            skipped: tried.skipped,
            changes: tried.changes,
            faults: tried.faults,
            ..member
        })
    }
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

fn refuse(outcome: Result<(), Refusal>) -> Result<(), Status> {
    outcome.map_err(|why| Status::failed_precondition(format!("the pack is not released: {why}")))
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

fn message(record: &Record, signer: Option<&Signer>, members: Vec<pb::PackMember>) -> pb::Pack {
    let state = match record.state() {
        State::Unspecified | State::Arriving => "arriving",
        State::Waiting => "waiting",
        State::Releasing => "releasing",
        State::Released => "released",
        State::Rejected => "rejected",
    };
    let is_waiting = record.state() == State::Waiting;
    let hindrance = admit::release(record, signer).err().filter(|_| is_waiting).map(|it| it.to_string());
    let PackPage {
        state: _,
        title,
        serial,
        signer: key,
        made_ms,
        zones,
        files,
        bytes,
        file,
        brought_ms,
        brought_by,
        brought_person,
        decided_ms,
        decided_by,
        decided_person,
        reason,
        taken: _,
    } = record.page.clone();
    pb::Pack {
        id: record.id(),
        digest: record.digest.to_vec(),
        title,
        serial,
        state: state.to_owned(),
        signer: signer.map_or_else(String::new, |it| it.page.name.clone()),
        key,
        made_ms,
        zones,
        files,
        bytes,
        file,
        brought_ms,
        brought_by,
        brought_person,
        decided_ms,
        decided_by,
        decided_person,
        reason,
        known: false,
        hindrance,
        members,
    }
}

fn signer_message(signer: &Signer) -> pb::PackSigner {
    let algorithm = match signer.key.algorithm() {
        Algorithm::Ed25519 => "ed25519",
        Algorithm::Es256 => "es256",
    };
    let key = signer.id().as_bytes().to_vec();
    let PackSignerPage {
        name,
        algorithm: _,
        key: _,
        trusted_ms,
        trusted_by,
        distrusted_ms,
        distrusted_by,
        reason,
        released_serial,
    } = signer.page.clone();
    pb::PackSigner {
        name,
        key,
        algorithm: algorithm.to_owned(),
        trusted_ms,
        trusted_by,
        distrusted_ms,
        distrusted_by,
        reason,
        released_serial,
    }
}
