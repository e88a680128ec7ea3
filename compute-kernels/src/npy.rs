//! Matrices in NumPy's `.npy` files, i8 in, i32 out; and arrays of 32-bit numbers, both ways.
//!
//! The format is NEP 1 (versions 1.0, 2.0 and 3.0): a magic, a header that is a Python dictionary, then the elements.
//! Only what can be a factor is read, and whatever else a file holds is named together with the line of Python that
//! turns it into one. Invariant: no header and no shape makes this reserve more memory than the file has bytes.

use std::io::{self, Read, Write};

/// Longest header that is read, in bytes; NumPy's own is below 200.
const MAX_HEADER: usize = 64 * 1024;
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy aligns the elements to this.
const ALIGN: usize = 64;

/// A matrix of i8, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Rows, at least 1.
    pub rows: u32,
    /// Columns, at least 1.
    pub columns: u32,
    /// `rows * columns` elements, one byte each.
    pub elements: Vec<u8>,
}

/// Why a file is no factor. The text is "what; fix".
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// Not this format.
    #[error("this is no .npy file; write one with numpy.save")]
    Magic,
    /// A version that is newer than this program.
    #[error("version {0}.{1} of the .npy format is unknown; write the file with numpy.save")]
    Version(u8, u8),
    /// The header is not what NumPy writes.
    #[error("the header is damaged ({0}); write the file again with numpy.save")]
    Header(&'static str),
    /// The header is too long to be one.
    #[error(
        "the header claims {0} bytes, and none has more than {MAX_HEADER}; write the file again with numpy.save"
    )]
    LongHeader(usize),
    /// Elements of another type.
    #[error("the elements are {0:?}, not 8-bit integers; convert them with a.astype(np.int8)")]
    Type(String),
    /// Elements of another size.
    #[error(
        "the elements are {0:?}, not 32-bit numbers; convert them with a.astype(np.float32), np.uint32 or np.int32"
    )]
    Wide(String),
    /// More than is taken.
    #[error("the array has more than {0} bytes; split it")]
    Huge(u64),
    /// Columns first.
    #[error("the elements lie in Fortran order; save np.ascontiguousarray(a)")]
    Fortran,
    /// Not two dimensions.
    #[error("the array has {0} dimensions, a matrix has 2; save a.reshape(rows, columns)")]
    Dimensions(usize),
    /// No elements.
    #[error("the matrix is empty ({0} x {1}); both dimensions must be at least 1")]
    Empty(u64, u64),
    /// Out of reach.
    #[error(
        "a matrix of {rows} x {columns} is too large, at most {most} bytes are taken; multiply it in blocks"
    )]
    Large {
        /// Rows as claimed.
        rows: u64,
        /// Columns as claimed.
        columns: u64,
        /// The limit.
        most: u64,
    },
    /// The file ends too early.
    #[error("the file ends after {got} of {wanted} bytes of elements; copy it again")]
    Short {
        /// What came.
        got: u64,
        /// What the header promises.
        wanted: u64,
    },
    /// The file goes on.
    #[error("bytes follow after the last element; save one array a file")]
    Long,
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a matrix of at most `most` bytes.
///
/// # Errors
/// [`NpyError`]; the text names the fix.
pub fn read(mut from: impl Read, most: u64) -> Result<Matrix, NpyError> {
    let header = read_header(&mut from)?;
    let (rows, columns) = Header::parse(&header)?.matrix()?;
    let large = || NpyError::Large {
        rows,
        columns,
        most,
    };
    let wanted = rows
        .checked_mul(columns)
        .filter(|&n| n <= most)
        .ok_or_else(large)?;
    let (narrow_rows, narrow_columns) = u32::try_from(rows)
        .ok()
        .zip(u32::try_from(columns).ok())
        .ok_or_else(large)?;
    Ok(Matrix {
        rows: narrow_rows,
        columns: narrow_columns,
        elements: read_elements(from, wanted)?,
    })
}

