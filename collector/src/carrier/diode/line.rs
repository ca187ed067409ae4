//! A line: takes objects, sends each in several passes, and never learns what arrived.
//!
//! One thread does it all. It holds no more than a stated number of bytes: an object stays until its last
//! pass is gone, and what does not fit is refused, so that it waits where it is kept on disk.

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::error;

use super::datagram::{ObjectId, write_shard};
use super::erasure::Encoder;
use super::keys::Keys;
use super::pass::{self, Pass};
use super::profile::Profile;
use super::schedule::{Job, Next, Schedule};
use super::wire::{Route, Traffic, Wire, WireError};

/// Copies of a beacon, one datagram each, over one spacing of the profile.
pub const BEACON_COPIES: u8 = 3;
/// Bytes of objects that wait for their passes, unless said otherwise: two of the largest.
pub const MAX_HELD: usize = 128 * 1024 * 1024;

/// Beacons that wait for their copies. One in ten seconds never comes near.
const MAX_BEACONS: usize = 64;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// It waits for its turn, and is repaired and repeated as the profile says.
    Usual,
    /// A beacon: before everything else, three times as one datagram. Longer ones are sent as [`Self::Usual`].
    Beacon,
}

/// Why an object is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too much waits for its passes; later there is room again.
    #[error("the line holds as much as it may")]
    Full,
    /// It has no byte, or more than [`super::shape::MAX_OBJECT`].
    #[error("an object has from 1 byte to 64 MiB")]
    Length,
    /// The line has ended.
    #[error("the line is closed")]
    Closed,
}

/// What a line has done. Delivery is unknown by design.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Passes of objects that are gone, beacons included.
    pub passes: u64,
    /// Objects whose last pass is gone.
    pub objects: u64,
    /// Objects that wait for a pass.
    pub waiting: usize,
    /// Their bytes.
    pub held: usize,
    /// What went over the wire.
    pub traffic: Traffic,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    sent: Sent,
    /// No more objects; the thread ends when nothing waits.
    closing: bool,
    /// The thread ends at once.
    stopping: bool,
    /// The thread has ended.
    over: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Something for the thread.
    work: Condvar,
    /// Something for those who wait for it.
    done: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line that is being sent on. Dropping it throws away what waits; [`Line::close`] does not.
pub struct Line {
    shared: Arc<Shared>,
    profile: Profile,
    from: SocketAddr,
    most: usize,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// Opens the socket and starts the thread. Holds at most `most` bytes, [`MAX_HELD`] for example.
    pub fn start(route: &Route, profile: Profile, keys: Keys, most: usize) -> Result<Self, WireError> {
        let wire = Wire::open(route, keys, profile.stream(), profile.rate())?;
        let failed = |source: io::Error| WireError::Open { from: route.from, source };
        let from = wire.from().map_err(failed)?;
        let shared = Arc::new(Shared { state: Mutex::default(), work: Condvar::new(), done: Condvar::new() });
        let worker = Arc::clone(&shared);
        let thread = thread::Builder::new().name("diode-send".to_owned());
        let thread = thread.spawn(move || Worker { shared: worker, wire, encoder: Encoder::default() }.run());
        Ok(Self { shared, profile, from, most, thread: Some(thread.map_err(failed)?) })
    }

    /// The address that it sends from.
    pub fn from(&self) -> SocketAddr {
        self.from
    }

    /// Takes an object, or refuses it at once.
    pub fn offer(&self, object: Arc<[u8]>, urgency: Urgency) -> Result<(), Refused> {
        let job = self.job(object, urgency)?;
        self.add(self.shared.lock(), job)
    }

    /// Takes an object as soon as there is room, within `patience`.
    pub fn offer_within(
        &self,
        object: Arc<[u8]>,
        urgency: Urgency,
        patience: Duration,
    ) -> Result<(), Refused> {
        let job = self.job(object, urgency)?;
        let full = |state: &mut State| {
            !state.closing && !state.over && !job.beacon && !self.has_room(&state.schedule, job.object.len())
        };
        let state = self.shared.done.wait_timeout_while(self.shared.lock(), patience, full);
        self.add(state.unwrap_or_else(PoisonError::into_inner).0, job)
    }

    /// What it has done.
    pub fn sent(&self) -> Sent {
        let state = self.shared.lock();
        Sent { waiting: state.schedule.objects(), held: state.schedule.held(), ..state.sent }
    }

    /// Whether it has ended by itself: nothing more leaves, and what it let go of may not have left.
    pub fn is_over(&self) -> bool {
        self.shared.lock().over
    }

    /// Waits until every pass of what was taken is gone.
    pub fn flush(&self) {
        let busy = |state: &mut State| state.schedule.objects() > 0 && !state.over;
        drop(self.shared.done.wait_while(self.shared.lock(), busy));
    }

