//! glTF 2.0, binary (.glb) or JSON (.gltf): triangles, normals, base colours of the default scene.
//!
//! The `gltf` crate reads the structure; accessors are read here, because their numbers may lie: every range
//! is checked against the bytes that exist before anything is allocated. No textures, skins or compression.

use std::path::Path;

use gltf::accessor::{DataType, Dimensions};

use super::shapes::{Mesh, unit};
use super::{
    MAX_FILE_BYTES, MAX_MATERIALS, MAX_TRIANGLES, MAX_VERTICES, Material, SceneError, Surface, cap,
    cross,
};

/// Most nodes, and deepest nesting, of a scene graph.
const MAX_NODES: usize = 65_536;

type Matrix = [[f32; 4]; 4];

fn bad(reason: impl std::fmt::Display) -> SceneError {
    SceneError::malformed("glTF", reason)
}

/// Reads a mesh; buffers that it names must lie in `folder`.
pub(super) fn parse(bytes: &[u8], folder: &Path) -> Result<Mesh, SceneError> {
    let (document, blob) = read(bytes)?;
    cap("nodes", document.nodes().len(), MAX_NODES)?;
    cap("materials", document.materials().len(), MAX_MATERIALS - 8)?;
    let buffers = buffers(&document, blob, folder)?;
    let mut mesh = Mesh {
        materials: document.materials().map(|m| convert(&m)).collect(),
        ..Mesh::default()
    };
    let plain = mesh.materials.len() as u32;
    mesh.materials.push(Material::diffuse(super::UNNAMED));

    let scene = document
        .default_scene()
        .or_else(|| document.scenes().next());
    let scene = scene.ok_or_else(|| bad("no scene"))?;
    // A node has one parent, so meeting it twice means that the graph is not a tree.
    let mut met = vec![false; document.nodes().len()];
    let mut open: Vec<(gltf::Node, Matrix)> = scene.nodes().map(|n| (n, IDENTITY)).collect();
    while let Some((node, parent)) = open.pop() {
        if std::mem::replace(&mut met[node.index()], true) {
            return Err(bad(format!("node {} has two parents", node.index())));
        }
        let matrix = product(&parent, &node.transform().matrix());
        open.extend(node.children().map(|child| (child, matrix)));
        for primitive in node.mesh().iter().flat_map(|m| m.primitives()) {
            add(&mut mesh, &primitive, &matrix, &buffers, plain)?;
        }
    }
    mesh.finish()
}

/// Structure and binary chunk. The crate validates indices, but trusts a GLB's length field and, in its check of
/// bounding boxes, the accessor of positions; both would panic, so they are looked at here first.
fn read(bytes: &[u8]) -> Result<(gltf::Document, Option<Vec<u8>>), SceneError> {
    let (json, blob) = if bytes.starts_with(b"glTF") {
        chunks(bytes)?
    } else {
        (bytes, None)
    };
    let root = gltf::json::Root::from_slice(json).map_err(bad)?;
    let primitives = root.meshes.iter().flat_map(|m| &m.primitives);
    let mut named = primitives.flat_map(|p| p.attributes.values());
    if let Some(index) = named.find(|i| i.value() >= root.accessors.len()) {
        return Err(bad(format!("accessor {} does not exist", index.value())));
    }
    let document = gltf::Document::from_json(root).map_err(bad)?;
    Ok((document, blob.map(<[u8]>::to_vec)))
}

/// JSON and binary chunk of a GLB, version 2: a header of 12 bytes, then chunks of length, kind and data.
fn chunks(bytes: &[u8]) -> Result<(&[u8], Option<&[u8]>), SceneError> {
    let int = |at: usize| -> Option<usize> {
        let word = bytes.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*word) as usize)
    };
    let chunk = |at: usize, kind: &[u8; 4]| -> Option<&[u8]> {
        let data = bytes.get(at.checked_add(8)?..)?.get(..int(at)?)?;
        (&bytes[at + 4..at + 8] == kind).then_some(data)
    };
    if int(4) != Some(2) {
        return Err(bad("not version 2"));
    }
    if int(8) != Some(bytes.len()) {
        return Err(bad("its length is not the one in its header"));
    }
    let json = chunk(12, b"JSON").ok_or_else(|| bad("no JSON chunk"))?;
    let next = 20 + json.len();
    match bytes.len() - next {
        0 => Ok((json, None)),
        _ => Ok((
            json,
            Some(chunk(next, b"BIN\0").ok_or_else(|| bad("no binary chunk"))?),
        )),
    }
}

