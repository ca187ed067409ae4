//! Who may write a file of a running Windows: the one place that asks for a file's security descriptor.

use super::descriptor::{Descriptor, FILE_WRITE, Sid};
use super::ground::VERSION;
use crate::host::Reads;
use crate::scan::{Look, Outcome};

/// What [`system_root`] touches.
pub(super) const READS: &[Reads] = &[Reads::key(VERSION)];

/// The system, administrators and the installer of Windows' own parts.
const TRUSTED: [&str; 3] =
    ["S-1-5-18", "S-1-5-32-544", "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"];

/// Where Windows is installed: `C:\Windows`; `None` when it does not say so.
pub(super) fn system_root(look: &mut Look<'_>) -> Option<String> {
    let root = look.registry_value(VERSION, "SystemRoot")?;
    let root = root.text()?.trim_end_matches('\\');
    let mut start = root.chars();
    let has_drive = start.next().is_some_and(|it| it.is_ascii_alphabetic()) && start.next() == Some(':');
    has_drive.then(|| root.to_owned())
}

/// Who, besides those who may do anything, owns or may write what is at an absolute path of Windows.
pub(super) fn others_who_write(look: &mut Look<'_>, path: &str) -> Outcome<Vec<String>> {
    let Some(windows) = &look.host.windows else { return Outcome::Absent };
    let result = look.in_time().and_then(|()| windows.accounts.file_descriptor(path));
    match look.outcome(path, result) {
        Outcome::Seen(bytes) => match Descriptor::parse(&bytes) {
            Ok(descriptor) => Outcome::Seen(others(&descriptor)),
            Err(why) => Outcome::Failed(why.to_string()),
        },
        Outcome::Absent => Outcome::Absent,
        Outcome::Denied => Outcome::Denied,
        Outcome::Failed(why) => Outcome::Failed(why),
    }
}

fn others(descriptor: &Descriptor) -> Vec<String> {
    let is_other = |it: &&Sid| !TRUSTED.contains(&it.as_str());
    let owner = descriptor.owner.iter().filter(is_other).map(|it| format!("{it} (owner)"));
    if descriptor.entries.is_none() {
        return owner.chain(["everybody (no access list)".to_owned()]).collect();
    }
    let mut found: Vec<String> =
        descriptor.who_gets(FILE_WRITE).filter(is_other).map(ToString::to_string).chain(owner).collect();
    found.sort();
    found
}

/// Why what is at a path relative to the system drive may be somebody else's than the administrator's.
pub(super) fn loose(look: &mut Look<'_>, path: &str) -> Option<String> {
    // Who may write on a disk of a machine that does not run, whoever mounted it knows.
    look.host.windows.as_ref()?;
    let Some(root) = system_root(look) else {
        return Some("refused: which drive is the system's is not known".to_owned());
    };
    let whole = format!(r"{}\{}", &root[..2], path.replace('/', r"\"));
    match others_who_write(look, &whole) {
        Outcome::Seen(others) if others.is_empty() => None,
        Outcome::Seen(others) => {
            let others = others.join(", ");
            Some(format!(
                "refused: {whole} belongs to or can be written by {others}; leave it to administrators and the system"
            ))
        }
        Outcome::Absent => Some(format!("refused: {whole} is not there any more")),
        Outcome::Denied => Some(format!("refused: who may write {whole} may not be asked")),
        Outcome::Failed(why) => Some(format!("refused: who may write {whole} cannot be told: {why}")),
    }
}
