//! Suppliers' statements as XML in the form of IEC TR 62443-2-3 ("vendor patch compatibility").
//!
//! The schema is not public. This is an adapter over element names as they are remembered, whatever their case and
//! namespace: it takes what it recognises and says what it left out. No document type and no entity beyond the five
//! that XML itself has; depth, elements and lengths are bounded while reading.

use std::collections::BTreeMap;

use super::skipped::Skipped;
use super::statement::{InvalidStatements, MAX_STATEMENTS, Read, Statement, SupplierState, finish};
use super::text::shown;
use super::xml::{self, Attributes, InvalidXml, MAX_TEXT, Visitor};

/// Most elements.
const MAX_ELEMENTS: usize = 2_000_000;

/// Names of the outermost element.
const ROOTS: [&str; 5] =
    ["vpc", "vpcfile", "vendorpatchcompatibility", "vendorpatchcompatibilityfile", "patchcompatibility"];
/// Names of an element that states one patch.
const PATCHES: [&str; 6] =
    ["patch", "patchdata", "patchinfo", "patchentry", "vendorpatch", "patchinformation"];
/// Names of an element that holds a product's patches.
const PRODUCTS: [&str; 4] = ["product", "vendorproduct", "productdata", "productinfo"];
/// Names of values, by what they mean.
const FIELDS: [(&str, &[&str]); 9] = [
    ("vendor", &["vendor", "vendorname", "productvendor", "vendorproductvendor"]),
    ("product", &["productname", "vendorproductname", "productid", "name"]),
    ("version", &["productversion", "vendorproductversion", "version"]),
    ("patch", &["patchid", "patchnumber", "kbnumber", "kb", "id", "number"]),
    ("title", &["patchname", "patchtitle", "title"]),
    ("state", &["patchstatus", "status", "vendorstatus", "approvalstatus", "state"]),
    ("date", &["statusdate", "patchstatusdate", "date"]),
    ("superseded_by", &["supersededby", "replacedby"]),
    ("conditions", &["conditions", "comments", "comment", "restrictions"]),
];

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVpc {
    /// Not XML that is read here.
    #[error(transparent)]
    Xml(#[from] InvalidXml),
    /// Too many elements.
    #[error("it has more than {MAX_ELEMENTS} elements")]
    TooMany,
    /// A value that is too long.
    #[error("a value is longer than {MAX_TEXT} bytes")]
    TooLong,
}

type Fields = BTreeMap<&'static str, String>;

/// Reads a file when its outermost element is one of this form.
pub fn recognise(text: &str) -> Option<Read> {
    let mut document = Document::default();
    let read = xml::walk(text.as_bytes(), &mut document);
    match read {
        Err(Stop::OtherForm) => None,
        // What breaks before its first element is of this form only if it names one.
        Err(Stop::Because(_)) if document.elements == 0 && !names_a_root(text) => None,
        Err(Stop::Because(why)) => Some(Err(why)),
        Ok(()) => Some(finish(None, document.stated, document.skipped)),
    }
}

/// Why no more is read.
enum Stop {
    /// The outermost element is another one.
    OtherForm,
    Because(InvalidStatements),
}

impl From<InvalidXml> for Stop {
    fn from(why: InvalidXml) -> Self {
        Self::Because(InvalidVpc::Xml(why).into())
    }
}

impl From<InvalidVpc> for Stop {
    fn from(why: InvalidVpc) -> Self {
        Self::Because(why.into())
    }
}

/// What was read so far.
#[derive(Default)]
struct Document {
    /// Of every element that is open: for a patch, a product and the outermost one, the values inside.
    open: Vec<Option<Fields>>,
    stated: Vec<Statement>,
    skipped: Skipped,
    elements: usize,
    patches: u32,
}

impl Document {
    /// Adds a value to the innermost element that holds any.
    fn put(&mut self, field: &'static str, value: &str) {
        if let Some(holder) = self.open.iter_mut().rev().find_map(Option::as_mut) {
            holder.entry(field).or_insert_with(|| value.trim().to_owned());
        }
    }

    /// Takes a patch with what stands around it.
    fn take(&mut self, own: &Fields) -> Result<(), InvalidStatements> {
        self.patches += 1;
        let place = format!("patch {}", self.patches);
        if self.stated.len() == MAX_STATEMENTS {
            return Err(InvalidStatements::TooMany);
        }
        let around = |name: &str| {
            let outer = || self.open.iter().rev().find_map(|it| it.as_ref()?.get(name).cloned());
            own.get(name).cloned().or_else(outer)
        };
        let Some(patch) = own.get("patch").or_else(|| own.get("title")).cloned() else {
            self.skipped.at(&place, "it names no patch");
            return Ok(());
        };
        let raw = own.get("state").cloned().unwrap_or_default();
        let state = state_of(&raw);
        let statement = Statement {
            vendor: around("vendor").unwrap_or_default(),
            product: around("product").unwrap_or_default(),
            versions: around("version"),
            patch,
            state,
            conditions: own.get("conditions").cloned(),
            date: own.get("date").cloned(),
            superseded_by: own.get("superseded_by").cloned(),
            note: own.get("title").cloned(),
            raw,
        };
        if state == SupplierState::Undetermined {
            let word = shown(&statement.raw, 60);
            self.skipped.at(&place, &format!("`{word}` is a word that is not known: taken as Undetermined"));
        }
        self.stated.push(statement);
        Ok(())
    }
}

impl Visitor for Document {
    type Error = Stop;

    fn open(&mut self, path: &[Box<str>], name: &str, attributes: &Attributes<'_>) -> Result<(), Stop> {
        let name = plain(name);
        if path.is_empty() && !ROOTS.contains(&name.as_str()) {
            return Err(Stop::OtherForm);
        }
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(InvalidVpc::TooMany.into());
        }
        let holds = path.is_empty() || PATCHES.contains(&name.as_str()) || PRODUCTS.contains(&name.as_str());
        self.open.push(holds.then(Fields::new));
        for attribute in attributes.all() {
            let (name, value) = attribute?;
            if value.len() > MAX_TEXT {
                return Err(InvalidVpc::TooLong.into());
            }
            if let Some(field) = field_of(&plain(&name)) {
                self.put(field, &value);
            }
        }
        Ok(())
    }

    fn close(&mut self, _: &[Box<str>], name: &str, text: &str) -> Result<(), Stop> {
        let Some(own) = self.open.pop() else { return Ok(()) };
        let name = plain(name);
        let says_nothing = own.as_ref().is_none_or(BTreeMap::is_empty);
        if !text.is_empty()
            && says_nothing
            && let Some(field) = field_of(&name).or_else(|| leaf_of(&name))
        {
            self.put(field, text);
            return Ok(());
        }
        match own {
            Some(own) if PATCHES.contains(&name.as_str()) => self.take(&own).map_err(Stop::Because),
            Some(_) | None => Ok(()),
        }
    }

    fn cut(&mut self) -> Result<(), Stop> {
        Err(InvalidVpc::TooLong.into())
    }
}

