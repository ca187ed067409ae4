//! L21: whom this host believes when it checks a certificate.
//!
//! Sources of truth: the bundles that programs read (Debian's `ca-certificates.crt`, RHEL's and SUSE's
//! extracted ones), as digest and number of certificates; what was added here, as names and digests: `usr/local/share/ca-certificates`,
//! the `anchors` and blocklists of `ca-trust`; and what Debian's `ca-certificates.conf` takes out. World readable.
//! Certificates are public, and so is everything told here.
//!
//! Absence: a bundle that is not there has no fact; places for additions have one wherever they are.
//!
//! Known lies: Java, browsers and programs with certificates of their own believe others; an addition
//! counts only after `update-ca-certificates` or `update-ca-trust` made the bundle anew, so the bundle's digest decides.

use holdpoint_common::row::HardeningRow;
use holdpoint_common::section::Digest;

use super::files;
use crate::host::Reads;
use crate::scan::fact::Fact;
use crate::scan::{Look, Reading};

/// What this probe may touch. Bundles are often links to where they are extracted.
pub const READS: &[Reads] = &[
    Reads::content("etc/ssl/certs/ca-certificates.crt"),
    Reads::content("etc/pki/tls/certs/ca-certificates.crt"),
    Reads::content("var/lib/ca-certificates/pem/ca-certificates.crt"),
    Reads::content("etc/ssl/ca-bundle.pem"),
    Reads::content("var/lib/ca-certificates/ca-bundle.pem"),
    Reads::content("etc/ssl/cert.pem"),
    Reads::content("etc/pki/tls/certs/ca-bundle.crt"),
    Reads::content("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    Reads::content("etc/ca-certificates/extracted/tls-ca-bundle.pem"),
    Reads::content("etc/ca-certificates.conf"),
    Reads::content("usr/local/share/ca-certificates/*"),
    Reads::content("etc/pki/ca-trust/source/anchors/*"),
    Reads::content("etc/pki/ca-trust/source/blocklist/*"),
    Reads::content("etc/pki/ca-trust/source/blacklist/*"),
    Reads::content("etc/pki/trust/anchors/*"),
    Reads::content("etc/pki/trust/blocklist/*"),
    Reads::content("etc/ca-certificates/trust-source/anchors/*"),
];

const CHECKS: &[&str] = &["L21"];
const BUNDLES: [&str; 7] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/ssl/ca-bundle.pem",
    "var/lib/ca-certificates/ca-bundle.pem",
    "etc/ssl/cert.pem",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ca-certificates/extracted/tls-ca-bundle.pem",
];
/// Directories of what was added, and of what was taken out.
const PLACES: [(&str, &str); 7] = [
    ("added", "usr/local/share/ca-certificates"),
    ("added", "etc/pki/ca-trust/source/anchors"),
    ("added", "etc/pki/trust/anchors"),
    ("added", "etc/ca-certificates/trust-source/anchors"),
    ("blocked", "etc/pki/ca-trust/source/blocklist"),
    ("blocked", "etc/pki/ca-trust/source/blacklist"),
    ("blocked", "etc/pki/trust/blocklist"),
];
/// Largest bundle, some ten times what there is.
const MAX_BUNDLE: usize = 4 * 1024 * 1024;
/// Largest file of one authority.
const MAX_CERTIFICATE: usize = 256 * 1024;

