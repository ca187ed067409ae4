//! A line in bad hands: what it brings is damaged, repeated, out of order, of yesterday, or of somebody who has
//! the key. No wrong object comes out, the right ones do, and the receiver stays alive and small.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use holdpoint_collector::carrier::diode::ObjectId;
use holdpoint_collector::carrier::diode::datagram::{Origin, Shard, write_shard};
use holdpoint_collector::carrier::diode::shape::Shape;
use holdpoint_tests::diode::Parts;
use holdpoint_tests::mutation::{Numbers, mutate};
use holdpoint_tests::program::wait;

use super::ends::{Diode, is_well};
use super::line::{Backwards, FROM, TO, Wire, is_possible};

/// Longest datagram.
const LONGEST: usize = 9_000;
/// Datagrams that a hostile line holds back to change their order.
const HELD: usize = 40;
const SLOW: [(&str, i64); 2] = [("rate_bits_per_s", 20_000_000), ("spacing_ms", 500)];

/// What stands between the sender and the receiver. The sender's own line ends here.
struct Relay {
    /// Where the sender's datagrams come out.
    front: UdpSocket,
    /// From here on it is the receiver's line.
    back: UdpSocket,
    numbers: Numbers,
    held: Vec<Vec<u8>>,
    /// Everything that the sender sent.
    recorded: Vec<Vec<u8>>,
    damaged: u32,
}

impl Relay {
    fn new(front: &Wire, back: &Wire) -> Self {
        let front = front.receiver.socket(TO);
        front.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (back, numbers) = (back.sender.socket(FROM), Numbers::from_seed(5));
        Self { front, back, numbers, held: Vec::new(), recorded: Vec::new(), damaged: 0 }
    }

    fn run(&mut self, stop: &AtomicBool) {
        let mut bytes = vec![0; LONGEST];
        while !stop.load(Ordering::Relaxed) {
            let Ok(length) = self.front.recv(&mut bytes) else { continue };
            self.play(bytes[..length].to_vec());
        }
        self.held.drain(..).for_each(|it| send(&self.back, &it));
    }

    /// One in twenty comes damaged only; besides, others are repeated, and damaged ones come as well.
    fn play(&mut self, datagram: Vec<u8>) {
        let numbers = &mut self.numbers;
        let other = self.recorded.get(numbers.index(self.recorded.len())).cloned().unwrap_or_default();
        let damaged = match numbers.index(5) {
            0 => mutate(&datagram, &other, numbers),
            1 => datagram[..numbers.index(datagram.len())].to_vec(),
            2 => {
                let at = numbers.index(datagram.len());
                [&datagram[..at], other.get(at..).unwrap_or_default()].concat()
            }
            3 => {
                let (mut bytes, at) = (datagram.clone(), numbers.index(datagram.len()));
                bytes[at] ^= 1 << numbers.index(8);
                bytes
            }
            _ => {
                let mut noise = vec![0; numbers.index(1_500)];
                numbers.fill(&mut noise);
                noise
            }
        };
        let (fate, again) = (numbers.index(20), numbers.index(8) == 0);
        if fate < 4 {
            self.damaged += 1;
            send(&self.back, &damaged);
        }
        if again && !other.is_empty() {
            send(&self.back, &other);
        }
        if fate > 0 {
            self.held.push(datagram.clone());
        }
        while self.held.len() > HELD {
            let one = self.held.swap_remove(self.numbers.index(HELD));
            send(&self.back, &one);
            if self.numbers.index(10) == 0 {
                send(&self.back, &one);
            }
        }
        self.recorded.push(datagram);
    }
}

/// A datagram that is longer than the line bears goes in fragments, and some are none.
fn send(socket: &UdpSocket, bytes: &[u8]) {
    drop(socket.send_to(bytes, TO));
}

