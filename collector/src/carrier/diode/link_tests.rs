use std::net::UdpSocket;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::assemble::{Assembler, Limits};
use super::line::BEACON_COPIES;
use super::profile::Written;
use super::testing::{Numbers, keys};
use super::*;

fn profile(change: impl FnOnce(&mut Written)) -> Profile {
    let mut written =
        Written { rate_bits_per_s: 400_000_000, spacing_ms: 50, stream: 1, ..Written::default() };
    change(&mut written);
    Profile::try_from(written).unwrap()
}

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
    let slow = |it: &mut Written| (it.rate_bits_per_s, it.spacing_ms) = (100_000_000, 200);
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
    assert!((30..=36).contains(&refused), "{refused}");
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

/// The queue of what arrives at the sender's socket is still full when it has ended its work: nobody read it.
#[test]
#[cfg(target_os = "linux")]
fn the_sender_never_reads() {
    let receiver = receiver();
    let line = Line::start(&route(&receiver), profile(|it| it.copies = 1), keys(), MAX_HELD).unwrap();
    let queue = || {
        let table = std::fs::read_to_string("/proc/self/net/udp").unwrap();
        let port = format!(":{:04X} ", line.from().port());
        let line = table.lines().find(|it| it.contains(&port)).unwrap().to_owned();
        let queues = line.split_ascii_whitespace().nth(4).unwrap().to_owned();
        u64::from_str_radix(queues.split(':').nth(1).unwrap(), 16).unwrap()
    };
    assert_eq!(queue(), 0);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(b"an answer that nobody wants", line.from()).unwrap();
    let waiting = queue();
    assert!(waiting > 0);
    line.offer(vec![1; 100_000].into(), Urgency::Usual).unwrap();
    line.flush();
    assert_eq!(queue(), waiting);
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
    eprintln!("{}{}{:?}", table(&steps, second), proposal.to_toml(), proposal.remarks);
    assert_eq!((proposal.clean, proposal.spacing_ms), (10_000_000, 5_000));
    assert_eq!(steps.iter().map(|it| it.sent).sum::<u64>(), traffic.datagrams);
}

/// In a process of its own, because what is taken away does not come back. Receiving and writing go on.
#[test]
#[cfg(target_os = "linux")]
fn a_receiver_that_is_locked_down_receives_and_writes_and_sends_nothing() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    const IN_CHILD: &str = "HOLDPOINT_TEST_LOCK_DOWN";
    if std::env::var_os(IN_CHILD).is_some() {
        return locked_down();
    }
    #[expect(clippy::disallowed_methods, reason = "the test runs itself in a process of its own")]
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let name = "a_receiver_that_is_locked_down_receives_and_writes_and_sends_nothing";
    let module = module_path!().split_once("::").unwrap().1;
    let mut child = child
        .args(["--exact", &format!("{module}::{name}"), "--nocapture", "--test-threads", "1"])
        .env(IN_CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let to = lines.find_map(|it| it.split_once("ready at ").map(|it| it.1.parse().unwrap())).unwrap();
    let route = Route { from: "127.0.0.1:0".parse().unwrap(), to };
    let line = Line::start(&route, profile(|it| it.copies = 1), keys(), MAX_HELD).unwrap();
    line.offer(vec![1; 50_000].into(), Urgency::Usual).unwrap();
    line.close();
    assert!(lines.any(|it| it.contains("test result: ok. 1 passed")));
    assert!(child.wait().unwrap().success());
}

#[cfg(target_os = "linux")]
fn locked_down() {
    let denied = |it: std::io::Error| assert_eq!(it.kind(), std::io::ErrorKind::PermissionDenied);
    let receiver = receiver();
    let to = receiver.at();
    let (out, arrived) = mpsc::channel();
    let receiving = receiver
        .start(Assembler::new(keys(), &[], Limits::default()), move |it| {
            if let Arrival::Object(object) = it {
                // This thread was there before.
                out.send((object.bytes, UdpSocket::bind("127.0.0.1:0").is_ok())).unwrap();
            }
        })
        .unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    lock_down().unwrap();
    println!("ready at {to}");
    denied(other.send_to(b"x", to).unwrap_err());
    denied(other.connect(to).unwrap_err());
    denied(std::net::TcpStream::connect(to).unwrap_err());
    // A socket that was never connected has no address to write to.
    let unconnected = std::fs::File::from(std::os::fd::OwnedFd::from(other));
    assert!(std::io::Write::write(&mut &unconnected, b"x").is_err());
    #[expect(clippy::disallowed_methods, reason = "that it fails is what is tested")]
    let program = std::process::Command::new("/bin/true").status();
    assert!(program.is_err());
    let (object, opens) = arrived.recv_timeout(Duration::from_secs(15)).unwrap();
    assert!(object == vec![1; 50_000] && !opens);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("object"), object).unwrap();
    assert!(!receiving.is_broken());
    receiving.stop();
}
