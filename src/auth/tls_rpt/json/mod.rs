//! The JSON of reports (RFC 8460 §4.4), read piece by piece without a tree of it, and written.

mod values;

use serde::de::{DeserializeSeed, MapAccess};
use serde_json::error::Category;
use serde_json::{Value, json};

use values::{Fill, Item, List, Object, Room, Texts, count, text, time};

use super::{Failure, FailureKind, Policy, PolicyKind, PolicyResult, Report};
use crate::auth::parcel::{self, PackError};
use crate::base::Timestamp;

/// How much of a report is read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How much is unpacked.
    pub parcel: parcel::Limits,
    /// How many policies a report may have. Default 1,000: reports have one or two for each host of a domain.
    pub policies: usize,
    /// How many failures it may have in all. Default 100,000.
    pub failures: usize,
    /// How many lines or hosts of a policy are read; others are left out. Default 100.
    pub lines: usize,
    /// How many octets a text may have; what follows is left out. Default 2,000.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parcel: parcel::Limits::default(), policies: 1_000, failures: 100_000, lines: 100, text: 2_000 }
    }
}

/// Why a report cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It cannot be unpacked.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The message has no part that could be a report.
    #[error("no report in the message")]
    NoPart,
    /// What it holds is no JSON, or breaks off.
    #[error("no JSON at line {line}, column {column}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 0.
        column: usize,
    },
    /// The JSON is none of a report: it has neither an identifier nor policies.
    #[error("no report of TLS")]
    NoReport,
    /// It has more policies or failures than [`Limits`] allows.
    #[error("more policies or failures than the limit")]
    TooMany,
}

/// Why a report cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is no value for what must be there.
    #[error("no {0}")]
    Missing(&'static str),
    /// The message around it cannot be built.
    #[error(transparent)]
    Build(#[from] crate::message::BuildError),
}

impl Report {
    /// Reads a report: JSON, or that in gzip or zip.
    ///
    /// # Errors
    /// Where it cannot be unpacked, is no JSON, is of something else, or exceeds a limit.
    pub fn parse(octets: &[u8]) -> Result<Self, ReadError> {
        Self::parse_with(octets, &Limits::default())
    }

    /// As [`parse`](Self::parse) with other limits.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(octets: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        let unpacked = parcel::unpack(octets, &limits.parcel)?;
        let json = unpacked.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&unpacked);
        let mut room = Room { limits: *limits, policies: limits.policies, failures: limits.failures };
        let mut report = Self::default();
        let mut source = serde_json::Deserializer::from_slice(json);
        let read = Object { into: &mut report, room: &mut room }.deserialize(&mut source);
        read.map_err(|error| match error.classify() {
            // Nothing of the data is refused but more of it than there is room for.
            Category::Data => ReadError::TooMany,
            _ => ReadError::Json { line: error.line(), column: error.column() },
        })?;
        if report.id.is_empty() && report.policies.is_empty() { Err(ReadError::NoReport) } else { Ok(report) }
    }

    /// Writes the report as JSON.
    ///
    /// # Errors
    /// Where the organization, the contact, the identifier or the time is missing.
    pub fn write(&self) -> Result<String, WriteError> {
        for (name, value) in
            [("organization-name", &self.organization), ("contact-info", &self.contact), ("report-id", &self.id)]
        {
            if value.is_empty() {
                return Err(WriteError::Missing(name));
            }
        }
        let time = |name, time: Option<Timestamp>| {
            // RFC 8460 §4.4 in UTC, as its report is of a day of UTC.
            let time = time.ok_or(WriteError::Missing(name))?.at_offset(0);
            Ok::<_, WriteError>(time.rfc3339().to_string())
        };
        let policies: Vec<Value> = self.policies.iter().map(policy).collect();
        let report = json!({
            "organization-name": self.organization,
            "date-range": {
                "start-datetime": time("start-datetime", self.begin)?,
                "end-datetime": time("end-datetime", self.end)?,
            },
            "contact-info": self.contact,
            "report-id": self.id,
            "policies": policies,
        });
        Ok(format!("{report:#}\n"))
    }
}

