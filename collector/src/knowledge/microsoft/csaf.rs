//! The same response centre's documents in CSAF, one vulnerability a document.
//!
//! Documented shape: below a product's name, `<10.0.17763.6414` is affected and `10.0.17763.6414` is fixed, and a
//! vendor fix names track and update of that product. What has another shape stays an ordinary entry.

use super::super::advisory::{Advisory, Entry, Identity, KnownFix, Stated, Versions, Vulnerability};
use super::super::import::Kind;
use super::{is_release, update_name, windows_entry};

/// Whether a publisher's namespace is Microsoft's.
pub(crate) fn is_microsoft(namespace: &str) -> bool {
    let host = namespace.trim().strip_prefix("https://").unwrap_or("").split('/').next().unwrap_or("");
    host == "microsoft.com" || host.ends_with(".microsoft.com")
}

/// Turns entries of that shape into releases of Windows with their fixed builds.
pub(crate) fn with_builds(mut advisory: Advisory) -> Advisory {
    let mut entries: Vec<Entry> = Vec::new();
    let mut found_any = false;
    for vulnerability in &mut advisory.vulnerabilities {
        found_any |= convert(&advisory.entries, vulnerability, &mut entries);
    }
    if found_any {
        advisory.kind = Kind::Microsoft;
        advisory.entries = entries;
    }
    advisory
}

/// Restates a vulnerability over new entries; says whether any of them is a Windows with a build.
fn convert(old: &[Entry], vulnerability: &mut Vulnerability, entries: &mut Vec<Entry>) -> bool {
    let at = |position: u32| usize::try_from(position).ok().and_then(|it| old.get(it));
    let mut windows: Vec<(u32, &str)> = Vec::new();
    let mut statements = Vec::new();
    let mut moved: Vec<(u32, u32)> = Vec::new();
    for &(position, stated) in &vulnerability.statements {
        let Some(entry) = at(position) else { continue };
        let build = fixed_build(entry);
        match (stated, build) {
            (Stated::Affected, Some((build, Bound::Below))) => {
                let fix = known_fix(build, position, vulnerability);
                // A second bound of one product is another track of the same release.
                let known = windows.iter().find(|(_, name)| *name == entry.product).map(|it| it.0);
                if let Some(Entry { versions: Versions::Builds(fixes), .. }) =
                    known.and_then(|it| entries.get_mut(usize::try_from(it).ok()?))
                {
                    fixes.push(fix);
                    continue;
                }
                let new = push(entries, windows_entry(&entry.id, &entry.product, vec![fix]));
                windows.push((new, &entry.product));
                statements.push((new, Stated::Affected));
                moved.push((position, new));
            }
            // The other half of the same bound.
            (Stated::Fixed, Some((_, Bound::Exactly))) => {}
            (
                Stated::Affected | Stated::NotAffected | Stated::Fixed | Stated::UnderInvestigation,
                Some(_) | None,
            ) => {
                let known = moved.iter().find(|it| it.0 == position).map(|it| it.1);
                let new = known.unwrap_or_else(|| push(entries, entry.clone()));
                moved.push((position, new));
                statements.push((new, stated));
            }
        }
    }
    for fix in &mut vulnerability.fixes {
        let new = fix.entries.iter().filter_map(|old| moved.iter().find(|it| it.0 == *old));
        fix.entries = new.map(|it| it.1).collect();
    }
    vulnerability.fixes.retain(|it| !it.entries.is_empty());
    statements.sort_unstable();
    vulnerability.statements = statements;
    !windows.is_empty()
}

fn push(entries: &mut Vec<Entry>, entry: Entry) -> u32 {
    entries.push(entry);
    u32::try_from(entries.len() - 1).unwrap_or(u32::MAX)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Below,
    Exactly,
}

/// The build of an entry of the documented shape.
fn fixed_build(entry: &Entry) -> Option<(&str, Bound)> {
    let is_plain = entry.identity == Identity::Named && entry.conditions.is_empty();
    if !is_plain || !is_release(&entry.product) {
        return None;
    }
    let (text, bound) = match &entry.versions {
        Versions::Range(text) => (text.strip_prefix('<')?, Bound::Below),
        Versions::One(text) => (text.as_str(), Bound::Exactly),
        Versions::All | Versions::InName | Versions::Events(_) | Versions::Builds(_) => return None,
    };
    let text = text.trim();
    let number = |it: &str| !it.is_empty() && it.len() <= 8 && it.bytes().all(|it| it.is_ascii_digit());
    (text.split('.').count() == 4 && text.split('.').all(number)).then_some((text, bound))
}

/// Track and update stand in the fix for this entry: `10.0.17763.6414:Security Update:https://…/help/5044277`.
fn known_fix(build: &str, position: u32, vulnerability: &Vulnerability) -> KnownFix {
    let mut texts = vulnerability.fixes.iter().filter(|it| it.entries.contains(&position));
    let text = texts
        .find(|it| it.text.starts_with(build))
        .or_else(|| vulnerability.fixes.iter().find(|it| it.text.starts_with(build)));
    let text = text.map_or("", |it| &it.text);
    let track =
        text.strip_prefix(build).and_then(|it| it.strip_prefix(':')).and_then(|it| it.split(':').next());
    let update = text.rsplit('/').find_map(|it| update_name(it.split(' ').next().unwrap_or("")));
    KnownFix { build: Some(build.to_owned()), track: track.unwrap_or("").trim().to_owned(), update }
}
