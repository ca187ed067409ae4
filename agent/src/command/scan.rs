//! `scan`: one look at this host or at another root, printed or written to a file.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use holdpoint_common::atomic_file::{self, Readable};
use holdpoint_common::row::REPORTED;

use super::args::{Output, ScanArgs};
use super::{Failure, cage};
use crate::cage::Needs;
use crate::host::{Agent, Host};
use crate::scan::scanner::Scanner;
use crate::show;

pub(super) fn run(args: &ScanArgs) -> Result<(), Failure> {
    if let Some(dir) = args.root.as_deref().filter(|it| !it.is_dir()) {
        return Err(Failure::Usage(anyhow!("{} is no directory", dir.display())));
    }
    let host = match &args.root {
        None => Host::running(),
        Some(dir) => Host::captured(dir, Agent::running()),
    };
    // The program's own executable is read before the walls are there.
    let scanner = cage(&Needs::file(args.out.as_deref()), false)?;
    look(args, &Arc::new(host), &scanner).map_err(Failure::Reach)
}

fn look(args: &ScanArgs, host: &Arc<Host>, scanner: &Scanner) -> anyhow::Result<()> {
    let kinds = if args.sections.is_empty() { REPORTED.to_vec() } else { args.sections.clone() };
    let snapshot = scanner.wait(host, &kinds)?;
    if let Some(file) = &args.out {
        let mut document = Vec::new();
        show::json(&snapshot, &host.agent, &mut document)?;
        return atomic_file::replace(file, &document, Readable::Owner)
            .with_context(|| format!("cannot write {}", file.display()));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.output {
        Output::Json => show::json(&snapshot, &host.agent, &mut out),
        Output::Table => show::text(&snapshot, !args.sections.is_empty(), &mut out),
    };
    match written.and_then(|()| out.flush()) {
        // Whoever reads has seen enough: `| head`.
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write the result"),
    }
}