/// Reads bundles and additions.
pub fn probe(look: &mut Look<'_>) -> Reading {
    if !files::is_a_system(look) {
        return look.missing("etc is not there");
    }
    let mut rows = Vec::new();
    let mut seen = Vec::new();
    for path in BUNDLES {
        // One bundle goes by several names.
        let Ok(place) = look.host.root.canonical(path) else { continue };
        if seen.contains(&place) {
            continue;
        }
        seen.push(place);
        let Some(bundle) = look.bytes(path, MAX_BUNDLE) else { continue };
        rows.push(fact("bundle_digest", path).about(path).text(&format!("sha256:{}", Digest::of(&bundle))));
        rows.push(fact("bundle_certificates", path).about(path).number(certificates(&bundle)));
    }
    for (id, directory) in PLACES {
        if files::exists(look, directory) == Some(false) {
            continue;
        }
        let fact = fact(id, directory).about(directory);
        rows.push(match files::names(look, directory, |_| true) {
            Ok(names) => {
                let told = names.into_iter().map(|name| {
                    let bytes = look.bytes(&format!("{directory}/{name}"), MAX_CERTIFICATE);
                    bytes.map_or_else(|| name.clone(), |it| format!("{name} sha256:{}", Digest::of(&it)))
                });
                let told: Vec<String> = told.collect();
                fact.list(told)
            }
            Err(gap) => gap.unanswered(fact),
        });
    }
    rows.extend(taken_out(look));
    Reading::of(&rows)
}

fn fact(id: &str, source: &str) -> Fact {
    Fact::new(&format!("authorities.{id}"), CHECKS, source)
}

fn certificates(bundle: &[u8]) -> i64 {
    const BEGIN: [&[u8]; 2] = [b"-----BEGIN CERTIFICATE-----", b"-----BEGIN TRUSTED CERTIFICATE-----"];
    let lines = bundle.split(|it| *it == b'\n').filter(|it| it.first() == Some(&b'-'));
    let count = lines.filter(|it| BEGIN.contains(&it.trim_ascii_end())).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Lines of Debian's file that start with an exclamation mark are left out of the bundle.
fn taken_out(look: &mut Look<'_>) -> Option<HardeningRow> {
    const CONFIG: &str = "etc/ca-certificates.conf";
    let fact = fact("blocked", CONFIG).about(CONFIG);
    match files::read(look, CONFIG) {
        files::Found::Absent => None,
        files::Found::Text(text) => {
            Some(fact.list(text.lines().filter_map(|it| it.strip_prefix('!')).map(|it| it.trim().to_owned())))
        }
        gap @ (files::Found::Denied | files::Found::Broken(_)) => Some(gap.unanswered(fact)),
    }
}

#[cfg(test)]
mod tests {
    use holdpoint_common::row::hardening_row::Value;

    use super::*;
    use crate::host::ReadList;
    use crate::scan::look::tests::{host, rows_of};

    #[test]
    fn bundles_are_counted_once_and_additions_are_named() {
        let pem = "# A\n-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n";
        let extracted = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
        let (dir, host) = host(&[
            (extracted, &format!("{pem}{pem}")),
            ("etc/pki/ca-trust/source/anchors/plant.crt", pem),
            ("etc/pki/ca-trust/source/blocklist/README", ""),
            ("etc/ca-certificates.conf", "# x\nmozilla/A.crt\n!mozilla/B.crt\n"),
        ]);
        let link = dir.path().join("etc/pki/tls/certs/ca-bundle.crt");
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(format!("/{extracted}"), link).unwrap();
        let host = host.limited_to(ReadList::new(READS));
        let (rows, faults, _) = rows_of::<HardeningRow>(&host, probe);
        assert!(faults.is_empty(), "{faults:?}");
        let said: Vec<_> = rows.iter().map(|it| (it.id.as_str(), it.subject.as_deref().unwrap())).collect();
        assert_eq!(
            said,
            [
                ("authorities.bundle_digest", "etc/pki/tls/certs/ca-bundle.crt"),
                ("authorities.bundle_certificates", "etc/pki/tls/certs/ca-bundle.crt"),
                ("authorities.added", "etc/pki/ca-trust/source/anchors"),
                ("authorities.blocked", "etc/pki/ca-trust/source/blocklist"),
                ("authorities.blocked", "etc/ca-certificates.conf"),
            ]
        );
        assert_eq!(rows[1].value, Some(Value::Number(2)));
        let Some(Value::List(added)) = &rows[2].value else { panic!() };
        assert!(added.items[0].starts_with("plant.crt sha256:"));
        let Some(Value::List(out)) = &rows[4].value else { panic!() };
        assert_eq!(out.items, ["mozilla/B.crt"]);
    }
}
