//! Each restriction, tried: a forbidden call must really fail in the cage, and what an agent needs must not.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;

use libc::c_long;

use super::*;
use crate::cage::{self, Needs};

const NULL: c_long = 0;
const HERE: c_long = -100;

/// Runs something on a thread that is caged first; the test's own threads are not.
fn caged<T: Send>(changing: bool, act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            no_new_privileges().unwrap();
            refuse_calls(changing).unwrap();
            act()
        });
        inside.join().unwrap()
    })
}

fn call(number: c_long, arguments: [c_long; 5]) -> Result<c_long, i32> {
    let [first, second, third, fourth, fifth] = arguments;
    // SAFETY: every call of these tests gets numbers, null pointers, or pointers that outlive it.
    match unsafe { libc::syscall(number, first, second, third, fourth, fifth) } {
        -1 => Err(io::Error::last_os_error().raw_os_error().unwrap()),
        result => Ok(result),
    }
}

fn at(text: &CStr) -> c_long {
    text.as_ptr().addr().cast_signed().try_into().unwrap()
}

#[test]
fn no_other_program_no_process_no_ears() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = c_long::from(std::os::fd::AsRawFd::as_raw_fd(&listener));
    caged(false, || {
        // Were it started, the test would end here and fail.
        let program = at(c"/bin/false");
        assert_eq!(call(libc::SYS_execve, [program, NULL, NULL, 0, 0]), Err(libc::EPERM));
        assert_eq!(call(libc::SYS_execveat, [HERE, program, NULL, NULL, 0]), Err(libc::EPERM));
        // A child that exists all the same must not go on with the test.
        let process = c_long::from(libc::SIGCHLD);
        match call(libc::SYS_clone, [process, NULL, NULL, NULL, NULL]) {
            Ok(0) => std::process::exit(9),
            other => assert_eq!(other, Err(libc::EPERM)),
        }
        assert_eq!(call(libc::SYS_clone3, [NULL, 0, 0, 0, 0]), Err(libc::ENOSYS));
        assert_eq!(call(libc::SYS_listen, [socket, 1, 0, 0, 0]), Err(libc::EPERM));
        assert_eq!(call(libc::SYS_accept, [socket, NULL, NULL, 0, 0]), Err(libc::EPERM));
        assert_eq!(call(libc::SYS_accept4, [socket, NULL, NULL, 0, 0]), Err(libc::EPERM));
        assert_eq!(call(libc::SYS_memfd_create, [at(c"x"), 0, 0, 0, 0]), Err(libc::EPERM));
    });
}

