//! Rewrites a shader so that it can do no harm and gives the same bytes everywhere, whoever runs it:
//!
//! - **indices** are clamped, so that what is out of range is the last element on every device (`index`);
//! - **outputs** become words of one buffer, and every access stays within the invocation's own slot (`outputs`);
//! - **loops** burn fuel, and end when there is none left (`fuel`);
//! - **floats** go through the canonical library (`floats`); in the tolerance tier they stay as they are;
//! - **integers**: what drivers may do as they like (shifts by 32 and more, `clamp` with its bounds the wrong way round)
//!   is done in one way.
//!
//! Functions are built anew from their old form, in the order of calls. What was admitted is taken for granted here: an
//! expression that admission lets through and this cannot rewrite is a refusal all the same, never a wrong shader.

mod floats;
mod fuel;
mod function;
mod index;
mod outputs;

use std::collections::HashMap;

use naga::{
    AddressSpace, Arena, Expression, Function, GlobalVariable, Handle, Literal, Module,
    ResourceBinding, Statement, StorageAccess, Type, TypeInner, UniqueArena,
};

use self::function::Rewriter;
use super::cost::Costs;
use super::frame;
use super::refusal::Refusal;
use super::source::Parsed;
use super::spec::{OutputSpec, Per, Spec};
use crate::kernel::Tier;

/// A global variable of the shader, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Private, workgroup or one of ours: as it is.
    Kept,
    /// An input with so many elements, if it ends in an array without a length.
    Input {
        /// Those.
        len: Option<u32>,
    },
    /// The output of this index.
    Output(usize),
}

/// What rewriting needs to know of the whole shader.
pub(super) struct Shader<'a> {
    /// The module as parsed.
    pub(super) old: &'a Parsed,
    /// The author's text.
    pub(super) source: &'a str,
    pub(super) spec: &'a Spec,
    pub(super) costs: &'a Costs,
    pub(super) roles: HashMap<Handle<GlobalVariable>, Role>,
    pub(super) globals: Globals,
    /// New handles of functions by old ones.
    pub(super) functions: HashMap<Handle<Function>, Handle<Function>>,
    /// The library's functions by name, new handles.
    pub(super) library: HashMap<String, Handle<Function>>,
    /// The types of the new module: the old ones, and more.
    pub(super) types: UniqueArena<Type>,
    /// What the cheapest turn of a loop costs, by kind of fuel: its invocation's own, and its workgroup's.
    pub(super) cheapest: [Option<u32>; 2],
}

/// Our global variables.
pub(super) struct Globals {
    pub(super) fuel: Handle<GlobalVariable>,
    pub(super) fuel_shared: Handle<GlobalVariable>,
    pub(super) leader: Handle<GlobalVariable>,
    pub(super) output: Handle<GlobalVariable>,
    /// By output: word and first element of the slot.
    pub(super) slots: Vec<(Handle<GlobalVariable>, Handle<GlobalVariable>)>,
}

impl Shader<'_> {
    pub(super) fn is_canonical(&self) -> bool {
        self.spec.tier == Tier::Canonical
    }

    pub(super) fn output(&self, k: usize) -> &OutputSpec {
        &self.spec.outputs[k]
    }

    /// The type of the variable of output `k`.
    pub(super) fn output_type(&self, k: usize) -> Result<Handle<Type>, Refusal> {
        let mut roles = self.roles.iter();
        let found = roles.find(|(_, role)| matches!(role, Role::Output(of) if *of == k));
        let (variable, _) = found.ok_or_else(|| internal("an output that is not there"))?;
        Ok(self.old.module.global_variables[*variable].ty)
    }

    pub(super) fn is_grouped(&self, k: usize) -> bool {
        self.output(k).per == Per::Group
    }
}

/// Functions that are primitives of the canonical tier: copied as they are.
pub(super) fn is_primitive(name: &str) -> bool {
    name.starts_with("c_")
        || name.starts_with("c3_")
        || name.starts_with("starling_bits_")
        || ["starling_limit", "starling_add", "starling_sub"].contains(&name)
}

/// Whether a function stands in the text around the shader.
pub(super) fn is_ours(name: &str) -> bool {
    is_primitive(name) || name.starts_with("starling_")
}

