//! Runs programs: all invocations of a workgroup in lock-step, those that are elsewhere masked out.
//!
//! It is the judge: where a shader's result would depend on the device (a race, a barrier that not all reach), it says
//! so instead of giving one. Arithmetic is done for all invocations, active or not, since only stores have effects.

use super::code::{Address, Code, Col, Memory, Op, Rmw};
use super::shared::Shared;

/// What a program reads and writes, besides its own.
pub struct Buffers<'a> {
    /// The dispatch's words, then each input's.
    pub inputs: Vec<&'a [u32]>,
    /// The words of all outputs.
    pub output: &'a mut [u32],
}

/// Why a shader has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Two invocations of a workgroup use one word, without a barrier between them.
    #[error("invocations {0} and {1} of a workgroup race for word {2} of its memory")]
    Race(u32, u32, u32),
    /// Some invocations of a workgroup wait at a barrier, others never come.
    #[error("not all invocations of a workgroup reach a barrier")]
    Divergent {
        /// Which barrier, for [`Code::sites`].
        site: u32,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Call,
    Loop,
    Switch,
}

/// A construct that invocations can leave early.
struct Frame {
    kind: Kind,
    /// Who was active before it.
    saved: Vec<u32>,
    /// Loops: who has not left it.
    live: Vec<u32>,
    /// Who has neither left it nor this turn of it.
    on: Vec<u32>,
}

/// A workgroup's state. It can be used for one workgroup after another.
pub struct Machine<'c> {
    code: &'c Code,
    lanes: usize,
    pub(super) cols: Vec<Vec<u32>>,
    local: [Vec<u32>; 4],
    shared: Shared,
    mask: Vec<u32>,
    frames: Vec<Frame>,
    /// Masks before each `if`.
    ifs: Vec<(Vec<u32>, Col)>,
    spare: Vec<Vec<u32>>,
}

