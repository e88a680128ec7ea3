//! What a device process may still do once it has begun: read the system's files, use the GPU, compute.
//!
//! A shader is compiled by a driver of millions of lines, in a process that runs as its owner. Landlock takes away the
//! owner's files (keys above all) and the network, seccomp the calls that start programs, look into other processes or
//! open sockets. Both are given up at the start, before any thread exists, and cannot be had back.
//! Memory is bounded by what the process was given to work on, and when the machine runs short of it this process is the
//! first to go.
//! Invariant: it is all or nothing. A Linux that refuses either has no sandbox, and whoever asked for one does not go on.
//! Other systems have nothing of the kind that is known here: a process of its own is all that there is, and `doctor`
//! says so.

/// Why a process is not confined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// This system has nothing of the kind that this program knows.
    #[error("there is no sandbox on this system")]
    Unsupported,
    /// The kernel has none, or refuses it.
    #[error("the kernel refuses {what}: {why}")]
    Refused {
        /// Landlock or seccomp.
        what: String,
        /// What it says.
        why: String,
    },
}

/// Whether this system has something of the kind.
pub const KNOWN: bool = cfg!(target_os = "linux");

/// Confines this process from now on. Call it before any thread is started.
#[cfg(not(target_os = "linux"))]
pub fn enter() -> Result<(), SandboxError> {
    Err(SandboxError::Unsupported)
}

/// From now on this process may have so much memory of its own and no more, for work on so many bytes. Whatever asks for
/// more ends it, as drivers do when there is none. Memory of a GPU is not counted, nor is what is only reserved.
#[cfg(not(target_os = "linux"))]
pub fn cap_memory(_: u64) {}

