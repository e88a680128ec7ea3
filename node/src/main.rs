//! The `starling` binary.

fn main() -> std::process::ExitCode {
    share_one_heap();
    starling::cli::main()
}

/// glibc gives threads heaps of their own, and every handshake leaves holes in one: a fifth of an idle peer's memory
/// in a swarm of fifty. Kernels do not allocate in their loops, so one heap for all is fast enough.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc has no safe way to say it")]
fn share_one_heap() {
    // SAFETY: it takes two numbers, and there is no other thread yet.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn share_one_heap() {}
