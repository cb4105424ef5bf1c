//! Questions and answers as the messages of RFC 1035 §4, over hickory-proto: for whoever brings a socket of their own.
//!
//! Left out: transport, retries, TCP after a truncated response, and validation; whether an answer is secure is believed
//! of a resolver that says so (the AD bit of RFC 4035 §3.2.3), so ask only one that is trusted over a path that is.

use std::str::FromStr;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr;

use crate::dns::{Answer, Data, Failure, Name, Question, RecordType};

/// How many octets a response over UDP may have: what DNS Flag Day 2020 settled on, so that it is not fragmented.
pub const MAX_UDP: u16 = 1232;
/// How many records of an answer are kept. No sound answer to a question that mail asks comes near.
pub const MAX_RECORDS: usize = 512;
/// How many aliases of aliases are followed.
const MAX_ALIASES: usize = 8;
/// How many octets of text records are kept of one answer.
const MAX_TEXT: usize = 64 * 1024;

/// Why a response is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// It is no DNS message.
    #[error("not a dns message")]
    Malformed,
    /// It answers something else: another question, another id, or it is a query. Wait for the right one.
    #[error("not the response to this question")]
    Other,
    /// It is cut off: ask again over TCP.
    #[error("truncated")]
    Truncated,
}

/// The octets of a query, for UDP as they are and for TCP after two octets of length.
///
/// `id` must be hard to guess, as must the port it is sent from (RFC 5452 §9).
///
/// ```
/// use facteur::dns::{Question, RecordType, packet};
///
/// let question = Question::new("example.org".parse()?, RecordType::Mx);
/// let query = packet::query(&question, 0x1234);
/// assert_eq!(query[..2], [0x12, 0x34]);
/// assert_eq!(packet::response(&query, &question, 0x1234), Err(packet::PacketError::Other));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
pub fn query(question: &Question, id: u16) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.id = id;
    message.metadata.recursion_desired = true;
    // RFC 6840 §5.7: with AD set in the query the response says whether it is authentic.
    message.metadata.authentic_data = true;
    let mut edns = Edns::new();
    edns.set_max_payload(MAX_UDP);
    message.set_edns(edns);
    message.add_query(Query::query(written(&question.name), wire_type(question.kind)));
    // A name that is a `Name` fits, so nothing else can fail.
    message.to_vec().unwrap_or_default()
}

/// Reads the response to a question.
///
/// # Errors
/// [`PacketError`]; a response that tells of a failure is no error but an [`Answer`].
pub fn response(octets: &[u8], question: &Question, id: u16) -> Result<Answer, PacketError> {
    let message = Message::from_vec(octets).map_err(|_| PacketError::Malformed)?;
    let metadata = &message.metadata;
    let asked = |query: &Query| {
        query.query_type() == wire_type(question.kind) && read(query.name()).is_some_and(|name| name == question.name)
    };
    // RFC 5452 §9.1: what must match.
    let ours = metadata.id == id
        && metadata.message_type == hickory_proto::op::MessageType::Response
        && metadata.op_code == hickory_proto::op::OpCode::Query
        && matches!(&message.queries[..], [query] if asked(query));
    if !ours {
        return Err(PacketError::Other);
    }
    if metadata.truncation {
        return Err(PacketError::Truncated);
    }
    let negative_ttl = message.authorities.iter().find_map(|record| match &record.data {
        // RFC 2308 §5: the lesser of the SOA's own TTL and its minimum
        rr::RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    });
    let secure = metadata.authentic_data;
    let negative = |failure| Answer { found: Err(failure), ttl: negative_ttl.unwrap_or(0), secure };
    match metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return Ok(negative(Failure::NxDomain)),
        _ => return Ok(Answer::from(Err(Failure::ServFail))),
    }
    Ok(match records(&message.answers, question) {
        Ok((found, _)) if found.is_empty() => negative(Failure::NoData),
        Ok((found, ttl)) => Answer { found: Ok(found.into()), ttl, secure },
        Err(failure) => Answer::from(Err(failure)),
    })
}

/// The records of a resolver's answer that answer the question, aliases followed, and for how long they may be kept.
///
/// # Errors
/// [`Failure::ServFail`] where aliases go in circles.
pub(crate) fn records(answers: &[rr::Record], question: &Question) -> Result<(Vec<Data>, u32), Failure> {
    let answers = answers.get(..MAX_RECORDS).unwrap_or(answers);
    let mut name = question.name.clone();
    let mut ttl = u32::MAX;
    for _ in 0..=MAX_ALIASES {
        let mut alias = None;
        let (mut found, mut text) = (Vec::new(), 0);
        for record in answers.iter().filter(|record| read(&record.name).is_some_and(|owner| owner == name)) {
            let Some(data) = data(&record.data) else { continue };
            match &data {
                _ if data.kind() == question.kind => {}
                Data::Cname(target) => {
                    alias = Some((target.clone(), record.ttl));
                    continue;
                }
                _ => continue,
            }
            if let Data::Txt(more) = &data {
                text += more.len();
                if text > MAX_TEXT {
                    continue;
                }
            }
            ttl = ttl.min(record.ttl);
            found.push(data);
        }
        match alias {
            Some((target, alias_ttl)) if found.is_empty() => {
                ttl = ttl.min(alias_ttl);
                name = target;
            }
            // Without records the lifetime is that of what does not exist.
            _ => return Ok((found, ttl)),
        }
    }
    Err(Failure::ServFail)
}

