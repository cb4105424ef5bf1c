//! Proof that a crash at any step loses nothing that was accepted: a disk in memory that stops at a step and then forgets
//! some of what was not synced, and a day in the life of a queue on it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use crate::base::Timestamp;
use crate::smtp::{Enhanced, Envelope, ForwardPath, Recipient, Reply, ReversePath};
use crate::spool::disk::{Disk, DiskFile};
use crate::spool::{Claim, Draft, Entry, Failure, Pending, Queue, QueueConfig, QueueId, Spool, SpoolError, Submission};

/// A disk as POSIX promises it and no better: data is there after `sync` of the file, names after `sync` of the directory.
#[derive(Clone, Debug, Default)]
struct Model(Arc<Mutex<World>>);

#[derive(Clone, Debug, Default)]
struct World {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    /// The names on stable storage, and what was done to names since.
    durable: BTreeMap<String, usize>,
    pending: Vec<Vec<(String, Option<usize>)>>,
    locked: BTreeSet<usize>,
    steps: usize,
    /// The step at which the machine stops.
    stop: Option<usize>,
    /// The step that goes wrong, as where the disk is full; the next ones go well.
    fault: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug)]
struct ModelFile {
    model: Model,
    number: usize,
    at: usize,
    lock: Mutex<bool>,
}

/// What a crash does to data that was not synced.
#[derive(Clone, Copy, Debug)]
enum Data {
    /// It had been written by chance; so it is after SIGKILL.
    Kept,
    /// It is gone.
    Lost,
    /// Half of it is there.
    Torn,
    /// The length is there, the data is not.
    Zeroed,
}

impl Model {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// A step that could be the last one.
    fn step(&self) -> io::Result<MutexGuard<'_, World>> {
        let mut world = self.world();
        if world.stop.is_some_and(|stop| world.steps >= stop) {
            return Err(io::Error::other("the machine has stopped"));
        }
        world.steps += 1;
        if world.fault == Some(world.steps - 1) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(world)
    }

    fn file(&self, number: usize) -> Box<dyn DiskFile> {
        Box::new(ModelFile { model: self.clone(), number, at: 0, lock: Mutex::new(false) })
    }

    /// The disk after the crash: of the changes to names that were not synced those are there that `chosen` says.
    fn after_crash(&self, chosen: impl Fn(usize) -> bool, data: Data) -> Self {
        let world = self.world();
        let mut names = world.durable.clone();
        for (_, change) in world.pending.iter().enumerate().filter(|(number, _)| chosen(*number)) {
            for (name, file) in change {
                match file {
                    Some(file) => drop(names.insert(name.clone(), *file)),
                    None => drop(names.remove(name)),
                }
            }
        }
        let files = world.files.iter().map(|content| {
            let (now, synced) = (&content.now, content.synced.len());
            let left = match data {
                Data::Kept => now.clone(),
                Data::Lost => content.synced.clone(),
                Data::Torn => now[..synced + (now.len() - synced) / 2].to_vec(),
                Data::Zeroed => [&content.synced[..], &vec![0; now.len() - synced]].concat(),
            };
            Content { now: left.clone(), synced: left }
        });
        Self(Arc::new(Mutex::new(World {
            files: files.collect(),
            names: names.clone(),
            durable: names,
            ..World::default()
        })))
    }
}

impl Disk for Model {
    fn create(&self, name: &str) -> io::Result<Option<Box<dyn DiskFile>>> {
        let mut world = self.step()?;
        if world.names.contains_key(name) {
            return Ok(None);
        }
        let number = world.files.len();
        world.files.push(Content::default());
        world.change(vec![(name.to_owned(), Some(number))]);
        drop(world);
        let file = self.file(number);
        assert!(file.try_lock()?);
        Ok(Some(file))
    }

    fn open(&self, name: &str) -> io::Result<Option<Box<dyn DiskFile>>> {
        let number = self.world().names.get(name).copied();
        Ok(number.map(|number| self.file(number)))
    }

