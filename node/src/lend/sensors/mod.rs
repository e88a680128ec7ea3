//! What a machine tells of itself: who uses it, and how its device is.
//!
//! It reads and decides nothing; a sensor that is missing or fails says nothing. Each part is asked for only if a rule
//! or a chart needs it. On Linux: NVML, sysfs, X11, D-Bus and the process table. Elsewhere NVML (Windows), idle time and
//! batteries (`elsewhere`) and what the `sysinfo` library reads; none of that was run by this project.

#[cfg(target_os = "linux")]
mod battery;
#[cfg(target_os = "linux")]
mod bus;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod gpu;
mod processes;
#[cfg(target_os = "linux")]
mod screen;

use chrono::{Datelike as _, Timelike as _};
use serde::{Deserialize, Serialize};
use starling_protocol::lending::{Readings, Rules};
use utoipa::ToSchema;

#[cfg(target_os = "linux")]
use battery::Battery;
#[cfg(not(target_os = "linux"))]
use elsewhere::{Battery, Screen};
pub use gpu::Gpu;
use processes::Processes;
#[cfg(target_os = "linux")]
use screen::Screen;

/// What can be drawn as a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Gauges {
    /// How much of the GPU is in use, percent.
    pub gpu_pct: Option<u8>,
    /// The device's temperature, degrees Celsius.
    pub temperature_c: Option<i16>,
    /// What the GPU draws, watts.
    pub watts: Option<f32>,
    /// Memory of the GPU in use, MiB.
    pub memory_mib: Option<u64>,
    /// All of it.
    pub memory_total_mib: Option<u64>,
    /// How much of the processor is in use, percent.
    pub cpu_pct: Option<u8>,
}

/// Where readings come from. Calls may take some milliseconds.
pub trait Sensors: Send {
    /// What `rules` go by.
    fn readings(&mut self, rules: &Rules) -> Readings;

    /// How the device is.
    fn gauges(&mut self) -> Gauges;
}

/// This machine.
pub struct Machine {
    gpu: Option<Gpu>,
    battery: Battery,
    screen: Screen,
    processes: Processes,
}

impl Machine {
    /// With the GPU of that name, if there is one.
    pub fn new(device: &str) -> Self {
        Self {
            gpu: Gpu::named(device),
            battery: Battery::default(),
            screen: Screen::default(),
            processes: Processes::default(),
        }
    }
}

impl Sensors for Machine {
    fn readings(&mut self, rules: &Rules) -> Readings {
        let Self {
            gpu,
            battery,
            screen,
            processes,
        } = self;
        let foreign = rules.foreign_gpu_pct.and_then(|_| {
            let gpu = gpu.as_mut()?;
            gpu.foreign_pct(&mut |pid| processes.is_own(pid))
        });
        let temperature = rules.temperature_c.and_then(|_| match gpu {
            Some(gpu) => gpu.gauges().temperature_c,
            None => processes.temperature_c(),
        });
        Readings {
            idle_s: rules.idle_s.and_then(|_| screen.idle_s()),
            full_screen: rules.full_screen.then(|| screen.is_full()).flatten(),
            apps: (!rules.apps.is_empty())
                .then(|| processes.running(&rules.apps))
                .flatten(),
            foreign_gpu_pct: foreign,
            on_battery: rules.battery.then(|| battery.is_used()).flatten(),
            temperature_c: temperature,
            memory_pct: rules.memory_pct.and_then(|_| processes.memory_pct()),
            minute: minute_of_week(),
        }
    }

    fn gauges(&mut self) -> Gauges {
        let gpu = self.gpu.as_ref().map(Gpu::gauges).unwrap_or_default();
        Gauges {
            cpu_pct: self.processes.cpu_pct(),
            temperature_c: gpu.temperature_c.or_else(|| self.processes.temperature_c()),
            ..gpu
        }
    }
}

/// Of local time; Monday begins with 0.
pub(super) fn minute_of_week() -> u16 {
    let now = chrono::Local::now();
    let days = now.weekday().num_days_from_monday();
    (days * 24 * 60 + now.hour() * 60 + now.minute()) as u16
}
