//! What `holdpoint-collector outbox` does and prints.

use std::path::Path;
use std::process::ExitCode;

use holdpoint_common::clock::{Clock, SystemClock, readable};
use holdpoint_common::conduit::Party;
use holdpoint_common::proto::v1::{
    CarryOutboxRequest, OutboxResent, OutboxSkip, OutboxState, ResendOutboxRequest, RotateOutboxRequest,
    ShowOutboxRequest,
};
use holdpoint_common::tls::Purpose;

use super::signer::Signer;
use crate::args::{Outbox, OutboxCarry, OutboxInit, OutboxResend};
use crate::conduit::{self, ENROLMENT_ENDING, Enrolment};
use crate::config::{Config, OutboxSection};
use crate::local::Local;
use crate::summary::Level;
use crate::verbs::{VerbError, file, print, read, say};

/// Does what was typed.
///
/// # Errors
/// As [`crate::verbs::run`].
pub async fn run(typed: Outbox) -> Result<ExitCode, VerbError> {
    match typed {
        Outbox::Init(typed) => init(typed),
        Outbox::Show(data) => show(&data.path).await,
        Outbox::Carry(typed) => carry(&typed).await,
        Outbox::Rotate(data) => rotate(&data.path).await,
        Outbox::Resend(typed) => resend(typed).await,
    }
}

fn init(typed: OutboxInit) -> Result<ExitCode, VerbError> {
    let data = typed.data.path;
    let mut config = Config::read(&data)?;
    let zone = config.zone_name()?;
    let key = read(&typed.root.join("root.key"))?;
    let dir = data.join(super::DIRECTORY);
    let signer = Signer::found(&dir, &zone, &key, SystemClock.now_ms())?;
    let enrolment =
        Enrolment { zone: zone.clone(), root: signer.root().clone(), statement: signer.first().to_vec() };
    let enrolled = dir.join(format!("{}{ENROLMENT_ENDING}", zone.zone));
    enrolment.write(&enrolled)?;
    let request = conduit::save_request(
        &dir.join(super::CONDUIT),
        &Party::Collector(zone.clone()),
        &[Purpose::Client],
        &[],
    )?;
    let policy = match typed.policy.as_str() {
        "full" => Level::Full,
        "assets" => Level::Assets,
        _ => Level::Counts,
    };
    config.outbox = Some(OutboxSection {
        policy,
        redact: typed.redact,
        relay: typed.relay,
        diode: typed.diode,
        ..OutboxSection::default()
    });
    config.write(&data)?;
    say(&format!("{} leaves zone {zone} from the next start on", policy.as_str()));
    say(&format!("key {} signs, key {} follows it", signer.key().public().id(), signer.next()));
    say(&format!("for relays and the site: {}", enrolled.display()));
    say(&format!("  compare on paper: {}", enrolment.fingerprint()));
    say(&format!("for the conduit's authority (relays only): {}", request.display()));
    say(&format!("restart the collector; then `holdpoint-collector outbox show --data {}`", data.display()));
    Ok(ExitCode::SUCCESS)
}

async fn show(data: &Path) -> Result<ExitCode, VerbError> {
    let mut local = Local::running(data).await?;
    let state = local.client.show_outbox(ShowOutboxRequest {}).await?.into_inner();
    local.close().await?;
    if !state.fault.is_empty() {
        say(&state.fault);
        return Ok(ExitCode::from(1));
    }
    print(&words(&state));
    Ok(ExitCode::SUCCESS)
}

fn words(state: &OutboxState) -> String {
    let mut lines = vec![
        format!("stream    {}, key {}", state.stream, state.key_epoch),
        format!("policy    {}{}", state.policy, struck_out(&state.redacted)),
        format!("sent      {} bundles; delivery unknown by design", state.head),
        match state.oldest_ms {
            Some(oldest) => {
                format!(
                    "waiting   {} bundles of {} bytes since {}",
                    state.waiting,
                    state.waiting_bytes,
                    readable(oldest)
                )
            }
            None => "waiting   nothing".to_owned(),
        },
        match state.made_ms {
            Some(made) => format!("interval  {} at {}", state.intervals, readable(made)),
            None => "interval  none yet".to_owned(),
        },
        format!("media     {} of {} slices at hand", state.kept_slices, state.slices),
    ];
    for carrier in &state.carriers {
        let skipped = match carrier.skipped {
            0 => String::new(),
            skipped => format!(", {skipped} that it had no room for"),
        };
        lines.push(format!("carrier   {}: {} objects handed on{skipped}", carrier.name, carrier.sent));
    }
    for tally in &state.tally {
        lines.push(format!(
            "records   {}: {} put in, {} left, dropped: {} replaced, {} to be said again, {} lost",
            tally.class, tally.taken_in, tally.left, tally.superseded, tally.repeated, tally.lost
        ));
    }
    for skip in &state.skipped {
        lines.push(format!("skipped   numbers {} to {} after a stop", skip.from, skip.to));
    }
    lines.join("\n")
}

fn struck_out(fields: &[String]) -> String {
    if fields.is_empty() { String::new() } else { format!(", without {}", fields.join(", ")) }
}

async fn carry(typed: &OutboxCarry) -> Result<ExitCode, VerbError> {
    let path = std::path::absolute(&typed.medium).map_err(file("write", &typed.medium))?;
    let mut local = Local::running(&typed.data.path).await?;
    let request = CarryOutboxRequest { path: path.display().to_string() };
    let carried = local.client.carry_outbox(request).await?.into_inner();
    local.close().await?;
    print(&carried.folder);
    say(&format!(
        "{} files of {} bytes, bundles {} to {}, {} of {} slices of the whole",
        carried.bundles, carried.bytes, carried.from, carried.to, carried.slices, carried.of
    ));
    if carried.slices < carried.of {
        say("not a whole cycle yet: what is missing comes with a medium that is written later");
    }
    say("on the site's machine: holdpoint-collector site ingest FOLDER --data DIR");
    Ok(ExitCode::SUCCESS)
}

async fn rotate(data: &Path) -> Result<ExitCode, VerbError> {
    let mut local = Local::running(data).await?;
    let rotated = local.client.rotate_outbox(RotateOutboxRequest {}).await?.into_inner();
    local.close().await?;
    say(&format!(
        "key {} signs now; receivers follow by the statements that every cycle carries",
        rotated.key_epoch
    ));
    Ok(ExitCode::SUCCESS)
}

async fn resend(typed: OutboxResend) -> Result<ExitCode, VerbError> {
    let OutboxResend { code, data, person } = typed;
    let mut local = Local::open(&data.path).await?;
    let request = ResendOutboxRequest { code, person: person.unwrap_or_default() };
    let resent = local.client.resend_outbox(request).await?.into_inner();
    local.close().await?;
    let OutboxResent { from, to, bundles, missing, no_room } = &resent;
    say(&format!("{bundles} of the bundles {from} to {to} handed on again; delivery unknown by design"));
    let runs = |runs: &[OutboxSkip]| {
        let run = |it: &OutboxSkip| {
            if it.from == it.to { it.from.to_string() } else { format!("{} to {}", it.from, it.to) }
        };
        runs.iter().map(run).collect::<Vec<_>>().join(", ")
    };
    if !missing.is_empty() {
        say(&format!("kept no longer: {}; what they said comes with every cycle", runs(missing)));
    }
    if !no_room.is_empty() {
        say(&format!("no carrier had room for: {}; type the code again later", runs(no_room)));
    }
    Ok(if missing.is_empty() && no_room.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
