//! Changes as operators ask for them: who may call, and the messages around [`ChangeOffice`].

use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::proto::store::SignedDecision;
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::proto::v1::changes_server::Changes;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::change::{Change, ChangeOffice};
use crate::intake::peer_of;
use crate::zone::Role;

mod view;

/// Longest wait of a call, in seconds.
const MAX_WAIT_S: u32 = 6 * 3_600;
/// Messages that wait for a slow reader.
const QUEUE: usize = 8;
/// Most targets that are left out by one call.
const MAX_LEFT_OUT: usize = 10_000;

type Stream<T> = ReceiverStream<Result<T, Status>>;

/// See the module.
#[derive(Debug, Clone)]
pub struct ChangesService {
    office: Arc<ChangeOffice>,
}

impl ChangesService {
    /// The service of an office.
    pub fn new(office: Arc<ChangeOffice>) -> Self {
        Self { office }
    }

    /// Lets a caller in and says who it is.
    fn admit<T>(&self, request: &Request<T>, needs: Role) -> Result<String, Status> {
        let peer = peer_of(request);
        self.office.zone().operator_caller(&peer, needs)?;
        Ok(self.office.zone().actor(&peer))
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

fn shown(change: &Change) -> Response<pb::Change> {
    Response::new(view::change(change))
}

#[tonic::async_trait]
impl Changes for ChangesService {
    async fn list_changes(
        &self,
        request: Request<pb::ListChangesRequest>,
    ) -> Result<Response<pb::ListChangesResponse>, Status> {
        self.admit(&request, Role::Viewer)?;
        let all = request.into_inner().all;
        let changes = self.office.changes();
        let wanted = changes.iter().filter(|it| all || !it.state.has_ended());
        Ok(Response::new(pb::ListChangesResponse { changes: wanted.map(|it| view::summary(it)).collect() }))
    }

    async fn get_change(
        &self,
        request: Request<pb::GetChangeRequest>,
    ) -> Result<Response<pb::Change>, Status> {
        self.admit(&request, Role::Viewer)?;
        Ok(shown(&*self.office.change(&request.into_inner().id)?))
    }

    async fn new_change(
        &self,
        request: Request<pb::NewChangeRequest>,
    ) -> Result<Response<pb::Change>, Status> {
        let by = self.admit(&request, Role::Engineer)?;
        let pb::NewChangeRequest { plan, file } = request.into_inner();
        Ok(shown(&*self.office.draft(&by, &plan, &file).await?))
    }

    async fn submit_change(
        &self,
        request: Request<pb::SubmitChangeRequest>,
    ) -> Result<Response<pb::Change>, Status> {
        let by = self.admit(&request, Role::Engineer)?;
        Ok(shown(&*self.office.submit(&by, &request.into_inner().id).await?))
    }

    async fn record_meeting(
        &self,
        request: Request<pb::RecordMeetingRequest>,
    ) -> Result<Response<pb::Change>, Status> {
        let by = self.admit(&request, Role::Engineer)?;
        let pb::RecordMeetingRequest { id, held_ms, present, minutes } = request.into_inner();
        Ok(shown(&*self.office.meet(&by, &id, held_ms, present, minutes).await?))
    }

    type OpenStageStream = Stream<pb::ChangeProgress>;

    async fn open_stage(
        &self,
        request: Request<pb::OpenStageRequest>,
    ) -> Result<Response<Self::OpenStageStream>, Status> {
        let by = self.admit(&request, Role::Engineer)?;
        let pb::OpenStageRequest { id, stage, r#override, leave_out, wait_s } = request.into_inner();
        if leave_out.len() > MAX_LEFT_OUT {
            return Err(Status::invalid_argument("too many assets are left out"));
        }
        let left_out = leave_out.into_iter().map(|it| (it.asset, it.reason)).collect();
        self.office.open_stage(&by, &id, stage, &r#override, left_out).await?;
        Ok(Response::new(self.watch(id, stage, wait_s, None)))
    }

    async fn complete_stage(
        &self,
        request: Request<pb::CompleteStageRequest>,
    ) -> Result<Response<pb::Change>, Status> {
        let by = self.admit(&request, Role::Engineer)?;
        let pb::CompleteStageRequest { id, stage, note } = request.into_inner();
        Ok(shown(&*self.office.complete_stage(&by, &id, stage, &note).await?))
    }

    type VerifyStageStream = Stream<pb::ChangeProgress>;

    async fn verify_stage(
        &self,
        request: Request<pb::VerifyStageRequest>,
    ) -> Result<Response<Self::VerifyStageStream>, Status> {
        let by = self.admit(&request, Role::Engineer)?;
        let pb::VerifyStageRequest { id, stage, wait_s } = request.into_inner();
        Ok(Response::new(self.watch(id, stage, wait_s, Some(by))))
    }

    async fn roll_back_stage(
        &self,
        request: Request<pb::RollBackStageRequest>,
    ) -> Result<Response<pb::Change>, Status> {
        let by = self.admit(&request, Role::Engineer)?;
        let pb::RollBackStageRequest { id, stage, assets, reason } = request.into_inner();
        Ok(shown(&*self.office.roll_back(&by, &id, stage, assets, reason).await?))
    }

    async fn record_lessons(
        &self,
        request: Request<pb::RecordLessonsRequest>,
    ) -> Result<Response<pb::Change>, Status> {
        let by = self.admit(&request, Role::Engineer)?;
        let pb::RecordLessonsRequest { id, text } = request.into_inner();
        Ok(shown(&*self.office.learn(&by, &id, text).await?))
    }

    async fn close_change(
        &self,
        request: Request<pb::CloseChangeRequest>,
    ) -> Result<Response<pb::Change>, Status> {
        let by = self.admit(&request, Role::Engineer)?;
        let pb::CloseChangeRequest { id, unremediated } = request.into_inner();
        Ok(shown(&*self.office.close(&by, &id, &unremediated, Vec::new()).await?))
    }

    async fn decide(&self, request: Request<pb::DecideRequest>) -> Result<Response<pb::Change>, Status> {
        self.admit(&request, Role::Viewer)?;
        let signed = SignedDecision::decode(request.into_inner().signed.as_slice())
            .map_err(|_| Status::invalid_argument("the signed decision cannot be read"))?;
        Ok(shown(&*self.office.decide(signed).await?))
    }

    async fn list_duties(
        &self,
        _: Request<pb::ListDutiesRequest>,
    ) -> Result<Response<pb::ListDutiesResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn get_baseline(
        &self,
        _: Request<pb::GetBaselineRequest>,
    ) -> Result<Response<pb::Baseline>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn list_drift(
        &self,
        _: Request<pb::ListDriftRequest>,
    ) -> Result<Response<pb::ListDriftResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn list_controls(
        &self,
        _: Request<pb::ListControlsRequest>,
    ) -> Result<Response<pb::ListControlsResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn approve_baseline(
        &self,
        _: Request<pb::ApproveBaselineRequest>,
    ) -> Result<Response<pb::Baseline>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn dispose_drift(
        &self,
        _: Request<pb::DisposeDriftRequest>,
    ) -> Result<Response<pb::ListDriftResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn record_evaluation(
        &self,
        _: Request<pb::RecordEvaluationRequest>,
    ) -> Result<Response<pb::ListDutiesResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn name_patch_source(
        &self,
        _: Request<pb::NamePatchSourceRequest>,
    ) -> Result<Response<pb::ListDutiesResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn register_control(
        &self,
        _: Request<pb::RegisterControlRequest>,
    ) -> Result<Response<pb::Control>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn test_control(
        &self,
        _: Request<pb::TestControlRequest>,
    ) -> Result<Response<pb::Control>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn end_control(&self, _: Request<pb::EndControlRequest>) -> Result<Response<pb::Control>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    type ExportEvidenceStream = Stream<pb::EvidencePart>;

    async fn export_evidence(
        &self,
        _: Request<pb::ExportEvidenceRequest>,
    ) -> Result<Response<Self::ExportEvidenceStream>, Status> {
        Err(Status::unimplemented("not yet"))
    }
}
