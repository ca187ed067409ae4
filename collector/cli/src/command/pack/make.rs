//! `pack key` and `pack make`: what happens where packs are compiled, without a collector.
//!
//! The serial stands beside the key, in `KEY.serial`, and rises before a pack is written: a pack that could not be
//! written leaves a gap, and no number is given twice.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use holdpoint_collector::knowledge::{self, Content, Knowledge, Rehearsal};
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::chain::Chain;
use holdpoint_common::one_shot::is_one_shot;
use holdpoint_common::pack::{self, Generated, Listed, MAX_KEY_FILE, MAX_MEMBER, MAX_PACK, Manifest, Pack};
use holdpoint_common::private;

use super::{read, refused};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::pack::{Made, Shown};

/// Largest file with a serial, in bytes.
const MAX_SERIAL_FILE: usize = 64;

/// `pack make`.
#[derive(Debug, Args)]
pub struct Make {
    /// The files, as `import` takes them.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The private key of `pack key`.
    #[arg(long, value_name = "KEY")]
    pub key: PathBuf,
    /// What people call the content.
    #[arg(long)]
    pub title: String,
    /// A zone that it is for, as SITE/ZONE; may be repeated. Without it: every zone that trusts the signer.
    #[arg(long = "zone", value_name = "ZONE")]
    pub zones: Vec<String>,
    /// Where the pack goes; the file must not exist.
    #[arg(long, value_name = "PACK")]
    pub out: PathBuf,
    /// Its serial, where it is not the one after that in KEY.serial.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub serial: Option<u64>,
}

/// Makes a key; the private half is for the owner alone.
pub(super) fn key(directory: &Path) -> Result<Made, Failure> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| not_written(path, source)
    };
    let Generated { private_pem, public } = pack::generate().map_err(|why| Failure::No(why.to_string()))?;
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let (own, everybody) = (directory.join("pack.key"), directory.join("pack.pub"));
    if everybody.exists() {
        return Err(Failure::Exists(everybody));
    }
    let write = |path: &Path, text: &str, readable| {
        private::create_file(path, readable)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(failed(path))
    };
    write(&own, &private_pem, Readable::Owner)?;
    write(&everybody, &pack::public_pem(&public), Readable::All)?;
    Ok(Made::new(&public, &own, &everybody))
}

fn not_written(path: PathBuf, source: io::Error) -> Failure {
    if source.kind() == io::ErrorKind::AlreadyExists {
        Failure::Exists(path)
    } else {
        Failure::Write { path, source }
    }
}

/// Compiles a pack.
pub(super) fn run(options: &Make, out: &Output, now_ms: i64) -> Result<Exit, Failure> {
    let (bytes, path) = (compile(options, now_ms)?, &options.out);
    let failed = |source| not_written(path.clone(), source);
    let mut file = File::create_new(path).map_err(failed)?;
    if let Err(cause) = file.write_all(&bytes).and_then(|()| file.sync_all()) {
        // The first failure is the one that matters.
        let _ = fs::remove_file(path);
        return Err(failed(cause));
    }
    let made = Pack::read(&bytes).map_err(|why| refused(path, &why))?;
    out.print(&Shown::new(&made, path, bytes.len()))?;
    out.hint(&format!("in the zone: holdpoint import --pack {}", path.display()));
    Ok(Exit::Done)
}

fn compile(options: &Make, now_ms: i64) -> Result<Vec<u8>, Failure> {
    let Make { files, key, title, zones, out, serial } = options;
    if out.exists() {
        return Err(Failure::Exists(out.clone()));
    }
    let signing = zeroize::Zeroizing::new(read(key, MAX_KEY_FILE)?);
    let signing = pack::signing_key(&signing).map_err(|why| refused(key, &why))?;
    let members = members(files, now_ms)?;
    let beside = serial_file(key);
    let serial = match serial {
        Some(serial) => *serial,
        None => last_serial(&beside)?.saturating_add(1),
    };
    let manifest = Manifest {
        format: pack::FORMAT,
        title: title.trim().to_owned(),
        serial,
        made_ms: now_ms,
        zones: zones.clone(),
        members: Vec::new(),
    };
    let bytes = pack::make(manifest, &members, &signing)
        .map_err(|why| Failure::Argument(format!("no pack is made: {}", Chain(&why))))?;
    let newest = last_serial(&beside)?.max(serial);
    atomic_file::replace(&beside, format!("{newest}\n").as_bytes(), Readable::All)
        .map_err(|source| Failure::Write { path: beside, source })?;
    Ok(bytes)
}

/// Reads each file as a zone would that knows nothing else: what nobody can read is put into no pack.
fn members(files: &[PathBuf], now_ms: i64) -> Result<Vec<(Listed, Vec<u8>)>, Failure> {
    let mut total = 0_usize;
    let mut found = Vec::with_capacity(files.len());
    for path in files {
        let bytes = read(path, MAX_MEMBER)?;
        total = total.saturating_add(bytes.len());
        if total > MAX_PACK {
            return Err(Failure::Argument(format!(
                "the files have more than {} MiB together",
                MAX_PACK >> 20
            )));
        }
        if is_one_shot(&bytes) {
            return Err(Failure::Argument(format!(
                "{} is a scan of a host: `holdpoint import` takes it by itself",
                path.display()
            )));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let read = knowledge::read(&name, &bytes, &Knowledge::default());
        let is_mapping = matches!(read, Ok((Content::Mapping(_), _)));
        found.push((!is_mapping, path, name, bytes));
    }
    // A list of a supplier is read by its mapping, so mappings are taken first.
    found.sort_by_key(|it| it.0);
    let mut rehearsal = Rehearsal::default();
    found
        .into_iter()
        .map(|(_, path, name, bytes)| {
            let read = rehearsal.take(&name, &bytes, now_ms).map_err(|why| {
                Failure::Argument(format!("{} is refused: {}", path.display(), Chain(&why)))
            })?;
            Ok((Listed::of(&name, read.kind.as_str(), &bytes), bytes))
        })
        .collect()
}

fn serial_file(key: &Path) -> PathBuf {
    let mut name = OsString::from(key.as_os_str());
    name.push(".serial");
    name.into()
}

fn last_serial(beside: &Path) -> Result<u64, Failure> {
    if !beside.exists() {
        return Ok(0);
    }
    let bytes = read(beside, MAX_SERIAL_FILE)?;
    let text = String::from_utf8_lossy(&bytes);
    text.trim().parse().map_err(|_| {
        Failure::Argument(format!(
            "{} holds no number: write the serial of the newest pack into it",
            beside.display()
        ))
    })
}
