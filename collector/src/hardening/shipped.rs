//! The rules that come with the collector, as they stand in `rules/`.

use std::sync::LazyLock;

use super::file::RuleFile;
use super::read::read;

/// Profiles by name with their text, in the order in which they are laid.
pub const TEXTS: [(&str, &str); 3] = [
    ("windows", include_str!("rules/windows.toml")),
    ("linux", include_str!("rules/linux.toml")),
    ("agent", include_str!("rules/agent.toml")),
];

/// The shipped profiles. A test shows that each of them is read without a fault.
pub fn shipped() -> &'static [(&'static str, RuleFile)] {
    static FILES: LazyLock<Vec<(&'static str, RuleFile)>> =
        LazyLock::new(|| TEXTS.iter().filter_map(|(name, text)| Some((*name, read(text).ok()?))).collect());
    &FILES
}
