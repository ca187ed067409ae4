//! From a header to a row.
//!
//! `rpm -qa` prints the public keys that it trusts as packages named `gpg-pubkey`; they are rows
//! here too, without an architecture, for which rpm prints `(none)`.
//!
//! Known lies: `SOURCERPM` names no epoch, so a source version has none. A signature is named by the
//! identifier that it carries; nobody verified it since the installation.

use std::fmt::Write;
use std::io;

use data_encoding::BASE64_MIME_PERMISSIVE;
use holdpoint_common::row::SoftwareRow;

use super::super::purl::encoded;
use super::header::{Header, Tag};
use super::openpgp;

/// What rpm writes where a package says nothing.
const NOTHING: &str = "(none)";

/// Makes a row of a header; faults name what of it could not be read.
///
/// # Errors
/// It names no package.
pub(super) fn row(
    header: &mut Header<'_, '_>,
    distribution: Option<&Distribution>,
    faults: &mut Vec<String>,
) -> io::Result<SoftwareRow> {
    let name = header.text(Tag::NAME)?.ok_or_else(|| super::blob::wrong("it names no package"))?;
    let mut fault = |cause: io::Error| faults.push(format!("{name}: {cause}"));
    let mut text = |header: &mut Header<'_, '_>, tag| match header.text(tag) {
        Ok(text) => text.filter(|it| it != NOTHING),
        Err(cause) => {
            fault(cause);
            None
        }
    };
    let version = text(header, Tag::VERSION);
    let release = text(header, Tag::RELEASE);
    let architecture = text(header, Tag::ARCH);
    let publisher = text(header, Tag::VENDOR);
    let source = text(header, Tag::SOURCERPM);
    let module = text(header, Tag::MODULARITYLABEL);
    let mut number = |header: &mut Header<'_, '_>, tag| {
        header.number(tag).unwrap_or_else(|cause| {
            fault(cause);
            None
        })
    };
    let epoch = number(header, Tag::EPOCH).filter(|it| *it != 0);
    let installed = number(header, Tag::INSTALLTIME);
    let signature_key = signature_key(header).unwrap_or_else(|cause| {
        fault(cause);
        None
    });
    if version.is_none() {
        faults.push(format!("{name}: it has no version"));
    }
    let version = version.map(|it| match release {
        Some(release) => format!("{it}-{release}"),
        None => it,
    });
    let (source_package, source_version) = source.as_deref().and_then(source_of).unzip();
    let purl = distribution
        .filter(|it| publisher.as_deref().is_some_and(|vendor| it.vendors.contains(&vendor)))
        .and_then(|it| Some(it.purl(&name, version.as_deref()?, architecture.as_deref()?, epoch)));
    Ok(SoftwareRow {
        version: version.map(|it| match epoch {
            Some(epoch) => format!("{epoch}:{it}"),
            None => it,
        }),
        name,
        architecture,
        source: "rpm".to_owned(),
        publisher,
        source_package,
        source_version,
        install_date: installed.and_then(day_of),
        purl,
        module,
        signature_key,
        ..SoftwareRow::default()
    })
}

/// The identifier of the key that signed the package: by the header's own signature, which newer
/// packages have alone, else by that over header and content.
fn signature_key(header: &mut Header<'_, '_>) -> io::Result<Option<String>> {
    if let Some(text) = header.first_text(Tag::OPENPGP)?
        && let Ok(bytes) = BASE64_MIME_PERMISSIVE.decode(text.strip_suffix(&[0]).unwrap_or(&text))
        && let Some(id) = openpgp::key_id(&bytes)
    {
        return Ok(Some(id));
    }
    for tag in [Tag::RSAHEADER, Tag::DSAHEADER, Tag::SIGPGP, Tag::SIGGPG] {
        if let Some(id) = header.signature(tag)?.and_then(|it| openpgp::key_id(&it)) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// `NAME-VERSION-RELEASE.src.rpm`, taken apart from the right: a name may have dashes.
fn source_of(file: &str) -> Option<(String, String)> {
    let stem = [".src.rpm", ".nosrc.rpm"].into_iter().find_map(|it| file.strip_suffix(it))?;
    let (start, release) = stem.rsplit_once('-')?;
    let (name, version) = start.rsplit_once('-')?;
    let is_said = !name.is_empty() && !version.is_empty() && !release.is_empty();
    is_said.then(|| (name.to_owned(), format!("{version}-{release}")))
}

/// The day of a time, in UTC.
fn day_of(seconds: u32) -> Option<String> {
    Some(time::OffsetDateTime::from_unix_timestamp(seconds.into()).ok()?.date().to_string())
}

/// A distribution whose packages have a package URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Distribution {
    /// `ID` of os-release.
    ids: &'static [&'static str],
    /// Namespace of its URLs: by purl-spec the vendor, as its advisories write it.
    namespace: &'static str,
    /// What its own packages say in `Vendor`; another vendor's package is not the distribution's, and
    /// an advisory for those says nothing about it.
    vendors: &'static [&'static str],
}

