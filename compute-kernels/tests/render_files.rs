//! Scene files and blobs from strangers: every bad one is refused with an error that names the fix.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use starling_kernels::render::scene::{self, Scene, SceneError, Surface};
use tempfile::TempDir;

const OBJ: &str = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n";

fn write(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("writes a test file");
    path
}

fn load(name: &str, bytes: impl AsRef<[u8]>) -> Result<Scene, SceneError> {
    let folder = TempDir::new().expect("a temporary folder");
    scene::load(&write(&folder, name, bytes))
}

/// A triangle: positions, then indices.
fn buffer() -> Vec<u8> {
    let positions = [0.0f32, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let mut bytes: Vec<u8> = positions.iter().flat_map(|v| v.to_le_bytes()).collect();
    bytes.extend([0u16, 1, 2, 0].iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

const GLTF: &str = r#"{"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0]}],"nodes":[{"mesh":0}],
"meshes":[{"primitives":[{"attributes":{"POSITION":0},"indices":1,"material":0}]}],
"materials":[{"pbrMetallicRoughness":{"baseColorFactor":[0.8,0.1,0.2,1.0],"metallicFactor":1.0,"roughnessFactor":0.3}}],
"accessors":[{"bufferView":0,"componentType":5126,"count":3,"type":"VEC3","min":[0,0,0],"max":[1,1,0]},
{"bufferView":1,"componentType":5123,"count":3,"type":"SCALAR"}],
"bufferViews":[{"buffer":0,"byteOffset":0,"byteLength":36},{"buffer":0,"byteOffset":36,"byteLength":8}],
"buffers":[{"byteLength":44}]}"#;

fn glb(json: &str, bin: &[u8]) -> Vec<u8> {
    let mut json = json.as_bytes().to_vec();
    json.resize(json.len().next_multiple_of(4), b' ');
    let mut out = b"glTF\x02\0\0\0".to_vec();
    out.extend(((12 + 8 + json.len() + 8 + bin.len()) as u32).to_le_bytes());
    for (kind, data) in [(b"JSON", json.as_slice()), (b"BIN\0", bin)] {
        out.extend((data.len() as u32).to_le_bytes());
        out.extend(kind);
        out.extend(data);
    }
    out
}

fn with_uri(uri: &str) -> String {
    GLTF.replace(
        r#""byteLength":44}"#,
        &format!(r#""byteLength":44,"uri":{uri:?}}}"#),
    )
}

#[test]
fn good_files_load() {
    let obj = load("a.obj", OBJ).expect("an OBJ");
    let glb = load("a.glb", glb(GLTF, &buffer())).expect("a GLB");
    let folder = TempDir::new().expect("a temporary folder");
    write(&folder, "a b.bin", buffer());
    let gltf =
        scene::load(&write(&folder, "a.gltf", with_uri("a%20b.bin"))).expect("a glTF with a file");
    let base64 = "AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAAAAABAAIAAAA=";
    let inline = load(
        "a.gltf",
        with_uri(&format!("data:application/octet-stream;base64,{base64}")),
    );
    assert_eq!(glb, gltf);
    assert_eq!(glb, inline.expect("a glTF with a data URI"));
    assert_eq!(obj.triangles.len(), 3, "ground and the triangle");
    let red = glb
        .materials
        .iter()
        .find(|m| m.colour == [0.8, 0.1, 0.2])
        .expect("the base colour");
    assert_eq!(red.surface, Surface::Metal);
    for scene in [obj, glb, scene::bundled()] {
        assert_eq!(
            Scene::from_bytes(&scene.to_bytes()).expect("its own blob"),
            scene
        );
    }
}

#[test]
fn a_description_names_meshes_of_its_folder() {
    let toml = |mesh: &str| {
        format!(
            "[camera]\neye=[0,1,4]\ntarget=[0,0,0]\nfov=40\n[sky]\nzenith=[1,1,1]\nhorizon=[1,1,1]\nground=[1,1,1]\n\
             [materials.m]\nkind=\"diffuse\"\ncolour=[0.5,0.5,0.5]\n[[objects]]\nmesh={mesh:?}\nmaterial=\"m\"\nscale=2.0\n"
        )
    };
    let folder = TempDir::new().expect("a temporary folder");
    write(&folder, "mesh.obj", OBJ);
    let load = |text: &str| scene::load(&write(&folder, "s.toml", text));
    assert_eq!(
        load(&toml("mesh.obj")).expect("a scene").positions[1],
        [2.0, 0.0, 0.0]
    );
    assert!(matches!(
        load(&toml("../mesh.obj")),
        Err(SceneError::Outside(_))
    ));
    assert!(matches!(
        load(&toml("/etc/passwd")),
        Err(SceneError::Outside(_))
    ));
    assert!(matches!(
        load(&toml("gone.obj")),
        Err(SceneError::Read { .. })
    ));
    assert!(matches!(load(&toml("s.toml")), Err(SceneError::Format(_))));
    let bad = [
        ("fov=40", "fov=nan"),
        ("fov=40", "fov=400"),
        ("eye=[0,1,4]", "eye=[0,0,0]"),
        ("eye=[0,1,4]", "eye=[0,1,1e9]"),
        ("colour=[0.5", "colour=[5.0"),
        ("colour=[0.5", "colour=[inf"),
        ("scale=2.0", "scale=0.0"),
        ("scale=2.0", "scale=1e5"),
        ("scale=2.0", "rounded=100000"),
        ("material=\"m\"", "material=\"x\""),
        ("kind=\"diffuse\"", "kind=\"velvet\""),
        ("fov=40", "fov=40\nzoom=2"),
    ];
    for (from, to) in bad {
        let text = toml("teapot").replace(from, to);
        assert!(load(&text).is_err(), "{from} -> {to} is refused");
    }
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_refused() {
    let outer = TempDir::new().expect("a temporary folder");
    write(&outer, "secret.bin", buffer());
    let inner = outer.path().join("scene");
    fs::create_dir(&inner).expect("a folder");
    std::os::unix::fs::symlink("../secret.bin", inner.join("link.bin")).expect("a link");
    fs::write(inner.join("a.gltf"), with_uri("link.bin")).expect("writes");
    assert!(matches!(
        scene::load(&inner.join("a.gltf")),
        Err(SceneError::Outside(_))
    ));
}

#[test]
fn hostile_obj() {
    let cases = [
        ("empty", ""),
        ("no faces", "v 0 0 0\n"),
        ("index out of range", "v 0 0 0\nf 1 2 3\n"),
        ("index zero", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n"),
        ("negative out of range", "v 0 0 0\nf -1 -2 -3\n"),
        ("NaN", "v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"),
        ("infinity", "v inf 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"),
        ("overflow", "v 1e39 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"),
        ("huge coordinate", "v 1e30 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"),
        (
            "only a line without area",
            "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n",
        ),
        ("text", "hello world"),
        ("short vertex", "v 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"),
        (
            "library outside",
            "mtllib ../../etc/passwd\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
        ),
    ];
    for (name, text) in cases {
        let error = load("a.obj", text).expect_err(name);
        assert!(error.to_string().len() > 20, "{name}: {error}");
    }
    assert!(load("a.obj", [0xff, 0xfe, 0x00, 0x80]).is_err(), "not text");
    let dropped =
        load("a.obj", format!("{OBJ}v 2 0 0\nf 1 2 4\nf 1 1 2\n")).expect("one good face");
    assert_eq!((dropped.triangles.len(), dropped.dropped_faces), (3, 2));
    let missing = load("a.obj", format!("mtllib gone.mtl\nusemtl red\n{OBJ}"));
    assert!(missing.is_ok(), "a lost library costs colours only");
}

#[test]
fn hostile_gltf() {
    let cases = [
        (
            "10 GB accessor",
            r#""count":3,"type":"VEC3""#,
            r#""count":900000000,"type":"VEC3""#,
        ),
        (
            "count of 2^63",
            r#""count":3,"type":"VEC3""#,
            r#""count":9223372036854775807,"type":"VEC3""#,
        ),
        (
            "one vertex too many",
            r#""count":3,"type":"VEC3""#,
            r#""count":4,"type":"VEC3""#,
        ),
        (
            "indices past the view",
            r#""count":3,"type":"SCALAR""#,
            r#""count":5,"type":"SCALAR""#,
        ),
        (
            "missing buffer view",
            r#""bufferView":1"#,
            r#""bufferView":9"#,
        ),
        (
            "view past the buffer",
            r#""byteLength":36"#,
            r#""byteLength":3600"#,
        ),
        (
            "view at the end of memory",
            r#""byteOffset":36"#,
            r#""byteOffset":18446744073709551615"#,
        ),
        (
            "accessor offset",
            r#"{"bufferView":0,"#,
            r#"{"bufferView":0,"byteOffset":18446744073709551600,"#,
        ),
        (
            "stride",
            r#""byteLength":36}"#,
            r#""byteLength":36,"byteStride":252}"#,
        ),
        (
            "small stride",
            r#""byteLength":36}"#,
            r#""byteLength":36,"byteStride":4}"#,
        ),
        (
            "buffer longer than the chunk",
            r#""byteLength":44"#,
            r#""byteLength":10000000000"#,
        ),
        (
            "positions of the wrong kind",
            r#""componentType":5126"#,
            r#""componentType":5123"#,
        ),
        (
            "float indices",
            r#""componentType":5123"#,
            r#""componentType":5126"#,
        ),
        ("missing material", r#""material":0"#, r#""material":7"#),
        ("missing mesh", r#"{"mesh":0}"#, r#"{"mesh":3}"#),
        (
            "node in itself",
            r#"{"mesh":0}"#,
            r#"{"mesh":0,"children":[0]}"#,
        ),
        (
            "two parents",
            r#""nodes":[{"mesh":0}]"#,
            r#""nodes":[{"children":[1,1]},{"mesh":0}]"#,
        ),
        (
            "NaN scale",
            r#"{"mesh":0}"#,
            r#"{"mesh":0,"scale":[1e39,1,1]}"#,
        ),
        ("flat", r#"{"mesh":0}"#, r#"{"mesh":0,"scale":[0,0,0]}"#),
        (
            "huge",
            r#"{"mesh":0}"#,
            r#"{"mesh":0,"translation":[1e30,0,0]}"#,
        ),
        ("no scene", r#""scenes":[{"nodes":[0]}]"#, r#""scenes":[]"#),
        ("not JSON", r#"{"asset""#, r#"{{"asset""#),
    ];
    assert!(load("a.glb", glb(GLTF, &buffer())).is_ok());
    for (name, from, to) in cases {
        let json = GLTF.replacen(from, to, 1);
        assert_ne!(json, GLTF, "{name} changes the file");
        let error = load("a.glb", glb(&json, &buffer())).expect_err(name);
        assert!(error.to_string().len() > 20, "{name}: {error}");
    }
    let mut nan = buffer();
    nan[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(load("a.glb", glb(GLTF, &nan)).is_err(), "NaN vertex");
    let mut index = buffer();
    index[36] = 3;
    assert!(
        load("a.glb", glb(GLTF, &index)).is_err(),
        "index out of range"
    );
    for uri in [
        "../a.bin",
        "/etc/passwd",
        "%2e%2e/a.bin",
        "http://x/a.bin",
        "file:///etc/passwd",
        "C:\\a.bin",
        "",
        "a/../../b",
    ] {
        assert!(
            matches!(load("a.gltf", with_uri(uri)), Err(SceneError::Outside(_))),
            "{uri}"
        );
    }
    for uri in ["data:x", "data:;base64,!!!!", "data:;base64,AAAA"] {
        assert!(
            matches!(
                load("a.gltf", with_uri(uri)),
                Err(SceneError::Malformed { .. })
            ),
            "{uri}"
        );
    }
}

/// A GLB cut anywhere, or with any one byte changed, is refused or read, never a panic.
#[test]
fn damaged_glb() {
    let good = glb(GLTF, &buffer());
    let folder = TempDir::new().expect("a temporary folder");
    for length in 0..good.len() {
        let path = write(&folder, "cut.glb", &good[..length]);
        assert!(scene::load(&path).is_err(), "cut at {length}");
    }
    for at in 0..good.len() {
        for value in [0x00, 0xff, b'9', b'"', good[at] ^ 1] {
            let mut bytes = good.clone();
            bytes[at] = value;
            if let Ok(scene) = scene::load(&write(&folder, "changed.glb", bytes)) {
                scene.validate().expect("what loads is valid");
            }
        }
    }
}

#[test]
fn files_that_cannot_be_read() {
    let folder = TempDir::new().expect("a temporary folder");
    let load = |p: &Path| scene::load(p);
    assert!(matches!(
        load(&folder.path().join("gone.glb")),
        Err(SceneError::Read { .. })
    ));
    assert!(matches!(
        load(&write(&folder, "a.fbx", "")),
        Err(SceneError::Format(_))
    ));
    fs::create_dir(folder.path().join("folder.obj")).expect("a folder");
    assert!(matches!(
        load(&folder.path().join("folder.obj")),
        Err(SceneError::Read { .. })
    ));
    let huge = folder.path().join("huge.obj");
    let file = fs::File::create(&huge).expect("a file");
    file.set_len(10 << 30).expect("a sparse file of 10 GB");
    assert!(matches!(load(&huge), Err(SceneError::TooLarge { .. })));
}

#[test]
fn damaged_blobs() {
    let good = load("a.obj", OBJ).expect("a scene").to_bytes();
    for length in 0..good.len() {
        assert!(
            Scene::from_bytes(&good[..length]).is_err(),
            "cut at {length}"
        );
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(Scene::from_bytes(&longer).is_err(), "trailing byte");
    for word in (0..good.len()).step_by(4) {
        for value in [
            u32::MAX,
            f32::NAN.to_bits(),
            f32::INFINITY.to_bits(),
            0x7f7f_ffff,
        ] {
            let mut bytes = good.clone();
            bytes[word..word + 4].copy_from_slice(&value.to_le_bytes());
            assert!(
                Scene::from_bytes(&bytes).is_err(),
                "word {} = {value:#x}",
                word / 4
            );
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Scene::from_bytes(&bytes).is_err());
    }

    /// Whatever decodes encodes to the same bytes: one blob per scene.
    #[test]
    fn blobs_are_canonical(changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = load("a.obj", OBJ).expect("a scene").to_bytes();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(scene) = Scene::from_bytes(&bytes) {
            prop_assert_eq!(scene.to_bytes(), bytes);
        }
    }
}