impl<'c> Machine<'c> {
    /// For workgroups of `code`.
    pub fn new(code: &'c Code) -> Self {
        let [x, y, z] = code.workgroup;
        let lanes = (x * y * z) as usize;
        let along = |f: &dyn Fn(u32) -> u32| (0..lanes as u32).map(f).collect::<Vec<_>>();
        let written = (0..code.columns).map(|_| vec![0; lanes]);
        let constants = code.constants.iter().map(|value| vec![*value; lanes]);
        Machine {
            code,
            lanes,
            cols: written.chain(constants).collect(),
            local: [
                along(&|i| i % x),
                along(&|i| i / x % y),
                along(&|i| i / x / y),
                along(&|i| i),
            ],
            shared: Shared::new(code.shared as usize),
            mask: vec![u32::MAX; lanes],
            frames: Vec::new(),
            ifs: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// The least that an invocation of the last workgroup has left of either fuel.
    pub fn fuel_left(&self) -> [u32; 2] {
        self.code.fuel.map(|col| {
            let left = col.and_then(|col| self.col(col).iter().copied().min());
            left.unwrap_or(u32::MAX)
        })
    }

    /// Runs one workgroup.
    pub fn run(&mut self, group: [u32; 3], buffers: &mut Buffers<'_>) -> Result<(), Fault> {
        self.mask.fill(u32::MAX);
        self.frames.clear();
        self.ifs.clear();
        self.shared.clear();
        let code = self.code;
        let mut pc = 0;
        while let Some(op) = code.ops.get(pc) {
            pc += 1;
            match *op {
                Op::Const { dst, value } => self.cols[dst as usize].fill(value),
                Op::Copy { dst, src } => self.map(dst, src, |a| a),
                Op::Unary { op, dst, a } => self.unary(op, dst, a),
                Op::Binary { op, dst, a, b } => self.binary(op, dst, a, b),
                Op::Select { dst, mask, a, b } => {
                    let mut out = std::mem::take(&mut self.cols[dst as usize]);
                    let (m, a, b) = (self.col(mask), self.col(a), self.col(b));
                    for (((out, m), a), b) in out.iter_mut().zip(m).zip(a).zip(b) {
                        *out = (a & m) | (b & !m);
                    }
                    self.cols[dst as usize] = out;
                }
                Op::Local { dst, axis } => {
                    let (cols, local) = (&mut self.cols, &self.local);
                    cols[dst as usize].copy_from_slice(&local[usize::from(axis)]);
                }
                Op::Group { dst, axis } => {
                    self.cols[dst as usize].fill(group[usize::from(axis)]);
                }
                Op::Store { dst, src } => {
                    let mut out = std::mem::take(&mut self.cols[dst as usize]);
                    for ((out, m), a) in out.iter_mut().zip(&self.mask).zip(self.col(src)) {
                        *out = (a & m) | (*out & !m);
                    }
                    self.cols[dst as usize] = out;
                }
                Op::Gather {
                    dst,
                    base,
                    offset,
                    len,
                } => {
                    let mut out = std::mem::take(&mut self.cols[dst as usize]);
                    let last = self.cols.len() - 1;
                    for (lane, out) in out.iter_mut().enumerate() {
                        let at = self.cols[offset as usize][lane].min(len - 1);
                        let at = (base as usize + at as usize).min(last);
                        *out = self.cols[at].get(lane).copied().unwrap_or(0);
                    }
                    self.cols[dst as usize] = out;
                }
                Op::Scatter {
                    base,
                    offset,
                    len,
                    src,
                } => {
                    let last = self.cols.len() - 1;
                    for lane in 0..self.lanes {
                        if self.mask[lane] != 0 {
                            let at = self.cols[offset as usize][lane].min(len - 1);
                            let at = (base as usize + at as usize).min(last);
                            self.cols[at][lane] = self.cols[src as usize][lane];
                        }
                    }
                }
                Op::Load { dst, from, at } => self.load(dst, from, at, buffers)?,
                Op::Write { to, at, src } => self.write(to, at, src, buffers)?,
                Op::Atomic { op, at, src } => {
                    for lane in 0..self.lanes {
                        if self.mask[lane] != 0 {
                            let word = self.word(at, lane);
                            let value = self.cols[src as usize][lane];
                            self.shared
                                .update(word, lane as u32, op, |old| updated(op, old, value))?;
                        }
                    }
                }
                Op::Barrier { site } => {
                    if self.any() {
                        if self.mask.contains(&0) {
                            return Err(Fault::Divergent { site });
                        }
                        self.shared.barrier();
                    }
                }
                Op::Uniform { src, site } => {
                    let col = self.col(src);
                    if self.any() && col.iter().any(|v| *v != col[0]) {
                        return Err(Fault::Divergent { site });
                    }
                }
                Op::If { mask, otherwise } => {
                    let saved = self.copy_of_mask();
                    self.ifs.push((saved, mask));
                    for (m, c) in self.mask.iter_mut().zip(&self.cols[mask as usize]) {
                        *m &= c;
                    }
                    if !self.any() {
                        pc = otherwise as usize;
                    }
                }
                Op::Else { end } => {
                    let on = self.frames.last().map(|f| &f.on);
                    if let (Some((saved, mask)), Some(on)) = (self.ifs.last(), on) {
                        let cond = &self.cols[*mask as usize];
                        for (((m, s), c), on) in self.mask.iter_mut().zip(saved).zip(cond).zip(on) {
                            *m = s & !c & on;
                        }
                    }
                    if !self.any() {
                        pc = end as usize;
                    }
                }
                Op::EndIf { out } => {
                    if let Some((saved, _)) = self.ifs.pop() {
                        self.restore(saved);
                    }
                    if !self.any() {
                        pc = out as usize;
                    }
                }
                Op::Call => self.enter(Kind::Call),
                Op::Switch => self.enter(Kind::Switch),
                Op::Loop => self.enter(Kind::Loop),
                Op::EndCall | Op::EndSwitch => self.leave(),
                Op::Continuing => {
                    if let Some(frame) = self.frames.last_mut() {
                        frame.on.copy_from_slice(&frame.live);
                        self.mask.copy_from_slice(&frame.live);
                    }
                }
                Op::EndLoop { head, break_if } => {
                    if let Some(frame) = self.frames.last_mut() {
                        if let Some(break_if) = break_if {
                            let breaks = &self.cols[break_if as usize];
                            for (live, b) in frame.live.iter_mut().zip(breaks) {
                                *live &= !b;
                            }
                        }
                        frame.on.copy_from_slice(&frame.live);
                        self.mask.copy_from_slice(&frame.live);
                    }
                    if self.any() {
                        pc = head as usize;
                    } else {
                        self.leave();
                    }
                }
                Op::Break => {
                    if let Some(frame) = self.frames.last_mut() {
                        for ((live, on), m) in
                            frame.live.iter_mut().zip(&mut frame.on).zip(&self.mask)
                        {
                            *live &= !m;
                            *on &= !m;
                        }
                    }
                    self.mask.fill(0);
                }
                Op::Continue => {
                    for frame in self.frames.iter_mut().rev() {
                        for (on, m) in frame.on.iter_mut().zip(&self.mask) {
                            *on &= !m;
                        }
                        if frame.kind == Kind::Loop {
                            break;
                        }
                    }
                    self.mask.fill(0);
                }
                Op::Return => {
                    for frame in self.frames.iter_mut().rev() {
                        for ((live, on), m) in
                            frame.live.iter_mut().zip(&mut frame.on).zip(&self.mask)
                        {
                            *live &= !m;
                            *on &= !m;
                        }
                        if frame.kind == Kind::Call {
                            break;
                        }
                    }
                    self.mask.fill(0);
                }
            }
        }
        Ok(())
    }

    // ---- masks ----

    fn any(&self) -> bool {
        self.mask.iter().fold(0, |all, m| all | m) != 0
    }

    fn copy_of_mask(&mut self) -> Vec<u32> {
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(&self.mask);
        copy
    }

    fn enter(&mut self, kind: Kind) {
        let (saved, live, on) = (
            self.copy_of_mask(),
            self.copy_of_mask(),
            self.copy_of_mask(),
        );
        self.frames.push(Frame {
            kind,
            saved,
            live,
            on,
        });
    }

    fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.spare.push(frame.live);
            self.spare.push(frame.on);
            self.restore(frame.saved);
        }
    }

