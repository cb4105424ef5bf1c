//! Dates as nearly all mail has them (RFC 5322 §3.3), read eight octets at a time. All else is left to the reader of words.

use super::words::{MONTH_NAMES, WEEKDAY_NAMES};
use super::{MOST_OFFSET, Timestamp};

impl Timestamp {
    /// `[day-name "," SP] 1*2DIGIT SP month SP 4DIGIT SP time-of-day SP ("+" / "-") 4DIGIT`, each at its place, as nearly all
    /// mail has it: in Date, and in each Received. Gives up on all else, comments before the zone and impossible dates among it.
    pub(super) fn parse_usual(text: &[u8]) -> Option<Self> {
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
}

fn two_digits(tens: u8, ones: u8) -> Option<i8> {
    let [tens, ones] = [tens, ones].map(|digit| digit.wrapping_sub(b'0'));
    (tens.max(ones) < 10).then(|| (tens * 10 + ones) as i8) // at most 99
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

#[cfg(test)]
mod tests {
    use jiff::civil;
    use jiff::tz::Offset;

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
    fn no_octet_is_taken_for_another() {
        let usual = b"Fri, 21 Nov 1997 09:55:06 -0600";
        let mut some = 0;
        for place in 0..usual.len() {
            for octet in 0..=255 {
                let mut text = *usual;
                text[place] = octet;
                if let Some(stamp) = Timestamp::parse_usual(&text) {
                    some += 1;
                    assert_eq!(Timestamp::parse_mail(&text), Ok(stamp), "{}", text.escape_ascii());
                    assert!(octet.is_ascii_graphic() || usual[place] == octet, "{}", text.escape_ascii());
                }
            }
        }
        // 31 times as it is; other digits in 14 places, the small letters of names and the other sign.
        assert!(some > 31 + 50, "{some}");
    }
}
