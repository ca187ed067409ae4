//! A line is measured before it is used, by two people who only talk on the telephone.

use std::process::Stdio;

use holdpoint_collector::carrier::diode::Profile;

use super::ends::Diode;
use super::line::{Backwards, is_possible};

#[test]
fn what_a_test_of_the_line_prints_can_be_typed_into_the_profile() {
    if !is_possible() {
        return;
    }
    let diode = Diode::set_up(&[]);
    diode.wire.spoil("numgen random mod 1000 < 20 counter name lost drop");
    let mut receive = diode.receiving(&["commission", "receive", "--step", "1s", "--patience", "20s"]);
    let receiving = receive.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    diode.wire.receiver.is_listened_on();
    let mut send =
        diode.sending(&["commission", "send", "--step", "1s", "--from-mbit", "2", "--to-mbit", "50"]);
    let said = send.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));

    let received = receiving.wait_with_output().unwrap();
    let measured = String::from_utf8_lossy(&received.stderr);
    println!("{}{measured}", String::from_utf8_lossy(&said.stderr));
    assert!(received.status.success(), "{measured}");
    let proposed = String::from_utf8(received.stdout).unwrap();
    println!("{proposed}");
    let profile: Profile = toml::from_str(&proposed).unwrap();
    assert!(
        (5_000_000..=30_000_000).contains(&profile.rate()),
        "at most 60 % of the highest: {}",
        profile.rate()
    );
    assert_eq!(profile.copies(), 2);
    let words: toml::Table = proposed.parse().unwrap();
    let design = words["design_loss_permille"].as_integer().unwrap();
    assert!((50..=100).contains(&design), "twice what was lost and a margin: {design}");
    assert!(diode.wire.lost() > 50);
    assert_eq!(diode.wire.backwards(), Backwards::default());
}
