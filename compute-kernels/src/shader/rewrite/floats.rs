//! Operators and functions, made to mean one thing: floats by the canonical library, integers by WGSL's letter.

use naga::{
    BinaryOperator, Expression, Handle, Literal, MathFunction, Scalar, ScalarKind, TypeInner,
    UnaryOperator, VectorSize,
};

use super::function::Rewriter;
use super::internal;
use crate::canon::Canon;
use crate::shader::math::{Form, form};
use crate::shader::refusal::Refusal;

type Parts = Vec<Handle<Expression>>;

/// Floats written in the shader are canonical from the beginning.
pub(super) fn canonical_literal(expression: &mut Expression) {
    if let Expression::Literal(Literal::F32(x)) = expression {
        *x = f32::from_bits(Canon::new(*x).to_bits());
    }
}

/// A scalar, a vector or a matrix of floats.
#[derive(Clone, Copy)]
enum Rank {
    Scalar,
    Vector,
    Matrix(VectorSize, VectorSize),
}

impl Rewriter<'_, '_> {
    fn rank(&self, handle: Handle<Expression>) -> Result<Rank, Refusal> {
        match *self.type_of(handle) {
            TypeInner::Scalar(_) => Ok(Rank::Scalar),
            TypeInner::Vector { .. } => Ok(Rank::Vector),
            TypeInner::Matrix { columns, rows, .. } => Ok(Rank::Matrix(columns, rows)),
            ref other => Err(internal(&format!("arithmetic with {other:?}"))),
        }
    }

    /// The scalars of a vector, or the scalar itself.
    fn parts(&mut self, value: Handle<Expression>, size: Option<VectorSize>) -> Parts {
        let Some(size) = size else {
            return vec![value];
        };
        (0..u32::from(u8::from(size)))
            .map(|index| self.add(Expression::AccessIndex { base: value, index }))
            .collect()
    }

    fn vector(
        &mut self,
        components: Parts,
        size: Option<VectorSize>,
        kind: ScalarKind,
    ) -> Handle<Expression> {
        let Some(size) = size else {
            return components[0];
        };
        let scalar = Scalar { kind, width: 4 };
        let ty = self.type_handle(TypeInner::Vector { size, scalar });
        self.add(Expression::Compose { ty, components })
    }

    /// Calls a function of scalars for each component; scalars among the arguments count for all of them.
    fn each(
        &mut self,
        name: &str,
        arguments: &[(Handle<Expression>, Option<VectorSize>)],
        kind: ScalarKind,
    ) -> Result<Handle<Expression>, Refusal> {
        self.by_component(arguments, kind, |rewriter, parts| {
            rewriter.call(name, parts)
        })
    }

    /// The same with anything that is made of a component of each argument.
    fn by_component(
        &mut self,
        arguments: &[(Handle<Expression>, Option<VectorSize>)],
        kind: ScalarKind,
        mut make: impl FnMut(&mut Self, Parts) -> Result<Handle<Expression>, Refusal>,
    ) -> Result<Handle<Expression>, Refusal> {
        let size = arguments.iter().find_map(|(_, size)| *size);
        let columns: Vec<Parts> = arguments
            .iter()
            .map(|(value, size)| self.parts(*value, *size))
            .collect();
        let count = size.map_or(1, |s| u8::from(s).into());
        let mut results = Vec::with_capacity(count);
        for i in 0..count {
            let of = |parts: &Parts| parts[i.min(parts.len() - 1)];
            let arguments = columns.iter().map(of).collect();
            results.push(make(self, arguments)?);
        }
        Ok(self.vector(results, size, kind))
    }

    fn size(&self, handle: Handle<Expression>) -> Option<VectorSize> {
        match self.type_of(handle) {
            TypeInner::Vector { size, .. } => Some(*size),
            _ => None,
        }
    }

    fn is_canonical_float(&self, handle: Handle<Expression>) -> bool {
        self.shader.is_canonical() && self.scalar_kind(handle) == Some(ScalarKind::Float)
    }

