//! `pack`: knowledge as signed files, compiled in one place, released by a second person in another.

mod make;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use holdpoint_common::clock::{Clock, SystemClock};
use holdpoint_common::pack::{self, MAX_KEY_FILE, MAX_PACK, Pack as Whole};
use holdpoint_common::proto::v1::{
    DistrustPackSignerRequest, ListPackSignersRequest, ListPacksRequest, RejectPackRequest,
    ReleasePackRequest, TrustPackSignerRequest,
};

use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::pack::{Pack, Shown, Signer};

/// Longest line that is read for a fingerprint, in bytes.
const MAX_LINE: u64 = 256;

/// `pack`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Make the key that signs packs, on this machine. Needs no collector.
    Key(Key),
    /// Compile files into a signed pack. Needs no collector.
    Make(make::Make),
    /// Show what a pack holds and whether it is whole. Needs no collector.
    Show(Show),
    /// List the packs of the zone; of one that waits, what each of its files would change.
    List(List),
    /// Let a pack count that another person brought.
    Release(Release),
    /// Let a pack never count.
    Reject(Reject),
    /// List whose packs the zone takes, or took.
    Signers,
    /// Take packs of a signer from now on. The fingerprint is shown and typed.
    Trust(Trust),
    /// Take packs of a signer no more.
    Distrust(Distrust),
}

/// `pack key`.
#[derive(Debug, Args)]
pub struct Key {
    /// Where pack.key (for the signer alone) and pack.pub (for everybody) go; neither may exist.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `pack show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The pack.
    #[arg(value_name = "PACK")]
    pub file: PathBuf,
    /// Whose pack it must be: the signer's public key.
    #[arg(long, value_name = "KEYFILE")]
    pub key: Option<PathBuf>,
}

/// `pack list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only this pack: its id, or the beginning of its digest.
    #[arg(value_name = "PACK-ID")]
    pub pack: Option<String>,
}

/// `pack release`.
#[derive(Debug, Args)]
pub struct Release {
    /// Its id, or the beginning of its digest.
    #[arg(value_name = "PACK-ID")]
    pub pack: String,
}

/// `pack reject`.
#[derive(Debug, Args)]
pub struct Reject {
    /// Its id, or the beginning of its digest.
    #[arg(value_name = "PACK-ID")]
    pub pack: String,
    /// Why, for the record.
    #[arg(long)]
    pub reason: String,
}

/// `pack trust`.
#[derive(Debug, Args)]
pub struct Trust {
    /// The signer's public key, as `pack key` wrote it.
    #[arg(value_name = "KEYFILE")]
    pub file: PathBuf,
    /// What the zone calls the signer [default: the file's name].
    #[arg(long)]
    pub name: Option<String>,
    /// The fingerprint as the signer reads it out, at least five groups; without it, it is asked for.
    #[arg(long, value_name = "HEX")]
    pub fingerprint: Option<String>,
}

/// `pack distrust`.
#[derive(Debug, Args)]
pub struct Distrust {
    /// The signer's name, or the beginning of its key's.
    pub signer: String,
    /// Why, for the record.
    #[arg(long)]
    pub reason: String,
}

const EXAMPLES: &str = "\
Examples:
  holdpoint pack key --out keys/                       once, where packs are compiled; take pack.pub to the zones
  holdpoint pack make kev.json site.csv --key keys/pack.key --title 'November' --zone plant/line-1 --out nov.pack
  holdpoint pack trust pack.pub --name desk            once in each zone, by an admin who compares the fingerprint
  holdpoint import --pack nov.pack                     one person brings it
  holdpoint pack list 3b6a91c4-7                       what each of its files would change
  holdpoint pack release 3b6a91c4-7                    another person lets it count";

/// Does what needs no collector; `None` when the command needs one.
pub fn run_here(command: &Command, out: &Output) -> Option<Result<Exit, Failure>> {
    match command {
        Command::Key(options) => Some(key(options, out)),
        Command::Make(options) => Some(make::run(options, out, SystemClock.now_ms())),
        Command::Show(options) => Some(show(options, out)),
        Command::List(_)
        | Command::Release(_)
        | Command::Reject(_)
        | Command::Signers
        | Command::Trust(_)
        | Command::Distrust(_) => None,
    }
}

