//! `import`: carries files to the collector, part by part: knowledge, and scans of hosts.
//!
//! Directories are walked, links to directories are not followed. A file that the collector
//! refuses, or that cannot be read, is reported and the next one follows; only a collector that
//! cannot be reached any more ends the command.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use holdpoint_common::chain::Chain;
use holdpoint_common::proto::v1::{ImportHeader, ImportPart, ImportResult, import_part, import_result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::Sender;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::connection::Connection;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::view::import::Import;

/// Bytes of one part.
const PART: usize = 64 * 1024;

/// Parts that wait for the network.
const PARTS_AHEAD: usize = 4;

/// Deepest directory below one that was named.
const MAX_DEPTH: usize = 32;

/// How long one file may take, transfer and judgement together.
const PATIENCE: Duration = Duration::from_mins(10);

/// `import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  holdpoint import requirements.csv\n  holdpoint import advisories/ -o json\n  \
    holdpoint import hmi-01.oneshot             a scan that a person carried here\n  \
    holdpoint import --as hmi-07 xp.oneshot     the same, of a host that has no identity\n\n\
    A signed one-shot has evidence grade C, one that is taken with --as grade D; an agent's report has B.\n\
    The exit code is 1 when any file was refused; the others are taken all the same."
)]
pub struct Options {
    /// Files and directories.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Take one-shots that do not prove whose they are as this asset's, on your word: evidence grade D. An asset
    /// that is not known yet is made.
    #[arg(long = "as", value_name = "ASSET")]
    pub as_asset: Option<String>,
}

/// Sends every file and says what was taken and what was not.
pub async fn run(options: &Options, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let mut import = Import::default();
    let ended = send_all(options, connection, &mut import, out).await;
    if ended.is_ok() || !import.is_empty() {
        out.print(&import)?;
    }
    ended?;
    Ok(Exit::yes_or_no(import.is_complete()))
}

