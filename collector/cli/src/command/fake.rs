//! A collector for tests: the real services over a real connection, with answers made up here.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use holdpoint_collector::pki::{Origin, Pki};
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::credentials::Credentials;
use holdpoint_common::decision::verify;
use holdpoint_common::identity::ZoneName;
use holdpoint_common::proto::store::SignedDecision;
use holdpoint_common::proto::v1::admin_server::{Admin, AdminServer};
use holdpoint_common::proto::v1::changes_server::{Changes, ChangesServer};
use holdpoint_common::proto::v1::inventory_server::{Inventory, InventoryServer};
use holdpoint_common::proto::v1::knowledge_server::{Knowledge, KnowledgeServer};
use holdpoint_common::proto::v1::*;
use holdpoint_common::refusal::Reason;
use holdpoint_common::section::{Digest, Rows};
use prost::Message;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::connection::Connection;
use crate::profile::Search;

/// Verdicts of the findings, in order. The first page shows nothing open.
const VERDICTS: [&str; 5] = ["FIXED", "NOT_AFFECTED", "NO_PRODUCT", "UNKNOWN", "AFFECTED"];

/// How many findings the zone has.
pub(super) const FINDINGS: usize = VERDICTS.len();

/// How many results of hardening it has.
pub(super) const RESULTS: usize = 6;

/// Largest page of this collector, whatever is asked for.
const PAGE: usize = 2;

/// Largest part of an import that it accepts, in bytes.
const PART: usize = 64 * 1024;

/// The change that it has.
pub(super) const CHANGE: &str = "CHG-0001";

/// The plan of that change.
pub(super) const PLAN: &str = r#"
title = "OpenSSL"
[[expectation]]
id = "ssl"
advisory = "DSA-1"
[[expectation]]
id = "restarted"
restarted = true
[[stage]]
title = "Stations"
tier = "hmi"
assets = ["hmi-01", "hmi-02"]
hold_points = ["handed over"]
[[test]]
id = "FTP-1"
title = "Station works"
may_sign = ["operations"]
[[test.step]]
id = "trend"
text = "Draw a trend"
max = 5
unit = "s"
[[test.step]]
id = "look"
text = "Look"
"#;

const ASSETS: [&str; 3] = ["hist-01", "hmi-01", "hmi-02"];

/// Starts a collector on a free port and connects to it.
pub(super) async fn collector() -> Connection {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    tokio::spawn(
        Server::builder()
            .add_service(InventoryServer::new(Fake::default()))
            .add_service(KnowledgeServer::new(Fake::default()))
            .add_service(AdminServer::new(Fake::default()))
            .add_service(ChangesServer::new(Fake::default()))
            .serve_with_incoming(incoming),
    );
    Connection::over(Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap())
}

/// Writes the profile of an operator with its key.
pub(super) fn profile(directory: &Path) -> PathBuf {
    let zone = ZoneName { site: "plant".parse().unwrap(), zone: "line-1".parse().unwrap() };
    let now_ms = SystemClock.now_ms();
    Pki::init(&directory.join("zone"), &zone, Origin::NewRoot, now_ms).unwrap();
    let pki = Pki::open(&directory.join("zone"), &zone, now_ms).unwrap();
    let (_, files) = pki.issue_with_key(&zone.operator("anna".parse().unwrap()), now_ms).unwrap();
    for (name, text) in [
        ("certificate.pem", files.certificate_pem),
        ("key.pem", files.key_pem),
        ("anchors.pem", files.ca_pem),
    ] {
        fs::write(directory.join(name), text).unwrap();
    }
    let path = directory.join("operator.toml");
    let profile = "collector = \"127.0.0.1:1\"\nname = \"anna\"\ncertificate = \"certificate.pem\"\n\
                   key = \"key.pem\"\nca = \"anchors.pem\"\n";
    fs::write(&path, profile).unwrap();
    path
}

/// An operator who can sign.
pub(super) fn operator() -> Credentials {
    let directory = tempfile::tempdir().unwrap();
    Search::new(Some(profile(directory.path()).into()), |_| None).find().unwrap().credentials().unwrap()
}

