//! What moved between two snapshots and was not declared.
