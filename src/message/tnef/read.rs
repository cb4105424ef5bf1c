//! Numbers, strings and properties out of the octets of a TNEF stream (MS-OXTNEF §2.1.3.4).

use bytes::Bytes;

use crate::text::charset;

/// A string, not yet decoded.
#[derive(Clone, Debug)]
pub(super) struct Text {
    octets: Bytes,
    /// UTF-16, or else the code page of the stream.
    wide: bool,
}

impl Text {
    pub fn new(octets: Bytes) -> Option<Self> {
        Some(Self { octets, wide: false })
    }

    /// Up to the NUL that ends it.
    pub fn decode(&self, codepage: u32) -> Option<String> {
        let text = if self.wide {
            charset::decode("utf-16le", &self.octets)
        } else {
            charset::decode(&label(codepage), &self.octets)
        };
        let text = text.split('\0').next().unwrap_or_default();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// The charset of a Windows code page.
fn label(codepage: u32) -> String {
    match codepage {
        874 | 1250..=1258 => format!("windows-{codepage}"),
        932 => "shift_jis".into(),
        936 => "gbk".into(),
        949 => "euc-kr".into(),
        950 => "big5".into(),
        866 => "ibm866".into(),
        20866 => "koi8-r".into(),
        21866 => "koi8-u".into(),
        28591..=28606 => format!("iso-8859-{}", codepage - 28590),
        50220..=50222 => "iso-2022-jp".into(),
        51932 => "euc-jp".into(),
        54936 => "gb18030".into(),
        65000 => "utf-7".into(),
        65001 => "utf-8".into(),
        _ => String::new(),
    }
}

/// The value of a property.
pub(super) enum Value {
    Number(u32),
    Text(Text),
    Octets(Reader),
    Object(Reader),
}

/// `MsgPropertyList` (MS-OXTNEF §2.1.3.4). Whether all of it was there.
pub(super) fn properties(mut reader: Reader, mut each: impl FnMut(u16, Value)) -> bool {
    let Some(count) = reader.u32() else { return false };
    (0..count).all(|_| property(&mut reader, &mut each).is_some())
}

/// `MsgPropertyTag MsgPropertyData`; of several values the first counts. `None` where it is cut off or of no known type.
fn property(reader: &mut Reader, each: &mut impl FnMut(u16, Value)) -> Option<()> {
    let (kind, id) = (reader.u16()?, reader.u16()?);
    if id >= 0x8000 {
        // A property with a name: its namespace, then a number or a string.
        reader.exact(16)?;
        if reader.u32()? == 0 {
            reader.u32()?;
        } else {
            let len = reader.u32()?;
            reader.padded(len)?;
        }
    }
    let (several, kind) = (kind & 0x1000 != 0, kind & !0x1000);
    let width = match kind {
        // Null; short, long, float, error, boolean; double, currency, time, 64 bits, file time; GUID.
        0x0001 => Some(0),
        0x0002 | 0x0003 | 0x0004 | 0x000a | 0x000b => Some(4),
        0x0005 | 0x0006 | 0x0007 | 0x0014 | 0x0040 => Some(8),
        0x0048 => Some(16),
        0x000d | 0x001e | 0x001f | 0x0102 => None,
        _ => return None,
    };
    let count = if several || width.is_none() { reader.u32()? } else { 1 };
    if let Some(width) = width {
        let value = reader.clone().u32().filter(|_| width == 4 && count > 0);
        reader.exact(usize::try_from(count).ok()?.checked_mul(width)?)?;
        value.into_iter().for_each(|number| each(id, Value::Number(number)));
        return Some(());
    }
    for n in 0..count {
        let len = reader.u32()?;
        let value = reader.padded(len)?;
        if n == 0 {
            each(
                id,
                match kind {
                    0x000d => Value::Object(value),
                    0x0102 => Value::Octets(value),
                    _ => Value::Text(Text { octets: value.bytes(), wide: kind == 0x001f }),
                },
            );
        }
    }
    Some(())
}

/// Numbers and pieces out of octets, little end first.
#[derive(Clone)]
pub(super) struct Reader {
    /// From the start of the stream to the end of the piece.
    pub octets: Bytes,
    pub at: usize,
}

impl Reader {
    pub fn rest(&self) -> &[u8] {
        self.octets.get(self.at..).unwrap_or_default()
    }

    pub fn bytes(&self) -> Bytes {
        self.octets.slice(self.at..)
    }

    pub fn is_done(&self) -> bool {
        self.at >= self.octets.len()
    }

    /// The next `len` octets, or as many as there are.
    pub fn most(&mut self, len: usize) -> Reader {
        let end = self.at.saturating_add(len).min(self.octets.len());
        let piece = Reader { octets: self.octets.slice(..end), at: self.at };
        self.at = end;
        piece
    }

    pub fn exact(&mut self, len: usize) -> Option<Reader> {
        if self.rest().len() < len { None } else { Some(self.most(len)) }
    }

    /// So many octets, and what fills them up to a multiple of four; that may be cut off.
    pub fn padded(&mut self, len: u32) -> Option<Reader> {
        let len = usize::try_from(len).ok()?;
        let piece = self.exact(len)?;
        self.most(len.next_multiple_of(4) - len);
        Some(piece)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.exact(1)?.rest().first().copied()
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.exact(2)?.rest().try_into().ok().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.exact(4)?.rest().try_into().ok().map(u32::from_le_bytes)
    }
}
