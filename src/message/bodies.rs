//! Which parts of a message a reader shows as text, as HTML, and as attachments.

use std::borrow::Cow;

use super::{Message, Part};

/// What a reader does with the parts of a message. Embedded messages are attachments and are not looked into.
///
/// ```
/// use facteur::message::Message;
///
/// let message = Message::parse(
///     "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nText.\r\n--b\r\n\
///      Content-Type: text/html\r\n\r\n<p>Text.\r\n--b--\r\n",
/// );
/// let bodies = message.bodies();
/// assert_eq!(bodies.text[0].text().as_deref(), Some("Text."));
/// assert_eq!(bodies.html[0].text().as_deref(), Some("<p>Text."));
/// assert!(bodies.attachments.is_empty());
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Bodies<'a> {
    /// What to show one after the other where plain text is preferred.
    pub text: Vec<Part<'a>>,
    /// What to show one after the other where HTML is preferred.
    pub html: Vec<Part<'a>>,
    /// What to offer for keeping.
    pub attachments: Vec<Part<'a>>,
}

impl Message {
    /// The plain text of the message, decoded: the `text/plain` parts of [`Bodies::text`], one after the other, on lines of
    /// their own. `None` where there is none, even if there is HTML.
    ///
    /// ```
    /// use facteur::message::Message;
    ///
    /// let message = Message::parse("Content-Transfer-Encoding: base64\r\n\r\nTHVuY2g/\r\n");
    /// assert_eq!(message.text().as_deref(), Some("Lunch?"));
    /// assert_eq!(message.html(), None);
    /// ```
    pub fn text(&self) -> Option<Cow<'_, str>> {
        joined(&self.bodies().text, "plain")
    }

    /// The HTML of the message, decoded: the `text/html` parts of [`Bodies::html`], one after the other. Plain text between
    /// them is left out. `None` where there is none, even if there is plain text.
    pub fn html(&self) -> Option<Cow<'_, str>> {
        joined(&self.bodies().html, "html")
    }

    /// What to offer for keeping, see [`Bodies::attachments`]: each [`Part`] has its [`filename`](Part::filename), its
    /// [`content_type`](Part::content_type), and its octets by [`bytes`](Part::bytes).
    pub fn attachments(&self) -> Vec<Part<'_>> {
        self.bodies().attachments
    }
}

/// The texts of those parts that are of this subtype.
fn joined<'a>(parts: &[Part<'a>], subtype: &str) -> Option<Cow<'a, str>> {
    let mut texts = parts.iter().filter(|part| part.content_type().is("text", subtype)).filter_map(|part| part.text());
    let first = texts.next()?;
    // The line end before a boundary is no part of the text.
    Some(texts.fold(first, |all, text| if all.ends_with('\n') { all + text } else { all + "\r\n" + text }))
}

impl<'a> Bodies<'a> {
    /// The algorithm is that of JMAP (RFC 8621 §4.1.4), with a stack of its own instead of recursion.
    pub(super) fn of(message: &'a Message) -> Self {
        let mut bodies = Self::default();
        bodies.walk(message.root());
        bodies
    }

    fn walk(&mut self, root: Part<'a>) {
        // The message is the only element of a list that is treated as a multipart/mixed.
        let mut frames = vec![Frame::new(Some(root), "mixed", None, self)];
        while let Some(frame) = frames.last_mut() {
            let Some(part) = frame.next else {
                frame.complete(self);
                frames.pop();
                continue;
            };
            frame.next = part.next_sibling().filter(|_| part.index() != root.index());
            let first = std::mem::replace(&mut frame.first, false);
            let content_type = part.content_type();
            if part.is_multipart() {
                let inner = Frame::new(part.children().next(), content_type.subtype(), Some(frame), self);
                frames.push(inner);
                continue;
            }
            let media = matches!(content_type.kind(), "image" | "audio" | "video");
            let (plain, html) = (content_type.is("text", "plain"), content_type.is("text", "html"));
            let shown = (plain || html || media)
                && !part.disposition().is_some_and(|disposition| disposition.is_attachment())
                && (first || !frame.related && (media || part.filename().is_none()));
            if !shown || frame.alternative && media {
                self.attachments.push(part);
                continue;
            }
            if frame.alternative {
                if plain {
                    self.text.push(part)
                } else {
                    self.html.push(part)
                }
                continue;
            }
            if frame.in_alternative {
                frame.html &= !plain;
                frame.text &= !html;
            }
            if frame.text {
                self.text.push(part);
            }
            if frame.html {
                self.html.push(part);
            }
            if media && !(frame.text && frame.html) {
                self.attachments.push(part);
            }
        }
    }
}

/// One multipart on the way down.
struct Frame<'a> {
    next: Option<Part<'a>>,
    first: bool,
    related: bool,
    alternative: bool,
    /// It or a multipart around it is a multipart/alternative.
    in_alternative: bool,
    /// Whether what comes belongs to the text, and to the HTML.
    text: bool,
    html: bool,
    /// How many parts there were of each when it began.
    texts: usize,
    htmls: usize,
}

