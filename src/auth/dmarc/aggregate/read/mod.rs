//! Reading: one pass over the XML, element by element, with a stack of what is open and nothing else.

mod schema;

use std::borrow::Cow;

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use schema::{Place, REQUIRED, REQUIRED_OF_RECORD};

use super::{
    DkimResult, Extension, Fault, FaultKind, Override, OverrideKind, PublishedPolicy, Record, Report, SpfResult,
};
use crate::auth::parcel::{self, PackError};
use crate::base::Timestamp;
use crate::text::charset;

/// How much of a report is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How much is unpacked.
    pub parcel: parcel::Limits,
    /// How many records a report may have. Default 100,000; one has some 700 octets, so [`parcel::Limits::octets`] is met
    /// first as a rule.
    pub records: usize,
    /// How many signatures, results of SPF, reasons or extensions one record may have; others are left out. Default 100, as
    /// many as RFC 9990 §3.1.3 wants reported.
    pub results: usize,
    /// How many of them the report may have in all. Default 500,000: some 100 MB. An element of eight octets is kept in a
    /// hundred, so the size of the document bounds nothing.
    pub total: usize,
    /// How many octets a text may have; what follows is left out. Default 2,000: real ones are one sentence.
    pub text: usize,
    /// How deep elements may stand in each other. Default 20; the schema needs six.
    pub depth: usize,
    /// How many faults are told. Default 100.
    pub faults: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            parcel: parcel::Limits::default(),
            records: 100_000,
            results: 100,
            total: 500_000,
            text: 2_000,
            depth: 20,
            faults: 100,
        }
    }
}

/// Why a report cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It cannot be unpacked.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The message has no part that could be a report.
    #[error("no report in the message")]
    NoPart,
    /// What it holds is no XML, or breaks off.
    #[error("no XML at octet {at}")]
    Xml {
        /// The octet, counted from 0.
        at: usize,
    },
    /// The XML is none of a report: its root is not `feedback`.
    #[error("no report of DMARC")]
    NoReport,
    /// It has more records than [`Limits::records`].
    #[error("more records than the limit")]
    TooManyRecords,
    /// It has more results than [`Limits::total`].
    #[error("more results than the limit")]
    TooManyResults,
    /// Elements stand in each other more deeply than [`Limits::depth`].
    #[error("elements too deep in each other")]
    TooDeep,
}

impl Report {
    /// Reads a report: XML, or that in gzip or zip.
    ///
    /// # Errors
    /// Where it cannot be unpacked, is no XML, is another document, or exceeds a limit.
    pub fn parse(octets: &[u8]) -> Result<Self, ReadError> {
        Self::parse_with(octets, &Limits::default())
    }

    /// As [`parse`](Self::parse) with other limits.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(octets: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        let unpacked = parcel::unpack(octets, &limits.parcel)?;
        read(&text(&unpacked), limits)
    }
}

/// The text of a document: in UTF-8, or in the charset that its byte order mark or its declaration names.
fn text(octets: &[u8]) -> Cow<'_, str> {
    if octets.starts_with(b"\xff\xfe") || octets.starts_with(b"\xfe\xff") {
        return charset::decode("utf-16", octets);
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    if let Ok(text) = std::str::from_utf8(octets) {
        return Cow::Borrowed(text);
    }
    let head = octets.get(..200).unwrap_or(octets);
    let label = memchr::memmem::find(head, b"encoding=").and_then(|at| {
        let (quote, rest) = head.get(at + b"encoding=".len()..)?.split_first()?;
        std::str::from_utf8(rest.split(|octet| octet == quote).next()?).ok()
    });
    charset::decode(label.unwrap_or("windows-1252"), octets)
}

/// A report on its way.
struct Reading<'a> {
    limits: &'a Limits,
    report: Report,
    record: Record,
    extension: Extension,
    /// The text of the leaf that is open, and its language.
    text: String,
    language: Option<String>,
    /// Which of the required leaves were there: of the report, and of the record.
    seen: [Vec<&'static str>; 2],
    stack: Vec<Place>,
    at: usize,
    /// How many results, reasons and extensions there are.
    results: usize,
}

