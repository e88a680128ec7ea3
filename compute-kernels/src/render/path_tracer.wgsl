// Twin of path_tracer.rs: the same functions with the same operations in the same order.

struct Setup {
    // Width, height, tiles in a row, tiles in a pass.
    size: vec4<u32>,
    // Samples in a pass, bounces, seed.
    sampling: vec4<u32>,
    // Lamps, whether there is a sun.
    counts: vec4<u32>,
    centre: vec4<f32>,
    eye: vec4<f32>,
    forward: vec4<f32>,
    right: vec4<f32>,
    up: vec4<f32>,
    lens_right: vec4<f32>,
    lens_up: vec4<f32>,
    zenith: vec4<f32>,
    horizon: vec4<f32>,
    ground: vec4<f32>,
    sun: vec4<f32>,
    sun_disc: vec4<f32>,
    sun_right: vec4<f32>,
    sun_up: vec4<f32>,
    irradiance: vec4<f32>,
}

struct Material {
    colour: vec4<f32>,
    checker: vec4<f32>,
    emission: vec4<f32>,
    surface: u32,
    alpha: f32,
    ior: f32,
    inverse_ior: f32,
}

struct Emitter {
    corner: vec3<f32>,
    below: u32,
    edge1: vec4<f32>,
    edge2: vec4<f32>,
    plane: vec4<f32>,
    power: vec4<f32>,
}

@group(0) @binding(2) var<storage, read> setup: Setup;
@group(0) @binding(3) var<storage, read> materials: array<Material>;
@group(0) @binding(7) var<storage, read> emitters: array<Emitter>;

const GLAZED = 1u;
const METAL = 2u;
const GLASS = 3u;
const EMISSIVE = 4u;
const TAU = 6.28318530718;
const PI = 3.14159265359;
const INVERSE_PI = 0.318309886184;
const GLASS_SHADOW = 0.85;
const CLAMP = 4.0;

struct Point {
    at: vec3<f32>,
    normal: vec3<f32>,
    plane: vec3<f32>,
}

fn unit(x: u32) -> f32 {
    return c_mul(f32(x >> 8u), 1.0 / 16777216.0);
}

fn mix3(a: vec3<f32>, b: vec3<f32>, t: f32) -> vec3<f32> {
    return c3_add(a, c3_scale(c3_sub(b, a), t));
}

fn schlick(x: f32) -> f32 {
    let m = c_max(c_sub(1.0, x), 0.0);
    let m2 = c_mul(m, m);
    return c_mul(c_mul(m2, m2), m);
}

// Radius times cosine and sine of a random angle.
fn around(radius: f32, r: u32) -> vec2<f32> {
    let angle = c_mul(TAU, unit(r));
    return vec2(c_mul(radius, c_cos(angle)), c_mul(radius, c_sin(angle)));
}

fn sphere(r: vec2<u32>) -> vec3<f32> {
    let z = c_sub(1.0, c_mul(2.0, unit(r.x)));
    let radius = c_sqrt(c_max(c_sub(1.0, c_mul(z, z)), 0.0));
    return vec3(around(radius, r.y), z);
}

fn disc(r: vec2<u32>) -> vec2<f32> {
    return around(c_sqrt(unit(r.x)), r.y);
}

fn half_vector(w: vec3<f32>, n: vec3<f32>, alpha: f32, r: vec2<u32>) -> vec3<f32> {
    let cosine = c3_dot(w, n);
    let along = c3_scale(n, cosine);
    let stretched = c3_normalize(c3_add(c3_scale(c3_sub(w, along), alpha), along));
    let z0 = c3_dot(stretched, n);
    let z = c_sub(c_mul(c_sub(1.0, unit(r.x)), c_add(1.0, z0)), z0);
    let radius = c_sqrt(c_max(c_sub(1.0, c_mul(z, z)), 0.0));
    let pole = select(1.0, -1.0, n.z < 0.0);
    let cap = vec3(around(radius, r.y), c_mul(pole, z));
    let axis = vec3(n.x, n.y, c_add(n.z, pole));
    let turned = c3_sub(c3_scale(axis, c_div(c3_dot(axis, cap), c_mul(pole, axis.z))), cap);
    let m = c3_add(turned, stretched);
    let up = c3_scale(n, c3_dot(m, n));
    return c3_normalize(c3_add(c3_scale(c3_sub(m, up), alpha), up));
}

