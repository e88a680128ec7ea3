//! Bounding volume hierarchy: four children a node, up to four triangles a leaf, arrays shared with the shader.
//!
//! Built by every peer from the scene blob with plain f32 comparisons and arithmetic in one fixed order: no
//! libm, no threads, no hashing, so that all peers hold the same bytes. Binned surface-area heuristic
//! (Wald 2007), middle splits below [`SAH_LEVELS`], so that depth and the traversal's stack are bounded.
//!
//! Everything geometric lies on a grid: positions are multiples of 2^-16, ray directions of 2^-20. Sums and
//! products of those are multiples of 2^-52, far above the subnormal numbers, which is why the intersection
//! code needs no flushing to be canonical.

use super::scene::Scene;
use crate::canon::{Canon, Real};

/// Levels that may be split by cost; the rest is cut in the middle.
const SAH_LEVELS: u32 = 10;
/// Entries of the traversal stack: 3 for each of at most 10 + 9 levels (4^9 leaves of 4 hold 2^20), and one.
pub(super) const STACK: usize = 64;
/// Child words with this bit name a block of four triangles.
pub(super) const LEAF: u32 = 0x8000_0000;
/// Child word of an absent child.
pub(super) const ABSENT: u32 = 0xffff_ffff;
const BINS: usize = 16;
/// A corner that every slab test misses: smaller than any box on the far side.
const NOWHERE: f32 = 1_048_576.0;

/// Four boxes by axis and side, then four child words. 128 bytes, like `Node` in the shader.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Node {
    /// `[x, y, z]` of the low corners.
    pub low: [[f32; 4]; 3],
    /// `[x, y, z]` of the high corners.
    pub high: [[f32; 4]; 3],
    /// Node index, `LEAF` | block index, or `ABSENT`.
    pub child: [u32; 4],
    /// Zeros, for the alignment of cache lines.
    pub unused: [u32; 4],
}

/// Four triangles, by component. Absent ones have no area and are never hit.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Block {
    /// First corner.
    pub corner: [[f32; 4]; 3],
    /// Second corner minus first.
    pub edge1: [[f32; 4]; 3],
    /// Third corner minus first.
    pub edge2: [[f32; 4]; 3],
}

/// What shading needs of one triangle; number 4 * block + lane.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Facet {
    /// Normal at each corner.
    pub normal: [[f32; 4]; 3],
    /// Unit normal of the plane.
    pub plane: [f32; 3],
    /// Index of the material.
    pub material: u32,
}

/// The flattened hierarchy; node 0 is the root.
#[derive(Debug, Default, PartialEq)]
pub struct Bvh {
    /// Inner nodes.
    pub nodes: Vec<Node>,
    /// Leaves.
    pub blocks: Vec<Block>,
    /// Shading data.
    pub facets: Vec<Facet>,
}

/// Snaps to multiples of 2^-16, towards zero; exact, and the same in the shader.
pub(super) fn grid(x: f32) -> f32 {
    ((x * 65536.0) as i32) as f32 * (1.0 / 65536.0)
}

#[derive(Clone, Copy)]
struct Bounds {
    low: [f32; 3],
    high: [f32; 3],
}

impl Bounds {
    const EMPTY: Self = Self {
        low: [NOWHERE; 3],
        high: [-NOWHERE; 3],
    };

    fn grow(&mut self, other: &Self) {
        for k in 0..3 {
            self.low[k] = self.low[k].min(other.low[k]);
            self.high[k] = self.high[k].max(other.high[k]);
        }
    }
    fn area(&self) -> f32 {
        let d = [0, 1, 2].map(|k| (self.high[k] - self.low[k]).max(0.0));
        d[0] * d[1] + d[1] * d[2] + d[2] * d[0]
    }
}

#[derive(Clone, Copy)]
struct Item {
    bounds: Bounds,
    centre: [f32; 3],
    triangle: u32,
}

impl Bvh {
    /// Builds the hierarchy of a valid scene; about 1 us a triangle.
    pub fn build(scene: &Scene) -> Self {
        let mut items: Vec<Item> = scene
            .triangles
            .iter()
            .enumerate()
            .map(|(i, t)| item(scene, i, t))
            .collect();
        let mut bvh = Self::default();
        bvh.nodes.push(empty_node());
        // (node, first item, one past the last, level); children are appended, so the order is fixed.
        let mut open = vec![(0usize, 0usize, items.len(), 0u32)];
        while let Some((node, from, to, level)) = open.pop() {
            let mut cuts = [(from, to); 4];
            let mut parts = 1;
            // Halves, then halves of those: at most four parts of at least one item.
            for _ in 0..2 {
                let before = parts;
                for p in 0..before {
                    let (a, b) = cuts[p];
                    if b - a > 4 {
                        let m = a + split(&mut items[a..b], level);
                        cuts[p] = (a, m);
                        cuts[parts] = (m, b);
                        parts += 1;
                    }
                }
            }
            for (lane, &(a, b)) in cuts[..parts].iter().enumerate() {
                let mut bounds = Bounds::EMPTY;
                items[a..b].iter().for_each(|i| bounds.grow(&i.bounds));
                let child = if b - a <= 4 {
                    LEAF | bvh.leaf(scene, &items[a..b])
                } else {
                    let index = bvh.nodes.len();
                    bvh.nodes.push(empty_node());
                    open.push((index, a, b, level + 1));
                    index as u32
                };
                let n = &mut bvh.nodes[node];
                n.child[lane] = child;
                for k in 0..3 {
                    // Wider than any rounding in the slab test, so that a box never hides its triangles.
                    let pad = |x: f32| 1.0 / 8192.0 + grid(x.abs() / 65536.0);
                    n.low[k][lane] = bounds.low[k] - pad(bounds.low[k]);
                    n.high[k][lane] = bounds.high[k] + pad(bounds.high[k]);
                }
            }
        }
        bvh
    }

