//! The calls about hardening: results by page, scores, and the rules that hold.

use std::sync::Arc;

use holdpoint_common::proto::v1 as pb;
use tonic::{Request, Response, Status};

use super::{KnowledgeService, Needs, Office, blocking};
use crate::hardening::board::{Line, Scores, World};
use crate::hardening::rule::{Asks, Reference};
use crate::hardening::ruleset::{Entry, Laid, LaidChange};
use crate::hardening::{Filter, Page, Ruleset, Score, Verdict};

impl<O: Office> KnowledgeService<O> {
    pub(super) async fn hardening(
        &self,
        request: Request<pb::ListHardeningRequest>,
    ) -> Result<Response<pb::ListHardeningResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let pb::ListHardeningRequest { asset, rule, result, role, limit, after } = request.into_inner();
        let asset = asset.map(|it| self.office.asset_id(&it)).transpose()?;
        let verdict = result
            .map(|it| it.parse::<Verdict>())
            .transpose()
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let after = match after.split_once('/') {
            Some((asset, rule)) => Some((asset.to_owned(), rule.to_owned())),
            None if after.is_empty() => None,
            None => return Err(Status::invalid_argument("the cursor is not one that a page gave")),
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let filter = Filter { asset, rule, verdict, role, limit, after };
        let Page { lines, next_after } =
            self.ask_hardening(move |board, world| board.page(&filter, world)).await?;
        Ok(Response::new(pb::ListHardeningResponse {
            results: lines.into_iter().map(result_message).collect(),
            next_after: next_after.map(|(asset, rule)| format!("{asset}/{rule}")),
        }))
    }

    pub(super) async fn hardening_scores(
        &self,
        request: Request<pb::ScoreHardeningRequest>,
    ) -> Result<Response<pb::ScoreHardeningResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let pb::ScoreHardeningRequest { asset, role, limit, after } = request.into_inner();
        let asset = asset.map(|it| self.office.asset_id(&it)).transpose()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let Scores { assets, zone, next_after } = self
            .ask_hardening(move |board, world| {
                board.scores(asset.as_deref(), role.as_deref(), limit, &after, world)
            })
            .await?;
        Ok(Response::new(pb::ScoreHardeningResponse {
            assets: assets
                .into_iter()
                .map(|(asset, role, score)| score_message(Some(asset), role, &score))
                .collect(),
            zone: Some(score_message(None, None, &zone)),
            next_after,
        }))
    }

    pub(super) async fn hardening_rules(
        &self,
        request: Request<pb::ListHardeningRulesRequest>,
    ) -> Result<Response<pb::ListHardeningRulesResponse>, Status> {
        self.office.admit(request.extensions(), Needs::Viewer)?;
        let pb::ListHardeningRulesRequest {} = request.into_inner();
        let (rules, now_ms) =
            self.ask_hardening(|board, world| (board.rules(world.files), world.now_ms)).await?;
        Ok(Response::new(rules_message(&rules, now_ms)))
    }

    async fn ask_hardening<T: Send + 'static>(
        &self,
        question: impl FnOnce(&crate::hardening::Board, &World<'_>) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let (office, board) = (Arc::clone(&self.office), Arc::clone(&self.hardening));
        let (ages, knowledge) = (self.board.ages().clone(), self.library.current());
        blocking(move || {
            let (assets, rows) = (office.assets(), office.rows());
            let world = World {
                assets: &assets,
                rows: rows.as_ref(),
                files: &knowledge.hardening,
                ages: &ages,
                seen: &|asset| office.seen_ms(asset),
                now_ms: office.now_ms(),
            };
            question(&board, &world)
        })
        .await
    }
}

fn result_message(line: Line) -> pb::HardeningResult {
    let Line { asset, rule, title, severity, profile, told, as_of_ms, grade } = line;
    pb::HardeningResult {
        asset,
        rule,
        result: told.verdict.as_str().to_owned(),
        observed: told.observed,
        expected: told.expected,
        source: told.source,
        reason: told.reason,
        title,
        severity: severity.as_str().to_owned(),
        expires_ms: told.expires_ms,
        profile,
        as_of_ms,
        grade: grade.map(|it| it.to_string()),
    }
}

fn score_message(asset: Option<String>, role: Option<String>, score: &Score) -> pb::HardeningScore {
    pb::HardeningScore {
        asset,
        role,
        passed: score.passed,
        failed: score.failed,
        excepted: score.excepted,
        not_applicable: score.not_applicable,
        not_checked: score.not_checked,
        errors: score.errors,
        score: score.percent(),
        checked: score.checked_percent(),
    }
}

/// The rules that hold, in words.
pub fn rules_message(rules: &Ruleset, now_ms: i64) -> pb::ListHardeningRulesResponse {
    let mut warnings = rules.warnings.clone();
    warnings.extend(rules.exceptions.iter().filter(|it| !it.0.is_valid(now_ms)).map(|(it, file)| {
        format!("{file}: the exception for {} ({}) ended on {}", it.rule, it.scope(), it.last_day)
    }));
    pb::ListHardeningRulesResponse { rules: rules.rules.iter().map(rule_message).collect(), warnings }
}

fn rule_message(entry: &Entry) -> pb::HardeningRule {
    let rule = &entry.rule;
    let (expected, facts) = match &rule.asks {
        Asks::Facts(condition) => {
            (condition.text(), condition.leaves().into_iter().map(|it| it.fact.clone()).collect::<Vec<_>>())
        }
        Asks::Nothing(missing, text) => (format!("not checked ({}): {text}", missing.as_str()), Vec::new()),
    };
    let mut facts = facts;
    facts.dedup();
    let reference =
        |it: &Reference| pb::HardeningReference { text: it.text.clone(), mapping: it.is_mapping() };
    pb::HardeningRule {
        id: rule.id.clone(),
        title: rule.title.clone(),
        why: rule.why.clone().unwrap_or_default(),
        severity: rule.severity.as_str().to_owned(),
        weight: rule.weight(),
        applies: entry.applies(),
        expected,
        references: rule.references.iter().map(reference).collect(),
        facts,
        profile: entry.file.to_string(),
        changes: entry.changes.iter().map(change_text).collect(),
    }
}

fn change_text(laid: &Laid) -> String {
    let what = match &laid.change {
        LaidChange::Asks(Asks::Facts(condition)) => condition.text(),
        LaidChange::Asks(Asks::Nothing(_, text)) => text.clone(),
        LaidChange::NotApplicable => "not applicable".to_owned(),
        LaidChange::Disabled => "not checked".to_owned(),
        LaidChange::Nothing => match laid.severity {
            Some(severity) => format!("severity {}", severity.as_str()),
            None => "nothing".to_owned(),
        },
    };
    let document = laid.document.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
    format!("{} ({}): {what}: {}{document}", laid.whom(), laid.file, laid.reason)
}
