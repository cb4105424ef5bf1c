//! Files inside of text: uuencode (POSIX `uuencode`) and yEnc, as they were sent before MIME and beside it. Those of a TNEF
//! stream are listed in the same form.

use crate::text::charset;

/// Where a file stands in a text.
///
/// ```
/// use facteur::text::enclosed::{self, Form};
///
/// let text = b"See:\nbegin 644 cat.txt\n#0V%T\n`\nend\n";
/// let files = enclosed::find(text);
/// assert_eq!((files[0].form, files[0].name.as_str()), (Form::Uuencode, "cat.txt"));
/// assert_eq!((files[0].start, files[0].end), (5, text.len()));
/// assert_eq!(files[0].decode(text), b"Cat");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enclosed {
    /// In which form.
    pub form: Form,
    /// Its name as the sender wrote it: it may hold slashes, or be empty.
    pub name: String,
    /// The octet of the text where its first line begins.
    pub start: usize,
    /// The octet behind its last line.
    pub end: usize,
    /// Whether the line that ends it was there.
    pub complete: bool,
}

/// How a file is written into text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// `begin 644 name` … `end`
    Uuencode,
    /// `=ybegin line=128 size=… name=…` … `=yend`
    Yenc,
    /// As it is, in a TNEF stream (`winmail.dat`).
    Tnef,
}

/// Finds the files in a text whose transfer encoding is undone, in their order. A line of prose that begins with `begin`
/// is none: the next line must be one of uuencode.
pub fn find(text: &[u8]) -> Vec<Enclosed> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (line, next) = line_at(text, at);
        let opened = uu_begin(line).map(|name| (Form::Uuencode, name));
        let opened = opened.or_else(|| yenc_begin(line).map(|name| (Form::Yenc, name)));
        let ended = opened.and_then(|(form, name)| {
            let (end, complete) = match form {
                Form::Uuencode => uu_end(text, next)?,
                Form::Yenc => yenc_end(text, next),
                Form::Tnef => return None,
            };
            Some(Enclosed { form, name: charset::guess(name).into_owned(), start: at, end, complete })
        });
        at = ended.as_ref().map_or(next, |enclosed| enclosed.end);
        found.extend(ended);
    }
    found
}

impl Enclosed {
    /// The octets of the file, out of the text in which it was found.
    pub fn decode(&self, text: &[u8]) -> Vec<u8> {
        let text = text.get(self.start..self.end).unwrap_or_default();
        if self.form == Form::Tnef {
            return text.to_vec();
        }
        let mut octets = Vec::new();
        let (_, mut at) = line_at(text, 0);
        while at < text.len() {
            let (line, next) = line_at(text, at);
            match self.form {
                Form::Uuencode if line == b"end" => break,
                Form::Uuencode => uu_line(line, &mut octets),
                Form::Yenc if line.starts_with(b"=yend") => break,
                Form::Yenc if line.starts_with(b"=ypart ") => {}
                Form::Yenc => yenc_line(line, &mut octets),
                Form::Tnef => {}
            }
            at = next;
        }
        octets
    }
}

/// The line at `at` without its end, and where the next one begins.
fn line_at(text: &[u8], at: usize) -> (&[u8], usize) {
    let rest = text.get(at..).unwrap_or_default();
    let len = memchr::memchr(b'\n', rest);
    let line = rest.get(..len.unwrap_or(rest.len())).unwrap_or_default();
    (line.strip_suffix(b"\r").unwrap_or(line), len.map_or(text.len(), |len| at + len + 1))
}

/// `begin 644 name`: the name.
fn uu_begin(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"begin ")?;
    let digits = rest.iter().take_while(|octet| matches!(octet, b'0'..=b'7')).count();
    let name = rest.get(digits..)?.strip_prefix(b" ")?.trim_ascii();
    ((3..=4).contains(&digits) && !name.is_empty()).then_some(name)
}

/// How many octets a line of uuencode holds; `None` where it is none. Spaces at its end may have been lost on the way, and
/// some writers add a checksum.
fn uu_count(line: &[u8]) -> Option<usize> {
    let (count, data) = line.split_first()?;
    let count = usize::from(count.checked_sub(b' ').filter(|count| *count <= 64)? & 63);
    let wanted = count.div_ceil(3) * 4;
    let legal = data.iter().all(|octet| matches!(octet, b' '..=b'`'));
    (legal && data.len() <= wanted + 2 && (count == 0 || !data.is_empty())).then_some(count)
}

