//! TNEF: the `winmail.dat` that Outlook and Exchange send for a message that their readers are to show as their own
//! (MS-OXTNEF), with the compressed RTF in it (MS-OXRTFCP).
//!
//! Reading is lenient: what is cut off, or has a wrong checksum, is read as far as it goes. Left out are recipients, dates,
//! and all properties that neither hold content nor name it. A message in the message is an attachment that can be opened
//! again; nothing here goes down by itself.

use bytes::Bytes;

use super::Part;
use crate::text::enclosed::{Enclosed, Form};

mod read;
mod rtf;

use read::{Reader, Text, Value, properties};

/// The first four octets (MS-OXTNEF §2.1.3.1).
const SIGNATURE: u32 = 0x223e_9f78;
/// So many attachments are listed. Each takes 11 octets at least, and twenty times that in memory.
pub const MOST_ATTACHMENTS: usize = 1000;

/// What a TNEF stream holds. The octets are shared with it.
///
/// ```
/// use facteur::message::Message;
///
/// # let tnef = [
/// #     &b"\x78\x9f\x3e\x22\x01\x00"[..],
/// #     b"\x02\x02\x90\x06\x00\x02\x00\x00\x00\x01\x00\x01\x00",
/// #     b"\x02\x10\x80\x01\x00\x06\x00\x00\x00a.txt\x00\x17\x02",
/// #     b"\x02\x0f\x80\x06\x00\x02\x00\x00\x00Hi\xb1\x00",
/// # ].concat();
/// # let body = facteur::text::transfer::encode_base64(&tnef);
/// let message = Message::parse(format!(
///     "Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}"
/// ));
/// let tnef = message.root().tnef().unwrap();
/// let file = &tnef.attachments()[0];
/// assert_eq!((file.name().as_deref(), &file.content()[..]), (Some("a.txt"), &b"Hi"[..]));
/// ```
#[derive(Clone, Debug)]
pub struct Tnef {
    octets: Bytes,
    is_sound: bool,
    codepage: u32,
    html_codepage: Option<u32>,
    class: Option<Text>,
    subject: Option<Text>,
    text: Option<Text>,
    html: Option<Text>,
    rtf: Option<Bytes>,
    attachments: Vec<TnefAttachment>,
}

/// One attachment of a [`Tnef`].
#[derive(Clone, Debug)]
pub struct TnefAttachment {
    octets: Bytes,
    codepage: u32,
    content: (usize, usize),
    is_message: bool,
    title: Option<Text>,
    long_name: Option<Text>,
    short_name: Option<Text>,
    display_name: Option<Text>,
    media_type: Option<Text>,
    id: Option<Text>,
}

impl Tnef {
    /// Reads a stream; `None` where the octets do not begin as one.
    pub fn parse(octets: impl Into<Bytes>) -> Option<Self> {
        let octets = octets.into();
        let mut reader = Reader { octets: octets.clone(), at: 0 };
        if reader.u32()? != SIGNATURE {
            return None;
        }
        let has_key = reader.u16().is_some();
        let mut tnef = Self {
            octets,
            is_sound: has_key,
            codepage: 0,
            html_codepage: None,
            class: None,
            subject: None,
            text: None,
            html: None,
            rtf: None,
            attachments: Vec::new(),
        };
        while !reader.is_done() {
            tnef.is_sound &= tnef.attribute(&mut reader).unwrap_or(false);
        }
        let codepage = tnef.codepage;
        tnef.attachments.iter_mut().for_each(|attachment| attachment.codepage = codepage);
        Some(tnef)
    }

    /// The class of the message, such as `IPM.Note` or `IPM.Microsoft Mail.Note`.
    pub fn class(&self) -> Option<String> {
        self.class.as_ref()?.decode(self.codepage)
    }

    /// The subject.
    pub fn subject(&self) -> Option<String> {
        self.subject.as_ref()?.decode(self.codepage)
    }

    /// The plain text.
    pub fn text(&self) -> Option<String> {
        self.text.as_ref()?.decode(self.codepage)
    }

    /// The HTML.
    pub fn html(&self) -> Option<String> {
        self.html.as_ref()?.decode(self.html_codepage.unwrap_or(self.codepage))
    }

