//! The path tracer's CPU side, its parameters and the film.

#[path = "support/random.rs"]
mod random;
mod render_scenes;

use random::Random;
use starling_kernels::film::{Film, FilmError};
use starling_kernels::render::scene::{self, Camera, Light, Material, Scene};
use starling_kernels::render::{Bvh, PathTracer, Render, RenderParams, TILE_BYTES};
use starling_kernels::{Kernel, Prepared};

fn tracer(params: &RenderParams, scene: &Scene) -> PathTracer {
    PathTracer::new(params, scene).expect("a valid job")
}

fn all_tiles(tracer: &PathTracer) -> Vec<u8> {
    tracer.run(&(0..tracer.shape().tiles).collect::<Vec<_>>())
}

fn small() -> RenderParams {
    RenderParams {
        width: 50,
        height: 38,
        passes: 2,
        spp_per_pass: 2,
        ..RenderParams::bundled()
    }
}

#[test]
fn any_tile_alone_equals_the_whole() {
    let mut random = Random::fresh();
    let scene = scene::bundled();
    let tracer = tracer(&small(), &scene);
    let whole = all_tiles(&tracer);
    let (params, blob) = (small().to_bytes(), scene.to_bytes());
    let again = Render
        .prepare(&params, &[blob.into()])
        .expect("from the blob");
    for _ in 0..20 {
        let tile = random.below(again.shape().tiles);
        let mut out = vec![0; TILE_BYTES as usize];
        again.tile(tile, &mut out);
        let at = tile as usize * TILE_BYTES as usize;
        assert_eq!(out, whole[at..][..TILE_BYTES as usize], "tile {tile}");
    }
}

#[test]
fn pixels_outside_are_zeros() {
    let params = RenderParams {
        width: 17,
        height: 3,
        passes: 1,
        ..small()
    };
    let bytes = all_tiles(&tracer(&params, &scene::bundled()));
    let pixel = |tile: usize, x: usize, y: usize| {
        &bytes[tile * TILE_BYTES as usize + (y * 16 + x) * 12..][..12]
    };
    assert!(pixel(1, 0, 0).iter().any(|&b| b != 0));
    for (x, y) in [(1, 0), (15, 2), (0, 3), (15, 15)] {
        assert!(pixel(1, x, y).iter().all(|&b| b == 0), "{x}, {y}");
    }
}

#[test]
fn radiance_is_finite_on_random_scenes() {
    let mut random = Random::fresh();
    for _ in 0..60 {
        let scene = render_scenes::scene(&mut random);
        let params = render_scenes::params(&mut random);
        let bytes = all_tiles(&tracer(&params, &scene));
        let words = bytes
            .chunks_exact(4)
            .map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]]));
        assert!(
            words
                .into_iter()
                .all(|v| v.is_finite() && v >= 0.0 && v.to_bits() != 1 << 31)
        );
    }
}

/// A closed white box lit by nothing but a white sky outside of it, or objects in that sky: white stays white.
#[test]
fn white_furnace() {
    let sky = Light {
        sun_direction: [0.0, 1.0, 0.0],
        sun_irradiance: [0.0; 3],
        sun_size: 0.01,
        zenith: [1.0; 3],
        horizon: [1.0; 3],
        ground: [1.0; 3],
    };
    let bundled = scene::bundled();
    let camera = Camera::pinhole([0.0, 1.0, 5.0], [0.0, 0.5, 0.0], 40.0);
    let mut scene = Scene {
        light: sky,
        camera,
        ..bundled
    };
    let white = Material {
        surface: scene::Surface::Diffuse,
        ..Material::diffuse([1.0; 3])
    };
    let params = RenderParams {
        width: 64,
        height: 48,
        passes: 4,
        spp_per_pass: 16,
        max_bounces: 32,
        ..small()
    };
    let mean = |scene: &Scene| {
        let mut film = Film::new(&params);
        for (tile, bytes) in all_tiles(&tracer(&params, scene))
            .chunks_exact(TILE_BYTES as usize)
            .enumerate()
        {
            film.add_tile(tile as u32, bytes).expect("a tile");
        }
        let pixels = (0..params.height).flat_map(|y| (0..params.width).map(move |x| (x, y)));
        pixels
            .map(|(x, y)| f64::from(film.radiance(x, y)[1]))
            .sum::<f64>()
            / f64::from(params.width * params.height)
    };
    scene.materials = vec![white; scene.materials.len()];
    let diffuse = mean(&scene);
    assert!(
        (0.97..=1.003).contains(&diffuse),
        "diffuse white returns {diffuse}"
    );
    // One triangle of the sum over surfaces each: nobody invents light.
    for (surface, low) in [
        (scene::Surface::Glazed, 0.95),
        (scene::Surface::Metal, 0.85),
        (scene::Surface::Glass, 0.9),
    ] {
        for roughness in [0.0, 0.4] {
            scene.materials = vec![
                Material {
                    surface,
                    roughness,
                    ..white
                };
                scene.materials.len()
            ];
            let value = mean(&scene);
            assert!(
                (low..=1.003).contains(&value),
                "{surface:?} of roughness {roughness} returns {value}"
            );
        }
    }
}