#[derive(Default)]
struct Fake {
    exports: AtomicU32,
}

type Answer<T> = Result<Response<T>, Status>;

#[expect(clippy::unnecessary_wraps, reason = "the services answer with a result")]
fn answer<T>(message: T) -> Answer<T> {
    Ok(Response::new(message))
}

fn not_here<T>() -> Answer<T> {
    Err(Status::unimplemented("not in this fake"))
}

/// The page after a position: items with the cursor of the next page.
fn page<T>(items: Vec<T>, after: &str, limit: u32) -> (Vec<T>, Option<String>) {
    let start = if after.is_empty() { 0 } else { after.parse::<usize>().unwrap() + 1 };
    let size = PAGE.min(usize::try_from(limit).unwrap());
    let more = start + size < items.len();
    let items = items.into_iter().skip(start).take(size).collect();
    (items, more.then(|| (start + size - 1).to_string()))
}

fn asset(id: &str) -> Asset {
    Asset {
        id: id.into(),
        name: id.into(),
        zone: "line-1".into(),
        freshness: "fresh".into(),
        ..Asset::default()
    }
}

#[async_trait]
impl Inventory for Fake {
    async fn list_assets(&self, request: Request<ListAssetsRequest>) -> Answer<ListAssetsResponse> {
        let ListAssetsRequest { limit, after, .. } = request.into_inner();
        let (assets, next_after) = page(ASSETS.map(asset).into(), &after, limit);
        answer(ListAssetsResponse { assets, next_after })
    }

    async fn get_asset(&self, request: Request<GetAssetRequest>) -> Answer<GetAssetResponse> {
        let id = request.into_inner().id;
        if !ASSETS.contains(&id.as_str()) {
            return Err(Status::not_found(format!("there is no asset {id}")));
        }
        let package = |name: &str, version: Option<&str>| SoftwareRow {
            name: name.into(),
            source: "dpkg".into(),
            version: version.map(Into::into),
            ..SoftwareRow::default()
        };
        let rows = Rows::encode(&[package("openssl", Some("3.0.11-1")), package("zlib1g", None)]);
        let software = SectionContent {
            kind: SectionKind::Software.into(),
            status: SectionStatus::Partial.into(),
            reasons: vec!["snapd cannot be read".into()],
            digest: rows.digest().to_vec(),
            rows: rows.as_slice().to_vec(),
            grade: Some("B".into()),
        };
        answer(GetAssetResponse { asset: Some(asset(&id)), sections: vec![software] })
    }

    async fn search_software(&self, _: Request<SearchSoftwareRequest>) -> Answer<SearchSoftwareResponse> {
        not_here()
    }

    async fn list_events(&self, _: Request<ListEventsRequest>) -> Answer<ListEventsResponse> {
        not_here()
    }

    async fn compare_assets(&self, _: Request<CompareAssetsRequest>) -> Answer<CompareAssetsResponse> {
        not_here()
    }

    async fn rename_asset(&self, _: Request<RenameAssetRequest>) -> Answer<Asset> {
        not_here()
    }

    async fn retire_asset(&self, _: Request<RetireAssetRequest>) -> Answer<Asset> {
        not_here()
    }

    async fn merge_assets(&self, _: Request<MergeAssetsRequest>) -> Answer<Asset> {
        not_here()
    }

    async fn split_asset(&self, _: Request<SplitAssetRequest>) -> Answer<Asset> {
        not_here()
    }

    type RescanStream = ReceiverStream<Result<RescanAnswer, Status>>;

    /// Hosts named `hmi` answer, `untold` is never mentioned, everything else waits.
    async fn rescan(&self, request: Request<RescanRequest>) -> Answer<Self::RescanStream> {
        let RescanRequest { assets, wait_s } = request.into_inner();
        let (sender, answers) = tokio::sync::mpsc::channel(assets.len().max(1));
        for asset in assets.into_iter().filter(|it| !it.starts_with("untold")) {
            let answered = wait_s > 0 && asset.starts_with("hmi");
            let reason = (!answered).then(|| "waiting".to_owned());
            let took_ms = answered.then_some(1_250);
            let answer = RescanAnswer { asset, answered, reason, took_ms, ..RescanAnswer::default() };
            sender.send(Ok(answer)).await.unwrap();
        }
        answer(ReceiverStream::new(answers))
    }
}

