//! Files of sections with `NAME = VALUE` lines, as dnf, yum, zypper and others write them.

/// A section with its settings, in the order of the file. What stands before the first is in one without a name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    settings: Vec<(String, String)>,
}

/// Reads every section. A line that starts with a blank goes on with the value before it.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    for line in text.lines() {
        let is_continued = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|it| it.split_once(']')) {
            sections.push(Section { name: name.0.trim().to_owned(), settings: Vec::new() });
            continue;
        }
        let Some(section) = sections.last_mut() else { continue };
        match (is_continued, section.settings.last_mut(), line.split_once('=')) {
            (true, Some((_, value)), _) => {
                value.push(' ');
                value.push_str(line);
            }
            (_, _, Some((name, value))) => {
                section.settings.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
            // A word alone is a switch; what it is switches for is not asked here.
            (_, _, None) => section.settings.push((line.to_ascii_lowercase(), String::new())),
        }
    }
    sections.retain(|it| !it.name.is_empty() || !it.settings.is_empty());
    sections
}

impl Section {
    /// The value of a name; the last one counts.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// Every value of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.settings.iter().filter(move |it| it.0 == name).map(|it| it.1.as_str())
    }
}

/// Whether a word says yes or no.
pub(super) fn flag(word: &str) -> Option<bool> {
    match word.trim().to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" | "enabled" => Some(true),
        "0" | "no" | "false" | "off" | "disabled" | "never" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_values_and_what_goes_on() {
        let text = "top=1\n[main]\nGpgCheck = 1\n# x\n; y\n[a b]\nbaseurl=http://x\n  http://y\nenabled=0\nenabled=1\nColor\n";
        let sections = sections(text);
        let names: Vec<_> = sections.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["", "main", "a b"]);
        assert_eq!(sections[1].get("gpgcheck").and_then(flag), Some(true));
        assert_eq!(sections[2].get("baseurl"), Some("http://x http://y"));
        assert_eq!(sections[2].get("enabled").and_then(flag), Some(true));
        assert_eq!(sections[2].all("enabled").count(), 2);
        assert_eq!(sections[2].get("color"), Some(""));
        assert_eq!(sections[2].get("none"), None);
    }
}
