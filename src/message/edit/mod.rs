//! Editing without a scratch: fields and parts come, go and change, every other octet stays.
//!
//! [`HeaderEdit`] changes one header. [`Edit`] changes parts: what is to change is recorded against the parsed message, and
//! [`Edit::finish`] puts the new message together in one pass, out of slices of the old one and what is new. RFC 2046 §5.1
//! for multiparts, RFC 1847 §2 for those that are signed or encrypted.
//!
//! What is written keeps the line ends of the message: those of its first line. A change of any body breaks signatures
//! over the whole message, such as those of DKIM; [`Edit`] cannot know of them. `examples/strip.rs` is a filter that takes
//! attachments out.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{BuildError, ContentType, Message, Part};
use crate::base::ParseError;

mod content;
mod header;
mod pass;
#[cfg(test)]
mod tests;

pub use content::{Content, Recode};
pub use header::HeaderEdit;
pub use pass::Edited;

use content::{Nature, Prepared};

/// Why a part stays as it is. An edit that is refused has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The part is of another message: perhaps of one that lies encoded in this one, see [`Edit`].
    #[error("a part of another message")]
    OtherMessage,
    /// The part lies in a `multipart/signed` or `multipart/encrypted`, whose signature the edit would break.
    /// [`Protected::Edit`] says that this is meant.
    #[error("part is signed or encrypted")]
    Protected,
    /// A message has one outermost part, which can be replaced or wrapped, but not removed, and stands beside no other.
    #[error("outermost part of a message")]
    Outermost,
    /// It is the last part of its multipart, which must have one (RFC 2046 §5.1.1). Replace it, or remove the multipart.
    #[error("last part of its multipart")]
    LastPart,
    /// The part is no multipart with parts in it.
    #[error("no multipart")]
    NotMultipart,
    /// The part is a multipart or holds a message: it has no body of its own.
    #[error("part has no body of its own")]
    NotLeaf,
    /// An earlier edit removed the part, or replaced what it lies in, or has wrapped it already.
    #[error("conflicts with an earlier edit")]
    Conflict,
    /// A line of what is new would end a part around it, or its boundary is that of a multipart around it.
    #[error("content has a boundary of the message in it")]
    Boundary,
    /// Boundaries of the message cannot be told apart, so that nothing can be written between them safely.
    #[error("boundaries of the message are ambiguous")]
    Ambiguous,
    /// The edited header says something else of the parts than what is in the message, or ends too early.
    #[error("header does not fit what follows it")]
    Header,
    /// The new part cannot be written.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// What goes into a header is no field.
    #[error("{0}")]
    Field(#[from] ParseError),
}

/// Whether parts that are signed or encrypted may be edited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protected {
    /// What lies in a `multipart/signed` or `multipart/encrypted` stays as it is, and so does their number of parts. They
    /// can be removed, replaced and wrapped as a whole, and their header can be edited. The default.
    #[default]
    Refuse,
    /// They are edited as others are; the signature will not fit any more.
    Edit,
}

/// Changes to the parts of a message.
///
/// ```
/// use facteur::message::{Edit, Message, NewPart};
///
/// let message = Message::parse(
///     "Subject: lunch\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee the menu.\r\n--b\r\n\
///      Content-Disposition: attachment; filename=menu.exe\r\n\r\nMZ\r\n--b--\r\n",
/// );
/// let mut edit = Edit::new(&message);
/// for part in message.bodies().attachments {
///     if part.filename().is_some_and(|name| name.ends_with(".exe")) {
///         edit.replace(part, NewPart::text("plain", "A program was removed here.\n"))?;
///     }
/// }
/// edit.add_last(NewPart::text("plain", "-- \nThe lunch list\n"))?;
/// let edited = edit.finish()?.message();
/// let texts: Vec<_> = edited.parts().filter_map(|part| part.text()).collect();
/// assert_eq!(texts, ["See the menu.", "A program was removed here.\r\n", "-- \r\nThe lunch list\r\n"]);
/// # Ok::<(), facteur::message::EditError>(())
/// ```
///
/// Parts are those of the message that was given to [`Edit::new`]. A message that lies encoded in it has parts of its own
/// ([`Part::message`]): it takes an `Edit` of its own, and goes back with [`replace_body`](Self::replace_body).
///
/// The result is not read again here. Where edits add parts beyond the [`Limits`](super::Limits) of the reader, they will
/// be opaque to it.
#[derive(Clone, Debug)]
pub struct Edit {
    message: Message,
    protected: Protected,
    changes: BTreeMap<usize, Change>,
    /// For each part the boundary that it declares, where that is open in its body.
    boundaries: Vec<Option<Vec<u8>>>,
    /// The multiparts of `digest`, and those of `signed` and `encrypted`, sorted: an edit need not read Content-Type fields
    /// again, which may be long.
    digests: Vec<usize>,
    sealed: Vec<usize>,
    /// The multiparts between whose boundaries nothing can be written.
    tangled: Vec<usize>,
    line_end: &'static str,
    /// So many parts have been written.
    written: usize,
}

