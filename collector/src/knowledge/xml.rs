//! XML that is read as a stream of opening and closing elements, bounded in depth and text.
//!
//! No document type is accepted, so there is nothing that could be expanded: only the five names and the numbers
//! of characters that XML itself knows are resolved. Namespaces do not matter to the readers; names are local.

use quick_xml::errors::{Error, SyntaxError};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::text::shown;

/// Deepest nesting of elements.
pub const MAX_DEPTH: usize = 32;
/// Longest text of an element that is kept, in bytes; the rest is not seen.
pub const MAX_TEXT: usize = 4 * 1024;
/// Most attributes of an element that are looked at.
const MAX_ATTRIBUTES: usize = 32;

/// Why bytes are no usable XML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidXml {
    /// Bytes that are no text.
    #[error("it is XML and not UTF-8 text")]
    NotText,
    /// Not well-formed.
    #[error("it is not XML: {0}")]
    NotXml(String),
    /// It ends early.
    #[error("it is cut off: the XML ends in the middle")]
    Truncated,
    /// A document type could define entities.
    #[error("it declares a document type, which is never read")]
    DocType,
    /// An entity that only a document type could define.
    #[error("it refers to the entity `{0}`, which XML does not define")]
    Entity(String),
    /// Too deep to be an honest document.
    #[error("its elements are nested more than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Who is told what stands in the document.
pub(super) trait Visitor {
    /// Why the visitor wants no more.
    type Error: From<InvalidXml>;

    /// An element opens; `path` are the names of those around it, outermost first.
    fn open(&mut self, path: &[Box<str>], name: &str, attributes: &Attributes<'_>)
    -> Result<(), Self::Error>;

    /// An element closes; `text` is what stood in it, when it holds no other elements.
    fn close(&mut self, path: &[Box<str>], name: &str, text: &str) -> Result<(), Self::Error>;

    /// A text is longer than [`MAX_TEXT`]: what is beyond is not seen, which a visitor may refuse.
    fn cut(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The attributes of an element.
pub(super) struct Attributes<'a>(&'a BytesStart<'a>);

impl Attributes<'_> {
    /// The value of the attribute of that local name.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let mut all = self.0.attributes();
        // The check compares each attribute with all others.
        all.with_checks(false);
        let found = all
            .take(MAX_ATTRIBUTES)
            .filter_map(Result::ok)
            .find(|it| AsRef::<str>::as_ref(&it.key.local_name()) == name)?;
        let value = found.normalized_value(XmlVersion::Implicit1_0).ok()?;
        Some(shown(&value, MAX_TEXT))
    }

    /// Every attribute by its local name, with its value as it is meant.
    pub(super) fn all(&self) -> impl Iterator<Item = Result<(String, String), InvalidXml>> {
        let mut all = self.0.attributes();
        // The check compares each attribute with all others.
        all.with_checks(false);
        all.take(MAX_ATTRIBUTES).map(|it| {
            let it = it.map_err(|it| InvalidXml::NotXml(shown(&it.to_string(), 200)))?;
            let name = AsRef::<str>::as_ref(&it.key.local_name()).to_owned();
            let value = it.normalized_value(XmlVersion::Implicit1_0);
            let value = value
                .map_err(|why| InvalidXml::NotXml(shown(&format!("the attribute {name}: {why}"), 200)))?;
            Ok((name, value.into_owned()))
        })
    }
}

/// Walks through a document; the first error ends it.
pub(super) fn walk<V: Visitor>(bytes: &[u8], visitor: &mut V) -> Result<(), V::Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| InvalidXml::NotText)?;
    let mut reader = Reader::from_str(text);
    let mut path: Vec<Box<str>> = Vec::new();
    let mut text = String::new();
    let mut seen_any = false;
    loop {
        match reader.read_event().map_err(|it| fault(&it))? {
            Event::Start(start) => {
                open(visitor, &path, &start)?;
                if path.len() == MAX_DEPTH {
                    return Err(InvalidXml::TooDeep.into());
                }
                path.push(start.local_name().as_ref().into());
                text.clear();
                seen_any = true;
            }
            Event::Empty(start) => {
                open(visitor, &path, &start)?;
                visitor.close(&path, start.local_name().as_ref(), "")?;
                text.clear();
                seen_any = true;
            }
            Event::End(_) => {
                let Some(name) = path.pop() else { return Err(InvalidXml::Truncated.into()) };
                visitor.close(&path, &name, text.trim())?;
                text.clear();
            }
            Event::Text(part) => add(visitor, &mut text, &part.into_inner())?,
            Event::CData(part) => add(visitor, &mut text, &part.into_inner())?,
            Event::GeneralRef(reference) => add(visitor, &mut text, &resolve(&reference)?)?,
            Event::DocType(_) => return Err(InvalidXml::DocType.into()),
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            Event::Eof if path.is_empty() && seen_any => return Ok(()),
            Event::Eof => return Err(InvalidXml::Truncated.into()),
        }
    }
}

