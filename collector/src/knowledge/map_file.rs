//! The site's identity rules, as reviewed text.

/// One file of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MapFile {}