/// What becomes of a part.
#[derive(Clone, Debug, Default)]
struct Change {
    header: Option<HeaderEdit>,
    /// A body in place of its own and of the parts in it, and what its header is to say of it.
    body: Option<(Bytes, Nature)>,
    removed: bool,
    /// The subtype of the multipart around it.
    wrapped: Option<String>,
    /// Beside it.
    before: Vec<Bytes>,
    after: Vec<Bytes>,
    /// In it, before and behind all its parts.
    first: Vec<Bytes>,
    last: Vec<Bytes>,
    /// How many parts are left in it; `None` as long as none went or came.
    left: Option<usize>,
}

impl Edit {
    /// No change yet. The octets are shared with the message.
    pub fn new(message: &Message) -> Self {
        let boundaries = content::boundaries(message);
        let multiparts = |are: fn(&ContentType) -> bool| {
            let found = message.all_parts().filter(|part| part.is_multipart() && are(&part.content_type()));
            found.map(Part::index).collect()
        };
        Self {
            message: message.clone(),
            protected: Protected::default(),
            changes: BTreeMap::new(),
            digests: multiparts(|content_type| content_type.is("multipart", "digest")),
            sealed: multiparts(is_protected),
            tangled: content::tangled(message, &boundaries),
            boundaries,
            line_end: header::line_end(message.raw()),
            written: 0,
        }
    }

    /// Whether parts that are signed or encrypted may be edited.
    pub fn protected(mut self, protected: Protected) -> Self {
        self.protected = protected;
        self
    }

    /// The header of a part, to be edited. Whether it still fits the part is checked by [`finish`](Self::finish): a
    /// boundary must stay, for example. Of a part that was replaced it is the new header.
    ///
    /// # Errors
    /// Where the part cannot be edited.
    pub fn header(&mut self, part: Part<'_>) -> Result<&mut HeaderEdit, EditError> {
        self.editable(part)?;
        self.room(part)?;
        Ok(self.header_of(part))
    }

    /// Removes a part from its multipart, with its boundary. What stands before the first and behind the last boundary
    /// stays.
    ///
    /// # Errors
    /// [`EditError::Outermost`] for the message itself and an embedded message, [`EditError::LastPart`] where nothing
    /// would be left in the multipart, and where the part cannot be edited.
    pub fn remove(&mut self, part: Part<'_>) -> Result<(), EditError> {
        self.editable(part)?;
        self.room(part)?;
        let multipart = part.parent().filter(|parent| parent.is_multipart()).ok_or(EditError::Outermost)?;
        if self.changes.get(&part.index()).is_some_and(|change| change.wrapped.is_some()) {
            return Err(EditError::Conflict);
        }
        let known = self.changes.get(&multipart.index()).and_then(|change| change.left);
        let left = known.unwrap_or_else(|| multipart.children().count());
        if left <= 1 {
            return Err(EditError::LastPart);
        }
        *self.left(multipart) = left - 1;
        self.change(part).removed = true;
        Ok(())
    }

