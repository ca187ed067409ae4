//! What goes wrong, which exit code it has, and what the operator can do next.
//!
//! The text of an error never holds its cause; whoever prints walks the chain. Hints are
//! separate sentences and name a command.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use holdpoint_collector::conduit::ConduitError;
use holdpoint_common::channel::ConnectError;
use holdpoint_common::enrolment::EnrolError;
use holdpoint_common::refusal::Reason;
use tonic::{Code, Status};

use crate::output::escape::visible;
use crate::profile::ProfileError;

/// How a command ends; the codes are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The answer is no.
    No = 1,
    /// The command line or a file that it names is wrong.
    Usage = 2,
    /// The collector could not be reached, or does not permit it.
    Unreachable = 3,
}

impl Exit {
    /// [`Exit::Done`] when `yes`, else [`Exit::No`].
    pub fn yes_or_no(yes: bool) -> Self {
        if yes { Self::Done } else { Self::No }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No usable profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// No channel to the collector; its own diagnosis.
    #[error(transparent)]
    Connect(Box<ConnectError>),
    /// The profile's certificate and key cannot be used.
    #[error("cannot set up TLS")]
    Tls(#[source] holdpoint_common::tls::TlsError),
    /// The collector refuses with a reason that the operator can act on.
    #[error("the collector refused ({reason}): {}", visible(.message))]
    Refused {
        /// Which reason.
        reason: Reason,
        /// The collector's advice.
        message: String,
    },
    /// The collector has no such asset, finding or candidate, or is not in the state for it.
    #[error("{}", lines(.0))]
    No(String),
    /// The collector cannot make sense of an argument.
    #[error("{}", lines(.0))]
    Argument(String),
    /// The call failed for another cause.
    #[error("the collector did not answer ({code:?}): {}", visible(.message))]
    Call {
        /// gRPC code.
        code: Code,
        /// Whatever it or the transport says.
        message: String,
    },
    /// An answer without what it must hold.
    #[error("the collector's answer lacks {0}")]
    Incomplete(&'static str),
    /// The token cannot be right.
    #[error("the token is malformed")]
    Token(#[source] holdpoint_common::token::InvalidToken),
    /// Enrolment did not succeed.
    #[error("cannot enroll at {collector}")]
    Enroll {
        /// As typed.
        collector: String,
        /// Why.
        source: Box<EnrolError>,
    },
    /// The new key and certificates.
    #[error("cannot keep the new identity")]
    Credentials(#[source] holdpoint_common::credentials::CredentialsError),
    /// The operator's key.
    #[error("the decision cannot be signed")]
    Sign(#[source] holdpoint_common::credentials::CredentialsError),
    /// A file that the command reads.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that the command writes.
    #[error("cannot write {}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that would be overwritten.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Lines from stdin.
    #[error("cannot read stdin")]
    Stdin(#[source] io::Error),
    /// The answer itself.
    #[error("cannot write the answer to stdout")]
    Stdout(#[source] io::Error),
    /// An answer that cannot be written in the chosen format.
    #[error("cannot write the answer as JSON")]
    Json(#[from] serde_json::Error),
    /// The same for CSV.
    #[error("cannot write the answer as CSV")]
    Csv(#[from] csv::Error),
    /// The zone of `quickstart`.
    #[error(transparent)]
    Quickstart(#[from] crate::command::quickstart::QuickstartError),
    /// The profile is not one of a site, or its files cannot be used.
    #[error("the profile {} cannot be used to ask a site", .path.display())]
    SiteProfile {
        /// Which profile.
        path: PathBuf,
        /// What is wrong with which file.
        source: Box<ConduitError>,
    },
    /// No channel to the site; its own diagnosis.
    #[error("cannot speak with the site")]
    SiteConnect(#[source] Box<ConnectError>),
    /// The site refuses with a reason that the operator can act on.
    #[error("the site refused ({reason}): {}", visible(.message))]
    SiteRefused {
        /// Which reason.
        reason: Reason,
        /// The site's advice.
        message: String,
    },
    /// The asynchronous runtime.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
}

impl Failure {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Profile(_) | Self::Argument(_) | Self::Token(_) | Self::Exists(_) | Self::Read { .. } => {
                Exit::Usage
            }
            Self::Enroll { source, .. }
                if matches!(**source, EnrolError::Connect(ConnectError::Address { .. })) =>
            {
                Exit::Usage
            }
            Self::No(_) => Exit::No,
            // The address stands in the profile or on the command line.
            Self::Connect(cause) | Self::SiteConnect(cause)
                if matches!(**cause, ConnectError::Address { .. }) =>
            {
                Exit::Usage
            }
            Self::SiteProfile { .. } => Exit::Usage,
            Self::Connect(_)
            | Self::SiteConnect(_)
            | Self::SiteRefused { .. }
            | Self::Refused { .. }
            | Self::Call { .. }
            | Self::Incomplete(_)
            | Self::Quickstart(_)
            | Self::Tls(_)
            | Self::Credentials(_)
            | Self::Sign(_)
            | Self::Enroll { .. }
            | Self::Write { .. }
            | Self::Stdin(_)
            | Self::Stdout(_)
            | Self::Json(_)
            | Self::Csv(_)
            | Self::Runtime(_) => Exit::Unreachable,
        }
    }

    /// What to do next, where something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Profile(error) => Some(error.hint()),
            Self::Connect(cause) => remedy(cause).map(Into::into),
            Self::Refused { reason, .. } => Some(advice(*reason).into()),
            Self::Call { code: Code::Unimplemented, .. } => Some(
                "the collector is older than this command line; `holdpoint --version` shows yours".into(),
            ),
            Self::Token(_) => Some(format!("paste the whole token; {NEW_TOKEN}")),
            Self::Enroll { source, .. } => match &**source {
                EnrolError::Connect(cause) => remedy(cause).map(Into::into),
                EnrolError::Tls(_)
                | EnrolError::Key(_)
                | EnrolError::Request(_)
                | EnrolError::Refused(_)
                | EnrolError::Answer(_) => Some(NEW_TOKEN.into()),
            },
            Self::Exists(_) => {
                Some("name another file with --profile FILE, or replace it with --replace".into())
            }
            Self::SiteProfile { .. } => Some(JOIN.into()),
            Self::SiteConnect(_) => Some(
                "on the site's machine: `holdpoint-collector site run --data DIR`; a certificate that the site \
                 does not take is told there"
                    .into(),
            ),
            Self::SiteRefused { reason, .. } => match reason {
                Reason::NoCertificate | Reason::Expired | Reason::Revoked => Some(JOIN.into()),
                Reason::Clock
                | Reason::Unknown
                | Reason::WrongZone
                | Reason::Duplicate
                | Reason::Role
                | Reason::Retired
                | Reason::Token
                | Reason::Pace => None,
            },
            Self::No(_)
            | Self::Argument(_)
            | Self::Call { .. }
            | Self::Incomplete(_)
            | Self::Quickstart(_)
            | Self::Tls(_)
            | Self::Credentials(_)
            | Self::Sign(_)
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Stdin(_)
            | Self::Stdout(_)
            | Self::Json(_)
            | Self::Csv(_)
            | Self::Runtime(_) => None,
        }
    }

    /// The same where a site was asked: its refusals are its own.
    #[must_use]
    pub fn of_site(self) -> Self {
        if let Self::Refused { reason, message } = self {
            Self::SiteRefused { reason, message }
        } else if let Self::Connect(cause) = self {
            Self::SiteConnect(cause)
        } else {
            self
        }
    }

    /// Whether a further call of the same kind must fail for the same cause.
    pub fn is_for_good(&self) -> bool {
        use Code::{PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable, Unimplemented};
        let of_call = [Unavailable, Unauthenticated, PermissionDenied, ResourceExhausted, Unimplemented];
        if let Self::Call { code, .. } = self {
            of_call.contains(code)
        } else {
            matches!(self, Self::Refused { .. })
        }
    }
}

/// Text of a peer, a line each; those after the first are indented, so that none looks like one of ours.
fn lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n  ")
}

const JOIN: &str = "`holdpoint join --site S --name N --server HOST:PORT --out DIR` makes the key and the request; the \
                    conduit's CA answers it (`holdpoint-collector conduit issue`, then `conduit install`)";

const NEW_TOKEN: &str = "`holdpoint-collector operator add NAME --data DIR --role viewer` prints a new token";

/// What helps beyond the diagnosis.
fn remedy(cause: &ConnectError) -> Option<&'static str> {
    match cause {
        ConnectError::Address { .. } => None,
        ConnectError::Resolve { .. }
        | ConnectError::Tcp { .. }
        | ConnectError::Timeout { .. }
        | ConnectError::Tls { .. }
        | ConnectError::Closed { .. }
        | ConnectError::Socket { .. }
        | ConnectError::Http { .. } => {
            Some("on the collector's machine: `holdpoint-collector run --data DIR`")
        }
        ConnectError::Distrusted { .. } | ConnectError::Refused { .. } => {
            Some("choose the profile of this zone with --profile FILE, or make one with `holdpoint enroll`")
        }
    }
}

fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::NoCertificate | Reason::Expired | Reason::Revoked => {
            "get a token from `holdpoint-collector operator add NAME --data DIR --role viewer`, then \
             `holdpoint enroll --collector HOST:PORT --token TOKEN --replace`"
        }
        Reason::Clock => "set the clock of this machine or of the collector, then repeat the command",
        Reason::Unknown | Reason::WrongZone => "choose the profile of this zone with --profile FILE",
        Reason::Duplicate => {
            "`holdpoint asset show ID` shows both copies; then `holdpoint asset merge` or `split`"
        }
        Reason::Role => "`holdpoint-collector operator add NAME --data DIR --role engineer` gives the role",
        Reason::Retired => "`holdpoint-collector token create --data DIR --for ASSET` enrols it again",
        Reason::Token => NEW_TOKEN,
        Reason::Pace => "wait a minute, then repeat the command",
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        if let Some(reason) = Reason::of(&status) {
            return Self::Refused { reason, message };
        }
        match status.code() {
            Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => {
                Self::No(message)
            }
            Code::InvalidArgument | Code::OutOfRange => Self::Argument(message),
            code @ (Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
            | Code::Unauthenticated) => Self::Call { code, message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_no_from_wrong_from_unreachable() {
        for (status, exit) in [
            (Status::not_found("no asset hmi-9"), Exit::No),
            (Status::failed_precondition("already retired"), Exit::No),
            (Status::invalid_argument("no such verdict"), Exit::Usage),
            (Status::unavailable("gone"), Exit::Unreachable),
            (Status::permission_denied("no"), Exit::Unreachable),
            (Reason::Role.refuse("needs engineer"), Exit::Unreachable),
        ] {
            assert_eq!(Failure::from(status.clone()).exit(), exit, "{status}");
        }
    }

    #[test]
    fn a_refusal_says_which_command_helps() {
        let failure = Failure::from(Reason::Role.refuse("needs the role engineer"));
        assert_eq!(failure.to_string(), "the collector refused (role): needs the role engineer");
        assert!(failure.hint().unwrap().contains("holdpoint-collector operator add"));
    }

    #[test]
    fn a_peers_message_cannot_drive_the_terminal() {
        let failure = Failure::from(Status::not_found("\u{1b}[2Jgone"));
        assert_eq!(failure.to_string(), "\\u{1b}[2Jgone");
        let listed = Failure::from(Status::invalid_argument("one\nerror: \u{1b}two"));
        assert_eq!(listed.to_string(), "one\n  error: \\u{1b}two");
    }
}
