//! A GPU's load, temperature, power and memory: NVML for NVIDIA's, sysfs for AMD's.

use super::Gauges;

/// A GPU that tells of itself.
pub struct Gpu(Source);

enum Source {
    #[cfg(any(target_os = "linux", windows))]
    Nvidia(Box<nvidia::Card>),
    #[cfg(target_os = "linux")]
    Amd(amd::Card),
}

impl Gpu {
    /// The one of that name, as its driver has it; nothing for CPUs and for makers that are not known here.
    pub fn named(name: &str) -> Option<Self> {
        #[cfg(any(target_os = "linux", windows))]
        if name.contains("NVIDIA") {
            let card = nvidia::Card::named(name).map(Box::new);
            return card.map(Source::Nvidia).map(Self);
        }
        #[cfg(target_os = "linux")]
        if name.contains("AMD") || name.contains("Radeon") {
            return amd::Card::first("/sys/class/drm".as_ref())
                .map(Source::Amd)
                .map(Self);
        }
        let _ = name;
        None
    }

    /// How it is.
    pub fn gauges(&self) -> Gauges {
        match &self.0 {
            #[cfg(any(target_os = "linux", windows))]
            Source::Nvidia(card) => card.gauges(),
            #[cfg(target_os = "linux")]
            Source::Amd(card) => card.gauges(),
        }
    }

    /// How much of it processes use that are not `own`, percent. AMD's driver does not tell whose its load is.
    pub fn foreign_pct(&mut self, own: &mut dyn FnMut(u32) -> bool) -> Option<u8> {
        match &mut self.0 {
            #[cfg(any(target_os = "linux", windows))]
            Source::Nvidia(card) => card.foreign_pct(own),
            #[cfg(target_os = "linux")]
            Source::Amd(_) => {
                let _ = own;
                None
            }
        }
    }
}

#[cfg(any(target_os = "linux", windows))]
mod nvidia {
    use std::collections::BTreeMap;

    use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
    use nvml_wrapper::error::NvmlError;
    use nvml_wrapper::{Device, Nvml};

    use super::Gauges;

    pub(super) struct Card {
        nvml: Nvml,
        index: u32,
        /// Samples after this count, microseconds of NVML's clock.
        seen_us: u64,
    }

    impl Card {
        pub(super) fn named(name: &str) -> Option<Self> {
            let nvml = Nvml::init()
                .inspect_err(|error| tracing::debug!(%error, "no NVML"))
                .ok()?;
            let count = nvml.device_count().ok()?;
            let is = |index: &u32| {
                let device = nvml.device_by_index(*index);
                device.and_then(|d| d.name()).is_ok_and(|n| n == name)
            };
            let index = (0..count).find(is).or((count == 1).then_some(0))?;
            let seen_us = 0;
            Some(Self {
                nvml,
                index,
                seen_us,
            })
        }

        fn device(&self) -> Option<Device<'_>> {
            self.nvml.device_by_index(self.index).ok()
        }

        pub(super) fn gauges(&self) -> Gauges {
            let Some(device) = self.device() else {
                return Gauges::default();
            };
            let memory = device.memory_info().ok();
            let celsius = device.temperature(TemperatureSensor::Gpu).ok();
            Gauges {
                gpu_pct: device.utilization_rates().ok().map(|u| u.gpu as u8),
                temperature_c: celsius.map(|t| t as i16),
                watts: device.power_usage().ok().map(|mw| mw as f32 / 1000.0),
                memory_mib: memory.as_ref().map(|m| m.used >> 20),
                memory_total_mib: memory.as_ref().map(|m| m.total >> 20),
                cpu_pct: None,
            }
        }

        /// The latest sample of each process since the last call.
        pub(super) fn foreign_pct(&mut self, own: &mut dyn FnMut(u32) -> bool) -> Option<u8> {
            let samples = match self.device()?.process_utilization_stats(self.seen_us) {
                Ok(samples) => samples,
                // No process has used it since.
                Err(NvmlError::NotFound) => Vec::new(),
                Err(_) => return None,
            };
            let mut latest = BTreeMap::new();
            for sample in samples {
                let entry = latest.entry(sample.pid).or_insert((0, 0));
                *entry = (*entry).max((sample.timestamp, sample.sm_util));
                self.seen_us = self.seen_us.max(sample.timestamp);
            }
            let foreign = latest.into_iter().filter(|(pid, _)| !own(*pid));
            let sum: u32 = foreign.map(|(_, (_, pct))| pct).sum();
            Some(sum.min(100) as u8)
        }
    }
}

#[cfg(target_os = "linux")]
mod amd {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::Gauges;

    /// The folder of a card's device.
    pub(super) struct Card(PathBuf);

    fn number(path: &Path) -> Option<u64> {
        fs::read_to_string(path).ok()?.trim().parse().ok()
    }

    impl Card {
        /// The first one whose driver tells its load.
        pub(super) fn first(cards: &Path) -> Option<Self> {
            let devices = fs::read_dir(cards).ok()?.flatten();
            let mut devices: Vec<_> = devices.map(|c| c.path().join("device")).collect();
            devices.sort();
            let tells = |device: &PathBuf| device.join("gpu_busy_percent").is_file();
            devices.into_iter().find(tells).map(Self)
        }

        fn hwmon(&self, name: &str) -> Option<u64> {
            let monitors = fs::read_dir(self.0.join("hwmon")).ok()?.flatten();
            monitors
                .map(|m| m.path().join(name))
                .find_map(|p| number(&p))
        }

        pub(super) fn gauges(&self) -> Gauges {
            let file = |name: &str| number(&self.0.join(name));
            let watts = self
                .hwmon("power1_average")
                .or_else(|| self.hwmon("power1_input"));
            Gauges {
                gpu_pct: file("gpu_busy_percent").map(|p| p.min(100) as u8),
                temperature_c: self.hwmon("temp1_input").map(|milli| (milli / 1000) as i16),
                watts: watts.map(|micro| micro as f32 / 1e6),
                memory_mib: file("mem_info_vram_used").map(|b| b >> 20),
                memory_total_mib: file("mem_info_vram_total").map(|b| b >> 20),
                cpu_pct: None,
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_card_is_read_from_its_drivers_files() {
            let cards = tempfile::tempdir().expect("a folder");
            let device = cards.path().join("card1/device");
            let hwmon = device.join("hwmon/hwmon3");
            fs::create_dir_all(&hwmon).expect("made");
            fs::create_dir_all(cards.path().join("card0/device")).expect("made");
            assert!(Card::first(cards.path()).is_none());
            for (name, text) in [
                ("gpu_busy_percent", "37\n"),
                ("mem_info_vram_used", "2147483648\n"),
                ("mem_info_vram_total", "8589934592\n"),
                ("hwmon/hwmon3/temp1_input", "61000\n"),
                ("hwmon/hwmon3/power1_average", "123500000\n"),
            ] {
                fs::write(device.join(name), text).expect("written");
            }
            let card = Card::first(cards.path()).expect("the second one");
            let expected = Gauges {
                gpu_pct: Some(37),
                temperature_c: Some(61),
                watts: Some(123.5),
                memory_mib: Some(2048),
                memory_total_mib: Some(8192),
                cpu_pct: None,
            };
            assert_eq!(card.gauges(), expected);
        }
    }
}
