//! Experiment files: what is wrong with one is said with its place and its cure.

use crate::shipped;
use starling_sim::Experiment;
use starling_sim::experiment::Study;
use std::path::Path;

const GOOD: &str = "\
[population]
peers = 5

[[workload]]
[workload.job]
tiles = 64
tile_bytes = 4096
units_per_tile = 1000
slice_tiles = 64
";

fn study(text: &str) -> Result<Study, String> {
    Study::parse(text, Path::new("bad.toml")).map_err(|e| e.to_string())
}

/// The error of an experiment file with this text.
fn refusal(text: &str) -> String {
    study(text).expect_err("the experiment is bad")
}

#[test]
fn a_missing_file_is_named() {
    let error = Experiment::load(Path::new("no/such/file.toml"))
        .expect_err("there is none")
        .to_string();
    assert!(
        error.contains("no/such/file.toml") && error.contains("No such file"),
        "{error}"
    );
}

#[test]
fn unknown_missing_and_mistyped_fields_are_told_with_their_line() {
    let error = refusal(&GOOD.replace("peers = 5\n", "peers = 5\npears = 6\n"));
    assert!(
        error.contains("line 3") && error.contains("unknown field `pears`"),
        "{error}"
    );
    // Another unit is another key.
    let error = refusal(&format!("{GOOD}\n[network]\none_way_s = 3\n"));
    assert!(
        error.contains("line 12")
            && error.contains("`one_way_s`")
            && error.contains("`one_way_ms`"),
        "{error}"
    );
    let error = refusal(&GOOD.replace("tiles = 64\ntile", "tiles = \"many\"\ntile"));
    assert!(
        error.contains("line 6") && error.contains("invalid type"),
        "{error}"
    );
    let error = refusal(&GOOD.replace("units_per_tile = 1000\n", ""));
    assert!(error.contains("missing field `units_per_tile`"), "{error}");
    let error = refusal(&format!(
        "{GOOD}[[adversaries]]\ncount = 1\nstrategies = [\"fake_some\"]\n"
    ));
    assert!(error.contains("unknown variant `fake_some`"), "{error}");
}

#[test]
fn values_out_of_range_are_told_with_their_range() {
    let adversaries = |what: &str| format!("{GOOD}[[adversaries]]\n{what}\n");
    let cases = [
        (
            GOOD.replace("peers = 5", "peers = 1"),
            "`population.peers`",
            "2 to 200000",
        ),
        (
            GOOD.replace("slice_tiles = 64", "slice_tiles = 5000"),
            "`workload.0.job.slice_tiles`",
            "1 to 1024",
        ),
        (
            GOOD.replace("tiles = 64\ntile", "tiles = 0\ntile"),
            "`workload.0.job.tiles`",
            "1 to 2^24",
        ),
        (
            GOOD.replace("[[workload]]", "[[workload]]\nrequester = 5"),
            "`workload.0.requester`",
            "below population.peers",
        ),
        (
            GOOD.replace("[[workload]]", "[[workload]]\nat_s = 700"),
            "`workload.0.at_s`",
            "before run.horizon_s",
        ),
        (
            format!("{GOOD}[network]\nloss_share = 1.5\n"),
            "`network.loss_share`",
            "0 to 1",
        ),
        (
            format!("{GOOD}[network]\naccess_ms = nan\n"),
            "`network.access_ms`",
            "0 to 60000",
        ),
        (
            format!("{GOOD}[gossip]\nlow = 9\n"),
            "`gossip.low`",
            "1 to `degree`",
        ),
        (
            format!("{GOOD}[swarm]\nshards = 0\n"),
            "`swarm.shards`",
            "1 to 4096",
        ),
        (
            format!("{GOOD}[seeds]\ncount = 0\n"),
            "`seeds.count`",
            "1 to 100000",
        ),
        (
            format!("{GOOD}[seeds]\nstop = [\"speed\"]\n"),
            "`seeds.stop`",
            "placement_ms",
        ),
        (
            adversaries("share = 1.5\nstrategies = []"),
            "`adversaries.0.share`",
            "0 to 1",
        ),
        // Four fifths lend; the requester does not.
        (
            adversaries("share = 0.9\nstrategies = []"),
            "`adversaries.0.share`",
            "all peers but the clients",
        ),
        (
            adversaries("share = 0.2\ncount = 1\nstrategies = []"),
            "`adversaries.0.count`",
            "left out",
        ),
        (
            adversaries("count = 1\nstrategies = [{ fake_share = 2.0 }]"),
            "`adversaries.0.strategies`",
            "0 to 1",
        ),
        (
            adversaries("count = 1\nstrategies = [\"copy\", \"audit_lazily\"]"),
            "`adversaries.0.strategies`",
            "exclude each other",
        ),
    ];
    for (text, field, range) in cases {
        let error = refusal(&text);
        assert!(error.contains(field) && error.contains(range), "{error}");
    }
}

