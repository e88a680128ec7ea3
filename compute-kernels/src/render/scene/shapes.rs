//! Meshes: what loaders produce, built-in shapes, smooth normals, rounding of coarse meshes, and the
//! stage on which a bare mesh file is shown. Runs at the requester only; workers see the finished blob.

use super::{
    Camera, Light, MAX_COORDINATE, MAX_TRIANGLES, MAX_VERTICES, Material, Scene, SceneError, cap,
    cross, length, sub,
};

/// A mesh on its own, in its own coordinates.
#[derive(Debug, Default, Clone)]
pub(super) struct Mesh {
    pub positions: Vec<[f32; 3]>,
    /// Empty, or one for each position; zeros ask for a computed one.
    pub normals: Vec<[f32; 3]>,
    /// Three vertices and a material of this mesh.
    pub triangles: Vec<[u32; 4]>,
    pub materials: Vec<Material>,
    pub dropped_faces: u32,
}

impl Mesh {
    /// Checks what a loader read, drops faces without an area and completes the normals.
    pub fn finish(mut self) -> Result<Self, SceneError> {
        cap("vertices", self.positions.len(), MAX_VERTICES)?;
        cap("triangles", self.triangles.len(), MAX_TRIANGLES)?;
        for (i, p) in self.positions.iter().enumerate() {
            // A bound far inside f32, so that no product of coordinates overflows before the mesh is scaled.
            if !p.iter().all(|c| c.abs() < 1e9) {
                return Err(SceneError::value(
                    format!("vertex {i}"),
                    "is not finite, or absurdly large; repair the mesh",
                ));
            }
        }
        let count = self.positions.len();
        for (i, t) in self.triangles.iter().enumerate() {
            if t[..3].iter().any(|&v| v as usize >= count) {
                return Err(SceneError::value(
                    format!("face {i}"),
                    "names a vertex that does not exist; export the mesh again",
                ));
            }
        }
        let before = self.triangles.len();
        let positions = &self.positions;
        self.triangles
            .retain(|t| length(face_normal(positions, t)) > 0.0);
        self.dropped_faces += (before - self.triangles.len()) as u32;
        if self.triangles.is_empty() {
            return Err(SceneError::Empty);
        }
        self.complete_normals();
        Ok(self)
    }

    /// Area-weighted vertex normals wherever the file gave none that can be used.
    fn complete_normals(&mut self) {
        let mut sums = vec![[0.0f32; 3]; self.positions.len()];
        for t in &self.triangles {
            let n = face_normal(&self.positions, t);
            for &v in &t[..3] {
                (0..3).for_each(|k| sums[v as usize][k] += n[k]);
            }
        }
        self.normals.resize(self.positions.len(), [0.0; 3]);
        for (n, sum) in self.normals.iter_mut().zip(sums) {
            *n = unit(*n).or_else(|| unit(sum)).unwrap_or([0.0, 1.0, 0.0]);
        }
    }

    /// Rounds a coarse mesh: every triangle becomes `n * n` of the cubic patch that its normals ask for
    /// (curved PN triangles, Vlachos et al. 2001).
    pub fn rounded(&self, n: u32) -> Result<Self, SceneError> {
        if n <= 1 {
            return Ok(self.clone());
        }
        let per_face = (n as usize).saturating_mul(n as usize);
        cap(
            "triangles",
            self.triangles.len().saturating_mul(per_face),
            MAX_TRIANGLES,
        )?;
        let mut out = Self {
            materials: self.materials.clone(),
            dropped_faces: self.dropped_faces,
            ..Self::default()
        };
        for t in &self.triangles {
            let p = [0, 1, 2].map(|i| self.positions[t[i] as usize]);
            let m = [0, 1, 2].map(|i| self.normals[t[i] as usize]);
            let base = out.positions.len() as u32;
            for i in 0..=n {
                for j in 0..=n - i {
                    let w = [
                        (n - i - j) as f32 / n as f32,
                        i as f32 / n as f32,
                        j as f32 / n as f32,
                    ];
                    out.positions.push(pn_point(p, m, w));
                    let sum = [0, 1, 2].map(|k| m[0][k] * w[0] + m[1][k] * w[1] + m[2][k] * w[2]);
                    out.normals.push(unit(sum).unwrap_or(m[0]));
                }
            }
            // Row i starts after rows of n+1, n, ... points.
            let at = |i: u32, j: u32| base + i * (n + 1) - i * i.saturating_sub(1) / 2 + j;
            for i in 0..n {
                for j in 0..n - i {
                    out.triangles
                        .push([at(i, j), at(i + 1, j), at(i, j + 1), t[3]]);
                    if j + 1 < n - i {
                        out.triangles
                            .push([at(i + 1, j), at(i + 1, j + 1), at(i, j + 1), t[3]]);
                    }
                }
            }
        }
        out.finish()
    }
}

