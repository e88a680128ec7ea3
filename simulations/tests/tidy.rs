//! Documents and layout that fail the build when they lie.
//!
//! Reads the repository as text, with the standard library alone; it lives in this crate because the
//! crate is small, not because it is about simulations. Every checker is itself tried on a fixture that it
//! must reject. What it does not do: understand Rust, beyond braces and comments.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 5] = ["protocol", "compute-kernels", "node", "simulations", "fuzz"];
const MAX_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[track_caller]
fn assert_none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Every file of ours, relative to the root with forward slashes.
fn our_files() -> Vec<String> {
    fn walk(dir: &Path, files: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = entry.file_name();
            // Neither what is built nor what is fetched.
            if kind.is_dir() && name != "target" && name != "node_modules" {
                walk(&path, files);
            } else if kind.is_file() {
                files.push(
                    path.strip_prefix(root())
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .replace('\\', "/"),
                );
            }
        }
    }
    let mut files = Vec::new();
    for dir in CRATES.iter().chain(&["scripts", ".ci"]) {
        walk(&root().join(dir), &mut files);
    }
    let top = fs::read_dir(root()).unwrap().map(Result::unwrap);
    let top = top
        .filter(|entry| entry.file_type().unwrap().is_file() && entry.file_name() != "Cargo.lock");
    // In a git worktree `.git` is a file that names a place on this machine.
    files.extend(
        top.map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| name != ".git"),
    );
    files.sort();
    files
}

/// Every Rust file of ours with its text.
fn rust_files() -> Vec<(String, String)> {
    let files = our_files().into_iter().filter(|path| path.ends_with(".rs"));
    files.map(|path| (path.clone(), read(&path))).collect()
}

/// Text between single backticks, outside fenced blocks.
fn backticked(document: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// The repository path that a backticked text means, if it means one: it starts with a name of the top
/// level, or it is a source file. Commands, wire names, globs and placeholders are none.
fn as_path<'a>(text: &'a str, top: &BTreeSet<String>) -> Option<&'a str> {
    let path = text
        .split_once(':')
        .map_or(text, |(path, _line)| path)
        .trim_end_matches('/');
    if path.is_empty() || path.contains(|c: char| c.is_whitespace() || "*<>{}$…".contains(c)) {
        return None;
    }
    let first = path.split('/').next()?;
    let source = [".rs", ".wgsl"].iter().any(|end| path.ends_with(end)) && !path.starts_with('.');
    (top.contains(first) || CRATES.contains(&first) || source).then_some(path)
}

fn missing_paths(
    document: &str,
    top: &BTreeSet<String>,
    exists: impl Fn(&str) -> bool,
) -> Vec<String> {
    let named: BTreeSet<_> = backticked(document)
        .into_iter()
        .filter_map(|text| as_path(text, top))
        .collect();
    named
        .into_iter()
        .filter(|path| !exists(path))
        .map(str::to_owned)
        .collect()
}

fn top_level() -> BTreeSet<String> {
    our_files()
        .iter()
        .filter_map(|path| path.split('/').next().map(str::to_owned))
        .collect()
}

#[test]
fn every_path_that_the_documents_name_exists() {
    let (top, mut faults) = (top_level(), Vec::new());
    for name in ["ARCHITECTURE.md", "README.md"] {
        let document = read(name);
        let missing = missing_paths(&document, &top, |path| root().join(path).exists());
        faults.extend(
            missing
                .into_iter()
                .map(|path| format!("{name}: `{path}` does not exist; name it from the root")),
        );
    }
    assert_none(faults);
}

#[test]
fn fixture_paths() {
    let text = "`node/src/a.rs` and `node/src/gone.rs:12`, `scripts/demo --json`, `capacity/x/1`, `peer.rs`,\n\
        ```\n`node/fenced.rs`\n```\n`receipts/*.popw` `node/src/` `~/.config`";
    let top = ["node", "scripts"].map(str::to_owned).into();
    let missing = missing_paths(text, &top, |path| {
        ["node/src/a.rs", "node/src"].contains(&path)
    });
    assert_eq!(missing, ["node/src/gone.rs", "peer.rs"]);
}

/// Names under any `[…dependencies…]` heading of a manifest.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix('[') {
            let heading = heading.trim_end_matches(']');
            inside = heading.ends_with("dependencies");
            if let Some((_, name)) = heading.split_once("dependencies.") {
                names.insert(name.to_owned());
            }
        } else if inside && !line.starts_with('#') {
            names.extend(
                line.split(['.', '=', ' '])
                    .next()
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
            );
        }
    }
    names
}

