//! A service's life: waits until this host has an identity, gets one when an installer ordered it, and is an
//! agent from then on.
//!
//! A host whose image was made without a token waits here for years if it has to; it asks its own disk every
//! few seconds and nobody else.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdpoint_common::chain::Chain;
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::enrolment::EnrolError;
use holdpoint_common::refusal::Reason;
use tracing::{info, warn};

use super::order::{self, Order};
use crate::RunError;
use crate::agent::{self, chance};
use crate::cage::hold::Holds;
use crate::cage::hours::QuietHours;
use crate::enrol::{self, EnrollError};
use crate::host::Host;
use crate::link::retry::{self, Retry, Step};
use crate::notice::Notice;
use crate::scan::ScanError;
use crate::scan::scanner::Scanner;
use crate::settings::{KILL_FILE, Settings, SettingsError};

/// Between two looks for an order or an identity.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why a service ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The agent could not start.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The host cannot be looked at.
    #[error("the host cannot be looked at")]
    Scan(#[from] ScanError),
}

/// Lives in a state directory until `shutdown`, as the service does.
///
/// # Errors
/// The settings are wrong, or the agent cannot start.
pub async fn serve(state: &Path, host: Host, shutdown: impl Future<Output = ()>) -> Result<(), LiveError> {
    live(state, host, Scanner::start()?, shutdown).await
}

/// The same with a thread that was started before.
///
/// # Errors
/// The settings are wrong, or the agent cannot start.
pub(crate) async fn live(
    state: &Path,
    host: Host,
    scanner: Scanner,
    shutdown: impl Future<Output = ()>,
) -> Result<(), LiveError> {
    let mut shutdown = std::pin::pin!(shutdown);
    let host = Arc::new(host);
    let settings = tokio::select! {
        biased;
        () = &mut shutdown => {
            info!(notice = Notice::Stopped.id(), "stopped");
            return Ok(());
        }
        settings = enrolled(state, &host, &scanner) => settings?,
    };
    Ok(agent::run_with(settings, Host::clone(&host), scanner, shutdown).await?)
}

/// The settings of a host that has an identity; waits until it has one.
async fn enrolled(state: &Path, host: &Arc<Host>, scanner: &Scanner) -> Result<Settings, SettingsError> {
    let mut retry = Retry::new(retry::FIRST, retry::CAP);
    let mut is_told = false;
    loop {
        match order::waiting(state) {
            Ok(None) => {}
            Ok(Some(order)) if is_enrolled_with(state, &order) => {
                info!("this host is enrolled with that collector already; the order for it is deleted");
                forget(state);
            }
            Ok(Some(order)) => carry_out(state, &order, host, scanner, &mut retry).await,
            Err(cause) => {
                let notice = Notice::NotEnrolled.id();
                warn!(
                    notice,
                    error = &cause as &dyn std::error::Error,
                    "the enrolment that was ordered is not possible"
                );
                forget(state);
            }
        }
        if order::waiting(state).is_ok_and(|it| it.is_none()) {
            match Settings::load(state) {
                Err(SettingsError::NotEnrolled { .. }) => {}
                other => return other,
            }
            if !is_told {
                let state = state.display();
                let notice = Notice::NotEnrolled.id();
                warn!(
                    notice,
                    "this host is not enrolled: run `holdpoint-agent enroll --state \"{state}\"` with a token of its collector"
                );
                is_told = true;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn is_enrolled_with(state: &Path, order: &Order) -> bool {
    Settings::load(state).is_ok_and(|it| it.collector == order.collector)
}

/// Enrols as ordered, unless something holds or the last attempt is too fresh.
async fn carry_out(state: &Path, order: &Order, host: &Arc<Host>, scanner: &Scanner, retry: &mut Retry) {
    let holds = Holds { quiet_hours: QuietHours::default(), kill_file: state.join(KILL_FILE) };
    if holds.now(SystemClock.now_ms()).is_some() {
        return;
    }
    match retry.next(Instant::now()) {
        Step::WaitUntil(_) => return,
        Step::Go => {}
    }
    let collector = &order.collector;
    match enrol::enroll_with(state, collector, &order.token, host, scanner).await {
        Ok(identity) => {
            info!(notice = Notice::Enrolled.id(), %identity, collector, "this host is enrolled");
            forget(state);
        }
        Err(cause) => {
            let reason = refusal(&cause);
            match reason {
                None => {
                    warn!(error = %Chain(&cause), collector, "not enrolled yet");
                    retry.failed(Instant::now(), chance());
                }
                Some(reason) => {
                    let notice = Notice::Refused.id();
                    warn!(notice, reason = reason.code(), error = %Chain(&cause), "the collector does not enrol this host");
                    retry.refused(Instant::now(), chance());
                }
            }
            // A token that is used, expired or wrong stays so.
            if reason == Some(Reason::Token) {
                forget(state);
            }
        }
    }
}

/// Why the collector said no; `None` when it said nothing.
fn refusal(cause: &EnrollError) -> Option<Reason> {
    match cause {
        EnrollError::Enrol(cause) => match &**cause {
            EnrolError::Refused(status) => Reason::of(status),
            EnrolError::Connect(_)
            | EnrolError::Tls(_)
            | EnrolError::Key(_)
            | EnrolError::Request(_)
            | EnrolError::Answer(_) => None,
        },
        EnrollError::State(_) | EnrollError::Settings(_) | EnrollError::Scan(_) | EnrollError::Keep(_) => {
            None
        }
    }
}

fn forget(state: &Path) {
    if let Err(cause) = order::discard(state) {
        warn!(
            error = &cause as &dyn std::error::Error,
            file = order::FILE,
            "delete it by hand: it holds a token"
        );
    }
}
