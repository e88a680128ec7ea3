//! The `starling` binary.

fn main() -> std::process::ExitCode {
    share_heaps();
    starling::cli::main()
}

/// glibc gives threads heaps of their own, up to eight for each core, and every handshake leaves holes in one, which
/// are a good part of an idle peer's memory. Two heaps have few holes; with one, busy threads wait for each other.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc has no safe way to say it")]
fn share_heaps() {
    // SAFETY: it takes two numbers, and there is no other thread yet.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn share_heaps() {}
