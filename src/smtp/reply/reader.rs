//! Replies taken line by line off a [`Wire`], in bounded memory whatever a server sends.

use super::{Reply, ReplyLine};
use crate::base::wire::LineTooLong;
use crate::base::{ParseError, Wire};

/// Reads replies off a [`Wire`], line by line.
///
/// ```
/// use facteur::base::Wire;
/// use facteur::smtp::ReplyReader;
///
/// let mut reader = ReplyReader::default();
/// let mut wire = Wire::new();
/// wire.feed(b"250-mx.test\r\n250 SI");
/// assert_eq!(reader.read(&mut wire), Ok(None));
/// wire.feed(b"ZE\r\n");
/// assert_eq!(reader.read(&mut wire)?.unwrap().to_string(), "250 mx.test SIZE");
/// # Ok::<(), facteur::smtp::ReplyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReplyReader {
    /// The longest line, in octets with its end. Default 2048: RFC 5321 §4.5.3.1.5 allows 512, and servers that explain
    /// themselves go beyond.
    pub max_line: usize,
    /// The most octets of text in one reply. Default 16384: more than the longest answers to EHLO and HELP that are seen.
    pub max_reply: usize,
    reply: Option<Reply>,
    octets: usize,
}

/// Why what a server sent is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// A line is not as RFC 5321 §4.2 has it. The octets are counted within that line.
    #[error("malformed reply: {0}")]
    Malformed(#[from] ParseError),
    /// A line is too long.
    #[error("reply {0}")]
    LineTooLong(#[from] LineTooLong),
    /// The reply does not end.
    #[error("reply longer than {max} octets")]
    TooLong {
        /// The limit, in octets.
        max: usize,
    },
}

impl Default for ReplyReader {
    fn default() -> Self {
        Self { max_line: 2048, max_reply: 16_384, reply: None, octets: 0 }
    }
}

impl ReplyReader {
    /// The next reply; `None` until it is there whole.
    ///
    /// # Errors
    /// Where what came is no reply. Nothing that comes after it can be trusted to answer any command.
    pub fn read(&mut self, wire: &mut Wire) -> Result<Option<Reply>, ReplyError> {
        while let Some((line, _)) = wire.read_line(self.max_line)? {
            if let Some(reply) = self.line(line)? {
                return Ok(Some(reply));
            }
        }
        // A line that is being dropped will never be a reply; its end may never come.
        if wire.is_dropping() { Err(LineTooLong { max: self.max_line }.into()) } else { Ok(None) }
    }

    /// Takes a line in; the reply where it was the last.
    #[inline(always)]
    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        self.octets += line.len();
        if self.octets > self.max_reply {
            return Err(ReplyError::TooLong { max: self.max_reply });
        }
        let line = ReplyLine::parse(line)?;
        let last = line.last;
        match &mut self.reply {
            None if last => {
                self.octets = 0;
                return Ok(Some(line.into()));
            }
            None => self.reply = Some(line.into()),
            Some(reply) => {
                reply.extend(line)?;
            }
        }
        if last {
            self.octets = 0;
            return Ok(self.reply.take());
        }
        Ok(None)
    }

    /// Whether part of a reply has come.
    pub fn is_partial(&self) -> bool {
        self.reply.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_replies_are_cut_off() {
        let mut wire = Wire::new();
        let mut reader = ReplyReader::default();
        wire.feed(&[b'2'; 3000]);
        assert!(matches!(reader.read(&mut wire), Err(ReplyError::LineTooLong(_))));
        let mut wire = Wire::new();
        let mut reader = ReplyReader::default();
        let result = (0..10_000).find_map(|_| {
            wire.feed(b"250-and so on\r\n");
            reader.read(&mut wire).err()
        });
        assert_eq!(result, Some(ReplyError::TooLong { max: 16_384 }));
    }

    #[test]
    fn replies_are_the_same_however_they_are_cut() {
        let input = b"220 mx.test\r\n250-a\r\n250 b\r\n550 5.1.1 no\r\n";
        for size in 1..input.len() {
            let mut wire = Wire::new();
            let mut reader = ReplyReader::default();
            let mut replies = Vec::new();
            for piece in input.chunks(size) {
                wire.feed(piece);
                while let Some(reply) = reader.read(&mut wire).unwrap() {
                    replies.push(reply.to_string());
                }
            }
            assert_eq!(replies, ["220 mx.test", "250 a b", "550 5.1.1 no"]);
        }
    }
}
