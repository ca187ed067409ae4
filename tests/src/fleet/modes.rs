//! What a fleet does in each mode. Every agent is one task; all start at once.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::Status;

use super::figures::{percentiles, resident_kib};
use super::{Acked, Figures, Mode, Plan};
use crate::inventory::Images;
use crate::peer::{Held, Link, Peer, Traffic, all_stored};

/// Handshakes that this side runs at once; more would only wait for the same two cores.
const HANDSHAKES: usize = 128;
/// Agents that bring their sections at once. The others wait their turn here, as a spread storm
/// does in a plant; what the collector does with all at once is what reconnecting shows.
const BRINGING: usize = 512;
/// Attempts before an agent counts as refused for good.
const ATTEMPTS: u32 = 40;
/// Packages that a drifting host updates in a round.
const UPDATES: u32 = 3;

/// What a run did, and what has to be there afterwards.
pub(super) struct Outcome {
    pub(super) figures: Figures,
    pub(super) acked: Vec<Acked>,
}

/// An agent with its connection.
struct Connected {
    peer: Peer,
    link: Link,
    held: Vec<Held>,
    /// Sequence of the last acknowledged report of this run; 0 when there was nothing to report.
    acked: u64,
}

/// What all tasks of a run share.
struct Run {
    plan: Plan,
    images: Images,
    traffic: Arc<Traffic>,
    handshakes: Semaphore,
    bringing: Semaphore,
    retried: AtomicU64,
}

pub(super) async fn run(plan: &Plan, peers: Vec<Peer>, traffic: &Arc<Traffic>) -> anyhow::Result<Outcome> {
    let run = Arc::new(Run {
        plan: plan.clone(),
        images: Images::default(),
        traffic: traffic.clone(),
        handshakes: Semaphore::new(HANDSHAKES),
        bringing: Semaphore::new(BRINGING),
        retried: AtomicU64::new(0),
    });
    let mut figures = Figures { mode: plan.mode.as_str(), agents: plan.agents, ..Figures::default() };

    let started = Instant::now();
    let connected = every(peers, |peer| connect(run.clone(), peer)).await;
    figures.connect_s = Some(started.elapsed().as_secs_f64());
    figures.refused = u64::from(plan.agents) - u64::try_from(connected.len())?;

    let (connected, mut acked) = first_reports(&run, connected, &mut figures).await?;
    figures.collector_rss_kib = plan.collector_pid.and_then(resident_kib);
    match plan.mode {
        Mode::Storm => reconnect(&run, connected, &mut figures).await?,
        Mode::Steady => steady(&run, connected, &mut figures).await?,
        Mode::Churn => churn(&run, connected, &mut figures, &mut acked).await?,
    }
    figures.retried = run.retried.load(Ordering::Relaxed);
    Ok(Outcome { figures, acked })
}

/// Runs one task for each item, all at once, and keeps what succeeded.
async fn every<T, U, F>(items: Vec<T>, task: impl Fn(T) -> F) -> Vec<U>
where
    F: Future<Output = Option<U>> + Send + 'static,
    U: Send + 'static,
{
    let mut tasks = JoinSet::new();
    for item in items {
        tasks.spawn(task(item));
    }
    let mut done = Vec::new();
    while let Some(result) = tasks.join_next().await {
        done.extend(result.ok().flatten());
    }
    done
}

/// Connects, as often as it takes.
async fn connect(run: Arc<Run>, peer: Peer) -> Option<Connected> {
    for attempt in 0..ATTEMPTS {
        let permit = run.handshakes.acquire().await.ok()?;
        let connected = peer.connect(run.plan.collector, &run.traffic).await;
        drop(permit);
        if let Ok(link) = connected {
            let held = run.images.sections_of(&peer.host);
            return Some(Connected { peer, link, held, acked: 0 });
        }
        run.retried.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(pause(peer.host.number, attempt)).await;
    }
    None
}

/// Back-off with a spread that follows from the host's number: 50 ms to 2 s.
fn pause(number: u32, attempt: u32) -> Duration {
    let ceiling = 50 << attempt.min(5);
    Duration::from_millis(50 + u64::from(number.wrapping_mul(2_654_435_761) % ceiling))
}

/// Checks in and brings what is wanted, until the collector has everything.
async fn bring(run: &Run, it: &mut Connected, before: &[Held]) -> Option<Duration> {
    for attempt in 0..ATTEMPTS {
        let started = Instant::now();
        let wanted = match it.peer.check_in(&mut it.link, &it.held, 0).await {
            Ok(directives) => directives.wanted,
            Err(status) => {
                again(run, it, attempt, Some(&status)).await;
                continue;
            }
        };
        if wanted.is_empty() && it.peer.sequence > 0 {
            return Some(started.elapsed());
        }
        match it.peer.report(&mut it.link, &wanted, &it.held, before).await {
            Ok(ack) if all_stored(&ack) => {
                it.acked = it.peer.sequence;
                return Some(started.elapsed());
            }
            Ok(_) => again(run, it, attempt, None).await,
            Err(status) => again(run, it, attempt, Some(&status)).await,
        }
    }
    None
}

/// Waits and replaces a connection that has gone.
async fn again(run: &Run, it: &mut Connected, attempt: u32, failed: Option<&Status>) {
    run.retried.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(pause(it.peer.host.number, attempt)).await;
    // The collector's own word has no cause; a connection that is gone has one.
    let gone = failed.is_some_and(|it| it.source().is_some());
    if gone && let Ok(link) = it.peer.connect(run.plan.collector, &run.traffic).await {
        it.link = link;
    }
}

