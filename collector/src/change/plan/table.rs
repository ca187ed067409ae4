//! Keys of a TOML table, taken one by one.
