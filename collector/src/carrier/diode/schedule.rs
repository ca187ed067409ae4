//! What a line sends next: beacons, then passes that are due, then what is new.
//!
//! Passes come before new objects, so that a line that is offered too much keeps its spacing and takes less.
//! Small objects that wait together go together, see [`super::pass`]. Knows no clock and no socket.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::code::Cut;
use super::datagram::ObjectId;
use super::pass::{GROUP, Pass};

/// One object and the pass that is next.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) object: Arc<[u8]>,
    pub(super) id: ObjectId,
    pub(super) cut: Cut,
    /// From 0.
    pub(super) pass: u8,
    /// How many passes there are.
    pub(super) passes: u8,
    /// From the end of a pass to the next.
    pub(super) spacing: Duration,
    /// Waits for nothing but other beacons.
    pub(super) beacon: bool,
}

impl Job {
    pub(super) fn pass(&self) -> Pass<'_> {
        let Self { object, id, cut, pass, .. } = self;
        Pass { object, id: *id, cut: *cut, pass: *pass }
    }
}

/// What to do.
#[derive(Debug)]
pub(super) enum Next {
    /// At least one; together at most [`GROUP`] blocks, or one large object.
    Send(Vec<Job>),
    WaitUntil(Instant),
    /// Nothing is left.
    Rest,
}

type Due = BTreeMap<(Instant, u64), Job>;

#[derive(Debug, Default)]
pub(super) struct Schedule {
    beacons: Due,
    passes: Due,
    new: VecDeque<Job>,
    /// Objects that were taken and are not done, one that is being sent included.
    objects: usize,
    /// Their bytes.
    held: usize,
    /// Orders what is due at the same time.
    count: u64,
}

impl Schedule {
    pub(super) fn add(&mut self, job: Job, now: Instant) {
        self.objects += 1;
        self.held += job.object.len();
        if job.beacon {
            self.wait(job, now);
        } else {
            self.new.push_back(job);
        }
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        if let Some(job) = self.beacon(now) {
            return Next::Send(vec![job]);
        }
        let mut jobs = Vec::new();
        let mut room = GROUP;
        while let Some(job) = self.usual(now, if jobs.is_empty() { u16::MAX } else { room }) {
            room = room.saturating_sub(job.cut.shape.blocks());
            jobs.push(job);
        }
        if !jobs.is_empty() {
            return Next::Send(jobs);
        }
        let first = |due: &Due| due.first_key_value().map(|(key, _)| key.0);
        match first(&self.beacons).into_iter().chain(first(&self.passes)).min() {
            Some(at) => Next::WaitUntil(at),
            None => Next::Rest,
        }
    }

    /// A beacon that is due; also in the middle of a long object.
    pub(super) fn beacon(&mut self, now: Instant) -> Option<Job> {
        take_due(&mut self.beacons, now)
    }

    /// A pass has been sent.
    pub(super) fn sent(&mut self, mut job: Job, now: Instant) {
        job.pass = job.pass.saturating_add(1);
        if job.pass < job.passes {
            let at = now.checked_add(job.spacing).unwrap_or(now);
            self.wait(job, at);
        } else {
            self.objects = self.objects.saturating_sub(1);
            self.held = self.held.saturating_sub(job.object.len());
        }
    }

    /// The first that is due, if it has no more blocks than there is room for.
    fn usual(&mut self, now: Instant, room: u16) -> Option<Job> {
        let fits = |it: &Job| it.cut.shape.blocks() <= room;
        if let Some(first) = self.passes.first_entry().filter(|it| it.key().0 <= now) {
            return if fits(first.get()) { Some(first.remove()) } else { None };
        }
        self.new.pop_front_if(|it| fits(it))
    }

    pub(super) fn objects(&self) -> usize {
        self.objects
    }

    /// Beacons that wait for a copy.
    pub(super) fn beacons(&self) -> usize {
        self.beacons.len()
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn wait(&mut self, job: Job, at: Instant) {
        self.count += 1;
        let due = if job.beacon { &mut self.beacons } else { &mut self.passes };
        due.insert((at, self.count), job);
    }
}

fn take_due(due: &mut Due, now: Instant) -> Option<Job> {
    let first = due.first_entry()?;
    if first.key().0 <= now { Some(first.remove()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::code::{Odds, Plan};
    use super::*;

    fn job(name: u8, passes: u8, beacon: bool) -> Job {
        let object: Arc<[u8]> = vec![name; 10].into();
        let cut = Plan::new(Odds::new(0, 1e-6), 1_400).cut(10).unwrap();
        let spacing = Duration::from_secs(5);
        Job { id: ObjectId::of(&object), object, cut, pass: 0, passes, spacing, beacon }
    }

    fn names(next: Next) -> Vec<(u8, u8)> {
        let Next::Send(jobs) = next else { panic!("nothing to send: {next:?}") };
        jobs.iter().map(|it| (it.object[0], it.pass)).collect()
    }

    fn send_one(schedule: &mut Schedule, now: Instant, end: Instant) {
        let Next::Send(jobs) = schedule.next(now) else { panic!("one is there") };
        for job in jobs {
            schedule.sent(job, end);
        }
    }

    #[test]
    fn beacons_come_first_then_passes_then_what_is_new() {
        let (now, mut schedule) = (Instant::now(), Schedule::default());
        schedule.add(job(1, 2, false), now);
        send_one(&mut schedule, now, now);
        schedule.add(job(2, 1, false), now);
        schedule.add(job(3, 3, true), now);
        let later = now + Duration::from_secs(5);
        assert_eq!(names(schedule.next(later)), [(3, 0)]);
        assert_eq!(names(schedule.next(later)), [(1, 1), (2, 0)]);
        assert_eq!((schedule.objects(), schedule.held()), (3, 30), "being sent is not done");
    }

    #[test]
    fn passes_wait_for_their_spacing_and_then_all_is_done() {
        let (now, mut schedule) = (Instant::now(), Schedule::default());
        schedule.add(job(1, 2, false), now);
        let end = now + Duration::from_secs(1);
        send_one(&mut schedule, now, end);
        let Next::WaitUntil(at) = schedule.next(end) else { panic!("a pass is to come") };
        assert_eq!(at, end + Duration::from_secs(5));
        send_one(&mut schedule, at, at);
        assert!(matches!(schedule.next(at), Next::Rest));
        assert_eq!((schedule.objects(), schedule.held()), (0, 0));
    }

    #[test]
    fn what_goes_together_has_a_bound_and_keeps_its_order() {
        let (now, mut schedule) = (Instant::now(), Schedule::default());
        for name in 0..20 {
            schedule.add(job(name, 1, false), now);
        }
        let first: Vec<u8> = names(schedule.next(now)).into_iter().map(|it| it.0).collect();
        assert_eq!(first, (0..16).collect::<Vec<u8>>());
        assert_eq!(names(schedule.next(now)).len(), 4);
    }
}
