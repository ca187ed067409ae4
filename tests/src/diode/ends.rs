//! The two ends of a measured line.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use holdpoint_collector::carrier::diode::profile::Written;
use holdpoint_collector::carrier::diode::quality::Session;
use holdpoint_collector::carrier::diode::{
    Arrival, Assembler, BUFFER, Limits, Line, Profile, Receiver, Route, Urgency, lock_down,
};

use super::figures::{Figures, cpu_ms, mbit_per_s, ms_per_gb, peak_kib};
use super::{Failed, Objects, keys};

/// How long a full line is waited for.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long the first datagram is waited for.
const START: Duration = Duration::from_mins(1);
/// How often the receiving end looks whether the line is silent.
const LOOK: Duration = Duration::from_millis(50);

/// What is sent.
#[derive(Debug, Args)]
pub struct Send {
    /// The sender's address.
    #[arg(long, default_value = "10.20.4.1:6000")]
    from: SocketAddr,
    /// The receiver's address.
    #[arg(long, default_value = "10.20.4.2:6000")]
    to: SocketAddr,
    /// Number of objects.
    #[arg(long, default_value_t = 100)]
    count: u64,
    /// Bytes of each.
    #[arg(long, default_value_t = 60_000)]
    size: usize,
    /// Loss that the profile is made for, permille.
    #[arg(long, default_value_t = 100)]
    loss: u16,
    /// Bits per second.
    #[arg(long, default_value_t = 50_000_000)]
    rate: u64,
    /// Passes of each object.
    #[arg(long, default_value_t = 2)]
    copies: u8,
    /// Between the passes.
    #[arg(long, default_value_t = 5_000)]
    spacing_ms: u32,
    /// Between two objects.
    #[arg(long, default_value_t = 0)]
    pause_us: u64,
    /// Bytes of objects that the line holds at most.
    #[arg(long, default_value_t = 1 << 30)]
    held: usize,
}

impl Send {
    /// Sends all, and waits for the last pass.
    ///
    /// # Errors
    /// The profile is none, or there is no such address here.
    pub fn run(&self) -> Result<Figures, Failed> {
        let written = Written {
            design_loss_permille: self.loss,
            rate_bits_per_s: self.rate,
            copies: self.copies,
            spacing_ms: self.spacing_ms,
            stream: 1,
            ..Written::default()
        };
        let route = Route { from: self.from, to: self.to };
        let line = Line::start(&route, Profile::try_from(written)?, keys()?, self.held)?;
        let mut objects = Objects::of(self.size);
        let (started, before) = (Instant::now(), cpu_ms());
        for number in 0..self.count {
            line.offer_within(objects.make(number).into(), Urgency::Usual, PATIENCE)?;
            if self.pause_us > 0 {
                thread::sleep(Duration::from_micros(self.pause_us));
            }
        }
        line.flush();
        let sent = line.close();
        let (took, cpu) = (started.elapsed(), cpu_ms() - before);
        let bytes = self.count * u64::try_from(self.size).unwrap_or(u64::MAX);
        Ok(Figures::default()
            .with("took_ms", took.as_millis())
            .with("object_mbit", mbit_per_s(bytes, took))
            .with("wire_mbit", mbit_per_s(sent.traffic.bytes, took))
            .with("cpu_ms", cpu)
            .with("cpu_ms_per_gb", ms_per_gb(cpu, bytes))
            .with("wire_bytes_per_object", sent.traffic.bytes / self.count.max(1))
            .with("datagrams", sent.traffic.datagrams)
            .with("refused_by_host", sent.traffic.failed)
            .with("peak_kib", peak_kib("self")))
    }
}