#[test]
fn no_hand_on_other_processes_mounts_and_the_kernel() {
    let own = c_long::from(std::process::id());
    caged(false, || {
        let refused = [
            ("ptrace", libc::SYS_ptrace, [16, own, 0, 0, 0]),
            ("process_vm_readv", libc::SYS_process_vm_readv, [own, NULL, 0, NULL, 0]),
            ("pidfd_open", libc::SYS_pidfd_open, [own, 0, 0, 0, 0]),
            ("kill", libc::SYS_kill, [own, 0, 0, 0, 0]),
            ("tgkill", libc::SYS_tgkill, [1, 1, 0, 0, 0]),
            ("mount", libc::SYS_mount, [at(c"none"), at(c"/tmp"), at(c"tmpfs"), 0, NULL]),
            ("umount2", libc::SYS_umount2, [at(c"/nowhere"), 0, 0, 0, 0]),
            ("pivot_root", libc::SYS_pivot_root, [at(c"/"), at(c"/"), 0, 0, 0]),
            ("chroot", libc::SYS_chroot, [at(c"/"), 0, 0, 0, 0]),
            ("fsopen", libc::SYS_fsopen, [at(c"tmpfs"), 0, 0, 0, 0]),
            ("open_tree", libc::SYS_open_tree, [HERE, at(c"/"), 1, 0, 0]),
            ("move_mount", libc::SYS_move_mount, [-1, at(c""), -1, at(c""), 0]),
            ("unshare", libc::SYS_unshare, [c_long::from(libc::CLONE_NEWUTS), 0, 0, 0, 0]),
            ("setns", libc::SYS_setns, [-1, 0, 0, 0, 0]),
            ("init_module", libc::SYS_init_module, [NULL, 0, NULL, 0, 0]),
            ("finit_module", libc::SYS_finit_module, [-1, NULL, 0, 0, 0]),
            ("delete_module", libc::SYS_delete_module, [at(c"nothing"), 0, 0, 0, 0]),
            ("bpf", libc::SYS_bpf, [0, NULL, 0, 0, 0]),
            ("perf_event_open", libc::SYS_perf_event_open, [NULL, 0, 0, -1, 0]),
            ("userfaultfd", libc::SYS_userfaultfd, [0, 0, 0, 0, 0]),
            ("kexec_load", libc::SYS_kexec_load, [0, 0, NULL, 0, 0]),
            ("reboot", libc::SYS_reboot, [0, 0, 0, 0, 0]),
            ("swapon", libc::SYS_swapon, [at(c"/nowhere"), 0, 0, 0, 0]),
            ("keyctl", libc::SYS_keyctl, [0, 0, 0, 0, 0]),
            ("personality", libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0]),
            ("setuid", libc::SYS_setuid, [0, 0, 0, 0, 0]),
            ("sethostname", libc::SYS_sethostname, [at(c"x"), 0, 0, 0, 0]),
            ("settimeofday", libc::SYS_settimeofday, [NULL, NULL, 0, 0, 0]),
            ("clock_settime", libc::SYS_clock_settime, [0, NULL, 0, 0, 0]),
            ("acct", libc::SYS_acct, [at(c"/nowhere"), 0, 0, 0, 0]),
            ("quotactl", libc::SYS_quotactl, [0, NULL, 0, NULL, 0]),
            ("open_by_handle_at", libc::SYS_open_by_handle_at, [-1, NULL, 0, 0, 0]),
            ("TIOCSTI", libc::SYS_ioctl, [0, 0x5412, at(c"x"), 0, 0]),
            ("a higher ceiling", libc::SYS_prlimit64, [0, 4, at(c"0123456789abcdef"), NULL, 0]),
        ];
        for (name, number, arguments) in refused {
            assert_eq!(call(number, arguments), Err(libc::EPERM), "{name}");
        }
        assert_eq!(call(libc::SYS_io_uring_setup, [1, NULL, 0, 0, 0]), Err(libc::ENOSYS));
        assert_eq!(call(463, [0; 5]), Err(libc::ENOSYS), "a call of tomorrow");
        assert_eq!(call(0x4000_0000 + 520, [0; 5]), Err(libc::ENOSYS), "execve of x32");
    });
}

#[test]
fn what_scans_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "as it was").unwrap();
    caged(true, || {
        let refused = |result: io::Result<()>| {
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EPERM));
        };
        let new = dir.path().join("new");
        refused(fs::write(&new, "x"));
        refused(fs::write(&file, "x"));
        refused(fs::OpenOptions::new().read(true).write(true).open(&file).map(drop));
        refused(fs::OpenOptions::new().append(true).open(&file).map(drop));
        refused(fs::create_dir(&new));
        refused(fs::remove_file(&file));
        refused(fs::remove_dir(dir.path()));
        refused(fs::rename(&file, &new));
        refused(fs::hard_link(&file, &new));
        refused(std::os::unix::fs::symlink(&file, &new));
        refused(fs::set_permissions(&file, fs::metadata(&file).unwrap().permissions()));
        refused(std::os::unix::fs::chown(&file, None, None));
        let open = fs::File::open(&file).unwrap();
        refused(open.set_modified(std::time::UNIX_EPOCH));
        let path = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
        assert_eq!(call(libc::SYS_truncate, [at(&path), 0, 0, 0, 0]), Err(libc::EPERM));
        let unnamed = c_long::from(libc::O_TMPFILE | libc::O_WRONLY);
        assert_eq!(call(libc::SYS_openat, [HERE, at(c"/tmp"), unnamed, 0o600, 0]), Err(libc::EPERM));
        assert_eq!(call(libc::SYS_openat2, [HERE, at(c"/tmp"), NULL, 0, 0]), Err(libc::ENOSYS));
        assert_eq!(call(libc::SYS_setxattr, [at(&path), at(c"user.x"), at(c"x"), 1, 0]), Err(libc::EPERM));
        assert_eq!(call(libc::SYS_mknodat, [HERE, at(&path), 0o10600, 0, 0]), Err(libc::EPERM));
        refused(nice());
        refused(idle_io());

        assert_eq!(TcpStream::connect("127.0.0.1:9").unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(UdpSocket::bind("127.0.0.1:0").unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(UdpSocket::bind("[::1]:0").unwrap_err().raw_os_error(), Some(libc::EPERM));
        let packet = c_long::from(libc::AF_PACKET);
        assert_eq!(call(libc::SYS_socket, [packet, 3, 0, 0, 0]), Err(libc::EPERM));
    });
    assert_eq!(fs::read_to_string(&file).unwrap(), "as it was");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_scans_can_still_ask_and_start_threads() {
    caged(true, || {
        assert!(fs::read_to_string("/proc/thread-self/status").unwrap().contains("Seccomp:\t2"));
        assert!(fs::read_dir("/proc").unwrap().count() > 0);
        assert!(fs::metadata("/").is_ok() && fs::read_link("/proc/self/exe").is_ok());
        assert_eq!(thread::spawn(|| 7).join().unwrap(), 7);
        assert!(UnixStream::pair().is_ok());
        let nobody = UnixStream::connect("/nowhere/bus").unwrap_err();
        assert_eq!(nobody.raw_os_error(), Some(libc::ENOENT));
        let route = c_long::from(libc::AF_NETLINK);
        let raw = c_long::from(libc::SOCK_RAW | libc::SOCK_CLOEXEC);
        let netlink = call(libc::SYS_socket, [route, raw, 0, 0, 0]).unwrap();
        // An address of the family and nothing else: the kernel chooses.
        let mut address = [0_u8; 12];
        address[..2].copy_from_slice(&u16::try_from(libc::AF_NETLINK).unwrap().to_ne_bytes());
        let place = address.as_ptr().addr().cast_signed().try_into().unwrap();
        assert_eq!(call(libc::SYS_bind, [netlink, place, 12, 0, 0]), Ok(0));
        call(libc::SYS_close, [netlink, 0, 0, 0, 0]).unwrap();
        // A signal to itself, as abort(3) sends it; number 0 does nothing.
        let own = c_long::from(std::process::id());
        let this = call(libc::SYS_gettid, [0; 5]).unwrap();
        assert_eq!(call(libc::SYS_tgkill, [own, this, 0, 0, 0]), Ok(0));
    });
}

