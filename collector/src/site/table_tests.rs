//! What the receiver does with each event, row by row.

use std::num::NonZeroU64;

use holdpoint_common::bundle::{
    Algorithm, Body, Bundle, Class, InvalidBundle, Keyring, Kind, SigningKey, Trusted, make, open,
};

use super::alarm::{Kind as AlarmKind, Refusal};
use super::incarnation::MAX_JUMP;
use super::places::{HoleState, Tally, WINDOW};
use super::ruling::Ruling;
use super::testing::{MINUTE, SLICES, Sender, key, record, stream};
use super::view::{Gap, Row};
use super::zone::{Agreement, Terms, Zone};

fn zone() -> Zone {
    Zone::new(stream(), Terms::default())
}

fn content(zone: &Zone, name: &str) -> Option<String> {
    let fact = zone.facts().find(&key(name))?;
    fact.content.clone().map(|it| String::from_utf8(it).unwrap())
}

fn gaps(zone: &Zone, now_ms: i64) -> Vec<(u64, u64, &'static str)> {
    Row::of(zone, now_ms).gaps.iter().map(|Gap { from, to, state }| (*from, *to, *state)).collect()
}

fn active(zone: &Zone) -> Vec<AlarmKind> {
    zone.alarms().active().map(|it| it.kind).collect()
}

/// A zone that took three changes in order.
fn known() -> (Sender, Zone) {
    let (mut sender, mut zone) = (Sender::new(), zone());
    for (at, name) in (1_i64..).zip(["a", "b", "c"]) {
        assert_eq!(zone.take(sender.change(name, "one", at * MINUTE), at * MINUTE), Ruling::Accepted);
    }
    (sender, zone)
}

#[test]
fn in_order_is_applied_and_advances() {
    let (_, zone) = known();
    let row = Row::of(&zone, 3 * MINUTE + 5_000);
    assert_eq!((row.last_sequence, row.age_s, row.assets, row.changes), (Some(3), Some(5), 3, 0));
    assert!(row.gaps.is_empty() && row.alarms.is_empty());
    assert_eq!(row.converged_since_ms, Some(MINUTE));
    assert_eq!(row.uncertain_since_ms, None);
    assert_eq!(zone.counters().accepted, 3);
}

#[test]
fn a_duplicate_changes_nothing_and_is_no_sign_of_life() {
    let (mut sender, mut zone) = known();
    let bundle = sender.change("a", "two", 4 * MINUTE);
    let beacon = sender.beacon(4 * MINUTE);
    zone.take(bundle.clone(), 4 * MINUTE);
    zone.take(beacon.clone(), 4 * MINUTE);
    let before = zone.digest();
    assert_eq!(zone.take(bundle, 9 * MINUTE), Ruling::Duplicate);
    assert_eq!(zone.take(beacon, 9 * MINUTE), Ruling::OldBeacon);
    assert_eq!(zone.heard_ms(), Some(4 * MINUTE));
    assert_eq!((zone.counters().duplicates, zone.counters().old_beacons), (1, 1));
    assert_eq!(zone.digest(), before);
    assert_eq!(zone.facts().find(&key("a")).unwrap().said_ms, 4 * MINUTE);
}

