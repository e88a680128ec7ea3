//! Several swarms on one machine: each has a home of its own, and one of them is the current one.
//!
//! ```text
//! BASE/                a home, the first swarm's        BASE/current      the folder of the current one
//! BASE/swarms/NAME/    a home for each further one      BASE/former-N/    what was left
//! ```
//!
//! Homes share nothing, not even an identity: peers of two swarms cannot tell that they are one machine's, and both may
//! run at a time.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use starling_protocol::{Genesis, SwarmId};

use super::disk::{self, DiskError};
use crate::genesis;

/// Says which one is current.
const CURRENT: &str = "current";
/// Further homes.
const FOLDER: &str = "swarms";
/// Longest name of a folder in it, in characters.
const NAME_MAX: usize = 32;
/// Numbers that are tried for a folder that is not there yet.
const NUMBERS: u32 = 10_000;

/// A swarm of this machine.
#[derive(Clone, Debug)]
pub struct Known {
    /// What commands call it: the name of its folder, or that of the swarm in the base.
    pub name: String,
    /// Its home.
    pub root: PathBuf,
    /// The swarm.
    pub genesis: Genesis,
}

/// Those of a base folder.
#[derive(Clone, Debug)]
pub struct Swarms {
    base: PathBuf,
}

impl Swarms {
    /// Those of `base`. Looks at nothing yet.
    pub fn of(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
        }
    }

    /// All of them, the base's first. A folder whose genesis cannot be read is none of them.
    pub fn list(&self) -> Vec<Known> {
        let load = |root: PathBuf| {
            let genesis = genesis::load(&root.join("genesis.toml")).ok()?;
            Some((root, genesis))
        };
        let first = load(self.base.clone()).map(|(root, genesis)| Known {
            name: genesis.name.clone(),
            root,
            genesis,
        });
        let entries = std::fs::read_dir(self.base.join(FOLDER))
            .into_iter()
            .flatten();
        let mut rest: Vec<_> = entries
            .filter_map(|entry| load(entry.ok()?.path()))
            .filter_map(|(root, genesis)| {
                let name = root.file_name()?.to_str()?.to_owned();
                Some(Known {
                    name,
                    root,
                    genesis,
                })
            })
            .collect();
        rest.sort_by(|a, b| a.name.cmp(&b.name));
        first.into_iter().chain(rest).collect()
    }

    /// The current home: the base, unless another one was chosen that is still there.
    pub fn current(&self) -> PathBuf {
        let name = std::fs::read_to_string(self.base.join(CURRENT)).unwrap_or_default();
        let folder = self.base.join(FOLDER).join(name.trim());
        let there = is_name(name.trim()) && folder.join("genesis.toml").is_file();
        if there { folder } else { self.base.clone() }
    }

    /// Those that `wanted` names: the name, the genesis' one, or the beginning of the id.
    pub fn find(&self, wanted: &str) -> Vec<Known> {
        let all = self.list();
        let exact: Vec<_> = all.iter().filter(|k| k.name == wanted).cloned().collect();
        if !exact.is_empty() {
            return exact;
        }
        let fits = |known: &Known| {
            let id = known.genesis.swarm_id().to_string();
            known.genesis.name == wanted || (wanted.len() >= 4 && id.starts_with(wanted))
        };
        all.into_iter().filter(fits).collect()
    }

    /// The home in that swarm, if there is one.
    pub fn with_id(&self, swarm: &SwarmId) -> Option<Known> {
        let mut all = self.list().into_iter();
        all.find(|known| known.genesis.swarm_id() == *swarm)
    }

    /// A folder for the home of a swarm of that name: the base, if it belongs to none. Makes nothing.
    pub fn room_for(&self, name: &str) -> PathBuf {
        if !self.base.join("genesis.toml").exists() {
            return self.base.clone();
        }
        let folder = self.base.join(FOLDER);
        let plain = plain(name);
        let mut names = (1..NUMBERS).map(|n| match n {
            1 => plain.clone(),
            n => format!("{plain}-{n}"),
        });
        let free = names.find(|name| !folder.join(name).exists());
        folder.join(free.unwrap_or(plain))
    }

    /// Makes a home the current one.
    pub fn choose(&self, root: &Path) -> Result<(), DiskError> {
        let path = self.base.join(CURRENT);
        if root == self.base {
            return match std::fs::remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => {
                    Err(DiskError::new("remove", &path, e))
                }
                _ => Ok(()),
            };
        }
        let name = root.file_name().unwrap_or_default().to_string_lossy();
        disk::write_atomically(&path, name.as_bytes())
    }

    /// Makes the first free folder `former-N`.
    pub fn former(&self) -> Result<PathBuf, DiskError> {
        for number in 1..NUMBERS {
            let aside = self.base.join(format!("former-{number}"));
            match std::fs::create_dir(&aside) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                made => {
                    made.map_err(DiskError::on("create", &aside))?;
                    return Ok(aside);
                }
            }
        }
        let full = std::io::Error::other("too many former swarms: delete some");
        Err(DiskError::new("create", &self.base.join("former"), full))
    }

    /// The base itself.
    pub fn base(&self) -> &Path {
        &self.base
    }
}

