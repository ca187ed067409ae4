//! Hashes and signatures that lie beside a file: `X.sha256`, `X.sha512`, `X.asc`.
//!
//! A hash beside a file shows damage on the way and nothing about who made it. Signatures are not checked: no key
//! is pinned, and a check against a key that came on the same medium would say no more than the hash does.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use aws_lc_rs::digest::{Algorithm, Context, SHA256, SHA512};
use data_encoding::HEXLOWER;

use crate::view::import::MATCHES;

/// Largest companion, in bytes.
const MAX_COMPANION: u64 = 64 * 1024;
/// Bytes that are hashed at once.
const BUFFER: usize = 64 * 1024;
/// Most files of one archive that companions are kept for.
const MAX_KEPT: usize = 100_000;

/// What a companion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Sha256,
    Sha512,
    Signature,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha512, Self::Signature];

    fn suffix(self) -> &'static str {
        match self {
            Self::Sha256 => ".sha256",
            Self::Sha512 => ".sha512",
            Self::Signature => ".asc",
        }
    }

    fn hash(self) -> Option<(&'static str, &'static Algorithm)> {
        match self {
            Self::Sha256 => Some(("SHA-256", &SHA256)),
            Self::Sha512 => Some(("SHA-512", &SHA512)),
            Self::Signature => None,
        }
    }
}

/// A file that is named as a companion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Companion {
    pub(super) kind: Kind,
    /// The name of the file that it is of.
    pub(super) of: String,
}

impl Companion {
    /// Whether a name is that of a companion.
    pub(super) fn named(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find_map(|kind| {
            let of = name.strip_suffix(kind.suffix())?;
            let stem = of.rsplit(['/', '\\']).next().unwrap_or("");
            (!stem.is_empty()).then(|| Self { kind, of: of.to_owned() })
        })
    }
}

/// What lies beside files.
#[derive(Debug, Clone, Default)]
pub(super) struct Companions {
    by_file: BTreeMap<String, BTreeMap<Kind, Said>>,
}

/// What a companion says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    /// This hash, in lower case.
    Hash(String),
    /// Something that is there and is not checked.
    Signature,
    /// No hash of the file.
    Nothing(String),
}

impl Companions {
    /// Those that lie beside a file of this machine.
    pub(super) fn beside(path: &Path) -> Self {
        let mut found = Self::default();
        let of = path.display().to_string();
        for kind in Kind::ALL {
            let mut name = path.as_os_str().to_owned();
            name.push(kind.suffix());
            let Ok(file) = File::open(&name) else { continue };
            let mut bytes = Vec::new();
            let said = match file.take(MAX_COMPANION + 1).read_to_end(&mut bytes) {
                Ok(_) => said(kind, &of, &bytes),
                Err(cause) => Said::Nothing(format!("it cannot be read: {cause}")),
            };
            found.by_file.entry(of.clone()).or_default().insert(kind, said);
        }
        found
    }

    /// Adds one from an archive.
    pub(super) fn add(&mut self, companion: &Companion, bytes: &[u8]) {
        if self.by_file.len() < MAX_KEPT {
            let said = said(companion.kind, &companion.of, bytes);
            self.by_file.entry(companion.of.clone()).or_default().insert(companion.kind, said);
        }
    }

    /// Those of one file alone.
    pub(super) fn of(&self, file: &str) -> Self {
        let own = self.by_file.get_key_value(file);
        Self { by_file: own.into_iter().map(|(name, it)| (name.clone(), it.clone())).collect() }
    }

    /// Whether there is nothing to check.
    pub(super) fn is_empty(&self) -> bool {
        self.by_file.is_empty()
    }

    /// The hashes of a file that something beside it speaks of.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn hashes(&self, mut file: impl Read) -> io::Result<Hashes> {
        let kinds = self.by_file.values().flat_map(BTreeMap::keys);
        let mut open: BTreeMap<Kind, Context> =
            kinds.filter_map(|it| Some((*it, Context::new(it.hash()?.1)))).collect();
        let mut buffer = vec![0; BUFFER];
        while !open.is_empty() {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            for it in open.values_mut() {
                it.update(&buffer[..read]);
            }
        }
        Ok(Hashes(open.into_iter().map(|(kind, it)| (kind, HEXLOWER.encode(it.finish().as_ref()))).collect()))
    }

    /// What each of them shows about a file, by the companion's name.
    pub(super) fn check(&self, shown: &str, hashes: &Hashes) -> Vec<(String, String)> {
        let all = self.by_file.values().flatten();
        all.map(|(kind, said)| {
            let found = match said {
                Said::Hash(hash) if hashes.0.get(kind) == Some(hash) => MATCHES.to_owned(),
                Said::Hash(_) => "does not match".to_owned(),
                Said::Signature => "present, not checked: no key is pinned".to_owned(),
                Said::Nothing(why) => why.clone(),
            };
            (format!("{shown}{}", kind.suffix()), found)
        })
        .collect()
    }

    /// Why a file is not sent; `None` when nothing speaks against it.
    pub(super) fn mismatch(&self, shown: &str, hashes: &Hashes) -> Option<String> {
        self.by_file.values().flatten().find_map(|(kind, said)| {
            let (name, _) = kind.hash()?;
            let beside = format!("{shown}{}", kind.suffix());
            match said {
                Said::Hash(hash) if hashes.0.get(kind) == Some(hash) => None,
                Said::Hash(_) => Some(format!(
                    "its {name} is not the one in {beside}: it was damaged or changed on the way"
                )),
                Said::Nothing(why) => Some(format!("{beside} lies beside it and cannot be used: {why}")),
                Said::Signature => None,
            }
        })
    }
}

