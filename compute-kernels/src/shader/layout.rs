//! Where the scalars of a type are in memory, by WGSL's rules for host-shareable types.

use naga::{ArraySize, Handle, ScalarKind, Type, TypeInner, UniqueArena, VectorSize};

use super::refusal::Refusal;

/// Most scalars of a value that is read or written at once.
pub const MAX_LEAVES: usize = 256;

/// One scalar of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Indices that lead to it.
    pub path: Vec<u32>,
    /// Words from the beginning.
    pub word: u32,
    /// What it is; all have 32 bits.
    pub kind: ScalarKind,
}

/// Words from one column of a matrix to the next.
pub fn column_words(rows: VectorSize) -> u32 {
    match rows {
        VectorSize::Bi => 2,
        VectorSize::Tri | VectorSize::Quad => 4,
    }
}

/// The scalars of a type of known size, in order.
pub fn leaves(types: &UniqueArena<Type>, ty: Handle<Type>) -> Result<Vec<Leaf>, Refusal> {
    let mut all = Vec::new();
    collect(types, ty, &mut Vec::new(), 0, &mut all)?;
    Ok(all)
}

fn collect(
    types: &UniqueArena<Type>,
    ty: Handle<Type>,
    path: &mut Vec<u32>,
    word: u32,
    all: &mut Vec<Leaf>,
) -> Result<(), Refusal> {
    let vector = |path: &[u32], size: VectorSize, kind, word, all: &mut Vec<Leaf>| {
        for i in 0..u32::from(u8::from(size)) {
            all.push(Leaf {
                path: path.iter().copied().chain([i]).collect(),
                word: word + i,
                kind,
            });
        }
    };
    match types[ty].inner {
        TypeInner::Scalar(scalar) | TypeInner::Atomic(scalar) => all.push(Leaf {
            path: path.clone(),
            word,
            kind: scalar.kind,
        }),
        TypeInner::Vector { size, scalar } => vector(path, size, scalar.kind, word, all),
        TypeInner::Matrix {
            columns,
            rows,
            scalar,
        } => {
            for c in 0..u32::from(u8::from(columns)) {
                path.push(c);
                vector(path, rows, scalar.kind, word + c * column_words(rows), all);
                path.pop();
            }
        }
        TypeInner::Array {
            base,
            size: ArraySize::Constant(n),
            stride,
        } => {
            for i in 0..n.get() {
                path.push(i);
                collect(types, base, path, word + i * (stride / 4), all)?;
                path.pop();
            }
        }
        TypeInner::Struct { ref members, .. } => {
            for (i, member) in (0..).zip(members) {
                path.push(i);
                collect(types, member.ty, path, word + member.offset / 4, all)?;
                path.pop();
            }
        }
        ref other => {
            return Err(Refusal::new(
                "type",
                format!("a value of type {other:?} cannot be read or written at once"),
                "",
            ));
        }
    }
    if all.len() > MAX_LEAVES {
        return Err(Refusal::new(
            "large_value",
            format!("a value of more than {MAX_LEAVES} numbers is read or written at once"),
            "read and write the elements that are needed",
        ));
    }
    Ok(())
}