#[test]
fn what_holds_is_the_systems_word_and_the_threads_own() {
    let inside = thread::spawn(|| {
        assert!(!has_refused_calls() && !has_refused_changes());
        let gaps = cage::enter_scan();
        assert!(gaps.is_empty(), "{gaps:?}");
        cage::active(None)
    });
    let active = inside.join().unwrap();
    for name in ["idle-cpu", "idle-io", "nice", "no-new-privileges", "no-write", "seccomp"] {
        assert!(active.contains(&name), "{active:?} lacks {name}");
    }
    assert!(active.is_sorted());
    // The test's own thread is as free as before: no program that runs an agent inside is touched.
    assert!(!has_refused_calls() && !has_refused_changes() && !has_idle_cpu());
    assert!(!has_no_new_privileges() && !has_limited_memory(64 * 1024 * 1024));
}

#[test]
fn behind_walls_there_are_only_the_places_and_ports_that_are_needed() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| -> PathBuf {
        let place = dir.path().join(name);
        fs::create_dir(&place).unwrap();
        fs::write(place.join("file"), "text").unwrap();
        place
    };
    let (state, library, elsewhere) = (place("state"), place("library"), place("elsewhere"));
    let (open, closed) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let [open, closed] = [&open, &closed].map(|it| it.local_addr().unwrap());
    let needs = Needs {
        write: vec![state.clone()],
        read: vec![library.clone(), dir.path().join("not there"), "/proc/self".into()],
        ports: vec![open.port()],
    };
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            no_new_privileges().unwrap();
            let walls = match wall_in(&needs) {
                Ok(walls) => walls,
                Err(cause) => {
                    println!("left out: {cause}");
                    return;
                }
            };
            let refused = |it: io::Error| assert_eq!(it.kind(), io::ErrorKind::PermissionDenied, "{it}");
            fs::write(state.join("new"), "x").unwrap();
            fs::rename(state.join("new"), state.join("file")).unwrap();
            fs::File::open(&state).unwrap().sync_all().unwrap();
            assert_eq!(fs::read_to_string(library.join("file")).unwrap(), "text");
            assert!(fs::read_to_string("/proc/self/status").is_ok());
            refused(fs::write(library.join("file"), "x").unwrap_err());
            refused(fs::read(elsewhere.join("file")).unwrap_err());
            refused(fs::read("/etc/passwd").unwrap_err());
            refused(fs::read_dir("/").unwrap_err());
            refused(fs::write(elsewhere.join("new"), "x").unwrap_err());
            // Whether something is there can be asked everywhere: so the kill file may lie anywhere.
            assert!(fs::symlink_metadata(elsewhere.join("file")).is_ok());
            if walls.is_whole {
                TcpStream::connect(open).unwrap();
                refused(TcpStream::connect(closed).unwrap_err());
                refused(TcpListener::bind("127.0.0.1:0").unwrap_err());
            }
        });
        inside.join().unwrap();
    });
    assert!(fs::read(elsewhere.join("file")).is_ok(), "only that thread");
}
