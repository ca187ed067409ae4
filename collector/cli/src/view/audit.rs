//! Whether the record of decisions is whole: `audit verify`.

use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{hex, number};
use crate::output::{Answer, Page, Table};

/// The collector's check of its own record.
#[derive(Debug, Serialize)]
pub struct Audit {
    valid: bool,
    entries: u64,
    head: Option<String>,
    /// The public key of the log, as `evidence check --audit-key` takes it.
    audit_key: Option<String>,
    faults: Vec<String>,
}

impl From<pb::VerifyAuditResponse> for Audit {
    fn from(wire: pb::VerifyAuditResponse) -> Self {
        let pb::VerifyAuditResponse { valid, entries, head, faults, key } = wire;
        Self { valid, entries, head: hex(&head), audit_key: hex(&key), faults }
    }
}

impl Audit {
    /// A record with a fault is not valid, whatever else the answer says.
    pub fn is_valid(&self) -> bool {
        self.valid && self.faults.is_empty()
    }
}

impl Answer for Audit {
    fn page(&self) -> Page {
        let mut faults = Table::new(["fault"]);
        for it in &self.faults {
            faults.row([Some(it.clone())]);
        }
        Page::default()
            .facts([
                ("audit log", Some(if self.is_valid() { "valid" } else { "NOT VALID" }.into())),
                ("entries", number(self.entries)),
                ("head", self.head.clone()),
                ("audit key", self.audit_key.clone()),
            ])
            .table(faults)
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["valid", "entries", "head", "audit_key", "faults"]);
        table.row([
            number(self.is_valid()),
            number(self.entries),
            self.head.clone(),
            self.audit_key.clone(),
            super::text(self.faults.join("; ")),
        ]);
        table
    }
}
