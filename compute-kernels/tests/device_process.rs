//! What a parent sees of a device process that is slow, dies, is told nonsense, or loses its parent.

mod support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use starling_kernels::canary::{self, Canary};
use starling_kernels::fractal::{Fractal, MAX_ITERATIONS, Params};
use starling_kernels::runner::{
    AdapterChoice, CpuRunner, DeviceKind, GpuProcess, Runner, RunnerCommand, RunnerError,
};
use starling_kernels::{JobSpec, Kernel, KernelError, KernelId};
use support::{DEADLINE, command, device};

fn mandelbrot(edge: u32, max_iterations: u32) -> JobSpec {
    JobSpec {
        kernel: Fractal.id(),
        params: Params::mandelbrot(edge, edge, max_iterations).encode(),
        inputs: Vec::new(),
    }
}

fn all_tiles(gpu: &mut GpuProcess, job: &JobSpec) -> Vec<u32> {
    let shape = gpu.load(job, DEADLINE).expect("a valid job");
    (0..shape.tiles).collect()
}

fn kill(pid: u32) {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.expect("kill is there").success());
}

/// Waits for the process to disappear or to be a zombie that waits for its parent.
fn wait_gone(pid: u32) {
    for _ in 0..600 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        if !stat.is_ok_and(|s| !s.contains(") Z ")) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("process {pid} is still there");
}

#[test]
fn adapters_are_listed_with_their_kind() {
    if device().is_none() {
        return;
    }
    let adapters = command().adapters(DEADLINE).expect("enumeration works");
    assert!(!adapters.is_empty());
    for (adapter, index) in adapters.iter().zip(0..) {
        assert_eq!(adapter.index, index);
        assert!(!adapter.name.is_empty());
        assert!(adapter.max_binding_bytes >= 128 << 20);
    }
    let hardware = GpuProcess::spawn(command(), AdapterChoice::Hardware, DEADLINE);
    match hardware {
        Ok(gpu) => assert_ne!(gpu.describe().kind, DeviceKind::Cpu),
        Err(error) => assert!(matches!(error, RunnerError::NoAdapter { .. }), "{error}"),
    }
    let beyond = AdapterChoice::Nth(adapters.len() as u32);
    let error = GpuProcess::spawn(command(), beyond, DEADLINE).err();
    assert!(matches!(error, Some(RunnerError::NoAdapter { .. })));
}

#[test]
fn a_killed_process_is_an_error_once_and_then_replaced() {
    let Some(mut gpu) = device() else { return };
    let job = mandelbrot(64, 100);
    let tiles = all_tiles(&mut gpu, &job);
    let first = gpu.run(&tiles, DEADLINE).expect("it works");

    let pid = gpu.pid().expect("it runs");
    kill(pid);
    wait_gone(pid);
    let error = gpu.run(&tiles, DEADLINE).expect_err("nobody answers");
    assert!(
        matches!(&error, RunnerError::Lost(why) if why.contains("signal: 9")),
        "{error}"
    );

    assert_eq!(
        gpu.run(&tiles, DEADLINE),
        Ok(first),
        "a new process, the same job"
    );
    assert_ne!(gpu.pid(), Some(pid));
}

#[test]
fn a_deadline_kills_the_process_and_the_next_call_works() {
    let Some(mut gpu) = device() else { return };
    let job = mandelbrot(2048, MAX_ITERATIONS);
    let tiles = all_tiles(&mut gpu, &job);
    let pid = gpu.pid().expect("it runs");
    // The fastest GPU tried took longer than 100 ms for this.
    let error = gpu.run(&tiles, Duration::from_millis(5)).err();
    assert_eq!(error, Some(RunnerError::Deadline { limit_ms: 5 }));
    assert_eq!(gpu.pid(), None);
    wait_gone(pid);
    assert!(gpu.run(&tiles[..1], DEADLINE).is_ok());
}

#[test]
fn a_stopped_device_starts_again_by_itself() {
    let Some(mut gpu) = device() else { return };
    let job = mandelbrot(64, 100);
    let tiles = all_tiles(&mut gpu, &job);
    let first = gpu.run(&tiles, DEADLINE).expect("it works");
    let used = gpu.idle_since();
    let pid = gpu.pid().expect("it runs");
    gpu.stop();
    assert_eq!(gpu.pid(), None);
    wait_gone(pid);
    assert_eq!(gpu.run(&tiles, DEADLINE), Ok(first));
    assert!(gpu.idle_since() > used);
}

