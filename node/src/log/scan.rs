//! The log's bytes: header, frames, and how a reader gets past damage.
//!
//! ```text
//! header (two copies, at 0 and 512; frames start at 1024)
//!   magic 8 | version u32 | zero u32 | swarm 32 | salt 16 | check 16
//! frame
//!   marker 4 | length u32 | seq u64 | head check 8 | body check 16 | record
//! ```
//!
//! Both checks are BLAKE3 keyed with the header (its salt is random and never leaves the machine) over
//! the frame's own offset, so no record can contain bytes that pass for a frame, and a frame copied to
//! another place is none. A sound head tells where the next frame starts even if the body is damaged; after
//! a damaged head the reader searches for the next sound one. Memory: one frame.

use std::io::{self, Read};

use super::MAX_RECORD;

/// Of header and frames.
pub const VERSION: u32 = 1;
/// Places of the header's copies.
pub(super) const HEADER_COPIES: [u64; 2] = [0, 512];
/// Where the first frame starts.
pub(super) const HEADER_AREA: u64 = 1024;
pub(super) const HEADER_LEN: usize = 80;
/// Damaged places that are listed one by one; more are only counted.
pub const MAX_LISTED: usize = 16;

const MAGIC: &[u8; 8] = b"STARLOG\n";
const MARKER: [u8; 4] = [0xf5, b'S', b'L', 0xfa];
/// Marker, length, seq: what the head check covers.
const HEAD_FIELDS: usize = 16;
const HEAD: usize = HEAD_FIELDS + 8 + 16;
const READ_AHEAD: usize = 256 * 1024;

/// A place that no record could be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Where it starts in the file.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}

/// Why a copy of the header is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Damaged,
    Version(u32),
}

/// Whose log this is, and the keys of its checks.
#[derive(Debug, Clone)]
pub(super) struct Header {
    swarm: [u8; 32],
    pub(super) salt: [u8; 16],
    head_key: [u8; 32],
    body_key: [u8; 32],
}

impl Header {
    pub(super) fn new(swarm: [u8; 32], salt: [u8; 16]) -> Self {
        let material = [&swarm[..], &salt[..]].concat();
        Self {
            swarm,
            salt,
            head_key: blake3::derive_key("starling 2026 log frame head", &material),
            body_key: blake3::derive_key("starling 2026 log frame body", &material),
        }
    }

    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.swarm);
        bytes[48..64].copy_from_slice(&self.salt);
        let check = header_check(&bytes[..64]);
        bytes[64..].copy_from_slice(&check);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let (Some(fields), Some(check)) = (bytes.get(..64), bytes.get(64..HEADER_LEN)) else {
            return Err(HeaderFault::Damaged);
        };
        if !fields.starts_with(MAGIC) || check != header_check(fields) {
            return Err(HeaderFault::Damaged);
        }
        match u32::from_le_bytes(array(fields, 8)) {
            VERSION => Ok(Self::new(array(fields, 16), array(fields, 48))),
            other => Err(HeaderFault::Version(other)),
        }
    }

    /// The other swarm, if it is another.
    pub(super) fn check_swarm(&self, swarm: &[u8; 32]) -> Result<(), [u8; 32]> {
        if self.swarm == *swarm {
            Ok(())
        } else {
            Err(self.swarm)
        }
    }

    /// Appends the frame that lies at `offset` of the file. The record's length is the caller's concern.
    pub(super) fn frame(&self, offset: u64, seq: u64, record: &[u8], out: &mut Vec<u8>) {
        let mut fields = [0; HEAD_FIELDS];
        fields[..4].copy_from_slice(&MARKER);
        fields[4..8].copy_from_slice(&(record.len() as u32).to_le_bytes());
        fields[8..].copy_from_slice(&seq.to_le_bytes());
        out.extend_from_slice(&fields);
        out.extend_from_slice(&self.head_check(offset, &fields));
        out.extend_from_slice(&self.body_check(offset, &fields, record));
        out.extend_from_slice(record);
    }

    fn head_check(&self, offset: u64, fields: &[u8]) -> [u8; 8] {
        let mut hash = blake3::Hasher::new_keyed(&self.head_key);
        array(
            hash.update(&offset.to_le_bytes())
                .update(fields)
                .finalize()
                .as_bytes(),
            0,
        )
    }

    fn body_check(&self, offset: u64, fields: &[u8], record: &[u8]) -> [u8; 16] {
        let mut hash = blake3::Hasher::new_keyed(&self.body_key);
        array(
            hash.update(&offset.to_le_bytes())
                .update(fields)
                .update(record)
                .finalize()
                .as_bytes(),
            0,
        )
    }

    /// Length and seq of the frame whose head these bytes are, if they are one.
    fn parse_head(&self, offset: u64, bytes: &[u8], last_seq: u64) -> Option<(usize, u64)> {
        let fields = bytes.get(..HEAD_FIELDS)?;
        let check = bytes.get(HEAD_FIELDS..HEAD_FIELDS + 8)?;
        if !fields.starts_with(&MARKER) || check != self.head_check(offset, fields) {
            return None;
        }
        let length = u32::from_le_bytes(array(fields, 4)) as usize;
        let seq = u64::from_le_bytes(array(fields, 8));
        ((1..=MAX_RECORD).contains(&length) && seq > last_seq).then_some((length, seq))
    }
}