#[test]
fn behind_a_hole_is_applied_and_the_hole_is_open_until_the_state_is_whole() {
    let (mut sender, mut zone) = known();
    let missed = sender.change("a", "two", 4 * MINUTE);
    assert_eq!(zone.take(sender.change("b", "two", 5 * MINUTE), 5 * MINUTE), Ruling::Accepted);
    assert_eq!(content(&zone, "b").as_deref(), Some("two"));
    assert_eq!(gaps(&zone, 5 * MINUTE), [(4, 4, "open")]);
    assert_eq!(zone.agreement(), Agreement::Differs { since_ms: 5 * MINUTE });
    assert_eq!(zone.uncertain_since(5 * MINUTE), Some(5 * MINUTE));
    assert_eq!(zone.covered_by_ms(), Some(65 * MINUTE));

    let Body::Records(again) = &missed.body else { panic!() };
    let repeated = sender.send(Kind::Delta, again.clone(), 6 * MINUTE);
    zone.take(repeated, 6 * MINUTE);
    assert_eq!(content(&zone, "a").as_deref(), Some("two"));
    assert_eq!(gaps(&zone, 6 * MINUTE), [(4, 4, "healed")]);
    assert_eq!((zone.uncertain_since(6 * MINUTE), zone.covered_by_ms()), (None, None));

    // It was superseded and not received: when it comes nevertheless, it still counts.
    assert_eq!(zone.take(missed.clone(), 7 * MINUTE), Ruling::Late);
    assert_eq!(zone.take(missed, 7 * MINUTE), Ruling::Duplicate);
    let hole = zone.incarnation().unwrap().holes().iter().next().unwrap().clone();
    assert_eq!(
        (hole.state, hole.noticed_ms, hole.closed_ms),
        (HoleState::Arrived, 5 * MINUTE, Some(7 * MINUTE))
    );
}

#[test]
fn late_is_applied_by_revision_and_closes_its_hole() {
    let (mut sender, mut zone) = known();
    let (old, other) = (sender.change("a", "two", 4 * MINUTE), sender.change("d", "one", 5 * MINUTE));
    zone.take(sender.change("a", "three", 6 * MINUTE), 6 * MINUTE);
    assert_eq!(zone.take(old, 7 * MINUTE), Ruling::Late);
    assert_eq!(content(&zone, "a").as_deref(), Some("three"), "an older revision never wins");
    assert_eq!(gaps(&zone, 7 * MINUTE), [(4, 4, "healed"), (5, 5, "open")]);
    assert_eq!(zone.take(other, 8 * MINUTE), Ruling::Late);
    assert_eq!(gaps(&zone, 8 * MINUTE), [(4, 5, "healed")]);
    assert_eq!(zone.agreement(), Agreement::Same { since_ms: 8 * MINUTE });
    assert_eq!(zone.counters().late, 2);
    assert_eq!(zone.heard_ms(), Some(6 * MINUTE), "what is late says nothing of the present");
}

#[test]
fn a_beacon_shows_what_is_missing_at_the_end() {
    let (mut sender, mut zone) = known();
    let missed = sender.change("a", "two", 4 * MINUTE);
    assert_eq!(zone.take(sender.beacon(5 * MINUTE), 5 * MINUTE), Ruling::Beacon);
    assert_eq!(gaps(&zone, 5 * MINUTE), [(4, 4, "open")]);
    assert_eq!(zone.take(missed, 6 * MINUTE), Ruling::Late);
    assert_eq!(gaps(&zone, 6 * MINUTE), [(4, 4, "healed")]);
    assert_eq!(zone.uncertain_since(6 * MINUTE), None);
}

#[test]
fn evidence_that_was_dropped_is_lost_though_the_state_is_whole() {
    for (class, state) in [(Class::Feed, "healed"), (Class::Audit, "lost"), (Class::Change, "lost")] {
        let (mut sender, mut zone) = known();
        drop(sender.send(Kind::Evidence, vec![], 4 * MINUTE));
        sender.drops.add(class, 3);
        zone.take(sender.send(Kind::DropRecord, vec![], 5 * MINUTE), 5 * MINUTE);
        assert_eq!(gaps(&zone, 5 * MINUTE), [(4, 4, state)], "{class}");
        assert!(zone.alarms().is_active(AlarmKind::Dropped));
        assert_eq!(zone.alarms().is_active(AlarmKind::Lost), state == "lost");
        let text = zone.alarms().active().find(|it| it.kind == AlarmKind::Dropped).unwrap().text.clone();
        assert!(text.contains(&format!("3 of {class}")), "{text}");
        assert_eq!(zone.agreement(), Agreement::Same { since_ms: MINUTE });
    }
}

