//! Assets: `assets`, `asset show`, and the decisions about one.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::section::{Section, status_name};
use super::{joined, kind_name, number, short_time, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// One asset.
#[derive(Debug, Serialize)]
pub struct Asset {
    pub(crate) id: String,
    name: String,
    zone: Option<String>,
    pub(crate) role: Option<String>,
    level: Option<u32>,
    os: Option<String>,
    os_version: Option<String>,
    last_seen: Option<String>,
    freshness: Option<String>,
    sections: BTreeMap<String, String>,
    software_count: u32,
    alarms: Vec<Alarm>,
    retired: bool,
    tags: Vec<String>,
    agent_version: Option<String>,
    sequence: u64,
    boot_id: Option<String>,
    grade: Option<String>,
    #[serde(skip)]
    incomplete: Vec<String>,
}

/// Something about the asset that a person must look at.
#[derive(Debug, Serialize)]
pub struct Alarm {
    kind: String,
    text: String,
    since: Option<String>,
}

impl From<pb::Asset> for Asset {
    fn from(wire: pb::Asset) -> Self {
        let pb::Asset {
            id,
            name,
            zone,
            role,
            level,
            os,
            os_version,
            last_seen_ms,
            freshness,
            sections,
            software_count,
            alarms,
            retired,
            tags,
            agent_version,
            sequence,
            boot_id,
            grade,
        } = wire;
        let sections: BTreeMap<_, _> =
            sections.into_iter().map(|it| (kind_name(it.kind), status_name(it.status))).collect();
        let incomplete = sections
            .iter()
            .filter(|(_, status)| !matches!(status.as_str(), "complete" | "unsupported"))
            .map(|(kind, status)| format!("{kind} {status}"))
            .collect();
        Self {
            name: text(name).unwrap_or_else(|| id.clone()),
            id,
            zone: text(zone),
            role: some_text(role),
            level,
            os: some_text(os),
            os_version: some_text(os_version),
            last_seen: last_seen_ms.and_then(time),
            freshness: text(freshness),
            sections,
            software_count,
            alarms: alarms.into_iter().map(Alarm::from).collect(),
            retired,
            tags,
            agent_version: some_text(agent_version),
            sequence,
            boot_id: some_text(boot_id),
            grade: some_text(grade),
            incomplete,
        }
    }
}

impl From<pb::Alarm> for Alarm {
    fn from(wire: pb::Alarm) -> Self {
        let pb::Alarm { kind, text, since_ms } = wire;
        Self { kind, text, since: time(since_ms) }
    }
}

impl Asset {
    fn alarm_kinds(&self) -> Vec<String> {
        self.alarms.iter().map(|it| it.kind.clone()).collect()
    }

    /// For people, in full.
    pub fn describe(&self) -> Page {
        let mut alarms = Table::new(["alarm", "since", "text"]);
        for it in &self.alarms {
            alarms.row([Some(it.kind.clone()), short_time(it.since.as_deref()), Some(it.text.clone())]);
        }
        Page::default()
            .facts([
                ("asset", Some(self.id.clone())),
                ("name", (self.name != self.id).then(|| self.name.clone())),
                ("zone", self.zone.clone()),
                ("role", self.role.clone()),
                ("level", self.level.and_then(number)),
                ("operating system", joined_words([&self.os, &self.os_version])),
                ("last seen", short_time(self.last_seen.as_deref()).or_else(|| Some("never".into()))),
                ("freshness", self.freshness.clone()),
                ("evidence grade", self.grade.clone()),
                ("software", number(self.software_count)),
                ("tags", joined(&self.tags)),
                ("agent", self.agent_version.clone()),
                ("sequence", number(self.sequence)),
                ("boot id", self.boot_id.clone()),
                ("retired", self.retired.then(|| "yes".into())),
            ])
            .table(alarms)
    }
}

fn joined_words<const N: usize>(words: [&Option<String>; N]) -> Option<String> {
    text(words.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" "))
}