/// Asks the collector.
pub async fn run(command: Command, connection: &Connection, out: &Output) -> Result<(), Failure> {
    let mut knowledge = connection.knowledge();
    match command {
        // These were done without a collector.
        Command::Key(_) | Command::Make(_) | Command::Show(_) => Ok(()),
        Command::List(List { pack }) => {
            let is_one = pack.is_some();
            let found = answer(knowledge.list_packs(ListPacksRequest { pack })).await?.packs;
            let found: Vec<_> = found.into_iter().map(Pack::from).collect();
            match found.first().filter(|_| is_one) {
                Some(one) => out.print(one),
                None => out.print(&found),
            }
        }
        Command::Release(Release { pack }) => {
            // All of its files are taken meanwhile.
            let released = knowledge.release_pack(ReleasePackRequest { pack }).await?.into_inner();
            out.print(&Pack::from(released))
        }
        Command::Reject(Reject { pack, reason }) => {
            let rejected = answer(knowledge.reject_pack(RejectPackRequest { pack, reason })).await?;
            out.print(&Pack::from(rejected))
        }
        Command::Signers => {
            let found = answer(knowledge.list_pack_signers(ListPackSignersRequest {})).await?.signers;
            out.print(&found.into_iter().map(Signer::from).collect::<Vec<_>>())
        }
        Command::Trust(options) => {
            let request = trust(options, out, io::stdin())?;
            let signer = answer(knowledge.trust_pack_signer(request)).await?;
            out.print(&vec![Signer::from(signer)])
        }
        Command::Distrust(Distrust { signer, reason }) => {
            let request = DistrustPackSignerRequest { signer, reason };
            let signer = answer(knowledge.distrust_pack_signer(request)).await?;
            out.print(&vec![Signer::from(signer)])
        }
    }
}

fn key(options: &Key, out: &Output) -> Result<Exit, Failure> {
    let made = make::key(&options.out)?;
    out.print(&made)?;
    out.hint(
        "read the fingerprint out to the admin of each zone, who types it at `holdpoint pack trust pack.pub`",
    );
    Ok(Exit::Done)
}

fn show(options: &Show, out: &Output) -> Result<Exit, Failure> {
    let Show { file, key } = options;
    let bytes = read(file, MAX_PACK)?;
    let pack = Whole::read(&bytes).map_err(|why| refused(file, &why))?;
    if let Some(path) = key {
        let wanted = public_key(path)?;
        if pack.key != wanted {
            return Err(Failure::No(format!(
                "{} is signed by {}, and not by {}",
                file.display(),
                pack::fingerprint(&pack.key),
                pack::fingerprint(&wanted)
            )));
        }
    }
    out.print(&Shown::new(&pack, file, bytes.len()))?;
    if key.is_none() {
        out.hint("it is whole; whose it is says the key's fingerprint, if you know it from elsewhere");
    }
    Ok(Exit::Done)
}

/// What the collector is asked, once the person has typed the fingerprint.
fn trust(options: Trust, out: &Output, stdin: impl Read) -> Result<TrustPackSignerRequest, Failure> {
    let Trust { file, name, fingerprint } = options;
    let key = public_key(&file)?;
    let typed_fingerprint = match fingerprint {
        Some(typed) => typed,
        None => {
            out.note(&format!("fingerprint of {}:", file.display()));
            out.note(&format!("  {}", pack::fingerprint(&key)));
            out.note("compare it with what the signer reads out, and type at least its first five groups:");
            line(stdin).map_err(Failure::Stdin)?
        }
    };
    if !pack::is_typed(&key, &typed_fingerprint) {
        return Err(Failure::No(
            "what was typed is not the fingerprint of this key: nothing is trusted".to_owned(),
        ));
    }
    let stem = || file.file_stem().map(|it| it.to_string_lossy().into_owned());
    let name = name.or_else(stem).unwrap_or_default();
    Ok(TrustPackSignerRequest { public_pem: pack::public_pem(&key), name, typed_fingerprint })
}

fn line(stdin: impl Read) -> io::Result<String> {
    let mut text = String::new();
    io::BufRead::read_line(&mut io::BufReader::new(stdin.take(MAX_LINE)), &mut text)?;
    Ok(text)
}

fn public_key(path: &Path) -> Result<holdpoint_common::bundle::PublicKey, Failure> {
    pack::public_key(&read(path, MAX_KEY_FILE)?).map_err(|why| refused(path, &why))
}

/// Reads a file of at most that many bytes.
fn read(path: &Path, max: usize) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::Read { path: path.to_owned(), source };
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path).and_then(|it| it.take(limit + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() > max {
        return Err(Failure::Argument(format!("{} is larger than {max} bytes", path.display())));
    }
    Ok(bytes)
}

fn refused(path: &Path, why: &dyn std::error::Error) -> Failure {
    Failure::No(format!("{} is refused: {}", path.display(), holdpoint_common::chain::Chain(why)))
}
