//! Whether one line of a Windows advisory concerns one Windows host: by its build, never by a missing update.
//!
//! Microsoft names a fix by the build that it leads to and by the update (KB) that brings it. Lists of missing
//! updates mislead: what supersedes what is published with holes, so a host at the newest build is charged with
//! thousands of old updates. Here a missing update proves nothing. Builds decide, with four guards that
//! were measured on the monthly documents since 2021:
//! 1. a revision says something only within its branch (major.minor.build), or within a family of branches that
//!    are serviced together; elsewhere a larger number proves nothing, and documents do name wrong branches;
//! 2. on NT 10 cumulative updates hold everything of their branch before them: a host at a build of month M
//!    has the fixes of every month up to M, also those that were published without a build (before mid 2021);
//! 3. a hotpatch has a build between two cumulative ones, which others reach in other ways: between the two only
//!    the hotpatch itself, installed on a host that runs hotpatched, proves anything;
//! 4. on NT 6 security-only packages do not raise the build, and parts such as the browser have builds of their
//!    own: a build below proves nothing without the update, and a part that has no build of the system is
//!    proven by its update alone.
//!
//! Whatever is fixed counts only after the restart that it waits for.

use std::fmt;

use super::verdict::{Outcome, Reason};

/// Branches of NT 10.0 that get the same revision from the same update: (first, last) build.
const FAMILIES: [(u64, u64); 2] = [(18_362, 18_363), (19_041, 19_045)];

/// What a host says of itself.
#[derive(Debug, Clone, Copy)]
pub struct WindowsHost<'a> {
    /// Build with revision: "10.0.19045.5131".
    pub build: &'a str,
    /// Updates that are installed: "KB5031356".
    pub updates: &'a [&'a str],
    /// Something that was installed waits for a restart.
    pub restart_pending: bool,
    /// The running system was patched without a restart.
    pub is_hotpatched: bool,
}

/// A package that fixes, as the line lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fix<'a> {
    /// The build that it leads to; `None` where none was published.
    pub build: Option<&'a str>,
    /// How it is serviced.
    pub track: Track,
    /// The update that brings it.
    pub update: Option<&'a str>,
}

/// How a package is serviced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// A site's own minimum: the build itself is what is asked for, whatever brings it.
    Required,
    /// Cumulative: the monthly update of NT 10, or a rollup of NT 6.
    Cumulative,
    /// Without a restart, between two cumulative builds.
    Hotpatch,
    /// Security-only, or a part of the system with packages of its own.
    Separate,
}

impl Track {
    /// The track by the name that documents give it.
    pub fn named(name: &str) -> Self {
        let is = |word: &str| name.eq_ignore_ascii_case(word);
        if is("LCU") || is("Security Update") || is("Monthly Rollup") {
            Self::Cumulative
        } else if is("HOTPATCH") || is("SecurityHotpatchUpdate") {
            Self::Hotpatch
        } else {
            Self::Separate
        }
    }
}

/// When the fix was published and what is known of the branch's builds: guard 2.
#[derive(Debug, Clone, Copy)]
pub struct Months<'a> {
    /// Month of the fix, counted from any fixed beginning.
    pub fixed: u32,
    /// Cumulative builds with the month in which each was published.
    pub builds: &'a [(&'a str, u32)],
}

/// What shows that a fix is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The build of its own branch.
    Build,
    /// The build of a branch that is serviced together with it.
    Family,
    /// A cumulative build that was published in the same month or later.
    Month,
    /// The update itself.
    Update,
}

/// What holds, and why in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowsVerdict {
    /// What holds.
    pub outcome: Outcome,
    /// What a FIXED rests on; `None` for everything else.
    pub basis: Option<Basis>,
    /// For a person.
    pub why: String,
}

