//! Flowed text (RFC 3676): paragraphs out of lines, with their quote depth, and lines out of paragraphs.
//!
//! Left out: writing with DelSp.

/// RFC 3676 §4.2: lines "SHOULD be 78 characters or shorter, including any trailing white space ... Suggested values are
/// 66 or 72 characters".
const WIDTH: usize = 72;

/// RFC 3676 §4.3: "the signature separator line".
const SIGNATURE: &str = "-- ";

/// What `DelSp` says (RFC 3676 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // the RFC has no other
pub enum DelSp {
    /// The space before a soft line break stays. The default.
    #[default]
    No,
    /// It is taken away, as languages without spaces between words need it.
    Yes,
}

/// A paragraph: lines joined that belong together, or one line that stands for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Paragraph {
    /// How deep it is quoted: how many `>` stood before it, of which none is in the text.
    pub depth: usize,
    /// The text, without line ends.
    pub text: String,
}

impl Paragraph {
    /// A line as people write it, `>` or `> ` before what is quoted.
    pub fn quoted(line: &str) -> Self {
        let (mut depth, mut text) = (0, line);
        while let Some(rest) = text.strip_prefix('>').or_else(|| text.strip_prefix(" >").filter(|_| depth > 0)) {
            (depth, text) = (depth + 1, rest);
        }
        let text = if depth > 0 { text.strip_prefix(' ').unwrap_or(text) } else { text };
        Self { depth, text: text.to_owned() }
    }
}

/// Writes paragraphs as the text of a `text/plain; format=flowed` part, in lines of at most 72 characters where there are
/// spaces to break at (RFC 3676 §4.2).
///
/// Spaces at the end of a paragraph would make it flow into the next, and are left out but for the separator of a signature,
/// `-- `. Line ends in a text end the paragraph.
///
/// ```
/// use facteur::text::flowed::{self, DelSp, Paragraph};
///
/// let paragraphs = [Paragraph::quoted("> or not to be?"), Paragraph::quoted(&"word ".repeat(20).trim_end())];
/// let text = flowed::encode(&paragraphs);
/// assert!(text.starts_with("> or not to be?\r\nword word"));
/// assert_eq!(flowed::decode(&text, DelSp::No), paragraphs);
/// ```
pub fn encode(paragraphs: &[Paragraph]) -> String {
    let mut out = String::new();
    for Paragraph { depth, text } in paragraphs {
        for text in text.split('\n') {
            let text = text.strip_suffix('\r').unwrap_or(text);
            let text = if text == SIGNATURE { text } else { text.trim_end_matches(' ') };
            let width = WIDTH.saturating_sub(depth + 1).max(20);
            let (mut start, mut at, mut column) = (0, 0, 0);
            for word in text.split_inclusive(' ') {
                let len = word.trim_end_matches(' ').chars().count();
                // A line of its own would make `-- ` a separator.
                if column + len > width && at > start && text.get(start..at) != Some(SIGNATURE) {
                    line(*depth, text.get(start..at).unwrap_or_default(), &mut out);
                    (start, column) = (at, 0);
                }
                at += word.len();
                column += word.chars().count();
            }
            line(*depth, text.get(start..).unwrap_or_default(), &mut out);
        }
    }
    out
}

/// Quote marks and space-stuffing (RFC 3676 §4.4, §4.5).
fn line(depth: usize, content: &str, out: &mut String) {
    out.extend(std::iter::repeat_n('>', depth));
    if depth > 0 || content.starts_with([' ', '>']) || content.starts_with("From ") {
        out.push(' ');
    }
    out.push_str(content);
    out.push_str("\r\n");
}

