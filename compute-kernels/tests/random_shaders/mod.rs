//! A generator of valid shaders: whatever it writes is admitted, and nothing of it depends on who runs it.

mod expressions;

use std::fmt::Write;

use crate::random::Random;

/// Types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    Bool,
    Number(Num),
    /// Of 2 to 4 numbers.
    Vector(u32, Num),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Num {
    U,
    I,
    F,
}

impl Num {
    fn name(self) -> &'static str {
        match self {
            Num::U => "u32",
            Num::I => "i32",
            Num::F => "f32",
        }
    }
}

impl Ty {
    fn name(self) -> String {
        match self {
            Ty::Bool => "bool".into(),
            Ty::Number(n) => n.name().into(),
            Ty::Vector(size, n) => format!("vec{size}<{}>", n.name()),
        }
    }
}

const U: Ty = Ty::Number(Num::U);
const I: Ty = Ty::Number(Num::I);
const F: Ty = Ty::Number(Num::F);

/// Words that every shader reads.
pub const INPUT_WORDS: u32 = 257;
/// Elements of arrays in variables: indices below, at and far beyond that are used.
const ARRAY: u32 = 7;
const GROUP: u32 = 64;

struct Variable {
    name: String,
    ty: Ty,
    is_var: bool,
}

/// Writes one shader.
pub struct Writer<'r> {
    random: &'r mut Random,
    floats: bool,
    text: String,
    indent: usize,
    scope: Vec<Variable>,
    /// Helpers so far: parameters, and what they return.
    helpers: Vec<(String, Vec<Ty>, Ty)>,
    names: u32,
    /// How deep loops are nested, and what is left to write.
    loops: u32,
    budget: i32,
}

/// A shader of integers only, or one with floats too.
pub fn shader(random: &mut Random, floats: bool) -> String {
    let mut writer = Writer {
        random,
        floats,
        text: String::new(),
        indent: 0,
        scope: Vec::new(),
        helpers: Vec::new(),
        names: 0,
        loops: 0,
        budget: 0,
    };
    writer.module();
    writer.text
}

