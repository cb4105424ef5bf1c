//! A message on its way in: by DATA (RFC 5321 §4.1.1.4), by BDAT (RFC 3030), by BURL (RFC 4468).

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::table::{self, State};
use super::{Content, Mail, Protocol, Question, Server, ServerConfig, ServerEvent};
use crate::base::{Step, Wire};
use crate::smtp::data::{Chunk, Data, DataFault, DataReader};
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
    /// What has come, where it is collected: the first piece as it is, for a small message has no other.
    first: Bytes,
    /// All of it, once there are two.
    content: BytesMut,
    /// What has come after the header, and is not yet handed out.
    held_back: Bytes,
    header: Header,
    /// The end of the message was read, and the application is still asked for its header.
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
            first: Bytes::new(),
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
            self.forget();
            self.held_back = Bytes::new();
            self.refusal = refusal;
        }
    }

    /// Keeps a piece, or hands it out.
    fn keep(&mut self, piece: Bytes, content: Content) -> Option<ServerEvent> {
        if self.refusal.is_some() || piece.is_empty() {
            return None;
        }
        self.eight_bit = self.eight_bit || !piece.is_ascii();
        if content == Content::Stream {
            return Some(ServerEvent::Chunk(piece));
        }
        if self.reader.fault().is_some() {
            self.forget();
        } else if self.first.is_empty() && self.content.is_empty() {
            self.first = piece;
        } else {
            let first = std::mem::take(&mut self.first);
            self.content.extend_from_slice(&first);
            self.content.extend_from_slice(&piece);
        }
        None
    }

    fn forget(&mut self) {
        self.first = Bytes::new();
        self.content = BytesMut::new();
    }

    /// What has come so far, where it is collected.
    fn collected(&self) -> Bytes {
        if self.first.is_empty() { Bytes::copy_from_slice(&self.content) } else { self.first.clone() }
    }
}

impl Server {
    /// Reads on in a message.
    pub(super) fn read_message(&mut self) -> Result<Option<Step<ServerEvent>>, Error> {
        let State::Incoming(incoming) = &mut self.state else { return Ok(None) };
        if incoming.header == Header::Due {
            return Ok(self.ask_header().map(Step::Event));
        }
        if !incoming.held_back.is_empty() {
            let piece = std::mem::take(&mut incoming.held_back);
            return Ok(incoming.keep(piece, self.config.content).map(Step::Event));
        }
        if incoming.ended {
            return Ok(self.end_of_piece().map(Step::Event));
        }
        let wire = incoming.fetched.as_deref_mut().unwrap_or(&mut self.wire);
        let unread = wire.unread().len();
        let data = match &mut incoming.chunk {
            Some(chunk) => incoming.reader.read_chunk(chunk, wire),
            None => incoming.reader.read(wire),
        };
        if wire.unread().len() < unread {
            self.since = None; // a piece has come, even if it is one of those that are dropped
        }
        match data {
            Data::NeedInput => self.wait_for_more().map(Some),
            Data::Chunk(mut piece) => {
                if let Some(end) = incoming.header.end(&piece) {
                    incoming.held_back = piece.split_off(end);
                }
                Ok(incoming.keep(piece, self.config.content).map(Step::Event))
            }
            Data::End => {
                let last = incoming.chunk.is_none_or(|chunk| chunk.last);
                // A message without an empty line is header all over.
                if last && incoming.header != Header::Over && incoming.reader.fault().is_none() {
                    incoming.ended = true;
                    return Ok(self.ask_header().map(Step::Event));
                }
                Ok(self.end_of_piece().map(Step::Event))
            }
        }
    }

    /// Asks for the application's opinion of the header.
    fn ask_header(&mut self) -> Option<ServerEvent> {
        let State::Incoming(mut incoming) = std::mem::replace(&mut self.state, State::Idle) else {
            return None; // only called while a message comes in
        };
        incoming.header = Header::Over;
        let header = incoming.collected();
        self.state = State::Asking(Question::Header(incoming));
        Some(ServerEvent::Header(header))
    }

    /// A piece is at its end: the message is put to the application, or refused, or goes on.
    fn end_of_piece(&mut self) -> Option<ServerEvent> {
        let State::Incoming(mut incoming) = std::mem::replace(&mut self.state, State::Idle) else {
            return None; // only called while a message comes in
        };
        let last = incoming.chunk.is_none_or(|chunk| chunk.last);
        incoming.fetched = None;
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
        let Incoming { mut envelope, reader, first, content, eight_bit, .. } = incoming;
        let content = if first.is_empty() { content.freeze() } else { first };
        // RFC 6152 §3: the next host has to be told of 8-bit octets, whatever was said of them here.
        if eight_bit && matches!(envelope.params.body, None | Some(Body::SevenBit)) {
            envelope.params.body = Some(Body::EightBitMime);
        }
        self.state = State::Asking(Question::Message { replies: self.replies(&envelope) });
        ServerEvent::Message(Mail { envelope, content, size: reader.size() })
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