#[test]
fn a_hole_that_was_open_longer_than_evidence_is_repeated_is_lost() {
    let (mut sender, mut zone) = known();
    drop(sender.change("a", "two", 4 * MINUTE));
    zone.take(sender.beacon(4 * MINUTE), 4 * MINUTE);
    let later = 4 * MINUTE + super::incarnation::REPEATED_MS + 1;
    let records = sender.records.values().cloned().collect();
    zone.take(sender.send(Kind::Delta, records, later), later);
    assert_eq!(zone.agreement(), Agreement::Same { since_ms: later });
    assert_eq!(gaps(&zone, later), [(4, 4, "lost")]);
}

#[test]
fn what_is_no_bundle_touches_nothing_and_is_counted_by_cause() {
    let (_, mut zone) = known();
    let before = (zone.digest(), Row::of(&zone, 0).gaps, *zone.counters());
    assert!(!zone.refuse(Refusal::Rejected, 0), "one datagram is noise");
    assert!(zone.refuse(Refusal::of(&InvalidBundle::BodyDigest), 0));
    assert!(zone.refuse(Refusal::of(&InvalidBundle::UnknownKey([4; 32].into())), 0));
    assert!(zone.refuse(Refusal::of(&InvalidBundle::Ratio { packed: 1, bytes: 300 }), 0));
    let refusals = zone.refusals();
    assert_eq!((refusals.rejected, refusals.corrupt, refusals.limits), (1, 1, 1));
    assert_eq!(refusals.unverified.get(&[4; 32].into()), Some(&1));
    assert_eq!(active(&zone), [AlarmKind::Corrupt, AlarmKind::Unverified, AlarmKind::Limit]);
    assert!(zone.alarms().iter().any(|it| it.text.contains("0404040404040404")), "the key is named");
    assert_eq!((zone.digest(), Row::of(&zone, 0).gaps, *zone.counters()), before);
}

#[test]
fn another_bundle_of_a_place_freezes_the_stream() {
    let (mut sender, mut zone) = known();
    let mut clone = Sender { writer: 1, ..sender.clone() };
    zone.take(sender.change("a", "two", 4 * MINUTE), 4 * MINUTE);
    let before = zone.digest();
    assert_eq!(zone.take(clone.change("a", "stolen", 4 * MINUTE), 5 * MINUTE), Ruling::Fork);
    assert_eq!(zone.take(sender.change("b", "two", 6 * MINUTE), 6 * MINUTE), Ruling::Frozen);
    assert_eq!((zone.digest(), content(&zone, "a").as_deref()), (before, Some("two")));
    assert_eq!(active(&zone), [AlarmKind::Fork]);
    let [(fork, at_ms)] = zone.forks() else { panic!() };
    assert_eq!((fork.sequence, *at_ms, fork.held == fork.other), (4, 5 * MINUTE, false));
    assert_eq!(zone.uncertain_since(6 * MINUTE), Some(5 * MINUTE));
    // Whoever has the key can make a new incarnation too: only the root ends this.
    let mut next = sender.next(2);
    assert_eq!(zone.take(next.change("a", "three", 7 * MINUTE), 7 * MINUTE), Ruling::Stranger);
    zone.recertified(2);
    assert_eq!(zone.take(next.change("a", "four", 8 * MINUTE), 8 * MINUTE), Ruling::Stranger, "an old key");
    next.key_epoch = 2;
    assert_eq!(zone.take(next.change("a", "five", 9 * MINUTE), 9 * MINUTE), Ruling::Accepted);
    assert_eq!(content(&zone, "a").as_deref(), Some("five"));
    assert!(zone.incarnation().unwrap().frozen.is_none());
}