async fn first_reports(
    run: &Arc<Run>,
    connected: Vec<Connected>,
    figures: &mut Figures,
) -> anyhow::Result<(Vec<Connected>, Vec<Acked>)> {
    let all = connected.len();
    let started = Instant::now();
    let done = every(connected, |mut it| {
        let run = run.clone();
        async move {
            let _turn = run.bringing.acquire().await.ok()?;
            let took = bring(&run, &mut it, &[]).await?;
            Some((it, took))
        }
    })
    .await;
    let elapsed = started.elapsed().as_secs_f64();

    figures.refused += u64::try_from(all - done.len())?;
    // A fleet of an earlier run has nothing new to report.
    let reported = done.iter().filter(|(it, _)| it.acked > 0).count();
    figures.acked = u64::try_from(reported)?;
    figures.reports_per_s = Some(f64::from(u32::try_from(reported)?) / elapsed);
    (figures.p50_ms, figures.p99_ms) = percentiles(done.iter().map(|(_, took)| *took).collect());
    let acked =
        done.iter().filter(|(it, _)| it.acked > 0).map(|(it, _)| Acked::of(&it.peer, &it.held)).collect();
    Ok((done.into_iter().map(|(it, _)| it).collect(), acked))
}

/// Everybody drops and comes back at once, as after a collector's restart.
async fn reconnect(run: &Arc<Run>, connected: Vec<Connected>, figures: &mut Figures) -> anyhow::Result<()> {
    let peers: Vec<Peer> = connected.into_iter().map(|it| it.peer).collect();
    let all = peers.len();
    let started = Instant::now();
    let back = every(peers, |peer| {
        let run = run.clone();
        async move {
            let mut it = connect(run.clone(), peer).await?;
            bring(&run, &mut it, &[]).await.map(|_| it)
        }
    })
    .await;
    figures.reconnect_s = Some(started.elapsed().as_secs_f64());
    figures.refused += u64::try_from(all - back.len())?;
    figures.collector_rss_kib = run.plan.collector_pid.and_then(resident_kib).or(figures.collector_rss_kib);
    Ok(())
}

/// Check-ins with nothing changed, at the collector's own pace.
async fn steady(run: &Arc<Run>, connected: Vec<Connected>, figures: &mut Figures) -> anyhow::Result<()> {
    let until = Instant::now() + run.plan.duration;
    let before = run.traffic.total();
    let started = Instant::now();
    let samples = every(connected, |mut it| async move {
        let mut samples = Vec::new();
        // The first call finds out the pace.
        let mut delay = Duration::from_millis(u64::from(it.peer.host.number) % 1_000);
        while Instant::now() + delay < until {
            tokio::time::sleep(delay).await;
            let called = Instant::now();
            let Ok(directives) = it.peer.check_in(&mut it.link, &it.held, 0).await else { break };
            samples.push(called.elapsed());
            delay = Duration::from_millis(u64::from(directives.next_check_in_ms));
        }
        tokio::time::sleep_until(until.into()).await;
        Some((samples, it))
    })
    .await;
    figures.collector_rss_kib = run.plan.collector_pid.and_then(resident_kib).or(figures.collector_rss_kib);
    let samples: Vec<Duration> = samples.into_iter().flat_map(|(samples, _)| samples).collect();
    let calls = f64::from(u32::try_from(samples.len())?);
    let bytes = f64::from(u32::try_from(run.traffic.total() - before)?);
    figures.bytes_per_check_in = Some(bytes / calls);
    figures.check_ins_per_s = Some(calls / started.elapsed().as_secs_f64());
    (figures.p50_ms, figures.p99_ms) = percentiles(samples);
    Ok(())
}

/// In each round a tenth of the hosts updates packages and reports the delta.
async fn churn(
    run: &Arc<Run>,
    mut connected: Vec<Connected>,
    figures: &mut Figures,
    acked: &mut Vec<Acked>,
) -> anyhow::Result<()> {
    let until = Instant::now() + run.plan.duration;
    let started = Instant::now();
    let mut samples = Vec::new();
    let mut round = 0;
    while Instant::now() < until {
        let (drifting, still): (Vec<_>, Vec<_>) =
            connected.into_iter().partition(|it| it.peer.host.number % 10 == round % 10);
        let all = drifting.len();
        let done = every(drifting, |mut it| {
            let run = run.clone();
            async move {
                let _turn = run.bringing.acquire().await.ok()?;
                let before = std::mem::take(&mut it.held);
                it.peer.host.updated += UPDATES;
                it.held = run.images.sections_of(&it.peer.host);
                let took = bring(&run, &mut it, &before).await?;
                Some((it, took))
            }
        })
        .await;
        figures.refused += u64::try_from(all - done.len())?;
        connected = still;
        for (it, took) in done {
            samples.push(took);
            acked.retain(|old| old.asset != it.peer.asset());
            acked.push(Acked::of(&it.peer, &it.held));
            connected.push(it);
        }
        round += 1;
    }
    figures.acked += u64::try_from(samples.len())?;
    figures.reports_per_s = Some(f64::from(u32::try_from(samples.len())?) / started.elapsed().as_secs_f64());
    (figures.p50_ms, figures.p99_ms) = percentiles(samples);
    Ok(())
}
