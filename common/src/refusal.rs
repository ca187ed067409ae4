//! Why a call is refused, as a code for programs and a sentence for people.
//!
//! A refusal travels as a gRPC status with the code in the metadata entry
//! [`REASON_KEY`]; the message says what to do next.

use std::fmt;
use std::str::FromStr;

use tonic::{Code, Status};

/// Metadata entry that carries the reason code.
pub const REASON_KEY: &str = "holdpoint-reason";

/// The reasons that a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No client certificate was presented.
    NoCertificate,
    /// The certificate is not valid yet by the collector's clock: the two clocks disagree.
    Clock,
    /// The certificate has expired. An agent may still renew within the grace.
    Expired,
    /// The certificate was revoked.
    Revoked,
    /// The collector does not know this identity or this certificate.
    Unknown,
    /// The identity is of another site or zone.
    WrongZone,
    /// Another machine with the same identity reports already.
    Duplicate,
    /// The operator lacks the role for this call.
    Role,
    /// The asset was retired; a token made for it enrols it again.
    Retired,
    /// The token is wrong, expired or used up.
    Token,
    /// The caller's budget of calls is spent for now.
    Pace,
}

const CODES: [(Reason, &str); 11] = [
    (Reason::NoCertificate, "no-certificate"),
    (Reason::Clock, "clock"),
    (Reason::Expired, "expired"),
    (Reason::Revoked, "revoked"),
    (Reason::Unknown, "unknown"),
    (Reason::WrongZone, "wrong-zone"),
    (Reason::Duplicate, "duplicate"),
    (Reason::Role, "role"),
    (Reason::Retired, "retired"),
    (Reason::Token, "token"),
    (Reason::Pace, "pace"),
];

impl Reason {
    /// The code as it travels.
    pub fn code(self) -> &'static str {
        CODES.iter().find(|(it, _)| *it == self).map_or("unknown", |(_, code)| code)
    }

    /// Makes the status of a refused call; `advice` says what happened and what to do next.
    pub fn refuse(self, advice: impl Into<String>) -> Status {
        let code = match self {
            Self::NoCertificate | Self::Clock | Self::Expired | Self::Unknown | Self::Token => {
                Code::Unauthenticated
            }
            Self::Revoked | Self::WrongZone | Self::Duplicate | Self::Role | Self::Retired => {
                Code::PermissionDenied
            }
            Self::Pace => Code::ResourceExhausted,
        };
        let mut status = Status::new(code, advice);
        status
            .metadata_mut()
            .insert(REASON_KEY, tonic::metadata::AsciiMetadataValue::from_static(self.code()));
        status
    }

    /// Reads the reason out of a status; `None` when the failure is not a refusal.
    pub fn of(status: &Status) -> Option<Self> {
        status.metadata().get(REASON_KEY)?.to_str().ok()?.parse().ok()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A reason code that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("unknown reason code")]
pub struct UnknownReason;

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        CODES.iter().find(|(_, code)| *code == text).map(|(it, _)| *it).ok_or(UnknownReason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_reason_and_advice() {
        for (reason, code) in CODES {
            let status = reason.refuse("set the clock");
            assert_eq!(Reason::of(&status), Some(reason));
            assert_eq!(reason.code(), code);
            assert_eq!(status.message(), "set the clock");
        }
    }

    #[test]
    fn a_plain_failure_has_no_reason() {
        assert_eq!(Reason::of(&Status::unavailable("gone")), None);
    }
}
