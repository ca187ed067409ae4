//! The system calls that the cage refuses, by number. Which group holds where is the cage's to say.

use libc::c_long;

use crate::cage::filter::{Answer, Machine, Rule, Unless};

/// The calling convention of this build and the first call that this version does not know.
pub(super) const MACHINE: Option<Machine> = if cfg!(target_arch = "x86_64") {
    Some(Machine { arch: 0xc000_003e, unknown_from: UNKNOWN_FROM })
} else if cfg!(target_arch = "aarch64") {
    Some(Machine { arch: 0xc000_00b7, unknown_from: UNKNOWN_FROM })
} else {
    None
};

/// `setxattrat` of Linux 6.13; numbers from 424 on are the same on every architecture.
const UNKNOWN_FROM: u32 = 463;

/// Numbers that the C library's headers do not name everywhere yet.
const FCHMODAT2: c_long = 452;
const LSM_SET_SELF_ATTR: c_long = 460;
const MEMFD_SECRET: c_long = 447;
const KEXEC_FILE_LOAD: c_long = by_machine(320, 294);
const SETRLIMIT: c_long = by_machine(160, 164);
const RENAMEAT: c_long = by_machine(264, 38);

const fn by_machine(x86_64: c_long, aarch64: c_long) -> c_long {
    if cfg!(target_arch = "x86_64") { x86_64 } else { aarch64 }
}

/// Bits of the flags of open(2): anything but reading, and what makes or cuts a file.
const CHANGES: i32 = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | UNNAMED_FILE;
/// The bit that `O_TMPFILE` has beside `O_DIRECTORY`.
const UNNAMED_FILE: i32 = 0o20_000_000;

/// `TIOCSTI` and `TIOCLINUX`: typing into somebody's terminal.
const TYPES: &[u32] = &[0x5412, 0x541c];

/// Sockets that reach no network: the kernel's own answers, and a bus that runs already.
const LOCAL_SOCKETS: &[u32] = &[1, 16];

/// What no part of the agent ever does.
const NEVER: &[c_long] = &[
    // Another program, another process.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_memfd_create,
    MEMFD_SECRET,
    // Somebody who calls in.
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    // Mounts, roots and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    // The kernel itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_vhangup,
    // Keys, identity, name, time.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_personality,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    LSM_SET_SELF_ATTR,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    // Its own ceilings.
    SETRLIMIT,
    // What outlives the process.
    libc::SYS_shmget,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// Calls that kernels had once.
#[cfg(target_arch = "x86_64")]
const CREATE_MODULE: c_long = 174;
#[cfg(target_arch = "x86_64")]
const SYSCTL: c_long = 156;

#[cfg(target_arch = "x86_64")]
const NEVER_HERE: &[c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    CREATE_MODULE,
    SYSCTL,
];
#[cfg(not(target_arch = "x86_64"))]
const NEVER_HERE: &[c_long] = &[];

/// Calls whose callers have another way, or do without.
const MISSING: &[c_long] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_setup,
    libc::SYS_io_submit,
];

/// What changes a file, a directory or what belongs to one, or lifts the thread's own class.
const CHANGING: &[c_long] = &[
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    RENAMEAT,
    libc::SYS_renameat2,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_unlinkat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_copy_file_range,
    libc::SYS_sync,
    libc::SYS_syncfs,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
];

#[cfg(target_arch = "x86_64")]
const CHANGING_HERE: &[c_long] = &[
    libc::SYS_creat,
    libc::SYS_rename,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_unlink,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
];
#[cfg(not(target_arch = "x86_64"))]
const CHANGING_HERE: &[c_long] = &[];

/// Rules for every thread. `own` is the process: a signal may go to itself, as abort(3) does.
pub(super) fn never(own: u32) -> Vec<Rule> {
    let mut rules: Vec<Rule> = rules_of(&[NEVER, NEVER_HERE], Answer::Refused).collect();
    rules.extend(rules_of(&[MISSING], Answer::Missing));
    rules.extend([
        // A thread is no process.
        unless(libc::SYS_clone, Unless::Set(0, bits(libc::CLONE_THREAD))),
        unless(libc::SYS_tgkill, Unless::Is(0, own)),
        unless(libc::SYS_ioctl, Unless::NoneOf(1, TYPES)),
        // Asking for a ceiling is fine, lifting it is not.
        unless(libc::SYS_prlimit64, Unless::Null(2)),
    ]);
    rules
}

/// Rules for the thread that scans.
pub(super) fn changing() -> Vec<Rule> {
    // The most frequent one stands first.
    let mut rules = vec![unless(libc::SYS_openat, Unless::Clear(2, bits(CHANGES)))];
    #[cfg(target_arch = "x86_64")]
    rules.push(unless(libc::SYS_open, Unless::Clear(1, bits(CHANGES))));
    // Its flags lie in memory, where no filter sees them.
    rules.extend(rules_of(&[&[libc::SYS_openat2]], Answer::Missing));
    rules.push(unless(libc::SYS_socket, Unless::OneOf(0, LOCAL_SOCKETS)));
    rules.extend(rules_of(&[CHANGING, CHANGING_HERE], Answer::Refused));
    rules
}

fn rules_of(groups: &[&[c_long]], answer: Answer) -> impl Iterator<Item = Rule> {
    groups.concat().into_iter().map(move |it| Rule { call: number(it), answer, unless: Unless::Never })
}

fn unless(call: c_long, unless: Unless) -> Rule {
    Rule { call: number(call), answer: Answer::Refused, unless }
}

/// Numbers are small and positive; one that is not would name no call.
fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

fn bits(flags: i32) -> u32 {
    flags.cast_unsigned()
}
