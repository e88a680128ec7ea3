//! What the local API asks of the command line's side: settings, checks, receipts.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::config;
use super::doctor;
use super::exit::Failure;
use super::place::{Place, address};
use super::proof;
use crate::api::owner::{Owner, SettingView};
use crate::home::Config;
use crate::home::config::{KEYS, Key, Settings, Value};
use crate::reason::Reason;

impl Owner for Place {
    fn settings(&self) -> Result<Vec<SettingView>, Reason> {
        let settings = Place::settings(self).map_err(Failure::into_reason)?;
        Ok(KEYS.iter().map(|key| view(key, &settings)).collect())
    }

    fn set(&self, name: &str, value: Option<Value>) -> Result<SettingView, Reason> {
        let key = Key::find(name).ok_or_else(|| {
            let what = format!("there is no setting {name:?}");
            Reason::new("not_found", what, "`starling config show` lists them all")
        })?;
        if let Some(value) = &value {
            let checked = key.kind.check(value, &address);
            checked.map_err(|misfit| {
                let what = format!("{name} cannot be {value}");
                Reason::new("bad_request", what, misfit.problem)
            })?;
        }
        // The file is read, changed and written: one at a time, or a change would be lost.
        static CHANGING: Mutex<()> = Mutex::new(());
        let _one = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        // A file with a mistake is told before it is touched.
        let written = self
            .config()
            .and_then(|_| config::write(self, key.name, value.as_ref()))
            .and_then(|()| Place::settings(self));
        let settings = written.map_err(Failure::into_reason)?;
        Ok(view(key, &settings))
    }

    fn doctor(&self) -> Vec<serde_json::Value> {
        let mut all = Vec::new();
        doctor::examine(self, |check| all.push(json!(check)));
        all
    }

    fn verify(&self, bundle: &[u8]) -> serde_json::Value {
        let known: BTreeSet<_> = proof::own_keys(self).collect();
        proof::verdict(bundle, &known)
    }
}

fn view(key: &'static Key, settings: &Settings) -> SettingView {
    SettingView {
        key: key.name.into(),
        about: key.about.into(),
        value: key.get(&settings.config),
        default: key.get(&Config::default()),
        from: settings.origin(key).word().into(),
        kind: key.kind.into(),
        live: key.is_live(),
    }
}
