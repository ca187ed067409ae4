//! Everything that can be done to a pack, from one bit to a whole forgery.

use std::collections::BTreeMap;

use holdpoint_common::proto::store::change_entry::What;
use holdpoint_common::proto::store::{ChangeEntry, LessonsRecorded, StageJudged, audit_entry};
use holdpoint_common::section::{Digest, Rows};
use prost::Message;

use super::super::container;
use super::super::export::seal;
use super::super::manifest::{Listed, Manifest};
use super::super::member::Member;
use super::super::*;
use super::found;
use super::story::{self, Story};
use crate::audit::AuditKey;
use crate::change::judge::JUDGE;

type Members = BTreeMap<Member, Vec<u8>>;
type Change<'a> = &'a dyn Fn(&mut Members);

fn taken_apart(pack: &[u8]) -> Members {
    container::read(pack).unwrap().into_iter().map(|(member, bytes)| (member, bytes.to_vec())).collect()
}

fn put_together(members: &Members) -> Vec<u8> {
    container::write(&members.iter().map(|(member, bytes)| (*member, bytes)).collect::<Vec<_>>()).unwrap()
}

/// Signs members anew: what only whoever holds a key can do.
fn resealed(mut members: Members, key: &AuditKey) -> Vec<u8> {
    let manifest = Manifest::read(&members.remove(&Member::Manifest).unwrap()).unwrap();
    members.remove(&Member::Signature);
    let listed = members.iter().map(|(member, bytes)| Listed::of(*member, bytes)).collect();
    let audit_key = data_encoding::HEXLOWER.encode(key.public());
    seal(&Manifest { members: listed, audit_key, ..manifest }, members, key).unwrap()
}

fn faults(pack: &[u8]) -> Vec<String> {
    let checked = check(pack, &Pins::default());
    assert_eq!(checked.valid, checked.faults.is_empty());
    checked.faults
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % u64::try_from(end).unwrap()).unwrap()
    }
}

#[test]
fn no_byte_of_a_pack_can_be_another_one() {
    let mut story = Story::new();
    story.board();
    let pack = story.pack(Policy::Rows);
    assert!(faults(&pack).is_empty());
    let mut changed = pack.clone();
    for at in 0..pack.len() {
        changed[at] ^= 1 << (at % 8);
        assert!(!faults(&changed).is_empty(), "byte {at}");
        changed[at] = pack[at];
    }
}

#[test]
fn random_edits_are_all_found() {
    let pack = Story::whole().pack(Policy::Rows);
    let mut random = Random(7);
    for nth in 0..2_500 {
        let mut changed = pack.clone();
        let (one, two) = (random.below(pack.len()), random.below(pack.len()));
        match random.below(6) {
            0 => changed[one] = changed[one].wrapping_add(1 + u8::try_from(random.below(255)).unwrap()),
            1 => changed.truncate(one),
            2 => changed.insert(one, pack[two]),
            3 => drop(changed.remove(one)),
            4 => changed.swap(one, two),
            _ => drop(changed.splice(one.min(two)..one.max(two), [])),
        }
        assert_eq!(faults(&changed).is_empty(), changed == pack, "edit {nth}");
    }
}

#[test]
fn members_cannot_be_removed_added_or_exchanged() {
    let members = taken_apart(&Story::whole().pack(Policy::Rows));
    for member in members.keys() {
        let mut fewer = members.clone();
        fewer.remove(member);
        assert!(found(&faults(&put_together(&fewer)), &member.to_string()), "{member}");
    }
    let mut more = members.clone();
    more.insert(Member::Section(Digest::of(b"of nobody")), Vec::new());
    assert!(found(&faults(&put_together(&more)), "is in the file and not in the manifest"));

    let sections: Vec<Member> =
        members.keys().filter(|it| matches!(it, Member::Section(_))).copied().collect();
    let mut exchanged = members.clone();
    exchanged.insert(sections[0], members[&sections[1]].clone());
    assert!(found(&faults(&put_together(&exchanged)), "is not what was signed"));

    // One member twice, with all that belongs to it.
    let pack = put_together(&members);
    let first = 30 + "audit.bin".len() + members[&Member::Audit].len();
    let twice = [&pack[..first], &pack[..]].concat();
    assert!(found(&faults(&twice), "is there twice"));
}

