//! Decides whether a version is in a range.
//!
//! A bar between constraints is an interval (`>= a | <= b`), a list (`2.00 | 2.03`), several intervals in
//! rising order, or a lost word (`< 17 | 4` was once "V17 Update 4"). Where it is none of the first three
//! the hull decides: in when the version is below every reading, out when it is above every reading.
//! A wildcard in a bound is a hull of its own.

use std::cmp::Ordering;

use super::super::natural::{self, Shape};
use super::super::{Scheme, digits};
use super::{Constraint, Constraints, Containment, Operator, Reading, Undecided};

/// The words that a bar has swallowed in known advisories, and the dot.
const LOST_WORDS: [&str; 6] = [" SP", " Update ", " HF", " Patch ", " Build ", "."];

const BETWEEN: &str = "the range has several readings and they differ for this version";
const EMPTY_INTERVAL: &str = "the lower bound is not below the upper bound";
const WHOLE_LINE: &str = "a wildcard or short version may stand for a whole line, and the version is in it";
const DOUBTFUL: &str = "what stands for a version may be a model or an order number";

/// Where a version stands to one reading of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Below,
    /// At a bound that is itself excluded.
    Edge,
    Inside,
    Above,
}

/// A stretch of versions.
enum Stretch<'a> {
    UpTo(&'a Constraint),
    From(&'a Constraint),
    Between(&'a Constraint, &'a Constraint),
    Exactly(&'a Constraint),
}

/// How versions are compared for this range.
struct Order<'a> {
    reading: Reading,
    vers_type: Option<&'a str>,
}

pub(super) fn constraints(all: &Constraints, reading: Reading, version: &str) -> Containment {
    let order = Order { reading, vers_type: all.vers_type() };
    try_constraints(all, &order, version).unwrap_or_else(Containment::Unknown)
}

/// Below the bounds of every branch, or above them, the branch does not matter. Where a product rule says which
/// numbers name the branch, the one bound of the version's own branch decides.
pub(super) fn branches(text: &str, bounds: &[Constraint], reading: Reading, version: &str) -> Containment {
    let order = Order { reading, vers_type: None };
    if let Some(branch) = reading.branch.and_then(|count| leading(version, count))
        && let [only] = bounds.iter().filter(|it| own_branch(it, &branch)).collect::<Vec<_>>().as_slice()
    {
        return match order.position(only, version) {
            Ok(position) => answer(position == Position::Inside),
            Err(reason) => Containment::Unknown(reason),
        };
    }
    let positions: Result<Vec<_>, _> = bounds.iter().map(|it| order.position(it, version)).collect();
    match positions {
        Err(reason) => Containment::Unknown(reason),
        Ok(all)
            if all_are(&all, Position::Inside) && !bounds.iter().any(|it| it.operator == Operator::Equal) =>
        {
            Containment::In
        }
        Ok(all) if all_are(&all, Position::Above) || all_are(&all, Position::Below) => Containment::Out,
        Ok(_) => Containment::Unknown(Undecided::Branch(super::quote(text))),
    }
}

/// The first `count` numbers of a version without zeros in front; `None` when it has no more than these, or is
/// built otherwise.
fn leading(version: &str, count: usize) -> Option<Vec<&str>> {
    let parts: Vec<&str> = version.trim().trim_start_matches(['v', 'V']).split('.').collect();
    let plain = parts.iter().all(|it| digits::are_digits(it));
    (plain && count > 0 && parts.len() > count)
        .then(|| parts.iter().take(count).map(|it| it.trim_start_matches('0')).collect())
}

fn own_branch(bound: &Constraint, branch: &[&str]) -> bool {
    leading(&bound.version, branch.len()).is_some_and(|it| it == branch)
}

fn try_constraints(all: &Constraints, order: &Order<'_>, version: &str) -> Result<Containment, Undecided> {
    let mut bounds: Vec<&Constraint> = Vec::new();
    let mut excluded = false;
    for constraint in all.list() {
        let single = match constraint.operator {
            // In strict vers an exact version stands beside the bounds and decides alone.
            Operator::Equal => order.vers_type.is_some(),
            Operator::NotEqual => true,
            Operator::Less | Operator::LessOrEqual | Operator::GreaterOrEqual | Operator::Greater => false,
        };
        if !single {
            bounds.push(constraint);
        } else if order.position(constraint, version)? == Position::Inside {
            let is_in = constraint.operator == Operator::Equal;
            return Ok(if is_in { Containment::In } else { Containment::Out });
        } else {
            excluded |= constraint.operator == Operator::NotEqual;
        }
    }
    let stretches = match bounds.as_slice() {
        // "< 2.0 and >= 1.0" written backwards: as "any of these" it would be every version there is.
        [upper, lower] if is_upper(upper) && is_lower(lower) && order.rises(lower, upper) => {
            vec![Stretch::Between(lower, upper)]
        }
        _ => stretches(&bounds),
    };
    match stretches.as_slice() {
        [] => {
            let only_exclusions = all.list().iter().all(|it| it.operator == Operator::NotEqual);
            Ok(if excluded && only_exclusions { Containment::In } else { Containment::Out })
        }
        [only] => Ok(answer(order.stretch(only, version)? == Position::Inside)),
        several if is_union(several, order) => {
            let positions = positions(several, order, version)?;
            Ok(answer(positions.contains(&Position::Inside)))
        }
        several => hull(several, order, version),
    }
}

fn answer(inside: bool) -> Containment {
    if inside { Containment::In } else { Containment::Out }
}

fn is_upper(bound: &Constraint) -> bool {
    matches!(bound.operator, Operator::Less | Operator::LessOrEqual)
}

fn is_lower(bound: &Constraint) -> bool {
    matches!(bound.operator, Operator::Greater | Operator::GreaterOrEqual)
}

/// Groups a lower bound and the upper bound behind it.
fn stretches<'a>(bounds: &[&'a Constraint]) -> Vec<Stretch<'a>> {
    let mut found = Vec::new();
    for &bound in bounds {
        match found.pop() {
            Some(Stretch::From(lower)) if is_upper(bound) => found.push(Stretch::Between(lower, bound)),
            before => {
                found.extend(before);
                found.push(if is_upper(bound) {
                    Stretch::UpTo(bound)
                } else if is_lower(bound) {
                    Stretch::From(bound)
                } else {
                    Stretch::Exactly(bound)
                });
            }
        }
    }
    found
}

