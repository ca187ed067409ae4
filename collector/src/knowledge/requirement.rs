//! The site's own requirements: "product P must be at least V", "the build must be at least B".
//!
//! Source of truth: CSV files with a header, and TOML files with `[[requirement]]` tables of the
//! same keys. Nothing is guessed: a version without a scheme, or one that its scheme cannot read,
//! refuses its line; a column that is not known refuses the file by its name.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint_common::version::{Comparison, Scheme};

use super::pattern::{InvalidPattern, Pattern};
use super::skipped::Skipped;
use super::text::shown;

/// Most requirements of one file.
pub const MAX_REQUIREMENTS: usize = 20_000;
/// Longest value, in bytes.
pub const MAX_VALUE: usize = 1_000;
/// Longest identifier, in bytes.
pub const MAX_ID: usize = 100;
/// The product whose build is the running kernel.
pub const KERNEL: &str = "kernel";

const KEYS: [&str; 10] =
    ["id", "product", "source", "match", "min_version", "min_build", "scheme", "role", "reference", "title"];

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The site's identifier; the subject of its findings.
    pub id: String,
    /// What has to be new enough.
    pub wanted: Wanted,
    /// The oldest version that will do.
    pub minimum: String,
    /// Whose order decides.
    pub scheme: Scheme,
    /// Only assets of this role; `None` for all.
    pub role: Option<String>,
    /// Where the requirement comes from.
    pub reference: Option<String>,
    /// A few words for people.
    pub title: Option<String>,
}

/// What a requirement looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Installed software.
    Software {
        /// The whole name.
        name: Pattern,
        /// Which name.
        by: NameKind,
        /// Only rows of this source (`dpkg`, `registry64`); `None` for all.
        source: Option<String>,
    },
    /// The build of the operating system whose name matches.
    Build {
        /// The whole `os_name`.
        os: Pattern,
    },
    /// The kernel that runs.
    Kernel,
}

/// Which name of a software row a pattern is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// The installed name.
    Name,
    /// The source package, where the row has one; else the name, which is then both.
    SourcePackage,
}

impl Requirement {
    /// What is required, for a table.
    pub fn required(&self) -> String {
        format!(">= {}", self.minimum)
    }

