//! Makes the log of sled reach the disk.
//!
//! On Linux, sled 0.34 "syncs" its log with `sync_file_range`, which writes pages but commits
//! neither the file's size nor its block allocation and sends no cache flush to the drive: after
//! a power cut, acknowledged data is gone and the database may open empty. When the call fails
//! with ENOSYS, sled falls back to a true `fsync`. This file defines the symbol
//! `sync_file_range` in our own program, which takes precedence over the C library's, and always
//! fails that way. The counter proves that sled calls this one; opening refuses otherwise.
//!
//! Nothing else in this program may want the real call. Other systems use a full sync anyway.
#![expect(unsafe_code, reason = "a C symbol is defined and the C library's errno is set")]

use std::sync::atomic::{AtomicU64, Ordering};

static CALLS: AtomicU64 = AtomicU64::new(0);

/// How often the engine has asked for a sync of its log and was sent to `fsync`.
pub(crate) fn calls() -> u64 {
    #[cfg(target_os = "linux")]
    // Mentioning the symbol keeps the linker from leaving its object file out.
    std::hint::black_box(symbol::sync_file_range as extern "C" fn(i32, i64, i64, u32) -> i32);
    CALLS.load(Ordering::Relaxed)
}

/// Whether a write and a flush between the two counts went through our symbol.
pub(crate) fn is_in_effect(before: u64, after: u64) -> bool {
    !cfg!(target_os = "linux") || after > before
}

#[cfg(target_os = "linux")]
mod symbol {
    use super::{CALLS, Ordering};

    /// What the caller sees: "this kernel has no such call".
    const NOT_IMPLEMENTED: i32 = rustix::io::Errno::NOSYS.raw_os_error();

    // SAFETY: the signature is the one that glibc and musl document for `__errno_location`: no
    // argument, a pointer to the calling thread's `errno`.
    unsafe extern "C" {
        fn __errno_location() -> *mut i32;
    }

    // SAFETY: the signature is that of `sync_file_range(2)` on 64-bit targets (and of its
    // 64-bit-offset form). The function touches no argument and always fails, which every caller
    // of the original has to expect. No other definition is in this program: a second one would
    // be a linker error.
    #[unsafe(no_mangle)]
    pub(super) extern "C" fn sync_file_range(_fd: i32, _offset: i64, _bytes: i64, _flags: u32) -> i32 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the C library promises a valid, aligned pointer that belongs to this thread for
        // as long as the thread lives.
        unsafe { *__errno_location() = NOT_IMPLEMENTED };
        -1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_stands_still_means_that_the_guard_is_off() {
        assert!(is_in_effect(7, 8));
        assert_eq!(is_in_effect(7, 7), !cfg!(target_os = "linux"));
    }
}
