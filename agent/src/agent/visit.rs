//! One visit to the collector: check in, bring what it wants, hear when to come again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdpoint_common::chain::Chain;
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::enrolment::renewal_is_due;
use holdpoint_common::proto::v1::{
    CheckInRequest, Declined, Directives, Health, Outcome, ReportAck, ReportHeader, SectionOutcome, Wanted,
};
use holdpoint_common::refusal::Reason;
use holdpoint_common::row::{SectionKind, section_name};
use holdpoint_common::section::Digest;
use holdpoint_common::tls::anchors_digest;
use tracing::{debug, info, warn};

use super::{Agent, RunError};
use crate::enrol;
use crate::host::{Usage, release_memory};
use crate::link::body::{self, Body, Has};
use crate::link::client::{Client, LinkError};
use crate::link::key;
use crate::link::seen::Seen;

/// Reports that one check-in can lead to: the sections, once more whole, and what came up meanwhile.
const MAX_ROUNDS: usize = 4;
/// Between two renewals that the collector asks for.
const LEAST_RENEWAL_GAP: Duration = Duration::from_mins(10);

/// What a visit to the collector led to.
pub(super) enum Visited {
    /// A new certificate: connect again.
    Renewed,
    /// What held back a scan is gone.
    Lifted,
    /// Everything was said.
    Done {
        /// Milliseconds until the next check-in.
        next_check_in_ms: u32,
        /// Sections that the collector still wants.
        open: BTreeSet<SectionKind>,
        /// Whether a challenge was declined of which the collector does not know yet.
        declined: bool,
    },
}

impl Agent {
    /// One check-in and everything that follows from it, over the connection that is there.
    pub(super) async fn visit(&mut self, hold: Duration) -> Result<Visited, RunError> {
        let mut client = if let Some(client) = self.connection.take() {
            client
        } else {
            let believed = Arc::clone(&self.believed) as Arc<dyn Clock>;
            Client::connect(&self.settings.collector, &self.credentials, believed).await?
        };
        if renewal_is_due(&self.credentials.leaf()?, self.believed.now_ms()) {
            match self.renew(&client).await {
                Ok(()) => return Ok(Visited::Renewed),
                // There is a third of the lifetime left to try again.
                Err(cause) => warn!(error = %Chain(&cause), "the certificate is not renewed yet"),
            }
        }
        let request = self.check_in(hold);
        let answer = tokio::select! {
            answer = client.check_in(request) => answer,
            // The collector may hold a call for a minute; a challenge that it still asks waits no longer.
            () = self.pause.lifted(), if self.pause.held().is_some() => {
                self.connection = Some(client);
                return Ok(Visited::Lifted);
            }
        };
        let directives = match answer {
            Err(LinkError::Refused { reason: Reason::Expired, .. }) => {
                self.renew(&client).await?;
                return Ok(Visited::Renewed);
            }
            other => other?,
        };
        let visited = self.obey(&mut client, directives).await?;
        if let Visited::Done { .. } = visited {
            self.connection = Some(client);
        }
        Ok(visited)
    }

    fn check_in(&mut self, hold: Duration) -> CheckInRequest {
        let usage = Usage::now();
        let declined = self.declined();
        CheckInRequest {
            sequence: self.state.sequence(),
            boot_id: self.identity.boot_id.clone(),
            fingerprint: self.identity.fingerprint.to_vec(),
            held: self.seen.iter().map(Seen::summary).collect(),
            health: Some(Health {
                host_time_ms: SystemClock.now_ms(),
                disk_free_kib: usage.disk_free_kib,
                uptime_s: usage.uptime_s,
                scan_ms: u32::try_from(self.scan_took.as_millis()).unwrap_or(u32::MAX),
                resident_kib: usage.resident_kib,
                cpu_ms: usage.cpu_ms,
                failed_check_ins: self.retry.failures(),
            }),
            agent_version: self.host.agent.version.clone(),
            anchors_digest: anchors_digest(&self.credentials.anchors).to_vec(),
            declined,
            max_hold_s: u32::try_from(hold.as_secs()).unwrap_or(u32::MAX),
            journal_entries: u32::try_from(self.journal.len()).unwrap_or(u32::MAX),
        }
    }

    /// Challenges that are not answered while something holds; none when nothing does.
    fn declined(&mut self) -> Vec<Declined> {
        let Some(hold) = self.pause.look().cloned() else { return Vec::new() };
        let declined = self.pause.declined().iter().map(|nonce| Declined {
            nonce: nonce.clone(),
            reason: hold.reason().to_owned(),
            until_ms: hold.until_ms(),
        });
        declined.collect()
    }

