//! Retelling a finding from the rows: every link from what is stated to what follows.

use std::fmt::Write;

use holdpoint_common::proto::v1::SectionKind;

use crate::knowledge::text::shown;
use crate::knowledge::{HeldAdvisory, Identity, Kind, Source, Versions};

use super::asset::{AssetFacts, Coverage, Held, PlatformFacts};
use super::board::{Board, LastSeen};
use super::explain::{Explanation, Step, Trace};
use super::index::{Index, at};
use super::judge::{self, Judged};
use super::microsoft;
use super::package::{self, Distribution, Fit};
use super::page::{self, Weather};
use super::requirement::judge_platform;
use super::row::{self, Beside};
use super::subject::{Of, SubjectId};
use super::verdict::{Outcome, Reason};

impl Board {
    /// Retells how the outcome of one subject came about, from the rows.
    pub(super) fn chain(
        &self,
        index: &Index,
        facts: &AssetFacts,
        judged: &Judged,
        number: SubjectId,
        weather: &Weather,
        seen: LastSeen<'_>,
    ) -> Explanation {
        let subject = index.subject(number);
        let mut chain = Vec::new();
        let kind = match subject.map(|it| it.of) {
            Some(Of::Requirement(requirement)) => {
                chain.extend(requirement_steps(index, requirement, facts.role.as_deref()));
                Kind::Requirements
            }
            Some(of @ Of::Entry { advisory, vulnerability, entry, .. }) => {
                chain.extend(entry_steps(index, advisory, vulnerability, entry));
                page::kind_of(index, of)
            }
            None => Kind::Csaf,
        };
        let of = subject.map(|it| it.of);
        let identity = index.identity(number);
        let held = of.map_or(facts.software, |it| *page::decides(index, facts, it));
        let on_platform = identity == Some(&Identity::Windows)
            || matches!(of, Some(Of::Requirement(it)) if index.platform.contains(&it));
        chain.push(section_step(&held, if on_platform { "platform" } else { "software" }));
        let platform = self.sections.platform(&facts.platform);
        let applies = match of {
            Some(Of::Requirement(it)) => judge::applies(index, it, facts.role.as_deref()),
            Some(Of::Entry { .. }) | None => true,
        };
        let mut trace = Trace::on();
        let outcome = match of {
            Some(_) if !applies => None,
            Some(Of::Requirement(requirement)) if on_platform => index
                .requirement(requirement)
                .and_then(|it| judge_platform(it, platform.as_ref(), held.coverage, &mut trace))
                .map(|it| it.0),
            Some(Of::Entry { .. }) if on_platform => {
                self.on_windows(index, facts, platform.as_ref(), number, &mut trace)
            }
            Some(_) | None => {
                if matches!(identity, Some(Identity::Package(_))) {
                    chain.push(section_step(&facts.platform, "platform"));
                }
                let beside = self.sections.beside(index, facts, platform.as_ref());
                self.on_rows(index, facts, &beside, number, &mut trace)
            }
        };
        chain.extend(trace.take());
        let outcome = outcome.unwrap_or_else(|| {
            let (nothing, step) = if applies {
                nothing_found(index, number, platform.as_ref())
            } else {
                (Outcome::NO_PRODUCT, Step::new("requirement", "the requirement is for another role"))
            };
            chain.push(step);
            if applies && nothing == Outcome::NO_PRODUCT {
                chain.push(Step::new(
                    "row",
                    format!(
                        "{} installed things are known by name only: nothing that is held speaks of them",
                        judged.unidentified()
                    ),
                ));
            }
            let covered = judge::covered(nothing, if applies { held.coverage } else { Coverage::Complete });
            judge::released(index, number, covered, facts.platform.coverage)
        });
        chain.push(weather.feed_step(kind));
        let seen_ms = held.heard_ms(seen(&facts.id));
        let now = weather.over(outcome, kind, seen_ms);
        if let Some(step) = weather.age_step(seen_ms) {
            chain.push(step);
        }
        let reason = now.reason().map(|it| format!("({it})")).unwrap_or_default();
        let was = if now == outcome {
            String::new()
        } else {
            format!(", judged by the rows alone {}", outcome.verdict())
        };
        chain.push(Step::new("verdict", format!("{}{reason}{was}", now.verdict())));
        let subject = subject.map(|it| it.text.to_string()).unwrap_or_default();
        Explanation { subject, outcome: now, chain, grade: held.grade }
    }

