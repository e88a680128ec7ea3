//! What a shader is, from a walk through its intermediate representation: what it binds, how its results compare, what
//! it costs, and every reason not to run it.

use std::collections::BTreeMap;

use naga::valid::FunctionInfo;
use naga::{
    AddressSpace, AtomicFunction, Block, BuiltIn, Expression, Function, GlobalVariable, Handle,
    Module, ScalarKind, Span, Statement, StorageAccess, TypeInner,
};
use serde::{Deserialize, Serialize};

use super::bindings::{self, Bound};
use super::cost::{Cost, Costs, each_block};
use super::math;
use super::refusal::Refusal;
use super::source::{self, Parsed};
use super::spec::{Binding, MAX_WORKGROUP};
use crate::kernel::Tier;

/// Most bytes of workgroup memory: what WebGPU promises everywhere.
pub const MAX_SHARED_BYTES: u32 = 16 * 1024;
/// Most bytes of variables of one invocation, those of all functions that wait for each other together.
const MAX_VARIABLE_BYTES: u32 = 16 * 1024;
/// Most statements and expressions with every call written out: drivers do that, and compile for long.
const MAX_SIZE: u32 = 50_000;
/// Most reasons that are listed.
const MAX_REFUSALS: usize = 32;

/// What a shader is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Its entry point.
    pub entry: String,
    /// Invocations of a workgroup.
    pub workgroup: [u32; 3],
    /// How results compare.
    pub tier: Tier,
    /// Why only within a tolerance, if so.
    pub not_canonical: Vec<Refusal>,
    /// What it binds.
    pub bindings: Vec<Bound>,
    /// Operations of an invocation outside of loops.
    pub straight: u32,
    /// Whether it has loops that invocations go through by themselves.
    pub loops: bool,
    /// Whether it has loops with barriers in them, which a workgroup goes through together.
    pub loops_together: bool,
    /// Bytes of workgroup memory.
    pub shared_bytes: u32,
    /// Whether invocations of a workgroup wait for each other.
    pub barriers: bool,
    /// Names and ids of its pipeline constants.
    pub overrides: Vec<String>,
}

/// Parses a shader and keeps of it what one entry point needs. Pipeline constants become numbers; with their names.
fn open(
    text: &str,
    entry: Option<&str>,
    values: &[(String, f64)],
) -> Result<(Parsed, Vec<String>), Refusal> {
    source::scan(text)?;
    let parsed = source::parse(text, text)?;
    source::check_names(&parsed)?;
    let index = source::entry(&parsed.module, entry)?;
    let name = parsed.module.entry_points[index].name.clone();
    let overrides = source::overrides(&parsed.module);
    let parsed = source::specialise(parsed, &[&name], values, text)?;
    Ok((parsed, overrides))
}

/// Surveys a shader. All reasons against it are listed, as far as they can be told apart.
pub fn survey(
    text: &str,
    entry: Option<&str>,
    values: &[(String, f64)],
) -> Result<Survey, Vec<Refusal>> {
    let (parsed, overrides) = open(text, entry, values).map_err(|r| vec![r])?;
    let walk = Walk::over(&parsed, text);
    if !walk.refusals.is_empty() {
        return Err(walk.refusals);
    }
    let module = &parsed.module;
    let point = &module.entry_points[0];
    let tier = match (walk.floats, walk.native.is_empty()) {
        (false, _) => Tier::Exact,
        (true, true) => Tier::Canonical,
        (true, false) => Tier::Tolerance,
    };
    Ok(Survey {
        entry: point.name.clone(),
        workgroup: point.workgroup_size,
        tier,
        not_canonical: walk.native,
        bindings: walk.bindings,
        straight: walk.cost.straight.max(1),
        loops: walk.loops,
        loops_together: walk.loops_together,
        shared_bytes: walk.shared,
        barriers: walk.cost.barrier,
        overrides,
    })
}

struct Walk<'a> {
    module: &'a Module,
    text: &'a str,
    refusals: Vec<Refusal>,
    /// Reasons why floats cannot be canonical.
    native: Vec<Refusal>,
    floats: bool,
    loops: bool,
    loops_together: bool,
    shared: u32,
    costs: Costs,
    cost: Cost,
    bindings: Vec<Bound>,
}

