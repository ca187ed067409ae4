//! The `Knowledge` service: imports, findings, explanations, and decisions about the product map.
//!
//! Knows how requests become questions to the board and changes of the library. Refuses to know
//! who may do what and how a change becomes durable: that is the [`Office`], which the zone fills.

mod decisions;
mod hardening;
mod lint;
mod map;
mod messages;
mod packs;
#[cfg(test)]
mod packs_tests;
#[cfg(test)]
mod tests;
mod triage;
#[cfg(test)]
mod triage_tests;
mod zone;

use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::identity::ZoneName;
use holdpoint_common::one_shot::is_one_shot;
use holdpoint_common::pack::{InvalidPack, MAX_PACK};
use holdpoint_common::proto::store::AssetRecord;
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::proto::v1::import_part::Part;
use holdpoint_common::proto::v1::import_result;
use holdpoint_common::proto::v1::knowledge_server::Knowledge as Service;
use holdpoint_common::version::Scheme;
use tokio_stream::StreamExt;
use tonic::{Extensions, Request, Response, Status, Streaming, async_trait};

use crate::assess::{Board, BoardError, Cursor, Filter, RowSource, Verdict};
use crate::baseline::Shelf;
use crate::intake::carried::{Carried, Kept, NotKept};
use crate::knowledge::map::{CONFIRMED, REJECTED};
use crate::knowledge::text::shown;
use crate::knowledge::{ImportError, Kind, Library, MAX_FILE, Prepared};
use crate::packs::Quarantine;
use crate::store::Txn;

pub use hardening::rules_message;
use messages::{
    candidate_message, feed_message, finding_message, one_shot_message, refused, rule_message, rule_of,
};
pub use zone::{OpenError, ZoneOffice, open};

/// Longest file name that is kept, in characters.
const MAX_FILE_NAME: usize = 200;
/// Longest evidence or reason of a decision, in characters.
const MAX_WHY: usize = 2_000;
/// Candidates of an answer when nothing is said.
const DEFAULT_CANDIDATES: usize = 50;
/// Most candidates of an answer.
const MAX_CANDIDATES: usize = 1_000;
/// What is said of a plain file where only packs come in.
const PACKS_ONLY: &str = "knowledge comes into this zone in signed packs only: `holdpoint pack make` makes one of it, \
    `holdpoint import --pack` brings it, another person releases it";

/// What a call needs its caller to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// To read.
    Viewer,
    /// To bring knowledge in and to decide about the map.
    Engineer,
    /// To decide about what somebody else brought: engineer or admin.
    Second,
    /// To say whose packs are taken.
    Admin,
}

/// A person who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// As [`Office::admit`] names it.
    pub by: String,
    /// The person behind the operator.
    pub person: String,
    /// The collector made the operator's key, so somebody else may hold it too.
    pub key_made_here: bool,
}

/// Something that happened, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The caller, as [`Office::admit`] named him.
    pub by: String,
    /// What was done, as a past participle.
    pub action: &'static str,
    /// What it was done to.
    pub subject: String,
    /// Details.
    pub text: String,
}

