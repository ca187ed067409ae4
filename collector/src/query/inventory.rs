//! The operators' service about assets: what is there, what changed, and asking to look again.
//!
//! Reading needs the role viewer, changing and asking engineer. Every change is an entry of the
//! audit log, written with it. Nothing here judges; nothing here deletes history.

mod acts;
mod compare;
mod rescan;
mod search;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use holdpoint_common::proto::v1::inventory_server::Inventory;
use holdpoint_common::proto::v1::{
    Asset, CompareAssetsRequest, CompareAssetsResponse, Event, GetAssetRequest, GetAssetResponse,
    ListAssetsRequest, ListAssetsResponse, ListEventsRequest, ListEventsResponse, MergeAssetsRequest,
    RenameAssetRequest, RescanAnswer, RescanRequest, RetireAssetRequest, SearchSoftwareRequest,
    SearchSoftwareResponse, SplitAssetRequest,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::intake::peer_of;
use crate::server::Peer;
use crate::zone::{Role, Zone, status_of};

/// Most entries of one page.
const MAX_PAGE: u32 = 1_000;

/// The inventory service of a zone.
#[derive(Debug, Clone)]
pub struct InventoryService {
    zone: Arc<Zone>,
}

impl InventoryService {
    /// The service of a zone.
    pub fn new(zone: Arc<Zone>) -> Self {
        Self { zone }
    }

    /// Lets a caller with the role through; returns who it is and what it asks.
    fn admit<T>(&self, request: Request<T>, needs: Role) -> Result<(Peer, T), Status> {
        let peer = peer_of(&request);
        self.zone.operator_caller(&peer, needs)?;
        Ok((peer, request.into_inner()))
    }
}

/// The size of a page that was asked for; 0 asks for the largest.
fn page_size(limit: u32) -> usize {
    let limit = if limit == 0 { MAX_PAGE } else { limit.min(MAX_PAGE) };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[tonic::async_trait]
impl Inventory for InventoryService {
    async fn list_assets(
        &self,
        request: Request<ListAssetsRequest>,
    ) -> Result<Response<ListAssetsResponse>, Status> {
        let (_, ListAssetsRequest { limit, after, with_retired }) = self.admit(request, Role::Viewer)?;
        Ok(Response::new(view::list(&self.zone, page_size(limit), &after, with_retired)))
    }

    async fn get_asset(
        &self,
        request: Request<GetAssetRequest>,
    ) -> Result<Response<GetAssetResponse>, Status> {
        let (_, GetAssetRequest { id }) = self.admit(request, Role::Viewer)?;
        let record = self.zone.find_asset(&id)?;
        let zone = Arc::clone(&self.zone);
        blocking(move || view::with_sections(&zone, &record)).await.map(Response::new)
    }

    async fn search_software(
        &self,
        request: Request<SearchSoftwareRequest>,
    ) -> Result<Response<SearchSoftwareResponse>, Status> {
        let (_, SearchSoftwareRequest { query, limit, after }) = self.admit(request, Role::Viewer)?;
        let zone = Arc::clone(&self.zone);
        blocking(move || search::search(&zone, &query, page_size(limit), &after)).await.map(Response::new)
    }

    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let (_, ListEventsRequest { asset, limit }) = self.admit(request, Role::Viewer)?;
        // Events outlive their asset: an id that is gone still has its history.
        let id = self.zone.find_asset(&asset).map_or(asset, |it| it.id.clone());
        let zone = Arc::clone(&self.zone);
        let found = blocking(move || {
            let asset = (!id.is_empty()).then_some(id.as_str());
            zone.store().events(asset, None, page_size(limit)).map_err(|cause| status_of(&cause))
        })
        .await?;
        let events = found.into_iter().map(|(_, it)| Event {
            at_ms: it.at_ms,
            asset: it.asset,
            kind: it.kind,
            text: it.text,
            host_time_ms: it.host_time_ms,
        });
        Ok(Response::new(ListEventsResponse { events: events.collect() }))
    }

    async fn compare_assets(
        &self,
        request: Request<CompareAssetsRequest>,
    ) -> Result<Response<CompareAssetsResponse>, Status> {
        let (_, CompareAssetsRequest { left, right }) = self.admit(request, Role::Viewer)?;
        let (left, right) = (self.zone.find_asset(&left)?, self.zone.find_asset(&right)?);
        let zone = Arc::clone(&self.zone);
        blocking(move || compare::compare(zone.store(), &left, &right)).await.map(Response::new)
    }

    async fn rename_asset(&self, request: Request<RenameAssetRequest>) -> Result<Response<Asset>, Status> {
        let (peer, request) = self.admit(request, Role::Engineer)?;
        acts::rename(&self.zone, self.zone.actor(&peer), request).await.map(Response::new)
    }

    async fn retire_asset(&self, request: Request<RetireAssetRequest>) -> Result<Response<Asset>, Status> {
        let (peer, request) = self.admit(request, Role::Engineer)?;
        acts::retire(&self.zone, self.zone.actor(&peer), request).await.map(Response::new)
    }

    async fn merge_assets(&self, request: Request<MergeAssetsRequest>) -> Result<Response<Asset>, Status> {
        let (peer, request) = self.admit(request, Role::Engineer)?;
        acts::merge(&self.zone, self.zone.actor(&peer), request).await.map(Response::new)
    }

    async fn split_asset(&self, request: Request<SplitAssetRequest>) -> Result<Response<Asset>, Status> {
        let (peer, request) = self.admit(request, Role::Engineer)?;
        acts::split(&self.zone, self.zone.actor(&peer), request).await.map(Response::new)
    }

    type RescanStream = ReceiverStream<Result<RescanAnswer, Status>>;

    async fn rescan(&self, request: Request<RescanRequest>) -> Result<Response<Self::RescanStream>, Status> {
        let (peer, request) = self.admit(request, Role::Engineer)?;
        rescan::rescan(&self.zone, self.zone.actor(&peer), request).await.map(Response::new)
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
