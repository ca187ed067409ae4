//! Scenario tests: real programs, real TLS, real disks. One binary, so that it links once.

mod tidy;
mod tour;