/// What the service needs of the zone around it.
#[async_trait]
pub trait Office: Send + Sync + 'static {
    /// Lets a caller in and says who it is.
    ///
    /// # Errors
    /// A refusal with its reason and what to do next.
    fn admit(&self, call: &Extensions, needs: Needs) -> Result<String, Status>;

    /// As [`Office::admit`], and says which person it is.
    ///
    /// # Errors
    /// As [`Office::admit`]; the collector's own account is no person.
    fn introduce(&self, call: &Extensions, needs: Needs) -> Result<Caller, Status>;

    /// The site and zone.
    fn zone(&self) -> &ZoneName;

    /// The packs that wait.
    fn quarantine(&self) -> &Arc<Quarantine>;

    /// The collector's time, Unix milliseconds.
    fn now_ms(&self) -> i64;

    /// What an asset's enrolment says of its role and level; `None` when there is no such asset.
    fn enrolled(&self, asset: &str) -> Option<(Option<String>, Option<u32>)>;

    /// When an asset last called, Unix milliseconds.
    fn seen_ms(&self, asset: &str) -> Option<i64>;

    /// Every asset, sorted by identifier.
    fn assets(&self) -> Vec<Arc<AssetRecord>>;

    /// Where the rows of assets come from.
    fn rows(&self) -> Arc<dyn RowSource>;

    /// The id of the asset with that id or name.
    ///
    /// # Errors
    /// There is none, or several share the name.
    fn asset_id(&self, id_or_name: &str) -> Result<String, Status>;

    /// Takes a one-shot: sections that a person carried in.
    ///
    /// # Errors
    /// It is refused, or cannot be taken now.
    async fn bring(&self, carried: Carried) -> Result<Kept, NotKept>;

    /// Writes a change with its audit entry; returns when it is durable.
    ///
    /// # Errors
    /// The store refuses.
    async fn commit(&self, txn: Txn, deed: Deed) -> Result<(), Status>;

    /// Writes a change that is nothing by itself: a later one, with its audit entry, makes it count.
    ///
    /// # Errors
    /// The store refuses.
    async fn keep(&self, txn: Txn) -> Result<(), Status>;
}

/// The service.
#[derive(Debug)]
pub struct KnowledgeService<O> {
    office: Arc<O>,
    library: Arc<Library>,
    board: Arc<Board>,
    hardening: Arc<crate::hardening::Board>,
    packs_only: bool,
}

/// Another handle of the same service.
impl<O> Clone for KnowledgeService<O> {
    fn clone(&self) -> Self {
        let Self { office, library, board, hardening, packs_only } = self;
        Self {
            office: Arc::clone(office),
            library: Arc::clone(library),
            board: Arc::clone(board),
            hardening: Arc::clone(hardening),
            packs_only: *packs_only,
        }
    }
}

impl<O: Office> KnowledgeService<O> {
    /// A service over the zone's library and board.
    pub fn new(office: Arc<O>, library: Arc<Library>, board: Arc<Board>) -> Self {
        Self { office, library, board, hardening: Arc::default(), packs_only: false }
    }

    /// The same service; with `packs_only` knowledge comes in by packs and no other way.
    #[must_use]
    pub fn by_packs_only(self, packs_only: bool) -> Self {
        Self { packs_only, ..self }
    }

    /// What the zone was told.
    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// The findings of every asset.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// The results of hardening.
    pub fn hardening_board(&self) -> &Arc<crate::hardening::Board> {
        &self.hardening
    }

    /// The baselines that hardening is held against. Whoever keeps them publishes there.
    pub fn baselines(&self) -> &Shelf {
        self.hardening.baselines()
    }

