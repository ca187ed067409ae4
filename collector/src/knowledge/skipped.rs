//! What a reader leaves out, as bounded lines for people.

/// Most lines about one file.
const MAX_SKIPPED: usize = 100;

/// Collects the lines; beyond the limit they are only counted.
#[derive(Debug, Default)]
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

    /// The lines, with the number of those that are not shown.
    pub(super) fn into_lines(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("{} more", self.more));
        }
        self.lines
    }
}
