//! A shader's outputs as whole arrays: tiles put in their places.

use super::spec::{Per, Spec};

/// Copies what `tile` has of output `k` to its places in the whole array, both in bytes. What stands beyond the array's
/// extent is left out; so is what is not there.
pub fn place(spec: &Spec, k: usize, tile: u32, bytes: &[u8], array: &mut [u8]) {
    let (Some(output), Some(offset)) = (spec.outputs.get(k), spec.piece_offsets().get(k).copied())
    else {
        return;
    };
    let [across, down, _] = spec.grid();
    let at = [tile % across, tile / across % down, tile / across / down];
    let width = match output.per {
        Per::Invocation => spec.workgroup,
        Per::Group => [1; 3],
    };
    let corner: [u32; 3] = std::array::from_fn(|i| at[i] * spec.tile[i] * width[i]);
    let slots = spec.tile_slots(output.per);
    let slot_bytes = output.slot_words() as usize * 4;
    // Of the tile's slots those within the extent: they stand side by side along x.
    let inside: [u32; 3] =
        std::array::from_fn(|i| slots[i].min(output.extent[i].saturating_sub(corner[i])));
    let row = inside[0] as usize * slot_bytes;
    let index = |at: [u32; 3], size: [u32; 3]| {
        ((at[2] as usize * size[1] as usize) + at[1] as usize) * size[0] as usize + at[0] as usize
    };
    for z in 0..inside[2] {
        for y in 0..inside[1] {
            let from = offset as usize * 4 + index([0, y, z], slots) * slot_bytes;
            let to = index([corner[0], corner[1] + y, corner[2] + z], output.extent) * slot_bytes;
            if let (Some(from), Some(to)) =
                (bytes.get(from..from + row), array.get_mut(to..to + row))
            {
                to.copy_from_slice(from);
            }
        }
    }
}
