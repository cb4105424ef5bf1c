//! A message on its way in: by DATA (RFC 5321 §4.1.1.4), by BDAT (RFC 3030), by BURL (RFC 4468).

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::table::{self, State};
use super::{Content, Mail, Protocol, Question, Server, ServerConfig, ServerEvent};
use crate::base::{Step, Wire};
use crate::smtp::data::{Chunk, DataFault, DataReader};
use crate::smtp::{Body, Enhanced, Envelope, Error, Reply};

/// A message that is being read.
#[derive(Debug)]
pub(super) struct Incoming {
    envelope: Envelope,
    reader: DataReader,
    /// What comes now, where it comes by BDAT or BURL.
    chunk: Option<Chunk>,
    /// The size of the chunk.
    announced: u64,
    /// The chunk, where it was fetched for BURL.
    fetched: Option<Box<Wire>>,
    /// The chunks that have come, where the message is collected. What comes now is kept in the wire.
    content: BytesMut,
    /// What has come after the header, and is not yet handed out.
    held_back: Bytes,
    header: Header,
    /// The end of the message, or of what comes of it now, was read; some of it may still have to be handed out.
    ended: bool,
    /// There were octets beyond ASCII.
    eight_bit: bool,
    /// Why the application does not want it; said at the end.
    refusal: Option<Reply>,
    /// When the first piece was waited for.
    begun: Option<Instant>,
}

/// How much of the header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// Within a line.
    Line,
    /// After a CR.
    Cr,
    /// At the start of a line.
    LineStart,
    /// After a CR at the start of a line.
    EmptyCr,
    /// All of it, and the application is to be asked.
    Due,
    /// All of it, or nobody wants to know.
    Over,
}

impl Header {
    /// How many octets of `text` belong to the header, where it ends there.
    fn end(&mut self, text: &[u8]) -> Option<usize> {
        for (at, octet) in text.iter().enumerate() {
            *self = match (*self, octet) {
                (Self::Due | Self::Over, _) => return None,
                (Self::EmptyCr, b'\n') => {
                    *self = Self::Due;
                    return Some(at + 1);
                }
                (Self::Cr, b'\n') => Self::LineStart,
                (Self::LineStart, b'\r') => Self::EmptyCr,
                (_, b'\r') => Self::Cr,
                _ => Self::Line,
            };
        }
        None
    }
}

/// What is to be done about what came.
enum Came {
    /// It is handed out.
    Piece(Bytes),
    /// The header in it, which ends so far into what is kept, is put to the application.
    Header(usize),
    Nothing,
}

impl Incoming {
    /// A message that begins; `chunk` is its first, where it comes by BDAT.
    pub(super) fn new(envelope: Envelope, config: &ServerConfig, chunk: Option<Chunk>) -> Self {
        let mut reader = DataReader::default();
        reader.bare_newlines = config.bare_newlines;
        reader.max_size = config.size_limit();
        reader.max_line = config.max_text_line;
        reader.binary = envelope.params.body == Some(Body::BinaryMime);
        Self {
            envelope,
            reader,
            chunk,
            announced: chunk.map_or(0, |chunk| chunk.left),
            fetched: None,
            content: BytesMut::new(),
            held_back: Bytes::new(),
            header: if config.screen.header { Header::LineStart } else { Header::Over },
            ended: false,
            eight_bit: false,
            refusal: None,
            begun: None,
        }
    }

    /// The next chunk begins.
    pub(super) fn begin_chunk(&mut self, chunk: Chunk) {
        self.announced = chunk.left;
        self.chunk = Some(chunk);
        self.ended = false;
    }

    pub(super) fn begun(&self) -> Option<Instant> {
        self.begun
    }

    pub(super) fn wait_from(&mut self, now: Instant) {
        self.begun.get_or_insert(now);
    }

    /// Where the application does not want the message, the rest of it is dropped.
    pub(super) fn refuse(&mut self, refusal: Option<Reply>) {
        if refusal.is_some() {
            self.content = BytesMut::new();
            self.held_back = Bytes::new();
            self.refusal = refusal;
        }
    }

