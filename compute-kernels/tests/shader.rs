//! Shaders of requesters: the interpreter against plain Rust, and against a device.

#[path = "support/random.rs"]
mod random;
mod random_shaders;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use random::Random;
use starling_kernels::runner::{
    AdapterChoice, CpuRunner, Engine, GpuProcess, GuestRunner, RunnerError,
};
use starling_kernels::shader::Wgsl;
use starling_kernels::shader::program::{Program, draft};
use starling_kernels::shader::spec::{OutputSpec, Per, Spec};
use starling_kernels::shader::survey::survey;
use starling_kernels::{JobSpec, Kernel as _, KernelError, Tier};
use support::DEADLINE;

/// A shader on inputs, and what it is run on.
struct Run<'a> {
    shader: &'a str,
    groups: [u32; 3],
    tile: [u32; 3],
    extent: [u32; 3],
    per: Per,
    inputs: Vec<Vec<u32>>,
    in_place: bool,
}

impl Run<'_> {
    fn spec(&self) -> Spec {
        let found = survey(self.shader, None, &[])
            .unwrap_or_else(|all| panic!("{all:?}\n{}", numbered(self.shader)));
        let mut spec = draft(&found, self.groups, self.tile, 100_000);
        for bound in &found.bindings {
            if !bound.written || self.in_place {
                spec.inputs.push(bound.at);
            }
            if bound.written {
                spec.outputs.push(OutputSpec {
                    from: self.in_place.then_some(spec.inputs.len() as u32),
                    ..bound.output(self.per, self.extent, 1)
                });
            }
        }
        spec.check().expect("a sound spec");
        let bytes: Vec<usize> = self.inputs.iter().map(|i| i.len() * 4).collect();
        let program = Program::build(spec, self.shader, &bytes).unwrap_or_else(|e| panic!("{e}"));
        let program_digest = program.digest();
        Spec {
            program: program_digest,
            ..program.spec
        }
    }

    fn job(&self) -> JobSpec {
        let shader = Arc::from(self.shader.as_bytes());
        let bytes = |words: &Vec<u32>| -> Arc<[u8]> {
            words.iter().flat_map(|w| w.to_le_bytes()).collect()
        };
        JobSpec {
            kernel: Wgsl.id(),
            params: self.spec().encode(),
            inputs: std::iter::once(shader)
                .chain(self.inputs.iter().map(bytes))
                .collect(),
        }
    }
}

/// With the numbers of its lines.
fn numbered(shader: &str) -> String {
    let lines = (1..).zip(shader.lines());
    lines.map(|(n, line)| format!("{n:4} {line}\n")).collect()
}

fn tiles(job: &JobSpec) -> Vec<u32> {
    let kernel = job.kernel().expect("it is known here");
    let shape = kernel.shape(&job.params, &job.inputs);
    (0..shape.expect("sound").tiles).collect()
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks_exact(4)
        .map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]))
        .collect()
}

fn interpreted(run: &Run<'_>) -> Vec<u32> {
    let job = run.job();
    let prepared = Wgsl.prepare(&job.params, &job.inputs);
    let prepared = prepared.unwrap_or_else(|e| panic!("{e}"));
    words(&prepared.run(&tiles(&job)))
}

fn on_device(device: &mut GuestRunner, run: &Run<'_>) -> Vec<u32> {
    let job = run.job();
    device
        .load(&job, DEADLINE)
        .unwrap_or_else(|e| panic!("{e}"));
    words(
        &device
            .run(&tiles(&job), DEADLINE)
            .unwrap_or_else(|e| panic!("{e}")),
    )
}

fn linear(shader: &str, inputs: Vec<Vec<u32>>) -> Run<'_> {
    Run {
        shader,
        groups: [4, 1, 1],
        tile: [1, 1, 1],
        extent: [256, 1, 1],
        per: Per::Invocation,
        inputs,
        in_place: false,
    }
}

const SQUARES: &str = "
@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> squares: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    squares[id.x] = numbers[id.x] * numbers[id.x];
}";

const COLLATZ: &str = "
@group(0) @binding(0) var<storage, read_write> v: array<u32>;
fn steps(start: u32) -> u32 {
    var n = start;
    var i = 0u;
    loop {
        if n <= 1u { break; }
        if n % 2u == 0u { n = n / 2u; } else { n = 3u * n + 1u; }
        i++;
    }
    return i;
}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    v[id.x] = steps(v[id.x]);
}";