    /// Takes nothing more, waits until every pass is gone, and ends.
    pub fn close(mut self) -> Sent {
        self.shared.lock().closing = true;
        self.shared.work.notify_all();
        self.join();
        self.sent()
    }

    fn job(&self, object: Arc<[u8]>, urgency: Urgency) -> Result<Job, Refused> {
        let plan = self.profile.plan();
        let length = u32::try_from(object.len()).map_err(|_| Refused::Length)?;
        let single = (urgency == Urgency::Beacon).then(|| plan.single(length)).flatten();
        let beacon = single.is_some();
        let cut = single.or_else(|| plan.cut(length)).ok_or(Refused::Length)?;
        let (passes, spacing) = if beacon {
            (BEACON_COPIES, self.profile.spacing() / u32::from(BEACON_COPIES - 1))
        } else {
            (self.profile.copies(), self.profile.spacing())
        };
        let id = ObjectId::of(&object);
        Ok(Job { object, id, cut, pass: 0, passes, spacing, beacon })
    }

    fn add(&self, mut state: MutexGuard<'_, State>, job: Job) -> Result<(), Refused> {
        if state.closing || state.over {
            return Err(Refused::Closed);
        }
        // A beacon says that the line is full, so it may be that.
        let full = if job.beacon {
            state.schedule.beacons() >= MAX_BEACONS
        } else {
            !self.has_room(&state.schedule, job.object.len())
        };
        if full {
            return Err(Refused::Full);
        }
        state.schedule.add(job, Instant::now());
        self.shared.work.notify_all();
        Ok(())
    }

    /// An object that is larger than what may be held goes alone.
    fn has_room(&self, schedule: &Schedule, length: usize) -> bool {
        schedule.objects() == 0 || schedule.held().saturating_add(length) <= self.most
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread that sends has panicked");
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.work.notify_all();
        self.join();
    }
}

/// The thread that sends.
struct Worker {
    shared: Arc<Shared>,
    wire: Wire,
    encoder: Encoder,
}

impl Worker {
    fn run(mut self) {
        while let Some(jobs) = self.next() {
            self.send(&jobs);
            self.wire.flush();
            for job in jobs {
                note(&self.shared, self.wire.traffic(), job);
            }
        }
    }

    /// Waits for the next passes; `None` is the end.
    fn next(&mut self) -> Option<Vec<Job>> {
        let mut state = self.shared.lock();
        loop {
            if state.stopping {
                return None;
            }
            let now = Instant::now();
            let wait = match state.schedule.next(now) {
                Next::Send(jobs) => return Some(jobs),
                Next::WaitUntil(at) => at.saturating_duration_since(now),
                Next::Rest if state.closing => return None,
                Next::Rest => Duration::from_hours(1),
            };
            state = self.shared.work.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
            self.wire.pace().rest(Instant::now());
        }
    }

    fn send(&mut self, jobs: &[Job]) {
        let passes: Vec<Pass<'_>> = jobs.iter().map(Job::pass).collect();
        let (wire, shared) = (&mut self.wire, &*self.shared);
        let result = pass::run(&passes, &mut self.encoder, |shard| {
            let push = |to: &mut Vec<u8>, keys: &Keys, origin| write_shard(to, keys, origin, shard);
            if wire.push(shard.shape.symbol(), push) {
                between(wire, shared)
            } else {
                ControlFlow::Continue(())
            }
        });
        if let Err(error) = result {
            error!(error = &error as &dyn std::error::Error, "an object cannot be coded");
        }
    }
}

impl Drop for Worker {
    /// Also after a panic: whoever waits for the line is told that it is over.
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.done.notify_all();
    }
}

/// What may not wait for the end of a long object: beacons, and the end of the line.
fn between(wire: &mut Wire, shared: &Shared) -> ControlFlow<()> {
    loop {
        let mut state = shared.lock();
        state.sent.traffic = wire.traffic();
        if state.stopping {
            return ControlFlow::Break(());
        }
        let Some(job) = state.schedule.beacon(Instant::now()) else { return ControlFlow::Continue(()) };
        drop(state);
        // One source has no repair, so the code is not asked.
        let result = pass::run(&[job.pass()], &mut Encoder::default(), |shard| {
            wire.push(shard.shape.symbol(), |to, keys, origin| write_shard(to, keys, origin, shard));
            ControlFlow::Continue(())
        });
        if let Err(error) = result {
            error!(error = &error as &dyn std::error::Error, "a beacon cannot be coded");
        }
        wire.flush();
        note(shared, wire.traffic(), job);
    }
}

fn note(shared: &Shared, traffic: Traffic, job: Job) {
    let mut state = shared.lock();
    state.sent.traffic = traffic;
    state.sent.passes += 1;
    state.sent.objects += u64::from(job.pass.saturating_add(1) >= job.passes);
    state.schedule.sent(job, Instant::now());
    shared.done.notify_all();
}