    /// Puts another part in the place of this one. Where the part is a message, the outermost or an embedded one, only its
    /// content is another: fields whose names do not begin with `Content-` stay.
    ///
    /// # Errors
    /// Where the part cannot be edited, or the content would break the parts around it.
    pub fn replace(&mut self, part: Part<'_>, content: impl Into<Content>) -> Result<(), EditError> {
        self.editable(part)?;
        let new = self.prepared(content.into(), part.parent(), ends_message(part))?;
        if part.parent().is_some_and(Part::is_multipart) {
            self.change(part).header = Some(new.header());
        } else {
            let header = self.header_of(part);
            header.retain(|field| !is_content(field.name()));
            content::says_mime(header)?;
            header.close();
            new.message.header().fields().filter(|field| is_content(field.name())).for_each(|field| {
                header.append_field(field);
            });
        }
        self.change(part).body = Some((new.body(), new.nature()));
        Ok(())
    }

    /// Gives a part without parts in it another body; the header stays but for Content-Transfer-Encoding where that has
    /// to change. The line ends of text become those of the message.
    ///
    /// # Errors
    /// [`EditError::NotLeaf`] where parts lie in it, [`EditError::Boundary`] where it is encoded already and would break
    /// the parts around it, and where the part cannot be edited.
    pub fn replace_body(&mut self, part: Part<'_>, body: impl Into<Bytes>, recode: Recode) -> Result<(), EditError> {
        self.editable(part)?;
        let nature = self.nature(part);
        if !nature.is_leaf() {
            return Err(EditError::NotLeaf);
        }
        let outer = self.outer(part.parent())?;
        let header = self.header_now(part);
        let (encoding, text) = content::coding(&header);
        let task = content::Task { text, line_end: self.line_end, ends_message: ends_message(part), outer: &outer };
        let (octets, chosen) = task.encode(body.into(), &encoding, recode)?;
        // A message that was encoded and is no more would be read as parts.
        if nature == Nature::EncodedMessage && !chosen.is_encoded() {
            return Err(EditError::Header);
        }
        let header = self.header_of(part);
        header.close();
        if chosen != encoding {
            let name = "Content-Transfer-Encoding";
            let value = chosen.to_string();
            if !header.replace(name, 0, value.as_bytes())? {
                header.append(name, value.as_bytes())?;
            }
        }
        self.change(part).body = Some((octets, nature));
        Ok(())
    }

    /// Puts a part before this one, into the same multipart. Of several the one that came last stands next to the part.
    ///
    /// # Errors
    /// [`EditError::Outermost`] where it lies in no multipart, not even in one of [`wrap`](Self::wrap); where the part
    /// cannot be edited, or the content would break the parts around it.
    pub fn insert_before(&mut self, part: Part<'_>, content: impl Into<Content>) -> Result<(), EditError> {
        let new = self.beside(part, content.into())?;
        self.change(part).before.push(new);
        Ok(())
    }

    /// Puts a part behind this one, into the same multipart. Of several the one that came first stands next to the part.
    ///
    /// # Errors
    /// As [`insert_before`](Self::insert_before).
    pub fn insert_after(&mut self, part: Part<'_>, content: impl Into<Content>) -> Result<(), EditError> {
        let new = self.beside(part, content.into())?;
        self.change(part).after.push(new);
        Ok(())
    }

    /// Adds a part to a multipart, before all others but those that were added so earlier.
    ///
    /// # Errors
    /// [`EditError::NotMultipart`], and where the multipart cannot be edited, or the content would break the parts around
    /// it.
    pub fn prepend(&mut self, multipart: Part<'_>, content: impl Into<Content>) -> Result<(), EditError> {
        let new = self.inside(multipart, content.into())?;
        self.change(multipart).first.push(new);
        Ok(())
    }

    /// Adds a part to a multipart, behind all others.
    ///
    /// # Errors
    /// As [`prepend`](Self::prepend).
    pub fn append(&mut self, multipart: Part<'_>, content: impl Into<Content>) -> Result<(), EditError> {
        let new = self.inside(multipart, content.into())?;
        self.change(multipart).last.push(new);
        Ok(())
    }

