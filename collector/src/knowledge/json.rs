//! What is checked about a JSON file before anything of it is believed: that it is JSON, whole, and not too deep.
//!
//! Depth and number of values are counted over the bytes, without recursion, before a parser sees them: what a
//! parser builds of two bytes takes a hundred.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::text::shown;

/// Deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 64;

/// Most objects of a document. An entry of an advisory has three or four.
pub const MAX_OBJECTS: usize = 300_000;
/// Most values of a document.
pub const MAX_VALUES: usize = 2_000_000;

/// Why bytes are no document of the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    /// Not JSON at all.
    #[error("it is not JSON: {why}")]
    NotJson {
        /// The parser's words, with line and column.
        why: String,
    },
    /// JSON that ends early.
    #[error("it is cut off: the JSON ends in the middle, at line {line} column {column}")]
    Truncated {
        /// Where it ends.
        line: usize,
        /// Where it ends.
        column: usize,
    },
    /// Too deep to be an honest document.
    #[error("it is nested more than {MAX_DEPTH} levels")]
    TooDeep,
    /// Too many values to be an honest document.
    #[error("it has more than {MAX_OBJECTS} objects or {MAX_VALUES} values")]
    TooMany,
    /// JSON of another form.
    #[error("it is JSON and not what was expected: {why}")]
    OtherForm {
        /// The parser's words, with line and column.
        why: String,
    },
}

/// Reads a document.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidJson> {
    bounded(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| {
        let why = shown(&error.to_string(), 200);
        match error.classify() {
            Category::Eof => InvalidJson::Truncated { line: error.line(), column: error.column() },
            Category::Syntax | Category::Io => InvalidJson::NotJson { why },
            Category::Data => InvalidJson::OtherForm { why },
        }
    })
}

/// Refuses what nests deeper than [`MAX_DEPTH`] or holds too much; what stands inside strings does not count.
fn bounded(bytes: &[u8]) -> Result<(), InvalidJson> {
    let (mut depth, mut objects, mut values) = (0_usize, 0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                values += 1;
                objects += usize::from(byte == b'{');
                if depth > MAX_DEPTH {
                    return Err(InvalidJson::TooDeep);
                }
                if objects > MAX_OBJECTS || values > MAX_VALUES {
                    return Err(InvalidJson::TooMany);
                }
            }
            (false, b',') => {
                values += 1;
                if values > MAX_VALUES {
                    return Err(InvalidJson::TooMany);
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (true | false, _) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn nested(levels: usize) -> Vec<u8> {
        [vec![b'['; levels], vec![b']'; levels]].concat()
    }

    #[test]
    fn the_limit_of_depth_is_exact() {
        assert!(read::<Value>(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(read::<Value>(&nested(MAX_DEPTH + 1)), Err(InvalidJson::TooDeep));
        assert_eq!(read::<Value>(&vec![b'['; 10_000_000]), Err(InvalidJson::TooDeep));
    }

    #[test]
    fn the_number_of_values_is_bounded_before_any_is_built() {
        let objects = |count: usize| [b"[".as_slice(), &b"{},".repeat(count), b"1]"].concat();
        assert!(read::<Value>(&objects(MAX_OBJECTS)).is_ok());
        assert_eq!(read::<Value>(&objects(MAX_OBJECTS + 1)), Err(InvalidJson::TooMany));
        let numbers = [b"[".as_slice(), &b"1,".repeat(MAX_VALUES), b"1]"].concat();
        assert_eq!(read::<Value>(&numbers), Err(InvalidJson::TooMany));
    }

    #[test]
    fn brackets_inside_strings_do_not_count() {
        let text = format!("[\"{}\\\"{}\"]", "[".repeat(100), "{".repeat(100));
        assert!(read::<Value>(text.as_bytes()).is_ok());
    }

    #[test]
    fn each_fault_has_its_own_sentence() {
        assert!(matches!(read::<Value>(b"<html>"), Err(InvalidJson::NotJson { .. })));
        assert!(matches!(read::<Value>(b"{\"a\": [1, 2"), Err(InvalidJson::Truncated { .. })));
        assert!(matches!(read::<Vec<u8>>(b"{}"), Err(InvalidJson::OtherForm { .. })));
    }
}
