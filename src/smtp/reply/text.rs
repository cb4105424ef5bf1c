//! The text of a reply. Most texts are short, or part of the program: these need no memory of their own.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use crate::base::sixteen::Sixteen;
use crate::text::transfer::text;

/// The lines of a reply, joined by LF.
#[derive(Clone)]
pub(super) enum Text {
    /// Part of the program.
    Fixed(&'static str),
    /// So many octets of ASCII, zeros behind them.
    Short(u8, Octets),
    Long(String),
}

/// Where words of the processor stand, for they are moved as such.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub(super) struct Octets([[u8; 16]; 3]);

impl Text {
    /// What came, each octet that is no UTF-8 as U+FFFD.
    #[inline(always)]
    pub(super) fn read(octets: &[u8]) -> Self {
        match Self::short(octets) {
            Some(short) => short,
            None => Self::Long(String::from_utf8_lossy(octets).into_owned()),
        }
    }

    /// Up to 48 octets of ASCII, read sixteen at a time, for what is written in pieces of other sizes waits until it can be moved.
    #[inline(always)]
    fn short(octets: &[u8]) -> Option<Self> {
        let len = octets.len();
        let nothing = Sixteen::split(&[]);
        let (first, rest) = Sixteen::split(octets);
        let (second, rest) = if len > 16 { Sixteen::split(rest) } else { nothing };
        let (third, rest) = if len > 32 { Sixteen::split(rest) } else { nothing };
        let beyond_ascii = first.are_beyond_ascii() | second.are_beyond_ascii() | third.are_beyond_ascii();
        if !rest.is_empty() || beyond_ascii.bits() != 0 {
            return None;
        }
        let octets = Octets([first.octets(), second.octets(), third.octets()]);
        Some(Self::Short(len as u8, octets)) // 48 at the most
    }

    /// Adds a line.
    pub(super) fn push_line(&mut self, line: &[u8]) {
        let mut text = match std::mem::replace(self, Self::Fixed("")) {
            Self::Long(text) => text,
            short => String::from(&*short),
        };
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(line));
        *self = Self::Long(text);
    }
}

impl From<Cow<'static, str>> for Text {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Fixed(text),
            Cow::Owned(text) => Self::Long(text),
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Fixed(fixed) => fixed,
            Self::Short(len, octets) => {
                text(octets.0.as_flattened().get(..usize::from(*len)).unwrap_or_default()).unwrap_or_default() // ASCII
            }
            Self::Long(long) => long,
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_same_however_it_is_kept() {
        for len in 0..80 {
            for letter in ["a", "ä", "\0"] {
                let text = letter.repeat(len);
                let read = Text::read(text.as_bytes());
                assert_eq!(*read, *text);
                assert_eq!(read, Text::from(Cow::Owned(text.clone())));
                assert_eq!(matches!(read, Text::Long(_)), text.len() > 48 || !text.is_ascii(), "{text}");
                let mut lines = read.clone();
                lines.push_line(b"and \xff");
                assert_eq!(*lines, *format!("{text}\nand \u{fffd}"));
            }
        }
        assert_eq!(Text::read(b"OK"), Text::Fixed("OK"));
        assert_eq!(*Text::read(b"caf\xe9"), *"caf\u{fffd}");
    }
}
