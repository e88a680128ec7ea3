//! From a rewritten module to a program: calls are written out, composites become numbers, pointers become addresses.

use std::collections::HashMap;

use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{AddressSpace, Expression, Function, GlobalVariable, Handle, Literal, Module, Span};

use super::code::{Binary, Code, Col, Memory, Op, Unary};
use super::values::{Layout, Shape};
use crate::shader::frame;
use crate::shader::refusal::Refusal;

/// Most operations of a program.
const MAX_OPS: usize = 4 << 20;
/// Most columns.
const MAX_COLUMNS: u32 = 1 << 18;
/// Marks the columns of constants until it is known how many others there are.
const POOLED: Col = 1 << 31;

/// What an expression is.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Value { shape: Shape, cols: Vec<Col> },
    Pointer(Pointer),
}

#[derive(Clone, Debug)]
pub(super) struct Pointer {
    pub(super) space: Space,
    pub(super) base: u32,
    pub(super) offset: Option<Col>,
    pub(super) shape: Shape,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Space {
    /// A variable of so many words, each invocation's own.
    Columns {
        words: u32,
    },
    Memory(Memory),
}

impl Space {
    pub(super) fn layout(self) -> Layout {
        match self {
            Space::Columns { .. } | Space::Memory(Memory::Shared) => Layout::Packed,
            Space::Memory(_) => Layout::Buffer,
        }
    }
}

/// A function while it is written out.
pub(super) struct Frame<'a> {
    pub(super) function: &'a Function,
    pub(super) info: &'a FunctionInfo,
    pub(super) arguments: Vec<Item>,
    pub(super) values: HashMap<Handle<Expression>, Item>,
    /// First column of each local variable.
    pub(super) locals: Vec<(Col, u32)>,
    pub(super) result: Vec<Col>,
}

pub(super) struct Compiler<'a> {
    pub(super) module: &'a Module,
    pub(super) info: &'a ModuleInfo,
    pub(super) ops: Vec<Op>,
    pub(super) next: Col,
    columns: Col,
    pub(super) globals: HashMap<Handle<GlobalVariable>, Pointer>,
    shared: u32,
    pool: HashMap<u32, Col>,
    pub(super) sites: Vec<Span>,
    fuel: [Option<Col>; 2],
    pub(super) span: Span,
    /// By construct and branch: the ends of branches in it, which do not know yet where it ends.
    pub(super) leaving: Vec<Vec<usize>>,
}

/// Compiles the only entry point of a rewritten module.
pub fn compile(module: &Module, info: &ModuleInfo) -> Result<Code, Refusal> {
    let mut compiler = Compiler {
        module,
        info,
        ops: Vec::new(),
        next: 0,
        columns: 0,
        globals: HashMap::new(),
        shared: 0,
        pool: HashMap::new(),
        sites: Vec::new(),
        fuel: [None; 2],
        span: Span::default(),
        leaving: Vec::new(),
    };
    let entry = module
        .entry_points
        .iter()
        .position(|e| e.name == frame::ENTRY)
        .ok_or_else(|| wrong("no entry point"))?;
    compiler.globals()?;
    let function = &module.entry_points[entry].function;
    let arguments = function.arguments.iter();
    let arguments = arguments
        .map(|a| compiler.builtin(a))
        .collect::<Result<Vec<_>, _>>()?;
    let info = info.get_entry_point(entry);
    compiler.inline(function, info, arguments)?;
    let columns = compiler.columns;
    let place = |col: Col| match col & POOLED {
        0 => col,
        _ => columns + (col & !POOLED),
    };
    let mut constants = vec![0; compiler.pool.len()];
    for (value, index) in compiler.pool {
        constants[index as usize] = value;
    }
    Ok(Code {
        ops: compiler
            .ops
            .into_iter()
            .map(|op| op.with_columns(place))
            .collect(),
        columns,
        constants,
        shared: compiler.shared,
        workgroup: module.entry_points[entry].workgroup_size,
        sites: compiler.sites,
        fuel: compiler.fuel,
    })
}

