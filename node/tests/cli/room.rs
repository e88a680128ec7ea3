//! Namespaces in which a test may do to the machine what it likes: a small disk that it can fill, and a loopback of its
//! own on which it can refuse connections. Only processes that are started through a [`Room`] see them.
//!
//! Where they are not to be had a test fails, unless `STARLING_MOUNT_TESTS=skip` or `STARLING_NETNS_TESTS=skip` says
//! that this machine is to do without.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Its arguments: mount options, where to mount, whether there is a network to set up.
const SET_UP: &str = r#"mount -t tmpfs -o "$1" tmpfs "$2" || exit
[ "$3" = no ] || ip link set lo up || exit
echo ready && exec cat >/dev/null"#;

/// Namespaces, as long as it lives.
pub struct Room {
    holder: Child,
    network: bool,
    /// The disk's folder, as seen from outside.
    pub outside: PathBuf,
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Room {
    /// A room with a disk of so many MiB at the new folder `at`. None where the machine is to do without.
    pub fn with_disk(at: &Path, mib: u32) -> Option<Self> {
        Self::new(at, mib, false)
    }

    /// The same, with a loopback of its own.
    pub fn with_disk_and_network(at: &Path, mib: u32) -> Option<Self> {
        Self::new(at, mib, true)
    }

    fn new(at: &Path, mib: u32, network: bool) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mut command = Command::new("unshare");
        command.arg("-m").args(network.then_some("-n"));
        // Whoever is not the super-user is one in a namespace of users.
        command.args((!is_root()).then_some("-r"));
        let options = format!("size={mib}m,mode=700");
        command.args(["sh", "-c", SET_UP, "sh", &options]).arg(at);
        command.arg(if network { "yes" } else { "no" });
        let mut holder = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = holder.stdout.as_mut().unwrap();
        if stdout.read_exact(&mut [0; 5]).is_err() {
            let _ = holder.wait();
            let skips = |name| std::env::var(name).as_deref() == Ok("skip");
            assert!(
                skips("STARLING_MOUNT_TESTS") || (network && skips("STARLING_NETNS_TESTS")),
                "no disk can be mounted here{}, so nothing is known about full ones \
                 (STARLING_MOUNT_TESTS=skip does without)",
                if network { ", or no network made" } else { "" },
            );
            eprintln!("!! SKIPPED: no namespaces, so no disk is filled and no connection refused");
            return None;
        }
        let outside = PathBuf::from(format!("/proc/{}/root", holder.id()));
        let outside = outside.join(at.strip_prefix("/").unwrap());
        Some(Self {
            holder,
            network,
            outside,
        })
    }

    /// The program through which others are in it.
    pub fn enter(&self) -> Vec<String> {
        let id = self.holder.id().to_string();
        let mut all = vec!["nsenter", "-t", &id, "-m"];
        all.extend(self.network.then_some("-n"));
        if !is_root() {
            all.extend(["-U", "--preserve-credentials"]);
        }
        all.into_iter().map(str::to_owned).collect()
    }

    /// Writes to the disk until there is no space left.
    pub fn fill(&self) {
        let mut filler = std::fs::File::create(self.outside.join("filler")).unwrap();
        for len in [64 * 1024, 512, 1] {
            while filler.write_all(&vec![1; len]).is_ok() {}
        }
    }

    pub fn free(&self) {
        std::fs::remove_file(self.outside.join("filler")).unwrap();
    }

    /// Refuses whatever comes from or goes to these ports from now on, and nothing else: connections are reset, and
    /// datagrams answered by errors.
    pub fn refuse(&self, ports: &[u16]) {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let ports = ports.join(", ");
        // A table that is there is replaced, all at once.
        let mut rules = String::from("table inet room {}\ndelete table inet room\n");
        if !ports.is_empty() {
            rules += "table inet room { chain in { type filter hook input priority 0;\n";
            for side in ["dport", "sport"] {
                rules += &format!("tcp {side} {{ {ports} }} reject with tcp reset\n");
                rules += &format!("udp {side} {{ {ports} }} reject\n");
            }
            rules += "}\n}\n";
        }
        let enter = self.enter();
        let mut nft = Command::new(&enter[0])
            .args(&enter[1..])
            .args(["nft", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = nft.stdin.take().unwrap();
        stdin.write_all(rules.as_bytes()).unwrap();
        drop(stdin);
        assert!(nft.wait().unwrap().success(), "nft refused:\n{rules}");
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What it mounted and refused goes with it.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
