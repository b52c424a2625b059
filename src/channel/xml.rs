//! XML of the kind that WeChat sends and takes: a root `xml` and fields below it, each a name and a text.
//!
//! What two readers could understand differently is refused, not interpreted: what is checked here is read elsewhere too.

use std::collections::BTreeMap;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

/// Name of the root element.
const ROOT: &str = "xml";

/// Elements within each other, the root among them, that a document may have.
const DEPTH: usize = 8;

/// Elements that a document may have, the root among them.
const ELEMENTS: usize = 200;

/// Reads a document: the elements directly below the root `xml` with their texts, CDATA or not, entities and character
/// references decoded and ends of lines made `\n` (XML 1.0, section 2.11). Blanks around a text are kept. Characters
/// that XML forbids are dropped: a customer's message must not be lost for one of them. An element that holds others
/// (a list of articles) is well-formed or refused, but it is no field.
///
/// # Errors
/// When the document is not well-formed or not plain: a DOCTYPE, a comment, an attribute, a processing instruction, an
/// encoding other than UTF-8, an entity of its own, text outside the fields, two fields of one name, more than 8 levels
/// or 200 elements.
pub fn parse(document: &[u8]) -> Result<Fields, XmlError> {
    let document = std::str::from_utf8(document).map_err(|_| XmlError::Encoding)?;
    let mut reader = Reader::from_str(document);
    let mut reading = Reading::default();
    let mut is_first = true;
    loop {
        match reader.read_event().map_err(|_| XmlError::Malformed)? {
            Event::Decl(declaration) if is_first => check(&declaration)?,
            Event::Decl(_) | Event::PI(_) => return Err(XmlError::Instruction),
            Event::DocType(_) => return Err(XmlError::Doctype),
            Event::Comment(_) => return Err(XmlError::Comment),
            Event::Start(tag) => reading.open(&tag)?,
            Event::Empty(tag) => {
                reading.open(&tag)?;
                reading.close()?;
            }
            Event::End(_) => reading.close()?,
            Event::Text(text) if text.contains("]]>") => return Err(XmlError::Malformed),
            Event::Text(text) => reading.read(&text.xml10_content())?,
            Event::CData(_) if reading.depth == 0 => return Err(XmlError::Outside),
            Event::CData(text) => reading.read(&text.xml10_content())?,
            Event::GeneralRef(_) if reading.depth == 0 => return Err(XmlError::Outside),
            Event::GeneralRef(reference) => reading.read(resolve(&reference)?.encode_utf8(&mut [0; 4]))?,
            Event::Eof => return reading.finish(),
        }
        is_first = false;
    }
}

/// A text as CDATA, `<![CDATA[` and `]]>` around it. What would end it is split over two sections, and characters that
/// XML forbids are dropped. Readers make `\r` and `\r\n` a `\n`.
#[must_use]
pub fn cdata(text: &str) -> String {
    let text: String = text.chars().filter(|letter| is_allowed(*letter)).collect();
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}

/// A text as the content of an element, without CDATA: markup escaped, characters that XML forbids dropped.
#[must_use]
pub fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars().filter(|letter| is_allowed(*letter)) {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\r' => escaped.push_str("&#13;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// The fields of a document.
#[derive(Clone, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, Option<String>>);

impl Fields {
    /// The text of a field; `None` when the document has no such element, or one that holds others.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_deref()
    }
}

/// Shows the names and no text: a customer wrote some of it.
impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fields ")?;
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a document is refused. Tells nothing of what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Its bytes are not UTF-8, or it says so of itself.
    #[error("the document is not in UTF-8")]
    Encoding,
    /// It is no XML.
    #[error("the document is not well-formed")]
    Malformed,
    /// It could define entities, or fetch them.
    #[error("the document has a DOCTYPE")]
    Doctype,
    /// Or a declaration that is not at the beginning.
    #[error("the document has a processing instruction")]
    Instruction,
    /// Some readers end a text at it.
    #[error("the document has a comment")]
    Comment,
    /// It is none of XML's own five, or stands for a character that XML forbids.
    #[error("the document has an unknown entity")]
    Entity,
    /// The root is not `xml`, or there is none.
    #[error("the root of the document is not xml")]
    Root,
    /// A name is not of ASCII letters, digits, `_` and `-`, or something follows it.
    #[error("the document has an element with an unusual name or an attribute")]
    Tag,
    /// It stands before or after the root, between its fields, or beside elements within a field.
    #[error("the document has something outside its fields")]
    Outside,
    /// One reader takes the first of them, another the last.
    #[error("the document has a field twice")]
    Duplicate,
    /// More levels or elements than any message has.
    #[error("the document has more than {DEPTH} levels or {ELEMENTS} elements")]
    TooLarge,
}