    pub(super) fn unary(
        &mut self,
        op: UnaryOperator,
        old: Handle<Expression>,
    ) -> Result<Handle<Expression>, Refusal> {
        let expr = self.plain(old)?;
        if op == UnaryOperator::Negate && self.is_canonical_float(old) {
            return self.each("c_neg", &[(expr, self.size(old))], ScalarKind::Float);
        }
        Ok(self.add(Expression::Unary { op, expr }))
    }

    pub(super) fn operator(
        &mut self,
        op: BinaryOperator,
        old_left: Handle<Expression>,
        old_right: Handle<Expression>,
    ) -> Result<Handle<Expression>, Refusal> {
        let (left, right) = (self.plain(old_left)?, self.plain(old_right)?);
        if matches!(op, BinaryOperator::ShiftLeft | BinaryOperator::ShiftRight) {
            // WGSL takes the amount modulo 32; drivers need not.
            let mut mask = self.word(31);
            if let Some(size) = self.size(old_right) {
                mask = self.add(Expression::Splat { size, value: mask });
            }
            let right = self.binary(BinaryOperator::And, right, mask);
            return Ok(self.binary(op, left, right));
        }
        let both = [(left, self.size(old_left)), (right, self.size(old_right))];
        let whole = self
            .scalar_kind(old_left)
            .filter(|k| *k != ScalarKind::Float);
        if let (BinaryOperator::Divide | BinaryOperator::Modulo, Some(kind)) = (op, whole) {
            // One by one: NVIDIA's 580.159.04 divides 7 by 1 in vec3(0, 7, n) / vec3(4, 33, 0), once it knows the divisors.
            return self.by_component(&both, kind, |rewriter, parts| {
                Ok(rewriter.binary(op, parts[0], parts[1]))
            });
        }
        let name = match op {
            BinaryOperator::Add => "starling_add",
            BinaryOperator::Subtract => "starling_sub",
            BinaryOperator::Multiply => "c_mul",
            BinaryOperator::Divide => "c_div",
            BinaryOperator::Modulo => "starling_mod",
            _ => return Ok(self.binary(op, left, right)),
        };
        if !self.is_canonical_float(old_left) {
            return Ok(self.binary(op, left, right));
        }
        match (self.rank(old_left)?, self.rank(old_right)?) {
            (Rank::Matrix(..), _) | (_, Rank::Matrix(..)) => {
                self.matrices(name, op, (left, old_left), (right, old_right))
            }
            _ => self.each(name, &both, ScalarKind::Float),
        }
    }

    /// The columns of a matrix, each as its scalars.
    fn columns(
        &mut self,
        matrix: Handle<Expression>,
        columns: VectorSize,
        rows: VectorSize,
    ) -> Vec<Parts> {
        let columns = self.parts(matrix, Some(columns));
        columns
            .into_iter()
            .map(|c| self.parts(c, Some(rows)))
            .collect()
    }

    fn matrix(
        &mut self,
        columns: Vec<Parts>,
        rows: VectorSize,
    ) -> Result<Handle<Expression>, Refusal> {
        let size = match columns.len() {
            2 => VectorSize::Bi,
            3 => VectorSize::Tri,
            4 => VectorSize::Quad,
            _ => return Err(internal("a matrix of that size")),
        };
        let components = columns
            .into_iter()
            .map(|c| self.vector(c, Some(rows), ScalarKind::Float))
            .collect();
        let ty = self.type_handle(TypeInner::Matrix {
            columns: size,
            rows,
            scalar: Scalar::F32,
        });
        Ok(self.add(Expression::Compose { ty, components }))
    }

    /// a b, summed from the first product to the last.
    fn sum_of_products(
        &mut self,
        a: &[Handle<Expression>],
        b: &[Handle<Expression>],
    ) -> Result<Handle<Expression>, Refusal> {
        let mut sum = None;
        for (a, b) in a.iter().zip(b) {
            let product = self.call("c_mul", vec![*a, *b])?;
            sum = Some(match sum {
                None => product,
                Some(sum) => self.call("starling_add", vec![sum, product])?,
            });
        }
        sum.ok_or_else(|| internal("a product of nothing"))
    }

