//! What a product says of itself, in files that are made for that.
//!
//! Sources of truth, in the order in which they are asked: a JDK's `release`; `package.json` (npm);
//! `product-info.json` (`JetBrains`); `application.ini` (Mozilla); files called VERSION or RELEASE.
//! A `.desktop` file is not asked: its `Version` is that of the desktop specification. Nothing is
//! made up: where a file can be read in two ways, it says nothing.

use serde::Deserialize;

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `JAVA_VERSION="17.0.8"`.
    Jdk,
    /// `{"name": .., "version": ..}`.
    Json,
    /// `[App]`, `Vendor=`, `Name=`, `Version=`.
    Mozilla,
    /// A version in the first line, or `version = ..`.
    Text,
}

/// The files of a product's directory that may say its version.
pub(super) const FILES: [(&str, Format); 15] = [
    ("release", Format::Jdk),
    ("package.json", Format::Json),
    ("product-info.json", Format::Json),
    ("application.ini", Format::Mozilla),
    ("VERSION", Format::Text),
    ("VERSION.txt", Format::Text),
    ("Version.txt", Format::Text),
    ("version.txt", Format::Text),
    ("Version", Format::Text),
    ("version", Format::Text),
    ("version.properties", Format::Text),
    ("RELEASE", Format::Text),
    ("RELEASE.txt", Format::Text),
    ("release.txt", Format::Text),
    ("release", Format::Text),
];

/// What was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) publisher: Option<String>,
}

/// Longest version that is taken.
const MAX_VERSION: usize = 128;
const MAX_NAME: usize = 256;
/// Lines of a text in which a version is looked for.
const MAX_LINES: usize = 64;

/// Reads a file; without a version in it nothing else counts.
pub(super) fn parse(format: Format, bytes: &[u8]) -> Option<Said> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let said = match format {
        Format::Jdk => jdk(text),
        Format::Json => json(text),
        Format::Mozilla => mozilla(text),
        Format::Text => Said { version: plain(text), ..Said::default() },
    };
    said.version.is_some().then_some(said)
}

fn jdk(text: &str) -> Said {
    let value = |key| text.lines().find_map(|it| value_of(it, key)).and_then(|it| bounded(&it, MAX_NAME));
    Said { name: None, version: value("JAVA_VERSION"), publisher: value("IMPLEMENTOR") }
}

fn json(text: &str) -> Said {
    #[derive(Deserialize)]
    struct Package {
        name: Option<String>,
        version: Option<String>,
    }
    let Ok(Package { name, version }) = serde_json::from_str(text) else { return Said::default() };
    let name = name.and_then(|it| bounded(&it, MAX_NAME));
    Said { name, version: version.and_then(|it| bounded(&it, MAX_VERSION)), publisher: None }
}

fn mozilla(text: &str) -> Said {
    let app = text
        .lines()
        .map(str::trim)
        .skip_while(|it| *it != "[App]")
        .skip(1)
        .take_while(|it| !it.starts_with('['))
        .collect::<Vec<_>>();
    let value = |key| app.iter().find_map(|it| value_of(it, key)).and_then(|it| bounded(&it, MAX_NAME));
    Said { name: value("Name"), version: value("Version"), publisher: value("Vendor") }
}