    fn leads_to(&self, name: &str, file: &dyn DiskFile) -> io::Result<bool> {
        let number = self.world().names.get(name).copied();
        Ok(number.map(|number| (0, number as u64)) == Some(file.number()?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.step()?;
        let number = *world.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        world.change(vec![(from.to_owned(), None), (to.to_owned(), Some(number))]);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.step()?;
        if world.names.contains_key(name) {
            world.change(vec![(name.to_owned(), None)]);
        }
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.world().names.keys().cloned().collect())
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.step()?;
        world.durable = world.names.clone();
        world.pending.clear();
        Ok(())
    }

    fn changed(&self) -> io::Result<i64> {
        Ok(0)
    }
}

impl World {
    fn change(&mut self, change: Vec<(String, Option<usize>)>) {
        for (name, file) in &change {
            match file {
                Some(file) => drop(self.names.insert(name.clone(), *file)),
                None => drop(self.names.remove(name)),
            }
        }
        self.pending.push(change);
    }
}

impl DiskFile for ModelFile {
    fn try_lock(&self) -> io::Result<bool> {
        let mut mine = self.lock.lock().unwrap();
        *mine = *mine || self.model.world().locked.insert(self.number);
        Ok(*mine)
    }

    fn lock(&self) -> io::Result<()> {
        assert!(self.try_lock()?, "one thread would wait for itself");
        Ok(())
    }

    fn start_sync(&self) {}

    fn sync(&self) -> io::Result<()> {
        let mut world = self.model.step()?;
        let content = &mut world.files[self.number];
        content.synced = content.now.clone();
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.model.world().files[self.number].now.len() as u64)
    }

    fn number(&self) -> io::Result<(u64, u64)> {
        Ok((0, self.number as u64))
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.at = 0;
        Ok(())
    }
}

impl Read for ModelFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let world = self.model.world();
        let count = (&world.files[self.number].now[self.at..]).read(out)?;
        self.at += count;
        Ok(count)
    }
}

impl Write for ModelFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut world = self.model.step()?;
        let now = &mut world.files[self.number].now;
        assert_eq!(self.at, now.len(), "files are only ever written at their end");
        now.extend_from_slice(octets);
        self.at = now.len();
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ModelFile {
    fn drop(&mut self) {
        if *self.lock.lock().unwrap() {
            self.model.world().locked.remove(&self.number);
        }
    }
}

/// What must be found of a message: one of these states.
type Expected = BTreeMap<QueueId, Vec<Option<State>>>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    content: Bytes,
    recipients: Vec<Pending>,
    tries: u32,
    held: Option<String>,
}

impl State {
    fn of(entry: &Entry, content: Bytes) -> Self {
        Self { content, recipients: entry.recipients.clone(), tries: entry.tries, held: entry.held.clone() }
    }
}

/// Does something that takes one message from one state to another: while it runs either may be found, afterwards only
/// the second.
fn act(
    expected: &mut Expected,
    id: &QueueId,
    after: Option<State>,
    act: impl FnOnce() -> Result<(), SpoolError>,
) -> Result<(), SpoolError> {
    let states = expected.entry(id.clone()).or_insert_with(|| vec![None]);
    states.push(after.clone());
    act()?;
    *states = vec![after];
    Ok(())
}

const FIELDS: &[u8] = b"Subject: fields\r\n\r\nbody\r\n";
const EXACT: &[u8] = b"Subject: exact\r\n\r\nline\r\nbare\nLF\r\n";

fn to(address: &str) -> Recipient {
    ForwardPath::Address(address.parse().unwrap()).into()
}

fn store(
    queue: &Queue,
    expected: &mut Expected,
    content: &'static [u8],
    held: Option<&str>,
) -> Result<QueueId, SpoolError> {
    let mut envelope = Envelope::new(ReversePath::Null, []);
    envelope.recipients = vec![to("ada@a.test"), to("bob@b.test")];
    let recipients = envelope.recipients.iter().cloned().map(Pending::from).collect();
    let mut submission = Submission::new(envelope, Timestamp::from_unix(1_172_593_995));
    submission.trace.push("Received: by mx.test".into());
    submission.held = held.map(str::to_owned);
    let mut draft = queue.begin()?;
    let id = draft.id().clone();
    let state = State { content: content.into(), recipients, tries: 0, held: submission.held.clone() };
    act(expected, &id, Some(state), || {
        for piece in content.chunks(20) {
            draft.write(piece)?;
        }
        draft.commit(submission).map(drop)
    })?;
    Ok(id)
}