#[async_trait]
impl Knowledge for Fake {
    async fn list_hardening(&self, request: Request<ListHardeningRequest>) -> Answer<ListHardeningResponse> {
        let ListHardeningRequest { limit, after, .. } = request.into_inner();
        let one = |asset: &str, rule: &str, result: &str| HardeningResult {
            asset: asset.into(),
            rule: rule.into(),
            result: result.into(),
            ..HardeningResult::default()
        };
        let all = ["hmi-01", "hmi-02"].into_iter().flat_map(|asset| {
            [one(asset, "W06.server", "FAIL"), one(asset, "W08", "PASS"), one(asset, "W02", "NOT_CHECKED")]
        });
        let (results, next_after) = page(all.collect::<Vec<_>>(), &after, limit);
        answer(ListHardeningResponse { results, next_after })
    }

    async fn score_hardening(&self, _: Request<ScoreHardeningRequest>) -> Answer<ScoreHardeningResponse> {
        let one = |asset: Option<&str>| HardeningScore {
            asset: asset.map(Into::into),
            passed: 1,
            failed: 1,
            not_checked: 1,
            score: Some(50.0),
            checked: Some(66.6),
            ..HardeningScore::default()
        };
        let assets = vec![one(Some("hmi-01")), one(Some("hmi-02"))];
        answer(ScoreHardeningResponse { assets, zone: Some(one(None)), next_after: None })
    }

    async fn list_hardening_rules(
        &self,
        _: Request<ListHardeningRulesRequest>,
    ) -> Answer<ListHardeningRulesResponse> {
        let rule = HardeningRule { id: "W06.server".into(), weight: 10, ..HardeningRule::default() };
        answer(ListHardeningRulesResponse { rules: vec![rule], warnings: Vec::new() })
    }

    /// The file's name says what becomes of it.
    async fn import(&self, request: Request<Streaming<ImportPart>>) -> Answer<ImportResult> {
        let mut parts = request.into_inner();
        let Some(import_part::Part::Header(header)) = parts.message().await?.and_then(|it| it.part) else {
            return Err(Status::invalid_argument("no header"));
        };
        let ImportHeader { file, size, as_asset: _ } = header;
        if file.contains("forbidden") {
            return Err(Reason::Role.refuse("needs the role engineer"));
        }
        if file.contains("broken") {
            return Err(Status::internal("it broke"));
        }
        let mut length = 0;
        while let Some(part) = parts.message().await? {
            let Some(import_part::Part::Bytes(bytes)) = part.part else {
                return Err(Status::invalid_argument("a second header"));
            };
            assert!(bytes.len() <= PART, "a part of {} bytes", bytes.len());
            length += u64::try_from(bytes.len()).unwrap();
        }
        let result = if file.contains("refused") || length != size {
            let reason = format!("{length} of {size} bytes");
            import_result::Result::Refused(Refused { file, reason })
        } else {
            import_result::Result::Taken(Taken { file, kind: "csaf".into(), ..Taken::default() })
        };
        answer(ImportResult { result: Some(result) })
    }

    /// The file's name says what becomes of it.
    async fn import_pack(&self, request: Request<Streaming<ImportPart>>) -> Answer<ImportPackResult> {
        let mut parts = request.into_inner();
        let Some(import_part::Part::Header(header)) = parts.message().await?.and_then(|it| it.part) else {
            return Err(Status::invalid_argument("no header"));
        };
        while parts.message().await?.is_some() {}
        if header.file.contains("refused") {
            return answer(ImportPackResult { refused: "nobody trusts it".into(), quarantined: None });
        }
        let pack = Pack { id: "3b6a91c4-7".into(), state: "waiting".into(), ..Pack::default() };
        answer(ImportPackResult { quarantined: Some(pack), refused: String::new() })
    }

