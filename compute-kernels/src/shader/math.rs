//! Which of WGSL's functions of floats have a canonical form, and which function of the library it is.

use naga::MathFunction as F;

/// How a function of floats is made canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By this function of scalars, for each component.
    Each(&'static str),
    /// By this function as a whole.
    Whole(&'static str),
    /// By the function of this name and the vector's size.
    BySize(&'static str),
    /// No arithmetic at all.
    Transpose,
}

/// The canonical form of a function of floats, if it has one.
pub fn form(fun: F) -> Option<Form> {
    use Form::{BySize, Each, Transpose, Whole};
    Some(match fun {
        F::Abs => Each("c_abs"),
        F::Min => Each("c_min"),
        F::Max => Each("c_max"),
        F::Clamp => Each("starling_clamp"),
        F::Saturate => Each("starling_saturate"),
        F::Cos => Each("c_cos"),
        F::Sin => Each("c_sin"),
        F::Tan => Each("starling_tan"),
        F::Cosh => Each("starling_cosh"),
        F::Sinh => Each("starling_sinh"),
        F::Tanh => Each("starling_tanh"),
        F::Acos => Each("starling_acos"),
        F::Asin => Each("starling_asin"),
        F::Atan => Each("starling_atan"),
        F::Atan2 => Each("starling_atan2"),
        F::Asinh => Each("starling_asinh"),
        F::Acosh => Each("starling_acosh"),
        F::Atanh => Each("starling_atanh"),
        F::Radians => Each("starling_radians"),
        F::Degrees => Each("starling_degrees"),
        F::Ceil => Each("starling_ceil"),
        F::Floor => Each("c_floor"),
        F::Round => Each("starling_round"),
        F::Fract => Each("starling_fract"),
        F::Trunc => Each("starling_trunc"),
        F::Ldexp => Each("starling_ldexp"),
        F::Exp => Each("c_exp"),
        F::Exp2 => Each("starling_exp2"),
        F::Log => Each("c_log"),
        F::Log2 => Each("starling_log2"),
        F::Pow => Each("starling_pow"),
        F::Sign => Each("starling_sign"),
        F::Fma => Each("starling_fma"),
        F::Mix => Each("starling_mix"),
        F::Step => Each("starling_step"),
        F::SmoothStep => Each("starling_smoothstep"),
        F::Sqrt => Each("c_sqrt"),
        F::InverseSqrt => Each("starling_inverse_sqrt"),
        F::Dot => BySize("starling_dot"),
        F::Length => BySize("starling_length"),
        F::Distance => BySize("starling_distance"),
        F::Normalize => BySize("starling_normalize"),
        F::Reflect => BySize("starling_reflect"),
        F::FaceForward => BySize("starling_faceforward"),
        F::Refract => BySize("starling_refract"),
        F::Cross => Whole("starling_cross"),
        F::Pack4x8unorm => Whole("starling_pack4x8unorm"),
        F::Pack4x8snorm => Whole("starling_pack4x8snorm"),
        F::Pack2x16unorm => Whole("starling_pack2x16unorm"),
        F::Pack2x16snorm => Whole("starling_pack2x16snorm"),
        F::Unpack4x8unorm => Whole("starling_unpack4x8unorm"),
        F::Unpack4x8snorm => Whole("starling_unpack4x8snorm"),
        F::Unpack2x16unorm => Whole("starling_unpack2x16unorm"),
        F::Unpack2x16snorm => Whole("starling_unpack2x16snorm"),
        F::Transpose => Transpose,
        _ => return None,
    })
}

/// Operations that a function costs, for each component.
pub fn weight(fun: F) -> u32 {
    match fun {
        F::Abs | F::Min | F::Max | F::Sign | F::Step | F::Fma | F::Saturate | F::Clamp => 2,
        F::Floor | F::Ceil | F::Trunc | F::Fract | F::Round | F::Mix => 4,
        F::Sqrt | F::InverseSqrt | F::Length | F::Distance | F::Normalize | F::SmoothStep => 16,
        F::Dot | F::Cross | F::Reflect | F::FaceForward | F::Transpose => 4,
        F::Exp | F::Exp2 | F::Log | F::Log2 | F::Sin | F::Cos => 24,
        F::Pow | F::Tan | F::Tanh | F::Sinh | F::Cosh | F::Atan | F::Atan2 | F::Asin | F::Acos => {
            48
        }
        F::Asinh | F::Acosh | F::Atanh | F::Refract => 48,
        _ => 2,
    }
}
