//! The suite imap-james-mpt: the conversations of Apache James' protocol tester, held with [`facteur::imap::Server`] and
//! [`facteur::imap::Backend`] over a store in memory.
//!
//! Matched are the tag, the condition, the response code where the script has one, and untagged data; wording is not.
//! Levels are divided by `.` there and by `/` here, names are always quoted there; both are turned round. What else is not
//! looked at:
//!
//! - MAILBOXID (RFC 8474) and HIGHESTMODSEQ (RFC 7162): extensions that are not there yet;
//! - the order of the untagged data of SELECT, of data items, flags and parameters;
//! - `\Recent` and RECENT after a mailbox was selected twice on one connection: James counts by connection, RFC 3501 §2.3.2
//!   by session;
//! - `PERMANENTFLAGS ()` of EXAMINE, where James lists all flags; `\Noselect` in LIST: James makes mailboxes of all levels;
//! - COPYUID in an untagged OK and CLOSED, which RFC 6851 §4.3 and RFC 9051 §6.3.2 ask for; RECENT where James has none;
//! - NIL where James has an empty literal for a section that is not there;
//! - doubled spaces, and literals with a length that is not that of their text, in what the scripts send.

mod imap;
mod suites;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use facteur::store::{Store, memory};
use imap::Session;
use regex_lite::Regex;

/// Scripts that cannot pass, and why.
const KNOWN: &[(&str, &str)] = &[
    ("ACL*", ACL),
    ("Rights", ACL),
    ("Shar*", SHARED),
    ("ListWithSharedMailbox", SHARED),
    ("RenameSharedMailbox", SHARED),
    ("ListNamespace", SHARED),
    ("Namespace", SHARED),
    ("Quota", "QUOTA (RFC 9208) is not there yet"),
    ("Metadata*", "METADATA (RFC 5464) is not there yet"),
    ("ListPlus", "LIST-EXTENDED (RFC 5258) is not there yet"),
    ("ListSubscribed", "LIST-EXTENDED (RFC 5258) is not there yet"),
    ("XList", "XLIST was never a standard"),
    ("CondstoreEnable", "CONDSTORE (RFC 7162) is not there yet"),
    ("Search*Save*", "SAVEDATE (RFC 8514) and SEARCHRES (RFC 5182) are not there yet"),
    ("SearchOptionAggregations", "ESEARCH (RFC 4731) is not there yet"),
    ("Fetch*SaveDate", "SAVEDATE (RFC 8514) is not there yet"),
    ("FetchPartial", "PARTIAL (RFC 9394) is not there yet"),
    ("ObjectId", "OBJECTID (RFC 8474) is not there yet"),
    ("Replace", "REPLACE (RFC 8508) is not there yet"),
    ("Capability", "James lists the extensions that it has"),
    ("AuthenticatePlain", "a mechanism in quotes and a literal for the initial response: RFC 4959 §3 has atoms"),
    ("BogusCommand", HANGS_UP),
    ("JustTag", HANGS_UP),
    ("NoTag", HANGS_UP),
    ("NoCommand", HANGS_UP),
    ("BadTag", HANGS_UP),
    ("IllegalTag", HANGS_UP),
    ("ValidAuthenticated", "a command in the wrong state is NO there and BAD here, RFC 9051 §6"),
    ("ValidSelected", "a command in the wrong state is NO there and BAD here, RFC 9051 §6"),
];

const ACL: &str = "ACL (RFC 4314) is not there yet";
const SHARED: &str = "mailboxes of other users (#user) and prefixes (#private) are James' own";
const HANGS_UP: &str = "James hangs up on the first wrong command before login; RFC 9051 §7.1.3 has BAD for it";

