//! Arithmetic: operators and functions, component by component.

use naga::{
    BinaryOperator as B, Expression, Handle, MathFunction as F, RelationalFunction, ScalarKind,
    UnaryOperator,
};

use super::code::{Binary, Col, Unary};
use super::compile::{Compiler, Frame, wrong};
use super::values::Shape;
use crate::shader::refusal::Refusal;

use ScalarKind::{Bool, Float, Sint, Uint};

impl<'a> Compiler<'a> {
    /// The numbers of an expression that is neither a constant nor a variable.
    pub(super) fn computed(
        &mut self,
        frame: &mut Frame<'a>,
        handle: Handle<Expression>,
        shape: &Shape,
    ) -> Result<Vec<Col>, Refusal> {
        match frame.function.expressions[handle] {
            Expression::Compose { ref components, .. } => {
                let mut cols = Vec::new();
                for component in components {
                    cols.extend(self.value(frame, *component)?.1);
                }
                Ok(cols)
            }
            Expression::Splat { size, value } => {
                let col = self.number(frame, value)?;
                Ok(vec![col; u8::from(size).into()])
            }
            Expression::Swizzle {
                size,
                vector,
                pattern,
            } => {
                let (_, cols) = self.value(frame, vector)?;
                let picked = pattern[..usize::from(u8::from(size))].iter();
                let picked = picked.map(|c| cols.get(*c as usize).copied());
                let picked: Option<Vec<Col>> = picked.collect();
                picked.ok_or_else(|| wrong("no such component"))
            }
            Expression::Unary { op, expr } => {
                let (of, cols) = self.value(frame, expr)?;
                let op = match (op, of.kind()) {
                    (UnaryOperator::Negate, Some(Float)) => Unary::FNeg,
                    (UnaryOperator::Negate, _) => Unary::NegI,
                    _ => Unary::Not,
                };
                self.each(&cols, |c, a| c.unary(op, a))
            }
            Expression::Binary { op, left, right } => {
                let a = self.value(frame, left)?;
                let b = self.value(frame, right)?;
                self.operator(op, a, b)
            }
            Expression::Select {
                condition,
                accept,
                reject,
            } => {
                let (_, masks) = self.value(frame, condition)?;
                let (_, a) = self.value(frame, accept)?;
                let (_, b) = self.value(frame, reject)?;
                let mut cols = Vec::with_capacity(a.len());
                for (i, (a, b)) in a.into_iter().zip(b).enumerate() {
                    let mask = masks[i.min(masks.len() - 1)];
                    cols.push(self.select(mask, a, b)?);
                }
                Ok(cols)
            }
            Expression::Relational { fun, argument } => {
                let (_, cols) = self.value(frame, argument)?;
                let op = match fun {
                    RelationalFunction::All => Binary::And,
                    RelationalFunction::Any => Binary::Or,
                    other => return Err(wrong(format!("{other:?}"))),
                };
                self.folded(op, &cols).map(|c| vec![c])
            }
            Expression::Math {
                fun,
                arg,
                arg1,
                arg2,
                arg3,
            } => {
                let mut given = Vec::new();
                for handle in [Some(arg), arg1, arg2, arg3].into_iter().flatten() {
                    given.push(self.value(frame, handle)?);
                }
                self.math(fun, &given, shape)
            }
            Expression::As {
                expr,
                kind,
                convert,
            } => {
                let (of, cols) = self.value(frame, expr)?;
                let from = of
                    .kind()
                    .ok_or_else(|| wrong("a conversion of a composite"))?;
                self.each(&cols, |c, a| c.converted(a, from, kind, convert.is_some()))
            }
            ref other => Err(wrong(format!("an expression {other:?}"))),
        }
    }

    fn each(
        &mut self,
        cols: &[Col],
        mut with: impl FnMut(&mut Self, Col) -> Result<Col, Refusal>,
    ) -> Result<Vec<Col>, Refusal> {
        cols.iter().map(|c| with(self, *c)).collect()
    }

