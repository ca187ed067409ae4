//! One requirement against what is installed, or against the build that runs.

use std::cmp::Ordering;

use holdpoint_common::version::Scheme;

use crate::knowledge::{Requirement, Wanted};

use super::asset::{Coverage, PlatformFacts};
use super::explain::{Step, Trace};
use super::verdict::{Outcome, Reason};
use super::windows::{self, Fix, Track, WindowsHost};

/// What is installed against the minimum.
pub(super) fn judge_version(
    requirement: &Requirement,
    installed: Option<&str>,
    trace: &mut Trace,
) -> Outcome {
    let Some(installed) = installed else {
        trace.add(|| Step::new("comparison", "the source does not say which version is installed"));
        return Outcome::unknown(Reason::VersionMissing);
    };
    let (scheme, minimum) = (requirement.scheme, requirement.minimum.as_str());
    match scheme.order(installed, minimum) {
        Ok(order) => {
            trace.add(|| Step::new("comparison", compared(installed, order, minimum, scheme)));
            if order == Ordering::Less { Outcome::AFFECTED } else { Outcome::FIXED }
        }
        Err(why) => {
            trace.add(|| {
                Step::new(
                    "comparison",
                    format!("{installed} and {minimum} cannot be compared by {scheme}: {why}"),
                )
            });
            Outcome::unknown(Reason::VersionNotComparable)
        }
    }
}

/// Says how two versions stand to each other.
fn compared(installed: &str, order: Ordering, minimum: &str, scheme: Scheme) -> String {
    let words = match order {
        Ordering::Less => "is older than",
        Ordering::Equal => "is the same version as",
        Ordering::Greater => "is newer than",
    };
    format!("{installed} {words} {minimum} by {scheme}")
}

/// The build or kernel against the minimum; `None` when the requirement is about another system.
pub(super) fn judge_platform(
    requirement: &Requirement,
    platform: Option<&PlatformFacts>,
    coverage: Coverage,
    trace: &mut Trace,
) -> Option<(Outcome, Option<String>)> {
    let Some(platform) = platform else {
        trace.add(|| Step::new("row", "there is no platform row"));
        return Some((Outcome::unknown(Reason::SectionIncomplete), None));
    };
    let doubted = |outcome: Outcome| match coverage {
        Coverage::Complete => outcome,
        Coverage::Incomplete | Coverage::Missing => outcome.doubt_good(Reason::SectionIncomplete),
    };
    match &requirement.wanted {
        Wanted::Software { .. } => None,
        Wanted::Kernel => {
            let running = platform.kernel_running.as_deref();
            trace.add(|| {
                let text = format!(
                    "the running kernel is {}, the newest on disk is {} (source {})",
                    running.unwrap_or("not known"),
                    platform.kernel_newest.as_deref().unwrap_or("not known"),
                    platform.source
                );
                Step::new("row", text)
            });
            let outcome = judge_version(requirement, running, trace);
            let newest = platform.kernel_newest.as_deref();
            let on_disk = outcome == Outcome::AFFECTED
                && newest.is_some_and(|it| {
                    judge_version(requirement, Some(it), &mut Trace::off()) == Outcome::FIXED
                });
            let outcome = if on_disk {
                trace.add(|| {
                    Step::new("comparison", "a kernel that will do is on disk and waits for a restart")
                });
                Outcome::RESTART_PENDING
            } else {
                doubted(outcome)
            };
            Some((outcome, running.map(str::to_owned)))
        }
        Wanted::Build { os } => {
            let Some(name) = platform.os_name.as_deref() else {
                trace.add(|| Step::new("row", "the platform row names no operating system"));
                return os
                    .is_anything()
                    .then(|| build(requirement, platform, trace))
                    .map(|it| (doubted(it), platform.build.clone()))
                    .or(Some((Outcome::unknown(Reason::IdentityUnconfirmed), None)));
            };
            trace.add(|| {
                let build = platform.build.as_deref().unwrap_or("not known");
                Step::new(
                    "row",
                    format!("the operating system is {name}, build {build} (source {})", platform.source),
                )
            });
            if !os.matches(name) {
                return None;
            }
            Some((doubted(build(requirement, platform, trace)), platform.build.clone()))
        }
    }
}

fn build(requirement: &Requirement, platform: &PlatformFacts, trace: &mut Trace) -> Outcome {
    let installed = platform.build.as_deref();
    let (Scheme::Win4, Some(build), true) =
        (requirement.scheme, installed, names_revision(&requirement.minimum))
    else {
        return judge_version(requirement, installed, trace);
    };
    let host =
        WindowsHost { build, updates: &[], restart_pending: platform.restart_pending, is_hotpatched: false };
    let fix = Fix { build: Some(&requirement.minimum), track: Track::Required, update: None };
    let judged = windows::judge(&host, &[fix], None);
    trace.add(|| Step::new("comparison", judged.why));
    judged.outcome
}

/// A minimum without a revision names a branch and not a revision in it.
fn names_revision(minimum: &str) -> bool {
    minimum.split('.').count() > 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::Pattern;

    fn judged(build: &str, minimum: &str, restart_pending: bool) -> (Outcome, String) {
        let requirement = Requirement {
            id: "R".into(),
            wanted: Wanted::Build { os: Pattern::new("Windows*").unwrap() },
            minimum: minimum.into(),
            scheme: Scheme::Win4,
            role: None,
            reference: None,
            title: None,
        };
        let platform = PlatformFacts {
            os_name: Some("Windows 10 Enterprise LTSC".into()),
            build: Some(build.into()),
            restart_pending,
            ..PlatformFacts::default()
        };
        let mut trace = Trace::on();
        let found = judge_platform(&requirement, Some(&platform), Coverage::Complete, &mut trace);
        let told = trace.take().into_iter().map(|it| it.text).collect::<Vec<_>>().join("; ");
        (found.unwrap().0, told)
    }

    #[test]
    fn a_build_counts_in_its_branch_or_family_and_after_the_restart_that_it_waits_for() {
        let outcome = |build, minimum, pending| judged(build, minimum, pending).0;
        assert_eq!(outcome("10.0.17763.6414", "10.0.17763.6414", false), Outcome::FIXED);
        assert_eq!(outcome("10.0.17763.107", "10.0.17763.6414", true), Outcome::AFFECTED);
        let (family, told) = judged("10.0.19045.5131", "10.0.19044.5073", false);
        assert!(family == Outcome::FIXED && told.contains("serviced together"), "{told}");
        let pending = Outcome::unknown(Reason::RestartPending);
        assert_eq!(outcome("10.0.17763.6414", "10.0.17763.6414", true), pending);
        let branch = Outcome::unknown(Reason::BranchUnknown);
        assert_eq!(outcome("10.0.22631.4000", "10.0.22000.3260", false), branch);
    }

    #[test]
    fn a_site_asks_for_a_build_itself_so_that_a_lower_one_is_affected_on_nt_6_too() {
        assert_eq!(judged("6.1.7601.24443", "6.1.7601.27670", false).0, Outcome::AFFECTED);
        assert_eq!(judged("10.0.19045.1", "10.0.19044", false).0, Outcome::FIXED, "a branch and no revision");
    }
}
