//! Types as rows of numbers: how many, and where the parts of a composite are, in registers and in memory.

use naga::{ArraySize, Handle, Scalar, ScalarKind, Type, TypeInner, UniqueArena};

use crate::shader::layout::column_words;

/// Where a type is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Number after number.
    Packed,
    /// As in buffers.
    Buffer,
}

/// A type, resolved as far as values need it.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Number(Scalar),
    Vector(u32, Scalar),
    Matrix {
        columns: u32,
        rows: u32,
        scalar: Scalar,
    },
    Array {
        element: Handle<Type>,
        len: Option<u32>,
        stride: u32,
    },
    Struct(Handle<Type>),
}

impl Shape {
    pub fn of(types: &UniqueArena<Type>, ty: Handle<Type>) -> Option<Self> {
        Self::of_inner(&types[ty].inner, Some(ty))
    }

    pub fn of_inner(inner: &TypeInner, handle: Option<Handle<Type>>) -> Option<Self> {
        Some(match *inner {
            TypeInner::Scalar(s) | TypeInner::Atomic(s) => Shape::Number(s),
            TypeInner::Vector { size, scalar } => Shape::Vector(u8::from(size).into(), scalar),
            TypeInner::Matrix {
                columns,
                rows,
                scalar,
            } => Shape::Matrix {
                columns: u8::from(columns).into(),
                rows: u8::from(rows).into(),
                scalar,
            },
            TypeInner::Array { base, size, stride } => Shape::Array {
                element: base,
                len: match size {
                    ArraySize::Constant(n) => Some(n.get()),
                    _ => None,
                },
                stride,
            },
            TypeInner::Struct { .. } => Shape::Struct(handle?),
            _ => return None,
        })
    }

    /// Its scalar, if it is one or a vector or matrix of them.
    pub fn scalar(&self) -> Option<Scalar> {
        match *self {
            Shape::Number(s) | Shape::Vector(_, s) | Shape::Matrix { scalar: s, .. } => Some(s),
            _ => None,
        }
    }

    pub fn kind(&self) -> Option<ScalarKind> {
        self.scalar().map(|s| s.kind)
    }

    /// How many numbers it has. Of an array without a length, one element.
    pub fn numbers(&self, types: &UniqueArena<Type>) -> Option<u32> {
        Some(match self {
            Shape::Number(_) => 1,
            Shape::Vector(n, _) => *n,
            Shape::Matrix { columns, rows, .. } => columns * rows,
            Shape::Array { element, len, .. } => {
                let each = Shape::of(types, *element)?.numbers(types)?;
                each.checked_mul(len.unwrap_or(1))?
            }
            Shape::Struct(ty) => {
                let TypeInner::Struct { members, .. } = &types[*ty].inner else {
                    return None;
                };
                let mut all = 0_u32;
                for member in members {
                    all = all.checked_add(Shape::of(types, member.ty)?.numbers(types)?)?;
                }
                all
            }
        })
    }

    /// Element or member `index`: what it is, and how many words from the beginning. Past the last, where it would be.
    pub fn part(
        &self,
        types: &UniqueArena<Type>,
        index: u32,
        layout: Layout,
    ) -> Option<(Shape, u32)> {
        match self {
            Shape::Number(_) => None,
            Shape::Vector(_, s) => Some((Shape::Number(*s), index)),
            Shape::Struct(ty) => {
                let TypeInner::Struct { members, .. } = &types[*ty].inner else {
                    return None;
                };
                let member = members.get(index as usize)?;
                let word = match layout {
                    Layout::Buffer => member.offset / 4,
                    Layout::Packed => {
                        let mut before = 0;
                        for member in &members[..index as usize] {
                            before += Shape::of(types, member.ty)?.numbers(types)?;
                        }
                        before
                    }
                };
                Some((Shape::of(types, member.ty)?, word))
            }
            _ => {
                let (element, words) = self.element(types, layout)?;
                Some((element, index.checked_mul(words)?))
            }
        }
    }

    /// What its elements are, and words from one to the next.
    pub fn element(&self, types: &UniqueArena<Type>, layout: Layout) -> Option<(Shape, u32)> {
        match *self {
            Shape::Number(_) | Shape::Struct(_) => None,
            Shape::Vector(_, s) => Some((Shape::Number(s), 1)),
            Shape::Matrix { rows, scalar, .. } => {
                let words = match layout {
                    Layout::Packed => rows,
                    Layout::Buffer => column_words(vector_size(rows)?),
                };
                Some((Shape::Vector(rows, scalar), words))
            }
            Shape::Array {
                element, stride, ..
            } => {
                let element = Shape::of(types, element)?;
                let words = match layout {
                    Layout::Packed => element.numbers(types)?,
                    Layout::Buffer => stride / 4,
                };
                Some((element, words))
            }
        }
    }

    /// How many elements or members it has.
    pub fn len(&self, types: &UniqueArena<Type>) -> Option<u32> {
        match *self {
            Shape::Number(_) => None,
            Shape::Vector(n, _) => Some(n),
            Shape::Matrix { columns, .. } => Some(columns),
            Shape::Array { len, .. } => len,
            Shape::Struct(ty) => match &types[ty].inner {
                TypeInner::Struct { members, .. } => Some(members.len() as u32),
                _ => None,
            },
        }
    }

    /// Words of its numbers in this layout, in order.
    pub fn words(&self, types: &UniqueArena<Type>, layout: Layout) -> Option<Vec<u32>> {
        let mut all = Vec::new();
        self.collect(types, layout, 0, &mut all)?;
        Some(all)
    }

    fn collect(
        &self,
        types: &UniqueArena<Type>,
        layout: Layout,
        at: u32,
        all: &mut Vec<u32>,
    ) -> Option<()> {
        if let Shape::Number(_) = self {
            all.push(at);
            return Some(());
        }
        for index in 0..self.len(types)? {
            let (part, word) = self.part(types, index, layout)?;
            part.collect(types, layout, at + word, all)?;
        }
        Some(())
    }
}

fn vector_size(n: u32) -> Option<naga::VectorSize> {
    match n {
        2 => Some(naga::VectorSize::Bi),
        3 => Some(naga::VectorSize::Tri),
        4 => Some(naga::VectorSize::Quad),
        _ => None,
    }
}
