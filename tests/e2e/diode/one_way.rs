//! Nothing comes back, and nothing tries; and what says so would say otherwise.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use holdpoint_tests::program::{Running, text, wait};
use rustix::process::Signal;

use super::ends::{Diode, signal};
use super::line::{Backwards, FROM, TO, Wire, has, is_possible};

/// A quick line with two passes.
const QUICK: [(&str, i64); 2] = [("rate_bits_per_s", 100_000_000), ("spacing_ms", 500)];
/// Calls that read, and calls that send, on whatever.
const READ: [&str; 3] = ["recv", "read", "pread"];
const SEND: [&str; 5] = ["send", "write", "pwrite", "connect", "splice"];

#[test]
fn hundreds_of_objects_cross_and_nothing_comes_back() {
    if !is_possible() {
        return;
    }
    let mut diode = Diode::set_up(&QUICK);
    assert_eq!(diode.wire.backwards(), Backwards::default(), "from the first moment on");
    let mut receiver = diode.start_receiving();
    let mut sender = diode.start_sending();
    diode.fill(400, |it| 1 + it * 13);
    diode.fill(8, |it| 60_000 + it);
    diode.all_arrives();
    wait("the last pass is gone", || diode.is_sent());

    assert_eq!(diode.wire.backwards(), Backwards::default());
    assert_eq!(diode.wire.sender.counter("tried_elsewhere"), 0, "the sender sends to one place");
    assert_eq!(diode.wire.receiver.counter("strangers"), 0, "and its machine says nothing besides");
    assert!(diode.wire.sender.counter("sent") > 408 && diode.wire.receiver.counter("received") > 408);

    let threads: Vec<_> = fs::read_dir(format!("/proc/{}/task", receiver.pid())).unwrap().collect();
    assert!(threads.len() >= 3, "one reads, one assembles");
    for thread in threads {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(status.lines().any(|it| it == "Seccomp:\t2"), "a thread could send:\n{status}");
    }

    // Service managers ask before they kill.
    signal(&receiver, Signal::TERM);
    ends_at_once(&mut receiver);
    signal(&sender, Signal::TERM);
    ends_at_once(&mut sender);
    assert_eq!(diode.wire.backwards(), Backwards::default(), "to the last one");
}

/// As a process that was asked to, and not in a panic.
fn ends_at_once(process: &mut Running) {
    wait("it ends", || process.ended().is_some());
    assert_eq!(process.ended().unwrap().signal(), Some(15));
}

/// The sender runs as under its unit, which refuses it these calls.
#[test]
fn one_end_has_no_call_that_reads_the_line_and_the_other_none_that_sends() {
    if !is_possible() || !has("strace") {
        return;
    }
    let mut diode = Diode::set_up(&QUICK);
    let log = |it: &str| diode.receiver().join(it);
    let (incoming, outgoing) = (log("received.strace"), log("sent.strace"));
    let receiver = diode.when_it_receives(traced(&diode.receiving(&["receive"]), &incoming, &[]));
    let refused = ["-e", "inject=recvfrom,recvmsg,recvmmsg:error=EPERM"];
    let mut sender = Running::tool(&mut traced(&diode.sending(&["send"]), &outgoing, &refused)).unwrap();
    diode.fill(100, |it| 500 + it * 40);
    diode.all_arrives();
    wait("the last pass is gone", || diode.is_sent());
    signal(&sender, Signal::TERM);
    ends_at_once(&mut sender);
    drop(receiver);

    let (sent, taken) = (calls(&outgoing), calls(&incoming));
    let has =
        |calls: &[String], some: &[&str]| calls.iter().any(|it| some.iter().any(|one| it.starts_with(one)));
    assert!(has(&sent, &SEND) && has(&taken, &READ), "both were seen at work: {sent:?} {taken:?}");
    assert!(!has(&sent, &READ), "the sender reads: {sent:?}");
    assert!(!has(&taken, &SEND), "the receiver sends: {taken:?}");
    println!("calls on the line: {sent:?}, {taken:?}");
    assert_eq!(diode.wire.backwards(), Backwards::default());
}

/// The same under strace, as its child, so that it keeps its process id.
fn traced(command: &Command, log: &Path, more: &[&str]) -> Command {
    let mut words: Vec<_> = command.get_args().map(|it| it.to_str().unwrap()).collect();
    let program = words.iter().position(|it| *it == "--").unwrap() + 1;
    let strace = ["strace", "-D", "-f", "-yy", "-e", "trace=%network,%desc", "-o", text(log)];
    words.splice(program..program, strace.iter().chain(more).copied());
    let mut traced = holdpoint_tests::program::tool(command.get_program().to_str().unwrap());
    traced.args(words);
    traced
}

/// The calls on UDP sockets, each kind once.
fn calls(log: &Path) -> Vec<String> {
    let log = fs::read_to_string(log).unwrap();
    let on_line = log.lines().filter(|it| it.contains("<UDP:[") || it.contains("<UDP6:["));
    let mut calls: Vec<_> = on_line
        .filter_map(|it| it.split_once(' ')?.1.trim_start().split_once('(').map(|it| it.0.to_owned()))
        .collect();
    calls.sort();
    calls.dedup();
    calls
}

/// The negative control: with nobody at the port the kernel answers, and each probe says so when what keeps the
/// answer in is taken away.
#[test]
fn the_probes_of_silence_are_alive() {
    if !is_possible() {
        return;
    }
    let wire = Wire::set_up();
    let socket = wire.sender.socket(FROM);
    let provoke = |seen: &dyn Fn(Backwards) -> bool| {
        wait("the probe says something", || {
            for _ in 0..20 {
                socket.send_to(b"is anybody there?", TO).unwrap();
            }
            // The kernel answers no more than once a second for long.
            thread::sleep(Duration::from_millis(100));
            seen(wire.backwards())
        });
        wire.backwards()
    };

    let kept_in = provoke(&|it| it.silenced > 0);
    assert_eq!(Backwards { silenced: 0, ..kept_in }, Backwards::default(), "the rules keep it in");

    wire.receiver.run("nft", &["delete", "table", "inet", "holdpoint_diode"]);
    let caught = provoke(&|it| it.attempts > 0);
    assert_eq!((caught.left, caught.arrived, caught.came_in), (0, 0, 0), "the last rule does, too");

    wire.receiver.run("nft", &["delete", "table", "netdev", "holdpoint_diode"]);
    let out = provoke(&|it| it.arrived > 0 && it.came_in > 0);
    assert!(out.left > 0, "{out:?}");
    println!("kept in {kept_in:?}, caught {caught:?}, out {out:?}");
}

/// Other datagrams than those of the line are not answered either.
#[test]
fn a_closed_port_is_not_answered() {
    if !is_possible() {
        return;
    }
    let wire = Wire::set_up();
    let others = |port: u16| {
        let socket = wire.sender.socket("10.20.4.1:0");
        (0..50).filter(|_| socket.send_to(b"knock", ("10.20.4.2", port)).is_ok()).count()
    };
    let refused = [others(6_000), others(22)];
    let counted = wire.sender.counter("tried_elsewhere");
    assert!(counted >= 100, "they do not leave: {refused:?}, {counted}");
    wire.sender.run("nft", &["delete", "table", "inet", "holdpoint_diode"]);
    assert_eq!((others(6_000), others(22)), (50, 50));
    wait("they arrive", || wire.receiver.counter("strangers") >= 100);
    assert_eq!(wire.receiver.counter("received"), 0);
    assert_eq!(wire.backwards(), Backwards::default());
}
