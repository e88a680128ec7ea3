//! One function, built anew: statement after statement, expression after expression.

use std::collections::HashMap;

use naga::valid::FunctionInfo;
use naga::{
    Block, Expression, Function, Handle, Range, ScalarKind, Span, Statement, Type, TypeInner,
};

use super::outputs::Place;
use super::{Role, Shader, internal};
use crate::shader::refusal::Refusal;

/// What an old expression has become.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// An expression.
    Plain(Handle<Expression>),
    /// A pointer into an output.
    Place(Place),
}

pub(super) struct Rewriter<'s, 'a> {
    pub(super) shader: &'s mut Shader<'a>,
    pub(super) old: &'s Function,
    pub(super) info: &'s FunctionInfo,
    /// It stands in the text around the shader.
    ours: bool,
    pub(super) new: Function,
    values: HashMap<Handle<Expression>, Value>,
    /// The first expression that no `Emit` covers yet.
    unemitted: Option<usize>,
    body: Block,
    /// Where what is rewritten stands.
    span: Span,
}

impl<'s, 'a> Rewriter<'s, 'a> {
    pub(super) fn new(
        shader: &'s mut Shader<'a>,
        old: &'s Function,
        info: &'s FunctionInfo,
        ours: bool,
    ) -> Self {
        let new = Function {
            name: old.name.clone(),
            arguments: old.arguments.clone(),
            result: old.result.clone(),
            diagnostic_filter_leaf: old.diagnostic_filter_leaf,
            ..Function::default()
        };
        Rewriter {
            shader,
            old,
            info,
            ours,
            new,
            values: HashMap::new(),
            unemitted: None,
            body: Block::new(),
            span: Span::default(),
        }
    }

    pub(super) fn run(mut self) -> Result<Function, Refusal> {
        for (handle, variable) in self.old.local_variables.iter() {
            let mut variable = variable.clone();
            variable.init = match variable.init {
                Some(init) => Some(self.constant(init)?),
                None => None,
            };
            let span = self.old.local_variables.get_span(handle);
            self.new.local_variables.append(variable, span);
        }
        let body = self.old.body.clone();
        self.new.body = self.block(&body)?;
        Ok(self.new)
    }

    /// A constant expression, which is evaluated before the function begins.
    fn constant(&mut self, handle: Handle<Expression>) -> Result<Handle<Expression>, Refusal> {
        let expression = match &self.old.expressions[handle] {
            Expression::Compose { ty, components } => {
                let (ty, components) = (*ty, components.clone());
                let components = components.into_iter().map(|c| self.constant(c));
                Expression::Compose {
                    ty,
                    components: components.collect::<Result<_, _>>()?,
                }
            }
            Expression::Splat { size, value } => {
                let (size, value) = (*size, *value);
                let value = self.constant(value)?;
                Expression::Splat { size, value }
            }
            same
            @ (Expression::Literal(_) | Expression::Constant(_) | Expression::ZeroValue(_)) => {
                let mut same = same.clone();
                if self.shader.is_canonical() {
                    super::floats::canonical_literal(&mut same);
                }
                same
            }
            other => return Err(internal(&format!("a constant {other:?}"))),
        };
        Ok(self.new.expressions.append(expression, Span::default()))
    }

    pub(super) fn refuse(&self, code: &str, reason: impl Into<String>, fix: &str) -> Refusal {
        Refusal::new(code, reason, fix).at(self.span, self.shader.source)
    }

    // ---- building ----

    /// Appends an expression; whatever uses it comes later.
    pub(super) fn add(&mut self, expression: Expression) -> Handle<Expression> {
        if expression.needs_pre_emit() {
            self.flush();
            return self.new.expressions.append(expression, self.span);
        }
        self.unemitted.get_or_insert(self.new.expressions.len());
        self.new.expressions.append(expression, self.span)
    }

    pub(super) fn word(&mut self, value: u32) -> Handle<Expression> {
        self.add(super::word(value))
    }

    pub(super) fn binary(
        &mut self,
        op: naga::BinaryOperator,
        left: Handle<Expression>,
        right: Handle<Expression>,
    ) -> Handle<Expression> {
        self.add(Expression::Binary { op, left, right })
    }

    pub(super) fn load(&mut self, global: Handle<naga::GlobalVariable>) -> Handle<Expression> {
        let pointer = self.add(Expression::GlobalVariable(global));
        self.add(Expression::Load { pointer })
    }

    pub(super) fn store(
        &mut self,
        global: Handle<naga::GlobalVariable>,
        value: Handle<Expression>,
    ) {
        let pointer = self.add(Expression::GlobalVariable(global));
        self.push(Statement::Store { pointer, value });
    }

