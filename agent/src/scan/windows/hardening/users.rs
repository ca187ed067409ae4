//! Whose hives are loaded: the part of the registry that belongs to users.

use holdpoint_common::row::HardeningRow;

use super::setting::RIGHTS;
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Outcome};

/// What [`loaded`] touches.
pub(super) const READS: &[Reads] = &[Reads::key("HKU")];

/// Most users at once.
const MAX_USERS: usize = 64;

/// The security identifiers of people whose hives are loaded, in order. Services and the logon screen
/// are left out. Where the list cannot be read a row says so under the given name.
pub(super) fn loaded(
    look: &mut Look<'_>,
    rows: &mut Vec<HardeningRow>,
    id: &str,
    checks: &[&str],
) -> Vec<String> {
    let fact = Fact::new(id, checks, "HKU");
    let names = match look.registry_keys_outcome("HKU") {
        Outcome::Seen(names) => names,
        Outcome::Absent => Vec::new(),
        Outcome::Denied => {
            rows.push(fact.because(RIGHTS).denied());
            return Vec::new();
        }
        Outcome::Failed(why) => {
            rows.push(fact.because(why).error());
            return Vec::new();
        }
    };
    // Local and domain users, and those of a cloud directory.
    let is_person = |it: &String| {
        (it.starts_with("S-1-5-21-") || it.starts_with("S-1-12-1-")) && !it.ends_with("_Classes")
    };
    let mut people: Vec<String> = names.into_iter().filter(is_person).collect();
    people.sort();
    if people.is_empty() {
        rows.push(fact.because("no user's hive is loaded").absent());
    }
    if people.len() > MAX_USERS {
        look.fault(format!("HKU: more than {MAX_USERS} users; the rest is left out"));
        people.truncate(MAX_USERS);
    }
    people
}
