//! How a fact is said: one row with its dotted name, its state, and the value when there is one.

use holdpoint_common::row::{HardeningRow, TextList, hardening_row::Value};

use super::Outcome;

/// Longest text of a value, in characters; the rest is cut and the row says so.
const MAX_TEXT: usize = 2_048;
/// Most items of a list; the rest is counted in the row's reason.
pub(in crate::scan) const MAX_ITEMS: usize = 128;
/// Most bytes of a list's items together, so that its row stays below what a row may have.
const MAX_LIST: usize = 12 * 1024;

/// A fact before its outcome is known: its name, the checks that use it, and where it comes from.
#[derive(Debug, Clone)]
pub(in crate::scan) struct Fact {
    row: HardeningRow,
}

impl Fact {
    /// A fact by its dotted name, for checks ("L05"), from a file or an interface.
    pub(in crate::scan) fn new(id: &str, checks: &[&str], source: &str) -> Self {
        let checks = checks.iter().map(|it| (*it).to_owned()).collect();
        Self {
            row: HardeningRow {
                id: id.to_owned(),
                checks,
                source: source.to_owned(),
                ..HardeningRow::default()
            },
        }
    }

    /// Says what the fact is about where there are several: a mount point, a user.
    pub(in crate::scan) fn about(mut self, subject: &str) -> Self {
        self.row.subject = Some(cut(subject));
        self
    }

    /// Adds what to know about the value.
    pub(in crate::scan) fn because(mut self, reason: impl Into<String>) -> Self {
        self.row.reason = Some(reason.into());
        self
    }

    /// It is on or off.
    pub(in crate::scan) fn flag(self, value: bool) -> HardeningRow {
        self.observed(Value::Flag(value))
    }

    /// It is a number.
    pub(in crate::scan) fn number(self, value: i64) -> HardeningRow {
        self.observed(Value::Number(value))
    }

    /// It is a text.
    pub(in crate::scan) fn text(self, value: &str) -> HardeningRow {
        let is_cut = value.chars().nth(MAX_TEXT).is_some();
        let row = self.observed(Value::Text(cut(value)));
        if is_cut { noted(row, format!("cut after {MAX_TEXT} characters")) } else { row }
    }

    /// It is a list; order is kept, because for some facts it counts.
    pub(in crate::scan) fn list(self, items: impl IntoIterator<Item = String>) -> HardeningRow {
        self.list_and_more(items, 0)
    }

    /// It is a list of which some items are only counted.
    pub(in crate::scan) fn list_and_more(
        self,
        items: impl IntoIterator<Item = String>,
        more: usize,
    ) -> HardeningRow {
        let mut items: Vec<String> = items.into_iter().map(|it| cut(&it)).collect();
        let mut bytes = 0;
        let fits = |it: &&String| {
            // Each has its length in front.
            bytes += it.len() + 3;
            bytes <= MAX_LIST
        };
        let kept = items.iter().take(MAX_ITEMS).take_while(fits).count();
        let more = more + items.len() - kept;
        items.truncate(kept);
        let row = self.observed(Value::List(TextList { items }));
        if more > 0 { noted(row, format!("and {more} more")) } else { row }
    }

    /// The host has no such thing or setting.
    pub(in crate::scan) fn absent(self) -> HardeningRow {
        self.without("absent")
    }

    /// Reading it needs more rights; the reason says which.
    pub(in crate::scan) fn denied(self) -> HardeningRow {
        self.without("denied")
    }

    /// It is there and cannot be read; the reason says why.
    pub(in crate::scan) fn error(self) -> HardeningRow {
        self.without("error")
    }

    fn observed(mut self, value: Value) -> HardeningRow {
        self.row.value = Some(value);
        self.without("observed")
    }

    fn without(mut self, state: &str) -> HardeningRow {
        state.clone_into(&mut self.row.state);
        self.row
    }
}

/// A fact by what became of its source; `rights` says what reading it needs.
pub(in crate::scan) fn tell<T>(
    fact: Fact,
    outcome: Outcome<T>,
    rights: &str,
    observed: impl FnOnce(Fact, T) -> HardeningRow,
) -> HardeningRow {
    match outcome {
        Outcome::Seen(value) => observed(fact, value),
        Outcome::Absent => fact.absent(),
        Outcome::Denied => fact.because(rights).denied(),
        Outcome::Failed(why) => fact.because(why).error(),
    }
}

/// A number where the text is one, else the text.
pub(in crate::scan) fn number_or_text(fact: Fact, value: &str) -> HardeningRow {
    match value.parse::<i64>() {
        Ok(number) => fact.number(number),
        Err(_) => fact.text(value),
    }
}

fn noted(mut row: HardeningRow, note: String) -> HardeningRow {
    row.reason = Some(match row.reason {
        Some(reason) => format!("{reason}; {note}"),
        None => note,
    });
    row
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn a_fact_without_a_value_has_a_state_and_no_value() {
        let row = Fact::new("sshd.port", &["L05"], "etc/ssh/sshd_config").absent();
        assert_eq!((row.state.as_str(), row.value), ("absent", None));
        let row = Fact::new("sshd.port", &["L05"], "etc/ssh/sshd_config").number(22);
        assert_eq!((row.state.as_str(), row.value), ("observed", Some(Value::Number(22))));
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let row = Fact::new("a.b", &[], "x").list((0..200).map(|it| it.to_string()));
        assert_eq!(row.reason.as_deref(), Some("and 72 more"));
    }

    #[test]
    fn a_list_of_long_texts_still_fits_into_a_row() {
        let row = Fact::new("a.b", &[], "x").list((0..100).map(|_| "ü".repeat(400)));
        assert!(row.encoded_len() < holdpoint_common::row::MAX_ROW, "{}", row.encoded_len());
        assert_eq!(row.reason.as_deref(), Some("and 85 more"));
    }
}
