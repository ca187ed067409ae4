//! The operators' service about changes, baselines and duties: who may call, and what every call shares.

pub mod baseline;
pub mod duty;
mod evidence;
mod service;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::proto::v1 as pb;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use crate::change::{Change, ChangeOffice};
use crate::duty::Books;
use crate::intake::peer_of;
use crate::knowledge::Library;
use crate::zone::Role;

/// Longest wait of a call, in seconds.
const MAX_WAIT_S: u32 = 6 * 3_600;
/// Messages that wait for a slow reader.
const QUEUE: usize = 8;

type Stream<T> = ReceiverStream<Result<T, Status>>;

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

impl ChangeBook for ChangeOffice {
    fn change(&self, id: &str) -> Option<Arc<Change>> {
        Self::change(self, id).ok()
    }

    fn changes(&self) -> Vec<Arc<Change>> {
        Self::changes(self)
    }
}

/// Reads the store off the tasks that serve others.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Status::internal("the answer could not be worked out"))?
}

/// See the module.
#[derive(Debug, Clone)]
pub struct ChangesService {
    office: Arc<ChangeOffice>,
    books: Arc<Books>,
    library: Arc<Library>,
}

impl ChangesService {
    /// The service of an office and the books of its zone.
    pub fn new(office: Arc<ChangeOffice>, books: Arc<Books>, library: Arc<Library>) -> Self {
        Self { office, books, library }
    }

    /// Lets a caller in and says who it is.
    fn admit<T>(&self, request: &Request<T>, needs: Role) -> Result<String, Status> {
        self.caller(request, needs).map(|it| it.by)
    }

    /// Lets a caller in and says who it is, and which person.
    fn caller<T>(&self, request: &Request<T>, needs: Role) -> Result<Caller, Status> {
        let peer = peer_of(request);
        let zone = self.office.zone();
        let name = zone.operator_caller(&peer, needs)?;
        let person = zone.operator(name.as_str()).map(|it| it.person.clone()).filter(|it| !it.is_empty());
        Ok(Caller { by: zone.actor(&peer), person: person.unwrap_or_else(|| name.to_string()) })
    }

    async fn duties(&self, request: pb::ListDutiesRequest) -> Result<pb::ListDutiesResponse, Status> {
        duty::list(&self.books, self.office.as_ref(), &self.library.current(), request).await
    }

    /// Waits for a stage in the background and streams how its targets stand. The last message has the change: judged
    /// in the name of `judge_by`, if somebody asks for verdicts.
    fn watch(
        &self,
        id: String,
        stage: u32,
        wait_s: u32,
        judge_by: Option<String>,
    ) -> Stream<pb::ChangeProgress> {
        let (messages, stream) = mpsc::channel(QUEUE);
        let office = Arc::clone(&self.office);
        let deadline = Instant::now() + Duration::from_secs(wait_s.min(MAX_WAIT_S).into());
        tokio::spawn(async move {
            let mut last = Vec::new();
            let progress = |change: &Change| {
                let targets = view::targets(change, stage);
                if targets != last {
                    last.clone_from(&targets);
                    // A reader that is slow misses a step on the way, never the end.
                    let _ = messages.try_send(Ok(pb::ChangeProgress { targets, change: None }));
                }
            };
            let waited = tokio::select! {
                waited = office.wait(&id, stage, deadline, progress) => waited,
                // Nobody reads any more: what was asked stays asked.
                () = messages.closed() => return,
            };
            let ended = match (waited, judge_by) {
                (Ok(_), Some(by)) => office.judge_stage(&by, &id, stage).await,
                (waited, _) => waited,
            };
            let last = ended.map(|change| pb::ChangeProgress {
                targets: view::targets(&change, stage),
                change: Some(view::change(&change)),
            });
            // The reader may have gone.
            let _ = messages.send(last).await;
        });
        ReceiverStream::new(stream)
    }
}