impl Writer<'_> {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.below(100) < percent
    }

    fn one_of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.random.below(all.len() as u32) as usize]
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn line(&mut self, line: &str) {
        let indent = "    ".repeat(self.indent);
        let _ = writeln!(self.text, "{indent}{line}");
    }

    fn number(&mut self) -> Num {
        match self.random.below(if self.floats { 4 } else { 2 }) {
            0 => Num::U,
            1 => Num::I,
            _ => Num::F,
        }
    }

    fn ty(&mut self) -> Ty {
        match self.random.below(10) {
            0 => Ty::Bool,
            1..=6 => Ty::Number(self.number()),
            _ => Ty::Vector(2 + self.random.below(3), self.number()),
        }
    }

    // ---- statements ----

    fn block(&mut self, statements: u32, depth: u32, result: Option<Ty>) {
        let outer = self.scope.len();
        self.indent += 1;
        for _ in 0..statements {
            self.statement(depth, result);
        }
        self.indent -= 1;
        self.scope.truncate(outer);
    }

    fn assign(&mut self, depth: u32) {
        let vars: Vec<usize> = (0..self.scope.len())
            .filter(|i| self.scope[*i].is_var)
            .collect();
        if vars.is_empty() {
            return;
        }
        let at = vars[self.random.below(vars.len() as u32) as usize];
        let (name, ty) = (self.scope[at].name.clone(), self.scope[at].ty);
        let value = self.expr(ty, depth);
        match ty {
            Ty::Vector(size, n) if self.chance(40) => {
                let index = self.expr(U, 1);
                let value = self.expr(Ty::Number(n), depth);
                let _ = size;
                self.line(&format!("{name}[{index}] = {value};"));
            }
            Ty::Number(Num::U | Num::I) if self.chance(30) => {
                let op = self.one_of(&["+=", "-=", "*=", "^=", "|="]);
                self.line(&format!("{name} {op} {value};"));
            }
            _ => self.line(&format!("{name} = {value};")),
        }
    }

    fn statement(&mut self, depth: u32, result: Option<Ty>) {
        self.budget -= 1;
        let nested = depth > 0 && self.budget > 0;
        match self.random.below(14) {
            0..=2 => {
                let ty = self.ty();
                let (name, value) = (self.name("a"), self.expr(ty, 3));
                let is_var = self.chance(60);
                let word = if is_var { "var" } else { "let" };
                self.line(&format!("{word} {name}: {} = {value};", ty.name()));
                self.scope.push(Variable { name, ty, is_var });
            }
            3..=5 => self.assign(3),
            6 => {
                let (at, value) = (self.expr(U, 2), self.expr(I, 3));
                self.line(&format!("table[{at}] = {value};"));
            }
            7 | 8 if nested => {
                let condition = self.expr(Ty::Bool, 2);
                self.line(&format!("if {condition} {{"));
                let count = 1 + self.random.below(3);
                self.block(count, depth - 1, result);
                if self.chance(60) {
                    self.line("} else {");
                    self.block(count, depth - 1, result);
                }
                self.line("}");
            }
            9 | 10 if nested && self.loops < 2 => self.looped(depth - 1, result),
            11 if nested => {
                let selector = self.expr(U, 2);
                self.line(&format!("switch {selector} & 3u {{"));
                for case in ["case 0u, 3u: {", "case 1u: {", "default: {"] {
                    self.line(case);
                    self.block(2, depth - 1, result);
                    if self.chance(20) {
                        self.line("    if numbers[7] > 5u { break; }");
                        self.block(1, depth - 1, result);
                    }
                    self.line("}");
                }
                self.line("}");
            }
            12 if result.is_some() && depth < 2 && self.chance(30) => {
                let ty = result.unwrap_or(U);
                let (condition, value) = (self.expr(Ty::Bool, 2), self.expr(ty, 2));
                self.line(&format!("if {condition} {{ return {value}; }}"));
            }
            13 if self.loops > 0 && self.chance(40) => {
                let condition = self.expr(Ty::Bool, 2);
                let word = self.one_of(&["break", "continue"]);
                self.line(&format!("if {condition} {{ {word}; }}"));
            }
            _ => self.assign(2),
        }
    }

    fn looped(&mut self, depth: u32, result: Option<Ty>) {
        self.loops += 1;
        let i = self.name("k");
        let turns = self.expr(U, 1);
        let count = 1 + self.random.below(3);
        match self.random.below(3) {
            0 => {
                self.line(&format!(
                    "for (var {i} = 0u; {i} < ({turns} & 7u); {i}++) {{"
                ));
                self.scope.push(Variable {
                    name: i,
                    ty: U,
                    is_var: false,
                });
                self.block(count, depth, result);
                self.scope.pop();
                self.line("}");
            }
            1 => {
                self.line(&format!("var {i} = {turns} & 7u;"));
                self.line(&format!("while {i} > 0u {{"));
                self.line(&format!("    {i}--;"));
                self.block(count, depth, result);
                self.line("}");
            }
            _ => {
                self.line(&format!("var {i} = {turns} & 7u;"));
                self.line("loop {");
                self.block(count, depth, result);
                self.line("    continuing {");
                self.line(&format!("        {i} -= 1u;"));
                self.line(&format!("        break if {i} > 7u;"));
                self.line("    }");
                self.line("}");
            }
        }
        self.loops -= 1;
    }

    // ---- the module ----

    fn module(&mut self) {
        self.text += "\
@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> results: array<Result>;
struct Result { a: u32, b: vec3<i32>, c: array<u32, 3> }
var<private> table: array<i32, 7>;
var<workgroup> shared_words: array<u32, 64>;
var<workgroup> counters: array<atomic<u32>, 8>;
fn u(x: u32) -> u32 { return x; }
fn s(x: u32) -> i32 { return i32(x); }
";
        assert_eq!((ARRAY, GROUP), (7, 64), "as in the text");
        if self.floats {
            self.text += "fn f(x: f32) -> f32 { return x; }\n";
        }
        let helpers = self.random.below(4);
        for _ in 0..helpers {
            let (name, result) = (self.name("h"), self.ty());
            let parameters: Vec<Ty> = (0..1 + self.random.below(3)).map(|_| self.ty()).collect();
            let list: Vec<String> = parameters
                .iter()
                .map(|ty| {
                    let name = self.name("p");
                    self.scope.push(Variable {
                        name: name.clone(),
                        ty: *ty,
                        is_var: false,
                    });
                    format!("{name}: {}", ty.name())
                })
                .collect();
            self.line(&format!(
                "fn {name}({}) -> {} {{",
                list.join(", "),
                result.name()
            ));
            self.budget = 12;
            self.block(4, 2, Some(result));
            let last = self.expr(result, 2);
            self.line(&format!("    return {last};"));
            self.line("}");
            self.scope.clear();
            self.helpers.push((name, parameters, result));
        }
        self.text += "\
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32,
        @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
";
        for (name, ty) in [
            ("id", Ty::Vector(3, Num::U)),
            ("lane", U),
            ("group", Ty::Vector(3, Num::U)),
            ("groups", Ty::Vector(3, Num::U)),
        ] {
            self.scope.push(Variable {
                name: name.into(),
                ty,
                is_var: false,
            });
        }
        self.indent = 1;
        for phase in 0..3 {
            self.budget = 25;
            let statements = 2 + self.random.below(5);
            for _ in 0..statements {
                self.statement(3, None);
            }
            if phase < 2 && self.chance(50) {
                let (value, at, add) = (self.expr(U, 2), self.expr(U, 2), self.expr(U, 2));
                let fun = self.one_of(&["atomicAdd", "atomicMax", "atomicXor", "atomicMin"]);
                self.line(&format!("shared_words[lane] = {value};"));
                self.line(&format!("{fun}(&counters[{at} & 7u], {add});"));
                self.line("workgroupBarrier();");
                let name = self.name("w");
                let at = self.expr(U, 2);
                self.line(&format!(
                    "let {name}: u32 = shared_words[{at}] + atomicLoad(&counters[lane & 7u]);"
                ));
                self.line("workgroupBarrier();");
                self.scope.push(Variable {
                    name,
                    ty: U,
                    is_var: false,
                });
            }
        }
        let (a, b) = (self.expr(U, 3), self.expr(Ty::Vector(3, Num::I), 3));
        let c: Vec<String> = (0..3).map(|_| self.expr(U, 2)).collect();
        self.line(&format!("results[id.x].a = {a};"));
        self.line(&format!("results[id.x].b = {b};"));
        let element = self.random.below(3);
        self.line(&format!("results[id.x].c[{element}] = {};", c[0]));
        let at = self.expr(U, 1);
        self.line(&format!("results[id.x].c[{at}] ^= {};", c[1]));
        if self.chance(50) {
            let at = self.expr(U, 1);
            self.line(&format!("results[{at}].a += {};", c[2]));
        }
        if self.floats {
            // What stands in helpers alone may never be called.
            let (x, y) = (self.expr(F, 2), self.expr(F, 2));
            self.line(&format!("results[id.x].a ^= select(1u, 2u, {x} < {y});"));
        }
        self.line("results[id.x].a ^= numbers[lane];");
        self.text += "}\n";
    }
}
