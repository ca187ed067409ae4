//! Drives one target with damaged seeds until a time is over or it fails.
//!
//! Knows nothing about the targets but their names. One thread runs them, this one watches, so
//! that an input for which a target never returns is found as surely as one for which it panics.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use holdpoint_tests::mutation::{Numbers, mutate};
use holdpoint_tests::targets::{TARGETS, Target, corpus};

const USAGE: &str = "usage: holdpoint-fuzz TARGET SECONDS [--keep DIR]";
/// How long a target may take for one input before that counts as never.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the watching thread looks.
const GLANCE: Duration = Duration::from_millis(100);
/// Inputs that are damaged further: what went before them, newest last.
const MAX_POOL: usize = 256;
/// Of so many inputs one is damaged further.
const KEPT_OF: u64 = 64;

fn main() -> ExitCode {
    match Order::read(std::env::args().skip(1)).and_then(|it| it.carry_out()) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(finding)) => {
            eprintln!("{finding}");
            ExitCode::from(1)
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// What the command line asks for.
struct Order {
    name: String,
    target: Target,
    time: Duration,
    keep: PathBuf,
}

impl Order {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (Some(name), Some(seconds)) = (words.next(), words.next()) else {
            let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            return Err(format!("{USAGE}\ntargets: {}", names.join(" ")));
        };
        let known = TARGETS.iter().find(|(known, _)| *known == name);
        let (_, target) = known.ok_or_else(|| format!("there is no target {name}"))?;
        let seconds = seconds.parse().map_err(|_| format!("`{seconds}` is no number of seconds"))?;
        let keep = match (words.next().as_deref(), words.next(), words.next()) {
            (None, _, _) => Path::new(env!("CARGO_MANIFEST_DIR")).join("crashes"),
            (Some("--keep"), Some(dir), None) => dir.into(),
            _ => return Err(USAGE.to_owned()),
        };
        Ok(Self { name, target: *target, time: Duration::from_secs(seconds), keep })
    }

    /// Runs the target; gives the finding if there is one.
    fn carry_out(&self) -> Result<Option<String>, String> {
        let seeds = corpus(&self.name).map_err(|why| format!("cannot read the corpus: {why}"))?;
        let seeds: Vec<Vec<u8>> = seeds.into_iter().map(|(_, bytes)| bytes).collect();
        if seeds.is_empty() {
            return Err(format!("{} has no corpus", self.name));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seed = now.as_secs() ^ u64::from(now.subsec_nanos()) << 32;
        let current = Arc::new(Mutex::new((Instant::now(), Vec::new())));
        let worker = {
            let (target, time, current) = (self.target, self.time, Arc::clone(&current));
            thread::spawn(move || drive(target, seeds, seed, time, &current))
        };
        while !worker.is_finished() {
            thread::sleep(GLANCE);
            let (since, input) = &*current.lock().unwrap_or_else(PoisonError::into_inner);
            if since.elapsed() > PATIENCE && !worker.is_finished() {
                return self.found("does not return", input).map(Some);
            }
        }
        let outcome = worker.join().map_err(|_| "the driver itself failed".to_owned())?;
        let rate = u128::from(outcome.executions) * 1_000 / outcome.took.as_millis().max(1);
        println!(
            "{}: {} executions, {rate}/s, slowest {:?}, seed {seed}",
            self.name, outcome.executions, outcome.slowest
        );
        outcome.crash.map(|input| self.found("panics", &input)).transpose()
    }

    fn found(&self, what: &str, input: &[u8]) -> Result<String, String> {
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        let path = self.keep.join(format!("{}-{:016x}", self.name, hasher.finish()));
        fs::create_dir_all(&self.keep).and_then(|()| fs::write(&path, input)).map_err(|why| {
            format!("{} {what}, and {} cannot be written: {why}", self.name, path.display())
        })?;
        Ok(format!("{} {what}: {}", self.name, path.display()))
    }
}

/// What came of it.
struct Outcome {
    executions: u64,
    took: Duration,
    slowest: Duration,
    crash: Option<Vec<u8>>,
}

fn drive(
    target: Target,
    mut pool: Vec<Vec<u8>>,
    seed: u64,
    time: Duration,
    current: &Mutex<(Instant, Vec<u8>)>,
) -> Outcome {
    let start = Instant::now();
    let seeds = pool.len();
    let mut numbers = Numbers::from_seed(seed);
    let mut outcome = Outcome { executions: 0, took: Duration::ZERO, slowest: Duration::ZERO, crash: None };
    while start.elapsed() < time && outcome.crash.is_none() {
        // The seeds come first, as they are.
        let turn = usize::try_from(outcome.executions).unwrap_or(usize::MAX);
        let input = match pool.get(turn).filter(|_| turn < seeds) {
            Some(seed) => seed.clone(),
            None => {
                // Most inputs stay near a seed: damage on damage is soon refused at the first byte.
                let among = if numbers.index(4) == 0 { pool.len() } else { seeds };
                let one = numbers.index(among);
                let other = numbers.index(pool.len());
                mutate(&pool[one], &pool[other], &mut numbers)
            }
        };
        let begun = Instant::now();
        *current.lock().unwrap_or_else(PoisonError::into_inner) = (begun, input.clone());
        let survived = catch_unwind(|| target(&input)).is_ok();
        outcome.slowest = outcome.slowest.max(begun.elapsed());
        outcome.executions += 1;
        if !survived {
            outcome.crash = Some(input);
        } else if outcome.executions.is_multiple_of(KEPT_OF) {
            // Damage adds up, and the seeds stay.
            if pool.len() < MAX_POOL {
                pool.push(input);
            } else {
                let place = seeds + numbers.index(MAX_POOL - seeds);
                pool[place] = input;
            }
        }
    }
    outcome.took = start.elapsed();
    outcome
}
