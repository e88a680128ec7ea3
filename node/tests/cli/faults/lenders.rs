//! Peers that lend, and what is done to them: each fault takes a drawn time, and whoever has ended is started again, as
//! a service manager would.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Draws, Ended, HOMES, Process, Scene, Up};

/// So many are in trouble at once, at most: the others have to be enough for a committee.
const TROUBLED_MAX: usize = 2;
/// From one fault to the next, ms, at most.
const PAUSE_MS: usize = 2000;
/// One that has ended of its full disk is started again after so long.
const AGAIN: Duration = Duration::from_secs(1);

/// In a room of its own: below those that the system gives away.
const FIRST_PORT: u16 = 20_001;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// kill -9.
    Kill,
    /// SIGSTOP, and SIGCONT.
    Stop,
    /// Connections to and from its ports are refused.
    Refuse,
    /// SIGTERM.
    Restart,
    /// Its disk is full.
    Full,
}

impl Fault {
    const ALL: [Self; 5] = [
        Self::Kill,
        Self::Stop,
        Self::Refuse,
        Self::Restart,
        Self::Full,
    ];

    /// How long it may take, ms: some times within the protocol's patience (5 and 10 s), some beyond it.
    fn most_ms(self) -> usize {
        match self {
            Self::Kill | Self::Restart => 3_000,
            Self::Stop | Self::Refuse => 14_000,
            Self::Full => 6_000,
        }
    }
}

struct Lender {
    home: &'static str,
    port: u16,
    address: String,
    /// Its disk was full once.
    was_full: bool,
    /// None while it is down.
    process: Option<Process>,
    trouble: Option<(Fault, Instant)>,
    /// Not before, if it is down without trouble.
    again: Instant,
}

pub struct Lenders<'a> {
    scene: &'a Scene,
    draws: Draws,
    all: Vec<Lender>,
    next: Instant,
    counts: BTreeMap<Fault, u32>,
}

impl<'a> Lenders<'a> {
    pub fn start(scene: &'a Scene, seed: u64) -> Self {
        let now = Instant::now();
        let mut lenders = Self {
            scene,
            draws: Draws::new(seed, "faults"),
            all: Vec::new(),
            next: now,
            counts: BTreeMap::new(),
        };
        for home in HOMES {
            // Who comes back is where it was.
            let number = u16::try_from(lenders.all.len()).expect("few");
            let port = match &scene.room {
                Some(_) => FIRST_PORT + number,
                None => free_port(),
            };
            let at = lenders.all.len();
            lenders.all.push(Lender {
                home,
                port,
                address: String::new(),
                was_full: false,
                process: None,
                trouble: None,
                again: now,
            });
            let up = Up::started(lenders.launch(at));
            lenders.all[at].address = up.address;
            lenders.all[at].process = Some(up.process);
        }
        lenders
    }

    fn launch(&self, at: usize) -> Process {
        let lender = &self.all[at];
        let tcp = format!("/ip4/127.0.0.1/tcp/{}", lender.port);
        let quic = format!("/ip4/127.0.0.1/udp/{}/quic-v1", lender.port);
        let mut args = vec!["up", "--events", "--device", "cpu"];
        // There are more peers than cores.
        args.extend(["--set", "limits.threads=1"]);
        args.extend(["--listen", &tcp, "--listen", &quic]);
        let known = self.all.iter().map(|other| other.address.as_str());
        let known = known.filter(|address| !address.is_empty() && *address != lender.address);
        known.for_each(|address| args.extend(["--bootstrap", address]));
        self.scene.start(lender.home, &args)
    }

    /// An untroubled one's home and address.
    pub fn well(&self, draws: &mut Draws) -> Option<(&'static str, &str)> {
        let at = draws.below(self.all.len());
        let mut from_there = self.all[at..].iter().chain(&self.all[..at]);
        let one = from_there.find(|l| l.is_well())?;
        Some((one.home, &one.address))
    }

    pub fn is_well(&self, home: &str) -> bool {
        self.all.iter().any(|l| l.home == home && l.is_well())
    }

    pub fn are_well(&self) -> bool {
        self.all.iter().all(Lender::is_well)
    }