/// The cubic Bezier patch over a triangle at barycentric weights `w`.
fn pn_point(p: [[f32; 3]; 3], n: [[f32; 3]; 3], w: [f32; 3]) -> [f32; 3] {
    let edge = |a: usize, b: usize| -> [f32; 3] {
        let lift = dot(sub(p[b], p[a]), n[a]);
        [0, 1, 2].map(|k| (2.0 * p[a][k] + p[b][k] - lift * n[a][k]) / 3.0)
    };
    let mut out = [0.0; 3];
    let mut edges = [0.0; 3];
    for a in 0..3 {
        (0..3).for_each(|k| out[k] += w[a] * w[a] * w[a] * p[a][k]);
        for b in (0..3).filter(|&b| b != a) {
            let e = edge(a, b);
            for k in 0..3 {
                out[k] += 3.0 * w[a] * w[a] * w[b] * e[k];
                edges[k] += e[k] / 6.0;
            }
        }
    }
    for k in 0..3 {
        let centre = edges[k] + (edges[k] - (p[0][k] + p[1][k] + p[2][k]) / 3.0) / 2.0;
        out[k] += 6.0 * w[0] * w[1] * w[2] * centre;
    }
    out
}

/// The Utah teapot: base on y = 0, height 1.
pub(super) fn teapot() -> Result<Mesh, SceneError> {
    super::obj::parse(
        include_bytes!("../../../scenes/teapot.obj"),
        std::path::Path::new(""),
    )
}

/// Radius 1 around the origin: an octahedron of which every face is cut into 32 x 32.
pub(super) fn sphere() -> Result<Mesh, SceneError> {
    const CUTS: i32 = 32;
    let mut mesh = Mesh::default();
    for face in 0..8 {
        let sign = [0, 1, 2].map(|axis| if face >> axis & 1 == 0 { 1.0f32 } else { -1.0 });
        let base = mesh.positions.len() as u32;
        for i in 0..=CUTS {
            for j in 0..=CUTS - i {
                let p = [
                    (CUTS - i - j) as f32 * sign[0],
                    i as f32 * sign[1],
                    j as f32 * sign[2],
                ];
                mesh.positions.push(unit(p).unwrap_or(p));
            }
        }
        let at = |i: i32, j: i32| base + (i * (CUTS + 1) - i * (i - 1) / 2 + j) as u32;
        let outward = sign[0] * sign[1] * sign[2] > 0.0;
        let mut push = |a, b, c| {
            mesh.triangles
                .push(if outward { [a, b, c, 0] } else { [a, c, b, 0] })
        };
        for i in 0..CUTS {
            for j in 0..CUTS - i {
                push(at(i, j), at(i + 1, j), at(i, j + 1));
                if j + 1 < CUTS - i {
                    push(at(i + 1, j), at(i + 1, j + 1), at(i, j + 1));
                }
            }
        }
    }
    mesh.normals = mesh.positions.clone();
    mesh.finish()
}

/// From -1 to 1 in x and z at y = 0, facing up.
pub(super) fn plane() -> Result<Mesh, SceneError> {
    let positions = vec![
        [-1.0, 0.0, -1.0],
        [-1.0, 0.0, 1.0],
        [1.0, 0.0, 1.0],
        [1.0, 0.0, -1.0],
    ];
    Mesh {
        positions,
        triangles: vec![[0, 1, 2, 0], [0, 2, 3, 0]],
        ..Mesh::default()
    }
    .finish()
}

