//! The text around a shader: canonical library, prelude, and an entry point of ours that finds out which workgroup of
//! which tile it is, where its slots are, and calls the shader's.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::spec::{Per, Spec};
use crate::canon;

/// The function whose body becomes a call of the shader's entry point.
pub const CALL: &str = "starling_call";
/// Our entry point.
pub const ENTRY: &str = "starling_main";
/// An entry point that calls the whole library, so that none of it counts as unused before it is.
pub const KEEP: &str = "starling_keep";
/// What is left for the loops of this invocation.
pub const FUEL: &str = "starling_fuel";
/// The same for loops with barriers in them, which all invocations of a workgroup leave together.
pub const FUEL_SHARED: &str = "starling_fuel_shared";
/// Whether this is the first invocation of its workgroup.
pub const LEADER: &str = "starling_leader";
/// The words of all outputs.
pub const OUTPUT: &str = "starling_output";

/// The private variable with the word where the slot of output `k` begins.
pub fn slot_word(k: usize) -> String {
    format!("starling_word_{k}")
}

/// The private variable with the array element where the slot of output `k` begins, as the shader sees it.
pub fn slot_first(k: usize) -> String {
    format!("starling_first_{k}")
}

/// Where input `i` (blob `i + 1`) is bound; blob 0 never reaches a device.
pub fn input_binding(i: usize) -> u32 {
    2 + i as u32
}

/// The variable through which slots that begin as input `i` read its words.
fn words_name(i: u32) -> String {
    format!("starling_input_{i}")
}

/// Everything that stands behind the shader. `words` are those of each input.
pub fn text(spec: &Spec, words: &[u32]) -> String {
    let mut text = String::from("\n");
    text += canon::WGSL;
    text += include_str!("prelude.wgsl");
    for n in 2..=4 {
        vectors(&mut text, n);
    }
    keep(&mut text, spec);
    main(&mut text, spec, words);
    text
}