/// A day in the life of a queue. It ends with an error where the machine stops.
fn day(model: &Model, expected: &mut Expected) -> Result<(), SpoolError> {
    let queue = queue_on(model)?;
    queue.recover()?;
    let a = store(&queue, expected, FIELDS, None)?;
    let b = store(&queue, expected, EXACT, None)?;
    store(&queue, expected, b"no header at all", Some("from the start"))?;
    queue.begin()?.write(b"Subject: given up\r\n\r\n")?;

    let mut claim = queue.claim(&a)?.expect("nobody else is here");
    let mut entry = claim.entry().clone();
    entry.recipients.remove(0);
    entry.recipients[0].failure =
        Some(Failure::said_by("mx.b.test", &Reply::new(452, Enhanced(4, 2, 2), "over quota")));
    entry.tried(Timestamp::from_unix(1_172_594_000), Timestamp::from_unix(1_172_594_900));
    let state = State::of(&entry, FIELDS.into());
    act(expected, &a, Some(state.clone()), || claim.update(entry))?;

    // The same again, with the claim that went on to the new file.
    let mut entry = claim.entry().clone();
    entry.tried(Timestamp::from_unix(1_172_594_900), Timestamp::from_unix(1_172_595_900));
    let state = State { tries: 2, ..state };
    act(expected, &a, Some(state), || claim.update(entry))?;
    drop(claim);

    let entry = queue.entry(&b)?;
    let state = State { held: Some("suspect".into()), ..State::of(&entry, EXACT.into()) };
    // Between the two names it is on hold already.
    act(expected, &b, Some(state.clone()), || queue.hold(&b, "suspect"))?;
    expected.get_mut(&b).unwrap().push(Some(State { held: Some(String::new()), ..state.clone() }));
    act(expected, &b, Some(State { held: None, ..state }), || queue.release(&b))?;

    let claim = queue.claim(&a)?.expect("nobody else is here");
    act(expected, &a, None, || claim.remove())?;
    store(&queue, expected, FIELDS, None)?;
    Ok(())
}

fn queue_on(model: &Model) -> Result<Queue, SpoolError> {
    Queue::on(Box::new(model.clone()), QueueConfig::new("model"))
}

/// In which order changes to a directory come to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// In the order in which they were made: journals, logs, soft updates.
    Kept,
    /// In any order: more than POSIX forbids.
    Any,
}

/// What is found after a crash: what was accepted, whole; nothing else; no left-overs. Where the disk keeps no order the
/// control file of a message that was not accepted may be found without its data; then it is known to be damaged.
fn check(model: &Model, expected: &Expected, order: Order) {
    let queue = queue_on(model).unwrap();
    let before: BTreeSet<_> = queue.list().unwrap().into_iter().collect();
    let recovered = queue.recover().unwrap();
    assert!(order == Order::Any || recovered.damaged.is_empty(), "{recovered:?}");
    for id in &recovered.damaged {
        assert!(expected[id].contains(&None), "{id} was accepted");
        assert!(matches!(queue.claim(id), Err(SpoolError::Damaged { .. })));
        model.remove(&format!("qf{id}")).unwrap();
        model.remove(&format!("hf{id}")).unwrap();
    }
    queue.recover().unwrap();
    let found: BTreeSet<_> = queue.list().unwrap().into_iter().collect();
    assert_eq!(before.len(), found.len() + recovered.damaged.len(), "cleaning up takes away no entry");
    assert!(found.iter().all(|id| expected.contains_key(id)));
    for (id, states) in expected {
        let state = queue.claim(id).unwrap().map(|claim| {
            assert_eq!(claim.entry().trace, &b"Received: by mx.test\r\n"[..]);
            State::of(claim.entry(), claim.content().unwrap())
        });
        assert!(states.contains(&state), "{id}: found {state:#?}, expected one of {states:#?}");
    }
    let names = model.list().unwrap();
    let data: BTreeSet<_> = names.iter().filter_map(|name| name.strip_prefix("df")).map(str::to_owned).collect();
    assert_eq!(data, found.iter().map(ToString::to_string).collect());
    assert_eq!(names.len(), 2 * found.len(), "two files an entry: {names:?}");
    assert_eq!(queue.recover().unwrap(), Default::default());
    // And life goes on.
    store(&queue, &mut Expected::new(), EXACT, None).unwrap();
}