    fn leaf(&mut self, scene: &Scene, items: &[Item]) -> u32 {
        let mut block: Block = bytemuck::Zeroable::zeroed();
        for lane in 0..4 {
            let mut facet: Facet = bytemuck::Zeroable::zeroed();
            if let Some(item) = items.get(lane) {
                let t = scene.triangles[item.triangle as usize];
                let p = [0, 1, 2].map(|i| scene.positions[t[i] as usize].map(grid));
                let e1 = [0, 1, 2].map(|k| p[1][k] - p[0][k]);
                let e2 = [0, 1, 2].map(|k| p[2][k] - p[0][k]);
                for k in 0..3 {
                    block.corner[k][lane] = p[0][k];
                    block.edge1[k][lane] = e1[k];
                    block.edge2[k][lane] = e2[k];
                }
                facet.plane = plane(e1, e2);
                facet.material = t[3];
                for (corner, &v) in facet.normal.iter_mut().zip(&t[..3]) {
                    let n = scene.normals[v as usize];
                    *corner = [n[0], n[1], n[2], 0.0].map(flush);
                }
            }
            self.facets.push(facet);
        }
        self.blocks.push(block);
        self.blocks.len() as u32 - 1
    }
}

/// Canonical form, which the shader takes for granted in all that it reads.
pub(super) fn flush(x: f32) -> f32 {
    Canon::from_f32(x).to_f32()
}

/// Unit normal of the plane of two edges; up where they span none.
fn plane(e1: [f32; 3], e2: [f32; 3]) -> [f32; 3] {
    let c = [
        e1[1] * e2[2] - e1[2] * e2[1],
        e1[2] * e2[0] - e1[0] * e2[2],
        e1[0] * e2[1] - e1[1] * e2[0],
    ];
    // Multiples of 2^-32: the squares stay normal.
    let l = (c[0] * c[0] + c[1] * c[1] + c[2] * c[2]).sqrt();
    if l > 0.0 {
        c.map(|x| flush(x / l))
    } else {
        [0.0, 1.0, 0.0]
    }
}

fn empty_node() -> Node {
    Node {
        low: [[NOWHERE; 4]; 3],
        high: [[-NOWHERE; 4]; 3],
        child: [ABSENT; 4],
        unused: [0; 4],
    }
}

fn item(scene: &Scene, index: usize, t: &[u32; 4]) -> Item {
    let mut bounds = Bounds::EMPTY;
    for &v in &t[..3] {
        let p = scene.positions[v as usize].map(grid);
        bounds.grow(&Bounds { low: p, high: p });
    }
    let centre = [0, 1, 2].map(|k| 0.5 * bounds.low[k] + 0.5 * bounds.high[k]);
    Item {
        bounds,
        centre,
        triangle: index as u32,
    }
}

/// Reorders at least two items and says how many belong to the first half: at least one, never all.
fn split(items: &mut [Item], level: u32) -> usize {
    let mut centres = Bounds::EMPTY;
    items.iter().for_each(|i| {
        centres.grow(&Bounds {
            low: i.centre,
            high: i.centre,
        })
    });
    let extent = [0, 1, 2].map(|k| centres.high[k] - centres.low[k]);
    let half = items.len() / 2;
    if level >= SAH_LEVELS || extent.iter().all(|&e| e <= 0.0) {
        let axis = (0..3).fold(0, |a, k| if extent[k] > extent[a] { k } else { a });
        items.sort_by(|a, b| {
            a.centre[axis]
                .total_cmp(&b.centre[axis])
                .then(a.triangle.cmp(&b.triangle))
        });
        return half;
    }
    let mut best = (f32::INFINITY, 0, 0);
    for axis in (0..3).filter(|&k| extent[k] > 0.0) {
        let bin = binning(&centres, axis);
        let mut bins = [(Bounds::EMPTY, 0u32); BINS];
        for i in items.iter() {
            let b = &mut bins[bin(i)];
            b.0.grow(&i.bounds);
            b.1 += 1;
        }
        let mut right = [0.0; BINS];
        let (mut bounds, mut count) = (Bounds::EMPTY, 0);
        for k in (1..BINS).rev() {
            bounds.grow(&bins[k].0);
            count += bins[k].1;
            right[k] = bounds.area() * blocks(count);
        }
        (bounds, count) = (Bounds::EMPTY, 0);
        for k in 1..BINS {
            bounds.grow(&bins[k - 1].0);
            count += bins[k - 1].1;
            let cost = bounds.area() * blocks(count) + right[k];
            if count > 0 && (count as usize) < items.len() && cost < best.0 {
                best = (cost, axis, k);
            }
        }
    }
    let (_, axis, cut) = best;
    let bin = binning(&centres, axis);
    // Stable, so that the order never depends on how a sort is implemented.
    let (left, right): (Vec<Item>, Vec<Item>) = items.iter().partition(|i| bin(i) < cut);
    let count = left.len();
    if count == 0 || right.is_empty() {
        return half;
    }
    items[..count].copy_from_slice(&left);
    items[count..].copy_from_slice(&right);
    count
}

/// Intersection cost of so many triangles, which are tested four at a time.
fn blocks(count: u32) -> f32 {
    count.div_ceil(4) as f32
}

fn binning(centres: &Bounds, axis: usize) -> impl Fn(&Item) -> usize {
    let low = centres.low[axis];
    let scale = BINS as f32 / (centres.high[axis] - centres.low[axis]);
    move |i| (((i.centre[axis] - low) * scale) as usize).min(BINS - 1)
}