    /// Brings what the collector wants, round by round, because each answer may want more.
    async fn obey(&mut self, client: &mut Client, mut directives: Directives) -> Result<Visited, RunError> {
        let mut whole: BTreeSet<SectionKind> = BTreeSet::new();
        let mut nonces: Vec<Vec<u8>> = Vec::new();
        let mut declined = false;
        for _ in 0..MAX_ROUNDS {
            self.learn(&directives)?;
            if directives.renew && self.renewed.is_none_or(|it| it.elapsed() >= LEAST_RENEWAL_GAP) {
                self.renewed = Some(Instant::now());
                match self.renew(client).await {
                    Ok(()) => return Ok(Visited::Renewed),
                    Err(cause) => warn!(error = %Chain(&cause), "the certificate is not renewed yet"),
                }
            }
            let mut asked: Vec<Vec<u8>> =
                std::mem::take(&mut directives.challenges).into_iter().map(|it| it.nonce).collect();
            // An answer that has to come again whole carries the same scan, which is fresh enough.
            let is_new = asked.iter().any(|it| !nonces.contains(it));
            if is_new {
                let before = self.scanned;
                self.scan_again().await?;
                if self.scanned == before {
                    declined |= self.pause.decline(std::mem::take(&mut asked));
                } else {
                    info!(challenges = asked.len(), "looked again, as asked");
                }
            }
            nonces = asked;
            if nonces.is_empty() && directives.wanted.is_empty() && whole.is_empty() {
                break;
            }
            let ack = self.report(client, &directives.wanted, &whole, &nonces).await?;
            whole = self.settle(&ack);
            directives = ack.directives.unwrap_or_default();
        }
        let wanted = directives.wanted.iter().filter_map(|it| SectionKind::try_from(it.kind).ok());
        let open = wanted.chain(whole).filter(|it| self.seen.iter().any(|seen| seen.kind == *it)).collect();
        Ok(Visited::Done { next_check_in_ms: directives.next_check_in_ms, open, declined })
    }

    fn learn(&mut self, directives: &Directives) -> Result<(), RunError> {
        self.believed.learn(directives.collector_time_ms);
        self.state.keep_believed(self.believed.floor_ms())?;
        self.state.raise_sequence(directives.sequence_floor)?;
        Ok(())
    }

    async fn report(
        &mut self,
        client: &mut Client,
        wanted: &[Wanted],
        whole: &BTreeSet<SectionKind>,
        nonces: &[Vec<u8>],
    ) -> Result<ReportAck, RunError> {
        let asked: BTreeMap<i32, &Wanted> = wanted.iter().map(|it| (it.kind, it)).collect();
        let mut sections: Vec<(&Seen, Body)> = Vec::new();
        for seen in &self.seen {
            let has = if whole.contains(&seen.kind) {
                Has::Nothing
            } else if let Some(wanted) = asked.get(&seen.kind.into()) {
                has(wanted)
            } else if nonces.is_empty() {
                continue;
            } else {
                // An answer to a challenge names every section.
                self.held.digest(seen.kind).map_or(Has::Nothing, Has::Base)
            };
            let rows_of = |digest: Digest| self.held.rows(seen.kind, digest);
            sections.push((seen, body::choose(seen, has, rows_of).map_err(RunError::Pack)?));
        }
        let header = ReportHeader {
            // On disk before the report can arrive anywhere.
            sequence: self.state.next_sequence()?,
            boot_id: self.identity.boot_id.clone(),
            fingerprint: self.identity.fingerprint.to_vec(),
            host_time_ms: SystemClock.now_ms(),
            nonces: nonces.to_vec(),
            agent_version: self.host.agent.version.clone(),
            journal: self.journal.entries(),
            journal_dropped: self.journal.dropped(),
        };
        let (entries, dropped) = (self.journal.len(), self.journal.dropped());
        info!(sequence = header.sequence, sections = sections.len(), "reporting");
        let ack = client.report(body::parts(header, sections)).await?;
        release_memory();
        if let Err(cause) = self.journal.acknowledged(entries, dropped) {
            warn!(error = &cause as &dyn std::error::Error, "the journal cannot be written");
        }
        Ok(ack)
    }

    /// Keeps what is on the collector's disk; returns what has to come again whole.
    fn settle(&mut self, ack: &ReportAck) -> BTreeSet<SectionKind> {
        let mut whole = BTreeSet::new();
        for SectionOutcome { kind, outcome, reason } in &ack.outcomes {
            let Some(seen) = self.seen.iter().find(|it| i32::from(it.kind) == *kind) else { continue };
            let section = section_name(seen.kind);
            match Outcome::try_from(*outcome) {
                Ok(Outcome::Stored) => {
                    if let Err(cause) = self.held.keep(seen) {
                        let error = &cause as &dyn std::error::Error;
                        warn!(section, error, "the next change will travel whole");
                    }
                }
                Ok(Outcome::WantFull) => {
                    debug!(section, reason, "the collector wants every row");
                    whole.insert(seen.kind);
                }
                Ok(Outcome::Refused) => warn!(section, reason, "the collector refused a section"),
                Ok(Outcome::Unspecified) | Err(_) => {
                    debug!(section, outcome, "the collector says something newer");
                }
            }
        }
        whole
    }

    async fn renew(&mut self, client: &Client) -> Result<(), RunError> {
        let facts = enrol::facts(&self.identity, &self.host);
        let renewed = client.renew(&self.credentials, facts).await?;
        key::save(&renewed.credentials, self.state.dir())?;
        self.credentials = renewed.credentials;
        self.believed.learn(renewed.collector_time_ms);
        info!(identity = %self.credentials.identity, "the certificate is renewed");
        Ok(())
    }
}

/// What the collector says that it has of a section.
fn has(wanted: &Wanted) -> Has {
    let Wanted { kind: _, base, content_known } = wanted;
    match Digest::try_from(base.as_slice()) {
        _ if *content_known => Has::These,
        Ok(base) => Has::Base(base),
        Err(_) => Has::Nothing,
    }
}
