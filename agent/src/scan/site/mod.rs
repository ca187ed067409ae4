//! Facts that the host's own administrator asks for, in `facts.d/*.toml`.
//!
//! `deploy/config/facts.d/README.md` describes the format. Nobody else can add one: a collector cannot
//! tell an agent what to read, and a file that anybody but an administrator can write is refused, as is
//! every file then when that holds for its directory. The paths and keys that the accepted files name are added to the read
//! list of this probe alone, each as it stands; a link that ends elsewhere is refused, and the reason
//! names where it ends. Secrets are not read (see `schema`).
//!
//! A value that moves by itself would make every report different; that is for the site to avoid.

mod schema;

use std::collections::BTreeSet;
use std::io;

use aws_lc_rs::digest::{Context, SHA256};
use holdpoint_common::row::HardeningRow;
use holdpoint_common::section::Digest;

use self::schema::{Dialect, MAX_FACTS, SiteFact, What};
use super::fact::{Fact, number_or_text, tell};
use crate::host::registry::{Data, Registry};
use crate::host::{Access, Family, HostRoot, ReadList, is_absent};
use crate::scan::{Look, Outcome, Reading};

/// Where a family of hosts keeps its site's facts, and how it answers what is asked there.
pub(in crate::scan) struct Site {
    /// Which paths and kinds make sense.
    pub(in crate::scan) family: Family,
    /// The letter of the system drive, where the family has one and it is known.
    pub(in crate::scan) drive: Option<char>,
    /// Where the files are.
    pub(in crate::scan) directory: &'static str,
    /// The directory above, which is the agent's own too.
    pub(in crate::scan) parent: &'static str,
    /// Why what is at a path may be somebody else's than the administrator's.
    pub(in crate::scan) loose: fn(&mut Look<'_>, &str) -> Option<String>,
    /// How a service starts and whether it runs: "enabled, running".
    pub(in crate::scan) service: fn(&mut Look<'_>, &str) -> Outcome<String>,
}

const MAX_FILES: usize = 64;
const MAX_BYTES: usize = 64 * 1024;
/// Largest file that lines are looked for in, and largest that is hashed.
const MAX_TEXT: usize = 1024 * 1024;
const MAX_HASHED: u64 = 16 * 1024 * 1024;
const RIGHTS: &str = "the agent may not read it";

/// Reads the site's facts.
pub(in crate::scan) fn read(look: &mut Look<'_>, site: &Site) -> Reading {
    let directory = site.directory;
    let Some(listing) = look.list(directory, MAX_FILES) else {
        return look.missing("no facts.d is there");
    };
    let mut rows = Vec::new();
    let mut facts = Vec::new();
    let loose = [site.parent, directory].into_iter().find_map(|it| (site.loose)(look, it));
    for entry in listing.entries.iter().filter(|it| has_end(&it.name, site.family)) {
        let file = format!("{directory}/{}", entry.name);
        let read = match &loose {
            Some(why) => Err(why.clone()),
            None => accepted(look, site, &file),
        };
        match read {
            Ok(read) => facts.extend(read.into_iter().map(|it| (file.clone(), it))),
            Err(why) => {
                look.fault(format!("{file}: {why}"));
                rows.push(Fact::new("facts_d.file", &[], &file).about(&entry.name).because(why).error());
            }
        }
    }
    if facts.len() > MAX_FACTS {
        look.fault(format!("{directory}: more than {MAX_FACTS} facts; the rest is left out"));
        facts.truncate(MAX_FACTS);
    }
    let root = look.host.root.also_allowing(facts.iter().filter_map(|(_, it)| it.what.path()));
    let keys = facts.iter().filter_map(|(_, it)| it.what.key());
    let registry = look.host.registry.as_ref().map(|it| {
        let mut list = ReadList::default();
        keys.for_each(|key| list.add(key, Access::Key));
        it.limited_to(&list)
    });
    let places = Places { root, registry };
    let mut seen = BTreeSet::new();
    for (file, fact) in &facts {
        if let Err(late) = look.in_time() {
            look.fault(late.to_string());
            break;
        }
        if seen.insert(fact.id.as_str()) {
            rows.push(row(look, site, &places, file, fact));
        } else {
            look.fault(format!("{file}: {} is in another file too; the first one counts", fact.id));
        }
    }
    Reading::of(&rows)
}

/// Whether a file is one of facts; on Windows names have no case.
fn has_end(name: &str, family: Family) -> bool {
    let end = name.rsplit_once('.').map(|it| it.1);
    match family {
        Family::Linux => end == Some("toml"),
        Family::Windows => end.is_some_and(|it| it.eq_ignore_ascii_case("toml")),
    }
}

/// What the site's facts may touch, and nothing else.
struct Places {
    root: HostRoot,
    registry: Option<Registry>,
}

fn accepted(look: &mut Look<'_>, site: &Site, file: &str) -> Result<Vec<SiteFact>, String> {
    if let Some(why) = (site.loose)(look, file) {
        return Err(why);
    }
    let bytes = look.in_time().and_then(|()| look.host.root.read(file, MAX_BYTES));
    let bytes = bytes.map_err(|cause| cause.to_string())?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "not UTF-8".to_owned())?;
    schema::parse(text, Dialect { family: site.family, drive: site.drive })
}

impl What {
    /// The path that it touches, and how.
    fn path(&self) -> Option<(String, Access)> {
        match self {
            Self::Exists { path } => Some((path.clone(), Access::Look)),
            Self::Line { path, .. } | Self::Hash { path } => Some((path.clone(), Access::Read)),
            Self::Sysctl { key } => Some((format!("proc/sys/{key}"), Access::Read)),
            // A service is looked for in the host's own list of them.
            Self::Service { .. } | Self::Registry { .. } => None,
        }
    }

