//! Which time sources Windows Time is told to use. Whether it reaches them moves, and is not said here.
//!
//! Source of truth: `HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Parameters`, and above it the policy
//! `HKLM\SOFTWARE\Policies\Microsoft\W32Time\Parameters`, value by value. `Type` says whether servers are
//! asked by name (`NTP`), the domain is (`NT5DS`), both (`AllSync`) or nobody (`NoSync`). A service that
//! is disabled asks nobody.
//!
//! Not read: other programs that set the clock, such as a port of ntpd.

use crate::host::Reads;
use crate::scan::Look;

use super::restart::text;

const POLICY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\W32Time\Parameters";
const SETTINGS: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Parameters";
const SERVICE: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\W32Time";
/// What this source may touch.
pub(super) const READS: &[Reads] = &[Reads::key(POLICY), Reads::key(SETTINGS), Reads::key(SERVICE)];

/// `Start` of a service that is disabled.
const DISABLED: u64 = 4;
/// Most time sources of one row.
const MAX_SOURCES: usize = 64;
/// Stands for the domain's own hierarchy.
const DOMAIN: &str = "domain";

/// The configured sources, in order of appearance, each once.
pub(super) fn read(look: &mut Look<'_>) -> Vec<String> {
    if look.registry_value(SERVICE, "Start").and_then(|it| it.number()) == Some(DISABLED) {
        return Vec::new();
    }
    let mut setting = |name: &str| text(look, POLICY, name).or_else(|| text(look, SETTINGS, name));
    let kind = setting("Type").unwrap_or_default().to_ascii_uppercase();
    let servers = setting("NtpServer").unwrap_or_default();
    let (by_name, by_domain) = match kind.as_str() {
        "NTP" => (true, false),
        "NT5DS" => (false, true),
        "ALLSYNC" => (true, true),
        _ => (false, false),
    };
    let mut sources: Vec<String> = by_domain.then(|| DOMAIN.to_owned()).into_iter().collect();
    // `NAME,FLAGS`, separated by blanks.
    let names = servers.split_whitespace().filter_map(|it| it.split(',').next()).filter(|_| by_name);
    for name in names.filter(|it| !it.is_empty()) {
        if sources.len() < MAX_SOURCES && !sources.iter().any(|it| it == name) {
            sources.push(name.to_owned());
        }
    }
    sources
}
