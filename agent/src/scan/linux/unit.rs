//! Reading systemd unit files: the few settings that a row needs.
//!
//! Follows systemd.unit(5): sections, comments, lines that continue after a backslash, lists
//! that an empty assignment clears. Specifiers (`%i`) are left as they stand.

/// What unit file and drop-ins together say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) description: Option<String>,
    pub(super) user: Option<String>,
    pub(super) is_oneshot: bool,
    exec_start: Vec<String>,
    /// Whether `[Install]` names anything that enabling would link.
    pub(super) can_be_enabled: bool,
}

impl Unit {
    /// Adds a unit file or, after it, a drop-in.
    pub(super) fn add(&mut self, text: &str) {
        let mut section = String::new();
        for line in joined_lines(text) {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=') {
                self.set(&section, key.trim_end(), value.trim_start());
            }
        }
    }

    fn set(&mut self, section: &str, key: &str, value: &str) {
        let said = || Some(value.to_owned()).filter(|it| !it.is_empty());
        match (section, key) {
            ("Unit", "Description") => self.description = said(),
            ("Service", "User") => self.user = said(),
            ("Service", "DynamicUser") if is_true(value) => {
                self.user.get_or_insert_with(|| "dynamic".to_owned());
            }
            ("Service", "Type") => self.is_oneshot = value == "oneshot",
            ("Service", "ExecStart") if value.is_empty() => self.exec_start.clear(),
            ("Service", "ExecStart") => self.exec_start.push(value.to_owned()),
            ("Install", "WantedBy" | "RequiredBy" | "UpheldBy" | "Alias" | "Also") => {
                self.can_be_enabled |= !value.is_empty();
            }
            _ => {}
        }
    }

    /// The program that the first `ExecStart` names, without the marks before it.
    pub(super) fn program(&self) -> Option<String> {
        let line = self.exec_start.first()?.trim_start_matches(['@', '-', ':', '+', '!', '|']).trim_start();
        let word = match line.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?,
            None => line.split_whitespace().next()?,
        };
        (!word.is_empty()).then(|| word.to_owned())
    }
}

fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "yes" | "true" | "on")
}

/// Lines without comments, with continued lines joined.
fn joined_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut continues = false;
    for line in text.lines() {
        // A comment between the parts of a continued line does not end it.
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some(last) if continues => {
                last.push(' ');
                last.push_str(part.trim_start());
            }
            _ => lines.push(part.to_owned()),
        }
        continues = goes_on;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_says_its_program_user_and_whether_it_can_be_enabled() {
        let mut unit = Unit::default();
        unit.add(
            "# x\n[Unit]\nDescription=OpenBSD Secure Shell server\n[Service]\nType=notify\nUser=sshd\n\
             ExecStart=!-/usr/sbin/sshd \\\n# comment\n  -D $OPTS\n[Install]\nWantedBy=multi-user.target\n",
        );
        assert_eq!(unit.description.as_deref(), Some("OpenBSD Secure Shell server"));
        assert_eq!(unit.program().as_deref(), Some("/usr/sbin/sshd"));
        assert_eq!(unit.user.as_deref(), Some("sshd"));
        assert!(unit.can_be_enabled && !unit.is_oneshot);
    }

    #[test]
    fn a_drop_in_replaces_what_it_clears() {
        let mut unit = Unit::default();
        unit.add("[Service]\nExecStart=/usr/bin/old\nUser=a\n");
        unit.add("[Service]\nExecStart=\nExecStart=\"/opt/new thing/run\" x\nUser=\nDynamicUser=yes\n");
        assert_eq!(unit.program().as_deref(), Some("/opt/new thing/run"));
        assert_eq!(unit.user.as_deref(), Some("dynamic"));
    }

    #[test]
    fn settings_count_only_in_their_section() {
        let mut unit = Unit::default();
        unit.add("[X-Other]\nUser=a\nWantedBy=b\n[Install]\nWantedBy=\n");
        assert_eq!(unit, Unit::default());
    }
}
