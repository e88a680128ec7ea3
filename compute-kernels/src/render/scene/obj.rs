//! Wavefront OBJ with its MTL, through `tobj`. Faces are triangulated as fans; textures are ignored.

use std::io::Cursor;
use std::path::Path;

use super::shapes::Mesh;
use super::{MAX_MATERIALS, Material, SceneError, Surface, cap};

/// Reads a mesh; material libraries must lie in `folder`.
pub(super) fn parse(bytes: &[u8], folder: &Path) -> Result<Mesh, SceneError> {
    let options = tobj::LoadOptions {
        triangulate: true,
        single_index: true,
        ignore_points: true,
        ignore_lines: true,
    };
    // A library that cannot be used costs its colours, except where its name tries to leave the folder.
    let escaped = std::cell::RefCell::new(None);
    let library = |name: &Path| {
        let bytes = super::inside(folder, &name.to_string_lossy())
            .and_then(|p| super::read(&p))
            .map_err(|e| {
                if matches!(e, SceneError::Outside(_)) {
                    *escaped.borrow_mut() = Some(e);
                }
                tobj::LoadError::OpenFileFailed
            })?;
        tobj::load_mtl_buf(&mut Cursor::new(bytes))
    };
    let loaded = tobj::load_obj_buf(&mut Cursor::new(bytes), &options, library);
    if let Some(error) = escaped.into_inner() {
        return Err(error);
    }
    let (models, materials) = loaded.map_err(|e| SceneError::malformed("OBJ", e))?;
    let materials = materials.unwrap_or_default();
    cap("materials", materials.len(), MAX_MATERIALS - 8)?;
    let mut mesh = Mesh {
        materials: materials.iter().map(convert).collect(),
        ..Mesh::default()
    };
    let plain = mesh.materials.len() as u32;
    mesh.materials.push(Material::diffuse(super::UNNAMED));
    for model in models {
        let m = model.mesh;
        let base = mesh.positions.len() as u32;
        let triples = |v: &[f32]| -> Vec<[f32; 3]> {
            v.chunks_exact(3).map(|c| [c[0], c[1], c[2]]).collect()
        };
        mesh.positions.extend(triples(&m.positions));
        mesh.normals.extend(triples(&m.normals));
        mesh.normals.resize(mesh.positions.len(), [0.0; 3]);
        cap("vertices", mesh.positions.len(), super::MAX_VERTICES)?;
        let material = m
            .material_id
            .filter(|&i| i < plain as usize)
            .map_or(plain, |i| i as u32);
        mesh.triangles.extend(
            m.indices
                .chunks_exact(3)
                .map(|i| [base + i[0], base + i[1], base + i[2], material]),
        );
        cap("triangles", mesh.triangles.len(), super::MAX_TRIANGLES)?;
    }
    mesh.finish()
}

/// The nearest of our materials.
fn convert(m: &tobj::Material) -> Material {
    let sane = |c: [f32; 3]| {
        c.map(|x| {
            if x.is_finite() {
                x.clamp(0.0, 1.0)
            } else {
                0.0
            }
        })
    };
    let mut out = Material::diffuse(sane(m.diffuse.unwrap_or([0.7; 3])));
    let strongest = m
        .emissive
        .unwrap_or_default()
        .into_iter()
        .fold(0.0f32, f32::max);
    let shine = m.shininess.unwrap_or(0.0);
    if strongest > 0.0 && strongest.is_finite() {
        out.surface = Surface::Emissive;
        out.colour = sane(m.emissive.unwrap_or_default().map(|c| c / strongest));
        out.strength = strongest.min(10_000.0);
    } else if m.dissolve.is_some_and(|d| d < 0.5)
        || m.illumination_model
            .is_some_and(|i| matches!(i, 4 | 6 | 7 | 9))
    {
        out.surface = Surface::Glass;
        out.colour = [0.95; 3];
        let ior = m.optical_density.unwrap_or(1.5);
        out.ior = if ior.is_finite() {
            ior.clamp(1.01, 4.0)
        } else {
            1.5
        };
    } else if shine > 50.0 {
        out.surface = Surface::Glazed;
    }
    out
}