#[test]
fn sweeps_are_told_what_is_wrong_with_them() {
    let sweep =
        |key: &str, values: &str| format!("{GOOD}[[sweep]]\nkey = \"{key}\"\nvalues = {values}\n");
    let cases = [
        (
            sweep("population.peers", "[]"),
            "`population.peers` has no values",
        ),
        (
            sweep("adversaries.0.share", "[0.1]"),
            "no place `adversaries.0.share`",
        ),
        (
            sweep("population.peer", "[10]"),
            "cell 0 (population.peer = 10): unknown field `peer`",
        ),
        (
            sweep("population.peers", "[10, 1]"),
            "cell 1 (population.peers = 1): `population.peers`",
        ),
        (
            sweep("run.horizon_s", "[10, \"1h\"]"),
            "cell 1 (run.horizon_s = \"1h\"): invalid type",
        ),
    ];
    for (text, expected) in cases {
        let error = refusal(&text);
        assert!(error.contains(expected), "{error}");
    }
    let many: Vec<_> = (2..150).map(|n| n.to_string()).collect();
    let many = format!("[{}]", many.join(", "));
    let text = format!(
        "{}{}",
        sweep("population.peers", &many),
        sweep("x", &many).replace(GOOD, "")
    );
    assert!(refusal(&text).contains("more than 10000 cells"));
}

#[test]
fn a_sweep_makes_every_combination_in_the_files_order() {
    let text = format!(
        "{GOOD}[[sweep]]\nkey = \"swarm.advert_s\"\nvalues = [10.0, 60.0]\n\
         [[sweep]]\nkey = \"population.peers\"\nvalues = [5, 6, 7]\n"
    );
    let study = study(&text).expect("it is fine");
    assert_eq!(study.swept, ["swarm.advert_s", "population.peers"]);
    let cells: Vec<_> = study
        .cells
        .iter()
        .map(|c| {
            (
                c.number,
                c.experiment.swarm.advert_s,
                c.experiment.population.peers,
            )
        })
        .collect();
    let expected = [
        (0, 10.0, 5),
        (1, 10.0, 6),
        (2, 10.0, 7),
        (3, 60.0, 5),
        (4, 60.0, 6),
        (5, 60.0, 7),
    ];
    assert_eq!(cells, expected);
    assert_eq!(study.cells[4].params["population.peers"].to_string(), "6");
}

#[test]
fn a_trace_of_churn_is_told_with_file_and_line() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("swarm.toml");
    let text = format!("{GOOD}[churn.trace]\nfile = \"churn.csv\"\n");
    std::fs::write(&path, text).expect("a file");
    let error = |csv: &str| {
        std::fs::write(dir.path().join("churn.csv"), csv).expect("a file");
        Experiment::load(&path)
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    assert_eq!(
        error("peer,up_s,down_s\n0,0,99\n1,0,50\n1,60,80\n2,5,90\n3,0,9\n4,0,9\n"),
        Ok(())
    );
    let unsorted = error("peer,up_s,down_s\n0,60,80\n0,0,50\n").expect_err("unsorted");
    assert!(unsorted.contains("churn.csv:3"), "{unsorted}");
    let unit = error("peer,up_ms,down_ms\n0,0,50\n").expect_err("another unit");
    assert!(
        unit.contains("churn.csv:1") && unit.contains("up_s"),
        "{unit}"
    );
}

#[test]
fn what_ships_is_fine_and_survives_its_own_writing() {
    let dir = shipped("");
    let mut seen = 0;
    for file in std::fs::read_dir(&dir).expect("scenarios ship").flatten() {
        let path = file.path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let study = Study::load(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for cell in &study.cells {
            let copy = Study::parse(&cell.experiment.to_toml(), Path::new("copy.toml"));
            let copy = copy.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert_eq!(
                copy.cells[0].experiment,
                cell.experiment,
                "{}",
                path.display()
            );
        }
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} files in {}", dir.display());
}