impl Answer for Vec<Asset> {
    fn page(&self) -> Page {
        let shown = [
            "id",
            "name",
            "role",
            "level",
            "os",
            "last_seen",
            "freshness",
            "grade",
            "software",
            "incomplete",
            "alarms",
        ];
        let mut table = Table::new(shown);
        for it in self {
            table.row([
                Some(it.id.clone()),
                (it.name != it.id).then(|| it.name.clone()),
                it.role.clone(),
                it.level.and_then(number),
                joined_words([&it.os, &it.os_version]),
                short_time(it.last_seen.as_deref()),
                if it.retired { Some("retired".into()) } else { it.freshness.clone() },
                it.grade.clone(),
                number(it.software_count),
                joined(&it.incomplete),
                joined(&it.alarm_kinds()),
            ]);
        }
        Page::of(table.dense()).or_line("no asset has enrolled yet")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "id",
            "name",
            "zone",
            "role",
            "level",
            "os",
            "os_version",
            "last_seen",
            "freshness",
            "sections",
            "software_count",
            "alarms",
            "retired",
            "tags",
            "agent_version",
            "sequence",
            "boot_id",
            "grade",
        ]);
        for it in self {
            let sections: Vec<_> =
                it.sections.iter().map(|(kind, status)| format!("{kind}={status}")).collect();
            table.row([
                Some(it.id.clone()),
                Some(it.name.clone()),
                it.zone.clone(),
                it.role.clone(),
                it.level.and_then(number),
                it.os.clone(),
                it.os_version.clone(),
                it.last_seen.clone(),
                it.freshness.clone(),
                text(sections.join(" ")),
                number(it.software_count),
                text(it.alarm_kinds().join(" ")),
                number(it.retired),
                text(it.tags.join(" ")),
                it.agent_version.clone(),
                number(it.sequence),
                it.boot_id.clone(),
                it.grade.clone(),
            ]);
        }
        table
    }
}

/// The asset after a decision.
#[derive(Debug, Serialize)]
pub struct Changed {
    asset: Asset,
}

impl From<pb::Asset> for Changed {
    fn from(wire: pb::Asset) -> Self {
        Self { asset: wire.into() }
    }
}

impl Answer for Changed {
    fn page(&self) -> Page {
        self.asset.describe()
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["id", "name", "retired"]);
        table.row([Some(self.asset.id.clone()), Some(self.asset.name.clone()), number(self.asset.retired)]);
        table
    }
}

/// One asset with what it reported.
#[derive(Debug, Serialize)]
pub struct Details {
    asset: Asset,
    sections: BTreeMap<String, Section>,
    /// Sections whose rows a person asked for.
    #[serde(skip)]
    chosen: Vec<String>,
}

impl Details {
    /// With only these sections, or all when none is chosen; `None` when the answer has no asset.
    pub fn new(wire: pb::GetAssetResponse, chosen: Vec<String>) -> Option<Self> {
        let pb::GetAssetResponse { asset, sections } = wire;
        let sections = sections
            .into_iter()
            .map(|it| (kind_name(it.kind), Section::from(it)))
            .filter(|(kind, _)| chosen.is_empty() || chosen.contains(kind))
            .collect();
        Some(Self { asset: asset?.into(), sections, chosen })
    }

    /// Chosen sections that the asset never reported.
    pub fn never_reported(&self) -> impl Iterator<Item = &str> {
        self.chosen.iter().filter(|it| !self.sections.contains_key(*it)).map(String::as_str)
    }

    fn overview(&self) -> Table {
        let mut table = Table::new(["section", "status", "grade", "rows", "reasons", "digest"]);
        for (kind, it) in &self.sections {
            table.row([
                Some(kind.clone()),
                Some(it.status().to_owned()),
                it.grade().map(Into::into),
                number(it.rows().len()),
                joined(it.reasons()),
                it.digest().map(Into::into),
            ]);
        }
        table
    }
}

impl Answer for Details {
    fn page(&self) -> Page {
        if self.chosen.is_empty() {
            return self
                .asset
                .describe()
                .table(self.overview().only(&["section", "status", "grade", "rows", "reasons"]));
        }
        self.sections.iter().fold(Page::default(), |page, (kind, it)| {
            let page = page.line(format!("{kind}: {}", it.status()));
            let page = it.reasons().iter().fold(page, |page, reason| page.line(format!("  {reason}")));
            page.rows_or_facts(it.table().dense())
        })
    }

    fn records(&self) -> Table {
        match self.sections.values().next() {
            Some(only) if self.sections.len() == 1 && !self.chosen.is_empty() => only.table(),
            _ => self.overview(),
        }
    }
}
