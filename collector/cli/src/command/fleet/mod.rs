//! `fleet`: all zones of a site, asked of the site.

mod way;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::proto::v1 as pb;

use super::Caller;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::fleet::asset::AssetPage;
use crate::view::fleet::change::Change;
use crate::view::fleet::finding::Status;
use crate::view::fleet::site::Overview;
use crate::view::fleet::zone::Zone;
use crate::view::fleet::{Exported, Zones};

pub use way::Way;

/// `fleet`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// What to ask; without it: the zones.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint --profile plant/operator.toml fleet              every zone, how old, what is missing
  holdpoint fleet zone line-1                                all that is known of one zone
  holdpoint fleet asset line-1/hmi-01                        one asset, its findings and its history
  holdpoint fleet status --verdict AFFECTED                  what is open, over all zones

Needs the profile of an operator of the site: `holdpoint join` makes one.";

/// What can be asked of a site.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Show all that is known of one zone, and what is missing of it.
    Zone(ZoneOptions),
    /// Show one asset of a zone, and how it became what it is.
    Asset(AssetOptions),
    /// List findings of all zones.
    Status(StatusOptions),
    /// List changes of all zones, and how they went.
    Changes(ChangesOptions),
    /// Note that an alarm was seen. It stays until its cause is gone.
    Acknowledge(AcknowledgeOptions),
    /// Write a zone's present state as a statement that the site signs.
    Export(ExportOptions),
    /// Show the site itself: what came of nobody that is known, and whether it takes anything in.
    Site,
}

/// `fleet zone`.
#[derive(Debug, Clone, Args)]
pub struct ZoneOptions {
    /// The zone.
    pub zone: String,
}

/// `fleet asset`.
#[derive(Debug, Clone, Args)]
pub struct AssetOptions {
    /// The zone and the asset's id or name.
    #[arg(value_name = "ZONE/ASSET")]
    pub asset: String,
}

/// `fleet status`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "A zone whose policy is counts says how many and not which: it stands below the list."
)]
pub struct StatusOptions {
    /// Only this zone.
    #[arg(long)]
    pub zone: Option<String>,
    /// Only findings with this verdict.
    #[arg(long)]
    pub verdict: Option<String>,
    /// Only findings whose subject begins so.
    #[arg(long)]
    pub advisory: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

/// `fleet changes`.
#[derive(Debug, Clone, Args)]
pub struct ChangesOptions {
    /// Only this zone.
    #[arg(long)]
    pub zone: Option<String>,
}

/// `fleet acknowledge`.
#[derive(Debug, Clone, Args)]
pub struct AcknowledgeOptions {
    /// The zone.
    pub zone: String,
    /// The kind of the alarm, such as fork.
    pub alarm: String,
    /// The place of the alarm, where a zone has several of the kind.
    #[arg(long, value_name = "N")]
    pub sequence: Option<u64>,
}

/// `fleet export`.
#[derive(Debug, Clone, Args)]
pub struct ExportOptions {
    /// The zone.
    pub zone: String,
    /// The file: a DSSE envelope around an in-toto statement, signed by the site's key.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Asks the site of the profile.
pub async fn run(options: Options, caller: &Caller) -> Result<Exit, Failure> {
    let way = Way::open(&caller.profile.find()?, &caller.out).await?;
    ask(options, &way, &caller.out).await
}

/// Asks a site.
pub async fn ask(options: Options, way: &Way, out: &Output) -> Result<Exit, Failure> {
    match options.command {
        None => {
            let zones = way.answer(|mut it| async move { it.zones(pb::FleetZonesRequest {}).await }).await?;
            remark(&zones, out);
            out.print(&Zones::new(zones))?;
        }
        Some(Command::Site) => {
            let zones = way.answer(|mut it| async move { it.zones(pb::FleetZonesRequest {}).await }).await?;
            out.print(&Overview::from(zones))?;
        }
        Some(Command::Zone(ZoneOptions { zone })) => {
            let request = pb::FleetZoneRequest { zone };
            let zone = way.answer(|mut it| async move { it.zone(request).await }).await?;
            out.print(&Zone::new(zone))?;
        }
        Some(Command::Asset(AssetOptions { asset })) => {
            let (zone, asset) = asset.split_once('/').ok_or_else(|| {
                Failure::Argument(format!("`{asset}` is no ZONE/ASSET: write line-1/hmi-01"))
            })?;
            let request = pb::FleetAssetRequest { zone: zone.to_owned(), asset: asset.to_owned() };
            let asset = way.answer(|mut it| async move { it.asset(request).await }).await?;
            out.print(&AssetPage::from(asset))?;
        }
        Some(Command::Status(StatusOptions { zone, verdict, advisory, limit })) => {
            let request = pb::FleetStatusRequest { zone, verdict, advisory, limit };
            let status = way.answer(|mut it| async move { it.status(request).await }).await?;
            out.print(&Status::from(status))?;
        }
        Some(Command::Changes(ChangesOptions { zone })) => {
            let request = pb::FleetChangesRequest { zone };
            let found = way.answer(|mut it| async move { it.changes(request).await }).await?;
            out.print(&found.changes.into_iter().map(Change::from).collect::<Vec<_>>())?;
        }
        Some(Command::Acknowledge(AcknowledgeOptions { zone, alarm, sequence })) => {
            let request = pb::FleetAcknowledgeRequest { zone, kind: alarm, sequence };
            let zone = way.answer(|mut it| async move { it.acknowledge(request).await }).await?;
            out.print(&Zone::new(zone))?;
        }
        Some(Command::Export(ExportOptions { zone, out: path })) => {
            let request = pb::FleetExportRequest { zone: zone.clone() };
            let export = way.answer(|mut it| async move { it.export(request).await }).await?;
            atomic_file::replace(&path, &export.envelope, Readable::All)
                .map_err(|source| Failure::Write { path: path.clone(), source })?;
            out.print(&Exported::new(zone, &path, &export.envelope))?;
        }
    }
    Ok(Exit::Done)
}

/// What concerns no zone, for whoever watches: the answer itself is the zones.
fn remark(zones: &pb::FleetZonesResponse, out: &Output) {
    if let Some(why) = &zones.stopped {
        out.warn(&format!("the site takes nothing in: {why}"));
    }
    for alarm in zones.alarms.iter().filter(|it| it.acknowledged_ms.is_none()) {
        out.warn(&alarm.text);
    }
    if zones.quarantined > 0 {
        out.note(&format!("{} objects that cannot be verified lie in quarantine", zones.quarantined));
    }
}

#[cfg(test)]
mod tests;