pub(super) fn wrong(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        "internal",
        format!("this shader cannot be interpreted: {what}"),
        "please report it, with the shader",
    )
}

impl<'a> Compiler<'a> {
    // ---- building ----

    pub(super) fn op(&mut self, op: Op) -> Result<(), Refusal> {
        if self.ops.len() >= MAX_OPS {
            return Err(Refusal::new(
                "size",
                format!("more than {MAX_OPS} operations with every call written out"),
                "use loops instead of repetition",
            ));
        }
        self.ops.push(op);
        Ok(())
    }

    pub(super) fn column(&mut self) -> Result<Col, Refusal> {
        self.contiguous(1)
    }

    pub(super) fn contiguous(&mut self, count: u32) -> Result<Col, Refusal> {
        let first = self.next;
        self.next = first.saturating_add(count);
        self.columns = self.columns.max(self.next);
        if self.columns > MAX_COLUMNS {
            return Err(wrong("too many numbers at once"));
        }
        Ok(first)
    }

    /// A column that holds `value` from the beginning.
    pub(super) fn constant_column(&mut self, value: u32) -> Result<Col, Refusal> {
        let next = self.pool.len() as u32;
        let index = *self.pool.entry(value).or_insert(next);
        if index >= MAX_COLUMNS {
            return Err(wrong("too many constants"));
        }
        Ok(POOLED | index)
    }

    pub(super) fn unary(&mut self, op: Unary, a: Col) -> Result<Col, Refusal> {
        let dst = self.column()?;
        self.op(Op::Unary { op, dst, a })?;
        Ok(dst)
    }

    pub(super) fn binary(&mut self, op: Binary, a: Col, b: Col) -> Result<Col, Refusal> {
        let dst = self.column()?;
        self.op(Op::Binary { op, dst, a, b })?;
        Ok(dst)
    }

    pub(super) fn select(&mut self, mask: Col, a: Col, b: Col) -> Result<Col, Refusal> {
        let dst = self.column()?;
        self.op(Op::Select { dst, mask, a, b })?;
        Ok(dst)
    }

    // ---- variables ----

    fn globals(&mut self) -> Result<(), Refusal> {
        for (handle, global) in self.module.global_variables.iter() {
            let shape = self.shape(global.ty)?;
            let words = || {
                shape
                    .numbers(&self.module.types)
                    .ok_or_else(|| wrong("a global without a size"))
            };
            let (space, base) = match global.space {
                AddressSpace::Private => {
                    let words = words()?;
                    let base = self.contiguous(words)?;
                    self.initialise(global.init.map(|i| (i, None)), base, words)?;
                    match global.name.as_deref() {
                        Some(frame::FUEL) => self.fuel[0] = Some(base),
                        Some(frame::FUEL_SHARED) => self.fuel[1] = Some(base),
                        _ => {}
                    }
                    (Space::Columns { words }, base)
                }
                AddressSpace::WorkGroup => {
                    let base = self.shared;
                    self.shared = base.saturating_add(words()?);
                    (Space::Memory(Memory::Shared), base)
                }
                AddressSpace::Storage { .. } => {
                    let binding = global.binding.as_ref().map_or(0, |b| b.binding);
                    let memory = match binding {
                        0 => Memory::Buffer(0),
                        1 => Memory::Output,
                        n => Memory::Buffer(n - 1),
                    };
                    (Space::Memory(memory), 0)
                }
                other => return Err(wrong(format!("a variable in {other:?}"))),
            };
            let pointer = Pointer {
                space,
                base,
                offset: None,
                shape,
            };
            self.globals.insert(handle, pointer);
        }
        Ok(())
    }

