use std::net::UdpSocket;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::assemble::{Assembler, Limits};
use super::line::BEACON_COPIES;
use super::profile::Written;
use super::testing::{Numbers, keys, profile};
use super::*;

fn receiver() -> Receiver {
    Receiver::bind("127.0.0.1:0".parse().unwrap(), BUFFER).unwrap()
}

fn route(to: &Receiver) -> Route {
    Route { from: "127.0.0.1:0".parse().unwrap(), to: to.at() }
}

/// Waits for a condition, not for a time.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(15), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn objects_cross_a_real_socket_once_each_and_in_all_sizes() {
    let receiver = receiver();
    let route = route(&receiver);
    let (out, arrived) = mpsc::channel();
    let assembler = Assembler::new(keys(), &[1], Limits::default());
    let receiving = receiver
        .start(assembler, move |it| {
            if let Arrival::Object(object) = it {
                out.send(object.bytes).unwrap();
            }
        })
        .unwrap();
    let line = Line::start(&route, profile(|_| ()), keys(), MAX_HELD).unwrap();
    let mut numbers = Numbers::new(1);
    let mut sent: Vec<Vec<u8>> =
        [1, 700, 1_400, 4_096, 60_000, 700_000, 2_000_000].map(|it| numbers.bytes(it)).into();
    for object in &sent {
        line.offer(object.as_slice().into(), Urgency::Usual).unwrap();
    }
    line.flush();
    let beacon = numbers.bytes(400);
    line.offer(beacon.as_slice().into(), Urgency::Beacon).unwrap();
    sent.push(beacon);
    let done = line.close();
    assert_eq!(done.objects, 8);
    assert_eq!(done.passes, 7 * 2 + u64::from(BEACON_COPIES));
    assert_eq!((done.waiting, done.held, done.traffic.failed), (0, 0, 0));
    let watch = receiving.watch();
    eventually("all of it is read", || {
        watch.counters().datagrams + watch.kernel_drops().unwrap_or(0) >= done.traffic.datagrams
    });
    let mut got: Vec<Vec<u8>> = arrived.try_iter().collect();
    got.sort();
    sent.sort();
    assert!(got == sent, "{:?}", watch.counters());
    let sessions = watch.sessions();
    assert_eq!((sessions.len(), sessions[0].longest_burst, sessions[0].late), (1, 0, 0));
    assert_eq!(watch.read_errors(), 0);
    receiving.stop();
}

#[test]
fn a_panic_of_the_caller_is_counted_and_the_next_object_arrives() {
    let receiver = receiver();
    let route = route(&receiver);
    let count = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&count);
    let receiving = receiver
        .start(Assembler::new(keys(), &[], Limits::default()), move |_| {
            *seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
            panic!("what a test is for");
        })
        .unwrap();
    let line = Line::start(&route, profile(|it| it.copies = 1), keys(), MAX_HELD).unwrap();
    for object in [&b"one"[..], b"two"] {
        line.offer(object.into(), Urgency::Usual).unwrap();
    }
    line.close();
    eventually("both", || receiving.watch().panics() == 2);
    assert!(!receiving.is_broken());
}

#[test]
fn nonsense_on_the_port_is_counted_by_cause_and_nothing_else() {
    let receiver = receiver();
    let to = receiver.at();
    let receiving = receiver.start(Assembler::new(keys(), &[], Limits::default()), |_| ()).unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for length in [0, 1, 63, 64, 65, 66, 1_464, 9_000, 60_000] {
        stranger.send_to(&vec![0x48; length], to).unwrap();
    }
    let watch = receiving.watch();
    eventually("all are judged", || watch.counters().datagrams == 9);
    let counters = watch.counters();
    assert_eq!((counters.rejected(Cause::Length), counters.rejected(Cause::Magic)), (7, 2));
    assert_eq!(watch.waiting(), (0, 0));
    assert!(!receiving.is_broken());
}