    /// Imports one file. A file that cannot be used is an answer, not a failure.
    ///
    /// # Errors
    /// The change could not be made durable.
    pub async fn take_file(
        &self,
        by: String,
        file: String,
        bytes: Vec<u8>,
    ) -> Result<pb::ImportResult, Status> {
        let _turn = self.library.turn().await;
        let (library, name, who, now_ms) =
            (Arc::clone(&self.library), file.clone(), by.clone(), self.office.now_ms());
        let prepared = blocking(move || library.prepare(&name, bytes, &who, now_ms)).await?;
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Ok(refused(file, &error.to_string())),
        };
        let Prepared { digest, kind, items, unchanged, .. } = prepared;
        let txn = std::mem::replace(&mut prepared.txn, Txn::admin());
        if !txn.is_empty() {
            let text =
                format!("{} with {items} items{}", kind.as_str(), if unchanged { ", unchanged" } else { "" });
            let deed = Deed { by, action: "imported", subject: format!("{file} {digest}"), text };
            self.office.commit(txn, deed).await?;
        }
        let skipped = std::mem::take(&mut prepared.skipped);
        let (changes, faults) = (std::mem::take(&mut prepared.changes), prepared.faults);
        self.announce(self.library.publish(prepared), now_ms).await?;
        Ok(pb::ImportResult {
            result: Some(import_result::Result::Taken(pb::Taken {
                file,
                kind: kind.as_str().to_owned(),
                digest: digest.to_vec(),
                items,
                unchanged,
                skipped,
                asset: None,
                grade: None,
                changes,
                faults,
            })),
        })
    }

    /// Takes a file of any kind: knowledge, or a one-shot of a host. `as_asset` is for the latter alone.
    ///
    /// # Errors
    /// The change could not be made durable.
    pub async fn take_any(
        &self,
        by: String,
        file: String,
        bytes: Vec<u8>,
        as_asset: Option<String>,
    ) -> Result<pb::ImportResult, Status> {
        if !is_one_shot(&bytes) {
            return match as_asset {
                None if self.packs_only => Ok(refused(file, PACKS_ONLY)),
                None => self.take_file(by, file, bytes).await,
                Some(_) => {
                    Ok(refused(file, "it is no one-shot of a host, so it is of no asset: leave --as out"))
                }
            };
        }
        let carried = Carried { by, file: file.clone(), bytes, as_asset };
        match self.office.bring(carried).await {
            Ok(kept) => Ok(one_shot_message(file, kept)),
            Err(NotKept::Refused(why)) => Ok(refused(file, &why)),
            Err(NotKept::Failed(status)) => Err(status),
        }
    }

    /// Tells the board; arranging knowledge takes a moment, so not on an asynchronous thread.
    async fn announce(&self, knowledge: Arc<crate::knowledge::Knowledge>, now_ms: i64) -> Result<(), Status> {
        let board = Arc::clone(&self.board);
        blocking(move || board.knowledge_changed(&knowledge, now_ms)).await
    }

    /// Asks the board on a thread that may wait for judging.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Board, i64, &dyn Fn(&str) -> Option<i64>) -> Result<T, BoardError> + Send + 'static,
    ) -> Result<T, Status> {
        let (board, office) = (Arc::clone(&self.board), Arc::clone(&self.office));
        blocking(move || question(&board, office.now_ms(), &|asset| office.seen_ms(asset))).await?.map_err(
            |error| match error {
                BoardError::Busy => Status::unavailable(error.to_string()),
                BoardError::UnknownAsset(_) | BoardError::UnknownSubject(_) => {
                    Status::not_found(error.to_string())
                }
            },
        )
    }

    async fn decide(&self, candidate: String, decision: Decision) -> Result<Response<pb::MapRule>, Status> {
        let _turn = self.library.turn().await;
        let known = self.library.current().rules.iter().find(|it| it.id == candidate).cloned();
        let now_ms = self.office.now_ms();
        if decision.expires_ms.is_some_and(|it| it <= now_ms) {
            return Err(Status::invalid_argument("the decision would have expired already"));
        }
        let mut rule = match known {
            Some(rule) => rule,
            None => {
                let wanted = candidate.clone();
                let found = self
                    .ask(move |board, now_ms, _| {
                        Ok(board.suggest(None, now_ms)?.into_iter().find(|it| it.id() == wanted))
                    })
                    .await?;
                let found = found.ok_or_else(|| {
                    let candidate = shown(&candidate, 40);
                    Status::not_found(format!(
                        "there is no candidate `{candidate}`: `holdpoint map suggest` lists them"
                    ))
                })?;
                rule_of(found)
            }
        };
        decision.word.clone_into(&mut rule.decision);
        match (decision.word, decision.scheme) {
            (CONFIRMED, None) if rule.details.is_none() => {
                return Err(Status::invalid_argument(
                    "name the scheme that owns the product's versions: no starter rule speaks for this candidate",
                ));
            }
            (CONFIRMED, None) => {}
            // A person's own word on the scheme takes the place of all that a starter rule says.
            (_, scheme) => {
                rule.details = None;
                rule.scheme = scheme.map(|it| it.name().to_owned());
            }
        }
        rule.by.clone_from(&decision.by);
        rule.at_ms = now_ms;
        rule.why = decision.why;
        rule.expires_ms = decision.expires_ms;
        let deed = Deed {
            by: decision.by,
            action: decision.action,
            subject: rule.id.clone(),
            text: format!("`{}` and `{}`: {}", rule.product, rule.installed_name, rule.why),
        };
        self.office.commit(Txn::admin().put_map_rule(rule.clone()), deed).await?;
        self.announce(self.library.publish_rule(rule.clone()), now_ms).await?;
        Ok(Response::new(rule_message(rule)))
    }
}

