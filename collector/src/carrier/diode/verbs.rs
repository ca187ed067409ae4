//! What each verb of `diode` does and says.
//!
//! ```text
//! DIR/diode.toml     settings      DIR/link-1.key     the link key
//! DIR/tray/          emptied onto the line, or filled from it
//! DIR/status.json    receiving end: what became of everything, written every ten seconds
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use data_encoding::HEXLOWER;
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::bundle::{Kind, claimed_kind};
use tracing::{info, warn};

use super::args::{Commission, CommissionReceive, CommissionSend, Diode, DiodeInit};
use super::assemble::{Assembler, Limits};
use super::commission::{InvalidRamp, Proposal, Ramp, Survey, Unfit, send, table};
use super::config::{Config, ConfigError, KEY_FILE};
use super::line::{Line, MAX_HELD, Refused, Urgency};
use super::receive::{Arrival, BUFFER, ReceiveError, Receiver, Watch};
use super::wire::WireError;
use crate::carrier::tray::{Emptier, Filler, Place, Put, TrayError};

/// How often the tray is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often the receiving end writes its status.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// How often the sending end says what it did.
const TELL_EVERY: Duration = Duration::from_mins(5);
/// Rates are typed in millions of bits per second.
const MBIT: u64 = 1_000_000;

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DiodeVerbError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The sending socket.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The receiving socket.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// The tray.
    #[error(transparent)]
    Tray(#[from] TrayError),
    /// The receiver could still send.
    #[error("this process does not receive as long as it could send")]
    LockDown(#[from] super::LockDownError),
    /// Rates or times of a test.
    #[error(transparent)]
    Ramp(#[from] InvalidRamp),
    /// Nothing can be proposed.
    #[error("no profile follows from this test")]
    Unfit(#[from] Unfit),
    /// The directory.
    #[error("cannot make {}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The system gives no random bytes for a key.
    #[error("the system gives no random bytes")]
    Random,
    /// The line ended by itself.
    #[error("the line has ended by itself: its log says why")]
    Broken,
    /// The work ended in a panic.
    #[error("the work ended early; the log says why")]
    Early,
}

/// Does what was typed; `print` takes the answer, `say` tells people.
///
/// No signal is listened for: there is nothing to put in order, so one ends each verb as it ends any process. A
/// listener would need calls on a socket of its own that both ends do without.
///
/// # Errors
/// The first thing that went wrong.
pub async fn run(typed: Diode, print: fn(&str), say: fn(&str)) -> Result<ExitCode, DiodeVerbError> {
    let work = move || match typed {
        Diode::Init(typed) => init(&typed, say),
        Diode::Send(typed) => empty(&typed.data),
        Diode::Receive(typed) => fill(&typed.data),
        Diode::Commission(Commission::Send(typed)) => send_test(&typed, say),
        Diode::Commission(Commission::Receive(typed)) => receive_test(&typed, print, say),
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| DiodeVerbError::Early)??;
    Ok(ExitCode::SUCCESS)
}

fn init(typed: &DiodeInit, say: fn(&str)) -> Result<(), DiodeVerbError> {
    let data = &typed.data.data;
    let failed = |source| DiodeVerbError::Directory { path: data.clone(), source };
    std::fs::create_dir_all(data).map_err(failed)?;
    Config::default().write(data)?;
    let key = data.join(KEY_FILE);
    if typed.new_key {
        let mut bytes = zeroize::Zeroizing::new([0; super::keys::KEY]);
        rand::fill(bytes.as_mut()).map_err(|_| DiodeVerbError::Random)?;
        let text = zeroize::Zeroizing::new(HEXLOWER.encode(bytes.as_ref()) + "\n");
        atomic_file::replace(&key, text.as_bytes(), Readable::Owner).map_err(failed)?;
        say(&format!("carry {} to the other end by hand; it never crosses the line", key.display()));
    } else {
        say(&format!("bring {} from the other end by hand", key.display()));
    }
    say(&format!("next: the addresses and the tray in {}, the same profile at both ends", data.display()));
    Ok(())
}

/// Empties the tray onto the line, until something breaks. An object stays in the tray until its last pass is gone: after a stop it is
/// sent again, and its receiver knows it.
fn empty(data: &Path) -> Result<(), DiodeVerbError> {
    let config = Config::read(data)?;
    let tray = Emptier::new(&config.tray(data));
    let line = Line::start(&config.route(), config.profile.clone(), config.keys(data)?, MAX_HELD)?;
    info!(from = %line.from(), to = %config.to, rate = config.profile.rate(), "sending");
    // Each until its last pass is gone. They are known by their places and not by the last number: who fills the
    // tray counts from the beginning when he starts again and finds it empty.
    let mut held = BTreeMap::<Place, Weak<[u8]>>::new();
    let mut told = Instant::now();
    loop {
        let done: Vec<_> = held.extract_if(.., |_, object| object.strong_count() == 0).collect();
        if line.is_over() {
            return Err(DiodeVerbError::Broken);
        }
        for (place, _) in done {
            tray.remove(&place)?;
        }
        for place in tray.places()? {
            if held.contains_key(&place) {
                continue;
            }
            let Some(object) = tray.read(&place)? else { continue };
            let object: Arc<[u8]> = object.into();
            // What the object says of itself decides only how it is sent.
            let beacon = claimed_kind(&object) == Some(Kind::Beacon);
            let urgency = if beacon { Urgency::Beacon } else { Urgency::Usual };
            let weak = Arc::downgrade(&object);
            match line.offer(object, urgency) {
                Ok(()) => drop(held.insert(place, weak)),
                Err(Refused::Full) => break,
                Err(Refused::Length) => {
                    warn!(number = place.number(), "an object that no line takes is thrown away");
                    tray.remove(&place)?;
                }
                Err(Refused::Closed) => return Err(DiodeVerbError::Broken),
            }
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            info!(sent = ?line.sent(), "delivery is unknown by design");
        }
        std::thread::sleep(LOOK);
    }
}

/// Fills the tray from the line, until something breaks.
fn fill(data: &Path) -> Result<(), DiodeVerbError> {
    let config = Config::read(data)?;
    let mut tray = Filler::open(&config.tray(data), crate::carrier::tray::Limits::default())?;
    let receiver = Receiver::bind(config.to, BUFFER)?;
    let (at, buffer) = (receiver.at(), receiver.buffer());
    if buffer < BUFFER / 4 {
        warn!(buffer, "the kernel gives a small buffer: raise net.core.rmem_max to {}", 2 * BUFFER);
    }
    let assembler = Assembler::new(config.keys(data)?, &[], Limits::default());
    let arrived = move |arrival| {
        let Arrival::Object(object) = arrival else { return };
        match tray.put(&object.bytes) {
            Ok(Put::Taken | Put::Known) => {}
            // What has no room is lost here and heals by repetition.
            Err(error) => warn!(error = &error as &dyn std::error::Error, "an object is not kept"),
        }
    };
    let receiving = receiver.start(assembler, arrived)?;
    // Behind the threads: the filter is for all of them.
    if !super::lock_down()? {
        warn!("this system cannot keep a process from sending");
    }
    info!(%at, buffer, "receiving");
    loop {
        if receiving.is_broken() {
            return Err(DiodeVerbError::Broken);
        }
        write_status(data, &receiving.watch());
        std::thread::sleep(STATUS_EVERY);
    }
}

fn write_status(data: &Path, watch: &Watch) {
    let counters = watch.counters();
    let (objects, bytes) = watch.waiting();
    let rejected: serde_json::Map<_, _> =
        counters.rejected.iter().map(|(cause, count)| (format!("{cause:?}"), (*count).into())).collect();
    let session = |it: &super::quality::Session| {
        serde_json::json!({
            "stream": it.stream, "session": it.session, "received": it.received, "sent": it.sent(),
            "lost": it.lost(), "late": it.late, "longest_burst": it.longest_burst,
            "longest_silence_ms": u64::try_from(it.longest_silence.as_millis()).unwrap_or(u64::MAX),
            "silent_for_ms": u64::try_from(it.last.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    };
    let status = serde_json::json!({
        "datagrams": counters.datagrams, "objects": counters.completing, "duplicates": counters.duplicates,
        "corrupt": counters.corrupt, "failed": counters.failed, "evicted": counters.evicted,
        "expired": counters.expired, "rejected": rejected, "waiting": objects, "waiting_bytes": bytes,
        "kernel_drops": watch.kernel_drops(), "sessions": watch.sessions().iter().map(session).collect::<Vec<_>>(),
    });
    let path = data.join("status.json");
    if let Err(error) = atomic_file::replace(&path, format!("{status:#}\n").as_bytes(), Readable::All) {
        warn!(%error, path = %path.display(), "the status cannot be written");
    }
}

fn send_test(typed: &CommissionSend, say: fn(&str)) -> Result<(), DiodeVerbError> {
    let config = Config::read(&typed.data.data)?;
    let keys = config.keys(&typed.data.data)?;
    let rate = |mbit: u64| mbit.saturating_mul(MBIT);
    let ramp = Ramp::between(rate(typed.from_mbit), rate(typed.to_mbit), typed.step)?;
    say(&format!("{} rates, {} s in all", ramp.rates().len(), ramp.length().as_secs()));
    let traffic = send(&config.route(), &config.profile, keys, &ramp, |rate| {
        say(&format!("{} Mbit/s", rate / MBIT));
    })?;
    say(&format!(
        "{} datagrams of {} bytes left; the other end knows what arrived",
        traffic.datagrams, traffic.bytes
    ));
    Ok(())
}

fn receive_test(typed: &CommissionReceive, print: fn(&str), say: fn(&str)) -> Result<(), DiodeVerbError> {
    let config = Config::read(&typed.data.data)?;
    let keys = config.keys(&typed.data.data)?;
    let receiver = Receiver::bind(config.to, BUFFER)?;
    say(&format!("waiting at {} with a buffer of {} bytes", receiver.at(), receiver.buffer()));
    let (tell, patterns) = sync_channel(65_536);
    let arrived = move |arrival| {
        if let Arrival::Pattern(pattern, at) = arrival {
            // A full channel would be loss of this process and not of the line, so it waits.
            let _ = tell.send((pattern, at));
        }
    };
    let receiving = receiver.start(Assembler::new(keys, &[], Limits::default()), arrived)?;
    let mut survey = Survey::default();
    while !survey.is_complete() {
        // Between two rates nothing may be lost for long; before the first a person may need a while.
        match patterns.recv_timeout(typed.patience) {
            Ok((pattern, at)) => survey.take(&pattern, at),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    let watch = receiving.stop();
    let (steps, sent) = survey.finish();
    say(table(&steps, typed.step).trim_end());
    if let Some(drops) = watch.kernel_drops().filter(|it| *it > 0) {
        say(&format!("{drops} datagrams were dropped by this machine's own kernel: a larger buffer helps"));
    }
    let proposal = Proposal::of(&steps, sent, typed.step)?;
    let mut text = String::new();
    let _ = writeln!(text, "# to type into [profile] of diode.toml at both ends");
    text.push_str(&proposal.to_toml());
    print(text.trim_end());
    for remark in &proposal.remarks {
        say(remark);
    }
    Ok(())
}
