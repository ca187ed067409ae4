//! Making text from hosts harmless before a person sees it.
//!
//! A package name, a service's description and an advisory's text were written by somebody
//! else. Control characters could move the cursor, hide lines or type commands; direction
//! marks could reorder what is read. Both are shown as escapes instead.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with every character that acts on a terminal replaced by its escape.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// JSON text with the characters escaped that JSON allows inside strings and a terminal obeys.
///
/// They cannot occur outside strings, so the document stays the same document.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let acts_in_json = |c: char| c != '\n' && acts(c);
    if !json.chars().any(acts_in_json) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if acts_in_json(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // A string takes whatever is written to it.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A value that no spreadsheet takes for a formula, and no terminal for a command.
pub fn inert(value: &str) -> Cow<'_, str> {
    if value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        return Cow::Owned(format!("'{}", visible(value)));
    }
    visible(value)
}

/// Control characters, line separators, direction marks, invisible characters and tags.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_sees_no_command() {
        assert_eq!(visible("a\u{1b}[31mb\r\n\tc\u{9b}2J"), "a\\u{1b}[31mb\\r\\n\\tc\\u{9b}2J");
        assert_eq!(visible("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
        assert_eq!(visible(r"C:\Program Files\Übung"), r"C:\Program Files\Übung");
    }

    #[test]
    fn json_keeps_its_value_while_the_terminal_is_safe() {
        let value = serde_json::json!({"name": "a\u{9b}2J\u{202e}\u{e0041}\u{1b}"});
        let plain = serde_json::to_string_pretty(&value).unwrap();
        let shown = visible_json(&plain);
        assert!(!shown.chars().any(|c| c != '\n' && acts(c)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn a_spreadsheet_sees_no_formula() {
        for value in ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"] {
            assert!(inert(value).starts_with('\''), "{value:?}");
        }
        assert_eq!(inert("1.2-3"), "1.2-3");
    }
}