    /// What the rows of software and firmware say.
    fn on_rows(
        &self,
        index: &Index,
        facts: &AssetFacts,
        beside: &Beside,
        number: SubjectId,
        trace: &mut Trace,
    ) -> Option<Outcome> {
        let held = &facts.software;
        let rows =
            held.digest.and_then(|it| self.sections.rows(SectionKind::Software, &it)).unwrap_or_default();
        let not_in_effect = self.sections.not_in_effect(&facts.live);
        let mut outcome: Option<Outcome> = None;
        for row::Explained { name, outcome: on_disk, steps } in
            rows.iter().filter_map(|it| row::explain(index, beside, it, number))
        {
            let found = not_in_effect.over(&name, on_disk);
            outcome = Some(outcome.map_or(found, |it| it.worse(found)));
            trace.extend(steps);
            if found != on_disk {
                trace.extend([section_step(&facts.live, "live")]);
                trace.extend(not_in_effect.step(&name));
            }
        }
        let firmware = facts.firmware.digest.map(|it| self.sections.firmware(&it)).unwrap_or_default();
        for row::Explained { outcome: found, steps, .. } in
            firmware.iter().filter_map(|it| row::explain(index, beside, it, number))
        {
            trace.extend([section_step(&facts.firmware, "firmware")]);
            trace.extend(steps);
            let found = judge::covered(found, facts.firmware.coverage);
            outcome = Some(outcome.map_or(found, |it| it.worse(found)));
        }
        let covered = outcome.map(|it| judge::covered(it, held.coverage));
        covered.map(|it| judge::released(index, number, it, facts.platform.coverage))
    }

    /// What the platform says, of a Windows.
    fn on_windows(
        &self,
        index: &Index,
        facts: &AssetFacts,
        platform: Option<&PlatformFacts>,
        number: SubjectId,
        trace: &mut Trace,
    ) -> Option<Outcome> {
        let platform = platform.filter(|it| it.is_windows())?;
        let updates = self.sections.updates(&facts.updates);
        trace.extend([section_step(&facts.updates, "updates")]);
        let host = microsoft::Host { platform, coverage: facts.platform.coverage, updates: &updates };
        let found = microsoft::judge(index, host, Some(number), trace);
        found.into_iter().find(|it| it.0 == number).map(|it| it.1)
    }
}

/// What holds where no row and no platform says anything of a subject.
pub(super) fn nothing_found(
    index: &Index,
    number: SubjectId,
    platform: Option<&PlatformFacts>,
) -> (Outcome, Step) {
    let withdrawn = match index.subject(number).map(|it| it.of) {
        Some(Of::Entry { advisory, .. }) => index.advisory(advisory).is_some_and(HeldAdvisory::is_withdrawn),
        Some(Of::Requirement(_)) | None => false,
    };
    match index.identity(number) {
        Some(Identity::Package(_) | Identity::Windows) if withdrawn => (
            Outcome::NO_PRODUCT,
            Step::new("document", "the statement was taken back, and it applied to nothing here"),
        ),
        Some(Identity::Package(ecosystem)) => {
            let distribution = Distribution::of(platform);
            let text = match distribution.fit(ecosystem) {
                Fit::No => format!(
                    "the host runs {}, and the record is about {}",
                    distribution.text(),
                    package::named(ecosystem)
                ),
                Fit::Yes | Fit::Unclear => {
                    "no package that was built from that source is installed".to_owned()
                }
            };
            (Outcome::NO_PRODUCT, Step::new("identity", text))
        }
        Some(Identity::Windows) if platform.is_none() => {
            let text = "there is no platform row, so nobody can tell which Windows it is";
            (Outcome::unknown(Reason::SectionIncomplete), Step::new("row", text))
        }
        Some(Identity::Windows) => (
            Outcome::NO_PRODUCT,
            Step::new("identity", "the host is not the Windows that the document names"),
        ),
        Some(Identity::Named) | None => row::nothing_found(index, number),
    }
}

