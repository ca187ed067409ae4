//! What suppliers state: `statements`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{hex, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// One supplier's word about one patch for one product.
#[derive(Debug, Serialize)]
pub struct Statement {
    vendor: Option<String>,
    product: Option<String>,
    versions: Option<String>,
    patch: String,
    state: String,
    raw: Option<String>,
    conditions: Option<String>,
    date: Option<String>,
    superseded_by: Option<String>,
    note: Option<String>,
    file: String,
    digest: Option<String>,
    imported: Option<String>,
    mapping: Option<String>,
    current: bool,
}

impl From<pb::SupplierStatement> for Statement {
    fn from(wire: pb::SupplierStatement) -> Self {
        let pb::SupplierStatement {
            vendor,
            product,
            versions,
            patch,
            state,
            raw,
            conditions,
            date,
            superseded_by,
            note,
            file,
            digest,
            imported_ms,
            mapping,
            current,
        } = wire;
        Self {
            vendor: text(vendor),
            product: text(product),
            versions: some_text(versions),
            patch,
            state,
            raw: some_text(raw),
            conditions: some_text(conditions),
            date: some_text(date),
            superseded_by: some_text(superseded_by),
            note: some_text(note),
            file,
            digest: hex(&digest),
            imported: time(imported_ms),
            mapping: some_text(mapping),
            current,
        }
    }
}

impl Answer for Vec<Statement> {
    fn page(&self) -> Page {
        let mut table = Table::new([
            "patch",
            "product",
            "versions",
            "state",
            "raw",
            "conditions",
            "date",
            "current",
            "vendor",
            "file",
        ]);
        for it in self {
            table.row([
                Some(it.patch.clone()),
                it.product.clone(),
                it.versions.clone(),
                Some(it.state.clone()),
                it.raw.clone(),
                it.conditions.clone(),
                it.date.clone(),
                Some(it.current.to_string()),
                it.vendor.clone(),
                Some(it.file.clone()),
            ]);
        }
        Page::of(table.dense()).or_line("no supplier states anything of it, which is no approval")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "vendor",
            "product",
            "versions",
            "patch",
            "state",
            "raw",
            "conditions",
            "date",
            "superseded_by",
            "note",
            "file",
            "digest",
            "imported",
            "mapping",
            "current",
        ]);
        for it in self {
            table.row([
                it.vendor.clone(),
                it.product.clone(),
                it.versions.clone(),
                Some(it.patch.clone()),
                Some(it.state.clone()),
                it.raw.clone(),
                it.conditions.clone(),
                it.date.clone(),
                it.superseded_by.clone(),
                it.note.clone(),
                Some(it.file.clone()),
                it.digest.clone(),
                it.imported.clone(),
                it.mapping.clone(),
                Some(it.current.to_string()),
            ]);
        }
        table
    }
}
