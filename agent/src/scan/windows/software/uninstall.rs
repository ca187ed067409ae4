//! The entries of the Uninstall keys.
//!
//! Sources of truth: `SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall` of the machine, the same
//! below `WOW6432Node` for 32-bit programs, and below each user's hive that is loaded. Every user may read
//! those of the machine. An entry without `DisplayName` is not shown by Windows and says nothing; one
//! with `SystemComponent` is hidden from the list of programs, and is software all the same.
//!
//! Known lies: the view is that of the installer, not of the program; anybody may write anything here, and
//! an entry can outlive its program; users who are not logged on have no hive that is loaded.

use crate::host::Reads;
use crate::scan::Look;

use super::super::values::{self, Values};
use super::{guid, native_source};

const MACHINE: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall";
const MACHINE_32: &str = r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall";
/// Below a user's hive.
const USER: [&str; 2] = [
    r"Software\Microsoft\Windows\CurrentVersion\Uninstall",
    r"Software\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
];
/// What this source may touch.
pub(in crate::scan::windows) const READS: &[Reads] = &[
    Reads::key(MACHINE),
    Reads::key(r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\*"),
    Reads::key(MACHINE_32),
    Reads::key(r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\*"),
    Reads::key("HKU"),
    Reads::key(r"HKU\S-1-*\Software\Microsoft\Windows\CurrentVersion\Uninstall"),
    Reads::key(r"HKU\S-1-*\Software\Microsoft\Windows\CurrentVersion\Uninstall\*"),
    Reads::key(r"HKU\S-1-*\Software\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall"),
    Reads::key(r"HKU\S-1-*\Software\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\*"),
];

/// Most entries of one view.
const MAX_ENTRIES: usize = 16_384;
/// Most users whose hives are looked at.
const MAX_USERS: usize = 256;

/// One entry that has a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::scan::windows) struct Entry {
    /// Name of its key.
    pub(in crate::scan::windows) key: String,
    /// `registry64`, `registry32` or `registry-user`.
    pub(in crate::scan::windows) source: &'static str,
    /// The user whose it is.
    pub(in crate::scan::windows) user: Option<String>,
    /// `DisplayName`, in the language of the installer.
    pub(in crate::scan::windows) name: String,
    /// `DisplayVersion`.
    pub(in crate::scan::windows) version: Option<String>,
    /// `Publisher`.
    pub(in crate::scan::windows) publisher: Option<String>,
    /// Day of installation, "YYYY-MM-DD".
    pub(in crate::scan::windows) install_date: Option<String>,
    /// Code of the product, where Windows Installer made the entry.
    pub(in crate::scan::windows) product_code: Option<String>,
    /// Whether Windows does not show it.
    pub(in crate::scan::windows) is_hidden: bool,
    /// `ReleaseType`: "Security Update".
    pub(in crate::scan::windows) release_type: Option<String>,
    /// Whether it says to be a part of another entry.
    has_parent: bool,
}

impl Entry {
    /// Whether it is an update of something and no software of its own.
    pub(in crate::scan::windows) fn is_update(&self) -> bool {
        const UPDATES: [&str; 6] =
            ["security update", "critical update", "update", "update rollup", "hotfix", "service pack"];
        let kind = self.release_type.as_deref().map(str::to_lowercase);
        self.has_parent || kind.is_some_and(|it| UPDATES.contains(&it.as_str()))
    }

    fn of(key: &str, source: &'static str, user: Option<&str>, values: &Values) -> Option<Self> {
        let code = guid::usual(key).filter(|_| values.is_set("WindowsInstaller"));
        Some(Self {
            key: key.to_owned(),
            source,
            user: user.map(str::to_owned),
            name: values.text("DisplayName")?,
            version: values
                .text("DisplayVersion")
                .or_else(|| code.as_ref().and_then(|_| packed_version(values.number("Version")?))),
            publisher: values.text("Publisher"),
            install_date: values.text("InstallDate").as_deref().and_then(day),
            product_code: code,
            is_hidden: values.is_set("SystemComponent"),
            release_type: values.text("ReleaseType"),
            has_parent: ["ParentKeyName", "ParentDisplayName"].iter().any(|it| values.text(it).is_some()),
        })
    }
}

/// Reads the entries of every view and user; `None` when no view is there.
pub(in crate::scan::windows) fn entries(look: &mut Look<'_>) -> Option<Vec<Entry>> {
    let native = native_source(look);
    let mut found = Vec::new();
    let mut is_there = false;
    for (view, source) in [(MACHINE, native), (MACHINE_32, "registry32")] {
        if let Some(names) = look.registry_keys(view) {
            is_there = true;
            add(look, view, names, source, None, &mut found);
        }
    }
    for user in users(look) {
        for view in USER {
            let view = format!(r"HKU\{user}\{view}");
            if let Some(names) = values::keys(look, &view) {
                add(look, &view, names, "registry-user", Some(&user), &mut found);
            }
        }
    }
    is_there.then_some(found)
}

/// Security identifiers of people whose hives are loaded; services and hives of classes are no people.
fn users(look: &mut Look<'_>) -> Vec<String> {
    let is_person = |it: &String| {
        let sid = it.to_ascii_uppercase();
        (sid.starts_with("S-1-5-21-") || sid.starts_with("S-1-12-1-")) && !sid.ends_with("_CLASSES")
    };
    let mut users = look.registry_keys("HKU").unwrap_or_default();
    users.retain(is_person);
    if users.len() > MAX_USERS {
        look.fault(format!("HKU: more than {MAX_USERS} users"));
        users.truncate(MAX_USERS);
    }
    users
}

fn add(
    look: &mut Look<'_>,
    view: &str,
    mut names: Vec<String>,
    source: &'static str,
    user: Option<&str>,
    found: &mut Vec<Entry>,
) {
    if names.len() > MAX_ENTRIES {
        look.fault(format!("{view}: more than {MAX_ENTRIES} entries"));
        names.truncate(MAX_ENTRIES);
    }
    for name in names {
        if let Err(late) = look.in_time() {
            look.fault(format!("{view}: {late}"));
            return;
        }
        let values = values::values(look, &format!(r"{view}\{name}"));
        found.extend(values.and_then(|it| Entry::of(&name, source, user, &it)));
    }
}

/// A day as Windows Installer writes it, "20240311", as "2024-03-11". Every other form is ambiguous.
pub(super) fn day(text: &str) -> Option<String> {
    const FORM: &[time::format_description::BorrowedFormatItem<'_>] =
        time::macros::format_description!("[year][month][day]");
    time::Date::parse(text, FORM).ok().map(|it| it.to_string())
}

/// A version as Windows Installer packs it into a number: major, minor, build.
pub(super) fn packed_version(number: u64) -> Option<String> {
    (number != 0).then(|| format!("{}.{}.{}", number >> 24 & 0xff, number >> 16 & 0xff, number & 0xffff))
}