    /// The product as the requirement writes it.
    pub fn product(&self) -> &str {
        match &self.wanted {
            Wanted::Software { name, .. } => name.as_str(),
            Wanted::Build { os } => os.as_str(),
            Wanted::Kernel => KERNEL,
        }
    }
}

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequirements {
    /// Bytes that are no text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// A heading that means nothing here, probably a typing error.
    #[error("the column `{0}` is not known; known are {known}", known = KEYS.join(", "))]
    UnknownColumn(String),
    /// The same heading twice.
    #[error("the column `{0}` is there twice")]
    DoubledColumn(String),
    /// A heading that is needed.
    #[error("the column `{0}` is missing")]
    MissingColumn(&'static str),
    /// The CSV or TOML cannot be read.
    #[error("it cannot be read: {0}")]
    Syntax(String),
    /// Nothing in it can be used.
    #[error("it holds no usable requirement{}", .0.as_ref().map(|it| format!("; {it}")).unwrap_or_default())]
    Empty(Option<String>),
    /// More than a site can mean.
    #[error("it has more than {MAX_REQUIREMENTS} requirements")]
    TooMany,
}

/// Why one requirement is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum InvalidRequirement {
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{key}` is longer than {max} bytes")]
    TooLong { key: &'static str, max: usize },
    #[error("the id may not contain blanks, control characters or a slash")]
    Id,
    #[error("the id `{0}` was given before")]
    DoubledId(String),
    #[error("give either min_version or min_build, not both")]
    Both,
    #[error("{0}")]
    Product(#[from] InvalidPattern),
    #[error("the product `*` would match everything that is installed")]
    Everything,
    #[error("`match` is neither `name` nor `source_package`")]
    Match,
    #[error("a kernel has no source package and no source")]
    NotSoftware,
    #[error("{0}")]
    Scheme(String),
    #[error("`{minimum}` is no {scheme} version: {why}")]
    Minimum { minimum: String, scheme: Scheme, why: String },
    #[error("`{0}` is not a known key")]
    UnknownKey(String),
    #[error("`{0}` is not text")]
    NotText(String),
    #[error("the line has more fields than the header")]
    Fields,
}

/// What a file holds: the requirements, and what was left out with its line or number.
pub type Requirements = (Vec<Requirement>, Vec<String>);

/// Whether bytes look like a requirements file: `Some(true)` for TOML, `Some(false)` for CSV.
pub fn looks_like_toml(text: &str) -> Option<bool> {
    let lines = || text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    if lines().any(|it| it.replace(' ', "") == "[[requirement]]") {
        return Some(true);
    }
    let header = lines().next()?.to_lowercase();
    let columns: Vec<&str> = header.split(',').map(|it| it.trim().trim_matches('"')).collect();
    (columns.contains(&"id") && columns.contains(&"product")).then_some(false)
}

/// Reads a CSV file. Columns may come in any order; lines that start with `#` are comments.
pub fn read_csv(bytes: &[u8]) -> Result<Requirements, InvalidRequirements> {
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).comment(Some(b'#')).trim(csv::Trim::All).from_reader(bytes);
    let syntax = |error: csv::Error| InvalidRequirements::Syntax(shown(&error.to_string(), 200));
    let mut columns: Vec<&'static str> = Vec::new();
    for heading in reader.headers().map_err(syntax)? {
        let lower = heading.to_lowercase();
        let Some(key) = KEYS.into_iter().find(|it| *it == lower) else {
            return Err(InvalidRequirements::UnknownColumn(shown(heading, 60)));
        };
        if columns.contains(&key) {
            return Err(InvalidRequirements::DoubledColumn(key.to_owned()));
        }
        columns.push(key);
    }
    if let Some(missing) = ["id", "product"].into_iter().find(|it| !columns.contains(it)) {
        return Err(InvalidRequirements::MissingColumn(missing));
    }
    let mut taken = Taken::default();
    for record in reader.into_records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or_else(|| "?".to_owned(), |it| it.line().to_string());
                taken.skipped.at(&format!("line {line}"), &shown(&error.to_string(), 200));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let read = if record.len() > columns.len() {
            Err(InvalidRequirement::Fields)
        } else {
            let pairs = columns.iter().zip(&record).filter(|(_, value)| !value.is_empty());
            Ok(pairs.map(|(key, value)| (*key, value.to_owned())).collect())
        };
        taken.take(&format!("line {line}"), read)?;
    }
    taken.finish()
}

/// Reads a TOML file.
pub fn read_toml(text: &str) -> Result<Requirements, InvalidRequirements> {
    let syntax = |why: &str| InvalidRequirements::Syntax(shown(why, 200));
    let mut file: toml::Table = text.parse().map_err(|it: toml::de::Error| syntax(it.message()))?;
    let Some(toml::Value::Array(listed)) = file.remove("requirement") else {
        return Err(syntax("`requirement` is no list of tables"));
    };
    if let Some(key) = file.keys().next() {
        return Err(InvalidRequirements::UnknownColumn(shown(key, 60)));
    }
    let mut taken = Taken::default();
    for (index, entry) in listed.into_iter().enumerate() {
        let place = format!("requirement {}", index + 1);
        match entry {
            toml::Value::Table(table) => taken.take(&place, fields_of(table))?,
            toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_) => return Err(syntax("`requirement` is no list of tables")),
        }
    }
    taken.finish()
}

/// One requirement out of a table of another file, under an id that the file gives: what it looks at, the oldest
/// version that will do, and its scheme.
///
/// # Errors
/// One sentence on the first fault.
pub(crate) fn read_inside(table: toml::Table, id: &str) -> Result<Requirement, String> {
    const ELSEWHERE: [&str; 4] = ["id", "role", "reference", "title"];
    if let Some(key) = table.keys().find(|it| ELSEWHERE.contains(&it.as_str())) {
        return Err(InvalidRequirement::UnknownKey(key.clone()).to_string());
    }
    let mut fields = fields_of(table).map_err(|it| it.to_string())?;
    fields.insert("id", id.to_owned());
    requirement(fields).map_err(|it| it.to_string())
}