/// Single lines at which the answer is another on purpose, and why; the script goes on behind the answer.
const OTHERWISE: &[(&str, usize, &str)] = &[
    ("AppendExamineInbox", 73, "RENAME of a selected INBOX tells that its messages are gone"),
    ("Authenticate", 27, "an initial response that is no base64 is BAD"),
    ("ConcurrentDeleteSelected", 63, "the command is answered before BYE"),
    ("ConcurrentExistsResponse", 96, "a message that the client was not told of has no number yet"),
    ("ConcurrentExistsResponse", 107, "another session has it as recent"),
    ("Create", 36, "a name that the store cannot keep is NO"),
    ("Create", 63, LEVEL),
    ("Create", 70, ENCODED_DOT),
    ("Create", 72, ENCODED_DOT),
    ("Create", 77, "#user is no prefix here"),
    ("Create", 93, LEVEL),
    ("Create", 99, LEVEL),
    ("Create", 101, ENCODED_DOT),
    ("Create", 103, LEVEL),
    ("CreateErrorWithLongName", 21, "the store in memory keeps long names"),
    ("CreateErrorWithLongName", 27, "the store in memory keeps long names"),
    ("FetchInternalDate", 37, "the date keeps the zone it came with"),
    ("FetchMultipartBodyStructure", 210, NO_ITEMS),
    ("FetchSimpleBodyStructure", 93, NO_ITEMS),
    ("FetchSingleMessage", 158, MACRO),
    ("FetchSingleMessage", 163, MACRO),
    ("FetchSingleMessage", 168, MACRO),
    ("FetchStructureComplex", 782, NO_ITEMS),
    ("Id", 25, "commas between the pairs of ID are wrong, RFC 2971 §3.3"),
    ("InboxDeleteMessages", 24, "the script has no tag here"),
    ("ListPercentWildcard", 65, LEVEL),
    ("ListPercentWildcard", 67, LEVEL),
    ("ListPercentWildcard", 73, LEVEL),
    ("LoginThreeStrikes", 30, "the command is answered before BYE"),
    ("MoveNoMSG", 39, "RFC 6851 §3.3, RFC 3501 §6.4.8: a UID that is not there is passed over"),
    ("RenameInbox", 56, "UIDs are not given out again"),
    ("SearchAtoms", 1616, "the header of an embedded message is in the body"),
    ("SearchAtoms", 1923, "MODSEQ is of CONDSTORE (RFC 7162)"),
    ("SearchAtoms", 1929, "ESEARCH (RFC 4731) is not there yet"),
    ("SearchAtoms", 1933, "ESEARCH (RFC 4731) is not there yet"),
    ("SearchAtoms", 1937, "ESEARCH (RFC 4731) is not there yet"),
    ("SearchAtoms", 1941, "ESEARCH (RFC 4731) is not there yet"),
    ("SearchAtoms", 1945, "ESEARCH (RFC 4731) is not there yet"),
    ("Status", 122, "DELETED-STORAGE is of QUOTA (RFC 9208)"),
    ("Status", 126, "DELETED-STORAGE is of QUOTA (RFC 9208)"),
    ("Status", 133, "DELETED-STORAGE is of QUOTA (RFC 9208)"),
    ("Status", 137, "MAILBOXID is of OBJECTID (RFC 8474)"),
    ("Status", 142, "LIST-STATUS (RFC 5819) is not there yet"),
    ("UidSearchAtoms", 1978, "the header of an embedded message is in the body"),
];

const ENCODED_DOT: &str = "a dot written in base64 is no modified UTF-7, RFC 3501 §5.1.3, nor ends a level here";
const NO_ITEMS: &str = "FETCH without items is BAD, RFC 3501 §9";
const MACRO: &str = "a macro in brackets is BAD, RFC 3501 §6.4.5: it must be used by itself";
const LEVEL: &str = "levels above a mailbox are no mailboxes";

#[test]
fn james_scripts() {
    let Some(folder) = suites::find("imap-james-mpt/scripts") else { return };
    let mut scripts: Vec<PathBuf> = [folder.clone(), folder.join("aclIntegration")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "test"))
        .collect();
    scripts.sort();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let setup = read("SelectedStateSetup.test");
    let (mut passed, mut almost, mut faults) = (0, 0, Vec::new());
    for path in &scripts {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let script = std::fs::read_to_string(path).unwrap();
        let result = run(name, &script, &setup);
        let known = KNOWN.iter().find(|(pattern, _)| is_like(name, pattern)).map(|(_, why)| why);
        match (result, known) {
            (Ok(()), None) => {
                passed += 1;
                almost += usize::from(OTHERWISE.iter().any(|(known, ..)| *known == name));
            }
            (Ok(()), Some(_)) => faults.push(format!("{name}: passes, but is listed as one that cannot")),
            (Err(_), Some(why)) => println!("  {name}: {why}"),
            (Err(fault), None) => faults.push(format!("{name}: {fault}")),
        }
    }
    for (name, line, why) in OTHERWISE {
        println!("  {name}, line {line}: {why}");
    }
    println!("  {almost} scripts pass but for these lines");
    println!("conformance imap-james-mpt {passed}/{}", scripts.len());
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// Whether a name is what the pattern says, `*` standing for anything.
fn is_like(name: &str, pattern: &str) -> bool {
    Regex::new(&format!("^{}$", pattern.replace('*', ".*"))).unwrap().is_match(name)
}

