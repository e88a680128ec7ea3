//! Networks of this machine's own: namespaces, cables between them, routers that translate addresses.
//!
//! They need root and the tools `ip` and `nft`; nothing leaves them. `STARLING_NETNS_TESTS=skip` goes on without them;
//! otherwise a machine that cannot make them fails the test, so that nothing is skipped in silence.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Namespaces that vanish with it.
pub struct Lab {
    prefix: String,
    hosts: Vec<String>,
    cables: u32,
}

impl Lab {
    /// None if the tests are to go on without; panics if they are not, and the machine has no namespaces.
    pub fn open() -> Option<Self> {
        static LABS: AtomicU32 = AtomicU32::new(0);
        if std::env::var("STARLING_NETNS_TESTS").as_deref() == Ok("skip") {
            eprintln!("!! SKIPPED: STARLING_NETNS_TESTS=skip, nothing was tried across routers");
            return None;
        }
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let mut lab = Self {
            prefix: format!("st{}-{number}", std::process::id()),
            hosts: Vec::new(),
            cables: 0,
        };
        lab.host("sw");
        Some(lab)
    }

    /// The namespace of a host.
    pub fn name(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    /// Adds a host, with loopback only.
    pub fn host(&mut self, host: &str) {
        let name = self.name(host);
        run(&["ip", "netns", "add", &name]);
        self.hosts.push(host.to_owned());
        self.on(host, &["ip", "link", "set", "lo", "up"]);
    }

    /// Adds a switch to the room of switches.
    pub fn switch(&mut self, bridge: &str) {
        self.on("sw", &["ip", "link", "add", bridge, "type", "bridge"]);
        self.on("sw", &["ip", "link", "set", bridge, "up"]);
    }

    /// Plugs a host into a switch, under an address.
    pub fn plug(&mut self, host: &str, bridge: &str, address: &str) {
        self.cables += 1;
        let (near, far) = (format!("e{}", self.cables), format!("p{}", self.cables));
        let (host_ns, switch_ns) = (self.name(host), self.name("sw"));
        run(&[
            "ip", "link", "add", &near, "netns", &host_ns, "type", "veth", "peer", "name", &far,
            "netns", &switch_ns,
        ]);
        self.on("sw", &["ip", "link", "set", &far, "master", bridge, "up"]);
        self.on(host, &["ip", "address", "add", address, "dev", &near]);
        self.on(host, &["ip", "link", "set", &near, "up"]);
    }

    /// Names the router of a host.
    pub fn route(&self, host: &str, by: &str) {
        self.on(host, &["ip", "route", "add", "default", "via", by]);
    }

    /// Makes a host a home's router: it hides those behind it, and lets in only what they asked for.
    pub fn hide(&self, router: &str, site: &str) {
        self.on(
            router,
            &["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"],
        );
        let rules = format!(
            "table ip home {{\n\
             chain out {{\n type nat hook postrouting priority 100;\n ip saddr {site} masquerade\n }}\n\
             chain through {{\n type filter hook forward priority 0; policy drop;\n\
             ct state established,related accept\n ip saddr {site} accept\n }}\n\
             chain in {{\n type filter hook input priority 0; policy drop;\n\
             ct state established,related accept\n ip saddr {site} accept\n }}\n }}\n"
        );
        let name = self.name(router);
        let mut nft = Command::new("ip")
            .args(["netns", "exec", &name, "nft", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("ip");
        let mut stdin = nft.stdin.take().expect("piped");
        std::io::Write::write_all(&mut stdin, rules.as_bytes()).expect("nft reads");
        drop(stdin);
        assert!(nft.wait().expect("nft").success(), "nft refused:\n{rules}");
    }

    fn on(&self, host: &str, command: &[&str]) {
        let name = self.name(host);
        run(&[&["ip", "netns", "exec", name.as_str()], command].concat());
    }

    /// The command, run by that host.
    pub fn by(&self, host: &str, command: &Command) -> Command {
        let mut by = Command::new("ip");
        by.args(["netns", "exec", &self.name(host)])
            .arg(command.get_program())
            .args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            by.current_dir(folder);
        }
        by.stdin(Stdio::null());
        by
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in &self.hosts {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.name(host)])
                .status();
        }
    }
}

#[track_caller]
fn run(command: &[&str]) {
    let ran = Command::new(command[0]).args(&command[1..]).output();
    let failed = match ran {
        Ok(done) if done.status.success() => return,
        Ok(done) => String::from_utf8_lossy(&done.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "{}: {failed}\nnetwork namespaces need root, iproute2 and nftables; \
         STARLING_NETNS_TESTS=skip goes on without them",
        command.join(" ")
    );
}
