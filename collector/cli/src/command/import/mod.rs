//! `import`: carries files to the collector, part by part: knowledge, and scans of hosts.
//!
//! Directories are walked, links to directories are not followed; archives are read member by member in memory.
//! Hashes that lie beside a file are checked before anything of it is sent. A file that the collector refuses, or
//! that cannot be read, is reported and the next one follows; only a collector that cannot be reached any more
//! ends the command.

mod companion;
mod send;
#[cfg(test)]
mod tests;
mod walk;

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;
use holdpoint_collector::knowledge::MAX_FILE;
use holdpoint_common::chain::Chain;
use holdpoint_common::decision::{from_file, is_decision};
use holdpoint_common::pack::{MAX_PACK, Pack, is_pack};
use holdpoint_common::proto::v1::{DecideRequest, Taken, import_result};
use holdpoint_common::section::Digest;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use prost::Message;

use crate::archive::{self, InvalidArchive, Member};
use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::import::Import;
use crate::view::pack::Pack as View;

use companion::{Companion, Companions, Hashes};
use send::send;

/// Members of an archive that wait for the collector: each may be as large as a file.
const MEMBERS_AHEAD: usize = 1;

/// What is said of a file whose reader ended by itself.
const GIVEN_UP: &str = "reading it was given up";

/// `import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  holdpoint import requirements.csv\n  holdpoint import advisories/ -o json\n  \
    holdpoint import csaf-2026-11.zip debian.tar.zst   archives, read without unpacking them to disk\n  \
    holdpoint import hmi-01.oneshot             a scan that a person carried here\n  \
    holdpoint import --as hmi-07 xp.oneshot     the same, of a host that has no identity\n  \
    holdpoint import operations.hpd             a decision that was signed on a station without a network\n  \
    holdpoint import --pack november.pack       a signed pack; `holdpoint pack release` by another person follows\n\n\
    Taken are CSAF, OSV, Microsoft's monthly CVRF, KEV, EPSS (each also with gzip), lists of the site, and scans.\n\
    Archives are zip, tar, tar.gz and tar.zst. X.sha256 and X.sha512 beside X are checked before X is sent; a\n\
    signature X.asc is mentioned and not checked.\n\
    A signed one-shot has evidence grade C, one that is taken with --as grade D; an agent's report has B.\n\
    The exit code is 1 when any file was refused; the others are taken all the same."
)]
pub struct Options {
    /// Files, directories and archives.
    #[arg(required_unless_present = "pack", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Bring a signed pack. It counts for nothing until another person releases it.
    #[arg(long, value_name = "PACK", conflicts_with_all = ["files", "as_asset"])]
    pub pack: Option<PathBuf>,
    /// Take one-shots that do not prove whose they are as this asset's, on your word: evidence grade D. An asset
    /// that is not known yet is made.
    #[arg(long = "as", value_name = "ASSET")]
    pub as_asset: Option<String>,
}

/// Sends every file and says what was taken and what was not.
pub async fn run(options: &Options, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    if let Some(path) = &options.pack {
        return bring_pack(path, connection, out).await;
    }
    let mut import = Import::default();
    let ended = send_all(options, connection, &mut import, out).await;
    if ended.is_ok() || !import.is_empty() {
        out.print(&import)?;
    }
    ended?;
    if import.faults() > 0 {
        let faults = import.faults();
        out.hint(&format!(
            "{faults} lines cannot be decided or need a look: `holdpoint feeds lint` says why"
        ));
    }
    Ok(Exit::yes_or_no(import.is_complete()))
}

/// Brings a pack, which then waits for another person.
async fn bring_pack(path: &Path, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let failed = |source| Failure::Read { path: path.to_owned(), source };
    let limit = u64::try_from(MAX_PACK).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path).and_then(|it| it.take(limit + 1).read_to_end(&mut bytes)).map_err(failed)?;
    let refused = |why: &str| Failure::No(format!("{} is refused: {why}", shown(path)));
    // What is no whole pack is not worth the way; whose it is, the collector says.
    Pack::read(&bytes).map_err(|why| refused(&Chain(&why).to_string()))?;
    let brought = send::send_pack(file_name(path), bytes, connection).await?;
    let pack = brought.quarantined.ok_or_else(|| refused(&brought.refused))?;
    let (id, waits) = (pack.id.clone(), pack.state == "waiting");
    out.print(&View::from(pack))?;
    if waits {
        out.hint(&format!("another person: `holdpoint pack list {id}`, then `holdpoint pack release {id}`"));
    }
    Ok(Exit::Done)
}