/// Hashes of a file, in lower case.
#[derive(Debug, Clone, Default)]
pub(super) struct Hashes(BTreeMap<Kind, String>);

/// Reads a companion: a hash alone, or the lines of `sha512sum` in either of its forms.
fn said(kind: Kind, of: &str, bytes: &[u8]) -> Said {
    let Some((name, algorithm)) = kind.hash() else { return Said::Signature };
    let none = || Said::Nothing(format!("it holds no {name} of this file"));
    if u64::try_from(bytes.len()).map_or(true, |it| it > MAX_COMPANION) {
        return none();
    }
    let text = String::from_utf8_lossy(bytes);
    let digits = 2 * algorithm.output_len();
    let is_hash = |it: &&str| it.len() == digits && it.bytes().all(|it| it.is_ascii_hexdigit());
    let file = of.rsplit(['/', '\\']).next().unwrap_or(of);
    let lines: Vec<(&str, &str)> =
        text.lines().filter_map(|line| Some((line, line.split_whitespace().find(is_hash)?))).collect();
    let own = match lines.as_slice() {
        [(_, only)] => Some(*only),
        several => several.iter().find(|(line, _)| names(line, file)).map(|it| it.1),
    };
    own.map_or_else(none, |it| Said::Hash(it.to_ascii_lowercase()))
}

/// Whether a line is about that file.
fn names(line: &str, file: &str) -> bool {
    let words = line.split(|it: char| it.is_whitespace() || matches!(it, '*' | '(' | ')'));
    words.filter_map(|it| it.rsplit('/').next()).any(|it| it == file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn beside(text: &str) -> Companions {
        let mut found = Companions::default();
        found.add(&Companion { kind: Kind::Sha256, of: "dir/a.json".to_owned() }, text.as_bytes());
        found
    }

    fn mismatch(companions: &Companions, bytes: &[u8]) -> Option<String> {
        companions.mismatch("a.json", &companions.hashes(bytes).unwrap())
    }

    #[test]
    fn a_hash_is_read_in_each_form_that_tools_write() {
        for text in [
            EMPTY.to_owned(),
            format!("{EMPTY}  a.json\n"),
            format!("{} *./x/a.json\r\n", EMPTY.to_uppercase()),
            format!("SHA256 (a.json) = {EMPTY}\n"),
            format!("{}  b.json\n{EMPTY}  a.json\n", "0".repeat(64)),
        ] {
            let found = beside(&text);
            assert_eq!(mismatch(&found, b""), None, "{text}");
            let checked = found.check("a.json", &found.hashes(&b""[..]).unwrap());
            assert_eq!(checked, [("a.json.sha256".to_owned(), MATCHES.to_owned())]);
            assert!(
                mismatch(&found, b"x").unwrap().starts_with("its SHA-256 is not the one in a.json.sha256")
            );
        }
    }

    #[test]
    fn a_companion_without_a_hash_of_the_file_is_no_consent() {
        let lists = format!("{EMPTY}  b.json\n{EMPTY}  c.json\n");
        for text in ["", "yes", &EMPTY[1..], &lists, &"0".repeat(1_000_000)] {
            let why = mismatch(&beside(text), b"").unwrap();
            assert!(why.contains("it holds no SHA-256 of this file"), "{why}");
        }
    }

    #[test]
    fn a_signature_is_mentioned_and_never_said_to_be_good() {
        let mut found = Companions::default();
        found.add(&Companion::named("a.json.asc").unwrap(), b"-----BEGIN PGP SIGNATURE-----");
        assert_eq!(mismatch(&found, b"x"), None);
        let told = found.check("a.json", &Hashes::default());
        assert_eq!(told[0].1, "present, not checked: no key is pinned");
        assert!(found.of("b.json").is_empty());
    }

    #[test]
    fn only_what_is_named_after_a_file_is_a_companion() {
        let of = |name: &str| Companion::named(name).map(|it| it.of);
        assert_eq!(of("x/a.json.sha512").as_deref(), Some("x/a.json"));
        assert_eq!(of("a.json"), None);
        assert_eq!(of("x/.asc"), None);
        assert_eq!(of(".sha256"), None);
    }
}
