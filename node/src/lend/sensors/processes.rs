//! Which programs run, how busy the processor is, and how hot: by the `sysinfo` library.

use std::path::Path;

use sysinfo::{
    Components, IS_SUPPORTED_SYSTEM, Pid, ProcessRefreshKind, ProcessesToUpdate, System,
};

/// The process table, read when it is asked for.
#[derive(Default)]
pub(super) struct Processes {
    system: System,
    components: Option<Components>,
}

impl Processes {
    /// Those of `wanted` that run: a program's name, with or without what stands behind its last dot.
    pub(super) fn running(&mut self, wanted: &[String]) -> Option<Vec<String>> {
        if !IS_SUPPORTED_SYSTEM {
            return None;
        }
        refresh(&mut self.system, ProcessesToUpdate::All);
        let mut found: Vec<String> = Vec::new();
        for process in self.system.processes().values() {
            let name = process.name().to_string_lossy();
            let is = |app: &&String| is_named(&name, app) && !found.contains(app);
            if let Some(app) = wanted.iter().find(is) {
                found.push(app.clone());
            }
        }
        Some(found)
    }

    /// Whether a process is this one, or was started by it.
    pub(super) fn is_own(&mut self, pid: u32) -> bool {
        let own = std::process::id();
        if pid == own {
            return true;
        }
        let pid = Pid::from_u32(pid);
        refresh(&mut self.system, ProcessesToUpdate::Some(&[pid]));
        let parent = self.system.process(pid).and_then(sysinfo::Process::parent);
        parent == Some(Pid::from_u32(own))
    }

    /// Since the last call; nothing at the first.
    pub(super) fn cpu_pct(&mut self) -> Option<u8> {
        let first = self.system.cpus().is_empty();
        self.system.refresh_cpu_usage();
        (!first).then(|| self.system.global_cpu_usage().clamp(0.0, 100.0) as u8)
    }

    /// How much of the machine's memory is taken: all but what the system says it could give.
    pub(super) fn memory_pct(&mut self) -> Option<u8> {
        self.system.refresh_memory();
        let (all, free) = (self.system.total_memory(), self.system.available_memory());
        // Nothing is known of the memory, or of what is left of it.
        if all == 0 || free == 0 {
            return None;
        }
        Some((100 * all.saturating_sub(free) / all) as u8)
    }

    /// Of the hottest part of a processor.
    pub(super) fn temperature_c(&mut self) -> Option<i16> {
        let known = self
            .components
            .get_or_insert_with(Components::new_with_refreshed_list);
        let of_cpu = |label: &str| {
            ["coretemp", "k10temp", "Tctl", "Package", "CPU", "cpu"]
                .iter()
                .any(|part| label.contains(part))
        };
        let mut hottest: Option<f32> = None;
        for component in known.iter_mut().filter(|c| of_cpu(c.label())) {
            component.refresh();
            let degrees = component.temperature().filter(|t| t.is_finite());
            hottest = hottest.into_iter().chain(degrees).reduce(f32::max);
        }
        hottest.map(|t| t.clamp(-100.0, 1000.0) as i16)
    }
}

fn refresh(system: &mut System, which: ProcessesToUpdate<'_>) {
    system.refresh_processes_specifics(which, true, ProcessRefreshKind::nothing());
}

/// Linux cuts names after 15 bytes.
fn is_named(process: &str, wanted: &str) -> bool {
    let stem = |name: &str| {
        let path = Path::new(name);
        path.file_stem().map(|s| s.to_string_lossy().to_lowercase())
    };
    let (process_low, wanted_low) = (process.to_lowercase(), wanted.to_lowercase());
    process_low == wanted_low
        || stem(process) == stem(wanted)
        || (process.len() == 15 && wanted_low.starts_with(&process_low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_names() {
        assert!(is_named("Game.exe", "game.exe"));
        assert!(is_named("game.exe", "game"));
        assert!(is_named("a_very_long_nam", "a_very_long_name_indeed"));
        assert!(!is_named("gamer", "game"));
        assert!(!is_named("a_very_long", "a_very_long_name_indeed"));
    }

    #[test]
    fn this_process_runs_and_is_its_own() {
        let mut processes = Processes::default();
        let exe = std::env::current_exe().expect("a path");
        let name = exe
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let wanted = [name.clone(), "no such program".to_owned()];
        assert_eq!(processes.running(&wanted), Some(vec![name]));
        assert!(processes.is_own(std::process::id()));
        assert!(!processes.is_own(1) || std::process::id() == 1);
    }
}