const SUM: &str = "
@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;
var<workgroup> part: array<u32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32,
        @builtin(workgroup_id) group: vec3<u32>) {
    part[i] = numbers[id.x];
    workgroupBarrier();
    for (var step = 32u; step > 0u; step >>= 1u) {
        if i < step { part[i] += part[i + step]; }
        workgroupBarrier();
    }
    if i == 0u { sums[group.x] = part[0]; }
}";

const FLOATS: &str = "
struct Item { a: vec3<f32>, b: f32, m: mat3x3<f32>, n: i32 }
@group(0) @binding(0) var<storage, read> numbers: array<f32>;
@group(0) @binding(1) var<storage, read_write> items: array<Item>;
fn turn(q: vec2<f32>, by: f32) -> vec2<f32> {
    return mat2x2<f32>(cos(by), sin(by), -sin(by), cos(by)) * q;
}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let x = numbers[id.x];
    let y = numbers[id.x + 1u];
    var item: Item;
    item.a = vec3(x + y, x * y, x / y);
    item.b = sqrt(abs(x)) + exp(y * 0.01) - log(abs(y)) + pow(abs(x), 0.3);
    item.a += normalize(vec3(x, y, 1.0)) * length(turn(vec2(x, y), y));
    item.m = mat3x3<f32>(item.a, item.a.zxy, item.a.yzx) * x;
    item.m[1] = vec3(tan(x), atan2(y, x), asin(clamp(x, -1.0, 1.0)));
    item.m[2] = vec3(floor(x) + ceil(y), round(x) - fract(y), mix(x, y, 0.25) % 3.0);
    item.n = i32(x) + i32(u32(y)) + i32(sign(x)) + select(1, 2, x < y);
    item.m = transpose(item.m) * item.m;
    items[id.x] = item;
}";

/// NVIDIA's 580.159.04 takes the middle one's divisor for 1, if vectors are divided whole.
const DIVIDED: &str = "
@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> results: array<vec3<i32>>;
fn s(x: u32) -> i32 { return i32(x); }
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let less = vec3<i32>(s(2682716438u), s(2040174588u), s(1u)) < max(vec3<i32>(s(7u), s(3003672852u), s(2147483647u)), vec3<i32>(s(31u), s(33u), s(0u)));
    let by = select(vec3<i32>(s(0u), s(33u), s(4294967295u)), vec3<i32>(s(4u), s(3709318298u), s(0u)), less);
    results[id.x] = vec3<i32>(s(2147483648u) % s(2u), select(s(4146171265u), s(7u), numbers[3] != 0u), s(2527276684u)) % by;
}";

#[test]
fn what_it_computes_is_what_the_shader_says() {
    let numbers: Vec<u32> = (0..256).map(|i| i * 7 + 3).collect();
    let squares: Vec<u32> = numbers.iter().map(|n| n * n).collect();
    assert_eq!(
        interpreted(&linear(SQUARES, vec![numbers.clone()])),
        squares
    );
    let steps = |n: &u32| {
        let (mut n, mut i) = (*n, 0);
        while n > 1 {
            n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
            i += 1;
        }
        i
    };
    let run = Run {
        in_place: true,
        ..linear(COLLATZ, vec![numbers.clone()])
    };
    let expected: Vec<u32> = numbers.iter().map(steps).collect();
    assert_eq!(interpreted(&run), expected);
    let run = Run {
        per: Per::Group,
        extent: [4, 1, 1],
        ..linear(SUM, vec![numbers.clone()])
    };
    let sums: Vec<u32> = numbers.chunks(64).map(|c| c.iter().sum()).collect();
    assert_eq!(interpreted(&run), sums);
}

#[test]
fn a_device_computes_the_same() {
    let Some(mut device) = guests() else {
        return;
    };
    let numbers: Vec<u32> = (0..256).map(|i| i * 7 + 3).collect();
    let floats: Vec<u32> = (0..257)
        .map(|i| ((i as f32 - 100.0) * 0.37).to_bits())
        .collect();
    let runs = [
        linear(SQUARES, vec![numbers.clone()]),
        Run {
            in_place: true,
            ..linear(COLLATZ, vec![numbers.clone()])
        },
        Run {
            per: Per::Group,
            extent: [4, 1, 1],
            ..linear(SUM, vec![numbers.clone()])
        },
        linear(DIVIDED, vec![numbers]),
        linear(FLOATS, vec![floats]),
    ];
    for run in &runs {
        assert_eq!(
            interpreted(run),
            on_device(&mut device, run),
            "{}",
            run.shader
        );
    }
    assert_eq!(runs[4].spec().tier, Tier::Canonical);
}

/// A GPU, real or not, unless this machine is to do without.
fn adapter() -> Option<AdapterChoice> {
    let device = support::device()?;
    Some(AdapterChoice::Nth(device.describe().index))
}

