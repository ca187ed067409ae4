//! Scenario tests: real programs, real TLS, real disks. One binary, so that it links once.

mod corpus;
mod crash;
mod disk;
mod disks;
mod hostile;
mod ingest;
mod tidy;
mod tour;
