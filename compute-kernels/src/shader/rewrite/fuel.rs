//! Loops, with an end: each turn costs what its body costs, and when fuel is out every loop ends at once.
//!
//! A loop with a barrier in it has a counter of its own kind: all invocations of a workgroup go through such a loop
//! together, so that counter is the same for all of them, and they leave together too.

use naga::{BinaryOperator, Block, Expression, Handle, Statement};

use super::function::Rewriter;
use crate::shader::refusal::Refusal;

impl Rewriter<'_, '_> {
    pub(super) fn fuelled_loop(
        &mut self,
        body: &Block,
        continuing: &Block,
        break_if: Option<Handle<Expression>>,
    ) -> Result<(), Refusal> {
        let costs = self.shader.costs;
        let types = &self.shader.old.module.types;
        let cost = costs.of_turn(types, self.old, self.info, body, continuing);
        let shared = costs.has_barrier(body) || costs.has_barrier(continuing);
        let cheapest = &mut self.shader.cheapest[usize::from(shared)];
        *cheapest = Some(cheapest.map_or(cost, |known| known.min(cost)));
        let globals = &self.shader.globals;
        let fuel = if shared {
            globals.fuel_shared
        } else {
            globals.fuel
        };
        let body = self.nested(|this| {
            let left = this.load(fuel);
            let cost = this.word(cost);
            let empty = this.binary(BinaryOperator::Less, left, cost);
            let accept = this.nested(|this| {
                let none = this.word(0);
                this.store(fuel, none);
                this.push(Statement::Break);
                Ok(())
            })?;
            this.push(Statement::If {
                condition: empty,
                accept,
                reject: Block::new(),
            });
            let rest = this.binary(BinaryOperator::Subtract, left, cost);
            this.store(fuel, rest);
            this.statements(body)
        })?;
        // The condition is the last thing that the continuing block evaluates.
        let mut condition = None;
        let continuing = self.nested(|this| {
            this.statements(continuing)?;
            condition = break_if.map(|c| this.plain(c)).transpose()?;
            Ok(())
        })?;
        self.push(Statement::Loop {
            body,
            continuing,
            break_if: condition,
        });
        Ok(())
    }
}