type Fields = BTreeMap<&'static str, String>;

fn fields_of(table: toml::Table) -> Result<Fields, InvalidRequirement> {
    let mut fields = Fields::new();
    for (key, value) in table {
        let Some(known) = KEYS.into_iter().find(|it| *it == key) else {
            return Err(InvalidRequirement::UnknownKey(shown(&key, 60)));
        };
        let toml::Value::String(text) = value else {
            return Err(InvalidRequirement::NotText(known.to_owned()));
        };
        if !text.trim().is_empty() {
            fields.insert(known, text.trim().to_owned());
        }
    }
    Ok(fields)
}

/// What was read so far.
#[derive(Default)]
struct Taken {
    found: Vec<Requirement>,
    ids: BTreeSet<String>,
    skipped: Skipped,
}

impl Taken {
    fn take(
        &mut self,
        place: &str,
        fields: Result<Fields, InvalidRequirement>,
    ) -> Result<(), InvalidRequirements> {
        if self.found.len() == MAX_REQUIREMENTS {
            return Err(InvalidRequirements::TooMany);
        }
        match fields.and_then(requirement) {
            Ok(requirement) if !self.ids.insert(requirement.id.clone()) => {
                self.skipped.at(place, &InvalidRequirement::DoubledId(requirement.id).to_string());
            }
            Ok(requirement) => self.found.push(requirement),
            Err(why) => self.skipped.at(place, &why.to_string()),
        }
        Ok(())
    }

    fn finish(self) -> Result<Requirements, InvalidRequirements> {
        if self.found.is_empty() {
            return Err(InvalidRequirements::Empty(self.skipped.first().map(str::to_owned)));
        }
        Ok((self.found, self.skipped.into_lines()))
    }
}

