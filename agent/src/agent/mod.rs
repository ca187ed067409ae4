//! The agent's loop: look, say, hear, wait. One task owns everything; nothing is shared.
//!
//! A check-in costs no scan: the host is looked at when the interval is over or a challenge asks
//! for it. While the collector is away the agent looks on, keeps the newest state and notes what
//! changed in the journal. Nothing that the collector answers ends the loop, and nothing that
//! it answers makes the agent do anything but look, report, renew or wait.
//!
//! While quiet hours or the kill file hold, no scan starts, one that runs is stopped and thrown
//! away, and challenges are declined; everything else goes on (see `pause`).

mod look;
mod pause;
mod visit;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use holdpoint_common::chain::Chain;
use holdpoint_common::clock::{BelievedClock, Clock, SystemClock};
use holdpoint_common::credentials::{Credentials, CredentialsError};
use holdpoint_common::refusal::Reason;
use holdpoint_common::row::{SectionKind, section_name};
use holdpoint_common::section::Digest;
use tracing::{debug, info, warn};

use crate::cage::hold::{Hold, Holds};
use crate::host::{Home, Host, Storage};
use crate::link::client::{Client, LinkError};
use crate::link::held::Held;
use crate::link::journal::{self, Journal};
use crate::link::key;
use crate::link::pace;
use crate::link::retry::{self, Retry, Step};
use crate::link::seen::Seen;
use crate::link::state::{State, StateError};
use crate::notice::Notice;
use crate::scan::scanner::Scanner;
use crate::scan::{HostIdentity, ScanError};
use crate::settings::Settings;

use look::Found;
use pause::Pause;
use visit::Visited;

/// Visits that one pass may take: renewals on the way to the report.
const MAX_VISITS: usize = 4;
/// Between a renewal and the next connection.
const AFTER_RENEWAL: Duration = Duration::from_secs(1);
/// Between two scans, however often the collector asks.
const LEAST_SCAN_GAP: Duration = Duration::from_secs(2);

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
    /// Quiet hours or a person forbid it now.
    #[error("this host is not looked at now: {hold}")]
    Held {
        /// Which of them.
        hold: Hold,
    },
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
    run_with(settings, host, Scanner::start()?, shutdown).await
}

/// The same with a thread that was started before.
pub(crate) async fn run_with(
    settings: Settings,
    host: Host,
    scanner: Scanner,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let mut agent = Agent::start(settings, host, scanner)?;
    // Everything that matters is on disk before each wait, so the loop can end at any of them.
    tokio::select! {
        biased;
        () = shutdown => {
            info!(notice = Notice::Stopped.id(), "stopped");
            Ok(())
        }
        never = agent.serve() => match never {},
    }
}

/// Reports once: a scan, a check-in, and whatever the collector wants now.
///
/// # Errors
/// Anything that kept the collector from taking it, and what forbids a look now.
pub async fn run_once(settings: Settings, host: Host) -> Result<(), RunError> {
    run_once_with(settings, host, Scanner::start()?).await
}

/// The same with a thread that was started before.
pub(crate) async fn run_once_with(settings: Settings, host: Host, scanner: Scanner) -> Result<(), RunError> {
    let mut agent = Agent::start(settings, host, scanner)?;
    agent.scan_if_due().await?;
    if let Some(hold) = agent.pause.held() {
        return Err(RunError::Held { hold: hold.clone() });
    }
    for _ in 0..MAX_VISITS {
        match agent.visit(Duration::ZERO).await? {
            Visited::Renewed | Visited::Lifted => {}
            Visited::Done { open, .. } if open.is_empty() => return Ok(()),
            Visited::Done { open, .. } => return Err(RunError::NotTaken { sections: names(&open) }),
        }
    }
    Err(RunError::NotTaken { sections: "a renewed certificate".to_owned() })
}

/// One agent and everything that it keeps.
struct Agent {
    settings: Settings,
    host: Arc<Host>,
    state: State,
    credentials: Credentials,
    believed: Arc<BelievedClock>,
    held: Held,
    journal: Journal,
    retry: Retry,
    scanner: Scanner,
    pause: Pause,
    identity: HostIdentity,
    seen: Vec<Seen>,
    scanned: Option<Instant>,
    scan_took: Duration,
    renewed: Option<Instant>,
    connection: Option<Client>,
}

