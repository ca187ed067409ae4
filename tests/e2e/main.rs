//! Scenario tests: real programs, real TLS, real disks. One binary, so that it links once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "figures of a run are for who reads its output")]

mod advisory_tour;
mod caged;
mod carried_in;
mod corpus;
mod crash;
mod diode;
mod disk;
mod disks;
mod dmz;
mod fwupd;
mod hardening;
mod hostile;
mod imports;
mod ingest;
mod looks_only;
mod old_kernel;
mod one_shot;
mod packs;
mod patched;
mod relay;
mod roots;
mod site;
mod tidy;
mod tour;
mod window;