fn requirement(mut fields: Fields) -> Result<Requirement, InvalidRequirement> {
    for (key, value) in &fields {
        if value.len() > MAX_VALUE {
            return Err(InvalidRequirement::TooLong { key, max: MAX_VALUE });
        }
    }
    let mut text = |key: &'static str| fields.remove(key);
    let id = text("id").ok_or(InvalidRequirement::Missing("id"))?;
    if id.len() > MAX_ID {
        return Err(InvalidRequirement::TooLong { key: "id", max: MAX_ID });
    }
    if id.chars().any(|it| it.is_control() || it.is_whitespace() || it == '/') {
        return Err(InvalidRequirement::Id);
    }
    let product = text("product").ok_or(InvalidRequirement::Missing("product"))?;
    let pattern = Pattern::new(&product)?;
    let by = match text("match").as_deref() {
        None | Some("name") => NameKind::Name,
        Some("source_package") => NameKind::SourcePackage,
        Some(_) => return Err(InvalidRequirement::Match),
    };
    let source = text("source");
    let (wanted, minimum, default_scheme) = match (text("min_version"), text("min_build")) {
        (Some(_), Some(_)) => return Err(InvalidRequirement::Both),
        (None, None) => return Err(InvalidRequirement::Missing("min_version")),
        (Some(_), None) if pattern.is_anything() => return Err(InvalidRequirement::Everything),
        (Some(minimum), None) => (Wanted::Software { name: pattern, by, source }, minimum, None),
        (None, Some(_)) if by != NameKind::Name || source.is_some() => {
            return Err(InvalidRequirement::NotSoftware);
        }
        (None, Some(minimum)) if product.eq_ignore_ascii_case(KERNEL) => (Wanted::Kernel, minimum, None),
        (None, Some(minimum)) => (Wanted::Build { os: pattern }, minimum, Some(Scheme::Win4)),
    };
    let scheme = match text("scheme") {
        Some(name) => name.parse().map_err(|it: holdpoint_common::version::UnknownScheme| {
            InvalidRequirement::Scheme(it.to_string())
        })?,
        None => default_scheme.ok_or(InvalidRequirement::Missing("scheme"))?,
    };
    // A version that cannot stand beside itself will never be met by any host.
    if let Comparison::NotComparable(why) = scheme.compare(&minimum, &minimum) {
        let minimum = shown(&minimum, 60);
        return Err(InvalidRequirement::Minimum { minimum, scheme, why: shown(&why.to_string(), 200) });
    }
    Ok(Requirement {
        id,
        wanted,
        minimum,
        scheme,
        role: text("role"),
        reference: text("reference"),
        title: text("title"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "\
product,id,min_version,scheme,role,match,reference,title
# the site's list of May
openssl*,SSL-1,3.0.11-1~deb12u2,deb,,,DSA-5532,Patched TLS
\"linux, image\",BAD-1,1.0,deb,,,,
curl,CURL,8.0,semver,hmi,source_package,,
curl,CURL,8.1,semver,,,,
zlib,ZLIB,1.3,,,,,
bash,,5.2,deb,,,,
wincc,WINCC,V7.5 SP2 Update 5,natural,,,,
vim,VIM,not a version,deb,,,,
";

    #[test]
    fn a_bad_line_is_named_and_the_rest_is_taken() {
        let (found, skipped) = read_csv(CSV.as_bytes()).unwrap();
        let ids: Vec<_> = found.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["SSL-1", "BAD-1", "CURL", "WINCC"]);
        assert_eq!(found[2].role.as_deref(), Some("hmi"));
        assert!(matches!(found[2].wanted, Wanted::Software { by: NameKind::SourcePackage, .. }));
        assert_eq!(found[0].required(), ">= 3.0.11-1~deb12u2");
        assert_eq!(skipped.len(), 4, "{skipped:?}");
        assert!(skipped[0].starts_with("line 6: the id `CURL`"), "{skipped:?}");
        assert!(skipped[1].starts_with("line 7: `scheme` is missing"), "{skipped:?}");
        assert!(skipped[2].starts_with("line 8: `id` is missing"), "{skipped:?}");
        assert!(skipped[3].starts_with("line 10: `not a version` is no deb version"), "{skipped:?}");
    }

    #[test]
    fn an_unknown_column_refuses_the_file_by_name() {
        let error = read_csv(b"id,product,min_vesion,scheme\nA,b,1,deb\n").unwrap_err();
        assert_eq!(error, InvalidRequirements::UnknownColumn("min_vesion".into()));
        assert_eq!(
            read_csv(b"id,id,product\n").unwrap_err(),
            InvalidRequirements::DoubledColumn("id".into())
        );
        assert_eq!(read_csv(b"id,scheme\n").unwrap_err(), InvalidRequirements::MissingColumn("product"));
        assert!(matches!(read_csv(b"id,product\n"), Err(InvalidRequirements::Empty(None))));
    }

    #[test]
    fn toml_says_the_same_as_csv() {
        let text = "[[requirement]]\nid = \"B\"\nproduct = \"Microsoft Windows 10*\"\nmin_build = \"10.0.19045.5131\"\n\
                    [[requirement]]\nid = \"K\"\nproduct = \"kernel\"\nmin_build = \"6.1.0-18\"\nscheme = \"natural\"\n\
                    [[requirement]]\nid = \"X\"\nprodukt = \"a\"\n";
        assert_eq!(looks_like_toml(text), Some(true));
        let (found, skipped) = read_toml(text).unwrap();
        assert!(matches!(found[0].wanted, Wanted::Build { .. }));
        assert_eq!(found[0].scheme, Scheme::Win4);
        assert_eq!(found[1].wanted, Wanted::Kernel);
        assert_eq!(skipped, ["requirement 3: `produkt` is not a known key"]);
        assert!(matches!(read_toml("requirement = 3"), Err(InvalidRequirements::Syntax(_))));
        assert!(matches!(read_toml("[[requirement]"), Err(InvalidRequirements::Syntax(_))));
    }

    #[test]
    fn a_requirement_that_would_match_everything_is_left_out() {
        let error = read_csv(b"id,product,min_version,scheme\nA,*,1,deb\n").unwrap_err();
        assert!(error.to_string().contains("would match everything"), "{error}");
    }

    #[test]
    fn a_csv_is_recognised_by_its_header() {
        assert_eq!(looks_like_toml("# c\n\"Product\", ID ,scheme\n"), Some(false));
        assert_eq!(looks_like_toml("a,b,c\n"), None);
        assert_eq!(looks_like_toml(""), None);
    }
}
