//! From text to a validated naga module: sizes and nesting are bounded before the parser sees them.

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage, WithSpan};

use super::refusal::Refusal;

/// Largest shader, in bytes.
pub const MAX_SOURCE_BYTES: usize = 256 * 1024;
/// Deepest nesting of brackets. Parser, validator and compilers of drivers recurse once or more for each.
const MAX_DEPTH: usize = 64;
/// Most operators between two of `; { } ,`: such a chain is a tree as deep as it is long.
const MAX_OPERATORS: usize = 512;
/// Most `else` of a shader: a chain of them nests.
const MAX_ELSE: usize = 512;
/// Prefixes of names that the text around a shader uses.
const RESERVED: [&str; 3] = ["c_", "c3_", "starling_"];

/// A parsed and validated shader.
pub struct Parsed {
    /// The intermediate representation.
    pub module: Module,
    /// What naga found out about it.
    pub info: ModuleInfo,
}

/// Parses and validates `text`. Errors point into `shader`, its first part, which is the author's.
pub fn parse(text: &str, shader: &str) -> Result<Parsed, Refusal> {
    let module = naga::front::wgsl::parse_str(text).map_err(|error| {
        let span = error.labels().next().map(|(span, _)| span);
        let notes: Vec<&str> = error.notes().collect();
        let refusal = Refusal::new("parse", error.message(), notes.join("; "));
        refusal.at(span.unwrap_or_default(), shader)
    })?;
    let info = validate(&module, shader)?;
    Ok(Parsed { module, info })
}

/// Validates a module without any optional capability.
pub fn validate(module: &Module, shader: &str) -> Result<ModuleInfo, Refusal> {
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    validator
        .validate(module)
        .map_err(|error| invalid(&error, shader))
}

fn invalid<E: std::error::Error>(error: &WithSpan<E>, shader: &str) -> Refusal {
    let mut reason = error.as_inner().to_string();
    let mut cause = error.as_inner().source();
    while let Some(inner) = cause {
        reason = format!("{reason}: {inner}");
        cause = inner.source();
    }
    // The last span is the innermost: what is wrong, not where it stands.
    let span = error.spans().last().map(|(span, _)| *span);
    let refusal = match optional(&reason) {
        Some((code, what, fix)) => {
            Refusal::new(code, format!("{what}, which not every device has"), fix)
        }
        None => Refusal::new("validation", reason, ""),
    };
    refusal.at(span.unwrap_or_default(), shader)
}

/// What the validator misses by the name of a capability: things that only some devices do, or each in its own way.
fn optional(reason: &str) -> Option<(&'static str, &'static str, &'static str)> {
    // Before that stand names of the author's, who may call a function anything.
    let missing = &reason[reason.rfind("apabilit")?..];
    let known = [
        (
            "SUBGROUP",
            "subgroup",
            "the shader uses subgroups",
            "use workgroup memory and barriers",
        ),
        (
            "SHADER_FLOAT16_IN_FLOAT32",
            "float16",
            "the shader converts from or to f16",
            "keep f32 in its inputs and outputs, or convert with integer operations",
        ),
        ("FLOAT16", "float16", "the shader uses f16", "use f32"),
        (
            "FLOAT64",
            "float64",
            "the shader uses f64",
            "use f32, or two u32",
        ),
        (
            "RAY_QUERY",
            "ray_query",
            "the shader traces rays by hardware",
            "`run render` traces rays; or walk a tree of boxes in the shader",
        ),
        (
            "IMMEDIATES",
            "immediate",
            "the shader has immediate data",
            "pass it as a storage buffer",
        ),
        (
            "SHADER_INT64",
            "int64",
            "the shader uses 64-bit integers",
            "use two u32",
        ),
    ];
    let found = known.iter().find(|(name, ..)| missing.contains(name));
    found.map(|(_, code, what, fix)| (*code, *what, *fix))
}

/// A look at the text alone. Nothing of it is recursive.
pub fn scan(shader: &str) -> Result<(), Refusal> {
    if shader.len() > MAX_SOURCE_BYTES {
        return Err(Refusal::new(
            "source_size",
            format!(
                "the shader has {} bytes, at most {MAX_SOURCE_BYTES} are taken",
                shader.len()
            ),
            "put large tables into an input",
        ));
    }
    let nested = |from: usize, what: String, fix: &str| {
        let here = naga::Span::new(from as u32, from as u32 + 1);
        Err(Refusal::new("nesting", what, fix).at(here, shader))
    };
    let (mut depth, mut operators, mut elses) = (0_usize, 0, 0);
    let bytes = shader.as_bytes();
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        let rest = &bytes[i..];
        if rest.starts_with(b"//") {
            i += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            continue;
        }
        if rest.starts_with(b"/*") {
            i += comment(rest);
            continue;
        }
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match byte {
            b';' | b'{' | b'}' | b',' => operators = 0,
            b'+' | b'-' | b'*' | b'/' | b'%' | b'&' | b'|' | b'^' | b'<' | b'>' | b'.' | b'['
            | b'!' | b'~' => operators += 1,
            _ => {}
        }
        if rest.starts_with(b"else") {
            elses += 1;
        }
        if depth > MAX_DEPTH {
            let what = format!("brackets are nested more than {MAX_DEPTH} deep");
            return nested(i, what, "split the expression or the block into functions");
        }
        if operators > MAX_OPERATORS {
            let what = format!("an expression of more than {MAX_OPERATORS} operators");
            return nested(i, what, "name parts of it with `let`");
        }
        if elses > MAX_ELSE {
            let what = format!("more than {MAX_ELSE} `else`");
            return nested(i, what, "use `switch`, or a table");
        }
        i += 1;
    }
    Ok(())
}

