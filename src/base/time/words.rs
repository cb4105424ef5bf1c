//! The words and numbers that dates are made of (RFC 5322 §3.3 and §4.3), with whatever stands between them.

use jiff::civil;
use jiff::tz::Offset;

use super::{MONTHS, MOST_OFFSET, Timestamp, WEEKDAYS};
use crate::base::ParseError;

/// A reader of dates: words and numbers, with white space, folding and comments between them passed over.
pub(super) struct Words<'a> {
    text: &'a [u8],
    pub at: usize,
}

impl<'a> Words<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        let mut words = Self { text, at: 0 };
        words.skip(b"");
        words
    }

    pub fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub fn at_digit(&self) -> bool {
        self.peek().is_some_and(|octet| octet.is_ascii_digit())
    }

    /// Passes over CFWS (RFC 5322 §3.2.2) and the octets of `more`. Comments nest; the depth is counted, not recursed.
    pub fn skip(&mut self, more: &[u8]) {
        let mut depth = 0_usize;
        while let Some(octet) = self.peek() {
            match octet {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 => self.at += 1,
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ if depth > 0 || more.contains(&octet) => {}
                _ => return,
            }
            self.at += 1;
        }
    }

    pub fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let from = self.at.min(self.text.len());
        let text = &self.text[from..]; // `from` is within the text
        let len = text.iter().position(|octet| !wanted(*octet)).unwrap_or(text.len());
        self.at = from + len;
        &text[..len] // `len` is within the text
    }

    pub fn number<T: std::str::FromStr>(&mut self, expected: &'static str) -> Result<T, ParseError> {
        let at = self.at;
        let digits = self.take(|octet| octet.is_ascii_digit());
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        self.skip(b"");
        number.ok_or(ParseError { expected, at })
    }

    pub fn optional_weekday(&mut self) {
        let before = self.at;
        let name = self.take(|octet| octet.is_ascii_alphabetic());
        // In asctime form a month may stand where the weekday was left out.
        if name.first_chunk().is_some_and(|name| MONTH_NAMES.number(*name).is_some()) {
            self.at = before;
            return;
        }
        self.skip(b",.");
    }

    pub fn special(&mut self, special: u8) -> Result<(), ParseError> {
        if self.peek() != Some(special) {
            return Err(ParseError { expected: "a hyphen", at: self.at });
        }
        self.at += 1;
        Ok(())
    }

    /// A month by its name, or by its number from 1.
    pub fn month_or_number(&mut self) -> Result<i8, ParseError> {
        self.skip(b"-");
        if !self.at_digit() {
            return self.month();
        }
        let month = self.number("a month")?;
        self.skip(b"-");
        Ok(month)
    }

    pub fn month(&mut self) -> Result<i8, ParseError> {
        self.skip(b"-");
        let at = self.at;
        let name = self.take(|octet| octet.is_ascii_alphabetic());
        self.skip(b"-");
        name.first_chunk().and_then(|name| MONTH_NAMES.number(*name)).ok_or(ParseError { expected: "a month", at })
    }

    /// RFC 5322 §4.3: two digits 00 to 49 are 20xx, two digits from 50 and three digits are 19xx.
    pub fn year(&mut self) -> Result<i16, ParseError> {
        let at = self.at;
        let year: i16 = self.number("a year")?;
        let digits = self.text[at..].iter().take_while(|octet| octet.is_ascii_digit()).count(); // `at` was within the text
        match digits {
            0 | 1 => Err(ParseError { expected: "a year of more than one digit", at }),
            2 if year < 50 => Ok(2000 + year),
            2 | 3 => Ok(1900 + year),
            _ => Ok(year),
        }
    }

    /// `hour ":" minute [ ":" second ]`; dots are read as colons, fractions of a second passed over, `AM` and `PM` read.
    pub fn time(&mut self) -> Result<civil::Time, ParseError> {
        let at = self.at;
        let mut hour: i8 = self.number("an hour")?;
        let mut rest = [0_i8; 2];
        for (place, name) in rest.iter_mut().zip(["a minute", "a second"]) {
            if !matches!(self.peek(), Some(b':' | b'.')) {
                if name == "a minute" {
                    return Err(ParseError { expected: "a colon", at: self.at });
                }
                break;
            }
            self.skip(b":.");
            *place = self.number(name)?;
        }
        let [minute, second] = rest;
        let second = if second == 60 { 59 } else { second };
        if matches!(self.peek(), Some(b'.' | b',')) {
            self.at += 1;
            self.take(|octet| octet.is_ascii_digit());
            self.skip(b"");
        }
        let before = self.at;
        match self.take(|octet| octet.is_ascii_alphabetic()).to_ascii_uppercase().as_slice() {
            b"AM" if (1..=12).contains(&hour) => hour %= 12,
            b"PM" if (1..=12).contains(&hour) => hour = hour % 12 + 12,
            _ => self.at = before,
        }
        self.skip(b"");
        civil::Time::new(hour, minute, second, 0).map_err(|_| ParseError { expected: "a time of day", at })
    }

    /// `("+" / "-") 4DIGIT / obs-zone`; what is not known is `-0000` (RFC 5322 §4.3).
    pub fn zone(&mut self) -> Option<i16> {
        let name = self.take(|octet| octet.is_ascii_alphabetic());
        let named = named_zone(name);
        let (sign, most) = match self.peek() {
            // `GMT+2`, but `EST -0500` and `Z` stand for themselves.
            Some(b'+') if name.is_empty() || named == Some(0) => (1, MOST_OFFSET),
            Some(b'-') if name.is_empty() || named == Some(0) => (-1, MOST_OFFSET),
            // Some leave out the plus: `0200`. No clock is farther east than this.
            Some(b'0'..=b'9') if name.is_empty() => (1, 14 * 60),
            _ => {
                self.skip(b"");
                return named;
            }
        };
        let signed = !self.at_digit();
        self.at += usize::from(signed);
        let mut digits = self.take(|octet| octet.is_ascii_digit()).to_vec();
        if self.peek() == Some(b':') && digits.len() <= 2 {
            self.at += 1;
            digits.extend_from_slice(self.take(|octet| octet.is_ascii_digit()));
        }
        self.skip(b"");
        let value: i16 = std::str::from_utf8(&digits).ok()?.parse().ok()?;
        let minutes = match digits.len() {
            1 | 2 if signed => value * 60,
            3 | 4 if value % 100 < 60 => value / 100 * 60 + value % 100,
            _ => return None,
        };
        (minutes <= most && (sign, minutes) != (-1, 0)).then_some(sign * minutes)
    }

    pub fn stamp(
        &self,
        year: i16,
        month: i8,
        day: i8,
        time: civil::Time,
        offset: Option<i16>,
    ) -> Result<Timestamp, ParseError> {
        let invalid = ParseError { expected: "a date of the calendar", at: 0 };
        let date = civil::Date::new(year, month, day).map_err(|_| invalid)?;
        let local = Offset::UTC.to_timestamp(date.to_datetime(time)).map_err(|_| invalid)?.as_second();
        let unix = local - i64::from(offset.unwrap_or(0)) * 60;
        if Timestamp::from_unix(unix).unix != unix {
            return Err(invalid);
        }
        Ok(Timestamp { unix, offset })
    }
}

