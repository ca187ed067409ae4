//! The product map as a whole: listed, written as a file, reviewed, and what of both sides it reaches.

use holdpoint_common::proto::store::MapRuleRecord;
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::section::Digest;
use tonic::Status;

use crate::assess::{Class, Side};
use crate::knowledge::map::CONFIRMED;
use crate::knowledge::map_file::{self, AdvisorySide, Decision, InstalledSide, MapFile, MapRule, Publisher};
use crate::knowledge::name_pattern::NamePattern;
use crate::knowledge::text::shown;
use crate::knowledge::{Knowledge, map as pairs};

use super::{KnowledgeService, Office, blocking};

/// Items of an answer when nothing is said.
const DEFAULT_LIMIT: usize = 200;
/// Most items of an answer.
const MAX_LIMIT: usize = 1_000;
/// Bytes of one part of an exported file.
const PART: usize = 1024 * 1024;

fn limit_of(limit: u32) -> usize {
    match usize::try_from(limit).unwrap_or(usize::MAX) {
        0 => DEFAULT_LIMIT,
        limit => limit.min(MAX_LIMIT),
    }
}

fn skip_of(skip: u32) -> usize {
    usize::try_from(skip).unwrap_or(usize::MAX)
}

/// A part of the whole map as a file.
pub(super) fn part_of(knowledge: &Knowledge, offset: u64) -> pb::ExportMapResponse {
    let written = map_file::write(&knowledge.rules, knowledge.maps.iter().map(|it| it.content.as_ref()));
    let bytes = written.text.as_bytes();
    let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let to = bytes.len().min(from.saturating_add(PART));
    pb::ExportMapResponse {
        part: bytes[from..to].to_vec(),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        digest: Digest::of(bytes).to_vec(),
        items: written.items,
        left_out: written.left_out,
    }
}

impl<O: Office> KnowledgeService<O> {
    pub(super) async fn list_entries(
        &self,
        wanted: pb::ListMapRequest,
    ) -> Result<pb::ListMapResponse, Status> {
        let pb::ListMapRequest { limit, skip } = wanted;
        let knowledge = self.library.current();
        let now_ms = self.office.now_ms();
        let bound = self.ask(move |board, now_ms, _| board.bound_products(now_ms)).await?;
        let decisions = knowledge.rules.iter().map(|it| decision_entry(it, now_ms));
        let rules = knowledge
            .maps
            .iter()
            .flat_map(|held| held.content.rules.iter().map(|it| rule_entry(it, &held.source.file, now_ms)));
        let facts = knowledge.maps.iter().flat_map(|held| facts_of(&held.content, &held.source.file, now_ms));
        let all = decisions.chain(rules).chain(facts);
        let total = knowledge.rules.len()
            + knowledge
                .maps
                .iter()
                .map(|it| it.content.rules.len() + it.content.declared.len())
                .sum::<usize>();
        let entries = all.skip(skip_of(skip)).take(limit_of(limit)).map(|mut it| {
            let key = (it.file.clone().unwrap_or_default(), it.id.clone());
            it.bound = bound.get(&key).copied().unwrap_or(0);
            it
        });
        Ok(pb::ListMapResponse {
            entries: entries.collect(),
            total: u32::try_from(total).unwrap_or(u32::MAX),
        })
    }

    pub(super) async fn review_map(&self, wanted: pb::LintMapRequest) -> Result<pb::LintMapResponse, Status> {
        let file = match wanted.file {
            None => None,
            Some(bytes) => {
                let read = blocking(move || {
                    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
                    map_file::read(text).map_err(|it| it.to_string())
                });
                Some(read.await?.map_err(Status::invalid_argument)?)
            }
        };
        let (lints, looked_at) = self.ask(move |board, now_ms, _| board.review_map(file, now_ms)).await?;
        let lint = |it: map_file::Lint| pb::MapLint {
            severity: it.severity.as_str().to_owned(),
            rule: it.rule,
            text: it.text,
        };
        Ok(pb::LintMapResponse { lints: lints.into_iter().map(lint).collect(), looked_at })
    }