fn smith(x: f32, a2: f32) -> f32 {
    return c_div(c_add(x, x), c_add(x, c_sqrt(c_add(a2, c_mul(c_sub(1.0, a2), c_mul(x, x))))));
}

fn ggx(w: vec3<f32>, l: vec3<f32>, n: vec3<f32>, alpha: f32) -> f32 {
    let h = c3_normalize(c3_add(w, l));
    let nh = c_max(c3_dot(n, h), 0.0);
    let nw = c_max(c3_dot(n, w), 1e-3);
    let nl = c_max(c3_dot(n, l), 0.0);
    let a2 = c_mul(alpha, alpha);
    let k = c_add(c_mul(c_mul(nh, nh), c_sub(a2, 1.0)), 1.0);
    let d = c_div(a2, c_max(c_mul(c_mul(k, k), PI), 1e-9));
    return c_div(c_mul(d, c_mul(smith(nw, a2), smith(nl, a2))), c_mul(4.0, nw));
}

fn camera_ray(x: u32, y: u32, s: Sampler) -> Ray {
    let jitter = sample_pair(s, 0u);
    let px = c_sub(c_add(f32(x), unit(jitter.x)), setup.centre.x);
    let py = c_sub(setup.centre.y, c_add(f32(y), unit(jitter.y)));
    let focal = c3_add(setup.forward.xyz, c3_add(c3_scale(setup.right.xyz, px), c3_scale(setup.up.xyz, py)));
    var eye = vec3(0.0);
    if setup.eye.w > 0.0 {
        let lens = disc(sample_pair(s, 1u));
        eye = c3_add(c3_scale(setup.lens_right.xyz, lens.x), c3_scale(setup.lens_up.xyz, lens.y));
    }
    return new_ray(c3_add(setup.eye.xyz, eye), c3_normalize(c3_sub(focal, eye)));
}

fn sky(d: vec3<f32>, with_sun: bool) -> vec3<f32> {
    if d.y < 0.0 {
        return mix3(setup.horizon.xyz, setup.ground.xyz, c_min(c_mul(d.y, -8.0), 1.0));
    }
    let a = c_sub(1.0, d.y);
    let a2 = c_mul(a, a);
    let a4 = c_mul(a2, a2);
    let gradient = mix3(setup.zenith.xyz, setup.horizon.xyz, c_mul(a4, a4));
    if with_sun && c3_dot(d, setup.sun.xyz) > setup.sun_disc.w {
        return c3_add(gradient, setup.sun_disc.xyz);
    }
    return gradient;
}

fn offset(point: Point, side: f32) -> vec3<f32> {
    let a = abs(point.at);
    let step = c_add(1.0 / 4096.0, c_mul(c_max(c_max(a.x, a.y), a.z), 1.0 / 262144.0));
    return c3_add(point.at, c3_scale(point.plane, select(step, c_neg(step), side < 0.0)));
}

fn clamp_light(light: vec3<f32>, bounce: u32) -> vec3<f32> {
    return select(c3_min(light, vec3(CLAMP)), light, bounce == 0u);
}

fn surface_colour(m: u32, at: vec3<f32>) -> vec3<f32> {
    let scale = materials[m].checker.w;
    if scale > 0.0 {
        let x = c_to_u32(c_add(c_mul(at.x, scale), 65536.5));
        let z = c_to_u32(c_add(c_mul(at.z, scale), 65536.5));
        if ((x + z) & 1u) == 1u {
            return materials[m].checker.xyz;
        }
    }
    return materials[m].colour.xyz;
}

fn to_sun(r: vec2<u32>) -> vec3<f32> {
    let p = disc(r);
    return c3_normalize(c3_add(setup.sun.xyz, c3_add(c3_scale(setup.sun_right.xyz, p.x), c3_scale(setup.sun_up.xyz, p.y))));
}

// Light on its way to a point: from where, from how far, and what it brings if nothing is in between.
struct Arrival {
    direction: vec3<f32>,
    distance: f32,
    light: vec3<f32>,
}

fn no_arrival() -> Arrival {
    return Arrival(vec3(0.0), 0.0, vec3(0.0));
}

fn faces(point: Point, direction: vec3<f32>) -> bool {
    return c3_dot(point.normal, direction) > 0.0 && c3_dot(point.plane, direction) > 0.0;
}