#[test]
fn what_a_line_cannot_hold_is_refused_and_fits_later() {
    let receiver = receiver();
    let slow = |it: &mut Written| it.spacing_ms = 600;
    let line = Line::start(&route(&receiver), profile(slow), keys(), 100_000).unwrap();
    let object: Arc<[u8]> = vec![1; 60_000].into();
    let other: Arc<[u8]> = vec![2; 60_000].into();
    line.offer(Arc::clone(&object), Urgency::Usual).unwrap();
    assert_eq!(line.offer(Arc::clone(&other), Urgency::Usual), Err(Refused::Full));
    assert_eq!(line.offer(vec![3; 10].into(), Urgency::Beacon), Ok(()), "a beacon says that it is full");
    assert_eq!(line.offer(Vec::new().into(), Urgency::Usual), Err(Refused::Length));
    line.offer_within(other, Urgency::Usual, Duration::from_secs(10)).unwrap();
    let sent = line.close();
    assert_eq!(sent.objects, 3);
}

#[test]
fn beacons_without_end_are_refused_too() {
    let receiver = receiver();
    let slow = |it: &mut Written| (it.rate_bits_per_s, it.spacing_ms) = (10_000, 300_000);
    let line = Line::start(&route(&receiver), profile(slow), keys(), MAX_HELD).unwrap();
    let refused =
        (0..100_u8).filter(|it| line.offer(vec![*it; 400].into(), Urgency::Beacon).is_err()).count();
    assert!((10..=36).contains(&refused), "{refused}");
}

/// Where this machine has IPv6.
#[test]
fn objects_cross_ipv6_too() {
    let Ok(receiver) = Receiver::bind("[::1]:0".parse().unwrap(), BUFFER) else { return };
    let route = Route { from: "[::1]:0".parse().unwrap(), to: receiver.at() };
    let (out, arrived) = mpsc::channel();
    let receiving = receiver
        .start(Assembler::new(keys(), &[], Limits::default()), move |it| {
            if let Arrival::Object(object) = it {
                out.send(object.bytes).unwrap();
            }
        })
        .unwrap();
    let line = Line::start(&route, profile(|it| it.copies = 1), keys(), MAX_HELD).unwrap();
    line.offer(vec![6; 100_000].into(), Urgency::Usual).unwrap();
    assert!(arrived.recv_timeout(Duration::from_secs(15)).unwrap() == vec![6; 100_000]);
    assert_eq!(line.close().traffic.failed, 0);
    receiving.stop();
}