/// It, in a confined process for each job.
fn guests() -> Option<GuestRunner> {
    let engine = Engine::Adapter(adapter()?);
    Some(GuestRunner::new(&support::command(), engine))
}

/// It, in one confined process.
fn guest_process() -> Option<GpuProcess> {
    let command = support::command().confined();
    let process = GpuProcess::spawn(command, adapter()?, DEADLINE);
    Some(process.unwrap_or_else(|e| panic!("{e}")))
}

#[test]
fn code_of_strangers_runs_in_confined_processes_only() {
    let job = linear(SQUARES, vec![(0..256).collect()]).job();
    assert!(matches!(job.trusted(), Err(KernelError::Guest)));
    assert!(CpuRunner::new().load(&job).is_err());
    if let Some(mut device) = support::device() {
        let refused = device.load(&job, DEADLINE);
        let unknown = |e: &RunnerError| matches!(e, RunnerError::Job(KernelError::Guest));
        assert!(refused.as_ref().is_err_and(unknown), "{refused:?}");
    }
}

/// How many random shaders; `STARLING_SHADERS` asks for more.
fn how_many() -> u32 {
    match std::env::var("STARLING_SHADERS") {
        Ok(n) => n.parse().expect("STARLING_SHADERS is a number"),
        Err(_) => 60,
    }
}

/// So many random shaders, with floats in every second one.
fn try_random(count: u32) {
    // One process for all, as no peer would have it: on a GPU, starting one takes a quarter of a second.
    let Some(mut device) = guest_process() else {
        return;
    };
    let mut random = Random::fresh();
    for n in 0..count {
        let floats = n % 2 == 1;
        let shader = random_shaders::shader(&mut random, floats);
        let inputs = vec![
            (0..random_shaders::INPUT_WORDS)
                .map(|_| random.u32())
                .collect(),
        ];
        let run = linear(&shader, inputs);
        let expected = if floats { Tier::Canonical } else { Tier::Exact };
        assert_eq!(run.spec().tier, expected, "{shader}");
        let here = interpreted(&run);
        if here != shared(&mut device, &run) {
            let (least, at) = smallest(&mut device, &run);
            panic!(
                "shader {n} differs, and so does, at {at},\n{}",
                numbered(&least)
            );
        }
        assert!(
            here.iter().any(|w| *w != 0),
            "nothing came out of\n{shader}"
        );
    }
}

/// On several threads: most of the time goes into compilers.
#[test]
fn a_device_and_the_interpreter_agree_on_random_shaders() {
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(12) as u32);
    let share = how_many().div_ceil(threads);
    // A thread that panics takes the test down with it.
    std::thread::scope(|scope| {
        (0..threads).for_each(|_| {
            scope.spawn(move || try_random(share));
        });
    });
    eprintln!(
        "{} shaders agree, in {:?}",
        share * threads,
        begun.elapsed()
    );
}

/// In a process that has seen other jobs.
fn shared(device: &mut GpuProcess, run: &Run<'_>) -> Vec<u32> {
    let job = run.job();
    let ran = device
        .load(&job, DEADLINE)
        .and_then(|_| device.run(&tiles(&job), DEADLINE));
    words(&ran.unwrap_or_else(|e| panic!("{e}\n{}", run.shader)))
}

/// The first word that differs, and both; nothing if none does or the shader is none.
fn difference(device: &mut GpuProcess, run: &Run<'_>) -> Option<String> {
    let here = catch_unwind(AssertUnwindSafe(|| interpreted(run))).ok()?;
    let there = shared(device, run);
    let at = here.iter().zip(&there).position(|(a, b)| a != b)?;
    let (here, there) = (here[at], there[at]);
    Some(format!("word {at}: {here:#x} here, {there:#x} there"))
}

/// What is left of a shader when all lines and blocks are gone without which the two still differ; and how they do.
fn smallest(device: &mut GpuProcess, run: &Run<'_>) -> (String, String) {
    let mut lines: Vec<&str> = run.shader.lines().collect();
    let mut found = difference(device, run).unwrap_or_else(|| "no word, the second time".into());
    let mut at = 0;
    while at < lines.len() {
        let shorter = cuts(&lines, at).into_iter().find_map(|without| {
            let shader = without.join("\n");
            let valid = survey(&shader, None, &[]).is_ok_and(|s| s.bindings.len() == 2);
            let inputs = run.inputs.clone();
            let smaller = Run {
                shader: &shader,
                inputs,
                ..*run
            };
            let differs = valid.then(|| difference(device, &smaller)).flatten()?;
            Some((without, differs))
        });
        match shorter {
            Some(shorter) => (lines, found) = shorter,
            None => at += 1,
        }
    }
    (lines.join("\n"), found)
}

