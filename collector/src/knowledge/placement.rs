//! Where assets stand: zone, level, role, what depends on them, and which conduits lead to them.

/// One file of placement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {}
