//! What a reader leaves out, as bounded lines for people.

/// Most lines about one file.
const MAX_SKIPPED: usize = 100;

/// Collects the lines; beyond the limit they are only counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Skipped {
    lines: Vec<String>,
    more: usize,
}

impl Skipped {
    /// Adds a line; the text is only made when it is kept.
    pub(super) fn add(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < MAX_SKIPPED {
            self.lines.push(line());
        } else {
            self.more += 1;
        }
    }

    /// Adds a line about a place of the file.
    pub(super) fn at(&mut self, place: &str, why: &str) {
        self.add(|| format!("{place}: {why}"));
    }

    /// The first line.
    pub(super) fn first(&self) -> Option<&str> {
        self.lines.first().map(String::as_str)
    }

    /// The lines, with the number of those that are not shown.
    pub(super) fn into_lines(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("{} more", self.more));
        }
        self.lines
    }
}
