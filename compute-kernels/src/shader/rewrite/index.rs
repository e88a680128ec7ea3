//! Indices, clamped: out of range is the last element.

use naga::{ArraySize, Expression, Handle, Literal, MathFunction, ScalarKind, TypeInner};

use super::function::{Rewriter, Value};
use super::{Role, internal};
use crate::shader::refusal::Refusal;

/// How many elements something has that can be indexed.
enum Length {
    Known(u32),
    /// The array at the end of a global variable.
    Runtime,
}

impl Rewriter<'_, '_> {
    pub(super) fn access(
        &mut self,
        base: Handle<Expression>,
        index: Handle<Expression>,
    ) -> Result<Value, Refusal> {
        let kind = self.scalar_kind(index);
        match self.value(base)? {
            Value::Place(place) => {
                let index = self.unsigned(index, kind)?;
                self.access_place(place, index).map(Value::Place)
            }
            Value::Plain(new) => {
                let len = self.length_of(base)?;
                let index = self.unsigned(index, kind)?;
                let index = self.clamped(index, len);
                let access = Expression::Access { base: new, index };
                Ok(Value::Plain(self.add(access)))
            }
        }
    }

    pub(super) fn access_index(
        &mut self,
        base: Handle<Expression>,
        index: u32,
    ) -> Result<Value, Refusal> {
        match self.value(base)? {
            Value::Place(place) => self.access_place_at(place, index).map(Value::Place),
            Value::Plain(new) => {
                // Only of an array without a length could it be out of range.
                let is_struct = matches!(self.pointee(base), TypeInner::Struct { .. });
                let index = if is_struct {
                    index
                } else {
                    index.min(self.length_of(base)?.saturating_sub(1))
                };
                let access = Expression::AccessIndex { base: new, index };
                Ok(Value::Plain(self.add(access)))
            }
        }
    }

    /// `arrayLength`.
    pub(super) fn length(
        &mut self,
        array: Handle<Expression>,
    ) -> Result<Handle<Expression>, Refusal> {
        let len = match self.value(array)? {
            Value::Place(place) => self.shader.output(place.output).array_len(),
            Value::Plain(_) => self.runtime_length(array)?,
        };
        Ok(self.word(len))
    }

    /// An index as a u32. What is negative becomes large.
    fn unsigned(
        &mut self,
        index: Handle<Expression>,
        kind: Option<ScalarKind>,
    ) -> Result<Handle<Expression>, Refusal> {
        let index = self.plain(index)?;
        Ok(match kind {
            Some(ScalarKind::Sint) => self.cast(index, ScalarKind::Uint, false),
            _ => index,
        })
    }

    /// `min(index, len - 1)`.
    pub(super) fn clamped(&mut self, index: Handle<Expression>, len: u32) -> Handle<Expression> {
        let last = len.saturating_sub(1);
        if let Expression::Literal(Literal::U32(literal)) = self.new.expressions[index] {
            return self.word(literal.min(last));
        }
        let last = self.word(last);
        self.add(Expression::Math {
            fun: MathFunction::Min,
            arg: index,
            arg1: Some(last),
            arg2: None,
            arg3: None,
        })
    }

    /// The type that is indexed: of a value, or behind a pointer.
    pub(super) fn pointee(&self, base: Handle<Expression>) -> &TypeInner {
        match self.type_of(base) {
            TypeInner::Pointer { base, .. } => self.inner(*base),
            other => other,
        }
    }

    fn length_of(&self, base: Handle<Expression>) -> Result<u32, Refusal> {
        let length = match self.pointee(base) {
            TypeInner::Array {
                size: ArraySize::Constant(n),
                ..
            } => Length::Known(n.get()),
            TypeInner::Array {
                size: ArraySize::Dynamic,
                ..
            } => Length::Runtime,
            TypeInner::Vector { size, .. }
            | TypeInner::ValuePointer {
                size: Some(size), ..
            } => Length::Known(u32::from(u8::from(*size))),
            TypeInner::Matrix { columns, .. } => Length::Known(u32::from(u8::from(*columns))),
            other => return Err(internal(&format!("an index into {other:?}"))),
        };
        match length {
            Length::Known(n) => Ok(n),
            Length::Runtime => self.runtime_length(base),
        }
    }

    /// Elements of the array at the end of the global variable that `pointer` points into.
    fn runtime_length(&self, pointer: Handle<Expression>) -> Result<u32, Refusal> {
        let mut at = pointer;
        loop {
            at = match &self.old.expressions[at] {
                Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => *base,
                Expression::GlobalVariable(global) => {
                    return match self.shader.roles.get(global) {
                        Some(Role::Input { len: Some(len) }) => Ok(*len),
                        _ => Err(internal("an array without a length")),
                    };
                }
                _ => {
                    return Err(self.refuse(
                        "array_pointer",
                        "a pointer to an array without a length is passed on",
                        "use the global variable itself",
                    ));
                }
            };
        }
    }
}
