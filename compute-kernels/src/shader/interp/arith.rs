//! Arithmetic on columns, for all invocations at once: loops that a compiler turns into vector instructions.

use super::code::{Binary, Col, Unary};
use super::machine::Machine;
use crate::canon::{Canon, Real as _};

impl Machine<'_> {
    pub(super) fn col(&self, col: Col) -> &[u32] {
        &self.cols[col as usize]
    }

    #[inline(always)]
    pub(super) fn map(&mut self, dst: Col, a: Col, f: impl Fn(u32) -> u32) {
        let mut out = std::mem::take(&mut self.cols[dst as usize]);
        for (out, a) in out.iter_mut().zip(self.col(a)) {
            *out = f(*a);
        }
        self.cols[dst as usize] = out;
    }

    #[inline(always)]
    fn zip(&mut self, dst: Col, a: Col, b: Col, f: impl Fn(u32, u32) -> u32) {
        let mut out = std::mem::take(&mut self.cols[dst as usize]);
        for ((out, a), b) in out.iter_mut().zip(self.col(a)).zip(self.col(b)) {
            *out = f(*a, *b);
        }
        self.cols[dst as usize] = out;
    }

    #[inline(always)]
    fn float(&mut self, dst: Col, a: Col, f: impl Fn(f32) -> f32) {
        self.map(dst, a, |a| f(f32::from_bits(a)).to_bits());
    }

    #[inline(always)]
    fn floats(&mut self, dst: Col, a: Col, b: Col, f: impl Fn(f32, f32) -> f32) {
        self.zip(dst, a, b, |a, b| {
            f(f32::from_bits(a), f32::from_bits(b)).to_bits()
        });
    }

    #[inline(always)]
    fn canon(&mut self, dst: Col, a: Col, f: impl Fn(Canon) -> Canon) {
        self.map(dst, a, |a| f(canon(a)).to_bits());
    }

    #[inline(always)]
    fn canons(&mut self, dst: Col, a: Col, b: Col, f: impl Fn(Canon, Canon) -> Canon) {
        self.zip(dst, a, b, |a, b| f(canon(a), canon(b)).to_bits());
    }

    #[inline(always)]
    fn compare(&mut self, dst: Col, a: Col, b: Col, f: impl Fn(u32, u32) -> bool) {
        self.zip(dst, a, b, |a, b| mask(f(a, b)));
    }

    #[inline(always)]
    fn compare_floats(&mut self, dst: Col, a: Col, b: Col, f: impl Fn(f32, f32) -> bool) {
        self.compare(dst, a, b, |a, b| f(f32::from_bits(a), f32::from_bits(b)));
    }

    pub(super) fn unary(&mut self, op: Unary, dst: Col, a: Col) {
        match op {
            Unary::NegI => self.map(dst, a, u32::wrapping_neg),
            Unary::Not => self.map(dst, a, |a| !a),
            Unary::AbsI => self.map(dst, a, |a| (a as i32).wrapping_abs() as u32),
            Unary::SignI => self.map(dst, a, |a| (a as i32).signum() as u32),
            Unary::Ones => self.map(dst, a, u32::count_ones),
            Unary::LeadingZeros => self.map(dst, a, u32::leading_zeros),
            Unary::TrailingZeros => self.map(dst, a, u32::trailing_zeros),
            Unary::Reverse => self.map(dst, a, u32::reverse_bits),
            Unary::FirstTrailing => self.map(dst, a, first_trailing),
            Unary::FirstLeadingU => self.map(dst, a, first_leading),
            Unary::FirstLeadingI => {
                self.map(dst, a, |a| {
                    first_leading(if (a as i32) < 0 { !a } else { a })
                });
            }
            Unary::MaskToInt => self.map(dst, a, |a| a & 1),
            Unary::MaskToFloat => self.map(dst, a, |a| a & 1.0_f32.to_bits()),
            Unary::IntToMask => self.map(dst, a, |a| mask(a != 0)),
            Unary::FloatToMask => self.map(dst, a, |a| mask(f32::from_bits(a) != 0.0)),
            Unary::CNeg => self.canon(dst, a, |a| -a),
            Unary::CAbs => self.canon(dst, a, |a| a.abs()),
            Unary::CSqrt => self.canon(dst, a, |a| a.sqrt()),
            Unary::CExp => self.canon(dst, a, |a| a.exp()),
            Unary::CLog => self.canon(dst, a, |a| a.ln()),
            Unary::CSin => self.canon(dst, a, |a| a.sin()),
            Unary::CCos => self.canon(dst, a, |a| a.cos()),
            Unary::CFloor => self.canon(dst, a, |a| a.floor()),
            Unary::CFromU => self.map(dst, a, |a| (a as f32).to_bits()),
            Unary::CToU => self.map(dst, a, |a| canon(a).to_u32()),
            Unary::CLoad => self.map(dst, a, |a| Canon::new(f32::from_bits(a)).to_bits()),
            Unary::CStore => self.map(dst, a, |a| if a == 1 << 31 { 0 } else { a }),
            Unary::FNeg => self.map(dst, a, |a| a ^ 0x8000_0000),
            Unary::FAbs => self.map(dst, a, |a| a & 0x7fff_ffff),
            Unary::FSign => self.float(dst, a, |a| {
                if a > 0.0 {
                    1.0
                } else if a < 0.0 {
                    -1.0
                } else {
                    0.0
                }
            }),
            Unary::FSqrt => self.float(dst, a, f32::sqrt),
            Unary::FFloor => self.float(dst, a, f32::floor),
            Unary::FCeil => self.float(dst, a, f32::ceil),
            Unary::FTrunc => self.float(dst, a, f32::trunc),
            Unary::FRound => self.float(dst, a, f32::round_ties_even),
            Unary::FExp => self.float(dst, a, f32::exp),
            Unary::FExp2 => self.float(dst, a, f32::exp2),
            Unary::FLog => self.float(dst, a, f32::ln),
            Unary::FLog2 => self.float(dst, a, f32::log2),
            Unary::FSin => self.float(dst, a, f32::sin),
            Unary::FCos => self.float(dst, a, f32::cos),
            Unary::FTan => self.float(dst, a, f32::tan),
            Unary::FSinh => self.float(dst, a, f32::sinh),
            Unary::FCosh => self.float(dst, a, f32::cosh),
            Unary::FTanh => self.float(dst, a, f32::tanh),
            Unary::FAsin => self.float(dst, a, f32::asin),
            Unary::FAcos => self.float(dst, a, f32::acos),
            Unary::FAtan => self.float(dst, a, f32::atan),
            Unary::FAsinh => self.float(dst, a, f32::asinh),
            Unary::FAcosh => self.float(dst, a, f32::acosh),
            Unary::FAtanh => self.float(dst, a, f32::atanh),
            Unary::FFromI => self.map(dst, a, |a| (a as i32 as f32).to_bits()),
            Unary::FFromU => self.map(dst, a, |a| (a as f32).to_bits()),
            Unary::FToI => self.map(dst, a, |a| {
                f32::from_bits(a).clamp(-2_147_483_648.0, 2_147_483_520.0) as i32 as u32
            }),
            Unary::FToU => {
                self.map(dst, a, |a| {
                    f32::from_bits(a).clamp(0.0, 4_294_967_040.0) as u32
                });
            }
        }
    }

    pub(super) fn binary(&mut self, op: Binary, dst: Col, a: Col, b: Col) {
        match op {
            Binary::Add => self.zip(dst, a, b, u32::wrapping_add),
            Binary::Sub => self.zip(dst, a, b, u32::wrapping_sub),
            Binary::Mul => self.zip(dst, a, b, u32::wrapping_mul),
            Binary::DivI => self.zip(dst, a, b, |a, b| {
                let (a, b) = (a as i32, b as i32);
                (if b == 0 { a } else { a.wrapping_div(b) }) as u32
            }),
            Binary::DivU => self.zip(dst, a, b, |a, b| a.checked_div(b).unwrap_or(a)),
            Binary::RemI => self.zip(dst, a, b, |a, b| {
                let (a, b) = (a as i32, b as i32);
                (if b == 0 { 0 } else { a.wrapping_rem(b) }) as u32
            }),
            Binary::RemU => self.zip(dst, a, b, |a, b| a.checked_rem(b).unwrap_or(0)),
            Binary::And => self.zip(dst, a, b, |a, b| a & b),
            Binary::Or => self.zip(dst, a, b, |a, b| a | b),
            Binary::Xor => self.zip(dst, a, b, |a, b| a ^ b),
            Binary::Shl => self.zip(dst, a, b, u32::wrapping_shl),
            Binary::ShrU => self.zip(dst, a, b, u32::wrapping_shr),
            Binary::ShrI => self.zip(dst, a, b, |a, b| (a as i32).wrapping_shr(b) as u32),
            Binary::Eq => self.compare(dst, a, b, |a, b| a == b),
            Binary::Ne => self.compare(dst, a, b, |a, b| a != b),
            Binary::LtI => self.compare(dst, a, b, |a, b| (a as i32) < b as i32),
            Binary::LtU => self.compare(dst, a, b, |a, b| a < b),
            Binary::LeI => self.compare(dst, a, b, |a, b| a as i32 <= b as i32),
            Binary::LeU => self.compare(dst, a, b, |a, b| a <= b),
            Binary::MinI => self.zip(dst, a, b, |a, b| (a as i32).min(b as i32) as u32),
            Binary::MinU => self.zip(dst, a, b, u32::min),
            Binary::MaxI => self.zip(dst, a, b, |a, b| (a as i32).max(b as i32) as u32),
            Binary::MaxU => self.zip(dst, a, b, u32::max),
            Binary::Field => self.zip(dst, a, b, field),
            Binary::Dot4I => self.zip(dst, a, b, |a, b| {
                let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
                let products = a.iter().zip(b);
                let products = products.map(|(a, b)| i32::from(*a as i8) * i32::from(b as i8));
                products.sum::<i32>() as u32
            }),
            Binary::Dot4U => self.zip(dst, a, b, |a, b| {
                let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
                let products = a.iter().zip(b);
                products.map(|(a, b)| u32::from(*a) * u32::from(b)).sum()
            }),
            Binary::EqF => self.compare_floats(dst, a, b, |a, b| a == b),
            Binary::NeF => self.compare_floats(dst, a, b, |a, b| a != b),
            Binary::LtF => self.compare_floats(dst, a, b, |a, b| a < b),
            Binary::LeF => self.compare_floats(dst, a, b, |a, b| a <= b),
            Binary::CAdd => self.canons(dst, a, b, |a, b| (a + b).limited()),
            Binary::CSub => self.canons(dst, a, b, |a, b| (a - b).limited()),
            Binary::CMul => self.canons(dst, a, b, |a, b| a * b),
            Binary::CDiv => self.canons(dst, a, b, |a, b| a / b),
            Binary::CMin => self.canons(dst, a, b, |a, b| a.min(b)),
            Binary::CMax => self.canons(dst, a, b, |a, b| a.max(b)),
            Binary::FAdd => self.floats(dst, a, b, |a, b| a + b),
            Binary::FSub => self.floats(dst, a, b, |a, b| a - b),
            Binary::FMul => self.floats(dst, a, b, |a, b| a * b),
            Binary::FDiv => self.floats(dst, a, b, |a, b| a / b),
            Binary::FRem => self.floats(dst, a, b, |a, b| a % b),
            Binary::FMin => self.floats(dst, a, b, f32::min),
            Binary::FMax => self.floats(dst, a, b, f32::max),
            Binary::FPow => self.floats(dst, a, b, f32::powf),
            Binary::FAtan2 => self.floats(dst, a, b, f32::atan2),
        }
    }
}

#[inline(always)]
fn mask(yes: bool) -> u32 {
    u32::from(yes).wrapping_neg()
}

#[inline(always)]
fn canon(bits: u32) -> Canon {
    Canon::from_bits(bits)
}

fn first_trailing(a: u32) -> u32 {
    if a == 0 { u32::MAX } else { a.trailing_zeros() }
}

fn first_leading(a: u32) -> u32 {
    if a == 0 {
        u32::MAX
    } else {
        31 - a.leading_zeros()
    }
}

/// `count` ones from bit `offset` up, as `extractBits` and `insertBits` bound them.
fn field(offset: u32, count: u32) -> u32 {
    let offset = offset.min(32);
    let count = count.min(32 - offset);
    if count == 0 {
        return 0;
    }
    (u32::MAX >> (32 - count)) << offset
}
