//! Microsoft's monthly security updates (CVRF), read into advisories.
