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

    /// `[day-name "," SP] 1*2DIGIT SP month SP 4DIGIT SP time-of-day SP ("+" / "-") 4DIGIT`, each at its place, as nearly all
    /// mail has it: in Date, and in each Received. Gives up on all else, comments before the zone and impossible dates among it.
    fn parse_usual(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let text = match text {
            [a, b, c, b',', b' ', rest @ ..] => WEEKDAY_NAMES.number([*a, *b, *c]).map(|_| rest)?,
            _ => text,
        };
        // One digit or two: nobody can foretell which.
        let [first, second, ..] = *text else { return None };
        let (tens, ones, len) = if second == b' ' { (b'0', first, 1) } else { (first, second, 2) };
        let day = two_digits(tens, ones)?;
        let (fixed, after) = text.get(len..)?.split_first_chunk::<24>()?;
        let [date, time, zone] = fixed.as_chunks::<8>().0 else { return None }; // three times eight
        let ((year, odd_date), (clock, odd_time), (rest, odd_zone)) =
            (DATE_FORM.pairs(*date), TIME_FORM.pairs(*time), ZONE_FORM.pairs(*zone));
        // What stands behind the zone is passed over, but it may be a digit or a colon of the zone.
        if odd_date | odd_time | odd_zone != 0 || !matches!(after, [] | [b' ', b'(', ..]) {
            return None;
        }
        let [_, m1, m2, m3, ..] = *date;
        let month = MONTH_NAMES.number([m1, m2, m3])?;
        let ([.., century, _, decade], [last, _, hour, _, _, minute, ..], [second, .., hours, _, minutes, _]) =
            (year, clock, rest);
        let year = i16::from(century) * 100 + i16::from(decade + last / 10);
        let east = i16::from(hours) * 60 + i16::from(minutes);
        let offset = match zone {
            [_, _, _, b'+', ..] => Some(east),
            [_, _, _, b'-', ..] => Some(-east).filter(|west| *west != 0),
            _ => return None,
        };
        // The last year is not whole.
        if minutes >= 60 || east > MOST_OFFSET || year == 9999 || hour >= 24 || minute >= 60 || second >= 60 {
            return None;
        }
        let local =
            (days(year, month, day)? * 24 + i64::from(hour)) * 3600 + i64::from(minute) * 60 + i64::from(second);
        let unix = local - i64::from(offset.unwrap_or(0)) * 60;
        (Self::from_unix(unix).unix == unix).then_some(Self { unix, offset })
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

/// A reader of dates: words and numbers, with white space, folding and comments between them passed over.
struct Words<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    fn new(text: &'a [u8]) -> Self {
        let mut words = Self { text, at: 0 };
        words.skip(b"");
        words
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn at_digit(&self) -> bool {
        self.peek().is_some_and(|octet| octet.is_ascii_digit())
    }

    /// Passes over CFWS (RFC 5322 §3.2.2) and the octets of `more`. Comments nest; the depth is counted, not recursed.
    fn skip(&mut self, more: &[u8]) {
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

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let from = self.at.min(self.text.len());
        let text = &self.text[from..]; // `from` is within the text
        let len = text.iter().position(|octet| !wanted(*octet)).unwrap_or(text.len());
        self.at = from + len;
        &text[..len] // `len` is within the text
    }

    fn number<T: std::str::FromStr>(&mut self, expected: &'static str) -> Result<T, ParseError> {
        let at = self.at;
        let digits = self.take(|octet| octet.is_ascii_digit());
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        self.skip(b"");
        number.ok_or(ParseError { expected, at })
    }

    fn optional_weekday(&mut self) {
        let before = self.at;
        let name = self.take(|octet| octet.is_ascii_alphabetic());
        // In asctime form a month may stand where the weekday was left out.
        if name.first_chunk().is_some_and(|name| MONTH_NAMES.number(*name).is_some()) {
            self.at = before;
            return;
        }
        self.skip(b",.");
    }

    fn special(&mut self, special: u8) -> Result<(), ParseError> {
        if self.peek() != Some(special) {
            return Err(ParseError { expected: "a hyphen", at: self.at });
        }
        self.at += 1;
        Ok(())
    }

    /// A month by its name, or by its number from 1.
    fn month_or_number(&mut self) -> Result<i8, ParseError> {
        self.skip(b"-");
        if !self.at_digit() {
            return self.month();
        }
        let month = self.number("a month")?;
        self.skip(b"-");
        Ok(month)
    }

    fn month(&mut self) -> Result<i8, ParseError> {
        self.skip(b"-");
        let at = self.at;
        let name = self.take(|octet| octet.is_ascii_alphabetic());
        self.skip(b"-");
        name.first_chunk().and_then(|name| MONTH_NAMES.number(*name)).ok_or(ParseError { expected: "a month", at })
    }

    /// RFC 5322 §4.3: two digits 00 to 49 are 20xx, two digits from 50 and three digits are 19xx.
    fn year(&mut self) -> Result<i16, ParseError> {
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
    fn time(&mut self) -> Result<civil::Time, ParseError> {
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
    fn zone(&mut self) -> Option<i16> {
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

    fn stamp(
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

fn two_digits(tens: u8, ones: u8) -> Option<i8> {
    let [tens, ones] = [tens, ones].map(|digit| digit.wrapping_sub(b'0'));
    (tens.max(ones) < 10).then(|| (tens * 10 + ones) as i8) // at most 99
}

/// Three letters in lower case as one number, so that names are told apart by one look at each.
const fn letters([a, b, c]: [u8; 3]) -> u32 {
    // No other octet than the capital becomes a small letter by this.
    u32::from_le_bytes([a | 0x20, b | 0x20, c | 0x20, 0])
}

/// Names of three letters, one of which is found by one look at a table: nobody can foretell which it is.
struct Names<const N: usize> {
    names: [u32; N],
    /// By a few bits that no two of the names have alike, their numbers from 1.
    places: [u8; 32],
}

static MONTH_NAMES: Names<12> = Names::of(&MONTHS);
static WEEKDAY_NAMES: Names<7> = Names::of(&WEEKDAYS);

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
    fn number(&self, name: [u8; 3]) -> Option<i8> {
        let name = letters(name);
        let number = self.places[Self::place(name)]; // below 32
        let known = self.names.get(usize::from(number).wrapping_sub(1))?;
        (*known == name).then_some(number as i8) // at most 12
    }
}

/// What stands in eight octets of nearly all dates: digits where the form has them, all else as there, anything for an `x`.
struct Form {
    octets: u64,
    looked_at: u64,
    /// What added to the difference from the form sets the highest bit of an octet that differs too much.
    slack: u64,
}

static DATE_FORM: Form = Form::of(b" xxx 000");
static TIME_FORM: Form = Form::of(b"0 00:00:");
static ZONE_FORM: Form = Form::of(b"00 x0000");

impl Form {
    const fn of(form: &[u8; 8]) -> Self {
        let (mut looked_at, mut slack, mut n) = ([0; 8], [0; 8], 0);
        while n < 8 {
            if form[n] != b'x' {
                looked_at[n] = u8::MAX; // within the loop
                slack[n] = if form[n] == b'0' { 0x80 - 10 } else { 0x80 - 1 }; // within the loop
            }
            n += 1;
        }
        let looked_at = u64::from_le_bytes(looked_at);
        Self { octets: u64::from_le_bytes(*form) & looked_at, looked_at, slack: u64::from_le_bytes(slack) }
    }

    /// At the place of each digit the number that it is with the one behind it, a 0 where none is; and bits where something is
    /// not in the form.
    #[inline]
    fn pairs(&self, octets: [u8; 8]) -> ([u8; 8], u64) {
        let digits = (u64::from_le_bytes(octets) & self.looked_at) ^ self.octets;
        // Only what has its highest bit carries something to the next octet.
        let odd = (digits.wrapping_add(self.slack) | digits) & u64::from_le_bytes([0x80; 8]);
        // At most 99, where nothing is odd.
        (digits.wrapping_mul(10).wrapping_add(digits >> 8).to_le_bytes(), odd)
    }
}

/// Days from 1970-01-01 to this one of a month from 1 to 12; `None` where there is none. As jiff has it, which takes four times as
/// long for the many dates of a header.
#[inline]
fn days(year: i16, month: i8, day: i8) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i8::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    // Years that begin with March, where 153 days are five months, and as many more of them as are never below 0.
    let early = month < 3;
    let years = i64::from(year) + 400 - i64::from(early);
    let months = i64::from(month) + if early { 9 } else { -3 };
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (months * 153 + 2) / 5 + i64::from(day) - 1;
    (1..=last).contains(&day).then_some(days - 719_468 - 146_097)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for year in (0..=9998).filter(|year| *year < 2100 || year % 50 < 2) {
            for month in 1..=12 {
                for day in [0, 1, 15, 28, 29, 30, 31, 32] {
                    let date = civil::Date::new(year, month, day).ok();
                    let point = date.and_then(|date| Offset::UTC.to_timestamp(date.to_datetime(civil::Time::MIN)).ok());
                    let expected = point.map(|point| point.as_second() / 86_400);
                    assert_eq!(days(year, month, day), expected, "{year} {month} {day}");
                }
            }
        }
    }

    #[test]
    fn rfc_3339_dates_round_trip() {
        for (text, unix) in [
            ("1985-04-12T23:20:50Z", 482_196_050),
            ("1996-12-19T16:39:57-08:00", 851_042_397),
            ("1990-12-31T15:59:59-08:00", 662_687_999),
            ("1937-01-01T12:00:27+00:20", -1_041_337_173),
            ("2014-04-03T23:01:00-00:00", 1_396_566_060),
        ] {
            let stamp = Timestamp::parse_rfc3339(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((stamp.unix(), &*stamp.rfc3339().to_string()), (unix, text));
        }
        for (text, same) in [
            // RFC 3339 §5.8
            ("1985-04-12t23:20:50.52z", "1985-04-12T23:20:50Z"),
            ("1990-12-31T23:59:60Z", "1990-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text.as_bytes()).unwrap().rfc3339().to_string(), same);
        }
        for text in [
            "",
            "2014-04-03",
            "2014-04-03T23:01:00",
            "2014-04-03 23:01:00Z",
            "2014-04-03T23:01Z",
            "2014-04-03T24:00:00Z",
            "2014-04-03T23:60:00Z",
            "2014-04-03T23:00:61Z",
            "2014-13-03T23:00:00Z",
            "2014-02-30T23:00:00Z",
            "2014-04-03T23:01:00.Z",
            "2014-04-03T23:01:00+24:00",
            "2014-04-03T23:01:00+0100",
            "2014-04-03T23:01:00Z ",
            "+014-04-03T23:01:00Z",
        ] {
            assert!(Timestamp::parse_rfc3339(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn rfc_5322_dates_are_read() {
        for (text, unix, offset) in [
            // RFC 5322 appendix A
            ("Fri, 21 Nov 1997 09:55:06 -0600", 880_127_706, Some(-360)),
            ("Tue, 1 Jul 2003 10:52:37 +0200", 1_057_049_557, Some(120)),
            ("Thu, 13 Feb 1969 23:32:54 -0330", -27_723_426, Some(-210)),
            (
                "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
                -27_723_480,
                Some(-210),
            ),
            ("21 Nov 97 09:55:06 GMT", 880_106_106, Some(0)),
            ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880_127_706, Some(-360)),
            ("Fri, 21 Nov 1997 09:55:06 -0000", 880_106_106, None),
            ("Fri, 21 Nov 1997 09:55:06", 880_106_106, None),
            ("Fri, 21 Nov 1997 09:55:06 X", 880_106_106, None),
            ("Sat, 31 Dec 2016 23:59:60 +0000", 1_483_228_799, Some(0)),
        ] {
            let stamp = Timestamp::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((stamp.unix(), stamp.offset()), (unix, offset), "{text}");
        }
    }

    #[test]
    fn dates_that_mean_one_thing_are_read() {
        // 1 July 2003 10:52:37 +0200
        const AT: i64 = 1_057_049_557;
        for (text, unix, offset) in [
            ("Tue, 1 Jul 2003 10:52:37 +02:00", AT, Some(120)),
            ("Tue, 1 Jul 2003 10:52:37 +02", AT, Some(120)),
            ("Tue, 1 Jul 2003 10:52:37 +2", AT, Some(120)),
            ("Tue, 1 Jul 2003 10:52:37 GMT+0200 (CEST)", AT, Some(120)),
            ("Tue, 1 Jul 2003 10:52:37 UTC+2", AT, Some(120)),
            ("Tue, 1 Jul 2003 10:52:37 0200", AT, Some(120)),
            ("Tue, Jul 1 03 10:52:37 200", AT, Some(120)),
            ("Tue, 1 Jul 2003 08:52:37 2003", AT, None),
            ("Tue, 1 Jul 2003 10:52:37+0200", AT, Some(120)),
            ("Tue, 1 Jul 2003 10:52:37.123 +0200", AT, Some(120)),
            ("Tue, 1 Jul 2003, 10:52:37 +0200", AT, Some(120)),
            ("Tuesday,1 July 103 10.52.37 +0200 trailing words", AT, Some(120)),
            ("Tue, 1-Jul-03 08:52:37 GMT", AT, Some(0)),
            ("tue, 01 jul 2003 08:52:37 am utc", AT, Some(0)),
            ("1 Jul 2003 12:00 AM GMT", 1_057_017_600, Some(0)),
            ("1 Jul 2003 12:00 PM GMT", 1_057_060_800, Some(0)),
            ("1 Jul 2003 11:00 pm GMT", 1_057_100_400, Some(0)),
            ("1 07 2003 08:52:37 GMT", AT, Some(0)),
            ("01-07-2003 08:52:37 GMT", AT, Some(0)),
            // RFC 5322 §4.3: "SHOULD be considered equivalent to "-0000""
            ("Tue, 1 Jul 2003 08:52:37 CEST", AT, None),
            ("Tue, 1 Jul 2003 08:52:37 A", AT, None),
            ("Tue, 1 Jul 2003 04:52:37 EDT -0400", AT, Some(-240)),
            ("Tue Jul  1 08:52:37 2003", AT, Some(0)),
            ("Tue Jul  1 10:52:37 2003 +0200", AT, Some(120)),
            ("Tuesday, July 1, 2003 08:52:37 GMT", AT, Some(0)),
            ("July 1 2003, 8:52:37 AM GMT", AT, Some(0)),
            ("2003-07-01T08:52:37Z", AT, Some(0)),
            ("2003-07-01T10:52:37.5+02:00", AT, Some(120)),
            ("2003-07-01 10:52:37 +0200", AT, Some(120)),
            ("2003-07-01 08:52:37", AT, None),
        ] {
            let stamp = Timestamp::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((stamp.unix(), stamp.offset()), (unix, offset), "{text}");
        }
    }

    #[test]
    fn the_usual_way_reads_the_same() {
        let pieces: [&[&str]; 6] = [
            &["", "Fri, ", "fri, ", "Xxx, ", "Mar, ", "Fri ", " \t"],
            &["21", "1", "01", "31", "0", " 7", "x1"],
            &[" Nov ", " feb ", " Xyz ", " 11 "],
            &["1997", "97", "0099", "12x4"],
            &[" 09:55:06", " 9:55:06", " 23:59:60", " 24:00:00", " 09:55", " 0a:00:00"],
            &[
                " -0600",
                " +0200",
                " -0000",
                " +0000 (UTC)",
                " +9959",
                " +0160",
                " +02000",
                " +02:00",
                " GMT",
                "",
                " +0100 x",
                " x0100",
                "\r\n",
            ],
        ];
        let count: usize = pieces.iter().map(|piece| piece.len()).product();
        let mut usual = 0;
        for mut n in 0..count {
            let mut text = String::new();
            for piece in pieces {
                text.push_str(piece[n % piece.len()]);
                n /= piece.len();
            }
            if let Some(stamp) = Timestamp::parse_usual(text.as_bytes()) {
                usual += 1;
                assert_eq!(Timestamp::parse_mail(text.as_bytes()), Ok(stamp), "{text:?}");
            }
        }
        assert!(usual > 100, "{usual}");
        for text in ["Fri, 21 Nov 1997 09:55:06 -0600", " 1 Jul 2003 10:52:37 +0200 (CEST)\r\n"] {
            assert!(Timestamp::parse_usual(text.as_bytes()).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "Fri",
            "32 Jan 2000 00:00:00 +0000",
            "29 Feb 2001 00:00 GMT",
            "1 Foo 2000 00:00 GMT",
            "1 Jan 2 00:00",
            "1 Jan 99999 00:00",
            "1 Jan 2000 24:00",
            "1 Jan 2000 1",
            // Which is the month?
            "07/01/2003 10:52",
            "1 13 2000 00:00",
            "July 2003",
            "2003-7",
            "203-07-01 10:52",
            "((((",
            "1 Jan 2000 \\",
        ] {
            assert!(Timestamp::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for (unix, offset) in [
            (0, 0),
            (1_057_049_557, 120),
            (-27_723_426, -210),
            (253_402_000_000, 1559),
            (-62_000_000_000, -1559),
            (i64::MAX, 0),
            (i64::MIN, -720),
        ] {
            let stamp = Timestamp::from_unix(unix).at_offset(offset);
            assert_eq!(Timestamp::parse(stamp.to_string().as_bytes()), Ok(stamp));
            assert_eq!(Timestamp::parse_imap(stamp.imap().to_string().as_bytes()), Ok(stamp));
            assert_eq!(Timestamp::parse_asctime(stamp.asctime().to_string().as_bytes()), Ok(stamp.at_offset(0)));
        }
        let nowhere = Timestamp::parse(b"1 Jan 2000 00:00:00 -0000").unwrap();
        assert_eq!(nowhere.to_string(), "Sat, 1 Jan 2000 00:00:00 -0000");
        assert_eq!(Timestamp::parse(nowhere.to_string().as_bytes()), Ok(nowhere));
    }

    #[test]
    fn imap_dates_have_a_fixed_form() {
        assert_eq!(Timestamp::parse_imap(b"17-Jul-1996 02:44:25 -0700").unwrap().unix(), 837_596_665);
        for bad in [
            "1-Jul-1996 02:44:25 -0700",
            "17-Jul-1996 02:44:25",
            "17 Jul 1996 02:44:25 -0700",
            "17-Jul-1996 02:44:25 PDT  ",
            "17-Jux-1996 02:44:25 -0700",
        ] {
            assert!(Timestamp::parse_imap(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn from_lines_are_read_with_and_without_zones() {
        for text in [
            "Wed Feb 28 15:42:24 2007",
            "Feb 28 15:42:24 2007",
            "Wed Feb 28 15:42:24 GMT 2007",
            "Wed Feb 28 15:42:24 2007 +0000",
            "Wed Feb 28 16:42:24 +0100 2007",
        ] {
            assert_eq!(Timestamp::parse_asctime(text.as_bytes()).map(Timestamp::unix), Ok(1_172_677_344), "{text}");
        }
    }
}
