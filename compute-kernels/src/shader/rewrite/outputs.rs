//! Outputs, as words of one buffer. Whatever element an invocation asks for, it gets one of its own slot.

use naga::{
    ArraySize, BinaryOperator, Expression, Handle, Scalar, ScalarKind, Statement, Type, TypeInner,
};

use super::function::{Rewriter, Value};
use super::internal;
use crate::shader::layout;
use crate::shader::refusal::Refusal;

/// A pointer into an output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Which output.
    pub(super) output: usize,
    /// The word it points to; none for the array of slots as a whole.
    word: Option<Handle<Expression>>,
    target: Target,
}

/// What a place points to.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// The global variable.
    Whole,
    /// Something with a type.
    Type(Handle<Type>),
    /// A vector or scalar within a matrix or vector.
    Numbers(Option<naga::VectorSize>, Scalar),
}

impl Place {
    /// The global variable.
    pub(super) fn whole(output: usize) -> Self {
        Place {
            output,
            word: None,
            target: Target::Whole,
        }
    }
}

impl Rewriter<'_, '_> {
    /// The array of slots of an output: its variable, or the only member of that.
    fn array_of(&self, output: usize) -> Result<Handle<Type>, Refusal> {
        let ty = self.shader.output_type(output)?;
        match self.inner(ty) {
            TypeInner::Struct { members, .. } if members.len() == 1 => Ok(members[0].ty),
            _ => Ok(ty),
        }
    }

    /// `place[index]`, `index` a u32.
    pub(super) fn access_place(
        &mut self,
        place: Place,
        index: Handle<Expression>,
    ) -> Result<Place, Refusal> {
        let (element, count, stride) = self.elements(place)?;
        let offset = match place.word {
            // Of all elements only those of the own slot.
            None => {
                let first = self.shader.globals.slots[place.output].1;
                let first = self.load(first);
                let index = self.binary(BinaryOperator::Subtract, index, first);
                self.clamped(index, count)
            }
            Some(_) => self.clamped(index, count),
        };
        let offset = self.times(offset, stride);
        self.moved(place, offset, element)
    }

    /// `place[index]` or a member of a struct.
    pub(super) fn access_place_at(&mut self, place: Place, index: u32) -> Result<Place, Refusal> {
        if let Target::Whole = place.target
            && let ty = self.shader.output_type(place.output)?
            && let TypeInner::Struct { .. } = self.inner(ty)
        {
            return Ok(Place {
                target: Target::Type(self.array_of(place.output)?),
                ..place
            });
        }
        if let Target::Type(ty) = place.target
            && let TypeInner::Struct { members, .. } = self.inner(ty)
        {
            let member = members
                .get(index as usize)
                .ok_or_else(|| internal("a member that is not there"))?;
            let (offset, ty) = (member.offset / 4, member.ty);
            let offset = self.word(offset);
            return self.moved(place, offset, Target::Type(ty));
        }
        let index = self.word(index);
        self.access_place(place, index)
    }

    /// Elements of what a place points to: what each is, how many, and words from one to the next. Of the array of slots,
    /// the elements of one slot.
    fn elements(&self, place: Place) -> Result<(Target, u32, u32), Refusal> {
        let slots = self.shader.output(place.output);
        let ty = match place.target {
            Target::Whole => self.array_of(place.output)?,
            Target::Type(ty) => ty,
            Target::Numbers(Some(size), scalar) => {
                let count = u32::from(u8::from(size));
                return Ok((Target::Numbers(None, scalar), count, 1));
            }
            Target::Numbers(None, _) => return Err(internal("an index into a number")),
        };
        match *self.inner(ty) {
            TypeInner::Array { base, .. } if place.word.is_none() => {
                Ok((Target::Type(base), slots.elements, slots.stride))
            }
            TypeInner::Array {
                base,
                size: ArraySize::Constant(n),
                stride,
            } => Ok((Target::Type(base), n.get(), stride / 4)),
            TypeInner::Vector { size, scalar } => {
                let count = u32::from(u8::from(size));
                Ok((Target::Numbers(None, scalar), count, 1))
            }
            TypeInner::Matrix {
                columns,
                rows,
                scalar,
            } => Ok((
                Target::Numbers(Some(rows), scalar),
                u32::from(u8::from(columns)),
                layout::column_words(rows),
            )),
            ref other => Err(internal(&format!("an index into {other:?}"))),
        }
    }

