//! Printing an error with every cause behind it, once.

use std::error::Error;
use std::fmt;
use std::iter;

/// Prints an error and its causes: `cannot read agent.toml: permission denied`.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        for cause in iter::successors(self.0.source(), |&it| it.source()) {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read agent.toml")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn every_cause_is_printed_once() {
        let error = Outer(std::io::Error::other("permission denied"));
        assert_eq!(Chain(&error).to_string(), "cannot read agent.toml: permission denied");
    }
}
