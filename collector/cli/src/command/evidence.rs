//! `evidence`: a pack that proves a change, made by the collector and checked anywhere.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use clap::{Args, Subcommand};
use data_encoding::HEXLOWER_PERMISSIVE;
use holdpoint_collector::evidence::{self, Pins};
use holdpoint_common::chain::Chain;
use holdpoint_common::credentials;
use holdpoint_common::proto::v1::{EvidencePart, ExportEvidenceRequest};

use crate::connection::Connection;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::evidence::{Checked, Exported};

/// Largest pack, in bytes.
const MAX_PACK: u64 = 1024 * 1024 * 1024;
/// Largest file with certificates, in bytes.
const MAX_CA: u64 = 1024 * 1024;

/// `evidence`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Write everything that proves a change into one file.
    Export(Export),
    /// Check such a file. Needs no collector and no network; exits 1 when it does not hold.
    Check(Check),
}

/// `evidence export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The change.
    pub change: String,
    /// Where the pack goes; the file must not exist.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Whether the rows of snapshots go with it, or their digests alone.
    #[arg(long, default_value = "rows", value_parser = ["rows", "digests"])]
    pub policy: String,
}

/// `evidence check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The pack.
    pub file: PathBuf,
    /// The public key of the zone's audit log as you know it by another way.
    #[arg(long, value_name = "HEX", value_parser = key)]
    pub audit_key: Option<[u8; 32]>,
    /// The zone's CA, or the root that signed it, as you know it by another way (PEM).
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint evidence export CHG-0001 --out CHG-0001.evidence
  holdpoint evidence check CHG-0001.evidence --audit-key 3b6a… --ca zone-root.pem

Without --audit-key and --ca a check shows that the file was not changed since it was made, and not who made it.";

fn key(text: &str) -> Result<[u8; 32], &'static str> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    bytes.and_then(|it| <[u8; 32]>::try_from(it).ok()).ok_or("write 64 hexadecimal digits")
}

/// Does what needs no collector; `None` when the command needs one.
pub fn run_here(command: &Command, out: &Output) -> Option<Result<Exit, Failure>> {
    match command {
        Command::Check(options) => Some(look_over(options, out)),
        Command::Export(_) => None,
    }
}

/// Asks the collector.
pub async fn run(command: &Command, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Check(options) => look_over(options, out),
        Command::Export(options) => {
            out.print(&export(options, connection).await?)?;
            out.hint(&format!("holdpoint evidence check {}", options.out.display()));
            Ok(Exit::Done)
        }
    }
}

fn look_over(options: &Check, out: &Output) -> Result<Exit, Failure> {
    let file = read(&options.file, MAX_PACK)?;
    let ca = match &options.ca {
        Some(path) => Some((path.as_path(), read(path, MAX_CA)?)),
        None => None,
    };
    let ca = ca.as_ref().map(|it| (it.0, it.1.as_slice()));
    let checked = checked(&file, options.audit_key, ca)?;
    out.print(&checked)?;
    Ok(Exit::yes_or_no(checked.is_valid()))
}

/// What the checker says: the one place that knows it.
fn checked(file: &[u8], audit_key: Option<[u8; 32]>, ca: Option<(&Path, &[u8])>) -> Result<Checked, Failure> {
    let anchors = match ca {
        Some((path, pem)) => credentials::certificates(pem, path).map_err(|why| {
            Failure::Argument(format!("{} holds no certificates: {}", path.display(), Chain(&why)))
        })?,
        None => Vec::new(),
    };
    let found = evidence::check(file, &Pins { audit_key, anchors });
    let evidence::Checked { valid, change, state, audit_key, proves, proves_not, faults } = found;
    Ok(Checked::new(valid, change, state, audit_key, proves, proves_not, faults))
}

fn read(path: &Path, max: u64) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > max {
        return Err(Failure::Argument(format!("{} is larger than {} MiB", path.display(), max >> 20)));
    }
    fs::read(path).map_err(failed)
}

/// Writes the pack as it arrives; what breaks off leaves no file behind.
async fn export(options: &Export, connection: &Connection) -> Result<Exported, Failure> {
    let Export { change, out, policy } = options;
    let failed = |source| Failure::Write { path: out.clone(), source };
    let mut file = File::create_new(out).map_err(failed)?;
    let request = ExportEvidenceRequest { id: change.clone(), policy: policy.clone() };
    let (mut hash, mut bytes) = (Context::new(&SHA256), 0_u64);
    let written = async {
        let mut stream = connection.changes().export_evidence(request).await?.into_inner();
        while let Some(EvidencePart { bytes: part }) = stream.message().await? {
            bytes += u64::try_from(part.len()).unwrap_or(u64::MAX);
            if bytes > MAX_PACK {
                return Err(Failure::Argument(format!("the pack is larger than {} MiB", MAX_PACK >> 20)));
            }
            hash.update(&part);
            file.write_all(&part).map_err(failed)?;
        }
        if bytes == 0 {
            return Err(Failure::Incomplete("the evidence"));
        }
        file.sync_all().map_err(failed)
    };
    if let Err(failure) = written.await {
        // The first failure is the one that matters.
        let _ = fs::remove_file(out);
        return Err(failure);
    }
    Ok(Exported::new(change, out, policy, bytes, hash.finish().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;

    #[tokio::test]
    async fn a_pack_is_written_whole_or_not_at_all() {
        let connection = fake::collector().await;
        let directory = tempfile::tempdir().unwrap();
        let options = |change: &str| Export {
            change: change.into(),
            out: directory.path().join(change),
            policy: "rows".into(),
        };
        let pack = export(&options(fake::CHANGE), &connection).await.unwrap();
        assert_eq!(serde_json::to_value(&pack).unwrap()["bytes"], 8);
        assert_eq!(fs::read(directory.path().join(fake::CHANGE)).unwrap(), b"evidence");
        assert!(export(&options("CHG-BROKEN"), &connection).await.is_err());
        assert!(!directory.path().join("CHG-BROKEN").exists());
        // A pack that was handed out is not written over.
        assert!(export(&options(fake::CHANGE), &connection).await.is_err());
    }

    #[test]
    fn an_audit_key_is_32_bytes() {
        assert_eq!(key(&"0A".repeat(32)), Ok([10; 32]));
        assert!(key("0a").is_err());
    }
}
