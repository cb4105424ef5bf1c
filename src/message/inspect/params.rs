//! Parameters and the fields that have them: what is no parameter by the letter, and what says two things (RFC 2045 §5.1,
//! RFC 2231).

use super::place;
use crate::message::defects::{DefectKind, Defects};
use crate::message::fields::{ContentType, Encoding};
use crate::message::{Field, Message, Part};
use crate::text::charset;
use crate::text::params::{Params, comment_end, is_token};

/// The parameters of one field, and where in the message they stand.
pub(super) struct Placed {
    pub params: Params,
    places: Vec<usize>,
}

impl Placed {
    pub fn of(message: &Message, field: Field<'_>) -> Self {
        let start = place(message, field.value());
        let places = Params::places(field.value()).into_iter().map(|at| start + at).collect();
        Self { params: Params::parse(field.value()), places }
    }

    /// Where the first parameter of this name stands, in any form.
    pub fn first(&self, name: &str) -> Option<usize> {
        let same = |own: &str| own.split('*').next().is_some_and(|own| own.eq_ignore_ascii_case(name));
        let n = self.params.raw().position(|(own, _)| same(own))?;
        self.places.get(n).copied()
    }
}

/// The two fields that have parameters, and the one that says how the body is encoded.
pub(super) fn inspect(message: &Message, part: Part<'_>, defects: &mut Defects) {
    let content_type = part.header().get("content-type");
    let disposition = part.header().get("content-disposition");
    for field in [content_type, disposition].into_iter().flatten() {
        at_odds(&Placed::of(message, field), defects);
        Strict { value: field.value(), at: 0, start: place(message, field.value()), defects }.run();
    }
    if let Some(field) = part.header().get("content-transfer-encoding")
        && Encoding::exact(field.value()).is_none()
    {
        defects.push(DefectKind::OddEncoding, place(message, field.raw()));
    }
    let Some(content_type) = content_type else { return };
    let placed = Placed::of(message, content_type);
    let Some(read) = ContentType::parse(content_type.value()) else {
        defects.push(DefectKind::NoMediaType, place(message, content_type.raw()));
        return;
    };
    if read.kind() == "text"
        && read.charset().is_some_and(|label| !charset::is_known(&label))
        && let Some(at) = placed.first("charset")
    {
        defects.push(DefectKind::UnknownCharset, at);
    }
    let Some(disposition) = disposition else { return };
    let name = read.param("name");
    // As Part::filename looks for it: without a type before it too.
    let filename = Params::parse(disposition.value()).value("filename");
    if let (Some(name), Some(filename)) = (name, filename)
        && name != filename
        && !name.is_empty()
        && !filename.is_empty()
    {
        let at = placed.first("name").max(Placed::of(message, disposition).first("filename"));
        defects.push(DefectKind::TwoNames, at.unwrap_or_default()); // both are there
    }
}