    /// Reads on. What came stays in the wire where it is to be collected.
    fn read(&mut self, wire: &mut Wire, content: Content) -> Came {
        let before = wire.kept().len();
        self.ended = match &mut self.chunk {
            Some(chunk) => self.reader.keep_chunk(chunk, wire),
            None => self.reader.keep(wire),
        };
        wire.expect((!self.ended).then(|| self.expected(content, wire)));
        if self.refusal.is_some() {
            wire.drop_kept();
        }
        let text = wire.kept().get(before..).unwrap_or_default();
        self.eight_bit = self.eight_bit || !text.is_ascii();
        let header = self.header.end(text).map(|end| before + end);
        if content == Content::Stream && !wire.kept().is_empty() {
            let mut piece = wire.take_kept().freeze();
            if let Some(end) = header {
                self.held_back = piece.split_off(end);
            }
            return Came::Piece(piece);
        }
        if header.is_none() && self.reader.fault().is_some() {
            wire.drop_kept();
        }
        header.map_or(Came::Nothing, Came::Header)
    }

    /// Whether what comes is wanted.
    fn is_wanted(&self) -> bool {
        self.refusal.is_none() && self.reader.fault().is_none()
    }

    /// How many octets the wire is to have room for, as far as that was announced.
    fn expected(&self, content: Content, wire: &Wire) -> usize {
        let announced = match (content, self.chunk) {
            (Content::Stream, _) => 0,
            (Content::Collect { .. }, Some(chunk)) => chunk.left.saturating_add(wire.kept().len() as u64),
            (Content::Collect { .. }, None) => self.envelope.params.size.unwrap_or(0),
        };
        // What breaks the limit is not collected.
        usize::try_from(announced.min(self.reader.max_size.unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// What is of the message in the wire is moved to what came of it before.
    fn collect(&mut self, wire: &mut Wire) {
        if self.content.is_empty() {
            self.content = wire.take_kept();
        } else {
            self.content.extend_from_slice(wire.kept());
            wire.drop_kept();
        }
    }
}

impl Server {
    /// Reads on in a message.
    pub(super) fn read_message(&mut self) -> Result<Option<Step<ServerEvent>>, Error> {
        let State::Incoming(incoming) = &mut self.state else { return Ok(None) };
        if incoming.header == Header::Due {
            return Ok(self.ask_header(None).map(Step::Event));
        }
        if !incoming.held_back.is_empty() {
            let piece = std::mem::take(&mut incoming.held_back);
            return Ok(Some(Step::Event(ServerEvent::Chunk(piece))));
        }
        if incoming.ended {
            let last = incoming.chunk.is_none_or(|chunk| chunk.last);
            // A message without an empty line is header all over.
            if last && incoming.header != Header::Over && incoming.reader.fault().is_none() {
                return Ok(self.ask_header(None).map(Step::Event));
            }
            return Ok(self.end_of_piece().map(Step::Event));
        }
        let mut fetched = incoming.fetched.take();
        let wire = fetched.as_deref_mut().unwrap_or(&mut self.wire);
        let unread = wire.unread().len();
        let came = incoming.read(wire, self.config.content);
        if wire.unread().len() < unread {
            self.since = None; // a piece has come, even if it is one of those that are dropped
        }
        incoming.fetched = fetched;
        match came {
            Came::Piece(piece) => Ok(Some(Step::Event(ServerEvent::Chunk(piece)))),
            Came::Header(end) => Ok(self.ask_header(Some(end)).map(Step::Event)),
            Came::Nothing if incoming.ended => Ok(None),
            Came::Nothing => self.wait_for_more().map(Some),
        }
    }

    /// Asks for the application's opinion of the header, which ends so far into what is kept, or is all of it.
    fn ask_header(&mut self, end: Option<usize>) -> Option<ServerEvent> {
        let State::Incoming(mut incoming) = std::mem::replace(&mut self.state, State::Idle) else {
            return None; // only called while a message comes in
        };
        incoming.header = Header::Over;
        let wire = incoming.fetched.as_deref().unwrap_or(&self.wire);
        let kept = wire.kept().get(..end.unwrap_or(usize::MAX)).unwrap_or(wire.kept());
        let header = [&incoming.content, kept].concat().into();
        self.state = State::Asking(Question::Header(incoming));
        Some(ServerEvent::Header(header))
    }

    /// A piece is at its end: the message is put to the application, or refused, or goes on.
    fn end_of_piece(&mut self) -> Option<ServerEvent> {
        let State::Incoming(mut incoming) = std::mem::replace(&mut self.state, State::Idle) else {
            return None; // only called while a message comes in
        };
        let last = incoming.chunk.is_none_or(|chunk| chunk.last);
        let mut fetched = incoming.fetched.take();
        let wire = fetched.as_deref_mut().unwrap_or(&mut self.wire);
        if incoming.is_wanted() {
            incoming.collect(wire)
        } else {
            wire.drop_kept()
        }
        let (refusal, fault) = match (incoming.refusal.take(), incoming.reader.fault()) {
            (Some(refusal), _) => (refusal, DataFault::Refused),
            (None, Some(fault)) => (table::refused(fault), fault),
            (None, None) if last => return Some(self.whole(*incoming)),
            (None, None) => {
                let text = format!("{} octets received", incoming.announced);
                self.settle(State::Chunks(incoming), &Reply::new(250, Enhanced(2, 0, 0), text));
                return None;
            }
        };
        self.fail_message(incoming, last, &refusal);
        Some(ServerEvent::Discarded(fault))
    }

    /// The message is whole.
    fn whole(&mut self, incoming: Incoming) -> ServerEvent {
        let Incoming { mut envelope, reader, content, eight_bit, .. } = incoming;
        // RFC 6152 §3: the next host has to be told of 8-bit octets, whatever was said of them here.
        if eight_bit && matches!(envelope.params.body, None | Some(Body::SevenBit)) {
            envelope.params.body = Some(Body::EightBitMime);
        }
        self.state = State::Asking(Question::Message { replies: self.replies(&envelope) });
        ServerEvent::Message(Mail { envelope, content: content.freeze(), size: reader.size() })
    }

    /// Refuses a message that was begun.
    pub(super) fn fail_message(&mut self, incoming: Box<Incoming>, last: bool, refusal: &Reply) {
        // Only the end of a message is answered for each recipient (RFC 2033 §4.2, §4.3).
        let replies = if last { self.replies(&incoming.envelope) } else { 1 };
        self.settle_each(replies, refusal);
    }

    /// How many replies are due at the end of a message.
    fn replies(&self, envelope: &Envelope) -> usize {
        match self.config.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => envelope.recipients.len(),
        }
    }

    /// What the application fetched for BURL is read as a chunk is.
    pub(super) fn take_fetched(&mut self, mut incoming: Box<Incoming>, last: bool, octets: &[u8]) {
        let mut wire = Wire::new();
        wire.feed(octets);
        incoming.fetched = Some(Box::new(wire));
        incoming.begin_chunk(Chunk { left: octets.len() as u64, last });
        self.state = State::Incoming(incoming);
    }

    /// Drops a chunk that is refused, and says `reply` at its end.
    pub(super) fn skip(&mut self, back: State, chunk: Chunk, reply: Reply) {
        self.state = State::Skipping { chunk, back: Box::new(back), reply };
    }

    /// Drops on.
    pub(super) fn skip_on(&mut self) -> Result<Option<Step<ServerEvent>>, Error> {
        let State::Skipping { chunk, .. } = &mut self.state else { return Ok(None) };
        let left = chunk.left;
        let over = chunk.skip(&mut self.wire);
        if chunk.left < left {
            self.since = None;
        }
        if !over {
            return self.wait_for_more().map(Some);
        }
        let State::Skipping { back, reply, .. } = std::mem::replace(&mut self.state, State::Idle) else {
            return Ok(None); // it is
        };
        self.settle(*back, &reply);
        Ok(None)
    }
}
