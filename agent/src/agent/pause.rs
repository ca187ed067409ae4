//! When the agent does not look: asks again and again while that matters, and says it in the log.
//!
//! It is asked before each scan, every [`LOOK_EVERY`] while one runs, and as often while something was
//! held back that has to be made up for. An idle agent asks nothing.

use std::time::Duration;

use holdpoint_common::clock::{Clock, SystemClock};
use tracing::{info, warn};

use crate::cage::hold::{Hold, Holds};
use crate::notice::Notice;

/// Between two looks at the clock and for the file; quiet hours and kill file are honoured within
/// five seconds, and a scan's own steps take part of those.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most declined challenges that are remembered; a collector lists no more.
const MAX_DECLINED: usize = 64;

/// What keeps the agent from looking, and what it owes because of that.
#[derive(Debug)]
pub(super) struct Pause {
    holds: Holds,
    /// What held back a scan; `None` when nothing is owed.
    held: Option<Hold>,
    /// Challenges that were declined.
    declined: Vec<Vec<u8>>,
}

impl Pause {
    pub(super) fn new(holds: Holds) -> Self {
        Self { holds, held: None, declined: Vec::new() }
    }

    /// What held back a scan that is still owed.
    pub(super) fn held(&self) -> Option<&Hold> {
        self.held.as_ref()
    }

    /// Challenges that were declined since.
    pub(super) fn declined(&self) -> &[Vec<u8>] {
        &self.declined
    }

    /// Asks before a scan.
    pub(super) fn look(&mut self) -> Option<&Hold> {
        let now = self.holds.now(SystemClock.now_ms());
        self.set(now);
        self.held.as_ref()
    }

    /// Remembers challenges that are not answered; whether there is a new one among them.
    pub(super) fn decline(&mut self, nonces: Vec<Vec<u8>>) -> bool {
        let before = self.declined.len();
        for nonce in nonces {
            if self.declined.len() < MAX_DECLINED && !self.declined.contains(&nonce) {
                self.declined.push(nonce);
            }
        }
        if self.declined.len() > before {
            warn!(challenges = self.declined.len() - before, "declined to look again");
        }
        self.declined.len() > before
    }

    /// Waits until something holds.
    pub(super) async fn begins(&mut self) {
        while self.look().is_none() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until nothing holds.
    pub(super) async fn lifted(&mut self) {
        while self.look().is_some() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn set(&mut self, now: Option<Hold>) {
        let word = |it: &Option<Hold>| it.as_ref().map(Hold::reason);
        match &now {
            Some(hold) if word(&self.held) != word(&now) => {
                let notice = Notice::Paused.id();
                info!(notice, reason = hold.reason(), "this host is not looked at: {hold}");
            }
            None if self.held.is_some() => {
                info!(notice = Notice::Resumed.id(), "nothing keeps the agent from looking any more");
                self.declined.clear();
            }
            Some(_) | None => {}
        }
        self.held = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cage::hours::QuietHours;

    #[tokio::test]
    async fn a_file_holds_from_when_it_is_seen_until_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let kill_file = dir.path().join("kill");
        let mut pause =
            Pause::new(Holds { quiet_hours: QuietHours::default(), kill_file: kill_file.clone() });
        assert_eq!(pause.look(), None);
        let ends = tokio::time::timeout(LOOK_EVERY * 2, pause.begins()).await;
        assert!(ends.is_err(), "nothing begins by itself");
        std::fs::write(&kill_file, "").unwrap();
        pause.begins().await;
        assert_eq!(pause.held().map(Hold::reason), Some("kill-file"));
        assert!(pause.decline(vec![vec![1], vec![2]]));
        assert!(!pause.decline(vec![vec![2]]), "it is told once");
        std::fs::remove_file(&kill_file).unwrap();
        pause.lifted().await;
        assert!(pause.held().is_none() && pause.declined().is_empty());
    }

    #[test]
    fn no_collector_makes_the_agent_remember_without_end() {
        let mut pause =
            Pause::new(Holds { quiet_hours: QuietHours::default(), kill_file: "/nowhere/kill".into() });
        let nonces = (0..1_000_u32).map(|it| it.to_be_bytes().to_vec()).collect();
        assert!(pause.decline(nonces));
        assert_eq!(pause.declined().len(), MAX_DECLINED);
        assert!(!pause.decline(vec![vec![9]]));
    }
}