/// Behind the last line, and whether it is `end`; `None` where no line of uuencode follows.
fn uu_end(text: &[u8], from: usize) -> Option<(usize, bool)> {
    let mut at = from;
    while at < text.len() {
        let (line, next) = line_at(text, at);
        if line == b"end" {
            // `from` is the end of an empty file.
            return Some((next, true));
        }
        // The line of no octets, its one space lost.
        let blank = line.is_empty() && line_at(text, next).0 == b"end";
        if uu_count(line).is_none() && !blank {
            break;
        }
        at = next;
    }
    (at > from).then_some((at, false))
}

fn uu_line(line: &[u8], octets: &mut Vec<u8>) {
    let Some(count) = uu_count(line) else { return };
    let start = octets.len();
    let data = line.get(1..).unwrap_or_default();
    for group in 0..count.div_ceil(3) {
        let six = |n: usize| u32::from(data.get(group * 4 + n).map_or(0, |octet| octet.wrapping_sub(b' ') & 63));
        let bits = six(0) << 18 | six(1) << 12 | six(2) << 6 | six(3);
        octets.extend_from_slice(&bits.to_be_bytes()[1..]); // three of four
    }
    octets.truncate(start + count);
}

/// `=ybegin line=128 size=123 name=…`: the name, which goes to the end of the line.
fn yenc_begin(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"=ybegin ")?;
    memchr::memmem::find(rest, b"line=")?;
    let at = memchr::memmem::find(rest, b"name=")?;
    Some(rest.get(at + 5..)?.trim_ascii())
}

/// Behind `=yend`; where it is missing, the next `=ybegin` or the end of the text.
fn yenc_end(text: &[u8], from: usize) -> (usize, bool) {
    let mut at = from;
    while at < text.len() {
        let (line, next) = line_at(text, at);
        if line.starts_with(b"=yend") {
            return (next, true);
        }
        if line.starts_with(b"=ybegin ") {
            break;
        }
        at = next;
    }
    (at, false)
}

fn yenc_line(line: &[u8], octets: &mut Vec<u8>) {
    // A dot at the start may have been doubled for NNTP; that is undone before it comes here.
    let mut line = line.iter();
    while let Some(octet) = line.next() {
        match octet {
            b'=' => octets.extend(line.next().map(|octet| octet.wrapping_sub(64 + 42))),
            _ => octets.push(octet.wrapping_sub(42)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &[u8]) -> Vec<(String, bool, Vec<u8>)> {
        find(text).into_iter().map(|file| (file.name.clone(), file.complete, file.decode(text))).collect()
    }

    #[test]
    fn files_in_text_are_found() {
        for (text, expected) in [
            (&b"begin 644 a.txt\n#0V%T\n`\nend\n"[..], vec![("a.txt", true, &b"Cat"[..])]),
            (b"begin 0755 my file\r\n#0V%T\r\n \r\nend\r\nrest", vec![("my file", true, b"Cat")]),
            (b"begin 644 a\n#0V%T\n\nend\n", vec![("a", true, b"Cat")]),
            (b"begin 644 a\n#0V%T\n", vec![("a", false, b"Cat")]),
            (b"begin 644 a\nend\n", vec![("a", true, b"")]),
            (
                b"begin 644 a\n#0V%T\n`\nend\nbegin 600 b\n#0V%T\n`\nend\n",
                vec![("a", true, b"Cat"), ("b", true, b"Cat")],
            ),
            (b"begin 644 words in prose\n", vec![]),
            (b"begin 644 words\nand lower case goes on\n", vec![]),
            (b"begin the day\n#0V%T\n", vec![]),
            (b" begin 644 a\n#0V%T\nend\n", vec![]),
            // "Cat" shifted by 42; 0xd6 + 42 is NUL, written =@
            (
                b"=ybegin line=128 size=4 name=a b.bin\r\n\x6d\x8b\x9e=@\r\n=yend size=4\r\n",
                vec![("a b.bin", true, b"Cat\xd6")],
            ),
            (
                b"=ybegin part=1 line=128 size=3 name=a\n=ypart begin=1 end=3\n\x6d\x8b\x9e\n",
                vec![("a", false, b"Cat")],
            ),
            (b"=ybegin nothing\n", vec![]),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(name, complete, octets)| (name.to_owned(), complete, octets.to_vec()))
                .collect();
            assert_eq!(names(text), expected, "{:?}", text.escape_ascii().to_string());
        }
    }

    /// Each would take minutes in quadratic time.
    #[test]
    fn hostile_texts_take_linear_time() {
        for piece in [
            "begin 644 a\n",
            "begin 644 a\n#0V%T\n",
            "=ybegin line=1 name=a\n",
            "\n",
            "begin 644 a\n\n",
            "=ybegin line=",
        ] {
            names(piece.repeat(1_000_000 / piece.len()).as_bytes());
        }
    }
}
