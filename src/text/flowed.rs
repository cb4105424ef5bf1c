//! Flowed text (RFC 3676): paragraphs out of lines, with their quote depth.
//!
//! Left out: writing it.

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
        let signature = content == "-- ";
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
    fn delsp_takes_the_space_at_the_break() {
        for (text, expected) in [("a \r\nb", "ab"), ("a  \r\nb", "a b"), ("日 \r\n本", "日本")] {
            assert_eq!(shown(text, DelSp::Yes), [(0, expected.to_owned())], "{text:?}");
        }
    }
}