const DISTRIBUTIONS: [Distribution; 8] = [
    Distribution { ids: &["fedora"], namespace: "fedora", vendors: &["Fedora Project"] },
    Distribution { ids: &["rhel"], namespace: "redhat", vendors: &["Red Hat, Inc."] },
    Distribution { ids: &["centos"], namespace: "centos", vendors: &["CentOS"] },
    Distribution {
        ids: &["rocky"],
        namespace: "rocky",
        vendors: &["Rocky Enterprise Software Foundation", "Rocky"],
    },
    Distribution { ids: &["almalinux"], namespace: "almalinux", vendors: &["AlmaLinux"] },
    Distribution {
        ids: &["opensuse-leap", "opensuse-tumbleweed", "opensuse"],
        namespace: "opensuse",
        vendors: &["openSUSE"],
    },
    Distribution {
        ids: &["sles", "sles_sap", "sled"],
        namespace: "suse",
        vendors: &["SUSE LLC <https://www.suse.com/>", "SUSE Linux GmbH, Nuernberg, Germany"],
    },
    Distribution { ids: &["amzn"], namespace: "amzn", vendors: &["Amazon Linux", "Amazon.com"] },
];

impl Distribution {
    /// The one that os-release names.
    pub(super) fn of(os_id: &str) -> Option<&'static Self> {
        DISTRIBUTIONS.iter().find(|it| it.ids.contains(&os_id))
    }

    fn purl(&self, name: &str, version: &str, architecture: &str, epoch: Option<u32>) -> String {
        let mut url = format!(
            "pkg:rpm/{}/{}@{}?arch={}",
            self.namespace,
            encoded(name),
            encoded(version),
            encoded(architecture)
        );
        if let Some(epoch) = epoch {
            let _ = write!(url, "&epoch={epoch}");
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_taken_apart_from_the_right() {
        let some = |name: &str, version: &str| Some((name.to_owned(), version.to_owned()));
        assert_eq!(
            source_of("java-1.8.0-openjdk-1.8.0.402.b06-2.el8.src.rpm"),
            some("java-1.8.0-openjdk", "1.8.0.402.b06-2.el8")
        );
        assert_eq!(source_of("kernel-5~rc1-1^git.nosrc.rpm"), some("kernel", "5~rc1-1^git"));
        for text in ["(none)", "", "a-1.src.rpm", "-1-2.src.rpm", "a--2.src.rpm", "a-1-2.x86_64.rpm"] {
            assert_eq!(source_of(text), None, "{text}");
        }
    }

    #[test]
    fn an_installation_has_a_day_until_the_counter_ends() {
        assert_eq!(day_of(0).as_deref(), Some("1970-01-01"));
        assert_eq!(day_of(1_696_444_673).as_deref(), Some("2023-10-04"));
        assert_eq!(day_of(u32::MAX).as_deref(), Some("2106-02-07"));
    }

    #[test]
    fn a_distribution_is_one_of_a_few() {
        assert_eq!(Distribution::of("rhel").map(|it| it.namespace), Some("redhat"));
        assert_eq!(Distribution::of("opensuse-leap").map(|it| it.namespace), Some("opensuse"));
        assert_eq!(Distribution::of("debian"), None);
    }
}
