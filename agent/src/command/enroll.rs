//! `enroll`: this host's identity from a token.

use std::io::{self, Write};
use std::sync::Arc;

use super::args::EnrollArgs;
use super::{Failure, cage, runtime};
use crate::cage::Needs;
use crate::host::Host;
use crate::link::state;

pub(super) fn run(args: &EnrollArgs) -> Result<(), Failure> {
    let host = Arc::new(Host::running());
    // A directory that is not there cannot be named as the one place to write to. One that cannot be
    // made is reported by who opens it.
    let _ = state::make(&args.state.dir);
    let scanner = cage(&Needs::link(&args.state.dir, &args.collector), false)?;
    let enrolled = crate::enrol::enroll_with(&args.state.dir, &args.collector, &args.token, &host, &scanner);
    let identity = runtime()?.block_on(enrolled).map_err(|it| Failure::Reach(it.into()))?;
    // The identity is on disk; a closed standard output changes nothing about it.
    let _ = writeln!(io::stdout(), "enrolled as {identity}");
    Ok(())
}
