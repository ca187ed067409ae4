//! What was made for an operator of a site: `join`.

use std::path::Path;

use serde::Serialize;

use crate::output::{Answer, Page, Table};

/// The identity that is asked for and its files.
#[derive(Debug, Serialize)]
pub struct Joined {
    identity: String,
    server: String,
    request: String,
    profile: String,
}

impl Joined {
    /// What was made.
    pub fn new(identity: &str, server: &str, request: &Path, profile: &Path) -> Self {
        Self {
            identity: identity.to_owned(),
            server: server.to_owned(),
            request: request.display().to_string(),
            profile: profile.display().to_string(),
        }
    }
}

impl Answer for Joined {
    fn page(&self) -> Page {
        Page::default().rows_or_facts(self.records())
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["identity", "server", "request", "profile"]);
        table.row([&self.identity, &self.server, &self.request, &self.profile].map(|it| Some(it.clone())));
        table
    }
}