    async fn list_packs(&self, request: Request<ListPacksRequest>) -> Answer<ListPacksResponse> {
        let id = request.into_inner().pack.unwrap_or_else(|| "3b6a91c4-7".into());
        answer(ListPacksResponse { packs: vec![Pack { id, ..Pack::default() }] })
    }

    async fn release_pack(&self, _: Request<ReleasePackRequest>) -> Answer<Pack> {
        Err(Status::failed_precondition("the pack is not released: `kim` brought it"))
    }

    async fn reject_pack(&self, request: Request<RejectPackRequest>) -> Answer<Pack> {
        let RejectPackRequest { pack, reason } = request.into_inner();
        answer(Pack { id: pack, reason, state: "rejected".into(), ..Pack::default() })
    }

    async fn trust_pack_signer(&self, request: Request<TrustPackSignerRequest>) -> Answer<PackSigner> {
        answer(PackSigner { name: request.into_inner().name, ..PackSigner::default() })
    }

    async fn distrust_pack_signer(&self, _: Request<DistrustPackSignerRequest>) -> Answer<PackSigner> {
        not_here()
    }

    async fn list_pack_signers(&self, _: Request<ListPackSignersRequest>) -> Answer<ListPackSignersResponse> {
        not_here()
    }

    async fn status(&self, request: Request<StatusRequest>) -> Answer<StatusResponse> {
        let StatusRequest { verdict, limit, after, .. } = request.into_inner();
        let wanted = VERDICTS.into_iter().filter(|it| verdict.as_deref().is_none_or(|wanted| wanted == *it));
        let findings: Vec<_> = wanted
            .map(|it| Finding { asset: "hmi-01".into(), verdict: it.into(), ..Finding::default() })
            .collect();
        let any_open = findings.iter().any(|it| matches!(it.verdict.as_str(), "UNKNOWN" | "AFFECTED"));
        let (findings, next_after) = page(findings, &after, limit);
        answer(StatusResponse { findings, next_after, any_open })
    }

    async fn summarize(&self, _: Request<SummarizeRequest>) -> Answer<SummarizeResponse> {
        not_here()
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Answer<ExplainResponse> {
        not_here()
    }

    async fn list_feeds(&self, _: Request<ListFeedsRequest>) -> Answer<ListFeedsResponse> {
        not_here()
    }

    async fn suggest_map(&self, _: Request<SuggestMapRequest>) -> Answer<SuggestMapResponse> {
        not_here()
    }

    async fn confirm_map(&self, _: Request<ConfirmMapRequest>) -> Answer<MapRule> {
        not_here()
    }

    async fn lint_feeds(&self, request: Request<LintFeedsRequest>) -> Answer<LintFeedsResponse> {
        let LintFeedsRequest { advisory, after, .. } = request.into_inner();
        let advisory = advisory.unwrap_or_else(|| "EXC-1".to_owned());
        let fault = Fault { advisory, kind: "condition".into(), ..Fault::default() };
        let faults = if after < 3 { vec![fault] } else { Vec::new() };
        let by_kind = vec![FaultCount { kind: "condition".into(), count: 3 }];
        answer(LintFeedsResponse { faults, total: 3, advisories: 1, by_kind })
    }

    async fn reject_map(&self, _: Request<RejectMapRequest>) -> Answer<MapRule> {
        not_here()
    }

    async fn list_map(&self, _: Request<ListMapRequest>) -> Answer<ListMapResponse> {
        not_here()
    }

    /// Two parts, of which the second belongs to a map that has changed meanwhile; then the whole new one.
    async fn export_map(&self, request: Request<ExportMapRequest>) -> Answer<ExportMapResponse> {
        let offset = request.into_inner().offset;
        let first_time = self.exports.fetch_add(1, Ordering::Relaxed) == 0;
        let (part, digest) = match (first_time, offset) {
            (true, _) => (b"old".to_vec(), vec![1]),
            (false, 0) => (b"new".to_vec(), vec![2]),
            (false, _) => (b"er".to_vec(), vec![2]),
        };
        let size = if first_time { 9 } else { 5 };
        answer(ExportMapResponse { part, size, digest, items: 1, left_out: Vec::new() })
    }

    async fn lint_map(&self, _: Request<LintMapRequest>) -> Answer<LintMapResponse> {
        not_here()
    }

    async fn map_status(&self, _: Request<MapStatusRequest>) -> Answer<MapStatusResponse> {
        not_here()
    }

    async fn list_placement(&self, _: Request<ListPlacementRequest>) -> Answer<ListPlacementResponse> {
        answer(ListPlacementResponse::default())
    }

    async fn show_triage(&self, _: Request<TriageRequest>) -> Answer<TriageResponse> {
        not_here()
    }

    async fn record_triage(&self, _: Request<RecordTriageRequest>) -> Answer<RecordedTriage> {
        not_here()
    }

    async fn check_triage(&self, _: Request<CheckTriageRequest>) -> Answer<CheckTriageResponse> {
        not_here()
    }

    async fn dispose(&self, _: Request<DisposeRequest>) -> Answer<Disposition> {
        not_here()
    }

    async fn list_dispositions(
        &self,
        _: Request<ListDispositionsRequest>,
    ) -> Answer<ListDispositionsResponse> {
        not_here()
    }

    async fn withdraw_disposition(&self, _: Request<WithdrawDispositionRequest>) -> Answer<Disposition> {
        not_here()
    }

    async fn list_statements(&self, _: Request<ListStatementsRequest>) -> Answer<ListStatementsResponse> {
        not_here()
    }

    async fn list_patches(&self, _: Request<ListPatchesRequest>) -> Answer<ListPatchesResponse> {
        not_here()
    }

    async fn decide_patch(&self, _: Request<DecidePatchRequest>) -> Answer<PatchTrack> {
        not_here()
    }
}

#[async_trait]
impl Admin for Fake {
    async fn create_token(&self, _: Request<CreateTokenRequest>) -> Answer<CreateTokenResponse> {
        not_here()
    }