    pub(super) async fn standings(
        &self,
        wanted: pb::MapStatusRequest,
    ) -> Result<pb::MapStatusResponse, Status> {
        let pb::MapStatusRequest { side, class, limit, skip } = wanted;
        let side = Side::named(&side)
            .ok_or_else(|| Status::invalid_argument("the side is `installed` or `advisory`"))?;
        let class = class
            .map(|it| Class::named(&it).ok_or_else(|| Status::invalid_argument(Class::known())))
            .transpose()?;
        let all = self.ask(move |board, now_ms, _| board.standings(side, now_ms)).await?;
        let count = |class: Class| {
            let count = all.iter().filter(|it| it.class == class).count();
            pb::MapCount { class: class.as_str().to_owned(), count: u32::try_from(count).unwrap_or(u32::MAX) }
        };
        let counts = side.classes().iter().map(|&it| count(it)).collect();
        let of_class: Vec<_> =
            all.into_iter().filter(|it| class.is_none_or(|class| it.class == class)).collect();
        let total = u32::try_from(of_class.len()).unwrap_or(u32::MAX);
        let standing = |it: crate::assess::Standing| pb::MapStanding {
            class: it.class.as_str().to_owned(),
            company: it.company,
            name: it.name,
            source: it.source,
            assets: it.assets,
            advisories: it.advisories,
        };
        let standings =
            of_class.into_iter().skip(skip_of(skip)).take(limit_of(limit)).map(standing).collect();
        Ok(pb::MapStatusResponse { standings, counts, total })
    }
}

fn decision_entry(rule: &MapRuleRecord, now_ms: i64) -> pb::MapEntry {
    let publisher = rule.installed_publisher.as_deref().map_or(String::new(), |it| format!(" by {it}"));
    pb::MapEntry {
        kind: "decision".to_owned(),
        id: rule.id.clone(),
        decision: if rule.decision == CONFIRMED { "same" } else { "not" }.to_owned(),
        valid: pairs::is_valid(rule, now_ms),
        file: None,
        vendors: vec![rule.vendor.clone()],
        products: vec![rule.product.clone()],
        installed: format!("{}{publisher} ({})", rule.installed_name, rule.source),
        scheme: rule.scheme.clone().or_else(|| {
            let file = rule.details.as_deref().and_then(|it| map_file::read(it).ok())?;
            file.rules.first()?.reading.map(|it| it.scheme.name().to_owned())
        }),
        by: rule.by.clone(),
        at_ms: rule.at_ms,
        why: rule.why.clone(),
        expires_ms: rule.expires_ms,
        bound: 0,
    }
}

fn rule_entry(rule: &MapRule, file: &str, now_ms: i64) -> pb::MapEntry {
    let AdvisorySide { vendors, products, order_numbers, .. } = &rule.advisory;
    pb::MapEntry {
        kind: "rule".to_owned(),
        id: rule.id.clone(),
        decision: match rule.decision {
            Decision::Same => "same".to_owned(),
            Decision::Not { .. } => "not".to_owned(),
        },
        valid: rule.signed.is_valid(now_ms),
        file: Some(file.to_owned()),
        vendors: vendors.clone(),
        products: products.iter().chain(order_numbers).cloned().collect(),
        installed: installed_text(&rule.installed),
        scheme: rule.reading.map(|it| it.scheme.name().to_owned()),
        by: rule.signed.author.clone(),
        at_ms: rule.signed.at_ms,
        why: rule.signed.evidence.clone(),
        expires_ms: rule.signed.expires_ms,
        bound: 0,
    }
}

fn facts_of<'a>(file: &'a MapFile, name: &'a str, now_ms: i64) -> impl Iterator<Item = pb::MapEntry> + 'a {
    file.declared.iter().map(move |it| pb::MapEntry {
        kind: "fact".to_owned(),
        id: it.fact.id.clone(),
        decision: it.value.clone(),
        valid: it.signed.is_valid(now_ms),
        file: Some(name.to_owned()),
        vendors: Vec::new(),
        products: Vec::new(),
        installed: it.asset.clone(),
        scheme: None,
        by: it.signed.author.clone(),
        at_ms: it.signed.at_ms,
        why: it.signed.evidence.clone(),
        expires_ms: it.signed.expires_ms,
        bound: 0,
    })
}

/// An inventory side in one line.
fn installed_text(side: &InstalledSide) -> String {
    let InstalledSide { source, publisher, name, package, file, product_code, order_number } = side;
    let mut parts: Vec<String> = name.iter().map(|it| NamePattern::as_str(it).to_owned()).collect();
    for (word, value) in
        [("package", package), ("file", file), ("product code", product_code), ("order number", order_number)]
    {
        parts.extend(value.iter().map(|it| format!("{word} {it}")));
    }
    match publisher {
        None => {}
        Some(Publisher::Absent) => parts.push("without a publisher".to_owned()),
        Some(Publisher::Like(pattern)) => parts.push(format!("by {}", pattern.as_str())),
    }
    parts.extend(source.iter().map(|it| format!("({it})")));
    shown(&parts.join(" "), 300)
}
