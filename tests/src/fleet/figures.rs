//! What a run prints.

use std::time::Duration;

use serde::Serialize;

/// The figures of a run, as one JSON object. Times of calls are as the agents saw them.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    /// What was simulated.
    pub mode: &'static str,
    /// Hosts of the fleet.
    pub agents: u32,
    /// Reports that were acknowledged with every section stored.
    pub acked: u64,
    /// Agents that were refused for good.
    pub refused: u64,
    /// Refused attempts that a later one made good.
    pub retried: u64,
    /// Acknowledged reports that were not there afterwards; absent when nobody looked.
    pub lost: Option<u64>,
    /// Time to connect all, seconds.
    pub connect_s: Option<f64>,
    /// Durable reports a second over the whole phase of reports.
    pub reports_per_s: Option<f64>,
    /// Time until every agent was back and had its answer, seconds.
    pub reconnect_s: Option<f64>,
    /// Check-ins a second.
    pub check_ins_per_s: Option<f64>,
    /// Median of the calls that the mode is about, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of the same, milliseconds.
    pub p99_ms: f64,
    /// Bytes both ways of a check-in with nothing changed, TLS included.
    pub bytes_per_check_in: Option<f64>,
    /// Resident memory of the collector with the whole fleet connected, KiB.
    pub collector_rss_kib: Option<u64>,
}

/// Median and 99th percentile in milliseconds.
pub(super) fn percentiles(mut samples: Vec<Duration>) -> (f64, f64) {
    samples.sort_unstable();
    let at = |percent: usize| {
        let index = (samples.len().saturating_sub(1)) * percent / 100;
        samples.get(index).map_or(0.0, |it| it.as_secs_f64() * 1_000.0)
    };
    (at(50), at(99))
}

/// Resident memory of a process (`VmRSS` of `proc_pid_status(5)`), KiB.
pub fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_samples() {
        let samples = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentiles(samples), (50.0, 99.0));
        assert_eq!(percentiles(Vec::new()), (0.0, 0.0));
    }
}
