//! Which file a service or driver is, of what stands in `ImagePath`.
//!
//! Source of truth: `CreateServiceW` and `CreateProcessW` (a service has a command line, of which the first
//! word is the program; without quotes the system tries every space as its end), and the loader of
//! drivers (a path of the kernel: `\SystemRoot\...`, `\??\C:\...`, or one below the system's folder).
//!
//! Known lie: without quotes the text alone does not say where a path with spaces ends. The first end of
//! a program's name is taken for it, as everybody means it; [`ImagePath::is_unquoted`] tells of it.

use crate::host::Reads;
use crate::scan::Look;

const VERSION: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion";
const FOLDERS: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion";
const LISTS: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList";

/// What [`Places::read`] touches.
pub(in crate::scan) const READS: &[Reads] = &[Reads::key(VERSION), Reads::key(FOLDERS), Reads::key(LISTS)];

/// Endings of programs, as people leave out the quotes around them.
const PROGRAMS: [&str; 5] = [".exe", ".sys", ".dll", ".com", ".bat"];

/// Where this Windows keeps what paths name by variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scan) struct Places {
    /// `C:\Windows`.
    system_root: String,
    /// Other variables, in lower case, with their values.
    variables: Vec<(&'static str, String)>,
}

impl Default for Places {
    fn default() -> Self {
        Self { system_root: r"C:\Windows".to_owned(), variables: Vec::new() }
    }
}

impl Places {
    /// Asks the registry; where it does not say, Windows is where setup puts it.
    pub(in crate::scan) fn read(look: &mut Look<'_>) -> Self {
        let mut text = |key: &str, name: &str| {
            let text = look.registry_value(key, name)?.text()?.trim().trim_end_matches('\\').to_owned();
            (!text.is_empty() && !text.contains('%')).then_some(text)
        };
        let places = Self::default();
        let system_root = text(VERSION, "SystemRoot").unwrap_or(places.system_root);
        let variables = [
            ("programfiles", FOLDERS, "ProgramFilesDir"),
            ("programfiles(x86)", FOLDERS, "ProgramFilesDir (x86)"),
            ("commonprogramfiles", FOLDERS, "CommonFilesDir"),
        ];
        let variables =
            variables.into_iter().filter_map(|(name, key, value)| Some((name, text(key, value)?))).collect();
        Self { system_root, variables }
    }

    /// `C:`.
    fn drive(&self) -> &str {
        self.system_root.get(..2).unwrap_or("C:")
    }

    /// What of a path is below the system's drive; `None` for a path on another one.
    pub(in crate::scan) fn below_drive<'a>(&self, path: &'a str) -> Option<&'a str> {
        starts(path, self.drive())?.strip_prefix('\\')
    }

    fn variable(&self, name: &str) -> Option<String> {
        let name = name.to_lowercase();
        match name.as_str() {
            "systemroot" | "windir" => Some(self.system_root.clone()),
            "systemdrive" => Some(self.drive().to_owned()),
            "programdata" | "allusersprofile" => Some(format!(r"{}\ProgramData", self.drive())),
            _ => self.variables.iter().find(|(it, _)| *it == name).map(|(_, value)| value.clone()),
        }
    }

    /// The same text with the values of the variables that are known; the others stay as written.
    pub(in crate::scan) fn expanded(&self, text: &str) -> String {
        let mut all = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('%') {
            all.push_str(before);
            match behind.split_once('%').and_then(|(name, behind)| Some((self.variable(name)?, behind))) {
                Some((value, behind)) => {
                    all.push_str(&value);
                    rest = behind;
                }
                None => {
                    all.push('%');
                    rest = behind;
                }
            }
        }
        all.push_str(rest);
        all
    }

    /// A path as a person writes it, of one that the kernel or a service manager understands.
    pub(in crate::scan) fn path(&self, text: &str) -> String {
        let text = self.expanded(text.trim());
        let text =
            [r"\??\", r"\\?\", r"\DosDevices\"].iter().find_map(|it| starts(&text, it)).unwrap_or(&text);
        if let Some(rest) = starts(text, r"\SystemRoot\").or_else(|| starts(text, r"SystemRoot\")) {
            return format!(r"{}\{rest}", self.system_root);
        }
        let start = text.as_bytes();
        let is_whole = text.starts_with('\\') || start.get(1) == Some(&b':') || text.contains('%');
        match text {
            "" => String::new(),
            // Below the root of the system's drive.
            _ if text.starts_with('\\') && starts(text, r"\Windows\").is_some() => {
                format!("{}{text}", self.drive())
            }
            _ if is_whole => text.to_owned(),
            _ if text.contains('\\') => format!(r"{}\{text}", self.system_root),
            // A name alone is looked for where the system's programs are.
            _ => format!(r"{}\System32\{text}", self.system_root),
        }
    }
}

/// What is behind a prefix, which is compared without regard to case.
fn starts<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A file, and what it is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::scan) struct ImagePath {
    /// The file.
    pub(in crate::scan) path: String,
    /// What stands behind it, as written; empty when nothing does.
    pub(in crate::scan) arguments: String,
    /// Whether the path has spaces and no quotes around it, so that another program may be meant.
    pub(in crate::scan) is_unquoted: bool,
}

impl ImagePath {
    /// The command line of a service.
    pub(in crate::scan) fn of_service(text: &str, places: &Places) -> Self {
        let text = places.expanded(text.trim());
        if let Some(quoted) = text.strip_prefix('"') {
            let (path, rest) = quoted.split_once('"').unwrap_or((quoted, ""));
            let arguments = rest.trim().to_owned();
            return Self { path: places.path(path), arguments, is_unquoted: false };
        }
        let end = end_of_program(&text);
        let (path, rest) = text.split_at_checked(end).unwrap_or((&text, ""));
        Self {
            path: places.path(path),
            arguments: rest.trim().to_owned(),
            is_unquoted: path.trim().contains(' '),
        }
    }

