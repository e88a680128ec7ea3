//! A shader, admitted for one job: the module for GPUs, and the code for the interpreter.

use std::collections::{BTreeSet, HashMap};

use naga::{AddressSpace, GlobalVariable, Handle, Module, StorageAccess};

use super::bindings::Bound;
use super::cost::Costs;
use super::frame;
use super::interp::{Buffers, Code, Fault, Machine, compile};
use super::refusal::Refusal;
use super::rewrite::{Rewritten, Role, rewrite};
use super::source::{self, Parsed};
use super::spec::{Binding, OutputSpec, Spec};
use super::survey::{self, Survey};
use crate::kernel::Tier;

/// See the module.
pub struct Program {
    /// What it runs on.
    pub spec: Spec,
    /// For GPUs: rewritten, with the entry point [`frame::ENTRY`].
    pub module: Module,
    /// Which inputs are bound, at binding 2 and up.
    pub bound: Vec<usize>,
    /// Turns that all loops of one invocation can make together, at most.
    pub turns: u32,
    code: Code,
    /// As its author wrote it.
    shader: String,
}

impl Program {
    /// Admits `shader` for a job. `bytes` are the sizes of its inputs.
    pub fn build(spec: Spec, shader: &str, bytes: &[usize]) -> Result<Self, Refusal> {
        let overrides = &spec.overrides;
        let survey = survey::survey(shader, Some(&spec.entry), overrides)
            .map_err(|mut all| all.swap_remove(0))?;
        agree(&spec, &survey)?;
        let lengths = lengths(&spec, &survey, bytes)?;

        let words: Vec<u32> = bytes.iter().map(|b| (b / 4) as u32).collect();
        let text = format!("{shader}{}", frame::text(&spec, &words));
        let whole = source::parse(&text, shader)?;
        let keep = [spec.entry.as_str(), frame::ENTRY, frame::KEEP];
        let whole = source::specialise(whole, &keep, overrides, shader)?;
        let roles = roles(&whole, &spec, &lengths);
        let costs = Costs::new(&whole);
        let Rewritten { mut module, turns } = rewrite(&whole, shader, &spec, &costs, roles)?;
        let bound = bind(&mut module);
        let info = source::validate(&module, shader)?;
        let code = compile(&module, &info)?;
        Ok(Program {
            spec,
            module,
            bound,
            turns,
            code,
            shader: shader.to_owned(),
        })
    }

    /// Digest of what decides about results, in hexadecimal: [`Spec::program`].
    pub fn digest(&self) -> String {
        self.code.digest().to_hex().to_string()
    }

    /// What a fault is, with the place in the shader.
    pub fn explain(&self, fault: &Fault) -> Refusal {
        let (code, fix) = match fault {
            Fault::Race(..) => (
                "race",
                "put a workgroupBarrier() between the two, or let one invocation do it",
            ),
            Fault::Divergent { .. } => (
                "divergent",
                "put the barrier where all invocations of a workgroup come by",
            ),
        };
        let refusal = Refusal::new(code, fault.to_string(), fix);
        match fault {
            Fault::Divergent { site } => {
                let span = self.code.sites.get(*site as usize).copied();
                refusal.at(span.unwrap_or_default(), &self.shader)
            }
            Fault::Race(..) => refusal,
        }
    }

    /// Interprets one tile into `out`, which is `tile_bytes` zeros. `inputs` are the words of all inputs. Tells the most
    /// that the loops of an invocation have burnt.
    pub fn tile(&self, tile: u32, inputs: &[Vec<u32>], out: &mut [u32]) -> Result<u32, Fault> {
        let dispatch = [0, out.len() as u32, tile];
        let bound = self.bound.iter().map(|i| inputs[*i].as_slice());
        let mut buffers = Buffers {
            inputs: std::iter::once(dispatch.as_slice()).chain(bound).collect(),
            output: out,
        };
        let mut machine = Machine::new(&self.code);
        let groups: u32 = self.spec.tile.iter().product();
        let fuel = [self.spec.fuel, self.spec.fuel_together];
        let mut burnt = 0;
        for y in 0..groups {
            machine.run([0, y, 0], &mut buffers)?;
            let used = fuel.iter().zip(machine.fuel_left());
            let used = used.map(|(fuel, left)| fuel.saturating_sub(left)).max();
            burnt = burnt.max(used.unwrap_or(0));
        }
        Ok(burnt)
    }
}

/// What the job says of its shader is what the shader says.
fn agree(spec: &Spec, survey: &Survey) -> Result<(), Refusal> {
    let differs = |what: &str, job: String, shader: String| {
        Err(Refusal::new(
            "differs",
            format!("the job says {what} {job}, the shader {shader}"),
            "submit it again",
        ))
    };
    if spec.workgroup != survey.workgroup {
        let (job, shader) = (spec.workgroup, survey.workgroup);
        return differs("workgroup", format!("{job:?}"), format!("{shader:?}"));
    }
    if spec.tier != survey.tier && spec.tier != Tier::Tolerance {
        let (job, shader) = (spec.tier, survey.tier);
        return differs("tier", format!("{job:?}"), format!("{shader:?}"));
    }
    if spec.straight != survey.straight {
        let (job, shader) = (spec.straight, survey.straight);
        return differs("operations", job.to_string(), shader.to_string());
    }
    for bound in &survey.bindings {
        let input = spec.inputs.contains(&bound.at);
        let output = spec.outputs.iter().find(|o| o.at == bound.at);
        let name = &bound.name;
        match (bound.written, output) {
            (false, _) if !input => {
                return Err(Refusal::new(
                    "input_missing",
                    format!("`{name}` is read, but no input is given for it"),
                    format!("give it with --input {name}=FILE"),
                ));
            }
            (true, None) => {
                return Err(Refusal::new(
                    "output_missing",
                    format!("`{name}` is written, but its size is not given"),
                    format!(
                        "give it with --output {name}=SIZE; what is only read is `var<storage, read>`"
                    ),
                ));
            }
            (true, Some(output)) => agree_on_output(bound, output)?,
            _ => {}
        }
    }
    let unknown = |at| !survey.bindings.iter().any(|b| b.at == at);
    let outputs = spec.outputs.iter().map(|o| o.at);
    if let Some(at) = spec
        .inputs
        .iter()
        .copied()
        .chain(outputs)
        .find(|at| unknown(*at))
    {
        return Err(no_binding(at));
    }
    Ok(())
}

