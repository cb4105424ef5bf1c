//! Seeded messages, the same in every run: what is measured is made here and nowhere else.

use bytes::Bytes;

/// Small, fast and good enough to make mail of: splitmix64.
pub struct Seed(u64);

impl Seed {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    pub fn octets(&mut self, len: usize) -> Vec<u8> {
        let mut octets = Vec::with_capacity(len + 8);
        while octets.len() < len {
            octets.extend_from_slice(&self.next().to_le_bytes());
        }
        octets.truncate(len);
        octets
    }
}

const WORDS: [&str; 48] = [
    "the", "of", "and", "to", "in", "meeting", "that", "is", "was", "report", "for", "it", "with", "as", "draft", "on",
    "be", "at", "by", "invoice", "had", "not", "are", "but", "from", "or", "have", "an", "they", "which", "one", "you",
    "were", "all", "her", "she", "there", "would", "their", "we", "him", "been", "has", "when", "who", "will", "no",
    "if",
];
const ACCENTED: [&str; 12] = [
    "café",
    "Grüße",
    "naïve",
    "señor",
    "garçon",
    "über",
    "façade",
    "Zürich",
    "déjà",
    "crème",
    "København",
    "smörgåsbord",
];
const NAMES: [&str; 10] = [
    "Ada Lovelace",
    "Charles Babbage",
    "Grace Hopper",
    "Alan Turing",
    "Edsger Dijkstra",
    "Barbara Liskov",
    "Ken Thompson",
    "Radia Perlman",
    "Niklaus Wirth",
    "Frances Allen",
];
const HOSTS: [&str; 6] = [
    "mx1.example.org",
    "relay.example.net",
    "smtp-out-4.mail.example.com",
    "mail.example.edu",
    "in7.lists.example",
    "gw.example",
];
/// Fields of programs and services, of the messages with 60 fields.
pub const VENDOR: [&str; 22] = [
    "Authentication-Results",
    "Received-SPF",
    "X-Spam-Status",
    "X-MS-Exchange-Organization-SCL",
    "X-Mailer",
    "X-Originating-IP",
    "X-Google-Smtp-Source",
    "X-Forwarded-Encrypted",
    "X-Gm-Message-State",
    "X-Report-Abuse",
    "Feedback-ID",
    "X-Entity-Ref-ID",
    "X-Virus-Scanned",
    "X-Spam-Score",
    "X-Campaign",
    "X-Mailgun-Sid",
    "X-Priority",
    "Thread-Topic",
    "Thread-Index",
    "Organization",
    "User-Agent",
    "X-Sender-IP",
];
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// 1,000 plain messages of 2 to 4 KB with 12 header fields.
pub fn small() -> Vec<Bytes> {
    let mut seed = Seed::new(1);
    let message = |n: usize| {
        let mut out = Vec::new();
        trace(&mut seed, &mut out, 2);
        dkim(&mut seed, &mut out);
        originator(&mut seed, &mut out, n);
        field(&mut out, "MIME-Version", "1.0");
        let body = 800 + seed.below(1800);
        match n % 5 {
            0..3 => {
                field(&mut out, "Content-Type", "text/plain; charset=us-ascii");
                field(&mut out, "Content-Transfer-Encoding", "7bit");
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(text(&mut seed, body, 0).as_bytes());
            }
            3 => {
                field(&mut out, "Content-Type", "text/plain; charset=\"utf-8\"");
                field(&mut out, "Content-Transfer-Encoding", "8bit");
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(text(&mut seed, body, 15).as_bytes());
            }
            _ => {
                field(&mut out, "Content-Type", "text/plain; charset=utf-8; format=flowed");
                field(&mut out, "Content-Transfer-Encoding", "quoted-printable");
                out.extend_from_slice(b"\r\n");
                quoted_printable(text(&mut seed, body, 15).as_bytes(), &mut out);
            }
        }
        Bytes::from(out)
    };
    (0..1000).map(message).collect()
}