impl<'a> Walk<'a> {
    fn over(parsed: &'a Parsed, text: &'a str) -> Self {
        let module = &parsed.module;
        let point = &module.entry_points[0];
        let costs = Costs::new(parsed);
        let info = parsed.info.get_entry_point(0);
        let mut walk = Walk {
            module,
            text,
            refusals: Vec::new(),
            native: Vec::new(),
            floats: false,
            loops: false,
            loops_together: false,
            shared: 0,
            cost: costs.function(module, &point.function, info),
            costs,
            bindings: Vec::new(),
        };
        walk.workgroup(point.workgroup_size);
        walk.types();
        for (handle, global) in module.global_variables.iter() {
            walk.global(handle, global);
        }
        walk.bound_twice();
        for argument in &point.function.arguments {
            walk.argument(argument);
        }
        for (handle, function) in module.functions.iter() {
            walk.signature(function);
            walk.function(function, &parsed.info[handle]);
        }
        walk.function(&point.function, info);
        walk.whole();
        walk
    }

    fn refuse(&mut self, span: Span, code: &str, reason: impl Into<String>, fix: &str) {
        if self.refusals.len() < MAX_REFUSALS {
            let refusal = Refusal::new(code, reason, fix).at(span, self.text);
            if !self.refusals.contains(&refusal) {
                self.refusals.push(refusal);
            }
        }
    }

    fn native(&mut self, span: Span, reason: impl Into<String>) {
        let fix = "without it, results would be the same on every device and need no tolerance";
        if self.native.len() < MAX_REFUSALS {
            let refusal = Refusal::new("native_float", reason, fix).at(span, self.text);
            if !self.native.contains(&refusal) {
                self.native.push(refusal);
            }
        }
    }

    fn workgroup(&mut self, size: [u32; 3]) {
        let most = MAX_WORKGROUP;
        let product = size.iter().map(|s| u64::from(*s)).product::<u64>();
        if size.iter().zip(most).any(|(s, m)| *s > m || *s == 0) || product > u64::from(most[0]) {
            self.refuse(
                Span::default(),
                "workgroup_size",
                format!("workgroups of {size:?}, at most {} invocations and {most:?} along the axes are taken", most[0]),
                "use smaller workgroups, and more of them",
            );
        }
    }

    fn types(&mut self) {
        for (handle, ty) in self.module.types.iter() {
            let span = self.module.types.get_span(handle);
            let odd = match ty.inner {
                TypeInner::Scalar(s)
                | TypeInner::Vector { scalar: s, .. }
                | TypeInner::Matrix { scalar: s, .. }
                | TypeInner::Atomic(s) => (s.width != 4 && s.kind != ScalarKind::Bool)
                    .then(|| format!("numbers of {} bits", u32::from(s.width) * 8)),
                TypeInner::Image { .. } => Some("textures".into()),
                TypeInner::Sampler { .. } => Some("samplers".into()),
                TypeInner::BindingArray { .. } => Some("arrays of bindings".into()),
                TypeInner::AccelerationStructure { .. } | TypeInner::RayQuery { .. } => {
                    Some("ray queries".into())
                }
                TypeInner::CooperativeMatrix { .. } => Some("cooperative matrices".into()),
                _ => None,
            };
            if let Some(what) = odd {
                let fix = match ty.inner {
                    TypeInner::Image { .. } | TypeInner::Sampler { .. } => {
                        "pass the pixels as a storage buffer"
                    }
                    _ => "use f32, i32, u32 and storage buffers",
                };
                self.refuse(span, "type", format!("{what} are not taken"), fix);
            }
        }
    }

