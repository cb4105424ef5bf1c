//! The enhanced status code of RFC 3463: what reports and replies of servers share.

use std::fmt;
use std::str::FromStr;

use crate::base::ParseError;

/// The enhanced status code of RFC 3463: class, subject, detail.
///
/// ```
/// use facteur::message::Enhanced;
///
/// assert_eq!(Enhanced(5, 1, 1).to_string(), "5.1.1");
/// assert_eq!(Enhanced::find("sorry, no mailbox here (#5.1.1)"), Some(Enhanced(5, 1, 1)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs)] // RFC 3463 §2: three numbers
pub struct Enhanced(pub u8, pub u16, pub u16);

impl Enhanced {
    /// The first code that stands in a text as a word of its own, or between brackets and other marks; a number of a network
    /// or of a version is none.
    pub fn find(text: &str) -> Option<Self> {
        let part_of_it = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_');
        // A full stop at the end belongs to the sentence.
        let mut words = text.split(|character| !part_of_it(character)).map(|word| word.trim_end_matches('.'));
        words.find_map(|word| if (5..=9).contains(&word.len()) { word.parse().ok() } else { None })
    }
}

/// `status-code = class "." subject "." detail` (RFC 3463 §2).
impl FromStr for Enhanced {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut numbers = text.split('.').map(|digits| number(digits.as_bytes()));
        match (numbers.next().flatten(), numbers.next().flatten(), numbers.next().flatten(), numbers.next()) {
            (Some(class @ (2 | 4 | 5)), Some(subject), Some(detail), None) => Ok(Self(class as u8, subject, detail)), // 2 to 5
            _ => Err(ParseError { expected: "a status code", at: 0 }),
        }
    }
}

/// `1*3DIGIT` without leading zeros.
pub(crate) fn number(digits: &[u8]) -> Option<u16> {
    let sound = (1..=3).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.len() == 1 || digits.first() != Some(&b'0'));
    sound.then(|| digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_read_as_the_rfc_writes_them() {
        for (text, code) in [("2.0.0", Some(Enhanced(2, 0, 0))), ("5.7.999", Some(Enhanced(5, 7, 999)))] {
            assert_eq!(text.parse().ok(), code, "{text}");
        }
        for text in ["", "5", "5.1", "5.1.1.1", "3.1.1", "5.01.1", "5.1.1000", "5..1", "5.1.1 ", "+5.1.1", "5.a.1"] {
            assert!(text.parse::<Enhanced>().is_err(), "{text}");
        }
    }

    #[test]
    fn codes_are_found_in_text_and_networks_are_not() {
        for (text, expected) in [
            ("550 5.1.1 unknown", Some(Enhanced(5, 1, 1))),
            ("550-5.7.26 no", Some(Enhanced(5, 7, 26))),
            ("no mailbox (#5.1.1 - chkusr)", Some(Enhanced(5, 1, 1))),
            ("it was 5.2.2.", Some(Enhanced(5, 2, 2))),
            ("4.4.7 (expired)", Some(Enhanced(4, 4, 7))),
            ("[5.1.1.9] said 5.0.0", Some(Enhanced(5, 0, 0))),
            ("v5.1.1 x5.1.1", None),
            ("5.1.1234", None),
            ("3.1.1 05.1.1 5.1", None),
            ("", None),
        ] {
            assert_eq!(Enhanced::find(text), expected, "{text}");
        }
    }
}
