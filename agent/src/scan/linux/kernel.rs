//! Kernels on disk and which of them is the newest.
//!
//! Source of truth: `boot/vmlinuz-RELEASE` and `lib/modules/RELEASE` that still hold a module
//! list (a removed package can leave an empty directory behind). Rescue images carry no release
//! and are left out. A container has neither; that is absence, not an old kernel.

use std::cmp::Ordering;

use crate::host::Reads;
use crate::scan::Look;

/// What this source may touch.
pub(super) const READS: &[Reads] = &[
    Reads::content("boot"),
    Reads::content("lib/modules"),
    Reads::content("usr/lib/modules"),
    Reads::metadata("lib/modules/*/modules.dep"),
    Reads::metadata("usr/lib/modules/*/modules.dep"),
];

/// Most names in either directory.
const MAX_ENTRIES: usize = 4_096;

/// The release of the newest kernel on disk.
pub(super) fn newest(look: &mut Look<'_>) -> Option<String> {
    let mut releases: Vec<String> = Vec::new();
    if let Some(boot) = look.list("boot", MAX_ENTRIES) {
        releases
            .extend(boot.entries.iter().filter_map(|it| it.name.strip_prefix("vmlinuz-")).map(str::to_owned));
    }
    if let Some(modules) = look.list("lib/modules", MAX_ENTRIES) {
        releases.extend(
            modules
                .entries
                .iter()
                .map(|it| &it.name)
                .filter(|it| look.host.root.exists(&format!("lib/modules/{it}/modules.dep")))
                .cloned(),
        );
    }
    releases.retain(|it| is_release(it));
    releases.into_iter().max_by(|a, b| compare(a, b))
}

fn is_release(text: &str) -> bool {
    text.contains('.') && text.starts_with(|it: char| it.is_ascii_digit()) && !text.ends_with(".old")
}

/// Compares two kernel releases: runs of digits by value, everything else by character; a
/// release candidate comes before its release.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (text_a, rest_a) = split(a, |it| !it.is_ascii_digit());
        let (text_b, rest_b) = split(b, |it| !it.is_ascii_digit());
        let candidate = |it: &str| it.trim_start_matches(['-', '.', '~', '_']).starts_with("rc");
        let order = candidate(text_b).cmp(&candidate(text_a)).then_with(|| text_a.cmp(text_b));
        if order != Ordering::Equal {
            return order;
        }
        let (number_a, next_a) = split(rest_a, |it| it.is_ascii_digit());
        let (number_b, next_b) = split(rest_b, |it| it.is_ascii_digit());
        let significant = |it: &str| it.trim_start_matches('0').len();
        let order = significant(number_a)
            .cmp(&significant(number_b))
            .then_with(|| number_a.trim_start_matches('0').cmp(number_b.trim_start_matches('0')));
        if order != Ordering::Equal {
            return order;
        }
        if next_a.is_empty() && next_b.is_empty() {
            return Ordering::Equal;
        }
        (a, b) = (next_a, next_b);
    }
}

fn split(text: &str, inside: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|it| !inside(it)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::look::tests::{ample, host};

    #[test]
    fn releases_compare_by_number() {
        for (old, new) in [
            ("6.1.0-9-amd64", "6.1.0-18-amd64"),
            ("4.18.0-80.el8.x86_64", "4.18.0-553.el8_10.x86_64"),
            ("6.1.0", "6.1.0-1"),
            ("6.1.0-rc3", "6.1.0"),
            ("5.15.0", "6.1.0"),
        ] {
            assert_eq!(compare(old, new), Ordering::Less, "{old} < {new}");
            assert_eq!(compare(new, old), Ordering::Greater, "{new} > {old}");
            assert_eq!(compare(new, new), Ordering::Equal);
        }
    }

    #[test]
    fn leftovers_and_rescue_images_are_no_kernels() {
        let (_dir, host) = host(&[
            ("boot/vmlinuz-6.1.0-18-amd64", ""),
            ("boot/vmlinuz-0-rescue-0123456789abcdef", ""),
            ("boot/vmlinuz-6.9.0.old", ""),
            ("lib/modules/6.1.0-9-amd64/modules.dep", ""),
            ("lib/modules/6.1.0-99-amd64/leftover", ""),
        ]);
        let budget = ample();
        let mut look = Look::new(&host, &budget, "test");
        assert_eq!(newest(&mut look).as_deref(), Some("6.1.0-18-amd64"));
    }
}