/// A version in a file that is called after it: the value of a key that ends with `version`, else
/// the first line when it is one word with a digit, or has one word that looks like a version.
fn plain(text: &str) -> Option<String> {
    let lines =
        || text.lines().take(MAX_LINES).map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    for line in lines() {
        if let Some((key, value)) = line.split_once(['=', ':'])
            && key.trim().to_ascii_lowercase().rsplit(['.', '_', '-', ' ']).next() == Some("version")
        {
            return bounded(unquoted(value), MAX_VERSION)
                .filter(|it| it.contains(|c: char| c.is_ascii_digit()));
        }
    }
    let first = lines().next()?;
    let words: Vec<&str> = first.split_whitespace().collect();
    if let [only] = words.as_slice() {
        return bounded(only, MAX_VERSION).filter(|it| it.contains(|c: char| c.is_ascii_digit()));
    }
    let mut versions = words.into_iter().filter(|it| looks_like_a_version(it));
    match (versions.next(), versions.next()) {
        (Some(version), None) => bounded(version, MAX_VERSION),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

/// `1.2`, `v1.2.3-rc1`: digits, a dot, and more; no date and no address.
fn looks_like_a_version(word: &str) -> bool {
    let word = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let word = word.trim_end_matches([',', ';']);
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.contains('.')
        && !word.ends_with('.')
        && word.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_' | '+' | '~'))
}

/// The value of `KEY=value`, without quotes.
fn value_of(line: &str, key: &str) -> Option<String> {
    let value = line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?;
    Some(unquoted(value).to_owned())
}

fn unquoted(value: &str) -> &str {
    let value = value.trim().trim_end_matches([',', ';']).trim_end();
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
        .trim()
}

/// Text of one line that says something and is not too long for it.
pub(super) fn bounded(text: &str, max_bytes: usize) -> Option<String> {
    let text = text.trim().trim_end_matches([',', ';']);
    let is_fine = !text.is_empty() && text.len() <= max_bytes && !text.contains(char::is_control);
    (is_fine && !text.contains('\u{fffd}')).then(|| text.to_owned())
}

/// `Name` and `Version` of a Python distribution's METADATA or PKG-INFO.
pub(super) fn python(bytes: &[u8]) -> Said {
    let text = String::from_utf8_lossy(bytes);
    let mut said = Said::default();
    // The text below the empty line is the author's.
    for line in text.lines().take_while(|it| !it.trim().is_empty()) {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name {
            "Name" => said.name = bounded(value, MAX_NAME),
            "Version" => said.version = bounded(value, MAX_VERSION),
            _ => {}
        }
    }
    said
}

/// `Version` of a `.pc` file of pkg-config; `None` also when it is composed of variables.
pub(super) fn pkg_config(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let version = text.lines().find_map(|it| it.trim().strip_prefix("Version:"))?;
    bounded(version, MAX_VERSION).filter(|it| !it.contains('$'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Option<String> {
        parse(Format::Text, text.as_bytes())?.version
    }

    #[test]
    fn a_version_file_says_one_version_or_none() {
        for (content, version) in [
            ("1.2.3\n", "1.2.3"),
            ("go1.21.3\ntime 2023-10-09T17:04:35Z\n", "go1.21.3"),
            ("\u{feff}7.5.2-hotfix4\r\n", "7.5.2-hotfix4"),
            ("# made by the build\nversion=8.1.33\n", "8.1.33"),
            ("product.name=Historian\nproduct.version = \"2023.1\"\n", "2023.1"),
            ("Product: Historian\nVersion: 5.1 SP2\n", "5.1 SP2"),
            ("Ignition 8.1.33 (b2023101913)\n", "8.1.33"),
            ("42\n", "42"),
        ] {
            assert_eq!(text(content).as_deref(), Some(version), "{content:?}");
        }
        for content in [
            "",
            "\n\n",
            "stable\n",
            "see readme for details\n",
            "1.2 and 1.3\n",
            "version=\n",
            "version=unknown\n",
            "\x01\x02\x03.1\n",
            "conversion=1.5 b\n",
        ] {
            assert_eq!(text(content), None, "{content:?}");
        }
        assert_eq!(text(&"1".repeat(200)), None);
    }

    #[test]
    fn every_format_gives_its_fields() {
        let said = |name: Option<&str>, version: &str, publisher: Option<&str>| {
            let own = |it: Option<&str>| it.map(str::to_owned);
            Some(Said { name: own(name), version: own(Some(version)), publisher: own(publisher) })
        };
        let jdk = b"IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_VERSION=\"17.0.8\"\n";
        assert_eq!(parse(Format::Jdk, jdk), said(None, "17.0.8", Some("Eclipse Adoptium")));
        let json = br#"{"name": "node-red", "version": "3.1.0", "scripts": {}}"#;
        assert_eq!(parse(Format::Json, json), said(Some("node-red"), "3.1.0", None));
        let ini =
            b"[Gecko]\nVersion=1\n[App]\nVendor=Mozilla\nName=Firefox\nVersion=115.4.0\n[XRE]\nName=x\n";
        assert_eq!(parse(Format::Mozilla, ini), said(Some("Firefox"), "115.4.0", Some("Mozilla")));
        for (format, bytes) in [
            (Format::Jdk, &b"Fedora release 39"[..]),
            (Format::Json, b"{\"version\": 3}"),
            (Format::Json, b"[1]"),
            (Format::Mozilla, b"[App]\nName=x\n[Other]\nVersion=1\n"),
        ] {
            assert_eq!(parse(format, bytes), None);
        }
    }

    #[test]
    fn distributions_and_libraries_say_name_and_version() {
        let said = python(b"Metadata-Version: 2.1\nName: pymodbus\nVersion: 3.5.4\n\nVersion: 9\n");
        assert_eq!((said.name.as_deref(), said.version.as_deref()), (Some("pymodbus"), Some("3.5.4")));
        assert_eq!(
            pkg_config(b"prefix=/usr/local\nName: OpenSSL\nVersion: 3.0.2\n").as_deref(),
            Some("3.0.2")
        );
        assert_eq!(pkg_config(b"v=1\nVersion: ${v}\n"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics_or_gives_an_odd_version(text in "\\PC{0,80}|[vV0-9.=: \n\r\u{0}-]{0,40}") {
            for (_, format) in FILES {
                if let Some(said) = parse(format, text.as_bytes()) {
                    let version = said.version.unwrap();
                    prop_assert!(!version.is_empty() && version.len() <= MAX_NAME && version.trim() == version);
                }
            }
        }
    }
}
