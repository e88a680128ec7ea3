//! The index as a fold of the log: caught up, rebuilt, refused.

use super::{Records, SWARM, filled, open, record};
use starling::log::Log;
use starling::store::{Batch, Opened, Space, Store, StoreError};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

fn index(seq: u64, bytes: &[u8], batch: &mut Batch) {
    batch.put(Space::Receipts, &seq.to_be_bytes(), bytes);
}

fn open_store(dir: &Path, log: &mut Log) -> Result<(Store, Opened), StoreError> {
    Store::open(&dir.join("index"), log, index)
}

fn count(store: &Store, space: Space) -> usize {
    let mut entries = 0;
    let counted = store.scan(space, &[], |_, _| {
        entries += 1;
        ControlFlow::Continue(())
    });
    counted.unwrap();
    entries
}

#[test]
fn an_index_catches_up_and_keeps_its_spaces_apart() {
    let dir = tempfile::tempdir().unwrap();
    filled(&dir.path().join("log"), 10);
    let (mut log, _, _) = open(&dir.path().join("log")).unwrap();
    let (store, opened) = open_store(dir.path(), &mut log).unwrap();
    assert_eq!(opened, Opened::UpToDate { caught_up: 10 });
    store.put(Space::Jobs, b"a", b"1").unwrap();
    store.put(Space::Jobs, b"ab", b"2").unwrap();
    store.put(Space::Jobs, b"b", b"3").unwrap();
    assert_eq!(store.get(Space::Peers, b"a").unwrap(), None);
    assert_eq!(store.get(Space::Jobs, b"ab").unwrap(), Some(b"2".to_vec()));
    let mut seen = Vec::new();
    let visit = |key: &[u8], _: &[u8]| {
        seen.push(key.to_vec());
        ControlFlow::Continue(())
    };
    store.scan(Space::Jobs, b"a", visit).unwrap();
    assert_eq!(seen, [b"a".to_vec(), b"ab".to_vec()]);
    store.remove(Space::Jobs, b"a").unwrap();
    assert_eq!(count(&store, Space::Jobs), 2);
    store.flush().unwrap();
    drop(store);

    log.append(&record(11)).unwrap();
    log.sync().unwrap();
    let (store, opened) = open_store(dir.path(), &mut log).unwrap();
    assert_eq!(opened, Opened::UpToDate { caught_up: 1 });
    assert_eq!(
        store.get(Space::Receipts, &11_u64.to_be_bytes()).unwrap(),
        Some(record(11))
    );
    assert_eq!(
        (count(&store, Space::Receipts), count(&store, Space::Jobs)),
        (11, 2)
    );
}

#[test]
fn an_index_that_does_not_open_is_moved_aside_and_rebuilt() {
    type Spoil = fn(&Path);
    let ways: [(&str, Spoil); 3] = [
        ("conf", |dir| {
            fs::write(dir.join("conf"), b"no configuration of sled's").unwrap()
        }),
        ("noted", |dir| fs::write(dir.join("damaged"), b"").unwrap()),
        ("other log", |dir| {
            fs::remove_dir_all(dir.parent().unwrap().join("log")).unwrap()
        }),
    ];
    for (name, spoil) in ways {
        let dir = tempfile::tempdir().unwrap();
        filled(&dir.path().join("log"), 50);
        let (mut log, _, _) = open(&dir.path().join("log")).unwrap();
        drop(open_store(dir.path(), &mut log).unwrap());
        drop(log);
        spoil(&dir.path().join("index"));
        let (mut log, _, records) = open(&dir.path().join("log")).unwrap();
        let (store, opened) = open_store(dir.path(), &mut log).unwrap();
        let Opened::Rebuilt { aside, .. } = opened else {
            panic!("{name}: {opened:?}")
        };
        assert!(aside.is_dir(), "{name}");
        assert_eq!(count(&store, Space::Receipts), records.len(), "{name}");
    }
}

/// sled checks pages as it reads them: flips are found at start, at a read, or lie where nothing is kept.
#[test]
fn flipped_bits_in_the_index_end_in_the_right_answer_within_one_restart() {
    for round in 0_usize..12 {
        let dir = tempfile::tempdir().unwrap();
        filled(&dir.path().join("log"), 300);
        let (mut log, _, records) = open(&dir.path().join("log")).unwrap();
        drop(open_store(dir.path(), &mut log).unwrap());
        let path = dir.path().join("index/db");
        let mut bytes = fs::read(&path).unwrap();
        for flip in 0..400 {
            let at = (flip * 7919 + round * 104_729) % bytes.len();
            bytes[at] ^= 1 << (flip % 8);
        }
        fs::write(&path, bytes).unwrap();

        let (store, _) = open_store(dir.path(), &mut log).unwrap();
        if !all_there(&store, &records) {
            drop(store);
            let (store, _) = open_store(dir.path(), &mut log).unwrap();
            assert!(
                all_there(&store, &records),
                "round {round}: the second start did not repair it"
            );
        }
    }
}

/// False if the index complains; a wrong or missing answer without a complaint is a failure.
fn all_there(store: &Store, records: &Records) -> bool {
    records.iter().all(
        |(seq, bytes)| match store.get(Space::Receipts, &seq.to_be_bytes()) {
            Ok(found) => {
                assert_eq!(found.as_ref(), Some(bytes), "record {seq}");
                true
            }
            Err(StoreError::Damaged { .. }) => false,
            Err(other) => panic!("{other}"),
        },
    )
}

#[test]
fn a_second_user_of_the_index_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(&dir.path().join("log"), &SWARM, |_, _| {}).unwrap();
    let _held = open_store(dir.path(), &mut log).unwrap();
    let error = open_store(dir.path(), &mut log).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("--home"), "{error}");
}
