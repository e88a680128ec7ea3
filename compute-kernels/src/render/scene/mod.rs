//! A scene as the path tracer sees it: triangles, materials, a camera, one sun and a sky.
//!
//! Scenes come from files ([`load`]) or from the binary itself ([`bundled`]) and travel between peers as
//! one canonical blob ([`Scene::to_bytes`], [`Scene::from_bytes`]), a job's only input. No textures, no
//! animation. Invariant: a `Scene` that these functions return has passed [`Scene::validate`], so that
//! nothing in it can make the tracer divide by zero, overflow or run out of memory.

mod blob;
mod describe;
mod gltf;
mod obj;
mod shapes;

use std::path::{Path, PathBuf};

pub use blob::BLOB_VERSION;

/// Most triangles in a scene: what fits a default 128 MiB binding with its acceleration structure.
pub const MAX_TRIANGLES: usize = 1 << 19;
/// Most vertices in a scene.
pub const MAX_VERTICES: usize = 3 * MAX_TRIANGLES;
/// Most materials in a scene.
pub const MAX_MATERIALS: usize = 1024;
/// Largest absolute coordinate; beyond it 24-bit floats are too coarse for the tracer's grid.
pub const MAX_COORDINATE: f32 = 1024.0;
/// Largest file that a loader reads, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// Albedo of faces without a material: fired clay.
const UNNAMED: [f32; 3] = [0.55, 0.36, 0.25];

/// Why a scene was refused. Every message names the fix.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// The file or one that it names cannot be read.
    #[error("cannot read {path}: {source}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Neither .obj, .glb, .gltf nor .toml.
    #[error("{0}: unknown scene format; give a .obj, .glb, .gltf or .toml file")]
    Format(PathBuf),
    /// More bytes than a loader reads.
    #[error(
        "{path} has {bytes} bytes, the limit is {MAX_FILE_BYTES}; decimate the mesh or split it"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A count is above its limit.
    #[error("{count} {what}, the limit is {limit}; decimate the mesh")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// How many.
        count: u64,
        /// The cap.
        limit: u64,
    },
    /// A file names another one outside of its own folder, or on the network.
    #[error(
        "{0:?} is not a relative path inside the scene's folder; copy the file there and name it so"
    )]
    Outside(String),
    /// The file is not what its name says, or is damaged.
    #[error("malformed {format}: {reason}; export the file again")]
    Malformed {
        /// OBJ, glTF, TOML or scene blob.
        format: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// Valid syntax, impossible value.
    #[error("{what} {reason}")]
    Value {
        /// Which value.
        what: String,
        /// What it must be.
        reason: &'static str,
    },
    /// Nothing to render.
    #[error("no triangle with an area; export the mesh as triangles")]
    Empty,
}

impl SceneError {
    pub(super) fn value(what: impl Into<String>, reason: &'static str) -> Self {
        Self::Value {
            what: what.into(),
            reason,
        }
    }
    pub(super) fn malformed(format: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Malformed {
            format,
            reason: reason.to_string(),
        }
    }
}

/// How a surface scatters light. The numbers are the blob's and the shader's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Surface {
    /// Lambertian.
    Diffuse = 0,
    /// Lambertian under a clear smooth coat (refractive index 1.5), like glazed ceramic.
    Glazed = 1,
    /// GGX microfacets tinted by the colour; a mirror below roughness 0.05.
    Metal = 2,
    /// Smooth dielectric, tinted at every crossing.
    Glass = 3,
    /// Emits its colour times `strength` from both sides, reflects nothing.
    Emissive = 4,
}

impl Surface {
    fn from_code(code: u32) -> Option<Self> {
        [
            Self::Diffuse,
            Self::Glazed,
            Self::Metal,
            Self::Glass,
            Self::Emissive,
        ]
        .get(code as usize)
        .copied()
    }
}

/// One material; colours are linear RGB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Material {
    /// How it scatters.
    pub surface: Surface,
    /// Albedo, tint or emitted colour, each 0 to 1.
    pub colour: [f32; 3],
    /// 0 (mirror) to 1, metal only.
    pub roughness: f32,
    /// Refractive index, glass only, 1.01 to 4.
    pub ior: f32,
    /// Radiance of an emissive surface, 0 to 10,000.
    pub strength: f32,
    /// Second albedo of a checkerboard in the world's x-z plane.
    pub checker: [f32; 3],
    /// Edge of a checker square; 0 switches the board off.
    pub checker_size: f32,
}

impl Material {
    /// A Lambertian material.
    pub fn diffuse(colour: [f32; 3]) -> Self {
        Self {
            surface: Surface::Diffuse,
            colour,
            roughness: 0.5,
            ior: 1.5,
            strength: 0.0,
            checker: colour,
            checker_size: 0.0,
        }
    }
}

