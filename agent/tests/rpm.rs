//! The rpm databases that rpm itself writes and reads, row by row beside what it prints.
//!
//! Needs `rpm` and `rpmbuild` (Debian's package `rpm`), and `gpg` for the signed package; without them
//! a test says that it was left out. Real databases of other hosts are read where they are present:
//! `shared/data/rpmdb` beside the workspace, or the folder that `HOLDPOINT_RPMDB` names.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
#![expect(clippy::print_stdout, reason = "a test that is left out says so")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use holdpoint_agent::host::{Agent, Host};
use holdpoint_agent::scan::{self, Budget};
use holdpoint_common::proto::v1::SectionStatus;
use holdpoint_common::row::{SectionKind, SoftwareRow};
use prost::Message;

/// What rpm is asked for each package; the times of the day are compared as it prints them.
const QUERY: &str = "%{NAME}\\t%|EPOCH?{%{EPOCH}}:{0}|\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\t%{VENDOR}\\t\
                     %{SOURCERPM}\\t%{MODULARITYLABEL}\\t%{INSTALLTIME:date}\\t\
                     %|RSAHEADER?{%{RSAHEADER:pgpsig}}:{%|DSAHEADER?{%{DSAHEADER:pgpsig}}|}|\\n";

#[expect(clippy::disallowed_methods, reason = "the one place where these tests start programs")]
fn tool(name: &str) -> Command {
    let mut tool = Command::new(name);
    tool.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    tool
}

