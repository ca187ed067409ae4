//! The site's own expectations of hardening facts, as files.

/// One file of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleFile {}
