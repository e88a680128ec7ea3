//! Files that are there whole or not at all: a temporary file beside the target, synced, then renamed.
//!
//! Whoever is killed in between leaves the temporary file, whose name starts with a dot and which the next attempt
//! overwrites.

use super::ResultsError;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Puts `bytes` at `path`.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), ResultsError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    let written = File::create(&temporary)
        .and_then(|mut file| fill(&mut file, bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        // On a full disk half a file is only in the way; if it cannot go, that is no further harm.
        let _ = fs::remove_file(&temporary);
        return Err(ResultsError::io("write", path, source));
    }
    // The rename itself must survive a power cut too. Windows cannot sync a folder, and need not.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|e| ResultsError::io("write", path, e))?;
    }
    Ok(())
}

fn fill(file: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.flush()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_as_one() {
        let mut full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let source = fill(&mut full, b"x").unwrap_err();
        let error = ResultsError::io("write", Path::new("cells/00001-1.json"), source);
        assert_eq!(
            error.to_string(),
            "no space left for cells/00001-1.json: finished cells are kept; make room and run the same command again"
        );
    }
}
