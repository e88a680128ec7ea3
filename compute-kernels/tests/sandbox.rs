//! What a confined process can no longer do, and that shaders run in one.
#![cfg(target_os = "linux")]

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, ExitCode};

use starling_kernels::runner::sandbox;

/// Runs this test program again, confined, and gives what `attempt` says there.
fn confined(attempt: &str, argument: &Path) -> String {
    let exe = std::env::current_exe().expect("this program");
    let output = Command::new(exe)
        .args(["--exact", "attempts_in_a_confined_process", "--nocapture"])
        .env("STARLING_ATTEMPT", attempt)
        .env("STARLING_ARGUMENT", argument)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let result = said.lines().find_map(|l| l.split_once("result: "));
    match result {
        Some((_, result)) => result.to_owned(),
        None => panic!("{said}\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Not a test of its own: what the others start.
#[test]
fn attempts_in_a_confined_process() -> ExitCode {
    let Ok(attempt) = std::env::var("STARLING_ATTEMPT") else {
        return ExitCode::SUCCESS;
    };
    let argument = std::env::var_os("STARLING_ARGUMENT").unwrap_or_default();
    let path = Path::new(&argument);
    // Tests run in threads, and what a thread gives up only it and its children have lost: that is enough here.
    if attempt != "free" {
        sandbox::enter().expect("a sandbox");
    }
    let told = |result: Result<(), std::io::Error>| match result {
        Ok(()) => "it could".to_owned(),
        Err(e) => format!("{:?}", e.kind()),
    };
    let result = match attempt.as_str() {
        "read" | "free" => told(fs::read(path).map(|_| ())),
        "write" => told(fs::write(path, b"x")),
        "list" => told(fs::read_dir(path).map(|_| ())),
        "connect" => told(TcpStream::connect("127.0.0.1:1").map(|_| ())),
        "listen" => told(TcpListener::bind("127.0.0.1:0").map(|_| ())),
        "unix" => told(UnixDatagram::unbound().map(|_| ())),
        "signal" => {
            // To whoever started it; 0 asks only whether it could.
            let parent = rustix::process::getppid().expect("it was started");
            told(rustix::process::test_kill_process(parent).map_err(Into::into))
        }
        "udp" => told(UdpSocket::bind("127.0.0.1:0").map(|_| ())),
        "run" => told(Command::new("/bin/true").status().map(|_| ())),
        "system" => told(fs::read("/etc/passwd").map(|_| ())),
        "thread" => {
            let sum = std::thread::spawn(|| 20 + 22).join();
            format!("{sum:?}")
        }
        "memory" => {
            sandbox::cap_memory(64 << 20);
            let gib = |n: usize| Vec::<u8>::new().try_reserve_exact(n << 30).is_ok();
            format!("{:?}", (gib(1), gib(2), gib(4)))
        }
        other => panic!("{other}"),
    };
    println!("result: {result}");
    ExitCode::SUCCESS
}

#[test]
fn it_reads_and_writes_no_file_of_its_owner() {
    let home = tempfile::tempdir().expect("a folder");
    let key = home.path().join("key");
    fs::write(&key, b"secret").expect("written");
    assert_eq!(confined("free", &key), "it could");
    assert_eq!(confined("read", &key), "PermissionDenied");
    assert_eq!(confined("write", &key), "PermissionDenied");
    assert_eq!(
        confined("write", &home.path().join("new")),
        "PermissionDenied"
    );
    assert_eq!(confined("list", home.path()), "PermissionDenied");
    assert_eq!(fs::read(&key).expect("still there"), b"secret");
}

#[test]
fn it_has_no_network() {
    for attempt in ["connect", "listen", "udp", "unix"] {
        assert_eq!(
            confined(attempt, Path::new("")),
            "PermissionDenied",
            "{attempt}"
        );
    }
}

#[test]
fn it_sends_no_signal_to_others() {
    assert_eq!(confined("signal", Path::new("")), "PermissionDenied");
}

#[test]
fn it_starts_no_program() {
    assert_eq!(confined("run", Path::new("")), "PermissionDenied");
}

#[test]
fn it_has_what_drivers_need() {
    assert_eq!(confined("system", Path::new("")), "it could");
    assert_eq!(confined("thread", Path::new("")), "Ok(42)");
}

#[test]
fn it_has_no_more_memory_than_its_work_needs() {
    assert_eq!(confined("memory", Path::new("")), "(true, true, false)");
}