/// A document half read.
#[derive(Default)]
struct Reading {
    fields: BTreeMap<String, Option<String>>,
    /// The element below the root that is open: its name, and its text unless it holds elements.
    field: (String, Option<String>),
    /// Elements that are open.
    depth: usize,
    elements: usize,
}

impl Reading {
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), XmlError> {
        let name = tag.name();
        let name = name.as_ref();
        if !is_name(name) || !is_blank(tag.attributes_raw()) {
            return Err(XmlError::Tag);
        }
        match self.depth {
            0 if self.elements > 0 => return Err(XmlError::Outside),
            0 if name != ROOT => return Err(XmlError::Root),
            0 => {}
            1 => self.field = (name.to_owned(), Some(String::new())),
            _ if self.field.1.take().is_some_and(|text| !is_blank(&text)) => return Err(XmlError::Outside),
            _ => {}
        }
        self.depth += 1;
        self.elements += 1;
        if self.depth > DEPTH || self.elements > ELEMENTS { Err(XmlError::TooLarge) } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), XmlError> {
        if self.depth == 2 {
            let (name, text) = std::mem::take(&mut self.field);
            if self.fields.insert(name, text).is_some() {
                return Err(XmlError::Duplicate);
            }
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    /// Takes text, wherever it stands.
    fn read(&mut self, text: &str) -> Result<(), XmlError> {
        match (self.depth, &mut self.field.1) {
            (2, Some(field)) => field.extend(text.chars().filter(|letter| is_allowed(*letter))),
            (0..=2, _) if !is_blank(text) => return Err(XmlError::Outside),
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Fields, XmlError> {
        match (self.elements, self.depth) {
            (0, _) => Err(XmlError::Root),
            (_, 0) => Ok(Fields(self.fields)),
            _ => Err(XmlError::Malformed),
        }
    }
}

/// Whether a declaration says XML 1.0 and no encoding but UTF-8.
fn check(declaration: &BytesDecl<'_>) -> Result<(), XmlError> {
    if declaration.version().map_err(|_| XmlError::Malformed)? != "1.0" {
        return Err(XmlError::Malformed);
    }
    match declaration.encoding().transpose().map_err(|_| XmlError::Malformed)? {
        Some(encoding) if !encoding.eq_ignore_ascii_case("utf-8") => Err(XmlError::Encoding),
        _ => Ok(()),
    }
}

/// The character that a reference stands for.
fn resolve(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    let letter = match reference.resolve_char_ref().map_err(|_| XmlError::Entity)? {
        Some(letter) => Some(letter),
        None => resolve_xml_entity(reference).and_then(|text| text.chars().next()),
    };
    letter.filter(|letter| is_allowed(*letter)).ok_or(XmlError::Entity)
}

/// Whether XML 1.0 allows a character (section 2.2, `Char`).
fn is_allowed(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Whether a text is nothing but white space (section 2.3, `S`).
fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_oneof, proptest};
    use proptest::strategy::{Just, Strategy};

    use super::{Fields, XmlError, cdata, is_allowed, parse, text};

    fn read(document: &str) -> Result<Fields, XmlError> {
        parse(document.as_bytes())
    }

    /// The text of a field `a`, as it stands.
    fn content(inner: &str) -> Result<String, XmlError> {
        Ok(read(&format!("<xml><a>{inner}</a></xml>"))?.get("a").unwrap().to_owned())
    }

    const MESSAGE: &str = "<xml><ToUserName><![CDATA[gh_7f083739789a]]></ToUserName>\
        <FromUserName><![CDATA[oLVPpjqs9BhvzwPj5A-vTYAX3GLc]]></FromUserName><CreateTime>1700000000</CreateTime>\
        <MsgType><![CDATA[text]]></MsgType><Content><![CDATA[这件衣服多久发货？]]></Content>\
        <MsgId>23456789012345678</MsgId></xml>";

    #[test]
    fn a_message_of_wechat_is_read() {
        let fields = read(MESSAGE).unwrap();
        assert_eq!(fields.get("ToUserName"), Some("gh_7f083739789a"));
        assert_eq!(fields.get("CreateTime"), Some("1700000000"));
        assert_eq!(fields.get("Content"), Some("这件衣服多久发货？"));
        assert_eq!(fields.get("MsgId"), Some("23456789012345678"));
        assert_eq!(fields.get("Encrypt"), None);
        assert_eq!(fields.get("content"), None);
    }

    #[test]
    fn a_declaration_blanks_and_empty_fields_do_no_harm() {
        for head in ["", "\u{feff}", "\n", "<?xml version=\"1.0\"?>", "<?xml version='1.0' encoding='utf-8' ?>\r\n"] {
            let document = format!("{head}<xml >\n  <a/>\n  <b></b ><c />\r\n\t<d> 1\r\n2\r</d></xml>\n");
            let fields = read(&document).unwrap();
            assert_eq!([fields.get("a"), fields.get("b"), fields.get("c")], [Some(""); 3], "{head}");
            assert_eq!(fields.get("d"), Some(" 1\n2\n"), "{head}");
        }
        assert_eq!(read("<xml/>").unwrap().get("a"), None);
    }

    #[test]
    fn entities_and_character_references_are_decoded_once() {
        assert_eq!(content("&lt;&gt;&amp;&apos;&quot;").unwrap(), "<>&'\"");
        assert_eq!(content("&#20146;&#x4eB2;&#13;").unwrap(), "亲亲\r");
        assert_eq!(content("&amp;lt;").unwrap(), "&lt;");
        assert_eq!(content("<![CDATA[&lt;<b>]]>").unwrap(), "&lt;<b>");
        assert_eq!(content("a<![CDATA[b]]>c<![CDATA[]]>&#100;").unwrap(), "abcd");
    }

    #[test]
    fn references_to_nothing_are_refused() {
        for wrong in
            ["&nbsp;", "&x;", "&;", "&#;", "&#0;", "&#8;", "&#xD800;", "&#xFFFF;", "&#x110000;", "&#X41;", "&#+5;"]
        {
            assert_eq!(content(wrong).unwrap_err(), XmlError::Entity, "{wrong}");
        }
        for wrong in ["&", "& ", "&amp", "&lt &gt;"] {
            assert!(content(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn characters_that_xml_forbids_are_dropped_from_a_text() {
        assert_eq!(content("<![CDATA[a\u{0}\u{8}b\u{ffff}]]>\u{1b}c").unwrap(), "abc");
    }

    #[test]
    fn entities_of_its_own_are_refused() {
        for document in [
            "<!DOCTYPE xml [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><xml><b>&a;</b></xml>",
            "<!DOCTYPE xml><xml/>",
            "<?xml version=\"1.0\"?>\n<!DOCTYPE xml SYSTEM \"http://example.com/x.dtd\"><xml/>",
            "<xml/><!DOCTYPE xml>",
            "<!doctype xml><xml/>",
        ] {
            assert_eq!(read(document).unwrap_err(), XmlError::Doctype, "{document}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for (document, error) in [
            ("<xml><a>1</a><a>2</a></xml>", XmlError::Duplicate),
            ("<xml><a>1</a><a/></xml>", XmlError::Duplicate),
            ("<xml><a><b/></a><a>1</a></xml>", XmlError::Duplicate),
            ("<xml><a>1<!-- -->2</a></xml>", XmlError::Comment),
            ("<!-- --><xml/>", XmlError::Comment),
            ("<xml><a b='c'>1</a></xml>", XmlError::Tag),
            ("<xml xmlns='x'/>", XmlError::Tag),
            ("<xml><a.b>1</a.b></xml>", XmlError::Tag),
            ("<xml><亲>1</亲></xml>", XmlError::Tag),
            ("<xml><>1</></xml>", XmlError::Tag),
            ("<xml>1<a>2</a></xml>", XmlError::Outside),
            ("<xml><![CDATA[1]]><a/></xml>", XmlError::Outside),
            ("<xml><a>1<b/></a></xml>", XmlError::Outside),
            ("<xml><a><b/>1</a></xml>", XmlError::Outside),
            ("<xml><a><b/>&#49;</a></xml>", XmlError::Outside),
            ("1<xml/>", XmlError::Outside),
            ("<xml/>1", XmlError::Outside),
            ("<xml/>\0", XmlError::Outside),
            ("<xml/>&lt;", XmlError::Outside),
            ("<xml/><![CDATA[]]>", XmlError::Outside),
            ("<xml/><xml/>", XmlError::Outside),
            ("<xml></xml><a/>", XmlError::Outside),
            ("<?php 1 ?><xml/>", XmlError::Instruction),
            ("<xml><?a?></xml>", XmlError::Instruction),
            (" <?xml version='1.0'?><xml/>", XmlError::Instruction),
            ("<?xml version='1.0'?><?xml version='1.0'?><xml/>", XmlError::Instruction),
            ("<?xml version='1.0' encoding='gbk'?><xml/>", XmlError::Encoding),
            ("<?xml version='1.1'?><xml/>", XmlError::Malformed),
            ("<?xml?><xml/>", XmlError::Malformed),
            ("<html/>", XmlError::Root),
            ("<XML/>", XmlError::Root),
            ("", XmlError::Root),
            (" \n", XmlError::Root),
        ] {
            assert_eq!(read(document).unwrap_err(), error, "{document}");
        }
        assert_eq!(parse(b"<xml><a>\xff</a></xml>").unwrap_err(), XmlError::Encoding);
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for document in [
            "<xml>",
            "<xml><a>",
            "<xml><a></xml>",
            "<xml><a></b></xml>",
            "<xml><a></xml></a>",
            "</xml>",
            "<xml/></xml>",
            "<xml><a>]]></a></xml>",
            "<xml><a><![CDATA[1</a></xml>",
            "<xml><a><![cdata[1]]></a></xml>",
            "<xml><a",
            "<xml><!-- </xml>",
            "<xml><!></xml>",
            "<xml><!-->",
        ] {
            assert_eq!(read(document).unwrap_err(), XmlError::Malformed, "{document}");
        }
        for end in 0..MESSAGE.len() {
            assert!(parse(&MESSAGE.as_bytes()[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn an_element_that_holds_others_is_no_field() {
        let document = "<xml><List>\n<item><Title>1</Title></item><item>2 <b/> 3</item>\n</List><a>4</a></xml>";
        let fields = read(document).unwrap();
        assert_eq!((fields.get("List"), fields.get("a")), (None, Some("4")));
        assert_eq!((fields.get("item"), fields.get("Title")), (None, None));
        assert!(read("<xml><List><item>&x;</item></List></xml>").is_err());
    }

    #[test]
    fn eight_levels_and_two_hundred_elements_are_enough() {
        let nested = |depth: usize| format!("<xml>{}{}</xml>", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(read(&nested(7)).is_ok());
        assert_eq!(read(&nested(8)).unwrap_err(), XmlError::TooLarge);
        assert_eq!(read(&"<xml>".repeat(100_000)).unwrap_err(), XmlError::TooLarge);
        let wide = |count: usize| -> String { (0..count).map(|number| format!("<a{number}/>")).collect() };
        assert!(read(&format!("<xml>{}</xml>", wide(199))).is_ok());
        assert_eq!(read(&format!("<xml>{}</xml>", wide(200))).unwrap_err(), XmlError::TooLarge);
        assert_eq!(read(&format!("<xml><a>{}</a></xml>", wide(199))).unwrap_err(), XmlError::TooLarge);
    }

    #[test]
    fn a_customer_cannot_write_a_field() {
        let injected = "]]></Content><MsgType>event</MsgType><Content><![CDATA[";
        assert_eq!(content(&cdata(injected)).unwrap(), injected);
        assert_eq!(content(&text(injected)).unwrap(), injected);
        assert_eq!(cdata("a]]>b"), "<![CDATA[a]]]]><![CDATA[>b]]>");
        assert_eq!(cdata("]]\u{1}>"), "<![CDATA[]]]]><![CDATA[>]]>", "what is dropped must not leave an end behind");
        assert_eq!(text("<a href=\"x\">&'\r\n\0"), "&lt;a href=&quot;x&quot;&gt;&amp;&apos;&#13;\n");
    }

    #[test]
    fn neither_texts_nor_errors_show_what_was_written() {
        assert_eq!(format!("{:?}", read("<xml><b>secret</b><a>1</a></xml>").unwrap()), "Fields {\"a\", \"b\"}");
        let error = read("<xml><secret></xml>").unwrap_err();
        assert_eq!(format!("{error} {error:?}"), "the document is not well-formed Malformed");
    }

    /// Texts in which what matters to XML is frequent.
    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<String>(),
            any::<char>().prop_map(String::from),
            "[\\]><&;\\[!\r\n\t\u{0}-\u{20}]{1,6}",
            Just("]]>".to_owned()),
            Just("<![CDATA[".to_owned()),
            Just("&amp;".to_owned()),
        ];
        vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// Documents that are nearly right.
    fn documents() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("<xml>"),
            Just("</xml>"),
            Just("<a>"),
            Just("</a>"),
            Just("<b/>"),
            Just("<![CDATA["),
            Just("]]>"),
            Just("<!--"),
            Just("-->"),
            Just("<!DOCTYPE "),
            Just("<?xml version='1.0'?>"),
            Just("<?"),
            Just("?>"),
            Just("&"),
            Just("&#x"),
            Just(";"),
            Just("<"),
            Just(">"),
            Just("/"),
            Just("!"),
            Just("-"),
            Just("["),
            Just("'"),
            Just("\""),
            Just(" "),
            Just("="),
            Just("亲"),
            Just("\u{feff}"),
            Just("x"),
        ];
        vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(written in texts()) {
            let allowed: String = written.chars().filter(|letter| is_allowed(*letter)).collect();
            assert_eq!(content(&text(&written)).unwrap(), allowed);
            assert_eq!(content(&cdata(&written)).unwrap(), allowed.replace("\r\n", "\n").replace('\r', "\n"));
        }

        #[test]
        fn any_bytes_are_read_or_refused_in_peace(bytes in vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_document_is_read_or_refused_in_peace(document in documents()) {
            let _ = read(&document);
            let _ = read(&format!("<xml><a>{document}</a></xml>"));
        }
    }
}