/// Runs a script in the state it needs, which only James' Java code says: not logged in, logged in, or with the mailbox
/// of `SelectedStateSetup` selected.
fn run(name: &str, script: &str, setup: &str) -> Result<(), String> {
    let said = |word: &str| {
        let mut lines = script.lines().filter(|line| line.starts_with("C:"));
        lines.any(|line| line.split([' ', '"']).any(|found| found == word))
    };
    let greeted = script.contains(" OK IMAP4rev1 Server ready");
    let logs_in = greeted || said("LOGIN") || said("AUTHENTICATE");
    let numbered = ["FETCH", "STORE", "COPY", "MOVE", "SEARCH", "EXPUNGE", "CHECK", "UID", "CLOSE"];
    let selects = said("SELECT") || said("EXAMINE");
    let selected = match name {
        "SelectedStateSetup" | "SelectedStateCleanup" | "ValidAuthenticated" | "ValidNonAuthenticated" => false,
        "Copy" | "Move" | "Uid" | "RenameHierarchy" | "RenameSelected" | "RenameInbox" => true,
        _ => said("selected") || !selects && !logs_in && numbered.iter().any(|word| said(word)),
    };
    let mut talk = Talk::new(!logs_in);
    if logs_in && !greeted {
        talk.play("", "S: \\* OK .*")?;
    }
    if selected {
        talk.play("", setup)?;
    }
    if name == "Subscribe" {
        talk.store.subscribe("INBOX").unwrap();
    }
    if name == "ListSpecialChar" {
        // Made by the Java code.
        for mailbox in ["projects & abc", "évaluations", "mailbox #17"] {
            talk.store.create(mailbox).unwrap();
        }
    }
    talk.play(name, script)
}

/// The sessions of one script.
struct Talk {
    store: memory::Store,
    login: bool,
    sessions: BTreeMap<String, Client>,
    current: String,
}

struct Client {
    session: Session,
    waiting: VecDeque<String>,
    /// The mailboxes that were selected.
    selected: Vec<String>,
    /// One of them twice.
    again: bool,
    /// Between SELECT and its answer.
    selecting: bool,
}

impl Talk {
    fn new(login: bool) -> Self {
        Self { store: memory::Store::new(), login, sessions: BTreeMap::new(), current: "1".into() }
    }

    fn client(&mut self) -> &mut Client {
        let (store, login) = (&self.store, self.login);
        self.sessions.entry(self.current.clone()).or_insert_with(|| {
            let mut session = if login { Session::login(store) } else { Session::open(store) };
            session.now = session.now.at_offset(120);
            let waiting = lines(&session.output());
            Client { session, waiting, selected: Vec::new(), again: false, selecting: false }
        })
    }