fn is_here(name: &str) -> bool {
    let is_here = tool(name).arg("--version").output().is_ok_and(|it| it.status.success());
    if !is_here {
        println!("left out: {name} is not here");
    }
    is_here
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Rows of a root, of which no byte was left out.
fn rows(root: &Path) -> Vec<SoftwareRow> {
    let (status, reasons, rows) = section(root);
    assert_eq!((status, reasons), (SectionStatus::Complete, vec![]));
    rows
}

fn section(root: &Path) -> (SectionStatus, Vec<String>, Vec<SoftwareRow>) {
    let agent = Agent { version: "0.0.0-test".into(), digest: None, config_digest: None };
    let budget = Budget::measured_by(Duration::MAX, || Duration::ZERO);
    let snapshot = scan::take(&Host::captured(root, agent), &[SectionKind::Software], &budget);
    let section = snapshot.section(SectionKind::Software).unwrap();
    let rows = section.rows.as_slice().iter().map(|it| SoftwareRow::decode(it.as_slice()).unwrap());
    (section.status, section.reasons.clone(), rows.collect())
}

/// A package as one line: name, version, architecture, vendor, source, module, day, key.
fn line_of(row: SoftwareRow) -> String {
    let SoftwareRow {
        name,
        version,
        architecture,
        source,
        publisher,
        source_package,
        source_version,
        install_date,
        module,
        signature_key,
        state: None,
        purl: _,
        path: None,
        build_id: None,
        product_code: None,
        upgrade_code: None,
        patches: _,
        user: None,
    } = row
    else {
        panic!("a field that rpm has not: {row:?}")
    };
    assert_eq!(source, "rpm");
    let none = || "(none)".to_owned();
    let source =
        source_package.zip(source_version).map(|(name, version)| format!("{name}-{version}.src.rpm"));
    [
        name,
        version.unwrap(),
        architecture.unwrap_or_else(none),
        publisher.unwrap_or_else(none),
        source.unwrap_or_else(none),
        module.unwrap_or_else(none),
        install_date.unwrap_or_else(none),
        signature_key.unwrap_or_else(none),
    ]
    .join("\t")
}

/// The same line of what rpm prints.
fn line_of_rpm(line: &str) -> String {
    let [name, epoch, version, release, arch, vendor, source, module, time, signature] =
        line.split('\t').collect::<Vec<_>>().try_into().unwrap();
    let epoch = if epoch == "0" { String::new() } else { format!("{epoch}:") };
    let version = format!("{epoch}{version}-{release}");
    let key = signature.rsplit_once("Key ID ").map_or("(none)", |(_, key)| key);
    [name, &version, arch, vendor, source, module, &day_of(time), key].join("\t")
}

/// `Wed Nov 25 22:12:01 2026` as a day.
fn day_of(time: &str) -> String {
    let format = time::macros::format_description!(
        "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
    );
    time::PrimitiveDateTime::parse(time, format).unwrap().date().to_string()
}

/// Asks rpm about a database; it gets a copy of its own, because it writes beside what it reads.
fn rpm_says(directory: &Path, backend: &str) -> Vec<String> {
    let copy = tempfile::tempdir().unwrap();
    copy_files(directory, copy.path());
    let mut rpm = tool("rpm");
    rpm.arg("--dbpath").arg(copy.path()).args(["--define", &format!("_db_backend {backend}")]);
    let output = succeed(rpm.args(["-qa", "--qf", QUERY]));
    let mut lines: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(line_of_rpm).collect();
    lines.sort();
    lines
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            // A data set may be read only; its copy is not.
            fs::write(to.join(entry.file_name()), fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

fn assert_rows_are_what_rpm_says(root: &Path, directory: &Path, backend: &str) -> usize {
    let mut found: Vec<_> = rows(root).into_iter().map(line_of).collect();
    found.sort();
    let said = rpm_says(directory, backend);
    assert_eq!(found, said);
    said.len()
}

/// A place to build packages in, and a root that they are installed in.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(site.database()).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn database(&self) -> PathBuf {
        self.path("root/var/lib/rpm")
    }

    /// Builds the packages of a spec file.
    fn build(&self, name: &str, spec: &str) -> Vec<PathBuf> {
        let file = self.path(&format!("{name}.spec"));
        fs::write(&file, spec).unwrap();
        let top = self.path(name);
        let defines = [
            format!("_topdir {}", top.display()),
            "_build_id_links none".to_owned(),
            "_binary_payload w0.gzdio".to_owned(),
            "__os_install_post %{nil}".to_owned(),
            // Several threads of rpmbuild take longer for many small packages than one does.
            "debug_package %{nil}".to_owned(),
            "_smp_build_ncpus 1".to_owned(),
            "_smp_nthreads 1".to_owned(),
        ];
        let mut build = tool("rpmbuild");
        build.args(["-bb", "--quiet", "--nodeps"]).args(defines.iter().flat_map(|it| ["--define", it]));
        succeed(build.arg(file));
        let mut packages = Vec::new();
        for architecture in fs::read_dir(top.join("RPMS")).unwrap() {
            let files = fs::read_dir(architecture.unwrap().path()).unwrap();
            packages.extend(files.map(|it| it.unwrap().path()));
        }
        packages.sort();
        packages
    }

    fn rpm(&self) -> Command {
        let mut rpm = tool("rpm");
        rpm.arg("--dbpath").arg(self.database());
        rpm
    }

    fn install(&self, packages: &[PathBuf], how: &[&str]) {
        succeed(self.rpm().args(["-i", "--nodeps", "--nosignature"]).args(how).args(packages));
    }
}

/// A spec file of a package with sub-packages, each with its own fields.
fn spec(name: &str, fields: &str, parts: impl IntoIterator<Item = (String, String)>) -> String {
    let mut text = format!(
        "Name: {name}\nSummary: s\nLicense: MIT\nAutoReqProv: no\n{fields}\n%description\nd\n%install\nmkdir -p %{{buildroot}}/usr/share/parts\n"
    );
    let mut packages = String::from("%files\n");
    for (part, fields) in parts {
        writeln!(text, "echo {part} > %{{buildroot}}/usr/share/parts/{part}").unwrap();
        write!(
            packages,
            "%package -n {part}\nSummary: s\nAutoReqProv: no\n{fields}\n%description -n {part}\nd\n%files -n {part}\n/usr/share/parts/{part}\n"
        )
        .unwrap();
    }
    text + &packages
}

fn odd_packages() -> [(&'static str, String); 4] {
    [
        ("plain", spec("plain", "Version: 1.0\nRelease: 1", [])),
        (
            "epoch",
            spec(
                "epoch",
                "Epoch: 7\nVersion: 2.0~rc1\nRelease: 3^20240101git.fc40\nVendor: Fabrik für Regler\nBuildArch: noarch",
                [("epoch-zero".to_owned(), "Epoch: 0\nVersion: 4\nRelease: 5".to_owned())],
            ),
        ),
        (
            "module",
            spec(
                "module",
                "Version: 18\nRelease: 1.module+el9\nModularityLabel: nodejs:18:9010020221118:rhel9",
                [("module-c++_x.y".to_owned(), String::new())],
            ),
        ),
        ("long-name-with-3-dashes", spec("long-name-with-3-dashes", "Version: 0\nRelease: 0", [])),
    ]
}

#[test]
fn what_rpm_installs_reads_as_rpm_prints_it() {
    if !is_here("rpm") || !is_here("rpmbuild") {
        return;
    }
    let site = Site::new();
    for (name, spec) in odd_packages() {
        site.install(&site.build(name, &spec), &["--justdb"]);
    }
    let count = assert_rows_are_what_rpm_says(&site.path("root"), &site.database(), "sqlite");
    assert_eq!(count, 6);
    let many = (0..200).map(|it| (format!("part-{it:03}"), format!("Version: {it}\nRelease: {it}.el9")));
    let many = site.build("many", &spec("many", "Version: 1\nRelease: 1", many));
    site.install(&many, &["--justdb"]);
    let count = assert_rows_are_what_rpm_says(&site.path("root"), &site.database(), "sqlite");
    assert_eq!(count, 207);
    succeed(site.rpm().args(["-e", "--justdb", "--nodeps", "part-000", "part-100", "part-199"]));
    let count = assert_rows_are_what_rpm_says(&site.path("root"), &site.database(), "sqlite");
    assert_eq!(count, 204);
    succeed(site.rpm().arg("--rebuilddb"));
    assert_eq!(assert_rows_are_what_rpm_says(&site.path("root"), &site.database(), "sqlite"), 204);
}

/// A package whose script runs while rpm works: it copies the database and its log.
fn copier(name: &str, from: &Path, to: &Path) -> String {
    let script =
        format!("mkdir -p {to}; cp {from}/rpmdb.sqlite* {to}", from = from.display(), to = to.display());
    format!(
        "Name: {name}\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n%description\nd\n\
         %post\n{script}\n%posttrans\n{script}/after\n%files\n",
    )
}

#[test]
fn what_stands_only_in_the_log_is_read_while_rpm_works() {
    if !is_here("rpm") || !is_here("rpmbuild") {
        return;
    }
    let site = Site::new();
    let parts = |from: usize| (from..from + 60).map(|it| (format!("part-{it:03}"), String::new()));
    let before = site.build("before", &spec("before", "Version: 1\nRelease: 1", parts(0)));
    site.install(&before, &["--justdb"]);
    let during = site.path("during/var/lib/rpm");
    fs::create_dir_all(during.join("after")).unwrap();
    let mut packages = site.build("copier", &copier("copier", &site.database(), &during));
    packages.extend(site.build("zz", &spec("zz", "Version: 1\nRelease: 1\nBuildArch: noarch", [])));
    site.install(&packages, &[]);
    let log = fs::metadata(during.join("rpmdb.sqlite-wal")).unwrap().len();
    assert!(log > 4_096, "rpm has written nothing to its log yet: {log}");
    let count = assert_rows_are_what_rpm_says(&site.path("during"), &during, "sqlite");
    assert!((62..=63).contains(&count), "{count}");
    // Without the log rows are missing, and nothing would tell.
    fs::remove_file(during.join("rpmdb.sqlite-wal")).unwrap();
    assert_eq!(rows(&site.path("during")).len(), 61);
    let after = site.path("after/var/lib/rpm");
    copy_files(&during.join("after"), &after);
    assert_eq!(assert_rows_are_what_rpm_says(&site.path("after"), &after, "sqlite"), 63);
    assert_eq!(assert_rows_are_what_rpm_says(&site.path("root"), &site.database(), "sqlite"), 63);
}

#[test]
fn a_signed_package_names_its_key_and_a_trusted_key_is_a_package() {
    if !is_here("rpm") || !is_here("rpmbuild") || !is_here("rpmsign") || !is_here("gpg") {
        return;
    }
    for algorithm in ["rsa2048", "ed25519"] {
        let site = Site::new();
        let keys = site.path("keys");
        fs::create_dir_all(&keys).unwrap();
        set_private(&keys);
        let gpg = || {
            let mut gpg = tool("gpg");
            gpg.env("GNUPGHOME", &keys).args(["--batch", "--quiet", "--passphrase", ""]);
            gpg
        };
        succeed(gpg().args(["--quick-gen-key", "Holdpoint Test", algorithm, "sign", "never"]));
        let public = succeed(gpg().args(["--armor", "--export"])).stdout;
        fs::write(site.path("key.asc"), public).unwrap();
        let packages = site.build("signed", &spec("signed", "Version: 1\nRelease: 1", []));
        let mut sign = tool("rpmsign");
        sign.env("GNUPGHOME", &keys).args(["--define", "_gpg_name Holdpoint Test"]);
        // Where rpm was built gpg may have had another place.
        succeed(
            sign.args(["--define", &format!("__gpg {}", place_of("gpg"))]).arg("--addsign").args(&packages),
        );
        succeed(tool("gpgconf").env("GNUPGHOME", &keys).args(["--kill", "all"]));
        site.install(&packages, &["--justdb"]);
        succeed(site.rpm().arg("--import").arg(site.path("key.asc")));
        let count = assert_rows_are_what_rpm_says(&site.path("root"), &site.database(), "sqlite");
        assert_eq!(count, 2, "{algorithm}");
        let rows = rows(&site.path("root"));
        let signed = rows.iter().find(|it| it.name == "signed").unwrap();
        let key = rows.iter().find(|it| it.name == "gpg-pubkey").unwrap();
        let id = signed.signature_key.as_deref().unwrap();
        assert!(id.ends_with(key.version.as_deref().unwrap().split_once('-').unwrap().0), "{id}");
        assert_eq!(key.architecture, None);
    }
}

fn place_of(program: &str) -> String {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|it| it.join(program)).find(|it| it.is_file());
    found.unwrap().to_str().unwrap().to_owned()
}

#[cfg(unix)]
fn set_private(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
}

/// A root with one of the real databases; `None` where it is not.
fn real(name: &str, file: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/rpmdb");
    let folder = std::env::var_os("HOLDPOINT_RPMDB").map_or(beside, PathBuf::from);
    let Ok(content) = fs::read(folder.join(name)) else {
        println!("left out: {name} is not in {}", folder.display());
        return None;
    };
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("var/lib/rpm");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(file), content).unwrap();
    Some((root, directory))
}