    /// The RTF, decompressed. It is at most eight times as long as it was; its checksum is not looked at.
    pub fn rtf(&self) -> Option<Vec<u8>> {
        rtf::decompress(self.rtf.as_ref()?)
    }

    /// The attachments, at most [`MOST_ATTACHMENTS`].
    pub fn attachments(&self) -> &[TnefAttachment] {
        &self.attachments
    }

    /// Whether nothing was cut off, every checksum was right, and there were not too many attachments.
    pub fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// The attachments as files enclosed in the octets of the stream.
    pub(super) fn enclosed(&self) -> Vec<Enclosed> {
        let enclosed = |attachment: &TnefAttachment| Enclosed {
            form: Form::Tnef,
            name: attachment.name().unwrap_or_default(),
            start: attachment.content.0,
            end: attachment.content.1,
            complete: self.is_sound,
        };
        self.attachments.iter().map(enclosed).collect()
    }

    /// `Level ID Length Data Checksum` (MS-OXTNEF §2.1.3.2). Whether it was whole; `None` at the end of the octets.
    fn attribute(&mut self, reader: &mut Reader) -> Option<bool> {
        let level = reader.u8()?;
        // The upper half says of what type it is, which follows from the lower.
        let id = reader.u32()? & 0xffff;
        let len = usize::try_from(reader.u32()?).ok()?;
        let mut data = reader.most(len);
        let whole = data.octets.len() - data.at == len;
        let sum = data.rest().iter().fold(0_u16, |sum, octet| sum.wrapping_add(u16::from(*octet)));
        let mut is_sound = whole && reader.u16() == Some(sum);
        let attachment = level == 2;
        // MS-OXTNEF §2.1.3.3.15: each set of attachment attributes begins with attAttachRendData.
        if attachment && (id == 0x9002 || self.attachments.is_empty()) {
            if self.attachments.len() == MOST_ATTACHMENTS {
                // The rest would be taken for that of the last.
                reader.at = reader.octets.len();
                return Some(false);
            }
            self.attachments.push(TnefAttachment::new(self.octets.clone()));
        }
        let last = self.attachments.last_mut().filter(|_| attachment);
        match (id, last) {
            // attOemCodepage
            (0x9007, None) => self.codepage = data.u32().unwrap_or_default(),
            // attMessageClass, attSubject, attBody
            (0x8008, None) => self.class = Text::new(data.bytes()),
            (0x8004, None) => self.subject = Text::new(data.bytes()),
            (0x800c, None) => self.text = Text::new(data.bytes()),
            // attMsgProps
            (0x9003, None) => is_sound &= properties(data, |id, value| self.property(id, value)),
            // attAttachTitle, attAttachData, attAttachTransportFilename, attAttachment
            (0x8010, Some(last)) => last.title = Text::new(data.bytes()),
            (0x800f, Some(last)) => last.content = (data.at, data.octets.len()),
            (0x9001, Some(last)) => last.short_name = last.short_name.take().or_else(|| Text::new(data.bytes())),
            (0x9005, Some(last)) => is_sound &= properties(data, |id, value| last.property(id, value)),
            _ => {}
        }
        Some(is_sound)
    }

    fn property(&mut self, id: u16, value: Value) {
        match (id, value) {
            (0x001a, Value::Text(text)) => self.class = Some(text),
            (0x0037, Value::Text(text)) => self.subject = Some(text),
            (0x1000, Value::Text(text)) => self.text = Some(text),
            (0x1009, Value::Octets(reader)) => self.rtf = Some(reader.bytes()),
            (0x1013, Value::Text(text)) => self.html = Some(text),
            (0x1013, Value::Octets(reader)) => self.html = Text::new(reader.bytes()),
            (0x3fde, Value::Number(number)) => self.html_codepage = Some(number),
            _ => {}
        }
    }
}

impl TnefAttachment {
    fn new(octets: Bytes) -> Self {
        Self {
            octets,
            codepage: 0,
            content: (0, 0),
            is_message: false,
            title: None,
            long_name: None,
            short_name: None,
            display_name: None,
            media_type: None,
            id: None,
        }
    }