    /// Puts a multipart of this subtype, `mixed` or another, around a part. Its fields whose names begin with `Content-`
    /// move inside with it, all others stay outside. Parts beside it, whenever they were or will be inserted, lie in the
    /// new multipart too.
    ///
    /// # Errors
    /// [`EditError::Conflict`] where it was wrapped already, [`BuildError::MediaType`] for a subtype that is none, and
    /// where the part cannot be edited.
    pub fn wrap(&mut self, part: Part<'_>, subtype: &str) -> Result<(), EditError> {
        self.editable(part)?;
        self.room(part)?;
        if !content::is_subtype(subtype) {
            return Err(BuildError::MediaType.into());
        }
        if self.changes.get(&part.index()).is_some_and(|change| change.wrapped.is_some()) {
            return Err(EditError::Conflict);
        }
        // A boundary that is written here begins so.
        if self.boundaries.iter().flatten().any(|boundary| content::alike(boundary, b"=_")) {
            return Err(EditError::Boundary);
        }
        self.change(part).wrapped = Some(subtype.to_ascii_lowercase());
        Ok(())
    }

    /// Adds a part before all others of the message, such as a disclaimer. A message that is no `multipart/mixed` becomes
    /// one, so that what is signed or encrypted stays whole.
    ///
    /// # Errors
    /// Where the content would break the parts around it, or the boundaries of the message are ambiguous.
    pub fn add_first(&mut self, content: impl Into<Content>) -> Result<(), EditError> {
        let (change, new) = self.added(content.into())?;
        if change.wrapped.is_some() {
            change.before.push(new)
        } else {
            change.first.push(new)
        }
        Ok(())
    }

    /// Adds a part behind all others of the message, such as the footer of a list; else as
    /// [`add_first`](Self::add_first).
    ///
    /// # Errors
    /// As [`add_first`](Self::add_first).
    pub fn add_last(&mut self, content: impl Into<Content>) -> Result<(), EditError> {
        let (change, new) = self.added(content.into())?;
        if change.wrapped.is_some() {
            change.after.push(new)
        } else {
            change.last.push(new)
        }
        Ok(())
    }

    /// Puts the message together. Without changes it is the one that came, to the octet.
    ///
    /// # Errors
    /// [`EditError::Header`] where an edited header does not fit its part, [`EditError::Boundary`] where no boundary can
    /// be found for a multipart of [`wrap`](Self::wrap).
    pub fn finish(self) -> Result<Edited, EditError> {
        pass::run(&self)
    }

    fn change(&mut self, part: Part<'_>) -> &mut Change {
        self.changes.entry(part.index()).or_default()
    }

    fn header_of(&mut self, part: Part<'_>) -> &mut HeaderEdit {
        self.change(part).header.get_or_insert_with(|| HeaderEdit::of(part))
    }

    fn header_now(&self, part: Part<'_>) -> HeaderEdit {
        let edited = self.changes.get(&part.index()).and_then(|change| change.header.clone());
        edited.unwrap_or_else(|| HeaderEdit::of(part))
    }

    /// What the header of a part has to say of it.
    fn nature(&self, part: Part<'_>) -> Nature {
        match self.changes.get(&part.index()).and_then(|change| change.body.as_ref()) {
            Some((_, nature)) => nature.clone(),
            None => Nature::of(part.header(), self.in_digest(part.parent())),
        }
    }

    /// Whether a part is there, and nothing that it lies in is signed or encrypted.
    fn editable(&self, part: Part<'_>) -> Result<(), EditError> {
        if !self.message.is_same(part.whole()) {
            return Err(EditError::OtherMessage);
        }
        if self.changes.get(&part.index()).is_some_and(|change| change.removed) {
            return Err(EditError::Conflict);
        }
        std::iter::successors(part.parent(), |part| part.parent()).try_for_each(|outer| self.open(outer))
    }