/// What `member` may not depend on, among the names it does depend on.
fn wrong_arrows(member: &str, manifest: &str) -> Vec<String> {
    let pure = [
        "tokio",
        "futures",
        "libp2p",
        "sled",
        "wgpu",
        "rustix",
        "getrandom",
        "tracing",
        "tempfile",
        "async-std",
        "rayon",
    ];
    let allowed: &[&str] = match member {
        "node" => &["starling-protocol", "starling-kernels"],
        "simulations" => &[
            "starling-protocol",
            "starling-kernels",
            "starling-adversaries",
        ],
        "simulations/adversaries" => &["starling-protocol"],
        "simulations/adversary-node" => &[
            "starling-protocol",
            "starling-kernels",
            "starling",
            "starling-adversaries",
        ],
        "fuzz" => &[
            "starling-protocol",
            "starling-kernels",
            "starling",
            "starling-sim",
        ],
        _ => &[],
    };
    let wrong = dependencies(manifest).into_iter().filter(|name| {
        let sibling = name == "starling" || name.starts_with("starling-");
        let impure = member == "protocol"
            && pure
                .iter()
                .any(|p| name == p || name.starts_with(&format!("{p}-")));
        impure || sibling && !allowed.contains(&name.as_str())
    });
    wrong
        .map(|name| format!("{member} may not depend on {name}"))
        .collect()
}

#[test]
fn crate_arrows_hold() {
    assert_none(
        CRATES
            .iter()
            .chain(&["simulations/adversaries", "simulations/adversary-node"])
            .flat_map(|member| wrong_arrows(member, &read(&format!("{member}/Cargo.toml"))))
            .collect(),
    );
    let node = dependencies(&read("node/Cargo.toml"));
    assert!(
        node.contains("starling-protocol") && node.contains("starling-kernels"),
        "{node:?}"
    );
    let core = read("protocol/src/lib.rs");
    assert!(
        core.contains("#![no_std]"),
        "protocol/src/lib.rs is not no_std"
    );
}

#[test]
fn fixture_arrows() {
    let manifest = "[package]\nname = \"starling-protocol\"\n[dependencies]\n# tokio\nserde.workspace = true\n\
        [dependencies.libp2p-core]\nversion = \"1\"\n[dev-dependencies]\ntokio = \"1\"\nstarling-kernels = { path = \"x\" }\n[features]\nrayon = []";
    let wrong = wrong_arrows("protocol", manifest);
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert_eq!(
        wrong_arrows("simulations", "[dependencies]\nstarling.workspace = true").len(),
        1
    );
    assert_eq!(
        wrong_arrows(
            "node",
            "[dependencies]\nstarling-sim = \"1\"\nstarling-kernels = \"1\""
        )
        .len(),
        1
    );
}

/// A word, and where in `src` it may stand outside comments: files, or folders with a slash at the end.
const HOMES: [(&str, &[&str]); 4] = [
    ("bincode", &["protocol/src/codec.rs"]),
    ("sled::", &["node/src/store.rs"]),
    ("wgpu::", &["compute-kernels/src/runner/gpu/"]),
    (
        "libp2p",
        &[
            "node/src/net/",
            "node/src/net.rs",
            "node/src/blobs/",
            "node/src/blobs.rs",
        ],
    ),
];

fn strays(path: &str, text: &str) -> Vec<String> {
    let code = without_comments(text);
    let lives_in = |homes: &[&str]| {
        homes
            .iter()
            .any(|h| path == *h || h.ends_with('/') && path.starts_with(h))
    };
    let strays = HOMES
        .iter()
        .filter(|(word, homes)| code.contains(word) && !lives_in(homes));
    strays
        .map(|(word, homes)| format!("{path} names {word}, which lives in {}", homes.join(", ")))
        .collect()
}

