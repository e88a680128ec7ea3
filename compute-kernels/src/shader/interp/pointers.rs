//! Variables and buffers: what pointers point to, and what is read and written through them.

use naga::{Expression, Handle};

use super::code::{Address, Binary, Col, Op};
use super::compile::{Compiler, Frame, Item, Pointer, Space, wrong};
use super::values::{Layout, Shape};
use crate::shader::refusal::Refusal;

impl<'a> Compiler<'a> {
    pub(super) fn address(&self, pointer: &Pointer) -> Address {
        Address {
            base: pointer.base,
            offset: pointer.offset,
        }
    }

    pub(super) fn load(&mut self, pointer: &Pointer) -> Result<Vec<Col>, Refusal> {
        let types = &self.module.types;
        let words = pointer.shape.words(types, pointer.space.layout());
        let words = words.ok_or_else(|| wrong("a load of something without a size"))?;
        let mut cols = Vec::with_capacity(words.len());
        for word in words {
            let dst = self.column()?;
            let base = pointer.base + word;
            let offset = pointer.offset;
            self.op(match (pointer.space, offset) {
                (Space::Columns { .. }, None) => Op::Copy { dst, src: base },
                (Space::Columns { words }, Some(offset)) => Op::Gather {
                    dst,
                    base,
                    offset,
                    len: words,
                },
                (Space::Memory(from), _) => {
                    let at = Address { base, offset };
                    Op::Load { dst, from, at }
                }
            })?;
            cols.push(dst);
        }
        Ok(cols)
    }

    pub(super) fn store(&mut self, pointer: &Pointer, cols: &[Col]) -> Result<(), Refusal> {
        let words = pointer
            .shape
            .words(&self.module.types, pointer.space.layout());
        let words = words.ok_or_else(|| wrong("a store to something without a size"))?;
        for (word, src) in words.into_iter().zip(cols.iter().copied()) {
            let base = pointer.base + word;
            let offset = pointer.offset;
            self.op(match (pointer.space, offset) {
                (Space::Columns { .. }, None) => Op::Store { dst: base, src },
                (Space::Columns { words }, Some(offset)) => Op::Scatter {
                    base,
                    offset,
                    len: words,
                    src,
                },
                (Space::Memory(to), _) => {
                    let at = Address { base, offset };
                    Op::Write { to, at, src }
                }
            })?;
        }
        Ok(())
    }

    // ---- expressions ----

    pub(super) fn item(
        &mut self,
        frame: &mut Frame<'a>,
        handle: Handle<Expression>,
    ) -> Result<Item, Refusal> {
        if let Some(item) = frame.values.get(&handle) {
            return Ok(item.clone());
        }
        if !frame.function.expressions[handle].needs_pre_emit() {
            return Err(wrong("an expression before it is evaluated"));
        }
        // Constants are made where they are used: a block's registers are free behind it.
        self.expression(frame, handle)
    }

    pub(super) fn value(
        &mut self,
        frame: &mut Frame<'a>,
        handle: Handle<Expression>,
    ) -> Result<(Shape, Vec<Col>), Refusal> {
        match self.item(frame, handle)? {
            Item::Value { shape, cols } => Ok((shape, cols)),
            Item::Pointer(_) => Err(wrong("a pointer as a value")),
        }
    }

    pub(super) fn number(
        &mut self,
        frame: &mut Frame<'a>,
        handle: Handle<Expression>,
    ) -> Result<Col, Refusal> {
        let (_, cols) = self.value(frame, handle)?;
        cols.first().copied().ok_or_else(|| wrong("nothing"))
    }

    pub(super) fn pointer(
        &mut self,
        frame: &mut Frame<'a>,
        handle: Handle<Expression>,
    ) -> Result<Pointer, Refusal> {
        match self.item(frame, handle)? {
            Item::Pointer(pointer) => Ok(pointer),
            Item::Value { .. } => Err(wrong("a value as a pointer")),
        }
    }

