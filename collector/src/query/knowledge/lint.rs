//! `LintFeeds`: the faults of the advisories that are judged, a page at a time.

use std::collections::BTreeMap;

use holdpoint_common::proto::v1 as pb;
use tonic::Status;

use crate::knowledge::Knowledge;
use crate::knowledge::lint::{Fault, lint};
use crate::knowledge::text::shown;

/// Faults of a page when nothing is said.
const DEFAULT: usize = 1_000;
/// Most faults of a page: an answer stays within one message.
const MAX: usize = 5_000;

/// Reads what is held; the order is that of identifiers, so that pages fit together while nothing is imported.
pub(super) fn answer(
    knowledge: &Knowledge,
    request: &pb::LintFeedsRequest,
) -> Result<pb::LintFeedsResponse, Status> {
    let pb::LintFeedsRequest { advisory, limit, after } = request;
    let is_wanted = |id: &str| advisory.as_deref().is_none_or(|it| id.eq_ignore_ascii_case(it));
    let mut held: Vec<_> = knowledge
        .advisories
        .iter()
        .filter(|it| !it.superseded && (is_wanted(&it.advisory.revision.id) || is_wanted(&it.label())))
        .collect();
    if let (Some(wanted), true) = (advisory, held.is_empty()) {
        return Err(Status::not_found(format!("there is no advisory `{}`", shown(wanted, 80))));
    }
    held.sort_by(|one, two| one.advisory.revision.id.cmp(&two.advisory.revision.id));
    let limit = match usize::try_from(*limit).unwrap_or(MAX) {
        0 => DEFAULT,
        limit => limit.min(MAX),
    };
    let after = usize::try_from(*after).unwrap_or(usize::MAX);
    let mut by_kind = BTreeMap::new();
    let (mut total, mut page) = (0_usize, Vec::new());
    for it in &held {
        for fault in lint(&it.advisory) {
            *by_kind.entry(fault.kind).or_insert(0) += 1;
            if total >= after && page.len() < limit {
                page.push(message(it.label(), fault));
            }
            total += 1;
        }
    }
    let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
    Ok(pb::LintFeedsResponse {
        faults: page,
        total: count(total),
        advisories: count(held.len()),
        by_kind: by_kind
            .into_iter()
            .map(|(kind, count)| pb::FaultCount { kind: kind.as_str().to_owned(), count })
            .collect(),
    })
}

fn message(advisory: String, fault: Fault) -> pb::Fault {
    let Fault { kind, product, entry, vulnerability, text } = fault;
    pb::Fault {
        advisory,
        entry,
        product,
        vulnerability,
        kind: kind.as_str().to_owned(),
        consequence: kind.consequence().as_str().to_owned(),
        text,
    }
}
