//! Evidence: `evidence export` and `evidence check`.

use std::path::Path;

use serde::Serialize;

use super::{hex, number, some_text};
use crate::output::{Answer, Page, Table};

/// A pack that was written.
#[derive(Debug, Serialize)]
pub struct Exported {
    change: String,
    file: String,
    policy: String,
    bytes: u64,
    digest: Option<String>,
}

/// What a pack proves, and what is wrong with it.
#[derive(Debug, Serialize)]
pub struct Checked {
    valid: bool,
    change: Option<String>,
    state: Option<String>,
    audit_key: Option<String>,
    proves: Vec<String>,
    proves_not: Vec<String>,
    faults: Vec<String>,
}

impl Exported {
    /// A pack of `bytes` with this SHA-256.
    pub fn new(change: &str, file: &Path, policy: &str, bytes: u64, digest: &[u8]) -> Self {
        Self {
            change: change.to_owned(),
            file: file.display().to_string(),
            policy: policy.to_owned(),
            bytes,
            digest: hex(digest),
        }
    }
}

impl Checked {
    /// What a check said: of which change in which state, signed by which audit key; what it proves, what it does not,
    /// and what is wrong. A pack with a fault is never valid, whatever else was said.
    pub fn new(
        valid: bool,
        change: Option<String>,
        state: Option<String>,
        audit_key: Option<String>,
        proves: Vec<String>,
        proves_not: Vec<String>,
        faults: Vec<String>,
    ) -> Self {
        let valid = valid && faults.is_empty();
        let [change, state, audit_key] = [change, state, audit_key].map(some_text);
        Self { valid, change, state, audit_key, proves, proves_not, faults }
    }

    /// Whether it proves what it says.
    pub fn is_valid(&self) -> bool {
        self.valid
    }
}

impl Answer for Exported {
    fn page(&self) -> Page {
        Page::default().rows_or_facts(self.records())
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["change", "file", "policy", "bytes", "digest"]);
        table.row([
            Some(self.change.clone()),
            Some(self.file.clone()),
            Some(self.policy.clone()),
            number(self.bytes),
            self.digest.clone(),
        ]);
        table
    }
}

impl Answer for Checked {
    fn page(&self) -> Page {
        let word = if self.valid { "the evidence is whole" } else { "THE EVIDENCE IS NOT VALID" };
        let mut page = Page::default().line(word);
        for it in &self.faults {
            page = page.line(format!("fault: {it}"));
        }
        page = page.facts([
            ("change", self.change.clone()),
            ("state", self.state.clone()),
            ("audit key", self.audit_key.clone()),
        ]);
        for (lead, listed) in [("it proves", &self.proves), ("it does not prove", &self.proves_not)] {
            for (at, it) in listed.iter().enumerate() {
                page = if at == 0 { page.line(format!("{lead}:")) } else { page }.line(format!("  {it}"));
            }
        }
        page
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["kind", "text"]);
        let all = [("fault", &self.faults), ("proves", &self.proves), ("proves-not", &self.proves_not)];
        for (kind, listed) in all {
            for it in listed {
                table.row([Some(kind.to_owned()), Some(it.clone())]);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_with_a_fault_is_not_valid_whatever_is_said() {
        let checked = |valid, faults| Checked::new(valid, None, None, None, vec![], vec![], faults);
        assert!(!checked(true, vec!["entry 7 is missing".into()]).is_valid());
        assert!(!checked(false, vec![]).is_valid());
        assert!(checked(true, vec![]).is_valid());
    }
}