fn no_binding(at: Binding) -> Refusal {
    let (group, binding) = (at.group, at.binding);
    let reason = format!("the shader binds nothing at group {group} binding {binding}");
    Refusal::new("no_binding", reason, "leave it out")
}

fn agree_on_output(bound: &Bound, output: &OutputSpec) -> Result<(), Refusal> {
    let name = &bound.name;
    if output.stride.checked_mul(4) != Some(bound.stride) || output.words != bound.words {
        return Err(Refusal::new(
            "differs",
            format!(
                "elements of `{name}` are {}, {} bytes each",
                bound.element, bound.stride
            ),
            "submit it again",
        ));
    }
    if bound.len.is_some_and(|len| len != output.array_len()) {
        return Err(Refusal::new(
            "output_size",
            format!(
                "`{name}` has {} elements in the shader, {} in the job",
                bound.len.unwrap_or(0),
                output.array_len()
            ),
            "give both the same size, or leave it out in the shader: `array<T>`",
        ));
    }
    Ok(())
}

/// Elements of each input that ends in an array, once its size is known to be enough.
fn lengths(spec: &Spec, survey: &Survey, bytes: &[usize]) -> Result<Vec<Option<u32>>, Refusal> {
    let mut all = Vec::new();
    for (at, &bytes) in spec.inputs.iter().zip(bytes) {
        let bound = survey.bindings.iter().find(|b| b.at == *at);
        let bound = bound.ok_or_else(|| no_binding(*at))?;
        let name = &bound.name;
        if bytes % 4 != 0 {
            return Err(Refusal::new(
                "input_size",
                format!("`{name}` has {bytes} bytes, which are no whole words"),
                "make it a multiple of 4 bytes",
            ));
        }
        let needs = if bound.written {
            let output = spec.outputs.iter().find(|o| o.at == *at);
            output.map_or(0, |o| o.array_len() as usize * bound.stride as usize)
        } else {
            let elements = bound.len.unwrap_or(u32::from(bound.stride > 0));
            bound.fixed_bytes as usize + elements as usize * bound.stride as usize
        };
        if bytes < needs || (bound.written && bytes != needs) {
            return Err(Refusal::new(
                "input_size",
                format!("`{name}` has {bytes} bytes, the shader needs {needs}"),
                "give it a file of that size",
            ));
        }
        let runtime = bound.stride > 0 && bound.len.is_none();
        let elements = (bytes - bound.fixed_bytes as usize).checked_div(bound.stride as usize);
        all.push(elements.filter(|_| runtime).map(|n| n as u32));
    }
    Ok(all)
}

/// What becomes of the shader's variables. Ours have none.
fn roles(
    whole: &Parsed,
    spec: &Spec,
    lengths: &[Option<u32>],
) -> HashMap<Handle<GlobalVariable>, Role> {
    let mut roles = HashMap::new();
    for (handle, global) in whole.module.global_variables.iter() {
        let name = global.name.as_deref().unwrap_or_default();
        if source::is_reserved(name) {
            continue;
        }
        let at = global.binding.as_ref();
        let here =
            |b: &Binding| at.is_some_and(|at| at.group == b.group && at.binding == b.binding);
        let written = matches!(
            global.space,
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE)
        );
        let output = spec.outputs.iter().position(|o| here(&o.at));
        let input = spec.inputs.iter().position(here);
        let role = match (output.filter(|_| written), input) {
            (Some(k), _) => Role::Output(k),
            (None, Some(i)) => Role::Input {
                len: lengths.get(i).copied().flatten(),
            },
            (None, None) => Role::Kept,
        };
        roles.insert(handle, role);
    }
    roles
}

/// Binds the inputs that are used one after the other, and says which.
fn bind(module: &mut Module) -> Vec<usize> {
    let first = frame::input_binding(0);
    let bindings = module
        .global_variables
        .iter()
        .filter_map(|(_, g)| g.binding.as_ref().map(|b| b.binding));
    let used: BTreeSet<u32> = bindings.filter(|b| *b >= first).collect();
    let used: Vec<u32> = used.into_iter().collect();
    for (_, global) in module.global_variables.iter_mut() {
        if let Some(binding) = &mut global.binding
            && let Ok(rank) = used.binary_search(&binding.binding)
        {
            binding.binding = frame::input_binding(rank);
        }
    }
    used.iter().map(|b| (b - first) as usize).collect()
}

/// The spec of a job, from what the shader says and its author wants; the program's digest is not known yet.
pub fn draft(survey: &Survey, groups: [u32; 3], tile: [u32; 3], fuel: u32) -> Spec {
    Spec {
        entry: survey.entry.clone(),
        workgroup: survey.workgroup,
        groups,
        tile,
        fuel: if survey.loops { fuel } else { 0 },
        fuel_together: if survey.loops_together { fuel } else { 0 },
        straight: survey.straight,
        tier: survey.tier,
        inputs: Vec::new(),
        outputs: Vec::new(),
        overrides: Vec::new(),
        program: "0".repeat(64),
    }
}
