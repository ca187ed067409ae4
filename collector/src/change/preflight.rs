//! What is looked at before a stage opens. A check that nobody can answer does not pass.

use holdpoint_common::clock::readable;
use holdpoint_common::proto::store::{AssetRecord, PreflightCheck};
use holdpoint_common::proto::v1::PlatformRow;
use holdpoint_common::row::SectionKind;
use holdpoint_common::section::Digest;
use prost::Message;

use super::plan::Plan;
use crate::assess::{Coverage, Held, RowSource};
use crate::duty::DAY_MS;
use crate::zone::{Freshness, Zone};

/// The result of a check that passed.
pub const PASS: &str = "pass";
const FAIL: &str = "fail";
const UNKNOWN: &str = "unknown";

/// Least free space of a target's system disk, KiB.
const MIN_FREE_KIB: u64 = 1024 * 1024;

/// What is asked before a stage opens.
pub struct Question<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Targets of the stage.
    pub targets: &'a [String],
    /// The zone.
    pub zone: &'a Zone,
    /// The asset that takes over for another one.
    pub partners: &'a dyn Fn(&str) -> Option<String>,
    /// Unix milliseconds.
    pub now_ms: i64,
}

/// Every check, of the stage first and then of each target.
pub fn look(question: &Question<'_>) -> Vec<PreflightCheck> {
    let mut checks = vec![window(question), backup(question)];
    for asset in question.targets {
        let Some(record) = question.zone.asset(asset) else {
            // A controller: a person looks, before and after.
            continue;
        };
        checks.push(agent(question, &record));
        checks.push(clock(&record));
        checks.push(restart(question, &record));
        checks.push(disk(question, &record));
        if let Some(partner) = (question.partners)(asset) {
            checks.push(partner_is_well(question, &record, &partner));
        }
    }
    checks
}

fn check(check: &str, asset: &str, result: &str, text: impl Into<String>) -> PreflightCheck {
    PreflightCheck {
        check: check.to_owned(),
        asset: asset.to_owned(),
        result: result.to_owned(),
        text: text.into(),
    }
}

fn window(question: &Question<'_>) -> PreflightCheck {
    let Some(window) = question.plan.window else {
        return check("window", "", UNKNOWN, "the plan has no window");
    };
    let agreed = format!("agreed is {} to {}", readable(window.start_ms), readable(window.end_ms));
    let inside = (window.start_ms..=window.end_ms).contains(&question.now_ms);
    check("window", "", if inside { PASS } else { FAIL }, agreed)
}

fn backup(question: &Question<'_>) -> PreflightCheck {
    let Some(taken_ms) = question.plan.backup.taken_ms else {
        return check("backup-age", "", UNKNOWN, "the plan does not say when the backup was taken");
    };
    let most = question.plan.backup_max_age_days;
    let age_ms = question.now_ms.saturating_sub(taken_ms);
    let good = (0..=i64::from(most) * DAY_MS).contains(&age_ms);
    let text = format!("taken on {}; at most {most} days old", readable(taken_ms));
    check("backup-age", "", if good { PASS } else { FAIL }, text)
}

fn agent(question: &Question<'_>, record: &AssetRecord) -> PreflightCheck {
    let freshness = question.zone.freshness(record);
    let result = if freshness == Freshness::Fresh { PASS } else { FAIL };
    check("agent", &record.id, result, format!("its agent is {}", freshness.as_str()))
}

fn clock(record: &AssetRecord) -> PreflightCheck {
    match record.alarms.iter().find(|it| it.kind == "clock") {
        Some(alarm) => check("clock", &record.id, FAIL, alarm.text.clone()),
        None => check("clock", &record.id, PASS, "its clock agrees with the collector's"),
    }
}

fn restart(question: &Question<'_>, record: &AssetRecord) -> PreflightCheck {
    let held = Held::of(record, SectionKind::Platform);
    let rows = held.digest.filter(|_| held.coverage == Coverage::Complete);
    let rows = rows.and_then(|digest: Digest| {
        RowSource::rows(question.zone.store(), SectionKind::Platform, &digest).ok().flatten()
    });
    let row = rows.and_then(|it| PlatformRow::decode(it.first()?.as_slice()).ok());
    match row.and_then(|it| it.restart_pending.map(|pending| (pending, it.restart_reasons))) {
        Some((false, _)) => check("pending-restart", &record.id, PASS, "nothing waits for a restart"),
        Some((true, reasons)) => {
            let text = format!("a restart is pending from before: {}", reasons.join(", "));
            check("pending-restart", &record.id, FAIL, text)
        }
        None => check(
            "pending-restart",
            &record.id,
            UNKNOWN,
            "the host does not say whether a restart is pending",
        ),
    }
}

fn disk(question: &Question<'_>, record: &AssetRecord) -> PreflightCheck {
    let health = question.zone.last_seen(&record.id).and_then(|it| it.health);
    match health.and_then(|it| it.disk_free_kib) {
        Some(free) => {
            let text =
                format!("{} MiB free on the system's disk, {} wanted", free / 1024, MIN_FREE_KIB / 1024);
            check("disk-space", &record.id, if free >= MIN_FREE_KIB { PASS } else { FAIL }, text)
        }
        None => check("disk-space", &record.id, UNKNOWN, "the agent does not say how much is free"),
    }
}

fn partner_is_well(question: &Question<'_>, record: &AssetRecord, partner: &str) -> PreflightCheck {
    let Some(other) = question.zone.asset(partner) else {
        return check("partner", &record.id, UNKNOWN, format!("no agent speaks for its partner `{partner}`"));
    };
    let freshness = question.zone.freshness(&other);
    let well = freshness == Freshness::Fresh && other.alarms.is_empty();
    let text =
        format!("its partner `{partner}` is {}, with {} alarms", freshness.as_str(), other.alarms.len());
    check("partner", &record.id, if well { PASS } else { FAIL }, text)
}
