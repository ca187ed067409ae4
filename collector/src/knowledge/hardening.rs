//! The site's own expectations of hardening facts, as files: rules, overrides, disabled rules and exceptions.
//!
//! What such a file may say is in [`crate::hardening`]; here it is one kind of knowledge among the others.

pub use crate::hardening::{InvalidRules, RuleFile, looks_like, read};