    pub(super) fn expression(
        &mut self,
        frame: &mut Frame<'a>,
        handle: Handle<Expression>,
    ) -> Result<Item, Refusal> {
        let expressions = &frame.function.expressions;
        match &expressions[handle] {
            Expression::Literal(_) | Expression::Constant(_) | Expression::ZeroValue(_) => {
                let mut values = Vec::new();
                self.constants(expressions, handle, &mut values)?;
                let shape = self.shape_of(frame, handle)?;
                let cols = values.into_iter().map(|v| self.constant_column(v));
                let cols = cols.collect::<Result<_, _>>()?;
                Ok(Item::Value { shape, cols })
            }
            Expression::FunctionArgument(i) => Ok(frame.arguments[*i as usize].clone()),
            Expression::GlobalVariable(global) => {
                let pointer = self.globals.get(global);
                let pointer = pointer.ok_or_else(|| wrong("an unknown global"))?;
                Ok(Item::Pointer(pointer.clone()))
            }
            Expression::LocalVariable(local) => {
                let (base, words) = frame.locals[local.index()];
                Ok(Item::Pointer(Pointer {
                    space: Space::Columns { words },
                    base,
                    offset: None,
                    shape: self.shape(frame.function.local_variables[*local].ty)?,
                }))
            }
            Expression::Access { base, index } => {
                let index = self.number(frame, *index)?;
                match self.item(frame, *base)? {
                    Item::Pointer(pointer) => self.indexed(pointer, index).map(Item::Pointer),
                    Item::Value { shape, cols } => self.picked(&shape, &cols, index),
                }
            }
            Expression::AccessIndex { base, index } => match self.item(frame, *base)? {
                Item::Pointer(pointer) => {
                    let part =
                        pointer
                            .shape
                            .part(&self.module.types, *index, pointer.space.layout());
                    let (shape, word) = part.ok_or_else(|| wrong("no such part"))?;
                    Ok(Item::Pointer(Pointer {
                        base: pointer.base.saturating_add(word),
                        shape,
                        ..pointer
                    }))
                }
                Item::Value { shape, cols } => {
                    let part = shape.part(&self.module.types, *index, Layout::Packed);
                    let (shape, word) = part.ok_or_else(|| wrong("no such part"))?;
                    let count = self.numbers(&shape)? as usize;
                    let cols = cols.get(word as usize..word as usize + count);
                    let cols = cols.ok_or_else(|| wrong("no such part"))?.to_vec();
                    Ok(Item::Value { shape, cols })
                }
            },
            Expression::Load { pointer } => {
                let pointer = self.pointer(frame, *pointer)?;
                let cols = self.load(&pointer)?;
                Ok(Item::Value {
                    shape: pointer.shape,
                    cols,
                })
            }
            _ => {
                let shape = self.shape_of(frame, handle)?;
                let cols = self.computed(frame, handle, &shape)?;
                Ok(Item::Value { shape, cols })
            }
        }
    }

    /// `pointer[index]`.
    fn indexed(&mut self, pointer: Pointer, index: Col) -> Result<Pointer, Refusal> {
        let element = pointer
            .shape
            .element(&self.module.types, pointer.space.layout());
        let (shape, words) = element.ok_or_else(|| wrong("an index into a number"))?;
        let mut offset = index;
        if words != 1 {
            let words = self.constant_column(words)?;
            offset = self.binary(Binary::Mul, index, words)?;
        }
        if let Some(before) = pointer.offset {
            offset = self.binary(Binary::Add, before, offset)?;
        }
        Ok(Pointer {
            offset: Some(offset),
            shape,
            ..pointer
        })
    }

    /// `value[index]`, of registers.
    fn picked(&mut self, shape: &Shape, cols: &[Col], index: Col) -> Result<Item, Refusal> {
        let element = shape.element(&self.module.types, Layout::Packed);
        let (part, _) = element.ok_or_else(|| wrong("an index into a number"))?;
        let len = cols.len() as u32;
        let base = self.contiguous(len)?;
        for (dst, src) in (base..).zip(cols.iter().copied()) {
            self.op(Op::Copy { dst, src })?;
        }
        let variable = Pointer {
            space: Space::Columns { words: len },
            base,
            offset: None,
            shape: shape.clone(),
        };
        let pointer = self.indexed(variable, index)?;
        let cols = self.load(&pointer)?;
        Ok(Item::Value { shape: part, cols })
    }
}
