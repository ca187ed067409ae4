//! What a line or a machine does without meaning any harm: nothing is missing at last.

use std::thread;
use std::time::{Duration, Instant};

use holdpoint_tests::program::wait;
use rustix::process::Signal;

use super::ends::{Diode, is_well, signal};
use super::line::{Backwards, is_possible};

/// Objects of a run: 10,000 where `HOLDPOINT_LONG` is set.
fn count(few: usize) -> usize {
    if std::env::var_os("HOLDPOINT_LONG").is_some() { 10_000 } else { few }
}

/// Each pass is designed to bear the loss alone, so there is one.
fn bears_loss(design_permille: i64, lost_permille: u64, few: usize) {
    if !is_possible() {
        return;
    }
    let mut diode = Diode::set_up(&[
        ("design_loss_permille", design_permille),
        ("copies", 1),
        ("rate_bits_per_s", 50_000_000),
    ]);
    diode.wire.spoil(&format!("numgen random mod 1000 < {lost_permille} counter name lost drop"));
    let mut receiver = diode.start_receiving();
    let _sender = diode.start_sending();
    diode.fill(count(few), |_| 4_000);
    diode.fill(count(few) / 10, |_| 60_000);
    diode.all_arrives();
    wait("all is sent", || diode.is_sent());

    let (lost, taken) = (diode.wire.lost(), diode.wire.receiver.counter("received"));
    let measured = lost * 1_000 / (lost + taken);
    println!("{} objects, {lost} of {} datagrams lost, no hole", diode.sent.len(), lost + taken);
    assert!(measured.abs_diff(lost_permille) < 25, "{measured} permille were lost");
    assert_eq!(diode.wire.backwards(), Backwards::default());
    is_well(&mut receiver);
}

#[test]
fn one_in_ten_may_be_lost() {
    bears_loss(100, 100, 300);
}

#[test]
fn three_in_ten_may_be_lost_with_the_heavy_profile() {
    bears_loss(300, 300, 300);
}

#[test]
fn bursts_take_a_little_of_many() {
    if !is_possible() {
        return;
    }
    let mut diode = Diode::set_up(&[("rate_bits_per_s", 100_000_000), ("spacing_ms", 1_000)]);
    diode.wire.spoil("numgen inc mod 997 < 100 counter name lost drop");
    let _receiver = diode.start_receiving();
    let _sender = diode.start_sending();
    diode.fill(100, |it| 20_000 + it * 400);
    diode.all_arrives();
    println!("{} datagrams lost, 100 at a time", diode.wire.lost());
    assert!(diode.wire.lost() >= 300);
}

/// Objects of all sizes for so long.
fn traffic(diode: &mut Diode, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        diode.fill(5, |it| 4_000 + it * 3_000);
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn three_seconds_of_silence_are_made_good_by_the_other_pass() {
    if !is_possible() {
        return;
    }
    let mut diode = Diode::set_up(&[("rate_bits_per_s", 50_000_000), ("spacing_ms", 4_000)]);
    let _receiver = diode.start_receiving();
    let _sender = diode.start_sending();
    traffic(&mut diode, Duration::from_secs(1));
    diode.wire.spoil("counter name lost drop");
    traffic(&mut diode, Duration::from_secs(3));
    let lost = diode.wire.lost();
    diode.wire.clear();
    traffic(&mut diode, Duration::from_secs(1));
    diode.all_arrives();
    println!("{lost} datagrams lost, no hole in {} objects", diode.sent.len());
    assert!(lost > 500, "{lost}");
}

#[test]
fn a_receiver_that_stands_still_for_two_seconds_has_no_hole() {
    if !is_possible() {
        return;
    }
    let mut diode = Diode::set_up(&[("rate_bits_per_s", 200_000_000), ("spacing_ms", 3_000)]);
    let mut receiver = diode.start_receiving();
    let _sender = diode.start_sending();
    traffic(&mut diode, Duration::from_millis(500));
    signal(&receiver, Signal::STOP);
    traffic(&mut diode, Duration::from_secs(2));
    signal(&receiver, Signal::CONT);
    traffic(&mut diode, Duration::from_millis(500));
    diode.all_arrives();
    is_well(&mut receiver);
}

#[test]
fn ends_that_are_killed_in_the_middle_lose_nothing() {
    if !is_possible() {
        return;
    }
    let mut diode = Diode::set_up(&[("rate_bits_per_s", 10_000_000), ("spacing_ms", 3_000)]);
    let mut receiver = diode.start_receiving();
    let mut sender = diode.start_sending();
    diode.fill(150, |it| 3_000 + it * 50);
    wait("some have arrived", || diode.arrived() > 20);
    receiver.kill().unwrap();
    receiver = diode.start_receiving();
    wait("some more have arrived", || diode.arrived() > 60);
    assert!(!diode.is_sent(), "it is in the middle");
    sender.kill().unwrap();
    diode.fill(50, |it| 3_001 + it * 50);
    sender = diode.start_sending();
    diode.all_arrives();
    wait("all is sent", || diode.is_sent());
    assert_eq!((receiver.ended(), sender.ended()), (None, None));
}

/// Who fills a tray counts from the beginning when he finds it empty after a restart: the sender is not confused.
#[test]
fn a_tray_whose_numbers_begin_again_is_sent_all_the_same() {
    if !is_possible() {
        return;
    }
    let mut diode = Diode::set_up(&[("rate_bits_per_s", 100_000_000), ("spacing_ms", 100)]);
    let _receiver = diode.start_receiving();
    let _sender = diode.start_sending();
    diode.fill(20, |it| 100 + it);
    wait("all is sent", || diode.is_sent());
    diode.fill(5, |it| 200 + it);
    diode.all_arrives();
}