    /// The path of a driver, which has no arguments; without one it is a file of the driver's name.
    pub(in crate::scan) fn of_driver(text: Option<&str>, name: &str, places: &Places) -> Self {
        let path = match text.map(|it| it.trim().trim_matches('"')).filter(|it| !it.is_empty()) {
            Some(text) => places.path(text),
            None => places.path(&format!(r"System32\drivers\{name}.sys")),
        };
        Self { path, ..Self::default() }
    }
}

/// Where the program's name ends in a command line without quotes: at the first end of a word that
/// ends as programs do; else at the first space.
fn end_of_program(text: &str) -> usize {
    let is_program = |end: usize| {
        let word = text.get(..end).unwrap_or("").to_ascii_lowercase();
        PROGRAMS.iter().any(|it| word.ends_with(it))
    };
    let mut ends = text.match_indices([' ', '\t']).map(|(at, _)| at).chain([text.len()]);
    ends.find(|it| is_program(*it)).or_else(|| text.find([' ', '\t'])).unwrap_or(text.len())
}

/// Arguments without what looks like a secret: the word behind a name of one is masked.
pub(in crate::scan) fn masked(arguments: &str) -> String {
    const NAMES: [&str; 6] = ["password", "passwd", "pwd", "secret", "token", "apikey"];
    let mut all = Vec::new();
    let mut is_secret = false;
    for word in arguments.split(' ') {
        let name = word.trim_start_matches(['-', '/', '"']).to_ascii_lowercase();
        let named =
            NAMES.iter().any(|it| name.split(['=', ':']).next().is_some_and(|name| name.ends_with(it)));
        match word.find(['=', ':']) {
            Some(at) if named => all.push(format!("{}***", word.get(..=at).unwrap_or(""))),
            _ if is_secret && !word.is_empty() => all.push("***".to_owned()),
            _ => all.push(word.to_owned()),
        }
        // Several spaces make words of nothing, behind which the secret still comes.
        is_secret = named && !word.contains(['=', ':']) || is_secret && word.is_empty();
    }
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places() -> Places {
        let variables = vec![("programfiles", r"D:\Programme".to_owned())];
        Places { system_root: r"C:\Windows".to_owned(), variables }
    }

    fn service(text: &str) -> (String, String, bool) {
        let it = ImagePath::of_service(text, &places());
        (it.path, it.arguments, it.is_unquoted)
    }

    #[test]
    fn a_command_line_is_a_path_and_its_arguments() {
        for (text, path, arguments, is_unquoted) in [
            (
                r"%SystemRoot%\system32\svchost.exe -k netsvcs -p",
                r"C:\Windows\system32\svchost.exe",
                "-k netsvcs -p",
                false,
            ),
            (
                r#""C:\Program Files\Siemens\s7oiehsx64.exe" /run"#,
                r"C:\Program Files\Siemens\s7oiehsx64.exe",
                "/run",
                false,
            ),
            (r"C:\Program Files\HMI\Run Time.exe -svc", r"C:\Program Files\HMI\Run Time.exe", "-svc", true),
            (r"%ProgramFiles%\HMI\rt.exe", r"D:\Programme\HMI\rt.exe", "", false),
            (r"system32\lsass.exe", r"C:\Windows\system32\lsass.exe", "", false),
            ("lsass.exe", r"C:\Windows\System32\lsass.exe", "", false),
            (r"\??\C:\Tools\agent.EXE -x", r"C:\Tools\agent.EXE", "-x", false),
            (r"\\?\C:\Tools\agent.exe", r"C:\Tools\agent.exe", "", false),
            (r"C:\Tools\agent -x", r"C:\Tools\agent", "-x", false),
            (r#""C:\cut off"#, r"C:\cut off", "", false),
            (r"%NOWHERE%\x.exe", r"%NOWHERE%\x.exe", "", false),
            ("", "", "", false),
        ] {
            assert_eq!(service(text), (path.into(), arguments.into(), is_unquoted), "{text}");
        }
    }

    #[test]
    fn the_path_of_a_driver_is_one_of_the_kernel_or_of_its_name() {
        for (text, path) in [
            (Some(r"\SystemRoot\System32\drivers\tcpip.sys"), r"C:\Windows\System32\drivers\tcpip.sys"),
            (Some(r"System32\Drivers\disk.sys"), r"C:\Windows\System32\Drivers\disk.sys"),
            (Some(r"\??\C:\Program Files\VM Tools\vm mem.sys"), r"C:\Program Files\VM Tools\vm mem.sys"),
            (Some(r"\Windows\System32\drivers\old.sys"), r"C:\Windows\System32\drivers\old.sys"),
            (Some(r"\Device\HarddiskVolume2\x.sys"), r"\Device\HarddiskVolume2\x.sys"),
            (Some(" "), r"C:\Windows\System32\drivers\Null.sys"),
            (None, r"C:\Windows\System32\drivers\Null.sys"),
        ] {
            assert_eq!(ImagePath::of_driver(text, "Null", &places()).path, path, "{text:?}");
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        for (text, said) in [
            ("-k netsvcs -p", "-k netsvcs -p"),
            ("/user op /password  geheim /run", "/user op /password  *** /run"),
            ("--db-password=geheim --port=1", "--db-password=*** --port=1"),
            ("-token:abc", "-token:***"),
        ] {
            assert_eq!(masked(text), said);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_an_end(text in ".{0,80}") {
            let _ = (service(&text), masked(&text), ImagePath::of_driver(Some(&text), "x", &places()));
        }
    }
}
