//! Files: the log, scenes, matrices, settings. They may come from anybody, or from a disk that forgets.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use starling::home::Config;
use starling::log::Log;
use starling_kernels::npy;
use starling_kernels::render::scene::{self, Scene};
use tempfile::TempDir;

use crate::{Target, kind_of, outcome, split};

pub(crate) const LOG: Target = Target {
    name: "log",
    about: "opening a log of any bytes",
    run: log,
    seeds: log_seeds,
};

pub(crate) const SCENE: Target = Target {
    name: "scene",
    about: "scene files (.obj, .gltf, .glb, .toml) and scene blobs",
    run: scene,
    seeds: scene_seeds,
};

pub(crate) const NPY: Target = Target {
    name: "npy",
    about: "matrices in .npy files",
    run: npy_file,
    seeds: npy_seeds,
};

pub(crate) const SETTINGS: Target = Target {
    name: "settings",
    about: "config.toml and genesis.toml",
    run: settings,
    seeds: settings_seeds,
};

thread_local! {
    static FOLDER: RefCell<TempDir> = RefCell::new(in_memory());
}

/// A folder that is fast, if the system has one.
pub(crate) fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        TempDir::new_in(memory)
    } else {
        TempDir::new()
    };
    folder.expect("a temporary folder")
}

/// A file of this thread with these bytes.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    FOLDER.with_borrow(|folder| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("the file can be written");
        path
    })
}

const SWARM: [u8; 32] = [9; 32];

fn records() -> [Vec<u8>; 6] {
    [1, 2, 40, 300, 5_000, 7].map(|len| vec![len as u8; len])
}

fn log(bytes: &[u8]) -> u64 {
    let dir = in_memory();
    std::fs::write(dir.path().join("facts.log"), bytes).expect("the file can be written");
    let mut last = 0;
    let opened = Log::open(dir.path(), &SWARM, |seq, record| {
        assert!(seq > last, "numbers grow");
        last = seq;
        // A frame's check is keyed by a salt that never leaves the machine: nothing can be made up.
        assert!(
            records().contains(&record.to_vec()),
            "a record that was never written"
        );
    });
    match opened {
        Ok((mut log, recovery)) => {
            log.append(b"goes on")
                .expect("a log that opens takes records");
            let seq = log.sync().expect("and keeps them");
            assert!(seq > last);
            let damage = recovery.damage.len().min(4) as u64;
            let torn = u64::from(recovery.torn_bytes > 0);
            let aside = u64::from(recovery.moved_aside.is_some());
            1 << 40 | recovery.records << 8 | damage << 4 | aside << 1 | torn
        }
        Err(error) => outcome(0, &kind_of(&error.to_string())),
    }
}

fn log_seeds() -> Vec<Vec<u8>> {
    let dir = in_memory();
    let (mut log, _) = Log::open(dir.path(), &SWARM, |_, _| {}).expect("a new log");
    for record in records() {
        log.append(&record).expect("it takes records");
    }
    log.sync().expect("and keeps them");
    drop(log);
    vec![std::fs::read(dir.path().join("facts.log")).expect("the log")]
}

fn scene(bytes: &[u8]) -> u64 {
    let (kind, bytes) = split(bytes);
    let loaded = match kind % 5 {
        0 => Scene::from_bytes(bytes),
        kind => scene::load(&file(
            ["", "s.obj", "s.gltf", "s.glb", "s.toml"][usize::from(kind)],
            bytes,
        )),
    };
    match loaded {
        Ok(scene) => {
            scene.validate().expect("what loads is valid");
            let again = Scene::from_bytes(&scene.to_bytes()).expect("its blob loads");
            assert_eq!(again.to_bytes(), scene.to_bytes());
            let size = usize::BITS - scene.triangles.len().leading_zeros();
            u64::from(kind % 5) << 40
                | 1 << 39
                | u64::from(size) << 8
                | scene.materials.len() as u64
        }
        Err(error) => outcome(u64::from(kind % 5), &kind_of(&error.to_string())),
    }
}

const OBJ: &str = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvn 0 0 1\nf 1//1 2//1 3//1\nf 1 3 2\n";