/// Whether the stretches can only mean "any of these": a pure list, or intervals in rising order.
fn is_union(stretches: &[Stretch<'_>], order: &Order<'_>) -> bool {
    let is_list = stretches.iter().all(|it| matches!(it, Stretch::Exactly(_)));
    is_list
        || stretches.windows(2).all(|pair| match pair {
            [
                Stretch::UpTo(upper) | Stretch::Between(_, upper),
                Stretch::From(lower) | Stretch::Between(lower, _),
            ] => order.rises(upper, lower),
            _ => false,
        })
}

fn positions(
    stretches: &[Stretch<'_>],
    order: &Order<'_>,
    version: &str,
) -> Result<Vec<Position>, Undecided> {
    stretches.iter().map(|it| order.stretch(it, version)).collect()
}

fn all_are(positions: &[Position], wanted: Position) -> bool {
    positions.iter().all(|it| *it == wanted)
}

/// Decides where every reading agrees.
fn hull(stretches: &[Stretch<'_>], order: &Order<'_>, version: &str) -> Result<Containment, Undecided> {
    let (mut exact, mut bounds, mut lowers, mut uppers) = (Vec::new(), Vec::new(), 0_usize, 0_usize);
    let mut before: Option<&Constraint> = None;
    for stretch in stretches {
        match stretch {
            Stretch::Exactly(constraint) => {
                for joined in before.map_or_else(Vec::new, |bound| rejoin(bound, constraint)) {
                    bounds.push(order.position(&joined, version)?);
                }
                // "SP5" alone is no version, only the rest of one.
                if before.is_none() || !starts_with_letter(&constraint.version) {
                    exact.push(order.stretch(stretch, version)?);
                }
            }
            Stretch::UpTo(bound) | Stretch::Between(_, bound) => {
                uppers += 1;
                before = Some(bound);
                bounds.push(order.stretch(stretch, version)?);
            }
            Stretch::From(bound) => {
                lowers += 1;
                before = Some(bound);
                bounds.push(order.stretch(stretch, version)?);
            }
        }
    }
    let outer = match (lowers, uppers) {
        (0, _) => Some(Position::Below),
        (_, 0) => Some(Position::Above),
        _ => None,
    };
    let exact_agrees = exact.is_empty() || outer.is_some_and(|outer| all_are(&exact, outer));
    if all_are(&bounds, Position::Inside) && exact_agrees {
        return Ok(Containment::In);
    }
    bounds.extend(exact);
    if all_are(&bounds, Position::Above) || all_are(&bounds, Position::Below) {
        return Ok(Containment::Out);
    }
    Err(Undecided::Readings(BETWEEN))
}

fn starts_with_letter(text: &str) -> bool {
    text.starts_with(|it: char| it.is_ascii_alphabetic()) && natural::shape(text) != Shape::Version
}

/// The bounds that were meant if the bar before `rest` has swallowed a word.
fn rejoin(bound: &Constraint, rest: &Constraint) -> Vec<Constraint> {
    let with = |version| Constraint { operator: bound.operator, version };
    if digits::are_digits(&rest.version) {
        LOST_WORDS.iter().map(|word| with(format!("{}{word}{}", bound.version, rest.version))).collect()
    } else if starts_with_letter(&rest.version) {
        vec![with(format!("{} {}", bound.version, rest.version))]
    } else {
        Vec::new()
    }
}

impl Order<'_> {
    fn compare(&self, a: &str, b: &str) -> Result<Ordering, Undecided> {
        let ours = self.reading.order(a, b).map_err(Undecided::NotComparable)?;
        let owned = self.vers_type.is_none_or(|it| own_types(self.reading.scheme).contains(&it));
        // A scheme of somebody else: plain dotted numbers are read alike by all of them.
        let plain = |it: &str| it.split('.').all(|it| digits::are_digits(it) && !digits::is_padded(it));
        if owned || (plain(a) && plain(b) && Scheme::Intdot.order(a, b) == Ok(ours)) {
            return Ok(ours);
        }
        Err(Undecided::Readings("the range belongs to another version scheme than the product"))
    }

    /// Where `version` stands to one constraint alone.
    fn position(&self, constraint: &Constraint, version: &str) -> Result<Position, Undecided> {
        let (operator, bound) = (constraint.operator, constraint.version.as_str());
        let exact = matches!(operator, Operator::Equal | Operator::NotEqual);
        let vendors = matches!(self.reading.scheme, Scheme::Natural | Scheme::Intdot);
        if exact && vendors && !is_wild(bound) && natural::shape(bound) != Shape::Version {
            return Err(Undecided::Readings(DOUBTFUL));
        }
        let side = match line(bound).filter(|_| self.vers_type.is_none()) {
            Some(line) if is_wild(bound) || exact => self.side_of_line(&line, bound, version)?,
            _ if exact && vendors && extends(version, bound) => return Err(Undecided::Readings(WHOLE_LINE)),
            _ => self.compare(version, bound)?,
        };
        Ok(match (operator, side) {
            (Operator::Less | Operator::LessOrEqual, Ordering::Less)
            | (Operator::Greater | Operator::GreaterOrEqual, Ordering::Greater)
            | (
                Operator::LessOrEqual | Operator::GreaterOrEqual | Operator::Equal | Operator::NotEqual,
                Ordering::Equal,
            ) => Position::Inside,
            (Operator::Less | Operator::Greater, Ordering::Equal) => Position::Edge,
            (
                Operator::Greater | Operator::GreaterOrEqual | Operator::Equal | Operator::NotEqual,
                Ordering::Less,
            ) => Position::Below,
            (
                Operator::Less | Operator::LessOrEqual | Operator::Equal | Operator::NotEqual,
                Ordering::Greater,
            ) => Position::Above,
        })
    }

    /// Where `version` stands to everything that a wildcard or a short exact version may name.
    fn side_of_line(&self, line: &Line, bound: &str, version: &str) -> Result<Ordering, Undecided> {
        let to_first = self.compare(version, &line.first)?;
        if to_first.is_lt() || (to_first.is_eq() && !is_wild(bound)) {
            return Ok(to_first);
        }
        if self.compare(version, &line.end)?.is_lt() {
            return Err(Undecided::Readings(WHOLE_LINE));
        }
        Ok(Ordering::Greater)
    }

    fn stretch(&self, stretch: &Stretch<'_>, version: &str) -> Result<Position, Undecided> {
        let (lower, upper) = match stretch {
            Stretch::UpTo(bound) | Stretch::From(bound) | Stretch::Exactly(bound) => {
                return self.position(bound, version);
            }
            Stretch::Between(lower, upper) => (lower, upper),
        };
        if !self.rises(lower, upper) {
            return Err(Undecided::Readings(EMPTY_INTERVAL));
        }
        match self.position(lower, version)? {
            Position::Inside => self.position(upper, version),
            outside @ (Position::Below | Position::Edge | Position::Above) => Ok(outside),
        }
    }

    /// Whether everything that `a` may name is before everything that `b` may name, or they are equal.
    fn rises(&self, a: &Constraint, b: &Constraint) -> bool {
        let last = |it: &str| if is_wild(it) { line(it).map(|it| it.end) } else { Some(it.to_owned()) };
        let first = |it: &str| if is_wild(it) { line(it).map(|it| it.first) } else { Some(it.to_owned()) };
        let (Some(a), Some(b)) = (last(&a.version), first(&b.version)) else { return false };
        self.compare(&a, &b).is_ok_and(Ordering::is_le)
    }
}

/// The `vers` types whose order a scheme is.
fn own_types(scheme: Scheme) -> &'static [&'static str] {
    match scheme {
        Scheme::Deb => &["deb"],
        Scheme::Rpm => &["rpm"],
        Scheme::Intdot => &["intdot"],
        Scheme::Semver => &["npm", "semver"],
        Scheme::Alpine => &["alpine", "apk"],
        // No vers type has these orders.
        Scheme::Win4 | Scheme::Natural => &[],
    }
}

/// All versions that begin alike, from the first up to the end, which is the first of the next line.
struct Line {
    first: String,
    end: String,
}

/// Whether `version` is `bound` with more behind it: a hotfix of the update that an advisory names.
fn extends(version: &str, bound: &str) -> bool {
    let (version, bound) = (version.trim().to_ascii_lowercase(), bound.to_ascii_lowercase());
    version.strip_prefix(&bound).is_some_and(|rest| rest.starts_with([' ', '_', '-']))
}

fn is_wild(version: &str) -> bool {
    natural::has_wildcard(&version.to_ascii_lowercase())
}

/// The line of `11`, `11.2`, `11.x`, `V3.X.17` or `R15x`; `None` for anything that is built otherwise.
fn line(version: &str) -> Option<Line> {
    let lower = version.to_ascii_lowercase();
    let label = lower.bytes().take_while(|it| it.is_ascii_alphabetic() && *it != b'x').count();
    let (label, numbers) = lower.split_at(label);
    let mut fixed: Vec<&str> = Vec::new();
    let mut parts = numbers.split('.');
    for part in parts.by_ref() {
        let (number, wild) = digits::split(part);
        match (number, wild) {
            (number, "") if !number.is_empty() => fixed.push(number),
            ("", "*") => break,
            (number, wild) if wild.bytes().all(|it| it == b'x') && !wild.is_empty() => {
                if number.is_empty() {
                    break;
                }
                // "15x" may be 15, 150 to 159, or 15 with a letter.
                let (next, before) = (format!("{}0", digits::successor(number)), fixed.join("."));
                let dotted = |last: &str| {
                    let dot = if before.is_empty() { "" } else { "." };
                    format!("{label}{before}{dot}{last}")
                };
                return parts
                    .all(is_number_or_wild)
                    .then(|| Line { first: dotted(number), end: dotted(&next) });
            }
            _ => return None,
        }
    }
    if !parts.all(is_number_or_wild) {
        return None;
    }
    let (last, before) = fixed.split_last()?;
    let next = digits::successor(last);
    let end: Vec<&str> = before.iter().copied().chain([next.as_str()]).collect();
    Some(Line { first: format!("{label}{}", fixed.join(".")), end: format!("{label}{}", end.join(".")) })
}

fn is_number_or_wild(part: &str) -> bool {
    let (_, rest) = digits::split(part);
    !part.is_empty() && (rest.bytes().all(|it| it == b'x') || rest == "*")
}
