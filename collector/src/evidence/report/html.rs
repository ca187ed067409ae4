//! The few shapes of a page, and the one place where text becomes HTML.

use std::fmt::Write as _;

/// A page that grows. Every text that is put in is escaped here.
#[derive(Debug)]
pub(super) struct Page(String);

/// Nothing is loaded, nothing runs.
const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
"#;

const STYLE: &str = "<style>
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; background: #fff; color: #111;
  font: 15px/1.45 system-ui, 'Segoe UI', 'Liberation Sans', Arial, sans-serif }
h1 { font-size: 1.5rem; margin: 0 0 1rem } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #888 }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem }
table { border-collapse: collapse; width: 100%; margin: .4rem 0 1rem }
th, td { border: 1px solid #bbb; padding: .25rem .5rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; white-space: pre-line }
th { background: #eee; font-weight: 600 } table.facts th { width: 14rem }
td.good { color: #064; font-weight: 600 } td.bad { color: #900; font-weight: 600 } td.open { color: #740; font-weight: 600 }
p.note { color: #444 } code { font-family: ui-monospace, 'Liberation Mono', Consolas, monospace; font-size: .92em }
@media print { body { margin: 0; max-width: none; font-size: 10pt } h2, h3 { break-after: avoid }
  tr { break-inside: avoid } thead { display: table-header-group } }
</style>
</head>
<body>
";

/// How a cell looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Good,
    Bad,
    Open,
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    look: Look,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>, look: Look) -> Self {
        Self { text: text.into(), look }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Look::Plain)
    }
}

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let mut page = Self(HEAD.to_owned());
        page.wrapped("title", title);
        page.0.push_str(STYLE);
        page.wrapped("h1", title);
        page
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.wrapped("h2", text);
    }

    pub(super) fn subheading(&mut self, text: &str) {
        self.wrapped("h3", text);
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        self.wrapped("p", text);
    }

    pub(super) fn note(&mut self, text: &str) {
        self.0.push_str("<p class=\"note\">");
        escape(text, &mut self.0);
        self.0.push_str("</p>\n");
    }

    /// Names with what is known of them; what is empty is left out.
    pub(super) fn facts<'a>(&mut self, facts: impl IntoIterator<Item = (&'a str, String)>) {
        self.0.push_str("<table class=\"facts\"><tbody>\n");
        for (name, text) in facts.into_iter().filter(|it| !it.1.is_empty()) {
            self.0.push_str("<tr><th scope=\"row\">");
            escape(name, &mut self.0);
            self.0.push_str("</th><td>");
            escape(&text, &mut self.0);
            self.0.push_str("</td></tr>\n");
        }
        self.0.push_str("</tbody></table>\n");
    }

    /// Rows under headings; without rows, what that means.
    pub(super) fn table<const N: usize>(
        &mut self,
        headings: [&str; N],
        rows: impl IntoIterator<Item = [Cell; N]>,
        none: &str,
    ) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            self.note(none);
            return;
        }
        self.0.push_str("<table><thead><tr>");
        for it in headings {
            self.0.push_str("<th scope=\"col\">");
            escape(it, &mut self.0);
            self.0.push_str("</th>");
        }
        self.0.push_str("</tr></thead><tbody>\n");
        for row in rows {
            self.0.push_str("<tr>");
            for Cell { text, look } in row {
                self.0.push_str(match look {
                    Look::Plain => "<td>",
                    Look::Good => "<td class=\"good\">",
                    Look::Bad => "<td class=\"bad\">",
                    Look::Open => "<td class=\"open\">",
                });
                escape(&text, &mut self.0);
                self.0.push_str("</td>");
            }
            self.0.push_str("</tr>\n");
        }
        self.0.push_str("</tbody></table>\n");
    }

    pub(super) fn list(&mut self, items: impl IntoIterator<Item = String>) {
        self.0.push_str("<ol>\n");
        items.into_iter().for_each(|it| self.wrapped("li", &it));
        self.0.push_str("</ol>\n");
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</body>\n</html>\n");
        self.0
    }

    fn wrapped(&mut self, tag: &'static str, text: &str) {
        self.0.push('<');
        self.0.push_str(tag);
        self.0.push('>');
        escape(text, &mut self.0);
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push_str(">\n");
    }
}

/// Text as HTML shows it. What no eye sees, or what turns the direction of reading, is shown by its number.
pub(super) fn escape(text: &str, into: &mut String) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            '\n' | '\t' => into.push(c),
            _ if c.is_control() || is_hidden(c) => {
                let _ = write!(into, "\\u{{{:x}}}", u32::from(c));
            }
            _ => into.push(c),
        }
    }
}

fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut into = String::new();
        escape(text, &mut into);
        into
    }

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(escaped("<script>&\"'"), "&lt;script&gt;&amp;&quot;&#39;");
        assert_eq!(escaped("a\u{202e}b\u{0}c\nd"), "a\\u{202e}b\\u{0}c\nd");
    }

    #[test]
    fn every_shape_escapes() {
        const HOSTILE: &str = "</td><img src=x onerror=alert(1)>";
        let mut page = Page::new(HOSTILE);
        page.heading(HOSTILE);
        page.subheading(HOSTILE);
        page.paragraph(HOSTILE);
        page.note(HOSTILE);
        page.facts([(HOSTILE, HOSTILE.to_owned())]);
        page.table([HOSTILE], [[Cell::new(HOSTILE, Look::Bad)]], "");
        page.table::<1>([""], [], HOSTILE);
        page.list([HOSTILE.to_owned()]);
        let page = page.finish();
        assert!(!page.contains("<img"));
        assert_eq!(page.matches("&lt;img").count(), 12);
    }
}
