//! What a shader costs, in operations, before it runs: of everything outside of loops, and of one turn of each loop.
//!
//! Both branches of an `if` count: a GPU may run both. The same numbers are burnt by the loops' fuel, so that a tile's
//! declared cost is a bound that the shader itself keeps, not an estimate.

use std::collections::HashMap;

use naga::valid::FunctionInfo;
use naga::{
    BinaryOperator, Block, Expression, Function, Handle, Module, ScalarKind, Statement, TypeInner,
};

use super::math;
use super::source::Parsed;

/// Of one function, with everything that it calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Operations outside of loops.
    pub straight: u32,
    /// Statements and expressions if every call is written out, which is what drivers do.
    pub size: u32,
    /// Bytes of variables at once.
    pub variables: u32,
    /// Whether it waits at a barrier.
    pub barrier: bool,
}

/// Of all functions of a module.
pub struct Costs {
    functions: HashMap<Handle<Function>, Cost>,
}

impl Costs {
    /// Looks at every function; callees come first in a module.
    pub fn new(parsed: &Parsed) -> Self {
        let mut costs = Costs {
            functions: HashMap::new(),
        };
        for (handle, function) in parsed.module.functions.iter() {
            let cost = costs.function(&parsed.module, function, &parsed.info[handle]);
            costs.functions.insert(handle, cost);
        }
        costs
    }

    /// Of a function that is not called, such as an entry point.
    pub fn function(&self, module: &Module, function: &Function, info: &FunctionInfo) -> Cost {
        let mut cost = Cost {
            straight: self.block(&module.types, function, info, &function.body),
            barrier: self.has_barrier(&function.body),
            ..Cost::default()
        };
        let own: u32 = function
            .local_variables
            .iter()
            .map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx()))
            .fold(0, u32::saturating_add);
        let mut called = 0;
        self.size(&function.body, &mut cost.size, &mut called);
        cost.variables = own.saturating_add(called);
        cost
    }

    fn size(&self, block: &Block, size: &mut u32, variables: &mut u32) {
        for statement in block.iter() {
            *size = size.saturating_add(1);
            match statement {
                Statement::Emit(range) => {
                    *size = size.saturating_add(range.index_range().len() as u32);
                }
                Statement::Call { function, .. } => {
                    if let Some(cost) = self.functions.get(function) {
                        *size = size.saturating_add(cost.size);
                        *variables = (*variables).max(cost.variables);
                    }
                }
                _ => each_block(statement, &mut |b| self.size(b, size, variables)),
            }
        }
    }

    /// Whether anything in `block` waits for the other invocations.
    pub fn has_barrier(&self, block: &Block) -> bool {
        block.iter().any(|statement| match statement {
            Statement::ControlBarrier(_) | Statement::WorkGroupUniformLoad { .. } => true,
            Statement::Call { function, .. } => {
                self.functions.get(function).is_some_and(|c| c.barrier)
            }
            _ => {
                let mut found = false;
                each_block(statement, &mut |b| found |= self.has_barrier(b));
                found
            }
        })
    }

    /// Of one turn of a loop, without the loops in it; at least 1.
    pub fn of_turn(
        &self,
        types: &naga::UniqueArena<naga::Type>,
        function: &Function,
        info: &FunctionInfo,
        body: &Block,
        continuing: &Block,
    ) -> u32 {
        let body = self.block(types, function, info, body);
        let continuing = self.block(types, function, info, continuing);
        body.saturating_add(continuing).max(1)
    }

    fn block(
        &self,
        types: &naga::UniqueArena<naga::Type>,
        function: &Function,
        info: &FunctionInfo,
        block: &Block,
    ) -> u32 {
        let mut cost = 0_u32;
        for statement in block.iter() {
            let own = match statement {
                Statement::Emit(range) => range
                    .clone()
                    .map(|h| expression(types, info, h, &function.expressions[h]))
                    .fold(0, u32::saturating_add),
                Statement::Call { function, .. } => {
                    self.functions.get(function).map_or(0, |c| c.straight)
                }
                // Its own fuel counts.
                Statement::Loop { .. } => 1,
                Statement::Block(_) => 0,
                _ => 1,
            };
            cost = cost.saturating_add(own);
            if !matches!(statement, Statement::Loop { .. }) {
                each_block(statement, &mut |b| {
                    cost = cost.saturating_add(self.block(types, function, info, b));
                });
            }
        }
        cost
    }
}

/// Calls `with` for the blocks within a statement.
pub fn each_block(statement: &Statement, with: &mut dyn FnMut(&Block)) {
    match statement {
        Statement::Block(inner) => with(inner),
        Statement::If { accept, reject, .. } => {
            with(accept);
            with(reject);
        }
        Statement::Switch { cases, .. } => cases.iter().for_each(|c| with(&c.body)),
        Statement::Loop {
            body, continuing, ..
        } => {
            with(body);
            with(continuing);
        }
        _ => {}
    }
}

fn expression(
    types: &naga::UniqueArena<naga::Type>,
    info: &FunctionInfo,
    handle: Handle<Expression>,
    expression: &Expression,
) -> u32 {
    let inner = |h: Handle<Expression>| info[h].ty.inner_with(types);
    let numbers = |t: &TypeInner| match t {
        TypeInner::Vector { size, .. } => u32::from(u8::from(*size)),
        TypeInner::Matrix { columns, rows, .. } => {
            u32::from(u8::from(*columns)) * u32::from(u8::from(*rows))
        }
        _ => 1,
    };
    let result = numbers(inner(handle));
    match expression {
        Expression::Binary { op, left, right } => {
            let is_float = inner(*left).scalar_kind() == Some(ScalarKind::Float);
            let each = match op {
                BinaryOperator::Divide | BinaryOperator::Modulo if is_float => 16,
                BinaryOperator::Divide | BinaryOperator::Modulo => 4,
                BinaryOperator::Multiply if is_float => 3,
                BinaryOperator::Add | BinaryOperator::Subtract if is_float => 2,
                _ => 1,
            };
            let is_matrix = |h| matches!(inner(h), TypeInner::Matrix { .. });
            let terms =
                if *op == BinaryOperator::Multiply && (is_matrix(*left) || is_matrix(*right)) {
                    4
                } else {
                    1
                };
            result * each * terms
        }
        Expression::Math { fun, arg, .. } => math::weight(*fun) * result.max(numbers(inner(*arg))),
        Expression::Load { .. }
        | Expression::As { .. }
        | Expression::Select { .. }
        | Expression::Unary { .. } => result,
        _ => 1,
    }
}
