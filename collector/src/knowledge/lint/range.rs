//! Faults of a range by itself.

use holdpoint_common::version::range::{Constraint, Constraints, Operator, Range};
use holdpoint_common::version::{Comparison, Scheme};

use super::super::{Branch, Entry, Event};
use super::{Fault, FaultKind};

/// The faults of a range as text; `is_version` when it stands where one version belongs.
pub(super) fn faults(entry: &Entry, text: &str, is_version: bool) -> Vec<Fault> {
    let fault = |kind, text: &str| Fault::new(kind, entry, None, text);
    if is_version && is_order_number(text) {
        let what = format!("`{text}` stands where a version belongs and looks like an order number");
        return vec![fault(FaultKind::OrderNumber, &what)];
    }
    match Range::parse(text) {
        Range::All => Vec::new(),
        Range::Conditional { .. } => {
            vec![fault(FaultKind::Condition, &format!("`{text}` names a condition beside versions"))]
        }
        Range::BranchList { bounds, .. } => {
            let what = format!("`{text}` gives {} bounds and does not say of which branch", bounds.len());
            vec![fault(FaultKind::BranchList, &what)]
        }
        Range::Unparsed { .. } => {
            vec![fault(FaultKind::RangeUnparsed, &format!("`{text}` is no range that can be read"))]
        }
        Range::Constraints(constraints) => {
            of_constraints(&constraints).into_iter().map(|(kind, what)| fault(kind, &what)).collect()
        }
    }
}

fn of_constraints(constraints: &Constraints) -> Vec<(FaultKind, String)> {
    let list = constraints.list();
    let mut found = Vec::new();
    for Constraint { version, .. } in list {
        if !Scheme::all().any(|it| it.compare(version, version) == Comparison::Equal) {
            found.push((FaultKind::Incomparable, format!("no scheme can compare `{version}`")));
        } else if is_zero_padded(version) {
            let what =
                format!("`{version}` has a part with leading zeros: only a rule with a scheme reads it");
            found.push((FaultKind::ZeroPadded, what));
        }
    }
    let lower = list.iter().find(|it| is_lower(it.operator));
    let upper = list.iter().find(|it| is_upper(it.operator));
    match (lower, upper, list.len()) {
        (Some(it), None, 1) => {
            let what = format!("from `{}` on without an end: later fixes are not known to it", it.version);
            found.push((FaultKind::LowerBoundOnly, what));
        }
        (Some(lower), Some(upper), 2) => {
            if is_empty(lower, upper) {
                let what = format!("nothing is from `{}` to `{}`", lower.version, upper.version);
                found.push((FaultKind::EmptyRange, what));
            }
        }
        (None, Some(_), 1) | (None, None, _) => {}
        // A strict `vers` text says by its specification what several bounds mean.
        (_, _, _) if constraints.vers_type().is_some() => {}
        (_, _, _) => {
            let what = "several bounds in a row: an interval, a list, or a lost word".to_owned();
            found.push((FaultKind::SeveralReadings, what));
        }
    }
    found
}

pub(super) fn is_lower(operator: Operator) -> bool {
    matches!(operator, Operator::Greater | Operator::GreaterOrEqual)
}

pub(super) fn is_upper(operator: Operator) -> bool {
    matches!(operator, Operator::Less | Operator::LessOrEqual)
}

/// Whether no version can be from one bound to the other, in the vendors' order.
fn is_empty(lower: &Constraint, upper: &Constraint) -> bool {
    match Scheme::Natural.compare(&lower.version, &upper.version) {
        Comparison::Greater => true,
        Comparison::Equal => {
            lower.operator != Operator::GreaterOrEqual || upper.operator != Operator::LessOrEqual
        }
        Comparison::Less | Comparison::NotComparable(_) => false,
    }
}

/// A numeric part behind a dot with a leading zero: `5.028`. Zeros alone are nothing, however many they are.
fn is_zero_padded(version: &str) -> bool {
    let digits = |it: &str| {
        it.starts_with('0') && it.bytes().all(|it| it.is_ascii_digit()) && it.bytes().any(|it| it != b'0')
    };
    version.split('.').skip(1).any(digits)
}

/// Groups joined by hyphens with capitals and digits and no dot: `1763-L16DWD`.
fn is_order_number(text: &str) -> bool {
    let text = text.trim();
    let groups: Vec<&str> = text.split('-').collect();
    let alphanumeric = |it: &&str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric());
    let capitals = text.bytes().filter(u8::is_ascii_uppercase).count();
    groups.len() > 1
        && groups.iter().all(alphanumeric)
        && capitals > 1
        && text.bytes().any(|it| it.is_ascii_digit())
        && text.len() > 6
        && !text.starts_with(['v', 'V'])
}

/// Faults of the events of a distribution's package.
pub(super) fn of_events(entry: &Entry, branches: &[Branch], scheme: Scheme) -> Vec<Fault> {
    let events = branches.iter().flat_map(|it| &it.events).map(|it| match it {
        Event::Introduced(version) | Event::Fixed(version) | Event::LastAffected(version) => version,
    });
    let listed = branches.iter().flat_map(|it| &it.listed);
    let mut wrong =
        events.filter(|it| *it != "0").chain(listed).filter(|it| scheme.compare(it, it) != Comparison::Equal);
    let first = wrong.next();
    let fault = |it: &String| {
        Fault::new(FaultKind::Incomparable, entry, None, &format!("`{it}` is no version of {scheme}"))
    };
    first.map(fault).into_iter().collect()
}
