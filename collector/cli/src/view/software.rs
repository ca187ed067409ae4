//! Installed software: `software QUERY`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::some_text;
use crate::output::{Answer, Page, Table};

/// One package on one asset.
#[derive(Debug, Serialize)]
pub struct Software {
    asset: String,
    name: String,
    version: Option<String>,
    source: String,
    architecture: Option<String>,
}

impl From<pb::InstalledSoftware> for Software {
    fn from(wire: pb::InstalledSoftware) -> Self {
        let pb::InstalledSoftware { asset, name, version, source, architecture } = wire;
        Self { asset, name, version: some_text(version), source, architecture: some_text(architecture) }
    }
}

impl Answer for Vec<Software> {
    fn page(&self) -> Page {
        Page::of(self.records()).or_line("no asset has reported such software")
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["asset", "name", "version", "architecture", "source"]);
        for it in self {
            table.row([
                Some(it.asset.clone()),
                Some(it.name.clone()),
                it.version.clone(),
                it.architecture.clone(),
                Some(it.source.clone()),
            ]);
        }
        table
    }
}
