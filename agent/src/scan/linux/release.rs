//! `os-release`: what the distribution calls itself.
//!
//! Source of truth: `etc/os-release`, else `usr/lib/os-release` (freedesktop's os-release(5)).
//! World readable. Without either the root is no known distribution and nothing is guessed.

use crate::host::Reads;
use crate::scan::Look;

/// The fields that a row needs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) build: Option<String>,
    pub(super) variant: Option<String>,
}

/// What this source may touch.
pub(super) const READS: &[Reads] = &[Reads::content("etc/os-release"), Reads::content("usr/lib/os-release")];

const MAX_BYTES: usize = 64 * 1024;

/// Reads the release of a root; `None` when it does not say.
pub(super) fn read(look: &mut Look<'_>) -> Option<Release> {
    let text =
        look.text("etc/os-release", MAX_BYTES).or_else(|| look.text("usr/lib/os-release", MAX_BYTES))?;
    Some(parse(&text))
}

fn parse(text: &str) -> Release {
    let mut release = Release::default();
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once('=') else { continue };
        let value = unquote(value);
        let slot = match key {
            "ID" => &mut release.id,
            "NAME" => &mut release.name,
            "VERSION_ID" => &mut release.version,
            "BUILD_ID" => &mut release.build,
            "VARIANT_ID" => &mut release.variant,
            _ => continue,
        };
        if !value.is_empty() {
            *slot = Some(value);
        }
    }
    release
}

/// Undoes the shell quoting that os-release(5) allows: quotes and backslashes, no expansion.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_are_undone() {
        let text = "NAME=\"Debian GNU/Linux\"\nID=debian\n# x\nVERSION_ID='12'\nBUILD_ID=\nVARIANT_ID=\"a\\\"b\"\nbroken";
        assert_eq!(
            parse(text),
            Release {
                id: Some("debian".into()),
                name: Some("Debian GNU/Linux".into()),
                version: Some("12".into()),
                build: None,
                variant: Some("a\"b".into()),
            }
        );
    }

    #[test]
    fn a_lone_quote_is_text() {
        assert_eq!(unquote("\""), "\"");
        assert_eq!(unquote("a\\"), "a");
    }
}
