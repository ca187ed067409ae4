//! Values of facts, as rules write them and as agents say them.

use std::fmt;

use holdpoint_common::row::hardening_row;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// It is on or off.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A text; upper and lower case are the same.
    Text(String),
    /// A list; its order counts only where the whole list is compared.
    List(Vec<String>),
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// On or off.
    Flag,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A list of texts.
    List,
}

impl Type {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Number => "number",
            Self::Text => "text",
            Self::List => "list",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Value {
    /// Its type.
    pub fn kind(&self) -> Type {
        match self {
            Self::Flag(_) => Type::Flag,
            Self::Number(_) => Type::Number,
            Self::Text(_) => Type::Text,
            Self::List(_) => Type::List,
        }
    }

    /// What a row holds.
    pub fn of_row(value: &hardening_row::Value) -> Self {
        match value {
            hardening_row::Value::Flag(it) => Self::Flag(*it),
            hardening_row::Value::Number(it) => Self::Number(*it),
            hardening_row::Value::Text(it) => Self::Text(it.clone()),
            hardening_row::Value::List(it) => Self::List(it.items.clone()),
        }
    }

    /// Whether both say the same; `None` when they are of different types.
    pub fn is_same(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Flag(a), Self::Flag(b)) => Some(a == b),
            (Self::Number(a), Self::Number(b)) => Some(a == b),
            (Self::Text(a), Self::Text(b)) => Some(same_text(a, b)),
            (Self::List(a), Self::List(b)) => {
                Some(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_text(a, b)))
            }
            (Self::Flag(_) | Self::Number(_) | Self::Text(_) | Self::List(_), _) => None,
        }
    }
}

/// Windows and most daemons read words so.
fn same_text(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(it) => write!(f, "{it}"),
            Self::Number(it) => write!(f, "{it}"),
            Self::Text(it) => f.write_str(it),
            Self::List(it) => write!(f, "[{}]", it.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_different_types_are_neither_the_same_nor_different() {
        let (number, text) = (Value::Number(1), Value::Text("1".into()));
        assert_eq!(number.is_same(&text), None);
        assert_eq!(Value::Flag(true).is_same(&number), None);
        assert_eq!(Value::Text("Enforcing".into()).is_same(&Value::Text("enforcing".into())), Some(true));
        let list = |items: &[&str]| Value::List(items.iter().map(|it| (*it).to_owned()).collect());
        assert_eq!(
            list(&["a", "b"]).is_same(&list(&["b", "a"])),
            Some(false),
            "an order that is said counts"
        );
    }
}
