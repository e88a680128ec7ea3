//! The log with bytes cut off, flipped and inserted.

use super::{Records, filled, open, record};
use proptest::prelude::*;
use starling::log::{Log, LogError, LogWriter, MAX_RECORD};
use std::fs;

const COUNT: u64 = 40;
const HEADER: usize = 1024;
const HEAD: usize = 40;

/// Where each frame starts, and where the last one ends.
fn starts() -> Vec<usize> {
    let mut at = HEADER;
    let mut starts = vec![at];
    for seq in 1..=COUNT {
        at += HEAD + record(seq).len();
        starts.push(at);
    }
    starts
}

/// Nothing that was not written, and ascending.
fn assert_only_written(records: &Records) {
    assert!(records.is_sorted_by(|a, b| a.0 < b.0));
    for (seq, bytes) in records {
        assert_eq!(*bytes, record(*seq), "record {seq} is not what was written");
    }
}

fn numbers(records: &Records) -> Vec<u64> {
    records.iter().map(|(seq, _)| *seq).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_truncated_log_keeps_every_whole_record_and_goes_on(cut in HEADER..starts()[COUNT as usize]) {
        let dir = tempfile::tempdir().unwrap();
        let path = filled(dir.path(), COUNT);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut as u64).unwrap();
        let whole = starts().iter().skip(1).filter(|end| **end <= cut).count() as u64;

        let (mut log, recovery, records) = open(dir.path()).unwrap();
        assert_only_written(&records);
        prop_assert_eq!(numbers(&records), (1..=whole).collect::<Vec<_>>());
        prop_assert_eq!(recovery.torn_bytes as usize, cut - starts()[whole as usize]);
        prop_assert!(recovery.is_clean());

        prop_assert_eq!(log.append(&record(whole + 1)).unwrap(), whole + 1);
        log.sync().unwrap();
        drop(log);
        let (_, recovery, records) = open(dir.path()).unwrap();
        prop_assert_eq!(recovery.torn_bytes, 0);
        prop_assert_eq!(numbers(&records), (1..=whole + 1).collect::<Vec<_>>());
    }

    #[test]
    fn a_flipped_bit_costs_one_record_and_is_reported(at in HEADER..starts()[COUNT as usize], bit in 0..8_u32) {
        let dir = tempfile::tempdir().unwrap();
        let path = filled(dir.path(), COUNT);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1 << bit;
        fs::write(&path, &bytes).unwrap();
        let hit = starts().iter().filter(|start| **start <= at).count() as u64;

        let (mut log, recovery, records) = open(dir.path()).unwrap();
        assert_only_written(&records);
        let expected: Vec<u64> = (1..=COUNT).filter(|seq| *seq != hit).collect();
        prop_assert_eq!(numbers(&records), expected.clone());
        // A record cut to a bare damaged head cannot be told from a torn one; any other damage stays in place.
        prop_assert_eq!(recovery.damaged_bytes as usize, HEAD + record(hit).len());
        prop_assert_eq!(recovery.torn_bytes, 0);
        prop_assert_eq!(recovery.damage[0].offset as usize, starts()[hit as usize - 1]);
        prop_assert_eq!(fs::read(&path).unwrap(), bytes, "damage is evidence: it stays");

        let next = log.append(b"after the damage").unwrap();
        prop_assert!(next > *expected.last().unwrap());
        log.sync().unwrap();
        drop(log);
        let (_, _, records) = open(dir.path()).unwrap();
        prop_assert_eq!(records.len() as u64, COUNT);
        prop_assert_eq!(records.last().unwrap(), &(next, b"after the damage".to_vec()));
    }

    #[test]
    fn any_rewriting_loses_nothing_before_it_and_invents_nothing(
        edits in prop::collection::vec((HEADER..starts()[COUNT as usize], any::<u8>(), 1..600_usize), 1..6),
        cut in prop::option::of(HEADER..starts()[COUNT as usize]),
        junk in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = filled(dir.path(), COUNT);
        let sound = fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        for (at, value, length) in edits {
            let end = (at + length).min(bytes.len());
            bytes[at..end].fill(value);
        }
        bytes.truncate(cut.unwrap_or(bytes.len()));
        bytes.extend(junk);
        fs::write(&path, &bytes).unwrap();
        let first_difference = sound.iter().zip(&bytes).position(|(a, b)| a != b).unwrap_or(sound.len().min(bytes.len()));
        let before = starts().iter().skip(1).filter(|end| **end <= first_difference).count();

        let (_, recovery, records) = open(dir.path()).unwrap();
        assert_only_written(&records);
        prop_assert!(records.len() >= before);
        prop_assert_eq!(recovery.records as usize, records.len());
    }
}

#[test]
fn one_damaged_header_copy_is_restored_and_two_move_the_file_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path(), COUNT);
    let sound = fs::read(&path).unwrap();
    for at in [3, 20, 40, 70, 512 + 5] {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let (_, recovery, records) = open(dir.path()).unwrap();
        assert!(recovery.header_restored && !recovery.is_clean());
        assert_eq!(records.len() as u64, COUNT);
        assert_eq!(fs::read(&path).unwrap(), sound);
    }

    for (round, bytes) in [Vec::new(), vec![0; 300], b"not a log".repeat(500)]
        .into_iter()
        .enumerate()
    {
        fs::write(&path, &bytes).unwrap();
        let (log, recovery, records) = open(dir.path()).unwrap();
        let aside = recovery.moved_aside.unwrap();
        assert!(aside.ends_with(format!("facts.log.damaged-{}", round + 1)));
        assert_eq!(fs::read(aside).unwrap(), bytes);
        assert_eq!((records.len(), log.last_seq()), (0, 0));
    }
}

