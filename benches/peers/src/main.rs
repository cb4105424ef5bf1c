//! facteur beside the crates that do the same work, in one run. `--help` says how.

mod auth;
mod build;
mod codec;
mod corpora;
mod measure;
mod message;
mod smtp;

use measure::Rounds;

#[global_allocator]
static COUNTER: measure::Counter = measure::Counter;

/// A group of works: its name, what it measures, and how.
type Group = (&'static str, &'static str, fn(Rounds));

const GROUPS: [Group; 5] = [
    ("message", "parsing: structure, what a reader asks, everything decoded", message::run),
    ("build", "building: a small message, and one with 1 MB attached", build::run),
    ("smtp", "commands, replies, the dots of DATA, a message through the server", smtp::run),
    ("codec", "base64, quoted-printable, encoded words, both ways", codec::run),
    ("auth", "DKIM verified and signed, SPF evaluated; viaspf and viadkim are GPL and so not here", auth::run),
];

fn main() {
    let mut rounds = Rounds { number: 15, only: "", alone: false };
    let mut chosen = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // What `cargo bench` adds.
            "--bench" => {}
            "--help" | "-h" => return help(),
            "--rounds" => match args.next().and_then(|rounds| rounds.parse().ok()) {
                Some(number) if number > 0 => rounds.number = number,
                _ => fail("--rounds wants a number"),
            },
            "--alone" => rounds.alone = true,
            "--only" => match args.next() {
                Some(text) => rounds.only = text.leak(),
                None => fail("--only wants a part of a name"),
            },
            _ => match GROUPS.iter().find(|(name, ..)| *name == arg) {
                Some(group) => chosen.push(group),
                None => fail(&format!("no group {arg}")),
            },
        }
    }
    if chosen.is_empty() {
        chosen = GROUPS.iter().collect();
    }
    for (_, _, run) in chosen {
        run(rounds);
    }
}

fn help() {
    println!(
        "run [--rounds N] [--only TEXT] [--alone] [GROUP ...]\n\nMeasures facteur beside its peers, all in turn, and prints for each work a line for each of them"
    );
    println!(
        "(time an item, allocations an item, octets alive at the most) and the ratio to the fastest peer. --only takes works by a part\nof their name, such as reader/small; --alone leaves out the peers, for a profiler.\n"
    );
    for (name, what, _) in GROUPS {
        println!("  {name:<10} {what}");
    }
}

fn fail(why: &str) -> ! {
    eprintln!("{why}; see --help");
    std::process::exit(2)
}
