//! One look at the host: on its own thread, watched from here, packed where it was taken.

use std::sync::Arc;
use std::time::Duration;

use holdpoint_common::row::REPORTED;
use tokio::sync::oneshot;

use super::pause::Pause;
use crate::host::{Host, release_memory};
use crate::link::seen::Seen;
use crate::scan::scanner::{Scanner, Stop};
use crate::scan::{HostIdentity, ScanError};

/// What a look brought.
pub(super) struct Found {
    pub(super) identity: HostIdentity,
    pub(super) took: Duration,
    pub(super) seen: Vec<Seen>,
}

/// Looks at the host; `None` when something came to hold meanwhile. This returns then even when the
/// scan hangs in a read; it stops at its next step, and what it still finds is heard by nobody.
pub(super) async fn look(
    scanner: &Scanner,
    host: &Arc<Host>,
    pause: &mut Pause,
) -> Result<Option<Found>, ScanError> {
    // Dropped on every way out, also when the agent ends.
    let stop = Stop::default();
    let (give, taken) = oneshot::channel();
    scanner.scan(host, &REPORTED, &stop, move |found| {
        let packed = found.map(|it| {
            it.map(|snapshot| Found {
                identity: snapshot.identity(),
                took: snapshot.took,
                seen: snapshot.sections.into_iter().map(Seen::pack).collect(),
            })
        });
        release_memory();
        // Who asked may have been stopped meanwhile.
        let _ = give.send(packed);
    })?;
    tokio::select! {
        biased;
        found = taken => found.map_err(|_| ScanError::Panicked)?,
        () = pause.begins() => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cage::hold::{Hold, Holds};
    use crate::cage::hours::QuietHours;
    use crate::scan::look::tests::host;
    use std::sync::mpsc;
    use std::time::Instant;

    #[tokio::test]
    async fn a_scan_ends_within_seconds_of_a_kill_file_even_when_it_hangs() {
        let (dir, host) = host(&[("etc/passwd", "")]);
        let host = Arc::new(host);
        let kill_file = dir.path().join("kill");
        let mut pause =
            Pause::new(Holds { quiet_hours: QuietHours::default(), kill_file: kill_file.clone() });
        let scanner = Scanner::start().unwrap();
        // A scan that hangs: nothing behind it gets a turn before it ends.
        let (go_on, hanging) = mpsc::channel::<()>();
        scanner.scan(&host, &[], &Stop::default(), move |_| hanging.recv().unwrap()).unwrap();
        let touched = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            std::fs::write(kill_file, "").unwrap();
            Instant::now()
        });
        assert!(look(&scanner, &host, &mut pause).await.unwrap().is_none());
        assert!(touched.await.unwrap().elapsed() < Duration::from_secs(5));
        assert_eq!(pause.held().map(Hold::reason), Some("kill-file"));

        std::fs::remove_file(dir.path().join("kill")).unwrap();
        go_on.send(()).unwrap();
        assert!(look(&scanner, &host, &mut pause).await.unwrap().is_some(), "the thread is free again");
    }
}
