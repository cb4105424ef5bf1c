//! Replays every input under `fuzz/corpus/`, and mutations of it, through its fuzz target.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// How many mutations of each input are tried.
const MUTATIONS: u64 = 50;

#[test]
fn corpora_and_their_mutations_find_no_fault() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, _) in targets::TARGETS {
        let inputs = files(&root.join("fuzz/corpus").join(name));
        assert!(!inputs.is_empty(), "fuzz/corpus/{name} is empty");
        for (number, input) in inputs.iter().enumerate() {
            targets::run(name, input);
            for seed in 0..MUTATIONS {
                let mut random = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    ^ (seed + 1).wrapping_mul(0xd134_2543_de82_ef95);
                targets::run(name, &mutated(input, &inputs, &mut random));
            }
        }
        println!("{name}: {} inputs, {MUTATIONS} mutations of each", inputs.len());
    }
}

fn files(dir: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// One to four edits: an octet changed, a piece dropped, doubled, or spliced in from another input.
fn mutated(input: &[u8], all: &[Vec<u8>], random: &mut u64) -> Vec<u8> {
    let mut next = |below: usize| {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        (*random % below.max(1) as u64) as usize
    };
    let mut out = input.to_vec();
    for _ in 0..=next(4) {
        let at = next(out.len() + 1);
        let end = (at + next(16)).min(out.len());
        match next(5) {
            0 if at < out.len() => out[at] = next(256) as u8,
            1 => drop(out.drain(at..end)),
            2 => {
                let piece = out[at..end].to_vec();
                out.splice(at..at, piece);
            }
            3 => {
                let other = &all[next(all.len())];
                let from = next(other.len() + 1);
                let to = (from + next(32)).min(other.len());
                out.splice(at..at, other[from..to].iter().copied());
            }
            _ => out.insert(at, *b"\r\n\0\"\\<>(){}=.:;@ \xff%".get(next(19)).unwrap()),
        }
    }
    out
}