    /// The name that the sender gave to it, the long one where there are two. It may hold slashes, or be `..`.
    pub fn name(&self) -> Option<String> {
        let names = [&self.long_name, &self.title, &self.short_name, &self.display_name];
        names.into_iter().flatten().find_map(|name| name.decode(self.codepage))
    }

    /// The media type, where it says one; `application/ms-tnef` for a message.
    pub fn media_type(&self) -> Option<String> {
        let own = self.media_type.as_ref().and_then(|text| text.decode(self.codepage));
        own.or_else(|| self.is_message.then(|| "application/ms-tnef".to_owned()))
    }

    /// The identifier for `cid:` links of the HTML, without brackets.
    pub fn id(&self) -> Option<String> {
        self.id.as_ref()?.decode(self.codepage)
    }

    /// The content; empty where it is a link to a file.
    pub fn content(&self) -> Bytes {
        self.octets.slice(self.content.0..self.content.1)
    }

    /// The message that it is, where it is one: a stream of its own, which is read now.
    pub fn message(&self) -> Option<Tnef> {
        if self.is_message { Tnef::parse(self.content()) } else { None }
    }

    fn property(&mut self, id: u16, value: Value) {
        match (id, value) {
            (0x3001, Value::Text(text)) => self.display_name = Some(text),
            (0x3704, Value::Text(text)) => self.short_name = Some(text),
            (0x3707, Value::Text(text)) => self.long_name = Some(text),
            (0x370e, Value::Text(text)) => self.media_type = Some(text),
            (0x3712, Value::Text(text)) => self.id = Some(text),
            (0x3701, Value::Octets(reader)) => self.content = (reader.at, reader.octets.len()),
            // MS-OXTNEF §2.1.3.4: the interface of the object, then the object; that of a message is a stream.
            (0x3701, Value::Object(mut reader)) => {
                self.is_message = reader.most(16).rest() == IID_MESSAGE;
                self.content = (reader.at, reader.octets.len());
            }
            _ => {}
        }
    }
}

/// `{00020307-0000-0000-C000-000000000046}`
const IID_MESSAGE: &[u8] = b"\x07\x03\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46";