#[test]
fn hierarchy_is_the_same_every_time_and_bounded() {
    let scene = scene::bundled();
    let bvh = Bvh::build(&scene);
    assert_eq!(bvh, Bvh::build(&scene));
    // Many triangles in one place cannot be split by cost.
    let mut piled = scene.clone();
    let [a, b, c, m] = piled.triangles[0];
    piled.triangles = vec![[a, b, c, m]; 100_000];
    let bvh = Bvh::build(&piled);
    let mut deepest = 0;
    let mut open = vec![(0u32, 1)];
    while let Some((node, level)) = open.pop() {
        deepest = deepest.max(level);
        open.extend(
            bvh.nodes[node as usize]
                .child
                .iter()
                .filter(|&&c| c >> 31 == 0)
                .map(|&c| (c, level + 1)),
        );
    }
    assert!(deepest <= 19, "{deepest} levels");
}

#[test]
fn parameters_from_strangers() {
    let mut random = Random::fresh();
    for _ in 0..200 {
        let params = render_scenes::params(&mut random);
        let bytes = params.to_bytes();
        assert_eq!(RenderParams::from_bytes(&bytes), Ok(params));
        for length in 0..bytes.len() {
            assert!(RenderParams::from_bytes(&bytes[..length]).is_err());
        }
        let mut changed = bytes.clone();
        changed[random.below(bytes.len() as u32) as usize] ^= 1 << random.below(8);
        if let Ok(read) = RenderParams::from_bytes(&changed) {
            assert_eq!(read.to_bytes(), changed);
        }
    }
    let refuse = |change: fn(&mut RenderParams)| {
        let mut params = RenderParams::bundled();
        change(&mut params);
        assert!(
            RenderParams::from_bytes(&params.to_bytes()).is_err(),
            "{params:?}"
        );
    };
    refuse(|p| p.width = 0);
    refuse(|p| (p.width, p.height) = (u32::MAX, u32::MAX));
    refuse(|p| p.passes = 0);
    refuse(|p| p.passes = u32::MAX);
    refuse(|p| p.spp_per_pass = 65);
    refuse(|p| p.max_bounces = 33);
    refuse(|p| p.camera = Some(Camera::pinhole([f32::NAN; 3], [0.0; 3], 40.0)));
    let blob: std::sync::Arc<[u8]> = scene::bundled().to_bytes().into();
    let params = RenderParams::bundled().to_bytes();
    assert!(Render.shape(&params, &[]).is_err());
    assert!(
        Render
            .shape(&params, &[blob.clone(), blob.clone()])
            .is_err()
    );
    assert!(Render.shape(&params, &[blob[1..].into()]).is_err());
    let shape = Render.shape(&params, &[blob]).expect("the bundled job");
    assert_eq!(shape.tiles, 40 * 23 * 16);
}

#[test]
fn pictures_do_not_depend_on_the_order_of_tiles() {
    let mut random = Random::fresh();
    let params = small();
    let bytes = all_tiles(&tracer(&params, &scene::bundled()));
    let tiles: Vec<&[u8]> = bytes.chunks_exact(TILE_BYTES as usize).collect();
    let mut order: Vec<u32> = (0..tiles.len() as u32).collect();
    let picture = |order: &[u32]| {
        let mut film = Film::new(&params);
        for &tile in order {
            film.png().expect("a partial film has a picture");
            film.add_tile(tile, tiles[tile as usize]).expect("a tile");
        }
        assert!(film.is_complete());
        (film.png().expect("a PNG"), film.exr().expect("an EXR"))
    };
    let first = picture(&order);
    for i in (1..order.len()).rev() {
        order.swap(i, random.below(i as u32 + 1) as usize);
    }
    assert_eq!(picture(&order), first);
    assert!(first.0.starts_with(b"\x89PNG") && first.1.starts_with(&[0x76, 0x2f, 0x31, 0x01]));
}

/// Two greys and a colour of known codes, through the whole encoder.
#[test]
fn png_bytes_are_golden() {
    let params = RenderParams {
        width: 16,
        height: 16,
        passes: 1,
        spp_per_pass: 1,
        ..small()
    };
    let mut film = Film::new(&params);
    let values: Vec<u8> = (0..16 * 16 * 3u32)
        .flat_map(|i| (i as f32 / 256.0).to_le_bytes())
        .collect();
    film.add_tile(0, &values).expect("a tile");
    let png = film.png().expect("a PNG");
    assert_eq!(
        blake3::hash(&film.rgb8()).to_hex().as_str(),
        RGB8,
        "tone curve and sRGB"
    );
    assert_eq!(
        blake3::hash(&png).to_hex().as_str(),
        PNG,
        "encoder settings"
    );
}

const RGB8: &str = "fc659997970e0313f725402c98efdd2e75e4c34c91bbbc736d887171e0fb5a26";
const PNG: &str = "338e096673114d6d709e0f488f5e7eda8b5777f08c1e5c4bc326d30f7e67007c";

#[test]
fn film_refuses_what_is_no_tile() {
    let mut film = Film::new(&small());
    let tile = vec![0; TILE_BYTES as usize];
    assert!(matches!(
        film.add_tile(24, &tile),
        Err(FilmError::NoSuchTile(24))
    ));
    assert!(matches!(
        film.add_tile(0, &tile[1..]),
        Err(FilmError::Malformed(0))
    ));
    for bad in [f32::NAN, f32::INFINITY, -1.0] {
        let mut bytes = tile.clone();
        bytes[8..12].copy_from_slice(&bad.to_le_bytes());
        assert!(
            matches!(film.add_tile(0, &bytes), Err(FilmError::Malformed(0))),
            "{bad}"
        );
    }
    film.add_tile(0, &tile).expect("a tile");
    assert!(matches!(film.add_tile(0, &tile), Err(FilmError::Twice(0))));
    assert_eq!((film.tiles(), film.is_complete()), (1, false));
}