    /// Reinterprets or converts scalars and vectors of 32 bits.
    pub(super) fn cast(
        &mut self,
        expr: Handle<Expression>,
        kind: ScalarKind,
        convert: bool,
    ) -> Handle<Expression> {
        self.add(Expression::As {
            expr,
            kind,
            convert: convert.then_some(4),
        })
    }

    /// Calls a function of the library.
    pub(super) fn call(
        &mut self,
        name: &str,
        arguments: Vec<Handle<Expression>>,
    ) -> Result<Handle<Expression>, Refusal> {
        let function = *self
            .shader
            .library
            .get(name)
            .ok_or_else(|| internal(&format!("`{name}` is not there")))?;
        Ok(self.call_new(function, arguments))
    }

    fn call_new(
        &mut self,
        function: Handle<Function>,
        arguments: Vec<Handle<Expression>>,
    ) -> Handle<Expression> {
        self.flush();
        let result = self
            .new
            .expressions
            .append(Expression::CallResult(function), self.span);
        self.push(Statement::Call {
            function,
            arguments,
            result: Some(result),
        });
        result
    }

    /// Appends a statement, behind all expressions so far.
    pub(super) fn push(&mut self, statement: Statement) {
        self.flush();
        self.body.push(statement, self.span);
    }

    fn flush(&mut self) {
        if let Some(from) = self.unemitted.take() {
            let range: Range<Expression> = self.new.expressions.range_from(from);
            self.body.push(Statement::Emit(range), self.span);
        }
    }

    /// A block of its own, made by `make`.
    pub(super) fn nested(
        &mut self,
        make: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) -> Result<Block, Refusal> {
        self.flush();
        let outer = std::mem::take(&mut self.body);
        let made = make(self);
        self.flush();
        let inner = std::mem::replace(&mut self.body, outer);
        made.map(|()| inner)
    }

    // ---- types of old expressions ----

    pub(super) fn type_of(&self, handle: Handle<Expression>) -> &TypeInner {
        self.info[handle]
            .ty
            .inner_with(&self.shader.old.module.types)
    }

    pub(super) fn scalar_kind(&self, handle: Handle<Expression>) -> Option<ScalarKind> {
        self.type_of(handle).scalar_kind()
    }

    pub(super) fn inner(&self, ty: Handle<Type>) -> &TypeInner {
        &self.shader.types[ty].inner
    }

    pub(super) fn type_handle(&mut self, inner: TypeInner) -> Handle<Type> {
        let ty = Type { name: None, inner };
        self.shader.types.insert(ty, Span::default())
    }

    // ---- statements ----

    fn block(&mut self, block: &Block) -> Result<Block, Refusal> {
        self.nested(|this| this.statements(block))
    }