/// Parameters that say two things, or half of one.
fn at_odds(placed: &Placed, defects: &mut Defects) {
    for (same, which) in placed.params.by_name() {
        let at = |n: usize| which.get(n).and_then(|n| placed.places.get(*n)).copied().unwrap_or_default();
        let names: Vec<String> = same.raw().map(|(name, _)| name.to_ascii_lowercase()).collect();
        let base = names.first().map_or("", |name| name.split('*').next().unwrap_or_default());
        let stars = |name: &str| name.strip_prefix(base).and_then(|rest| rest.strip_prefix('*')).map(str::to_owned);
        let number = |name: &str| stars(name)?.trim_end_matches('*').parse::<u32>().ok();
        // `name*0` and `name*0*` are the same section, of which some readers take the first and others join both.
        let form = |name: &String| number(name).map_or_else(|| name.clone(), |number| format!("{base}*{number}"));
        let mut order: Vec<(String, usize)> = names.iter().map(form).zip(0..).collect();
        order.sort_unstable();
        let twice = order.windows(2).filter_map(|pair| match pair {
            [(one, _), (other, second)] if one == other => Some(*second),
            _ => None,
        });
        if let Some(second) = twice.min() {
            let kind = match base {
                "boundary" => DefectKind::TwoBoundaries,
                "charset" => DefectKind::TwoCharsets,
                _ => DefectKind::RepeatedParam,
            };
            defects.push(kind, at(second));
        }
        let plain = names.iter().position(|name| name == base);
        let single = names.iter().position(|name| stars(name).is_some_and(|rest| rest.is_empty()));
        let mut sections: Vec<(u32, usize)> =
            names.iter().enumerate().filter_map(|(n, name)| Some((number(name)?, n))).collect();
        sections.sort_unstable();
        sections.dedup_by_key(|section| section.0);
        let numbered = sections.iter().map(|section| section.1).min();
        if let (Some(one), Some(other)) = (plain, single.or(numbered))
            && let (Some(plain), Some(extended)) = (same.plain(base), same.extended(base))
            && !stands_for(&plain, &extended)
        {
            defects.push(DefectKind::TwoForms, at(one.max(other)));
        }
        if let (Some(one), Some(other)) = (single, numbered) {
            defects.push(DefectKind::TwoForms, at(one.max(other)));
        }
        if let Some((_, (_, n))) = (0..).zip(&sections).find(|(number, section)| section.0 != *number) {
            defects.push(DefectKind::MissingSection, at(*n));
        }
        let mixed = names.iter().any(|name| number(name).is_some() && name.ends_with('*'));
        let loose = same.raw().position(|(name, value)| {
            number(&name.to_ascii_lowercase()).is_some_and(|number| mixed && is_loose(name, number, value))
        });
        if let Some(n) = loose {
            defects.push(DefectKind::LooseSection, at(n));
        }
        if base == "boundary"
            && let Some(n) = single.or(numbered)
        {
            defects.push(DefectKind::EncodedBoundary, at(n));
        }
    }
}