#[test]
fn a_link_that_names_another_bundle_is_a_fork_too() {
    let (mut sender, mut zone) = known();
    let mut clone = Sender { writer: 1, ..sender.clone() };
    zone.take(sender.change("a", "two", 4 * MINUTE), 4 * MINUTE);
    drop(clone.change("a", "stolen", 4 * MINUTE));
    let mut by_beacon = zone.clone();
    assert_eq!(by_beacon.take(clone.beacon(5 * MINUTE), 5 * MINUTE), Ruling::Fork);
    assert_eq!(zone.take(clone.change("b", "stolen", 5 * MINUTE), 5 * MINUTE), Ruling::Fork);
    assert_eq!(zone.forks().first().map(|it| it.0.sequence), Some(4));
    assert_eq!(content(&zone, "b").as_deref(), Some("one"));

    // What was only spoken of counts as well: the bundle in the hole is not the one that the next one names.
    let (mut sender, mut zone) = known();
    let mut clone = Sender { writer: 1, ..sender.clone() };
    drop(sender.change("a", "two", 4 * MINUTE));
    zone.take(sender.change("b", "two", 5 * MINUTE), 5 * MINUTE);
    assert_eq!(zone.take(clone.change("a", "stolen", 4 * MINUTE), 6 * MINUTE), Ruling::Fork);
    assert_eq!(content(&zone, "a").as_deref(), Some("one"));
}

#[test]
fn an_ended_incarnation_is_refused_and_told_once_an_hour() {
    let (sender, mut zone) = known();
    let mut old = sender.clone();
    let mut next = sender.next(2);
    assert_eq!(zone.take(next.change("a", "two", 4 * MINUTE), 4 * MINUTE), Ruling::Accepted);
    let before = zone.digest();
    assert!(active(&zone).is_empty(), "what it knows of the one before is all that there was");
    for minute in 5..9 {
        assert_eq!(zone.take(old.change("a", "old", minute * MINUTE), minute * MINUTE), Ruling::Ended);
    }
    assert_eq!(zone.take(old.beacon(9 * MINUTE), 9 * MINUTE), Ruling::Ended);
    assert_eq!(active(&zone), [AlarmKind::Replay]);
    assert_eq!(zone.alarms().active().next().map(|it| (it.count, it.told_ms)), Some((5, 5 * MINUTE)));
    assert_eq!((zone.counters().ended, zone.heard_ms()), (5, Some(4 * MINUTE)));
    assert_eq!(zone.digest(), before);
}

#[test]
fn an_incarnation_that_names_no_one_before_waits_for_a_person() {
    let (sender, mut zone) = known();
    let mut other = Sender { before: None, ..sender.next(2) };
    assert_eq!(zone.take(other.change("a", "two", 4 * MINUTE), 4 * MINUTE), Ruling::Stranger);
    assert_eq!(active(&zone), [AlarmKind::Incarnation]);
    let ([stranger], 0) = zone.strangers() else { panic!() };
    zone.admit(stranger.epoch);
    assert_eq!(zone.take(other.change("a", "three", 5 * MINUTE), 5 * MINUTE), Ruling::Accepted);
    assert_eq!(content(&zone, "a").as_deref(), Some("three"));
    assert_eq!(active(&zone), [AlarmKind::RolledBack]);
}

#[test]
fn a_restored_collector_says_what_it_does_not_know_any_more() {
    let (mut sender, mut zone) = known();
    let backup = sender.clone();
    zone.take(sender.change("a", "two", 4 * MINUTE), 4 * MINUTE);
    drop(sender.change("b", "two", 5 * MINUTE));
    zone.take(sender.change("d", "one", 6 * MINUTE), 6 * MINUTE);
    let mut restored = backup.next(2);
    zone.take(restored.change("c", "two", 7 * MINUTE), 7 * MINUTE);
    assert!(zone.alarms().is_active(AlarmKind::RolledBack));
    assert_eq!(gaps(&zone, 7 * MINUTE), [(5, 5, "lost")]);
    assert_eq!(content(&zone, "d").as_deref(), Some("one"), "nothing is deleted before the sender says so");
    assert_eq!(zone.facts().inherited([2; 16].into()), 3);
    assert_eq!(zone.agreement(), Agreement::Differs { since_ms: 7 * MINUTE });
    for index in 0..SLICES {
        zone.take(restored.slice(index, 8 * MINUTE), 8 * MINUTE);
    }
    assert_eq!(zone.agreement(), Agreement::Same { since_ms: 8 * MINUTE });
    assert_eq!(content(&zone, "a").as_deref(), Some("one"), "what the restored one says");
    assert_eq!(content(&zone, "d"), None, "and what it does not know is not there");
    assert_eq!((zone.records().went_back, zone.records().gone), (1, 1));
}