async fn send_all(
    options: &Options,
    connection: &Connection,
    import: &mut Import,
    out: &Output,
) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in &options.files {
        collect(path, 0, &mut files, &mut |path, reason| import.refuse(shown(path), reason));
    }
    let bar = progress(files.len(), out);
    for path in files {
        bar.set_message(shown(&path));
        match send(&path, options.as_asset.as_deref(), connection).await {
            Ok(import_result::Result::Taken(taken)) => import.take(shown(&path), taken),
            Ok(import_result::Result::Refused(refused)) => import.refuse(shown(&path), refused.reason),
            Err(SendError::Read(cause)) => import.refuse(shown(&path), format!("cannot be read: {cause}")),
            Err(SendError::Call(failure)) if failure.is_for_good() => {
                bar.finish_and_clear();
                return Err(failure);
            }
            Err(SendError::Call(failure)) => import.refuse(shown(&path), Chain(&failure).to_string()),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Finds the files below a path in the order of their names. Hidden ones count only when named.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>, refuse: &mut impl FnMut(&Path, String)) {
    let kind = match fs::metadata(path) {
        Ok(it) => it.file_type(),
        Err(cause) => return refuse(path, format!("cannot be read: {cause}")),
    };
    if kind.is_file() {
        return files.push(path.to_owned());
    }
    if !kind.is_dir() {
        return refuse(path, "neither a file nor a directory".into());
    }
    if depth > MAX_DEPTH {
        return refuse(path, format!("more than {MAX_DEPTH} directories deep"));
    }
    let listed = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = match listed {
        Ok(it) => it,
        Err(cause) => return refuse(path, format!("cannot be listed: {cause}")),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let path = entry.path();
        let is_linked_directory = entry.file_type().is_ok_and(|it| it.is_symlink()) && path.is_dir();
        if !is_hidden && !is_linked_directory {
            collect(&path, depth + 1, files, refuse);
        }
    }
}

fn progress(files: usize, out: &Output) -> ProgressBar {
    let target = if out.is_watched() && files > 1 {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(u64::try_from(files).ok(), target);
    match ProgressStyle::with_template("importing {pos}/{len} {wide_bar} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[derive(Debug)]
enum SendError {
    Read(io::Error),
    Call(Failure),
}

/// Sends one file and waits for the verdict about it.
async fn send(
    path: &Path,
    as_asset: Option<&str>,
    connection: &Connection,
) -> Result<import_result::Result, SendError> {
    let file = tokio::fs::File::open(path).await.map_err(SendError::Read)?;
    let size = file.metadata().await.map_err(SendError::Read)?.len();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();

    let (sender, parts) = tokio::sync::mpsc::channel(PARTS_AHEAD);
    let mut knowledge = connection.knowledge();
    let call = async {
        let answered = tokio::time::timeout(PATIENCE, knowledge.import(ReceiverStream::new(parts))).await;
        let late = |_| Status::deadline_exceeded("the file took too long");
        let ImportResult { result } =
            answered.map_err(late).and_then(|it| it).map_err(|it| SendError::Call(it.into()))?.into_inner();
        result.ok_or(SendError::Call(Failure::Incomplete("what became of the file")))
    };
    let header = ImportHeader { file: name, size, as_asset: as_asset.map(str::to_owned) };
    let feed = async {
        // The sender comes back with a failure, so that the call is dropped before its stream
        // ends: half a file must not look like a whole one.
        feed(sender, header, file).await.map_err(|(sender, cause)| (Some(sender), cause))
    };
    tokio::pin!(call);
    tokio::pin!(feed);
    tokio::select! {
        answered = &mut call => answered,
        ended = &mut feed => match ended {
            Ok(()) => call.await,
            Err((_sender, cause)) => Err(SendError::Read(cause)),
        },
    }
}

/// Puts the header and the bytes into the stream; ends early when nobody takes them any more.
async fn feed(
    sender: Sender<ImportPart>,
    header: ImportHeader,
    file: tokio::fs::File,
) -> Result<(), (Sender<ImportPart>, io::Error)> {
    let mut left = header.size;
    let mut part = import_part::Part::Header(header);
    // A file that grows meanwhile is sent as long as it was.
    let mut file = file.take(left);
    loop {
        if sender.send(ImportPart { part: Some(part) }).await.is_err() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(PART);
        while bytes.len() < PART {
            match (&mut file).take(remaining(PART, bytes.len())).read_buf(&mut bytes).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(cause) => return Err((sender, cause)),
            }
        }
        if bytes.is_empty() {
            let shrunk = || io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter meanwhile");
            return if left == 0 { Ok(()) } else { Err((sender, shrunk())) };
        }
        left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        part = import_part::Part::Bytes(bytes);
    }
}

fn remaining(whole: usize, done: usize) -> u64 {
    u64::try_from(whole - done).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::fake;
    use super::*;
    use crate::args::Format;

    async fn import(files: Vec<PathBuf>) -> (Import, Result<(), Failure>) {
        let mut import = Import::default();
        let connection = fake::collector().await;
        let out = Output::plain(Format::Json, None);
        let options = Options { files, as_asset: None };
        let ended = send_all(&options, &connection, &mut import, &out).await;
        (import, ended)
    }

    fn names(import: &Import) -> serde_json::Value {
        let json = serde_json::to_value(import).unwrap();
        let names = |of: &str| {
            let files = json[of].as_array().unwrap().iter();
            files
                .map(|it| {
                    Path::new(it["file"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned()
                })
                .collect::<Vec<_>>()
        };
        serde_json::json!({"taken": names("taken"), "refused": names("refused")})
    }

    #[tokio::test]
    async fn one_bad_file_does_not_stop_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        for (name, bytes) in [
            ("a/1.json", 10),
            ("a/refused.json", 0),
            ("a/b/broken.json", 3),
            ("z.csv", 1_000_000),
            (".hidden", 1),
        ] {
            fs::write(dir.path().join(name), vec![b'x'; bytes]).unwrap();
        }
        let (import, ended) = import(vec![dir.path().join("gone.json"), dir.path().to_owned()]).await;
        ended.unwrap();
        assert_eq!(
            names(&import),
            serde_json::json!({"taken": ["1.json", "z.csv"], "refused": ["gone.json", "broken.json", "refused.json"]})
        );
        assert!(!import.is_complete());
    }

    #[tokio::test]
    async fn a_collector_that_does_not_permit_it_ends_the_command() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["1.json", "2-forbidden.json", "3.json"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let (import, ended) = import(vec![dir.path().to_owned()]).await;
        assert_eq!(ended.unwrap_err().exit(), Exit::Unreachable);
        assert_eq!(names(&import)["taken"], serde_json::json!(["1.json"]), "what was done is told");
    }

    #[cfg(unix)]
    #[test]
    fn links_to_directories_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        fs::write(dir.path().join("one.json"), "x").unwrap();
        let mut files = Vec::new();
        collect(dir.path(), 0, &mut files, &mut |path, reason| panic!("{}: {reason}", path.display()));
        assert_eq!(files, [dir.path().join("one.json")]);
    }
}
