//! Suppliers' statements as XML in the form of IEC TR 62443-2-3 ("vendor patch compatibility").
//!
//! The schema is not public. This is an adapter over element names as they are remembered, whatever their case and
//! namespace: it takes what it recognises and says what it left out. No document type and no entity beyond the five
//! that XML itself has; depth, elements and lengths are bounded while reading.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::skipped::Skipped;
use super::statement::{InvalidStatements, MAX_STATEMENTS, Read, Statement, SupplierState, finish};
use super::text::shown;

/// Deepest nesting of elements.
const MAX_DEPTH: usize = 32;
/// Most elements.
const MAX_ELEMENTS: usize = 2_000_000;
/// Longest value, in bytes.
const MAX_TEXT: usize = 4_000;

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
    /// Not well-formed.
    #[error("the XML cannot be read: {0}")]
    Syntax(String),
    /// A document type, which could name entities and other files.
    #[error("it has a document type; such files are not read")]
    DocumentType,
    /// An entity that XML itself does not have.
    #[error("it has an entity that is not of XML itself")]
    Entity,
    /// Too deep to be an honest document.
    #[error("it is nested more than {MAX_DEPTH} levels")]
    TooDeep,
    /// Too many elements.
    #[error("it has more than {MAX_ELEMENTS} elements")]
    TooMany,
    /// A value that is too long.
    #[error("a value is longer than {MAX_TEXT} bytes")]
    TooLong,
}

type Fields = BTreeMap<&'static str, String>;

/// An element that is open.
struct Open {
    name: String,
    text: String,
    /// For a patch, a product and the outermost element: the values inside.
    fields: Option<Fields>,
    is_patch: bool,
}

/// Reads a file when its outermost element is one of this form.
pub fn recognise(text: &str) -> Option<Read> {
    let mut reader = Reader::from_str(text);
    // The first element comes within a declaration, a document type, and a few comments.
    for _ in 0..20 {
        match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) => {
                return ROOTS.contains(&name_of(&start).as_str()).then(|| read(text));
            }
            Ok(Event::Eof) | Err(_) => return None,
            Ok(_) => {}
        }
    }
    None
}

fn read(text: &str) -> Read {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let (mut stated, mut skipped, mut elements, mut patches) = (Vec::new(), Skipped::default(), 0, 0_u32);
    loop {
        let event = reader.read_event().map_err(|it| InvalidVpc::Syntax(shown(&it.to_string(), 200)))?;
        match event {
            Event::Start(start) => {
                opened(&start, &mut open, &mut elements)?;
            }
            Event::Empty(start) => {
                opened(&start, &mut open, &mut elements)?;
                closed(&mut open, &mut stated, &mut skipped, &mut patches)?;
            }
            Event::End(_) => closed(&mut open, &mut stated, &mut skipped, &mut patches)?,
            Event::Text(more) => add(&mut open, &more.xml10_content())?,
            Event::CData(more) => add(&mut open, &more.xml10_content())?,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref() {
                    Ok(Some(character)) => character,
                    Ok(None) => predefined(&reference.xml10_content()).ok_or(InvalidVpc::Entity)?,
                    Err(_) => return Err(InvalidVpc::Entity.into()),
                };
                add(&mut open, character.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err(InvalidVpc::DocumentType.into()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof if open.is_empty() => break,
            Event::Eof => return Err(InvalidVpc::Syntax("it ends in the middle".to_owned()).into()),
        }
    }
    finish(None, stated, skipped)
}

fn opened(
    start: &BytesStart<'_>,
    open: &mut Vec<Open>,
    elements: &mut usize,
) -> Result<(), InvalidStatements> {
    *elements += 1;
    if *elements > MAX_ELEMENTS {
        return Err(InvalidVpc::TooMany.into());
    }
    if open.len() == MAX_DEPTH {
        return Err(InvalidVpc::TooDeep.into());
    }
    let name = name_of(start);
    let is_patch = PATCHES.contains(&name.as_str());
    let holds = is_patch || open.is_empty() || PRODUCTS.contains(&name.as_str());
    let mut fields = holds.then(Fields::new);
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|it| InvalidVpc::Syntax(shown(&it.to_string(), 200)))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| InvalidVpc::Entity)?;
        if value.len() > MAX_TEXT {
            return Err(InvalidVpc::TooLong.into());
        }
        let name = plain(attribute.key.local_name().as_ref());
        let target = match &mut fields {
            Some(own) => Some(own),
            None => open.iter_mut().rev().find_map(|it| it.fields.as_mut()),
        };
        if let (Some(target), Some(field)) = (target, field_of(&name)) {
            target.entry(field).or_insert_with(|| value.trim().to_owned());
        }
    }
    open.push(Open { name, text: String::new(), fields, is_patch });
    Ok(())
}

fn closed(
    open: &mut Vec<Open>,
    stated: &mut Vec<Statement>,
    skipped: &mut Skipped,
    patches: &mut u32,
) -> Result<(), InvalidStatements> {
    let Some(done) = open.pop() else { return Ok(()) };
    let text = done.text.trim();
    if !text.is_empty()
        && done.fields.as_ref().is_none_or(BTreeMap::is_empty)
        && let Some(field) = field_of(&done.name).or_else(|| leaf_of(&done.name))
        && let Some(target) = open.iter_mut().rev().find_map(|it| it.fields.as_mut())
    {
        target.entry(field).or_insert_with(|| text.to_owned());
        return Ok(());
    }
    let Some(own) = done.fields.filter(|_| done.is_patch) else { return Ok(()) };
    *patches += 1;
    let place = format!("patch {patches}");
    if stated.len() == MAX_STATEMENTS {
        return Err(InvalidStatements::TooMany);
    }
    let around = |name: &str| {
        let outer = || open.iter().rev().find_map(|it| it.fields.as_ref()?.get(name).cloned());
        own.get(name).cloned().or_else(outer)
    };
    let Some(patch) = own.get("patch").or_else(|| own.get("title")).cloned() else {
        skipped.at(&place, "it names no patch");
        return Ok(());
    };
    let raw = own.get("state").cloned().unwrap_or_default();
    let state = state_of(&raw);
    if state == SupplierState::Undetermined {
        let why = format!("`{}` is a word that is not known: taken as Undetermined", shown(&raw, 60));
        skipped.at(&place, &why);
    }
    stated.push(Statement {
        vendor: around("vendor").unwrap_or_default(),
        product: around("product").unwrap_or_default(),
        versions: around("version"),
        patch,
        state,
        raw,
        conditions: own.get("conditions").cloned(),
        date: own.get("date").cloned(),
        superseded_by: own.get("superseded_by").cloned(),
        note: own.get("title").cloned(),
    });
    Ok(())
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

fn add(open: &mut [Open], more: &str) -> Result<(), InvalidVpc> {
    let Some(innermost) = open.last_mut() else { return Ok(()) };
    if innermost.text.len() + more.len() > MAX_TEXT {
        // Blanks between elements are no value.
        return if more.trim().is_empty() { Ok(()) } else { Err(InvalidVpc::TooLong) };
    }
    innermost.text.push_str(more);
    Ok(())
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
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

fn name_of(start: &BytesStart<'_>) -> String {
    plain(start.local_name().as_ref())
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