fn sunlight(point: Point, view: vec3<f32>, r: vec2<u32>, colour: vec3<f32>, alpha: f32) -> Arrival {
    let sun = to_sun(r);
    if setup.counts.y == 0u || !faces(point, sun) {
        return no_arrival();
    }
    let vh = c3_dot(view, c3_normalize(c3_add(view, sun)));
    let fresnel = mix3(colour, vec3(1.0), schlick(vh));
    let light = c3_scale(c3_mul(fresnel, setup.irradiance.xyz), ggx(view, sun, point.normal, alpha));
    return Arrival(sun, FAR, light);
}

fn direct(point: Point, spread: vec2<u32>, choice: u32) -> Arrival {
    var pick = choice;
    let lamps = setup.counts.x != 0u;
    let sun = setup.counts.y != 0u;
    var share = INVERSE_PI;
    var use_sun = sun;
    if sun && lamps {
        use_sun = (pick >> 31u) == 0u;
        pick <<= 1u;
        share = c_add(share, share);
    }
    if use_sun {
        let direction = to_sun(spread);
        if !faces(point, direction) {
            return no_arrival();
        }
        let cosine = c3_dot(point.normal, direction);
        return Arrival(direction, FAR, c3_scale(setup.irradiance.xyz, c_mul(cosine, share)));
    }
    if !lamps {
        return no_arrival();
    }
    var low = 0u;
    var high = setup.counts.x - 1u;
    while low < high {
        let middle = (low + high) / 2u;
        if pick < emitters[middle].below {
            high = middle;
        } else {
            low = middle + 1u;
        }
    }
    let root = c_sqrt(unit(spread.x));
    let b = c_mul(root, unit(spread.y));
    let on_lamp = c3_add(
        emitters[low].corner,
        c3_add(c3_scale(emitters[low].edge1.xyz, c_sub(1.0, root)), c3_scale(emitters[low].edge2.xyz, b)),
    );
    let towards = c3_sub(on_lamp, point.at);
    let square = c_max(c3_dot(towards, towards), 1e-4);
    let distance = c_sqrt(square);
    let direction = c3_scale(towards, c_div(1.0, distance));
    if !faces(point, direction) {
        return no_arrival();
    }
    let cosine = c3_dot(point.normal, direction);
    let facing = c_abs(c3_dot(emitters[low].plane.xyz, direction));
    let light = c3_scale(emitters[low].power.xyz, c_mul(c_mul(cosine, share), c_div(facing, square)));
    return Arrival(direction, c_mul(distance, 0.999), light);
}

fn openness(point: Point, direction: vec3<f32>, distance: f32) -> f32 {
    let hit = walk(new_ray(offset(point, 1.0), direction), distance, false);
    if hit.opaque {
        return 0.0;
    }
    var open = 1.0;
    for (var i = 0u; i < min(hit.glass, 8u); i++) {
        open = c_mul(open, GLASS_SHADOW);
    }
    return open;
}