    fn play(&mut self, name: &str, script: &str) -> Result<(), String> {
        let mut any_order: Option<Vec<&str>> = None;
        let mut skipping = false;
        let all: Vec<&str> = script.lines().collect();
        for (at, line) in all.iter().enumerate() {
            let place = |fault: String| format!("line {}: {fault}", at + 1);
            let otherwise = OTHERWISE.iter().any(|(known, number, _)| (*known, *number) == (name, at + 1));
            match line.trim_end() {
                "SUB {" => any_order = Some(Vec::new()),
                "}" => {
                    let mut expected = any_order.take().unwrap_or_default();
                    while !expected.is_empty() && !skipping {
                        let came = self.client().next_line().map_err(place)?;
                        let again = self.client().again;
                        let found = expected.iter().position(|pattern| matches(pattern, &came, again));
                        let found =
                            found.ok_or_else(|| place(format!("expected one of {expected:#?}, came {came}")))?;
                        expected.remove(found);
                    }
                }
                "REINIT" => self.sessions.clear(),
                text => {
                    if let Some(name) = text.strip_prefix("SESSION: ") {
                        self.current = name.to_owned();
                    } else if let Some(pattern) = line.strip_prefix("S:") {
                        let pattern = pattern.strip_prefix(' ').unwrap_or(pattern);
                        if otherwise {
                            let client = self.client();
                            let as_there = client.expect(pattern).is_ok();
                            if as_there {
                                return Err(place("is as James has it, but listed as otherwise".into()));
                            }
                            client.waiting.clear();
                            skipping = true;
                        }
                        let extension =
                            pattern.contains("MAILBOXID \\(.+\\)\\] Ok") || pattern.contains("HIGHESTMODSEQ");
                        match &mut any_order {
                            _ if skipping || extension => {}
                            Some(expected) => expected.push(pattern),
                            None => self.client().expect(pattern).map_err(place)?,
                        }
                    } else if let Some(said) = line.strip_prefix("C:") {
                        skipping = false;
                        let said = said.strip_prefix(' ').unwrap_or(said);
                        let said = with_true_length(said, &all[at + 1..]);
                        self.client().say(&said).map_err(place)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Client {
    fn say(&mut self, line: &str) -> Result<(), String> {
        while let Some(line) = self.waiting.pop_front() {
            if !ignored(&line) && !line.ends_with(" RECENT") {
                return Err(format!("nobody expected {line}"));
            }
        }
        let words: Vec<&str> = line.split(' ').collect();
        self.selecting = matches!(words[..], [_, "SELECT" | "EXAMINE", ..]);
        if self.selecting {
            let name = words[2..].join(" ").replace('"', "").to_lowercase();
            self.again |= self.selected.contains(&name);
            self.selected.push(name);
        }
        let output = self.session.send(format!("{}\r\n", levels(line)).as_bytes());
        self.waiting.extend(lines(&output));
        Ok(())
    }

    fn expect(&mut self, pattern: &str) -> Result<(), String> {
        if self.selecting && pattern.starts_with("\\*") {
            let again = self.again;
            if let Some(at) = self.waiting.iter().position(|line| matches(pattern, line, again)) {
                self.waiting.remove(at);
                return Ok(());
            }
        }
        if self.again && pattern.ends_with(" RECENT") && !self.waiting.iter().any(|line| line.ends_with(" RECENT")) {
            return Ok(());
        }
        loop {
            let came = self.next_line()?;
            if matches(pattern, &came, self.again) {
                return Ok(());
            }
            if let (Some(there), Some(here)) = (pattern.strip_suffix(r"\{0\}"), came.strip_suffix("NIL)"))
                && matches(there, here, self.again)
            {
                self.waiting.push_front(")".into());
                return Ok(());
            }
            let ours_alone = came.ends_with(" RECENT") || came.starts_with("* LIST (\\Noselect");
            if !ours_alone {
                return Err(format!("expected\n  {pattern}\ncame\n  {came}"));
            }
        }
    }

    fn next_line(&mut self) -> Result<String, String> {
        while let Some(line) = self.waiting.pop_front() {
            if !ignored(&line) {
                return Ok(line);
            }
        }
        Err("nothing came".into())
    }
}

fn ignored(line: &str) -> bool {
    line.starts_with("* OK [COPYUID ") || line.starts_with("* OK [CLOSED]")
}

/// APPEND with the length that the text behind it has, and other commands without doubled spaces.
fn with_true_length(line: &str, behind: &[&str]) -> String {
    let Some((before, "+}")) =
        line.split_once('{').map(|(before, count)| (before, count.trim_start_matches(|c: char| c.is_ascii_digit())))
    else {
        let command = line.split(' ').nth(1).unwrap_or_default();
        let spaced = ["STORE", "STATUS", "SEARCH", "UID"].contains(&command);
        if command == "LSUB" {
            return line.trim_end().to_owned();
        }
        return if spaced { line.replace("  ", " ").replace("( ", "(").replace(" )", ")") } else { line.to_owned() };
    };
    if !before.contains(" APPEND ") {
        return line.to_owned();
    }
    let text = behind
        .iter()
        .filter(|line| !line.starts_with('#'))
        .map_while(|line| line.strip_prefix("C:"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    let length: usize = text.map(|line| line.len() + 2).sum();
    // The line end behind the literal ends the command.
    format!("{before}{{{}+}}", length.saturating_sub(2))
}

/// Names with `/` where the script has `.`.
fn levels(line: &str) -> String {
    const ABOUT_NAMES: [&str; 12] = [
        "CREATE",
        "DELETE",
        "RENAME",
        "SELECT",
        "EXAMINE",
        "LIST",
        "LSUB",
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "STATUS",
        "APPEND",
        "COPY",
    ];
    let command = line.split(' ').nth(1).unwrap_or_default();
    if ABOUT_NAMES.contains(&command) { line.replace('.', "/") } else { line.to_owned() }
}

/// The lines of an answer; names as James writes them.
fn lines(output: &[u8]) -> VecDeque<String> {
    let text = String::from_utf8_lossy(output);
    let text = text.strip_suffix("\r\n").unwrap_or(&text);
    if text.is_empty() {
        return VecDeque::new();
    }
    text.split("\r\n")
        .map(|line| {
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            let ["*", kind @ ("LIST" | "LSUB" | "STATUS"), rest] = words[..] else { return line.to_owned() };
            let (before, name) = match kind {
                "STATUS" => {
                    let (name, items) = rest.rsplit_once(" (").unwrap();
                    return format!("* STATUS {} ({items}", quoted(name));
                }
                _ => rest.rsplit_once("\"/\" ").unwrap(),
            };
            format!("* {kind} {before}\".\" {}", quoted(name))
        })
        .collect()
}

fn quoted(name: &str) -> String {
    let name = name.replace('/', ".");
    if name.starts_with('"') { name } else { format!("\"{name}\"") }
}

/// Whether a line is what the pattern asks for.
fn matches(pattern: &str, line: &str, any_recent: bool) -> bool {
    let whole =
        |pattern: &str, line: &str| Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(line));
    // Java has look-around.
    if let Some(word) = pattern.strip_prefix("^((?!").and_then(|rest| rest.strip_suffix(").)*$")) {
        return !line.contains(word);
    }
    if whole(pattern, line) || pattern.starts_with(r"\+ ") && line.starts_with("+ ") {
        return true;
    }
    if pattern.contains("PERMANENTFLAGS") && line.contains("[PERMANENTFLAGS ()]") {
        return true;
    }
    if any_recent && pattern.ends_with(" RECENT") && line.ends_with(" RECENT") {
        return true;
    }
    // A status response: tag or star, condition, and the code where the script has one.
    let status = Regex::new(r"^(\S+) (OK|NO|BAD|BYE|PREAUTH)( \\\[[A-Z0-9-]+(?:[^\]]*\\\])?)?").unwrap();
    if let Some(found) = status.captures(pattern) {
        let code = found.get(3).map_or("", |code| code.as_str());
        let code = match code {
            _ if code.contains("MAILBOXID") => "",
            _ if code.contains("PERMANENTFLAGS") => r" \[PERMANENTFLAGS",
            _ if code.contains("UIDVALIDITY") => r" \[UIDVALIDITY",
            code => code,
        };
        let start = format!("^{} {}{code}( |$)", &found[1], &found[2]);
        return Regex::new(&start).is_ok_and(|regex| regex.is_match(line));
    }
    // The same words in another order.
    let sorted = |text: &str| {
        let words = text.split([' ', '(', ')']).map(|word| word.to_ascii_lowercase());
        let mut words: Vec<_> = words
            .filter(|word| !word.is_empty() && word != "\\noselect" && !(any_recent && word == "\\recent"))
            .collect();
        words.sort();
        words
    };
    let plain = Regex::new(r"\\([^\w])").unwrap().replace_all(pattern, "$1");
    if plain == line {
        return true;
    }
    if plain.contains(['*', '+', '?']) && !line.starts_with("* ") {
        return false;
    }
    sorted(&plain) == sorted(line)
}
