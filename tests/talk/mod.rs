//! Talks: conversations with a machine, written down as text files and played on a virtual clock.
//!
//! | line | meaning |
//! |---|---|
//! | `C: text` | the client sends this line and CRLF |
//! | `S: text` | the server sends this line and CRLF |
//! | `C= text`, `S= text` | the same with `\r \n \t \0 \\ \xHH` read as escapes and no CRLF added |
//! | `C* 1000 text` | the client sends the text so many times (escapes read, no CRLF added); likewise `S*` |
//! | `T+300` | 300 seconds go by; each deadline on the way is kept |
//! | `TLS` | here the machine wants a TLS handshake, and gets one |
//! | `EOF` | the peer closes |
//! | `END` | here the machine is done, or has failed |
//! | `TURNS` | what follows must not be sent before what precedes is answered |
//! | `GIVEN text` | what the talk finds, for the test of its protocol to read |
//! | `# text` | why |
//!
//! A talk is played once turn by turn, with the output compared after each turn, and then cut in other ways, which must
//! give the same events and the same output.
#![allow(dead_code)] // each test that includes this file uses a part of it

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use facteur::base::{Machine, Step, Tls};

/// Which side of the talk the machine is.
#[derive(Clone, Copy, PartialEq)]
pub enum Side {
    Client,
    Server,
}

/// What the test's application saw in an event that it answered.
pub enum Seen {
    /// An event, printed.
    Event(String),
    /// A piece of data; pieces that follow each other are joined.
    Data(Vec<u8>),
    /// Nothing worth comparing.
    Nothing,
}

/// How the input is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// Each turn in one piece.
    Turns,
    /// All turns up to the next mark (`T+`, `TLS`, `EOF`, `END`, `TURNS`) in one piece.
    Pipelined,
    /// Single octets.
    Octets,
    /// Pieces of 1 to 40 octets, from a seed, with spurious ticks and polls between them.
    Random(u64),
}

/// What came of a talk.
#[derive(Debug, PartialEq, Default)]
pub struct Outcome {
    pub events: Vec<String>,
    pub output: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Turn {
    Input(Vec<u8>),
    Output(Vec<u8>),
    Wait(u64),
    Tls,
    Eof,
    End,
    Mark,
}

/// A talk as its file tells it.
pub struct Talk {
    pub name: String,
    /// What stands after `GIVEN`, line by line.
    pub given: Vec<String>,
    turns: Vec<Turn>,
}

/// Every talk of `tests/talks/<folder>`, in the order of names. An empty folder is an error: a test over nothing shows
/// nothing.
pub fn talks(folder: &str, side: Side) -> Vec<Talk> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/talks").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&dir).expect("the folder of talks").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no talks in {}", dir.display());
    files
        .iter()
        .map(|file| {
            Talk::parse(&file.file_stem().unwrap().to_string_lossy(), &std::fs::read_to_string(file).unwrap(), side)
        })
        .collect()
}

impl Talk {
    pub fn parse(name: &str, text: &str, side: Side) -> Self {
        let (mut turns, mut given) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate() {
            let turn = match line {
                "" => continue,
                "TLS" => Turn::Tls,
                "EOF" => Turn::Eof,
                "END" => Turn::End,
                "TURNS" => Turn::Mark,
                _ if line.starts_with('#') => continue,
                _ if line.starts_with("GIVEN ") => {
                    given.push(line[6..].to_owned());
                    continue;
                }
                _ if line.starts_with("T+") => Turn::Wait(line[2..].trim().parse().expect("seconds")),
                _ => {
                    let (who, form) = (&line[..1], &line[1..2]);
                    let rest = line.get(2..).map(|rest| rest.strip_prefix(' ').unwrap_or(rest)).unwrap_or_default();
                    let octets = match form {
                        ":" => [rest.as_bytes(), b"\r\n"].concat(),
                        "=" => unescape(rest),
                        "*" => {
                            let (count, text) = rest.split_once(' ').expect("a count and a text");
                            unescape(text).repeat(count.parse().expect("a count"))
                        }
                        _ => panic!("{name}:{}: no such line: {line}", number + 1),
                    };
                    match (who, side) {
                        ("C", Side::Server) | ("S", Side::Client) => Turn::Input(octets),
                        ("S", Side::Server) | ("C", Side::Client) => Turn::Output(octets),
                        _ => panic!("{name}:{}: no such line: {line}", number + 1),
                    }
                }
            };
            match (turns.last_mut(), turn) {
                (Some(Turn::Input(all)), Turn::Input(more)) | (Some(Turn::Output(all)), Turn::Output(more)) => {
                    all.extend(more)
                }
                (_, turn) => turns.push(turn),
            }
        }
        Self { name: name.to_owned(), given, turns }
    }

