//! Texts for strangers: without secrets, addresses, names and paths of their owner.
//!
//! What is known to be secret is replaced by name, whatever looks like an address or a key by its shape. Settings and
//! the network's state are not searched but rebuilt (`bundle`). Invariant: what [`Redactor::text`] returns has no
//! address in it, and no run of letters and digits as long as a key.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::super::place::Place;
use crate::api::client::TOKEN_FILE;
use crate::genesis;
use crate::key::Seed;
use crate::membership::Gate;
use crate::net::Multiaddr;

/// Letters and digits in a row from which on they are taken for a key, a peer's name or a code.
const KEY_LEN: usize = 24;
/// What is left of them.
const SHOWN: usize = 6;
/// How addresses of libp2p begin.
const PROTOCOLS: [&str; 6] = ["/ip4/", "/ip6/", "/dns", "/p2p/", "/unix/", "/ip6zone/"];

/// What one home must not tell.
pub struct Redactor {
    /// What is replaced by what, the longest first.
    known: Vec<(String, &'static str)>,
    secrets: Vec<Vec<u8>>,
}

impl Redactor {
    /// Of a home.
    pub fn of(place: &Place) -> Self {
        // A folder that is named without a path would be found in every other word.
        let paths = [(&*place.root, "HOME"), (place.swarms.base(), "BASE")].map(|(path, name)| {
            let full = std::path::absolute(path).unwrap_or_default();
            (full.display().to_string(), name)
        });
        let mut known = paths.to_vec();
        if let Ok(user) = etcetera::home_dir() {
            known.push((user.display().to_string(), "~"));
        }
        let mut secrets = Vec::new();
        if let Ok(token) = std::fs::read_to_string(place.root.join(TOKEN_FILE)) {
            secrets.push(token.trim().as_bytes().to_vec());
            known.push((token.trim().to_owned(), "(secret)"));
        }
        for file in ["identity.key", "requester/identity.key", "admission.key"] {
            if let Ok(seed) = Seed::load(&place.root.join(file)) {
                secrets.push(seed.as_bytes().to_vec());
                let hex = blake3::Hash::from_bytes(*seed.as_bytes()).to_hex();
                known.push((hex.to_string(), "(secret)"));
            }
        }
        if let Ok(genesis) = genesis::load(&place.genesis_file()) {
            if let Ok(Some(gate)) = Gate::open(&place.root, &genesis) {
                let name = gate.certificate().body.name;
                known.push((format!("{:?}", name.as_str()), "\"(member)\""));
            }
            known.push((format!("{:?}", genesis.name), "\"(swarm)\""));
        }
        known.retain(|(text, _)| text.len() > 1);
        known.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Self { known, secrets }
    }

    /// Whether a known secret is in these bytes.
    pub fn leaks(&self, bytes: &[u8]) -> bool {
        let mut secrets = self.secrets.iter().filter(|secret| !secret.is_empty());
        secrets.any(|secret| bytes.windows(secret.len()).any(|part| part == secret))
    }

    /// A text without what it must not tell.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (known, instead) in &self.known {
            text = text.replace(known, instead);
        }
        let mut out = String::with_capacity(text.len());
        let ends = |c: char| c.is_whitespace() || "\"'`,;()[]{}<>=|".contains(c);
        for piece in text.split_inclusive(ends) {
            let end = piece.char_indices().next_back().filter(|(_, c)| ends(*c));
            let (word, end) = piece.split_at(end.map_or(piece.len(), |(at, _)| at));
            word_into(word, &mut out);
            out.push_str(end);
        }
        out
    }

    /// The same for every text in a value.
    pub fn json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.text(&text).into(),
            Value::Array(all) => all.into_iter().map(|v| self.json(v)).collect(),
            Value::Object(all) => {
                let all = all.into_iter().map(|(key, v)| (key, self.json(v)));
                Value::Object(all.collect())
            }
            plain => plain,
        }
    }
}

/// A word without blanks and quotes.
fn word_into(word: &str, out: &mut String) {
    let begins = PROTOCOLS.iter().filter_map(|p| word.find(p)).min();
    let (plain, address) = word.split_at(begins.unwrap_or(word.len()));
    for part in plain.split_inclusive(['/', '@']) {
        let bare = part.trim_end_matches(['/', '@']);
        let (core, rest) = bare.split_at(bare.trim_end_matches(['.', ':', '!', '?']).len());
        match ip(core) {
            Some(ip) => out.push_str(&format!("({} address)", reach(ip))),
            None => shortened(&without_ip4(core), out),
        }
        out.push_str(rest);
        out.push_str(&part[bare.len()..]);
    }
    if !address.is_empty() {
        let parsed = address.trim_end_matches(['.', ':']).parse::<Multiaddr>();
        let scope = parsed.map_or("some", |address| scope(&address));
        out.push_str(&format!("({scope} address)"));
    }
}

