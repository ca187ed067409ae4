//! The agent's loop: look, say, hear, wait. One task owns everything; nothing is shared.
//!
//! A check-in costs no scan: the host is looked at when the interval is over or a challenge asks
//! for it. While the collector is away the agent looks on, keeps the newest state and notes what
//! changed in the journal. Nothing that the collector answers ends the loop, and nothing that
//! it answers makes the agent do anything but look, report, renew or wait.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use holdpoint_common::chain::Chain;
use holdpoint_common::clock::{BelievedClock, Clock, SystemClock};
use holdpoint_common::credentials::{Credentials, CredentialsError};
use holdpoint_common::enrolment::renewal_is_due;
use holdpoint_common::proto::v1::{
    CheckInRequest, Directives, Health, Outcome, ReportAck, ReportHeader, SectionOutcome, Wanted,
};
use holdpoint_common::refusal::Reason;
use holdpoint_common::row::{REPORTED, SectionKind, section_name};
use holdpoint_common::section::Digest;
use holdpoint_common::tls::anchors_digest;
use tracing::{debug, info, warn};

use crate::enrol;
use crate::host::{Host, Usage};
use crate::link::body::{self, Body, Has};
use crate::link::client::{Client, LinkError};
use crate::link::held::Held;
use crate::link::journal::{self, Journal};
use crate::link::pace;
use crate::link::retry::{self, Retry, Step};
use crate::link::seen::Seen;
use crate::link::state::{State, StateError};
use crate::scan::{self, HostIdentity, ScanError};
use crate::settings::Settings;

/// Reports that one check-in can lead to: the sections, once more whole, and what came up meanwhile.
const MAX_ROUNDS: usize = 4;
/// Between two scans, however often the collector asks.
const LEAST_SCAN_GAP: Duration = Duration::from_secs(2);
/// Between two renewals that the collector asks for.
const LEAST_RENEWAL_GAP: Duration = Duration::from_mins(10);

