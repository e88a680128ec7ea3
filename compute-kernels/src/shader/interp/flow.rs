//! Functions and statements: calls are written out, and whoever leaves a branch or loop early is masked out.

use std::collections::HashMap;

use naga::valid::FunctionInfo;
use naga::{
    AtomicFunction, Block, Expression, Function, Handle, ScalarKind, Statement, SwitchValue,
};

use super::code::{Binary, Col, Op, Rmw, Unary};
use super::compile::{Compiler, Frame, Item, wrong};
use crate::shader::refusal::Refusal;

impl<'a> Compiler<'a> {
    /// Writes a function out, and gives the columns of its result.
    pub(super) fn inline(
        &mut self,
        function: &'a Function,
        info: &'a FunctionInfo,
        arguments: Vec<Item>,
    ) -> Result<Vec<Col>, Refusal> {
        let mut result = Vec::new();
        if let Some(returned) = &function.result {
            let count = self.numbers(&self.shape(returned.ty)?)?;
            let first = self.contiguous(count)?;
            result.extend(first..first + count);
        }
        let kept = self.next;
        let mut locals = Vec::new();
        for (_, variable) in function.local_variables.iter() {
            let words = self.numbers(&self.shape(variable.ty)?)?;
            let base = self.contiguous(words)?;
            self.initialise(variable.init.map(|i| (i, Some(function))), base, words)?;
            locals.push((base, words));
        }
        let mut frame = Frame {
            function,
            info,
            arguments,
            values: HashMap::new(),
            locals,
            result: result.clone(),
        };
        self.enter(Op::Call)?;
        self.block(&mut frame, &function.body)?;
        self.land();
        self.op(Op::EndCall)?;
        self.next = kept;
        Ok(result)
    }

    /// The registers of a block are free behind it.
    fn block(&mut self, frame: &mut Frame<'a>, block: &'a Block) -> Result<(), Refusal> {
        let kept = self.next;
        self.statements(frame, block)?;
        self.next = kept;
        Ok(())
    }

    fn statements(&mut self, frame: &mut Frame<'a>, block: &'a Block) -> Result<(), Refusal> {
        for (statement, span) in block.span_iter() {
            self.span = *span;
            self.statement(frame, statement)?;
        }
        Ok(())
    }

