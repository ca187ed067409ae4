//! Giving memory back to the system after a storm.
//!
//! glibc keeps what thousands of closed connections have freed: after 5,000 of them 253 of
//! 257 MB stayed resident, and one trim brought it to 12.5 MB. Other C libraries do it by themselves.

use std::time::Duration;

/// Between two trims; one walks the free lists and takes a few milliseconds.
const EVERY: Duration = Duration::from_secs(30);

/// Arenas of the allocator: each one keeps its own free memory, and two cores need no more.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: i32 = 2;

/// Keeps the allocator from spreading over many arenas. For the program's start, before threads.
pub fn stay_compact() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::mallopt(glibc::M_ARENA_MAX, ARENAS);
}

/// Gives free memory back, again and again, until the future is dropped.
pub(crate) async fn give_back() {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        glibc::malloc_trim(0);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    #![expect(unsafe_code, reason = "no safe interface takes back what glibc keeps")]

    use std::ffi::c_int;

    /// `M_ARENA_MAX` of malloc.h.
    pub(super) const M_ARENA_MAX: c_int = -8;

    // SAFETY: both are thread-safe, take numbers, and touch no memory that is in use.
    unsafe extern "C" {
        pub(super) safe fn malloc_trim(pad: usize) -> c_int;
        pub(super) safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }
}