    fn moved(
        &mut self,
        place: Place,
        offset: Handle<Expression>,
        target: Target,
    ) -> Result<Place, Refusal> {
        let from = match place.word {
            Some(word) => word,
            None => {
                let word = self.shader.globals.slots[place.output].0;
                self.load(word)
            }
        };
        Ok(Place {
            output: place.output,
            word: Some(self.binary(BinaryOperator::Add, from, offset)),
            target,
        })
    }

    fn times(&mut self, index: Handle<Expression>, words: u32) -> Handle<Expression> {
        if words == 1 {
            return index;
        }
        let words = self.word(words);
        self.binary(BinaryOperator::Multiply, index, words)
    }

    /// The type behind a place as one of the module's.
    fn target_type(&mut self, place: Place) -> Result<Handle<Type>, Refusal> {
        match place.target {
            Target::Type(ty) => Ok(ty),
            Target::Numbers(None, scalar) => Ok(self.type_handle(TypeInner::Scalar(scalar))),
            Target::Numbers(Some(size), scalar) => {
                Ok(self.type_handle(TypeInner::Vector { size, scalar }))
            }
            Target::Whole => Err(self.refuse(
                "whole_output",
                "a whole output is read or written at once",
                "index it",
            )),
        }
    }

    pub(super) fn store_output(
        &mut self,
        place: Place,
        value: Handle<Expression>,
    ) -> Result<(), Refusal> {
        let ty = self.target_type(place)?;
        let at = place
            .word
            .ok_or_else(|| internal("a place without a word"))?;
        if !self.shader.is_grouped(place.output) {
            return self.store_words(at, value, ty);
        }
        let leader = self.load(self.shader.globals.leader);
        let accept = self.nested(|this| this.store_words(at, value, ty))?;
        self.push(Statement::If {
            condition: leader,
            accept,
            reject: naga::Block::new(),
        });
        Ok(())
    }

    fn word_pointer(&mut self, at: Handle<Expression>, offset: u32) -> Handle<Expression> {
        let index = if offset == 0 {
            at
        } else {
            let offset = self.word(offset);
            self.binary(BinaryOperator::Add, at, offset)
        };
        let base = self.add(Expression::GlobalVariable(self.shader.globals.output));
        self.add(Expression::Access { base, index })
    }

    /// One scalar of a value.
    fn part(&mut self, value: Handle<Expression>, leaf: &layout::Leaf) -> Handle<Expression> {
        leaf.path.iter().fold(value, |base, index| {
            let index = *index;
            self.add(Expression::AccessIndex { base, index })
        })
    }

    fn store_words(
        &mut self,
        at: Handle<Expression>,
        value: Handle<Expression>,
        ty: Handle<Type>,
    ) -> Result<(), Refusal> {
        for leaf in layout::leaves(&self.shader.types, ty)? {
            let part = self.part(value, &leaf);
            let bits = match leaf.kind {
                ScalarKind::Uint => part,
                ScalarKind::Float if self.shader.is_canonical() => {
                    self.call("c_store", vec![part])?
                }
                _ => self.cast(part, ScalarKind::Uint, false),
            };
            let pointer = self.word_pointer(at, leaf.word);
            self.push(Statement::Store {
                pointer,
                value: bits,
            });
        }
        Ok(())
    }