#[test]
fn what_is_missing_before_a_restore_heals_when_the_restored_one_knows_it() {
    let (mut sender, mut zone) = known();
    drop(sender.change("a", "two", 4 * MINUTE));
    drop(sender.change("b", "two", 5 * MINUTE));
    let mut next = sender.next(2);
    zone.take(next.slice(0, 6 * MINUTE), 6 * MINUTE);
    assert_eq!(gaps(&zone, 6 * MINUTE), [(4, 5, "open")]);
    assert!(!zone.alarms().is_active(AlarmKind::RolledBack));
    for index in 1..SLICES {
        zone.take(next.slice(index, 7 * MINUTE), 7 * MINUTE);
    }
    assert_eq!(gaps(&zone, 7 * MINUTE), [(4, 5, "healed")]);
}

#[test]
fn a_jump_waits_until_a_beacon_or_a_later_bundle_confirms_it() {
    for beacon in [false, true] {
        let (mut sender, mut zone) = known();
        sender.head += MAX_JUMP + 1;
        let far = sender.change("a", "far", 4 * MINUTE);
        assert_eq!(zone.take(far.clone(), 4 * MINUTE), Ruling::Held);
        assert_eq!(zone.take(far.clone(), 4 * MINUTE), Ruling::Duplicate, "it does not confirm itself");
        assert_eq!((content(&zone, "a").as_deref(), active(&zone)), (Some("one"), vec![AlarmKind::Jump]));
        assert_eq!(Row::of(&zone, 0).last_sequence, Some(3));
        let (next, ruling) = if beacon {
            (sender.beacon(5 * MINUTE), Ruling::Beacon)
        } else {
            (sender.change("b", "far", 5 * MINUTE), Ruling::Accepted)
        };
        assert_eq!(zone.take(next, 5 * MINUTE), ruling);
        assert_eq!(content(&zone, "a").as_deref(), Some("far"));
        assert_eq!(zone.facts().find(&key("a")).unwrap().said_ms, 4 * MINUTE, "when it came");
        assert_eq!((zone.held(), active(&zone)), (0, vec![]));
        assert_eq!(gaps(&zone, 0), [(4, MAX_JUMP + 4, "healed")], "its state shows that nothing is missing");
        assert_eq!(zone.counters().sum(), zone.counters().taken);
    }
}

#[test]
fn bundles_that_wait_are_bounded_and_an_ordinary_one_goes_on() {
    let (mut sender, mut zone) = known();
    for number in 1..20 {
        let mut wild = sender.clone();
        wild.head = number * (MAX_JUMP + 10);
        assert_eq!(zone.take(wild.change("a", "wild", 0), 4 * MINUTE), Ruling::Held);
    }
    assert_eq!((zone.held(), zone.counters().given_up), (super::zone::MAX_HELD, 11));
    assert_eq!(zone.take(sender.change("a", "two", 5 * MINUTE), 5 * MINUTE), Ruling::Accepted);
    assert_eq!(zone.counters().sum() + 8, zone.counters().taken);
}

#[test]
fn a_spoilt_count_is_repaired_by_the_root() {
    let (mut sender, mut zone) = known();
    let mut wild = Sender { head: u64::MAX - 3, ..sender.clone() };
    zone.take(wild.change("a", "wild", 0), 4 * MINUTE);
    assert_eq!(zone.take(wild.change("b", "wild", 0), 4 * MINUTE), Ruling::Accepted);
    assert_eq!(zone.take(sender.change("c", "two", 5 * MINUTE), 5 * MINUTE), Ruling::Late, "still applied");
    zone.recertified(2);
    let mut next = Sender { key_epoch: 2, before: None, ..sender.next(2) };
    assert_eq!(zone.take(next.change("c", "three", 6 * MINUTE), 6 * MINUTE), Ruling::Accepted);
    assert_eq!(Row::of(&zone, 0).last_sequence, Some(1));
}