fn policy(result: &PolicyResult) -> Value {
    let of = &result.policy;
    let mut policy = json!({ "policy-type": of.kind.to_string(), "policy-domain": of.domain });
    if !of.lines.is_empty() {
        policy["policy-string"] = json!(of.lines);
    }
    if !of.hosts.is_empty() {
        // RFC 8460 §4.4: "It is provided as a JSON array of strings"; its appendix B forgets that.
        policy["mx-host"] = json!(of.hosts);
    }
    let mut out = json!({
        "policy": policy,
        "summary": {
            "total-successful-session-count": result.successes,
            "total-failure-session-count": result.failures,
        },
    });
    if !result.details.is_empty() {
        out["failure-details"] = result.details.iter().map(failure).collect();
    }
    out
}

fn failure(one: &Failure) -> Value {
    let mut out = json!({ "result-type": one.kind.to_string(), "failed-session-count": one.sessions });
    let ip = |ip: Option<std::net::IpAddr>| ip.map(|ip| ip.to_string());
    for (name, value) in [
        ("sending-mta-ip", ip(one.sender)),
        ("receiving-mx-hostname", one.host.clone()),
        ("receiving-mx-helo", one.hello.clone()),
        ("receiving-ip", ip(one.receiver)),
        ("additional-information", one.more.clone()),
        ("failure-reason-code", one.reason.clone()),
    ] {
        if let Some(value) = value {
            out[name] = value.into();
        }
    }
    out
}

/// `date-range`
struct Range<'a>(&'a mut Report);