/// What a record says; `None` for other types, and for names that a [`Name`] cannot hold.
pub(crate) fn data(data: &rr::RData) -> Option<Data> {
    Some(match data {
        rr::RData::A(address) => Data::A(address.0),
        rr::RData::AAAA(address) => Data::Aaaa(address.0),
        rr::RData::CNAME(name) => Data::Cname(read(name)?),
        rr::RData::PTR(name) => Data::Ptr(read(name)?),
        rr::RData::MX(mx) => Data::Mx { preference: mx.preference, exchange: read(&mx.exchange)? },
        rr::RData::SRV(srv) => {
            Data::Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target: read(&srv.target)? }
        }
        rr::RData::TLSA(tlsa) => Data::Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone().into(),
        },
        rr::RData::TXT(txt) => Data::Txt(txt.txt_data.concat().into()),
        _ => return None,
    })
}

/// The type as hickory-proto names it.
pub(crate) fn wire_type(kind: RecordType) -> rr::RecordType {
    match kind {
        RecordType::A => rr::RecordType::A,
        RecordType::Aaaa => rr::RecordType::AAAA,
        RecordType::Cname => rr::RecordType::CNAME,
        RecordType::Mx => rr::RecordType::MX,
        RecordType::Ptr => rr::RecordType::PTR,
        RecordType::Srv => rr::RecordType::SRV,
        RecordType::Tlsa => rr::RecordType::TLSA,
        RecordType::Txt => rr::RecordType::TXT,
    }
}

/// Octet by octet, so that nothing in a label is taken for an escape or an A-label to be.
pub(crate) fn written(name: &Name) -> rr::Name {
    let mut written = rr::Name::from_labels(name.labels().map(str::as_bytes)).unwrap_or_default(); // its labels fit
    written.set_fqdn(true);
    written
}

/// `None` where a label holds what a [`Name`] cannot: a dot, a control character, an octet that is not ASCII.
pub(crate) fn read(name: &rr::Name) -> Option<Name> {
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        let label = std::str::from_utf8(label).ok().filter(|label| !label.contains('.'))?;
        text.push_str(label);
        text.push('.');
    }
    if text.is_empty() {
        return Some(Name::root());
    }
    Name::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::{MessageType, OpCode};

    fn question() -> Question {
        Question::new("Example.org".parse().unwrap(), RecordType::Mx)
    }

    fn record(owner: &str, data: rr::RData) -> rr::Record {
        rr::Record::from_rdata(written(&owner.parse().unwrap()), 300, data)
    }

    fn mx(exchange: &str) -> rr::RData {
        rr::RData::MX(rr::rdata::MX::new(10, written(&exchange.parse().unwrap())))
    }

    fn answered(change: impl FnOnce(&mut Message)) -> Result<Answer, PacketError> {
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(written(&question().name), rr::RecordType::MX));
        change(&mut message);
        response(&message.to_vec().unwrap(), &question(), 7)
    }

    /// RFC 1035 §4.1: the header, then QNAME, QTYPE 15, QCLASS IN.
    #[test]
    fn queries_are_written() {
        let octets = query(&question(), 0xbeef);
        assert_eq!(octets[..4], [0xbe, 0xef, 0b0000_0001, 0b0010_0000]);
        assert_eq!(octets[12..29], *b"\x07example\x03org\0\0\x0f\0\x01");
        assert!(octets.len() < 64);
    }

    #[test]
    fn responses_are_read() {
        let found = |name: &str| Ok([Data::Mx { preference: 10, exchange: name.parse().unwrap() }].into());
        let answer = answered(|message| {
            message.add_answer(record("example.org", mx("Mail.Example.org")));
            message.metadata.authentic_data = true;
        });
        assert_eq!(answer, Ok(Answer { found: found("mail.example.org"), ttl: 300, secure: true }));
        let answer = answered(|message| {
            let alias = rr::rdata::CNAME(written(&"other.net".parse().unwrap()));
            message.add_answer(record("example.org", rr::RData::CNAME(alias)));
            message.add_answer(record("other.net", mx("a.net")));
            message.add_answer(record("unasked.net", mx("b.net")));
        });
        assert_eq!(answer.unwrap().found, found("a.net"));
        let answer = answered(|message| {
            message.add_answer(record("example.org", mx(".")));
        });
        assert_eq!(answer.unwrap().found, found("."));
    }

    #[test]
    fn failures_are_told_apart() {
        let code = |code| answered(|message| message.metadata.response_code = code).unwrap().found;
        assert_eq!(code(ResponseCode::NXDomain), Err(Failure::NxDomain));
        assert_eq!(code(ResponseCode::NoError), Err(Failure::NoData));
        assert_eq!(code(ResponseCode::ServFail), Err(Failure::ServFail));
        assert_eq!(code(ResponseCode::Refused), Err(Failure::ServFail));
        assert_eq!(answered(|message| message.metadata.truncation = true), Err(PacketError::Truncated));
        assert_eq!(answered(|message| message.metadata.id = 8), Err(PacketError::Other));
        assert_eq!(answered(|message| message.queries.clear()), Err(PacketError::Other));
        assert_eq!(response(b"", &question(), 7), Err(PacketError::Malformed));
    }

    #[test]
    fn aliases_in_circles_are_a_failure() {
        let answer = answered(|message| {
            let alias = rr::rdata::CNAME(written(&question().name));
            message.add_answer(record("example.org", rr::RData::CNAME(alias)));
        });
        assert_eq!(answer.unwrap().found, Err(Failure::ServFail));
    }

    #[test]
    fn labels_are_octets_and_not_escapes() {
        let name: Name = r"a\046b._x.example".parse().unwrap();
        assert_eq!(read(&written(&name)), Some(name));
        assert_eq!(read(&rr::Name::from_labels([&b"a.b"[..], b"c"]).unwrap()), None);
        assert_eq!(read(&rr::Name::from_labels([&b"\xff"[..], b"c"]).unwrap()), None);
        assert_eq!(read(&written(&Name::root())), Some(Name::root()));
    }
}
