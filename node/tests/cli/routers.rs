//! Whole jobs across networks: peers of one site that find each other, and peers behind routers that hide them.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::Lab;
use crate::support::{Ended, Place, Process, Up, read};

/// Questions of AutoNAT, a reservation, a punched hole: each takes some seconds.
const BOUND: Duration = Duration::from_secs(90);

/// A swarm's homes on a lab's hosts, one of the same name on each.
struct Site<'a> {
    lab: &'a Lab,
    place: Place,
}

impl<'a> Site<'a> {
    fn new(lab: &'a Lab, scope: &str, hosts: &[&str]) -> Self {
        let place = Place::new();
        let genesis = place.text("lab.toml");
        place
            .run(
                hosts[0],
                &[
                    "swarm", "create", "lab", "--open", "--scope", scope, "-o", &genesis,
                ],
            )
            .expect(0);
        for host in hosts {
            place.run(host, &["swarm", "join", &genesis]).expect(0);
        }
        Self { lab, place }
    }

    fn run(&self, host: &str, args: &[&str]) -> Ended {
        Process::start(self.lab.by(host, &self.place.command(host, args))).end()
    }

    fn up(&self, host: &str, args: &[&str]) -> Up {
        let all = [&["up", "--events", "--device", "cpu"], args].concat();
        Up::started(Process::start(
            self.lab.by(host, &self.place.command(host, &all)),
        ))
    }

    /// The swarm makes for this host what it makes alone.
    fn works_for(&self, host: &str) {
        let picture = ["run", "fractal", "--size", "160x120", "-o"];
        let job = [&picture[..], &["net.png", "--wait", "60"]].concat();
        self.run(host, &job).expect(0);
        let alone = [&picture[..], &["alone.png", "--local"]].concat();
        self.place.run(host, &alone).expect(0);
        assert_eq!(
            read(&self.place.path("net.png")),
            read(&self.place.path("alone.png"))
        );
    }

    /// What `net check` shows there once it is as wanted.
    fn until(&self, host: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let net = self.run(host, &["net", "check", "--json"]).json()["net"].clone();
            if wanted(&net) {
                return net;
            }
            assert!(
                start.elapsed() < BOUND,
                "{host} waited in vain for {what}: {net:#}"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn reached_by(net: &Value, how: &str) -> bool {
    let all = net["reachable"].as_array().unwrap();
    all.iter().any(|r| r["how"] == how)
}

#[test]
fn peers_of_one_site_find_each_other_without_an_address() {
    let Some(mut lab) = Lab::open() else { return };
    lab.switch("site");
    for (host, address) in [("a", "10.77.0.1/24"), ("b", "10.77.0.2/24")] {
        lab.host(host);
        lab.plug(host, "site", address);
        lab.route(host, "10.77.0.254");
    }
    let site = Site::new(&lab, "lan", &["a", "b"]);
    let _a = site.up("a", &[]);
    site.works_for("b");
}

#[test]
fn peers_behind_routers_work_for_each_other() {
    let Some(mut lab) = Lab::open() else { return };
    lab.switch("net");
    lab.host("relay");
    lab.plug("relay", "net", "198.51.100.1/24");
    for (n, home) in [(1, "a"), (2, "b")] {
        let (router, bridge, site) = (format!("r{n}"), format!("site{n}"), format!("192.168.{n}"));
        lab.switch(&bridge);
        lab.host(&router);
        lab.plug(&router, "net", &format!("198.51.100.{}/24", 10 + n));
        lab.plug(&router, &bridge, &format!("{site}.1/24"));
        lab.hide(&router, &format!("{site}.0/24"));
        lab.host(home);
        lab.plug(home, &bridge, &format!("{site}.2/24"));
        lab.route(home, &format!("{site}.1"));
    }
    let site = Site::new(&lab, "public", &["relay", "a", "b"]);
    let quic = "/ip4/198.51.100.1/udp/4001/quic-v1";
    let tcp = "/ip4/198.51.100.1/tcp/4001";
    let _relay = site.up("relay", &["--no-lend", "--listen", quic, "--listen", tcp]);
    let _a = site.up("a", &["--bootstrap", quic]);
    let hidden = site.until("a", "a reservation", |net| reached_by(net, "relay"));
    assert!(!reached_by(&hidden, "autonat"), "its router lets nobody in");
    assert!(!hidden["asked"].as_array().unwrap().is_empty());
    let open = site.until("relay", "a visitor", |net| reached_by(net, "inbound"));
    assert_eq!(open["relaying"], true);
    assert_eq!(open["serves_kademlia"], true);

    // The only lender and the requester are both hidden.
    let _b = site.up("b", &["--no-lend", "--bootstrap", quic]);
    site.works_for("b");
    let punched = site.until("a", "a direct connection", |net| {
        net["punched"].as_u64() >= Some(1)
    });
    assert!(reached_by(&punched, "relay"));
}