#[test]
fn real_berkeley_databases_read_as_rpm_prints_them() {
    for (name, count) in [("bdb-epoch.Packages", 1), ("bdb-libuuid.Packages", 1)] {
        let Some((root, directory)) = real(name, "Packages") else { continue };
        assert_eq!(rows(root.path()).len(), count, "{name}");
        if is_here("rpm") {
            assert_eq!(assert_rows_are_what_rpm_says(root.path(), &directory, "bdb_ro"), count);
        }
    }
}

#[test]
fn a_real_database_of_suse_has_its_packages() {
    let Some((root, _)) = real("ndb-sle15-bci.Packages.db", "Packages.db") else { return };
    fs::create_dir_all(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/os-release"), "ID=sles\n").unwrap();
    let rows = rows(root.path());
    // Counted with `strings`: as many headers name the vendor.
    assert_eq!(rows.len(), 35);
    let row = |name: &str| rows.iter().find(|it| it.name == name).unwrap().clone();
    let expected = |name: &str, version: &str, architecture: &str, purl: &str| SoftwareRow {
        name: name.into(),
        version: Some(version.into()),
        architecture: Some(architecture.into()),
        source: "rpm".into(),
        publisher: Some("SUSE LLC <https://www.suse.com/>".into()),
        source_package: Some(name.into()),
        source_version: Some(version.into()),
        install_date: Some("2021-12-03".into()),
        purl: Some(format!("pkg:rpm/suse/{purl}")),
        signature_key: Some("70af9e8139db7c82".into()),
        ..SoftwareRow::default()
    };
    for it in [
        expected("bash", "4.4-19.6.1", "x86_64", "bash@4.4-19.6.1?arch=x86_64"),
        expected("rpm-config-SUSE", "1-5.6.1", "noarch", "rpm-config-SUSE@1-5.6.1?arch=noarch"),
        SoftwareRow {
            source_package: Some("gcc11".into()),
            ..expected(
                "libstdc++6",
                "11.2.1+git610-1.3.9",
                "x86_64",
                "libstdc%2B%2B6@11.2.1%2Bgit610-1.3.9?arch=x86_64",
            )
        },
    ] {
        assert_eq!(row(&it.name), it);
    }
}