impl Part<'_> {
    /// What a part of `application/ms-tnef`, or one that is named `winmail.dat`, holds. `None` for all other parts, and
    /// where it does not begin as TNEF does.
    pub fn tnef(self) -> Option<Tnef> {
        let content_type = self.content_type();
        let typed = content_type.is("application", "ms-tnef") || content_type.is("application", "vnd.ms-tnef");
        let named = || self.filename().is_some_and(|name| name.eq_ignore_ascii_case("winmail.dat"));
        let is_tnef = typed || content_type.kind() == "application" && named();
        if !is_tnef {
            return None;
        }
        Tnef::parse(match self.decode() {
            std::borrow::Cow::Borrowed(octets) => self.whole().raw().slice_ref(octets),
            std::borrow::Cow::Owned(octets) => octets.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::text::transfer;

    /// One attribute with its checksum.
    fn attribute(level: u8, id: u32, data: &[u8]) -> Vec<u8> {
        let sum: u32 = data.iter().map(|octet| u32::from(*octet)).sum();
        let len = data.len() as u32;
        [&[level][..], &id.to_le_bytes(), &len.to_le_bytes(), data, &(sum as u16).to_le_bytes()].concat()
    }

    fn stream(attributes: &[Vec<u8>]) -> Vec<u8> {
        [&b"\x78\x9f\x3e\x22\x01\x00"[..], &attribute(1, 0x0008_9006, b"\0\0\x01\0"), &attributes.concat()].concat()
    }

    fn properties(list: &[Vec<u8>]) -> Vec<u8> {
        [&(list.len() as u32).to_le_bytes()[..], &list.concat()].concat()
    }

    fn variable(tag: u32, value: &[u8]) -> Vec<u8> {
        let pad = vec![0; value.len().next_multiple_of(4) - value.len()];
        // The type stands first, then the number.
        let tag = [(tag as u16).to_le_bytes(), ((tag >> 16) as u16).to_le_bytes()].concat();
        [&tag[..], &1_u32.to_le_bytes(), &(value.len() as u32).to_le_bytes(), value, &pad].concat()
    }

    fn fixed(tag: u32, value: &[u8]) -> Vec<u8> {
        [&(tag as u16).to_le_bytes()[..], &((tag >> 16) as u16).to_le_bytes(), value].concat()
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    }

    const REND: &[u8] = b"\x01\0\xff\xff\xff\xff\x20\0\x20\0\0\0\0\0";

    fn sample() -> Vec<u8> {
        // A property with a name of either kind, one of several values, and one of a fixed width each.
        let named = |rest: &[u8]| [&b"\x03\x00\x01\x80"[..], &[7; 16], rest, b"\x2a\0\0\0"].concat();
        let message = properties(&[
            fixed(0x3fde_0003, &1251_u32.to_le_bytes()),
            named(b"\0\0\0\0\x05\0\0\0"),
            named(&[&b"\x01\0\0\0\x0a\0\0\0"[..], &wide("Name"), b"\0\0"].concat()),
            fixed(0x0e06_0040, &[0; 8]),
            fixed(0x6000_1002, b"\x02\0\0\0\x01\0\0\0\x02\0\0\0"),
            variable(0x0037_001f, &wide("Grüße")),
            variable(0x1013_0102, b"<p>\xc4\xe0</p>"),
            variable(0x1009_0102, &super::rtf::tests::packed()),
        ]);
        let inner = stream(&[attribute(1, 0x0001_8004, b"inner\0")]);
        stream(&[
            attribute(1, 0x0006_9007, b"\xe4\x04\0\0\0\0\0\0"),
            attribute(1, 0x0007_8008, b"IPM.Microsoft Mail.Note\0"),
            attribute(1, 0x0001_8004, b"Simple subject\0"),
            attribute(1, 0x0002_800c, b"caf\xe9\0"),
            attribute(1, 0x0006_9003, &message),
            attribute(2, 0x0006_9002, REND),
            attribute(2, 0x0001_8010, b"LONGNA~1.TXT\0"),
            attribute(2, 0x0006_800f, b"Hello\r\n"),
            attribute(
                2,
                0x0006_9005,
                &properties(&[
                    variable(0x3707_001f, &wide("long name.txt")),
                    variable(0x370e_001e, b"text/plain\0"),
                    variable(0x3712_001e, b"a@b\0"),
                ]),
            ),
            attribute(2, 0x0006_9002, REND),
            attribute(2, 0x0001_8010, b"caf\xe9\0"),
            attribute(2, 0x0006_9005, &properties(&[variable(0x3701_000d, &[IID_MESSAGE, &inner].concat())])),
        ])
    }

    #[test]
    fn what_outlook_sends_is_read() {
        let tnef = Tnef::parse(sample()).unwrap();
        assert!(tnef.is_sound());
        assert_eq!(tnef.class().as_deref(), Some("IPM.Microsoft Mail.Note"));
        assert_eq!(tnef.subject().as_deref(), Some("Grüße"));
        assert_eq!(tnef.text().as_deref(), Some("café"));
        assert_eq!(tnef.html().as_deref(), Some("<p>Да</p>"));
        assert!(tnef.rtf().unwrap().starts_with(b"{\\rtf1\\ansi\\ansicpg1252"));
        let [file, message] = tnef.attachments() else { panic!("two attachments") };
        assert_eq!(file.name().as_deref(), Some("long name.txt"));
        assert_eq!((file.media_type().as_deref(), file.id().as_deref()), (Some("text/plain"), Some("a@b")));
        assert_eq!(file.content(), "Hello\r\n");
        assert!(file.message().is_none());
        assert_eq!(message.name().as_deref(), Some("café"));
        assert_eq!(message.media_type().as_deref(), Some("application/ms-tnef"));
        assert_eq!(message.message().unwrap().subject().as_deref(), Some("inner"));
    }

    /// The checksums of MS-OXTNEF §3.1.
    #[test]
    fn a_wrong_checksum_is_noted_and_nothing_more() {
        let class = b"\x01\x08\x80\x07\x00\x18\x00\x00\x00IPM.Microsoft Mail.Note\x00";
        let codepage = b"\x01\x07\x90\x06\x00\x08\x00\x00\x00\xe4\x04\x00\x00\x00\x00\x00\x00\xe8\x00";
        for (sum, sound) in [([0x31, 0x08], true), ([0x31, 0x09], false)] {
            let tnef = Tnef::parse([&b"\x78\x9f\x3e\x22\x01\x00"[..], codepage, class, &sum].concat()).unwrap();
            assert_eq!((tnef.class().as_deref(), tnef.is_sound()), (Some("IPM.Microsoft Mail.Note"), sound));
        }
    }

    #[test]
    fn what_is_cut_off_is_read_as_far_as_it_goes() {
        let whole = sample();
        for end in 0..whole.len() {
            let tnef = Tnef::parse(whole[..end].to_vec());
            assert_eq!(tnef.is_some(), end >= 4);
            let ended = tnef.is_some_and(|tnef| tnef.is_sound());
            // Between two attributes nothing shows that more was to come.
            assert!(
                !ended || Tnef::parse([&whole[..end], &attribute(1, 0x0001_8004, b"x\0")].concat()).unwrap().is_sound()
            );
        }
        let file = stream(&[attribute(2, 0x0006_9002, REND), attribute(2, 0x0006_800f, b"content")]);
        let cut = Tnef::parse(file[..file.len() - 4].to_vec()).unwrap();
        assert_eq!((&cut.attachments()[0].content()[..], cut.is_sound()), (&b"conte"[..], false));
        let lies = stream(&[b"\x02\x0f\x80\x06\x00\xff\xff\xff\xffrest".to_vec()]);
        assert_eq!(Tnef::parse(lies).unwrap().attachments()[0].content(), "rest");
        assert!(Tnef::parse("no TNEF").is_none());
    }

    #[test]
    fn attachments_are_listed_with_the_part_up_to_a_limit() {
        let body = transfer::encode_base64(&sample());
        for (content_type, listed) in [
            ("application/ms-tnef", 2),
            ("application/vnd.ms-tnef; name=x", 2),
            ("application/octet-stream; name=WinMail.dat", 2),
            ("application/octet-stream; name=other.dat", 0),
            ("text/plain; name=winmail.dat", 0),
        ] {
            let header = format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: base64\r\n\r\n");
            let message = Message::parse(header + &body);
            let files = message.root().enclosed();
            assert_eq!(files.len(), listed, "{content_type}");
            if let Some(file) = files.first() {
                assert_eq!(message.defects(), [], "{content_type}");
                assert_eq!((file.form, file.name.as_str(), file.complete), (Form::Tnef, "long name.txt", true));
                assert_eq!(file.decode(&message.root().decode()), b"Hello\r\n");
            }
        }
        let many = Tnef::parse(stream(&vec![attribute(2, 0x0006_9002, REND); MOST_ATTACHMENTS + 1])).unwrap();
        assert_eq!((many.attachments().len(), many.is_sound()), (MOST_ATTACHMENTS, false));
    }

    /// Each would take minutes in quadratic time, or memory without end.
    #[test]
    fn hostile_streams_take_linear_time() {
        let huge = properties(&[fixed(0x6000_1003, b"\xff\xff\xff\xff")]);
        let count = [&b"\xff\xff\xff\xff"[..], &fixed(0x6000_0001, b"").repeat(100_000)].concat();
        for data in [huge, count, properties(&[variable(0x1009_0102, &[0; 100_000])]), vec![0xff; 100_000]] {
            let tnef = Tnef::parse(stream(&[attribute(1, 0x0006_9003, &data)])).unwrap();
            tnef.rtf();
        }
        Tnef::parse(stream(&vec![attribute(1, 0x0001_8004, b""); 100_000])).unwrap();
        let mut nested = Vec::new();
        for _ in 0..300 {
            let object = [IID_MESSAGE, &stream(&[attribute(2, 0x0006_9002, REND), nested])].concat();
            nested = attribute(2, 0x0006_9005, &properties(&[variable(0x3701_000d, &object)]));
        }
        let mut tnef = Tnef::parse(stream(&[nested])).unwrap();
        let mut depth = 0;
        while let Some(inner) = tnef.attachments().first().and_then(TnefAttachment::message) {
            (tnef, depth) = (inner, depth + 1);
        }
        assert_eq!(depth, 300);
    }
}
