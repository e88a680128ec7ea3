//! kill -9 at random instants: what was acknowledged is there, and the index agrees with the log.

use super::{child, open, record};
use starling::log::LogWriter;
use starling::store::{Space, Store};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

const ROUNDS: u32 = 25;
const VARIABLE: &str = "STARLING_TEST_KILL_DIR";

/// The part of the child: append, and say what is durable, until killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_appends_until_killed() {
    let Some(dir) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
        return;
    };
    let (mut log, recovery, _) = open(&dir.join("log")).unwrap();
    assert!(recovery.is_clean());
    let (store, _) = Store::open(&dir.join("index"), &mut log, |seq, bytes, batch| {
        batch.put(Space::Receipts, &seq.to_be_bytes(), bytes);
    })
    .unwrap();
    let mut applied = log.last_seq();
    let mut writer = LogWriter::spawn(log, 16).unwrap();
    let mut progress = writer.progress();
    let mut next_seq = applied + 1;
    writeln!(std::io::stdout(), "durable {applied}").unwrap();
    loop {
        let next = progress.borrow_and_update().durable;
        for seq in applied + 1..=next {
            let mut batch = starling::store::Batch::default();
            batch.put(Space::Receipts, &seq.to_be_bytes(), &record(seq));
            store.apply(seq, batch).unwrap();
        }
        if next > applied {
            applied = next;
            let mut out = std::io::stdout().lock();
            writeln!(out, "durable {applied}").unwrap();
            out.flush().unwrap();
        }
        for _ in 0..5 {
            assert_eq!(writer.append(record(next_seq)).await.unwrap(), next_seq);
            next_seq += 1;
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0_u64;
    for round in 0..ROUNDS {
        let mut process = child("kill::child_appends_until_killed", VARIABLE, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = |line: String| {
            let number = line
                .split_once("durable ")
                .and_then(|(_, n)| n.parse::<u64>().ok());
            if let Some(seq) = number {
                acknowledged = acknowledged.max(seq);
            }
            number.is_some()
        };
        // Ready first, so that no round kills a process that has not begun.
        while !said(lines.next().expect("the child ended early").unwrap()) {}
        let mut random = [0_u8; 2];
        getrandom::fill(&mut random).unwrap();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(
                u64::from(u16::from_le_bytes(random)) * 2,
            ));
            process.kill().unwrap();
            process.wait().unwrap();
        });
        for line in lines.map_while(Result::ok) {
            said(line);
        }
        killer.join().unwrap();

        let (mut log, recovery, records) = open(&dir.path().join("log")).unwrap();
        assert!(recovery.is_clean(), "round {round}: {recovery:?}");
        assert!(
            log.last_seq() >= acknowledged,
            "round {round}: {} < {acknowledged}",
            log.last_seq()
        );
        for (expected, (seq, bytes)) in (1..).zip(&records) {
            assert_eq!((*seq, bytes), (expected, &record(expected)));
        }
        let (store, _) = Store::open(&dir.path().join("index"), &mut log, |seq, bytes, batch| {
            batch.put(Space::Receipts, &seq.to_be_bytes(), bytes);
        })
        .unwrap();
        let mut indexed = Vec::new();
        store
            .scan(Space::Receipts, &[], |key, value| {
                indexed.push((u64::from_be_bytes(key.try_into().unwrap()), value.to_vec()));
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(indexed, records, "round {round}");
    }
    assert!(
        acknowledged > u64::from(ROUNDS),
        "the children hardly wrote: {acknowledged}"
    );
}