/// Whether a section, of some that are encoded, has a charset where none stands, or cuts an escape in two. It stands in the first,
/// if that is encoded; and apostrophes in others that are not encoded are text to all.
fn is_loose(name: &str, number: u32, value: &[u8]) -> bool {
    let encoded = name.ends_with('*');
    let charset = encoded != (number == 0) && value.iter().filter(|octet| **octet == b'\'').count() >= 2;
    charset || encoded && matches!(value, [.., b'%'] | [.., b'%', b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F'])
}

/// Whether a plain form is the extended one, or that with `_` or `?` for what ASCII or a quoted string could not hold: so
/// senders write names for readers that do not know RFC 2231. Letters, digits and dots, which say what a file is, are the same.
fn stands_for(plain: &str, extended: &str) -> bool {
    let mut plain = plain.chars();
    let same = extended.chars().all(|character| match plain.next() {
        Some('_' | '?') => !character.is_ascii_alphanumeric() && character != '.',
        other => other == Some(character),
    });
    same && plain.next().is_none()
}

/// Reads the value of a Content-Type or Content-Disposition by the letter of RFC 2045 §5.1, but for characters in a value that
/// no reader takes for its end.
struct Strict<'a, 'd> {
    value: &'a [u8],
    at: usize,
    /// Where the value stands in the message.
    start: usize,
    defects: &'d mut Defects,
}

impl Strict<'_, '_> {
    /// `None` where it had to stop.
    fn run(mut self) -> Option<()> {
        self.cfws()?;
        let before = self.at;
        if self.take(is_token) == 0 && self.peek() == Some(b';') {
            return self.loose(before);
        }
        self.cfws()?;
        if self.peek() == Some(b'/') {
            self.at += 1;
            self.cfws()?;
            self.take(is_token);
            self.cfws()?;
        }
        let mut param = self.at;
        loop {
            match self.peek() {
                None => return Some(()),
                Some(b';') => self.at += 1,
                Some(_) => return self.loose(param),
            }
            self.cfws()?;
            if matches!(self.peek(), None | Some(b';')) {
                continue;
            }
            param = self.at;
            let len = self.take(is_token);
            self.cfws()?;
            if self.peek() != Some(b'=') || len == 0 {
                return self.loose(param);
            }
            self.at += 1;
            self.cfws()?;
            if self.peek() == Some(b'"') {
                self.quoted(param)?;
            } else if self.take(|octet| !octet.is_ascii_whitespace() && !b";(\"".contains(&octet)) == 0 {
                return self.loose(param);
            }
            self.cfws()?;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.value.get(self.at).copied()
    }

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> usize {
        let rest = self.value.get(self.at..).unwrap_or_default();
        let len = rest.iter().take_while(|octet| wanted(**octet)).count();
        self.at += len;
        len
    }

    fn loose(&mut self, at: usize) -> Option<()> {
        self.defects.push(DefectKind::LooseParam, self.start + at);
        None
    }

    fn quoted(&mut self, param: usize) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Some(());
                }
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return self.loose(param),
            }
        }
    }

    fn cfws(&mut self) -> Option<()> {
        loop {
            self.take(|octet| octet.is_ascii_whitespace());
            if self.peek() != Some(b'(') {
                return Some(());
            }
            let Some(end) = comment_end(self.value, self.at) else { return self.loose(self.at) };
            self.defects.push(DefectKind::Comment, self.start + self.at);
            self.at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::message::DefectKind::*;
    use crate::message::inspect::tests::check;

    #[test]
    fn parameters_that_say_two_things() {
        check(&[
            ("A: b\nContent-Type: text/plain; charset=utf-8; ¶CHARSET=\"utf-8\"\n\n", &[TwoCharsets]),
            ("Content-Type: x/y; boundary=a; ¶boundary=b\n\n", &[TwoBoundaries]),
            ("Content-Type: x/y; name=a; ¶name=a; name=a\n\n", &[RepeatedParam]),
            ("Content-Type: x/y; name*0=a; name*1=b\n\n", &[]),
            ("Content-Type: x/y; name*1=b; name*0=a\n\n", &[]),
            ("Content-Type: x/y; name*0=a; ¶name*0=b\n\n", &[RepeatedParam]),
            ("Content-Type: x/y; name*0=a; ¶name*0*=utf-8''b\n\n", &[RepeatedParam]),
            ("Content-Type: x/y; name*0*=''a; name*1=b; ¶name*01=c\n\n", &[RepeatedParam]),
            ("Content-Type: x/y; name*0*=utf-8''a; ¶name*1*=utf-8''b\n\n", &[LooseSection]),
            ("Content-Type: x/y; name*0*=utf-8''a; name*1=\"it's 'b'\"; name*2*=it's\n\n", &[]),
            ("Content-Type: x/y; name*1*=x; ¶name*0=a'b'c\n\n", &[LooseSection]),
            ("Content-Type: x/y; name*1=x; name*0=a'b'c\n\n", &[]),
            ("Content-Type: x/y; ¶name*0*=utf-8''%C; name*1*=3%A9%\n\n", &[LooseSection]),
            ("Content-Type: x/y; ¶name*0*=utf-8''a%; name*1*=20b\n\n", &[LooseSection]),
            ("Content-Type: x/y; name*0*=utf-8''a%20; name*1=%2\n\n", &[]),
            ("Content-Type: x/y; name=a; name*=utf-8''a\n\n", &[]),
            ("Content-Type: x/y; name=\"=?utf-8?q?=C3=A9?=\"; name*=utf-8''%C3%a9\n\n", &[]),
            ("Content-Type: x/y; name=a;\n ¶name*=utf-8''b\n\n", &[TwoForms]),
            ("Content-Type: x/y; name*0=a; ¶name=b\n\n", &[TwoForms]),
            ("Content-Type: x/y; name*=utf-8''a; ¶name*0=a\n\n", &[TwoForms]),
            ("Content-Disposition: x; filename=_.a; filename*=utf-8''%C3%A9.a\n\n", &[]),
            ("Content-Disposition: x; filename=_.a; ¶filename*=utf-8''%C3%A9.b\n\n", &[TwoForms]),
            ("Content-Disposition: x; filename=__a; ¶filename*=utf-8''%C3%A9.a\n\n", &[TwoForms]),
            ("Content-Disposition: x; filename=_; ¶filename*=utf-8''%C3%A9.a\n\n", &[TwoForms]),
            ("Content-Disposition: x; filename=_a; ¶filename*=utf-8''%C3%A9\n\n", &[TwoForms]),
            ("Content-Type: x/y; name=a.txt\nContent-Disposition: inline; x=y; ¶filename=a.exe\n\n", &[TwoNames]),
            ("Content-Disposition: inline; filename=a.exe\nContent-Type: x/y; ¶name*=utf-8''a.txt\n\n", &[TwoNames]),
            ("Content-Type: x/y; name=a.txt\nContent-Disposition: ¶; ¶filename=a.exe\n\n", &[LooseParam, TwoNames]),
            ("Content-Type: x/y; name=a.txt\nContent-Disposition: inline; filename=a.txt\n\n", &[]),
            ("Content-Disposition: inline; filename=a.txt\nContent-Type: x/y; name=\"\"\n\n", &[]),
            ("Content-Type: x/y; name*0=a; ¶name*2=b; name*3=c\n\n", &[MissingSection]),
            ("Content-Type: x/y; ¶name*1=b\n\n", &[MissingSection]),
            ("Content-Type: text/plain; ¶charset=x-klingon\n\n", &[UnknownCharset]),
            ("Content-Type: image/png; charset=x-klingon\n\n", &[]),
        ]);
    }

    #[test]
    fn parameters_that_end_where_readers_like() {
        check(&[
            ("Content-Type: text/plain; format=flowed; charset=us-ascii;\n\n", &[]),
            ("Content-Type: TEXT / plain ;; a = \"b;(c)\" ; d='e'\n\n", &[]),
            // white space and quotes missing, but no reader stops in them
            ("Content-Type: x/y; type=text/html; boundary=----=_a; name==?utf-8?q?=C3=A9?=\n\n", &[]),
            ("Content-Disposition: attachment; ¶filename=two words.txt\n\n", &[LooseParam]),
            ("Content-Type: text/plain; ¶name=\"open\n\n", &[LooseParam]),
            ("Content-Type: text/plain; ¶name=\"a\"b; c=d\n\n", &[LooseParam]),
            ("Content-Type: text/plain; ¶name=a\"b\"\n\n", &[LooseParam]),
            ("Content-Type: text/plain; ¶name=\n\n", &[LooseParam]),
            ("Content-Type: text/plain; ¶name; a=b\n\n", &[LooseParam]),
            ("Content-Type: text/plain ¶charset=us-ascii\n\n", &[LooseParam]),
            ("Content-Type: text/plain¶/format\n\n", &[LooseParam]),
            ("Content-Type: text/html ¶(; charset=utf-7); charset=utf-8\n\n", &[Comment]),
            ("Content-Type: text/html; charset=¶(a)utf-8 ¶(b)\n\n", &[Comment, Comment]),
            ("Content-Type: text/html; ¶(open\n\n", &[LooseParam]),
            ("Content-Disposition: ¶(a) inline\n\n", &[Comment]),
            ("Content-Disposition: ¶; filename=a\n\n", &[LooseParam]),
            ("Content-Disposition: ¶\"attachment\"; filename=a\n\n", &[LooseParam]),
            ("A: b\n¶Content-Type: text\n\n", &[NoMediaType]),
            ("¶Content-Type:\n\n", &[NoMediaType]),
        ]);
    }
}