/// Puts a bare mesh on a ground under sun and sky, scaled to height or width 2, with the camera aimed at it.
pub(super) fn stage(mesh: Mesh) -> Result<Scene, SceneError> {
    let mut low = [f32::INFINITY; 3];
    let mut high = [f32::NEG_INFINITY; 3];
    for t in &mesh.triangles {
        for &v in &t[..3] {
            let p = mesh.positions[v as usize];
            for k in 0..3 {
                low[k] = low[k].min(p[k]);
                high[k] = high[k].max(p[k]);
            }
        }
    }
    let size = sub(high, low);
    let largest = size[0].max(size[1]).max(size[2]);
    if largest.is_nan() || largest <= 1e-20 {
        return Err(SceneError::Empty);
    }
    let scale = 2.0 / largest;
    let mut scene = Scene {
        camera: Camera::pinhole([0.0, 1.0, 4.0], [0.0; 3], 32.0),
        light: Light::afternoon(),
        materials: vec![Material::diffuse([0.26, 0.25, 0.24])],
        positions: Vec::new(),
        normals: Vec::new(),
        triangles: Vec::new(),
        dropped_faces: 0,
    };
    let mut ground = plane()?;
    ground
        .positions
        .iter_mut()
        .for_each(|p| *p = p.map(|c| c * 60.0));
    scene.add(&ground, Some(0))?;
    let mut placed = mesh;
    let shift = [(low[0] + high[0]) / 2.0, low[1], (low[2] + high[2]) / 2.0];
    for p in &mut placed.positions {
        // Vertices that no face uses may lie anywhere.
        *p = sub(*p, shift).map(|c| (c * scale).clamp(-MAX_COORDINATE, MAX_COORDINATE));
    }
    scene.add(&placed, None)?;
    // As far away as shows the sphere around its box, a little from above and from the right.
    let centre = [0.0, size[1] * scale * 0.5, 0.0];
    let distance = length(size) * scale * 0.5 / 0.33;
    let from = unit([0.46, 0.36, 0.81]).unwrap_or([0.0, 0.0, 1.0]);
    let eye = [0, 1, 2].map(|k| centre[k] + distance * from[k]);
    scene.camera = Camera::pinhole(eye, centre, 32.0);
    Ok(scene)
}

impl Scene {
    /// Adds a placed mesh, with its own materials or all of it in the scene's material `with`.
    pub(super) fn add(&mut self, mesh: &Mesh, with: Option<u32>) -> Result<(), SceneError> {
        cap(
            "triangles",
            self.triangles.len() + mesh.triangles.len(),
            MAX_TRIANGLES,
        )?;
        cap(
            "vertices",
            self.positions.len() + mesh.positions.len(),
            MAX_VERTICES,
        )?;
        let (vertex, material) = (self.positions.len() as u32, self.materials.len() as u32);
        if with.is_none() {
            if mesh.materials.is_empty() {
                self.materials.push(Material::diffuse(super::UNNAMED));
            }
            self.materials.extend_from_slice(&mesh.materials);
            cap("materials", self.materials.len(), super::MAX_MATERIALS)?;
        }
        self.positions.extend_from_slice(&mesh.positions);
        self.normals.extend_from_slice(&mesh.normals);
        self.triangles
            .extend(mesh.triangles.iter().map(|&[a, b, c, m]| {
                [
                    a + vertex,
                    b + vertex,
                    c + vertex,
                    with.unwrap_or(m.saturating_add(material)),
                ]
            }));
        self.dropped_faces += mesh.dropped_faces;
        Ok(())
    }
}

impl Light {
    /// A warm sun, half up, in a clear sky.
    pub(super) fn afternoon() -> Self {
        Self {
            sun_direction: unit([-0.70, 0.62, 0.35]).unwrap_or([0.0, 1.0, 0.0]),
            sun_irradiance: [6.0, 5.0, 3.9],
            sun_size: 0.02,
            zenith: [0.10, 0.19, 0.42],
            horizon: [0.48, 0.55, 0.66],
            ground: [0.25, 0.23, 0.21],
        }
    }
}

/// Normal of a face, twice its area long.
fn face_normal(positions: &[[f32; 3]], t: &[u32; 4]) -> [f32; 3] {
    let [a, b, c] = [0, 1, 2].map(|i| positions[t[i] as usize]);
    cross(sub(b, a), sub(c, a))
}

/// Unit vector, or none where there is no direction.
pub(super) fn unit(v: [f32; 3]) -> Option<[f32; 3]> {
    let largest = v.iter().fold(0.0f32, |m, c| m.max(c.abs()));
    if !(largest > 1e-30 && largest < 1e30) {
        return None;
    }
    // Scaled first: the square of a small vector would underflow.
    let v = v.map(|c| c / largest);
    let l = length(v);
    v.iter().all(|c| c.is_finite()).then(|| v.map(|c| c / l))
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