    async fn add_operator(&self, _: Request<AddOperatorRequest>) -> Answer<AddOperatorResponse> {
        not_here()
    }

    async fn revoke(&self, _: Request<RevokeRequest>) -> Answer<RevokeResponse> {
        not_here()
    }

    async fn rotate_ca(&self, _: Request<RotateCaRequest>) -> Answer<RotateCaResponse> {
        not_here()
    }

    /// Says that it is valid and names a fault: whoever reads it must not believe the first.
    async fn verify_audit(&self, _: Request<VerifyAuditRequest>) -> Answer<VerifyAuditResponse> {
        answer(VerifyAuditResponse {
            valid: true,
            faults: vec!["entry 7 does not follow entry 6".into()],
            ..VerifyAuditResponse::default()
        })
    }

    async fn show_store(&self, _: Request<ShowStoreRequest>) -> Answer<StoreStats> {
        not_here()
    }

    async fn backup_store(&self, _: Request<BackupStoreRequest>) -> Answer<StoreReport> {
        not_here()
    }

    async fn verify_store(&self, _: Request<VerifyStoreRequest>) -> Answer<StoreReport> {
        not_here()
    }

    async fn compact_store(&self, _: Request<CompactStoreRequest>) -> Answer<StoreReport> {
        not_here()
    }

    async fn resend_outbox(&self, _: Request<ResendOutboxRequest>) -> Answer<OutboxResent> {
        not_here()
    }

    async fn reindex(&self, _: Request<ReindexRequest>) -> Answer<StoreReport> {
        not_here()
    }

    async fn show_outbox(&self, _: Request<ShowOutboxRequest>) -> Answer<OutboxState> {
        not_here()
    }

    async fn carry_outbox(&self, _: Request<CarryOutboxRequest>) -> Answer<OutboxCarried> {
        not_here()
    }

