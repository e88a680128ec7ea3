//! Programs: straight sequences of operations on columns, one number for each invocation of a workgroup.
//!
//! A column is one register or one word of a variable, for all invocations. Booleans are 0 and all ones, so that a
//! column of them is a mask.

use serde::Serialize;

/// A column.
pub type Col = u32;

/// Operations of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[repr(u8)]
pub enum Unary {
    NegI,
    Not,
    AbsI,
    SignI,
    Ones,
    LeadingZeros,
    TrailingZeros,
    Reverse,
    FirstTrailing,
    FirstLeadingU,
    FirstLeadingI,
    /// A mask as 0 or 1.
    MaskToInt,
    /// A mask as 0.0 or 1.0.
    MaskToFloat,
    /// All ones unless zero.
    IntToMask,
    FloatToMask,
    // Canonical floats.
    CNeg,
    CAbs,
    CSqrt,
    CExp,
    CLog,
    CSin,
    CCos,
    CFloor,
    CFromU,
    CToU,
    CLoad,
    CStore,
    // Native floats.
    FNeg,
    FAbs,
    FSign,
    FSqrt,
    FFloor,
    FCeil,
    FTrunc,
    FRound,
    FExp,
    FExp2,
    FLog,
    FLog2,
    FSin,
    FCos,
    FTan,
    FSinh,
    FCosh,
    FTanh,
    FAsin,
    FAcos,
    FAtan,
    FAsinh,
    FAcosh,
    FAtanh,
    FFromI,
    FFromU,
    FToI,
    FToU,
}

/// Operations of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[repr(u8)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    DivI,
    DivU,
    RemI,
    RemU,
    And,
    Or,
    Xor,
    Shl,
    ShrI,
    ShrU,
    Eq,
    Ne,
    LtI,
    LtU,
    LeI,
    LeU,
    MinI,
    MinU,
    MaxI,
    MaxU,
    /// `count` ones from bit `offset` up.
    Field,
    Dot4I,
    Dot4U,
    EqF,
    NeF,
    LtF,
    LeF,
    // Canonical floats.
    CAdd,
    CSub,
    CMul,
    CDiv,
    CMin,
    CMax,
    // Native floats.
    FAdd,
    FSub,
    FMul,
    FDiv,
    FRem,
    FMin,
    FMax,
    FPow,
    FAtan2,
}

/// What an atomic operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[repr(u8)]
pub enum Rmw {
    Add,
    Sub,
    And,
    Or,
    Xor,
    MinI,
    MinU,
    MaxI,
    MaxU,
}

/// Where words are, besides columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Memory {
    /// What the invocations of a workgroup share.
    Shared,
    /// A buffer that is only read: 0 is the dispatch, 1 and up are the inputs.
    Buffer(u32),
    /// The words of all outputs.
    Output,
}

/// A word's place: a constant, and what each invocation adds to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    pub base: u32,
    pub offset: Option<Col>,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Op {
    Const {
        dst: Col,
        value: u32,
    },
    Copy {
        dst: Col,
        src: Col,
    },
    Unary {
        op: Unary,
        dst: Col,
        a: Col,
    },
    Binary {
        op: Binary,
        dst: Col,
        a: Col,
        b: Col,
    },
    /// `mask ? a : b`.
    Select {
        dst: Col,
        mask: Col,
        a: Col,
        b: Col,
    },
    /// The index of the invocation within its workgroup, along an axis or (3) altogether.
    Local {
        dst: Col,
        axis: u8,
    },
    /// Which workgroup of the dispatch it is, along an axis.
    Group {
        dst: Col,
        axis: u8,
    },
    /// Writes to a variable, where the invocation is active.
    Store {
        dst: Col,
        src: Col,
    },
    /// Column `base + offset` of `len`, each invocation's own.
    Gather {
        dst: Col,
        base: Col,
        offset: Col,
        len: u32,
    },
    Scatter {
        base: Col,
        offset: Col,
        len: u32,
        src: Col,
    },
    Load {
        dst: Col,
        from: Memory,
        at: Address,
    },
    Write {
        to: Memory,
        at: Address,
        src: Col,
    },
    Atomic {
        op: Rmw,
        at: Address,
        src: Col,
    },
    /// Waits for all invocations. The number tells which barrier of the shader it is.
    Barrier {
        site: u32,
    },
    /// All invocations must have the same value.
    Uniform {
        src: Col,
        site: u32,
    },
    If {
        mask: Col,
        otherwise: u32,
    },
    Else {
        end: u32,
    },
    /// If nobody is left, on to `out`: where the branch or construct around it ends.
    EndIf {
        out: u32,
    },
    Switch,
    EndSwitch,
    Loop,
    Continuing,
    /// Back to `head` for those that go on.
    EndLoop {
        head: u32,
        break_if: Option<Col>,
    },
    Break,
    Continue,
    Call,
    Return,
    EndCall,
}

