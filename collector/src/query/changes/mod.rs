//! The operators' service about changes, baselines and duties.

pub mod baseline;
pub mod duty;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tonic::Status;

use crate::change::Change;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// SPIFFE identity, or "local".
    pub by: String,
    /// The person behind the operator.
    pub person: String,
}

/// The changes of the zone, as baselines and duties need them.
pub trait ChangeBook: Send + Sync + 'static {
    /// A change by its number.
    fn change(&self, id: &str) -> Option<Arc<Change>>;

    /// Every change, those that have ended included.
    fn changes(&self) -> Vec<Arc<Change>>;
}

/// Reads the store off the tasks that serve others.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Status::internal("the answer could not be worked out"))?
}
