//! What the answer to a row depends on beside the row itself: the host's distribution, and facts of the host.

use super::package::Distribution;
use super::qualifiers::Qualifiers;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Surroundings {
    /// Whose records speak of its packages.
    pub(super) distribution: Distribution,
    /// Facts that rules of the map ask for.
    pub(super) facts: Qualifiers,
}