/// Why an agent could not start, or why one pass of it failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state directory cannot be used.
    #[error("the state directory cannot be used")]
    State(#[from] StateError),
    /// The identity cannot be read.
    #[error("the held identity cannot be used: run `holdpoint-agent enroll` again")]
    Credentials(#[from] CredentialsError),
    /// The host could not be looked at.
    #[error("the host cannot be looked at")]
    Scan(#[from] ScanError),
    /// Sections could not be packed.
    #[error("a report cannot be made")]
    Pack(#[source] std::io::Error),
    /// The collector could not be talked to.
    #[error("the collector has not taken this host's report")]
    Link(#[from] LinkError),
    /// The collector still wants something after everything was said.
    #[error("the collector did not take {sections}")]
    NotTaken {
        /// Names of the sections.
        sections: String,
    },
}

/// Runs an agent until `shutdown`. Every failure after the start is logged and tried again.
///
/// # Errors
/// The agent could not start: no usable state directory or identity.
pub async fn run(settings: Settings, host: Host, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let mut agent = Agent::start(settings, host)?;
    // Everything that matters is on disk before each wait, so the loop can end at any of them.
    tokio::select! {
        biased;
        () = shutdown => {
            info!("stopped");
            Ok(())
        }
        never = agent.serve() => match never {},
    }
}

/// Reports once: a scan, a check-in, and whatever the collector wants now.
///
/// # Errors
/// Anything that kept the collector from taking it.
pub async fn run_once(settings: Settings, host: Host) -> Result<(), RunError> {
    let mut agent = Agent::start(settings, host)?;
    agent.scan_if_due().await?;
    for _ in 0..MAX_ROUNDS {
        match agent.visit(Duration::ZERO).await? {
            Visited::Renewed => {}
            Visited::Done { open, .. } if open.is_empty() => return Ok(()),
            Visited::Done { open, .. } => return Err(RunError::NotTaken { sections: names(&open) }),
        }
    }
    Err(RunError::NotTaken { sections: "a renewed certificate".to_owned() })
}

/// What a visit to the collector led to.
enum Visited {
    /// A new certificate: connect again.
    Renewed,
    /// Everything was said.
    Done {
        /// Milliseconds until the next check-in.
        next_check_in_ms: u32,
        /// Sections that the collector still wants.
        open: BTreeSet<SectionKind>,
    },
}

struct Agent {
    settings: Settings,
    host: Arc<Host>,
    state: State,
    credentials: Credentials,
    believed: Arc<BelievedClock>,
    held: Held,
    journal: Journal,
    retry: Retry,
    identity: HostIdentity,
    seen: Vec<Seen>,
    scanned: Option<Instant>,
    scan_took: Duration,
    renewed: Option<Instant>,
    connection: Option<Client>,
}

impl Agent {
    fn start(settings: Settings, mut host: Host) -> Result<Self, RunError> {
        let state = State::open(&settings.state)?;
        let credentials = Credentials::load(&settings.state)?;
        let leaf = credentials.leaf()?;
        let believed = BelievedClock::new(Arc::new(SystemClock), state.believed_ms());
        // The certificate was made before now, whatever the wall clock says.
        believed.learn(leaf.not_before_ms);
        host.agent.config_digest = settings.digest;
        info!(identity = %credentials.identity, collector = settings.collector, "agent starts");
        Ok(Self {
            held: Held::open(state.dir()),
            journal: Journal::open(state.dir()),
            retry: Retry::new(retry::FIRST, retry::CAP),
            identity: scan::Snapshot { sections: Vec::new(), took: Duration::ZERO }.identity(),
            believed: Arc::new(believed),
            host: Arc::new(host),
            settings,
            state,
            credentials,
            seen: Vec::new(),
            scanned: None,
            scan_took: Duration::ZERO,
            renewed: None,
            connection: None,
        })
    }

    async fn serve(&mut self) -> Infallible {
        tokio::time::sleep(pace::first_contact(self.settings.first_contact_spread, chance())).await;
        loop {
            let visited = match self.scan_if_due().await {
                Ok(()) => self.visit(self.settings.max_hold).await,
                Err(cause) => Err(cause),
            };
            match visited {
                Ok(Visited::Renewed) => {}
                Ok(Visited::Done { next_check_in_ms, .. }) => {
                    if self.retry.failures() > 0 {
                        info!("the collector answers again");
                    }
                    self.retry.succeeded();
                    let delay = pace::delay(next_check_in_ms, chance());
                    debug!(?delay, "waiting for the next check-in");
                    tokio::time::sleep(delay).await;
                }
                Err(cause) => self.away(&cause).await,
            }
        }
    }

    /// Waits until the next attempt and looks at the host meanwhile.
    async fn away(&mut self, cause: &RunError) {
        self.connection = None;
        let now = Instant::now();
        let refusal = match cause {
            RunError::Link(cause) => cause.refusal(),
            RunError::State(_)
            | RunError::Credentials(_)
            | RunError::Scan(_)
            | RunError::Pack(_)
            | RunError::NotTaken { .. } => None,
        };
        match refusal {
            // A busy collector is not a reason for a person to act.
            None | Some(Reason::Pace) => self.retry.failed(now, chance()),
            Some(_) => self.retry.refused(now, chance()),
        }
        warn!(attempt = self.retry.failures(), error = %Chain(cause), "no visit to the collector");
        while let Step::WaitUntil(until) = self.retry.next(Instant::now()) {
            let scan_at = self.scanned.map_or_else(Instant::now, |it| it + self.settings.scan_interval);
            tokio::time::sleep_until(until.min(scan_at).into()).await;
            if scan_at < until && self.scan_if_due().await.is_err() {
                tokio::time::sleep_until(until.into()).await;
            }
        }
    }

    /// One check-in and everything that follows from it, over the connection that is there.
    async fn visit(&mut self, hold: Duration) -> Result<Visited, RunError> {
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
        let directives = match client.check_in(self.check_in(hold)).await {
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

    fn check_in(&self, hold: Duration) -> CheckInRequest {
        let usage = Usage::now();
        CheckInRequest {
            sequence: self.state.sequence(),
            boot_id: self.identity.boot_id.clone(),
            fingerprint: self.identity.fingerprint.to_vec(),
            held: self.seen.iter().map(Seen::summary).collect(),
            health: Some(Health {
                host_time_ms: SystemClock.now_ms(),
                uptime_s: usage.uptime_s,
                scan_ms: u32::try_from(self.scan_took.as_millis()).unwrap_or(u32::MAX),
                resident_kib: usage.resident_kib,
                cpu_ms: usage.cpu_ms,
                failed_check_ins: self.retry.failures(),
            }),
            agent_version: self.host.agent.version.clone(),
            anchors_digest: anchors_digest(&self.credentials.anchors).to_vec(),
            declined: Vec::new(),
            max_hold_s: u32::try_from(hold.as_secs()).unwrap_or(u32::MAX),
            journal_entries: u32::try_from(self.journal.len()).unwrap_or(u32::MAX),
        }
    }

    /// Brings what the collector wants, round by round, because each answer may want more.
    async fn obey(&mut self, client: &mut Client, mut directives: Directives) -> Result<Visited, RunError> {
        let mut whole: BTreeSet<SectionKind> = BTreeSet::new();
        let mut nonces: Vec<Vec<u8>> = Vec::new();
        for _ in 0..MAX_ROUNDS {
            self.learn(&directives)?;
            if directives.renew && self.renewed.is_none_or(|it| it.elapsed() >= LEAST_RENEWAL_GAP) {
                self.renewed = Some(Instant::now());
                match self.renew(client).await {
                    Ok(()) => return Ok(Visited::Renewed),
                    Err(cause) => warn!(error = %Chain(&cause), "the certificate is not renewed yet"),
                }
            }
            let asked: Vec<Vec<u8>> =
                std::mem::take(&mut directives.challenges).into_iter().map(|it| it.nonce).collect();
            // An answer that has to come again whole carries the same scan, which is fresh enough.
            let is_new = asked.iter().any(|it| !nonces.contains(it));
            if is_new {
                info!(challenges = asked.len(), "looking again, as asked");
                self.scan_again().await?;
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
        Ok(Visited::Done { next_check_in_ms: directives.next_check_in_ms, open })
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
        renewed.credentials.save(self.state.dir())?;
        self.credentials = renewed.credentials;
        self.believed.learn(renewed.collector_time_ms);
        info!(identity = %self.credentials.identity, "the certificate is renewed");
        Ok(())
    }

    async fn scan_if_due(&mut self) -> Result<(), RunError> {
        let is_due = self.scanned.is_none_or(|it| it.elapsed() >= self.settings.scan_interval);
        if is_due { self.look().await } else { Ok(()) }
    }

    /// A scan that was asked for, but not more often than the host can bear.
    async fn scan_again(&mut self) -> Result<(), RunError> {
        if let Some(last) = self.scanned {
            tokio::time::sleep_until((last + LEAST_SCAN_GAP).into()).await;
        }
        self.look().await
    }

    async fn look(&mut self) -> Result<(), RunError> {
        let host = Arc::clone(&self.host);
        let scan = tokio::task::spawn_blocking(move || {
            let snapshot = scan::take_gently(&host, &REPORTED)?;
            let (identity, took) = (snapshot.identity(), snapshot.took);
            let seen: Vec<Seen> = snapshot.sections.into_iter().map(Seen::pack).collect();
            Ok::<_, ScanError>((identity, took, seen))
        });
        let (identity, took, seen) = scan.await.map_err(|_| ScanError::Panicked)??;
        debug!(?took, "looked at the host");
        if self.retry.failures() > 0 {
            self.note_changes(&seen);
        }
        (self.identity, self.scan_took, self.seen) = (identity, took, seen);
        self.scanned = Some(Instant::now());
        Ok(())
    }

    /// While nobody can be told, changes go into the journal.
    fn note_changes(&mut self, seen: &[Seen]) {
        let now_ms = SystemClock.now_ms();
        for after in seen {
            let before = self.seen.iter().find(|it| it.kind == after.kind && it.digest != after.digest);
            if let Some(before) = before
                && let Err(cause) = self.journal.add(&journal::change(before, after, now_ms))
            {
                warn!(error = &cause as &dyn std::error::Error, "the journal cannot be written");
            }
        }
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

fn names(kinds: &BTreeSet<SectionKind>) -> String {
    kinds.iter().map(|it| section_name(*it)).collect::<Vec<_>>().join(", ")
}

/// A number in 0..1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness agents lose their spread, which is no reason to stop.
    let _ = rand::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
