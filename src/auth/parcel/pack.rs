//! Compression: gzip (RFC 1952), as the standards want it, and zip, as reporters send it too. What is unpacked is bounded in
//! its size and in how much larger it is than what came.

use std::borrow::Cow;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::{DeflateDecoder, GzDecoder};
use flate2::write::GzEncoder;
use rawzip::{CompressionMethod, ZipArchive};

/// How much is unpacked.
///
/// ```
/// use facteur::auth::parcel::Limits;
///
/// let mut limits = Limits::default();
/// limits.octets = 1024 * 1024;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many octets a report may have once it is unpacked. Default 64 MiB: some 80,000 records of a DMARC report.
    pub octets: usize,
    /// How many times larger than what came it may be, where it has more than 1 MiB. Default 200: reports are five to thirty
    /// times larger, and a bomb a thousand times.
    pub ratio: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { octets: 64 * 1024 * 1024, ratio: 200 }
    }
}

/// Why a report was not unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// It has more octets than [`Limits::octets`].
    #[error("the report is larger than the limit")]
    TooLarge,
    /// It is larger than [`Limits::ratio`] allows, or is in thousands of pieces.
    #[error("the report is packed more tightly than reports are")]
    Bomb,
    /// The compressed data is no such data, is cut off, or has another check sum.
    #[error("the compressed report is damaged")]
    Damaged,
    /// A zip archive has no file in it, or the first is packed in a way that is not known here.
    #[error("the archive has no file that can be read")]
    NoFile,
}

/// Below this nothing is a bomb.
const SMALL: usize = 1024 * 1024;
/// How many layers are unpacked: some send gzip in gzip, or in zip.
const LAYERS: usize = 3;
/// How many members a gzip file may have. Each costs the room that its decoder takes, however small it is; those who pack
/// in blocks of 64 KiB have a thousand for 64 MiB.
const MEMBERS: usize = 2_000;
/// How many entries of an archive are looked at: some send a folder before the file.
const ENTRIES: usize = 20;

/// What is in the octets: unpacked where they are packed, and as they are where not.
pub(in crate::auth) fn unpack<'a>(octets: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, PackError> {
    let most = match octets.len().saturating_mul(limits.ratio).max(SMALL) {
        ratio if ratio < limits.octets => (ratio, PackError::Bomb),
        _ => (limits.octets, PackError::TooLarge),
    };
    let mut content = Cow::Borrowed(octets);
    for _ in 0..LAYERS {
        content = if content.starts_with(b"\x1f\x8b") {
            Cow::Owned(gunzip(&content, most)?)
        } else if content.starts_with(b"PK\x03\x04") {
            Cow::Owned(unzip(&content, most)?)
        } else {
            break;
        };
    }
    if content.len() > limits.octets { Err(PackError::TooLarge) } else { Ok(content) }
}

/// RFC 1952 §2.2: "A gzip file consists of a series of 'members'"; what stands behind them and is none is passed over.
fn gunzip(mut octets: &[u8], most: (usize, PackError)) -> Result<Vec<u8>, PackError> {
    let mut out = Vec::new();
    let mut members = 0;
    while octets.starts_with(b"\x1f\x8b") {
        members += 1;
        if members > MEMBERS {
            return Err(PackError::Bomb);
        }
        let mut member = GzDecoder::new(octets);
        read(&mut member, &mut out, most)?;
        octets = member.into_inner();
    }
    Ok(out)
}

/// The first file of the archive.
fn unzip(octets: &[u8], most: (usize, PackError)) -> Result<Vec<u8>, PackError> {
    let damaged = |_| PackError::Damaged;
    let archive = ZipArchive::from_slice(octets).map_err(damaged)?;
    let mut entries = archive.entries();
    for _ in 0..ENTRIES {
        let Some(entry) = entries.next_entry().map_err(damaged)? else { break };
        // An entry without content is a folder.
        if entry.is_dir() || entry.uncompressed_size_hint() == 0 {
            continue;
        }
        let file = archive.get_entry(entry.wayfinder()).map_err(damaged)?;
        let mut out = Vec::new();
        match entry.compression_method() {
            CompressionMethod::STORE => read(&mut file.verifying_reader(file.data()), &mut out, most)?,
            CompressionMethod::DEFLATE => {
                read(&mut file.verifying_reader(DeflateDecoder::new(file.data())), &mut out, most)?;
            }
            _ => return Err(PackError::NoFile),
        }
        return Ok(out);
    }
    Err(PackError::NoFile)
}

