//! Tables for people.
//!
//! On a terminal a table takes the terminal's width and wraps inside its cells; in a pipe it is
//! as wide as it needs to be, one row a line. Every cell is escaped here and nowhere else.

use comfy_table::ContentArrangement;
use comfy_table::presets::NOTHING;

use crate::output::escape::visible;
use crate::output::paint::Palette;

/// Longest cell that a terminal shows, in characters; JSON and CSV show all of it.
const MAX_SHOWN: usize = 400;

/// Columns between two columns.
const GAP: u16 = 2;

/// Rows under a header; an absent value is `None`, never empty text.
#[must_use]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// A table without rows. The names are those of the JSON fields.
    pub fn new<N: Into<String>>(header: impl IntoIterator<Item = N>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as the header.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Option<String>>) {
        let row: Vec<_> = cells.into_iter().collect();
        debug_assert_eq!(row.len(), self.header.len(), "a row has a cell for each column");
        self.rows.push(row);
    }

    /// Orders the rows by their cells.
    pub fn sorted(mut self) -> Self {
        self.rows.sort_unstable();
        self
    }

    /// The names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<Option<String>>] {
        &self.rows
    }

    /// The same table with these columns only, in this order; unknown names are left out.
    pub fn only(&self, names: &[&str]) -> Self {
        let kept: Vec<usize> =
            names.iter().filter_map(|it| self.header.iter().position(|h| h == it)).collect();
        self.project(&kept)
    }

    /// The same table without the columns that hold no value at all.
    pub fn dense(&self) -> Self {
        let has_value = |&column: &usize| self.rows.iter().any(|row| row[column].is_some());
        let kept: Vec<usize> = (0..self.header.len()).filter(has_value).collect();
        self.project(&kept)
    }

    fn project(&self, columns: &[usize]) -> Self {
        Self {
            header: columns.iter().map(|&it| self.header[it].clone()).collect(),
            rows: self.rows.iter().map(|row| columns.iter().map(|&it| row[it].clone()).collect()).collect(),
        }
    }
}

/// What a person reads: tables, facts and lines, in order.
#[must_use]
#[derive(Debug, Default)]
pub struct Page(Vec<Block>);

#[derive(Debug)]
enum Block {
    Table(Table),
    Facts(Vec<(String, Option<String>)>),
    Line(String),
}

impl Page {
    /// A page of one table.
    pub fn of(table: Table) -> Self {
        Self::default().table(table)
    }

    /// Adds a table; one without rows is left out.
    pub fn table(mut self, table: Table) -> Self {
        if !table.rows.is_empty() {
            self.0.push(Block::Table(table));
        }
        self
    }

    /// Adds names with their values; an absent value is left out.
    pub fn facts<const N: usize>(mut self, facts: [(&str, Option<String>); N]) -> Self {
        let facts: Vec<_> = facts
            .into_iter()
            .filter(|(_, it)| it.is_some())
            .map(|(name, it)| (name.to_owned(), it))
            .collect();
        if !facts.is_empty() {
            self.0.push(Block::Facts(facts));
        }
        self
    }

    /// Adds a table; a single row is easier to read as names with their values.
    pub fn rows_or_facts(mut self, table: Table) -> Self {
        if table.rows.len() != 1 {
            return self.table(table);
        }
        let names = table.header.iter().map(|it| it.replace('_', " "));
        let facts = names.zip(table.rows.into_iter().flatten()).filter(|(_, it)| it.is_some()).collect();
        self.0.push(Block::Facts(facts));
        self
    }

    /// Adds a sentence.
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.0.push(Block::Line(line.into()));
        self
    }

    /// Adds a sentence when nothing else is on the page.
    pub fn or_line(self, line: impl Into<String>) -> Self {
        if self.0.is_empty() { self.line(line) } else { self }
    }

    /// The page as text; `width` is the terminal's.
    pub(super) fn render(&self, width: Option<u16>, palette: Palette) -> String {
        let mut text = String::new();
        let mut after_line = true;
        for block in &self.0 {
            let is_line = matches!(block, Block::Line(_));
            let goes_on = is_line && after_line;
            if !text.is_empty() && !goes_on {
                text.push('\n');
            }
            after_line = is_line;
            match block {
                Block::Table(table) => render_table(&mut text, &table.header, &table.rows, width, palette),
                Block::Facts(facts) => {
                    let rows: Vec<_> =
                        facts.iter().map(|(name, it)| vec![Some(name.clone()), it.clone()]).collect();
                    render_table(&mut text, &[], &rows, width, palette);
                }
                Block::Line(line) => {
                    text.push_str(&palette.words(&visible(line)));
                    text.push('\n');
                }
            }
        }
        text
    }
}

fn render_table(
    text: &mut String,
    header: &[String],
    rows: &[Vec<Option<String>>],
    width: Option<u16>,
    palette: Palette,
) {
    let mut table = comfy_table::Table::new();
    table.load_style(NOTHING);
    if !header.is_empty() {
        table.set_header(header.iter().map(|it| it.replace('_', " ").to_uppercase()));
    }
    for row in rows {
        table.add_row(row.iter().map(|it| cell(it.as_deref(), width.is_some())));
    }
    match width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    for (number, line) in table.lines().enumerate() {
        let line = line.trim_end();
        text.push_str(&if number == 0 && !header.is_empty() {
            palette.heading(line)
        } else {
            palette.words(line)
        });
        text.push('\n');
    }
}

fn cell(value: Option<&str>, shorten: bool) -> String {
    let shown = visible(value.unwrap_or("-"));
    match shown.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) if shorten => format!("{}…", &shown[..end]),
        _ => shown.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["asset", "role", "text"]);
        table.row([Some("hmi-01".into()), None, Some("word ".repeat(60))]);
        table.row([Some("hist-01".into()), None, Some("x".repeat(1_000))]);
        table
    }

    #[test]
    fn a_terminal_is_never_overrun() {
        for width in [40, 80, 200] {
            let text = Page::of(table()).render(Some(width), Palette::new(false));
            let longest = text.lines().map(|it| it.chars().count()).max().unwrap();
            assert!(longest <= usize::from(width), "{longest} > {width}\n{text}");
        }
    }

    #[test]
    fn a_pipe_gets_one_row_a_line_and_all_of_it() {
        let text = Page::of(table()).render(None, Palette::new(false));
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains(&"x".repeat(1_000)));
    }

    #[test]
    fn columns_without_values_can_be_left_out() {
        assert_eq!(table().dense().header(), ["asset", "text"]);
        assert_eq!(table().only(&["text", "nothing", "asset"]).header(), ["text", "asset"]);
    }

    #[test]
    fn a_single_row_is_shown_as_facts() {
        let mut table = Table::new(["os_id", "build", "kernel"]);
        table.row([Some("debian".into()), None, Some("6.1".into())]);
        let page = Page::default().rows_or_facts(table);
        assert_eq!(page.render(None, Palette::new(false)), "os id   debian\nkernel  6.1\n");
    }

    #[test]
    fn blocks_are_apart_and_lines_together() {
        let mut table = Table::new(["kind"]);
        table.row([Some("csaf".into())]);
        let page = Page::default()
            .line("a")
            .line("b")
            .facts([("assets", Some("3".into())), ("role", None)])
            .table(table);
        assert_eq!(page.render(None, Palette::new(false)), "a\nb\n\nassets  3\n\nKIND\ncsaf\n");
    }
}
