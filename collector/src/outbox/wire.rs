//! What is told of the outbox, as messages.

use holdpoint_common::bundle::Class;
use holdpoint_common::bundle::resend::Code;
use holdpoint_common::proto::v1 as pb;

use super::office::Show;
use super::resend::Resent;
use super::run::Outbox;
use crate::carrier::drop::Written;

/// What a person may know of it now. One that does not work says why and nothing else.
pub fn state(outbox: &Outbox) -> pb::OutboxState {
    let policy = outbox.policy();
    let own = pb::OutboxState {
        policy: policy.level.as_str().to_owned(),
        redacted: policy.redacted.iter().map(ToString::to_string).collect(),
        ..pb::OutboxState::default()
    };
    let (stream, show) = match outbox.show() {
        Ok(shown) => shown,
        Err(error) => return pb::OutboxState { fault: error.to_string(), ..own },
    };
    let Show { epoch, head, waiting, waiting_bytes, oldest_ms, intervals, made_ms, slices, .. } = show;
    let tally = |class: Class| pb::OutboxTally {
        class: class.to_string(),
        taken_in: show.tally.taken_in.of(class),
        left: show.tally.left.of(class),
        superseded: show.tally.superseded.of(class),
        repeated: show.tally.repeated.of(class),
        lost: show.tally.evidence.of(class),
    };
    let carrier = |(name, sent, skipped): &(&'static str, u64, u64)| pb::OutboxCarrier {
        name: (*name).to_owned(),
        sent: *sent,
        skipped: *skipped,
    };
    pb::OutboxState {
        stream,
        epoch: epoch.as_bytes().to_vec(),
        head,
        waiting: u64::try_from(waiting).unwrap_or(u64::MAX),
        waiting_bytes,
        oldest_ms,
        intervals,
        made_ms,
        slices: slices.into(),
        kept_slices: u32::try_from(show.kept_slices).unwrap_or(u32::MAX),
        carriers: show.carriers.iter().map(carrier).collect(),
        key_epoch: show.key_epoch,
        tally: Class::ALL.into_iter().map(tally).filter(|it| it.taken_in > 0).collect(),
        skipped: show.skips.iter().map(|it| pb::OutboxSkip { from: it.from, to: it.to }).collect(),
        ..own
    }
}

/// What became of a code.
pub fn resent(code: &Code, resent: &Resent) -> pb::OutboxResent {
    let runs = |runs: &[(u64, u64)]| runs.iter().map(|&(from, to)| pb::OutboxSkip { from, to }).collect();
    let Resent { bundles, missing, no_room } = resent;
    pb::OutboxResent {
        from: code.from(),
        to: code.to(),
        bundles: *bundles,
        missing: runs(missing),
        no_room: runs(no_room),
    }
}

/// What was written on a medium.
pub fn carried(written: &Written, numbers: Option<(u64, u64)>, slices: (usize, u16)) -> pb::OutboxCarried {
    let (from, to) = numbers.unwrap_or_default();
    pb::OutboxCarried {
        folder: written.folder.display().to_string(),
        bundles: written.files,
        bytes: written.bytes,
        from,
        to,
        slices: u32::try_from(slices.0).unwrap_or(u32::MAX),
        of: slices.1.into(),
    }
}
