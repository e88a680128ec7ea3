//! The peer's identity on disk: one ed25519 seed in one file that only its owner may read.
//!
//! Not a key store and not a signer: it hands out the 32 bytes from which the protocol's identity is
//! made. Invariant: a key file is created whole, once, with mode 0600, and is never overwritten; a file
//! that others may read, or whose check does not match, is refused rather than repaired.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::{Zeroize, Zeroizing};

use crate::home::disk::{self, DiskError};

/// Start of a key file; the digit is its version.
const MAGIC: &[u8; 8] = b"STARKEY1";
const SEED: usize = 32;
const CHECK: usize = 8;
/// Magic, seed, check.
const FILE: usize = MAGIC.len() + SEED + CHECK;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no key file at this place.
    #[error("there is no identity at {}; `starling up` makes one", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Group or others may read, write or run the file.
    #[error(
        "others on this machine can read the identity {} (mode {mode:03o}); run: chmod 600 {}",
        path.display(), path.display()
    )]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a regular file of the right length.
    #[error(
        "{} is no identity: it has {found} bytes instead of {FILE}; restore it from a backup, or move it away to become a new peer",
        path.display()
    )]
    Size {
        /// The key file.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
    },
    /// The right length, but the wrong magic or check.
    #[error(
        "the identity {} is damaged; restore it from a backup, or move it away to become a new peer",
        path.display()
    )]
    Damaged {
        /// The key file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("the system gave no randomness for a new identity: {0}")]
    Randomness(getrandom::Error),
    /// The file could not be read or created.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// An ed25519 seed. Wiped when dropped, absent from debug output, not copyable.
pub struct Seed(Zeroizing<[u8; SEED]>);

impl Seed {
    /// Takes a seed over and wipes the caller's copy.
    pub fn from_bytes(bytes: &mut [u8; SEED]) -> Self {
        let seed = Self(Zeroizing::new(*bytes));
        bytes.zeroize();
        seed
    }

    /// A fresh one from the system's randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Self(Zeroizing::new([0; SEED]));
        getrandom::fill(seed.0.as_mut_slice()).map_err(KeyError::Randomness)?;
        Ok(seed)
    }

    /// The secret itself.
    pub fn as_bytes(&self) -> &[u8; SEED] {
        &self.0
    }

    /// Reads a key file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let missing = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => KeyError::Missing {
                path: path.to_owned(),
            },
            _ => DiskError::new("read", path, e).into(),
        };
        // Asked by name first: opening a pipe would wait for ever.
        let found = std::fs::metadata(path).map_err(missing)?;
        if !found.is_file() {
            return Err(KeyError::Size {
                path: path.to_owned(),
                found: 0,
            });
        }
        let file = File::open(path).map_err(missing)?;
        let about = file.metadata().map_err(DiskError::on("read", path))?;
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeyError::Exposed {
                    path: path.to_owned(),
                    mode,
                });
            }
        }
        let mut bytes = Zeroizing::new([0_u8; FILE]);
        if about.len() != FILE as u64 {
            return Err(KeyError::Size {
                path: path.to_owned(),
                found: about.len(),
            });
        }
        (&file)
            .read_exact(bytes.as_mut_slice())
            .map_err(DiskError::on("read", path))?;
        let (magic, rest) = bytes.split_at(MAGIC.len());
        let (seed, check) = rest.split_at(SEED);
        let mut held = Self(Zeroizing::new([0; SEED]));
        held.0.copy_from_slice(seed);
        if magic != MAGIC || check != held.check() {
            return Err(KeyError::Damaged {
                path: path.to_owned(),
            });
        }
        Ok(held)
    }

    /// Writes a new key file. Answers false, and leaves the file alone, if there is one already.
    pub fn save_new(&self, path: &Path) -> Result<bool, KeyError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(self.as_bytes());
        bytes.extend_from_slice(&self.check());
        Ok(disk::create_whole(path, &bytes)?)
    }

    /// Reads the key file, or makes it on the first run. The flag says whether it is new.
    pub fn load_or_create(path: &Path) -> Result<(Self, bool), KeyError> {
        match Self::load(path) {
            Err(KeyError::Missing { .. }) => {
                let seed = Self::generate()?;
                if seed.save_new(path)? {
                    return Ok((seed, true));
                }
                // Somebody else made one in between: theirs counts.
                Self::load(path).map(|seed| (seed, false))
            }
            other => other.map(|seed| (seed, false)),
        }
    }

    /// Tells a damaged seed from a sound one. One-way, and it lies beside the seed anyway.
    fn check(&self) -> [u8; CHECK] {
        let mut hash = blake3::Hasher::new_derive_key("starling 2026 identity file check");
        hash.update(self.as_bytes());
        let mut check = [0; CHECK];
        hash.finalize_xof().fill(&mut check);
        check
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}