    fn global(&mut self, handle: Handle<GlobalVariable>, global: &GlobalVariable) {
        let span = self.module.global_variables.get_span(handle);
        let name = global.name.clone().unwrap_or_default();
        let size = self.module.types[global.ty]
            .inner
            .size(self.module.to_ctx());
        match global.space {
            AddressSpace::WorkGroup => self.shared = self.shared.saturating_add(size),
            AddressSpace::Private => {
                self.cost.variables = self.cost.variables.saturating_add(size);
            }
            AddressSpace::Uniform | AddressSpace::Storage { .. } => {
                let written = matches!(
                    global.space,
                    AddressSpace::Storage { access } if access.contains(StorageAccess::STORE)
                );
                if written && bindings::has_atomics(self.module, global.ty) {
                    self.refuse(
                        span,
                        "storage_atomic",
                        format!("`{name}` holds atomics that invocations of different workgroups share"),
                        "gather results of a workgroup in workgroup memory, one slot of output each",
                    );
                    return;
                }
                match Bound::of(self.module, global, written) {
                    Ok(bound) => self.bindings.push(bound),
                    Err(reason) => self.refuse(
                        span,
                        "output_type",
                        format!("`{name}` is written, {reason}"),
                        "make it an array, or a struct with only an array in it",
                    ),
                }
            }
            AddressSpace::Handle => {}
            other => self.refuse(
                span,
                "address_space",
                format!("`{name}` is in address space {other:?}"),
                "pass it as a storage buffer",
            ),
        }
    }

    fn bound_twice(&mut self) {
        let mut seen: BTreeMap<Binding, String> = BTreeMap::new();
        for bound in self.bindings.clone() {
            if let Some(other) = seen.insert(bound.at, bound.name.clone()) {
                self.refuse(
                    Span::default(),
                    "binding_twice",
                    format!(
                        "`{other}` and `{}` are both bound to group {} binding {}",
                        bound.name, bound.at.group, bound.at.binding
                    ),
                    "give each a binding of its own",
                );
            }
        }
    }

    fn argument(&mut self, argument: &naga::FunctionArgument) {
        let known = |b: &Option<naga::Binding>| {
            matches!(
                b,
                Some(naga::Binding::BuiltIn(
                    BuiltIn::GlobalInvocationId
                        | BuiltIn::LocalInvocationId
                        | BuiltIn::LocalInvocationIndex
                        | BuiltIn::WorkGroupId
                        | BuiltIn::NumWorkGroups
                ))
            )
        };
        let span = self.module.types.get_span(argument.ty);
        let bad: Vec<String> = match &self.module.types[argument.ty].inner {
            TypeInner::Struct { members, .. } => {
                let bad = members.iter().map(|m| &m.binding).filter(|b| !known(b));
                bad.map(|b| format!("{b:?}")).collect()
            }
            _ if known(&argument.binding) => Vec::new(),
            _ => vec![format!("{:?}", argument.binding)],
        };
        for binding in bad {
            self.refuse(
                span,
                "builtin",
                format!("an argument of the entry point is {binding}"),
                "use global_invocation_id, local_invocation_id, local_invocation_index, workgroup_id, num_workgroups",
            );
        }
    }

    fn signature(&mut self, function: &Function) {
        for argument in &function.arguments {
            let space = self.module.types[argument.ty].inner.pointer_space();
            if matches!(
                space,
                Some(AddressSpace::Storage { .. } | AddressSpace::Uniform)
            ) {
                self.refuse(
                    Span::default(),
                    "buffer_pointer",
                    format!(
                        "`{}` takes a pointer into a buffer",
                        function.name.clone().unwrap_or_default()
                    ),
                    "pass an index, and use the buffer itself",
                );
            }
        }
    }

    fn function(&mut self, function: &Function, info: &FunctionInfo) {
        for (handle, expression) in function.expressions.iter() {
            let span = function.expressions.get_span(handle);
            self.expression(info, handle, expression, span);
        }
        self.block(&function.body);
    }