#[cfg(target_os = "linux")]
pub use linux::{cap_memory, enter};

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::env;
    use std::path::{Path, PathBuf};

    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, PathFd,
        Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
    };
    use rustix::process::{Resource, Rlimit};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };

    use super::SandboxError;

    /// Where drivers, their settings and the libraries that they need are.
    const READ: [&str; 12] = [
        "/usr",
        "/lib",
        "/lib32",
        "/lib64",
        "/etc",
        "/opt",
        "/proc",
        "/sys",
        "/nix",
        "/gnu",
        "/run/opengl-driver",
        "/run/current-system",
    ];
    /// Variables that lead a loader elsewhere, to files or folders.
    const READ_TOO: [&str; 4] = [
        "LD_LIBRARY_PATH",
        "VK_DRIVER_FILES",
        "VK_ICD_FILENAMES",
        "VK_ADD_DRIVER_FILES",
    ];
    /// Devices.
    const USE: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/dri", "/dev/kfd"];
    /// Names of devices begin so.
    const USE_TOO: [&str; 2] = ["nvidia", "mali"];

    /// What a driver, its compiler, the interpreter and the output of a run may take.
    const MEMORY_BYTES: u64 = 3 << 30;
    /// As received, shared, staged for the device, and as the device has it if its memory is this one.
    const COPIES: u64 = 4;

    /// See [`super::cap_memory`].
    pub fn cap_memory(given: u64) {
        let old = rustix::process::getrlimit(Resource::Data);
        let bytes = MEMORY_BYTES.saturating_add(given.saturating_mul(COPIES));
        let current = old.maximum.map_or(bytes, |most| most.min(bytes));
        // Only a limit above the maximum can be refused.
        let _ = rustix::process::setrlimit(
            Resource::Data,
            Rlimit {
                current: Some(current),
                ..old
            },
        );
    }

    /// See [`super::enter`].
    pub fn enter() -> Result<(), SandboxError> {
        // A kernel that knows no such thing kills whom it likes.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        files_and_network().map_err(|why| refused("Landlock", why))?;
        calls().map_err(|why| refused("seccomp", why))
    }

    fn refused(what: &str, why: impl ToString) -> SandboxError {
        SandboxError::Refused {
            what: what.into(),
            why: why.to_string(),
        }
    }

    fn files_and_network() -> Result<(), String> {
        let text = |e: landlock::RulesetError| e.to_string();
        // Files are a must since the first Landlock; what later ones add is taken where it is there.
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V1))
            .map_err(text)?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V5))
            .map_err(text)?
            .handle_access(AccessNet::from_all(ABI::V5))
            .map_err(text)?
            .scope(Scope::from_all(ABI::V6))
            .map_err(text)?;
        let mut ruleset = ruleset.create().map_err(text)?;
        let read = AccessFs::from_read(ABI::V5);
        for path in READ {
            ruleset = allow(ruleset, Path::new(path), read)?;
        }
        for path in READ_TOO.iter().filter_map(env::var_os) {
            for path in env::split_paths(&path) {
                ruleset = allow(ruleset, &path, read)?;
            }
        }
        ruleset = allow(ruleset, Path::new("/dev/urandom"), read)?;
        for path in devices() {
            ruleset = allow(ruleset, &path, AccessFs::from_all(ABI::V5))?;
        }
        let status = ruleset.restrict_self().map_err(text)?;
        match status.ruleset {
            RulesetStatus::NotEnforced => Err("it is switched off".into()),
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        }
    }

    fn devices() -> Vec<PathBuf> {
        let fixed = USE.iter().map(PathBuf::from);
        let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
        let found = entries.map(|e| e.path()).filter(|p| {
            let name = p.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            USE_TOO.iter().any(|u| name.starts_with(u))
        });
        fixed.chain(found).collect()
    }

    /// What is not there needs no permission.
    fn allow(
        ruleset: RulesetCreated,
        path: &Path,
        access: landlock::BitFlags<AccessFs>,
    ) -> Result<RulesetCreated, String> {
        let Ok(file) = PathFd::new(path) else {
            return Ok(ruleset);
        };
        // Of a file only what files have.
        let access = if path.is_dir() {
            access
        } else {
            access & AccessFs::from_file(ABI::V5)
        };
        let rule = PathBeneath::new(file, access);
        ruleset.add_rule(rule).map_err(|e| e.to_string())
    }

    fn calls() -> Result<(), String> {
        let never = [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_getfd,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_userfaultfd,
            libc::SYS_io_uring_setup,
            libc::SYS_open_by_handle_at,
            // Not even to services of this machine: some of them start programs for whoever asks.
            libc::SYS_socket,
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_rt_tgsigqueueinfo,
            libc::SYS_pidfd_send_signal,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_fork,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_vfork,
        ];
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            never.iter().map(|call| (*call, Vec::new())).collect();
        let error = |e: seccompiler::BackendError| e.to_string();
        // Threads, and signals among them, as `abort` sends; no processes, and no signals to others.
        let dword = SeccompCmpArgLen::Dword;
        let threads = SeccompCmpOp::MaskedEq(libc::CLONE_THREAD as u64);
        let no_thread = SeccompCondition::new(0, dword.clone(), threads, 0);
        let own = u64::from(std::process::id());
        let to_others = SeccompCondition::new(0, dword, SeccompCmpOp::Ne, own);
        for (call, condition) in [(libc::SYS_clone, no_thread), (libc::SYS_tgkill, to_others)] {
            let rule = SeccompRule::new(vec![condition.map_err(error)?]).map_err(error)?;
            rules.insert(call, vec![rule]);
        }
        install(rules, libc::EPERM as u32)?;
        // Its flags are in memory, where a filter cannot look; libraries fall back to `clone`.
        let hidden = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        install(hidden, libc::ENOSYS as u32)
    }

    fn install(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: u32) -> Result<(), String> {
        let arch = env::consts::ARCH.try_into();
        let arch = arch.map_err(|e: seccompiler::BackendError| e.to_string())?;
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(errno),
            arch,
        );
        let filter = filter.map_err(|e| e.to_string())?;
        let program: BpfProgram = filter
            .try_into()
            .map_err(|e: seccompiler::BackendError| e.to_string())?;
        seccompiler::apply_filter(&program).map_err(|e| e.to_string())
    }
}
