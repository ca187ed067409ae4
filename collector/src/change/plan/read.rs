//! Reading a plan.

use super::Plan;

/// Reads a plan.
///
/// # Errors
/// Every fault, each as one sentence with the key that it stands at.
pub fn read(text: &str) -> Result<Plan, Vec<String>> {
    let _ = text;
    Err(vec!["not yet".to_owned()])
}