/// The types of a function's parameters; a comma within `<>` is part of one.
fn types(parameters: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let between = parameters.split(move |c| {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    between.filter_map(|p| p.split_once(": ").map(|(_, ty)| ty))
}

/// Calls every function so far, of zeros, and reads our variables.
fn keep(text: &mut String, spec: &Spec) {
    let slots = (0..spec.outputs.len()).flat_map(|k| [slot_word(k), slot_first(k)]);
    let ours = [FUEL, FUEL_SHARED, LEADER].map(String::from);
    let mut calls = format!("    _ = {OUTPUT}[0];\n");
    for variable in slots.chain(ours) {
        let _ = writeln!(calls, "    _ = {variable};");
    }
    for line in text.lines() {
        let Some((name, rest)) = line.strip_prefix("fn ").and_then(|l| l.split_once('(')) else {
            continue;
        };
        let arguments = rest.split(')').next().unwrap_or_default();
        let zeros: Vec<String> = types(arguments).map(|ty| format!("{ty}()")).collect();
        let _ = writeln!(calls, "    _ = {name}({});", zeros.join(", "));
    }
    let _ = write!(
        text,
        "\n@compute @workgroup_size(1)\nfn {KEEP}() {{\n{calls}}}\n"
    );
}

/// Functions of vectors of `n` floats, from operators.
fn vectors(text: &mut String, n: usize) {
    let v = format!("vec{n}<f32>");
    let sum = ["x", "y", "z", "w"][..n]
        .iter()
        .map(|c| format!("p.{c}"))
        .collect::<Vec<_>>()
        .join(" + ");
    let _ = write!(
        text,
        "
fn starling_dot{n}(a: {v}, b: {v}) -> f32 {{ let p = a * b; return {sum}; }}
fn starling_length{n}(a: {v}) -> f32 {{ return sqrt(starling_dot{n}(a, a)); }}
fn starling_distance{n}(a: {v}, b: {v}) -> f32 {{ return starling_length{n}(a - b); }}
fn starling_normalize{n}(a: {v}) -> {v} {{ return a * (1.0 / starling_length{n}(a)); }}
fn starling_reflect{n}(a: {v}, b: {v}) -> {v} {{ return a - b * (2.0 * starling_dot{n}(b, a)); }}
fn starling_faceforward{n}(a: {v}, b: {v}, c: {v}) -> {v} {{
    return select(-a, a, starling_dot{n}(c, b) < 0.0);
}}
fn starling_refract{n}(a: {v}, b: {v}, eta: f32) -> {v} {{
    let d = starling_dot{n}(b, a);
    let k = 1.0 - eta * eta * (1.0 - d * d);
    return select({v}(), a * eta - b * (eta * d + sqrt(k)), k >= 0.0);
}}
"
    );
}

fn main(text: &mut String, spec: &Spec, lengths: &[u32]) {
    let [wx, wy, wz] = spec.workgroup;
    let [gx, gy, gz] = spec.groups;
    let [tx, ty, tz] = spec.tile;
    let [across, down, _] = spec.grid();
    let (fuel, fuel_together) = (spec.fuel, spec.fuel_together);
    let _ = write!(
        text,
        "
struct StarlingDispatch {{ zero: u32, words_per_tile: u32, tiles: array<u32> }}
@group(0) @binding(0) var<storage, read> starling_dispatch: StarlingDispatch;
@group(0) @binding(1) var<storage, read_write> {OUTPUT}: array<u32>;
var<private> {FUEL}: u32;
var<private> {FUEL_SHARED}: u32;
var<private> {LEADER}: bool;
fn {CALL}(group: vec3<u32>, groups: vec3<u32>, local: vec3<u32>, index: u32, global: vec3<u32>) {{}}
"
    );
    for k in 0..spec.outputs.len() {
        let (word, first) = (slot_word(k), slot_first(k));
        let _ = write!(
            text,
            "var<private> {word}: u32;\nvar<private> {first}: u32;\n"
        );
    }
    let inputs: BTreeSet<u32> = spec.outputs.iter().filter_map(|o| o.from).collect();
    for input in inputs.into_iter().map(|blob| blob - 1) {
        let (name, binding) = (words_name(input), input_binding(input as usize));
        let _ = writeln!(
            text,
            "@group(0) @binding({binding}) var<storage, read> {name}: array<u32>;"
        );
    }
    let _ = write!(
        text,
        "
@compute @workgroup_size({wx}, {wy}, {wz})
fn {ENTRY}(
    @builtin(workgroup_id) at: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {{
    c_zero = starling_dispatch.zero;
    let tile = starling_dispatch.tiles[at.x];
    let corner = vec3(tile % {across}u, tile / {across}u % {down}u, tile / {across}u / {down}u)
        * vec3({tx}u, {ty}u, {tz}u);
    let inner = vec3(at.y % {tx}u, at.y / {tx}u % {ty}u, at.y / {tx}u / {ty}u);
    let group = corner + inner;
    let groups = vec3({gx}u, {gy}u, {gz}u);
    let global = group * vec3({wx}u, {wy}u, {wz}u) + local;
    if all(group < groups) {{
        {FUEL} = {fuel}u;
        {FUEL_SHARED} = {fuel_together}u;
        {LEADER} = index == 0u;
        let base = at.x * starling_dispatch.words_per_tile;
"
    );
    for (k, (output, offset)) in spec.outputs.iter().zip(spec.piece_offsets()).enumerate() {
        let (place, whole) = match output.per {
            Per::Invocation => (
                format!("inner * vec3({wx}u, {wy}u, {wz}u) + local"),
                "global",
            ),
            Per::Group => ("inner".to_owned(), "group"),
        };
        let [sx, sy, _] = spec.tile_slots(output.per);
        let [ex, ey, _] = output.extent;
        let (words, elements) = (output.slot_words(), output.elements);
        let (word, first) = (slot_word(k), slot_first(k));
        let _ = write!(
            text,
            "        let place_{k} = {place};
        {word} = base + {offset}u + ((place_{k}.z * {sy}u + place_{k}.y) * {sx}u + place_{k}.x) * {words}u;
        {first} = (({whole}.z * {ey}u + {whole}.y) * {ex}u + {whole}.x) * {elements}u;
"
        );
        let Some(blob) = output.from else {
            continue;
        };
        let blob = blob - 1;
        let (name, stride) = (words_name(blob), output.stride);
        let last = lengths
            .get(blob as usize)
            .map_or(0, |l| l.saturating_sub(1));
        let leader = match output.per {
            Per::Invocation => "true",
            Per::Group => LEADER,
        };
        let _ = write!(
            text,
            "        if {leader} {{
            for (var w = 0u; w < {words}u; w++) {{
                {OUTPUT}[{word} + w] = {name}[min({first} * {stride}u + w, {last}u)];
            }}
        }}
"
        );
    }
    let _ = write!(
        text,
        "        {CALL}(group, groups, local, index, global);
    }}
}}
"
    );
}