#[test]
fn another_state_without_a_hole_is_told_after_a_cycle() {
    let (mut sender, mut zone) = known();
    // The sender holds what it never sent: a fault on either side.
    sender.set("x", Some("unsent"));
    zone.take(sender.change("a", "two", 4 * MINUTE), 4 * MINUTE);
    zone.look(60 * MINUTE);
    assert!(!zone.alarms().is_active(AlarmKind::NotConverged));
    zone.take(sender.change("a", "three", 64 * MINUTE), 64 * MINUTE);
    zone.look(65 * MINUTE);
    assert_eq!(active(&zone), [AlarmKind::NotConverged]);
    assert_eq!(zone.uncertain_since(65 * MINUTE), Some(4 * MINUTE));
    for index in 0..SLICES {
        zone.take(sender.slice(index, 66 * MINUTE), 66 * MINUTE);
    }
    zone.look(66 * MINUTE);
    assert!(active(&zone).is_empty());
}

#[test]
fn a_silent_zone_loses_nothing_and_only_ages() {
    let (mut sender, mut zone) = known();
    zone.look(6 * MINUTE);
    assert!(active(&zone).is_empty(), "three intervals are not over");
    let year = 365 * 24 * 60 * MINUTE;
    zone.look(year);
    assert_eq!(active(&zone), [AlarmKind::Silent]);
    let row = Row::of(&zone, year);
    assert_eq!((row.assets, row.age_s), (3, Some((year - 3 * MINUTE) / 1_000)));
    assert_eq!(row.uncertain_since_ms, Some(3 * MINUTE));
    zone.take(sender.beacon(year), year);
    assert!(active(&zone).is_empty());
    assert_eq!(zone.uncertain_since(year), None);
}

#[test]
fn a_zone_that_is_carried_by_hand_has_its_own_interval() {
    let (mut sender, _) = known();
    let day = 24 * 60 * MINUTE;
    let mut zone = Zone::new(stream(), Terms { interval_ms: Some(7 * day), ..Terms::default() });
    zone.take(sender.beacon(0), 0);
    assert_eq!(zone.silent_since(21 * day), None);
    assert_eq!(zone.silent_since(21 * day + 1), Some(0));
}

#[test]
fn beacons_without_bundles_are_another_alarm_than_silence() {
    let (mut sender, mut zone) = known();
    for minute in 4..7 {
        drop(sender.change("a", "missed", minute * MINUTE));
        assert!(active(&zone).is_empty());
        zone.take(sender.beacon(minute * MINUTE), minute * MINUTE);
    }
    zone.look(7 * MINUTE);
    assert_eq!(active(&zone), [AlarmKind::NoBundles]);
    zone.take(sender.change("a", "here", 8 * MINUTE), 8 * MINUTE);
    assert!(!zone.alarms().is_active(AlarmKind::NoBundles));
}

#[test]
fn a_wrong_date_is_flagged_and_applied_all_the_same() {
    let (mut sender, mut zone) = known();
    let bundle = sender.change("a", "from the future", i64::MAX);
    assert_eq!(zone.take(bundle, 4 * MINUTE), Ruling::Accepted);
    assert_eq!(zone.take(sender.change("b", "from the past", i64::MIN), 5 * MINUTE), Ruling::Accepted);
    assert_eq!(content(&zone, "a").as_deref(), Some("from the future"));
    assert_eq!(content(&zone, "b").as_deref(), Some("from the past"));
    assert_eq!((zone.counters().future_dated, zone.clock().behind_ms()), (1, Some(0)));
    assert_eq!(active(&zone), [AlarmKind::Clock]);
}