    /// All that is fed to the machine, joined: a seed for its fuzz target.
    pub fn input(&self) -> Vec<u8> {
        self.turns
            .iter()
            .flat_map(|turn| if let Turn::Input(octets) = turn { octets.clone() } else { Vec::new() })
            .collect()
    }

    /// Plays the talk with one cut.
    ///
    /// `app` answers each event and says what it saw.
    pub fn play<M>(
        &self,
        cut: Cut,
        mut machine: M,
        start: Instant,
        app: impl FnMut(&mut M, M::Event) -> Seen,
    ) -> Outcome
    where
        M: Machine,
        M::Event: Debug,
    {
        let mut now = start;
        let mut run = Run {
            name: &self.name,
            cut,
            app,
            outcome: Outcome::default(),
            last_was_data: false,
            state: State::Running,
        };
        machine.tick(now);
        run.pump(&mut machine);
        let mut expected = Vec::new();
        let mut random = if let Cut::Random(seed) = cut { seed | 1 } else { 1 };
        for (at, turn) in self.turns.iter().enumerate() {
            match turn {
                Turn::Output(octets) => {
                    expected.extend_from_slice(octets);
                    if cut == Cut::Turns {
                        run.compare(&expected, at);
                    }
                }
                Turn::Input(octets) => match cut {
                    Cut::Turns => {
                        run.compare(&expected, at);
                        run.feed(&mut machine, octets);
                    }
                    // All turns of the segment go in with its first one.
                    Cut::Pipelined => {
                        let first = !self.turns[..at]
                            .iter()
                            .rev()
                            .take_while(|turn| matches!(turn, Turn::Input(_) | Turn::Output(_)))
                            .any(|turn| matches!(turn, Turn::Input(_)));
                        if first {
                            let all: Vec<u8> = self.turns[at..]
                                .iter()
                                .take_while(|turn| matches!(turn, Turn::Input(_) | Turn::Output(_)))
                                .flat_map(
                                    |turn| if let Turn::Input(octets) = turn { octets.clone() } else { Vec::new() },
                                )
                                .collect();
                            run.feed(&mut machine, &all);
                        }
                    }
                    Cut::Octets => octets.chunks(1).for_each(|piece| run.feed(&mut machine, piece)),
                    Cut::Random(_) => {
                        let mut rest = &octets[..];
                        while !rest.is_empty() {
                            // xorshift64
                            random ^= random << 13;
                            random ^= random >> 7;
                            random ^= random << 17;
                            let (piece, more) = rest.split_at((random % 40 + 1).min(rest.len() as u64) as usize);
                            run.feed(&mut machine, piece);
                            machine.tick(now);
                            run.pump(&mut machine);
                            rest = more;
                        }
                    }
                },
                Turn::Wait(seconds) => {
                    run.compare(&expected, at);
                    let until = now + Duration::from_secs(*seconds);
                    let mut steps = 0;
                    while let Some(deadline) =
                        machine.deadline().filter(|deadline| *deadline <= until && run.state == State::Running)
                    {
                        now = now.max(deadline);
                        machine.tick(now);
                        run.pump(&mut machine);
                        steps += 1;
                        assert!(steps < 100, "{}: a deadline that does not move", self.name);
                    }
                    now = until;
                    machine.tick(now);
                    run.pump(&mut machine);
                }
                Turn::Tls => {
                    run.compare(&expected, at);
                    assert_eq!(run.state, State::Tls, "{} ({cut:?}): the machine wants no handshake here", self.name);
                    run.state = State::Running;
                    let mut tls = Tls::default();
                    tls.version = "TLSv1.3".into();
                    tls.cipher = "TLS_AES_256_GCM_SHA384".into();
                    machine.tls_started(tls);
                    run.pump(&mut machine);
                }
                Turn::Eof => {
                    run.compare(&expected, at);
                    machine.wire().close();
                    run.pump(&mut machine);
                }
                Turn::End => {
                    run.compare(&expected, at);
                    assert_eq!(run.state, State::Ended, "{} ({cut:?}): the machine is not done here", self.name);
                }
                Turn::Mark => run.compare(&expected, at),
            }
        }
        run.compare(&expected, self.turns.len());
        run.outcome
    }
}