/// Judges one line. No update that is missing makes anything affected.
pub fn judge(host: &WindowsHost<'_>, fixes: &[Fix<'_>], months: Option<Months<'_>>) -> WindowsVerdict {
    let Some(installed) = Build::read(host.build) else {
        let why = format!("`{}` is no Windows build of four numbers", host.build);
        return unknown(Reason::VersionNotComparable, why);
    };
    let stands: Vec<(Fix<'_>, Stand)> =
        fixes.iter().map(|it| (*it, stand(installed, host, it, months))).collect();
    let verdict = together(installed, host, &stands);
    if verdict.outcome == Outcome::FIXED && host.restart_pending {
        return unknown(Reason::RestartPending, format!("{}, and a restart is pending", verdict.why));
    }
    verdict
}

/// Where the host stands to one package.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stand {
    /// It has it.
    Has(Basis, String),
    /// Its build is lower, in the same branch or family.
    Below(String),
    /// Nobody can tell.
    Unclear(Reason, String),
    /// It is of a part with packages of its own, which the host's build says nothing about.
    Apart(String),
}

fn stand(installed: Build, host: &WindowsHost<'_>, fix: &Fix<'_>, months: Option<Months<'_>>) -> Stand {
    let evident = || fix.update.filter(|it| fix.track != Track::Hotpatch && is_there(host, it));
    let by_update = |update: &str| Stand::Has(Basis::Update, format!("{update} is installed"));
    let Some(text) = fix.build else {
        if let Some(update) = evident() {
            return by_update(update);
        }
        if let Some(why) = months.and_then(|it| later_month(installed, it)) {
            return Stand::Has(Basis::Month, why);
        }
        let update = fix.update.unwrap_or("a fix");
        let why =
            format!("no build is published for {update}, and an update that is not listed proves nothing");
        return Stand::Unclear(Reason::AdvisoryOutdated, why);
    };
    let Some(fixed) = Build::read(text).filter(|it| it.major >= 6) else {
        let why = format!("`{text}` is no build of the system: that part has packages of its own");
        return evident().map_or(Stand::Apart(why), by_update);
    };
    let basis = match (installed.branch() == fixed.branch(), installed.is_family_of(fixed)) {
        (true, _) => Basis::Build,
        (false, true) => Basis::Family,
        (false, false) => {
            let why = format!(
                "build {} is of another branch than {text}: revisions compare only where major.minor.build is equal",
                host.build
            );
            return evident().map_or(Stand::Unclear(Reason::BranchUnknown, why), by_update);
        }
    };
    let family = if basis == Basis::Family { ", a branch that is serviced together with it" } else { "" };
    if installed.revision >= fixed.revision {
        return Stand::Has(basis, format!("build {installed} is at or above {fixed}{family}"));
    }
    let below = format!("build {installed} is below {fixed}{family}");
    match (fix.track, installed.major) {
        (Track::Required | Track::Hotpatch, _) | (Track::Cumulative | Track::Separate, 10..) => {
            Stand::Below(below)
        }
        (Track::Cumulative | Track::Separate, _) => {
            let why = format!("{below}, and packages of this Windows do not all raise it");
            evident().map_or(Stand::Unclear(Reason::TrackUnknown, why), by_update)
        }
    }
}