fn scene_seeds() -> Vec<Vec<u8>> {
    let with = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    let gltf = r#"{"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0]}],"nodes":[{"mesh":0}],
        "meshes":[{"primitives":[{"attributes":{"POSITION":0}}]}],
        "buffers":[{"byteLength":36,"uri":"data:application/octet-stream;base64,AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA"}],
        "bufferViews":[{"buffer":0,"byteLength":36}],
        "accessors":[{"bufferView":0,"componentType":5126,"count":3,"type":"VEC3","min":[0,0,0],"max":[1,1,0]}]}"#;
    let json = gltf.split_whitespace().collect::<String>();
    let mut glb = b"glTF\x02\0\0\0".to_vec();
    let padded = json.len().next_multiple_of(4);
    glb.extend((20 + padded as u32).to_le_bytes());
    glb.extend((padded as u32).to_le_bytes());
    glb.extend(b"JSON");
    glb.extend(
        json.bytes()
            .chain(std::iter::repeat_n(b' ', padded - json.len())),
    );
    let toml = include_str!("../../compute-kernels/scenes/teapots.toml");
    vec![
        with(0, &small_scene()),
        with(1, OBJ.as_bytes()),
        with(2, gltf.as_bytes()),
        with(3, &glb),
        with(4, toml.as_bytes()),
    ]
}

/// The blob of a scene of a few triangles.
pub(crate) fn small_scene() -> Vec<u8> {
    let scene = scene::load(&file("small.obj", OBJ.as_bytes()));
    scene.expect("a small mesh").to_bytes()
}

fn npy_file(bytes: &[u8]) -> u64 {
    match npy::read(bytes, 1 << 20) {
        Ok(matrix) => {
            let len = u64::from(matrix.rows) * u64::from(matrix.columns);
            assert_eq!(matrix.elements.len() as u64, len);
            1 << 40 | u64::from(64 - len.leading_zeros())
        }
        Err(error) => outcome(0, &kind_of(&error.to_string())),
    }
}

fn npy_seeds() -> Vec<Vec<u8>> {
    let file = |header: &str, data: &[u8]| {
        let mut bytes = b"\x93NUMPY\x01\0".to_vec();
        let header = format!("{header:<117}\n");
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend(data);
        bytes
    };
    vec![
        file(
            "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 3), }",
            &[1; 6],
        ),
        file(
            "{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }",
            &[1; 8],
        ),
        file(
            "{'shape': (1, 1), 'fortran_order': False, 'descr': 'i1'}",
            &[1],
        ),
    ]
}

fn settings(bytes: &[u8]) -> u64 {
    let (kind, bytes) = split(bytes);
    let path = Path::new("settings.toml");
    if kind % 2 == 0 {
        let text = String::from_utf8_lossy(bytes);
        return match Config::parse(&text, path, &|_| Ok(())) {
            Ok(_) => 1,
            Err(error) => outcome(2, &kind_of(&error.to_string())),
        };
    }
    match starling::genesis::parse(bytes, path) {
        Ok(genesis) => {
            let text = starling::genesis::text(&genesis);
            let again = starling::genesis::parse(text.as_bytes(), path).expect("its own text");
            assert_eq!(again.swarm_id(), genesis.swarm_id());
            3
        }
        Err(error) => outcome(4, &kind_of(&error.to_string())),
    }
}

fn settings_seeds() -> Vec<Vec<u8>> {
    static TEXTS: LazyLock<[String; 2]> = LazyLock::new(|| {
        let genesis = starling_protocol::Genesis::new(
            "fuzz",
            starling_protocol::Scope::Lan,
            starling_protocol::Hash::default(),
        );
        let config = "[network]\nlisten = [\"/ip4/127.0.0.1/tcp/1\"]\n[limits]\nthreads = 2\n[lend]\nprice = 3\n";
        [config.into(), starling::genesis::text(&genesis)]
    });
    let with = |kind: u8, text: &String| [&[kind], text.as_bytes()].concat();
    vec![with(0, &TEXTS[0]), with(1, &TEXTS[1])]
}