fn radiance(first_ray: Ray, s: Sampler) -> vec3<f32> {
    var ray = first_ray;
    var light = vec3(0.0);
    var weight = vec3(1.0);
    var sees_sun = true;
    var sees_lamps = true;
    for (var bounce = 0u; bounce <= setup.sampling.y; bounce++) {
        let hit = walk(ray, FAR, true);
        if hit.facet == NOTHING {
            return c3_add(light, clamp_light(c3_mul(weight, sky(ray.direction, sees_sun)), bounce));
        }
        let m = facets[hit.facet].material;
        let surface = materials[m].surface;
        if surface == EMISSIVE {
            if sees_lamps {
                light = c3_add(light, clamp_light(c3_mul(weight, materials[m].emission.xyz), bounce));
            }
            return light;
        }
        if bounce == setup.sampling.y {
            return light;
        }
        let view = c3_neg(ray.direction);
        var plane = facets[hit.facet].plane;
        let inside = c3_dot(plane, view) < 0.0;
        var normal = c3_normalize(c3_add(
            c3_add(
                c3_scale(facets[hit.facet].normal[0].xyz, c_sub(c_sub(1.0, hit.u), hit.v)),
                c3_scale(facets[hit.facet].normal[1].xyz, hit.u),
            ),
            c3_scale(facets[hit.facet].normal[2].xyz, hit.v),
        ));
        if inside {
            plane = c3_neg(plane);
            normal = c3_neg(normal);
        }
        if c3_dot(normal, view) < 1e-3 {
            normal = plane;
        }
        let point = Point(c3_add(ray.origin, c3_scale(ray.direction, hit.t)), normal, plane);
        let cosine = c_max(c3_dot(normal, view), 0.0);
        let first = 2u + 3u * bounce;
        let lobe = sample_pair(s, first);
        let choice = sample_pair(s, first + 1u);
        let colour = surface_colour(m, point.at);
        var direction = c3_sub(c3_scale(normal, c_add(cosine, cosine)), view);
        var arrival = no_arrival();
        if surface == GLASS {
            let eta = select(materials[m].inverse_ior, materials[m].ior, inside);
            let k = c_sub(1.0, c_mul(c_mul(eta, eta), c_sub(1.0, c_mul(cosine, cosine))));
            var reflected = 1.0;
            let other = c_sqrt(c_max(k, 0.0));
            let along = c_mul(eta, cosine);
            if k > 0.0 {
                let across = c_mul(eta, other);
                let rs = c_div(c_sub(along, other), c_add(along, other));
                let rp = c_div(c_sub(cosine, across), c_add(cosine, across));
                reflected = c_mul(c_add(c_mul(rs, rs), c_mul(rp, rp)), 0.5);
            }
            if unit(choice.x) >= reflected {
                direction = c3_sub(c3_scale(normal, c_sub(along, other)), c3_scale(view, eta));
                weight = c3_mul(weight, colour);
            }
        } else if surface == METAL && materials[m].alpha > 0.0 {
            let alpha = materials[m].alpha;
            arrival = sunlight(point, view, choice, colour, alpha);
            arrival.light = c3_mul(weight, arrival.light);
            let h = half_vector(view, normal, alpha, lobe);
            let vh = c_max(c3_dot(view, h), 0.0);
            direction = c3_sub(c3_scale(h, c_add(vh, vh)), view);
            let nl = c_max(c3_dot(normal, direction), 0.0);
            let fresnel = mix3(colour, vec3(1.0), schlick(vh));
            weight = c3_scale(c3_mul(weight, fresnel), smith(nl, c_mul(alpha, alpha)));
            sees_sun = false;
            sees_lamps = true;
        } else if surface == METAL {
            weight = c3_mul(weight, mix3(colour, vec3(1.0), schlick(cosine)));
            sees_lamps = true;
        } else {
            let coat = c_add(0.04, c_mul(0.96, schlick(cosine)));
            if surface == GLAZED && unit(choice.x) < coat {
                sees_lamps = true;
            } else {
                weight = c3_mul(weight, colour);
                arrival = direct(point, sample_pair(s, first + 2u), choice.y);
                arrival.light = c3_mul(weight, arrival.light);
                let towards = c3_add(normal, sphere(lobe));
                direction = select(normal, towards, c3_dot(towards, towards) > 1e-6);
                sees_sun = false;
                sees_lamps = false;
            }
        }
        if any(arrival.light > vec3(0.0)) {
            let open = openness(point, arrival.direction, arrival.distance);
            light = c3_add(light, clamp_light(c3_scale(arrival.light, open), bounce));
        }
        if bounce >= 2u {
            let q = c_min(c_max(c_max(weight.x, weight.y), weight.z), 0.95);
            if unit(sample_single(s, first)) >= q {
                return light;
            }
            weight = c3_scale(weight, c_div(1.0, q));
        }
        direction = c3_normalize(direction);
        let side = c3_dot(direction, plane);
        if side <= 0.0 && surface != GLASS {
            return light;
        }
        ray = new_ray(offset(point, side), direction);
    }
    return light;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    c_zero = dispatch.zero;
    let tile = dispatch_tile(group);
    let pass_number = tile / setup.size.w;
    let position = tile % setup.size.w;
    let i = group.y * 64u + local;
    let x = position % setup.size.z * 16u + i % 16u;
    let y = position / setup.size.z * 16u + i / 16u;
    var sum = vec3(0.0);
    if x < setup.size.x && y < setup.size.y {
        for (var n = 0u; n < setup.sampling.x; n++) {
            let s = new_sampler(setup.sampling.zw, y * setup.size.x + x, pass_number * setup.sampling.x + n);
            sum = c3_add(sum, radiance(camera_ray(x, y, s), s));
        }
    }
    let at = dispatch_offset(group) + 3u * i;
    output[at] = c_store(sum.x);
    output[at + 1u] = c_store(sum.y);
    output[at + 2u] = c_store(sum.z);
}