/// Plays every talk of the folder in every cut, and says how many there were.
pub fn play_all<M, A>(folder: &str, side: Side, mut begin: impl FnMut(&Talk, Instant) -> (M, A))
where
    M: Machine,
    M::Event: Debug,
    A: FnMut(&mut M, M::Event) -> Seen,
{
    let start = Instant::now();
    let talks = talks(folder, side);
    for talk in &talks {
        let mut play = |cut| {
            let (machine, app) = begin(talk, start);
            talk.play(cut, machine, start, app)
        };
        let expected = play(Cut::Turns);
        let mut cuts = vec![Cut::Octets];
        cuts.extend((1..=20).map(|seed| Cut::Random(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15))));
        if side == Side::Server {
            cuts.push(Cut::Pipelined);
        }
        for cut in cuts {
            assert_eq!(play(cut).events, expected.events, "{} ({cut:?}): other events", talk.name);
        }
    }
    println!("{folder}: {} talks", talks.len());
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Running,
    Tls,
    Ended,
}

struct Run<'a, A> {
    name: &'a str,
    cut: Cut,
    app: A,
    outcome: Outcome,
    last_was_data: bool,
    state: State,
}

impl<A> Run<'_, A> {
    fn feed<M: Machine>(&mut self, machine: &mut M, octets: &[u8])
    where
        A: FnMut(&mut M, M::Event) -> Seen,
        M::Event: Debug,
    {
        machine.wire().feed(octets);
        self.pump(machine);
    }

    fn pump<M: Machine>(&mut self, machine: &mut M)
    where
        A: FnMut(&mut M, M::Event) -> Seen,
        M::Event: Debug,
    {
        for _ in 0..1_000_000 {
            let step = machine.poll();
            let wire = machine.wire();
            let took = !wire.outgoing().is_empty();
            while !wire.outgoing().is_empty() {
                let n = wire.outgoing().len();
                self.outcome.output.extend_from_slice(wire.outgoing());
                wire.sent(n);
            }
            match step {
                Ok(Step::Event(event)) => match (self.app)(machine, event) {
                    Seen::Event(text) => self.push(text),
                    Seen::Data(octets) if self.last_was_data => {
                        let last = self.outcome.events.last_mut().unwrap();
                        last.push_str(&octets.escape_ascii().to_string());
                    }
                    Seen::Data(octets) => {
                        self.push(octets.escape_ascii().to_string());
                        self.last_was_data = true;
                    }
                    Seen::Nothing => {}
                },
                // The machine may have waited for its output to be taken.
                Ok(Step::NeedInput) if took => {}
                Ok(Step::NeedInput) => return,
                Ok(Step::NeedAnswer) => panic!("{} ({:?}): a question was left unanswered", self.name, self.cut),
                Ok(Step::StartTls) => {
                    self.state = State::Tls;
                    return;
                }
                Ok(Step::Done) => {
                    if self.state != State::Ended {
                        self.push("done".into());
                        self.state = State::Ended;
                    }
                    return;
                }
                Err(error) => {
                    let again = machine.poll();
                    assert!(
                        again.is_err_and(|again| again.to_string() == error.to_string()),
                        "{}: an error must be sticky",
                        self.name
                    );
                    if self.state != State::Ended {
                        self.push(format!("error: {error}"));
                        self.state = State::Ended;
                    }
                    return;
                }
            }
        }
        panic!("{} ({:?}): the machine does not come to rest", self.name, self.cut);
    }

    fn push(&mut self, text: String) {
        self.outcome.events.push(text);
        self.last_was_data = false;
    }

    fn compare(&self, expected: &[u8], turn: usize) {
        if self.cut == Cut::Pipelined && self.outcome.output.len() > expected.len() {
            // The answers to the rest of the segment are there already.
            assert!(
                self.outcome.output.starts_with(expected),
                "{} (Pipelined, turn {turn}): other output:\n{}",
                self.name,
                self.outcome.output.escape_ascii()
            );
            return;
        }
        let show = |octets: &[u8]| String::from_utf8_lossy(octets).replace("\r\n", "\n");
        assert!(
            self.outcome.output == expected,
            "{} ({:?}, turn {turn}): other output\n--- expected\n{}\n--- came\n{}\n--- events {:#?}",
            self.name,
            self.cut,
            show(expected),
            show(&self.outcome.output),
            self.outcome.events
        );
    }
}

/// `\r \n \t \0 \\ \xHH` read as escapes.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet != b'\\' {
            out.push(octet);
            continue;
        }
        out.push(match octets.next().expect("an escape") {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let hex = [octets.next().unwrap(), octets.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).expect("two hexadecimal digits")
            }
            other => panic!("no such escape: \\{}", other as char),
        });
    }
    out
}