    pub(super) fn statements(&mut self, block: &Block) -> Result<(), Refusal> {
        for (statement, span) in block.span_iter() {
            self.span = *span;
            self.statement(statement)?;
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Statement) -> Result<(), Refusal> {
        match statement {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    self.span = self.old.expressions.get_span(handle);
                    let value = self.expression(handle)?;
                    self.values.insert(handle, value);
                }
            }
            Statement::Block(inner) => {
                let inner = self.block(inner)?;
                self.push(Statement::Block(inner));
            }
            Statement::If {
                condition,
                accept,
                reject,
            } => {
                let condition = self.plain(*condition)?;
                let accept = self.block(accept)?;
                let reject = self.block(reject)?;
                self.push(Statement::If {
                    condition,
                    accept,
                    reject,
                });
            }
            Statement::Switch { selector, cases } => {
                let selector = self.plain(*selector)?;
                let mut new = Vec::with_capacity(cases.len());
                for case in cases {
                    new.push(naga::SwitchCase {
                        body: self.block(&case.body)?,
                        ..case.clone()
                    });
                }
                self.push(Statement::Switch {
                    selector,
                    cases: new,
                });
            }
            Statement::Loop {
                body,
                continuing,
                break_if,
            } => self.fuelled_loop(body, continuing, *break_if)?,
            Statement::Break | Statement::Continue => self.push(statement.clone()),
            Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) => {
                self.push(statement.clone());
            }
            Statement::Return { value } => {
                let value = value.map(|v| self.plain(v)).transpose()?;
                self.push(Statement::Return { value });
            }
            Statement::Store { pointer, value } => match self.value(*pointer)? {
                Value::Plain(pointer) => {
                    let value = self.plain(*value)?;
                    self.push(Statement::Store { pointer, value });
                }
                Value::Place(place) => {
                    let value = self.plain(*value)?;
                    self.store_output(place, value)?;
                }
            },
            Statement::Atomic {
                pointer,
                fun,
                value,
                result,
            } => {
                let (pointer, value) = (self.plain(*pointer)?, self.plain(*value)?);
                let result = result.map(|old| self.result(old));
                self.push(Statement::Atomic {
                    pointer,
                    fun: *fun,
                    value,
                    result,
                });
            }
            Statement::WorkGroupUniformLoad { pointer, result } => {
                let pointer = self.plain(*pointer)?;
                let result = self.result(*result);
                self.push(Statement::WorkGroupUniformLoad { pointer, result });
            }
            Statement::Call {
                function,
                arguments,
                result,
            } => {
                let arguments = arguments.iter().map(|a| self.plain(*a));
                let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
                let function = *self
                    .shader
                    .functions
                    .get(function)
                    .ok_or_else(|| internal("a call of what comes later"))?;
                match result {
                    Some(old) => {
                        let new = self.call_new(function, arguments);
                        self.values.insert(*old, Value::Plain(new));
                    }
                    None => self.push(Statement::Call {
                        function,
                        arguments,
                        result: None,
                    }),
                }
            }
            other => return Err(internal(&format!("a statement {other:?}"))),
        }
        Ok(())
    }

    /// What the next statement gives.
    fn result(&mut self, old: Handle<Expression>) -> Handle<Expression> {
        self.flush();
        let expression = self.old.expressions[old].clone();
        let new = self.new.expressions.append(expression, self.span);
        self.values.insert(old, Value::Plain(new));
        new
    }

    // ---- expressions ----

    /// What `old` has become; constants and variables become something when they are first used.
    pub(super) fn value(&mut self, old: Handle<Expression>) -> Result<Value, Refusal> {
        if let Some(value) = self.values.get(&old) {
            return Ok(*value);
        }
        if !self.old.expressions[old].needs_pre_emit() {
            return self
                .constant(old)
                .map(Value::Plain)
                .map_err(|_| internal("an expression is used before it is evaluated"));
        }
        let value = self.expression(old)?;
        self.values.insert(old, value);
        Ok(value)
    }

    /// The same, where it cannot be a pointer into an output.
    pub(super) fn plain(&mut self, old: Handle<Expression>) -> Result<Handle<Expression>, Refusal> {
        match self.value(old)? {
            Value::Plain(new) => Ok(new),
            Value::Place(_) => Err(self.refuse(
                "output_pointer",
                "a pointer into an output is passed on",
                "pass the value, and store it in the entry point",
            )),
        }
    }

    fn expression(&mut self, handle: Handle<Expression>) -> Result<Value, Refusal> {
        let old = self.old.expressions[handle].clone();
        let new = match old {
            Expression::GlobalVariable(global) => match self.shader.roles.get(&global) {
                Some(Role::Output(k)) => return Ok(Value::Place(Place::whole(*k))),
                Some(_) => Expression::GlobalVariable(global),
                None if self.ours => Expression::GlobalVariable(global),
                None => return Err(internal("a global without a role")),
            },
            Expression::Literal(_)
            | Expression::Constant(_)
            | Expression::ZeroValue(_)
            | Expression::FunctionArgument(_)
            | Expression::LocalVariable(_) => {
                let mut same = old;
                if self.shader.is_canonical() {
                    super::floats::canonical_literal(&mut same);
                }
                same
            }
            Expression::Compose { ty, components } => {
                let components = components.into_iter().map(|c| self.plain(c));
                Expression::Compose {
                    ty,
                    components: components.collect::<Result<_, _>>()?,
                }
            }
            Expression::Access { base, index } => return self.access(base, index),
            Expression::AccessIndex { base, index } => {
                return self.access_index(base, index);
            }
            Expression::Splat { size, value } => Expression::Splat {
                size,
                value: self.plain(value)?,
            },
            Expression::Swizzle {
                size,
                vector,
                pattern,
            } => Expression::Swizzle {
                size,
                vector: self.plain(vector)?,
                pattern,
            },
            Expression::Load { pointer } => return self.loaded(pointer),
            Expression::ArrayLength(array) => return self.length(array).map(Value::Plain),
            Expression::Unary { op, expr } => return self.unary(op, expr).map(Value::Plain),
            Expression::Binary { op, left, right } => {
                return self.operator(op, left, right).map(Value::Plain);
            }
            Expression::Select {
                condition,
                accept,
                reject,
            } => Expression::Select {
                condition: self.plain(condition)?,
                accept: self.plain(accept)?,
                reject: self.plain(reject)?,
            },
            Expression::Relational { fun, argument } => Expression::Relational {
                fun,
                argument: self.plain(argument)?,
            },
            Expression::Math {
                fun,
                arg,
                arg1,
                arg2,
                arg3,
            } => {
                let arguments = [Some(arg), arg1, arg2, arg3];
                return self.math(handle, fun, arguments).map(Value::Plain);
            }
            Expression::As {
                expr,
                kind,
                convert,
            } => {
                return self.conversion(expr, kind, convert).map(Value::Plain);
            }
            other => return Err(internal(&format!("an expression {other:?}"))),
        };
        Ok(Value::Plain(self.add(new)))
    }
}
