//! The API's password: 256 random bits in a private file. Whoever can read the file may use the API.

use std::fmt;
use std::io::Write as _;
use std::path::Path;

use crate::home::disk::{self, DiskError};
use crate::jobs::account::{hex, unhex};
use crate::reason::Reason;

/// The token's digest and, for its owner, the token.
#[derive(Clone)]
pub struct Token {
    text: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn random() -> Result<Self, Reason> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|e| Reason::of("error", format!("the system gave no randomness: {e}")))?;
        Ok(Self { text: hex(&bytes) })
    }

    /// The one in a file, which nobody else may read; made on first use.
    ///
    /// # Errors
    /// `disk_failed`; `home_exposed` if others can read it.
    pub fn load_or_create(path: &Path) -> Result<Self, Reason> {
        match Self::load(path) {
            Err(reason) if reason.code == "not_found" => {}
            found => return found,
        }
        let token = Self::random()?;
        let write = || {
            let mut draft = tempfile::Builder::new()
                .prefix(".starling-")
                .tempfile_in(disk::folder_of(path))?;
            draft.write_all(token.text.as_bytes())?;
            draft.persist(path).map(drop).map_err(|e| e.error)
        };
        // Drafts are private (0600) unless they are told otherwise.
        write().map_err(|e| DiskError::new("write", path, e))?;
        Ok(token)
    }

    /// The one in a file.
    ///
    /// # Errors
    /// `not_found`; `home_exposed`; `disk_failed`; `error` if it is no token.
    pub fn load(path: &Path) -> Result<Self, Reason> {
        let about = std::fs::metadata(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Reason::new(
                "not_found",
                "there is no token",
                "start the peer with `starling up`",
            ),
            _ => DiskError::new("read", path, e).into(),
        })?;
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
            if mode & 0o077 != 0 {
                let what = format!(
                    "others on this machine can read {} (mode {mode:03o})",
                    path.display()
                );
                return Err(Reason::new(
                    "home_exposed",
                    what,
                    format!("delete {}: a new token is made", path.display()),
                ));
            }
        }
        let text = if about.len() > 256 {
            String::new()
        } else {
            std::fs::read_to_string(path).map_err(|e| DiskError::new("read", path, e))?
        };
        match unhex(text.trim()).filter(|bytes| bytes.len() == 32) {
            Some(bytes) => Ok(Self { text: hex(&bytes) }),
            None => {
                let what = format!("{} holds no token", path.display());
                Err(Reason::new("error", what, "delete it: a new one is made"))
            }
        }
    }

    /// For the owner's own requests.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Compares in constant time: digests do, and how they compare says nothing about the text.
    pub fn is(&self, given: &str) -> bool {
        blake3::hash(self.text.as_bytes()) == blake3::hash(given.as_bytes())
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        text.contains(&self.text)
    }
}