    fn statement(
        &mut self,
        frame: &mut Frame<'a>,
        statement: &'a Statement,
    ) -> Result<(), Refusal> {
        match statement {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    let item = self.expression(frame, handle)?;
                    frame.values.insert(handle, item);
                }
            }
            Statement::Block(inner) => self.block(frame, inner)?,
            Statement::If {
                condition,
                accept,
                reject,
            } => {
                let mask = self.number(frame, *condition)?;
                self.branch(frame, mask, accept, Some(reject))?;
            }
            Statement::Switch { selector, cases } => self.switch(frame, *selector, cases)?,
            Statement::Loop {
                body,
                continuing,
                break_if,
            } => {
                let kept = self.next;
                self.enter(Op::Loop)?;
                let head = self.ops.len() as u32;
                self.statements(frame, body)?;
                self.land();
                self.enter(Op::Continuing)?;
                self.statements(frame, continuing)?;
                let break_if = break_if.map(|b| self.number(frame, b)).transpose()?;
                self.land();
                self.op(Op::EndLoop { head, break_if })?;
                self.next = kept;
            }
            Statement::Break => self.op(Op::Break)?,
            Statement::Continue => self.op(Op::Continue)?,
            Statement::Return { value } => {
                if let Some(value) = value {
                    let (_, cols) = self.value(frame, *value)?;
                    for (dst, src) in frame.result.clone().into_iter().zip(cols) {
                        self.op(Op::Store { dst, src })?;
                    }
                }
                self.op(Op::Return)?;
            }
            Statement::ControlBarrier(_) => {
                let site = self.site();
                self.op(Op::Barrier { site })?;
            }
            Statement::MemoryBarrier(_) => {}
            Statement::Store { pointer, value } => {
                let pointer = self.pointer(frame, *pointer)?;
                let (_, cols) = self.value(frame, *value)?;
                self.store(&pointer, &cols)?;
            }
            Statement::Atomic {
                pointer,
                fun,
                value,
                result,
            } => {
                let pointer = self.pointer(frame, *pointer)?;
                let (shape, cols) = self.value(frame, *value)?;
                let signed = shape.kind() == Some(ScalarKind::Sint);
                let op = match (fun, signed) {
                    (AtomicFunction::Add, _) => Rmw::Add,
                    (AtomicFunction::Subtract, _) => Rmw::Sub,
                    (AtomicFunction::And, _) => Rmw::And,
                    (AtomicFunction::InclusiveOr, _) => Rmw::Or,
                    (AtomicFunction::ExclusiveOr, _) => Rmw::Xor,
                    (AtomicFunction::Min, true) => Rmw::MinI,
                    (AtomicFunction::Min, false) => Rmw::MinU,
                    (AtomicFunction::Max, true) => Rmw::MaxI,
                    (AtomicFunction::Max, false) => Rmw::MaxU,
                    (AtomicFunction::Exchange { .. }, _) => return Err(wrong("an exchange")),
                };
                let at = self.address(&pointer);
                self.op(Op::Atomic {
                    op,
                    at,
                    src: cols[0],
                })?;
                if let Some(result) = result {
                    // Nobody looks at it: admission sees to that.
                    let zero = self.constant_column(0)?;
                    let item = Item::Value {
                        shape,
                        cols: vec![zero],
                    };
                    frame.values.insert(*result, item);
                }
            }
            Statement::WorkGroupUniformLoad { pointer, result } => {
                let pointer = self.pointer(frame, *pointer)?;
                let site = self.site();
                self.op(Op::Barrier { site })?;
                let cols = self.load(&pointer)?;
                for src in &cols {
                    self.op(Op::Uniform { src: *src, site })?;
                }
                self.op(Op::Barrier { site })?;
                let item = Item::Value {
                    shape: pointer.shape,
                    cols,
                };
                frame.values.insert(*result, item);
            }
            Statement::Call {
                function,
                arguments,
                result,
            } => self.call(frame, *function, arguments, *result)?,
            other => return Err(wrong(format!("a statement {other:?}"))),
        }
        Ok(())
    }

    /// Begins a construct or a branch.
    pub(super) fn enter(&mut self, op: Op) -> Result<(), Refusal> {
        self.leaving.push(Vec::new());
        self.op(op)
    }

    /// If nobody is left in it, the next operation is where to go on.
    pub(super) fn land(&mut self) {
        let out = self.ops.len() as u32;
        for at in self.leaving.pop().unwrap_or_default() {
            self.ops[at] = Op::EndIf { out };
        }
    }

    fn site(&mut self) -> u32 {
        self.sites.push(self.span);
        self.sites.len() as u32 - 1
    }

    fn branch(
        &mut self,
        frame: &mut Frame<'a>,
        mask: Col,
        accept: &'a Block,
        reject: Option<&'a Block>,
    ) -> Result<(), Refusal> {
        let start = self.ops.len();
        self.enter(Op::If { mask, otherwise: 0 })?;
        self.block(frame, accept)?;
        self.land();
        let middle = self.ops.len() as u32;
        self.enter(Op::Else { end: 0 })?;
        if let Some(reject) = reject {
            self.block(frame, reject)?;
        }
        self.land();
        let end = self.ops.len() as u32;
        if let Some(inside) = self.leaving.last_mut() {
            inside.push(end as usize);
        }
        self.op(Op::EndIf { out: end + 1 })?;
        self.ops[start] = Op::If {
            mask,
            otherwise: middle,
        };
        self.ops[middle as usize] = Op::Else { end };
        Ok(())
    }

    fn switch(
        &mut self,
        frame: &mut Frame<'a>,
        selector: Handle<Expression>,
        cases: &'a [naga::SwitchCase],
    ) -> Result<(), Refusal> {
        let kept = self.next;
        let selector = self.number(frame, selector)?;
        let mut any = self.constant_column(0)?;
        let mut matches = Vec::new();
        for case in cases {
            let value = match case.value {
                SwitchValue::I32(v) => v as u32,
                SwitchValue::U32(v) => v,
                SwitchValue::Default => {
                    matches.push(None);
                    continue;
                }
            };
            let value = self.constant_column(value)?;
            let equal = self.binary(Binary::Eq, selector, value)?;
            any = self.binary(Binary::Or, any, equal)?;
            matches.push(Some(equal));
        }
        let none = self.unary(Unary::Not, any)?;
        self.enter(Op::Switch)?;
        let mut fallen: Option<Col> = None;
        for (case, matching) in cases.iter().zip(matches) {
            let mut mask = matching.unwrap_or(none);
            if let Some(before) = fallen {
                mask = self.binary(Binary::Or, before, mask)?;
            }
            if case.fall_through {
                if !case.body.is_empty() {
                    return Err(wrong("a case that falls through"));
                }
                fallen = Some(mask);
                continue;
            }
            fallen = None;
            self.branch(frame, mask, &case.body, None)?;
        }
        self.land();
        self.op(Op::EndSwitch)?;
        self.next = kept;
        Ok(())
    }

    fn call(
        &mut self,
        frame: &mut Frame<'a>,
        function: Handle<Function>,
        arguments: &[Handle<Expression>],
        result: Option<Handle<Expression>>,
    ) -> Result<(), Refusal> {
        let arguments = arguments.iter().map(|a| self.item(frame, *a));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let called = &self.module.functions[function];
        let name = called.name.as_deref().unwrap_or_default();
        let cols = match self.intrinsic(name, &arguments)? {
            Some(col) => vec![col],
            None => self.inline(called, &self.info[function], arguments)?,
        };
        if let (Some(result), Some(returned)) = (result, &called.result) {
            let shape = self.shape(returned.ty)?;
            frame.values.insert(result, Item::Value { shape, cols });
        }
        Ok(())
    }

    /// The library's primitives are operations of their own, much faster than their text.
    fn intrinsic(&mut self, name: &str, arguments: &[Item]) -> Result<Option<Col>, Refusal> {
        let unary = match name {
            "c_neg" => Some(Unary::CNeg),
            "c_abs" => Some(Unary::CAbs),
            "c_sqrt" => Some(Unary::CSqrt),
            "c_exp" => Some(Unary::CExp),
            "c_log" => Some(Unary::CLog),
            "c_sin" => Some(Unary::CSin),
            "c_cos" => Some(Unary::CCos),
            "c_floor" => Some(Unary::CFloor),
            "c_from_u32" => Some(Unary::CFromU),
            "c_to_u32" => Some(Unary::CToU),
            "c_load" => Some(Unary::CLoad),
            "c_store" => Some(Unary::CStore),
            _ => None,
        };
        let binary = match name {
            "starling_add" => Some(Binary::CAdd),
            "starling_sub" => Some(Binary::CSub),
            "c_mul" => Some(Binary::CMul),
            "c_div" => Some(Binary::CDiv),
            "c_min" => Some(Binary::CMin),
            "c_max" => Some(Binary::CMax),
            _ => None,
        };
        let col = |i: usize| match arguments.get(i) {
            Some(Item::Value { cols, .. }) if cols.len() == 1 => Ok(cols[0]),
            _ => Err(wrong("a primitive of something else")),
        };
        match (unary, binary) {
            (Some(op), _) => self.unary(op, col(0)?).map(Some),
            (_, Some(op)) => self.binary(op, col(0)?, col(1)?).map(Some),
            _ => Ok(None),
        }
    }
}
