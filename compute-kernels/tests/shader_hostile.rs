//! Shaders that mean harm: each is refused, ends, or does the same everywhere.

#[path = "support/hostile.rs"]
mod hostile;
mod support;

use starling_kernels::shader::program::{Program, draft};
use starling_kernels::shader::spec::Per;
use starling_kernels::shader::survey::survey;

/// What becomes of a shader that writes one word for each of 64 invocations.
#[derive(Debug, PartialEq)]
enum Fate {
    /// Refused, for this reason.
    Refused(String),
    /// The judge says that its result depends on the device.
    Fault(String),
    /// It ends with these words.
    Ends(Vec<u32>),
}

fn fate(body: &str) -> Fate {
    fate_of(&format!(
        "@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> results: array<u32>;
{body}"
    ))
}

fn fate_of(shader: &str) -> Fate {
    let found = match survey(shader, None, &[]) {
        Ok(found) => found,
        Err(all) => return Fate::Refused(all[0].code.clone()),
    };
    let mut spec = draft(&found, [1, 1, 1], [1, 1, 1], 10_000);
    let mut inputs = Vec::new();
    for bound in &found.bindings {
        if bound.written {
            let extent = [found.workgroup.iter().product(), 1, 1];
            spec.outputs.push(bound.output(Per::Invocation, extent, 1));
        } else {
            spec.inputs.push(bound.at);
            inputs.push((1..=64).collect::<Vec<u32>>());
        }
    }
    if let Err(error) = spec.check() {
        return Fate::Refused(error.to_string());
    }
    let bytes: Vec<usize> = inputs.iter().map(|i| i.len() * 4).collect();
    let program = match Program::build(spec, shader, &bytes) {
        Ok(program) => program,
        Err(refusal) => return Fate::Refused(refusal.code),
    };
    let mut words = vec![0; program.spec.shape().tile_bytes as usize / 4];
    let fate = match program.tile(0, &inputs, &mut words) {
        Ok(_) => Fate::Ends(words),
        Err(fault) => Fate::Fault(
            format!("{fault:?}")
                .chars()
                .take_while(|c| c.is_alphabetic())
                .collect(),
        ),
    };
    let words = match &fate {
        Fate::Ends(words) => Some(words.as_slice()),
        _ => None,
    };
    hostile::on_device(&program, shader, &inputs, words);
    fate
}

fn refused(code: &str) -> Fate {
    Fate::Refused(code.into())
}

fn fault(kind: &str) -> Fate {
    Fate::Fault(kind.into())
}

/// An entry point of 64 invocations.
fn main_of(statements: &str) -> String {
    format!(
        "@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{
{statements}
}}"
    )
}

/// The same behind declarations.
fn with(declarations: &str, statements: &str) -> String {
    format!("{declarations}\n{}", main_of(statements))
}

fn ends(body: &str) -> Vec<u32> {
    match fate(body) {
        Fate::Ends(words) => words,
        other => panic!("{other:?}"),
    }
}

// ---- loops ----

#[test]
fn an_endless_loop_ends() {
    let words = ends(&main_of(
        "loop { if numbers[0] == 0u { break; } } results[id.x] = 7u;",
    ));
    assert_eq!(words, [7; 64]);
}

#[test]
fn nested_endless_loops_end() {
    let inner = "while true { while true { loop { if id.x > 99u { break; } } } }";
    assert_eq!(
        ends(&main_of(&format!("{inner} results[id.x] = 1u;"))),
        [1; 64]
    );
}

#[test]
fn a_loop_that_never_counts_ends_at_the_same_turn_everywhere() {
    let body = "var n = 0u; for (var i = 0u; i < 10u; i = i & 1u) { n++; } results[id.x] = n;";
    let words = ends(&main_of(body));
    assert!(
        words[0] > 100 && words.iter().all(|w| *w == words[0]),
        "{words:?}"
    );
}

#[test]
fn loops_that_only_some_go_on_with_end() {
    let body = "var n = 0u; loop { if lane % 2u == 0u { break; } n++; } results[id.x] = n;";
    let words = ends(&main_of(body));
    assert_eq!(words[0], 0);
    assert!(words[1] > 100);
}

