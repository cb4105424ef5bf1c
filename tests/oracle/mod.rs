//! What another program made of a message, as the conformance suites keep it, beside what we make of it.

use facteur::message::{Message, Part};
use serde_json::{Value, json};

/// The parts of a message, their types, names and sizes, against those that a row of the oracle lists.
pub fn same_parts(message: &Message, row: &Value) -> Result<(), String> {
    let ours: Vec<Value> = message.all_parts().map(shown).collect();
    let theirs: Vec<Value> = row["parts"].as_array().unwrap().iter().map(expected).collect();
    for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        if ours != theirs {
            return Err(format!("part {n}:\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    if ours.len() != theirs.len() {
        return Err(format!("{} parts, theirs {}", ours.len(), theirs.len()));
    }
    Ok(())
}

fn shown(part: Part<'_>) -> Value {
    let composite = part.is_multipart() || part.embedded().is_some();
    let size = if composite { json!(null) } else { json!(part.decode().len()) };
    json!([part.content_type().to_string(), part.filename(), size])
}

fn expected(part: &Value) -> Value {
    json!([part["type"], part["filename"], part["size"]])
}
