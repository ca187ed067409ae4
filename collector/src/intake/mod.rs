//! The service that agents call: check-ins and reports.
//!
//! The handlers are thin. Messages are checked in `parse`, decisions are made in `admit` and
//! `apply` (pure), rows are worked out in `resolve`, and [`Zone`] writes. An agent speaks for
//! the asset of its certificate and for no other; a report is acknowledged after it is on disk.

mod admit;
mod apply;
pub mod carried;
mod copies;
mod parse;
mod receive;
mod resolve;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::proto::v1::agent_link_server::AgentLink;
use holdpoint_common::proto::v1::{
    Challenge, CheckInRequest, Directives, Outcome, ReportAck, ReportPart, SectionOutcome, SectionStatus,
    Wanted,
};
use holdpoint_common::refusal::Reason;
use holdpoint_common::row::SectionKind;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::metrics::{Label, Metrics};
use crate::server::Peer;
use crate::store::{SectionKey, Txn};
use crate::zone::pace::{self, MAX_HOLD, Pace};
use crate::zone::{Call, Slot, Unanswered, Zone, amend, fingerprint_of, status_of};
use admit::Order;
use parse::{CheckIn, Header};
use receive::{Doors, Incoming};
use resolve::{KnownFacts, Resolved};

pub(crate) use admit::clear;
pub use admit::{CLOCK, DUPLICATE, WENT_BACK};
pub(crate) use copies::copies;

/// Payloads up to this size are worked out where they arrive, in bytes.
const INLINE: usize = 64 * 1024;
/// Larger payloads that are worked out at the same time.
const DECODERS: usize = 2;

/// The agents' service of a zone.
#[derive(Debug)]
pub struct Intake {
    zone: Arc<Zone>,
    doors: Doors,
    decoders: Semaphore,
    facts: Arc<KnownFacts>,
    metrics: Metrics,
}

#[tonic::async_trait]
impl AgentLink for Intake {
    async fn check_in(&self, request: Request<CheckInRequest>) -> Result<Response<Directives>, Status> {
        let peer = peer_of(&request);
        let answered = self.check_in_from(&peer, request.into_inner()).await;
        match &answered {
            Ok(_) => {
                self.metrics.check_ins.inc();
            }
            Err(status) => self.metrics.refused(status),
        }
        answered.map(Response::new)
    }

    async fn report(&self, request: Request<Streaming<ReportPart>>) -> Result<Response<ReportAck>, Status> {
        let peer = peer_of(&request);
        let started = Instant::now();
        let acked = self.report_from(&peer, request.into_inner()).await;
        self.metrics.report_seconds.observe(started.elapsed().as_secs_f64());
        let kind = match &acked {
            Ok(_) => "stored",
            Err(status) if status.code() == Code::ResourceExhausted && Reason::of(status).is_none() => {
                "full-disk"
            }
            Err(status) => {
                self.metrics.refused(status);
                "refused"
            }
        };
        self.metrics.reports.get_or_create(&Label { kind }).inc();
        acked.map(Response::new)
    }
}

/// Who called; without a word from the server's accept loop, nobody.
pub(crate) fn peer_of<T>(request: &Request<T>) -> Peer {
    request.extensions().get::<Peer>().cloned().unwrap_or(Peer::NoCertificate)
}

impl Intake {
    /// The service of a zone.
    pub fn new(zone: Arc<Zone>) -> Self {
        Self {
            zone,
            doors: Doors::default(),
            decoders: Semaphore::new(DECODERS),
            facts: Arc::default(),
            metrics: Metrics::new(),
        }
    }