/// An address of the internet, with or without a port or a zone.
fn ip(word: &str) -> Option<IpAddr> {
    // A lone `::`, as in a path of code, is an address only by accident.
    let word = word.split('%').next().filter(|w| w.len() > 2)?;
    let with_port = || Some(word.parse::<SocketAddr>().ok()?.ip());
    let before_port = || word.rsplit_once(':')?.0.parse().ok();
    word.parse().ok().or_else(with_port).or_else(before_port)
}

/// A word in the middle of which an address may stand.
fn without_ip4(word: &str) -> String {
    let numeric = |b: &u8| b.is_ascii_digit() || *b == b'.';
    let runs = word.as_bytes().chunk_by(|a, b| numeric(a) == numeric(b));
    let shown = runs.map(|run| {
        let run = String::from_utf8_lossy(run);
        let ip = run.trim_matches('.').parse().map(IpAddr::V4);
        ip.map_or(run, |ip| format!("({} address)", reach(ip)).into())
    });
    shown.collect()
}

/// Long runs of letters and digits are keys: their beginning tells them apart.
fn shortened(word: &str, out: &mut String) {
    for part in word.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let run = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if run.len() >= KEY_LEN {
            out.push_str(&run[..SHOWN]);
            out.push('…');
            out.push_str(&part[run.len()..]);
        } else {
            out.push_str(part);
        }
    }
}

/// How far an address reaches, and nothing else of it.
pub fn scope(address: &Multiaddr) -> &'static str {
    let text = address.to_string();
    let mut parts = text.split('/').skip(1);
    if text.contains("/p2p-circuit") {
        return "relayed";
    }
    match (parts.next(), parts.next()) {
        (Some("ip4" | "ip6"), Some(ip)) => ip.parse().map_or("some", reach),
        (Some("ip6zone"), _) => "link-local",
        (Some(name), _) if name.starts_with("dns") => "named",
        _ => "some",
    }
}

fn reach(ip: IpAddr) -> &'static str {
    let ip = ip.to_canonical();
    if ip.is_unspecified() {
        return "every";
    }
    if ip.is_loopback() {
        return "loopback";
    }
    match ip {
        IpAddr::V4(ip) if ip.is_private() => "private",
        IpAddr::V4(ip) if ip.is_link_local() => "link-local",
        // What providers hand out behind their own translation (RFC 6598).
        IpAddr::V4(ip) if ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64 => "shared",
        IpAddr::V6(ip) if ip.is_unique_local() => "private",
        IpAddr::V6(ip) if ip.is_unicast_link_local() => "link-local",
        IpAddr::V4(_) | IpAddr::V6(_) => "public",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keys_and_known_texts_go_and_the_rest_stays() {
        let redactor = Redactor {
            known: vec![
                ("/data/ada/x".into(), "HOME"),
                ("\"lab\"".into(), "\"(swarm)\""),
            ],
            secrets: vec![b"seed".to_vec()],
        };
        let key = "0123456789abcdef".repeat(4);
        for (text, told) in [
            (
                "cannot reach /ip4/203.0.113.7/udp/4001/quic-v1: refused",
                "cannot reach (public address) refused",
            ),
            (
                "at 192.168.1.7, and 10.0.0.1:80.",
                "at (private address), and (private address).",
            ),
            (
                "[2001:db8::7]:4001 fe80::1%eth0",
                "[(public address)]:4001 (link-local address)",
            ),
            ("2001:db8::7", "(public address)"),
            ("host-10.1.2.3.lan", "host-(private address)lan"),
            ("http://127.0.0.1:4001/api", "http://(loopback address)/api"),
            ("dial=/dns4/ada.example/tcp/1", "dial=(named address)"),
            (
                "/data/ada/x/identity.key of \"lab\"",
                "HOME/identity.key of \"(swarm)\"",
            ),
            (
                "starling::net: 12 of 3.5 GiB, version 0.1.0",
                "starling::net: 12 of 3.5 GiB, version 0.1.0",
            ),
            (
                "NVIDIA GeForce RTX 4090 (vulkan, DiscreteGpu)",
                "NVIDIA GeForce RTX 4090 (vulkan, DiscreteGpu)",
            ),
            (
                "STARLING_LIMITS_THREADS limits.connections",
                "STARLING_LIMITS_THREADS limits.connections",
            ),
        ] {
            assert_eq!(redactor.text(text), told);
        }
        let peers = redactor.text(&format!(
            "peer {key}/x 12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf"
        ));
        assert_eq!(peers, "peer 012345…/x 12D3Ko…");
        assert!(redactor.leaks(b"a seed."));
        assert!(!redactor.leaks(b"a sed."));
    }
}