    /// What `pointer` points to, as a value. Floats from outside become canonical.
    pub(super) fn loaded(&mut self, pointer: Handle<Expression>) -> Result<Value, Refusal> {
        let place = match self.value(pointer)? {
            Value::Place(place) => place,
            Value::Plain(new) => {
                let loaded = self.add(Expression::Load { pointer: new });
                if !self.shader.is_canonical() || !self.is_outside(pointer) {
                    return Ok(Value::Plain(loaded));
                }
                let ty = match *self.type_of(pointer) {
                    TypeInner::Pointer { base, .. } => base,
                    TypeInner::ValuePointer {
                        size: None, scalar, ..
                    } => self.type_handle(TypeInner::Scalar(scalar)),
                    TypeInner::ValuePointer {
                        size: Some(size),
                        scalar,
                        ..
                    } => self.type_handle(TypeInner::Vector { size, scalar }),
                    _ => return Err(internal("a load from what is no pointer")),
                };
                return self.flushed(loaded, ty).map(Value::Plain);
            }
        };
        if self.shader.is_grouped(place.output) {
            return Err(self.refuse(
                "group_output",
                "an output with one slot for each workgroup is read",
                "keep the value in a variable",
            ));
        }
        let ty = self.target_type(place)?;
        let at = place
            .word
            .ok_or_else(|| internal("a place without a word"))?;
        let mut words = Vec::new();
        for leaf in layout::leaves(&self.shader.types, ty)? {
            let pointer = self.word_pointer(at, leaf.word);
            let word = self.add(Expression::Load { pointer });
            words.push(match leaf.kind {
                ScalarKind::Uint => word,
                ScalarKind::Float if self.shader.is_canonical() => {
                    self.call("c_load", vec![word])?
                }
                kind => self.cast(word, kind, false),
            });
        }
        let mut words = words.into_iter();
        self.composed(ty, &mut words).map(Value::Plain)
    }

    /// Whether `pointer` points to what somebody else has written.
    fn is_outside(&self, pointer: Handle<Expression>) -> bool {
        let space = self.type_of(pointer).pointer_space();
        matches!(
            space,
            Some(naga::AddressSpace::Storage { .. } | naga::AddressSpace::Uniform)
        )
    }

    /// A value whose floats are canonical.
    fn flushed(
        &mut self,
        value: Handle<Expression>,
        ty: Handle<Type>,
    ) -> Result<Handle<Expression>, Refusal> {
        let leaves = layout::leaves(&self.shader.types, ty)?;
        if !leaves.iter().any(|l| l.kind == ScalarKind::Float) {
            return Ok(value);
        }
        let mut parts = Vec::new();
        for leaf in leaves {
            let mut part = self.part(value, &leaf);
            if leaf.kind == ScalarKind::Float {
                let bits = self.cast(part, ScalarKind::Uint, false);
                part = self.call("c_load", vec![bits])?;
            }
            parts.push(part);
        }
        self.composed(ty, &mut parts.into_iter())
    }

    /// A value of type `ty` from its scalars, in the order of [`layout::leaves`].
    pub(super) fn composed(
        &mut self,
        ty: Handle<Type>,
        parts: &mut impl Iterator<Item = Handle<Expression>>,
    ) -> Result<Handle<Expression>, Refusal> {
        let inner = self.inner(ty).clone();
        let members: Vec<Handle<Type>> = match inner {
            TypeInner::Scalar(_) => {
                return parts.next().ok_or_else(|| internal("too few scalars"));
            }
            TypeInner::Vector { size, scalar } => {
                let scalar = self.type_handle(TypeInner::Scalar(scalar));
                vec![scalar; u8::from(size).into()]
            }
            TypeInner::Matrix {
                columns,
                rows,
                scalar,
            } => {
                let column = self.type_handle(TypeInner::Vector { size: rows, scalar });
                vec![column; u8::from(columns).into()]
            }
            TypeInner::Array {
                base,
                size: ArraySize::Constant(n),
                ..
            } => vec![base; n.get() as usize],
            TypeInner::Struct { members, .. } => members.iter().map(|m| m.ty).collect(),
            other => return Err(internal(&format!("a value of {other:?}"))),
        };
        let mut components = Vec::with_capacity(members.len());
        for member in members {
            components.push(self.composed(member, parts)?);
        }
        Ok(self.add(Expression::Compose { ty, components }))
    }
}