impl Agent {
    fn start(settings: Settings, mut host: Host, scanner: Scanner) -> Result<Self, RunError> {
        let state = State::open(&settings.state)?;
        let credentials = key::load(&settings.state)?;
        let leaf = credentials.leaf()?;
        let believed = BelievedClock::new(Arc::new(SystemClock), state.believed_ms());
        // The certificate was made before now, whatever the wall clock says.
        believed.learn(leaf.not_before_ms);
        host.agent.config_digest = settings.digest;
        let notice = Notice::Started.id();
        info!(notice, identity = %credentials.identity, collector = settings.collector, "agent starts");
        let home = home(&host, &settings.state);
        if let Some(warning) = home.storage.warning() {
            warn!(notice = Notice::Volatile.id(), "{warning}");
        }
        host.home = Some(home);
        Ok(Self {
            held: Held::open(state.dir()),
            journal: Journal::open(state.dir()),
            retry: Retry::new(retry::FIRST, retry::CAP),
            identity: known(state.machine()),
            pause: Pause::new(Holds {
                quiet_hours: settings.quiet_hours.clone(),
                kill_file: settings.kill_file.clone(),
            }),
            scanner,
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
                // The collector would take a host without an identity for a copy of another one.
                Ok(()) if !self.is_known() => {
                    self.pause.lifted().await;
                    continue;
                }
                Ok(()) => self.visit(self.settings.max_hold).await,
                Err(cause) => Err(cause),
            };
            match visited {
                // A certificate that is due again at once must not make the agent spin.
                Ok(Visited::Renewed) => tokio::time::sleep(AFTER_RENEWAL).await,
                // Whoever waits for an answer hears at once that there is none.
                Ok(Visited::Done { declined: true, .. } | Visited::Lifted) => {}
                Ok(Visited::Done { next_check_in_ms, .. }) => {
                    if self.retry.failures() > 0 {
                        info!("the collector answers again");
                    }
                    self.retry.succeeded();
                    let delay = pace::delay(next_check_in_ms, chance());
                    debug!(?delay, "waiting for the next check-in");
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        () = self.pause.lifted(), if self.pause.held().is_some() => {}
                    }
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
            | RunError::Held { .. }
            | RunError::Pack(_)
            | RunError::NotTaken { .. } => None,
        };
        match refusal {
            // A busy collector is not a reason for a person to act.
            None | Some(Reason::Pace) => self.retry.failed(now, chance()),
            Some(reason) => {
                let notice = Notice::Refused.id();
                warn!(notice, reason = reason.code(), error = %Chain(cause), "the collector refuses this host");
                self.retry.refused(now, chance());
            }
        }
        warn!(attempt = self.retry.failures(), error = %Chain(cause), "no visit to the collector");
        while let Step::WaitUntil(until) = self.retry.next(Instant::now()) {
            let scan_at = match (self.pause.held(), self.scanned) {
                (Some(_), _) => Instant::now() + pause::LOOK_EVERY,
                (None, Some(last)) => last + self.settings.scan_interval,
                (None, None) => Instant::now(),
            };
            tokio::time::sleep_until(until.min(scan_at).into()).await;
            if scan_at < until && self.scan_if_due().await.is_err() {
                tokio::time::sleep_until(until.into()).await;
            }
        }
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

    /// Looks at the host unless something holds; then, or when something comes to hold meanwhile,
    /// everything stays as it was.
    async fn look(&mut self) -> Result<(), RunError> {
        if self.pause.look().is_some() {
            return Ok(());
        }
        let found = look::look(&self.scanner, &self.host, &mut self.pause).await?;
        let Some(Found { identity, took, seen }) = found else {
            info!("the scan was stopped, and what it had found is thrown away");
            return Ok(());
        };
        self.state.keep_machine(identity.fingerprint)?;
        debug!(?took, "looked at the host");
        if self.retry.failures() > 0 {
            self.note_changes(&seen);
        }
        (self.identity, self.scan_took, self.seen) = (identity, took, seen);
        self.scanned = Some(Instant::now());
        Ok(())
    }

    /// Whether it can be said which machine this is, from this look or an earlier one.
    fn is_known(&self) -> bool {
        self.state.machine().is_some()
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

/// Where an agent with this state directory lives.
pub(crate) fn home(host: &Host, state: &Path) -> Home {
    Home { key_protection: key::protection(state), storage: Storage::of(host.registry.as_ref(), state) }
}

/// What is known of the host before the first look.
fn known(machine: Option<Digest>) -> HostIdentity {
    let unknown = HostIdentity::unknown();
    HostIdentity { fingerprint: machine.unwrap_or(unknown.fingerprint), ..unknown }
}

fn names(kinds: &BTreeSet<SectionKind>) -> String {
    kinds.iter().map(|it| section_name(*it)).collect::<Vec<_>>().join(", ")
}

/// A number in 0..1.
pub(crate) fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness agents lose their spread, which is no reason to stop.
    let _ = rand::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
