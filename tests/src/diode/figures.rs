//! What a process says of itself, and figures as words.

use std::fmt::{self, Display};
use std::fs;
use std::time::Duration;

/// A tick of `proc_pid_stat(5)`, in milliseconds: what the kernel tells programs has 100 a second everywhere.
const TICK_MS: u64 = 10;

/// Figures in the order in which they were put, printed as `name=value` words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures(Vec<(&'static str, String)>);

impl Figures {
    /// One figure more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.0.push((name, value.to_string()));
        self
    }
}

impl Display for Figures {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.0.iter().enumerate() {
            write!(to, "{}{name}={value}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// User and system time of this process with all threads, in milliseconds.
pub(super) fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, which may have blanks, stands in brackets before the numbers.
    let numbers = stat.rsplit_once(')').map_or("", |it| it.1).split_ascii_whitespace();
    let ticks: u64 = numbers.skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
    ticks * TICK_MS
}

/// Highest resident memory of a process (`VmHWM` of `proc_pid_status(5)`), KiB; 0 when it is gone.
pub fn peak_kib(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// Millions of bits in a second.
pub(super) fn mbit_per_s(bytes: u64, took: Duration) -> u64 {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    bytes.saturating_mul(8).checked_div(micros).unwrap_or(0)
}

/// CPU of a gigabyte, in milliseconds.
pub(super) fn ms_per_gb(spent_ms: u64, bytes: u64) -> u64 {
    spent_ms.saturating_mul(1_000_000).checked_div(bytes / 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_words_and_rates_have_their_unit() {
        let figures = Figures::default().with("a", 1).with("b", "x");
        assert_eq!(figures.to_string(), "a=1 b=x");
        assert_eq!(mbit_per_s(1_000_000_000, Duration::from_secs(8)), 1_000);
        assert_eq!(mbit_per_s(1, Duration::ZERO), 0);
        assert_eq!(ms_per_gb(2_500, 1_000_000_000), 2_500);
        assert!(peak_kib("self") > 1_000);
    }
}