/// A whole recording once more, no faster than it was.
fn replay(socket: &UdpSocket, recorded: &[Vec<u8>]) {
    for some in recorded.chunks(50) {
        for datagram in some {
            send(socket, datagram);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_hostile_line_brings_no_wrong_object_and_neither_does_yesterdays() {
    if !is_possible() {
        return;
    }
    let mut diode = Diode::set_up(&SLOW);
    diode.front = Some(Wire::set_up());
    let mut receiver = diode.start_receiving();
    let mut relay = Relay::new(diode.front.as_ref().unwrap(), &diode.wire);
    let stop = AtomicBool::new(false);
    thread::scope(|it| {
        it.spawn(|| relay.run(&stop));
        let _sender = diode.start_sending();
        diode.fill(150, |it| 1 + it * 60);
        diode.fill(15, |it| 40_000 + it * 7_000);
        diode.arrive(diode.sent.len());
        wait("all is sent", || diode.is_sent());
        stop.store(true, Ordering::Relaxed);
    });
    diode.all_arrives();
    println!("{} datagrams, {} damaged", relay.recorded.len(), relay.damaged);
    let status = diode.next_status();
    let rejected = &status["rejected"];
    println!("refused: {rejected}");
    assert_eq!((&status["corrupt"], &status["failed"]), (&0.into(), &0.into()), "{status}");
    let refused = |cause: &str| rejected[cause].as_u64().unwrap_or(0);
    assert!(["Length", "Magic", "Mac"].iter().all(|it| refused(it) > 50), "{rejected}");
    is_well(&mut receiver);

    // The same receiver knows what it had.
    replay(&relay.back, &relay.recorded);
    assert_eq!(diode.take().len(), 0, "nothing comes a second time");
    // A receiver that was started again does not: what comes is right all the same, and known by its number.
    receiver.kill().unwrap();
    receiver = diode.start_receiving();
    replay(&relay.back, &relay.recorded);
    diode.all_arrives();
    is_well(&mut receiver);

    for line in [diode.front.as_ref().unwrap(), &diode.wire] {
        assert_eq!(line.backwards(), Backwards::default());
    }
}

#[test]
fn a_changed_key_makes_noise_of_yesterdays_and_of_strangers() {
    if !is_possible() {
        return;
    }
    let mut diode = Diode::set_up(&SLOW);
    let old = diode.keys();
    diode.change_key();
    let mut receiver = diode.start_receiving();
    let back = diode.wire.sender.socket(FROM);
    // Objects of one datagram, right but for the key.
    for number in 0..200_u8 {
        let object = vec![number; 500];
        let shape = Shape::new(500, 500).unwrap();
        let object_id = ObjectId::of(&object);
        let shard = Shard { pass: 0, object: object_id, shape, block: 0, index: 0, symbol: &object };
        let mut datagram = Vec::new();
        write_shard(&mut datagram, &old, Origin { stream: 0, session: 1, sequence: number.into() }, &shard);
        send(&back, &datagram);
    }
    drop(back);
    let _sender = diode.start_sending();
    diode.fill(20, |it| 900 + it);
    diode.all_arrives();
    let status = diode.next_status();
    assert_eq!((status["rejected"]["Mac"].as_u64(), status["objects"].as_u64()), (Some(200), Some(20)));
    is_well(&mut receiver);
}

/// The budget for what is incomplete is reached, the oldest goes, and what is sent meanwhile still arrives.
#[test]
fn a_flood_of_somebody_who_has_the_key_costs_no_more_than_the_budget() {
    if !is_possible() {
        return;
    }
    let mut diode = Diode::set_up(&SLOW);
    let mut receiver = diode.start_receiving();
    let back = diode.wire.sender.socket(FROM);
    let mut parts = Parts::new(diode.keys()).unwrap();
    for at in 0..300_000 {
        send(&back, parts.datagram());
        if at % 200 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
    }
    drop(back);
    let status = diode.next_status();
    println!("evicted {}, waiting bytes {}", status["evicted"], status["waiting_bytes"]);
    assert!(status["evicted"].as_u64().unwrap() > 10, "{status}");
    let _sender = diode.start_sending();
    diode.fill(20, |it| 2_000 + it * 1_000);
    diode.all_arrives();
    is_well(&mut receiver);
}