/// Reads an array of 32-bit little-endian numbers of any shape, at most `most` bytes, as those bytes.
///
/// # Errors
/// [`NpyError`]; the text names the fix.
pub fn read_words(mut from: impl Read, most: u64) -> Result<Vec<u8>, NpyError> {
    let header = read_header(&mut from)?;
    let wanted = Header::parse(&header)?.words()?;
    let wanted = wanted.filter(|n| *n <= most).ok_or(NpyError::Huge(most))?;
    read_elements(from, wanted)
}

/// So many bytes, which are all that is left.
fn read_elements(mut from: impl Read, wanted: u64) -> Result<Vec<u8>, NpyError> {
    // Grows as bytes come: a short file with a large claim costs nothing.
    let mut elements = Vec::new();
    let got = from.by_ref().take(wanted).read_to_end(&mut elements)? as u64;
    if got < wanted {
        return Err(NpyError::Short { got, wanted });
    }
    if from.read(&mut [0])? > 0 {
        return Err(NpyError::Long);
    }
    Ok(elements)
}

/// Writes the header of an i32 matrix; `rows * columns` little-endian elements belong behind it, row by row.
///
/// # Errors
/// Those of `to`.
pub fn write_header(to: impl Write, rows: u32, columns: u32) -> io::Result<()> {
    write_header_of(to, "<i4", &[rows, columns])
}

/// Writes the header of an array of elements as NumPy names them (`<f4`), the slowest axis first.
///
/// # Errors
/// Those of `to`.
pub fn write_header_of(mut to: impl Write, descr: &str, shape: &[u32]) -> io::Result<()> {
    // Python writes a tuple of one with a comma.
    let comma = if shape.len() == 1 { "," } else { "" };
    let sizes: Vec<String> = shape.iter().map(u32::to_string).collect();
    let shape = sizes.join(", ");
    let mut dict =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}{comma}), }}");
    let before = MAGIC.len() + 4;
    let total = (before + dict.len() + 1).next_multiple_of(ALIGN);
    dict.extend(std::iter::repeat_n(' ', total - before - dict.len() - 1));
    dict.push('\n');
    to.write_all(MAGIC)?;
    to.write_all(&[1, 0])?;
    to.write_all(&(dict.len() as u16).to_le_bytes())?;
    to.write_all(dict.as_bytes())
}

fn read_header(from: &mut impl Read) -> Result<Vec<u8>, NpyError> {
    let short = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => NpyError::Header("it is cut short"),
        _ => NpyError::Io(e),
    };
    let mut start = [0; 8];
    from.read_exact(&mut start).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => NpyError::Magic,
        _ => NpyError::Io(e),
    })?;
    let Some(&[major, minor]) = start.strip_prefix(MAGIC) else {
        return Err(NpyError::Magic);
    };
    let len = match (major, minor) {
        (1, 0) => {
            let mut len = [0; 2];
            from.read_exact(&mut len).map_err(short)?;
            u16::from_le_bytes(len) as usize
        }
        (2 | 3, 0) => {
            let mut len = [0; 4];
            from.read_exact(&mut len).map_err(short)?;
            u32::from_le_bytes(len) as usize
        }
        _ => return Err(NpyError::Version(major, minor)),
    };
    if len > MAX_HEADER {
        return Err(NpyError::LongHeader(len));
    }
    let mut header = vec![0; len];
    from.read_exact(&mut header).map_err(short)?;
    Ok(header)
}

/// The three entries of a header.
#[derive(Default)]
struct Header<'a> {
    descr: Option<&'a str>,
    fortran: Option<bool>,
    shape: Option<Vec<u64>>,
}

