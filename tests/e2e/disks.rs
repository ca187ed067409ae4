//! File systems that a test may fill or cut off. Making them needs root.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The bit of `capabilities(7)` that mounting needs.
const CAP_SYS_ADMIN: u64 = 1 << 21;
/// Readings of a device until two agree.
const READINGS: u32 = 20;

/// Whether this process may mount. A refusal in spite of that is a failure, not a reason to skip.
pub(crate) fn may_mount() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let may = u64::from_str_radix(effective.trim(), 16).unwrap() & CAP_SYS_ADMIN != 0;
    if !may {
        println!("left out: mounting a file system needs root (CAP_SYS_ADMIN)");
    }
    may
}

#[expect(clippy::disallowed_methods, reason = "file systems are made and mounted by the system's own tools")]
fn run(program: &str, arguments: &[&str]) {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|it| panic!("{program}: {it}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A file system that is unmounted when the test is over, however it ends.
pub(crate) struct Mount {
    pub(crate) at: PathBuf,
}

impl Mount {
    /// An empty file system in memory.
    pub(crate) fn memory(mib: u32, at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs", path(at)]);
        Self { at: at.to_owned() }
    }

    /// The file system in a file.
    pub(crate) fn loop_file(image: &Path, at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        run("mount", &["-o", "loop", path(image), path(at)]);
        Self { at: at.to_owned() }
    }
}

impl Drop for Mount {
    #[expect(clippy::disallowed_methods, reason = "unmounting has no call in the standard library")]
    fn drop(&mut self) {
        // Lazily, because a failing test may still have files open; nothing else can be done here.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// Makes an empty ext4 file system in a file.
pub(crate) fn make_ext4(image: &Path, mib: u64) {
    File::create(image).unwrap().set_len(mib * 1024 * 1024).unwrap();
    run("mkfs.ext4", &["-q", "-F", path(image)]);
}

/// What has reached the device, as one moment: copied until two readings agree, because the
/// kernel goes on writing although the writer is frozen.
pub(crate) fn snapshot(image: &Path, to: &Path) {
    for _ in 0..READINGS {
        run("cp", &["--sparse=always", path(image), path(to)]);
        if equal(image, to) {
            return;
        }
    }
    panic!("the device never came to rest");
}

fn equal(one: &Path, other: &Path) -> bool {
    let (mut one, mut other) = (File::open(one).unwrap(), File::open(other).unwrap());
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = one.read(&mut a).unwrap();
        if read == 0 {
            return true;
        }
        other.read_exact(&mut b[..read]).unwrap();
        if a[..read] != b[..read] {
            return false;
        }
    }
}

/// Takes all the space that is left.
pub(crate) fn take_the_rest(file: &Path) {
    let mut file = File::create(file).unwrap();
    for piece in [1 << 20, 4096, 1] {
        while file.write_all(&vec![1; piece]).is_ok() {}
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
