//! Builds a message with text, HTML, an image and the files named, and prints it:
//! `cargo run --example build -- ada@example.org charles@example.net lunch.pdf > lunch.eml`

use std::error::Error;
use std::io::Write as _;
use std::path::Path;

use facteur::message::Message;

/// One pixel.
const DOT: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x01D\0;";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: build FROM TO [FILE...]".into());
    };
    let mut builder = Message::build()
        .stamp("example.org")
        .from(from)
        .to(to)
        .subject("Déjeuner à midi ?")
        .text("À midi, place du marché.\n")
        .html("<p>À midi, place du marché.<img src=\"cid:dot@example.org\">\n")
        .image("dot@example.org", "image/gif", DOT);
    for path in arguments {
        let name = Path::new(&path).file_name().map(|name| name.to_string_lossy().into_owned());
        builder = builder.attach(name.unwrap_or_default(), "application/octet-stream", std::fs::read(&path)?);
    }
    let (sender, recipients) = builder.envelope()?;
    eprintln!("from {sender} to {}", recipients.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    std::io::stdout().write_all(builder.finish()?.raw())?;
    Ok(())
}