    fn matrices(
        &mut self,
        name: &str,
        op: BinaryOperator,
        (left, old_left): (Handle<Expression>, Handle<Expression>),
        (right, old_right): (Handle<Expression>, Handle<Expression>),
    ) -> Result<Handle<Expression>, Refusal> {
        let row = |columns: &[Parts], r: usize| -> Parts { columns.iter().map(|c| c[r]).collect() };
        match (self.rank(old_left)?, self.rank(old_right)?) {
            // Sums and differences, and products with a number.
            (Rank::Matrix(columns, rows), Rank::Matrix(..)) if op != BinaryOperator::Multiply => {
                let (a, b) = (
                    self.columns(left, columns, rows),
                    self.columns(right, columns, rows),
                );
                let mut result = Vec::new();
                for (a, b) in a.into_iter().zip(b) {
                    let mut column = Vec::new();
                    for (a, b) in a.into_iter().zip(b) {
                        column.push(self.call(name, vec![a, b])?);
                    }
                    result.push(column);
                }
                self.matrix(result, rows)
            }
            (Rank::Matrix(columns, rows), Rank::Scalar) => self.scaled(left, columns, rows, right),
            (Rank::Scalar, Rank::Matrix(columns, rows)) => self.scaled(right, columns, rows, left),
            (Rank::Matrix(columns, rows), Rank::Vector) => {
                let matrix = self.columns(left, columns, rows);
                let vector = self.parts(right, Some(columns));
                let mut result = Vec::new();
                for r in 0..usize::from(u8::from(rows)) {
                    result.push(self.sum_of_products(&row(&matrix, r), &vector)?);
                }
                Ok(self.vector(result, Some(rows), ScalarKind::Float))
            }
            (Rank::Vector, Rank::Matrix(columns, rows)) => {
                let vector = self.parts(left, Some(rows));
                let mut result = Vec::new();
                for column in self.columns(right, columns, rows) {
                    result.push(self.sum_of_products(&vector, &column)?);
                }
                Ok(self.vector(result, Some(columns), ScalarKind::Float))
            }
            (Rank::Matrix(inner, rows), Rank::Matrix(columns, _)) => {
                let a = self.columns(left, inner, rows);
                let mut result = Vec::new();
                for column in self.columns(right, columns, inner) {
                    let mut new = Vec::new();
                    for r in 0..usize::from(u8::from(rows)) {
                        new.push(self.sum_of_products(&row(&a, r), &column)?);
                    }
                    result.push(new);
                }
                self.matrix(result, rows)
            }
            _ => Err(internal("a matrix with something else")),
        }
    }

    fn scaled(
        &mut self,
        matrix: Handle<Expression>,
        columns: VectorSize,
        rows: VectorSize,
        factor: Handle<Expression>,
    ) -> Result<Handle<Expression>, Refusal> {
        let mut result = Vec::new();
        for column in self.columns(matrix, columns, rows) {
            let mut new = Vec::new();
            for part in column {
                new.push(self.call("c_mul", vec![part, factor])?);
            }
            result.push(new);
        }
        self.matrix(result, rows)
    }