/// Rewrites `parsed`, the whole text with its frame. `roles` has every global variable of the author's.
pub fn rewrite(
    parsed: &Parsed,
    source: &str,
    spec: &Spec,
    costs: &Costs,
    roles: HashMap<Handle<GlobalVariable>, Role>,
) -> Result<Rewritten, Refusal> {
    let old = &parsed.module;
    let globals = globals(old, spec)?;
    let mut shader = Shader {
        old: parsed,
        source,
        spec,
        costs,
        roles,
        globals,
        functions: HashMap::new(),
        library: HashMap::new(),
        types: old.types.clone(),
        cheapest: [None; 2],
    };
    let mut functions = Arena::new();
    // The library first, so that it comes before whatever calls it from now on.
    let name = |f: &Function| f.name.clone().unwrap_or_default();
    let (ours, theirs): (Vec<_>, Vec<_>) =
        old.functions.iter().partition(|(_, f)| is_ours(&name(f)));
    for (handle, function) in ours.into_iter().chain(theirs) {
        let called = name(function);
        if called == frame::CALL {
            continue;
        }
        let new = if is_primitive(&called) || !needs_rewriting(&called, spec.tier) {
            copy(function, &shader.functions)
        } else {
            let info = &parsed.info[handle];
            Rewriter::new(&mut shader, function, info, is_ours(&called)).run()?
        };
        let new = functions.append(new, old.functions.get_span(handle));
        shader.functions.insert(handle, new);
        if is_ours(&called) {
            shader.library.insert(called, new);
        }
    }
    let point = |wanted: &str| {
        let found = old.entry_points.iter().position(|e| e.name == wanted);
        found.ok_or_else(|| internal("an entry point is missing"))
    };
    let (main, shaders) = (point(frame::ENTRY)?, point(&spec.entry)?);
    let entry = &old.entry_points[shaders].function;
    let info = parsed.info.get_entry_point(shaders);
    let mut body = Rewriter::new(&mut shader, entry, info, false).run()?;
    let arguments = body.arguments.clone();
    for argument in &mut body.arguments {
        argument.binding = None;
    }
    body.name = Some("shader".into());
    let body = functions.append(body, naga::Span::default());
    let call = old.functions.iter().find(|(_, f)| name(f) == frame::CALL);
    let (stub, call) = call.ok_or_else(|| internal("the call is missing"))?;
    let call = calling(call, body, &arguments, &shader.types)?;
    let call = functions.append(call, naga::Span::default());
    shader.functions.insert(stub, call);
    let mut entry = old.entry_points[main].clone();
    entry.function = copy(&entry.function, &shader.functions);
    let mut module = old.clone();
    module.types = shader.types;
    module.functions = functions;
    module.entry_points = vec![entry];
    rebind(&mut module, spec, &shader.roles);
    if spec.tier == Tier::Canonical {
        for (_, expression) in module.global_expressions.iter_mut() {
            floats::canonical_literal(expression);
        }
    }
    naga::compact::compact(&mut module, naga::compact::KeepUnused::No);
    let turns = shader.cheapest.iter().zip([spec.fuel, spec.fuel_together]);
    let turns = turns
        .filter_map(|(cost, fuel)| fuel.checked_div((*cost)?))
        .fold(0, u32::saturating_add);
    Ok(Rewritten { module, turns })
}

/// A shader that can do no harm.
pub struct Rewritten {
    /// With the entry point [`frame::ENTRY`].
    pub module: Module,
    /// Turns that all loops of one invocation can make together, at most.
    pub turns: u32,
}

/// The prelude is plain WGSL where floats are; elsewhere nobody calls it.
fn needs_rewriting(name: &str, tier: Tier) -> bool {
    !is_ours(name) || tier == Tier::Canonical
}

pub(super) fn internal(what: &str) -> Refusal {
    Refusal::new(
        "internal",
        format!("this shader cannot be rewritten: {what}"),
        "please report it, with the shader",
    )
}

fn globals(module: &Module, spec: &Spec) -> Result<Globals, Refusal> {
    let find = |name: &str| {
        let found = module
            .global_variables
            .iter()
            .find(|(_, g)| g.name.as_deref() == Some(name));
        let missing = || internal(&format!("`{name}` is missing"));
        found.map(|(handle, _)| handle).ok_or_else(missing)
    };
    let slot = |k| Ok((find(&frame::slot_word(k))?, find(&frame::slot_first(k))?));
    Ok(Globals {
        fuel: find(frame::FUEL)?,
        fuel_shared: find(frame::FUEL_SHARED)?,
        leader: find(frame::LEADER)?,
        output: find(frame::OUTPUT)?,
        slots: (0..spec.outputs.len())
            .map(slot)
            .collect::<Result<_, _>>()?,
    })
}

