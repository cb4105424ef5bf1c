//! Points in time as mail writes them: RFC 5322 §3.3 with the obsolete forms of §4.3, the IMAP date-time of RFC 9051 §9, the
//! date-time of RFC 3339 that parameters of SMTP have, and the asctime form of mbox `From ` lines. The calendar itself is jiff's, but
//! for the days of usual dates.
//!
//! Left out: leap seconds (`:60` is read as the last second of its minute) and years past 9999.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil;
use jiff::tz::Offset;

use crate::base::ParseError;

mod usual;
mod words;

use words::Words;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Years 0 to 9999: what four digits can say.
const FIRST_SECOND: i64 = -62_167_219_200;
const LAST_SECOND: i64 = 253_402_300_799;
/// The clock goes no further from UTC than this many minutes (99:59 in the grammar; jiff stops short of 26 hours).
const MOST_OFFSET: i16 = 25 * 60 + 59;

/// A point in time to the second, with the offset from UTC of the clock it was read from.
///
/// ```
/// use facteur::base::Timestamp;
///
/// let sent = Timestamp::parse(b"Tue, 1 Jul 2003 10:52:37 +0200")?;
/// assert_eq!(sent.unix(), 1057049557);
/// assert_eq!(sent.to_string(), "Tue, 1 Jul 2003 10:52:37 +0200");
/// assert_eq!(sent.imap().to_string(), " 1-Jul-2003 10:52:37 +0200");
/// assert_eq!(Timestamp::from_unix(0).asctime().to_string(), "Thu Jan  1 00:00:00 1970");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Timestamp {
    unix: i64,
    /// Minutes east of UTC; `None` is `-0000`, a clock whose place is not known.
    offset: Option<i16>,
}

impl Timestamp {
    /// The point `unix` seconds after 1970-01-01 00:00:00 UTC, on a clock in UTC. Points before the year 0 or after the
    /// year 9999 become the first or last that can be written.
    pub fn from_unix(unix: i64) -> Self {
        Self { unix: unix.clamp(FIRST_SECOND + 86_400 * 2, LAST_SECOND - 86_400 * 2), offset: Some(0) }
    }

    /// The same point on a clock `minutes` east of UTC, at most 25 h 59 min either way.
    #[must_use]
    pub fn at_offset(self, minutes: i16) -> Self {
        Self { offset: Some(minutes.clamp(-MOST_OFFSET, MOST_OFFSET)), ..self }
    }

    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub fn unix(self) -> i64 {
        self.unix
    }

    /// Minutes east of UTC of the clock it was read from; `None` where the text said `-0000` (RFC 5322 §3.3).
    pub fn offset(self) -> Option<i16> {
        self.offset
    }

