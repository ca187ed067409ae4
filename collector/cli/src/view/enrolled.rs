//! The operator's new identity: `enroll`.

use std::path::Path;

use holdpoint_common::enrolment::Enrolled as NewIdentity;
use serde::Serialize;

use super::joined;
use crate::output::{Answer, Page, Table};

/// Who the operator is now, and where it is written.
#[derive(Debug, Serialize)]
pub struct Enrolled {
    identity: String,
    roles: Vec<String>,
    collector: String,
    profile: String,
}

impl Enrolled {
    /// From the collector's answer and the profile that was written.
    pub fn new(enrolled: &NewIdentity, collector: &str, profile: &Path) -> Self {
        Self {
            identity: enrolled.credentials.identity.to_string(),
            roles: enrolled.roles.clone(),
            collector: collector.to_owned(),
            profile: profile.display().to_string(),
        }
    }
}

impl Answer for Enrolled {
    fn page(&self) -> Page {
        Page::default().facts([
            ("identity", Some(self.identity.clone())),
            ("roles", joined(&self.roles)),
            ("collector", Some(self.collector.clone())),
            ("profile", Some(self.profile.clone())),
        ])
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["identity", "roles", "collector", "profile"]);
        table.row([
            Some(self.identity.clone()),
            super::text(self.roles.join(" ")),
            Some(self.collector.clone()),
            Some(self.profile.clone()),
        ]);
        table
    }
}
