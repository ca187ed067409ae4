//! What operators may do.
//!
//! Roles live in the collector's store, never in a certificate, so that taking one away acts
//! on the next call.

use std::fmt;
use std::str::FromStr;

use crate::change::BoardRole;

/// A role of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads everything.
    Viewer,
    /// Changes what is recorded about assets and knowledge, and asks hosts to look again.
    Engineer,
    /// Runs the zone: tokens, operators, revocation, the CA.
    Admin,
    /// Decides on changes as a member of the patch board, with a signature of its own; reads everything.
    Board(BoardRole),
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 8] = [
        Self::Viewer,
        Self::Engineer,
        Self::Admin,
        Self::Board(BoardRole::OtSecurity),
        Self::Board(BoardRole::ControlEngineer),
        Self::Board(BoardRole::Operations),
        Self::Board(BoardRole::Maintenance),
        Self::Board(BoardRole::PlantSafety),
    ];

    /// The word in commands, records and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Engineer => "engineer",
            Self::Admin => "admin",
            Self::Board(role) => role.as_str(),
        }
    }

    /// Whether holding `held` covers a call that needs this role. Whoever has any role may read;
    /// running the zone and changing its inventory do not imply each other.
    pub fn covered_by(self, held: &[Self]) -> bool {
        match self {
            Self::Viewer => !held.is_empty(),
            Self::Engineer | Self::Admin | Self::Board(_) => held.contains(&self),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No role has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a role: use viewer, engineer, admin, or one of the board: ot-security, control-engineer, \
     operations, maintenance, plant-safety", .0.escape_debug()
)]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| UnknownRole(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_survive_their_text_and_others_are_refused() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("Admin".parse::<Role>().is_err());
        assert!("".parse::<Role>().is_err());
    }

    #[test]
    fn running_the_zone_does_not_allow_changing_its_inventory() {
        assert!(Role::Viewer.covered_by(&[Role::Admin]));
        assert!(!Role::Engineer.covered_by(&[Role::Admin, Role::Viewer]));
        assert!(!Role::Admin.covered_by(&[Role::Engineer]));
        assert!(!Role::Viewer.covered_by(&[]));
    }
}
