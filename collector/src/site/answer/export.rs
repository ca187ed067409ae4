//! A zone's present state as JSON, to be signed by the site.

use data_encoding::BASE64;
use holdpoint_common::bundle::Key;
use holdpoint_common::clock::readable;
use serde_json::{Value, json};

use super::zone::zone;
use crate::site::facts::Fact;
use crate::site::fleet::Member;

/// What the site believes of a zone, record by record, and how sure it is. From class, name, revision and
/// content of the records of the present incarnation the digest of the sender's state can be computed again.
pub fn state(member: &Member, now_ms: i64) -> Value {
    let shown = zone(member, now_ms);
    let time = |it: Option<i64>| it.map(readable);
    let gaps = shown.gaps.iter().map(|it| json!({ "from": it.from, "to": it.to, "state": it.state }));
    let alarms =
        shown.alarms.iter().map(|it| json!({ "kind": it.kind, "sequence": it.sequence, "text": it.text }));
    let drops: serde_json::Map<_, _> =
        shown.drops.iter().map(|it| (it.word.clone(), it.count.into())).collect();
    json!({
        "zone": shown.zone,
        "collector": shown.collector,
        "epoch": shown.epoch,
        "at": readable(now_ms),
        "last_sequence": shown.last_sequence,
        "heard": time(member.zone.heard_ms()),
        "converged_since": time(shown.converged_since_ms),
        "uncertain_since": time(shown.uncertain_since_ms),
        "policy": (!shown.policy.is_empty()).then_some(shown.policy),
        "redacted": shown.redacted,
        "gaps": gaps.collect::<Vec<_>>(),
        "alarms": alarms.collect::<Vec<_>>(),
        "drops": drops,
        "records": member.zone.facts().live().map(record).collect::<Vec<_>>(),
    })
}

fn record((key, fact): (&Key, &Fact)) -> Value {
    json!({
        "class": key.class().to_string(),
        "name": key.name(),
        "revision": fact.revision,
        "epoch": fact.epoch.to_string(),
        "sequence": fact.sequence,
        "since": readable(fact.since_ms),
        "said": readable(fact.said_ms),
        "content": fact.content.as_ref().map(|it| BASE64.encode(it)),
    })
}
