//! One asset of a zone: `fleet asset`.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::finding::{Finding, table};
use super::{Moment, by_word, counts, moments};
use crate::output::{Answer, Page, Table};
use crate::view::{joined, number, short_time, text, time};

/// What a zone said last of an asset, and before.
#[derive(Debug, Serialize)]
pub struct AssetPage {
    asset: Asset,
    findings: Vec<Finding>,
    findings_beyond: u64,
    hardening: Option<Hardening>,
    history: Vec<Moment>,
    history_beyond: u64,
    uncertain_since: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Asset {
    zone: String,
    id: String,
    name: Option<String>,
    role: Option<String>,
    level: Option<String>,
    criticality: Option<String>,
    line: Option<String>,
    owner: Option<String>,
    os: Option<String>,
    os_version: Option<String>,
    freshness: Option<String>,
    last_seen: Option<String>,
    verdicts: BTreeMap<String, u64>,
    alarms: Vec<String>,
    software_count: u64,
    incomplete: Vec<String>,
    since: Option<String>,
    said: Option<String>,
    inherited: bool,
    gone: bool,
}

#[derive(Debug, Serialize)]
struct Hardening {
    passed: u64,
    failed: u64,
    unknown: u64,
    excused: u64,
    permille: Option<u32>,
}

impl From<pb::FleetAssetResponse> for AssetPage {
    fn from(wire: pb::FleetAssetResponse) -> Self {
        let pb::FleetAssetResponse { asset, findings, findings_beyond, history, history_beyond, .. } = wire;
        let pb::FleetAssetResponse { hardening, uncertain_since_ms, .. } = wire;
        let hardening = hardening.map(|it| {
            let pb::FleetHardening { passed, failed, unknown, excused, permille } = it;
            Hardening { passed, failed, unknown, excused, permille }
        });
        Self {
            asset: asset.map(Asset::from).unwrap_or_default(),
            findings: findings.into_iter().map(Finding::from).collect(),
            findings_beyond,
            hardening,
            history: history.into_iter().map(Moment::from).collect(),
            history_beyond,
            uncertain_since: uncertain_since_ms.and_then(time),
        }
    }
}

impl From<pb::FleetAsset> for Asset {
    fn from(wire: pb::FleetAsset) -> Self {
        let pb::FleetAsset { zone, id, name, role, level, criticality, line, owner, os, os_version, .. } =
            wire;
        let pb::FleetAsset { freshness, last_seen_ms, verdicts, alarms, software, incomplete, .. } = wire;
        let pb::FleetAsset { since_ms, said_ms, inherited, gone, .. } = wire;
        let moment = |it: i64| if gone { None } else { time(it) };
        Self {
            zone,
            id,
            name: text(name),
            role: text(role),
            level: text(level),
            criticality: text(criticality),
            line: text(line),
            owner: text(owner),
            os: text(os),
            os_version: text(os_version),
            freshness: text(freshness),
            last_seen: last_seen_ms.and_then(time),
            verdicts: by_word(verdicts),
            alarms,
            software_count: software,
            incomplete,
            since: moment(since_ms),
            said: moment(said_ms),
            inherited,
            gone,
        }
    }
}

impl Answer for AssetPage {
    fn page(&self) -> Page {
        let it = &self.asset;
        let mut page = Page::default();
        if it.gone {
            page = page.line(format!("{} speaks of this asset no more: what is below is what was.", it.zone));
        }
        if let Some(since) = short_time(self.uncertain_since.as_deref()) {
            page = page.line(format!("Uncertain since {since}: the zone may hold something else by now."));
        }
        if it.inherited {
            page = page.line("Said before the zone's collector was restored, and not again since.");
        }
        page = page.facts([
            ("zone", Some(it.zone.clone())),
            ("id", Some(it.id.clone())),
            ("name", it.name.clone()),
            ("role", it.role.clone()),
            ("level", it.level.clone()),
            ("criticality", it.criticality.clone()),
            ("line", it.line.clone()),
            ("owner", it.owner.clone()),
            ("os", it.os.clone()),
            ("os version", it.os_version.clone()),
            ("freshness", it.freshness.clone()),
            ("last seen", short_time(it.last_seen.as_deref())),
            ("findings", counts(&it.verdicts)),
            ("alarms", joined(&it.alarms)),
            ("incomplete", joined(&it.incomplete)),
            ("hardening", self.hardening.as_ref().map(Hardening::cell)),
            ("said last", short_time(it.said.as_deref())),
        ]);
        if !self.findings.is_empty() {
            page = page.table(table(&self.findings).dense());
        }
        if self.findings_beyond > 0 {
            page = page.line(format!("The zone has {} more and does not name them.", self.findings_beyond));
        }
        if !self.history.is_empty() {
            page = page.table(moments(&self.history));
        }
        if self.history_beyond > 0 {
            page = page.line(format!("{} older moments are not kept.", self.history_beyond));
        }
        page
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["zone", "id", "name", "at", "sequence", "state", "gone", "verdicts"]);
        for it in &self.history {
            table.row([
                Some(self.asset.zone.clone()),
                Some(self.asset.id.clone()),
                self.asset.name.clone(),
                it.at.clone(),
                number(it.sequence),
                it.state.clone(),
                Some(it.gone.to_string()),
                counts(&it.verdicts),
            ]);
        }
        table
    }
}

impl Hardening {
    fn cell(&self) -> String {
        let Self { passed, failed, unknown, excused, permille } = self;
        let score = permille
            .map_or_else(|| "nothing was checked".to_owned(), |it| format!("{}.{} %", it / 10, it % 10));
        format!("{score} ({passed} passed, {failed} failed, {unknown} unknown, {excused} excused)")
    }
}
