//! `scan`: one look at this host or at another root, printed or written to a file for the collector.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::row::{REPORTED, SectionKind};

use super::args::{Output, ScanArgs};
use super::{Failure, cage};
use crate::cage::Needs;
use crate::host::{Agent, Host};
use crate::one_shot::{self, Signer};
use crate::scan::Snapshot;
use crate::scan::scanner::Scanner;
use crate::show;

pub(super) fn run(args: &ScanArgs) -> Result<(), Failure> {
    if let Some(dir) = args.root.as_deref().filter(|it| !it.is_dir()) {
        return Err(Failure::Usage(anyhow!("{} is no directory", dir.display())));
    }
    let signer = signer(args).map_err(Failure::Reach)?;
    let host = match &args.root {
        None => Host::running(),
        Some(dir) => Host::captured(dir, Agent::running()),
    };
    // The program's own executable is read before the walls are there.
    let needs = Needs::file(args.out.as_deref(), signer.as_ref().map(Signer::dir));
    let scanner = cage(&needs, false)?;
    look(args, &Arc::new(host), &scanner, signer).map_err(Failure::Reach)
}

/// Who signs the file. Another root is another machine, for which this host's identity does not speak.
fn signer(args: &ScanArgs) -> anyhow::Result<Option<Signer>> {
    if args.out.is_none() || args.unsigned || args.root.is_some() {
        return Ok(None);
    }
    Ok(Signer::open(&args.state)?)
}

fn look(
    args: &ScanArgs,
    host: &Arc<Host>,
    scanner: &Scanner,
    mut signer: Option<Signer>,
) -> anyhow::Result<()> {
    let snapshot = scanner.wait(host, &kinds(args))?;
    let whole = !args.sections.is_empty();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written = match (args.output, &args.out) {
        (Some(Output::Json), _) => show::json(&snapshot, &host.agent, &mut out),
        (Some(Output::Table), _) | (None, None) => show::text(&snapshot, whole, &mut out),
        (None, Some(_)) => Ok(()),
    };
    if let Some(file) = &args.out {
        let said = keep(file, snapshot, host, signer.as_mut())?;
        if args.output.is_none() {
            written = writeln!(out, "{said}");
        }
    }
    match written.and_then(|()| out.flush()) {
        // Whoever reads has seen enough: `| head`.
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write the result"),
    }
}

/// The sections that are read. A file says which machine it is of, and that is in the platform.
fn kinds(args: &ScanArgs) -> Vec<SectionKind> {
    let mut kinds = if args.sections.is_empty() { REPORTED.to_vec() } else { args.sections.clone() };
    if args.out.is_some() && !kinds.contains(&SectionKind::Platform) {
        kinds.insert(0, SectionKind::Platform);
    }
    kinds
}

/// Writes the one-shot; says what it is worth.
fn keep(file: &Path, snapshot: Snapshot, host: &Host, signer: Option<&mut Signer>) -> anyhow::Result<String> {
    let sections = snapshot.sections.len();
    let identity = signer.as_ref().map(|it| it.identity().to_string());
    let made = one_shot::make(snapshot, host, signer)?;
    atomic_file::replace(file, &made.bytes, Readable::Owner)
        .with_context(|| format!("cannot write {}", file.display()))?;
    let name = file.display();
    Ok(match (identity, made.sequence) {
        (Some(identity), Some(sequence)) => {
            format!("{name}: {sections} sections, signed by {identity} as report {sequence}")
        }
        (_, None) | (None, _) => format!(
            "{name}: {sections} sections, unsigned; bring it in with `holdpoint import --as ASSET {name}`"
        ),
    })
}
