//! One expectation against one snapshot.
