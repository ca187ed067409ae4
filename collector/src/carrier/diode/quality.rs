//! How a link does, from the sequence numbers of what arrives.
//!
//! Only numbers of datagrams whose MAC is right come here. An old capture that is played again has a session
//! of its own and so an entry of its own; there is a bound to the entries, the one that is silent for longest
//! goes.

use std::time::{Duration, Instant};

use super::datagram::Origin;

/// Sessions that are followed at once.
const SESSIONS: usize = 16;

/// What one session of one sender looks like from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// Of which sender.
    pub stream: u64,
    /// Which.
    pub session: u32,
    /// Datagrams that arrived, copies made on the way included.
    pub received: u64,
    /// Lowest sequence number that arrived.
    pub lowest: u64,
    /// Highest one.
    pub highest: u64,
    /// Datagrams that arrived behind a higher number.
    pub late: u64,
    /// Most numbers in a row that were missing when a higher one came.
    pub longest_burst: u64,
    /// Longest time between two datagrams. A sender with nothing to send is silent too.
    pub longest_silence: Duration,
    /// When the last one arrived.
    pub last: Instant,
}

impl Session {
    fn new(origin: Origin, now: Instant) -> Self {
        Self {
            stream: origin.stream,
            session: origin.session,
            received: 0,
            lowest: origin.sequence,
            highest: origin.sequence,
            late: 0,
            longest_burst: 0,
            longest_silence: Duration::ZERO,
            last: now,
        }
    }

    /// Datagrams that were sent between the lowest and the highest number.
    pub fn sent(&self) -> u64 {
        self.highest - self.lowest + 1
    }

    /// Datagrams of those that did not arrive; too few where copies are made on the way.
    pub fn lost(&self) -> u64 {
        self.sent().saturating_sub(self.received)
    }

    fn take(&mut self, sequence: u64, now: Instant) {
        self.longest_silence = self.longest_silence.max(now.saturating_duration_since(self.last));
        self.last = now;
        if sequence > self.highest {
            self.longest_burst = self.longest_burst.max(sequence - self.highest - 1);
            self.highest = sequence;
        } else if self.received > 0 {
            self.late += 1;
            self.lowest = self.lowest.min(sequence);
        }
        self.received += 1;
    }
}

/// The sessions that were heard of last.
#[derive(Debug, Clone, Default)]
pub struct Quality {
    sessions: Vec<Session>,
}

impl Quality {
    /// Counts one datagram.
    pub fn take(&mut self, origin: Origin, now: Instant) {
        let known = |it: &Session| it.session == origin.session && it.stream == origin.stream;
        let place = match self.sessions.iter().position(known) {
            Some(place) => place,
            None => {
                if self.sessions.len() >= SESSIONS
                    && let Some((silent, _)) = self.sessions.iter().enumerate().min_by_key(|(_, it)| it.last)
                {
                    self.sessions.swap_remove(silent);
                }
                self.sessions.push(Session::new(origin, now));
                self.sessions.len() - 1
            }
        };
        if let Some(session) = self.sessions.get_mut(place) {
            session.take(origin.sequence, now);
        }
    }

    /// The sessions, in no order.
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_bursts_and_disorder_are_told_apart() {
        let now = Instant::now();
        let mut quality = Quality::default();
        for (at, sequence) in [10_u64, 11, 15, 14, 16, 20, 20].into_iter().zip(0..) {
            quality.take(Origin { stream: 1, session: 2, sequence: at }, now + Duration::from_secs(sequence));
        }
        let [session] = quality.sessions() else { panic!("one session") };
        assert_eq!((session.received, session.sent(), session.lost()), (7, 11, 4));
        assert_eq!((session.longest_burst, session.late), (3, 2));
        assert_eq!(session.longest_silence, Duration::from_secs(1));
    }

    #[test]
    fn sessions_are_apart_and_bounded() {
        let now = Instant::now();
        let mut quality = Quality::default();
        for session in 0..100 {
            quality.take(Origin { stream: 1, session, sequence: u64::from(session) << 20 }, now);
            quality.take(
                Origin { stream: 1, session: 0, sequence: u64::from(session) },
                now + Duration::from_millis(u64::from(session)),
            );
        }
        assert_eq!(quality.sessions().len(), SESSIONS);
        let first = quality.sessions().iter().find(|it| it.session == 0).unwrap();
        assert_eq!((first.lost(), first.longest_burst), (0, 0), "others do not disturb it");
    }
}