async fn send_all(
    options: &Options,
    connection: &Connection,
    import: &mut Import,
    out: &Output,
) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in &options.files {
        walk::collect(path, 0, &mut files, &mut |path, reason| import.refuse(shown(path), reason));
    }
    let bar = progress(files.len(), out);
    let mut carrier = Carrier { connection, as_asset: options.as_asset.as_deref(), import, bar: &bar };
    let mut ended = Ok(());
    for path in files {
        ended = carrier.file(&path).await;
        bar.inc(1);
        if ended.is_err() {
            break;
        }
    }
    bar.finish_and_clear();
    ended
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn progress(files: usize, out: &Output) -> ProgressBar {
    let target = if out.is_watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(u64::try_from(files).ok(), target);
    match ProgressStyle::with_template("importing {pos}/{len} {wide_bar} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// What one file is.
enum Opened {
    /// An archive of this kind.
    Archive(archive::Kind),
    /// Its bytes.
    Bytes(Vec<u8>),
}

/// Opens a file of the machine; a larger one than is ever taken is not read.
fn open(path: &Path) -> Result<Opened, String> {
    let unreadable = |cause: io::Error| format!("cannot be read: {cause}");
    let mut file = File::open(path).map_err(unreadable)?;
    if let Some(kind) = archive::kind_of(&mut file).map_err(unreadable)? {
        return Ok(Opened::Archive(kind));
    }
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    let too_large = || format!("it is larger than {} MiB", MAX_FILE / 1024 / 1024);
    if file.metadata().map_err(unreadable)?.len() > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_FILE { Err(too_large()) } else { Ok(Opened::Bytes(bytes)) }
}

/// Brings files over one connection and keeps the record.
struct Carrier<'a> {
    connection: &'a Connection,
    as_asset: Option<&'a str>,
    import: &'a mut Import,
    bar: &'a ProgressBar,
}

impl Carrier<'_> {
    async fn file(&mut self, path: &Path) -> Result<(), Failure> {
        self.bar.set_message(shown(path));
        if let Some(companion) = Companion::named(&shown(path)) {
            // Those with a file beside them were left out of the list; this one was carried without its file.
            self.import.companion(shown(path), format!("there is no {} beside it", companion.of));
            return Ok(());
        }
        let place = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || open(&place)).await;
        match opened.unwrap_or_else(|_| Err(GIVEN_UP.to_owned())) {
            Ok(Opened::Bytes(bytes)) => {
                self.bytes(shown(path), file_name(path), bytes, &Companions::beside(path)).await
            }
            Ok(Opened::Archive(kind)) => self.archive(path, kind).await,
            Err(reason) => {
                self.import.refuse(shown(path), reason);
                Ok(())
            }
        }
    }

    /// Keeps what lies beside a file, and says whether the file may be sent.
    fn checked(&mut self, shown: &str, companions: &Companions, hashes: &Hashes) -> bool {
        for (companion, found) in companions.check(shown, hashes) {
            self.import.companion(companion, found);
        }
        let mismatch = companions.mismatch(shown, hashes);
        if let Some(mismatch) = &mismatch {
            self.import.refuse(shown.to_owned(), mismatch);
        }
        mismatch.is_none()
    }

    /// Checks a file against what lies beside it and sends it.
    async fn bytes(
        &mut self,
        shown: String,
        name: String,
        bytes: Vec<u8>,
        companions: &Companions,
    ) -> Result<(), Failure> {
        let hashes = companions.hashes(bytes.as_slice()).unwrap_or_default();
        if !self.checked(&shown, companions, &hashes) {
            return Ok(());
        }
        if is_decision(&bytes) {
            return self.decision(shown, &bytes).await;
        }
        if is_pack(&bytes) {
            self.import.refuse(shown, "it is a signed pack: `holdpoint import --pack` brings it");
            return Ok(());
        }
        match send(name, bytes, self.as_asset, self.connection).await {
            Ok(import_result::Result::Taken(taken)) => self.import.take(shown, taken),
            Ok(import_result::Result::Refused(refused)) => self.import.refuse(shown, refused.reason),
            Err(failure) if failure.is_for_good() => return Err(failure),
            Err(failure) => self.import.refuse(shown, Chain(&failure).to_string()),
        }
        Ok(())
    }

    /// Brings what a person signed elsewhere. The signature decides, not who brings it.
    async fn decision(&mut self, shown: String, bytes: &[u8]) -> Result<(), Failure> {
        let signed = match from_file(bytes) {
            Ok(signed) => signed,
            Err(why) => {
                self.import.refuse(shown, why.to_string());
                return Ok(());
            }
        };
        let digest = Digest::of(&signed.decision).to_vec();
        let request = DecideRequest { signed: signed.encode_to_vec() };
        match answer(self.connection.changes().decide(request)).await {
            Ok(change) => {
                let changes = vec![format!("{} is {}", change.id, change.state)];
                let kind = "decision".to_owned();
                self.import.take(shown, Taken { kind, digest, items: 1, changes, ..Taken::default() });
            }
            // Another decision may be another person's, with other roles.
            Err(failure @ Failure::Refused { .. }) => self.import.refuse(shown, failure.to_string()),
            Err(failure) if failure.is_for_good() => return Err(failure),
            Err(failure) => self.import.refuse(shown, Chain(&failure).to_string()),
        }
        Ok(())
    }

    /// Sends the members of an archive. What lies beside its members is read first, because it may follow them.
    async fn archive(&mut self, path: &Path, kind: archive::Kind) -> Result<(), Failure> {
        let place = path.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let own = Companions::beside(&place);
            let hashes = if own.is_empty() { Ok(Hashes::default()) } else { own.hashes(File::open(&place)?) };
            hashes.map(|it| (own, it, companions_inside(&place, kind)))
        });
        let (own, hashes, beside) = match read.await {
            Ok(Ok(found)) => found,
            Ok(Err(cause)) => {
                self.import.refuse(shown(path), format!("cannot be read: {cause}"));
                return Ok(());
            }
            Err(_) => {
                self.import.refuse(shown(path), GIVEN_UP);
                return Ok(());
            }
        };
        if !self.checked(&shown(path), &own, &hashes) {
            return Ok(());
        }
        let (sender, mut members) = tokio::sync::mpsc::channel(MEMBERS_AHEAD);
        let place = path.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            archive::read(
                kind,
                || File::open(&place),
                |name| Companion::named(name).is_none(),
                |member| match sender.blocking_send(member) {
                    Ok(()) => ControlFlow::Continue(()),
                    // Nobody takes any more: the collector cannot be reached.
                    Err(_) => ControlFlow::Break(()),
                },
            )
        });
        let mut ended = Ok(());
        while let Some(Member { name, content }) = members.recv().await {
            let shown = format!("{}/{name}", shown(path));
            self.bar.set_message(shown.clone());
            self.bar.inc_length(1);
            match content {
                Ok(bytes) => {
                    let last = name.rsplit('/').next().unwrap_or(&name).to_owned();
                    ended = self.bytes(shown, last, bytes, &beside.of(&name)).await;
                }
                Err(reason) => self.import.refuse(shown, reason),
            }
            self.bar.inc(1);
            if ended.is_err() {
                break;
            }
        }
        drop(members);
        match reading.await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => self.import.refuse(shown(path), reason.to_string()),
            Err(_) => self.import.refuse(shown(path), GIVEN_UP),
        }
        ended
    }
}

/// The companions in an archive; one that cannot be read whole has none, and its members say why.
fn companions_inside(path: &Path, kind: archive::Kind) -> Companions {
    let mut found = Companions::default();
    let read: Result<(), InvalidArchive> = archive::read(
        kind,
        || File::open(path),
        |name| Companion::named(name).is_some(),
        |Member { name, content }| {
            if let (Some(companion), Ok(bytes)) = (Companion::named(&name), content) {
                found.add(&companion, &bytes);
            }
            ControlFlow::Continue(())
        },
    );
    // The second reading meets the same fault and reports it.
    drop(read);
    found
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