struct Decision {
    by: String,
    word: &'static str,
    action: &'static str,
    scheme: Option<Scheme>,
    why: String,
    expires_ms: Option<i64>,
}

#[async_trait]
impl<O: Office> Service for KnowledgeService<O> {
    async fn import(
        &self,
        request: Request<Streaming<pb::ImportPart>>,
    ) -> Result<Response<pb::ImportResult>, Status> {
        let by = self.office.admit(request.extensions(), Needs::Engineer)?;
        let Arrived { file, as_asset, bytes } = receive(request.into_inner(), MAX_FILE).await?;
        let Some(bytes) = bytes else {
            return Ok(Response::new(refused(file, &ImportError::TooLarge.to_string())));
        };
        self.take_any(by, file, bytes, as_asset).await.map(Response::new)
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let pb::StatusRequest { asset, advisory, verdict, role, stale_s, limit, after, triage } =
            request.into_inner();
        let asset = asset.map(|it| self.office.asset_id(&it)).transpose()?;
        let verdict = verdict
            .map(|it| it.parse::<Verdict>())
            .transpose()
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let after = match after.as_str() {
            "" => None,
            cursor => Some(cursor.parse::<Cursor>().map_err(|it| Status::invalid_argument(it.to_string()))?),
        };
        if triage.as_deref().is_some_and(|it| crate::assess::rank_of(it).is_none()) {
            let known = crate::assess::outcomes().join(", ");
            return Err(Status::invalid_argument(format!("there is no such outcome of triage: use {known}")));
        }
        let filter = Filter {
            asset,
            advisory,
            verdict,
            role,
            stale: stale_s.map(Duration::from_secs),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            triage,
            after,
        };
        let page = self.ask(move |board, now_ms, seen| board.page(&filter, now_ms, seen)).await?;
        Ok(Response::new(pb::StatusResponse {
            findings: page.findings.into_iter().map(finding_message).collect(),
            next_after: page.next_after.map(|it| it.to_string()),
            any_open: page.any_open,
        }))
    }