/// The bytes of every buffer, at least as many as it declares.
fn buffers(
    document: &gltf::Document,
    blob: Option<Vec<u8>>,
    folder: &Path,
) -> Result<Vec<Vec<u8>>, SceneError> {
    let mut blob = blob;
    let mut total = 0;
    let mut out = Vec::new();
    for buffer in document.buffers() {
        let bytes = match buffer.source() {
            gltf::buffer::Source::Bin => blob
                .take()
                .ok_or_else(|| bad("the binary chunk is missing"))?,
            gltf::buffer::Source::Uri(uri) => match uri.strip_prefix("data:") {
                Some(data) => {
                    let (_, text) = data
                        .split_once(";base64,")
                        .ok_or_else(|| bad("a data URI is not base64"))?;
                    base64(text).ok_or_else(|| bad("a data URI is not base64"))?
                }
                None => super::read(&super::inside(folder, &unescape(uri))?)?,
            },
        };
        if bytes.len() < buffer.length() {
            return Err(bad(format!(
                "buffer {} has {} of {} bytes",
                buffer.index(),
                bytes.len(),
                buffer.length()
            )));
        }
        total += bytes.len() as u64;
        if total > MAX_FILE_BYTES {
            return Err(SceneError::TooMany {
                what: "bytes in buffers",
                count: total,
                limit: MAX_FILE_BYTES,
            });
        }
        out.push(bytes);
    }
    Ok(out)
}

fn add(
    mesh: &mut Mesh,
    primitive: &gltf::Primitive,
    m: &Matrix,
    buffers: &[Vec<u8>],
    plain: u32,
) -> Result<(), SceneError> {
    if primitive.mode() != gltf::mesh::Mode::Triangles {
        return Ok(()); // points, lines and strips are no surface here
    }
    let Some(positions) = primitive.get(&gltf::Semantic::Positions) else {
        return Ok(());
    };
    let positions = vectors(&positions, buffers)?;
    cap(
        "vertices",
        mesh.positions.len() + positions.len(),
        MAX_VERTICES,
    )?;
    let indices: Vec<u32> = match primitive.indices() {
        Some(accessor) => integers(&accessor, buffers)?,
        None => (0..positions.len() as u32).collect(),
    };
    if let Some(i) = indices.iter().find(|&&i| i as usize >= positions.len()) {
        return Err(bad(format!("index {i} of {} vertices", positions.len())));
    }
    cap(
        "triangles",
        mesh.triangles.len() + indices.len() / 3,
        MAX_TRIANGLES,
    )?;
    let base = mesh.positions.len() as u32;
    mesh.positions.extend(
        positions
            .iter()
            .map(|p| [0, 1, 2].map(|k| m[0][k] * p[0] + m[1][k] * p[1] + m[2][k] * p[2] + m[3][k])),
    );
    // Normals turn with the matrix of cofactors, which also handles uneven scales and mirrors.
    let column = |i: usize| [m[i][0], m[i][1], m[i][2]];
    let turn = [
        cross(column(1), column(2)),
        cross(column(2), column(0)),
        cross(column(0), column(1)),
    ];
    let mirrored = (0..3).map(|k| m[0][k] * turn[0][k]).sum::<f32>() < 0.0;
    let sign = if mirrored { -1.0 } else { 1.0 };
    if let Some(accessor) = primitive.get(&gltf::Semantic::Normals) {
        let normals = vectors(&accessor, buffers)?;
        if normals.len() == positions.len() {
            mesh.normals.extend(normals.iter().map(|n| {
                let t = [0, 1, 2]
                    .map(|k| sign * (turn[0][k] * n[0] + turn[1][k] * n[1] + turn[2][k] * n[2]));
                unit(t).unwrap_or_default()
            }));
        }
    }
    mesh.normals.resize(mesh.positions.len(), [0.0; 3]);
    let material = primitive.material().index().map_or(plain, |i| i as u32);
    mesh.triangles.extend(indices.chunks_exact(3).map(|i| {
        let (b, c) = if mirrored { (i[2], i[1]) } else { (i[1], i[2]) };
        [base + i[0], base + b, base + c, material]
    }));
    Ok(())
}