fn read(xml: &str, limits: &Limits) -> Result<Report, ReadError> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let epoch = Timestamp::from_unix(0);
    let mut reading = Reading {
        limits,
        report: Report::new("", PublishedPolicy::default(), epoch, epoch),
        record: Record::default(),
        extension: Extension::default(),
        text: String::new(),
        language: None,
        seen: [Vec::new(), Vec::new()],
        stack: Vec::new(),
        at: 0,
        results: 0,
    };
    let mut done = false;
    loop {
        let at = |reader: &Reader<_>| usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        reading.at = at(&reader);
        let event = reader.read_event().map_err(|_| ReadError::Xml { at: at(&reader) })?;
        match event {
            Event::Start(element) if reading.stack.is_empty() => {
                if done || element.local_name().as_ref() != "feedback" {
                    return Err(ReadError::NoReport);
                }
                done = true;
                reading.stack.push(Place::Feedback);
            }
            Event::Start(element) => reading.start(&element)?,
            Event::End(_) => reading.end()?,
            Event::Text(text) => reading.text(&text),
            Event::CData(text) => reading.text(&text),
            Event::GeneralRef(reference) => {
                let character = match reference.as_ref() {
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "amp" => Some('&'),
                    "apos" => Some('\''),
                    "quot" => Some('"'),
                    _ => reference.resolve_char_ref().ok().flatten(),
                };
                match character {
                    Some(character) => reading.text(character.encode_utf8(&mut [0; 4])),
                    None => reading.fault("entity", FaultKind::Entity),
                }
            }
            // What a document type declares is never expanded.
            Event::Decl(_) | Event::DocType(_) | Event::PI(_) | Event::Comment(_) | Event::Empty(_) => {}
            // What is behind the root is passed over.
            Event::Eof if done && reading.stack.is_empty() => break,
            Event::Eof => return Err(if done { ReadError::Xml { at: xml.len() } } else { ReadError::NoReport }),
        }
        if done && reading.stack.is_empty() {
            break;
        }
    }
    for element in REQUIRED {
        if !reading.seen[0].contains(&element) {
            reading.fault(element, FaultKind::Missing);
        }
    }
    if reading.report.records.is_empty() {
        reading.fault("record", FaultKind::Missing);
    }
    Ok(reading.report)
}