    fn folded(&mut self, op: Binary, cols: &[Col]) -> Result<Col, Refusal> {
        let mut all = *cols.first().ok_or_else(|| wrong("nothing"))?;
        for col in &cols[1..] {
            all = self.binary(op, all, *col)?;
        }
        Ok(all)
    }

    fn pairs(&mut self, op: Binary, a: &[Col], b: &[Col]) -> Result<Vec<Col>, Refusal> {
        let count = a.len().max(b.len());
        let mut cols = Vec::with_capacity(count);
        for i in 0..count {
            let (a, b) = (a[i.min(a.len() - 1)], b[i.min(b.len() - 1)]);
            cols.push(self.binary(op, a, b)?);
        }
        Ok(cols)
    }

    fn operator(
        &mut self,
        op: B,
        (of, a): (Shape, Vec<Col>),
        (with, b): (Shape, Vec<Col>),
    ) -> Result<Vec<Col>, Refusal> {
        let kind = of
            .kind()
            .ok_or_else(|| wrong("arithmetic with composites"))?;
        if op == B::Multiply
            && let Some(product) = self.matrix_product(&of, &a, &with, &b)?
        {
            return Ok(product);
        }
        let float = kind == Float;
        let signed = kind == Sint;
        let pick = |f: Binary, i: Binary, u: Binary| {
            if float {
                f
            } else if signed {
                i
            } else {
                u
            }
        };
        // The other way round where there is no operation of that name.
        let (op, a, b) = match op {
            B::Greater => (B::Less, b, a),
            B::GreaterEqual => (B::LessEqual, b, a),
            op => (op, a, b),
        };
        let op = match op {
            B::Add => pick(Binary::FAdd, Binary::Add, Binary::Add),
            B::Subtract => pick(Binary::FSub, Binary::Sub, Binary::Sub),
            B::Multiply => pick(Binary::FMul, Binary::Mul, Binary::Mul),
            B::Divide => pick(Binary::FDiv, Binary::DivI, Binary::DivU),
            B::Modulo => pick(Binary::FRem, Binary::RemI, Binary::RemU),
            B::Equal => pick(Binary::EqF, Binary::Eq, Binary::Eq),
            B::NotEqual => pick(Binary::NeF, Binary::Ne, Binary::Ne),
            B::Less => pick(Binary::LtF, Binary::LtI, Binary::LtU),
            B::LessEqual => pick(Binary::LeF, Binary::LeI, Binary::LeU),
            B::And | B::LogicalAnd => Binary::And,
            B::InclusiveOr | B::LogicalOr => Binary::Or,
            B::ExclusiveOr => Binary::Xor,
            B::ShiftLeft => Binary::Shl,
            B::ShiftRight if signed => Binary::ShrI,
            B::ShiftRight => Binary::ShrU,
            B::Greater | B::GreaterEqual => return Err(wrong("a comparison")),
        };
        self.pairs(op, &a, &b)
    }

    /// Of native floats: the others were written out when the shader was rewritten.
    fn matrix_product(
        &mut self,
        of: &Shape,
        a: &[Col],
        with: &Shape,
        b: &[Col],
    ) -> Result<Option<Vec<Col>>, Refusal> {
        // (rows, inner) of the left side and (inner, columns) of the right one, stored column by column.
        let (rows, inner, columns) = match (of, with) {
            (Shape::Matrix { columns, rows, .. }, Shape::Vector(..)) => (*rows, *columns, 1),
            (Shape::Vector(..), Shape::Matrix { columns, rows, .. }) => (1, *rows, *columns),
            (Shape::Matrix { columns, rows, .. }, Shape::Matrix { columns: wide, .. }) => {
                (*rows, *columns, *wide)
            }
            _ => return Ok(None),
        };
        let mut cols = Vec::new();
        for c in 0..columns {
            for r in 0..rows {
                let mut sum = None;
                for i in 0..inner {
                    let (x, y) = (a[(i * rows + r) as usize], b[(c * inner + i) as usize]);
                    let product = self.binary(Binary::FMul, x, y)?;
                    sum = Some(match sum {
                        None => product,
                        Some(sum) => self.binary(Binary::FAdd, sum, product)?,
                    });
                }
                cols.push(sum.ok_or_else(|| wrong("an empty product"))?);
            }
        }
        Ok(Some(cols))
    }

