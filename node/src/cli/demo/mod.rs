//! `starling demo`: a private swarm of processes on this machine, one of them a cheat, and a picture at the end.
//!
//! Nothing is simulated: every peer is `starling up` with a home of its own, the requester is `starling run`, and they
//! meet over loopback. Afterwards the same picture is computed by one process alone and compared byte for byte.
//! Invariant: no process outlives the demo, however it ends.

mod story;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use starling_kernels::runner::{DeviceInfo, DeviceKind};
use starling_protocol::Scope;
use tokio::process::Command;
use tokio::time::Instant;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::interrupt::Interrupt;
use super::proof;
use crate::compute::device_process;
use crate::genesis;
use crate::home::disk;
use crate::stage::{Line, Troupe};
use story::Story;

/// A folder that a demo made, and may empty.
const MARKER: &str = ".starling-demo";
/// A peer may take this long to open its device and its addresses.
const START: Duration = Duration::from_secs(60);
/// Looking for graphics drivers.
const ADAPTERS: Duration = Duration::from_secs(20);

/// Watch a swarm of this machine render a scene, and catch a cheat.
///
/// Starts peers as processes of their own on loopback (the requester among them), one of them faking all its work,
/// submits a scene, and shows who computes, who audits and who is caught. Ends with the picture, a receipt for each
/// slice, and a comparison with a single local run. Exits with 0 only if the two pictures are equal byte for byte.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling demo
  starling demo --peers 8 --cheats 2 --dir /tmp/swarm
  starling demo --scene bunny.glb --size 320x180 --spp 16 --json")]
pub struct Demo {
    /// Processes in the swarm, the requester among them.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=16))]
    peers: u32,
    /// Peers that fake all their tiles; fewer than those that compute.
    #[arg(long, default_value_t = 1, value_name = "N")]
    cheats: u32,
    /// A .obj, .glb, .gltf or .toml file instead of the bundled scene.
    #[arg(long, default_value = "bundled", value_name = "FILE")]
    scene: PathBuf,
    /// Where picture, receipts and the peers' homes go.
    #[arg(long, default_value = "starling-demo", value_name = "DIR")]
    dir: PathBuf,
    /// Width and height in pixels.
    #[arg(long, default_value = "640x360", value_name = "WxH")]
    size: String,
    /// Samples of each pixel.
    #[arg(long, default_value_t = 64, value_name = "N")]
    spp: u32,
    /// Target time of a slice on one device, in ms: short, so that there are many.
    #[arg(long, default_value_t = 1_000, value_name = "MS")]
    slice_ms: u32,
}

impl Demo {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        if self.cheats + 1 >= self.peers && self.cheats > 0 {
            let what = format!(
                "{} peers with {} cheats leave nobody honest to compute",
                self.peers, self.cheats
            );
            return Err(Failure::new(
                Exit::Usage,
                what,
                "ask for more --peers or fewer --cheats",
            ));
        }
        let dir = self.prepare_dir()?;
        let mut stage = Stage {
            story: Story::new(context.console),
            demo: self,
            dir,
            troupe: Troupe::default(),
            requester: None,
            start: Instant::now(),
        };
        let outcome = tokio::select! {
            outcome = stage.play() => outcome,
            _ = interrupt.signalled() => Ok(Exit::Interrupted),
        };
        stage.story.finish();
        let Stage { troupe, story, .. } = &mut stage;
        troupe.send_home(|line| story.take(line)).await;
        match outcome {
            Ok(Exit::Ok) => stage.compare(&interrupt).await,
            other => other,
        }
    }

    /// An empty folder of our own: a demo's earlier results go, nothing else ever does.
    fn prepare_dir(&self) -> Result<PathBuf, Failure> {
        let dir = std::path::absolute(&self.dir).map_err(|e| Failure::of(format!("--dir: {e}")))?;
        let used = dir
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_some());
        if used && !dir.join(MARKER).exists() {
            let what = format!("{} holds other files", dir.display());
            return Err(Failure::new(
                Exit::Usage,
                what,
                "choose a new folder with --dir",
            ));
        }
        let fail = |e| Failure::from(disk::DiskError::new("prepare", &dir, e));
        for old in ["peers", "receipts"].map(|name| dir.join(name)) {
            if old.exists() {
                std::fs::remove_dir_all(old).map_err(fail)?;
            }
        }
        for old in ["render.png", "local.png"].map(|name| dir.join(name)) {
            if old.exists() {
                std::fs::remove_file(old).map_err(fail)?;
            }
        }
        std::fs::create_dir_all(dir.join("peers")).map_err(fail)?;
        std::fs::write(
            dir.join(MARKER),
            "made by `starling demo`, which may empty this folder\n",
        )
        .map_err(fail)?;
        Ok(dir)
    }
}