impl<'a> Header<'a> {
    /// Parses the dictionary: `{'descr': '|i1', 'fortran_order': False, 'shape': (2, 3), }`.
    fn parse(bytes: &'a [u8]) -> Result<Self, NpyError> {
        let text = std::str::from_utf8(bytes).map_err(|_| NpyError::Header("it is no text"))?;
        let mut rest = text
            .trim()
            .strip_prefix('{')
            .ok_or(NpyError::Header("no dictionary"))?;
        let mut header = Self::default();
        loop {
            rest = rest.trim_start();
            if let Some(end) = rest.strip_prefix('}') {
                let clean = end.trim().is_empty();
                return clean
                    .then_some(header)
                    .ok_or(NpyError::Header("text behind it"));
            }
            let (key, after) = quoted(rest).ok_or(NpyError::Header("a key is missing"))?;
            let after = after.trim_start().strip_prefix(':');
            let after = after
                .ok_or(NpyError::Header("a colon is missing"))?
                .trim_start();
            let taken = match key {
                "descr" => header.take_descr(after),
                "fortran_order" => header.take_order(after),
                "shape" => header.take_shape(after),
                _ => None,
            };
            rest = taken
                .ok_or(NpyError::Header("an entry is strange"))?
                .trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
    }

    fn take_descr(&mut self, text: &'a str) -> Option<&'a str> {
        // A structured type is a list, of lists too; it is shown as it stands.
        if text.starts_with('[') {
            let mut depth = 0_usize;
            let end = text.find(|c| {
                depth += usize::from(c == '[');
                depth -= usize::from(c == ']');
                depth == 0
            })?;
            let (all, rest) = text.split_at(end + 1);
            return self.descr.replace(all).is_none().then_some(rest);
        }
        let (descr, rest) = quoted(text)?;
        self.descr.replace(descr).is_none().then_some(rest)
    }

    fn take_order(&mut self, text: &'a str) -> Option<&'a str> {
        let known = [("False", false), ("True", true)];
        let (rest, order) = known
            .iter()
            .find_map(|(word, order)| Some((text.strip_prefix(word)?, *order)))?;
        self.fortran.replace(order).is_none().then_some(rest)
    }

    fn take_shape(&mut self, text: &'a str) -> Option<&'a str> {
        let (inside, rest) = text.strip_prefix('(')?.split_once(')')?;
        let items = inside.split(',').map(str::trim).filter(|i| !i.is_empty());
        // Python 2 wrote long integers with an L.
        let sizes = items.map(|i| i.trim_end_matches('L').parse().ok());
        let shape = sizes.collect::<Option<Vec<u64>>>()?;
        self.shape.replace(shape).is_none().then_some(rest)
    }

    /// Type, whether in Fortran order, and shape: all three have to be there.
    fn entries(self) -> Result<(&'a str, bool, Vec<u64>), NpyError> {
        let all = self.descr.zip(self.fortran).zip(self.shape);
        let ((descr, fortran), shape) = all.ok_or(NpyError::Header("an entry is missing"))?;
        Ok((descr, fortran, shape))
    }

    /// Bytes of an array of 32-bit numbers in C order, if they can be counted.
    fn words(self) -> Result<Option<u64>, NpyError> {
        let (descr, fortran, shape) = self.entries()?;
        if !matches!(descr, "<f4" | "<i4" | "<u4") {
            return Err(NpyError::Wide(descr.chars().take(64).collect()));
        }
        if fortran && shape.iter().filter(|n| **n > 1).count() > 1 {
            return Err(NpyError::Fortran);
        }
        let elements = shape.iter().try_fold(1_u64, |all, n| all.checked_mul(*n));
        Ok(elements.and_then(|n| n.checked_mul(4)))
    }

    /// Rows and columns of an i8 matrix in C order.
    fn matrix(self) -> Result<(u64, u64), NpyError> {
        let (descr, fortran, shape) = self.entries()?;
        if !matches!(descr, "|i1" | "<i1" | ">i1" | "=i1" | "i1") {
            return Err(NpyError::Type(descr.chars().take(64).collect()));
        }
        let [rows, columns] = shape[..] else {
            return Err(NpyError::Dimensions(shape.len()));
        };
        if rows == 0 || columns == 0 {
            return Err(NpyError::Empty(rows, columns));
        }
        // One row or one column lies the same in either order.
        if fortran && rows > 1 && columns > 1 {
            return Err(NpyError::Fortran);
        }
        Ok((rows, columns))
    }
}

/// The text between quotes, and what follows. Escapes do not occur in what is understood.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text.get(1..)?.split_once(quote)
}