    /// The key of the registry that it touches.
    fn key(&self) -> Option<&str> {
        match self {
            Self::Registry { key, .. } => Some(key),
            Self::Exists { .. }
            | Self::Line { .. }
            | Self::Hash { .. }
            | Self::Sysctl { .. }
            | Self::Service { .. } => None,
        }
    }
}

fn row(look: &mut Look<'_>, site: &Site, places: &Places, file: &str, fact: &SiteFact) -> HardeningRow {
    let checks: Vec<&str> = fact.checks.iter().map(String::as_str).collect();
    let about = |subject: &str| Fact::new(&fact.id, &checks, file).about(subject);
    let root = &places.root;
    match &fact.what {
        What::Exists { path } => {
            let outcome = match look.outcome(path, root.facts(path)) {
                // For this kind absence is the answer.
                Outcome::Absent => return about(path).flag(false),
                there @ (Outcome::Seen(_) | Outcome::Denied | Outcome::Failed(_)) => there,
            };
            tell(about(path), outcome, RIGHTS, |fact, _| fact.flag(true))
        }
        What::Line { path, wanted, show } => {
            let outcome = look.outcome(path, root.read(path, MAX_TEXT));
            tell(about(path), outcome, RIGHTS, |fact, bytes| {
                let text = String::from_utf8_lossy(&bytes);
                let line = text.lines().map(str::trim).find(|it| wanted.fits(it));
                match (line, show) {
                    (Some(line), true) => fact.text(line),
                    (None, true) => fact.because("no line fits").absent(),
                    (line, false) => fact.flag(line.is_some()),
                }
            })
        }
        What::Hash { path } => {
            let outcome = look.outcome(path, hash(root, path));
            tell(about(path), outcome, RIGHTS, |fact, digest| fact.text(&digest.to_string()))
        }
        What::Sysctl { key } => {
            let path = format!("proc/sys/{key}");
            let outcome = look.outcome(&path, root.read(&path, MAX_BYTES));
            tell(about(key), outcome, RIGHTS, |fact, bytes| {
                number_or_text(fact, String::from_utf8_lossy(&bytes).trim())
            })
        }
        What::Service { name } => match (site.service)(look, name) {
            Outcome::Absent => about(name).because("no such service").absent(),
            there @ (Outcome::Seen(_) | Outcome::Denied | Outcome::Failed(_)) => {
                tell(about(name), there, RIGHTS, |fact, state| fact.text(&state))
            }
        },
        What::Registry { key, value } => match &places.registry {
            None => about("registry").because("this host has no registry").absent(),
            Some(registry) => {
                let subject = format!("{key}\\{value}");
                let result = look.in_time().and_then(|()| registry.value(key, value));
                let outcome = look.outcome(&subject, result);
                tell(about(&subject), outcome, RIGHTS, data)
            }
        },
    }
}

/// What a value of the registry holds, as a fact.
pub(in crate::scan) fn data(fact: Fact, data: Data) -> HardeningRow {
    const MAX_SHOWN: usize = 64;
    match data {
        Data::Text(text) | Data::Expand(text) => fact.text(&text),
        Data::Number(number) => fact.number(i64::from(number)),
        Data::Wide(number) => match i64::try_from(number) {
            Ok(number) => fact.number(number),
            Err(_) => fact.text(&number.to_string()),
        },
        Data::List(items) => fact.list(items),
        Data::Bytes { bytes, .. } if bytes.len() <= MAX_SHOWN => {
            fact.because("bytes").text(&data_encoding::HEXLOWER.encode(&bytes))
        }
        Data::Bytes { bytes, .. } => {
            let size = bytes.len();
            fact.because(format!("SHA-256 of {size} bytes")).text(&Digest::of(&bytes).to_string())
        }
    }
}

/// SHA-256 of a file, in pieces.
fn hash(root: &HostRoot, path: &str) -> io::Result<Digest> {
    const PIECE: usize = 64 * 1024;
    let pieces = root.pieces(path)?;
    if pieces.bytes() > MAX_HASHED {
        return Err(io::Error::other(format!("more than {MAX_HASHED} bytes")));
    }
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < pieces.bytes() {
        let left = usize::try_from(pieces.bytes() - at).unwrap_or(PIECE).min(PIECE);
        pieces.read_at(at, &mut buffer[..left]).map_err(|cause| {
            if is_absent(&cause) { io::Error::other("it went away while it was read") } else { cause }
        })?;
        context.update(&buffer[..left]);
        at += u64::try_from(left).unwrap_or(u64::MAX);
    }
    Digest::try_from(context.finish().as_ref()).map_err(io::Error::other)
}
