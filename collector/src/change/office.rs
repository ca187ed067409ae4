//! The change service's inside: asks agents to look again, waits for them, and writes entries.

/// See the module.
#[derive(Debug)]
pub struct ChangeOffice;