#[test]
fn two_contents_at_one_revision_are_told_and_the_first_stays() {
    let (mut sender, mut zone) = known();
    let other = record("a", 1, Some("something else"));
    zone.take(sender.send(Kind::Delta, vec![other], 4 * MINUTE), 4 * MINUTE);
    assert_eq!((content(&zone, "a").as_deref(), active(&zone)), (Some("one"), vec![AlarmKind::Conflict]));
    assert_eq!(zone.records().conflicts, 1);
}

#[test]
fn an_old_copy_cannot_bring_back_what_is_gone() {
    let (mut sender, mut zone) = known();
    let copy = sender.change("d", "one", 4 * MINUTE);
    drop(sender.set("d", None));
    sender.forget(&key("d"));
    for index in 0..SLICES {
        zone.take(sender.slice(index, 5 * MINUTE), 5 * MINUTE);
    }
    assert_eq!(zone.agreement(), Agreement::Same { since_ms: MINUTE });
    assert_eq!(zone.take(copy, 6 * MINUTE), Ruling::Late);
    assert_eq!(content(&zone, "d"), None);
    assert_eq!(zone.agreement(), Agreement::Same { since_ms: MINUTE });
    assert_eq!(zone.records().stale, 1);
}

#[test]
fn another_number_of_slices_forgets_nothing_that_is_gone() {
    let (mut sender, mut zone) = known();
    let copy = sender.change("d", "one", 4 * MINUTE);
    drop(sender.set("d", None));
    sender.forget(&key("d"));
    for index in 0..SLICES {
        zone.take(sender.slice(index, 5 * MINUTE), 5 * MINUTE);
    }
    let all: Vec<_> = sender.records.values().cloned().collect();
    let whole = sender.send(Kind::Slice { index: 0, of: 1 }, all, 6 * MINUTE);
    let other = sender.send(Kind::Slice { index: 99, of: 100 }, vec![], 6 * MINUTE);
    for bundles in [vec![], vec![whole.clone()], vec![other.clone()], vec![other, whole]] {
        let mut zone = zone.clone();
        for bundle in bundles {
            zone.take(bundle, 6 * MINUTE);
        }
        assert_eq!(zone.take(copy.clone(), 7 * MINUTE), Ruling::Late);
        assert_eq!((content(&zone, "d"), zone.facts().live().count()), (None, 3));
    }
}

#[test]
fn a_late_slice_takes_nothing_away_that_was_said_after_it() {
    let (mut sender, mut zone) = known();
    let slices: Vec<_> = (0..SLICES).map(|it| sender.slice(it, 4 * MINUTE)).collect();
    zone.take(sender.change("d", "one", 5 * MINUTE), 5 * MINUTE);
    for slice in slices {
        assert_eq!(zone.take(slice, 6 * MINUTE), Ruling::Late);
        assert_eq!(content(&zone, "d").as_deref(), Some("one"));
    }
    assert_eq!(zone.records().gone, 0);
}

#[test]
fn the_age_of_a_fact_counts_from_the_newest_bundle_that_said_it() {
    let (mut sender, mut zone) = known();
    let again: Vec<_> = sender.records.values().cloned().collect();
    let older = sender.send(Kind::Delta, again.clone(), 4 * MINUTE);
    zone.take(sender.send(Kind::Delta, again, 5 * MINUTE), 5 * MINUTE);
    zone.take(older, 9 * MINUTE);
    let fact = zone.facts().find(&key("a")).unwrap();
    assert_eq!((fact.since_ms, fact.said_ms), (MINUTE, 5 * MINUTE));
}

#[test]
fn the_newest_beacon_counts_though_no_bundle_came_between() {
    let (mut sender, mut zone) = known();
    zone.take(sender.beacon(4 * MINUTE), 4 * MINUTE);
    sender.drops.add(Class::Audit, 1);
    zone.take(sender.beacon(5 * MINUTE), 5 * MINUTE);
    assert_eq!(active(&zone), [AlarmKind::Dropped]);
    let head = zone.incarnation().unwrap().head.as_ref().unwrap();
    assert_eq!((head.sequence, head.header.created_ms), (3, 5 * MINUTE));
}