    fn expression(
        &mut self,
        info: &FunctionInfo,
        handle: Handle<Expression>,
        expression: &Expression,
        span: Span,
    ) {
        let types = &self.module.types;
        let kind = |h: Handle<Expression>| info[h].ty.inner_with(types).scalar_kind();
        if kind(handle) == Some(ScalarKind::Float) {
            self.floats = true;
        }
        match expression {
            Expression::Math { fun, arg, .. } => {
                let float = kind(handle) == Some(ScalarKind::Float)
                    || kind(*arg) == Some(ScalarKind::Float);
                if float && math::form(*fun).is_none() {
                    self.native(
                        span,
                        format!("`{}` has no canonical form", function_name(*fun)),
                    );
                }
            }
            Expression::AtomicResult { comparison, .. } => {
                let used = info[handle].ref_count > 0;
                if used || *comparison {
                    self.refuse(
                        span,
                        "atomic_result",
                        "what an atomic operation returns depends on who comes first",
                        "drop the result; read the variable with atomicLoad after a barrier",
                    );
                }
            }
            Expression::Derivative { .. }
            | Expression::ImageSample { .. }
            | Expression::ImageLoad { .. }
            | Expression::ImageQuery { .. } => {
                self.refuse(
                    span,
                    "texture",
                    "textures are not taken",
                    "use a storage buffer",
                );
            }
            Expression::SubgroupBallotResult | Expression::SubgroupOperationResult { .. } => {
                self.subgroup(span);
            }
            Expression::Relational {
                fun: naga::RelationalFunction::IsNan | naga::RelationalFunction::IsInf,
                ..
            } => self.native(span, "canonical floats are never infinite or NaN"),
            _ => {}
        }
    }

    fn subgroup(&mut self, span: Span) {
        self.refuse(
            span,
            "subgroup",
            "subgroups are of another size on every device",
            "use workgroup memory and barriers",
        );
    }

    fn block(&mut self, block: &Block) {
        for (statement, span) in block.span_iter() {
            match statement {
                Statement::Loop {
                    body, continuing, ..
                } => {
                    let waits = |block| self.costs.has_barrier(block);
                    let together = waits(body) || waits(continuing);
                    self.loops |= !together;
                    self.loops_together |= together;
                }
                Statement::Kill
                | Statement::ImageStore { .. }
                | Statement::ImageAtomic { .. }
                | Statement::RayQuery { .. }
                | Statement::RayPipelineFunction(_)
                | Statement::CooperativeStore { .. } => self.refuse(
                    *span,
                    "statement",
                    "only computation on buffers is taken",
                    "write to a storage buffer",
                ),
                Statement::SubgroupBallot { .. }
                | Statement::SubgroupGather { .. }
                | Statement::SubgroupCollectiveOperation { .. } => self.subgroup(*span),
                Statement::Atomic {
                    fun: AtomicFunction::Exchange { .. },
                    ..
                } => self.refuse(
                    *span,
                    "atomic_exchange",
                    "what is left after several exchanges depends on who comes last",
                    "use atomicMax, atomicMin, atomicAdd, atomicAnd, atomicOr or atomicXor",
                ),
                _ => {}
            }
            each_block(statement, &mut |b| self.block(b));
        }
    }

    fn whole(&mut self) {
        let cost = self.cost;
        if cost.size > MAX_SIZE {
            self.refuse(
                Span::default(),
                "size",
                format!(
                    "{} statements and expressions with every call written out, at most {MAX_SIZE} are taken",
                    cost.size
                ),
                "use loops instead of repetition, and call large functions from one place",
            );
        }
        if cost.variables > MAX_VARIABLE_BYTES {
            self.refuse(
                Span::default(),
                "variables",
                format!(
                    "an invocation has {} bytes of variables, at most {MAX_VARIABLE_BYTES} are taken",
                    cost.variables
                ),
                "keep large arrays in workgroup memory or in an input",
            );
        }
        if self.shared > MAX_SHARED_BYTES {
            self.refuse(
                Span::default(),
                "workgroup_memory",
                format!(
                    "{} bytes of workgroup memory, at most {MAX_SHARED_BYTES} are taken",
                    self.shared
                ),
                "process less at once",
            );
        }
        if !self.bindings.iter().any(|b| b.written) && self.refusals.is_empty() {
            self.refuse(
                Span::default(),
                "no_output",
                "the shader writes to no buffer",
                "declare one with `var<storage, read_write>`",
            );
        }
    }
}

fn function_name(fun: naga::MathFunction) -> String {
    let name = format!("{fun:?}");
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}