/// Reads the text of a `text/plain; format=flowed` part.
///
/// ```
/// use facteur::text::flowed::{self, DelSp};
///
/// let paragraphs = flowed::decode("> To be, \r\n> or not\r\n  indented\r\n", DelSp::No);
/// assert_eq!((paragraphs[0].depth, paragraphs[0].text.as_str()), (1, "To be, or not"));
/// assert_eq!((paragraphs[1].depth, paragraphs[1].text.as_str()), (0, " indented"));
/// ```
pub fn decode(text: &str, del_sp: DelSp) -> Vec<Paragraph> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    // The last paragraph waits for its next line.
    let mut open = false;
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        // What follows the last line end is no line.
        if line.is_empty() && lines.peek().is_none() {
            break;
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        let unquoted = line.trim_start_matches('>');
        let depth = line.len() - unquoted.len();
        // RFC 3676 §4.4: "If the line starts with a space ... remove it", after the quote marks.
        let content = unquoted.strip_prefix(' ').unwrap_or(unquoted);
        // §4.3: the signature separator is neither fixed nor flowed.
        let signature = content == SIGNATURE;
        let flowed = content.ends_with(' ') && !signature;
        let shown = if flowed && del_sp == DelSp::Yes { content.strip_suffix(' ').unwrap_or(content) } else { content };
        // §4.5: a paragraph ends where the depth changes.
        match paragraphs.last_mut().filter(|paragraph| open && paragraph.depth == depth && !signature) {
            Some(paragraph) => paragraph.text.push_str(shown),
            None => paragraphs.push(Paragraph { depth, text: shown.to_owned() }),
        }
        open = flowed;
    }
    paragraphs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, del_sp: DelSp) -> Vec<(usize, String)> {
        decode(text, del_sp).into_iter().map(|paragraph| (paragraph.depth, paragraph.text)).collect()
    }

    #[test]
    fn lines_flow_together_at_one_depth() {
        for (text, expected) in [
            ("", vec![]),
            ("\n", vec![(0, "")]),
            ("a\n", vec![(0, "a")]),
            ("a\r\nb", vec![(0, "a"), (0, "b")]),
            ("a \r\nb", vec![(0, "a b")]),
            ("a \r\nb \r\nc\r\n\r\nd", vec![(0, "a b c"), (0, ""), (0, "d")]),
            // space-stuffing (§4.4)
            (" From x\r\n > no quote\r\n  two", vec![(0, "From x"), (0, "> no quote"), (0, " two")]),
            // quoting (§4.5)
            (">> a \r\n> b \r\n> c\r\nd", vec![(2, "a "), (1, "b c"), (0, "d")]),
            (">a\r\n> > b", vec![(1, "a"), (1, "> b")]),
            // signature (§4.3)
            ("a \r\n-- \r\nb", vec![(0, "a "), (0, "-- "), (0, "b")]),
            ("> -- \r\n> b", vec![(1, "-- "), (1, "b")]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(depth, text): (_, &str)| (depth, text.to_owned())).collect();
            assert_eq!(shown(text, DelSp::No), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_as_people_quote_them_are_paragraphs() {
        for (line, expected) in [
            ("", (0, "")),
            ("a", (0, "a")),
            (" > a", (0, " > a")),
            ("> a", (1, "a")),
            (">>a", (2, "a")),
            ("> >  a", (2, " a")),
            (">", (1, "")),
        ] {
            let Paragraph { depth, text } = Paragraph::quoted(line);
            assert_eq!((depth, text.as_str()), expected, "{line:?}");
        }
    }

    #[test]
    fn paragraphs_are_written_in_short_lines() {
        let one = |depth, text: &str| encode(&[Paragraph { depth, text: text.to_owned() }]);
        let word = |len| "x".repeat(len);
        for (depth, text, expected) in [
            (0, String::new(), "\r\n".to_owned()),
            (2, String::new(), ">> \r\n".to_owned()),
            (0, "a  ".to_owned(), "a\r\n".to_owned()),
            (0, "-- ".to_owned(), "-- \r\n".to_owned()),
            (0, "From x".to_owned(), " From x\r\n".to_owned()),
            (0, "> no quote".to_owned(), " > no quote\r\n".to_owned()),
            (0, "a\nb".to_owned(), "a\r\nb\r\n".to_owned()),
            (0, format!("{} b", word(70)), format!("{} \r\nb\r\n", word(70))),
            (0, format!("{} b", word(69)), format!("{} b\r\n", word(69))),
            (0, format!("{}  b", word(70)), format!("{}  \r\nb\r\n", word(70))),
            (0, format!("-- {}", word(70)), format!("-- {}\r\n", word(70))),
            (1, format!("a {}", word(100)), format!("> a \r\n> {}\r\n", word(100))),
        ] {
            assert_eq!(one(depth, &text), expected, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_flows_together_again(
            paragraphs in proptest::collection::vec((0..3_usize, "[-a> F]{0,9}(From |-- |[a-zé]{1,80} ){0,9}[a-z-]"), 0..5),
        ) {
            let paragraphs: Vec<Paragraph> =
                paragraphs.into_iter().map(|(depth, text)| Paragraph { depth, text }).collect();
            let text = encode(&paragraphs);
            assert_eq!(decode(&text, DelSp::No), paragraphs, "{text:?}");
        }
    }

    #[test]
    fn delsp_takes_the_space_at_the_break() {
        for (text, expected) in [("a \r\nb", "ab"), ("a  \r\nb", "a b"), ("日 \r\n本", "日本")] {
            assert_eq!(shown(text, DelSp::Yes), [(0, expected.to_owned())], "{text:?}");
        }
    }
}