/// A name that is safe as a folder's.
fn plain(name: &str) -> String {
    let kept = name.chars().map(|c| match c {
        'a'..='z' | '0'..='9' => c,
        'A'..='Z' => c.to_ascii_lowercase(),
        _ => '-',
    });
    let kept: String = kept.take(NAME_MAX).collect();
    let kept = kept.trim_matches('-');
    if kept.is_empty() { "swarm" } else { kept }.to_owned()
}

/// Whether [`plain`] could have made it, with or without a number.
fn is_name(name: &str) -> bool {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=NAME_MAX + 6).contains(&name.len()) && name.chars().all(ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_protocol::Scope;

    fn enter(swarms: &Swarms, name: &str) -> PathBuf {
        let root = swarms.room_for(name);
        disk::create_private_dir(&root).expect("a folder");
        let genesis = genesis::create(name, Scope::Local, None).expect("a swarm");
        genesis::save_new(&genesis, &root.join("genesis.toml")).expect("saved");
        root
    }

    #[test]
    fn each_further_swarm_has_a_home_of_its_own() {
        let base = tempfile::tempdir().expect("a folder");
        let swarms = Swarms::of(base.path());
        assert_eq!(swarms.current(), base.path());
        assert_eq!(enter(&swarms, "home"), base.path());
        let lab = enter(&swarms, "The Lab!");
        assert_eq!(lab, base.path().join("swarms/the-lab"));
        let again = enter(&swarms, "the lab");
        assert_eq!(again, base.path().join("swarms/the-lab-2"));
        let names: Vec<_> = swarms.list().into_iter().map(|k| k.name).collect();
        assert_eq!(names, ["home", "the-lab", "the-lab-2"]);
        assert_eq!(swarms.find("the-lab").len(), 1);
        assert_eq!(swarms.find("The Lab!").len(), 1);
        assert_eq!(swarms.find("nowhere").len(), 0);
    }

    #[test]
    fn the_current_one_is_the_one_that_was_chosen_and_is_there() {
        let base = tempfile::tempdir().expect("a folder");
        let swarms = Swarms::of(base.path());
        enter(&swarms, "home");
        let lab = enter(&swarms, "lab");
        swarms.choose(&lab).expect("chosen");
        assert_eq!(swarms.current(), lab);
        for strange in ["../..", "/", "", "nowhere"] {
            std::fs::write(base.path().join(CURRENT), strange).expect("written");
            assert_eq!(swarms.current(), base.path());
        }
        swarms.choose(&lab).expect("chosen");
        std::fs::remove_dir_all(&lab).expect("removed");
        assert_eq!(swarms.current(), base.path());
        swarms.choose(base.path()).expect("chosen");
        swarms.choose(base.path()).expect("nothing to do");
    }
}
