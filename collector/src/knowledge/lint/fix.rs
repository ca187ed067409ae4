//! What is written about fixes: texts that deny a fix, and fixes that lie inside the range that they end.

use holdpoint_common::version::range::{Constraint, Operator, Range};
use holdpoint_common::version::{Comparison, Scheme};

use super::super::{Advisory, Entry, Versions, Vulnerability};
use super::range::is_upper;
use super::{Fault, FaultKind};

/// What a text says that is filed as a fix and is none, in lower case.
const DENIALS: [&str; 16] = [
    "no fix",
    "no patch",
    "no update is available",
    "no update available",
    "no updates are available",
    "not be fixed",
    "not be patched",
    "fix is unavailable",
    "fix is not available",
    "patch is not available",
    "currently no",
    "no longer supported",
    "discontinued",
    "end of life",
    "end-of-life",
    "will not release",
];

/// The upper bounds of an advisory's entries, by position; `None` where there is not exactly one.
pub(super) fn bounds(advisory: &Advisory) -> Vec<Option<Constraint>> {
    let speaks_of_fixes = advisory.vulnerabilities.iter().any(|it| !it.fixes.is_empty());
    if speaks_of_fixes { advisory.entries.iter().map(upper_bound).collect() } else { Vec::new() }
}

fn upper_bound(entry: &Entry) -> Option<Constraint> {
    let (Versions::Range(text) | Versions::One(text)) = &entry.versions else { return None };
    let Range::Constraints(constraints) = Range::parse(text) else { return None };
    let mut uppers = constraints.list().iter().filter(|it| is_upper(it.operator));
    let (upper, None) = (uppers.next()?, uppers.next()) else { return None };
    Some(upper.clone())
}

pub(super) fn faults(
    advisory: &Advisory,
    bounds: &[Option<Constraint>],
    vulnerability: &Vulnerability,
) -> Vec<Fault> {
    let mut found = Vec::new();
    for fix in vulnerability.fixes.iter().filter(|it| it.category == "vendor_fix") {
        let lower = fix.text.to_lowercase();
        let entries = || {
            let positions = fix.entries.iter().filter_map(|it| usize::try_from(*it).ok());
            positions.filter_map(|at| Some((advisory.entries.get(at)?, bounds.get(at)?.as_ref())))
        };
        let denial = DENIALS.iter().find(|it| lower.contains(*it));
        if let (Some(denial), Some((first, _))) = (denial, entries().next()) {
            let text = format!("filed as a fix, and its text says `{denial}`: {}", fix.text);
            found.push(Fault::new(FaultKind::FixDenied, first, Some(&vulnerability.id), &text));
            continue;
        }
        let Some(version) = fixed_version(&fix.text) else { continue };
        for (entry, upper) in entries() {
            if upper.is_some_and(|it| is_inside(version, it)) {
                let bound = entry.versions.text();
                let text = format!("the fix `{version}` is inside the range that it ends (`{bound}`)");
                found.push(Fault::new(FaultKind::FixInsideRange, entry, Some(&vulnerability.id), &text));
            }
        }
    }
    found
}

/// What goes on with a version behind its numbers: `V4.7 SP6 HF1`. Such a version is not read at all here.
const QUALIFIERS: [&str; 10] = ["sp", "upd", "hf", "hotfix", "patch", "build", "cu", "tcu", "service", "rev"];

/// The only version that a text names behind "to", "version" or a `v`; two of them are for a person to tell apart.
fn fixed_version(text: &str) -> Option<&str> {
    let mut found: Option<&str> = None;
    let words: Vec<&str> = text.split_whitespace().collect();
    for (at, word) in words.iter().enumerate().skip(1) {
        let version = word.trim_matches(|it: char| !it.is_ascii_alphanumeric());
        let lead = words[at - 1].to_ascii_lowercase();
        let introduced = matches!(lead.as_str(), "to" | "version" | "release" | "firmware")
            || version.starts_with(['v', 'V']);
        let digits = version.trim_start_matches(['v', 'V']);
        let is_version = digits.contains('.')
            && digits.split('.').all(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()));
        if !introduced || !is_version {
            continue;
        }
        let next = words.get(at + 1).map(|it| it.to_ascii_lowercase()).unwrap_or_default();
        let goes_on =
            !word.ends_with(['.', ',', ';', ')']) && QUALIFIERS.iter().any(|it| next.starts_with(it));
        if goes_on || found.replace(version).is_some_and(|it| it != version) {
            return None;
        }
    }
    found
}

/// Whether a version is still below an upper bound.
fn is_inside(version: &str, upper: &Constraint) -> bool {
    match Scheme::Natural.compare(version, &upper.version) {
        Comparison::Less => true,
        Comparison::Equal => upper.operator == Operator::LessOrEqual,
        Comparison::Greater | Comparison::NotComparable(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_version_is_read_only_where_one_is_named() {
        assert_eq!(fixed_version("Update to V4.1.3 or later version"), Some("V4.1.3"));
        assert_eq!(fixed_version("Please upgrade to firmware version 5.009."), Some("5.009"));
        assert_eq!(fixed_version("Update to 2.0 or 3.1"), Some("2.0"));
        assert_eq!(fixed_version("Update to V2.0.1 or V3.1.2"), None);
        assert_eq!(fixed_version("See page 4.1 of the manual"), None);
        assert_eq!(fixed_version("Contact support"), None);
        assert_eq!(fixed_version("Update to V4.7 SP6 HF1"), None, "the numbers are half of it");
        assert_eq!(fixed_version("Update to V9.0 Upd1 or newer"), None);
    }
}
