//! Members of a pack, read one after the other as if each were taken.

use holdpoint_common::chain::Chain;
use holdpoint_common::one_shot::is_one_shot;
use holdpoint_common::pack::Listed;
use holdpoint_common::proto::v1 as pb;
use holdpoint_common::section::Digest;

use crate::knowledge::text::shown;
use crate::knowledge::{ImportError, Rehearsal};
use crate::packs::{Contents, MAX_UNPACKED, QuarantineError, measure};

/// Lines about one member in an answer.
const MAX_LINES: usize = 20;

/// What each member of a pack that waits would do now, or why the pack cannot be taken.
pub(super) fn rehearse(
    rehearsal: Rehearsal,
    contents: &Contents,
    now_ms: i64,
) -> Result<Result<Vec<pb::PackMember>, String>, QuarantineError> {
    let mut trial = Trial::new(rehearsal, now_ms);
    let mut members = Vec::with_capacity(contents.manifest.members.len());
    for (number, listed) in contents.manifest.members.iter().enumerate() {
        match trial.member(listed, &contents.member(number)?) {
            Ok(member) => members.push(member),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(members))
}

/// Members that are read one after the other, as if each were taken.
pub(super) struct Trial {
    rehearsal: Rehearsal,
    unpacked: u64,
    now_ms: i64,
}

impl Trial {
    /// Nothing is read yet.
    pub(super) fn new(rehearsal: Rehearsal, now_ms: i64) -> Self {
        Self { rehearsal, unpacked: 0, now_ms }
    }

    /// What a member would do, or why the whole pack cannot be taken.
    pub(super) fn member(&mut self, listed: &Listed, bytes: &[u8]) -> Result<pb::PackMember, String> {
        let name = &listed.name;
        if is_one_shot(bytes) {
            return Err(format!("`{name}` is a scan of a host: `holdpoint import` takes it by itself"));
        }
        self.unpacked = measure(self.unpacked, bytes)
            .ok_or_else(|| format!("its files unpack to more than {} MiB", MAX_UNPACKED >> 20))?;
        let member = pb::PackMember {
            name: name.clone(),
            kind: listed.kind.clone(),
            size: listed.size,
            digest: Digest::of(bytes).to_vec(),
            ..pb::PackMember::default()
        };
        let tried = match self.rehearsal.take(name, bytes, self.now_ms) {
            Ok(tried) => tried,
            // Older than what is held, or not to be placed beside it: the rest of the pack is good all the same.
            Err(ImportError::Revision(why)) => {
                return Ok(pb::PackMember { left_out: Some(why), ..member });
            }
            Err(why) => return Err(format!("`{name}`: {}", Chain(&why))),
        };
        if tried.kind.as_str() != listed.kind {
            let (said, seen) = (shown(&listed.kind, 40), tried.kind.as_str());
            return Err(format!("`{name}` is listed as {said} and is {seen}"));
        }
        Ok(pb::PackMember {
            items: tried.items,
            unchanged: tried.unchanged,
            skipped: bounded(tried.skipped),
            changes: bounded(tried.changes),
            faults: tried.faults,
            ..member
        })
    }
}

/// The first lines of a list: thousands of files answer together.
fn bounded(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(MAX_LINES);
    if more > 0 {
        lines.truncate(MAX_LINES);
        lines.push(format!("and {more} more"));
    }
    lines
}