    /// Reads `date-time` of RFC 5322 with its obsolete forms: comments, folding, two-digit years, named zones, no seconds.
    /// A weekday that does not fit the date is passed over; a missing zone is read as `-0000`.
    ///
    /// Of what programs write instead it reads the forms that mean one thing only: asctime (`Tue Jul  1 10:52:37 2003`), ISO
    /// 8601 (`2003-07-01T10:52:37Z`), `July 1, 2003 10:52 PM`, a month by its number in the order of the RFC, hours of a zone
    /// without minutes (`+02`, `+02:00`, `GMT+2`), a zone without its plus (`0200`). What stands behind the zone is passed over.
    ///
    /// # Errors
    /// What was expected of the form of the RFC, and where.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        match Self::parse_usual(text) {
            Some(usual) => Ok(usual),
            None => Self::parse_unusual(text),
        }
    }

    #[inline(never)]
    fn parse_unusual(text: &[u8]) -> Result<Self, ParseError> {
        Self::parse_mail(text).or_else(|error| {
            let other = Self::parse_month_first(text).or_else(|_| Self::parse_iso(text));
            other.map_err(|_| error)
        })
    }

    fn parse_mail(text: &[u8]) -> Result<Self, ParseError> {
        let mut words = Words::new(text);
        words.optional_weekday();
        let day = words.number("a day")?;
        let month = words.month_or_number()?;
        let year = words.year()?;
        words.skip(b",");
        let time = words.time()?;
        let offset = words.zone();
        words.stamp(year, month, day, time, offset)
    }

    /// `July 1, 2003 10:52`, or asctime.
    fn parse_month_first(text: &[u8]) -> Result<Self, ParseError> {
        let mut words = Words::new(text);
        words.optional_weekday();
        let month = words.month()?;
        let day = words.number("a day")?;
        words.skip(b",");
        // Where the year is expected asctime has the hour.
        let Some(year) = words.year().ok().filter(|_| words.peek() != Some(b':')) else {
            return Self::parse_asctime(text);
        };
        words.skip(b",");
        let time = words.time()?;
        let offset = words.zone();
        words.stamp(year, month, day, time, offset)
    }

    /// `2003-07-01T10:52:37.5+02:00`, with a space for the `T` too (RFC 3339 §5.6).
    fn parse_iso(text: &[u8]) -> Result<Self, ParseError> {
        let mut words = Words::new(text);
        words.optional_weekday();
        let at = words.at;
        let year = words.number("a year")?;
        let four = words.at == at + 4;
        words.special(b'-')?;
        let month = words.number("a month")?;
        words.special(b'-')?;
        let day = words.number("a day")?;
        if matches!(words.peek(), Some(b'T' | b't')) {
            words.skip(b"Tt");
        }
        let time = words.time()?;
        let offset = words.zone();
        if !four {
            return Err(ParseError { expected: "a year of four digits", at });
        }
        words.stamp(year, month, day, time, offset)
    }

    /// Reads the `date-time` of IMAP (RFC 9051 §9), without its quotes: ` 1-Jul-2003 10:52:37 +0200`.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse_imap(text: &[u8]) -> Result<Self, ParseError> {
        // date-day-fixed = (SP DIGIT) / 2DIGIT; all other parts have a fixed width too.
        let fixed = text.len() == 26
            && text.iter().enumerate().all(|(at, octet)| match at {
                0 => octet.is_ascii_digit() || *octet == b' ',
                2 | 6 => *octet == b'-',
                3..=5 => octet.is_ascii_alphabetic(),
                11 | 20 => *octet == b' ',
                14 | 17 => *octet == b':',
                21 => matches!(octet, b'+' | b'-'),
                _ => octet.is_ascii_digit(),
            });
        if !fixed {
            return Err(ParseError { expected: "dd-Mon-yyyy hh:mm:ss +zzzz", at: 0 });
        }
        let mut words = Words::new(text);
        let day = words.number("a day")?;
        words.skip(b"-");
        let month = words.month()?;
        words.skip(b"-");
        let year = words.number("a year")?;
        let time = words.time()?;
        let offset = words.zone();
        words.stamp(year, month, day, time, offset)
    }

    /// Reads the asctime form of an mbox `From ` line, `Wed Feb 28 15:42:24 2007`, with or without seconds, and with a
    /// zone before or after the year, or none (read as UTC).
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse_asctime(text: &[u8]) -> Result<Self, ParseError> {
        let mut words = Words::new(text);
        words.optional_weekday();
        let month = words.month()?;
        let day = words.number("a day")?;
        let time = words.time()?;
        let before = if words.at_digit() { None } else { words.zone() };
        let year = words.year()?;
        let after = words.zone();
        words.stamp(year, month, day, time, before.or(after).or(Some(0)))
    }

    /// Reads `date-time` of RFC 3339 §5.6, which has fractions of a second: these are dropped.
    ///
    /// ```
    /// use facteur::base::Timestamp;
    ///
    /// let valid = Timestamp::parse_rfc3339(b"2014-04-03T23:01:00+02:00")?;
    /// assert_eq!(valid.unix(), 1396558860);
    /// assert_eq!(valid.rfc3339().to_string(), "2014-04-03T23:01:00+02:00");
    /// # Ok::<(), facteur::base::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse_rfc3339(text: &[u8]) -> Result<Self, ParseError> {
        let fits = |text: &[u8], form: &[u8]| {
            text.len() == form.len()
                && text.iter().zip(form).all(|(octet, form)| match form {
                    b'd' => octet.is_ascii_digit(),
                    b'+' => matches!(octet, b'+' | b'-'),
                    form => octet.eq_ignore_ascii_case(form),
                })
        };
        let fault = ParseError { expected: "yyyy-mm-ddThh:mm:ss and a zone", at: 0 };
        let (fixed, rest) = text.split_at_checked(b"dddd-dd-ddTdd:dd:dd".len()).ok_or(fault)?;
        let digits = rest.iter().skip(1).take_while(|octet| octet.is_ascii_digit()).count();
        let zone = match rest {
            [b'.', behind @ ..] if digits > 0 => behind.get(digits..).unwrap_or_default(),
            rest => rest,
        };
        let sound = fits(fixed, b"dddd-dd-ddTdd:dd:dd") && (fits(zone, b"Z") || fits(zone, b"+dd:dd"));
        // RFC 3339 §5.6: time-hour = 2DIGIT ; 00-23
        let near = zone.get(1..3).is_none_or(|hours| hours < &b"24"[..]);
        if sound && near { Self::parse_iso(text) } else { Err(fault) }
    }

    /// Writes `date-time` of RFC 3339 §5.6, without a fraction.
    pub fn rfc3339(self) -> impl fmt::Display {
        let local = self.local();
        let zone = match self.offset {
            Some(0) => "Z".to_owned(),
            offset => {
                let minutes = offset.unwrap_or(0).unsigned_abs();
                format!("{}{:02}:{:02}", self.sign(), minutes / 60, minutes % 60)
            }
        };
        Written(format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{zone}",
            local.year(),
            local.month(),
            local.day(),
            local.hour(),
            local.minute(),
            local.second()
        ))
    }

    /// Writes `date-time` of IMAP (RFC 9051 §9), without its quotes.
    pub fn imap(self) -> impl fmt::Display {
        let (local, sign, offset) = (self.local(), self.sign(), self.offset.unwrap_or(0).unsigned_abs());
        Written(format!(
            "{:>2}-{}-{:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
            local.day(),
            MONTHS[usize::from(local.month().unsigned_abs()) - 1],
            local.year(), // months are 1 to 12
            local.hour(),
            local.minute(),
            local.second(),
            offset / 60,
            offset % 60,
        ))
    }

    /// Writes the asctime form, in UTC as mbox `From ` lines have it by convention.
    pub fn asctime(self) -> impl fmt::Display {
        let utc = Self { offset: Some(0), ..self }.local();
        Written(format!(
            "{} {} {:>2} {:02}:{:02}:{:02} {:04}",
            weekday(utc),
            MONTHS[usize::from(utc.month().unsigned_abs()) - 1],
            utc.day(), // months are 1 to 12
            utc.hour(),
            utc.minute(),
            utc.second(),
            utc.year(),
        ))
    }

    /// Year, month and day by the clock it was read from: what IMAP's SENTON and ON compare (RFC 9051 §6.4.4).
    pub fn date(self) -> (i16, u8, u8) {
        let local = self.local();
        (local.year(), local.month().unsigned_abs(), local.day().unsigned_abs())
    }

    fn local(self) -> civil::DateTime {
        let seconds = self.unix + i64::from(self.offset.unwrap_or(0)) * 60;
        // Two days are kept free at both ends of the range, so an offset cannot leave it.
        jiff::Timestamp::from_second(seconds).map_or(civil::DateTime::MIN, |point| Offset::UTC.to_datetime(point))
    }

    fn sign(self) -> char {
        // RFC 5322 §3.3: "-0000" says nothing about the local zone.
        if self.offset.is_none_or(|minutes| minutes < 0) { '-' } else { '+' }
    }
}