fn without_comments(text: &str) -> String {
    // A `//` inside a string goes too: it can only hide the rest of its own line.
    let lines = text
        .lines()
        .map(|line| line.find("//").map_or(line, |at| &line[..at]));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn one_file_names_each_foreign_library() {
    let sources = rust_files()
        .into_iter()
        .filter(|(path, _)| path.contains("/src/"));
    assert_none(
        sources
            .flat_map(|(path, text)| strays(&path, &text))
            .collect(),
    );
}

#[test]
fn fixture_strays() {
    assert_eq!(
        strays(
            "node/src/driver.rs",
            "use sled::Db; // libp2p\nlet x = libp2p::PeerId;"
        )
        .len(),
        2
    );
    assert_eq!(
        strays("node/src/store.rs", "sled::Db; bincode::encode").len(),
        1
    );
    assert_eq!(strays("node/src/network.rs", "use libp2p::Swarm;").len(), 1);
    assert!(strays("node/src/net/swarm.rs", "use libp2p::Swarm;").is_empty());
    assert!(strays("protocol/src/peer.rs", "//! Not bincode's.\n/// sled::Db").is_empty());
}

/// First-column names in the table under `## Messages`.
fn documented_messages(document: &str) -> BTreeSet<String> {
    let section = document
        .lines()
        .skip_while(|line| line.trim_end() != "## Messages")
        .skip(1);
    let section = section.take_while(|line| !line.starts_with("## "));
    let cells = section.filter_map(|line| line.trim().strip_prefix('|')?.split('|').next());
    cells
        .filter_map(|cell| Some(cell.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned()))
        .collect()
}

/// Names of the variants of `pub enum Message`.
fn message_variants(source: &str) -> BTreeSet<String> {
    let code = without_comments(source);
    let Some((_, body)) = code.split_once("pub enum Message {") else {
        return BTreeSet::new();
    };
    let (mut depth, mut fresh, mut name) = (0_i32, true, String::new());
    let mut names = BTreeSet::new();
    for c in body.chars() {
        if depth == 0 && fresh && (c.is_alphanumeric() || c == '_') {
            name.push(c);
            continue;
        }
        if !name.is_empty() {
            names.insert(std::mem::take(&mut name));
            fresh = false;
        }
        match c {
            '{' | '(' | '[' | '<' => depth += 1,
            '}' if depth == 0 => break,
            '}' | ')' | ']' | '>' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            _ => {}
        }
    }
    names
}

#[test]
fn the_protocol_document_lists_the_messages_that_exist() {
    let (document, source) = (
        documented_messages(&read("PROTOCOL.md")),
        message_variants(&read("protocol/src/message.rs")),
    );
    assert!(
        !source.is_empty(),
        "protocol/src/message.rs has no `pub enum Message`"
    );
    let unwritten = source
        .difference(&document)
        .map(|name| format!("PROTOCOL.md lacks the message `{name}`"));
    let unknown = document
        .difference(&source)
        .map(|name| format!("PROTOCOL.md lists `{name}`, which is no message"));
    assert_none(unwritten.chain(unknown).collect());
}

#[test]
fn fixture_messages() {
    let source = "enum Other { No }\npub enum Message {\n    /// Not `Lie`, {\n    #[serde(rename = \"x\")]\n    Ask(Box<Vec<(A, B)>>),\n\
        \n    Tell { what: Map<K, V>, why: u8 },\n    Bye, }\npub enum After { Never }";
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|n| (*n).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(message_variants(source), names(&["Ask", "Tell", "Bye"]));
    let document = "| `Early` |\n## Messages\n\n| message | from |\n|---|---|\n| `Ask` | x `y` |\n|`Tell`| |\n## Limits\n| `Late` |";
    assert_eq!(documented_messages(document), names(&["Ask", "Tell"]));
}

fn too_long(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > MAX_LINES)
        .then(|| format!("{path} has {lines} lines; look for the second idea inside"))
}

#[test]
fn no_file_is_too_long_to_read() {
    assert_none(
        rust_files()
            .iter()
            .filter_map(|(path, text)| too_long(path, text))
            .collect(),
    );
    assert!(
        too_long("fixture", &"\n".repeat(601)).is_some()
            && too_long("fixture", &"\n".repeat(600)).is_none()
    );
}

/// Lines with an absolute path of some machine's work or home folder.
fn machine_paths(path: &str, text: &str) -> Vec<String> {
    let bad = ["work", "root", "home"].map(|name| format!("/{name}/"));
    let starts_a_word =
        |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || "._-~}/".contains(c));
    let lines = text.lines().enumerate().filter(|(_, line)| {
        bad.iter().any(|name| {
            line.match_indices(name.as_str())
                .any(|(at, _)| starts_a_word(&line[..at]))
        })
    });
    lines
        .map(|(number, line)| format!("{path}:{}: {}", number + 1, line.trim()))
        .collect()
}

