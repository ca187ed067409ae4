//! What suppliers state about patches, and how their lists are read.

/// One list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statements {}

/// How lists with certain columns are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {}