    fn converted(
        &mut self,
        a: Col,
        from: ScalarKind,
        to: ScalarKind,
        value: bool,
    ) -> Result<Col, Refusal> {
        let op = match (from, to) {
            _ if !value => return Ok(a),
            (Bool, Sint | Uint) => Unary::MaskToInt,
            (Bool, Float) => Unary::MaskToFloat,
            (Sint | Uint, Bool) => Unary::IntToMask,
            (Float, Bool) => Unary::FloatToMask,
            (Float, Sint) => Unary::FToI,
            (Float, Uint) => Unary::FToU,
            (Sint, Float) => Unary::FFromI,
            (Uint, Float) => Unary::FFromU,
            _ => return Ok(a),
        };
        self.unary(op, a)
    }

    fn math(
        &mut self,
        fun: F,
        given: &[(Shape, Vec<Col>)],
        result: &Shape,
    ) -> Result<Vec<Col>, Refusal> {
        let kind = given[0]
            .0
            .kind()
            .ok_or_else(|| wrong("a function of a composite"))?;
        let arg = |i: usize| {
            let found = given.get(i).map(|(_, cols)| cols.as_slice());
            found.ok_or_else(|| wrong("too few arguments"))
        };
        let a = arg(0)?;
        if kind == Float {
            return self.float_math(fun, given, result);
        }
        let signed = kind == Sint;
        let unary = match fun {
            F::Abs if signed => Some(Unary::AbsI),
            F::Abs => return Ok(a.to_vec()),
            F::Sign => Some(Unary::SignI),
            F::CountOneBits => Some(Unary::Ones),
            F::CountLeadingZeros => Some(Unary::LeadingZeros),
            F::CountTrailingZeros => Some(Unary::TrailingZeros),
            F::ReverseBits => Some(Unary::Reverse),
            F::FirstTrailingBit => Some(Unary::FirstTrailing),
            F::FirstLeadingBit if signed => Some(Unary::FirstLeadingI),
            F::FirstLeadingBit => Some(Unary::FirstLeadingU),
            _ => None,
        };
        if let Some(op) = unary {
            return self.each(a, |c, x| c.unary(op, x));
        }
        let (min, max) = if signed {
            (Binary::MinI, Binary::MaxI)
        } else {
            (Binary::MinU, Binary::MaxU)
        };
        match fun {
            F::Min => self.pairs(min, a, arg(1)?),
            F::Max => self.pairs(max, a, arg(1)?),
            F::Clamp => {
                let above = self.pairs(max, a, arg(1)?)?;
                self.pairs(min, &above, arg(2)?)
            }
            F::Dot => {
                let products = self.pairs(Binary::Mul, a, arg(1)?)?;
                self.folded(Binary::Add, &products).map(|c| vec![c])
            }
            F::Dot4I8Packed => self.pairs(Binary::Dot4I, a, arg(1)?),
            F::Dot4U8Packed => self.pairs(Binary::Dot4U, a, arg(1)?),
            F::ExtractBits => {
                let (offset, count) = (arg(1)?, arg(2)?);
                self.each(a, |c, x| c.extracted(x, offset[0], count[0], signed))
            }
            F::InsertBits => {
                let (new, offset, count) = (arg(1)?, arg(2)?[0], arg(3)?[0]);
                let mask = self.binary(Binary::Field, offset, count)?;
                let keep = self.unary(Unary::Not, mask)?;
                let mut cols = Vec::with_capacity(a.len());
                for (x, new) in a.iter().zip(new) {
                    let moved = self.binary(Binary::Shl, *new, offset)?;
                    let moved = self.binary(Binary::And, moved, mask)?;
                    let kept = self.binary(Binary::And, *x, keep)?;
                    cols.push(self.binary(Binary::Or, kept, moved)?);
                }
                Ok(cols)
            }
            F::Pack4xI8 | F::Pack4xU8 | F::Pack4xI8Clamp | F::Pack4xU8Clamp => {
                self.packed(fun, a).map(|c| vec![c])
            }
            F::Unpack4xI8 | F::Unpack4xU8 => self.unpacked(a[0], fun == F::Unpack4xI8),
            other => Err(wrong(format!("{other:?} of integers"))),
        }
    }

