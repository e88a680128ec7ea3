//! Scene descriptions in TOML: camera, sun, sky, named materials and placed objects.
//!
//! `scenes/teapots.toml` is an example of every field. Unknown fields are refused, so that a typing error
//! does not pass for a default. Invariant: meshes that a description names lie in its own folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::shapes::{self, Mesh, unit};
use super::{Camera, Light, MAX_MATERIALS, Material, Scene, SceneError, Surface, length, sub};

/// Most objects of a description.
const MAX_OBJECTS: usize = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    camera: CameraEntry,
    sun: Option<SunEntry>,
    sky: SkyEntry,
    materials: BTreeMap<String, MaterialEntry>,
    objects: Vec<ObjectEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CameraEntry {
    eye: [f32; 3],
    target: [f32; 3],
    /// Vertical, in degrees.
    fov: f32,
    #[serde(default)]
    aperture: f32,
    focus: Option<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SunEntry {
    /// Towards the sun.
    direction: [f32; 3],
    irradiance: [f32; 3],
    /// Angular radius in degrees.
    radius: f32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkyEntry {
    zenith: [f32; 3],
    horizon: [f32; 3],
    ground: [f32; 3],
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Diffuse,
    Glazed,
    Metal,
    Glass,
    Emissive,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaterialEntry {
    kind: Kind,
    colour: [f32; 3],
    roughness: Option<f32>,
    ior: Option<f32>,
    strength: Option<f32>,
    checker: Option<[f32; 3]>,
    checker_size: Option<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectEntry {
    /// "teapot", "sphere", "plane", or a file in the description's folder.
    mesh: String,
    material: String,
    scale: Option<Scale>,
    /// Degrees about x, then y, then z.
    #[serde(default)]
    rotate: [f32; 3],
    #[serde(default)]
    translate: [f32; 3],
    /// Cut every edge in so many pieces and round them by the normals.
    rounded: Option<u32>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
enum Scale {
    Same(f32),
    Each([f32; 3]),
}

/// Reads a description; without a folder, only built-in meshes.
pub(super) fn parse(text: &str, folder: Option<&Path>) -> Result<Scene, SceneError> {
    let d: Description = toml::from_str(text).map_err(|e| SceneError::malformed("TOML", e))?;
    super::cap("materials", d.materials.len(), MAX_MATERIALS)?;
    super::cap("objects", d.objects.len(), MAX_OBJECTS)?;
    let names: Vec<&String> = d.materials.keys().collect();
    let mut scene = Scene {
        camera: camera(&d.camera)?,
        light: light(&d)?,
        materials: d.materials.values().map(material).collect(),
        positions: Vec::new(),
        normals: Vec::new(),
        triangles: Vec::new(),
        dropped_faces: 0,
    };
    let mut meshes: BTreeMap<&str, Mesh> = BTreeMap::new();
    for object in &d.objects {
        let Some(with) = names.iter().position(|n| **n == object.material) else {
            return Err(SceneError::value(
                format!("material {:?}", object.material),
                "is not defined; add it below [materials]",
            ));
        };
        if !meshes.contains_key(object.mesh.as_str()) {
            meshes.insert(&object.mesh, mesh(&object.mesh, folder)?);
        }
        let placed = place(&meshes[object.mesh.as_str()], object)?;
        scene.add(&placed, Some(with as u32))?;
    }
    scene.validate()?;
    Ok(scene)
}

fn camera(entry: &CameraEntry) -> Result<Camera, SceneError> {
    super::in_range("camera.fov", entry.fov, 0.2, 168.0)?;
    let pinhole = Camera::pinhole(entry.eye, entry.target, entry.fov);
    let focus = entry.focus.unwrap_or(length(sub(entry.target, entry.eye)));
    Ok(Camera {
        aperture: entry.aperture,
        focus,
        ..pinhole
    })
}

fn light(d: &Description) -> Result<Light, SceneError> {
    let SkyEntry {
        zenith,
        horizon,
        ground,
    } = d.sky;
    let mut light = Light {
        zenith,
        horizon,
        ground,
        sun_irradiance: [0.0; 3],
        ..Light::afternoon()
    };
    if let Some(sun) = &d.sun {
        super::in_range("sun.radius", sun.radius, 0.01, 26.0)?;
        light.sun_size = sun.radius.to_radians().tan();
        light.sun_irradiance = sun.irradiance;
        light.sun_direction = unit(sun.direction)
            .ok_or_else(|| SceneError::value("sun.direction", "must not be zero"))?;
    }
    Ok(light)
}

fn material(entry: &MaterialEntry) -> Material {
    let surface = match entry.kind {
        Kind::Diffuse => Surface::Diffuse,
        Kind::Glazed => Surface::Glazed,
        Kind::Metal => Surface::Metal,
        Kind::Glass => Surface::Glass,
        Kind::Emissive => Surface::Emissive,
    };
    Material {
        surface,
        colour: entry.colour,
        roughness: entry.roughness.unwrap_or(0.2),
        ior: entry.ior.unwrap_or(1.5),
        strength: entry.strength.unwrap_or(1.0),
        checker: entry.checker.unwrap_or(entry.colour),
        checker_size: entry
            .checker_size
            .unwrap_or(if entry.checker.is_some() { 1.0 } else { 0.0 }),
    }
}

fn mesh(name: &str, folder: Option<&Path>) -> Result<Mesh, SceneError> {
    match (name, folder) {
        ("teapot", _) => shapes::teapot(),
        ("sphere", _) => shapes::sphere(),
        ("plane", _) => shapes::plane(),
        (file, Some(folder)) => {
            let path = super::inside(folder, file)?;
            let bytes = super::read(&path)?;
            let folder = path.parent().unwrap_or(folder);
            match path.extension().and_then(|e| e.to_str()) {
                Some("obj") => super::obj::parse(&bytes, folder),
                Some("glb" | "gltf") => super::gltf::parse(&bytes, folder),
                _ => Err(SceneError::Format(path)),
            }
        }
        (other, None) => Err(SceneError::Outside(other.to_owned())),
    }
}

/// The mesh rounded, scaled, turned and moved.
fn place(mesh: &Mesh, object: &ObjectEntry) -> Result<Mesh, SceneError> {
    let scale = match object.scale.unwrap_or(Scale::Same(1.0)) {
        Scale::Same(s) => [s; 3],
        Scale::Each(s) => s,
    };
    for s in scale {
        super::in_range("object scale", s, 1e-6, 1e6)?;
    }
    let mut out = mesh.rounded(object.rounded.unwrap_or(1).min(1024))?;
    let turn = |v: [f32; 3]| {
        object
            .rotate
            .iter()
            .enumerate()
            .fold(v, |v, (axis, degrees)| {
                let (sin, cos) = degrees.to_radians().sin_cos();
                let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
                let mut r = v;
                r[a] = v[a] * cos - v[b] * sin;
                r[b] = v[a] * sin + v[b] * cos;
                r
            })
    };
    for p in &mut out.positions {
        let r = turn([0, 1, 2].map(|k| p[k] * scale[k]));
        *p = [0, 1, 2].map(|k| r[k] + object.translate[k]);
    }
    for n in &mut out.normals {
        *n = unit(turn([0, 1, 2].map(|k| n[k] / scale[k]))).unwrap_or(*n);
    }
    Ok(out)
}