#[test]
fn a_frame_inside_a_record_or_in_another_place_is_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path(), 3);
    let bytes = fs::read(&path).unwrap();
    let third = bytes[starts()[2]..starts()[3]].to_vec();

    // Copied behind the end: right keys, wrong place.
    fs::write(&path, [&bytes[..], &third[..]].concat()).unwrap();
    let (mut log, recovery, records) = open(dir.path()).unwrap();
    assert_eq!(numbers(&records), [1, 2, 3]);
    assert_eq!(recovery.damaged_bytes as usize, third.len());

    // Inside a record whose own head is then damaged, so that the reader searches through it.
    let from = log.bytes() as usize;
    log.append(&third.repeat(3)).unwrap();
    log.append(b"next").unwrap();
    log.sync().unwrap();
    drop(log);
    let mut bytes = fs::read(&path).unwrap();
    bytes[from] ^= 0x80;
    fs::write(&path, bytes).unwrap();
    let (_, recovery, records) = open(dir.path()).unwrap();
    assert_eq!(numbers(&records), [1, 2, 3, 5]);
    assert_eq!(recovery.lost_records, 1);
}

#[test]
fn zeros_after_a_power_cut_are_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path(), 3);
    let mut bytes = fs::read(&path).unwrap();
    let sound = bytes.len();
    bytes.resize(sound + 1_000_000, 0);
    fs::write(&path, bytes).unwrap();
    let (_, recovery, records) = open(dir.path()).unwrap();
    assert_eq!((recovery.torn_bytes, records.len()), (1_000_000, 3));
    assert_eq!(fs::metadata(path).unwrap().len() as usize, sound);
}

#[test]
fn megabytes_of_junk_are_searched_through() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path(), 3);
    let mut bytes = fs::read(&path).unwrap();
    // Full of markers, so that every place has to be looked at; not a multiple of the reader's block.
    bytes.extend([0xf5, b'S', b'L', 0xfa].repeat(300_001));
    fs::write(&path, bytes).unwrap();
    let (mut log, _, _) = open(dir.path()).unwrap();
    log.append(b"behind it").unwrap();
    log.sync().unwrap();
    drop(log);
    let (_, recovery, records) = open(dir.path()).unwrap();
    assert_eq!(records.last().unwrap(), &(4, b"behind it".to_vec()));
    assert_eq!(recovery.damaged_bytes, 1_200_004);
    assert_eq!(recovery.damage.len(), 1);
}

#[test]
fn the_log_of_another_swarm_or_version_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path(), 3);
    let before = fs::read(&path).unwrap();
    let error = Log::open(dir.path(), &[8; 32], |_, _| {
        panic!("showed a record of another swarm")
    })
    .unwrap_err();
    assert!(matches!(error, LogError::OtherSwarm { .. }));
    assert!(error.to_string().contains("--home"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let mut newer = before;
    newer[8] = 2;
    let check = blake3::Hasher::new_derive_key("starling 2026 log header")
        .update(&newer[..64])
        .finalize();
    newer[64..80].copy_from_slice(&check.as_bytes()[..16]);
    fs::write(&path, &newer).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(
        matches!(
            error,
            LogError::Version {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), newer);
}

#[test]
fn records_have_one_byte_to_the_maximum() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _, _) = open(dir.path()).unwrap();
    assert!(matches!(log.append(&[]), Err(LogError::RecordSize(0))));
    assert!(matches!(
        log.append(&vec![0; MAX_RECORD + 1]),
        Err(LogError::RecordSize(_))
    ));
    for fill in 1..=40 {
        log.append(&vec![fill; MAX_RECORD]).unwrap();
    }
    assert_eq!(log.sync().unwrap(), 40);
    let mut again = 0;
    log.replay(|_, record| again += record.len()).unwrap();
    assert_eq!(again, 40 * MAX_RECORD);
    drop(log);
    assert_eq!(open(dir.path()).unwrap().2.len(), 40);
}

#[tokio::test]
async fn the_writer_reports_what_is_durable_and_waits_when_its_queue_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _, _) = open(dir.path()).unwrap();
    let mut writer = LogWriter::spawn(log, 2).unwrap();
    assert!(matches!(
        writer.append(Vec::new()).await,
        Err(LogError::RecordSize(0))
    ));
    for seq in 1..=500 {
        assert_eq!(writer.append(record(seq)).await.unwrap(), seq);
    }
    writer.durable(500).await.unwrap();
    assert_eq!(writer.progress().borrow().durable, 500);
    writer.append(record(501)).await.unwrap();
    assert_eq!(writer.close().unwrap(), 501);
    let (_, _, records) = open(dir.path()).unwrap();
    assert_only_written(&records);
    assert_eq!(records.len(), 501);
}
