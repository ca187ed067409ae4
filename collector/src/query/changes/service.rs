//! The calls of the service, each with the role that it needs.

use holdpoint_common::proto::store::SignedDecision;
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::proto::v1::changes_server::Changes;
use prost::Message;
use tonic::{Request, Response, Status};

use super::{ChangesService, Stream, baseline, duty, evidence, view};
use crate::baseline::approve;
use crate::change::Change;
use crate::zone::Role;

/// Most targets that are left out by one call.
const MAX_LEFT_OUT: usize = 10_000;

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
        let change = self.office.change(&id)?;
        let blocked = approve::missing_of(&change, &self.books.baselines());
        Ok(shown(&*self.office.close(&by, &id, &unremediated, blocked).await?))
    }

    async fn decide(&self, request: Request<pb::DecideRequest>) -> Result<Response<pb::Change>, Status> {
        self.admit(&request, Role::Viewer)?;
        let signed = SignedDecision::decode(request.into_inner().signed.as_slice())
            .map_err(|_| Status::invalid_argument("the signed decision cannot be read"))?;
        Ok(shown(&*self.office.decide(signed).await?))
    }

    async fn list_duties(
        &self,
        request: Request<pb::ListDutiesRequest>,
    ) -> Result<Response<pb::ListDutiesResponse>, Status> {
        self.admit(&request, Role::Viewer)?;
        self.duties(request.into_inner()).await.map(Response::new)
    }

    async fn record_evaluation(
        &self,
        request: Request<pb::RecordEvaluationRequest>,
    ) -> Result<Response<pb::ListDutiesResponse>, Status> {
        let caller = self.caller(&request, Role::Engineer)?;
        duty::record_evaluation(&self.books, caller, request.into_inner()).await?;
        self.duties(pb::ListDutiesRequest::default()).await.map(Response::new)
    }

    async fn name_patch_source(
        &self,
        request: Request<pb::NamePatchSourceRequest>,
    ) -> Result<Response<pb::ListDutiesResponse>, Status> {
        let caller = self.caller(&request, Role::Engineer)?;
        duty::name_source(&self.books, caller, request.into_inner()).await?;
        self.duties(pb::ListDutiesRequest::default()).await.map(Response::new)
    }

    async fn list_controls(
        &self,
        request: Request<pb::ListControlsRequest>,
    ) -> Result<Response<pb::ListControlsResponse>, Status> {
        self.admit(&request, Role::Viewer)?;
        duty::list_controls(&self.books, request.into_inner()).await.map(Response::new)
    }

    async fn register_control(
        &self,
        request: Request<pb::RegisterControlRequest>,
    ) -> Result<Response<pb::Control>, Status> {
        let caller = self.caller(&request, Role::Engineer)?;
        duty::register_control(&self.books, caller, request.into_inner()).await.map(Response::new)
    }

    async fn test_control(
        &self,
        request: Request<pb::TestControlRequest>,
    ) -> Result<Response<pb::Control>, Status> {
        let caller = self.caller(&request, Role::Engineer)?;
        duty::test_control(&self.books, caller, request.into_inner()).await.map(Response::new)
    }

    async fn end_control(
        &self,
        request: Request<pb::EndControlRequest>,
    ) -> Result<Response<pb::Control>, Status> {
        let caller = self.caller(&request, Role::Engineer)?;
        duty::end_control(&self.books, caller, request.into_inner()).await.map(Response::new)
    }

    async fn get_baseline(
        &self,
        request: Request<pb::GetBaselineRequest>,
    ) -> Result<Response<pb::Baseline>, Status> {
        self.admit(&request, Role::Viewer)?;
        baseline::show(&self.books, request.into_inner()).await.map(Response::new)
    }

    async fn approve_baseline(
        &self,
        request: Request<pb::ApproveBaselineRequest>,
    ) -> Result<Response<pb::Baseline>, Status> {
        let caller = self.caller(&request, Role::Engineer)?;
        let office = self.office.as_ref();
        baseline::approve(&self.books, office, caller, request.into_inner()).await.map(Response::new)
    }

    async fn list_drift(
        &self,
        request: Request<pb::ListDriftRequest>,
    ) -> Result<Response<pb::ListDriftResponse>, Status> {
        self.admit(&request, Role::Viewer)?;
        let ages = self.books.board().ages();
        baseline::list_drift(&self.books, ages, request.into_inner()).await.map(Response::new)
    }

    async fn dispose_drift(
        &self,
        request: Request<pb::DisposeDriftRequest>,
    ) -> Result<Response<pb::ListDriftResponse>, Status> {
        let by = self.admit(&request, Role::Engineer)?;
        let ages = self.books.board().ages();
        baseline::dispose(&self.books, ages, by, request.into_inner()).await.map(Response::new)
    }

    type ExportEvidenceStream = Stream<pb::EvidencePart>;

    async fn export_evidence(
        &self,
        request: Request<pb::ExportEvidenceRequest>,
    ) -> Result<Response<Self::ExportEvidenceStream>, Status> {
        let by = self.admit(&request, Role::Viewer)?;
        evidence::export(&self.office, &by, request.into_inner()).await.map(Response::new)
    }
}