    async fn summarize(
        &self,
        request: Request<pb::SummarizeRequest>,
    ) -> Result<Response<pb::SummarizeResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let summary = self.ask(|board, now_ms, seen| board.summary(now_ms, seen)).await?;
        let count = |name: &str, count: u64| pb::Count { name: name.to_owned(), count };
        Ok(Response::new(pb::SummarizeResponse {
            by_verdict: summary.by_verdict.iter().map(|(word, &n)| count(word.as_str(), n)).collect(),
            by_reason: summary.by_reason.iter().map(|(word, &n)| count(word.as_str(), n)).collect(),
            matchability: summary.matchability.iter().map(|&(word, n)| count(word, n)).collect(),
            feeds: summary.feeds.iter().map(feed_message).collect(),
            assets: summary.assets,
            by_triage: summary.by_triage.iter().map(|(word, &n)| count(word, n)).collect(),
        }))
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let pb::ExplainRequest { asset, subject } = request.into_inner();
        let asset = self.office.asset_id(&asset)?;
        let id = asset.clone();
        let told = self.ask(move |board, now_ms, seen| board.explain(&id, &subject, now_ms, seen)).await?;
        let step = |it: crate::assess::Step| pb::Step {
            step: it.step.to_owned(),
            text: it.text,
            evidence: it.evidence,
        };
        Ok(Response::new(pb::ExplainResponse {
            asset,
            subject: told.subject,
            verdict: told.outcome.verdict().as_str().to_owned(),
            reason: told.outcome.reason().map(|it| it.as_str().to_owned()),
            chain: told.chain.into_iter().map(step).collect(),
            grade: told.grade.map(|it| it.to_string()),
        }))
    }

    async fn list_feeds(
        &self,
        request: Request<pb::ListFeedsRequest>,
    ) -> Result<Response<pb::ListFeedsResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let (knowledge, now_ms) = (self.library.current(), self.office.now_ms());
        let feeds = Kind::ALL.map(|it| knowledge.feed(it, self.board.ages(), now_ms));
        Ok(Response::new(pb::ListFeedsResponse { feeds: feeds.iter().map(feed_message).collect() }))
    }

    async fn suggest_map(
        &self,
        request: Request<pb::SuggestMapRequest>,
    ) -> Result<Response<pb::SuggestMapResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let pb::SuggestMapRequest { advisory, limit } = request.into_inner();
        let limit = match usize::try_from(limit).unwrap_or(usize::MAX) {
            0 => DEFAULT_CANDIDATES,
            limit => limit.min(MAX_CANDIDATES),
        };
        let mut found = self.ask(move |board, now_ms, _| board.suggest(advisory.as_deref(), now_ms)).await?;
        found.truncate(limit);
        Ok(Response::new(pb::SuggestMapResponse {
            candidates: found.into_iter().map(candidate_message).collect(),
        }))
    }

    async fn confirm_map(
        &self,
        request: Request<pb::ConfirmMapRequest>,
    ) -> Result<Response<pb::MapRule>, Status> {
        let by = self.office.admit(request.extensions(), Needs::Engineer)?;
        let pb::ConfirmMapRequest { candidate, scheme, evidence, expires_ms } = request.into_inner();
        let scheme = Some(scheme).filter(|it| !it.is_empty()).map(|it| it.parse::<Scheme>()).transpose();
        let scheme = scheme.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let why =
            why(&evidence, "a confirmation needs its evidence: a document, an order number, an inspection")?;
        let (word, action) = (CONFIRMED, "map-confirmed");
        self.decide(candidate, Decision { by, word, action, scheme, why, expires_ms }).await
    }

    async fn reject_map(
        &self,
        request: Request<pb::RejectMapRequest>,
    ) -> Result<Response<pb::MapRule>, Status> {
        let by = self.office.admit(request.extensions(), Needs::Engineer)?;
        let pb::RejectMapRequest { candidate, reason, expires_ms } = request.into_inner();
        let why = why(&reason, "a rejection needs its reason")?;
        let (word, action) = (REJECTED, "map-rejected");
        self.decide(candidate, Decision { by, word, action, scheme: None, why, expires_ms }).await
    }

    async fn list_hardening(
        &self,
        request: Request<pb::ListHardeningRequest>,
    ) -> Result<Response<pb::ListHardeningResponse>, Status> {
        self.hardening(request).await
    }

    async fn score_hardening(
        &self,
        request: Request<pb::ScoreHardeningRequest>,
    ) -> Result<Response<pb::ScoreHardeningResponse>, Status> {
        self.hardening_scores(request).await
    }

    async fn list_hardening_rules(
        &self,
        request: Request<pb::ListHardeningRulesRequest>,
    ) -> Result<Response<pb::ListHardeningRulesResponse>, Status> {
        self.hardening_rules(request).await
    }

    async fn lint_feeds(
        &self,
        request: Request<pb::LintFeedsRequest>,
    ) -> Result<Response<pb::LintFeedsResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let (knowledge, request) = (self.library.current(), request.into_inner());
        blocking(move || lint::answer(&knowledge, &request)).await?.map(Response::new)
    }

    async fn list_map(
        &self,
        request: Request<pb::ListMapRequest>,
    ) -> Result<Response<pb::ListMapResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        self.list_entries(request.into_inner()).await.map(Response::new)
    }

    async fn export_map(
        &self,
        request: Request<pb::ExportMapRequest>,
    ) -> Result<Response<pb::ExportMapResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        Ok(Response::new(map::part_of(&self.library.current(), request.into_inner().offset)))
    }

    async fn lint_map(
        &self,
        request: Request<pb::LintMapRequest>,
    ) -> Result<Response<pb::LintMapResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        self.review_map(request.into_inner()).await.map(Response::new)
    }

    async fn map_status(
        &self,
        request: Request<pb::MapStatusRequest>,
    ) -> Result<Response<pb::MapStatusResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        self.standings(request.into_inner()).await.map(Response::new)
    }

    async fn list_placement(
        &self,
        request: Request<pb::ListPlacementRequest>,
    ) -> Result<Response<pb::ListPlacementResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        self.placement().await.map(Response::new)
    }

    async fn show_triage(
        &self,
        request: Request<pb::TriageRequest>,
    ) -> Result<Response<pb::TriageResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        self.triage(request.into_inner()).await.map(Response::new)
    }

    async fn record_triage(
        &self,
        request: Request<pb::RecordTriageRequest>,
    ) -> Result<Response<pb::RecordedTriage>, Status> {
        let by = self.office.admit(request.extensions(), Needs::Engineer)?;
        self.record(by, request.into_inner()).await.map(Response::new)
    }

    async fn check_triage(
        &self,
        request: Request<pb::CheckTriageRequest>,
    ) -> Result<Response<pb::CheckTriageResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        Ok(Response::new(triage::check(&self.board.ledger())))
    }

    async fn dispose(
        &self,
        request: Request<pb::DisposeRequest>,
    ) -> Result<Response<pb::Disposition>, Status> {
        let by = self.office.admit(request.extensions(), Needs::Engineer)?;
        self.decide_disposition(by, request.into_inner()).await.map(Response::new)
    }

    async fn list_dispositions(
        &self,
        request: Request<pb::ListDispositionsRequest>,
    ) -> Result<Response<pb::ListDispositionsResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let pb::ListDispositionsRequest { asset, all } = request.into_inner();
        let dispositions = self.dispositions(asset, all).await?;
        Ok(Response::new(pb::ListDispositionsResponse { dispositions }))
    }

    async fn withdraw_disposition(
        &self,
        request: Request<pb::WithdrawDispositionRequest>,
    ) -> Result<Response<pb::Disposition>, Status> {
        let by = self.office.admit(request.extensions(), Needs::Engineer)?;
        self.withdraw(by, request.into_inner()).await.map(Response::new)
    }

    async fn list_statements(
        &self,
        request: Request<pb::ListStatementsRequest>,
    ) -> Result<Response<pb::ListStatementsResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        self.statements(request.into_inner()).await.map(Response::new)
    }

    async fn list_patches(
        &self,
        request: Request<pb::ListPatchesRequest>,
    ) -> Result<Response<pb::ListPatchesResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        self.patches(request.into_inner()).await.map(Response::new)
    }

    async fn decide_patch(
        &self,
        request: Request<pb::DecidePatchRequest>,
    ) -> Result<Response<pb::PatchTrack>, Status> {
        let by = self.office.admit(request.extensions(), Needs::Engineer)?;
        self.decide_step(by, request.into_inner()).await.map(Response::new)
    }

    async fn import_pack(
        &self,
        request: Request<Streaming<pb::ImportPart>>,
    ) -> Result<Response<pb::ImportPackResult>, Status> {
        let caller = self.office.introduce(request.extensions(), Needs::Engineer)?;
        let Arrived { file, as_asset: _, bytes } = receive(request.into_inner(), MAX_PACK).await?;
        let bytes = bytes.ok_or(InvalidPack::TooLarge);
        self.bring_pack(caller, file, bytes).await.map(Response::new)
    }

    async fn list_packs(
        &self,
        request: Request<pb::ListPacksRequest>,
    ) -> Result<Response<pb::ListPacksResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let packs = self.packs(request.into_inner().pack).await?;
        Ok(Response::new(pb::ListPacksResponse { packs }))
    }

    async fn release_pack(
        &self,
        request: Request<pb::ReleasePackRequest>,
    ) -> Result<Response<pb::Pack>, Status> {
        let caller = self.office.introduce(request.extensions(), Needs::Second)?;
        self.release(caller, request.into_inner().pack).await.map(Response::new)
    }

    async fn reject_pack(
        &self,
        request: Request<pb::RejectPackRequest>,
    ) -> Result<Response<pb::Pack>, Status> {
        let caller = self.office.introduce(request.extensions(), Needs::Second)?;
        let pb::RejectPackRequest { pack, reason } = request.into_inner();
        self.reject(caller, &pack, &reason).await.map(Response::new)
    }

    async fn trust_pack_signer(
        &self,
        request: Request<pb::TrustPackSignerRequest>,
    ) -> Result<Response<pb::PackSigner>, Status> {
        let by = self.office.admit(request.extensions(), Needs::Admin)?;
        self.trust(by, request.into_inner()).await.map(Response::new)
    }

    async fn distrust_pack_signer(
        &self,
        request: Request<pb::DistrustPackSignerRequest>,
    ) -> Result<Response<pb::PackSigner>, Status> {
        let by = self.office.admit(request.extensions(), Needs::Admin)?;
        self.distrust(by, request.into_inner()).await.map(Response::new)
    }

    async fn list_pack_signers(
        &self,
        request: Request<pb::ListPackSignersRequest>,
    ) -> Result<Response<pb::ListPackSignersResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let signers = self.signers().await?;
        Ok(Response::new(pb::ListPackSignersResponse { signers }))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Status::internal("the work for this call was given up"))
}

