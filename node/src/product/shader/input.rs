//! What a shader reads: from files, or numbers right here.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use starling_kernels::MAX_INPUT_BYTES;
use starling_kernels::npy;

use crate::product::{Format, ProductError, format_of};

/// Where the words of an input come from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// A file: a PNG's pixels, an array's elements, or plain bytes.
    File(PathBuf),
    /// Numbers.
    Numbers(Numbers),
}

/// Numbers in a job's own file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Numbers {
    /// Unsigned.
    U32(Vec<u32>),
    /// Signed.
    I32(Vec<i32>),
    /// Floats.
    F32(Vec<f32>),
}

impl Source {
    /// `FILE`, or `u32:1,2,3`, `i32:…`, `f32:…`.
    ///
    /// # Errors
    /// The number that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        fn all<T: std::str::FromStr>(list: &str) -> Result<Vec<T>, String> {
            let numbers = list.split(',').map(str::trim);
            numbers
                .map(|n| n.parse().map_err(|_| format!("{n:?} is no such number")))
                .collect()
        }
        let numbers = match text.split_once(':') {
            Some(("u32", list)) => Numbers::U32(all(list)?),
            Some(("i32", list)) => Numbers::I32(all(list)?),
            Some(("f32", list)) => Numbers::F32(all(list)?),
            _ => return Ok(Self::File(text.into())),
        };
        Ok(Self::Numbers(numbers))
    }

    /// The bytes; files are looked for in `folder`.
    pub(super) fn read(&self, folder: &Path) -> Result<Arc<[u8]>, ProductError> {
        let file = match self {
            Self::File(file) => folder.join(file),
            Self::Numbers(Numbers::U32(all)) => return Ok(words(all, u32::to_le_bytes)),
            Self::Numbers(Numbers::I32(all)) => return Ok(words(all, i32::to_le_bytes)),
            Self::Numbers(Numbers::F32(all)) => return Ok(words(all, f32::to_le_bytes)),
        };
        let wrong = |what: String, fix: &str| ProductError::Plan {
            what: format!("{}: {what}", file.display()),
            fix: fix.into(),
        };
        let opened =
            File::open(&file).map_err(|e| wrong(e.to_string(), "check the file's name"))?;
        let mut from = BufReader::new(opened);
        match format_of(&file) {
            Format::Png => pixels(from).map_err(|e| wrong(e.to_string(), "save it as PNG again")),
            Format::Npy => match npy::read_words(from, MAX_INPUT_BYTES as u64) {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) => {
                    let text = error.to_string();
                    let (what, fix) = text.split_once("; ").unwrap_or((&text, ""));
                    Err(wrong(what.into(), fix))
                }
            },
            _ => {
                let mut bytes = Vec::new();
                let most = MAX_INPUT_BYTES as u64;
                let read = from.by_ref().take(most + 1).read_to_end(&mut bytes);
                read.map_err(|e| wrong(e.to_string(), "check the file"))?;
                if bytes.len() as u64 > most {
                    return Err(wrong(format!("more than {most} bytes"), "split it"));
                }
                Ok(bytes.into())
            }
        }
    }
}

fn words<T>(all: &[T], bytes: impl Fn(T) -> [u8; 4]) -> Arc<[u8]>
where
    T: Copy,
{
    all.iter().flat_map(|n| bytes(*n)).collect()
}

/// A word a pixel: red in its lowest byte, then green, blue and alpha.
fn pixels(from: impl std::io::BufRead + std::io::Seek) -> Result<Arc<[u8]>, png::DecodingError> {
    let mut decoder = png::Decoder::new_with_limits(from, png::Limits { bytes: 1 << 30 });
    // Palettes and other depths become bytes.
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().unwrap_or_default()];
    let info = reader.next_frame(&mut bytes)?;
    bytes.truncate(info.buffer_size());
    let grey = |g: u8, a: u8| [g, g, g, a];
    Ok(match info.color_type {
        png::ColorType::Rgba => bytes.into(),
        png::ColorType::Rgb => bytes
            .chunks_exact(3)
            .flat_map(|p| [p[0], p[1], p[2], 255])
            .collect(),
        png::ColorType::GrayscaleAlpha => bytes
            .chunks_exact(2)
            .flat_map(|p| grey(p[0], p[1]))
            .collect(),
        png::ColorType::Grayscale | png::ColorType::Indexed => {
            bytes.iter().flat_map(|g| grey(*g, 255)).collect()
        }
    })
}