/// Three letters in lower case as one number, so that names are told apart by one look at each.
const fn letters([a, b, c]: [u8; 3]) -> u32 {
    // No other octet than the capital becomes a small letter by this.
    u32::from_le_bytes([a | 0x20, b | 0x20, c | 0x20, 0])
}

/// Names of three letters, one of which is found by one look at a table: nobody can foretell which it is.
pub(super) struct Names<const N: usize> {
    names: [u32; N],
    /// By a few bits that no two of the names have alike, their numbers from 1.
    places: [u8; 32],
}

pub(super) static MONTH_NAMES: Names<12> = Names::of(&MONTHS);
pub(super) static WEEKDAY_NAMES: Names<7> = Names::of(&WEEKDAYS);

impl<const N: usize> Names<N> {
    const fn of(all: &[&str; N]) -> Self {
        let (mut names, mut places, mut n) = ([0; N], [0; 32], 0);
        while n < N {
            names[n] = letters(*all[n].as_bytes().first_chunk().unwrap()); // within the loop; all have three
            let place = &mut places[Self::place(names[n])]; // below 32; within the loop
            assert!(*place == 0, "two names in one place");
            n += 1;
            *place = n as u8; // at most 12
        }
        Self { names, places }
    }

    const fn place(name: u32) -> usize {
        (name.wrapping_mul(0xa24) >> 27) as usize // five bits
    }

    /// The number from 1 of the one that begins with these letters, in any case of them.
    #[inline]
    pub fn number(&self, name: [u8; 3]) -> Option<i8> {
        let name = letters(name);
        let number = self.places[Self::place(name)]; // below 32
        let known = self.names.get(usize::from(number).wrapping_sub(1))?;
        (*known == name).then_some(number as i8) // at most 12
    }
}

/// The zones of RFC 5322 §4.3; the military letters were defined wrongly once and say nothing now.
fn named_zone(name: &[u8]) -> Option<i16> {
    let hours = match name.to_ascii_uppercase().as_slice() {
        b"UT" | b"GMT" | b"UTC" | b"Z" => 0,
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        _ => return None,
    };
    Some(hours * 60)
}
