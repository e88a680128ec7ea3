//! `shader` and `run wgsl`: shaders of one's own, here alone and among peers.

use std::fs;
use std::path::Path;

use serde_json::Value;
use starling::api::client::Client;
use starling::api::preflight::PreflightOrder;
use starling::product::files::{Kind, Options};

use crate::jobs::two_peers;
use crate::support::{Place, read};

/// A folder with an example in it.
fn example(place: &Place, name: &str) -> String {
    place
        .run("h", &["shader", "new", name, "--template", name])
        .expect(0);
    format!("{name}/job.toml")
}

/// The numbers of a `.txt` output, line by line.
fn lines(file: &Path) -> Vec<Vec<u32>> {
    let text = String::from_utf8(read(file)).unwrap();
    let line = |l: &str| l.split(' ').map(|n| n.parse().unwrap()).collect();
    text.lines().map(line).collect()
}

/// The elements of a `.npy` output.
fn floats(file: &Path) -> Vec<f32> {
    let bytes = read(file);
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let words = bytes[10 + header..].chunks_exact(4);
    words
        .map(|w| f32::from_le_bytes(w.try_into().unwrap()))
        .collect()
}

/// RGBA bytes of a picture.
fn pixels(file: &Path) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(read(file)))
        .read_info()
        .unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    (info.width, info.height, bytes)
}

