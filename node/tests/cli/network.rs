//! `net check`, and what the settings say about the network.

use crate::support::Place;

fn named<'a>(shown: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let checks = shown["checks"].as_array().unwrap();
    checks.iter().find(|c| c["name"] == name).unwrap()
}

#[test]
fn a_peer_alone_learns_that_it_is_alone_and_what_to_do() {
    let place = Place::new();
    let _up = place.up("a", &[]);
    let shown = place.run("a", &["net", "check", "--json"]).expect(8).json();
    assert_eq!(shown["findings"], 1);
    let peers = named(&shown, "peers");
    assert_eq!(peers["code"], "no_peer");
    assert!(peers["fix"].as_str().unwrap().contains("--bootstrap"));
    assert_eq!(named(&shown, "reachable")["status"], "ok");
    assert_eq!(shown["net"]["scope"], "local");
    place.run("a", &["net", "check"]).expect(8);
}

#[test]
fn without_a_running_peer_the_command_looks_for_itself() {
    let place = Place::new();
    let up = place.up("a", &[]);
    place.member("b", "a");
    let found = place
        .run("b", &["net", "check", "--bootstrap", &up.address, "--json"])
        .expect(0)
        .json();
    assert_eq!(named(&found, "bootstrap")["status"], "ok");
    assert_eq!(found["net"]["peers"], 1);

    let nobody = "/ip4/127.0.0.1/tcp/1";
    let lost = place
        .run(
            "b",
            &[
                "net",
                "check",
                "--bootstrap",
                nobody,
                "--wait",
                "1",
                "--json",
            ],
        )
        .expect(8)
        .json();
    let check = named(&lost, "bootstrap");
    assert_eq!(check["code"], "unreachable");
    assert!(check["what"].as_str().unwrap().contains(nobody));
}

#[test]
fn a_fixed_port_is_the_lending_peers_alone() {
    let place = Place::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let genesis = place.text("lan.toml");
    place
        .run(
            "a",
            &[
                "swarm", "create", "lan", "--open", "--scope", "lan", "-o", &genesis,
            ],
        )
        .expect(0);
    place.run("a", &["swarm", "join", &genesis]).expect(0);
    let listen = format!("/ip4/127.0.0.1/tcp/{port}");
    for (key, value) in [("network.listen", listen.as_str()), ("network.mdns", "off")] {
        place.run("a", &["config", "set", key, value]).expect(0);
    }
    let up = place.up("a", &[]);
    assert!(up.address.starts_with(&listen), "{}", up.address);
    let picture = ["run", "fractal", "--size", "64x64", "-o", "net.png"];
    place.run("a", &picture).expect(0);
}

#[test]
fn services_are_switched_by_words() {
    let place = Place::new();
    place
        .run("a", &["config", "set", "network.relay", "perhaps"])
        .expect(2)
        .says("auto, off");
    place
        .run(
            "a",
            &["config", "set", "network.announce", "/dns4/example/tcp/1"],
        )
        .expect(0);
    place
        .run("a", &["up", "--device", "cpu"])
        .expect(1)
        .says("/dns4/example/tcp/1");
}
