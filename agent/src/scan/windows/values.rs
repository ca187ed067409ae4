//! Keys of which there are many: each is read once, and is no source of its own.
//!
//! Coverage counts sources by name; were every product or package one, it would move with their number.

use std::io;

use crate::host::is_absent;
use crate::host::registry::{Data, Value};
use crate::scan::Look;
use crate::scan::look::said;

/// Longest text of a value that is kept, in characters; what is longer is no name of anything.
const MAX_TEXT: usize = 1_024;

/// The values of a key, by name.
#[derive(Debug, Clone, Default)]
pub(in crate::scan) struct Values(Vec<Value>);

impl Values {
    /// The values that were read.
    pub(in crate::scan) fn new(values: Vec<Value>) -> Self {
        Self(values)
    }

    /// A value by its name, which is compared without regard to case.
    pub(in crate::scan) fn data(&self, name: &str) -> Option<&Data> {
        self.0.iter().find(|it| it.name.eq_ignore_ascii_case(name)).map(|it| &it.data)
    }

    /// A text that says something, in one line.
    pub(in crate::scan) fn text(&self, name: &str) -> Option<String> {
        text(self.data(name)?)
    }

    /// A number.
    pub(in crate::scan) fn number(&self, name: &str) -> Option<u64> {
        self.data(name)?.number()
    }

    /// Whether a number is there and is not zero.
    pub(in crate::scan) fn is_set(&self, name: &str) -> bool {
        self.number(name).is_some_and(|it| it != 0)
    }

    /// The names of its values, without that of the key's own value.
    pub(in crate::scan) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|it| it.name.as_str()).filter(|it| !it.is_empty())
    }
}

/// A text that says something, in one line; `None` for every other type of data.
pub(in crate::scan) fn text(data: &Data) -> Option<String> {
    let text = data.text_as_shown()?;
    let line: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(MAX_TEXT).collect();
    said(&line)
}

/// The values of one of many keys; `None` when it is gone or cannot be read, of which the latter is a gap.
pub(in crate::scan) fn values(look: &mut Look<'_>, key: &str) -> Option<Values> {
    let registry = look.host.registry.as_ref()?;
    let found = look.in_time().and_then(|()| registry.values(key));
    gap(look, key, found).map(Values)
}

/// One value of one of many keys; `None` as for [`values`].
pub(in crate::scan) fn value(look: &mut Look<'_>, key: &str, name: &str) -> Option<Data> {
    let registry = look.host.registry.as_ref()?;
    let found = look.in_time().and_then(|()| registry.value(key, name));
    gap(look, key, found)
}

/// The names below one of many keys; `None` as for [`values`].
pub(in crate::scan) fn keys(look: &mut Look<'_>, key: &str) -> Option<Vec<String>> {
    let registry = look.host.registry.as_ref()?;
    let found = look.in_time().and_then(|()| registry.keys(key));
    gap(look, key, found)
}

fn gap<T>(look: &mut Look<'_>, key: &str, found: io::Result<T>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(cause) if is_absent(&cause) => None,
        Err(cause) => {
            look.fault(format!("{key}: {cause}"));
            None
        }
    }
}
