//! Jobs that are submitted all the time, in three ways, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lenders::Lenders;
use super::{Draws, Ended, HOMES, LOOK, Process, Scene};
use crate::support::read;

const PICTURE: [&str; 7] = [
    "run",
    "fractal",
    "--size",
    "768x512",
    "--iterations",
    "6000",
    "-o",
];
/// So many are on their way at once, at most.
const AT_ONCE: usize = 3;
/// From one submission to the next, ms, at most.
const PAUSE_MS: usize = 2000;
/// What could not be asked is asked again after so long.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    /// By a lender's daemon, and the command waits for it.
    Attached,
    /// By a lender's daemon, which another command asks for it.
    Detached,
    /// By a command without a daemon that leaves; its identity collects it elsewhere.
    Visiting,
}

enum State {
    Submitting(Process),
    Getting(Process),
    /// What `job get` said, and a look at the job's own account.
    Doubting(Ended, Process),
    Waiting(Instant),
    Over,
}

struct Job {
    how: How,
    home: String,
    file: String,
    id: Option<String>,
    /// Stewards that were said to hold it.
    held_by: Vec<String>,
    state: State,
}

pub struct Jobs<'a> {
    scene: &'a Scene,
    draws: Draws,
    next: Instant,
    all: Vec<Job>,
    truth: Vec<u8>,
    /// Pictures that were compared with it.
    right: u32,
    /// Jobs that ended, by what they came to.
    ended: BTreeMap<String, u32>,
    /// Commands that failed and were repeated, by their reasons.
    repeated: BTreeMap<String, u32>,
    /// Ids of the jobs that ended.
    over: BTreeSet<String>,
    /// What commands said that failed without a reason of its own.
    unexplained: Vec<String>,
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// How a job ended that is not done, by its account.
fn failed(shown: &Ended) -> Option<String> {
    let shown = (shown.code == Some(0)).then(|| shown.json())?;
    let state = text(&shown["state"]);
    let over = matches!(state.as_str(), "failed" | "cancelled");
    over.then(|| format!("{state}, {}", text(&shown["why"]["code"])))
}

impl<'a> Jobs<'a> {
    pub fn new(scene: &'a Scene, seed: u64) -> Self {
        // Whoever enters a namespace stands elsewhere.
        let alone = scene.place.text("alone.png");
        let whole = [&PICTURE[..], &[&alone, "--local"]].concat();
        scene.run("alone", &whole).expect(0);
        Self {
            scene,
            draws: Draws::new(seed, "jobs"),
            next: Instant::now(),
            all: Vec::new(),
            truth: read(&scene.place.path("alone.png")),
            right: 0,
            ended: BTreeMap::new(),
            repeated: BTreeMap::new(),
            over: BTreeSet::new(),
            unexplained: Vec::new(),
        }
    }

    fn on_their_way(&self) -> impl Iterator<Item = &Job> {
        let over = |job: &&Job| !matches!(job.state, State::Over);
        self.all.iter().filter(over)
    }

    pub fn are_over(&self) -> bool {
        self.on_their_way().next().is_none()
    }

    /// Those that are not over, for people.
    pub fn left(&self) -> String {
        let one = |job: &Job| format!("{:?} {:?} in {}", job.how, job.id, job.home);
        let left: Vec<_> = self.on_their_way().map(one).collect();
        format!("jobs {left:?} are not over, repeated {:?}", self.repeated)
    }

    /// Begins one if it is time, and sees how the others are.
    pub fn step(&mut self, lenders: &Lenders, begins: bool) {
        for at in 0..self.all.len() {
            self.look_after(at, lenders);
        }
        let now = Instant::now();
        if begins && now >= self.next && self.on_their_way().count() < AT_ONCE {
            self.next = now + self.draws.up_to(PAUSE_MS);
            self.submit(lenders);
        }
    }

    fn submit(&mut self, lenders: &Lenders) {
        let how = [How::Attached, How::Detached, How::Visiting][self.draws.below(3)];
        let Some((home, address)) = lenders.well(&mut self.draws) else {
            return;
        };
        let number = self.all.len();
        let home = match how {
            How::Attached | How::Detached => home.to_owned(),
            How::Visiting => format!("visitor-{number}"),
        };
        let file = format!("{number}.png");
        let output = self.scene.place.text(&file);
        let mut args = [&PICTURE[..], &[&output, "--json", "--wait", "30"]].concat();
        match how {
            How::Attached => args.extend(["--timeout", "120"]),
            How::Detached => args.push("--detach"),
            How::Visiting => {
                self.scene.join(&home);
                args.extend(["--detach", "--peers", "6", "--bootstrap", address]);
            }
        }
        let state = State::Submitting(self.scene.start(&home, &args));
        self.all.push(Job {
            how,
            home,
            file,
            id: None,
            held_by: Vec::new(),
            state,
        });
    }

