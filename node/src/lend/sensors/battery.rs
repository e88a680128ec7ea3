//! Whether the machine runs on battery: Linux's power supplies.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of power supplies.
pub(super) struct Battery {
    supplies: PathBuf,
}

impl Default for Battery {
    fn default() -> Self {
        Self::at("/sys/class/power_supply".into())
    }
}

impl Battery {
    /// Supplies that are described in this folder.
    fn at(supplies: PathBuf) -> Self {
        Self { supplies }
    }

    /// Nothing if the machine has no battery, or none that it tells of.
    pub(super) fn is_used(&self) -> Option<bool> {
        let supplies = fs::read_dir(&self.supplies).ok()?;
        let (mut plugged, mut discharging) = (None, None);
        for supply in supplies.flatten().map(|s| s.path()) {
            // Mice and headsets have batteries too.
            if word(&supply, "scope").as_deref() == Some("Device") {
                continue;
            }
            match word(&supply, "type").as_deref() {
                Some("Mains" | "USB") => {
                    let online = word(&supply, "online").as_deref() == Some("1");
                    plugged = Some(plugged == Some(true) || online);
                }
                Some("Battery") => {
                    let drained = word(&supply, "status").as_deref() == Some("Discharging");
                    discharging = Some(discharging == Some(true) || drained);
                }
                _ => {}
            }
        }
        let discharging = discharging?;
        Some(discharging && plugged != Some(true))
    }
}

fn word(folder: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(folder.join(name)).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with these supplies: name, and its files.
    fn machine(supplies: &[(&str, &[(&str, &str)])]) -> (tempfile::TempDir, Battery) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, files) in supplies {
            let supply = folder.path().join(name);
            fs::create_dir(&supply).expect("made");
            for (file, text) in *files {
                fs::write(supply.join(file), format!("{text}\n")).expect("written");
            }
        }
        let battery = Battery::at(folder.path().into());
        (folder, battery)
    }

    #[test]
    fn a_machine_is_on_battery_when_it_drains_one_and_is_not_plugged_in() {
        let drained: &[_] = &[("type", "Battery"), ("status", "Discharging")];
        let full: &[_] = &[("type", "Battery"), ("status", "Full")];
        let (off, on): (&[_], &[_]) = (
            &[("type", "Mains"), ("online", "0")],
            &[("type", "Mains"), ("online", "1")],
        );
        let mouse: &[_] = &[
            ("type", "Battery"),
            ("status", "Discharging"),
            ("scope", "Device"),
        ];
        let cases: [(&[_], _); 6] = [
            (&[("BAT0", drained), ("AC", off)], Some(true)),
            (&[("BAT0", drained), ("AC", on)], Some(false)),
            (&[("BAT0", full), ("AC", on)], Some(false)),
            (&[("BAT0", full), ("BAT1", drained)], Some(true)),
            (&[("mouse", mouse), ("AC", on)], None),
            (&[], None),
        ];
        for (supplies, expected) in cases {
            let (_folder, battery) = machine(supplies);
            assert_eq!(battery.is_used(), expected, "{supplies:?}");
        }
        assert_eq!(Battery::at("/nowhere".into()).is_used(), None);
    }
}