impl<'a> Frame<'a> {
    fn new(next: Option<Part<'a>>, subtype: &str, outer: Option<&Frame<'a>>, bodies: &Bodies<'a>) -> Self {
        let alternative = subtype == "alternative";
        Self {
            next,
            first: true,
            related: subtype == "related",
            alternative,
            in_alternative: alternative || outer.is_some_and(|outer| outer.in_alternative),
            text: outer.is_none_or(|outer| outer.text),
            html: outer.is_none_or(|outer| outer.html),
            texts: bodies.text.len(),
            htmls: bodies.html.len(),
        }
    }

    /// Where an alternative had one form only, it is shown in place of the other.
    fn complete(&self, bodies: &mut Bodies<'a>) {
        if !(self.alternative && self.text && self.html) {
            return;
        }
        let Bodies { text, html, .. } = bodies;
        let (no_text, no_html) = (text.len() == self.texts, html.len() == self.htmls);
        if no_text && !no_html {
            text.extend_from_slice(html.get(self.htmls..).unwrap_or_default());
        } else if no_html && !no_text {
            html.extend_from_slice(text.get(self.texts..).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message from a sketch of its tree: `mixed(plain,alternative(plain,html),pdf)`.
    fn message(sketch: &str) -> Message {
        let mut out = String::new();
        let mut depth = 0;
        let mut word = String::new();
        let begin = |out: &mut String, depth: usize, word: &str, multipart: bool| {
            if depth > 0 {
                out.push_str(&format!("--b{depth}\n"));
            }
            let (word, name) = word.split_once('=').map_or((word, None), |(word, name)| (word, Some(name)));
            let kind = match word {
                _ if multipart => "multipart",
                "plain" | "html" => "text",
                "png" => "image",
                _ => "application",
            };
            let name = name.map_or(String::new(), |name| format!("Content-Disposition: inline; filename={name}\n"));
            let boundary = if multipart { format!("; boundary=b{}", depth + 1) } else { String::new() };
            out.push_str(&format!("{name}Content-Type: {kind}/{word}{boundary}\n\n"));
        };
        for character in sketch.chars() {
            match character {
                '(' => {
                    begin(&mut out, depth, &std::mem::take(&mut word), true);
                    depth += 1;
                }
                ',' | ')' => {
                    if !word.is_empty() {
                        begin(&mut out, depth, &std::mem::take(&mut word), false);
                        out.push_str("x\n");
                    }
                    if character == ')' {
                        out.push_str(&format!("--b{depth}--\n"));
                        depth -= 1;
                    }
                }
                _ => word.push(character),
            }
        }
        if !word.is_empty() {
            begin(&mut out, 0, &word, false);
        }
        Message::parse(out)
    }

    fn paths(parts: &[Part<'_>]) -> String {
        let path = |part: &Part<'_>| part.path().iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        parts.iter().map(path).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn texts_are_joined_by_kind() {
        for (sketch, text, html, attachments) in [
            ("plain", Some(""), None, 0),
            ("html", None, Some(""), 0),
            ("pdf", None, None, 1),
            ("alternative(plain,html)", Some("x"), Some("x"), 0),
            ("mixed(plain,pdf,plain)", Some("x\r\nx"), None, 1),
            ("mixed(plain,html,png)", Some("x"), Some("x"), 0),
        ] {
            let message = message(sketch);
            assert_eq!((message.text().as_deref(), message.html().as_deref()), (text, html), "{sketch}");
            assert_eq!(message.attachments().len(), attachments, "{sketch}");
        }
    }

    #[test]
    fn bodies_are_chosen_as_readers_show_them() {
        for (sketch, text, html, attachments) in [
            ("plain", "1", "1", ""),
            ("html", "1", "1", ""),
            ("pdf", "", "", "1"),
            ("alternative(plain,html)", "1", "2", ""),
            ("alternative(plain)", "1", "1", ""),
            ("alternative(html)", "1", "1", ""),
            ("mixed(plain,pdf,plain)", "1 3", "1 3", "2"),
            ("mixed(plain,plain=a.txt)", "1", "1", "2"),
            ("mixed(alternative(plain,html),pdf)", "1.1", "1.2", "2"),
            ("mixed(alternative(plain,related(html,png)),pdf)", "1.1", "1.2.1", "1.2.2 2"),
            ("related(html,png)", "1", "1", "2"),
            ("mixed(png,plain)", "1 2", "1 2", ""),
            ("alternative(plain,mixed(html,png,html))", "1", "2.1 2.2 2.3", "2.2"),
            // RFC 8621 §4.1.4, the example
            (
                "mixed(plain,mixed(alternative(mixed(plain,png,plain),related(html,png)),zip,excel,msg),plain)",
                "1 2.1.1.1 2.1.1.2 2.1.1.3 3",
                "1 2.1.2.1 3",
                "2.1.1.2 2.1.2.2 2.2 2.3 2.4",
            ),
        ] {
            let message = message(sketch);
            let bodies = message.bodies();
            assert_eq!(
                (paths(&bodies.text), paths(&bodies.html), paths(&bodies.attachments)),
                (text.to_owned(), html.to_owned(), attachments.to_owned()),
                "{sketch}"
            );
        }
    }
}
