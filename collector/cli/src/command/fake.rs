//! A collector for tests: the real services over a real connection, with answers made up here.

use std::sync::atomic::{AtomicU32, Ordering};

use holdpoint_common::proto::v1::admin_server::{Admin, AdminServer};
use holdpoint_common::proto::v1::inventory_server::{Inventory, InventoryServer};
use holdpoint_common::proto::v1::knowledge_server::{Knowledge, KnowledgeServer};
use holdpoint_common::proto::v1::*;
use holdpoint_common::refusal::Reason;
use holdpoint_common::section::Rows;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::connection::Connection;

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
            .serve_with_incoming(incoming),
    );
    Connection::over(Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap())
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

    async fn status(&self, request: Request<StatusRequest>) -> Answer<StatusResponse> {
        let StatusRequest { verdict, limit, after, .. } = request.into_inner();
        let wanted = VERDICTS.into_iter().filter(|it| verdict.as_deref().is_none_or(|wanted| wanted == *it));
        let findings: Vec<_> =
            wanted.map(|it| Finding { verdict: it.into(), ..Finding::default() }).collect();
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
        not_here()
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

    async fn reindex(&self, _: Request<ReindexRequest>) -> Answer<StoreReport> {
        not_here()
    }
}