/// A pinhole or thin-lens camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Where it stands.
    pub eye: [f32; 3],
    /// What it looks at.
    pub target: [f32; 3],
    /// Tangent of half the vertical field of view, 0.001 to 10. A tangent, because peers share no libm.
    pub tan_half_fov: f32,
    /// Radius of the lens, 0 for a pinhole.
    pub aperture: f32,
    /// Distance along the axis that is sharp.
    pub focus: f32,
}

impl Camera {
    /// A pinhole camera with a vertical field of view in degrees.
    pub fn pinhole(eye: [f32; 3], target: [f32; 3], fov_deg: f32) -> Self {
        let tan_half_fov = (fov_deg.to_radians() * 0.5).tan();
        Self {
            eye,
            target,
            tan_half_fov,
            aperture: 0.0,
            focus: length(sub(target, eye)).max(0.01),
        }
    }

    /// Refuses anything but finite coordinates in reach, a view direction, and sane optics.
    pub fn validate(&self) -> Result<(), SceneError> {
        for (name, point) in [("camera.eye", self.eye), ("camera.target", self.target)] {
            if !point.iter().all(|c| c.abs() <= MAX_COORDINATE) {
                return Err(SceneError::value(
                    name,
                    "must be finite and within 1024 of the origin",
                ));
            }
        }
        if length(sub(self.target, self.eye)) < 1e-3 {
            return Err(SceneError::value(
                "camera.target",
                "must not be where camera.eye is",
            ));
        }
        in_range(
            "camera field of view (tangent of its half)",
            self.tan_half_fov,
            0.001,
            10.0,
        )?;
        in_range("camera.aperture", self.aperture, 0.0, 100.0)?;
        in_range("camera.focus", self.focus, 0.001, 10_000.0)
    }
}

/// A distant disc of light and a vertical gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Light {
    /// Towards the sun, unit length.
    pub sun_direction: [f32; 3],
    /// Irradiance of the sun on a surface that faces it, 0 to 10,000; zeros switch it off.
    pub sun_irradiance: [f32; 3],
    /// Tangent of the sun's angular radius, 0.0001 to 0.5: how soft shadows are.
    pub sun_size: f32,
    /// Radiance straight up, 0 to 10,000.
    pub zenith: [f32; 3],
    /// Radiance at the horizon.
    pub horizon: [f32; 3],
    /// Radiance from below the horizon.
    pub ground: [f32; 3],
}

/// Triangles with materials, a camera and light.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Where one looks from unless the job says otherwise.
    pub camera: Camera,
    /// Sun and sky.
    pub light: Light,
    /// At least one.
    pub materials: Vec<Material>,
    /// Position of each vertex.
    pub positions: Vec<[f32; 3]>,
    /// Unit shading normal of each vertex.
    pub normals: Vec<[f32; 3]>,
    /// Three vertices and a material.
    pub triangles: Vec<[u32; 4]>,
    /// Faces without an area that a loader left out. Not part of the blob.
    pub dropped_faces: u32,
}

/// Reads a scene from a `.obj`, `.glb`, `.gltf` or `.toml` file. Files that it names must lie in its folder.
pub fn load(path: &Path) -> Result<Scene, SceneError> {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let folder = path.parent().unwrap_or(Path::new(""));
    let scene = match extension.as_str() {
        "obj" => shapes::stage(obj::parse(&read(path)?, folder)?)?,
        "glb" | "gltf" => shapes::stage(gltf::parse(&read(path)?, folder)?)?,
        "toml" => {
            let bytes = read(path)?;
            let text = std::str::from_utf8(&bytes).map_err(|e| SceneError::malformed("TOML", e))?;
            describe::parse(text, Some(folder))?
        }
        _ => return Err(SceneError::Format(path.to_owned())),
    };
    scene.validate()?;
    Ok(scene)
}

/// The scene inside the binary: teapots and spheres in several materials.
pub fn bundled() -> Scene {
    let scene = describe::parse(include_str!("../../../scenes/teapots.toml"), None);
    scene.expect("the bundled scene is tested to parse")
}