    /// Ends what is to end, and begins what is to begin.
    pub fn step(&mut self, begins: bool) {
        let now = Instant::now();
        for at in 0..self.all.len() {
            match self.all[at].trouble {
                Some((fault, until)) if now >= until => self.heal(at, fault),
                Some(_) => {}
                None => self.look_after(at, now),
            }
        }
        let troubled = self.all.iter().filter(|l| !l.is_well()).count();
        if begins && now >= self.next && troubled < TROUBLED_MAX {
            self.begin(now);
        }
    }

    fn begin(&mut self, now: Instant) {
        let fault = Fault::ALL[self.draws.below(Fault::ALL.len())];
        // Only that of the last one can be filled.
        let victim = self.draws.below(self.all.len());
        let victim = if fault == Fault::Full {
            self.all.len() - 1
        } else {
            victim
        };
        let lasts = self.draws.up_to(fault.most_ms());
        self.next = now + self.draws.up_to(PAUSE_MS);
        let has_room = self.scene.room.is_some();
        let possible = has_room || !matches!(fault, Fault::Full | Fault::Refuse);
        let lender = &mut self.all[victim];
        if !possible || !lender.is_well() {
            return;
        }
        let process = lender.process.as_mut().expect("it is well");
        match fault {
            Fault::Kill => process.signal(Signal::KILL),
            Fault::Stop => process.signal(Signal::STOP),
            Fault::Restart => {
                // One that has just begun would die of it rather than leave.
                if !process.is_over() {
                    process.until_it_catches(Signal::TERM);
                }
                process.signal(Signal::TERM);
            }
            Fault::Refuse | Fault::Full => {}
        }
        lender.trouble = Some((fault, now + lasts));
        *self.counts.entry(fault).or_default() += 1;
        match (&self.scene.room, fault) {
            (Some(room), Fault::Full) => room.fill(),
            (Some(_), Fault::Refuse) => self.refuse(),
            _ => {}
        }
    }

    fn refuse(&self) {
        let refused = self.all.iter().filter(|l| l.is_under(Fault::Refuse));
        let ports: Vec<u16> = refused.map(|l| l.port).collect();
        if let Some(room) = &self.scene.room {
            room.refuse(&ports);
        }
    }

    fn heal(&mut self, at: usize, fault: Fault) {
        let lender = &mut self.all[at];
        lender.trouble = None;
        let process = lender.process.as_mut().expect("it was well");
        match fault {
            // Dropped, so that it is gone: its home is locked as long as the process is there.
            Fault::Kill => lender.process = None,
            Fault::Stop => process.signal(Signal::CONT),
            Fault::Restart => {
                lender.process.take().expect("as above").end().expect(0);
            }
            Fault::Refuse => self.refuse(),
            Fault::Full => {
                self.scene.room.as_ref().expect("a small disk").free();
                // If it has noticed, it ends now or has already.
                lender.was_full = true;
            }
        }
    }

    /// Starts one that is down, and sees why one has ended.
    fn look_after(&mut self, at: usize, now: Instant) {
        let lender = &mut self.all[at];
        let Some(process) = &mut lender.process else {
            if now >= lender.again {
                self.all[at].process = Some(self.launch(at));
            }
            return;
        };
        if process.is_over() {
            let ended = lender.process.take().expect("as above").end();
            // Said as an event, too, by one that ran; by one that could not start to people alone.
            let known = lender.was_full && ended.stderr.contains("free some space");
            assert!(known, "{} ended by itself: {}", lender.home, end_of(&ended));
            lender.again = now + AGAIN;
        }
    }

    /// Has all leave; answers how many faults there were.
    pub fn end(self) -> BTreeMap<Fault, u32> {
        for lender in self.all {
            let process = lender.process.expect("all are well");
            process.signal(Signal::TERM);
            process.end().expect(0);
        }
        self.counts
    }
}

impl Lender {
    fn is_under(&self, fault: Fault) -> bool {
        self.trouble.is_some_and(|(of, _)| of == fault)
    }

    fn is_well(&self) -> bool {
        self.trouble.is_none() && self.process.is_some()
    }
}

/// One that is free now, and nearly always later.
fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    free.local_addr().expect("a port").port()
}

/// The last that it said.
fn end_of(ended: &Ended) -> String {
    let last = |text: &str| {
        let lines: Vec<&str> = text.lines().filter(|l| l.len() < 500).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    };
    format!(
        "{:?}\n{}\n{}",
        ended.code,
        last(&ended.stdout),
        last(&ended.stderr)
    )
}
