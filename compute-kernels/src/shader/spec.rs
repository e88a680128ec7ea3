//! What a shader is to be run on: the parameter block of the `wgsl` kernel, and the geometry that follows from it.
//!
//! A dispatch of `groups` workgroups is cut into tiles of `tile` workgroups. Every output is an array with one slot for
//! each invocation (or workgroup): the slot of invocation (x, y, z) begins at element `slot ((z height + y) width + x)`
//! of what the shader sees, and the slots of one tile stand together in that tile's bytes.
//! Everything here can be checked without a look at the shader, in bounded time; what the shader has to say about it
//! (workgroup size, sizes of elements, tier, program) is repeated here and compared when it is admitted.

use serde::{Deserialize, Serialize};

use crate::kernel::{
    KernelError, MAX_INPUTS, MAX_PARAMS_BYTES, MAX_TILE_BYTES, MAX_TILES, Shape, Tier,
};

/// Most operations that the loops of one invocation may cost: some tenth of a second of one thread of a slow GPU, which
/// must not be held for longer.
pub const MAX_FUEL: u32 = 1 << 23;
/// Most operations of a tile.
pub const MAX_UNITS_PER_TILE: u64 = 1 << 36;
/// Most outputs of a shader.
pub const MAX_OUTPUTS: usize = 8;
/// Most pipeline constants that can be set.
pub const MAX_OVERRIDES: usize = 64;
/// Largest name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// Largest workgroup, in invocations, and along each axis.
pub const MAX_WORKGROUP: [u32; 3] = [256, 256, 64];

/// The parameter block, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its compute entry point.
    pub entry: String,
    /// Invocations of a workgroup.
    pub workgroup: [u32; 3],
    /// Workgroups of the whole dispatch.
    pub groups: [u32; 3],
    /// Workgroups of a tile.
    pub tile: [u32; 3],
    /// Operations that the loops of one invocation may cost together.
    pub fuel: u32,
    /// The same of loops with barriers in them, which a workgroup goes through together.
    pub fuel_together: u32,
    /// Operations of one invocation outside of loops.
    pub straight: u32,
    /// How results compare.
    pub tier: Tier,
    /// Bindings of input blobs 1 and up; blob 0 is the shader.
    pub inputs: Vec<Binding>,
    /// Bindings of outputs, in the order in which they stand in a tile.
    pub outputs: Vec<OutputSpec>,
    /// Values of `override` declarations.
    #[serde(default)]
    pub overrides: Vec<(String, f64)>,
    /// Digest of the program that the shader becomes, in hexadecimal: whoever reads the shader differently, because it
    /// is of another version, computes nothing instead of something else.
    pub program: String,
}

/// `@group(group) @binding(binding)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The group.
    pub group: u32,
    /// The binding.
    pub binding: u32,
}

/// An output array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// What it is called, for people.
    pub name: String,
    /// Where it is bound.
    pub at: Binding,
    /// Who writes a slot.
    pub per: Per,
    /// Slots along x, y and z.
    pub extent: [u32; 3],
    /// Array elements of a slot.
    pub elements: u32,
    /// Words from one array element to the next.
    pub stride: u32,
    /// What the words are.
    pub words: Words,
    /// The input blob whose words the slots begin with; without, they begin as zeros.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
}

/// What the words of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Words {
    /// Bits, or unsigned integers.
    U32,
    /// Signed integers.
    I32,
    /// Floats.
    F32,
}

/// Who writes a slot of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Every invocation its own.
    Invocation,
    /// The first invocation of every workgroup.
    Group,
}

impl OutputSpec {
    /// Words of a slot.
    pub fn slot_words(&self) -> u32 {
        self.elements * self.stride
    }

    /// Elements of the whole array, as the shader sees it.
    pub fn array_len(&self) -> u32 {
        self.extent.iter().product::<u32>() * self.elements
    }
}

