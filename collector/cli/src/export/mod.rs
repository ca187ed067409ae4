//! What is known, in forms that other programs read. Each is made from what the collector answers anyway; none
//! judges again, and none makes something certain of what is not.

pub mod cef;
pub mod cyclonedx;
pub mod ocsf;

/// Who wrote it.
const PRODUCT: &str = "Holdpoint";
/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");
