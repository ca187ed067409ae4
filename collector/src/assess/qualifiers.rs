//! Facts of an asset that a rule of the product map asks for: observed by its agent, or declared by a person.
//!
//! Only what is known for sure has a value. Two sources that differ make no value, and a section that was not read
//! completely says nothing here: a fact may choose an entry that lets somebody stop worrying.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1::HardeningRow;
use holdpoint_common::proto::v1::hardening_row::Value;
use prost::Message;

use crate::knowledge::map_file::FactName;

/// The facts of one asset that rules ask for; most assets have none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Qualifiers(BTreeMap<FactName, Option<String>>);

/// What is known of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known<'a> {
    /// Nobody says anything.
    Nothing,
    /// Two say different things.
    Contradiction,
    /// This.
    Value(&'a str),
}

impl Qualifiers {
    /// Adds what somebody says.
    pub(super) fn add(&mut self, name: &FactName, value: &str) {
        self.0
            .entry(name.clone())
            .and_modify(|known| {
                if known.as_deref() != Some(value) {
                    *known = None;
                }
            })
            .or_insert_with(|| Some(value.to_owned()));
    }

    /// Adds what rows of a complete `hardening` section observed, as far as `wanted`.
    pub(super) fn observe(&mut self, rows: &[Vec<u8>], wanted: &dyn Fn(&FactName) -> bool) {
        for row in rows.iter().filter_map(|it| HardeningRow::decode(it.as_slice()).ok()) {
            let HardeningRow { id, subject, state, value, .. } = row;
            let name = FactName { id, subject };
            if state != "observed" || !wanted(&name) {
                continue;
            }
            let text = match value {
                Some(Value::Flag(flag)) => flag.to_string(),
                Some(Value::Number(number)) => number.to_string(),
                Some(Value::Text(text)) => text,
                // A list is no value to choose by.
                Some(Value::List(_)) | None => continue,
            };
            self.add(&name, text.trim());
        }
    }

    /// What is known.
    pub(super) fn value(&self, name: &FactName) -> Known<'_> {
        match self.0.get(name) {
            None => Known::Nothing,
            Some(None) => Known::Contradiction,
            Some(Some(value)) => Known::Value(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(id: &str) -> FactName {
        FactName { id: id.into(), subject: None }
    }

    #[test]
    fn two_that_differ_make_no_value() {
        let mut facts = Qualifiers::default();
        assert_eq!(facts.value(&name("a")), Known::Nothing);
        facts.add(&name("a"), "1");
        facts.add(&name("a"), "1");
        assert_eq!(facts.value(&name("a")), Known::Value("1"));
        facts.add(&name("a"), "2");
        facts.add(&name("a"), "1");
        assert_eq!(facts.value(&name("a")), Known::Contradiction);
    }

    #[test]
    fn only_what_was_observed_counts() {
        let row = |state: &str, value| {
            let row = HardeningRow { id: "a".into(), state: state.into(), value, ..HardeningRow::default() };
            row.encode_to_vec()
        };
        let mut facts = Qualifiers::default();
        facts.observe(&[row("error", Some(Value::Flag(true))), row("observed", None)], &|_| true);
        facts.observe(&[row("observed", Some(Value::Flag(true)))], &|_| false);
        assert_eq!(facts, Qualifiers::default());
        facts.observe(&[row("observed", Some(Value::Flag(true)))], &|it| it.id == "a");
        assert_eq!(facts.value(&name("a")), Known::Value("true"));
    }
}
