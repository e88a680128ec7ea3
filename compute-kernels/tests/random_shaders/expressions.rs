//! Expressions of every type: operators, functions, conversions, and whatever is in scope.

use super::{F, I, Num, Ty, U, Writer};

impl Writer<'_> {
    /// A number that no compiler can know.
    fn literal(&mut self, n: Num) -> String {
        let odd = [
            0_u32,
            1,
            2,
            31,
            32,
            33,
            63,
            255,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
        ];
        let value = match self.random.below(3) {
            0 => odd[self.random.below(odd.len() as u32) as usize],
            1 => self.random.below(20),
            _ => self.random.u32(),
        };
        match n {
            Num::U => format!("u({value}u)"),
            Num::I => format!("s({value}u)"),
            Num::F => {
                let value = f64::from(value as i32) / f64::from(1 << self.random.below(31));
                format!("f({value:.6})")
            }
        }
    }

    fn literal_of(&mut self, ty: Ty) -> String {
        match ty {
            Ty::Bool => format!("({} > {})", self.literal(Num::U), self.literal(Num::U)),
            Ty::Number(n) => self.literal(n),
            Ty::Vector(size, n) => {
                let parts: Vec<String> = (0..size).map(|_| self.literal(n)).collect();
                format!("{}({})", ty.name(), parts.join(", "))
            }
        }
    }

    pub(super) fn leaf(&mut self, ty: Ty) -> String {
        let fitting: Vec<usize> = (0..self.scope.len())
            .filter(|i| self.scope[*i].ty == ty)
            .collect();
        if !fitting.is_empty() && self.chance(75) {
            let at = fitting[self.random.below(fitting.len() as u32) as usize];
            return self.scope[at].name.clone();
        }
        self.literal_of(ty)
    }

    pub(super) fn expr(&mut self, ty: Ty, depth: u32) -> String {
        if depth == 0 || self.chance(15) {
            return self.leaf(ty);
        }
        let d = depth - 1;
        match ty {
            Ty::Bool => self.condition(d),
            Ty::Number(n) => self.scalar(n, d),
            Ty::Vector(size, n) => self.vector(size, n, d),
        }
    }

    fn condition(&mut self, d: u32) -> String {
        match self.random.below(6) {
            0 => format!("!({})", self.expr(Ty::Bool, d)),
            1 => {
                let op = self.one_of(&["&&", "||"]);
                format!(
                    "({} {op} {})",
                    self.expr(Ty::Bool, d),
                    self.expr(Ty::Bool, d)
                )
            }
            2 => {
                let n = self.number();
                let ty = Ty::Vector(2 + self.random.below(3), n);
                let (fun, op) = (
                    self.one_of(&["all", "any"]),
                    self.one_of(&["<", "==", ">="]),
                );
                format!("{fun}({} {op} {})", self.expr(ty, d), self.expr(ty, d))
            }
            _ => {
                let ty = Ty::Number(self.number());
                let op = self.one_of(&["<", "<=", ">", ">=", "==", "!="]);
                format!("({} {op} {})", self.expr(ty, d), self.expr(ty, d))
            }
        }
    }

    /// An operator or function that takes and gives numbers of one kind, or vectors of them.
    fn uniform(&mut self, ty: Ty, n: Num, d: u32) -> String {
        let (a, b) = (self.expr(ty, d), self.expr(ty, d));
        if n == Num::F {
            return match self.random.below(5) {
                0 | 1 => format!("({a} {} {b})", self.one_of(&["+", "-", "*", "/", "%"])),
                2 => {
                    let fun = self.one_of(&[
                        "abs",
                        "sqrt",
                        "floor",
                        "ceil",
                        "trunc",
                        "round",
                        "fract",
                        "sin",
                        "cos",
                        "exp",
                        "log",
                        "exp2",
                        "log2",
                        "sign",
                        "saturate",
                        "tan",
                        "atan",
                        "tanh",
                        "asin",
                        "inverseSqrt",
                        "acos",
                        "sinh",
                        "cosh",
                        "asinh",
                        "degrees",
                        "radians",
                    ]);
                    format!("{fun}({a})")
                }
                3 => {
                    let fun = self.one_of(&["min", "max", "pow", "step", "atan2"]);
                    format!("{fun}({a}, {b})")
                }
                _ => {
                    let fun = self.one_of(&["clamp", "mix", "fma", "smoothstep"]);
                    format!("{fun}({a}, {b}, {})", self.expr(ty, d))
                }
            };
        }
        match self.random.below(6) {
            0 | 1 => {
                let op = self.one_of(&["+", "-", "*", "/", "%", "&", "|", "^"]);
                format!("({a} {op} {b})")
            }
            2 => {
                let amount = match ty {
                    Ty::Vector(size, _) => self.expr(Ty::Vector(size, Num::U), d),
                    _ => self.expr(U, d),
                };
                format!("({a} {} {amount})", self.one_of(&["<<", ">>"]))
            }
            3 => {
                let fun = self.one_of(&[
                    "countOneBits",
                    "countLeadingZeros",
                    "countTrailingZeros",
                    "reverseBits",
                    "firstLeadingBit",
                    "firstTrailingBit",
                    "abs",
                    "~",
                ]);
                format!("{fun}({a})")
            }
            4 => format!("{}({a}, {b})", self.one_of(&["min", "max"])),
            _ => match self.random.below(3) {
                0 => format!("clamp({a}, {b}, {})", self.expr(ty, d)),
                1 => format!("extractBits({a}, {}, {})", self.expr(U, d), self.expr(U, d)),
                _ => format!(
                    "insertBits({a}, {b}, {}, {})",
                    self.expr(U, d),
                    self.expr(U, d)
                ),
            },
        }
    }

    fn scalar(&mut self, n: Num, d: u32) -> String {
        let ty = Ty::Number(n);
        match self.random.below(12) {
            0..=4 => self.uniform(ty, n, d),
            5 => format!(
                "select({}, {}, {})",
                self.expr(ty, d),
                self.expr(ty, d),
                self.expr(Ty::Bool, d)
            ),
            6 => {
                let size = 2 + self.random.below(3);
                let vector = self.expr(Ty::Vector(size, n), d);
                match self.random.below(3) {
                    0 => format!("{vector}[{}]", self.expr(U, d)),
                    1 => format!("dot({vector}, {})", self.expr(Ty::Vector(size, n), d)),
                    _ => format!(
                        "{vector}.{}",
                        &"xyzw"[..size as usize][self.random.below(size) as usize..][..1]
                    ),
                }
            }
            7 => {
                // Another kind, converted or as its bits.
                let from = self.number();
                let value = self.expr(Ty::Number(from), d);
                if self.chance(50) {
                    format!("{}({value})", n.name())
                } else {
                    format!("bitcast<{}>({value})", n.name())
                }
            }
            8 => {
                let index = if self.chance(50) { U } else { I };
                let at = self.expr(index, d);
                match n {
                    Num::U => format!("numbers[{at}]"),
                    Num::I => format!("table[{at}]"),
                    Num::F => format!("bitcast<f32>(numbers[{at}])"),
                }
            }
            9 if n == Num::U => match self.random.below(4) {
                0 => format!("pack4xU8({})", self.expr(Ty::Vector(4, Num::U), d)),
                1 => format!("pack4xI8({})", self.expr(Ty::Vector(4, Num::I), d)),
                2 => format!("dot4U8Packed({}, {})", self.expr(U, d), self.expr(U, d)),
                _ => format!("u32({})", self.expr(Ty::Bool, d)),
            },
            9 if n == Num::I => match self.random.below(2) {
                0 => format!("dot4I8Packed({}, {})", self.expr(U, d), self.expr(U, d)),
                _ => format!("-({})", self.expr(I, d)),
            },
            9 => match self.random.below(3) {
                0 => format!("length({})", self.expr(Ty::Vector(3, Num::F), d)),
                1 => format!(
                    "distance({}, {})",
                    self.expr(Ty::Vector(2, Num::F), d),
                    self.expr(Ty::Vector(2, Num::F), d)
                ),
                _ => format!("-({})", self.expr(F, d)),
            },
            _ => self.helper(ty, d),
        }
    }

    fn helper(&mut self, ty: Ty, d: u32) -> String {
        let fitting: Vec<usize> = (0..self.helpers.len())
            .filter(|i| self.helpers[*i].2 == ty)
            .collect();
        if fitting.is_empty() || self.budget < 0 {
            return self.leaf(ty);
        }
        self.budget -= 20;
        let at = fitting[self.random.below(fitting.len() as u32) as usize];
        let (name, parameters) = (self.helpers[at].0.clone(), self.helpers[at].1.clone());
        let arguments: Vec<String> = parameters.iter().map(|p| self.expr(*p, d)).collect();
        format!("{name}({})", arguments.join(", "))
    }

    fn vector(&mut self, size: u32, n: Num, d: u32) -> String {
        let ty = Ty::Vector(size, n);
        match self.random.below(9) {
            0..=2 => self.uniform(ty, n, d),
            3 => {
                let parts: Vec<String> = (0..size).map(|_| self.expr(Ty::Number(n), d)).collect();
                format!("{}({})", ty.name(), parts.join(", "))
            }
            4 => {
                let from = 2 + self.random.below(3);
                let letters: String = (0..size)
                    .map(|_| "xyzw".as_bytes()[self.random.below(from) as usize] as char)
                    .collect();
                format!("{}.{letters}", self.expr(Ty::Vector(from, n), d))
            }
            5 => {
                let masks = format!("{} < {}", self.expr(ty, d), self.expr(ty, d));
                format!(
                    "select({}, {}, {masks})",
                    self.expr(ty, d),
                    self.expr(ty, d)
                )
            }
            6 => format!(
                "({} {} {})",
                self.expr(ty, d),
                self.one_of(&["+", "*", "-"]),
                self.expr(Ty::Number(n), d)
            ),
            7 if n == Num::U && size == 4 => format!("unpack4xU8({})", self.expr(U, d)),
            7 if n == Num::I && size == 4 => format!("unpack4xI8({})", self.expr(U, d)),
            7 if n == Num::F && size == 3 => {
                format!("cross({}, {})", self.expr(ty, d), self.expr(ty, d))
            }
            7 if n == Num::F => format!("normalize({})", self.expr(ty, d)),
            _ => self.helper(ty, d),
        }
    }
}
