//! What two readings of one expectation come to, and several expectations of one target.

use holdpoint_common::proto::store::ControlRecord;
use holdpoint_common::row::SectionKind;

use crate::assess::Verdict as Outcome;
use crate::change::expectation::{Finding, Reading, why_open};
use crate::change::snapshot::Snapshot;
use crate::change::word::{Verdict, Why};
use crate::triage::control::{self, Tested, Typed};

/// A verdict with its reason and one sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) verdict: Verdict,
    pub(super) why: Option<Why>,
    pub(super) text: String,
}

impl Said {
    pub(super) fn new(verdict: Verdict, text: impl Into<String>) -> Self {
        Self { verdict, why: None, text: text.into() }
    }

    pub(super) fn inconclusive(why: Why, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Inconclusive, why: Some(why), text: text.into() }
    }

    fn not_live(why: Why, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::InstalledNotLive, why: Some(why), text: text.into() }
    }
}

/// What is known beside the two readings.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and any may be true with any")]
pub(super) struct Circumstances {
    /// The fix counts after a restart alone.
    pub(super) needs_restart: bool,
    /// The host was started between the snapshots.
    pub(super) is_restarted: bool,
    /// The old state is what is asked for.
    pub(super) is_rolled_back: bool,
    /// A good verdict of this stage, with the revision of its entry.
    pub(super) met_before: Option<(Verdict, u64)>,
    /// A section that decides was complete before and is not any more.
    pub(super) lowered: Option<String>,
    /// The planner wrote the name, and nothing else says that it is one.
    pub(super) names_by_hand: bool,
}

/// What two readings come to.
pub(super) fn said(pre: &Reading, post: &Reading, around: &Circumstances) -> Said {
    let (was, is) = (&pre.text, &post.text);
    let is_bad = matches!(post.finding, Finding::Fails | Finding::Several);
    if around.is_rolled_back && is_bad && post.is_as(pre) {
        return Said::new(Verdict::RolledBack, format!("as before the work: {is}"));
    }
    if is_bad
        && !around.is_rolled_back
        && let Some((before, revision)) = around.met_before
    {
        return Said::new(
            Verdict::Regressed,
            format!("entry {revision} of this change says {before}, and now {is}"),
        );
    }
    match (pre.finding, post.finding) {
        (_, Finding::Several) if is_better(pre, post) => {
            Said::new(Verdict::Partial, format!("before: {was}; some are fixed and some are not: {is}"))
        }
        (_, Finding::Fails | Finding::Several) => {
            Said::new(Verdict::NotRemediated, format!("before: {was}; still not as expected: {is}"))
        }
        (_, Finding::Contradicted) => {
            Said::new(Verdict::Contradicted, format!("two sources of equal rank disagree: {is}"))
        }
        (_, Finding::NotLive(why)) => Said::not_live(why, format!("installed and not in effect: {is}")),
        (_, Finding::Unknown(_)) if around.lowered.is_some() => {
            let sections = around.lowered.as_deref().unwrap_or_default();
            Said::inconclusive(Why::CoverageLower, format!("less was read than before ({sections}): {is}"))
        }
        (_, Finding::Unknown(why)) => Said::inconclusive(why, format!("nobody can tell: {is}")),
        (Finding::Unknown(why), Finding::Holds | Finding::Gone) => Said::inconclusive(
            why,
            format!("as expected now ({is}), and nobody can tell what was before: {was}"),
        ),
        (Finding::Contradicted, Finding::Holds | Finding::Gone) => Said::new(
            Verdict::Contradicted,
            format!("two sources of equal rank disagree about what was before: {was}"),
        ),
        (Finding::Gone, Finding::Gone) if around.names_by_hand => Said::inconclusive(
            Why::NoRule,
            "nothing of that name was installed before or after, so nothing shows that the name is right",
        ),
        (Finding::Holds | Finding::Gone, Finding::Holds | Finding::Gone) => {
            Said::new(Verdict::AlreadyRemediated, format!("as expected before the work: {was}; now: {is}"))
        }
        (Finding::Fails | Finding::Several | Finding::NotLive(_), Finding::Gone) => {
            Said::new(Verdict::RemediatedOtherwise, format!("before: {was}; now: {is}"))
        }
        (Finding::Fails | Finding::Several | Finding::NotLive(_), Finding::Holds)
            if around.needs_restart && !around.is_restarted =>
        {
            let text = format!("before: {was}; now: {is}, and the host was not restarted since");
            Said::not_live(Why::RestartPending, text)
        }
        (Finding::Fails | Finding::Several | Finding::NotLive(_), Finding::Holds) => {
            Said::new(Verdict::Remediated, format!("before: {was}; now: {is}"))
        }
    }
}

/// Whether more instances are fixed than before, or fewer are not.
fn is_better(pre: &Reading, post: &Reading) -> bool {
    let count = |it: &Reading, good: bool| {
        it.instances.iter().filter(|it| it.outcome.verdict().is_good() == good).count()
    };
    let affected =
        |it: &Reading| it.instances.iter().filter(|it| it.outcome.verdict() == Outcome::Affected).count();
    affected(post) < affected(pre) || count(post, true) > count(pre, true)
}

/// The verdict where a control was declared: what still affects is mitigated while the control is seen working.
pub(super) fn mitigated(said: Said, post: &Reading, snapshot: &Snapshot, control: &ControlRecord) -> Said {
    if !matches!(said.verdict, Verdict::NotRemediated | Verdict::Partial)
        || !matches!(post.finding, Finding::Fails | Finding::Several)
    {
        return said;
    }
    let section = snapshot.section(SectionKind::Hardening);
    let rows = section.and_then(|it| it.rows.as_deref()).map(Vec::as_slice);
    let typed = Typed(control);
    let is = &post.text;
    match control::test(control, rows, true) {
        Tested::Holds if why_open(section).is_none() => Said::new(
            Verdict::Mitigated,
            format!("still affected ({is}); the control `{typed}` was seen working"),
        ),
        Tested::Holds => Said {
            text: format!("{}; whether the control `{typed}` works was not read completely", said.text),
            ..said
        },
        Tested::Broken(why) | Tested::Open(why) => {
            Said { text: format!("{}; the control does not help: {why}", said.text), ..said }
        }
    }
}

/// What is said of a target: the worst of its expectations. What held before the work anyway says nothing about the
/// work, so it speaks only where nothing else does.
pub(super) fn whole(all: &[Said]) -> Said {
    let is_work = |it: &&Said| it.verdict != Verdict::AlreadyRemediated;
    let worst = all.iter().filter(is_work).min_by_key(|it| it.verdict).or_else(|| all.first());
    match worst {
        Some(worst) if all.len() == 1 => worst.clone(),
        Some(worst) => {
            let same = all.iter().filter(|it| it.verdict == worst.verdict).count();
            let text = if same == all.len() {
                format!("all {same} expectations are {}", worst.verdict)
            } else {
                format!("{same} of {} expectations: {}", all.len(), worst.text)
            };
            Said { text, ..worst.clone() }
        }
        // Nothing was expected, so nothing was looked at.
        None => Said::new(Verdict::NotAssessed, "nothing was expected of this target"),
    }
}