impl Reading<'_> {
    fn fault(&mut self, element: &'static str, kind: FaultKind) {
        if self.report.faults.len() < self.limits.faults {
            self.report.faults.push(Fault { element, kind, at: self.at });
        }
    }

    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), ReadError> {
        if self.stack.len() >= self.limits.depth {
            return Err(ReadError::TooDeep);
        }
        let (name, local) = (element.name(), element.local_name());
        let parent = self.stack.last().copied().unwrap_or(Place::Other);
        let place = parent.child(local.as_ref(), name.as_ref().contains(':'));
        if matches!(place, Place::Dkim | Place::Spf | Place::Reason | Place::Extension) {
            self.results += 1;
            if self.results > self.limits.total {
                return Err(ReadError::TooManyResults);
            }
        }
        match place {
            Place::Leaf(_) => {
                self.text.clear();
                self.language = None;
                if let Some((_, language)) = attributes(element, self.limits.text).find(|(name, _)| name == "lang") {
                    self.language = Some(language);
                }
            }
            Place::Record => {
                if self.report.records.len() >= self.limits.records {
                    return Err(ReadError::TooManyRecords);
                }
                self.record = Record::default();
                self.seen[1].clear();
            }
            Place::Dkim if self.has_room("dkim", self.record.dkim.len()) => {
                self.record.dkim.push(DkimResult::default());
            }
            Place::Spf if self.has_room("spf", self.record.spf.len()) => self.record.spf.push(SpfResult::default()),
            Place::Reason if self.has_room("reason", self.record.reasons.len()) => {
                self.record.reasons.push(Override::new(OverrideKind::Other));
            }
            // No room: nothing in it is read.
            Place::Dkim | Place::Spf | Place::Reason => {
                self.stack.push(Place::Other);
                return Ok(());
            }
            Place::Extension => {
                self.extension = Extension {
                    name: cut(name.as_ref(), self.limits.text).to_owned(),
                    attributes: attributes(element, self.limits.text).collect(),
                    text: String::new(),
                };
            }
            _ => {}
        }
        self.stack.push(place);
        Ok(())
    }

    fn has_room(&mut self, element: &'static str, there: usize) -> bool {
        let room = there < self.limits.results;
        if !room {
            self.fault(element, FaultKind::TooMany);
        }
        room
    }

    fn text(&mut self, text: &str) {
        let into = match self.stack.last() {
            Some(Place::Leaf(_)) => &mut self.text,
            Some(Place::Extension | Place::Other) if self.stack.contains(&Place::Extension) => &mut self.extension.text,
            _ => return,
        };
        let piece = cut(text, self.limits.text.saturating_sub(into.len()));
        into.push_str(piece);
        if piece.len() < text.len()
            && let Some(Place::Leaf(leaf)) = self.stack.last()
        {
            self.fault(leaf, FaultKind::TooLong);
        }
    }

    fn end(&mut self) -> Result<(), ReadError> {
        match self.stack.pop() {
            Some(Place::Leaf(name)) => self.leaf(name),
            Some(Place::Record) => {
                for element in REQUIRED_OF_RECORD {
                    if !self.seen[1].contains(&element) {
                        self.fault(element, FaultKind::Missing);
                    }
                }
                self.report.records.push(std::mem::take(&mut self.record));
            }
            Some(Place::Dkim) if self.record.dkim.last().is_some_and(|one| one.selector.is_empty()) => {
                self.fault("selector", FaultKind::Missing);
            }
            Some(Place::Extension) => {
                let mut extension = std::mem::take(&mut self.extension);
                extension.text = extension.text.trim().to_owned();
                let record = self.stack.contains(&Place::Record);
                let list = if record { &mut self.record.extensions } else { &mut self.report.extensions };
                if list.len() < self.limits.results {
                    list.push(extension);
                } else {
                    self.fault("extension", FaultKind::TooMany);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The attributes of an element without their prefixes, at most ten of them. The check for doubles, which compares each
/// with all before it, is left out.
fn attributes(element: &BytesStart<'_>, text: usize) -> impl Iterator<Item = (String, String)> {
    let attributes: Vec<_> = element
        .attributes()
        .with_checks(false)
        .take(10)
        .map_while(Result::ok)
        .map(|attribute| {
            let name = cut(attribute.key.local_name().into_inner(), text).to_owned();
            (name, cut(&attribute.value, text).to_owned())
        })
        .collect();
    attributes.into_iter()
}

/// At most so many octets of a text, whole characters.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "<report_metadata><org_name>R</org_name><email>d@r.example</email><report_id>1</report_id>\
        <date_range><begin>1</begin><end>2</end></date_range></report_metadata>\
        <policy_published><domain>x.example</domain><p>none</p></policy_published>";
    const RECORD: &str = "<record><row><source_ip>192.0.2.1</source_ip><count>1</count><policy_evaluated>\
        <disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>\
        <identifiers><header_from>x.example</header_from></identifiers></record>";

    fn parse(xml: &str) -> Result<Report, ReadError> {
        Report::parse(xml.as_bytes())
    }

    /// A report with one record, changed in one place.
    fn changed(from: &str, to: &str) -> Report {
        let xml = format!("<feedback>{METADATA}{RECORD}</feedback>");
        assert!(xml.contains(from), "{from}");
        parse(&xml.replacen(from, to, 1)).unwrap()
    }

    #[test]
    fn a_sound_report_has_no_faults() {
        assert_eq!(changed("<org_name>", "<org_name>").faults, []);
    }

    #[test]
    fn what_is_not_as_the_schema_has_it_is_told() {
        for (from, to, element, kind) in [
            ("<p>none</p>", "<p>perhaps</p>", "p", FaultKind::Value),
            ("<p>none</p>", "", "p", FaultKind::Missing),
            ("<email>d@r.example</email>", "", "email", FaultKind::Missing),
            ("<begin>1</begin>", "<begin>now</begin>", "begin", FaultKind::Value),
            ("192.0.2.1", "192.0.2.x", "source_ip", FaultKind::Value),
            ("<count>1</count>", "<count>-1</count>", "count", FaultKind::Value),
            ("<count>1</count>", "", "count", FaultKind::Missing),
            ("<spf>fail</spf>", "<spf>softfail</spf>", "spf", FaultKind::Value),
            ("<org_name>R", "<org_name>&company;", "entity", FaultKind::Entity),
            (
                "</identifiers>",
                "</identifiers><auth_results><dkim><domain>d</domain></dkim></auth_results>",
                "selector",
                FaultKind::Missing,
            ),
        ] {
            let report = changed(from, to);
            assert_eq!(report.records.len(), 1);
            assert!(
                report.faults.iter().any(|fault| (fault.element, fault.kind) == (element, kind)),
                "{to}: {:?}",
                report.faults
            );
        }
        let long = changed(">R<", &format!(">{}<", "é".repeat(2_000)));
        assert_eq!(long.organization.chars().count(), 1_000);
        assert_eq!((long.faults[0].element, long.faults[0].kind), ("org_name", FaultKind::TooLong));
    }

    #[test]
    fn text_is_read_however_it_is_written() {
        for (to, expected) in [
            ("A &amp; B &lt;&#65;&#x42;&gt;", "A & B <AB>"),
            ("<![CDATA[A & B]]> C", "A & B C"),
            ("\n  A <!-- no --> B\n", "A  B"),
            ("A<b>no</b>B", "AB"),
            ("&#0;&#x110000;A", "A"),
        ] {
            assert_eq!(changed(">R<", &format!(">{to}<")).organization, expected, "{to}");
        }
        let other = changed("<org_name>", "<org_name xml:lang='de' lang='fr'>");
        assert_eq!(other.organization, "R");
        let comment = changed("<report_id>", "<error lang=\"de\">nein</error><report_id>");
        assert_eq!(comment.errors[0].language.as_deref(), Some("de"));
    }

    #[test]
    fn charsets_are_known_by_mark_and_declaration() {
        let xml = format!("<?xml version='1.0' encoding='ENC'?><feedback>{METADATA}{RECORD}</feedback>")
            .replace(">R<", ">Zoë<");
        let latin: Vec<u8> = xml.replace("ENC", "iso-8859-1").chars().map(|c| c as u8).collect();
        let utf16: Vec<u8> =
            std::iter::once('\u{feff}').chain(xml.chars()).flat_map(|c| (c as u16).to_le_bytes()).collect();
        let marked = [b"\xef\xbb\xbf", xml.as_bytes()].concat();
        for octets in [latin, utf16, marked] {
            assert_eq!(Report::parse(&octets).unwrap().organization, "Zoë");
        }
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let whole = format!("<feedback>{METADATA}{RECORD}</feedback>");
        for (xml, expected) in [
            ("", ReadError::NoReport),
            ("lunch", ReadError::NoReport),
            ("<html></html>", ReadError::NoReport),
            ("<feedback>", ReadError::Xml { at: 10 }),
            ("<feedback><a></b></feedback>", ReadError::Xml { at: 17 }),
            (&whole[..whole.len() - 1], ReadError::Xml { at: whole.len() - 1 }),
        ] {
            match (parse(xml).unwrap_err(), expected) {
                // Where broken XML is noticed is up to the reader of it.
                (ReadError::Xml { .. }, ReadError::Xml { .. }) => {}
                (error, expected) => assert_eq!(error, expected, "{xml}"),
            }
        }
        assert!(parse(&format!("{whole}\n<!-- bye -->")).is_ok());
    }

    #[test]
    fn nothing_grows_without_bound() {
        // Billion laughs: entities are not expanded, nor kept.
        let mut laughs = String::from("<!DOCTYPE lolz [<!ENTITY lol \"lol\">");
        for n in 1..10 {
            laughs.push_str(&format!("<!ENTITY lol{n} \"{}\">", format!("&lol{};", n - 1).repeat(10)));
        }
        let bomb = format!("{laughs}]><feedback>{METADATA}{RECORD}</feedback>").replace(">R<", ">&lol9;R<");
        let report = parse(&bomb).unwrap();
        assert_eq!(report.organization, "R");
        assert_eq!(report.faults[0].kind, FaultKind::Entity);

        let records = format!("<feedback>{METADATA}{}</feedback>", RECORD.repeat(11));
        let mut limits = Limits::default();
        (limits.records, limits.results, limits.faults) = (10, 3, 5);
        let parse = |xml: &str| Report::parse_with(xml.as_bytes(), &limits);
        assert_eq!(parse(&records), Err(ReadError::TooManyRecords));

        let deep = format!("<feedback>{}", "<a>".repeat(1_000_000));
        assert_eq!(parse(&deep), Err(ReadError::TooDeep));

        let attributes: String = (0..200_000).map(|n| format!(" a{n}='x'")).collect();
        let endless = format!("<feedback>{METADATA}{RECORD}</feedback>")
            .replace("<org_name>", &format!("<org_name{attributes}>"));
        assert_eq!(parse(&endless).unwrap().organization, "R");

        let results = "<auth_results>".to_owned()
            + &"<dkim><domain>x</domain><selector>s</selector><result>pass</result></dkim>".repeat(9)
            + "</auth_results>";
        let many = format!("<feedback>{METADATA}{RECORD}</feedback>").replace("</record>", &(results + "</record>"));
        let report = parse(&many).unwrap();
        assert_eq!((report.records[0].dkim.len(), report.faults.len()), (3, 5));
        assert!(report.faults.iter().all(|fault| (fault.element, fault.kind) == ("dkim", FaultKind::TooMany)));
        let limits = Limits { total: 8, ..limits.clone() };
        assert_eq!(Report::parse_with(many.as_bytes(), &limits), Err(ReadError::TooManyResults));
    }
}