#[test]
fn an_endless_loop_in_a_function_that_is_called_in_a_loop_ends() {
    let body = "fn spin() -> u32 { var n = 0u; loop { n++; if n == 0u { break; } } return n; }";
    let shader = with(
        body,
        "var n = 0u; for (var i = 0u; i < 1000000u; i++) { n += spin(); } results[id.x] = n;",
    );
    assert!(ends(&shader)[0] > 0);
}

#[test]
fn an_endless_loop_with_a_barrier_ends_for_all_at_once() {
    let body = "var n = 0u; loop { n++; workgroupBarrier(); if numbers[0] == 0u { break; } } results[id.x] = n;";
    let words = ends(&main_of(body));
    assert!(words[0] > 100 && words.iter().all(|w| *w == words[0]));
}

#[test]
fn a_continuing_block_that_never_breaks_ends() {
    let body = "var n = 0u; loop { n++; continuing { break if n == 0u; } } results[id.x] = n;";
    assert!(ends(&main_of(body))[0] > 100);
}

// ---- memory ----

#[test]
fn reads_beyond_an_input_give_its_last_element() {
    assert_eq!(
        ends(&main_of("results[id.x] = numbers[id.x + 1000u];")),
        [64; 64]
    );
}

#[test]
fn negative_indices_give_the_last_element() {
    assert_eq!(
        ends(&main_of("results[id.x] = numbers[-1 - i32(id.x)];")),
        [64; 64]
    );
}

#[test]
fn writes_into_slots_of_others_stay_in_the_own_one() {
    let words = ends(&main_of(
        "results[63u - id.x] = id.x + 1u; results[id.x * 1000u] = id.x;",
    ));
    assert_eq!(words, (0..64).collect::<Vec<u32>>());
}

#[test]
fn reads_from_slots_of_others_see_the_own_one() {
    let body = "results[id.x] = id.x; results[id.x] = results[0] + results[63];";
    assert_eq!(
        ends(&main_of(body)),
        (0..64).map(|i| i * 2).collect::<Vec<u32>>()
    );
}

#[test]
fn arrays_in_variables_are_not_left() {
    let body = "var a = array<u32, 4>(1, 2, 3, 4); a[id.x * 77u] = 9u; results[id.x] = a[id.x + 3u] + a[0];";
    let words = ends(&main_of(body));
    assert_eq!(words[0], 4 + 9);
    assert_eq!(words[5], 9 + 1);
}

#[test]
fn vectors_are_not_left() {
    let body = "var v = vec3(1u, 2u, 3u); v[id.x + 5u] = 8u; results[id.x] = v[99u + id.x] + v.x;";
    assert_eq!(ends(&main_of(body)), [9; 64]);
}

#[test]
fn what_nobody_wrote_is_zero() {
    let body = "var<private> p: array<u32, 9>; var<workgroup> w: array<u32, 9>;";
    let shader = with(
        body,
        "var l: array<u32, 9>; results[id.x] = p[3] + w[4] + l[5] + results[id.x];",
    );
    assert_eq!(ends(&shader), [0; 64]);
}

#[test]
fn the_length_of_an_output_is_that_of_the_job_not_of_the_tile() {
    assert_eq!(
        ends(&main_of("results[id.x] = arrayLength(&results);")),
        [64; 64]
    );
}

// ---- races ----

#[test]
fn a_race_between_two_writes_is_found() {
    let body = "var<workgroup> w: u32;";
    let shader = with(body, "w = id.x; workgroupBarrier(); results[id.x] = w;");
    assert_eq!(fate(&shader), fault("Race"));
}

#[test]
fn a_race_between_a_write_and_a_read_is_found() {
    let body = "var<workgroup> w: array<u32, 64>;";
    let shader = with(body, "w[lane] = id.x; results[id.x] = w[63u - lane];");
    assert_eq!(fate(&shader), fault("Race"));
}