/// Elements of an accessor, as slices of exactly their size, after all its numbers were checked.
fn elements<'a>(
    accessor: &gltf::Accessor,
    buffers: &'a [Vec<u8>],
    limit: usize,
) -> Result<impl Iterator<Item = &'a [u8]> + use<'a>, SceneError> {
    let fail = |reason: &str| bad(format!("accessor {}: {reason}", accessor.index()));
    cap("elements in an accessor", accessor.count(), limit)?;
    if accessor.sparse().is_some() {
        return Err(fail("sparse accessors are not supported"));
    }
    let view = accessor.view().ok_or_else(|| fail("has no data"))?;
    let buffer = buffers
        .get(view.buffer().index())
        .ok_or_else(|| fail("its buffer does not exist"))?;
    let end = view
        .offset()
        .checked_add(view.length())
        .filter(|&e| e <= buffer.len());
    let end = end.ok_or_else(|| fail("its view is longer than the buffer"))?;
    let data = buffer
        .get(view.offset()..end)
        .ok_or_else(|| fail("its view is outside of the buffer"))?;
    let size = accessor.size();
    let stride = view.stride().unwrap_or(size);
    let used = match accessor.count() {
        0 => Some(0),
        n => (n - 1)
            .checked_mul(stride)
            .and_then(|x| x.checked_add(size)),
    };
    let fits = used
        .and_then(|u| u.checked_add(accessor.offset()))
        .is_some_and(|u| u <= data.len());
    if stride < size || !fits {
        return Err(fail("reads past the end of its view"));
    }
    let (count, offset) = (accessor.count(), accessor.offset());
    Ok((0..count).map(move |i| &data[offset + i * stride..][..size]))
}

fn vectors(accessor: &gltf::Accessor, buffers: &[Vec<u8>]) -> Result<Vec<[f32; 3]>, SceneError> {
    if (accessor.data_type(), accessor.dimensions()) != (DataType::F32, Dimensions::Vec3) {
        return Err(bad(format!(
            "accessor {} is not of three floats",
            accessor.index()
        )));
    }
    let float = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    Ok(elements(accessor, buffers, MAX_VERTICES)?
        .map(|e| [float(e), float(&e[4..]), float(&e[8..])])
        .collect())
}

fn integers(accessor: &gltf::Accessor, buffers: &[Vec<u8>]) -> Result<Vec<u32>, SceneError> {
    let kind = accessor.data_type();
    if accessor.dimensions() != Dimensions::Scalar
        || !matches!(kind, DataType::U8 | DataType::U16 | DataType::U32)
    {
        return Err(bad(format!(
            "accessor {} is not of indices",
            accessor.index()
        )));
    }
    let int = |e: &[u8]| e.iter().rev().fold(0, |x, &b| x << 8 | u32::from(b));
    Ok(elements(accessor, buffers, 3 * MAX_TRIANGLES)?
        .map(int)
        .collect())
}

/// The nearest of our materials.
fn convert(m: &gltf::Material) -> Material {
    let sane = |x: f32| {
        if x.is_finite() {
            x.clamp(0.0, 1.0)
        } else {
            0.0
        }
    };
    let pbr = m.pbr_metallic_roughness();
    let [r, g, b, alpha] = pbr.base_color_factor().map(sane);
    let mut out = Material::diffuse([r, g, b]);
    out.roughness = sane(pbr.roughness_factor());
    let emission = m.emissive_factor().map(sane);
    let strongest = emission.into_iter().fold(0.0f32, f32::max);
    if strongest > 0.0 && m.emissive_texture().is_none() {
        out.surface = Surface::Emissive;
        out.colour = emission.map(|c| c / strongest);
        out.strength = 4.0 * strongest;
    } else if m.alpha_mode() == gltf::material::AlphaMode::Blend && alpha < 0.6 {
        out.surface = Surface::Glass;
    } else if pbr.metallic_factor() > 0.5 && pbr.metallic_roughness_texture().is_none() {
        out.surface = Surface::Metal;
    } else if out.roughness < 0.5 {
        out.surface = Surface::Glazed;
    }
    out
}

const IDENTITY: Matrix = [
    [1.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0],
    [0.0, 0.0, 1.0, 0.0],
    [0.0, 0.0, 0.0, 1.0],
];

/// a * b, column-major.
fn product(a: &Matrix, b: &Matrix) -> Matrix {
    [0, 1, 2, 3].map(|c| [0, 1, 2, 3].map(|r| (0..4).map(|k| a[k][r] * b[c][k]).sum()))
}

/// Percent-decoding; a malformed escape stays as it is.
fn unescape(uri: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = uri.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [a, b, ..]) => (*a as char).to_digit(16).zip((*b as char).to_digit(16)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Standard base64, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits) = (0u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        word = word << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    Some(out)
}
