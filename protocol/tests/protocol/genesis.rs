//! The genesis: its bytes, its ranges, and a name that depends on every field.

use crate::world::Nature::Honest;
use crate::world::World;
use starling_protocol::genesis::GenesisError;
use starling_protocol::{Genesis, Hash, Limits, Scope};
use std::collections::BTreeSet;

fn genesis() -> Genesis {
    Genesis::new("test", Scope::Lan, Hash([3; 32]))
}

/// The genesis after `change`.
fn with(change: impl FnOnce(&mut Genesis)) -> Genesis {
    let mut changed = genesis();
    change(&mut changed);
    changed
}

#[test]
fn every_field_is_part_of_the_swarms_name() {
    let all = [
        genesis(),
        with(|g| g.name.push('s')),
        with(|g| g.scope = Scope::Public),
        with(|g| g.slice_ms += 1),
        with(|g| g.advert_ms += 1),
        with(|g| g.shards += 1),
        with(|g| g.salt = Hash([4; 32])),
        with(|g| g.limits.roster -= 1),
        with(|g| g.limits.input_mib -= 1),
        with(|g| g.limits.deadline_s -= 1),
        genesis().closed([5; 32].into()),
    ];
    let names: BTreeSet<_> = all.iter().map(Genesis::swarm_id).collect();
    assert_eq!(names.len(), all.len());
    for genesis in all {
        assert_eq!(
            Genesis::from_bytes(&genesis.to_bytes()).as_ref(),
            Ok(&genesis)
        );
    }
}

#[test]
fn a_field_out_of_its_range_is_named() {
    let refused = |change: fn(&mut Genesis)| match with(change).check() {
        Err(GenesisError::Range(field)) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(|g| g.name.clear()), "name");
    assert_eq!(refused(|g| g.name.push('\n')), "name");
    assert_eq!(refused(|g| g.slice_ms = 0), "slice_ms");
    assert_eq!(refused(|g| g.advert_ms = 10), "advert_ms");
    assert_eq!(refused(|g| g.shards = 0), "shards");
    assert_eq!(refused(|g| g.shards = 4_097), "shards");
    assert_eq!(refused(|g| g.limits.roster = 0), "limits.roster");
    assert_eq!(refused(|g| g.limits.roster = 1025), "limits.roster");
    assert_eq!(refused(|g| g.limits.input_mib = 2049), "limits.input_mib");
    assert_eq!(refused(|g| g.limits.deadline_s = 59), "limits.deadline_s");
    assert_eq!(
        with(|g| g.version += 1).check(),
        Err(GenesisError::Version(2))
    );
}

#[test]
fn a_job_beyond_the_swarms_limits_is_not_admitted() {
    let mut world = World::new(&[Honest, Honest]);
    world.submit();
    let record = world.bundle().record;
    let (manifest, roster) = (&record.manifest.body, &record.roster);
    let limits = Limits::default();
    assert!(limits.admit(manifest, roster, 3_600));
    assert!(!limits.admit(manifest, roster, 0), "its deadline is past");
    let tight = |change: fn(&mut Limits)| {
        let mut limits = limits;
        change(&mut limits);
        limits.admit(manifest, roster, 3_600)
    };
    assert!(!tight(|l| l.roster = 1));
    assert!(!tight(|l| l.deadline_s = 3_599));
    let mut fed = manifest.clone();
    let id = starling_protocol::BlobId(Hash::default());
    let len = (1 << 20) + 1;
    fed.inputs = vec![starling_protocol::manifest::BlobRef { id, len }];
    assert!(limits.admit(&fed, roster, 3_600));
    let small = Limits {
        input_mib: 1,
        ..limits
    };
    assert!(!small.admit(&fed, roster, 3_600));
}
