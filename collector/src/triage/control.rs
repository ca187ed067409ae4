//! A compensating control as a machine tests it: a hardening fact, an operator, a value.

use std::fmt;

use holdpoint_common::proto::store::ControlRecord;
use holdpoint_common::proto::v1::HardeningRow;
use holdpoint_common::proto::v1::hardening_row::Value;
use prost::Message;

use crate::knowledge::text::shown;

/// Operators, those of two characters first.
const OPERATORS: [&str; 5] = ["!=", ">=", "<=", "=", "~"];
/// Longest control as typed, in bytes.
const MAX_CONTROL: usize = 500;

/// What a test of a control says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tested {
    /// The fact is what it has to be.
    Holds,
    /// It is not.
    Broken(String),
    /// Nobody can tell.
    Open(String),
}

/// The text is no control.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write a control as FACT=VALUE, FACT!=VALUE, FACT>=VALUE, FACT<=VALUE or FACT~VALUE (contains); the name of a \
     fact has letters, digits, `.`, `_` and `-`"
)]
pub struct InvalidControl;

/// Reads a control as it is typed; `FACT[SUBJECT]` names one of several.
pub fn read(text: &str) -> Result<ControlRecord, InvalidControl> {
    if text.len() > MAX_CONTROL || text.chars().any(char::is_control) {
        return Err(InvalidControl);
    }
    // A subject may hold any character, so the operator is looked for behind it.
    let from = text.find(']').map_or(0, |it| it + 1);
    let found = OPERATORS.iter().filter_map(|it| Some((text.get(from..)?.find(it)? + from, *it)));
    let (at, operator) =
        found.min_by_key(|it| (it.0, std::cmp::Reverse(it.1.len()))).ok_or(InvalidControl)?;
    let (left, value) = (text[..at].trim(), text[at + operator.len()..].trim());
    let (fact, subject) = match left.strip_suffix(']').and_then(|it| it.split_once('[')) {
        Some((fact, subject)) => (fact.trim(), Some(subject.trim().to_owned())),
        None => (left, None),
    };
    // What agents call their facts. Anything else could be taken for a part of the operator when it is read again.
    let is_of_a_fact = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
    if fact.is_empty() || !fact.chars().all(is_of_a_fact) {
        return Err(InvalidControl);
    }
    let operator = if operator == "~" { "contains" } else { operator };
    Ok(ControlRecord {
        fact: fact.to_owned(),
        subject,
        operator: operator.to_owned(),
        value: value.to_owned(),
    })
}

/// The reverse of [`read`].
pub struct Typed<'a>(pub &'a ControlRecord);

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ControlRecord { fact, subject, operator, value } = self.0;
        f.write_str(fact)?;
        if let Some(subject) = subject {
            write!(f, "[{subject}]")?;
        }
        let operator = if operator == "contains" { "~" } else { operator };
        write!(f, "{operator}{value}")
    }
}

/// Tests a control against the rows of the section `hardening`; `current` when they are not outdated.
pub fn test(control: &ControlRecord, rows: Option<&[Vec<u8>]>, current: bool) -> Tested {
    let ControlRecord { fact, subject, operator, value } = control;
    let Some(rows) = rows else { return Tested::Open("the host reported no hardening facts".into()) };
    let row = rows
        .iter()
        .filter_map(|it| HardeningRow::decode(it.as_slice()).ok())
        .find(|it| it.id == *fact && (subject.is_none() || it.subject == *subject));
    let Some(row) = row else { return Tested::Open(format!("the host reported no fact `{fact}`")) };
    let said = match (row.state.as_str(), &row.value) {
        ("observed", Some(said)) => said,
        ("absent", _) if operator != "!=" => {
            return Tested::Broken(format!("`{fact}` is not there"));
        }
        (state, _) => return Tested::Open(format!("`{fact}` is {state}")),
    };
    let held = match (said, operator.as_str()) {
        (Value::Number(number), ">=") => value.parse::<i64>().ok().map(|it| *number >= it),
        (Value::Number(number), "<=") => value.parse::<i64>().ok().map(|it| *number <= it),
        (Value::List(list), "contains") => Some(list.items.iter().any(|it| it == value)),
        (Value::Text(text), "contains") => Some(text.contains(value.as_str())),
        (_, "=") => Some(text_of(said) == *value),
        (_, "!=") => Some(text_of(said) != *value),
        _ => None,
    };
    let now = shown(&text_of(said), 100);
    match held {
        None => Tested::Open(format!("`{fact}` is {now}, which `{}` cannot be asked of", Typed(control))),
        Some(false) => Tested::Broken(format!("`{fact}` is {now}")),
        Some(true) if !current => {
            Tested::Open(format!("`{fact}` was {now}, and the host is not heard any more"))
        }
        Some(true) => Tested::Holds,
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Flag(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::List(list) => list.items.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: &str, value: Option<Value>) -> Vec<Vec<u8>> {
        let row = HardeningRow {
            id: "smb.v1".into(),
            subject: Some("server".into()),
            state: state.into(),
            value,
            ..HardeningRow::default()
        };
        vec![row.encode_to_vec()]
    }

    fn tested(typed: &str, rows: &[Vec<u8>]) -> Tested {
        test(&read(typed).unwrap(), Some(rows), true)
    }

    #[test]
    fn a_control_is_read_as_typed_and_written_the_same() {
        for typed in ["smb.v1=false", "a!=b", "a.b[x = y]>=3", "a<=4", "list~10.0.0.1", "a="] {
            assert_eq!(Typed(&read(typed).unwrap()).to_string(), typed);
        }
        for bad in ["", "=x", "a", "a b=c", "[x]=y", "a!  =b", "a<>=b", "a[b]!  =c"] {
            assert_eq!(read(bad), Err(InvalidControl), "{bad}");
        }
    }

    #[test]
    fn a_control_holds_only_when_the_fact_says_so_today() {
        let off = row("observed", Some(Value::Flag(false)));
        assert_eq!(tested("smb.v1=false", &off), Tested::Holds);
        assert_eq!(tested("smb.v1[server]=false", &off), Tested::Holds);
        assert!(matches!(tested("smb.v1[client]=false", &off), Tested::Open(_)));
        assert!(matches!(tested("smb.v1=true", &off), Tested::Broken(_)));
        assert!(matches!(tested("smb.v1>=1", &off), Tested::Open(_)), "a flag has no size");
        assert!(matches!(tested("smb.v1=false", &row("absent", None)), Tested::Broken(_)));
        for state in ["denied", "error"] {
            assert!(matches!(tested("smb.v1=false", &row(state, None)), Tested::Open(_)));
        }
        assert!(matches!(tested("other=1", &off), Tested::Open(_)));
        let control = read("smb.v1=false").unwrap();
        assert!(matches!(test(&control, None, true), Tested::Open(_)));
        assert!(matches!(test(&control, Some(&off), false), Tested::Open(_)));
        let number = row("observed", Some(Value::Number(5)));
        assert_eq!(tested("smb.v1>=5", &number), Tested::Holds);
        assert!(matches!(tested("smb.v1<=4", &number), Tested::Broken(_)));
    }
}