/// A demo under way.
struct Stage {
    demo: Demo,
    dir: PathBuf,
    troupe: Troupe,
    /// Index of the requester among the children, once it runs.
    requester: Option<usize>,
    story: Story,
    start: Instant,
}

impl Stage {
    /// Starts everybody and follows the job to its end.
    async fn play(&mut self) -> Outcome {
        let genesis = genesis::create("demo", Scope::Local, Some(self.demo.slice_ms))
            .map_err(Failure::from)?;
        let workers = self.demo.peers - 1;
        let adapters = adapters().await;
        let software = adapters.iter().any(|a| a.kind == DeviceKind::Cpu);
        if !software {
            self.story.say("no software Vulkan driver here: every peer computes by its own choice (`starling doctor`)");
        }
        let mut bootstrap: Option<String> = None;
        for i in 0..workers {
            let name = format!("peer-{}", i + 1);
            let home = self.home(&name, &genesis)?;
            // The second one, so that the first is up quickly and the last ones may cheat.
            let on_software = software && workers > 1 && i == 1;
            let lies = i >= workers - self.demo.cheats;
            let device = if on_software { "software" } else { "auto" };
            let mut args: Vec<String> = [
                "up",
                "--events",
                "--exit-on-stdin-close",
                "--device",
                device,
            ]
            .map(Into::into)
            .into();
            args.extend(lies.then(|| "--lies".into()));
            args.extend(
                bootstrap
                    .iter()
                    .flat_map(|b| ["--bootstrap".into(), b.clone()]),
            );
            let index = self.spawn(&name, &home, &args)?;
            self.story.cast(index, &name, lies);
            if bootstrap.is_none() {
                bootstrap = Some(self.address_of(index).await?);
            }
        }
        let home = self.home("requester", &genesis)?;
        let path = |name: &str| self.dir.join(name).display().to_string();
        let mut args = self.render_args(&path("render.png"));
        let wait = START.as_secs().to_string();
        args.extend(["--events", "--device", "cpu", "--wait", &wait].map(Into::into));
        args.extend([
            "--receipts".into(),
            path("receipts"),
            "--peers".into(),
            workers.to_string(),
        ]);
        args.extend(
            bootstrap
                .iter()
                .flat_map(|b| ["--bootstrap".into(), b.clone()]),
        );
        let requester = self.spawn("requester", &home, &args)?;
        self.story.cast(requester, "requester", false);
        self.requester = Some(requester);
        self.follow(requester).await
    }

    /// What both runs share: the same job, into another file.
    fn render_args(&self, output: &str) -> Vec<String> {
        let scene = self.demo.scene.display().to_string();
        let spp = self.demo.spp.to_string();
        [
            "run",
            "render",
            &scene,
            "-o",
            output,
            "--size",
            &self.demo.size,
            "--spp",
            &spp,
        ]
        .map(Into::into)
        .into()
    }

    fn home(&self, name: &str, genesis: &starling_protocol::Genesis) -> Result<PathBuf, Failure> {
        let home = self.dir.join("peers").join(name);
        disk::create_private_dir(&home).map_err(Failure::from)?;
        genesis::save_new(genesis, &home.join("genesis.toml")).map_err(Failure::from)?;
        Ok(home)
    }

    fn spawn(&mut self, name: &str, home: &Path, args: &[String]) -> Result<usize, Failure> {
        let cannot = |e| Failure::of(format!("cannot start {name}: {e}"));
        let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
        command.args(args);
        self.troupe.spawn(home, command).map_err(cannot)
    }