/// Without the block that begins in this line; without its first and last line; without this line.
fn cuts<'a>(lines: &[&'a str], at: usize) -> Vec<Vec<&'a str>> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let ends =
        |line: &&str| line.trim_start().starts_with('}') && indent(line) == indent(lines[at]);
    let end = lines[at + 1..].iter().position(ends).map(|n| at + 1 + n);
    let mut cuts = Vec::new();
    if let Some(end) = end.filter(|_| lines[at].ends_with('{')) {
        cuts.push([&lines[..at], &lines[end + 1..]].concat());
        cuts.push([&lines[..at], &lines[at + 1..end], &lines[end + 1..]].concat());
    }
    cuts.push([&lines[..at], &lines[at + 1..]].concat());
    cuts
}

/// Repeats one shader from a file, and says where the two differ.
#[test]
fn a_shader_from_a_file_gives_the_same() {
    let Ok(path) = std::env::var("STARLING_SHADER") else {
        return;
    };
    let Some(mut device) = guest_process() else {
        return;
    };
    let shader = std::fs::read_to_string(path).expect("it is there");
    let mut random = Random::fresh();
    let inputs = vec![
        (0..random_shaders::INPUT_WORDS)
            .map(|_| random.u32())
            .collect(),
    ];
    let run = linear(&shader, inputs);
    if interpreted(&run) != shared(&mut device, &run) {
        let (least, at) = smallest(&mut device, &run);
        panic!("at {at},\n{}", numbered(&least));
    }
}

#[test]
fn each_job_has_a_confined_process_of_its_own() {
    let mut engines = vec![Engine::Cpu];
    engines.extend(adapter().map(Engine::Adapter));
    let numbers: Vec<u32> = (0..256).map(|i| i * 7 + 3).collect();
    let first = linear(SQUARES, vec![numbers.clone()]);
    let second = linear(SQUARES, vec![numbers.iter().map(|n| n + 1).collect()]);
    for engine in engines {
        let mut guests = GuestRunner::new(&support::command(), engine);
        let mut pids = Vec::new();
        for run in [&first, &second] {
            let job = run.job();
            guests
                .load(&job, DEADLINE)
                .unwrap_or_else(|e| panic!("{e}"));
            pids.push(guests.pid());
            let bytes = guests.run(&tiles(&job), DEADLINE);
            assert_eq!(
                words(&bytes.expect("computed")),
                interpreted(run),
                "{engine:?}"
            );
            let status = std::fs::read_to_string(format!("/proc/{}/status", pids[0].unwrap_or(0)));
            if cfg!(target_os = "linux") && pids.len() == 1 {
                assert!(status.expect("it lives").contains("Seccomp:\t2"));
            }
        }
        assert_ne!(pids[0], pids[1]);
    }
}

/// One job writes a pattern wherever it can, the next one looks for it wherever nobody has told it what is there.
#[test]
fn nothing_of_one_job_is_left_for_the_next() {
    let with = |body: &str| {
        format!("
@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<array<u32, 16>>;
var<workgroup> memory: array<u32, 4096>;
var<private> own: array<u32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{{body}}}")
    };
    let pattern = with("
    for (var i = 0u; i < 64u; i++) {
        memory[i * 64u + lane] = 0xdeadbeefu;
        own[i] = numbers[i];
    }
    workgroupBarrier();
    for (var i = 0u; i < 16u; i++) { out[id.x][i] = own[i] ^ memory[(lane * 67u + i) % 4096u] ^ 0xdeadbeefu; }
");
    let look = with(
        "
    var found = 0u;
    var local: array<u32, 32>;
    for (var i = 0u; i < 64u; i++) {
        found |= memory[i * 64u + lane] | own[i] | local[i % 32u] | numbers[i] | out[id.x][i % 16u];
    }
    out[id.x][0] = found | out[id.x + 1000000u][3];
    // The other words stay as they began.
",
    );
    let mut engines = vec![Engine::Cpu];
    engines.extend(adapter().map(Engine::Adapter));
    let writes = linear(&pattern, vec![vec![0xdead_beef; 256]]);
    let reads = linear(&look, vec![vec![0; 256]]);
    for engine in engines {
        let mut guests = GuestRunner::new(&support::command(), engine);
        for _ in 0..2 {
            assert!(
                on_device(&mut guests, &writes)
                    .iter()
                    .all(|w| *w == 0xdead_beef)
            );
            assert!(
                on_device(&mut guests, &reads).iter().all(|w| *w == 0),
                "{engine:?}"
            );
        }
    }
}