    fn look_after(&mut self, at: usize, lenders: &Lenders) {
        let job = &mut self.all[at];
        let over = match &mut job.state {
            State::Submitting(process) | State::Getting(process) | State::Doubting(_, process) => {
                process.is_over()
            }
            State::Waiting(until) => Instant::now() >= *until,
            State::Over => false,
        };
        if !over {
            return;
        }
        match std::mem::replace(&mut job.state, State::Over) {
            State::Submitting(process) => self.submitted(at, &process.end()),
            State::Getting(process) => self.got(at, process.end()),
            State::Doubting(said, process) => self.doubted(at, &said, &process.end()),
            State::Waiting(_) => self.get(at, lenders),
            State::Over => {}
        }
    }

    fn submitted(&mut self, at: usize, ended: &Ended) {
        let how = self.all[at].how;
        if ended.code != Some(0) {
            // What was submitted all the same is found in its home at the end.
            let what = format!("{how:?}: command failed, {}", self.why(ended));
            *self.ended.entry(what).or_default() += 1;
            return;
        }
        let told = ended.json();
        let id = text(&told["job"]);
        self.all[at].id = Some(id.clone());
        if how == How::Attached {
            return self.complete(at);
        }
        let held_by = told["held_by"].as_array().expect("a list").iter();
        self.all[at].held_by = held_by.map(text).collect();
        // Quick workers may have done it before its stewards could say that they hold it: then it stays where it was.
        if how == How::Visiting && text(&told["state"]) != "done" {
            let home = &self.all[at].home;
            let elsewhere = format!("{home}-elsewhere");
            self.scene.join(&elsewhere);
            let there = self.scene.place.path(&elsewhere).join("requester");
            std::fs::create_dir_all(&there).expect("a folder");
            let identity = self.scene.place.path(home).join("requester/identity.key");
            std::fs::copy(identity, there.join("identity.key")).expect("copied");
            self.all[at].home = elsewhere;
        }
        self.all[at].state = State::Waiting(Instant::now());
    }

    /// Why a command failed. That it has a code of its own for that is a part of the check.
    fn why(&mut self, ended: &Ended) -> String {
        let told = ended.json();
        let code = told["code"].as_str().unwrap_or_default();
        if matches!(code, "" | "error" | "job_failed") {
            self.unexplained.push(format!("{told}\n{}", ended.stderr));
        }
        code.to_owned()
    }

    fn get(&mut self, at: usize, lenders: &Lenders) {
        let job = &mut self.all[at];
        let (how, home) = (job.how, job.home.clone());
        let well = lenders.well(&mut self.draws);
        let Some((_, known)) = well.filter(|_| how == How::Visiting || lenders.is_well(&home))
        else {
            job.state = State::Waiting(Instant::now() + AGAIN);
            return;
        };
        let output = self.scene.place.text(&job.file);
        let id = job.id.as_deref().expect("it was submitted");
        let mut args = vec!["job", "get", id, "-o", &output, "--json"];
        if how == How::Visiting {
            args.extend(["--bootstrap", known]);
        }
        job.state = State::Getting(self.scene.start(&home, &args));
    }

    fn got(&mut self, at: usize, ended: Ended) {
        let job = &mut self.all[at];
        match ended.code {
            Some(0) => self.complete(at),
            // Its daemon may be gone while the job is not: only the job's own account says that it has ended. Its
            // daemon may also stand still, so nobody waits for that here.
            Some(5) => {
                let id = job.id.as_deref().expect("it was submitted");
                let show = self.scene.start(&job.home, &["job", "show", id, "--json"]);
                job.state = State::Doubting(ended, show);
            }
            _ => self.again(at, &ended),
        }
    }

    fn doubted(&mut self, at: usize, said: &Ended, shown: &Ended) {
        match failed(shown) {
            Some(state) => {
                let job = &self.all[at];
                let id = job.id.clone().expect("it was submitted");
                self.note(id, format!("{:?}: {state}", job.how));
            }
            None => self.again(at, said),
        }
    }

    fn again(&mut self, at: usize, ended: &Ended) {
        let why = self.why(ended);
        *self.repeated.entry(why).or_default() += 1;
        self.all[at].state = State::Waiting(Instant::now() + AGAIN);
    }

    fn complete(&mut self, at: usize) {
        let job = &self.all[at];
        let id = job.id.clone().expect("it was submitted");
        let what = format!("{:?}: complete and right", job.how);
        self.compare(&job.file.clone(), &id);
        self.note(id, what);
    }