impl Spec {
    /// Reads a parameter block and checks all that can be checked without the shader.
    pub fn decode(params: &[u8]) -> Result<Self, KernelError> {
        if params.len() > MAX_PARAMS_BYTES {
            return Err(bad(format!("more than {MAX_PARAMS_BYTES} bytes")));
        }
        let spec: Spec = serde_json::from_slice(params).map_err(|e| bad(e.to_string()))?;
        spec.check()?;
        Ok(spec)
    }

    /// The parameter block.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Everything but what only the shader tells.
    pub fn check(&self) -> Result<(), KernelError> {
        let named = |n: &str| !n.is_empty() && n.len() <= MAX_NAME_BYTES;
        if !named(&self.entry)
            || !self.overrides.iter().all(|(n, _)| named(n))
            || !self.outputs.iter().all(|o| named(&o.name))
        {
            return Err(bad(format!("names have 1 to {MAX_NAME_BYTES} bytes")));
        }
        if !self.overrides.iter().all(|(_, v)| v.is_finite()) {
            return Err(bad("overrides are finite numbers"));
        }
        if self.overrides.len() > MAX_OVERRIDES {
            return Err(bad(format!("more than {MAX_OVERRIDES} overrides")));
        }
        let too_wide = |(size, most): (&u32, u32)| !(1..=most).contains(size);
        if self.workgroup.iter().zip(MAX_WORKGROUP).any(too_wide)
            || product(self.workgroup) > u64::from(MAX_WORKGROUP[0])
        {
            return Err(bad(format!(
                "a workgroup has 1 to {} invocations, at most {MAX_WORKGROUP:?} along its axes",
                MAX_WORKGROUP[0]
            )));
        }
        if self.groups.contains(&0) {
            return Err(bad("a dispatch has at least one workgroup along each axis"));
        }
        let inside = |(tile, groups): (&u32, &u32)| (1..=*groups).contains(tile);
        if !self.tile.iter().zip(&self.groups).all(inside) {
            return Err(bad(
                "a tile has at least one workgroup along each axis, and no more than the dispatch",
            ));
        }
        // The runner numbers the workgroups of a tile along one axis of its own dispatch.
        if product(self.tile) > 65_535 {
            return Err(bad("a tile has more than 65535 workgroups"));
        }
        let axis = |(groups, size): (&u32, &u32)| groups.checked_mul(*size).is_some();
        if !self.groups.iter().zip(&self.workgroup).all(axis) {
            return Err(bad("more than 2^32 invocations along one axis"));
        }
        if !(1..=u64::from(MAX_TILES)).contains(&product(self.grid())) {
            return Err(bad(format!(
                "more than {MAX_TILES} tiles: make them larger"
            )));
        }
        if self.fuel.max(self.fuel_together) > MAX_FUEL {
            return Err(bad(format!(
                "fuel above {MAX_FUEL}: an invocation would hold a GPU for too long"
            )));
        }
        if !(1..=MAX_UNITS_PER_TILE).contains(&self.units_per_tile()) {
            return Err(bad(format!(
                "a tile may cost {MAX_UNITS_PER_TILE} operations, this one {}: make it smaller",
                self.units_per_tile()
            )));
        }
        self.check_bindings()?;
        let valid = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if self.program.len() != 64 || !self.program.chars().all(valid) {
            return Err(bad("a program is 64 hexadecimal digits"));
        }
        Ok(())
    }