#[test]
fn nobody_mentions_a_path_of_one_machine() {
    let texts: Vec<(String, PathBuf)> = our_files()
        .into_iter()
        .map(|path| (path.clone(), root().join(path)))
        .collect();
    // Binary files (meshes, pictures) are not looked into.
    let texts = texts
        .iter()
        .filter_map(|(path, file)| Some((path, fs::read_to_string(file).ok()?)));
    assert_none(
        texts
            .flat_map(|(path, text)| machine_paths(path, &text))
            .collect(),
    );
}

#[test]
fn fixture_machine_paths() {
    let text = [
        "see /wo",
        "rk/x",
        "\nok: ~/ro",
        "ot/a, new/ho",
        "me/b\n\"/ho",
        "me/me\"",
    ]
    .concat();
    assert_eq!(machine_paths("f", &text).len(), 2, "{text}");
}

/// Crates of which older versions let a stranger crash or exhaust a peer, and the first version that does not. RustSec
/// knows only those of QUIC, so a check of advisories is no substitute. libp2p-yamux before 0.48 brought a second yamux,
/// 0.12, for which there is no mended version: it counts as too old like any other.
const MENDED: [(&str, [u64; 3]); 4] = [
    ("libp2p-gossipsub", [0, 50, 1]),
    ("libp2p-quic", [0, 13, 1]),
    ("quinn-proto", [0, 11, 15]),
    ("yamux", [0, 13, 10]),
];

/// Three numbers, without what may follow a `-` or `+`.
fn version(text: &str) -> Option<[u64; 3]> {
    let numbers = text.split(['-', '+']).next()?;
    let numbers: Vec<u64> = numbers.split('.').map_while(|n| n.parse().ok()).collect();
    numbers.try_into().ok()
}

/// What a lock file holds that is too old, or lacks.
fn known_holes(lock: &str) -> Vec<String> {
    let lock: toml::Table = lock.parse().expect("Cargo.lock is TOML");
    let text = |package: &toml::Value, key: &str| Some(package.get(key)?.as_str()?.to_owned());
    let packages = lock["package"].as_array().expect("a list of packages");
    let locked: Vec<(String, String)> = packages
        .iter()
        .filter_map(|package| Some((text(package, "name")?, text(package, "version")?)))
        .collect();
    let mut faults = Vec::new();
    for (name, mended) in MENDED {
        let [major, minor, patch] = mended;
        let versions = locked.iter().filter(|(locked, _)| locked == name);
        let mut missing = true;
        for (_, found) in versions {
            missing = false;
            if version(found).is_none_or(|found| found < mended) {
                faults.push(format!(
                    "Cargo.lock has {name} {found}, which strangers can crash or exhaust: at least {major}.{minor}.{patch}"
                ));
            }
        }
        if missing {
            faults.push(format!(
                "Cargo.lock has no {name} any more: take it out of `MENDED`"
            ));
        }
    }
    faults
}

#[test]
fn no_crate_with_a_known_hole_is_locked() {
    assert_none(known_holes(&read("Cargo.lock")));
}

#[test]
fn fixture_lock() {
    let lock = |versions: [&str; 4]| {
        let packages = MENDED.iter().zip(versions);
        let packages = packages
            .map(|((name, _), v)| format!("[[package]]\nname = \"{name}\"\nversion = \"{v}\"\n"));
        packages.collect::<String>()
    };
    assert!(known_holes(&lock(["0.50.1", "0.14.0", "0.11.15", "0.13.10"])).is_empty());
    assert!(known_holes(&lock(["0.51.0-alpha", "1.0.0", "0.12.0", "0.14.1"])).is_empty());
    let old = known_holes(&lock(["0.50.0", "0.13.0", "0.11.14", "0.13.9"]));
    assert_eq!(old.len(), 4, "{old:?}");
    // Two versions of one crate are looked at each.
    let both = lock(["0.50.1", "0.13.1", "0.11.15", "0.13.10"])
        + "[[package]]\nname = \"yamux\"\nversion = \"0.12.1\"\n";
    let old = known_holes(&both);
    assert!(old.len() == 1 && old[0].contains("yamux 0.12.1"), "{old:?}");
    assert_eq!(known_holes("[[package]]\nname = \"x\"").len(), 4);
}