    /// The same service, which counts into these numbers.
    #[must_use]
    pub fn counted_by(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Takes a check-in and answers it, at once when the agent is asked for something, else
    /// after holding it for as long as agent and pace allow.
    ///
    /// # Errors
    /// A refusal with its reason, `INVALID_ARGUMENT`, or `RESOURCE_EXHAUSTED` when called too often.
    pub async fn check_in_from(&self, peer: &Peer, request: CheckInRequest) -> Result<Directives, Status> {
        let (record, slot) = self.caller(peer)?;
        let call = CheckIn::try_from(request)?;
        let now = self.zone.now_ms();
        let allowance = self.zone.settings().allowances.check_ins;
        if let Err(sign) = admit::recognise(&record, &call.speaker) {
            // A copy spends its own budget: it must not keep the original from calling.
            let copy = self.zone.slot(&admit::copy_id(&record.id, &call.speaker));
            if let Some(copy) = copy.filter(|it| it.record().copy_of.is_some()) {
                copy.live().check_ins.take(allowance, now).map_err(too_often)?;
            }
            return Err(copies::refuse(&self.zone, &record, &call.speaker, sign).await);
        }
        slot.live().check_ins.take(allowance, now).map_err(too_often)?;
        self.zone.seen(&record.id, call.health);
        slot.decline(call.declined.clone());
        self.take_word(peer, &record, &call).await?;
        self.answer(peer, &slot, &call).await
    }

    /// Takes a report; the answer comes after its sections are on disk.
    ///
    /// # Errors
    /// A refusal with its reason, `INVALID_ARGUMENT`, `FAILED_PRECONDITION` when the sequence is
    /// not higher than the last one, `RESOURCE_EXHAUSTED` when called too often or the disk is full.
    pub async fn report_from<S>(&self, peer: &Peer, mut parts: S) -> Result<ReportAck, Status>
    where
        S: Stream<Item = Result<ReportPart, Status>> + Unpin,
    {
        let (record, slot) = self.caller(peer)?;
        let Some(_one_at_a_time) = slot.start_report() else {
            return Err(
                Reason::Pace.refuse("another report of this asset is being taken: wait for its answer")
            );
        };
        let _in_memory = self.doors.enter().await?;
        let mut header = Header::try_from(receive::header(&mut parts).await?)?;
        if let Err(sign) = admit::recognise(&record, &header.speaker) {
            if !header.nonces.is_empty() {
                self.zone.tell_refused(&record.id, &header.nonces, Unanswered::Identity);
            }
            return Err(copies::refuse(&self.zone, &record, &header.speaker, sign).await);
        }
        self.spend(&slot, &mut header)?;
        self.zone.seen(&record.id, None);
        self.in_order(&record, &header).await?;

        let mut sections = Vec::new();
        for incoming in receive::sections(&mut parts, &self.doors).await? {
            sections.push(self.resolve(&record, incoming, header.speaker.sequence).await?);
        }
        let sections = self.record(peer, &record.id, header, sections).await?;
        remember_refused(&slot, &sections);
        Ok(self.acknowledge(&slot, &sections))
    }

    fn caller(&self, peer: &Peer) -> Result<(Arc<AssetRecord>, Arc<Slot>), Status> {
        let record = self.zone.agent_caller(peer, Call::Other)?;
        let slot = self.zone.slot(&record.id).ok_or_else(|| Status::internal("the asset is gone"))?;
        Ok((record, slot))
    }

    /// Takes a report and its journal out of the agent's budget. Of a journal that is over it,
    /// the newest entries become events, so that no agent pushes out the events of others.
    fn spend(&self, slot: &Slot, header: &mut Header) -> Result<(), Status> {
        let now = self.zone.now_ms();
        let allowances = self.zone.settings().allowances;
        let mut live = slot.live();
        live.reports.take(allowances.reports, now).map_err(too_often)?;
        let told =
            header.journal.iter().take_while(|_| live.journal.take(allowances.journal, now).is_ok()).count();
        let dropped = header.journal.len() - told;
        header.journal.drain(..dropped);
        header.journal_dropped =
            header.journal_dropped.saturating_add(u64::try_from(dropped).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Writes what a check-in changes in the record, if anything.
    async fn take_word(&self, peer: &Peer, record: &AssetRecord, call: &CheckIn) -> Result<(), Status> {
        let now = self.zone.now_ms();
        let tolerance = self.zone.settings().clock_tolerance;
        let hear = |record: &mut AssetRecord| {
            admit::take_word(record, &call.speaker, fingerprint_of(peer), tolerance, now)
        };
        let mut heard = record.clone();
        hear(&mut heard);
        if heard == *record {
            return Ok(());
        }
        let written = self
            .zone
            .change_asset_in(&record.id, Txn::report(), |record, txn| {
                let events = hear(record);
                amend(txn, |txn| events.into_iter().fold(txn, Txn::add_event));
                Ok(((), Vec::new()))
            })
            .await;
        match written {
            // What a check-in says comes again with the next one; the agent is still served.
            Err(cause) if cause.code() == Code::ResourceExhausted => Ok(()),
            other => other,
        }
    }

    /// Holds a check-in and answers it.
    async fn answer(&self, peer: &Peer, slot: &Slot, call: &CheckIn) -> Result<Directives, Status> {
        let number = slot.newer_check_in();
        let start = Instant::now();
        let now = self.zone.now_ms();
        let interval = self.zone.interval(&slot.record().id, now);
        let delay = Pace::delay(interval, &slot.record().id, now);
        let hold = delay.min(MAX_HOLD).min(Duration::from_secs(call.max_hold_s.into()));
        let mut shutdown = self.zone.shutdown();
        loop {
            let changed = slot.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            // A revocation while the call is held acts now, not after it.
            let record = self.zone.agent_caller(peer, Call::Other)?;
            let (mut directives, urgent) = self.directives(slot, &record, call);
            let waited = start.elapsed();
            if urgent || waited >= hold || *shutdown.borrow() || !slot.is_newest_check_in(number) {
                directives.next_check_in_ms = millis(pace::remaining(delay, waited.min(hold), interval));
                return Ok(directives);
            }
            tokio::select! {
                () = changed => {}
                _ = shutdown.changed() => {}
                () = tokio::time::sleep_until(start + hold) => {}
            }
        }
    }

    /// What the agent is asked for, and whether it should hear of it at once.
    fn directives(&self, slot: &Slot, record: &AssetRecord, call: &CheckIn) -> (Directives, bool) {
        let store = self.zone.store();
        let mut wanted = {
            let live = slot.live();
            admit::wanted(record, &call.held, &live.refused, |kind, digest| {
                store.has_section(SectionKey::new(kind, *digest.as_bytes()))
            })
        };
        // A report is the only way for the journal to arrive and for a sequence to pass the floor.
        let behind = call.speaker.sequence < record.sequence;
        if wanted.is_empty() && (behind || call.journal_entries > 0) {
            wanted.extend(carrier(call));
        }
        let renew =
            !call.anchors_digest.is_empty() && call.anchors_digest != self.zone.pki().anchors_digest();
        let declined = |nonce: &[u8]| call.declined.iter().any(|it| it.nonce == nonce);
        let asked = record.challenges.iter().any(|it| !declined(&it.nonce));
        let urgent = asked || renew || behind || !wanted.is_empty();
        (self.draft(record, wanted, renew), urgent)
    }

    fn draft(&self, record: &AssetRecord, wanted: Vec<Wanted>, renew: bool) -> Directives {
        Directives {
            wanted,
            challenges: record.challenges.iter().map(|it| Challenge { nonce: it.nonce.clone() }).collect(),
            collector_time_ms: self.zone.now_ms(),
            next_check_in_ms: 0,
            renew,
            sequence_floor: record.sequence,
        }
    }

    /// Refuses a report that does not follow the last one, and notes why.
    async fn in_order(&self, record: &AssetRecord, header: &Header) -> Result<(), Status> {
        let order = admit::order(record, &header.speaker);
        if order == Order::Next {
            return Ok(());
        }
        if !header.nonces.is_empty() {
            let asked = |nonce: &Vec<u8>| record.challenges.iter().any(|it| it.nonce == *nonce);
            let why = if header.nonces.iter().any(asked) { Unanswered::Order } else { Unanswered::Replay };
            self.zone.tell_refused(&record.id, &header.nonces, why);
        }
        if order == Order::Back {
            let now = self.zone.now_ms();
            let text = format!(
                "report {} came after report {} was on disk: the agent's state comes from an older copy",
                header.speaker.sequence, record.sequence
            );
            let noted = self
                .zone
                .change_asset_in(&record.id, Txn::report(), |record, txn| {
                    if admit::raise(record, WENT_BACK, &text, now) {
                        amend(txn, |txn| {
                            txn.add_event(crate::zone::event(now, &record.id, WENT_BACK, text.clone()))
                        });
                    }
                    Ok(((), Vec::new()))
                })
                .await;
            if let Err(cause) = noted {
                tracing::warn!(
                    asset = record.id,
                    error = &cause as &dyn std::error::Error,
                    "an alarm is not written"
                );
            }
        }
        Err(behind(record.sequence))
    }

    /// Works out a section's rows, large ones off the tasks that serve others.
    async fn resolve(
        &self,
        record: &Arc<AssetRecord>,
        incoming: Incoming,
        sequence: u64,
    ) -> Result<Resolved, Status> {
        let now = self.zone.now_ms();
        let (store, facts, record) = (self.zone.store().clone(), Arc::clone(&self.facts), Arc::clone(record));
        let bytes = match &incoming {
            Incoming::Taken { payload, .. } => payload.len(),
            Incoming::Refused { .. } => 0,
        };
        let work = move || resolve::resolve(&store, &facts, &record, incoming, sequence, now);
        let resolved = if bytes <= INLINE {
            work()
        } else {
            let _turn =
                self.decoders.acquire().await.map_err(|_| Status::unavailable("the collector stops"))?;
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|_| Status::internal("a section could not be worked out"))?
        };
        resolved.map_err(|cause| status_of(&cause))
    }

    /// Puts a report on disk.
    async fn record(
        &self,
        peer: &Peer,
        id: &str,
        header: Header,
        mut sections: Vec<Resolved>,
    ) -> Result<Vec<Resolved>, Status> {
        let now = self.zone.now_ms();
        let tolerance = self.zone.settings().clock_tolerance;
        let (sections, old) = self
            .zone
            .change_asset_in(id, Txn::report(), |record, txn| {
                if admit::order(record, &header.speaker) != Order::Next {
                    return Err(behind(record.sequence));
                }
                let mut events =
                    admit::take_word(record, &header.speaker, fingerprint_of(peer), tolerance, now);
                let applied = apply::apply(record, &header, &sections, now);
                events.extend(applied.events);
                let new: Vec<_> = sections
                    .iter_mut()
                    .filter_map(|it| it.taken.as_mut().and_then(|it| it.new.take()))
                    .collect();
                amend(txn, |txn| {
                    let txn = new.into_iter().fold(txn, Txn::put_section);
                    let txn = applied.snapshots.into_iter().fold(txn, Txn::put_snapshot);
                    events.into_iter().fold(txn, Txn::add_event)
                });
                Ok(((sections, applied.old), Vec::new()))
            })
            .await?;
        if !old.is_empty() {
            self.zone.tell_refused(id, &old, Unanswered::OldQuestion);
        }
        Ok(sections)
    }

    fn acknowledge(&self, slot: &Slot, sections: &[Resolved]) -> ReportAck {
        let record = slot.record();
        let now = self.zone.now_ms();
        let interval = self.zone.interval(&record.id, now);
        let again = sections.iter().filter(|it| it.outcome == Outcome::WantFull);
        let wanted =
            again.map(|it| Wanted { kind: it.kind, base: Vec::new(), content_known: false }).collect();
        let mut directives = self.draft(&record, wanted, false);
        directives.next_check_in_ms = millis(pace::after_report(interval, &record.id, now));
        ReportAck {
            sequence: record.sequence,
            outcomes: sections
                .iter()
                .map(|it| SectionOutcome {
                    kind: it.kind,
                    outcome: it.outcome.into(),
                    reason: it.reason.clone(),
                })
                .collect(),
            directives: Some(directives),
        }
    }
}

/// A section whose reference makes a report when no rows are to be sent.
fn carrier(call: &CheckIn) -> Option<Wanted> {
    let held = |kind: &SectionKind| call.held.get(kind).filter(|it| it.status == SectionStatus::Complete);
    let kind = [SectionKind::Self_, SectionKind::Platform].into_iter().find(|it| held(it).is_some())?;
    let base = held(&kind)?.digest.to_vec();
    Some(Wanted { kind: kind.into(), base, content_known: true })
}

fn remember_refused(slot: &Slot, sections: &[Resolved]) {
    let mut live = slot.live();
    for section in sections {
        let Ok(kind) = SectionKind::try_from(section.kind) else { continue };
        match section.refused {
            Some(digest) => live.refused.insert(kind, digest),
            None => live.refused.remove(&kind),
        };
    }
}

fn behind(floor: u64) -> Status {
    Status::failed_precondition(format!(
        "sequence_floor {floor}: the collector has report {floor} on disk; the next one must be higher"
    ))
}

fn too_often(wait: Duration) -> Status {
    Reason::Pace.refuse(format!("called too often: wait {} s", wait.as_secs() + 1))
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
