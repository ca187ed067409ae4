//! How a host gets its identity: once, with a token that a person carried here.

use std::path::Path;
use std::sync::Arc;

use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::credentials::CredentialsError;
use holdpoint_common::enrolment::{self, EnrolError};
use holdpoint_common::identity::Identity;
use holdpoint_common::proto::v1::HostFacts;
use holdpoint_common::row::SectionKind;
use holdpoint_common::token::Token;

use crate::host::Host;
use crate::link::held::Held;
use crate::link::key;
use crate::link::state::{State, StateError};
use crate::scan::scanner::Scanner;
use crate::scan::{HostIdentity, ScanError};
use crate::settings::{self, SettingsError};

/// Why the host is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The state directory cannot be used.
    #[error("the state directory cannot be used")]
    State(#[from] StateError),
    /// The settings cannot be written.
    #[error("the settings cannot be written")]
    Settings(#[from] SettingsError),
    /// The host could not be looked at.
    #[error("the host cannot be looked at")]
    Scan(#[from] ScanError),
    /// The collector could not be reached, refused, or gave a wrong answer.
    #[error("this host is not enrolled")]
    Enrol(#[source] Box<EnrolError>),
    /// The new identity cannot be kept.
    #[error("the new identity cannot be kept")]
    Keep(#[source] CredentialsError),
}

/// Exchanges a token for this host's identity and keeps it in the state directory.
///
/// What was held for an earlier collector is forgotten; the sequence goes on.
///
/// # Errors
/// Whatever kept the host from being enrolled; an earlier identity is then untouched.
pub async fn enroll(
    state: &Path,
    collector: &str,
    token: &Token,
    host: &Host,
) -> Result<Identity, EnrollError> {
    let scanner = Scanner::start()?;
    enroll_with(state, collector, token, &Arc::new(host.clone()), &scanner).await
}

/// The same with a thread that was started before.
pub(crate) async fn enroll_with(
    state: &Path,
    collector: &str,
    token: &Token,
    host: &Arc<Host>,
    scanner: &Scanner,
) -> Result<Identity, EnrollError> {
    let mut open = State::open(state)?;
    let seen = scanner.ask(host, &[SectionKind::Platform]).await?.identity();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let enrolled = enrolment::enrol(collector, token, Some(facts(&seen, host)), clock)
        .await
        .map_err(|it| EnrollError::Enrol(Box::new(it)))?;
    // A cache that stays costs a check at the collector and proves nothing.
    let _ = Held::clear(state);
    key::save(&enrolled.credentials, state).map_err(EnrollError::Keep)?;
    open.keep_believed(enrolled.collector_time_ms)?;
    open.keep_machine(seen.fingerprint)?;
    settings::set_collector(state, collector)?;
    Ok(enrolled.credentials.identity)
}

/// What the collector is told about the host with a certificate request.
pub(crate) fn facts(seen: &HostIdentity, host: &Host) -> HostFacts {
    HostFacts {
        hostname: seen.hostname.clone(),
        fingerprint: seen.fingerprint.to_vec(),
        boot_id: seen.boot_id.clone(),
        agent_version: host.agent.version.clone(),
        os_name: seen.os_name.clone(),
        os_version: seen.os_version.clone(),
    }
}
