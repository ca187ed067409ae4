use std::time::{Duration, Instant};

use super::super::datagram::Pattern;
use super::super::profile::{Profile, Written};
use super::*;

const LENGTH: Duration = Duration::from_secs(10);

/// A test of rising rates at which `arrives(step, place)` says what comes. Symbols are as long as makes `count`
/// datagrams of each step.
fn survey(rates: &[u64], count: u32, arrives: impl Fn(u16, u64) -> bool) -> (Vec<Step>, u16) {
    let steps = u16::try_from(rates.len()).unwrap();
    let (start, mut survey) = (Instant::now(), Survey::default());
    for (step, rate) in (0..).zip(rates) {
        let symbol = u16::try_from(*rate * LENGTH.as_secs() / 8 / u64::from(count)).unwrap_or(u16::MAX) - 92;
        for place in (0..u64::from(count)).filter(|it| arrives(step, *it)) {
            let pattern = Pattern { step, steps, rate: *rate, place, count, symbol };
            let at = LENGTH * u32::from(step) + LENGTH / count * u32::try_from(place).unwrap();
            survey.take(&pattern, start + at);
        }
    }
    survey.finish()
}

#[test]
fn a_clean_line_gets_most_of_its_highest_rate() {
    let (steps, sent) = survey(&[10_000_000, 100_000_000], 20_000, |_, _| true);
    let proposal = Proposal::of(&steps, sent, LENGTH).unwrap();
    assert_eq!(proposal.rate_bits_per_s, 60_000_000);
    assert_eq!((proposal.design_loss_permille, proposal.spacing_ms), (10, 5_000));
    assert!(proposal.remarks.iter().any(|it| it.contains("higher")));
    let written: Written = toml::from_str(&proposal.to_toml()).unwrap();
    assert_eq!(Profile::try_from(written).unwrap().rate(), 60_000_000);
}

#[test]
fn a_rate_that_overruns_the_receiver_is_not_clean() {
    let (steps, sent) =
        survey(&[10_000_000, 100_000_000, 1_000_000_000], 20_000, |step, place| step < 2 || place % 20 != 0);
    let proposal = Proposal::of(&steps, sent, LENGTH).unwrap();
    assert_eq!((proposal.clean, proposal.design_loss_permille), (100_000_000, 10));
    assert_eq!(steps[2].lost(), 1_000);
    let table = table(&steps, LENGTH);
    assert!(table.contains("    1000.000      1000      20000      19000    5.0000       1"), "{table}");
}

/// What was never sent so fast is not known to arrive.
#[test]
fn a_rate_that_the_sender_did_not_reach_is_not_proposed() {
    let (start, mut survey) = (Instant::now(), Survey::default());
    for place in 0..10_001 {
        let pattern = Pattern { step: 0, steps: 1, rate: 5_000_000_000, place, count: 10_001, symbol: 1_158 };
        // 10,000 bits each, one in 10 microseconds.
        survey.take(&pattern, start + Duration::from_micros(10 * place));
    }
    let (steps, sent) = survey.finish();
    let proposal = Proposal::of(&steps, sent, LENGTH).unwrap();
    assert_eq!((proposal.clean, proposal.rate_bits_per_s), (1_000_000_000, 600_000_000));
    assert_eq!(proposal.remarks, ["the sender did not reach 5000 Mbit/s"]);
}

#[test]
fn loss_at_every_rate_is_the_lines_own_and_designed_for() {
    for (of, permille) in [(300, 10), (50, 50), (25, 100), (9, 300)] {
        let (steps, sent) = survey(&[10_000_000, 50_000_000], 20_000, |_, place| place % of != 0);
        assert_eq!(Proposal::of(&steps, sent, LENGTH).unwrap().design_loss_permille, permille, "1 of {of}");
    }
    let (steps, sent) = survey(&[10_000_000], 20_000, |_, place| place % 5 != 0);
    assert_eq!(Proposal::of(&steps, sent, LENGTH), Err(Unfit::Lossy { lost_permille: 200 }));
    assert_eq!(Proposal::of(&[], 0, LENGTH), Err(Unfit::Nothing));
}