/// Inputs are bound where the runner expects them, and read-only storage whatever they were.
fn rebind(module: &mut Module, spec: &Spec, roles: &HashMap<Handle<GlobalVariable>, Role>) {
    for (handle, variable) in module.global_variables.iter_mut() {
        let (Some(Role::Input { .. }), Some(at)) = (roles.get(&handle), &variable.binding) else {
            continue;
        };
        let same = |b: &super::spec::Binding| b.group == at.group && b.binding == at.binding;
        let Some(i) = spec.inputs.iter().position(same) else {
            continue;
        };
        variable.space = AddressSpace::Storage {
            access: StorageAccess::LOAD,
        };
        variable.binding = Some(ResourceBinding {
            group: 0,
            binding: frame::input_binding(i),
        });
    }
}

/// The same function, with calls of new ones.
fn copy(function: &Function, functions: &HashMap<Handle<Function>, Handle<Function>>) -> Function {
    let mut new = function.clone();
    for (_, expression) in new.expressions.iter_mut() {
        if let Expression::CallResult(called) = expression
            && let Some(there) = functions.get(called)
        {
            *called = *there;
        }
    }
    redirect(&mut new.body, functions);
    new
}

fn redirect(block: &mut naga::Block, functions: &HashMap<Handle<Function>, Handle<Function>>) {
    for statement in block.iter_mut() {
        match statement {
            Statement::Call { function, .. } => {
                if let Some(there) = functions.get(function) {
                    *function = *there;
                }
            }
            Statement::Block(inner) => redirect(inner, functions),
            Statement::If { accept, reject, .. } => {
                redirect(accept, functions);
                redirect(reject, functions);
            }
            Statement::Switch { cases, .. } => {
                for case in cases {
                    redirect(&mut case.body, functions);
                }
            }
            Statement::Loop {
                body, continuing, ..
            } => {
                redirect(body, functions);
                redirect(continuing, functions);
            }
            _ => {}
        }
    }
}

/// The function that calls the shader's entry point: builtins come from its own arguments.
fn calling(
    stub: &Function,
    body: Handle<Function>,
    arguments: &[naga::FunctionArgument],
    types: &UniqueArena<Type>,
) -> Result<Function, Refusal> {
    use naga::{Binding, BuiltIn};
    let mut new = stub.clone();
    new.body = naga::Block::new();
    let given: Vec<Handle<Expression>> = (0..stub.arguments.len() as u32)
        .map(|i| {
            let argument = Expression::FunctionArgument(i);
            new.expressions.append(argument, naga::Span::default())
        })
        .collect();
    let builtin = |binding: &Option<Binding>| match binding {
        Some(Binding::BuiltIn(BuiltIn::WorkGroupId)) => Ok(given[0]),
        Some(Binding::BuiltIn(BuiltIn::NumWorkGroups)) => Ok(given[1]),
        Some(Binding::BuiltIn(BuiltIn::LocalInvocationId)) => Ok(given[2]),
        Some(Binding::BuiltIn(BuiltIn::LocalInvocationIndex)) => Ok(given[3]),
        Some(Binding::BuiltIn(BuiltIn::GlobalInvocationId)) => Ok(given[4]),
        other => Err(internal(&format!("an argument bound to {other:?}"))),
    };
    let mut passed = Vec::new();
    let mut composed = Vec::new();
    for argument in arguments {
        passed.push(match &types[argument.ty].inner {
            TypeInner::Struct { members, .. } => {
                let members = members.iter().map(|m| builtin(&m.binding));
                let compose = Expression::Compose {
                    ty: argument.ty,
                    components: members.collect::<Result<_, _>>()?,
                };
                let composed_at = new.expressions.append(compose, naga::Span::default());
                composed.push(composed_at);
                composed_at
            }
            _ => builtin(&argument.binding)?,
        });
    }
    if let (Some(first), Some(last)) = (composed.first(), composed.last()) {
        let range = naga::Range::new_from_bounds(*first, *last);
        new.body.push(Statement::Emit(range), naga::Span::default());
    }
    let call = Statement::Call {
        function: body,
        arguments: passed,
        result: None,
    };
    new.body.push(call, naga::Span::default());
    new.body
        .push(Statement::Return { value: None }, naga::Span::default());
    Ok(new)
}

/// A literal u32.
pub(super) fn word(value: u32) -> Expression {
    Expression::Literal(Literal::U32(value))
}