/// Reads to the end. Memory is what has come out, not what a header promises.
fn read(from: &mut impl Read, out: &mut Vec<u8>, (most, error): (usize, PackError)) -> Result<(), PackError> {
    let mut piece = [0; 16 * 1024];
    loop {
        let n = from.read(&mut piece).map_err(|_| PackError::Damaged)?;
        let Some(came) = piece.get(..n).filter(|came| !came.is_empty()) else { return Ok(()) };
        if out.len() + came.len() > most {
            return Err(error);
        }
        out.extend_from_slice(came);
    }
}

/// `octets` as one member of a gzip file. It has no name and no time, so that what is the same is packed the same.
pub(in crate::auth) fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(octets.len() / 8), Compression::best());
    let packed = encoder.write_all(octets).and_then(|()| encoder.finish());
    packed.expect("a Vec takes all that is written to it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(name: &str, method: CompressionMethod, octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
        archive.new_dir("reports/").create().unwrap();
        let (mut entry, config) = archive.new_file(name).compression_method(method).start().unwrap();
        if method == CompressionMethod::DEFLATE {
            let mut writer = config.wrap(flate2::write::DeflateEncoder::new(&mut entry, Compression::default()));
            writer.write_all(octets).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(descriptor).unwrap();
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(octets).unwrap();
            let (_, descriptor) = writer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        out
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let limits = Limits::default();
        let text = b"<feedback/>";
        let packed = gzip(text);
        for octets in [
            text.to_vec(),
            packed.clone(),
            gzip(&packed),
            zip("a!b!1!2.xml", CompressionMethod::DEFLATE, text),
            zip("a!b!1!2.xml", CompressionMethod::STORE, text),
            zip("a!b!1!2.xml.gz", CompressionMethod::STORE, &packed),
            // Octets behind the member, as mail gateways leave them.
            [&packed[..], b"\r\n"].concat(),
        ] {
            assert_eq!(unpack(&octets, &limits).as_deref(), Ok(&text[..]));
        }
        let two = [gzip(b"<feed"), gzip(b"back/>")].concat();
        assert_eq!(unpack(&two, &limits).as_deref(), Ok(&text[..]), "members are joined");
    }

    #[test]
    fn damage_is_told() {
        let limits = Limits::default();
        let packed = gzip(b"some text that is packed");
        let mut other = packed.clone();
        other[packed.len() - 8] ^= 1; // the check sum
        let mut archive = zip("a.xml", CompressionMethod::DEFLATE, b"some text that is packed");
        archive[80] ^= 0xff; // in the deflated text
        for octets in [&packed[..packed.len() - 1], &packed[..10], &other, &archive, b"PK\x03\x04"] {
            assert_eq!(unpack(octets, &limits), Err(PackError::Damaged), "{octets:?}");
        }
        let strange = zip("a.xml", CompressionMethod::from(99), b"x");
        assert_eq!(unpack(&strange, &limits), Err(PackError::NoFile));
    }

    #[test]
    fn bombs_are_refused() {
        let limits = Limits::default();
        let bomb = gzip(&vec![b' '; 32 * 1024 * 1024]);
        assert!(bomb.len() < 64 * 1024);
        assert_eq!(unpack(&bomb, &limits), Err(PackError::Bomb));
        // Gzip in gzip does not hide one.
        assert_eq!(unpack(&gzip(&bomb), &limits), Err(PackError::Bomb));
        // Empty members cost time, and give nothing.
        assert_eq!(unpack(&gzip(b"").repeat(MEMBERS), &limits).as_deref(), Ok(&b""[..]));
        assert_eq!(unpack(&gzip(b"").repeat(MEMBERS + 1), &limits), Err(PackError::Bomb));
        let small = Limits { octets: 1000, ..limits };
        assert_eq!(unpack(&gzip(&[b' '; 1001]), &small), Err(PackError::TooLarge));
        assert_eq!(unpack(&[b' '; 1001], &small), Err(PackError::TooLarge));
        assert!(unpack(&gzip(&[b' '; 1000]), &small).is_ok());
    }
}