#[test]
fn a_race_in_a_later_turn_of_a_loop_is_found() {
    let body = "var<workgroup> w: array<u32, 64>;";
    let shader = with(body,
        "for (var i = 0u; i < 8u; i++) { w[lane] = id.x + w[(lane + i / 7u) % 64u]; workgroupBarrier(); }
    results[id.x] = w[lane];",
    );
    assert_eq!(fate(&shader), fault("Race"));
}

#[test]
fn a_race_by_an_index_out_of_range_is_found() {
    let body = "var<workgroup> w: array<u32, 8>;";
    let shader = with(
        body,
        "w[lane] = lane; workgroupBarrier(); results[id.x] = w[lane];",
    );
    assert_eq!(fate(&shader), fault("Race"));
}

#[test]
fn a_flag_that_many_set_to_the_same_is_no_race() {
    let body = "var<workgroup> w: u32;";
    let shader = with(
        body,
        "if numbers[lane] > 7u { w = 1u; } workgroupBarrier(); results[id.x] = w;",
    );
    assert_eq!(ends(&shader), [1; 64]);
}

#[test]
fn atomics_that_are_read_before_a_barrier_are_a_race() {
    let body = "var<workgroup> w: atomic<u32>;";
    let shader = with(body, "atomicAdd(&w, 1u); results[id.x] = atomicLoad(&w);");
    assert_eq!(fate(&shader), fault("Race"));
}

#[test]
fn atomics_of_two_kinds_at_once_are_a_race() {
    let body = "var<workgroup> w: atomic<u32>;";
    let shader = with(
        body,
        "if lane < 32u { atomicAdd(&w, 1u); } else { atomicMax(&w, 5u); } workgroupBarrier(); results[id.x] = atomicLoad(&w);",
    );
    assert_eq!(fate(&shader), fault("Race"));
}

#[test]
fn what_an_atomic_returns_is_refused() {
    let body = "var<workgroup> w: atomic<u32>;";
    let shader = with(body, "results[id.x] = atomicAdd(&w, 1u);");
    assert_eq!(fate(&shader), refused("atomic_result"));
}

#[test]
fn a_compare_and_exchange_is_refused() {
    let body = "var<workgroup> w: atomic<u32>;";
    let shader = with(
        body,
        "atomicCompareExchangeWeak(&w, 0u, id.x); results[id.x] = 1u;",
    );
    assert_eq!(fate(&shader), refused("atomic_result"));
}

#[test]
fn an_exchange_is_refused() {
    let body = "var<workgroup> w: atomic<u32>;";
    let shader = with(body, "_ = atomicExchange(&w, id.x); results[id.x] = 1u;");
    assert_eq!(fate(&shader), refused("atomic_exchange"));
}

#[test]
fn atomics_in_a_buffer_are_refused() {
    let shader = "@group(0) @binding(0) var<storage, read_write> n: array<atomic<u32>>;
@compute @workgroup_size(1) fn main() { atomicAdd(&n[0], 1u); }";
    assert_eq!(fate_of(shader), refused("storage_atomic"));
}

// ---- barriers ----

#[test]
fn a_barrier_that_some_never_reach_is_found() {
    let main = main_of("if lane < 32u { workgroupBarrier(); } results[id.x] = 1u;");
    assert_eq!(fate(&main), fault("Divergent"));
}

#[test]
fn a_barrier_behind_an_early_return_is_found() {
    let main = main_of("if lane == 3u { return; } workgroupBarrier(); results[id.x] = 1u;");
    assert_eq!(fate(&main), fault("Divergent"));
}

#[test]
fn a_barrier_in_a_loop_of_different_length_is_found() {
    let main =
        main_of("for (var i = 0u; i < lane; i++) { workgroupBarrier(); } results[id.x] = 1u;");
    assert_eq!(fate(&main), fault("Divergent"));
}

#[test]
fn a_uniform_load_of_what_is_not_uniform_is_found() {
    let body = "var<workgroup> w: array<u32, 64>;";
    let shader = with(
        body,
        "w[lane] = lane; let x = workgroupUniformLoad(&w[lane]); results[id.x] = x;",
    );
    assert_eq!(fate(&shader), fault("Divergent"));
}

