//! `enroll`: this host's identity from a token.

use std::io::{self, Write};

use super::args::EnrollArgs;
use super::{Failure, runtime};
use crate::host::Host;

pub(super) fn run(args: &EnrollArgs) -> Result<(), Failure> {
    let host = Host::running();
    let enrolled = crate::enroll(&args.state.dir, &args.collector, &args.token, &host);
    let identity = runtime()?.block_on(enrolled).map_err(|it| Failure::Reach(it.into()))?;
    // The identity is on disk; a closed standard output changes nothing about it.
    let _ = writeln!(io::stdout(), "enrolled as {identity}");
    Ok(())
}