    fn extracted(&mut self, x: Col, offset: Col, count: Col, signed: bool) -> Result<Col, Refusal> {
        let field = self.binary(Binary::Field, offset, count)?;
        let picked = self.binary(Binary::And, x, field)?;
        let down = self.binary(Binary::ShrU, picked, offset)?;
        let zero = self.constant_column(0)?;
        let empty = self.binary(Binary::Eq, field, zero)?;
        if !signed {
            return self.select(empty, zero, down);
        }
        // Up until the field's highest bit is the sign, and down again.
        let zeros = self.unary(Unary::LeadingZeros, field)?;
        let up = self.binary(Binary::Shl, picked, zeros)?;
        let back = self.binary(Binary::Add, zeros, offset)?;
        let signed = self.binary(Binary::ShrI, up, back)?;
        self.select(empty, zero, signed)
    }

    fn packed(&mut self, fun: F, a: &[Col]) -> Result<Col, Refusal> {
        let mut all = None;
        let mask = self.constant_column(255)?;
        for (i, col) in (0..4).zip(a) {
            let mut x = *col;
            let bounds = match fun {
                F::Pack4xI8Clamp => Some((Binary::MaxI, -128_i32 as u32, Binary::MinI, 127)),
                F::Pack4xU8Clamp => Some((Binary::MaxU, 0, Binary::MinU, 255)),
                _ => None,
            };
            if let Some((max, low, min, high)) = bounds {
                let (low, high) = (self.constant_column(low)?, self.constant_column(high)?);
                x = self.binary(max, x, low)?;
                x = self.binary(min, x, high)?;
            }
            x = self.binary(Binary::And, x, mask)?;
            let by = self.constant_column(8 * i)?;
            x = self.binary(Binary::Shl, x, by)?;
            all = Some(match all {
                None => x,
                Some(all) => self.binary(Binary::Or, all, x)?,
            });
        }
        all.ok_or_else(|| wrong("nothing to pack"))
    }

    fn unpacked(&mut self, a: Col, signed: bool) -> Result<Vec<Col>, Refusal> {
        let down = self.constant_column(24)?;
        let op = if signed { Binary::ShrI } else { Binary::ShrU };
        let mut cols = Vec::new();
        for i in 0..4 {
            let up = self.constant_column(24 - 8 * i)?;
            let x = self.binary(Binary::Shl, a, up)?;
            cols.push(self.binary(op, x, down)?);
        }
        Ok(cols)
    }