/// The words of the report, whatever their case and blanks. Silence is no statement.
fn state_of(raw: &str) -> SupplierState {
    match plain(raw).as_str() {
        "" => SupplierState::NoStatement,
        "available" => SupplierState::Available,
        "intest" => SupplierState::InTest,
        "notapproved" => SupplierState::NotApproved,
        "notapplicable" => SupplierState::NotApplicable,
        "approved" => SupplierState::Approved,
        "released" => SupplierState::Released,
        "superseded" => SupplierState::Superseded,
        "withdrawn" => SupplierState::Withdrawn,
        _ => SupplierState::Undetermined,
    }
}

/// Whether one of the first elements is an outermost one of this form, whatever stands before it.
fn names_a_root(text: &str) -> bool {
    text.split('<').take(200).any(|it| {
        let name = it.split(|it: char| it.is_whitespace() || it == '>' || it == '/').next().unwrap_or("");
        ROOTS.contains(&plain(name.rsplit(':').next().unwrap_or("")).as_str())
    })
}

/// A product and a patch may stand there as plain text.
fn leaf_of(name: &str) -> Option<&'static str> {
    if PRODUCTS.contains(&name) {
        Some("product")
    } else if PATCHES.contains(&name) {
        Some("patch")
    } else {
        None
    }
}

fn field_of(name: &str) -> Option<&'static str> {
    FIELDS.iter().find(|it| it.1.contains(&name)).map(|it| it.0)
}

/// A name without case and punctuation.
fn plain(name: &str) -> String {
    name.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"<?xml version="1.0"?>
<v:VPCFile xmlns:v="urn:example" vendor="Example Controls">
  <v:Product><v:ProductName>Mixer &amp; Studio</v:ProductName><v:ProductVersion>7.5</v:ProductVersion>
    <v:Patch><v:PatchID>KB5031356</v:PatchID><v:PatchStatus>Approved</v:PatchStatus>
      <v:StatusDate>2026-10-01</v:StatusDate></v:Patch>
    <v:Patch PatchID="KB5031357" PatchStatus="In Test"/>
    <v:Patch><v:PatchID>KB5031358</v:PatchID></v:Patch>
    <v:Patch><v:PatchID>KB5031359</v:PatchID><v:PatchStatus>fine &#x21;</v:PatchStatus></v:Patch>
    <v:Patch><v:PatchStatus>Approved</v:PatchStatus></v:Patch>
  </v:Product>
</v:VPCFile>"#;

    #[test]
    fn patches_are_read_with_the_product_around_them_and_silence_stays_silence() {
        let (list, notes) = recognise(FILE).unwrap().unwrap();
        let said: Vec<_> = list.stated.iter().map(|it| (it.patch.as_str(), it.state.as_str())).collect();
        assert_eq!(
            said,
            [
                ("KB5031356", "Approved"),
                ("KB5031357", "InTest"),
                ("KB5031358", "NoStatement"),
                ("KB5031359", "Undetermined")
            ]
        );
        let first = &list.stated[0];
        assert_eq!((first.vendor.as_str(), first.product.as_str()), ("Example Controls", "Mixer & Studio"));
        assert_eq!((first.versions.as_deref(), first.date.as_deref()), (Some("7.5"), Some("2026-10-01")));
        assert_eq!(list.stated[3].raw, "fine !");
        assert_eq!(notes.len(), 2, "{notes:?}");
    }

    #[test]
    fn what_could_expand_grow_or_never_end_is_refused() {
        let refused = |it: &str| recognise(it).unwrap().unwrap_err().to_string();
        let bomb = "<!DOCTYPE v [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><VPC><Patch>&b;</Patch></VPC>";
        assert!(refused(bomb).contains("document type"));
        assert!(refused("<VPC><Patch><PatchID>&b;</PatchID></Patch></VPC>").contains("entity"));
        assert!(refused("<VPC><Patch PatchID='&b;'/></VPC>").contains("entity"));
        assert!(refused(&format!("<VPC>{}", "<a>".repeat(40))).contains("nested"));
        assert!(refused(&format!("<VPC><PatchID>{}</PatchID></VPC>", "x".repeat(5_000))).contains("longer"));
        assert!(refused("<VPC><Patch>").contains("ends in the middle"));
        assert!(refused("<VPC></VPC>").contains("no usable statement"));
        assert!(recognise("<html></html>").is_none() && recognise("no xml").is_none());
    }
}
