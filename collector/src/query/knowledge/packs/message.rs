//! A pack in the wire's words: outwards only, and never failing.

use holdpoint_common::proto::store::PackPage;
use holdpoint_common::proto::store::pack_page::State;
use holdpoint_common::proto::v1 as pb;

use crate::packs::{Record, Signer, admit};

/// How a pack stands, and what its members would do where that was asked.
pub(super) fn message(record: &Record, signer: Option<&Signer>, members: Vec<pb::PackMember>) -> pb::Pack {
    let state = match record.state() {
        State::Unspecified | State::Arriving => "arriving",
        State::Waiting => "waiting",
        State::Releasing => "releasing",
        State::Released => "released",
        State::Rejected => "rejected",
    };
    let is_waiting = record.state() == State::Waiting;
    let hindrance = admit::release(record, signer).err().filter(|_| is_waiting).map(|it| it.to_string());
    let PackPage {
        state: _,
        title,
        serial,
        signer: key,
        made_ms,
        zones,
        files,
        bytes,
        file,
        brought_ms,
        brought_by,
        brought_person,
        decided_ms,
        decided_by,
        decided_person,
        reason,
        taken: _,
    } = record.page.clone();
    pb::Pack {
        id: record.id(),
        digest: record.digest.to_vec(),
        title,
        serial,
        state: state.to_owned(),
        signer: signer.map_or_else(String::new, |it| it.page.name.clone()),
        key,
        made_ms,
        zones,
        files,
        bytes,
        file,
        brought_ms,
        brought_by,
        brought_person,
        decided_ms,
        decided_by,
        decided_person,
        reason,
        known: false,
        hindrance,
        members,
    }
}
