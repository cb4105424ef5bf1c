//! Writing commands, for clients and for tests (RFC 3501 §9, RFC 9051 §9).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};

use super::{Command, Literals, Piece};
use crate::base::Timestamp;
use crate::imap::fetch::{FetchItem, Partial, Section, SectionText, StoreAction, StoreMode};
use crate::imap::response::is_astring_char;
use crate::imap::search::{Day, KeyId, Search, SearchKey};
use crate::store::Flag;
use crate::text::utf7;

/// Strings longer than this are written as literals, so that lines stay short (RFC 2683 §3.2.1.5).
const MAX_QUOTED: usize = 1000;

impl Command {
    /// Writes the command with its CRLF. The message of APPEND is not copied.
    pub fn write(&self, tag: &str, literals: Literals) -> Vec<Piece> {
        let mut out = Writer { pieces: Vec::new(), text: BytesMut::new(), literals };
        out.put(tag);
        out.put(" ");
        out.put(self.name());
        match self {
            Self::Capability
            | Self::Noop
            | Self::Logout
            | Self::StartTls
            | Self::Namespace
            | Self::Idle
            | Self::Check
            | Self::Close
            | Self::Unselect
            | Self::Expunge { uids: None } => {}
            Self::Expunge { uids: Some(uids) } => out.word(uids),
            Self::Id(fields) => out.id(fields),
            Self::Login { user, secret } => {
                out.astring(user.as_bytes());
                out.astring(secret.expose());
            }
            Self::Authenticate { mechanism, initial } => {
                out.word(mechanism);
                match initial.as_ref().map(|initial| initial.expose()) {
                    None => {}
                    Some([]) => out.put(" ="),
                    Some(initial) => out.word(BASE64.encode(initial)),
                }
            }
            Self::Enable(capabilities) => capabilities.iter().for_each(|name| out.word(name)),
            Self::Select { mailbox }
            | Self::Examine { mailbox }
            | Self::Create { mailbox }
            | Self::Delete { mailbox }
            | Self::Subscribe { mailbox }
            | Self::Unsubscribe { mailbox } => out.mailbox(mailbox),
            Self::Rename { from, to } => {
                out.mailbox(from);
                out.mailbox(to);
            }
            Self::List { reference, pattern } | Self::Lsub { reference, pattern } => {
                out.mailbox(reference);
                out.pattern(pattern);
            }
            Self::Status { mailbox, items } => {
                out.mailbox(mailbox);
                out.list(items.iter().map(ToString::to_string));
            }
            Self::Append { mailbox, flags, date, message } => {
                out.mailbox(mailbox);
                if !flags.is_empty() {
                    out.list(flags.iter().map(ToString::to_string));
                }
                if let Some(date) = date {
                    out.date_time(*date);
                }
                out.put(" ");
                out.literal(message.clone());
            }
            Self::Search { search, .. } => out.search(search),
            Self::Fetch { messages, items, .. } => {
                out.word(messages);
                out.put(" (");
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.put(" ");
                    }
                    out.fetch_att(item);
                }
                out.put(")");
            }
            Self::Store { messages, action, .. } => {
                out.word(messages);
                out.store_att_flags(action);
            }
            Self::Copy { messages, mailbox, .. } | Self::Move { messages, mailbox, .. } => {
                out.word(messages);
                out.mailbox(mailbox);
            }
        }
        out.put("\r\n");
        out.end();
        out.pieces
    }
}

struct Writer {
    pieces: Vec<Piece>,
    text: BytesMut,
    literals: Literals,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    /// A space and something that needs no quoting.
    fn word(&mut self, word: impl ToString) {
        self.put(" ");
        self.put(&word.to_string());
    }

