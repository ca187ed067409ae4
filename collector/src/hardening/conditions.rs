//! From what is written about facts to what is expected of them, with every mismatch of types refused.

use toml::Value as Toml;

use super::condition::{Absent, Condition, Each, Expect, Leaf, Meaning, Unsaid};
use super::facts::Catalog;
use super::read::{MAX_LIST, MAX_TEXT};
use super::value::{Type, Value};
use super::wire;
use crate::knowledge::Pattern;
use crate::knowledge::text::shown;

/// How deep conditions may stand in each other.
const MAX_DEPTH: usize = 8;
/// Most expectations of one rule.
const MAX_LEAVES: usize = 100;
/// Longest name of a fact, in bytes.
const MAX_FACT: usize = 100;

/// Checks one condition with all its parts.
pub(super) fn condition(it: wire::Condition, catalog: &Catalog) -> Result<Condition, Vec<String>> {
    let mut checker = Checker { catalog, faults: Vec::new(), leaves: 0 };
    match checker.condition(it, 0) {
        Some(condition) if checker.faults.is_empty() => Ok(condition),
        Some(_) | None => Err(checker.faults),
    }
}

struct Checker<'a> {
    catalog: &'a Catalog,
    faults: Vec<String>,
    leaves: usize,
}

impl Checker<'_> {
    fn fault(&mut self, what: impl Into<String>) -> Option<Condition> {
        self.faults.push(what.into());
        None
    }

    fn condition(&mut self, it: wire::Condition, depth: usize) -> Option<Condition> {
        if depth == MAX_DEPTH {
            return self.fault(format!("conditions stand more than {MAX_DEPTH} deep in each other"));
        }
        let (all, any) = (it.all.is_some(), it.any.is_some());
        if !all && !any {
            return self.leaf(it);
        }
        let wire::Condition { all: all_parts, any: any_parts, fact, .. } = it;
        if (all && any) || fact.is_some() {
            return self.fault("a condition has one of `all`, `any` and `fact`");
        }
        let parts: Vec<wire::Condition> = all_parts.or(any_parts).unwrap_or_default();
        if parts.is_empty() {
            return self.fault("`all` or `any` has no parts");
        }
        let parts: Vec<Option<Condition>> =
            parts.into_iter().map(|part| self.condition(part, depth + 1)).collect();
        let parts: Option<Vec<Condition>> = parts.into_iter().collect();
        parts.map(|it| if all { Condition::All(it) } else { Condition::Any(it) })
    }

    fn leaf(&mut self, it: wire::Condition) -> Option<Condition> {
        self.leaves += 1;
        if self.leaves > MAX_LEAVES {
            return self.fault(format!("there are more than {MAX_LEAVES} expectations"));
        }
        let Some(fact) = it.fact.clone() else {
            return self.fault("a condition has one of `all`, `any` and `fact`");
        };
        if !is_fact(&fact) {
            return self.fault(format!(
                "`{}` is no name of a fact: two or more parts of lower-case letters, digits and underscores, \
                 with dots between them",
                shown(&fact, 60)
            ));
        }
        let known = self.catalog.types(&fact);
        let before = self.faults.len();
        let expect = self.expectations(&it);
        if expect.is_empty() && self.faults.len() == before {
            return self.fault(format!("nothing is expected of `{fact}`"));
        }
        for expectation in &expect {
            self.fits(&fact, expectation, known.as_deref());
        }
        let subject = match it.subject.as_deref().map(Pattern::new) {
            None => None,
            Some(Ok(subject)) => Some(subject),
            Some(Err(why)) => return self.fault(format!("`subject`: {why}")),
        };
        let each = match it.each.as_deref() {
            None | Some("every") => Each::Every,
            Some("some") => Each::Some,
            Some(other) => {
                return self.fault(format!("`each` is `{}`, neither every nor some", shown(other, 40)));
            }
        };
        let missing = match it.missing.as_deref() {
            None | Some("not_checked") => Unsaid::NotChecked,
            Some("not_applicable") => Unsaid::NotApplicable,
            Some("fail") => Unsaid::Fail,
            Some(other) => {
                return self.fault(format!(
                    "`missing` is `{}`, not one of not_checked, not_applicable and fail",
                    shown(other, 40)
                ));
            }
        };
        let absent = it.absent.map(wire::OneOrMore::into_vec).unwrap_or_default();
        let absent: Vec<Absent> =
            absent.into_iter().filter_map(|it| self.absent(&fact, it, &expect, known.as_deref())).collect();
        let last = absent.len().saturating_sub(1);
        if absent.iter().enumerate().any(|(at, it)| (it.before.is_none()) != (at == last)) {
            return self.fault("of `absent` the last one alone has no `before`");
        }
        (self.faults.len() == before)
            .then(|| Condition::Fact(Box::new(Leaf { fact, subject, each, expect, absent, missing })))
    }

    fn expectations(&mut self, it: &wire::Condition) -> Vec<Expect> {
        let mut expect = Vec::new();
        if let Some(value) = &it.equals {
            expect.extend(self.value("equals", value).map(Expect::Equals));
        }
        for (key, values, make) in [
            ("one_of", &it.one_of, Expect::OneOf as fn(Vec<Value>) -> Expect),
            ("none_of", &it.none_of, Expect::NoneOf),
        ] {
            let Some(values) = values else { continue };
            if values.is_empty() || values.len() > MAX_LIST {
                self.fault(format!("`{key}` has none or more than {MAX_LIST} values"));
            }
            let values: Vec<Value> = values.iter().filter_map(|it| self.value(key, it)).collect();
            if values.iter().any(|it| it.kind() != values[0].kind()) {
                self.fault(format!("the values of `{key}` are of different types"));
            }
            expect.push(make(values));
        }
        expect.extend(it.at_least.map(Expect::AtLeast));
        expect.extend(it.at_most.map(Expect::AtMost));
        if let (Some(least), Some(most)) = (it.at_least, it.at_most)
            && least > most
        {
            self.fault("`at_least` is above `at_most`");
        }
        expect.extend(it.present.map(|it| if it { Expect::Present } else { Expect::Absent }));
        expect.extend(it.empty.map(|it| if it { Expect::Empty } else { Expect::NotEmpty }));
        for (key, patterns, make) in [
            ("matches", &it.matches, Expect::Matches as fn(Vec<Pattern>) -> Expect),
            ("contains", &it.contains, Expect::Contains),
            ("contains_none", &it.contains_none, Expect::ContainsNone),
        ] {
            let Some(patterns) = patterns else { continue };
            expect.push(make(self.patterns(key, patterns)));
        }
        match it.equals_baseline {
            None => {}
            Some(true) => expect.push(Expect::Baseline),
            Some(false) => {
                self.fault("`equals_baseline` can only be true");
            }
        }
        expect
    }

    fn patterns(&mut self, key: &str, it: &wire::OneOrMore<String>) -> Vec<Pattern> {
        let texts: Vec<&str> = match it {
            wire::OneOrMore::One(text) => vec![text],
            wire::OneOrMore::More(texts) => texts.iter().map(String::as_str).collect(),
        };
        if texts.is_empty() || texts.len() > MAX_LIST {
            self.fault(format!("`{key}` has none or more than {MAX_LIST} patterns"));
        }
        let mut patterns = Vec::new();
        for text in texts {
            match Pattern::new(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(why) => {
                    self.fault(format!("`{key}`: {why}"));
                }
            }
        }
        patterns
    }

    fn value(&mut self, key: &str, value: &Toml) -> Option<Value> {
        let fits = |it: &str| it.len() <= MAX_TEXT;
        match value {
            Toml::Boolean(it) => Some(Value::Flag(*it)),
            Toml::Integer(it) => Some(Value::Number(*it)),
            Toml::String(it) if fits(it) => Some(Value::Text(it.clone())),
            Toml::Array(items) if items.len() <= MAX_LIST => {
                let texts: Option<Vec<String>> =
                    items.iter().map(|it| it.as_str().filter(|it| fits(it)).map(str::to_owned)).collect();
                if texts.is_none() {
                    self.fault(format!("a list in `{key}` has something else than text"));
                }
                texts.map(Value::List)
            }
            Toml::Float(_) | Toml::Datetime(_) | Toml::Table(_) | Toml::String(_) | Toml::Array(_) => {
                let kind = value.type_str();
                self.fault(format!(
                    "`{key}` is a {kind} that no fact has: a flag, a whole number, a text or a list of texts"
                ));
                None
            }
        }
    }

    fn absent(
        &mut self,
        fact: &str,
        it: wire::Absent,
        expect: &[Expect],
        known: Option<&[Type]>,
    ) -> Option<Absent> {
        let word = |word: &str| match word {
            "pass" => Some(Meaning::Pass),
            "fail" => Some(Meaning::Fail),
            "not_applicable" => Some(Meaning::NotApplicable),
            "not_checked" => Some(Meaning::NotChecked),
            _ => None,
        };
        let (before, means) = match it {
            wire::Absent::Word(text) => (None, word(&text)),
            wire::Absent::By(wire::AbsentBy { before, value: Some(value), result: None }) => {
                let value = self.value("absent.value", &value)?;
                for expectation in expect {
                    self.fits(fact, &Expect::Equals(value.clone()), known);
                    if needs(expectation).is_some_and(|it| !it.contains(&value.kind())) {
                        self.fault(format!(
                            "`{fact}`: its default is a {}, of which `{expectation}` says nothing",
                            value.kind()
                        ));
                    }
                }
                (before, Some(Meaning::Value(value)))
            }
            wire::Absent::By(wire::AbsentBy { before, value: None, result: Some(text) }) => {
                (before, word(&text))
            }
            wire::Absent::By(_) => (None, None),
        };
        match means {
            Some(means) => Some(Absent { before, means }),
            None => {
                self.fault(
                    "`absent` is pass, fail, not_applicable or not_checked, or a table with `value` or \
                     `result`, and `before` for a build",
                );
                None
            }
        }
    }

    /// A fact whose type is known can only be compared with what is of that type.
    fn fits(&mut self, fact: &str, expect: &Expect, known: Option<&[Type]>) {
        let (Some(known), Some(needed)) = (known, needs(expect)) else { return };
        if !known.iter().any(|it| needed.contains(it)) {
            let known: Vec<&str> = known.iter().map(|it| it.as_str()).collect();
            self.fault(format!("`{fact}` is a {}, of which `{expect}` can never hold", known.join(" or ")));
        }
    }
}

/// The types of which an expectation says anything; `None` for all.
pub(super) fn needs(expect: &Expect) -> Option<Vec<Type>> {
    match expect {
        Expect::Equals(value) => Some(vec![value.kind()]),
        Expect::OneOf(values) | Expect::NoneOf(values) => values.first().map(|it| vec![it.kind()]),
        Expect::AtLeast(_) | Expect::AtMost(_) => Some(vec![Type::Number]),
        Expect::Matches(_) | Expect::ContainsNone(_) => Some(vec![Type::Text, Type::List]),
        Expect::Contains(_) | Expect::Empty | Expect::NotEmpty => Some(vec![Type::List]),
        Expect::Present | Expect::Absent | Expect::Baseline => None,
    }
}

/// Whether a text can be the name of a fact.
pub(super) fn is_fact(name: &str) -> bool {
    let is_fine = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    name.len() <= MAX_FACT
        && name.contains('.')
        && name.split('.').all(|part| !part.is_empty() && part.chars().all(is_fine))
}
