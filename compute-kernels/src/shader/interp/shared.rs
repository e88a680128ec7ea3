//! Workgroup memory that notices races: two invocations that use one word between two barriers, unless both only read
//! it, write the same, or update it in the same way. What it says depends on nothing but the shader and its inputs.

use super::code::Rmw;
use super::machine::Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// By one invocation, which may go on as it likes.
    Own(u32, bool),
    /// Read by several.
    Read,
    /// Written with the same value by several.
    Same,
    /// Updated, in this way.
    Update(Rmw),
}

#[derive(Clone, Copy)]
struct Word {
    value: u32,
    /// The time between two barriers in which `used` holds.
    epoch: u32,
    used: Use,
}

pub struct Shared {
    words: Vec<Word>,
    epoch: u32,
}

impl Shared {
    pub fn new(words: usize) -> Self {
        let word = Word {
            value: 0,
            epoch: 0,
            used: Use::Read,
        };
        Shared {
            words: vec![word; words],
            epoch: 1,
        }
    }

    /// For the next workgroup: all zeros.
    pub fn clear(&mut self) {
        for word in &mut self.words {
            (word.value, word.epoch) = (0, 0);
        }
        self.epoch = 1;
    }

    pub fn barrier(&mut self) {
        self.epoch += 1;
    }

    fn word(&mut self, at: u32) -> Option<(&mut Word, Option<Use>)> {
        let epoch = self.epoch;
        let word = self.words.get_mut(at as usize)?;
        let used = (word.epoch == epoch).then_some(word.used);
        word.epoch = epoch;
        Some((word, used))
    }

    pub fn read(&mut self, at: u32, lane: u32) -> Result<u32, Fault> {
        let Some((word, used)) = self.word(at) else {
            return Ok(0);
        };
        word.used = match used {
            None => Use::Own(lane, false),
            Some(Use::Own(by, wrote)) if by == lane => Use::Own(by, wrote),
            Some(Use::Own(_, false) | Use::Read) => Use::Read,
            Some(Use::Own(by, true)) => return Err(Fault::Race(by, lane, at)),
            Some(Use::Same | Use::Update(_)) => return Err(Fault::Race(lane, lane, at)),
        };
        Ok(word.value)
    }

    pub fn write(&mut self, at: u32, lane: u32, value: u32) -> Result<(), Fault> {
        let Some((word, used)) = self.word(at) else {
            return Ok(());
        };
        word.used = match used {
            None => Use::Own(lane, true),
            Some(Use::Own(by, _)) if by == lane => Use::Own(by, true),
            Some(Use::Own(_, true) | Use::Same) if word.value == value => Use::Same,
            Some(Use::Own(by, _)) => return Err(Fault::Race(by, lane, at)),
            Some(Use::Read | Use::Same | Use::Update(_)) => {
                return Err(Fault::Race(lane, lane, at));
            }
        };
        word.value = value;
        Ok(())
    }

    pub fn update(
        &mut self,
        at: u32,
        lane: u32,
        op: Rmw,
        change: impl Fn(u32) -> u32,
    ) -> Result<(), Fault> {
        let Some((word, used)) = self.word(at) else {
            return Ok(());
        };
        let same = |before: Rmw| family(before) == family(op);
        word.used = match used {
            None => Use::Update(op),
            Some(Use::Update(before)) if same(before) => Use::Update(op),
            Some(Use::Own(by, _)) if by == lane => Use::Own(by, true),
            Some(Use::Own(by, _)) => return Err(Fault::Race(by, lane, at)),
            Some(_) => return Err(Fault::Race(lane, lane, at)),
        };
        word.value = change(word.value);
        Ok(())
    }
}

/// Sums and differences may be mixed: they come to the same in any order.
fn family(op: Rmw) -> Rmw {
    match op {
        Rmw::Sub => Rmw::Add,
        other => other,
    }
}
