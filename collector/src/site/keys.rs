//! Whose bundles a site believes: for each zone the line of its keys, begun by what a person brought.
//!
//! Statements come with the bundles and by themselves, in any order; one whose forerunner is missing waits for
//! it. A key that is revoked stays so, whatever its line says.

use std::collections::BTreeMap;

use holdpoint_common::bundle::{Algorithm, KeyId, Keyring, Line, News, NotAccepted, PublicKey};
use holdpoint_common::identity::ZoneName;
use holdpoint_proto::store as pb;

use super::page::{InvalidPage, VERSION, version};

/// Most statements of a zone that wait for their forerunner; the oldest go first.
pub const MAX_WAITING: usize = 16;

/// The line of a zone's keys, and how it came to be.
#[derive(Debug, Clone)]
pub struct Lineage {
    line: Line,
    /// The root's last word and what followed since, as they came.
    statements: Vec<Vec<u8>>,
    waiting: Vec<Vec<u8>>,
    /// When a person trusted it, by the site's clock, and who.
    pub trusted: (i64, String),
}

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It changed nothing.
    Known,
    /// It waits for its forerunner.
    Waits,
    /// Other keys count from now on. The root has spoken about the key of this place in the line, or not.
    Changed {
        /// The place that the root named, when it did.
        by_root: Option<u64>,
    },
}

impl Lineage {
    /// Begins with a statement of the root, whose key a person brought.
    ///
    /// # Errors
    /// It is no such statement, or about another zone.
    pub fn found(
        zone: &ZoneName,
        root: &PublicKey,
        statement: &[u8],
        trusted: (i64, String),
    ) -> Result<Self, NotAccepted> {
        let line = Line::found(zone, root, statement)?;
        Ok(Self { line, statements: vec![statement.to_vec()], waiting: Vec::new(), trusted })
    }

    /// What is known of the keys.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Takes a statement in, and those that waited for it.
    ///
    /// # Errors
    /// It does not count and never will.
    pub fn hear(&mut self, statement: &[u8]) -> Result<Heard, NotAccepted> {
        let mut heard = match self.accept(statement) {
            Err(NotAccepted::Missing(_)) => {
                if self.waiting.iter().all(|it| it != statement) {
                    self.waiting.push(statement.to_vec());
                    let over = self.waiting.len().saturating_sub(MAX_WAITING);
                    self.waiting.drain(..over);
                }
                return Ok(Heard::Waits);
            }
            other => other?,
        };
        // Each that counts may be what others waited for.
        while let Some((at, more)) = self.next_of_waiting() {
            self.waiting.remove(at);
            if let Ok(Heard::Changed { by_root }) = more {
                let before = if let Heard::Changed { by_root } = heard { by_root } else { None };
                heard = Heard::Changed { by_root: by_root.or(before) };
            }
        }
        Ok(heard)
    }

    /// The first that waits no more, and what became of it.
    fn next_of_waiting(&mut self) -> Option<(usize, Result<Heard, NotAccepted>)> {
        (0..self.waiting.len()).find_map(|at| {
            let statement = self.waiting.get(at)?.clone();
            match self.accept(&statement) {
                Err(NotAccepted::Missing(_)) => None,
                other => Some((at, other)),
            }
        })
    }

    fn accept(&mut self, statement: &[u8]) -> Result<Heard, NotAccepted> {
        match self.line.accept(statement)? {
            News::Known => Ok(Heard::Known),
            News::Followed => {
                self.statements.push(statement.to_vec());
                Ok(Heard::Changed { by_root: None })
            }
            News::Recertified => {
                self.statements = vec![statement.to_vec()];
                Ok(Heard::Changed { by_root: Some(self.line.current().epoch) })
            }
        }
    }

    /// For whoever keeps it.
    pub fn to_page(&self) -> pb::FleetLine {
        let zone = &self.line.current().stream.zone;
        pb::FleetLine {
            version: VERSION,
            site: zone.site.to_string(),
            zone: zone.zone.to_string(),
            algorithm: self.line.root().algorithm().cose(),
            root: self.line.root().as_bytes().to_vec(),
            statements: self.statements.clone(),
            waiting: self.waiting.clone(),
            trusted_ms: self.trusted.0,
            trusted_by: self.trusted.1.clone(),
        }
    }

    /// What [`Lineage::to_page`] gave.
    ///
    /// # Errors
    /// It is not what was written.
    pub fn of_page(page: pb::FleetLine) -> Result<Self, InvalidPage> {
        let pb::FleetLine { version: found, site, zone, algorithm, root, statements, .. } = page;
        version(found)?;
        let fault = || InvalidPage("the keys of a zone");
        let name = |it: &str| it.parse().map_err(|_| fault());
        let zone = ZoneName { site: name(&site)?, zone: name(&zone)? };
        let algorithm = Algorithm::from_cose(algorithm).map_err(|_| fault())?;
        let root = PublicKey::new(algorithm, &root).map_err(|_| fault())?;
        let (first, rest) = statements.split_first().ok_or_else(fault)?;
        let mut line = Line::found(&zone, &root, first).map_err(|_| fault())?;
        for statement in rest {
            line.accept(statement).map_err(|_| fault())?;
        }
        Ok(Self { line, waiting: page.waiting, trusted: (page.trusted_ms, page.trusted_by), statements })
    }
}

/// A key that is believed no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// When, by the site's clock.
    pub at_ms: i64,
    /// By whom.
    pub by: String,
}

/// The keys that are believed: those of all lines but for the revoked ones.
pub fn keyring<'a>(lines: impl Iterator<Item = &'a Lineage>, revoked: &BTreeMap<KeyId, Revoked>) -> Keyring {
    let mut keys = Keyring::default();
    for key in revoked.keys() {
        keys.revoke(key);
    }
    lines.for_each(|it| keys.follow(it.line()));
    keys
}