    /// The next line of any process. Lines that tell the story are told on the way.
    async fn next(&mut self) -> Line {
        let line = self.troupe.next().await;
        self.story.take(&line);
        line
    }

    /// Waits until a peer can be dialled.
    async fn address_of(&mut self, index: usize) -> Result<String, Failure> {
        let until = Instant::now() + START;
        loop {
            let line = tokio::time::timeout_at(until, self.next()).await;
            match line.map_err(|_| self.died(index, "did not start in time"))? {
                Line::Json { child, value }
                    if child == index && value["happening"] == "listening" =>
                {
                    if let Some(address) = value["address"].as_str().filter(|a| a.contains("/tcp/"))
                    {
                        return Ok(address.to_owned());
                    }
                }
                Line::End { child } if child == index => {
                    return Err(self.died(index, "stopped at once"));
                }
                Line::Json { .. } | Line::End { .. } => {}
            }
        }
    }

    fn died(&self, index: usize, what: &str) -> Failure {
        let log = self.troupe.log(index).display();
        Failure::new(
            Exit::Error,
            format!("{} {what}", self.story.name(index)),
            format!("its log tells why: {log}"),
        )
    }

    /// Until the requester ends.
    async fn follow(&mut self, requester: usize) -> Outcome {
        loop {
            if let Line::End { child } = self.next().await {
                if child == requester {
                    let code = self.troupe.child(requester).exit_code().await;
                    return match code {
                        Some(0) => Ok(Exit::Ok),
                        _ => Err(self.died(requester, "failed").exit(Exit::JobFailed)),
                    };
                }
                return Err(self.died(child, "stopped in the middle of the job"));
            }
        }
    }

    /// One process alone, on the CPU; then the verdict.
    async fn compare(&mut self, interrupt: &Interrupt) -> Outcome {
        let wall_s = self.story.job_s();
        self.story
            .say("the same picture again, by one process on the CPU alone");
        let home = self.dir.join("peers").join("alone");
        let local = self.dir.join("local.png");
        let mut args = self.render_args(&local.display().to_string());
        args.extend(["--local", "--json", "--quiet"].map(Into::into));
        let index = self.spawn("alone", &home, &args)?;
        self.story.cast(index, "alone", false);
        let local_s = tokio::select! {
            local_s = self.alone(index) => local_s?,
            _ = interrupt.signalled() => {
                self.troupe.child(index).end().await;
                return Ok(Exit::Interrupted);
            }
        };
        let render = self.dir.join("render.png");
        let equal = match (std::fs::read(&render), std::fs::read(&local)) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        };
        let receipts = proof::verify_dir(&self.dir.join("receipts"))?;
        let numbers = json!({
            "wall_s": wall_s, "local_s": local_s, "total_s": self.start.elapsed().as_secs_f64(),
            "receipts": receipts.valid, "receipts_invalid": receipts.invalid, "output": render,
        });
        let wanted = self.demo.cheats as usize;
        Ok(self.story.conclude(numbers, equal, wanted))
    }

    /// Seconds that the local run took, as it says itself.
    async fn alone(&mut self, index: usize) -> Result<f64, Failure> {
        let mut seconds = None;
        loop {
            match self.next().await {
                Line::Json { child, value } if child == index => seconds = value["wall_s"].as_f64(),
                Line::End { child } if child == index => break,
                Line::Json { .. } | Line::End { .. } => {}
            }
        }
        self.troupe.child(index).end().await;
        seconds.ok_or_else(|| self.died(index, "failed"))
    }
}

/// The adapters of this machine; none if the drivers cannot even be asked.
async fn adapters() -> Vec<DeviceInfo> {
    let Ok(command) = device_process() else {
        return Vec::new();
    };
    let asked = tokio::task::spawn_blocking(move || command.adapters(ADAPTERS)).await;
    asked.ok().and_then(Result::ok).unwrap_or_default()
}

/// A field that every event has.
fn ms(value: &Value) -> u64 {
    value["ms"].as_u64().unwrap_or(0)
}
