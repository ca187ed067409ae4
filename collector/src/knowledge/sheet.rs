//! CSV files with a header, bounded: columns, lines and cells are counted before anything of them is believed.

use super::skipped::Skipped;
use super::text::shown;

/// Most columns; every list that people keep by hand has fewer.
pub const MAX_COLUMNS: usize = 200;
/// Most lines.
pub const MAX_LINES: usize = 200_000;
/// Longest cell, in bytes.
pub const MAX_CELL: usize = 4_000;
/// Longest first line, in bytes: what is longer is no header.
const MAX_HEADER: usize = 64 * 1024;

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSheet {
    /// No header that anybody wrote.
    #[error("it has more than {MAX_COLUMNS} columns")]
    TooManyColumns,
    /// More than a site can mean.
    #[error("it has more than {MAX_LINES} lines")]
    TooManyLines,
    /// The same heading twice.
    #[error("the column `{0}` is there twice")]
    DoubledColumn(String),
    /// The CSV cannot be read.
    #[error("it cannot be read: {0}")]
    Syntax(String),
}

/// A file's lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sheet {
    /// Headings as written, trimmed.
    pub columns: Vec<String>,
    /// Line numbers with their cells, as many as there are columns.
    pub lines: Vec<(u64, Vec<String>)>,
    /// Lines that were left out, each with its reason.
    pub(super) skipped: Skipped,
}

/// The headings of the first line that is no comment, without reading on; `None` when that is no header.
pub fn headings(text: &str, delimiter: u8) -> Option<Vec<String>> {
    let line = text.lines().find(|it| !it.trim().is_empty() && !it.starts_with('#'))?;
    if line.len() > MAX_HEADER {
        return None;
    }
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(line.as_bytes());
    let headings: Vec<String> = reader.headers().ok()?.iter().map(str::to_owned).collect();
    (headings.len() <= MAX_COLUMNS).then_some(headings)
}

/// Reads a file. Lines that start with `#` are comments; a cell that our own CSV disarmed with `'` loses it again.
pub fn read(bytes: &[u8], delimiter: u8) -> Result<Sheet, InvalidSheet> {
    let syntax = |error: csv::Error| InvalidSheet::Syntax(shown(&error.to_string(), 200));
    // Counted first: a reader keeps a place for every cell of the longest line.
    let first = bytes.split(|it| *it == b'\n').find(|it| !it.is_empty() && !it.starts_with(b"#"));
    if first.unwrap_or_default().split(|it| *it == delimiter).nth(4 * MAX_COLUMNS).is_some() {
        return Err(InvalidSheet::TooManyColumns);
    }
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .delimiter(delimiter)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let mut sheet = Sheet::default();
    for heading in reader.headers().map_err(syntax)? {
        if sheet.columns.len() == MAX_COLUMNS {
            return Err(InvalidSheet::TooManyColumns);
        }
        let heading = shown(heading, 100);
        if sheet.columns.iter().any(|it| it.eq_ignore_ascii_case(&heading)) {
            return Err(InvalidSheet::DoubledColumn(heading));
        }
        sheet.columns.push(heading);
    }
    for record in reader.into_records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or_else(|| "?".to_owned(), |it| it.line().to_string());
                sheet.skipped.at(&format!("line {line}"), &shown(&error.to_string(), 200));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        if sheet.lines.len() == MAX_LINES {
            return Err(InvalidSheet::TooManyLines);
        }
        if record.len() > sheet.columns.len() {
            sheet.skipped.at(&format!("line {line}"), "the line has more fields than the header");
            continue;
        }
        if record.iter().any(|it| it.len() > MAX_CELL) {
            sheet.skipped.at(&format!("line {line}"), &format!("a field is longer than {MAX_CELL} bytes"));
            continue;
        }
        let mut cells: Vec<String> = record.iter().map(|it| armed(it).to_owned()).collect();
        cells.resize(sheet.columns.len(), String::new());
        if cells.iter().any(|it| !it.is_empty()) {
            sheet.lines.push((line, cells));
        }
    }
    Ok(sheet)
}

/// A cell without the `'` that keeps spreadsheets from taking it for a formula.
fn armed(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@']) => rest,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_columns_are_refused_before_a_cell_is_kept() {
        let wide = "a,".repeat(1_000_000);
        assert_eq!(read(wide.as_bytes(), b','), Err(InvalidSheet::TooManyColumns));
        assert_eq!(headings(&wide, b','), None);
        let late = format!("a,b\n{}\nc,d\n", "x,".repeat(1_000_000));
        let sheet = read(late.as_bytes(), b',').unwrap();
        assert_eq!((sheet.lines.len(), sheet.skipped.into_lines().len()), (1, 1));
    }

    #[test]
    fn long_cells_and_damaged_lines_are_named_and_the_rest_is_taken() {
        let long = "x".repeat(MAX_CELL + 1);
        let sheet = read(format!("a,b\n{long},1\n'=2,'x\n,\n").as_bytes(), b',').unwrap();
        assert_eq!(sheet.lines, [(3, vec!["=2".to_owned(), "'x".to_owned()])]);
        assert_eq!(sheet.skipped.into_lines(), ["line 2: a field is longer than 4000 bytes"]);
        let sheet = read(b"a,b\n\xff,1\nc,d\n", b',').unwrap();
        assert_eq!(sheet.lines.len(), 1);
        assert_eq!(read(b"a,A\n", b','), Err(InvalidSheet::DoubledColumn("A".into())));
    }
}