// ---- numbers ----

#[test]
fn dividing_by_zero_is_defined() {
    let main =
        main_of("let zero = numbers[0] - 1u; results[id.x] = (id.x + 1u) / zero + (id.x % zero);");
    assert_eq!(ends(&main), (1..=64).collect::<Vec<u32>>());
}

#[test]
fn the_least_integer_by_minus_one_is_defined() {
    let main = main_of(
        "let least = i32(numbers[0] << 31u); results[id.x] = u32(least / -i32(numbers[0])) + u32(least % -i32(numbers[0]));",
    );
    assert_eq!(ends(&main), [0x8000_0000; 64]);
}

#[test]
fn shifts_by_more_than_a_word_are_defined() {
    let main = main_of(
        "results[id.x] = (numbers[2] << (32u + numbers[0])) + (numbers[3] >> (numbers[0] + 64u));",
    );
    assert_eq!(ends(&main), [6 + 2; 64]);
}

#[test]
fn nan_and_infinity_do_not_exist() {
    let main = main_of(
        "let huge = bitcast<f32>(0x7f7fffffu & (numbers[0] * 0xffffffffu));
    let nan = bitcast<f32>(0x7fc00000u | numbers[0]);
    let inf = huge * huge;
    var n = 0u;
    if nan == nan { n += 1u; }
    if inf - inf == 0.0 { n += 2u; }
    if (inf + inf) == inf { n += 4u; }
    if sqrt(-1.0 * f32(numbers[0])) == 0.0 { n += 8u; }
    results[id.x] = n;",
    );
    assert_eq!(ends(&main), [15; 64]);
}

#[test]
fn sums_do_not_leave_the_range_however_often_they_are_doubled() {
    let main = main_of(
        "var x = 1.0e30 * f32(numbers[0]);
    for (var i = 0u; i < 200u; i++) { x += x; }
    results[id.x] = bitcast<u32>(x);",
    );
    assert_eq!(ends(&main), [0x7180_0000; 64]);
}

#[test]
fn subnormal_numbers_are_zero() {
    let main = main_of(
        "results[id.x] = bitcast<u32>(bitcast<f32>(numbers[4]) * 1.0) + bitcast<u32>(-0.0 * f32(numbers[0]));",
    );
    assert_eq!(ends(&main), [0; 64]);
}

// ---- size ----

#[test]
fn deep_brackets_are_refused_before_the_parser_sees_them() {
    let deep = format!(
        "results[id.x] = {}1u{};",
        "(".repeat(5_000),
        ")".repeat(5_000)
    );
    assert_eq!(fate(&main_of(&deep)), refused("nesting"));
}

#[test]
fn deep_blocks_are_refused() {
    let deep = format!(
        "{}results[id.x] = 1u;{}",
        "if id.x > 0u {".repeat(3_000),
        "}".repeat(3_000)
    );
    assert_eq!(fate(&main_of(&deep)), refused("nesting"));
}

#[test]
fn a_chain_of_a_hundred_thousand_operators_is_refused() {
    let chain = format!("results[id.x] = 1u{};", " + id.x".repeat(30_000));
    assert_eq!(fate(&main_of(&chain)), refused("nesting"));
}

#[test]
fn a_chain_of_thousands_of_else_is_refused() {
    let chain = format!(
        "if id.x == 0u {{ }}{} results[id.x] = 1u;",
        " else if id.x == 1u { }".repeat(5_000)
    );
    assert_eq!(fate(&main_of(&chain)), refused("nesting"));
}

#[test]
fn deep_unary_operators_are_refused() {
    let chain = format!("results[id.x] = {}id.x;", "~".repeat(100_000));
    assert_eq!(fate(&main_of(&chain)), refused("nesting"));
}

#[test]
fn deep_types_are_refused() {
    let ty = format!("{}u32{}", "array<".repeat(400), ", 2>".repeat(400));
    let deep = main_of(&format!("var x: {ty}; results[id.x] = 1u;"));
    assert_eq!(fate(&deep), refused("parse"));
}

