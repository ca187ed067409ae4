//! OSV records of Linux distributions, read into advisories.