/// How long the longest date is.
pub(crate) const DATE: usize = "Mon, 31 Dec 2024 23:59:59 +0000".len();

impl Timestamp {
    /// Writes `date-time` of RFC 5322 §3.3, strict, to the front of the room; how long it is. Digit by digit, each in its place:
    /// every message that is written has such a date, and `write!` takes ten times as long.
    pub(crate) fn write_to(self, room: &mut [u8; DATE]) -> usize {
        let (local, offset) = (self.local(), self.offset.unwrap_or(0).unsigned_abs());
        let two = |number: u16| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]; // one digit each
        let small = |number: i8| two(number.unsigned_abs().into());
        let year = local.year().unsigned_abs(); // 0 to 9999
        let [[d1, d2], [y1, y2], [y3, y4]] = [small(local.day()), two(year / 100), two(year % 100)];
        let [[h1, h2], [m1, m2], [s1, s2]] = [local.hour(), local.minute(), local.second()].map(small);
        let [[z1, z2], [z3, z4]] = [two(offset / 60), two(offset % 60)];
        let sign = self.sign() as u8; // a plus or a minus
        let month = MONTHS[usize::from(local.month().unsigned_abs()) - 1].as_bytes(); // months are 1 to 12
        // A day of one digit takes one octet less.
        let (day, at) = if d1 == b'0' { ([d2, b' '], 6) } else { ([d1, d2], 7) };
        room[..3].copy_from_slice(weekday(local).as_bytes()); // 31 octets
        room[3..7].copy_from_slice(&[b',', b' ', day[0], day[1]]); // 31 octets, two digits
        let Some(rest) = room.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<24>()) else { return 0 };
        rest[1..4].copy_from_slice(month); // 24 octets, as below
        rest[0] = b' ';
        rest[4..12].copy_from_slice(&[b' ', y1, y2, y3, y4, b' ', h1, h2]);
        rest[12..18].copy_from_slice(&[b':', m1, m2, b':', s1, s2]);
        rest[18..].copy_from_slice(&[b' ', sign, z1, z2, z3, z4]);
        at + 24
    }
}

/// `date-time` of RFC 5322 §3.3, strict.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; DATE];
        let len = self.write_to(&mut text);
        f.write_str(text.get(..len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()) // it is ASCII
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let unix = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
        };
        Self::from_unix(unix)
    }
}

struct Written(String);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn weekday(date: civil::DateTime) -> &'static str {
    WEEKDAYS[usize::from(date.weekday().to_monday_zero_offset().unsigned_abs())] // 0 to 6
}

#[cfg(test)]
mod tests;