#[test]
fn calls_that_double_at_every_level_are_refused() {
    let mut functions = String::from("fn f0(x: u32) -> u32 { return x * 3u + 1u; }\n");
    for i in 1..40 {
        functions += &format!(
            "fn f{i}(x: u32) -> u32 {{ return f{}(x) ^ f{}(x + 1u); }}\n",
            i - 1,
            i - 1
        );
    }
    let main = main_of("results[id.x] = f39(id.x);");
    assert_eq!(fate(&format!("{functions}{main}")), refused("size"));
}

#[test]
fn recursion_is_refused() {
    let body = "fn f(x: u32) -> u32 { if x == 0u { return 0u; } return f(x - 1u) + 1u; }";
    assert_eq!(
        fate(&with(body, "results[id.x] = f(id.x);")),
        refused("parse")
    );
}

#[test]
fn huge_arrays_are_refused() {
    let private = format!(
        "var<private> a: array<u32, 1000000>;\n{}",
        main_of("a[id.x] = 1u; results[id.x] = a[7];")
    );
    assert_eq!(fate(&private), refused("variables"));
    let local = main_of("var a: array<array<u32, 65535>, 65535>; results[id.x] = a[id.x][id.x];");
    assert_eq!(fate(&local), refused("validation"));
    let shared = format!(
        "var<workgroup> a: array<u32, 100000>;\n{}",
        main_of("a[lane] = 1u; results[id.x] = a[lane];")
    );
    assert_eq!(fate(&shared), refused("workgroup_memory"));
}

#[test]
fn huge_workgroups_are_refused() {
    let shader = "@group(0) @binding(0) var<storage, read_write> r: array<u32>;
@compute @workgroup_size(1024, 1024, 64) fn main() { r[0] = 1u; }";
    assert_eq!(fate_of(shader), refused("workgroup_size"));
}

#[test]
fn a_source_of_megabytes_is_refused() {
    let long = format!(
        "// {}\n{}",
        "x".repeat(1 << 20),
        main_of("results[id.x] = 1u;")
    );
    assert_eq!(fate(&long), refused("source_size"));
}

#[test]
fn what_is_copied_whole_has_an_end() {
    let body = "struct Big { a: array<array<u32, 32>, 32> }";
    let copies = "var a: Big; var b = a; b.a[id.x][3] = 5u; a = b; results[id.x] = a.a[id.x][3];";
    assert_eq!(ends(&with(body, copies))[..32], [5; 32]);
}

// ---- what is not computation on buffers ----

#[test]
fn textures_subgroups_and_half_floats_are_refused() {
    let texture = "@group(0) @binding(2) var t: texture_2d<f32>;";
    let shader = with(
        texture,
        "results[id.x] = u32(textureLoad(t, vec2(0, 0), 0).x);",
    );
    assert_eq!(fate(&shader), refused("type"));
    let sum = main_of("results[id.x] = subgroupAdd(id.x);");
    assert_eq!(fate(&sum), refused("subgroup"));
    let half = format!("enable f16;\n{}", main_of("results[id.x] = u32(f16(1.0));"));
    assert_eq!(fate_of(&half), refused("parse"));
}

#[test]
fn names_of_the_library_are_refused() {
    for name in ["c_add", "starling_output", "starling_main", "C_HUGE"] {
        let body = format!(
            "fn {name}(x: u32) -> u32 {{ return x; }}\n{}",
            main_of(&format!("results[id.x] = {name}(1u);"))
        );
        assert_eq!(fate(&body), refused("reserved_name"), "{name}");
    }
}

#[test]
fn what_is_not_declared_is_not_the_librarys() {
    assert_eq!(
        fate(&main_of(
            "starling_output[id.x + 5u] = 1u; results[id.x] = 1u;"
        )),
        refused("parse")
    );
    assert_eq!(
        fate(&main_of("results[id.x] = u32(c_add(1.0, 2.0));")),
        refused("parse")
    );
}