    /// Sets a variable to its first value, for all invocations.
    pub(super) fn initialise(
        &mut self,
        init: Option<(Handle<Expression>, Option<&'a Function>)>,
        base: Col,
        words: u32,
    ) -> Result<(), Refusal> {
        let values = match init {
            Some((init, function)) => {
                let expressions =
                    function.map_or(&self.module.global_expressions, |f| &f.expressions);
                let mut values = Vec::new();
                self.constants(expressions, init, &mut values)?;
                values
            }
            None => vec![0; words as usize],
        };
        for (dst, value) in (base..).zip(values) {
            self.op(Op::Const { dst, value })?;
        }
        Ok(())
    }

    /// The numbers of a constant expression.
    pub(super) fn constants(
        &self,
        expressions: &naga::Arena<Expression>,
        handle: Handle<Expression>,
        values: &mut Vec<u32>,
    ) -> Result<(), Refusal> {
        match &expressions[handle] {
            Expression::Literal(literal) => values.push(literal_bits(literal)?),
            Expression::Constant(constant) => {
                let init = self.module.constants[*constant].init;
                self.constants(&self.module.global_expressions, init, values)?;
            }
            Expression::ZeroValue(ty) => {
                let count = self.numbers(&self.shape(*ty)?)?;
                values.extend(std::iter::repeat_n(0, count as usize));
            }
            Expression::Compose { components, .. } => {
                for component in components {
                    self.constants(expressions, *component, values)?;
                }
            }
            Expression::Splat { size, value } => {
                let mut one = Vec::new();
                self.constants(expressions, *value, &mut one)?;
                for _ in 0..u8::from(*size) {
                    values.extend(&one);
                }
            }
            other => return Err(wrong(format!("a constant {other:?}"))),
        }
        Ok(())
    }

    fn builtin(&mut self, argument: &naga::FunctionArgument) -> Result<Item, Refusal> {
        use naga::{Binding, BuiltIn};
        let shape = self.shape(argument.ty)?;
        let Some(Binding::BuiltIn(builtin)) = argument.binding else {
            return Err(wrong("an argument that is not built in"));
        };
        let mut cols = Vec::new();
        match builtin {
            BuiltIn::LocalInvocationIndex => {
                let dst = self.column()?;
                self.op(Op::Local { dst, axis: 3 })?;
                cols.push(dst);
            }
            BuiltIn::LocalInvocationId => {
                for axis in 0..3 {
                    let dst = self.column()?;
                    self.op(Op::Local { dst, axis })?;
                    cols.push(dst);
                }
            }
            BuiltIn::WorkGroupId => {
                for axis in 0..3 {
                    let dst = self.column()?;
                    self.op(Op::Group { dst, axis })?;
                    cols.push(dst);
                }
            }
            other => return Err(wrong(format!("{other:?}"))),
        }
        Ok(Item::Value { shape, cols })
    }

    // ---- types ----

    pub(super) fn shape(&self, ty: Handle<naga::Type>) -> Result<Shape, Refusal> {
        Shape::of(&self.module.types, ty)
            .ok_or_else(|| wrong(format!("a type {:?}", self.module.types[ty].inner)))
    }

    pub(super) fn shape_of(
        &self,
        frame: &Frame<'a>,
        handle: Handle<Expression>,
    ) -> Result<Shape, Refusal> {
        let resolution = &frame.info[handle].ty;
        let inner = resolution.inner_with(&self.module.types);
        Shape::of_inner(inner, resolution.handle()).ok_or_else(|| wrong(format!("{inner:?}")))
    }

    pub(super) fn numbers(&self, shape: &Shape) -> Result<u32, Refusal> {
        shape
            .numbers(&self.module.types)
            .ok_or_else(|| wrong("a value without a size"))
    }
}

fn literal_bits(literal: &Literal) -> Result<u32, Refusal> {
    Ok(match literal {
        Literal::U32(v) => *v,
        Literal::I32(v) => *v as u32,
        Literal::F32(v) => v.to_bits(),
        Literal::Bool(v) => {
            if *v {
                u32::MAX
            } else {
                0
            }
        }
        other => return Err(wrong(format!("a literal {other:?}"))),
    })
}