fn open<V: Visitor>(visitor: &mut V, path: &[Box<str>], start: &BytesStart<'_>) -> Result<(), V::Error> {
    visitor.open(path, start.local_name().as_ref(), &Attributes(start))
}

/// Adds to a text up to its limit.
fn add<V: Visitor>(visitor: &mut V, text: &mut String, part: &str) -> Result<(), V::Error> {
    let left = MAX_TEXT.saturating_sub(text.len());
    let end = (0..=left.min(part.len())).rev().find(|it| part.is_char_boundary(*it)).unwrap_or(0);
    text.push_str(&part[..end]);
    // Blanks between elements are no value.
    if part[end..].trim().is_empty() { Ok(()) } else { visitor.cut() }
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, InvalidXml> {
    let name: &str = reference;
    let unknown = || InvalidXml::Entity(shown(name, 40));
    if reference.is_char_ref() {
        let character = reference.resolve_char_ref().ok().flatten();
        return character.map(String::from).ok_or_else(unknown);
    }
    quick_xml::escape::resolve_predefined_entity(name).map(str::to_owned).ok_or_else(unknown)
}

fn fault(error: &Error) -> InvalidXml {
    // Every fault of syntax that the parser knows is something that does not end.
    if matches!(error, Error::Syntax(it) if *it != SyntaxError::InvalidBangMarkup) {
        return InvalidXml::Truncated;
    }
    InvalidXml::NotXml(shown(&error.to_string(), 200))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<String>);

    impl Visitor for Seen {
        type Error = InvalidXml;

        fn open(
            &mut self,
            path: &[Box<str>],
            name: &str,
            attributes: &Attributes<'_>,
        ) -> Result<(), InvalidXml> {
            self.0.push(format!("{}+{name}{}", path.len(), attributes.get("k").unwrap_or_default()));
            Ok(())
        }

        fn close(&mut self, _: &[Box<str>], name: &str, text: &str) -> Result<(), InvalidXml> {
            self.0.push(format!("-{name}={text}"));
            Ok(())
        }
    }

    fn walked(text: &str) -> Result<Vec<String>, InvalidXml> {
        let mut seen = Seen::default();
        walk(text.as_bytes(), &mut seen).map(|()| seen.0)
    }

    #[test]
    fn elements_are_told_with_their_text_and_attributes() {
        let told = walked(r#"<n:a xmlns:n="x"><b k="1&lt;2"> A &amp; &#66;<![CDATA[<C>]]> </b><c/></n:a>"#);
        assert_eq!(told.unwrap(), ["0+a", "1+b1<2", "-b=A & B<C>", "1+c", "-c=", "-a="]);
    }

    #[test]
    fn nothing_is_ever_expanded() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
        assert_eq!(walked(bomb), Err(InvalidXml::DocType));
        assert_eq!(walked("<a>&c;</a>"), Err(InvalidXml::Entity("c".into())));
        assert_eq!(walked("<a>&#0;</a>"), Err(InvalidXml::Entity("#0".into())));
        assert_eq!(walked(r#"<a><b k="&c;"/></a>"#).unwrap()[1], "1+b", "an unreadable attribute is absent");
    }

    #[test]
    fn depth_text_and_ends_are_bounded() {
        let nested = |levels: usize| format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
        assert!(walked(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(walked(&nested(MAX_DEPTH + 1)), Err(InvalidXml::TooDeep));
        assert_eq!(walked(&"<a>".repeat(1_000_000)), Err(InvalidXml::TooDeep));
        let long = walked(&format!("<a>{}</a>", "ü".repeat(MAX_TEXT))).unwrap();
        assert_eq!(long[1].len(), "-a=".len() + MAX_TEXT);
        for text in ["", "<a>", "<a><b></b>", "<a", "<a><!-- "] {
            assert_eq!(walked(text), Err(InvalidXml::Truncated), "{text}");
        }
        assert!(matches!(walked("<a></b>"), Err(InvalidXml::NotXml(_))));
        assert_eq!(walk(b"<a>\xff</a>", &mut Seen::default()), Err(InvalidXml::NotText));
    }
}
