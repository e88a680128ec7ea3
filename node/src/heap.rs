//! glibc's heap, told that this program lives in the background of somebody's machine. Elsewhere nothing is to be said.
#![allow(unsafe_code, reason = "calls into glibc, with numbers alone")]

/// To be called before other threads start.
pub fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: each takes two numbers, and no other thread allocates yet.
    unsafe {
        // Threads get heaps of their own, up to eight for each core, and every handshake leaves holes in one, which are
        // a good part of an idle peer's memory. Two have few holes; with one, busy threads wait for each other.
        libc::mallopt(libc::M_ARENA_MAX, 2);
        // Else this grows with the largest piece that was ever freed, large tables of zeros come from the heap, and
        // zeros are written where the system would have lent an empty page.
        libc::mallopt(libc::M_MMAP_THRESHOLD, 256 << 10);
        // Busy peers would take the same pages again and again; `give_back` comes once a minute.
        libc::mallopt(libc::M_TRIM_THRESHOLD, 8 << 20);
    }
}

/// Gives the system what lies free between pieces in use.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number, and locks each heap as `malloc` does.
    unsafe {
        libc::malloc_trim(0);
    }
}
