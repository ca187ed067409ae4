//! The two settings of modprobe.d(5) that keep a module out, and their difference.
//!
//! `blacklist X` only ignores the names that hardware goes by: `modprobe X` and a dependency still
//! load it. `install X /bin/false` makes loading by any name fail, for who does not go around
//! modprobe. Dash and underscore are one.

/// What the files say, in the order in which they apply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    lines: Vec<(Line, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Blacklist(String),
    Install { module: String, command: String },
}

/// How a module is kept out by these files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept<'a> {
    /// The command that runs instead of loading it.
    pub(super) install: Option<(&'a str, &'a str)>,
    /// The file that ignores its aliases.
    pub(super) blacklist: Option<&'a str>,
}

/// Most lines that count.
const MAX_LINES: usize = 8_192;

impl Settings {
    /// Adds a file.
    pub(super) fn add(&mut self, text: &str, source: &str) {
        let mut joined = String::new();
        for line in text.lines() {
            if let Some(part) = line.strip_suffix('\\') {
                joined.push_str(part);
                joined.push(' ');
                continue;
            }
            joined.push_str(line);
            self.line(&joined, source);
            joined.clear();
        }
        self.line(&joined, source);
    }

    /// Adds what the kernel's command line makes modprobe ignore.
    pub(super) fn add_blacklist(&mut self, module: &str, source: &str) {
        self.lines.push((Line::Blacklist(normal(module)), source.to_owned()));
    }

    fn line(&mut self, line: &str, source: &str) {
        let mut words = line.split_whitespace();
        let line = match (words.next(), words.next()) {
            (Some("blacklist"), Some(module)) => Line::Blacklist(normal(module)),
            (Some("install"), Some(module)) => {
                let command = words.collect::<Vec<_>>().join(" ");
                Line::Install { module: normal(module), command }
            }
            _ => return,
        };
        if self.lines.len() < MAX_LINES {
            self.lines.push((line, source.to_owned()));
        }
    }

    /// What keeps a module out; of several commands kmod takes the first.
    pub(super) fn of(&self, wanted: &str) -> Kept<'_> {
        let install = self.lines.iter().find_map(|(line, source)| match line {
            Line::Install { module, command } if module == wanted => {
                Some((command.as_str(), source.as_str()))
            }
            Line::Install { .. } | Line::Blacklist(_) => None,
        });
        let blacklist = self.lines.iter().find_map(|(line, source)| match line {
            Line::Blacklist(module) if module == wanted => Some(source.as_str()),
            Line::Install { .. } | Line::Blacklist(_) => None,
        });
        Kept { install, blacklist }
    }
}

/// Whether a command does nothing but say that the module is there, or that it is not.
pub(super) fn is_refusal(command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default();
    matches!(program.rsplit('/').next(), Some("true" | "false"))
}

/// A module's name with underscores.
pub(super) fn normal(module: &str) -> String {
    module.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blacklist_and_a_command_are_told_apart() {
        let mut settings = Settings::default();
        settings.add(
            "# blacklist no\nblacklist usb-storage\ninstall usb_storage \\\n  /bin/false\n\
             install uas /sbin/modprobe --ignore-install uas\ninstall uas /bin/true\ninstall\n",
            "etc/modprobe.d/a.conf",
        );
        let kept = settings.of("usb_storage");
        assert_eq!(kept.blacklist, Some("etc/modprobe.d/a.conf"));
        assert!(kept.install.is_some_and(|it| is_refusal(it.0)));
        assert!(settings.of("uas").install.is_some_and(|it| !is_refusal(it.0)));
        assert_eq!(settings.of("no"), Kept { install: None, blacklist: None });
    }

    #[test]
    fn a_file_without_an_end_is_a_file() {
        let mut settings = Settings::default();
        settings.add("blacklist a\\", "x");
        assert_eq!(settings.of("a").blacklist, Some("x"));
        settings.add("install b", "x");
        assert_eq!(settings.of("b").install, Some(("", "x")));
    }
}