fn header_check(fields: &[u8]) -> [u8; 16] {
    let mut hash = blake3::Hasher::new_derive_key("starling 2026 log header");
    array(hash.update(fields).finalize().as_bytes(), 0)
}

/// N bytes of a slice that is known to hold them.
fn array<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[from..from + N]);
    out
}

/// What a pass over the frames found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) records: u64,
    pub(super) last_seq: u64,
    /// Where the next frame goes; what lies behind is a torn tail.
    pub(super) end: u64,
    pub(super) damage: Vec<Damage>,
    pub(super) damaged_bytes: u64,
    pub(super) lost_records: u64,
}

impl Scan {
    fn damaged(&mut self, offset: u64, bytes: u64) {
        self.damaged_bytes += bytes;
        let listed = self.damage.len();
        match self.damage.last_mut() {
            Some(last) if last.offset + last.bytes == offset => last.bytes += bytes,
            _ if listed < MAX_LISTED => self.damage.push(Damage { offset, bytes }),
            _ => {}
        }
    }
}

/// Reads frames from `source`, which stands at [`HEADER_AREA`], to its end.
pub(super) fn scan(
    source: impl Read,
    header: &Header,
    mut visit: impl FnMut(u64, &[u8]),
) -> io::Result<Scan> {
    let mut window = Window {
        source,
        bytes: Vec::new(),
        start: 0,
        offset: HEADER_AREA,
        ended: false,
    };
    let mut scan = Scan {
        end: HEADER_AREA,
        ..Scan::default()
    };
    loop {
        let offset = window.offset;
        let head = window.peek(HEAD)?;
        if head.is_empty() {
            return Ok(scan);
        }
        let Some((length, seq)) = header.parse_head(offset, head, scan.last_seq) else {
            // No head here. Search for one; without any, an unfinished or never written tail is torn.
            match search(&mut window, header, scan.last_seq)? {
                Found::Head => {}
                Found::End { torn: true } => return Ok(scan),
                Found::End { torn: false } => {}
            }
            scan.damaged(offset, window.offset - offset);
            scan.end = window.offset;
            continue;
        };
        let frame = window.peek(HEAD + length)?;
        let Some(record) = frame.get(HEAD..HEAD + length) else {
            return Ok(scan);
        };
        scan.lost_records += seq - scan.last_seq - 1;
        scan.last_seq = seq;
        scan.end = offset + (HEAD + length) as u64;
        if frame[HEAD_FIELDS + 8..HEAD] == header.body_check(offset, &frame[..HEAD_FIELDS], record)
        {
            scan.records += 1;
            visit(seq, record);
        } else {
            scan.lost_records += 1;
            scan.damaged(offset, (HEAD + length) as u64);
        }
        window.skip(HEAD + length);
    }
}

enum Found {
    Head,
    /// Torn: too short for any record, or zeros as a file system leaves them after a power cut.
    End {
        torn: bool,
    },
}

/// Moves the window to the next sound head, or to the end.
fn search<R: Read>(window: &mut Window<R>, header: &Header, last_seq: u64) -> io::Result<Found> {
    let from = window.offset;
    let mut zeros = true;
    loop {
        let offset = window.offset;
        let ahead = window.peek(READ_AHEAD)?;
        if ahead.is_empty() {
            return Ok(Found::End {
                torn: zeros || offset - from <= HEAD as u64,
            });
        }
        // Heads that start in the last bytes are looked at again when more is in view.
        let last = ahead.len() < READ_AHEAD;
        let starts = if last {
            ahead.len()
        } else {
            ahead.len() - HEAD
        };
        let found = (0..starts).find(|&at| {
            ahead[at..].starts_with(&MARKER)
                && header
                    .parse_head(offset + at as u64, &ahead[at..], last_seq)
                    .is_some()
        });
        let passed = found.unwrap_or(starts);
        zeros &= ahead[..passed].iter().all(|b| *b == 0);
        window.skip(passed);
        if found.is_some() {
            return Ok(Found::Head);
        }
    }
}

/// A view of the next bytes of a stream.
struct Window<R> {
    source: R,
    bytes: Vec<u8>,
    start: usize,
    /// Place in the file of the first byte in view.
    offset: u64,
    ended: bool,
}

impl<R: Read> Window<R> {
    /// The next `count` bytes, fewer only at the end of the file. `count` is bounded by the callers.
    fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.bytes.len() - self.start < count && !self.ended {
            self.bytes.drain(..self.start);
            self.start = 0;
            let wanted = count.max(READ_AHEAD) - self.bytes.len();
            let read = self
                .source
                .by_ref()
                .take(wanted as u64)
                .read_to_end(&mut self.bytes)?;
            self.ended = read < wanted;
        }
        let end = self.bytes.len().min(self.start + count);
        Ok(&self.bytes[self.start..end])
    }

    fn skip(&mut self, count: usize) {
        self.start += count;
        self.offset += count as u64;
    }
}