    fn end(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(self.text.split().freeze()));
        }
    }

    fn literal(&mut self, octets: Bytes) {
        let plus = if self.literals == Literals::NonSynchronising { "+" } else { "" };
        self.put(&format!("{{{}{plus}}}\r\n", octets.len()));
        self.end();
        self.pieces.push(Piece::Literal(octets));
    }

    fn string(&mut self, octets: &[u8]) {
        let quotable = octets.iter().all(|octet| matches!(octet, b'\t' | b' '..=b'~'));
        if !quotable || octets.len() > MAX_QUOTED {
            return self.literal(Bytes::copy_from_slice(octets));
        }
        self.put("\"");
        for octet in octets {
            if matches!(octet, b'"' | b'\\') {
                self.put("\\");
            }
            self.text.extend_from_slice(&[*octet]);
        }
        self.put("\"");
    }

    /// `SP astring`
    fn astring(&mut self, octets: &[u8]) {
        self.put(" ");
        self.bare(octets, is_astring_char);
    }

    fn bare(&mut self, octets: &[u8], fits: impl Fn(u8) -> bool) {
        if !octets.is_empty() && octets.len() <= MAX_QUOTED && octets.iter().copied().all(fits) {
            self.text.extend_from_slice(octets);
        } else {
            self.string(octets);
        }
    }

    /// `SP mailbox`
    fn mailbox(&mut self, name: &str) {
        self.astring(utf7::encode(name).as_bytes());
    }

    /// `SP list-mailbox`
    fn pattern(&mut self, pattern: &str) {
        self.put(" ");
        let is_list_char = |octet| is_astring_char(octet) || matches!(octet, b'%' | b'*');
        self.bare(utf7::encode(pattern).as_bytes(), is_list_char);
    }

    /// `SP "(" ... ")"`
    fn list(&mut self, words: impl Iterator<Item = String>) {
        self.put(&format!(" ({})", words.collect::<Vec<_>>().join(" ")));
    }

    /// `SP date-time`
    fn date_time(&mut self, date: Timestamp) {
        self.put(&format!(" \"{}\"", date.imap()));
    }

    /// `SP id_params_list` (RFC 2971 §4)
    fn id(&mut self, fields: &[(Bytes, Option<Bytes>)]) {
        if fields.is_empty() {
            return self.put(" NIL");
        }
        for (n, (name, value)) in fields.iter().enumerate() {
            self.put(if n > 0 { " " } else { " (" });
            self.string(name);
            self.put(" ");
            match value {
                Some(value) => self.string(value),
                None => self.put("NIL"),
            }
        }
        self.put(")");
    }

    /// `fetch-att`
    fn fetch_att(&mut self, item: &FetchItem) {
        match item {
            FetchItem::Flags => self.put("FLAGS"),
            FetchItem::InternalDate => self.put("INTERNALDATE"),
            FetchItem::Uid => self.put("UID"),
            FetchItem::Rfc822 => self.put("RFC822"),
            FetchItem::Rfc822Header => self.put("RFC822.HEADER"),
            FetchItem::Rfc822Text => self.put("RFC822.TEXT"),
            FetchItem::Rfc822Size => self.put("RFC822.SIZE"),
            FetchItem::Envelope => self.put("ENVELOPE"),
            FetchItem::Body => self.put("BODY"),
            FetchItem::BodyStructure => self.put("BODYSTRUCTURE"),
            FetchItem::Section(section, partial) => self.section("BODY[", section, partial.as_ref()),
            FetchItem::Peek(section, partial) => self.section("BODY.PEEK[", section, partial.as_ref()),
        }
    }

    /// `section [partial]`
    fn section(&mut self, name: &str, section: &Section, partial: Option<&Partial>) {
        self.put(name);
        for (n, number) in section.part.iter().enumerate() {
            self.put(&format!("{}{number}", if n > 0 { "." } else { "" }));
        }
        if !section.part.is_empty() && section.text != SectionText::All {
            self.put(".");
        }
        match &section.text {
            SectionText::All => {}
            SectionText::Header => self.put("HEADER"),
            SectionText::Text => self.put("TEXT"),
            SectionText::Mime => self.put("MIME"),
            SectionText::HeaderFields(names) => self.header_list("HEADER.FIELDS", names),
            SectionText::HeaderFieldsNot(names) => self.header_list("HEADER.FIELDS.NOT", names),
        }
        self.put("]");
        if let Some(Partial { offset, length }) = partial {
            self.put(&format!("<{offset}.{length}>"));
        }
    }

    fn header_list(&mut self, word: &str, names: &[Bytes]) {
        self.put(word);
        for (n, name) in names.iter().enumerate() {
            self.put(if n > 0 { " " } else { " (" });
            self.bare(name, is_astring_char);
        }
        self.put(")");
    }

    /// `SP store-att-flags`
    fn store_att_flags(&mut self, action: &StoreAction) {
        self.put(match action.mode {
            StoreMode::Set => " FLAGS",
            StoreMode::Add => " +FLAGS",
            StoreMode::Remove => " -FLAGS",
        });
        if action.silent {
            self.put(".SILENT");
        }
        self.list(action.flags.iter().map(ToString::to_string));
    }

    /// `[SP "CHARSET" SP astring] 1*(SP search-key)`. Keys nest as deep as they like, so what is still to be written is kept
    /// in a list.
    fn search(&mut self, search: &Search) {
        enum Todo<'a> {
            Key(Option<&'a SearchKey>),
            Text(&'static str),
        }
        if let Some(charset) = search.charset() {
            self.put(" CHARSET");
            self.astring(charset);
        }
        self.put(" ");
        let at = |id: &KeyId| Todo::Key(search.key(*id));
        let mut todo = vec![Todo::Key(search.keys().last())];
        while let Some(next) = todo.pop() {
            let key = match next {
                Todo::Text(text) => {
                    self.put(text);
                    continue;
                }
                Todo::Key(key) => key.unwrap_or(&SearchKey::All),
            };
            match key {
                SearchKey::Not(key) => todo.extend([at(key), Todo::Text("NOT ")]),
                SearchKey::Or(first, second) => {
                    todo.extend([at(second), Todo::Text(" "), at(first), Todo::Text("OR ")]);
                }
                SearchKey::And(keys) if keys.is_empty() => self.put("ALL"),
                SearchKey::And(keys) => {
                    todo.push(Todo::Text(")"));
                    for (n, key) in keys.iter().enumerate().rev() {
                        todo.push(at(key));
                        todo.push(Todo::Text(if n > 0 { " " } else { "(" }));
                    }
                }
                leaf => self.search_leaf(leaf),
            }
        }
    }

    /// `search-key`, those made of other keys excepted.
    fn search_leaf(&mut self, key: &SearchKey) {
        match key {
            SearchKey::All => self.put("ALL"),
            SearchKey::Flag(Flag::Keyword(word)) => self.put(&format!("KEYWORD {word}")),
            SearchKey::Flag(flag) => self.put(&flag.to_string().trim_start_matches('\\').to_ascii_uppercase()),
            SearchKey::Recent => self.put("RECENT"),
            SearchKey::Sequence(set) => self.put(&set.to_string()),
            SearchKey::Uid(set) => self.put(&format!("UID {set}")),
            SearchKey::Larger(size) => self.put(&format!("LARGER {size}")),
            SearchKey::Smaller(size) => self.put(&format!("SMALLER {size}")),
            SearchKey::Before(day) => self.date("BEFORE", *day),
            SearchKey::On(day) => self.date("ON", *day),
            SearchKey::Since(day) => self.date("SINCE", *day),
            SearchKey::SentBefore(day) => self.date("SENTBEFORE", *day),
            SearchKey::SentOn(day) => self.date("SENTON", *day),
            SearchKey::SentSince(day) => self.date("SENTSINCE", *day),
            SearchKey::Header { name, text } => {
                match name.as_ref() {
                    b"Bcc" => self.put("BCC"),
                    b"Cc" => self.put("CC"),
                    b"From" => self.put("FROM"),
                    b"Subject" => self.put("SUBJECT"),
                    b"To" => self.put("TO"),
                    name => {
                        self.put("HEADER");
                        self.astring(name);
                    }
                }
                self.astring(text);
            }
            SearchKey::Body(text) => {
                self.put("BODY");
                self.astring(text);
            }
            SearchKey::Text(text) => {
                self.put("TEXT");
                self.astring(text);
            }
            // Made of other keys: written by the caller.
            SearchKey::Not(_) | SearchKey::Or(..) | SearchKey::And(_) => {}
        }
    }

    /// `date`
    fn date(&mut self, word: &str, Day { year, month, day }: Day) {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = MONTHS.get(usize::from(month).wrapping_sub(1)).unwrap_or(&"Jan");
        self.put(&format!("{word} {day}-{month}-{year:04}"));
    }
}
