//! Names of mailboxes as directories of Maildir++: `Work/Projects` is `.Work.Projects`.
//!
//! Each level is written in the modified UTF-7 of IMAP (RFC 3501 §5.1.3), as other servers write theirs, so that a
//! directory is plain ASCII. Two things go beyond it: a dot inside a level is encoded too (`&AC4-`), for the dot stands
//! between levels here, and what does not decode is read as plain UTF-8, for there are servers that write that.

use crate::store::StoreError;

/// What a file system allows for one name.
const MAX_DIRECTORY: usize = 255;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// The directory of a canonical name other than `INBOX`.
pub(crate) fn directory(name: &str) -> Result<String, StoreError> {
    let mut out = String::with_capacity(name.len() + 8);
    for level in name.split('/') {
        out.push('.');
        encode(level, &mut out);
    }
    if out.len() > MAX_DIRECTORY {
        return Err(StoreError::BadName("it is too long for a directory"));
    }
    Ok(out)
}

/// The name that a directory stands for; `None` where it stands for none. Whether it is canonical is for the caller to
/// check.
pub(crate) fn name(directory: &str) -> Option<String> {
    let levels = directory.strip_prefix('.')?;
    let mut out = String::with_capacity(levels.len());
    for level in levels.split('.') {
        let level = decode(level).unwrap_or_else(|| level.to_owned());
        if level.is_empty() || level.contains('/') {
            return None;
        }
        if !out.is_empty() {
            out.push('/');
        }
        out.push_str(&level);
    }
    Some(out)
}

fn encode(level: &str, out: &mut String) {
    let direct = |c: char| matches!(c, ' '..='~') && c != '.' && c != '&';
    let mut rest = level;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| direct(c) == direct(first) && (c == '&') == (first == '&');
        let (run, after) = rest.split_at(rest.find(|c| !same(c)).unwrap_or(rest.len()));
        rest = after;
        match first {
            '&' => run.chars().for_each(|_| out.push_str("&-")),
            _ if direct(first) => out.push_str(run),
            _ => {
                out.push('&');
                base64(run.encode_utf16().flat_map(u16::to_be_bytes), out);
                out.push('-');
            }
        }
    }
}

fn base64(octets: impl Iterator<Item = u8>, out: &mut String) {
    let (mut held, mut bits) = (0_u32, 0);
    let mut push = |sextet: u32| {
        out.extend(ALPHABET.get((sextet & 63) as usize).map(|octet| char::from(*octet)));
    };
    for octet in octets {
        held = held << 8 | u32::from(octet);
        bits += 8;
        while bits >= 6 {
            bits -= 6;
            push(held >> bits);
        }
        held &= 63; // fewer than six bits wait
    }
    if bits > 0 {
        push(held << (6 - bits));
    }
}

/// Reads one level. Other servers' dots (`&AC4-`) and a shift that follows another are read; octets that are not ASCII,
/// an open shift and broken UTF-16 are not.
fn decode(level: &str) -> Option<String> {
    if !level.is_ascii() {
        return None;
    }
    let mut out = String::with_capacity(level.len());
    let mut rest = level;
    while let Some(at) = rest.find('&') {
        let (plain, shift) = (rest.get(..at)?, rest.get(at + 1..)?);
        let (word, after) = shift.split_once('-')?;
        out.push_str(plain);
        rest = after;
        if word.is_empty() {
            out.push('&');
            continue;
        }
        let (mut units, mut held, mut bits) = (Vec::new(), 0_u32, 0);
        for octet in word.bytes() {
            let sextet = ALPHABET.iter().position(|known| *known == octet)?;
            held = held << 6 | u32::try_from(sextet).ok()?;
            bits += 6;
            if bits >= 16 {
                bits -= 16;
                units.push(u16::try_from(held >> bits & 0xffff).ok()?);
                held &= (1 << bits) - 1;
            }
        }
        if bits >= 6 || held != 0 {
            return None;
        }
        out.push_str(&String::from_utf16(&units).ok()?);
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_other_servers_write_them() {
        for (text, dir) in [
            ("Sent Items", ".Sent Items"),
            ("Work/Projects", ".Work.Projects"),
            ("a.b", ".a&AC4-b"),
            ("..", ".&AC4ALg-"),
            ("~peter/mail/\u{53f0}\u{5317}/\u{65e5}\u{672c}\u{8a9e}", ".~peter.mail.&U,BTFw-.&ZeVnLIqe-"),
            ("Entw\u{fc}rfe", ".Entw&APw-rfe"),
            ("R&D", ".R&-D"),
            ("&&", ".&-&-"),
            ("\u{1f4e7}", ".&2D3c5w-"),
        ] {
            assert_eq!(directory(text).unwrap(), dir);
            assert_eq!(name(dir).unwrap(), text);
        }
        assert!(matches!(directory(&"\u{e9}".repeat(99)), Err(StoreError::BadName(_))));
    }

    #[test]
    fn directories_of_others_have_names_too() {
        for (dir, text) in [
            (".Entw\u{fc}rfe", Some("Entw\u{fc}rfe")),
            (".R&D", Some("R&D")),
            (".a&AC4-&AC4-b", Some("a..b")),
            (".&AGE-", Some("a")),
            (".a..b", None),
            (".", None),
            ("cur", None),
            (".a&AC8-b", None),
        ] {
            assert_eq!(name(dir).as_deref(), text, "{dir}");
        }
    }
}