    /// Back to who was active before, without those who have left what is around it.
    fn restore(&mut self, saved: Vec<u32>) {
        self.mask.copy_from_slice(&saved);
        if let Some(frame) = self.frames.last() {
            for (m, on) in self.mask.iter_mut().zip(&frame.on) {
                *m &= on;
            }
        }
        self.spare.push(saved);
    }

    // ---- memory ----

    fn word(&self, at: Address, lane: usize) -> u32 {
        let offset = at.offset.map_or(0, |o| self.cols[o as usize][lane]);
        at.base.wrapping_add(offset)
    }

    fn load(
        &mut self,
        dst: Col,
        from: Memory,
        at: Address,
        buffers: &Buffers<'_>,
    ) -> Result<(), Fault> {
        let mut out = std::mem::take(&mut self.cols[dst as usize]);
        let words: &[u32] = match from {
            Memory::Buffer(i) => buffers.inputs.get(i as usize).copied().unwrap_or(&[]),
            Memory::Output => buffers.output,
            Memory::Shared => {
                let mut result = Ok(());
                for (lane, out) in out.iter_mut().enumerate() {
                    if self.mask[lane] != 0 {
                        let word = self.word(at, lane);
                        match self.shared.read(word, lane as u32) {
                            Ok(value) => *out = value,
                            Err(fault) => result = Err(fault),
                        }
                    }
                }
                self.cols[dst as usize] = out;
                return result;
            }
        };
        match at.offset {
            None => out.fill(words.get(at.base as usize).copied().unwrap_or(0)),
            Some(offset) => {
                for (out, offset) in out.iter_mut().zip(&self.cols[offset as usize]) {
                    let word = at.base.wrapping_add(*offset);
                    *out = words.get(word as usize).copied().unwrap_or(0);
                }
            }
        }
        self.cols[dst as usize] = out;
        Ok(())
    }

    fn write(
        &mut self,
        to: Memory,
        at: Address,
        src: Col,
        buffers: &mut Buffers<'_>,
    ) -> Result<(), Fault> {
        for lane in 0..self.lanes {
            if self.mask[lane] == 0 {
                continue;
            }
            let (word, value) = (self.word(at, lane), self.cols[src as usize][lane]);
            match to {
                Memory::Shared => self.shared.write(word, lane as u32, value)?,
                Memory::Output => {
                    if let Some(place) = buffers.output.get_mut(word as usize) {
                        *place = value;
                    }
                }
                Memory::Buffer(_) => {}
            }
        }
        Ok(())
    }
}

fn updated(op: Rmw, old: u32, value: u32) -> u32 {
    match op {
        Rmw::Add => old.wrapping_add(value),
        Rmw::Sub => old.wrapping_sub(value),
        Rmw::And => old & value,
        Rmw::Or => old | value,
        Rmw::Xor => old ^ value,
        Rmw::MinI => (old as i32).min(value as i32) as u32,
        Rmw::MinU => old.min(value),
        Rmw::MaxI => (old as i32).max(value as i32) as u32,
        Rmw::MaxU => old.max(value),
    }
}