/// Two of a hundred are lost at any rate, and the lowest step was lucky.
#[test]
fn chance_in_a_short_step_is_not_taken_for_an_overrun() {
    let lost = [&[100][..], &[3, 40, 90, 120, 180], &[1, 77, 130, 199]];
    let arrives = |step: u16, place| !lost[usize::from(step)].contains(&place);
    let (steps, sent) = survey(&[2_000_000, 5_000_000, 10_000_000], 200, arrives);
    let proposal = Proposal::of(&steps, sent, LENGTH).unwrap();
    assert_eq!((proposal.clean, proposal.design_loss_permille), (10_000_000, 50));
}

#[test]
fn passes_are_further_apart_than_the_longest_outage() {
    // 8 s of 10 at a rate that is clean in all: a tenth of a thousandth is lost, in one go.
    let lost = |place: u64| !(100_000..100_090).contains(&place);
    let (steps, sent) = survey(&[100_000_000], 200_000, |_, place| lost(place));
    assert_eq!((steps[0].longest_burst, steps[0].lost()), (90, 90));
    assert_eq!(Proposal::of(&steps, sent, LENGTH).unwrap().spacing_ms, 5_000);
    let (steps, sent) =
        survey(&[10_000_000], 20_000, |_, place| !(10_000..17_000).contains(&place) || place % 2 == 2);
    let proposal = Proposal::of(&steps, sent, LENGTH);
    assert!(matches!(proposal, Err(Unfit::Lossy { .. })), "a third is lost: {proposal:?}");
    let (steps, sent) = survey(&[10_000_000], 20_000, |_, place| !(10_000..12_000).contains(&place));
    assert_eq!(steps[0].outage(LENGTH).as_millis(), 1_000);
    assert_eq!(Proposal::of(&steps, sent, LENGTH * 10).unwrap().spacing_ms, 20_000);
}

#[test]
fn copies_disorder_and_hostile_numbers_are_counted_and_bounded() {
    let (now, mut survey) = (Instant::now(), Survey::default());
    let pattern = |place| Pattern { step: 0, steps: 2, rate: 1_000_000, place, count: 10, symbol: 100 };
    for place in [0, 1, 1, 3, 2, 9] {
        survey.take(&pattern(place), now);
    }
    assert!(!survey.is_complete());
    survey.take(&Pattern { count: u32::MAX, place: 1 << 40, ..pattern(0) }, now);
    survey.take(&Pattern { step: 60_000, ..pattern(0) }, now);
    survey.take(&Pattern { place: 1 << 40, ..pattern(0) }, now);
    survey.take(&Pattern { step: 1, place: 9, ..pattern(0) }, now);
    assert!(survey.is_complete());
    survey.take(&pattern(4), now);
    let (steps, sent) = survey.finish();
    assert_eq!((steps.len(), sent), (2, 2));
    let first = &steps[0];
    assert_eq!((first.received, first.duplicates, first.late, first.longest_burst), (5, 1, 2, 5));
    assert_eq!(steps[1].longest_burst, 9);
}

#[test]
fn a_ramp_rises_from_end_to_end() {
    let ramp = Ramp::between(10_000_000, 300_000_000, Duration::from_secs(2)).unwrap();
    assert_eq!(ramp.rates(), [10, 20, 50, 100, 200, 300].map(|it| it * 1_000_000));
    assert_eq!(ramp.length(), Duration::from_secs(12));
    for (from, to, seconds) in [(0, 10, 2), (20_000_000, 10_000_000, 2), (10_000_000, 20_000_000, 0)] {
        assert_eq!(Ramp::between(from, to, Duration::from_secs(seconds)), Err(InvalidRamp));
    }
}