impl Scene {
    /// Checks every number and index; the error names the first that is wrong.
    pub fn validate(&self) -> Result<(), SceneError> {
        self.camera.validate()?;
        self.light.validate()?;
        cap("materials", self.materials.len(), MAX_MATERIALS)?;
        cap("vertices", self.positions.len(), MAX_VERTICES)?;
        cap("triangles", self.triangles.len(), MAX_TRIANGLES)?;
        if self.triangles.is_empty() {
            return Err(SceneError::Empty);
        }
        for material in &self.materials {
            material.validate()?;
        }
        if self.normals.len() != self.positions.len() {
            return Err(SceneError::value(
                "normals",
                "must be as many as the positions",
            ));
        }
        for (i, p) in self.positions.iter().enumerate() {
            if !p.iter().all(|c| c.abs() <= MAX_COORDINATE) {
                return Err(SceneError::value(
                    format!("vertex {i}"),
                    "must be finite and within 1024 of the origin; scale the mesh down",
                ));
            }
        }
        for (i, n) in self.normals.iter().enumerate() {
            if !(length(*n) - 1.0).abs().le(&0.01) {
                return Err(SceneError::value(
                    format!("normal {i}"),
                    "must have length 1",
                ));
            }
        }
        for (i, &[a, b, c, m]) in self.triangles.iter().enumerate() {
            if [a, b, c]
                .iter()
                .any(|&v| v as usize >= self.positions.len())
            {
                return Err(SceneError::value(
                    format!("triangle {i}"),
                    "names a vertex that does not exist; export the mesh again",
                ));
            }
            if m as usize >= self.materials.len() {
                return Err(SceneError::value(
                    format!("triangle {i}"),
                    "names a material that does not exist; export the mesh again",
                ));
            }
        }
        Ok(())
    }
}

impl Material {
    fn validate(&self) -> Result<(), SceneError> {
        for c in self.colour.iter().chain(&self.checker) {
            in_range("material colour", *c, 0.0, 1.0)?;
        }
        in_range("material roughness", self.roughness, 0.0, 1.0)?;
        in_range("material ior", self.ior, 1.01, 4.0)?;
        in_range("material strength", self.strength, 0.0, 10_000.0)?;
        if self.checker_size != 0.0 {
            in_range("material checker_size", self.checker_size, 0.001, 1000.0)?;
        }
        Ok(())
    }
}

impl Light {
    fn validate(&self) -> Result<(), SceneError> {
        if !(length(self.sun_direction) - 1.0).abs().le(&0.01) {
            return Err(SceneError::value("sun direction", "must have length 1"));
        }
        in_range(
            "sun size (tangent of its angular radius)",
            self.sun_size,
            0.0001,
            0.5,
        )?;
        for c in [self.sun_irradiance, self.zenith, self.horizon, self.ground]
            .iter()
            .flatten()
        {
            in_range("light colour", *c, 0.0, 10_000.0)?;
        }
        Ok(())
    }
}

/// Reads a whole file, after a look at its size.
fn read(path: &Path) -> Result<Vec<u8>, SceneError> {
    use std::io::Read as _;
    let fail = |source| SceneError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(fail)?;
    let meta = file.metadata().map_err(fail)?;
    if !meta.is_file() {
        return Err(fail(std::io::Error::other("not a regular file")));
    }
    let mut bytes = Vec::new();
    // `take`, because the file may grow after its size was read.
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    let size = meta.len().max(bytes.len() as u64);
    if size > MAX_FILE_BYTES {
        return Err(SceneError::TooLarge {
            path: path.to_owned(),
            bytes: size,
        });
    }
    Ok(bytes)
}

/// Resolves a name found inside a scene file, which must be relative and stay in the file's folder,
/// also through symbolic links.
fn inside(folder: &Path, name: &str) -> Result<PathBuf, SceneError> {
    let outside = || SceneError::Outside(name.chars().take(200).collect());
    let relative = Path::new(name);
    let plain = relative.components().all(|c| {
        matches!(
            c,
            std::path::Component::Normal(_) | std::path::Component::CurDir
        )
    });
    if name.is_empty() || name.contains(['\\', ':', '\0']) || !plain {
        return Err(outside());
    }
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let path = folder.join(relative);
    let real = |p: &Path| {
        p.canonicalize().map_err(|source| SceneError::Read {
            path: p.to_owned(),
            source,
        })
    };
    if real(&path)?.starts_with(real(folder)?) {
        Ok(path)
    } else {
        Err(outside())
    }
}

fn cap(what: &'static str, count: usize, limit: usize) -> Result<(), SceneError> {
    if count <= limit {
        Ok(())
    } else {
        Err(SceneError::TooMany {
            what,
            count: count as u64,
            limit: limit as u64,
        })
    }
}

fn in_range(what: &str, x: f32, low: f32, high: f32) -> Result<(), SceneError> {
    if x >= low && x <= high {
        Ok(())
    } else {
        Err(SceneError::value(
            format!("{what} = {x}"),
            "is out of range; see the scene format",
        ))
    }
}

fn sub(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}
fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}
fn length(a: [f32; 3]) -> f32 {
    (a[0] * a[0] + a[1] * a[1] + a[2] * a[2]).sqrt()
}