    /// Native floats, as this machine has them.
    fn float_math(
        &mut self,
        fun: F,
        given: &[(Shape, Vec<Col>)],
        _result: &Shape,
    ) -> Result<Vec<Col>, Refusal> {
        let arg = |i: usize| {
            let found = given.get(i).map(|(_, cols)| cols.as_slice());
            found.ok_or_else(|| wrong("too few arguments"))
        };
        let a = arg(0)?;
        let unary = match fun {
            F::Abs => Some(Unary::FAbs),
            F::Sign => Some(Unary::FSign),
            F::Sqrt => Some(Unary::FSqrt),
            F::Floor => Some(Unary::FFloor),
            F::Ceil => Some(Unary::FCeil),
            F::Trunc => Some(Unary::FTrunc),
            F::Round => Some(Unary::FRound),
            F::Exp => Some(Unary::FExp),
            F::Exp2 => Some(Unary::FExp2),
            F::Log => Some(Unary::FLog),
            F::Log2 => Some(Unary::FLog2),
            F::Sin => Some(Unary::FSin),
            F::Cos => Some(Unary::FCos),
            F::Tan => Some(Unary::FTan),
            F::Sinh => Some(Unary::FSinh),
            F::Cosh => Some(Unary::FCosh),
            F::Tanh => Some(Unary::FTanh),
            F::Asin => Some(Unary::FAsin),
            F::Acos => Some(Unary::FAcos),
            F::Atan => Some(Unary::FAtan),
            F::Asinh => Some(Unary::FAsinh),
            F::Acosh => Some(Unary::FAcosh),
            F::Atanh => Some(Unary::FAtanh),
            _ => None,
        };
        if let Some(op) = unary {
            return self.each(a, |c, x| c.unary(op, x));
        }
        let binary = match fun {
            F::Min => Some(Binary::FMin),
            F::Max => Some(Binary::FMax),
            F::Pow => Some(Binary::FPow),
            F::Atan2 => Some(Binary::FAtan2),
            _ => None,
        };
        if let Some(op) = binary {
            return self.pairs(op, a, arg(1)?);
        }
        let one = self.constant_column(1.0_f32.to_bits())?;
        let zero = self.constant_column(0)?;
        match fun {
            F::Clamp => {
                let above = self.pairs(Binary::FMax, a, arg(1)?)?;
                self.pairs(Binary::FMin, &above, arg(2)?)
            }
            F::Saturate => {
                let above = self.pairs(Binary::FMax, a, &[zero])?;
                self.pairs(Binary::FMin, &above, &[one])
            }
            F::Fract => {
                let below = self.each(a, |c, x| c.unary(Unary::FFloor, x))?;
                self.pairs(Binary::FSub, a, &below)
            }
            F::InverseSqrt => {
                let root = self.each(a, |c, x| c.unary(Unary::FSqrt, x))?;
                self.pairs(Binary::FDiv, &[one], &root)
            }
            F::Fma => {
                let product = self.pairs(Binary::FMul, a, arg(1)?)?;
                self.pairs(Binary::FAdd, &product, arg(2)?)
            }
            F::Mix => {
                let rest = self.pairs(Binary::FSub, &[one], arg(2)?)?;
                let x = self.pairs(Binary::FMul, a, &rest)?;
                let y = self.pairs(Binary::FMul, arg(1)?, arg(2)?)?;
                self.pairs(Binary::FAdd, &x, &y)
            }
            F::Step => {
                let masks = self.pairs(Binary::LeF, a, arg(1)?)?;
                self.each(&masks, |c, mask| c.select(mask, one, zero))
            }
            F::Dot => self.native_dot(a, arg(1)?).map(|c| vec![c]),
            F::Length | F::Normalize => {
                let square = self.native_dot(a, a)?;
                let length = self.unary(Unary::FSqrt, square)?;
                if fun == F::Length {
                    return Ok(vec![length]);
                }
                self.pairs(Binary::FDiv, a, &[length])
            }
            F::Distance => {
                let difference = self.pairs(Binary::FSub, a, arg(1)?)?;
                let square = self.native_dot(&difference, &difference)?;
                self.unary(Unary::FSqrt, square).map(|c| vec![c])
            }
            F::Cross => {
                let b = arg(1)?;
                let turned = |v: &[Col]| [v[1], v[2], v[0]];
                let back = |v: &[Col]| [v[2], v[0], v[1]];
                let x = self.pairs(Binary::FMul, &turned(a), &back(b))?;
                let y = self.pairs(Binary::FMul, &back(a), &turned(b))?;
                self.pairs(Binary::FSub, &x, &y)
            }
            F::Transpose => {
                let Shape::Matrix { columns, rows, .. } = given[0].0 else {
                    return Err(wrong("a transposed something"));
                };
                let at = |r, c| a[(c * rows + r) as usize];
                let all = (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c)));
                Ok(all.map(|(r, c)| at(r, c)).collect())
            }
            other => Err(Refusal::new(
                "no_interpreter",
                format!("{other:?} of native floats runs on GPUs only"),
                "use functions with a canonical form",
            )),
        }
    }

    fn native_dot(&mut self, a: &[Col], b: &[Col]) -> Result<Col, Refusal> {
        let products = self.pairs(Binary::FMul, a, b)?;
        self.folded(Binary::FAdd, &products)
    }
}
