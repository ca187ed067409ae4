//! Knowledge packs: `pack` and `import --pack`.

use std::path::Path;

use holdpoint_common::bundle::PublicKey;
use holdpoint_common::pack::{self, Listed, Pack as Whole};
use holdpoint_common::proto::v1 as pb;
use serde::Serialize;

use super::{hex, joined, number, short_time, some_text, text, time};
use crate::output::{Answer, Page, Table};

/// A key that was made: `pack key`.
#[derive(Debug, Serialize)]
pub struct Made {
    fingerprint: String,
    private_key: String,
    public_key: String,
}

/// A pack as a file: `pack make` and `pack show`.
#[derive(Debug, Serialize)]
pub struct Shown {
    id: String,
    title: String,
    serial: u64,
    file: String,
    bytes: u64,
    digest: String,
    fingerprint: String,
    made: Option<String>,
    zones: Vec<String>,
    files: Vec<File>,
}

/// A file in it.
#[derive(Debug, Serialize)]
pub struct File {
    name: String,
    kind: String,
    size: u64,
    sha256: String,
}

/// A pack in a zone.
#[derive(Debug, Serialize)]
pub struct Pack {
    id: String,
    title: String,
    serial: u64,
    state: String,
    known: bool,
    hindrance: Option<String>,
    digest: Option<String>,
    signer: Option<String>,
    key: Option<String>,
    made: Option<String>,
    zones: Vec<String>,
    files: u32,
    bytes: u64,
    file: String,
    brought: Option<String>,
    brought_by: String,
    brought_person: String,
    decided: Option<String>,
    decided_by: Option<String>,
    decided_person: Option<String>,
    reason: Option<String>,
    members: Vec<Member>,
}

/// What a file of a pack would do.
#[derive(Debug, Serialize)]
pub struct Member {
    name: String,
    kind: String,
    size: u64,
    digest: Option<String>,
    items: u32,
    unchanged: bool,
    left_out: Option<String>,
    skipped: Vec<String>,
    changes: Vec<String>,
    faults: u32,
}

/// Somebody whose packs a zone takes, or took.
#[derive(Debug, Serialize)]
pub struct Signer {
    name: String,
    trusted: bool,
    key: Option<String>,
    algorithm: String,
    released_serial: u64,
    since: Option<String>,
    by: String,
    distrusted: Option<String>,
    distrusted_by: Option<String>,
    reason: Option<String>,
}

impl Made {
    /// A key and where its halves are.
    pub fn new(key: &PublicKey, private_key: &Path, public_key: &Path) -> Self {
        Self {
            fingerprint: pack::fingerprint(key),
            private_key: private_key.display().to_string(),
            public_key: public_key.display().to_string(),
        }
    }
}

impl Shown {
    /// A whole pack of that many bytes.
    pub fn new(whole: &Whole<'_>, file: &Path, bytes: usize) -> Self {
        let listed = |it: &Listed| {
            let Listed { name, kind, size, sha256 } = it.clone();
            File { name, kind, size, sha256 }
        };
        Self {
            id: whole.id(),
            title: whole.manifest.title.clone(),
            serial: whole.manifest.serial,
            file: file.display().to_string(),
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            digest: whole.digest.to_string(),
            fingerprint: pack::fingerprint(&whole.key),
            made: time(whole.manifest.made_ms),
            zones: whole.manifest.zones.clone(),
            files: whole.manifest.members.iter().map(listed).collect(),
        }
    }
}

impl From<pb::Pack> for Pack {
    fn from(wire: pb::Pack) -> Self {
        let pb::Pack {
            id,
            digest,
            title,
            serial,
            state,
            signer,
            key,
            made_ms,
            zones,
            files,
            bytes,
            file,
            brought_ms,
            brought_by,
            brought_person,
            decided_ms,
            decided_by,
            decided_person,
            reason,
            known,
            hindrance,
            members,
        } = wire;
        Self {
            id,
            title,
            serial,
            state,
            known,
            hindrance: some_text(hindrance),
            digest: hex(&digest),
            signer: text(signer),
            key: hex(&key),
            made: time(made_ms),
            zones,
            files,
            bytes,
            file,
            brought: time(brought_ms),
            brought_by,
            brought_person,
            decided: decided_ms.and_then(time),
            decided_by: text(decided_by),
            decided_person: text(decided_person),
            reason: text(reason),
            members: members.into_iter().map(Member::from).collect(),
        }
    }
}

impl From<pb::PackMember> for Member {
    fn from(wire: pb::PackMember) -> Self {
        let pb::PackMember { name, kind, size, digest, items, unchanged, skipped, changes, faults, left_out } =
            wire;
        let (digest, left_out) = (hex(&digest), some_text(left_out));
        Self { name, kind, size, digest, items, unchanged, left_out, skipped, changes, faults }
    }
}

impl From<pb::PackSigner> for Signer {
    fn from(wire: pb::PackSigner) -> Self {
        let pb::PackSigner {
            name,
            key,
            algorithm,
            trusted_ms,
            trusted_by,
            distrusted_ms,
            distrusted_by,
            reason,
            released_serial,
        } = wire;
        Self {
            name,
            trusted: distrusted_ms.is_none(),
            key: hex(&key),
            algorithm,
            released_serial,
            since: time(trusted_ms),
            by: trusted_by,
            distrusted: distrusted_ms.and_then(time),
            distrusted_by: text(distrusted_by),
            reason: text(reason),
        }
    }
}