#[test]
fn another_key_makes_another_pack_and_never_this_one() {
    let story = Story::whole();
    let pack = story.pack(Policy::Rows);
    let other = story::key();
    let resigned = resealed(taken_apart(&pack), &other);
    assert!(
        found(&faults(&resigned), "is not signed by the audit key"),
        "the chain is still of the first key"
    );

    // Chain, manifest and all: consistent, and of nobody who is known.
    let forged = story.pack_by(&other, Policy::Rows);
    assert!(faults(&forged).is_empty());
    let pinned = Pins { audit_key: Some(story.public()), anchors: Vec::new() };
    assert!(found(&check(&forged, &pinned).faults, "another zone's evidence, or a forgery"));
    assert!(check(&pack, &pinned).valid);
}

#[test]
fn whoever_holds_the_key_cannot_contradict_the_entries() {
    let story = Story::whole();
    let members = taken_apart(&story.pack(Policy::Rows));
    let changed = |change: &dyn Fn(&mut Members)| {
        let mut members = members.clone();
        change(&mut members);
        check(&resealed(members, &story.key), &Pins::default())
    };
    assert!(changed(&|_| {}).valid, "signing again changes nothing");

    let first = |kind: fn(&Member) -> bool| *members.keys().find(|it| kind(it)).unwrap();
    let (snapshot, section, certificate) = (
        first(|it| matches!(it, Member::Snapshot(_))),
        first(|it| matches!(it, Member::Section(_))),
        first(|it| matches!(it, Member::Certificate(_))),
    );
    let other_rows = Rows::from_encoded(vec![b"row".to_vec()]).pack().unwrap();
    let cases: &[(Change<'_>, &str)] = &[
        (&|it| it.get_mut(&Member::Plan).unwrap().push(b'\n'), "plan.toml is not the plan that was drafted"),
        (&|it| it.get_mut(&snapshot).unwrap().push(0), "is not the answer that its entry has"),
        (&|it| drop(it.remove(&snapshot)), "is missing"),
        (
            &|it| drop(it.insert(Member::Snapshot([0; 16]), Vec::new())),
            "answers nothing that the change asked",
        ),
        (&|it| drop(it.insert(section, other_rows.clone())), "have another digest"),
        (&|it| drop(it.insert(section, b"no rows".to_vec())), "holds no rows"),
        (
            &|it| drop(it.insert(Member::Section(Digest::of(b"of nobody")), Vec::new())),
            "belongs to no snapshot",
        ),
        (&|it| drop(it.insert(certificate, b"none".to_vec())), "has another SHA-256 than its name says"),
        (
            &|it| it.retain(|it, _| !matches!(it, Member::Certificate(_))),
            "under a certificate that no authority in the pack issued",
        ),
        (&|it| it.get_mut(&Member::Audit).unwrap().push(0), "cut off, or has something behind its end"),
    ];
    for (change, part) in cases {
        let checked = changed(change);
        assert!(!checked.valid && found(&checked.faults, part), "{part}: {:#?}", checked.faults);
    }

    let checked = changed(&|it| drop(it.insert(Member::Report, b"<p>all is well</p>".to_vec())));
    assert!(checked.valid && found(&checked.proves_not, "that report.html says what the entries say"));
}

/// Something that is done to an excerpt.
type Edit = fn(&mut Excerpt);

#[test]
fn no_byte_of_the_entries_can_be_another_one_whoever_signs() {
    let mut story = Story::new();
    story.board();
    let excerpt = story.excerpt(&story.key);
    let (bytes, public) = (excerpt.to_bytes(), story.public());
    assert_eq!(Excerpt::read(&bytes).as_ref(), Ok(&excerpt));
    assert!(excerpt.verified(story::ID, &public).is_ok());
    let mut random = Random(11);
    for _ in 0..1_500 {
        let mut changed = bytes.clone();
        let at = random.below(bytes.len());
        changed[at] ^= 1 << random.below(8);
        let read = Excerpt::read(&changed).map_err(|it| it.to_string());
        assert!(read.and_then(|it| it.verified(story::ID, &public)).is_err(), "byte {at}");
    }
    let cases: [(&str, Edit); 7] = [
        ("an own entry is hidden", |it| it.records[2].entry = None),
        ("an own entry is removed", |it| drop(it.records.remove(2))),
        ("somebody else's entry is removed", |it| {
            let at = it.records.iter().skip(2).position(|it| it.entry.is_none()).unwrap() + 2;
            it.records.remove(at);
        }),
        ("two are swapped", |it| it.records.swap(1, 2)),
        ("one is there twice", |it| it.records.insert(2, it.records[2].clone())),
        ("it begins elsewhere", |it| it.first += 1),
        ("it begins without what is before", |it| drop(it.records.remove(0))),
    ];
    for (what, change) in cases {
        let mut changed = excerpt.clone();
        change(&mut changed);
        assert!(changed.verified(story::ID, &public).is_err(), "{what}");
    }
}

#[test]
fn an_entry_that_may_not_follow_is_a_fault_although_it_is_signed() {
    let mut story = Story::whole();
    story.write(What::Lessons(LessonsRecorded { text: "after the end".into() }));
    let excerpt = story.excerpt(&story.key);
    let refused = export(&Input {
        change: story::ID,
        zone: &story::zone(),
        excerpt: &excerpt,
        certificates: &[],
        rows: &story.rows(),
        policy: Policy::Digests,
        exported_ms: story::NOW,
        key: &story.key,
    });
    assert!(matches!(refused, Err(ExportError::Fold(_))));

    let mut members = taken_apart(&Story::whole().pack(Policy::Digests));
    members.insert(Member::Audit, excerpt.to_bytes());
    let mut manifest = Manifest::read(&members.remove(&Member::Manifest).unwrap()).unwrap();
    members.remove(&Member::Signature);
    manifest.members = members.iter().map(|(member, bytes)| Listed::of(*member, bytes)).collect();
    manifest.audit_key = data_encoding::HEXLOWER.encode(story.key.public());
    manifest.log.last = excerpt.first + u64::try_from(excerpt.records.len()).unwrap() - 1;
    manifest.log.head = data_encoding::HEXLOWER.encode(&excerpt.records.last().unwrap().chain);
    let told = faults(&seal(&manifest, members, &story.key).unwrap());
    assert!(found(&told, "may not follow what is before it: the change is closed"), "{told:#?}");
}

/// A change whose judgement of that number was written otherwise, by whoever holds the audit key. It ends there.
fn judged_otherwise(number: usize, change: impl Fn(&mut StageJudged)) -> Story {
    let mut story = Story::new();
    story.board();
    story.stations();
    let mut judged = 0;
    let mut end = None;
    for (position, entry) in (1..).zip(&mut story.entries) {
        let Some(audit_entry::Detail::Change(bytes)) = &mut entry.detail else { continue };
        let mut step = ChangeEntry::decode(bytes.as_slice()).unwrap();
        if let Some(What::Judged(it)) = &mut step.what {
            judged += 1;
            if judged == number {
                change(it);
                *bytes = step.encode_to_vec();
                end = Some(position);
            }
        }
    }
    story.entries.truncate(end.unwrap());
    story
}

#[test]
fn a_verdict_that_rests_on_nothing_of_its_host_is_a_fault() {
    let story = judged_otherwise(1, |it| it.verdicts[0].evidence[0].digest = vec![9; 32]);
    let told = faults(&story.pack(Policy::Rows));
    assert!(
        found(&told, "the verdict on `hmi-1` rests on a section that is in none of its snapshots"),
        "{told:?}"
    );
}

#[test]
fn a_verdict_that_its_own_rows_contradict_is_a_fault() {
    // Of the first judgement, in which one of two stations was left out of the work.
    let all_remediated = |judge: &str| {
        judged_otherwise(1, |it| {
            for it in &mut it.verdicts {
                it.verdict = "REMEDIATED".into();
            }
            it.judge = judge.into();
        })
    };
    let story = all_remediated(JUDGE);
    let told = faults(&story.pack(Policy::Rows));
    let says = "hmi-2, openssl: the entry says REMEDIATED at grade B, and its rows come to NOT_REMEDIATED";
    assert!(found(&told, says), "{told:#?}");
    // Without the rows it is the collector's word.
    assert_eq!(faults(&story.pack(Policy::Digests)), Vec::<String>::new());
    // So it is of another version, which may judge otherwise in good faith.
    let story = all_remediated("holdpoint-collector 0.0.1");
    let checked = check(&story.pack(Policy::Rows), &Pins::default());
    assert!(checked.valid && found(&checked.proves_not, "what holdpoint-collector 0.0.1 judged, where"));
}

#[test]
fn what_moved_cannot_be_hidden_or_invented() {
    let told = faults(&judged_otherwise(2, |it| it.collateral.clear()).pack(Policy::Rows));
    assert!(
        found(&told, "hmi-2: software `editor` from `3` to `4` moved, and the entry does not say so"),
        "{told:#?}"
    );
    let story = judged_otherwise(2, |it| {
        for it in &mut it.collateral {
            it.after = Some("5".into());
        }
    });
    let told = faults(&story.pack(Policy::Rows));
    assert!(
        found(&told, "the entry says that software `editor` from `3` to `5` moved, and it did not"),
        "{told:#?}"
    );
}