/// The subject that a beginning means on an asset: the exact one, else the worst that was found, else the first.
pub(super) fn chosen(index: &Index, judged: &Judged, beginning: &str) -> Option<SubjectId> {
    let all = index.subjects.starting_with(beginning);
    let first = all.start;
    if all.is_empty() {
        return None;
    }
    if index.subject(first).is_some_and(|it| &*it.text == beginning) {
        return Some(first);
    }
    let found = all.filter_map(|it| judged.finding(it));
    Some(found.min_by_key(|it| it.outcome).map_or(first, |it| it.subject))
}

fn requirement_steps(index: &Index, number: u32, role: Option<&str>) -> Vec<Step> {
    let Some(held) = at(&index.knowledge.requirements, number) else { return Vec::new() };
    let requirement = &held.requirement;
    let mut text =
        format!("{} requires {} by {}", requirement.id, requirement.required(), requirement.scheme);
    for (word, value) in [
        ("title", &requirement.title),
        ("reference", &requirement.reference),
        ("only role", &requirement.role),
    ] {
        if let Some(value) = value {
            let _ = write!(text, "; {word}: {}", shown(value, 200));
        }
    }
    if requirement.role.is_some() {
        let _ = write!(text, "; this asset's role: {}", role.unwrap_or("none"));
    }
    vec![Step::new("requirement", text).resting_on(requirement.id.clone()), document_step(&held.source)]
}

fn document_step(source: &Source) -> Step {
    let text =
        format!("from {}, brought in by {}", shown(&source.file, 120), shown(&source.imported_by, 120));
    Step::new("document", text).resting_on(source.digest.to_string())
}

fn entry_steps(index: &Index, advisory: u32, vulnerability: u32, entry: u32) -> Vec<Step> {
    let Some(held) = index.advisory(advisory) else { return Vec::new() };
    let mut steps = vec![document_step(&held.source)];
    let revision = &held.advisory.revision;
    let mut text = format!(
        "{} version {} ({}): {}",
        revision.id, revision.version, held.advisory.status, held.advisory.title
    );
    if let Some(released_ms) = revision.released_ms {
        let _ = write!(text, "; released {}", page::time_text(released_ms));
    }
    if let Some(said) = index.vulnerability(advisory, vulnerability) {
        let severity = said.severity.as_deref().unwrap_or("no severity given");
        let _ = write!(text, "; {} {severity}", said.id);
        if !said.remediations.is_empty() {
            let _ = write!(text, "; offers {}", said.remediations.join(", "));
        }
    }
    steps.push(Step::new("document", text).resting_on(revision.id.clone()));
    if let Some(entry) = at(&held.advisory.entries, entry) {
        let versions = match &entry.versions {
            Versions::Range(text) | Versions::One(text) => format!("`{text}`"),
            Versions::All | Versions::InName | Versions::Events(_) | Versions::Builds(_) => {
                entry.versions.text().into_owned()
            }
        };
        let text = format!("entry {} is `{}` by `{}`, {versions}", entry.id, entry.product, entry.vendor);
        steps.push(Step::new("range", text).resting_on(entry.id.clone()));
    }
    steps
}

fn section_step(held: &Held, name: &str) -> Step {
    let status = holdpoint_common::row::status_name(held.status).unwrap_or("never reported");
    let received = held.received_ms.map_or_else(|| "never".to_owned(), page::time_text);
    let text = format!(
        "section {name}: newest attempt {status}, rows received {received}, sequence {}",
        held.sequence
    );
    let worth = held.grade.map(|it| format!("; evidence grade {it}: {}", it.meaning())).unwrap_or_default();
    let step = Step::new("section", text + &worth);
    match held.digest {
        Some(digest) => step.resting_on(digest.to_string()),
        None => step,
    }
}