fn together(installed: Build, host: &WindowsHost<'_>, stands: &[(Fix<'_>, Stand)]) -> WindowsVerdict {
    let is_hotpatch = |it: &&(Fix<'_>, Stand)| it.0.track == Track::Hotpatch;
    // A part beside the system needs a proof of its own: guard 4.
    let part = stands.iter().find_map(|(_, it)| match it {
        Stand::Apart(why) if installed.major < 10 => Some(why.clone()),
        Stand::Has(..) | Stand::Below(_) | Stand::Unclear(..) | Stand::Apart(_) => None,
    });
    if let Some(why) = part {
        return unknown(Reason::TrackUnknown, why);
    }
    if let Some((basis, why)) = stands.iter().filter(|it| !is_hotpatch(it)).find_map(|it| it.1.has()) {
        return WindowsVerdict { outcome: Outcome::FIXED, basis: Some(basis), why };
    }
    if let Some((fix, (_, why))) = stands.iter().filter(is_hotpatch).find_map(|it| Some((it.0, it.1.has()?)))
    {
        if host.is_hotpatched && fix.update.is_some_and(|it| is_there(host, it)) {
            return WindowsVerdict { outcome: Outcome::FIXED, basis: Some(Basis::Update), why };
        }
        let why = format!(
            "{why}, which is a hotpatch, and below the cumulative update: only the hotpatch on a host that runs it proves \
             anything"
        );
        return unknown(Reason::TrackUnknown, why);
    }
    let below = stands.iter().find_map(|(_, it)| match it {
        Stand::Below(why) => Some(why.clone()),
        Stand::Has(..) | Stand::Unclear(..) | Stand::Apart(_) => None,
    });
    if let Some(why) = below {
        return WindowsVerdict { outcome: Outcome::AFFECTED, basis: None, why };
    }
    let unclear = stands.iter().find_map(|(_, it)| match it {
        Stand::Unclear(reason, why) => Some((*reason, why.clone())),
        Stand::Apart(why) => Some((Reason::TrackUnknown, why.clone())),
        Stand::Has(..) | Stand::Below(_) => None,
    });
    let (reason, why) =
        unclear.unwrap_or_else(|| (Reason::AdvisoryOutdated, "the line names no fix".to_owned()));
    unknown(reason, why)
}

impl Stand {
    fn has(&self) -> Option<(Basis, String)> {
        match self {
            Self::Has(basis, why) => Some((*basis, why.clone())),
            Self::Below(_) | Self::Unclear(..) | Self::Apart(_) => None,
        }
    }
}

/// Guard 2: the host is at a build of the fix's month or of a later one.
fn later_month(installed: Build, months: Months<'_>) -> Option<String> {
    let reached = |text: &str| {
        let build = Build::read(text)?;
        let together = installed.branch() == build.branch() || installed.is_family_of(build);
        (together && installed.major >= 10 && installed.revision >= build.revision).then_some(build)
    };
    let mut later = months.builds.iter().filter(|it| it.1 >= months.fixed);
    let build = later.find_map(|it| reached(it.0))?;
    Some(format!(
        "build {installed} is at or above {build}, which holds every fix of its branch up to that month"
    ))
}

fn is_there(host: &WindowsHost<'_>, update: &str) -> bool {
    host.updates.iter().any(|it| it.eq_ignore_ascii_case(update))
}

fn unknown(reason: Reason, why: String) -> WindowsVerdict {
    WindowsVerdict { outcome: Outcome::unknown(reason), basis: None, why }
}

/// Four numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Build {
    pub(super) major: u64,
    minor: u64,
    pub(super) build: u64,
    revision: u64,
}

impl Build {
    /// Reads a build with its revision; `None` for everything else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.').map(|it| {
            let is_number = !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
            is_number.then(|| it.parse().ok()).flatten()
        });
        let mut part = || parts.next().flatten();
        let build = Self { major: part()?, minor: part()?, build: part()?, revision: part()? };
        parts.next().is_none().then_some(build)
    }

    /// What its revision counts in.
    pub(super) fn branch(self) -> (u64, u64, u64) {
        (self.major, self.minor, self.build)
    }

    /// Whether the two branches get the same revision from the same update.
    pub(super) fn is_family_of(self, other: Self) -> bool {
        let nt_10 = (self.major, self.minor) == (10, 0) && (other.major, other.minor) == (10, 0);
        let both = |(first, last): &(u64, u64)| {
            (*first..=*last).contains(&self.build) && (*first..=*last).contains(&other.build)
        };
        nt_10 && FAMILIES.iter().any(both)
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.major, self.minor, self.build, self.revision)
    }
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