    async fn rotate_outbox(&self, _: Request<RotateOutboxRequest>) -> Answer<OutboxRotated> {
        not_here()
    }
}

/// The change as it stands when its stage is in a state, with a verdict for each of its targets.
fn change(id: &str, number: u32, state: &str, verdict: &str) -> Change {
    let target = |asset: &str| StageTarget {
        asset: asset.into(),
        pre: "taken".into(),
        post: "taken".into(),
        ..StageTarget::default()
    };
    let judged = |asset: &str, verdict: &str| ChangeVerdict {
        stage: number,
        asset: asset.into(),
        verdict: verdict.into(),
        ..ChangeVerdict::default()
    };
    let stages = vec![ChangeStage {
        n: number,
        state: state.into(),
        tier: "hmi".into(),
        targets: ["hmi-01", "hmi-02"].map(target).into(),
        ..ChangeStage::default()
    }];
    Change {
        id: id.into(),
        state: "in_progress".into(),
        plan: PLAN.into(),
        plan_digest: Digest::of(PLAN.as_bytes()).to_vec(),
        stages,
        verdicts: vec![judged("hmi-01", "REMEDIATED"), judged("hmi-02", verdict)],
        steps: vec![ChangeStep { revision: 1, action: "change-drafted".into(), ..ChangeStep::default() }],
        ..Change::default()
    }
}

/// A stream that says how two targets stand, and then the change; a broken one never says the change.
fn progress(id: &str, last: Change) -> ReceiverStream<Result<ChangeProgress, Status>> {
    let (sender, stream) = tokio::sync::mpsc::channel(4);
    let targets = last.stages.iter().flat_map(|it| it.targets.clone()).collect();
    sender.try_send(Ok(ChangeProgress { targets, change: None })).unwrap();
    if id == CHANGE {
        sender.try_send(Ok(ChangeProgress { targets: Vec::new(), change: Some(last) })).unwrap();
    }
    ReceiverStream::new(stream)
}

#[async_trait]
impl Changes for Fake {
    async fn list_changes(&self, _: Request<ListChangesRequest>) -> Answer<ListChangesResponse> {
        let one = ChangeSummary { id: CHANGE.into(), state: "draft".into(), ..ChangeSummary::default() };
        answer(ListChangesResponse { changes: vec![one] })
    }

    /// One change is there; of another the plan is not the one of its digest.
    async fn get_change(&self, request: Request<GetChangeRequest>) -> Answer<Change> {
        let id = request.into_inner().id;
        match id.as_str() {
            CHANGE => answer(change(CHANGE, 1, "pending", "NOT_ASSESSED")),
            "CHG-SWAPPED" => {
                let plan = PLAN.replace("DSA-1", "DSA-2");
                answer(Change { plan, ..change(&id, 1, "pending", "NOT_ASSESSED") })
            }
            _ => Err(Status::not_found(format!("there is no change `{id}`"))),
        }
    }

    async fn list_duties(&self, _: Request<ListDutiesRequest>) -> Answer<ListDutiesResponse> {
        answer(ListDutiesResponse::default())
    }

    async fn get_baseline(&self, request: Request<GetBaselineRequest>) -> Answer<Baseline> {
        let GetBaselineRequest { asset, version } = request.into_inner();
        answer(Baseline { asset, version: version.max(1), ..Baseline::default() })
    }

    async fn list_drift(&self, _: Request<ListDriftRequest>) -> Answer<ListDriftResponse> {
        answer(ListDriftResponse::default())
    }

    async fn list_controls(&self, _: Request<ListControlsRequest>) -> Answer<ListControlsResponse> {
        answer(ListControlsResponse::default())
    }

    async fn new_change(&self, _: Request<NewChangeRequest>) -> Answer<Change> {
        answer(change(CHANGE, 1, "pending", "NOT_ASSESSED"))
    }

    async fn submit_change(&self, _: Request<SubmitChangeRequest>) -> Answer<Change> {
        not_here()
    }

    async fn record_meeting(&self, _: Request<RecordMeetingRequest>) -> Answer<Change> {
        not_here()
    }

    type OpenStageStream = ReceiverStream<Result<ChangeProgress, Status>>;

    /// One host never answers; the stage opens when it is left out.
    async fn open_stage(&self, request: Request<OpenStageRequest>) -> Answer<Self::OpenStageStream> {
        let OpenStageRequest { id, stage, leave_out, .. } = request.into_inner();
        let state = if leave_out.is_empty() { "pending" } else { "open" };
        answer(progress(&id, change(&id, stage, state, "NOT_ASSESSED")))
    }