/// What is awaited.
#[derive(Debug, Args)]
pub struct Receive {
    /// The receiver's address.
    #[arg(long, default_value = "10.20.4.2:6000")]
    at: SocketAddr,
    /// Number of objects that are sent.
    #[arg(long, default_value_t = 100)]
    count: u64,
    /// Bytes of each.
    #[arg(long, default_value_t = 60_000)]
    size: usize,
    /// Receive buffer that is asked for, bytes.
    #[arg(long, default_value_t = BUFFER)]
    buffer: usize,
    /// The line has ended when it was silent for so long.
    #[arg(long, default_value_t = 3_000)]
    idle_ms: u64,
}

/// What arrived.
#[derive(Default)]
struct Seen {
    /// How often each number.
    numbers: BTreeMap<u64, u32>,
    /// Objects that nobody sent.
    wrong: u64,
    /// Objects by the pass that completed them: the first, or a later one.
    passes: [u64; 2],
    first: Option<(Instant, u64)>,
    last: Option<Instant>,
}

impl Receive {
    /// Receives until the line is silent; `ready` is told when it may be sent.
    ///
    /// # Errors
    /// There is no such address here, the system cannot lock a receiver down, or nothing arrives.
    pub fn run(&self, ready: impl FnOnce(&str)) -> Result<Figures, Failed> {
        let receiver = Receiver::bind(self.at, self.buffer)?;
        let buffer = receiver.buffer();
        let seen = Arc::<Mutex<Seen>>::default();
        let (seeing, objects) = (Arc::clone(&seen), Objects::of(self.size));
        let receiving = receiver.start(Assembler::new(keys()?, &[], Limits::default()), move |it| {
            let Arrival::Object(object) = it else { return };
            let mut seen = seeing.lock().unwrap_or_else(PoisonError::into_inner);
            match objects.number(&object.bytes) {
                Some(number) => *seen.numbers.entry(number).or_default() += 1,
                None => seen.wrong += 1,
            }
            seen.passes[usize::from(object.pass > 0)] += 1;
            let now = Instant::now();
            seen.first.get_or_insert_with(|| (now.checked_sub(object.took).unwrap_or(now), cpu_ms()));
            seen.last = Some(now);
        })?;
        lock_down()?;
        let watch = receiving.watch();
        ready(&format!("ready buffer={buffer}"));
        let (mut datagrams, mut since) = (0, Instant::now());
        loop {
            thread::sleep(LOOK);
            let now = watch.counters().datagrams;
            if now != datagrams {
                (datagrams, since) = (now, Instant::now());
            } else if datagrams > 0 && since.elapsed() > Duration::from_millis(self.idle_ms) {
                break;
            } else if since.elapsed() > START {
                return Err(Failed::Silence(START));
            }
        }
        let (counters, drops) = (watch.counters(), watch.kernel_drops());
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let objects = u64::try_from(seen.numbers.len()).unwrap_or(u64::MAX);
        let bytes = objects * u64::try_from(self.size).unwrap_or(u64::MAX);
        let (began, before) = seen.first.unwrap_or((since, 0));
        let took = seen.last.map_or(Duration::ZERO, |it| it.saturating_duration_since(began));
        let spent = cpu_ms() - before;
        Ok(Figures::default()
            .with("objects", objects)
            .with("holes", self.count.saturating_sub(objects))
            .with("wrong", seen.wrong)
            .with("twice", seen.numbers.values().filter(|it| **it > 1).count())
            .with("by_later_pass", seen.passes[1])
            .with("took_ms", took.as_millis())
            .with("object_mbit", mbit_per_s(bytes, took))
            .with("cpu_ms", spent)
            .with("cpu_ms_per_gb", ms_per_gb(spent, bytes))
            .with("datagrams", counters.datagrams)
            .with("lost", watch.sessions().iter().map(Session::lost).sum::<u64>())
            .with("kernel_drops", drops.map_or_else(|| "unknown".to_owned(), |it| it.to_string()))
            .with("evicted", counters.evicted)
            .with("corrupt", counters.corrupt)
            .with("peak_kib", peak_kib("self")))
    }
}