#[test]
fn a_dropped_line_ends_at_once_in_the_middle_of_an_object() {
    let receiver = receiver();
    let slow = |it: &mut Written| it.rate_bits_per_s = 100_000;
    let line = Line::start(&route(&receiver), profile(slow), keys(), MAX_HELD).unwrap();
    line.offer(vec![1; 1_000_000].into(), Urgency::Usual).unwrap();
    let start = Instant::now();
    drop(line);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_beacon_does_not_wait_for_the_end_of_a_long_object() {
    let receiver = receiver();
    let route = route(&receiver);
    let (out, arrived) = mpsc::channel();
    let receiving = receiver
        .start(Assembler::new(keys(), &[], Limits::default()), move |it| {
            if let Arrival::Object(object) = it {
                out.send(object.bytes.len()).unwrap();
            }
        })
        .unwrap();
    let slow = |it: &mut Written| (it.rate_bits_per_s, it.copies) = (20_000_000, 1);
    let line = Line::start(&route, profile(slow), keys(), MAX_HELD).unwrap();
    line.offer(vec![1; 2_000_000].into(), Urgency::Usual).unwrap();
    line.offer(vec![2; 100].into(), Urgency::Beacon).unwrap();
    let order: Vec<usize> = arrived.iter().take(2).collect();
    assert_eq!(order, [100, 2_000_000]);
    line.close();
    receiving.stop();
}

/// Nobody listens: each datagram is answered with an error, of which the sender is not told.
#[test]
fn errors_that_come_back_are_not_heard() {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let route = Route { from: "127.0.0.1:0".parse().unwrap(), to: nobody.local_addr().unwrap() };
    drop(nobody);
    let line = Line::start(&route, profile(|it| it.copies = 2), keys(), MAX_HELD).unwrap();
    line.offer(vec![1; 100_000].into(), Urgency::Usual).unwrap();
    let sent = line.close();
    assert_eq!((sent.traffic.failed, sent.objects), (0, 1));
}

/// As for a symbol that is longer than the MTU: what the host refuses is counted, the line goes on.
#[test]
fn datagrams_that_this_host_refuses_are_counted() {
    let route = Route { from: "127.0.0.1:0".parse().unwrap(), to: "255.255.255.255:9".parse().unwrap() };
    let line = Line::start(&route, profile(|it| it.copies = 1), keys(), MAX_HELD).unwrap();
    line.offer(vec![1; 100_000].into(), Urgency::Usual).unwrap();
    let sent = line.close();
    assert_eq!((sent.objects, sent.traffic.datagrams, sent.traffic.bytes), (1, 0, 0));
    assert!(sent.traffic.failed > 72);
}

#[test]
fn addresses_of_two_families_are_no_route() {
    let route = Route { from: "127.0.0.1:0".parse().unwrap(), to: "[::1]:9".parse().unwrap() };
    assert!(matches!(Line::start(&route, profile(|_| ()), keys(), 1), Err(WireError::Family { .. })));
}

#[test]
fn the_rate_that_was_agreed_is_kept() {
    let receiver = receiver();
    let rate = |it: &mut Written| (it.rate_bits_per_s, it.copies) = (40_000_000, 1);
    let line = Line::start(&route(&receiver), profile(rate), keys(), MAX_HELD).unwrap();
    line.offer(vec![1; 2_000_000].into(), Urgency::Usual).unwrap();
    let start = Instant::now();
    let sent = line.close();
    let due = sent.traffic.bytes * 8 * 1_000 / 40_000_000;
    let took = u64::try_from(start.elapsed().as_millis()).unwrap();
    assert!(took + 10 >= due, "too fast: {took} of {due} ms");
    // A machine that is busy with other tests may be slower, and not by much.
    assert!(took < due * 2 + 500, "too slow: {took} of {due} ms");
}

#[test]
fn a_test_of_the_link_arrives_and_is_judged() {
    use super::commission::{Proposal, Ramp, Survey, send, table};
    let receiver = receiver();
    let route = route(&receiver);
    let survey = Arc::new(Mutex::new(Survey::default()));
    let counting = Arc::clone(&survey);
    let receiving = receiver
        .start(Assembler::new(keys(), &[1], Limits::default()), move |it| {
            if let Arrival::Pattern(pattern, now) = it {
                counting.lock().unwrap().take(&pattern, now);
            }
        })
        .unwrap();
    let second = Duration::from_secs(1);
    let ramp = Ramp::between(1_000_000, 10_000_000, second).unwrap();
    let mut rates = Vec::new();
    let traffic = send(&route, &profile(|_| ()), keys(), &ramp, |rate| rates.push(rate)).unwrap();
    assert_eq!(rates, ramp.rates());
    eventually("the last one", || survey.lock().unwrap().is_complete());
    receiving.stop();
    let (steps, sent) = std::mem::take(&mut *survey.lock().unwrap()).finish();
    let proposal = Proposal::of(&steps, sent, second).unwrap();
    assert_eq!(table(&steps, second).lines().count(), 1 + rates.len());
    // How much of the rates is reached depends on what else this machine does.
    assert!(proposal.clean > 1_000_000 && proposal.spacing_ms == 5_000, "{proposal:?}");
    assert_eq!(steps.iter().map(|it| it.sent).sum::<u64>(), traffic.datagrams);
}