#[test]
fn a_crash_at_any_step_loses_nothing_that_was_accepted() {
    let whole = Model::default();
    let mut expected = Expected::new();
    day(&whole, &mut expected).unwrap();
    check(&whole.after_crash(|_| false, Data::Lost), &expected, Order::Kept);
    let steps = whole.world().steps;
    assert!(steps > 60, "{steps} steps");
    let mut crashes = 0;
    for stop in 0..steps {
        let model = Model::default();
        model.world().stop = Some(stop);
        let mut expected = Expected::new();
        assert!(day(&model, &mut expected).is_err());
        let pending = model.world().pending.len();
        assert!(pending < 16, "{pending} changes wait for a sync");
        for data in [Data::Kept, Data::Lost, Data::Torn, Data::Zeroed] {
            for first in 0..=pending {
                check(&model.after_crash(|number| number < first, data), &expected, Order::Kept);
                crashes += 1;
            }
            for chosen in 0..1_u32 << pending.min(8) {
                let chosen = chosen | u32::MAX << 8;
                check(&model.after_crash(|number| chosen >> number & 1 == 1, data), &expected, Order::Any);
                crashes += 1;
            }
        }
    }
    println!("{steps} steps, {crashes} crashes");
}

#[test]
fn a_fault_at_any_step_is_told_and_loses_nothing() {
    let whole = Model::default();
    day(&whole, &mut Expected::new()).unwrap();
    let steps = whole.world().steps;
    let names = whole.world().names.len();
    for fault in 0..steps {
        let model = Model::default();
        model.world().fault = Some(fault);
        let mut expected = Expected::new();
        let outcome = day(&model, &mut expected);
        // Only what is taken away afterwards may fail silently.
        let silent = outcome.is_ok();
        for states in expected.values_mut() {
            // A message that was refused is not there: it will come again.
            if let [None, Some(_)] = states[..] {
                states.pop();
            }
        }
        // What could not be written takes no room: on a full disk others need it.
        assert!(!model.list().unwrap().iter().any(|name| name.starts_with("tf")), "step {fault}");
        // All that lived is gone, and the locks with it; nothing was forgotten.
        check(&model.after_crash(|_| true, Data::Kept), &expected, Order::Kept);
        assert!(!silent || model.world().names.len() >= names, "step {fault}");
    }
}

#[test]
fn a_process_killed_at_any_step_leaves_what_a_live_one_does_not_touch() {
    // A draft and a claim are held while somebody else cleans up.
    let model = Model::default();
    let (queue, other) = (queue_on(&model).unwrap(), queue_on(&model).unwrap());
    let mut expected = Expected::new();
    let id = store(&queue, &mut expected, FIELDS, None).unwrap();
    let mut draft = queue.begin().unwrap();
    draft.write(b"Subject: slow\r\n\r\n").unwrap();
    let mut claim = queue.claim(&id).unwrap().unwrap();
    assert!(other.claim(&id).unwrap().is_none());
    assert_eq!(other.recover().unwrap(), Default::default());
    let entry = claim.entry().clone();
    claim.update(entry.clone()).unwrap();
    assert!(other.claim(&id).unwrap().is_none(), "the claim goes on to the new file");
    draft.write(b"more\r\n").unwrap();
    let second = draft.commit(Submission::new(entry.envelope(), entry.arrived)).unwrap();
    drop(claim);
    assert_eq!(other.claim(&second).unwrap().unwrap().content().unwrap(), &b"Subject: slow\r\n\r\nmore\r\n"[..]);
    assert!(other.claim(&id).unwrap().is_some());
}