    async fn complete_stage(&self, _: Request<CompleteStageRequest>) -> Answer<Change> {
        not_here()
    }

    type VerifyStageStream = ReceiverStream<Result<ChangeProgress, Status>>;

    /// The number of the stage says what comes out.
    async fn verify_stage(&self, request: Request<VerifyStageRequest>) -> Answer<Self::VerifyStageStream> {
        let VerifyStageRequest { id, stage, .. } = request.into_inner();
        let verdict = match stage {
            1 => "ALREADY_REMEDIATED",
            2 => "INCONCLUSIVE",
            _ => "A_WORD_OF_A_NEWER_COLLECTOR",
        };
        answer(progress(&id, change(&id, stage, "verified", verdict)))
    }

    async fn roll_back_stage(&self, _: Request<RollBackStageRequest>) -> Answer<Change> {
        not_here()
    }

    async fn record_lessons(&self, _: Request<RecordLessonsRequest>) -> Answer<Change> {
        not_here()
    }

    async fn close_change(&self, _: Request<CloseChangeRequest>) -> Answer<Change> {
        not_here()
    }

    async fn approve_baseline(&self, _: Request<ApproveBaselineRequest>) -> Answer<Baseline> {
        not_here()
    }

    /// Nothing is left open after a decision.
    async fn dispose_drift(&self, request: Request<DisposeDriftRequest>) -> Answer<ListDriftResponse> {
        assert!(request.into_inner().until_ms.is_some_and(|it| it > 5), "until is counted from now");
        answer(ListDriftResponse::default())
    }

    async fn record_evaluation(
        &self,
        request: Request<RecordEvaluationRequest>,
    ) -> Answer<ListDutiesResponse> {
        let RecordEvaluationRequest { source, from_ms, to_ms, .. } = request.into_inner();
        assert!(from_ms < to_ms);
        answer(ListDutiesResponse { duties: vec![Duty { subject: source, ..Duty::default() }] })
    }

    async fn name_patch_source(&self, _: Request<NamePatchSourceRequest>) -> Answer<ListDutiesResponse> {
        not_here()
    }

    async fn register_control(&self, request: Request<RegisterControlRequest>) -> Answer<Control> {
        let RegisterControlRequest { id, until_ms, .. } = request.into_inner();
        answer(Control { id, until_ms, state: "untested".into(), ..Control::default() })
    }

    async fn test_control(&self, request: Request<TestControlRequest>) -> Answer<Control> {
        let TestControlRequest { id, works, .. } = request.into_inner();
        let state = if works { "works" } else { "fails" };
        answer(Control { id, state: state.into(), ..Control::default() })
    }

    async fn end_control(&self, _: Request<EndControlRequest>) -> Answer<Control> {
        not_here()
    }

    type ExportEvidenceStream = ReceiverStream<Result<EvidencePart, Status>>;

    /// Two parts; of any other change the second never comes.
    async fn export_evidence(
        &self,
        request: Request<ExportEvidenceRequest>,
    ) -> Answer<Self::ExportEvidenceStream> {
        let is_whole = request.into_inner().id == CHANGE;
        let (sender, parts) = tokio::sync::mpsc::channel(2);
        let second = if is_whole { Ok("ence") } else { Err(Status::internal("it broke")) };
        for part in [Ok("evid"), second] {
            sender.try_send(part.map(|it| EvidencePart { bytes: it.into() })).unwrap();
        }
        answer(ReceiverStream::new(parts))
    }

    /// Takes in what is signed, whoever signed it.
    async fn decide(&self, request: Request<DecideRequest>) -> Answer<Change> {
        let signed = SignedDecision::decode(request.into_inner().signed.as_slice()).unwrap();
        let verified = verify(&signed).map_err(|it| Status::invalid_argument(it.to_string()))?;
        assert_eq!(verified.decision.plan_digest, Digest::of(PLAN.as_bytes()).to_vec());
        answer(change(&verified.decision.change, 1, "pending", "NOT_ASSESSED"))
    }
}
