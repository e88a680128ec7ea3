//! The buffers that a shader binds, as its author sees them.

use naga::{ArraySize, GlobalVariable, Handle, Module, Scalar, ScalarKind, Type, TypeInner};
use serde::{Deserialize, Serialize};

use super::spec::{Binding, OutputSpec, Per, Words};

/// A buffer that a shader binds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The variable's name.
    pub name: String,
    /// Where.
    pub at: Binding,
    /// Whether it is written: then each invocation writes a slot of it.
    pub written: bool,
    /// Bytes before its array, all of it if it is none.
    pub fixed_bytes: u32,
    /// Bytes from one element of its array to the next; 0 if it is no array.
    pub stride: u32,
    /// Elements of the array, if it says so.
    pub len: Option<u32>,
    /// The elements' type, or its own, as WGSL writes it.
    pub element: String,
    /// What its words are, if they are all the same.
    pub words: Words,
}

impl Bound {
    /// What `global` is; of what is written only arrays have slots.
    pub fn of(
        module: &Module,
        global: &GlobalVariable,
        written: bool,
    ) -> Result<Self, &'static str> {
        let types = &module.types;
        let at = global.binding.as_ref();
        let at = at.map_or(
            Binding {
                group: 0,
                binding: 0,
            },
            |b| Binding {
                group: b.group,
                binding: b.binding,
            },
        );
        let array = |ty: Handle<Type>| match types[ty].inner {
            TypeInner::Array { base, size, stride } => Some((base, size, stride)),
            _ => None,
        };
        // The array, and the bytes before it.
        let (found, before) = match &types[global.ty].inner {
            TypeInner::Struct { members, .. } => match members.last() {
                Some(last) => (array(last.ty), last.offset),
                None => (None, 0),
            },
            _ => (array(global.ty), 0),
        };
        let only = !matches!(&types[global.ty].inner, TypeInner::Struct { members, .. } if members.len() != 1);
        if written && (found.is_none() || !only) {
            return Err("but it is no array");
        }
        let context = module.to_ctx();
        let name = |ty: Handle<Type>| type_name(module, ty);
        let name_of = global.name.clone().unwrap_or_default();
        let runtime = matches!(found, Some((_, ArraySize::Dynamic, _)));
        Ok(match found.filter(|_| written || runtime || only) {
            Some((base, size, stride)) => Bound {
                name: name_of,
                at,
                written,
                fixed_bytes: before,
                stride,
                len: match size {
                    ArraySize::Constant(n) => Some(n.get()),
                    _ => None,
                },
                element: name(base),
                words: words(module, base),
            },
            None => Bound {
                name: name_of,
                at,
                written,
                fixed_bytes: types[global.ty].inner.size(context),
                stride: 0,
                len: None,
                element: name(global.ty),
                words: words(module, global.ty),
            },
        })
    }

    /// The output of a job that this becomes.
    pub fn output(&self, per: Per, extent: [u32; 3], elements: u32) -> OutputSpec {
        OutputSpec {
            name: self.name.clone(),
            at: self.at,
            per,
            extent,
            elements,
            stride: self.stride / 4,
            words: self.words,
            from: None,
        }
    }
}

/// Whether there are atomics in a type.
pub fn has_atomics(module: &Module, ty: Handle<Type>) -> bool {
    match &module.types[ty].inner {
        TypeInner::Atomic(_) => true,
        TypeInner::Array { base, .. } => has_atomics(module, *base),
        TypeInner::Struct { members, .. } => members.iter().any(|m| has_atomics(module, m.ty)),
        _ => false,
    }
}

/// What all words of a type are; bits, where they differ.
fn words(module: &Module, ty: Handle<Type>) -> Words {
    let scalar = match &module.types[ty].inner {
        TypeInner::Scalar(s) | TypeInner::Atomic(s) => *s,
        TypeInner::Vector { scalar, .. } | TypeInner::Matrix { scalar, .. } => *scalar,
        TypeInner::Array { base, .. } => return words(module, *base),
        _ => return Words::U32,
    };
    match scalar.kind {
        ScalarKind::Float => Words::F32,
        ScalarKind::Sint => Words::I32,
        _ => Words::U32,
    }
}

/// A type as WGSL writes it.
fn type_name(module: &Module, ty: Handle<Type>) -> String {
    let ty = &module.types[ty];
    let scalar = |s: Scalar| match s.kind {
        ScalarKind::Sint => "i32",
        ScalarKind::Uint => "u32",
        ScalarKind::Float => "f32",
        _ => "bool",
    };
    match &ty.inner {
        _ if ty.name.is_some() => ty.name.clone().unwrap_or_default(),
        TypeInner::Scalar(s) => scalar(*s).into(),
        TypeInner::Atomic(s) => format!("atomic<{}>", scalar(*s)),
        TypeInner::Vector { size, scalar: s } => format!("vec{}<{}>", u8::from(*size), scalar(*s)),
        TypeInner::Matrix { columns, rows, .. } => {
            format!("mat{}x{}<f32>", u8::from(*columns), u8::from(*rows))
        }
        TypeInner::Array { base, size, .. } => match size {
            ArraySize::Constant(n) => format!("array<{}, {n}>", type_name(module, *base)),
            _ => format!("array<{}>", type_name(module, *base)),
        },
        _ => "struct".into(),
    }
}