/// A file that a peer sent.
struct Arrived {
    file: String,
    as_asset: Option<String>,
    /// `None` when it is larger than it may be.
    bytes: Option<Vec<u8>>,
}

/// Takes a file, part by part, of at most `max` bytes.
async fn receive(mut parts: Streaming<pb::ImportPart>, max: usize) -> Result<Arrived, Status> {
    let first = parts.next().await.transpose()?;
    let Some(pb::ImportPart { part: Some(Part::Header(header)) }) = first else {
        return Err(Status::invalid_argument("the first part of an import is its header"));
    };
    let pb::ImportHeader { file, size, as_asset } = header;
    let file = file_name(&file);
    if usize::try_from(size).map_or(true, |it| it > max) {
        return Ok(Arrived { file, as_asset, bytes: None });
    }
    // The announced size is a wish of the peer: memory grows with what arrives.
    let mut bytes = Vec::new();
    while let Some(part) = parts.next().await.transpose()? {
        let Some(Part::Bytes(more)) = part.part else {
            return Err(Status::invalid_argument("after the header an import has bytes only"));
        };
        if bytes.len() + more.len() > max {
            return Ok(Arrived { file, as_asset, bytes: None });
        }
        bytes.extend_from_slice(&more);
    }
    if usize::try_from(size) != Ok(bytes.len()) {
        return Err(Status::invalid_argument("the file arrived with another size than its header says"));
    }
    Ok(Arrived { file, as_asset, bytes: Some(bytes) })
}

/// The last part of what a peer calls a file: it is shown and never opened.
fn file_name(file: &str) -> String {
    let last = file.rsplit(['/', '\\']).next().unwrap_or("");
    let name = shown(last, MAX_FILE_NAME);
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

fn why(text: &str, needed: &'static str) -> Result<String, Status> {
    let why = shown(text, MAX_WHY);
    if why.is_empty() { Err(Status::invalid_argument(needed)) } else { Ok(why) }
}
