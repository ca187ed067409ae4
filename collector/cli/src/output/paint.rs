//! Colour, which never carries a meaning of its own.

use std::ffi::OsString;

/// The words of a verdict or a freshness, and how they look.
const WORDS: [(&str, &str); 8] = [
    ("AFFECTED", RED),
    ("INSTALLED_NOT_LIVE", YELLOW),
    ("UNKNOWN", YELLOW),
    ("FIXED", GREEN),
    ("NOT_AFFECTED", GREEN),
    ("NO_PRODUCT", BOLD),
    ("stale", YELLOW),
    ("silent", RED),
];

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const CYAN: &str = "\u{1b}[36m";
const BOLD: &str = "\u{1b}[1m";
const RESET: &str = "\u{1b}[0m";

/// Whether the environment lets a terminal be coloured.
pub(super) fn environment_wants_colour(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name| variable(name).is_some_and(|it| !it.is_empty());
    if set("NO_COLOR") || variable("TERM").is_some_and(|it| it == "dumb") {
        return false;
    }
    // The console of old Windows prints escape sequences instead of obeying them.
    !cfg!(windows) || set("WT_SESSION") || set("ANSICON") || set("TERM")
}

/// Colours of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Palette {
    on: bool,
}

impl Palette {
    pub(super) fn new(on: bool) -> Self {
        Self { on }
    }

    pub(super) fn error(self, text: &str) -> String {
        self.paint(RED, text)
    }

    pub(super) fn warning(self, text: &str) -> String {
        self.paint(YELLOW, text)
    }

    pub(super) fn hint(self, text: &str) -> String {
        self.paint(CYAN, text)
    }

    pub(super) fn heading(self, text: &str) -> String {
        self.paint(BOLD, text)
    }

    /// Paints the known words of a finished line, so that colour cannot disturb the layout.
    pub(super) fn words(self, line: &str) -> String {
        if !self.on {
            return line.to_owned();
        }
        line.split_inclusive(' ')
            .map(|piece| {
                let word = piece.trim_end();
                WORDS.iter().find(|(it, _)| *it == word).map_or_else(
                    || piece.to_owned(),
                    |(_, style)| format!("{}{}", self.paint(style, word), &piece[word.len()..]),
                )
            })
            .collect()
    }

    fn paint(self, style: &str, text: &str) -> String {
        if self.on { format!("{style}{text}{RESET}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_painted_and_the_text_stays() {
        let line = "hmi-01  AFFECTED  NOT_AFFECTEDX";
        assert_eq!(Palette::new(true).words(line), "hmi-01  \u{1b}[31mAFFECTED\u{1b}[0m  NOT_AFFECTEDX");
        assert_eq!(Palette::new(false).words(line), line);
    }

    #[test]
    fn no_color_is_obeyed() {
        let with = |name: &'static str, value: &'static str| {
            environment_wants_colour(move |it| (it == name).then(|| value.into()))
        };
        assert!(!with("NO_COLOR", "1"));
        assert!(!with("TERM", "dumb"));
        assert!(with("TERM", "xterm"));
    }
}