impl Answer for Made {
    fn page(&self) -> Page {
        Page::default().rows_or_facts(self.records())
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["fingerprint", "private_key", "public_key"]);
        let Self { fingerprint, private_key, public_key } = self;
        table.row([fingerprint, private_key, public_key].map(|it| Some(it.clone())));
        table
    }
}

impl Answer for Shown {
    fn page(&self) -> Page {
        Page::default()
            .facts([
                ("pack", Some(self.id.clone())),
                ("title", Some(self.title.clone())),
                ("file", Some(self.file.clone())),
                ("made", short_time(self.made.as_deref())),
                ("zones", joined(&self.zones).or_else(|| Some("all".to_owned()))),
                ("bytes", number(self.bytes)),
                ("digest", Some(self.digest.clone())),
                ("signed by", Some(self.fingerprint.clone())),
            ])
            .table(self.records())
    }

    fn records(&self) -> Table {
        let mut table = Table::new(["name", "kind", "size", "sha256"]);
        for it in &self.files {
            table.row([
                Some(it.name.clone()),
                Some(it.kind.clone()),
                number(it.size),
                Some(it.sha256.clone()),
            ]);
        }
        table
    }
}

impl Answer for Pack {
    fn page(&self) -> Page {
        let mut members = Table::new(["file", "kind", "items", "note"]);
        let mut changed = Table::new(["revised", "what it says otherwise"]);
        for it in &self.members {
            let unchanged = it.unchanged.then(|| "these very bytes are there already".to_owned());
            let left_out = it.left_out.as_ref().map(|why| format!("LEFT OUT: {why}"));
            let faults = (it.faults > 0).then(|| format!("{} lines to look at", it.faults));
            let skipped = joined(&it.skipped).map(|skipped| format!("lines left out: {skipped}"));
            let notes: Vec<_> = unchanged.into_iter().chain(left_out).chain(faults).chain(skipped).collect();
            members.row([Some(it.name.clone()), Some(it.kind.clone()), number(it.items), joined(&notes)]);
            for line in &it.changes {
                changed.row([Some(it.name.clone()), Some(line.clone())]);
            }
        }
        let mut page = Page::default();
        if self.known {
            page = page.line("this very pack was brought before; nothing has changed");
        }
        page.facts([
            ("pack", Some(self.id.clone())),
            ("title", Some(self.title.clone())),
            ("state", Some(self.state.clone())),
            ("cannot be released", self.hindrance.clone()),
            ("signer", self.signer.clone()),
            ("made", short_time(self.made.as_deref())),
            ("zones", joined(&self.zones).or_else(|| Some("all".to_owned()))),
            ("files", number(self.files)),
            ("brought", short_time(self.brought.as_deref())),
            ("brought by", Some(self.brought_person.clone())),
            ("decided", short_time(self.decided.as_deref())),
            ("decided by", self.decided_person.clone()),
            ("reason", self.reason.clone()),
            ("digest", self.digest.clone()),
        ])
        .table(members.dense())
        .table(changed)
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "name",
            "kind",
            "size",
            "digest",
            "items",
            "unchanged",
            "left_out",
            "skipped",
            "changes",
            "faults",
        ]);
        for it in &self.members {
            table.row([
                Some(it.name.clone()),
                Some(it.kind.clone()),
                number(it.size),
                it.digest.clone(),
                number(it.items),
                number(it.unchanged),
                it.left_out.clone(),
                joined(&it.skipped),
                joined(&it.changes),
                number(it.faults),
            ]);
        }
        table
    }
}

impl Answer for Vec<Pack> {
    fn page(&self) -> Page {
        let shown = [
            "id",
            "title",
            "state",
            "signer",
            "files",
            "brought",
            "brought_person",
            "decided_person",
            "hindrance",
        ];
        Page::of(self.records().only(&shown).dense()).or_line("no pack was brought yet")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "id",
            "title",
            "serial",
            "state",
            "hindrance",
            "digest",
            "signer",
            "files",
            "bytes",
            "brought",
            "brought_person",
            "decided",
            "decided_person",
            "reason",
        ]);
        for it in self {
            table.row([
                Some(it.id.clone()),
                Some(it.title.clone()),
                number(it.serial),
                Some(it.state.clone()),
                it.hindrance.clone(),
                it.digest.clone(),
                it.signer.clone(),
                number(it.files),
                number(it.bytes),
                it.brought.clone(),
                Some(it.brought_person.clone()),
                it.decided.clone(),
                it.decided_person.clone(),
                it.reason.clone(),
            ]);
        }
        table
    }
}

impl Answer for Vec<Signer> {
    fn page(&self) -> Page {
        Page::of(self.records().dense())
            .or_line("this zone takes packs of nobody: `holdpoint pack trust KEYFILE`")
    }

    fn records(&self) -> Table {
        let mut table = Table::new([
            "name",
            "trusted",
            "key",
            "algorithm",
            "released_serial",
            "since",
            "by",
            "distrusted",
            "distrusted_by",
            "reason",
        ]);
        for it in self {
            table.row([
                Some(it.name.clone()),
                number(it.trusted),
                it.key.clone(),
                Some(it.algorithm.clone()),
                number(it.released_serial),
                it.since.clone(),
                Some(it.by.clone()),
                it.distrusted.clone(),
                it.distrusted_by.clone(),
                it.reason.clone(),
            ]);
        }
        table
    }
}
