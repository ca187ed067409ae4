//! W44: folders that others reach, and who may write there.
//!
//! Sources of truth: the shares that the running server service has, with their security descriptors; of a
//! machine that does not run, the registry, which keeps the same but for the hidden ones that are made at every
//! start. Rights of the files below a share come on top and are not read. Which folder holds a project
//! only the site knows: `facts.d` names it.
//!
//! Absence: a share without a descriptor of its own lets everybody read and nobody write.

use holdpoint_common::row::HardeningRow;

use super::descriptor::{Descriptor, FILE_WRITE};
use super::ground::{self, Ground};
use super::keys::service;
use super::setting::{RIGHTS, rows, tell};
use crate::host::Reads;
use crate::host::registry::Data;
use crate::host::windows::network::Share;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome, Reading};

/// What this probe may touch.
pub(super) const READS: &[&[Reads]] = &[ground::READS, &[Reads::key(SHARES), Reads::key(SECURITY)]];

const CHECKS: &[&str] = &["W44"];
const SHARES: &str = service!(r"LanmanServer\Shares");
const SECURITY: &str = service!(r"LanmanServer\Shares\Security");
const MAX_SHARES: usize = 1_024;

/// Reads them.
pub(super) fn probe(look: &mut Look<'_>) -> Reading {
    rows(look, &[], |look, ground, rows| {
        let (source, shares) = match &look.host.windows {
            Some(windows) => {
                let result = look.in_time().and_then(|()| windows.network.shares());
                let shares = look.outcome("NetShareEnum", result);
                ("NetShareEnum", shares.map_seen(|it| it.into_iter().map(Ok).collect()))
            }
            None => (SHARES, registered(look)),
        };
        say(ground, rows, source, shares);
    })
}

type Found = Result<Share, String>;

/// Shares as the registry keeps them: one list of `Name=value` for each.
fn registered(look: &mut Look<'_>) -> Outcome<Vec<Found>> {
    let values = match look.registry_values_outcome(SHARES) {
        Outcome::Seen(values) => values,
        other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            return other.map_seen(|_| Vec::new());
        }
    };
    if values.len() > MAX_SHARES {
        return Outcome::Failed(format!("more than {MAX_SHARES} shares"));
    }
    let mut shares = Vec::new();
    for value in values {
        let Data::List(lines) = &value.data else { continue };
        let line = |name: &str| lines.iter().find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        let descriptor = match look.registry_outcome(SECURITY, &value.name) {
            Outcome::Seen(Data::Bytes { bytes, .. }) => Ok(Some(bytes)),
            Outcome::Seen(_) => Err("no descriptor".to_owned()),
            Outcome::Absent => Ok(None),
            Outcome::Denied => Err(RIGHTS.to_owned()),
            Outcome::Failed(why) => Err(why),
        };
        let kind = line("Type").and_then(|it| it.parse().ok()).unwrap_or_default();
        let path = line("Path").map(str::to_owned);
        shares.push(match descriptor {
            Ok(descriptor) => Ok(Share { name: value.name, path, kind, descriptor }),
            Err(why) => Err(format!("{}: {why}", value.name)),
        });
    }
    Outcome::Seen(shares)
}

const ABSENT: &str = "nothing is shared";

fn say(ground: &Ground, rows: &mut Vec<HardeningRow>, source: &str, shares: Outcome<Vec<Found>>) {
    let fact = |id: &str| Fact::new(id, CHECKS, source);
    let (names, writable) = (fact("shares.names"), fact("shares.writable_by_everybody"));
    let shares = match shares {
        Outcome::Seen(shares) => shares,
        other @ (Outcome::Absent | Outcome::Denied | Outcome::Failed(_)) => {
            rows.push(tell(ground, SHARES, names, other.clone(), ABSENT, |fact, _| fact.absent()));
            rows.push(tell(ground, SHARES, writable, other, ABSENT, |fact, _| fact.absent()));
            return;
        }
    };
    let mut lines: Vec<String> = shares
        .iter()
        .map(|it| match it {
            Ok(share) => {
                format!("{} ({}): {}", share.name, kind(share.kind), share.path.as_deref().unwrap_or("-"))
            }
            Err(why) => why.clone(),
        })
        .collect();
    lines.sort();
    rows.push(names.list(lines));
    let mut open = Vec::new();
    let mut unknown = Vec::new();
    for share in shares.iter().flatten().filter(|it| matches!(it.kind & 0xff, 0)) {
        match share.descriptor.as_deref().map(Descriptor::parse) {
            Some(Ok(descriptor)) => {
                let whom = descriptor.open_to(FILE_WRITE);
                if !whom.is_empty() {
                    open.push(format!("{}: {}", share.name, whom.join(", ")));
                }
            }
            Some(Err(why)) => unknown.push(format!("{}: {why}", share.name)),
            // Made anew at every start, for administrators alone.
            None if share.kind & 0x8000_0000 != 0 => {}
            None if source == SHARES => {}
            None => unknown.push(format!("{}: {RIGHTS}", share.name)),
        }
    }
    unknown.extend(shares.iter().filter_map(|it| it.as_ref().err().cloned()));
    open.sort();
    unknown.sort();
    let fact = if unknown.is_empty() {
        writable
    } else {
        writable.because(format!("not known: {}", unknown.join("; ")))
    };
    rows.push(if open.is_empty() && !unknown.is_empty() { fact.denied() } else { fact.list(open) });
}

fn kind(kind: u32) -> &'static str {
    match (kind & 0xff, kind & 0x8000_0000 != 0) {
        (0, false) => "files",
        (0, true) => "files, hidden",
        (1, _) => "printer",
        (2, _) => "device",
        (3, _) => "interprocess",
        _ => "other",
    }
}
