// Twin of intersect.rs: rays against the hierarchy, four boxes or four triangles at a time.
// Plain arithmetic behind the contraction barrier: on the grid nothing can be subnormal, infinite or NaN.

struct Node {
    low: array<vec4<f32>, 3>,
    high: array<vec4<f32>, 3>,
    child: vec4<u32>,
    unused: vec4<u32>,
}

struct Block {
    corner: array<vec4<f32>, 3>,
    edge1: array<vec4<f32>, 3>,
    edge2: array<vec4<f32>, 3>,
}

struct Facet {
    normal: array<vec4<f32>, 3>,
    plane: vec3<f32>,
    material: u32,
}

@group(0) @binding(4) var<storage, read> nodes: array<Node>;
@group(0) @binding(5) var<storage, read> blocks: array<Block>;
@group(0) @binding(6) var<storage, read> facets: array<Facet>;

const LEAF = 0x80000000u;
const ABSENT = 0xffffffffu;
const NOTHING = 0xffffffffu;
const STACK = 64u;
const FAR = 1048576.0;

fn barrier4(x: vec4<f32>) -> vec4<f32> { return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) | vec4(c_zero)); }
fn add4(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return barrier4(a + b); }
fn sub4(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return barrier4(a - b); }
fn mul4(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return barrier4(a * b); }
fn max4(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return select(b, a, a > b); }
fn min4(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> { return select(b, a, a < b); }

struct Lanes3 {
    x: vec4<f32>,
    y: vec4<f32>,
    z: vec4<f32>,
}

fn dot4(a: Lanes3, b: Lanes3) -> vec4<f32> {
    return add4(add4(mul4(a.x, b.x), mul4(a.y, b.y)), mul4(a.z, b.z));
}

fn cross4(a: Lanes3, b: Lanes3) -> Lanes3 {
    return Lanes3(
        sub4(mul4(a.y, b.z), mul4(a.z, b.y)),
        sub4(mul4(a.z, b.x), mul4(a.x, b.z)),
        sub4(mul4(a.x, b.y), mul4(a.y, b.x)),
    );
}

struct Ray {
    origin: vec3<f32>,
    direction: vec3<f32>,
}

// Snaps both towards zero. The conversions are exact: what is cut off lies below the grid.
fn new_ray(origin: vec3<f32>, direction: vec3<f32>) -> Ray {
    let o = vec3<f32>(vec3<i32>(c3_scale(origin, 65536.0)));
    let d = vec3<f32>(vec3<i32>(c3_scale(direction, 1048576.0)));
    return Ray(c3_scale(o, 1.0 / 65536.0), c3_scale(d, 1.0 / 1048576.0));
}

struct Hit {
    facet: u32,
    // Distance; weights of the second and third corner.
    t: f32,
    u: f32,
    v: f32,
    // For shadow rays: glass surfaces crossed, and whether something opaque was met.
    glass: u32,
    opaque: bool,
}

// Distance at which a ray enters or leaves, per child, by one pair of planes.
fn slab(node: u32, axis: u32, low: bool, origin: f32, inverse: f32) -> vec4<f32> {
    let plane = select(nodes[node].high[axis], nodes[node].low[axis], low);
    return mul4(sub4(plane, vec4(origin)), vec4(inverse));
}

fn inverse_of(x: f32) -> f32 {
    if x == 0.0 {
        return 1099511627776.0;
    }
    return c_div(1.0, x);
}

// Both traversals of intersect.rs: the nearest hit if `ordered`, else whether `reach` is open.
fn walk(ray: Ray, reach: f32, ordered: bool) -> Hit {
    let o = ray.origin;
    let d = ray.direction;
    let inverse = vec3(inverse_of(d.x), inverse_of(d.y), inverse_of(d.z));
    let forward = inverse > vec3(0.0);
    let direction = Lanes3(vec4(d.x), vec4(d.y), vec4(d.z));
    var hit = Hit(NOTHING, reach, 0.0, 0.0, 0u, false);
    var stack: array<vec2<u32>, STACK>;
    var top = 0u;
    var next = 0u;
    loop {
        if (next & LEAF) == 0u {
            let enter = max4(
                max4(slab(next, 0u, forward.x, o.x, inverse.x), slab(next, 1u, forward.y, o.y, inverse.y)),
                max4(slab(next, 2u, forward.z, o.z, inverse.z), vec4(0.0)),
            );
            let leave = min4(
                min4(slab(next, 0u, !forward.x, o.x, inverse.x), slab(next, 1u, !forward.y, o.y, inverse.y)),
                min4(slab(next, 2u, !forward.z, o.z, inverse.z), vec4(hit.t)),
            );
            // Without the sign too, for a -0.
            var keys = (bitcast<vec4<u32>>(enter) & vec4(0x7ffffffcu)) | vec4(0u, 1u, 2u, 3u);
            keys = select(vec4(0xffffffffu), keys, enter <= leave);
            if ordered {
                keys = vec4(max(keys.xy, keys.zw), min(keys.xy, keys.zw));
                keys = vec4(max(keys.x, keys.y), min(keys.x, keys.y), max(keys.z, keys.w), min(keys.z, keys.w));
                keys = vec4(keys.x, max(keys.y, keys.z), min(keys.y, keys.z), keys.w);
            }
            let child = nodes[next].child;
            for (var i = 0u; i < 4u; i++) {
                let key = keys[i];
                if key != 0xffffffffu {
                    stack[top] = vec2(key, child[key & 3u]);
                    top += 1u;
                }
            }
        } else {
            let b = next & ~LEAF;
            let edge1 = Lanes3(blocks[b].edge1[0], blocks[b].edge1[1], blocks[b].edge1[2]);
            let edge2 = Lanes3(blocks[b].edge2[0], blocks[b].edge2[1], blocks[b].edge2[2]);
            let p = cross4(direction, edge2);
            var det = dot4(edge1, p);
            let s = Lanes3(
                sub4(vec4(o.x), blocks[b].corner[0]),
                sub4(vec4(o.y), blocks[b].corner[1]),
                sub4(vec4(o.z), blocks[b].corner[2]),
            );
            let q = cross4(s, edge1);
            let sign = select(vec4(1.0), vec4(-1.0), det < vec4(0.0));
            det = mul4(det, sign);
            let u = mul4(dot4(s, p), sign);
            let v = mul4(dot4(direction, q), sign);
            let t = mul4(dot4(edge2, q), sign);
            let inside = (u >= vec4(0.0)) & (v >= vec4(0.0)) & (add4(u, v) <= det) & (t > vec4(0.0)) & (det > vec4(0.0));
            if any(inside) {
                for (var lane = 0u; lane < 4u; lane++) {
                    if !inside[lane] || t[lane] >= mul4(vec4(hit.t), det)[lane] {
                        continue;
                    }
                    let number = 4u * b + lane;
                    if ordered {
                        let inv = c_div(1.0, c_load(bitcast<u32>(det[lane])));
                        let distance = c_mul(c_load(bitcast<u32>(t[lane])), inv);
                        if distance < hit.t {
                            hit.facet = number;
                            hit.t = distance;
                            hit.u = c_mul(c_load(bitcast<u32>(u[lane])), inv);
                            hit.v = c_mul(c_load(bitcast<u32>(v[lane])), inv);
                        }
                    } else if materials[facets[number].material].surface == GLASS {
                        hit.glass += 1u;
                    } else {
                        hit.opaque = true;
                        return hit;
                    }
                }
            }
        }
        loop {
            if top == 0u {
                return hit;
            }
            top -= 1u;
            let entry = stack[top];
            if bitcast<f32>(entry.x & ~3u) < hit.t {
                next = entry.y;
                break;
            }
        }
    }
    return hit;
}
