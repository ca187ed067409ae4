//! `map`: which installed product an advisory means. A person decides; a candidate is worth nothing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use holdpoint_collector::knowledge::map_file;
use holdpoint_common::proto::v1::{
    ConfirmMapRequest, ExportMapRequest, LintMapRequest, ListMapRequest, MapStatusRequest, RejectMapRequest,
    SuggestMapRequest,
};
use holdpoint_common::version::Scheme;

use crate::command::import;
use crate::connection::{Connection, answer};
use crate::failure::{Exit, Failure};
use crate::input::{Expiry, expiry};
use crate::output::Output;
use crate::view::map::{Candidate, Rule};
use crate::view::map_whole::{Entry, Exported, Remark, Remarks, Standings};

/// `map`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what is installed and may be meant by an advisory, best guess first.
    Suggest {
        /// Only products of this advisory.
        #[arg(long, value_name = "ID")]
        advisory: Option<String>,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
    /// Decide that the installed product is the one that the advisory names.
    Confirm(Confirm),
    /// Decide that it is another product.
    Reject {
        /// The candidate, as `map suggest` lists it.
        candidate: String,
        /// Why it is another product.
        #[arg(long)]
        reason: String,
        /// When the decision ends: a date, a time, or a duration from now.
        #[arg(long, value_name = "WHEN", value_parser = expiry)]
        expires: Option<Expiry>,
    },
    /// List decisions, rules of files and declared facts.
    List {
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
        /// Leave out this many from the beginning.
        #[arg(long, value_name = "N", default_value_t = 0)]
        skip: u32,
    },
    /// Write the whole map as a rules file that `import` takes back.
    Export(Export),
    /// Import rules files.
    Import {
        /// Files with `[[map]]` tables.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Say what is wrong with rules before they are needed.
    Lint(LintOptions),
    /// List how far products are matched: what nobody has looked at comes first.
    Status(StatusOptions),
}

/// `map export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Write the file here instead of to stdout; it must not exist.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `map lint`.
#[derive(Debug, Args)]
#[command(
    after_help = "With FILE the file is read here and no collector is asked, unless --zone is given. Without FILE, or \
    with --zone, rules are also held against the zone: rules that bind nothing, that contradict a decision, or whose \
    scheme cannot read an installed version.\n\nThe exit code is 1 when there is an error among the remarks.\n\n\
    Example:\n  holdpoint map lint map.toml && holdpoint map lint --zone map.toml && holdpoint map import map.toml"
)]
pub struct LintOptions {
    /// A file that is not imported yet.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Ask the collector what the file would do there. Nothing is imported.
    #[arg(long, requires = "file")]
    pub zone: bool,
}

/// `map status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  holdpoint map status --class no-feed       what nobody has looked at\n  \
    holdpoint map status --advisory --class candidate"
)]
pub struct StatusOptions {
    /// List products of advisories instead of installed ones.
    #[arg(long)]
    pub advisory: bool,
    /// Only this class: confirmed, candidate, rejected, required, no-feed, or no-data.
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
    /// Leave out this many from the beginning.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: u32,
}

/// `map confirm`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  holdpoint map confirm c-17 --scheme deb --evidence 'order number on the \
    delivery note 4711' --expires 365d"
)]
pub struct Confirm {
    /// The candidate, as `map suggest` lists it.
    pub candidate: String,
    /// The scheme that owns this product's versions: deb, rpm, win4, intdot, semver, alpine, natural. May be left out
    /// for a candidate with a starter rule: versions are then read as that rule says.
    #[arg(long)]
    pub scheme: Option<Scheme>,
    /// Why it is the same product: a document, an order number, an inspection.
    #[arg(long)]
    pub evidence: String,
    /// When the decision ends: a date, a time, or a duration from now.
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    pub expires: Option<Expiry>,
}

/// Lists or decides.
pub async fn run(
    command: Command,
    connection: &Connection,
    out: &Output,
    now_ms: i64,
) -> Result<Exit, Failure> {
    let mut knowledge = connection.knowledge();
    let ends = |it: Option<Expiry>| it.map(|it| it.resolve(now_ms));
    let rule = match command {
        Command::Suggest { advisory, limit } => {
            let found = answer(knowledge.suggest_map(SuggestMapRequest { advisory, limit })).await?;
            out.print(&found.candidates.into_iter().map(Candidate::from).collect::<Vec<_>>())?;
            return Ok(Exit::Done);
        }
        Command::List { limit, skip } => {
            let found = answer(knowledge.list_map(ListMapRequest { limit, skip })).await?;
            let shown = u64::from(skip) + u64::try_from(found.entries.len()).unwrap_or(u64::MAX);
            if u64::from(found.total) > shown {
                out.hint(&format!("{} more: --skip {shown} goes on", u64::from(found.total) - shown));
            }
            out.print(&found.entries.into_iter().map(Entry::from).collect::<Vec<_>>())?;
            return Ok(Exit::Done);
        }
        Command::Export(options) => return export(&options, connection, out).await,
        Command::Import { files } => {
            let options = import::Options { files, pack: None, as_asset: None };
            return import::run(&options, connection, out).await;
        }
        Command::Lint(LintOptions { file: Some(file), zone: false }) => return lint_file(&file, out, now_ms),
        Command::Lint(LintOptions { file, .. }) => {
            let file = file.map(|it| fs::read(&it).map_err(|source| Failure::Read { path: it, source }));
            let found = answer(knowledge.lint_map(LintMapRequest { file: file.transpose()? })).await?;
            return print_remarks(found.lints.into_iter().map(Remark::from).collect(), out);
        }
        Command::Status(StatusOptions { advisory, class, limit, skip }) => {
            let side = if advisory { "advisory" } else { "installed" }.to_owned();
            let found = answer(knowledge.map_status(MapStatusRequest { side, class, limit, skip })).await?;
            out.print(&Standings::from(found))?;
            return Ok(Exit::Done);
        }
        Command::Confirm(Confirm { candidate, scheme, evidence, expires }) => {
            let request = ConfirmMapRequest {
                candidate,
                scheme: scheme.map(|it| it.name().to_owned()).unwrap_or_default(),
                evidence,
                expires_ms: ends(expires),
            };
            answer(knowledge.confirm_map(request)).await?
        }
        Command::Reject { candidate, reason, expires } => {
            let request = RejectMapRequest { candidate, reason, expires_ms: ends(expires) };
            answer(knowledge.reject_map(request)).await?
        }
    };
    out.print(&Rule::from(rule))?;
    Ok(Exit::Done)
}

