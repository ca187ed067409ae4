//! The service control manager: services and drivers.

use std::fmt;

/// The service control manager: services and drivers.
pub trait Services: fmt::Debug + Send + Sync {}