    fn compare(&mut self, file: &str, id: &str) {
        let path = self.scene.place.path(file);
        assert!(read(&path) == self.truth, "{id} is another picture");
        std::fs::remove_file(path).expect("just read");
        self.right += 1;
    }

    fn note(&mut self, id: String, what: String) {
        *self.ended.entry(what).or_default() += 1;
        assert!(self.over.insert(id), "one job twice");
    }

    /// Looks for jobs whose commands failed although they had been submitted, until they are over, too.
    pub fn sweep(&mut self, end: Instant) {
        for home in self.homes() {
            let list = |scene: &Scene| scene.run(&home, &["job", "ls", "--json"]).expect(0).json();
            let listed = list(self.scene);
            let jobs = listed["jobs"].as_array().expect("a list").iter();
            let ids = jobs.map(|job| text(&job["job"]));
            let ids: Vec<_> = ids.filter(|id| !self.over.contains(id)).collect();
            for id in ids {
                let output = self.scene.place.text("swept.png");
                let what = loop {
                    // Also has a requester go on that could not while a command was at home there.
                    let get = ["job", "get", &id, "-o", &output, "--json"];
                    let ended = self.scene.run(&home, &get);
                    if ended.code == Some(0) {
                        self.compare("swept.png", &id);
                        break "complete and right".to_owned();
                    }
                    let shown = self.scene.run(&home, &["job", "show", &id, "--json"]);
                    if let Some(state) = failed(&shown) {
                        break state;
                    }
                    let why = self.why(&ended);
                    assert!(Instant::now() < end, "{id} is not over: {why}");
                    std::thread::sleep(LOOK);
                };
                self.note(id, format!("found later: {what}"));
            }
        }
    }

    /// Verifies all bundles; answers which slices of which jobs they are about, and whose.
    pub fn verify(&self) -> BTreeSet<(String, u64, String)> {
        let mut all = BTreeSet::new();
        for home in self.homes() {
            let jobs = self.scene.folder(&home).join("jobs");
            let jobs = std::fs::read_dir(jobs).into_iter().flatten().flatten();
            let with_receipts = jobs.filter(|job| job.path().join("bundle.popw").exists());
            let bundles: Vec<String> = with_receipts
                .map(|job| {
                    let name = job.file_name();
                    let name = name.to_str().expect("an id");
                    let inside = format!("{home}/jobs/{name}/bundle.popw");
                    self.scene.place.text(&inside)
                })
                .collect();
            if bundles.is_empty() {
                continue;
            }
            let bundles: Vec<&str> = bundles.iter().map(String::as_str).collect();
            let verify = [&["proof", "verify", "--json"], &bundles[..]].concat();
            let told = self.scene.run(&home, &verify).json();
            assert_eq!(told["invalid"], 0, "{told}");
            for file in told["files"].as_array().expect("a list") {
                let receipts = file["receipts"].as_array().expect("a list");
                // Of a job whose requester had to do everything itself there is nothing to prove.
                let empty = file["error"]
                    .as_str()
                    .is_some_and(|e| e.contains("no receipt"));
                assert!(empty || file["error"].is_null(), "{file}");
                all.extend(receipts.iter().map(|receipt| {
                    let slice = receipt["slice"].as_u64().expect("a number");
                    (text(&file["job"]), slice, text(&receipt["worker"]))
                }));
            }
        }
        all
    }

    /// All homes in which there are jobs.
    pub fn homes(&self) -> Vec<String> {
        let homes = HOMES.map(str::to_owned).into_iter();
        let visited = self.all.iter().filter(|job| job.how == How::Visiting);
        let visited = visited.flat_map(|job| {
            let first = job.home.trim_end_matches("-elsewhere").to_owned();
            let same = first == job.home;
            [Some(first), (!same).then(|| job.home.clone())]
        });
        homes.chain(visited.flatten()).collect()
    }

    /// How many are complete and right.
    pub fn right(&self) -> u32 {
        self.right
    }

    /// What commands said that failed without a reason of its own.
    pub fn unexplained(&self) -> &[String] {
        &self.unexplained
    }

    /// What people were told of jobs: their ids, and who holds them.
    pub fn promises(&self) -> impl Iterator<Item = (&str, &[String])> {
        let told = self.all.iter();
        told.filter_map(|job| Some((job.id.as_deref()?, &job.held_by[..])))
    }
}

impl fmt::Display for Jobs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ordered, ended) = (self.all.len(), &self.ended);
        write!(f, "{ordered} jobs {ended:?}, repeated {:?}", self.repeated)
    }
}