    /// Whether what lies in this part may be edited.
    fn open(&self, part: Part<'_>) -> Result<(), EditError> {
        if self.changes.get(&part.index()).is_some_and(|change| change.removed || change.body.is_some()) {
            return Err(EditError::Conflict);
        }
        if self.protected == Protected::Refuse && self.sealed.binary_search(&part.index()).is_ok() {
            return Err(EditError::Protected);
        }
        Ok(())
    }

    /// Whether something can be written between the boundaries around a part.
    fn room(&self, part: Part<'_>) -> Result<(), EditError> {
        self.outer(part.parent()).map(drop)
    }

    /// The boundaries of the multiparts that what lies in `part` lies in.
    fn outer(&self, part: Option<Part<'_>>) -> Result<Vec<&[u8]>, EditError> {
        let mut outer = Vec::new();
        for part in std::iter::successors(part, |part| part.parent()).filter(|part| part.is_multipart()) {
            if self.tangled.binary_search(&part.index()).is_ok() {
                return Err(EditError::Ambiguous);
            }
            outer.extend(self.boundaries.get(part.index()).and_then(Option::as_deref));
        }
        Ok(outer)
    }

    fn in_digest(&self, parent: Option<Part<'_>>) -> bool {
        parent.is_some_and(|parent| self.digests.binary_search(&parent.index()).is_ok())
    }

    fn left(&mut self, multipart: Part<'_>) -> &mut usize {
        self.change(multipart).left.get_or_insert_with(|| multipart.children().count())
    }

    fn beside(&mut self, part: Part<'_>, content: Content) -> Result<Bytes, EditError> {
        self.editable(part)?;
        let wrapped = self.changes.get(&part.index()).is_some_and(|change| change.wrapped.is_some());
        let multipart = part.parent().filter(|parent| parent.is_multipart());
        if multipart.is_none() && !wrapped {
            return Err(EditError::Outermost);
        }
        let new = self.prepared(content, part.parent(), false)?;
        if let Some(multipart) = multipart.filter(|_| !wrapped) {
            *self.left(multipart) += 1;
        }
        Ok(new.octets())
    }

    fn inside(&mut self, multipart: Part<'_>, content: Content) -> Result<Bytes, EditError> {
        self.editable(multipart)?;
        if !multipart.is_multipart() {
            return Err(EditError::NotMultipart);
        }
        self.open(multipart)?;
        let new = self.prepared(content, Some(multipart), false)?;
        *self.left(multipart) += 1;
        Ok(new.octets())
    }

    /// A part for the outermost multipart, which is wrapped around the message where that is none.
    fn added(&mut self, content: Content) -> Result<(&mut Change, Bytes), EditError> {
        let message = self.message.clone();
        let root = message.root();
        let (wrapped, replaced) = self
            .changes
            .get(&root.index())
            .map_or((false, false), |change| (change.wrapped.is_some(), change.body.is_some()));
        let new = if wrapped || replaced || !root.is_multipart() || !root.content_type().is("multipart", "mixed") {
            let new = self.prepared(content, None, false)?.octets();
            if !wrapped {
                self.wrap(root, "mixed")?;
            }
            new
        } else {
            self.inside(root, content)?
        };
        Ok((self.change(root), new))
    }

    /// What comes into `parent`, made so that no line of it means something there.
    fn prepared(
        &mut self,
        content: Content,
        parent: Option<Part<'_>>,
        ends_message: bool,
    ) -> Result<Prepared, EditError> {
        self.written += 1;
        let seed = format!("{}.{}", self.message.raw().len(), self.written);
        let outer = self.outer(parent)?;
        let task = content::Task { text: false, line_end: self.line_end, ends_message, outer: &outer };
        task.prepare(content, self.in_digest(parent), &seed)
    }
}

/// RFC 2045 §3: those fields speak of the content.
fn is_content(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
}

/// RFC 1847 §2.1, §2.2
fn is_protected(content_type: &ContentType) -> bool {
    content_type.is("multipart", "signed") || content_type.is("multipart", "encrypted")
}

/// Whether nothing follows a part, so that its last line needs an end of its own.
fn ends_message(part: Part<'_>) -> bool {
    part.offset() + part.raw().len() == part.whole().raw().len()
}