impl Op {
    /// The same with other columns.
    #[must_use]
    pub fn with_columns(mut self, f: impl Fn(Col) -> Col) -> Self {
        let at = |at: &mut Address| at.offset = at.offset.map(&f);
        match &mut self {
            Op::Const { dst, .. } | Op::Local { dst, .. } | Op::Group { dst, .. } => *dst = f(*dst),
            Op::Copy { dst, src } | Op::Store { dst, src } => (*dst, *src) = (f(*dst), f(*src)),
            Op::Unary { dst, a, .. } => (*dst, *a) = (f(*dst), f(*a)),
            Op::Binary { dst, a, b, .. } => (*dst, *a, *b) = (f(*dst), f(*a), f(*b)),
            Op::Select { dst, mask, a, b } => {
                (*dst, *mask, *a, *b) = (f(*dst), f(*mask), f(*a), f(*b));
            }
            Op::Gather {
                dst, base, offset, ..
            } => (*dst, *base, *offset) = (f(*dst), f(*base), f(*offset)),
            Op::Scatter {
                base, offset, src, ..
            } => (*base, *offset, *src) = (f(*base), f(*offset), f(*src)),
            Op::Load { dst, at: a, .. } => {
                *dst = f(*dst);
                at(a);
            }
            Op::Write { at: a, src, .. } | Op::Atomic { at: a, src, .. } => {
                *src = f(*src);
                at(a);
            }
            Op::Uniform { src, .. } => *src = f(*src),
            Op::If { mask, .. } => *mask = f(*mask),
            Op::EndLoop { break_if, .. } => *break_if = break_if.map(f),
            Op::Barrier { .. }
            | Op::Else { .. }
            | Op::EndIf { .. }
            | Op::Switch
            | Op::EndSwitch
            | Op::Loop
            | Op::Continuing
            | Op::Break
            | Op::Continue
            | Op::Call
            | Op::Return
            | Op::EndCall => {}
        }
        self
    }
}

/// A program, and what it needs to run.
#[derive(Clone, Debug)]
pub struct Code {
    /// What it does.
    pub ops: Vec<Op>,
    /// Columns that it writes.
    pub columns: u32,
    /// What stands in the columns behind those.
    pub constants: Vec<u32>,
    /// Words of shared memory.
    pub shared: u32,
    /// Invocations of a workgroup, along each axis.
    pub workgroup: [u32; 3],
    /// Where barriers stand in the source.
    pub sites: Vec<naga::Span>,
    /// Columns of what is left of fuel: an invocation's own, and its workgroup's. Nobody has any where there are no loops.
    pub fuel: [Option<Col>; 2],
}

impl Code {
    /// Digest of all that decides about results.
    pub fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_derive_key("starling 2026-11 shader program v1");
        // In words, so that a digest changes with the meaning of a program and not with the order of a declaration.
        let ops = serde_json::to_writer(&mut hasher, &self.ops);
        debug_assert!(ops.is_ok(), "a hasher takes all bytes");
        let sizes = [&self.shared, &self.columns];
        for word in self.workgroup.iter().chain(sizes).chain(&self.constants) {
            hasher.update(&word.to_le_bytes());
        }
        hasher.finalize()
    }
}