/// 300 quoted-printable newsletters of 60 KB, text and HTML, every other one in ISO-8859-1.
pub fn newsletters() -> Vec<Bytes> {
    let mut seed = Seed::new(2);
    let message = |n: usize| {
        let mut out = Vec::new();
        trace(&mut seed, &mut out, 3);
        dkim(&mut seed, &mut out);
        field(&mut out, "List-Unsubscribe", "<https://news.example/u?x=4711>,\r\n <mailto:leave-4711@news.example>");
        field(&mut out, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
        field(&mut out, "List-Id", "\"The News\" <news.example>");
        originator(&mut seed, &mut out, n);
        field(&mut out, "MIME-Version", "1.0");
        let boundary = format!("=_{:016x}", seed.next());
        field(&mut out, "Content-Type", &format!("multipart/alternative;\r\n boundary=\"{boundary}\""));
        out.extend_from_slice(b"\r\n");
        let charset = ["utf-8", "iso-8859-1"][n % 2];
        for (kind, len) in [("plain", 13_000), ("html", 34_000)] {
            out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            field(&mut out, "Content-Type", &format!("text/{kind}; charset={charset}"));
            field(&mut out, "Content-Transfer-Encoding", "quoted-printable");
            out.extend_from_slice(b"\r\n");
            let text = if kind == "html" { html(&mut seed, len) } else { text(&mut seed, len, 10) };
            if charset == "utf-8" {
                quoted_printable(text.as_bytes(), &mut out);
            } else {
                // The characters of the generator are all in it.
                let latin: Vec<u8> = text.chars().map(|character| character as u8).collect();
                quoted_printable(&latin, &mut out);
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Bytes::from(out)
    };
    (0..300).map(message).collect()
}

/// 40 messages with an attachment of 1 to 5 MB in base64.
pub fn attachments() -> Vec<Bytes> {
    let mut seed = Seed::new(3);
    let message = |n: usize| {
        let mut out = Vec::new();
        trace(&mut seed, &mut out, 2);
        originator(&mut seed, &mut out, n);
        field(&mut out, "MIME-Version", "1.0");
        let boundary = format!("----=_Part_{}_{}", seed.below(100_000), seed.next());
        field(&mut out, "Content-Type", &format!("multipart/mixed;\r\n boundary=\"{boundary}\""));
        out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        field(&mut out, "Content-Type", "text/plain; charset=utf-8");
        field(&mut out, "Content-Transfer-Encoding", "8bit");
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(text(&mut seed, 600, 10).as_bytes());
        out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        field(&mut out, "Content-Type", &format!("application/pdf; name=\"report-{n}.pdf\""));
        field(&mut out, "Content-Transfer-Encoding", "base64");
        field(&mut out, "Content-Disposition", &format!("attachment; filename=\"report-{n}.pdf\""));
        out.extend_from_slice(b"\r\n");
        let len = 1_000_000 + seed.below(4_000_000);
        base64(&seed.octets(len), &mut out);
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Bytes::from(out)
    };
    (0..40).map(message).collect()
}

/// 200 messages that were forwarded 20 times, each a message/rfc822 beside a line of text.
pub fn nested() -> Vec<Bytes> {
    let mut seed = Seed::new(4);
    let message = |n: usize| {
        let mut out = Vec::new();
        let mut boundaries = Vec::new();
        for depth in 0..20 {
            originator(&mut seed, &mut out, n + depth);
            field(&mut out, "MIME-Version", "1.0");
            let boundary = format!("{:012x}-{depth}", seed.next() >> 16);
            field(&mut out, "Content-Type", &format!("multipart/mixed; boundary=\"{boundary}\""));
            out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
            field(&mut out, "Content-Type", "text/plain; charset=utf-8");
            field(&mut out, "Content-Transfer-Encoding", "quoted-printable");
            out.extend_from_slice(b"\r\n");
            quoted_printable(text(&mut seed, 400, 10).as_bytes(), &mut out);
            out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
            field(&mut out, "Content-Type", "message/rfc822");
            field(&mut out, "Content-Disposition", "attachment; filename=forwarded.eml");
            out.extend_from_slice(b"\r\n");
            boundaries.push(boundary);
        }
        originator(&mut seed, &mut out, n);
        field(&mut out, "MIME-Version", "1.0");
        field(&mut out, "Content-Type", "text/plain");
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(text(&mut seed, 800, 0).as_bytes());
        for boundary in boundaries.iter().rev() {
            out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        }
        Bytes::from(out)
    };
    (0..200).map(message).collect()
}

/// 300 messages with 60 header fields.
pub fn headers() -> Vec<Bytes> {
    let mut seed = Seed::new(5);
    let message = |n: usize| {
        let mut out = Vec::new();
        trace(&mut seed, &mut out, 12);
        for instance in 1..=3 {
            let signature = base64_word(&mut seed, 340);
            field(
                &mut out,
                "ARC-Seal",
                &format!(
                    "i={instance}; a=rsa-sha256; t=1700000000; cv=pass;\r\n d=example.net; s=arc-20240605;\r\n b={signature}"
                ),
            );
            field(
                &mut out,
                "ARC-Message-Signature",
                &format!(
                    "i={instance}; a=rsa-sha256; c=relaxed/relaxed;\r\n d=example.net; s=arc-20240605; h=from:to:subject:date:message-id;\r\n bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n b={}",
                    base64_word(&mut seed, 340)
                ),
            );
            field(
                &mut out,
                "ARC-Authentication-Results",
                &format!(
                    "i={instance}; mx.example.org;\r\n dkim=pass header.i=@example.com header.s=s1 header.b=AbCdEfGh;\r\n spf=pass smtp.mailfrom=bounce@example.com;\r\n dmarc=pass (p=REJECT) header.from=example.com"
                ),
            );
        }
        for _ in 0..2 {
            dkim(&mut seed, &mut out);
        }
        for name in VENDOR {
            let len = 20 + seed.below(60);
            let value = line(&mut seed, len, 0);
            field(&mut out, name, &value);
        }
        field(&mut out, "List-Id", "Weekly <weekly.lists.example>");
        field(&mut out, "List-Unsubscribe", "<mailto:leave@lists.example>");
        field(&mut out, "Precedence", "list");
        field(&mut out, "Reply-To", "Weekly <weekly@lists.example>");
        field(&mut out, "Cc", "\"Perlman, Radia\" <radia@example.edu>, wirth@example.ch");
        field(&mut out, "In-Reply-To", "<CAFx0123456789@mail.example.com>");
        field(
            &mut out,
            "References",
            "<CAFx01234@mail.example.com>\r\n <CAFx56789@mail.example.com>\r\n <CAFx0123456789@mail.example.com>",
        );
        originator(&mut seed, &mut out, n);
        field(&mut out, "MIME-Version", "1.0");
        field(&mut out, "Content-Type", "text/plain; charset=utf-8");
        field(&mut out, "Content-Transfer-Encoding", "8bit");
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(text(&mut seed, 1200, 8).as_bytes());
        Bytes::from(out)
    };
    (0..300).map(message).collect()
}

/// As many messages to be signed, as a program hands them in: a text of so many octets, or HTML where `markup` says so.
pub fn unsigned(number: usize, len: usize, markup: bool) -> Vec<Bytes> {
    let mut seed = Seed::new(12);
    let message = |n: usize| {
        let mut out = Vec::new();
        originator(&mut seed, &mut out, n);
        field(&mut out, "User-Agent", "Mozilla Thunderbird");
        field(&mut out, "MIME-Version", "1.0");
        let kind = if markup { "html" } else { "plain" };
        field(&mut out, "Content-Type", &format!("text/{kind}; charset=utf-8"));
        field(&mut out, "Content-Transfer-Encoding", "8bit");
        out.extend_from_slice(b"\r\n");
        let body = if markup { indented(&mut seed, len) } else { text(&mut seed, len, 3) };
        out.extend_from_slice(body.as_bytes());
        Bytes::from(out)
    };
    (0..number).map(message).collect()
}

/// Relays add these on the way from who signs to who verifies.
pub fn relayed(n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    trace(&mut Seed::new(13 + n as u64), &mut out, 2);
    out
}

/// HTML that a template made, its lines set in by what they stand in; every tenth has white space at its end.
fn indented(seed: &mut Seed, len: usize) -> String {
    let mut out = String::with_capacity(len + 200);
    while out.len() < len {
        let words = 20 + seed.below(60);
        let words = line(seed, words, 3);
        let end = if seed.below(10) == 0 { "  " } else { "" };
        out.push_str(&format!("{}<td class=\"x{}\">{words}</td>{end}\r\n", "  ".repeat(seed.below(8)), seed.below(9)));
    }
    out
}

/// Header values with encoded words in them, unfolded.
pub fn encoded_words() -> Vec<Vec<u8>> {
    let mut seed = Seed::new(6);
    (0..1000).map(|n| unfolded(&subject(&mut seed, n * 3)).into_bytes()).collect()
}

/// Text of about this length in lines below 76 characters, some percent of its words with an accent.
pub fn text(seed: &mut Seed, len: usize, accents: usize) -> String {
    let mut out = String::with_capacity(len + 80);
    while out.len() < len {
        let words = 40 + seed.below(30);
        out.push_str(&line(seed, words, accents));
        out.push_str("\r\n");
        if seed.below(8) == 0 {
            out.push_str("\r\n");
        }
    }
    out
}

/// HTML as newsletters have it: much markup with equals signs, some accents.
pub fn html(seed: &mut Seed, len: usize) -> String {
    let mut out = String::from("<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body>\r\n");
    while out.len() < len {
        let words = 60 + seed.below(200);
        let words = line(seed, words, 10);
        out.push_str(&format!(
            "<tr><td align=\"left\" style=\"padding:0 {}px;font-family:Arial,sans-serif\"><a href=\"https://news.example/c?u={:x}&amp;l={}\" target=\"_blank\">{words}</a></td></tr>\r\n",
            seed.below(40),
            seed.next(),
            seed.below(1000),
        ));
    }
    out.push_str("</body></html>\r\n");
    out
}

fn line(seed: &mut Seed, len: usize, accents: usize) -> String {
    let mut out = String::with_capacity(len + 16);
    while out.len() < len {
        if !out.is_empty() {
            out.push(' ');
        }
        let word = if seed.below(100) < accents { seed.pick(&ACCENTED) } else { seed.pick(&WORDS) };
        out.push_str(word);
    }
    out
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
}

/// Return-Path and Received, folded as relays fold them.
fn trace(seed: &mut Seed, out: &mut Vec<u8>, hops: usize) {
    field(out, "Return-Path", &format!("<bounce-{}@example.com>", seed.below(100_000)));
    for _ in 0..hops {
        let (from, by) = (seed.pick(&HOSTS), seed.pick(&HOSTS));
        let value = format!(
            "from {from} ({from} [192.0.2.{}])\r\n\tby {by} (Postfix) with ESMTPS id {:010X}\r\n\t(version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256)\r\n\tfor <ada@example.org>; {}",
            seed.below(256),
            seed.next() >> 24,
            date(seed),
        );
        field(out, "Received", &value);
    }
}

fn dkim(seed: &mut Seed, out: &mut Vec<u8>) {
    let value = format!(
        "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com;\r\n s=s1024; t=1700000000;\r\n h=from:to:subject:date:message-id:mime-version:content-type;\r\n bh={}=;\r\n b={}",
        base64_word(seed, 43),
        base64_word(seed, 340),
    );
    field(out, "DKIM-Signature", &value);
}

/// From, To, Subject, Date, Message-ID.
fn originator(seed: &mut Seed, out: &mut Vec<u8>, n: usize) {
    let from = match n % 4 {
        0 => "=?utf-8?Q?J=C3=BCrgen_Gro=C3=9F?=".to_owned(),
        1 => "\"Hopper, Grace\"".to_owned(),
        _ => seed.pick(&NAMES).to_owned(),
    };
    field(out, "From", &format!("{from} <{}@example.com>", seed.pick(&WORDS)));
    let to: Vec<String> = (0..1 + seed.below(4))
        .map(|_| match seed.below(3) {
            0 => format!("{}@example.org", seed.pick(&WORDS)),
            _ => format!("{} <{}.{}@example.org>", seed.pick(&NAMES), seed.pick(&WORDS), seed.below(100)),
        })
        .collect();
    field(out, "To", &to.join(",\r\n "));
    field(out, "Subject", &subject(seed, n));
    field(out, "Date", &date(seed));
    field(out, "Message-ID", &format!("<{:016x}.{}@mail.example.com>", seed.next(), seed.below(100_000)));
}

/// A third has encoded words, of these half in Q and half in B.
fn subject(seed: &mut Seed, n: usize) -> String {
    if !n.is_multiple_of(3) {
        let len = 20 + seed.below(40);
        return line(seed, len, 0);
    }
    let words: Vec<String> = (0..1 + seed.below(2))
        .map(|_| {
            let text = line(seed, 24, 40);
            if n.is_multiple_of(2) {
                let mut word = String::from("=?utf-8?Q?");
                for octet in text.bytes() {
                    match octet {
                        b' ' => word.push('_'),
                        _ if octet.is_ascii_alphanumeric() => word.push(char::from(octet)),
                        _ => word.push_str(&format!("={octet:02X}")),
                    }
                }
                word + "?="
            } else {
                let mut encoded = Vec::new();
                base64(text.as_bytes(), &mut encoded);
                let encoded: Vec<u8> = encoded.into_iter().filter(|octet| !octet.is_ascii_whitespace()).collect();
                format!("=?UTF-8?B?{}?=", String::from_utf8(encoded).expect("base64 is ASCII"))
            }
        })
        .collect();
    words.join("\r\n ")
}

fn unfolded(value: &str) -> String {
    value.replace("\r\n", "")
}

fn date(seed: &mut Seed) -> String {
    // 1 January 2024 was a Monday.
    let day = seed.below(28);
    let weekday = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][day % 7];
    let zone = seed.pick(&["+0000", "-0800", "+0100", "+0530"]);
    format!("{weekday}, {} Jan 2024 {:02}:{:02}:{:02} {zone}", day + 1, seed.below(24), seed.below(60), seed.below(60))
}

/// Characters as signatures have them, folded at 70.
fn base64_word(seed: &mut Seed, len: usize) -> String {
    let mut out = String::with_capacity(len + 20);
    for n in 0..len {
        if n > 0 && n % 70 == 0 {
            out.push_str("\r\n ");
        }
        out.push(char::from(BASE64[seed.below(64)]));
    }
    out
}

/// In lines of 76 characters.
pub fn base64(octets: &[u8], out: &mut Vec<u8>) {
    for line in octets.chunks(57) {
        for group in line.chunks(3) {
            let mut bits = [0; 4];
            bits[1..=group.len()].copy_from_slice(group);
            let bits = u32::from_be_bytes(bits);
            for place in 0..4 {
                let value = (bits >> (18 - 6 * place)) as usize & 63;
                out.push(if place <= group.len() { BASE64[value] } else { b'=' });
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// In lines of at most 76 characters; CRLF stays.
pub fn quoted_printable(octets: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for (n, octet) in octets.iter().enumerate() {
        if matches!(octet, b'\r' | b'\n') {
            out.push(*octet);
            column = 0;
            continue;
        }
        let at_end = matches!(octets.get(n + 1), None | Some(b'\r'));
        let plain = octet.is_ascii_graphic() && *octet != b'=' || *octet == b' ' && !at_end;
        let width = if plain { 1 } else { 3 };
        if column + width > 75 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if plain {
            out.push(*octet);
        } else {
            out.extend_from_slice(format!("={octet:02X}").as_bytes());
        }
        column += width;
    }
}