impl Fill for Range<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A, room: &mut Room) -> Result<bool, A::Error> {
        match name {
            "start-datetime" => self.0.begin = time(map, room)?,
            "end-datetime" => self.0.end = time(map, room)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Fill for Report {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A, room: &mut Room) -> Result<bool, A::Error> {
        match name {
            "organization-name" => self.organization = text(map, room)?.unwrap_or_default(),
            "contact-info" => self.contact = text(map, room)?.unwrap_or_default(),
            "report-id" => self.id = text(map, room)?.unwrap_or_default(),
            "date-range" => map.next_value_seed(Object { into: &mut Range(self), room })?,
            "policies" => map.next_value_seed(List { into: &mut self.policies, room })?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Item for PolicyResult {
    fn left(room: &mut Room) -> &mut usize {
        &mut room.policies
    }
}

impl Fill for PolicyResult {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A, room: &mut Room) -> Result<bool, A::Error> {
        match name {
            "policy" => map.next_value_seed(Object { into: &mut self.policy, room })?,
            "summary" => map.next_value_seed(Object { into: &mut Summary(self), room })?,
            "failure-details" => map.next_value_seed(List { into: &mut self.details, room })?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `summary`
struct Summary<'a>(&'a mut PolicyResult);

impl Fill for Summary<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A, room: &mut Room) -> Result<bool, A::Error> {
        match name {
            "total-successful-session-count" => self.0.successes = count(map, room)?,
            "total-failure-session-count" => self.0.failures = count(map, room)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Fill for Policy {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A, room: &mut Room) -> Result<bool, A::Error> {
        match name {
            "policy-type" => self.kind = text(map, room)?.map(|kind| PolicyKind::parse(&kind)).unwrap_or_default(),
            "policy-domain" => self.domain = text(map, room)?.unwrap_or_default(),
            "policy-string" => self.lines = map.next_value_seed(Texts::of(room, room.limits.lines))?,
            "mx-host" => self.hosts = map.next_value_seed(Texts::of(room, room.limits.lines))?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Item for Failure {
    fn left(room: &mut Room) -> &mut usize {
        &mut room.failures
    }
}

impl Fill for Failure {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A, room: &mut Room) -> Result<bool, A::Error> {
        let ip = |text: Option<String>| text.and_then(|text| text.trim().parse().ok());
        match name {
            "result-type" => self.kind = text(map, room)?.map(|kind| FailureKind::parse(&kind)).unwrap_or_default(),
            "sending-mta-ip" => self.sender = ip(text(map, room)?),
            "receiving-mx-hostname" => self.host = text(map, room)?,
            "receiving-mx-helo" => self.hello = text(map, room)?,
            "receiving-ip" => self.receiver = ip(text(map, room)?),
            "failed-session-count" => self.sessions = count(map, room)?,
            "additional-information" => self.more = text(map, room)?,
            "failure-reason-code" => self.reason = text(map, room)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Report, ReadError> {
        Report::parse(json.as_bytes())
    }

    #[test]
    fn values_of_another_type_are_read_as_far_as_they_go() {
        let report = parse(
            r#"{"report-id": 17, "organization-name": null, "contact-info": ["a@x.org", "b"], "x": {"y": [1, [2]]},
                "date-range": {"start-datetime": "2019-04-14T00:00:00.000Z", "end-datetime": "soon"},
                "policies": {"policy": {"policy-type": "STS", "policy-string": "version: STSv1", "mx-host": ["a", 1, ["b"], {"c": 1}]},
                "summary": {"total-successful-session-count": "5", "total-failure-session-count": -1.5},
                "failure-details": [{"result-type": "new", "sending-mta-ip": "localhost", "receiving-ip": " ::1 ",
                                     "failed-session-count": true}, "lunch", null]}}"#,
        )
        .unwrap();
        assert_eq!((report.id.as_str(), report.organization.as_str(), report.contact.as_str()), ("17", "", "a@x.org"));
        assert_eq!((report.begin.map(Timestamp::unix), report.end), (Some(1_555_200_000), None));
        let [result] = &report.policies[..] else { panic!("one policy") };
        assert_eq!(
            (&result.policy.kind, &result.policy.lines[..]),
            (&PolicyKind::Sts, &["version: STSv1".to_owned()][..])
        );
        assert_eq!(result.policy.hosts, ["a", "1"]);
        assert_eq!((result.successes, result.failures, result.details.len()), (5, 0, 3));
        let first = &result.details[0];
        assert_eq!((&first.kind, first.sender, first.sessions), (&FailureKind::Other("new".to_owned()), None, 0));
        assert_eq!(first.receiver, Some("::1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for (json, expected) in [
            ("", ReadError::Json { line: 1, column: 0 }),
            ("{", ReadError::Json { line: 1, column: 1 }),
            ("{\"report-id\": \"\u{1}\"}", ReadError::Json { line: 1, column: 16 }),
            ("{}", ReadError::NoReport),
            ("[]", ReadError::NoReport),
            ("17", ReadError::NoReport),
            ("{\"policies\": []}", ReadError::NoReport),
        ] {
            match (parse(json).unwrap_err(), expected) {
                // Where broken JSON is noticed is up to the reader of it.
                (ReadError::Json { .. }, ReadError::Json { .. }) => {}
                (error, expected) => assert_eq!(error, expected, "{json}"),
            }
        }
        assert!(Report::parse(b"{\"report-id\": \"\xff\"}").is_err());
    }

    #[test]
    fn nothing_grows_without_bound() {
        let mut limits = Limits::default();
        (limits.policies, limits.failures, limits.lines, limits.text) = (3, 4, 2, 5);
        let parse = |json: String| Report::parse_with(json.as_bytes(), &limits);
        let list = |n: usize| vec!["{}"; n].join(",");
        assert_eq!(parse(format!("{{\"policies\": [{}]}}", list(3))).unwrap().policies.len(), 3);
        assert_eq!(parse(format!("{{\"policies\": [{}]}}", list(4))), Err(ReadError::TooMany));
        let details = |a, b| {
            format!(
                "{{\"policies\": [{{\"failure-details\": [{}]}}, {{\"failure-details\": [{}]}}]}}",
                list(a),
                list(b)
            )
        };
        assert!(parse(details(2, 2)).is_ok());
        assert_eq!(parse(details(2, 3)), Err(ReadError::TooMany));
        let report =
            parse("{\"report-id\": \"ééé\", \"policies\": [{\"policy\": {\"mx-host\": [\"a\",\"b\",\"c\"]}}]}".into())
                .unwrap();
        assert_eq!((report.id.as_str(), report.policies[0].policy.hosts.len()), ("éé", 2));
        // Depth costs no stack.
        let deep = format!("{{\"report-id\": 1, \"x\": {}", "[".repeat(1_000_000));
        assert!(matches!(parse(deep), Err(ReadError::Json { .. })));
        let deep = format!("{{\"report-id\": 1, \"policies\": {}", "[".repeat(1_000_000));
        assert!(matches!(parse(deep), Err(ReadError::Json { .. })));
    }
}
