//! A shader's outputs: whole arrays, and the files that they are written as.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use starling_kernels::npy;
use starling_kernels::shader::spec::{OutputSpec, Words};
use starling_kernels::shader::{Spec, arrays};

use super::{Format, MAX_HELD, ProductError, Seen, Target};

/// The outputs of a job, put together from its tiles.
#[derive(Debug)]
pub(super) struct Arrays {
    spec: Spec,
    /// One for each output.
    bytes: Vec<Vec<u8>>,
    seen: Seen,
}

impl Arrays {
    pub(super) fn new(params: &[u8]) -> Result<Self, ProductError> {
        let spec = Spec::decode(params)?;
        let len = |o: &OutputSpec| u64::from(o.array_len()) * u64::from(o.stride) * 4;
        let all: u64 = spec.outputs.iter().map(len).sum();
        if all > MAX_HELD {
            return Err(ProductError::Large(all >> 20));
        }
        Ok(Self {
            bytes: spec
                .outputs
                .iter()
                .map(|o| vec![0; len(o) as usize])
                .collect(),
            seen: Seen::new(spec.shape()),
            spec,
        })
    }

    /// Invocations of a tile.
    pub(super) fn invocations(&self) -> u64 {
        let sizes = self.spec.tile.iter().chain(&self.spec.workgroup);
        sizes.map(|n| u64::from(*n)).product()
    }

    pub(super) fn add(&mut self, index: u32, tile: &[u8]) -> Result<(), ProductError> {
        self.seen.take(index, tile)?;
        for (k, array) in self.bytes.iter_mut().enumerate() {
            arrays::place(&self.spec, k, index, tile, array);
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.bytes.iter_mut().for_each(|array| array.fill(0));
        self.seen.clear();
    }

    pub(super) fn is_complete(&self) -> bool {
        self.seen.left == 0
    }

    /// The first output goes to `path`, each other beside it, under its own name.
    pub(super) fn targets(&self, path: PathBuf) -> Vec<Target> {
        let beside = self.spec.outputs.iter().enumerate().skip(1).map(|(k, o)| {
            let name = format!("{}.npy", o.name);
            Target::of_output(k, path.with_file_name(name))
        });
        let mut all: Vec<Target> = beside.collect();
        all.insert(0, Target::of_output(0, path));
        all
    }

    pub(super) fn write(
        &self,
        k: usize,
        format: Format,
        to: &mut dyn Write,
    ) -> Result<(), ProductError> {
        let (Some(output), Some(bytes)) = (self.spec.outputs.get(k), self.bytes.get(k)) else {
            return Err(ProductError::Format {
                class: "wgsl",
                asked: format.name(),
                instead: "one of its outputs",
            });
        };
        match format {
            Format::Png => picture(output, bytes, to),
            Format::Npy => Ok(numpy(output, bytes, to)?),
            Format::Text => Ok(text(output, bytes, to)?),
            Format::Raw => Ok(to.write_all(bytes)?),
            Format::Exr => Err(ProductError::Format {
                class: "wgsl",
                asked: format.name(),
                instead: Format::Npy.name(),
            }),
        }
    }
}

/// What the name of a file asks for.
pub fn format_of(path: &Path) -> Format {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "png" => Format::Png,
        "npy" => Format::Npy,
        "txt" => Format::Text,
        _ => Format::Raw,
    }
}

/// One word is one pixel: red in its lowest byte, then green, blue and alpha.
fn picture(output: &OutputSpec, bytes: &[u8], to: &mut dyn Write) -> Result<(), ProductError> {
    if output.slot_words() != 1 || output.words == Words::F32 {
        return Err(ProductError::Plan {
            what: format!("`{}` is no picture: a pixel is one u32", output.name),
            fix: "write it as .npy, or pack red, green, blue and alpha into one u32".into(),
        });
    }
    let [width, height, depth] = output.extent;
    let mut encoder = png::Encoder::new(BufWriter::new(to), width, height * depth);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(bytes)?;
        writer.finish()
    });
    written.map_err(|error| match error {
        png::EncodingError::IoError(error) => ProductError::Io(error),
        other => ProductError::Io(io::Error::other(other)),
    })
}

fn numpy(output: &OutputSpec, bytes: &[u8], to: &mut dyn Write) -> io::Result<()> {
    let descr = match output.words {
        Words::U32 => "<u4",
        Words::I32 => "<i4",
        Words::F32 => "<f4",
    };
    let [width, height, depth] = output.extent;
    let mut shape = match (height, depth) {
        (1, 1) => vec![width],
        (_, 1) => vec![height, width],
        _ => vec![depth, height, width],
    };
    if output.slot_words() > 1 {
        shape.push(output.slot_words());
    }
    let mut to = BufWriter::new(to);
    npy::write_header_of(&mut to, descr, &shape)?;
    to.write_all(bytes)?;
    to.flush()
}

/// A line for each slot, its numbers with spaces between them.
fn text(output: &OutputSpec, bytes: &[u8], to: &mut dyn Write) -> io::Result<()> {
    let mut to = BufWriter::new(to);
    for slot in bytes.chunks_exact(output.slot_words() as usize * 4) {
        for (n, word) in slot.chunks_exact(4).enumerate() {
            let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            let space = if n == 0 { "" } else { " " };
            match output.words {
                Words::U32 => write!(to, "{space}{word}")?,
                Words::I32 => write!(to, "{space}{}", word as i32)?,
                Words::F32 => write!(to, "{space}{}", f32::from_bits(word))?,
            }
        }
        writeln!(to)?;
    }
    to.flush()
}