/// Length of the comment that `text` begins with; they nest.
fn comment(text: &[u8]) -> usize {
    let (mut depth, mut i) = (0_usize, 0);
    while i < text.len() {
        let rest = &text[i..];
        if rest.starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            i += 2;
        } else {
            i += 1;
        }
        if depth == 0 {
            break;
        }
    }
    i
}

/// Whether a name is the library's.
pub fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    RESERVED.iter().any(|r| name.starts_with(r))
}

/// Names that the text around it needs are not the shader's.
pub fn check_names(parsed: &Parsed) -> Result<(), Refusal> {
    let module = &parsed.module;
    let functions = module.functions.iter().filter_map(|(_, f)| f.name.as_ref());
    let globals = module
        .global_variables
        .iter()
        .filter_map(|(_, g)| g.name.as_ref());
    let constants = module.constants.iter().filter_map(|(_, c)| c.name.as_ref());
    let overrides = module.overrides.iter().filter_map(|(_, o)| o.name.as_ref());
    let types = module.types.iter().filter_map(|(_, t)| t.name.as_ref());
    let entries = module.entry_points.iter().map(|e| &e.name);
    let mut all = functions
        .chain(globals)
        .chain(constants)
        .chain(overrides)
        .chain(types)
        .chain(entries);
    match all.find(|n| is_reserved(n)) {
        None => Ok(()),
        Some(name) => Err(Refusal::new(
            "reserved_name",
            format!("`{name}` begins like the names of the canonical library"),
            format!("rename it; {} are reserved", RESERVED.join(", ")),
        )),
    }
}

/// The compute entry point of this name, or the only one there is.
pub fn entry(module: &Module, name: Option<&str>) -> Result<usize, Refusal> {
    let compute: Vec<(usize, &str)> = module
        .entry_points
        .iter()
        .enumerate()
        .filter(|(_, e)| e.stage == ShaderStage::Compute)
        .map(|(i, e)| (i, e.name.as_str()))
        .collect();
    let names = || {
        let names: Vec<&str> = compute.iter().map(|(_, n)| *n).collect();
        names.join(", ")
    };
    match (name, compute.as_slice()) {
        (_, []) => Err(Refusal::new(
            "no_entry_point",
            "the shader has no compute entry point",
            "add `@compute @workgroup_size(64) fn main(…)`",
        )),
        (None, [(only, _)]) => Ok(*only),
        (None, _) => Err(Refusal::new(
            "entry_points",
            format!("the shader has several compute entry points: {}", names()),
            "choose one with --entry",
        )),
        (Some(wanted), _) => {
            let found = compute.iter().find(|(_, n)| *n == wanted);
            found.map(|(i, _)| *i).ok_or_else(|| {
                Refusal::new(
                    "no_entry_point",
                    format!("no compute entry point `{wanted}`"),
                    format!("there is {}", names()),
                )
            })
        }
    }
}

/// The pipeline constants that a shader declares, by id or else by name: as they are set.
pub fn overrides(module: &Module) -> Vec<String> {
    let all = module.overrides.iter().map(|(_, o)| match (o.id, &o.name) {
        (Some(id), _) => id.to_string(),
        (None, name) => name.clone().unwrap_or_default(),
    });
    all.collect()
}

/// Keeps what some entry points need, and gives pipeline constants their values.
pub fn specialise(
    parsed: Parsed,
    keep: &[&str],
    values: &[(String, f64)],
    shader: &str,
) -> Result<Parsed, Refusal> {
    let Parsed { mut module, .. } = parsed;
    module
        .entry_points
        .retain(|e| keep.contains(&e.name.as_str()));
    let declared = overrides(&module);
    let mut constants = naga::back::PipelineConstants::default();
    for (name, value) in values {
        if !declared.contains(name) {
            return Err(Refusal::new(
                "no_override",
                format!("the shader has no override `{name}`"),
                "those with an @id are set by their number",
            ));
        }
        constants.insert(name.clone(), *value);
    }
    let info = validate(&module, shader)?;
    if !module.overrides.is_empty() {
        let done =
            naga::back::pipeline_constants::process_overrides(&module, &info, None, &constants);
        let (new, _) = done.map_err(|e| {
            Refusal::new(
                "override",
                e.to_string(),
                "give it a value with --set NAME=VALUE",
            )
        })?;
        module = new.into_owned();
    }
    naga::compact::compact(&mut module, naga::compact::KeepUnused::No);
    let info = validate(&module, shader)?;
    Ok(Parsed { module, info })
}
