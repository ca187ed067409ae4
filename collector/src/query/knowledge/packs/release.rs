//! What a second person decides about a pack, and how its members are taken afterwards.

use std::sync::Arc;

use holdpoint_common::chain::Chain;
use holdpoint_common::proto::store::PackPage;
use holdpoint_common::proto::store::pack_page::State;
use holdpoint_common::proto::v1 as pb;
use tonic::Status;
use tracing::{info, warn};

use crate::knowledge::text::shown;
use crate::knowledge::{ImportError, Prepared};
use crate::packs::admit::{self, Refusal};
use crate::packs::{QuarantineError, Record, Signer, quarantine};
use crate::query::knowledge::{Caller, Deed, KnowledgeService, Office, blocking, why};
use crate::store::Txn;
use crate::zone::amend;

use super::message::message;
use super::trial::rehearse;
use super::{failed, named, subject};

impl<O: Office> KnowledgeService<O> {
    /// Lets a second person say that a pack counts, and takes its members in their order. It is carried through
    /// even when the caller goes away meanwhile.
    pub(in crate::query::knowledge) async fn release(
        &self,
        caller: Caller,
        typed: String,
    ) -> Result<pb::Pack, Status> {
        let service = self.clone();
        let released = tokio::spawn(async move { service.release_whole(caller, &typed).await });
        released
            .await
            .map_err(|_| Status::internal("the release ended early; the collector's log says why"))?
    }

    async fn release_whole(&self, caller: Caller, typed: &str) -> Result<pb::Pack, Status> {
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
        let mut members = Vec::new();
        if record.state() == State::Waiting {
            let (digest, rehearsal) = (record.digest, self.library.rehearsal());
            let (now_ms, here) = (self.office.now_ms(), Arc::clone(&quarantine));
            let tried = blocking(move || rehearse(rehearsal, &here.contents(&digest)?, now_ms));
            members = tried
                .await?
                .map_err(|it| failed(&it))?
                .map_err(|why| Status::failed_precondition(format!("nothing of it is taken: {why}")))?;
            self.begin(&caller, &mut record, signer).await?;
        }
        self.take_members(&mut record).await?;
        let (record, signer) = self.found(typed).await?;
        Ok(message(&record, signer.as_ref(), members))
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
                Err(ImportError::Revision(why)) => {
                    (Txn::admin(), None, "import-left-out", format!("from pack {id}: {why}"))
                }
                // It was readable when the release began: somebody has to look.
                Err(why) => {
                    let (name, why) = (shown(&name, 80), Chain(&why).to_string());
                    return Err(Status::failed_precondition(format!("the release stops at `{name}`: {why}")));
                }
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
        let text = format!("each of its {taken} files was taken or left out");
        self.office.commit(txn, Deed { by, action: "pack-taken", subject: subject(record), text }).await
    }

    /// Lets a person say that a pack never counts.
    pub(in crate::query::knowledge) async fn reject(
        &self,
        caller: Caller,
        typed: &str,
        reason: &str,
    ) -> Result<pb::Pack, Status> {
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
                    warn!(pack = id, taken, %error, "a release that was interrupted is not finished");
                }
            }
        }
    }
}

fn refuse(outcome: Result<(), Refusal>) -> Result<(), Status> {
    outcome.map_err(|why| Status::failed_precondition(format!("the pack is not released: {why}")))
}