    pub(super) fn math(
        &mut self,
        handle: Handle<Expression>,
        fun: MathFunction,
        old: [Option<Handle<Expression>>; 4],
    ) -> Result<Handle<Expression>, Refusal> {
        let mut new = [None; 4];
        for (new, old) in new.iter_mut().zip(old) {
            *new = old.map(|o| self.plain(o)).transpose()?;
        }
        let [Some(arg), arg1, arg2, arg3] = new else {
            return Err(internal("a function of nothing"));
        };
        let floats = old.iter().flatten().any(|o| self.is_canonical_float(*o))
            || self.is_canonical_float(handle);
        if !floats {
            if fun == MathFunction::Clamp && self.scalar_kind(handle) != Some(ScalarKind::Float) {
                // Drivers may do as they like if low is above high.
                let above = self.math_of(MathFunction::Max, arg, arg1);
                return Ok(self.math_of(MathFunction::Min, above, arg2));
            }
            let what = match fun {
                MathFunction::ExtractBits => Some("extract"),
                MathFunction::InsertBits => Some("insert"),
                _ => None,
            };
            if let (Some(what), Some(kind)) = (what, self.scalar_kind(handle)) {
                let letter = if kind == ScalarKind::Sint { "i" } else { "u" };
                let given = new
                    .iter()
                    .zip(old)
                    .filter_map(|(n, o)| Some(((*n)?, o?)))
                    .collect::<Vec<_>>();
                let given: Vec<_> = given.into_iter().map(|(n, o)| (n, self.size(o))).collect();
                return self.each(&format!("starling_bits_{what}_{letter}"), &given, kind);
            }
            return Ok(self.add(Expression::Math {
                fun,
                arg,
                arg1,
                arg2,
                arg3,
            }));
        }
        let given: Vec<(Handle<Expression>, Handle<Expression>)> = new
            .iter()
            .flatten()
            .copied()
            .zip(old.iter().flatten().copied())
            .collect();
        let plain: Parts = given.iter().map(|(new, _)| *new).collect();
        let size = self.size(given[0].1);
        match form(fun) {
            Some(Form::Each(name)) => {
                let with_sizes: Vec<_> = given.iter().map(|(n, o)| (*n, self.size(*o))).collect();
                self.each(name, &with_sizes, ScalarKind::Float)
            }
            Some(Form::Whole(name)) => self.call(name, plain),
            Some(Form::BySize(name)) => match size {
                Some(size) => self.call(&format!("{name}{}", u8::from(size)), plain),
                None if fun == MathFunction::Length => self.call("c_abs", plain),
                None if fun == MathFunction::Distance => {
                    let difference = self.call("starling_sub", plain)?;
                    self.call("c_abs", vec![difference])
                }
                None => Err(internal("a vector function of a number")),
            },
            Some(Form::Transpose) => {
                let Rank::Matrix(columns, rows) = self.rank(given[0].1)? else {
                    return Err(internal("a transposed something"));
                };
                let old = self.columns(arg, columns, rows);
                let new = (0..usize::from(u8::from(rows)))
                    .map(|r| old.iter().map(|c| c[r]).collect())
                    .collect();
                self.matrix(new, columns)
            }
            None => Err(internal(&format!("{fun:?}"))),
        }
    }

    fn math_of(
        &mut self,
        fun: MathFunction,
        arg: Handle<Expression>,
        arg1: Option<Handle<Expression>>,
    ) -> Handle<Expression> {
        self.add(Expression::Math {
            fun,
            arg,
            arg1,
            arg2: None,
            arg3: None,
        })
    }

    pub(super) fn conversion(
        &mut self,
        old: Handle<Expression>,
        kind: ScalarKind,
        convert: Option<naga::Bytes>,
    ) -> Result<Handle<Expression>, Refusal> {
        use ScalarKind::{Float, Sint, Uint};
        let expr = self.plain(old)?;
        let from = self.scalar_kind(old);
        let size = self.size(old);
        let same = Expression::As {
            expr,
            kind,
            convert,
        };
        if !self.shader.is_canonical() || from == Some(kind) {
            return Ok(self.add(same));
        }
        let name = match (from, kind, convert.is_some()) {
            (Some(Float), Uint, true) => "c_to_u32",
            (Some(Float), Sint, true) => "starling_to_i32",
            (Some(Uint), Float, true) => "c_from_u32",
            (Some(Sint), Float, true) => "starling_from_i32",
            (Some(Float), Uint, false) => "c_store",
            (Some(Float), Sint, false) => {
                let bits = self.each("c_store", &[(expr, size)], Uint)?;
                return Ok(self.cast(bits, Sint, false));
            }
            (Some(Uint), Float, false) => "c_load",
            (Some(Sint), Float, false) => {
                let bits = self.cast(expr, Uint, false);
                return self.each("c_load", &[(bits, size)], Float);
            }
            _ => return Ok(self.add(same)),
        };
        self.each(name, &[(expr, size)], kind)
    }
}
