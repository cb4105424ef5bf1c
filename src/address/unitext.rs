//! Addresses beyond ASCII where only ASCII may stand: the address type `utf-8` of RFC 6533 §3.

use std::fmt::{self, Write as _};

/// Text written as `utf-8-addr-xtext`, which every server may be sent and every report may hold.
pub(crate) struct Unitext<'a>(pub(crate) &'a str);

impl fmt::Display for Unitext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '!'..='*' | ','..='<' | '>'..='[' | ']'..='~' => f.write_char(character)?,
                _ => write!(f, "\\x{{{:02X}}}", u32::from(character))?,
            }
        }
        Ok(())
    }
}

/// Text in which each `\x{HEXPOINT}` is the character that it names; one that names none stays as it stands.
pub(crate) fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x{") {
        let (plain, escape) = rest.split_at(at);
        out.push_str(plain);
        let point = escape.get(3..).and_then(|after| {
            // HEXPOINT: 2 to 6 digits.
            let digits = after.bytes().take(7).take_while(u8::is_ascii_hexdigit).count();
            let character = char::from_u32(u32::from_str_radix(after.get(..digits)?, 16).ok()?)?;
            let end = after.get(digits..)?.strip_prefix('}')?;
            (2..=6).contains(&digits).then_some((character, end))
        });
        rest = match point {
            Some((character, after)) => {
                out.push(character);
                after
            }
            None => {
                out.push('\\');
                escape.get(1..).unwrap_or_default()
            }
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for (text, written) in [
            ("ada@a.test", "ada@a.test"),
            ("δ@a.test", "\\x{3B4}@a.test"),
            ("a+b=c\\x{41} d", "a\\x{2B}b\\x{3D}c\\x{5C}x{41}\\x{20}d"),
        ] {
            assert_eq!(Unitext(text).to_string(), written);
            assert_eq!(decoded(written), text);
        }
    }

    #[test]
    fn what_names_no_character_stays() {
        for text in ["\\x{", "\\x{}", "\\x{D800}", "\\x{1}", "\\x{1234567}", "\\x{zz}", "\\y{41}", "\\x{41"] {
            assert_eq!(decoded(text), text);
        }
    }
}
