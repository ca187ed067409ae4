//! The wire of Holdpoint: messages and services, generated from `proto/holdpoint/`.
//!
//! This crate has no logic. The generated modules are checked in, so a build needs no schema
//! compiler; `tests/generated.rs` compiles the schemas in process, compares, and rewrites them
//! when they differ. Row messages additionally serialise to the JSON that `scan` prints.
#![expect(missing_docs, reason = "the schemas carry the comments; tonic leaves its own items bare")]
#![expect(unreachable_pub, reason = "the module tree mirrors the packages")]
#![allow(clippy::pedantic, clippy::allow_attributes, reason = "generated code")]

mod holdpoint {
    pub mod v1 {
        include!("generated/holdpoint.v1.rs");
    }
    pub mod store {
        pub mod v1 {
            include!("generated/holdpoint.store.v1.rs");
        }
    }
    pub mod summary {
        pub mod v1 {
            include!("generated/holdpoint.summary.v1.rs");
        }
    }
}

/// Package `holdpoint.store.v1`: what a collector keeps on disk.
pub use holdpoint::store::v1 as store;
/// Package `holdpoint.summary.v1`: what leaves a zone.
pub use holdpoint::summary::v1 as summary;
/// Package `holdpoint.v1`: what travels between agents, collectors and operators.
pub use holdpoint::v1;

/// The compiled schemas (`google.protobuf.FileDescriptorSet`), for tests of compatibility.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");
