//! Paths that a site may name on Windows: those of the system drive.

/// The path relative to the system drive, with `/`.
pub(super) fn inside(path: &str, drive: Option<char>) -> Result<String, String> {
    let plain = path.replace('\\', "/");
    let mut first = plain.chars();
    let rest = match (first.next(), first.next()) {
        (Some('/'), _) => plain.strip_prefix('/'),
        (Some(letter), Some(':')) if letter.is_ascii_alphabetic() => {
            if drive.is_none_or(|it| !it.eq_ignore_ascii_case(&letter)) {
                return Err("`path` is not on the system drive, and no other one is read".to_owned());
            }
            plain.get(3..).filter(|_| plain[2..].starts_with('/'))
        }
        _ => None,
    };
    // A colon names another stream of a file.
    rest.filter(|it| !it.contains(':'))
        .map(str::to_owned)
        .ok_or_else(|| "`path` is a drive's letter and a path from its root".to_owned())
}

/// Files whose content is nobody's business, whoever asks; not a complete list, as on Linux.
pub(super) fn is_secret(inside: &str) -> bool {
    let path = inside.to_lowercase();
    let name = path.rsplit('/').next().unwrap_or(&path);
    let below = ["windows/system32/config/", "windows/ntds/", "programdata/holdpoint/state/"];
    let within =
        ["microsoft/protect", "microsoft/crypto", "microsoft/credentials", "microsoft/vault", ".ssh"];
    below.iter().any(|it| path.starts_with(it))
        || within.iter().any(|it| path.contains(&format!("{it}/")))
        || [".key", ".pfx", ".p12", ".jks", ".kdbx", ".keytab", ".pvk"].iter().any(|it| name.ends_with(it))
        || matches!(name, "unattend.xml" | "autounattend.xml" | "ntds.dit" | "ntuser.dat" | "sam")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_of_the_system_drive() {
        for path in [r"C:\HMI\Project\main.pcs", "c:/HMI/Project/main.pcs", "/HMI/Project/main.pcs"] {
            assert_eq!(inside(path, Some('C')).as_deref(), Ok("HMI/Project/main.pcs"), "{path}");
        }
        for path in ["D:\\HMI", "HMI", "C:HMI", r"C:\a:stream", "", ":", "ü:\\x"] {
            assert!(inside(path, Some('C')).is_err(), "{path}");
        }
        assert!(inside(r"C:\HMI", None).is_err(), "which drive is the system's is not known");
    }

    #[test]
    fn secrets_are_named() {
        for path in ["Windows/System32/config/SAM", "Users/x/.ssh/id_rsa", "HMI/server.PFX", "Unattend.xml"] {
            assert!(is_secret(path), "{path}");
        }
        assert!(!is_secret("HMI/Project/main.pcs"));
    }
}
