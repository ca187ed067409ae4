//! Systems without the service manager of Windows.

use std::io;

use super::service_manager::Body;
use crate::notice::Sink;
use crate::service::Plan;

pub(super) fn serve(_: &str, _: Body) -> io::Result<()> {
    unsupported()
}

pub(super) fn install(_: &Plan) -> io::Result<Vec<(&'static str, io::Error)>> {
    unsupported()
}

pub(super) fn start(_: &str) -> io::Result<()> {
    unsupported()
}

pub(super) fn remove(_: &str) -> io::Result<bool> {
    unsupported()
}

pub(super) fn register_events(_: &str, _: &str, _: u32) -> io::Result<()> {
    unsupported()
}

pub(super) fn forget_events(_: &str) -> io::Result<()> {
    unsupported()
}

pub(super) fn event_log(_: &str) -> io::Result<Sink> {
    unsupported()
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no service manager of Windows"))
}
