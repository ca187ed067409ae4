//! The site itself: `fleet site`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::zone::Alarm;
use crate::output::{Answer, Page, Table};
use crate::view::{number, some_text, time};

/// What concerns no single zone.
#[derive(Debug, Serialize)]
pub struct Overview {
    site: String,
    now: Option<String>,
    zones: usize,
    alarms: Vec<Alarm>,
    quarantined: u64,
    quarantined_bytes: u64,
    stopped: Option<String>,
}

impl From<pb::FleetZonesResponse> for Overview {
    fn from(wire: pb::FleetZonesResponse) -> Self {
        let pb::FleetZonesResponse { site, now_ms, zones, alarms, quarantined, quarantined_bytes, stopped } =
            wire;
        Self {
            site,
            now: time(now_ms),
            zones: zones.len(),
            alarms: alarms.into_iter().map(Alarm::from).collect(),
            quarantined,
            quarantined_bytes,
            stopped: some_text(stopped),
        }
    }
}

impl Answer for Overview {
    fn page(&self) -> Page {
        let mut page = Page::default();
        if let Some(why) = &self.stopped {
            page = page.line(format!("The site takes nothing in: {why}."));
        }
        for alarm in &self.alarms {
            page = page.line(alarm.words().to_owned());
        }
        page.facts([
            ("site", Some(self.site.clone())),
            ("zones", number(self.zones)),
            ("quarantined", number(self.quarantined)),
            ("bytes", number(self.quarantined_bytes)),
        ])
    }

    fn records(&self) -> Table {
        let mut table =
            Table::new(["site", "now", "zones", "alarms", "quarantined", "quarantined_bytes", "stopped"]);
        table.row([
            Some(self.site.clone()),
            self.now.clone(),
            number(self.zones),
            number(self.alarms.len()),
            number(self.quarantined),
            number(self.quarantined_bytes),
            self.stopped.clone(),
        ]);
        table
    }
}
