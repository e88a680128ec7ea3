//! Where results come from: the source's commit, the locked dependencies, the command.

use std::path::Path;
use std::process::Command;

/// The lockfile that this program was built with.
const LOCKFILE: &[u8] = include_bytes!("../../../Cargo.lock");

/// BLAKE3 of the lockfile that this program was built with, in hex.
pub fn lockfile() -> String {
    blake3::hash(LOCKFILE).to_hex().to_string()
}

/// The commit that the source folder of this program stands at, with `-dirty` when tracked files differ from it;
/// `unknown` where the folder is gone or git is not to be had. It is looked up at run time, so it is the program's
/// own only if the program was built last.
pub fn commit() -> String {
    commit_of(Path::new(env!("CARGO_MANIFEST_DIR")))
}

fn commit_of(folder: &Path) -> String {
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(args)
            .output();
        let done = done.ok().filter(|done| done.status.success())?;
        Some(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    };
    let Some(head) = git(&["rev-parse", "HEAD"]) else {
        return "unknown".into();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => head,
        Some(_) | None => format!("{head}-dirty"),
    }
}

/// A command line as it is typed into a POSIX shell.
pub fn typed<S: AsRef<str>>(args: &[S]) -> String {
    let args: Vec<_> = args.iter().map(|arg| quoted(arg.as_ref())).collect();
    args.join(" ")
}

fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        arg.to_owned()
    } else {
        format!("'{}'", arg.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_survive_the_shell() {
        assert_eq!(typed(&["a", "b c", "it's", ""]), r"a 'b c' 'it'\''s' ''");
    }

    #[test]
    fn without_a_repository_the_commit_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(commit_of(dir.path()), "unknown");
    }
}
