//! What a careful reader would say of rules that can be read: too wide, contradicting, about to end.
//!
//! Knows the rules alone. What they bind in a zone is the board's to say.

use std::collections::BTreeMap;

use super::{Decision, InstalledSide, MapFile, MapRule, Publisher, spelled};

/// Most remarks of one answer.
pub const MAX_LINTS: usize = 500;
/// A rule that ends within this time is named, milliseconds.
const SOON_MS: i64 = 30 * 86_400_000;
/// Most rules about one product that are held against each other.
const MAX_GROUP: usize = 500;

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It does not do what its author meant.
    Error,
    /// It will not, or may not.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A remark about a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lint {
    /// How much it matters.
    pub severity: Severity,
    /// The rule; empty for a remark about the file.
    pub rule: String,
    /// A sentence.
    pub text: String,
}

impl Lint {
    /// A remark.
    pub fn new(severity: Severity, rule: &str, text: impl Into<String>) -> Self {
        Self { severity, rule: rule.to_owned(), text: text.into() }
    }
}

/// Remarks about files, the weightiest first.
pub fn lint<'a>(files: impl IntoIterator<Item = &'a MapFile>, now_ms: i64) -> Vec<Lint> {
    let mut found = Vec::new();
    let mut by_product: BTreeMap<String, Vec<&MapRule>> = BTreeMap::new();
    for file in files {
        for rule in &file.rules {
            ending(&rule.id, rule.signed.expires_ms, now_ms, &mut found);
            width(rule, &mut found);
            let AdvisorySideKeys(keys) = AdvisorySideKeys::of(rule);
            for key in keys {
                by_product.entry(key).or_default().push(rule);
            }
        }
        for declared in &file.declared {
            ending(&declared.fact.id, declared.signed.expires_ms, now_ms, &mut found);
        }
    }
    for rules in by_product.values() {
        let rules: Vec<_> = rules.iter().take(MAX_GROUP).filter(|it| it.signed.is_valid(now_ms)).collect();
        for (at, one) in rules.iter().enumerate() {
            for two in rules.iter().skip(at + 1) {
                found.extend(conflict(one, two));
            }
        }
    }
    found.sort();
    found.dedup();
    found.truncate(MAX_LINTS);
    found
}

/// What a rule is about in advisories, as keys that meet where two rules are about one product.
struct AdvisorySideKeys(Vec<String>);

impl AdvisorySideKeys {
    fn of(rule: &MapRule) -> Self {
        let products = rule.advisory.products.iter().map(|it| format!("product {}", spelled(it)));
        let numbers = rule.advisory.order_numbers.iter().map(|it| format!("number {it}"));
        let mut keys: Vec<String> = products.chain(numbers).collect();
        keys.sort();
        keys.dedup();
        Self(keys)
    }
}

fn ending(id: &str, expires_ms: Option<i64>, now_ms: i64, found: &mut Vec<Lint>) {
    match expires_ms {
        Some(end) if end <= now_ms => {
            found.push(Lint::new(Severity::Error, id, "it has expired and decides nothing"));
        }
        Some(end) if end - now_ms < SOON_MS => {
            let days = (end - now_ms) / 86_400_000;
            found.push(Lint::new(Severity::Warning, id, format!("it expires in {days} days")));
        }
        Some(_) => {}
        None => found.push(Lint::new(Severity::Note, id, "it never expires")),
    }
}

fn width(rule: &MapRule, found: &mut Vec<Lint>) {
    let InstalledSide { source, publisher, name, package, file, product_code, order_number } =
        &rule.installed;
    let exact = package.is_some() || product_code.is_some() || order_number.is_some();
    let any_publisher = match publisher {
        None => true,
        Some(Publisher::Like(pattern)) => pattern.is_anything(),
        Some(Publisher::Absent) => false,
    };
    let mut warn = |text: &str| found.push(Lint::new(Severity::Warning, &rule.id, text));
    if let Some(pattern) = name.as_ref().filter(|_| !exact)
        && pattern.literal().is_none()
    {
        if pattern.first_words().len() < 2 {
            warn("the name is fixed for one word only: it may match other products");
        }
        if any_publisher {
            warn(
                "a name with `*` or `{version}` and any publisher: it may match products of other companies",
            );
        }
    }
    if file.is_some() && name.is_none() && !exact {
        warn("a file's name alone: another product may have a file of that name");
    }
    if source.is_none() && any_publisher && !exact {
        warn("neither source nor publisher is given");
    }
    if rule.decision == (Decision::Not { revision: None }) {
        found.push(Lint::new(
            Severity::Note,
            &rule.id,
            "it says `not` for every revision to come: bind it to a `document` and its `revision`",
        ));
    }
}

/// What two rules about one product have against each other.
fn conflict(one: &MapRule, two: &MapRule) -> Option<Lint> {
    if !vendors_meet(one, two) || !sides_meet(&one.installed, &two.installed) {
        return None;
    }
    let differs = match (&one.decision, &two.decision) {
        (Decision::Same, Decision::Not { .. }) | (Decision::Not { .. }, Decision::Same) => {
            let text = format!(
                "it contradicts `{}`: both speak of one installed product, which stays unknown",
                two.id
            );
            return Some(Lint::new(Severity::Error, &one.id, text));
        }
        (Decision::Not { .. }, Decision::Not { .. }) => return None,
        (Decision::Same, Decision::Same) => {
            one.reading != two.reading
                || one.version_from != two.version_from
                || one.line != two.line
                || one.choices != two.choices
        }
    };
    Some(if differs {
        let text =
            format!("it overlaps `{}` and reads the version otherwise: the worse answer counts", two.id);
        Lint::new(Severity::Warning, &one.id, text)
    } else {
        Lint::new(Severity::Note, &one.id, format!("it overlaps `{}`", two.id))
    })
}

fn vendors_meet(one: &MapRule, two: &MapRule) -> bool {
    let (one, two) = (&one.advisory.vendors, &two.advisory.vendors);
    one.is_empty()
        || two.is_empty()
        || one.iter().any(|it| two.iter().any(|other| spelled(it) == spelled(other)))
}

/// Whether two inventory sides surely match a common row: equal, or one literal inside the other's pattern.
fn sides_meet(one: &InstalledSide, two: &InstalledSide) -> bool {
    fn agree<T: PartialEq>(one: Option<&T>, two: Option<&T>) -> bool {
        one.is_none() || two.is_none() || one == two
    }
    let names = match (&one.name, &two.name) {
        (Some(a), Some(b)) => {
            a == b
                || a.literal().is_some_and(|it| b.matches(it).is_some())
                || b.literal().is_some_and(|it| a.matches(it).is_some())
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    names
        && agree(one.source.as_ref(), two.source.as_ref())
        && agree(one.publisher.as_ref(), two.publisher.as_ref())
        && one.package == two.package
        && one.file == two.file
        && one.product_code == two.product_code
        && one.order_number == two.order_number
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