/// Starts a device process by hand and gives it 2048x2048 pixels of as many iterations as there can be to chew on.
#[test]
fn a_device_process_dies_with_its_parent_even_while_it_computes() {
    if device().is_none() {
        return;
    }
    let mut child = Command::new(command().exe)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut send = |message: &str, parts: &[&[u8]]| {
        let sizes: Vec<usize> = parts.iter().map(|p| p.len()).collect();
        let header = format!("{{\"message\":{message},\"parts\":{sizes:?}}}");
        let mut frame = (header.len() as u32).to_le_bytes().to_vec();
        frame.extend(header.bytes());
        frame.extend(parts.concat());
        stdin.write_all(&frame).expect("it listens");
    };
    let mut answer = || {
        let mut len = [0; 4];
        stdout.read_exact(&mut len).expect("it answers");
        let mut header = vec![0; u32::from_le_bytes(len) as usize];
        stdout.read_exact(&mut header).expect("it answers");
        String::from_utf8(header).expect("JSON")
    };
    let adapters = command().adapters(DEADLINE).expect("enumeration works");
    send(
        &format!(
            "{{\"Open\":{{\"adapter\":{{\"nth\":{}}}}}}}",
            adapters[0].index
        ),
        &[],
    );
    assert!(answer().contains("Opened"));
    let job = mandelbrot(2048, MAX_ITERATIONS);
    send(&format!("{{\"Load\":{:?}}}", job.kernel.0), &[&job.params]);
    assert!(answer().contains("Loaded"));
    let tiles: Vec<u8> = (0..128u32 * 128).flat_map(u32::to_le_bytes).collect();
    send("\"Run\"", &[&tiles]);
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        child.try_wait().expect("our child").is_none(),
        "it computes"
    );

    drop(stdin);
    let status = child.wait().expect("our child");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn an_executable_that_is_no_runner_is_an_error() {
    let broken = |exe: &str, args: &[&str]| {
        let command = RunnerCommand {
            exe: exe.into(),
            args: args.iter().map(Into::into).collect(),
        };
        let error = command.adapters(Duration::from_secs(20));
        error.expect_err("it is no runner")
    };
    assert!(matches!(
        broken("/nowhere/starling", &[]),
        RunnerError::Spawn { .. }
    ));
    assert!(matches!(
        broken("/bin/echo", &["hello"]),
        RunnerError::Lost(_)
    ));
    let said = broken("/bin/sh", &["-c", "echo driver exploded >&2; exit 3"]);
    let RunnerError::Lost(said) = said else {
        panic!("{said}");
    };
    assert!(said.contains("driver exploded"), "{said}");
    let silent = RunnerCommand {
        exe: "/bin/sleep".into(),
        args: vec!["1000".into()],
    };
    let error = silent.adapters(Duration::from_millis(100)).err();
    assert_eq!(error, Some(RunnerError::Deadline { limit_ms: 100 }));
}

/// Both runners refuse the same things in the same words.
#[test]
fn bad_jobs_are_refused_and_leave_the_runner_usable() {
    let mut runners = vec![Runner::Cpu(CpuRunner::new())];
    runners.extend(device().map(|gpu| Runner::Gpu(Box::new(gpu))));
    let good = mandelbrot(32, 50);
    let unknown = JobSpec {
        kernel: KernelId([7; 32]),
        ..good.clone()
    };
    let cut = JobSpec {
        params: good.params[..20].to_vec(),
        ..good.clone()
    };
    let surplus = JobSpec {
        inputs: vec![Arc::from([0u8; 4])],
        ..good.clone()
    };
    let many = JobSpec {
        inputs: vec![Arc::from([0u8; 4]); 20],
        ..good.clone()
    };
    for runner in &mut runners {
        assert_eq!(runner.run(&[0], DEADLINE), Err(RunnerError::NotLoaded));
        let mut refusal = |job: &JobSpec| match runner.load(job, DEADLINE) {
            Err(RunnerError::Job(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            refusal(&unknown),
            KernelError::UnknownKernel(unknown.kernel)
        );
        assert!(matches!(refusal(&cut), KernelError::Params(_)));
        assert!(matches!(
            refusal(&surplus),
            KernelError::Input { index: 0, .. }
        ));
        assert!(matches!(
            refusal(&many),
            KernelError::Input { index: 16, .. }
        ));
        assert_eq!(runner.run(&[0], DEADLINE), Err(RunnerError::NotLoaded));

        runner.load(&good, DEADLINE).expect("a valid job");
        let beyond = KernelError::NoSuchTile { tile: 4, tiles: 4 };
        assert_eq!(runner.run(&[0, 4], DEADLINE), Err(beyond.into()));
        let greedy = vec![0; 300 << 10];
        let error = runner.run(&greedy, DEADLINE);
        assert!(matches!(error, Err(RunnerError::TooMuchOutput { .. })));
        assert_eq!(runner.run(&[], DEADLINE), Ok(Vec::new()));
        assert_eq!(runner.run(&[3, 0], DEADLINE).map(|b| b.len()), Ok(2048));
    }
}

#[test]
fn an_input_beyond_the_devices_limit_is_named() {
    let Some(mut gpu) = device() else { return };
    let allows = gpu.describe().max_binding_bytes;
    if allows > 512 << 20 {
        eprintln!("this device binds {allows} bytes: nothing to refuse");
        return;
    }
    let tile = (canary::TILE_ENTRIES * 12) as u64;
    let len = (allows / tile + 1) * tile;
    let job = JobSpec {
        kernel: Canary.id(),
        params: Vec::new(),
        inputs: vec![vec![0; len as usize].into()],
    };
    let error = gpu.load(&job, DEADLINE).expect_err("too large");
    assert!(matches!(error, RunnerError::DeviceLimit { .. }), "{error}");
    assert!(error.to_string().contains("MiB in one binding"), "{error}");
    assert!(gpu.load(&mandelbrot(32, 50), DEADLINE).is_ok());
}