#[test]
fn a_frozen_zone_is_not_called_silent() {
    let (mut sender, mut zone) = known();
    let mut clone = Sender { writer: 1, ..sender.clone() };
    zone.take(sender.change("a", "two", 4 * MINUTE), 4 * MINUTE);
    zone.take(clone.change("a", "stolen", 4 * MINUTE), 5 * MINUTE);
    zone.look(600 * MINUTE);
    assert!(!zone.alarms().is_active(AlarmKind::Silent));
    assert_eq!(zone.uncertain_since(600 * MINUTE), Some(4 * MINUTE), "since it was heard last");
}

#[test]
fn what_is_older_than_anybody_can_say_is_not_applied_and_a_remembered_hole_is() {
    let (mut sender, mut zone) = known();
    let missed = sender.change("a", "two", 4 * MINUTE);
    let (first, filler) = (sender.change("a", "three", 0), sender.records.values().next().cloned());
    zone.take(first.clone(), 5 * MINUTE);
    for _ in 0..WINDOW {
        zone.take(sender.send(Kind::Delta, filler.iter().cloned().collect(), 0), 6 * MINUTE);
    }
    assert_eq!(zone.take(first, 7 * MINUTE), Ruling::Old);
    assert_eq!(zone.take(missed.clone(), 7 * MINUTE), Ruling::Late);
    assert_eq!(zone.take(missed, 7 * MINUTE), Ruling::Old);
    assert_eq!(content(&zone, "a").as_deref(), Some("three"));
}

#[test]
fn a_zone_that_is_met_late_has_no_hole_before() {
    let (mut sender, mut zone) = (Sender::new(), zone());
    let early = sender.change("a", "one", 0);
    zone.take(sender.change("b", "one", MINUTE), MINUTE);
    assert!(gaps(&zone, MINUTE).is_empty());
    assert_eq!(zone.take(early, 2 * MINUTE), Ruling::Late);
    assert!(gaps(&zone, 2 * MINUTE).is_empty());
    assert_eq!(zone.agreement(), Agreement::Same { since_ms: 2 * MINUTE });
    let current = zone.incarnation().unwrap();
    assert_eq!((current.seen, current.seen_before, current.holes().tally()), (1, 1, Tally::default()));
}

#[test]
fn a_bundle_of_another_stream_is_not_for_this_zone() {
    let (mut sender, mut zone) = known();
    let mut bundle = sender.change("a", "two", 4 * MINUTE);
    bundle.header.stream.collector = [8; 32].into();
    assert_eq!(zone.take(bundle, 4 * MINUTE), Ruling::Elsewhere);
    assert_eq!(content(&zone, "a").as_deref(), Some("one"));
}

#[test]
fn a_real_bundle_goes_through_the_same_way() {
    // PKCS#8 of RFC 8410 around the 32 bytes of a seed.
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let pkcs8 = [head.as_slice(), &[1; 32]].concat();
    let signer = SigningKey::from_pkcs8(Algorithm::Ed25519, &pkcs8).unwrap();
    let mut stream = stream();
    stream.collector = signer.public().id();
    let keys: Keyring =
        [Trusted { stream: stream.clone(), epoch: 1, key: signer.public() }].into_iter().collect();
    let mut zone = Zone::new(stream.clone(), Terms::default());
    let mut sender = Sender::new();
    for name in ["a", "b"] {
        let Bundle { mut header, body, .. } = sender.change(name, "one", 0);
        header.stream = stream.clone();
        let sealed = make(&header, body, &signer).unwrap();
        sender.hashes.insert(sender.head, sealed.hash);
        let bundle = open(&sealed.bytes, &keys).unwrap();
        assert_eq!(zone.take(bundle.clone(), 0), Ruling::Accepted);
        assert_eq!(zone.take(bundle, 0), Ruling::Duplicate);
    }
    assert_eq!(zone.agreement(), Agreement::Same { since_ms: 0 });
    assert_eq!(zone.facts().find(&key("b")).unwrap().revision, NonZeroU64::MIN);
}