    fn check_bindings(&self) -> Result<(), KernelError> {
        // Blob 0 is the shader.
        if self.inputs.len() >= MAX_INPUTS {
            return Err(bad(format!("more than {} inputs", MAX_INPUTS - 1)));
        }
        if self.outputs.is_empty() || self.outputs.len() > MAX_OUTPUTS {
            return Err(bad(format!("a shader has 1 to {MAX_OUTPUTS} outputs")));
        }
        let outputs = self.outputs.iter().map(|o| o.at);
        let mut all: Vec<Binding> = self.inputs.iter().copied().chain(outputs.clone()).collect();
        all.sort_unstable();
        // An output that begins as an input is bound once for both.
        let twice = all.windows(2).find(|w| w[0] == w[1]).map(|w| w[0]);
        let in_place = |b: Binding| {
            let of = self.outputs.iter().find(|o| o.at == b);
            let from = of.and_then(|o| o.from).map(|blob| blob as usize);
            from.is_some_and(|blob| blob >= 1 && self.inputs.get(blob - 1) == Some(&b))
        };
        if let Some(b) = twice.filter(|b| !in_place(*b)) {
            return Err(bad(format!(
                "group {} binding {} is given twice",
                b.group, b.binding
            )));
        }
        if all.windows(3).any(|w| w[0] == w[2]) {
            return Err(bad("a binding is given three times"));
        }
        for output in &self.outputs {
            let (width, counts) = match output.per {
                Per::Invocation => (self.workgroup, "invocations"),
                Per::Group => ([1; 3], "workgroups"),
            };
            let reach = |i: usize| self.groups[i] * width[i];
            let covered = |i: usize| (1..=reach(i)).contains(&output.extent[i]);
            if !(0..3).all(covered) {
                return Err(bad(format!(
                    "an output of {:?} slots, but the dispatch has {:?} {counts}",
                    output.extent,
                    [reach(0), reach(1), reach(2)]
                )));
            }
            if output.elements == 0 || output.stride == 0 {
                return Err(bad("a slot has at least one word"));
            }
            let words = product(output.extent)
                .checked_mul(output.elements.into())
                .and_then(|n| n.checked_mul(output.stride.into()));
            if words.is_none_or(|w| w > u64::from(u32::MAX)) {
                return Err(bad("an output has more than 2^32 words"));
            }
            if let Some(blob) = output.from
                && !(1..=self.inputs.len()).contains(&(blob as usize))
            {
                return Err(bad("an output begins as an input that there is not"));
            }
        }
        let bytes = self.tile_words().checked_mul(4);
        if bytes.is_none_or(|b| b > u64::from(MAX_TILE_BYTES)) {
            return Err(bad(format!(
                "a tile's output has more than {MAX_TILE_BYTES} bytes: make tiles smaller"
            )));
        }
        Ok(())
    }

    /// Tiles along each axis.
    pub fn grid(&self) -> [u32; 3] {
        std::array::from_fn(|i| self.groups[i].div_ceil(self.tile[i]))
    }

    /// Slots of one tile for `per`, along each axis.
    pub fn tile_slots(&self, per: Per) -> [u32; 3] {
        match per {
            Per::Invocation => std::array::from_fn(|i| self.tile[i] * self.workgroup[i]),
            Per::Group => self.tile,
        }
    }

    /// Words of one tile of an output.
    pub fn piece_words(&self, output: &OutputSpec) -> u64 {
        product(self.tile_slots(output.per))
            .saturating_mul(u64::from(output.elements) * u64::from(output.stride))
    }

    /// Words of a tile.
    fn tile_words(&self) -> u64 {
        let words = self.outputs.iter().map(|o| self.piece_words(o));
        words.fold(0, u64::saturating_add)
    }

    /// The word of a tile where each output's piece begins.
    pub fn piece_offsets(&self) -> Vec<u32> {
        let mut at = 0;
        let next = |o| {
            let here = at;
            at += self.piece_words(o) as u32;
            here
        };
        self.outputs.iter().map(next).collect()
    }

    fn units_per_tile(&self) -> u64 {
        let loops = u64::from(self.fuel) + u64::from(self.fuel_together);
        let each = loops + u64::from(self.straight);
        product(self.tile)
            .saturating_mul(product(self.workgroup))
            .saturating_mul(each)
    }

    /// How it is cut.
    pub fn shape(&self) -> Shape {
        Shape {
            tiles: product(self.grid()) as u32,
            tile_bytes: (self.tile_words() * 4) as u32,
            units_per_tile: self.units_per_tile(),
            tier: self.tier,
        }
    }
}

fn product(of: [u32; 3]) -> u64 {
    let factors = of.iter().map(|f| u64::from(*f));
    factors.fold(1, u64::saturating_mul)
}

fn bad(why: impl Into<String>) -> KernelError {
    KernelError::Params(why.into())
}