/// Reads a file and says what is wrong with it. Needs no collector.
pub fn lint_file(file: &Path, out: &Output, now_ms: i64) -> Result<Exit, Failure> {
    let bytes = fs::read(file).map_err(|source| Failure::Read { path: file.to_owned(), source })?;
    let remark = |severity: &str, text: String| Remark::of(severity, None, text);
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return print_remarks(vec![remark("error", "it is not UTF-8 text".into())], out);
    };
    let remarks = match (map_file::read(text), map_file::faults(text)) {
        (Ok(rules), _) => {
            let found = map_file::lint([&rules], now_ms).into_iter();
            found.map(|it| Remark::of(it.severity.as_str(), Some(it.rule), it.text)).collect()
        }
        (Err(_), Ok(faults)) if !faults.is_empty() => {
            faults.into_iter().map(|it| remark("error", it)).collect()
        }
        (Err(error), _) => vec![remark("error", error.to_string())],
    };
    print_remarks(remarks, out)
}

fn print_remarks(remarks: Vec<Remark>, out: &Output) -> Result<Exit, Failure> {
    let fine = remarks.iter().all(|it| !it.is_error());
    out.print(&Remarks(remarks))?;
    Ok(Exit::yes_or_no(fine))
}

/// Fetches the file part by part; a map that changes meanwhile is fetched again.
async fn export(options: &Export, connection: &Connection, out: &Output) -> Result<Exit, Failure> {
    let mut knowledge = connection.knowledge();
    let (mut bytes, mut digest) = (Vec::new(), Vec::new());
    let last = loop {
        let offset = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let part = answer(knowledge.export_map(ExportMapRequest { offset })).await?;
        if offset > 0 && part.digest != digest {
            bytes.clear();
            continue;
        }
        digest.clone_from(&part.digest);
        bytes.extend_from_slice(&part.part);
        if part.part.is_empty() || u64::try_from(bytes.len()).is_ok_and(|it| it >= part.size) {
            break part;
        }
    };
    for reason in &last.left_out {
        out.warn(reason);
    }
    match &options.out {
        Some(path) => {
            let write = || fs::File::create_new(path)?.write_all(&bytes);
            write().map_err(|source| Failure::Write { path: path.clone(), source })?;
            out.print(&Exported {
                file: path.display().to_string(),
                items: last.items,
                left_out: last.left_out,
            })?;
        }
        None => out.raw(&bytes)?,
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;
    use crate::command::fake;

    #[tokio::test]
    async fn a_map_that_changes_while_it_is_fetched_is_fetched_again() {
        let connection = fake::collector().await;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map.toml");
        let out = Output::plain(Format::Table, None);
        let options = Export { out: Some(path.clone()) };
        assert_eq!(export(&options, &connection, &out).await.unwrap(), Exit::Done);
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert!(matches!(export(&options, &connection, &out).await, Err(Failure::Write { .. })), "it exists");
    }

    #[test]
    fn a_file_is_reviewed_without_a_collector() {
        let dir = tempfile::tempdir().unwrap();
        let out = Output::plain(Format::Json, None);
        let lint = |text: &[u8]| {
            let path = dir.path().join("map.toml");
            fs::write(&path, text).unwrap();
            lint_file(&path, &out, 0).unwrap()
        };
        let good = "[[map]]\nid = \"a\"\ndecision = \"same\"\nscheme = \"deb\"\nevidence = \"x\"\nauthor = \"kim\"\n\
                    date = \"2026-05-01\"\n[map.installed]\npackage = \"curl\"\n[map.advisory]\nvendors = [\"v\"]\n\
                    products = [\"p\"]\n";
        assert_eq!(lint(good.as_bytes()), Exit::Done);
        assert_eq!(lint(good.replace("deb", "best").as_bytes()), Exit::No);
        assert_eq!(lint(b"\xff"), Exit::No);
        assert_eq!(lint(b"[[map]"), Exit::No);
        assert!(matches!(lint_file(&dir.path().join("none"), &out, 0), Err(Failure::Read { .. })));
    }
}
