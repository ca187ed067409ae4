//! Reading `mountinfo` of proc(5): which mounts there are, with the options that each one has.
//!
//! One line a mount: numbers, the root inside the file system, the place, options of the mount, tags
//! up to a dash, kind, device, options of the file system. Blanks in names are octal.

/// Most mounts that are kept; a host with thousands of containers has more, and they are not asked for.
const MAX_MOUNTS: usize = 16_384;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where it is, from the root: `/var/log`.
    pub(super) place: String,
    /// Kind of file system.
    pub(super) kind: String,
    /// Options of the mount in order of names; `ro` also when the whole file system is read-only.
    pub(super) options: Vec<String>,
}

/// Reads the mounts in order, and whether a line was malformed or there were too many.
pub(super) fn parse(text: &str) -> (Vec<Mount>, bool) {
    let mut mounts = Vec::new();
    let mut is_whole = true;
    for line in text.lines() {
        match mount(line) {
            Some(mount) if mounts.len() < MAX_MOUNTS => mounts.push(mount),
            Some(_) | None => is_whole = false,
        }
    }
    (mounts, is_whole)
}

fn mount(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ');
    let place = unescaped(fields.nth(4)?);
    let own = fields.next()?;
    fields.find(|it| *it == "-")?;
    let kind = fields.next()?.to_owned();
    let of_file_system = fields.nth(1)?;
    let mut options: Vec<String> = own.split(',').map(str::to_owned).collect();
    if of_file_system.split(',').any(|it| it == "ro") {
        options.retain(|it| it != "rw");
        options.push("ro".to_owned());
    }
    options.sort_unstable();
    options.dedup();
    Some(Mount { place, kind, options })
}

/// `\040` is a blank; anything else after a backslash stays as it is.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((first, rest)) = bytes.split_first() {
        let octal = rest.get(..3).and_then(|it| std::str::from_utf8(it).ok());
        let octal = octal.filter(|_| *first == b'\\').and_then(|it| u8::from_str_radix(it, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                bytes = &rest[3..];
            }
            None => {
                out.push(*first);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The mount that a path is on: of those that lead to it the longest, of equal ones the last.
pub(super) fn covering<'a>(mounts: &'a [Mount], path: &str) -> Option<&'a Mount> {
    let covers = |place: &str| {
        place == "/" || path.strip_prefix(place).is_some_and(|it| it.is_empty() || it.starts_with('/'))
    };
    mounts.iter().filter(|it| covers(&it.place)).max_by_key(|it| it.place.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &str = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
        27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda ro,discard\n\
        30 27 0:30 / /media/a\\040b rw,nosuid,nodev master:1 propagate_from:2 - vfat /dev/sda1 rw\n\
        31 27 0:31 / /tmp rw - tmpfs tmpfs rw\n\
        32 27 0:32 / /tmp rw,noexec - tmpfs tmpfs rw\n";

    #[test]
    fn options_are_those_in_effect() {
        let (mounts, is_whole) = parse(SOME);
        assert!(is_whole);
        assert_eq!(mounts[1].options, ["relatime", "ro"]);
        assert_eq!(mounts[2].place, "/media/a b");
        assert_eq!(covering(&mounts, "/tmp").unwrap().options, ["noexec", "rw"]);
        assert_eq!(covering(&mounts, "/tmpx").unwrap().place, "/");
        assert_eq!(covering(&mounts, "/media/a b/c").unwrap().kind, "vfat");
    }

    #[test]
    fn hostile_lines_are_malformed() {
        for line in ["x", "1 2 3 / /a rw", "1 2 3 / /a rw - ext4", "1 2 3 / /a rw - ext4 d", "- - - - - -"] {
            assert_eq!(parse(line), (vec![], false), "{line}");
        }
        assert_eq!(unescaped("a\\04"), "a\\04");
        assert_eq!(unescaped("\\777\\"), "\\777\\");
        assert_eq!(covering(&[], "/"), None);
    }
}
