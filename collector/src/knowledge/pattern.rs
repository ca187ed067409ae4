//! An anchored pattern over a name: `*` stands for any run of characters, everything else for itself.
//!
//! Upper and lower case are the same. There is no other magic character.

/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 256;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// What lies between the stars, in lower case; one part means that there is no star.
    parts: Vec<String>,
}

/// The text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Nothing to look for.
    #[error("the pattern is empty")]
    Empty,
    /// Too long to be a name.
    #[error("the pattern is longer than {MAX_PATTERN} bytes")]
    TooLong,
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if text.len() > MAX_PATTERN {
            return Err(InvalidPattern::TooLong);
        }
        Ok(Self { text: text.to_owned(), parts: text.to_lowercase().split('*').map(str::to_owned).collect() })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The one name in lower case that matches; `None` when there is a star.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether it is nothing but stars.
    pub fn is_anything(&self) -> bool {
        self.parts.iter().all(String::is_empty)
    }

    /// Whether the whole name is one of these; `lower` is in lower case already.
    pub fn matches_lower(&self, lower: &str) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return false };
        let Some(mut left) = lower.strip_prefix(first.as_str()) else { return false };
        let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
        for part in middle {
            match left.find(part.as_str()) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.ends_with(last.as_str())
    }

    /// Whether the whole name is one of these.
    pub fn matches(&self, name: &str) -> bool {
        self.matches_lower(&name.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(name)
    }

    #[test]
    fn a_pattern_is_anchored_at_both_ends() {
        assert!(matches("openssl", "OpenSSL"));
        assert!(!matches("openssl", "openssl-doc"));
        assert!(!matches("ssl", "openssl"));
        assert!(matches("*ssl", "openssl"));
        assert!(matches("SIMATIC * V7*", "simatic wincc v7.5 sp2"));
        assert!(!matches("a*a", "a"), "a character is used once");
        assert!(matches("a*b*c", "a-b-b-c"));
        assert!(!matches("a.c", "abc"), "a dot is a dot");
    }

    #[test]
    fn nothing_and_everything_are_told_apart() {
        assert_eq!(Pattern::new(""), Err(InvalidPattern::Empty));
        assert!(Pattern::new("**").unwrap().is_anything());
        assert_eq!(Pattern::new("Curl").unwrap().literal(), Some("curl"));
        assert_eq!(Pattern::new(&"x".repeat(257)), Err(InvalidPattern::TooLong));
    }
}