/// What each example is known to give: counted, derived or simulated by other programs.
#[test]
fn every_example_gives_what_is_known_of_it() {
    let place = Place::new();
    let all = place
        .run("h", &["shader", "new", "--list", "--json"])
        .expect(0)
        .json();
    let names: Vec<String> = all["examples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["name"].as_str().unwrap().to_owned())
        .collect();
    for name in &names {
        let job = example(&place, name);
        let readme = fs::read_to_string(place.path(name).join("README.md")).unwrap();
        assert!(readme.contains("starling run wgsl"), "{name}");
        let ran = place.run("h", &["run", "wgsl", &job, "--local", "--json"]);
        let ran = ran.expect(0).json();
        // Peers are not asked for more than the loops need, nor for less.
        let (burnt, fuel) = (
            ran["burnt"].as_u64().unwrap(),
            ran["fuel"].as_u64().unwrap(),
        );
        assert!(burnt < fuel || fuel == 0, "{name}: {ran}");
        let file = place.path(ran["output"].as_str().unwrap());
        match name.as_str() {
            "hello" => {
                let squares = [9, 1, 16, 1, 25, 81, 4, 36, 25, 9, 25, 64, 81, 49, 81, 9];
                assert_eq!(lines(&file).concat(), squares);
            }
            "blur" => {
                let (width, height, bytes) = pixels(&file);
                assert_eq!((width, height), (384, 256));
                let words = bytes
                    .chunks_exact(4)
                    .map(|p| u32::from_le_bytes(p.try_into().unwrap()));
                assert_eq!(words.map(u64::from).sum::<u64>(), 421_245_519_504_233);
            }
            "life" => {
                let (.., bytes) = pixels(&file);
                let dark = bytes.chunks_exact(4).filter(|p| p[0] < 128).count();
                let light = bytes.len() / 4 - dark;
                assert_eq!(dark.min(light), 3362, "alive after 12 generations");
            }
            // OEIS A000170.
            "queens" => assert_eq!(lines(&file).concat().iter().sum::<u32>(), 14_200),
            "hash" => {
                let best = lines(&file).into_iter().max_by_key(|slot| slot[1]);
                assert_eq!(best, Some(vec![678_026, 22]));
            }
            "montecarlo" => {
                let sums = floats(&file);
                let mean = |at: usize| {
                    let all = sums.chunks_exact(4).map(|slot| f64::from(slot[at]));
                    all.sum::<f64>() / (sums.len() / 4) as f64
                };
                // Black and Scholes say 9.1218; what a slot sums up is told by its README.
                let paths = mean(0) / 9.109_819_460_849_394;
                assert!(
                    (paths.round() - paths).abs() < 1e-3 && paths > 1.0,
                    "{paths}"
                );
            }
            "heat" => {
                let plate = floats(&file);
                let mean = plate.iter().map(|t| f64::from(*t)).sum::<f64>() / plate.len() as f64;
                assert!((mean - 27.819_824).abs() < 1e-4, "no heat is lost: {mean}");
                assert_eq!(plate[104 * 512 + 144].to_bits(), 0x4231_9b86);
            }
            "collatz" => {
                let longest = lines(&file).into_iter().max_by_key(|group| group[1]);
                assert_eq!(longest, Some(vec![837_799, 524]));
            }
            other => panic!("nothing is known of {other}"),
        }
    }
    assert!(names.len() >= 6);
}

/// Byte for byte the same by the interpreter and by software Vulkan.
#[test]
fn examples_are_the_same_on_another_device() {
    let place = Place::new();
    for name in [
        "hello",
        "blur",
        "life",
        "queens",
        "hash",
        "montecarlo",
        "heat",
        "collatz",
    ] {
        let job = example(&place, name);
        let run = |file: &str, device: &str| {
            let args = [
                "run", "wgsl", &job, "--local", "--json", "-o", file, "--device", device,
            ];
            place.run("h", &args).expect(0);
            read(&place.path(file))
        };
        let cpu = run("cpu.npy", "cpu");
        assert!(run("gpu.npy", "software") == cpu, "{name}");
    }
}

#[test]
fn peers_compute_a_shader_as_its_author_does() {
    let place = Place::new();
    let job = example(&place, "life");
    place
        .run("h", &["run", "wgsl", &job, "--local", "-o", "alone.png"])
        .expect(0);
    let peers = two_peers(&place);
    let args = [
        "run",
        "wgsl",
        &job,
        "--peers",
        "2",
        "--device",
        "cpu",
        "--json",
        "-o",
        "net.png",
        "--receipts",
        "receipts",
    ];
    let result = place.run("a", &args).expect(0).json();
    assert_eq!(result["receipts"], result["slices"], "{result}");
    assert_eq!(read(&place.path("net.png")), read(&place.path("alone.png")));
    let receipt = fs::read_dir(place.path("receipts"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    place
        .run("a", &["proof", "verify", receipt.to_str().unwrap()])
        .expect(0);
    drop(peers);
}

#[test]
fn a_shader_is_looked_at_before_it_is_submitted() {
    let place = Place::new();
    example(&place, "blur");
    let up = place.up("a", &[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = Client::connect(&place.path("a")).await.unwrap();
        let mut order = PreflightOrder {
            product: Kind::Wgsl,
            files: Default::default(),
            options: Options::default(),
        };
        for file in fs::read_dir(place.path("blur")).unwrap() {
            let path = file.unwrap().path();
            let blob = client.put_blob(read(&path)).await.unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            order.files.insert(name, blob.id);
        }
        let looked = client.preflight(&order).await.unwrap();
        assert!(looked.refusals.is_empty(), "{:?}", looked.refusals);
        assert_eq!(looked.cli, "starling run wgsl job.toml");
        assert!(looked.estimate.is_some(), "this home lends");
        let job = client.submit(&looked.order.unwrap()).await.unwrap();
        assert_eq!(job.file.tiles, looked.tiles);

        let text = "@compute @workgroup_size(1)\nfn main() {\n    let a: u32 = 1.5;\n}\n";
        let blob = client.put_blob(text).await.unwrap();
        order.files.insert("blur.wgsl".into(), blob.id);
        let looked = client.preflight(&order).await.unwrap();
        assert!(looked.order.is_none());
        let reason = &looked.refusals[0];
        assert_eq!(reason.code, "shader_refused");
        let place = |key| reason.params[key].as_u64().unwrap();
        assert_eq!(reason.params["file"], "blur.wgsl", "{reason:?}");
        assert!(place("line") == 3 && place("column") > 1, "{reason:?}");
    });
    drop(up);
}

/// One that lends two threads of a device and finds out that it cannot agree with itself says so.
const RACE: &str = "
@group(0) @binding(0) var<storage, read_write> sums: array<u32>;
var<workgroup> sum: u32;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    if group.x == WHERE { sum += id.x; }
    workgroupBarrier();
    sums[id.x] = sum;
}";

#[test]
fn a_race_is_found_before_anybody_hears_of_it_or_by_those_who_meet_it() {
    let place = Place::new();
    let run = |home: &str, at: &str, more: &[&str]| {
        fs::write(place.path("race.wgsl"), RACE.replace("WHERE", at)).unwrap();
        let args = [
            "run",
            "wgsl",
            "race.wgsl",
            "--output",
            "sums=16384",
            "-o",
            "sums.npy",
        ];
        place.run(home, &[&args, more].concat())
    };
    run("h", "0u", &["--local"]).expect(2).says("race");
    let peers = two_peers(&place);
    let swarm = ["--peers", "2", "--device", "cpu", "--timeout", "60"];
    run("a", "0u", &swarm).expect(2).says("race");
    // In the middle, where nobody looks beforehand: those who compute it do, and nobody is called a cheat.
    let ended = run("a", "100u", &swarm).expect(5);
    assert!(!ended.stderr.contains("cheat"), "{}", ended.stderr);
    assert!(!place.path("sums.npy").exists());
    drop(peers);
}

/// Loops without an end, in every invocation of many workgroups, with all the fuel that there is; then a job as any other.
#[test]
fn a_peer_survives_shaders_that_mean_harm() {
    let place = Place::new();
    let endless = "
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
var<workgroup> left_behind: array<u32, 4096>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var i = left_behind[lane] + left_behind[4095u - lane];
    loop {
        i += out[id.x * 4000000000u + i];
        if i == 4294967295u { break; }
    }
    out[id.x] = i;
}";
    fs::write(place.path("endless.wgsl"), endless).unwrap();
    let peers = two_peers(&place);
    let swarm = ["--peers", "2", "--device", "cpu", "--json"];
    let args = [
        "run",
        "wgsl",
        "endless.wgsl",
        "--output",
        "out=1024",
        "--fuel",
        "1000000",
        "-o",
        "out.npy",
    ];
    place.run("a", &[&args[..], &swarm].concat()).expect(0);
    // It has read nothing that another job left behind: what it sums up is all zeros.
    let bytes = read(&place.path("out.npy"));
    assert!(bytes[bytes.len() - 4096..].iter().all(|b| *b == 0));
    let job = example(&place, "hello");
    let args = ["run", "wgsl", &job, "-o", "squares.txt"];
    place.run("a", &[&args[..], &swarm].concat()).expect(0);
    assert_eq!(lines(&place.path("squares.txt")).concat()[..3], [9, 1, 16]);
    drop(peers);
}

#[test]
fn a_shader_that_nobody_would_run_is_shown_with_its_line() {
    let place = Place::new();
    let check = |text: &str| {
        fs::write(place.path("bad.wgsl"), text).unwrap();
        place.run("h", &["shader", "check", "bad.wgsl"])
    };
    let head = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;\n@compute @workgroup_size(64)\n";
    let ended = check(&format!("{head}fn main() {{\n    out[0] = ;\n}}")).expect(2);
    let ended = ended.says("bad.wgsl:4:14").says("    out[0] = ;");
    assert!(ended.stderr.contains("             ^"), "{}", ended.stderr);
    check("fn main() {}")
        .expect(2)
        .says("no compute entry point");
    let args = ["shader", "check", "bad.wgsl", "--json"];
    let told = place.run("h", &args).expect(2).json();
    assert_eq!(told["runs"], Value::Bool(false));
    let refusal = &told["refusals"][0];
    assert!(
        refusal["code"].is_string() && refusal["fix"].is_string(),
        "{told}"
    );
}

/// Whatever is wrong is said before anything is sent.
#[test]
fn no_bad_job_of_a_shader_reaches_the_swarm() {
    let place = Place::new();
    let shader = "
@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> squares: array<u32>;
override FACTOR: u32;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) { squares[id.x] = numbers[id.x] * FACTOR; }";
    fs::write(place.path("s.wgsl"), shader).unwrap();
    fs::write(
        place.path("two.wgsl"),
        format!("{shader}\n@compute @workgroup_size(1) fn other() {{}}"),
    )
    .unwrap();
    let looping = shader.replace(
        "squares[id.x] =",
        "var i = 0u; while i < FACTOR { i++; } squares[id.x] = i *",
    );
    fs::write(place.path("loop.wgsl"), looping).unwrap();
    fs::write(place.path("odd.bin"), [1, 2, 3]).unwrap();
    fs::write(
        place.path("bad.toml"),
        "shader = \"s.wgsl\"\nnonsense = 1\n[outputs]\n",
    )
    .unwrap();
    let good = "run wgsl s.wgsl --input numbers=u32:1,2,3 --output squares=64 --override FACTOR=2 -o o.txt";
    let run = |line: &str| {
        let args: Vec<&str> = line.split(' ').collect();
        place.run("h", &args)
    };
    run(&format!("{good} --local")).expect(0);
    assert_eq!(
        lines(&place.path("o.txt")).concat()[..4],
        [2, 4, 6, 6],
        "clamped, not zero"
    );
    fs::remove_file(place.path("o.txt")).unwrap();
    let cases = [
        ("--override FACTOR=2", "", "FACTOR"),
        ("--override FACTOR=2", "--override FACTR=2", "FACT"),
        ("--input numbers=u32:1,2,3", "", "`numbers` is read"),
        (
            "--input numbers=u32:1,2,3",
            "--input numbrs=u32:1",
            "numbers",
        ),
        (
            "--input numbers=u32:1,2,3",
            "--input numbers=u32:1,x",
            "no such number",
        ),
        ("numbers=u32:1,2,3", "numbers=odd.bin", "no whole words"),
        ("numbers=u32:1,2,3", "numbers=gone.bin", "gone.bin"),
        ("--output squares=64", "", "squares"),
        ("squares=64", "squares=0", "at least one"),
        ("squares=64", "squares=64x64x64x64", "WIDTHxHEIGHTxDEPTH"),
        (
            "squares=64",
            "squares=64 --dispatch 0",
            "at least one workgroup",
        ),
        ("squares=64", "squares=64 --dispatch 4294967295", "2^32"),
        ("squares=64", "squares=4000 --dispatch 2", "slots"),
        (
            "squares=64",
            "squares=64 --tile 2",
            "no more than the dispatch",
        ),
        ("squares=64", "squares=64*65536", "bytes"),
        ("s.wgsl", "loop.wgsl --fuel 99999999", "fuel above"),
        ("-o o.txt", "", "-o FILE"),
        ("s.wgsl", "two.wgsl", "entry"),
        ("s.wgsl", "s.wgsl --entry none", "none"),
        ("s.wgsl", "gone.wgsl", "gone.wgsl"),
        ("s.wgsl", "bad.toml", "nonsense"),
    ];
    for (from, to, says) in cases {
        let line = good.replace(from, to).replace("  ", " ");
        let line = line.trim();
        for how in ["--local", "--wait 0"] {
            let ended = run(&format!("{line} {how}"));
            assert_eq!(ended.code, Some(2), "{line}: {}", ended.stderr);
            assert!(ended.stderr.contains(says), "{line}: {}", ended.stderr);
        }
    }
    assert!(!place.path("o.txt").exists());
}
