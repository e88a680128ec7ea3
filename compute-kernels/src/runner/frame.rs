//! Frames between a node and its device process, over stdin and stdout.
//!
//! A frame is a u32 length, a JSON header of that length (a message and the sizes of the parts), then the parts' raw
//! bytes. Both ends are the same executable, so there is no version. It is not a network protocol.
//! Invariant: sizes are checked before they are believed, and memory grows only with bytes that arrived.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{DeviceInfo, Engine, MAX_RUN_BYTES, RunnerError};
use crate::kernel::{KernelId, MAX_INPUT_BYTES, MAX_INPUTS, Shape};

/// Largest header, in bytes.
const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// Parameters, and the inputs.
const MAX_PARTS: usize = 1 + MAX_INPUTS;
/// An input, or the output of one run.
const MAX_PART_BYTES: u64 = if (MAX_INPUT_BYTES as u64) > MAX_RUN_BYTES {
    MAX_INPUT_BYTES as u64
} else {
    MAX_RUN_BYTES
};

/// What a node asks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Which adapters are there?
    Adapters,
    /// Hold this one from now on.
    Open(Engine),
    /// Make a job current. Parts: parameters, then the inputs.
    Load(KernelId),
    /// Compute tiles. Part: their indices, u32 little-endian.
    Run,
    /// The same for the first of them, as many as begin within so many milliseconds, one at least: see
    /// [`super::Runner::run_for`].
    RunFor(u64),
    /// Run a shader as it is, and time it. Parts: as JSON what it is bound to, its text, its inputs.
    Bare,
    /// Look at a shader. Parts: its text, then as JSON its entry point if one is named, and values of its overrides.
    Survey,
    /// Make a shader the program of a job. Parts: its text, then as JSON the job's parameters and its inputs' sizes.
    Admit,
}

/// What the device process answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Adapters`].
    Adapters(Vec<DeviceInfo>),
    /// To [`Request::Open`].
    Opened(DeviceInfo),
    /// To [`Request::Load`].
    Loaded(Shape),
    /// To [`Request::Run`] and [`Request::RunFor`]. Part: the tiles' bytes.
    Computed {
        /// The most that the loops of one invocation have burnt, where that is known.
        burnt: Option<u32>,
    },
    /// To [`Request::Bare`]. Part: its first output.
    Timed {
        /// Of a run that was not the first.
        seconds: f64,
    },
    /// To [`Request::Survey`]. Part: as JSON, the survey, or the reasons not to run the shader.
    Surveyed,
    /// To [`Request::Admit`]. Part: as JSON, the digest of the program, or the reason that there is none.
    Admitted,
    /// To any of them.
    Failed(RunnerError),
}

#[derive(Serialize, Deserialize)]
struct Header<M> {
    message: M,
    parts: Vec<u64>,
}

/// Writes one frame and flushes.
pub fn write(to: &mut impl Write, message: &impl Serialize, parts: &[&[u8]]) -> io::Result<()> {
    let header = serde_json::to_vec(&Header {
        message,
        parts: parts.iter().map(|p| p.len() as u64).collect(),
    })?;
    let len = u32::try_from(header.len()).ok();
    let len = len.filter(|&l| l <= MAX_HEADER_BYTES);
    let len = len.ok_or_else(|| invalid("header too large"))?;
    if parts.len() > MAX_PARTS || parts.iter().any(|p| p.len() as u64 > MAX_PART_BYTES) {
        return Err(invalid("parts too large"));
    }
    to.write_all(&len.to_le_bytes())?;
    to.write_all(&header)?;
    for part in parts {
        to.write_all(part)?;
    }
    to.flush()
}

/// Reads one frame.
pub fn read<M: DeserializeOwned>(from: &mut impl Read) -> io::Result<(M, Vec<Vec<u8>>)> {
    let mut len = [0; 4];
    from.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len);
    if len > MAX_HEADER_BYTES {
        return Err(invalid("header too large"));
    }
    let header: Header<M> = serde_json::from_slice(&read_part(from, len.into())?)?;
    if header.parts.len() > MAX_PARTS || header.parts.iter().any(|&p| p > MAX_PART_BYTES) {
        return Err(invalid("parts too large"));
    }
    let parts = header.parts.iter().map(|&len| read_part(from, len));
    Ok((header.message, parts.collect::<io::Result<_>>()?))
}

fn read_part(from: &mut impl Read, len: u64) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    from.take(len).read_to_end(&mut part)?;
    if part.len() as u64 == len {
        Ok(part)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_the_way() {
        let mut bytes = Vec::new();
        let message = Response::Failed(RunnerError::Lost("gone".into()));
        write(&mut bytes, &message, &[b"one", b"", b"three"]).expect("memory takes any frame");
        let (read, parts): (Response, _) = read(&mut bytes.as_slice()).expect("as written");
        assert_eq!(read, message);
        assert_eq!(parts, [b"one".to_vec(), vec![], b"three".to_vec()]);
    }

    #[test]
    fn a_truncated_or_boastful_frame_is_an_error() {
        let mut bytes = Vec::new();
        write(&mut bytes, &Request::Run, &[&[7; 100]]).expect("memory takes any frame");
        for len in 0..bytes.len() {
            assert!(read::<Request>(&mut &bytes[..len]).is_err(), "cut at {len}");
        }
        let boast = |parts: &str| {
            let header = format!("{{\"message\":\"Run\",\"parts\":{parts}}}");
            let mut bytes = (header.len() as u32).to_le_bytes().to_vec();
            bytes.extend(header.bytes());
            read::<Request>(&mut bytes.as_slice())
        };
        assert!(boast("[0]").is_ok());
        assert!(boast("[1099511627776]").is_err());
        assert!(boast(&format!("{:?}", [0; MAX_PARTS + 1])).is_err());
        assert!(read::<Request>(&mut [0xff; 64].as_slice()).is_err());
    }
}
