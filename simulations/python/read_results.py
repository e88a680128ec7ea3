#!/usr/bin/env python3
"""Reads a results folder of starling-sim into data frames, and prints its summary.

    python3 read_results.py DIR

In a notebook: `from read_results import load; results = load("DIR"); results.rows`.
Frames are polars' where it is installed, else pandas' (which needs pyarrow for Parquet; without it the CSV files are
read instead). A metric that does not apply to a run is null in polars and NaN in pandas, never 0.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

FORMAT = 1


@dataclass
class Results:
    """One results folder."""

    about: dict  # run.json: commit, lockfile, command, and the metrics with their units
    experiment: str  # experiment.toml
    rows: object  # a line per finished cell and seed
    summary: object  # a line per cell and metric
    samples: dict  # further tables by name, such as a line per job


def load(folder):
    """Loads `folder`, in which `starling-sim` has made its tables."""
    folder = Path(folder)
    if not (folder / "run.json").exists():
        raise SystemExit(f"{folder} is no results folder: it holds no run.json")
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    if about["format"] != FORMAT:
        raise SystemExit(f"{folder} has format {about['format']}, and this script reads {FORMAT}")
    if not (folder / "results.csv").exists():
        raise SystemExit(f"{folder} has no results.csv yet: let starling-sim export it first")
    own = {"results", "summary"}
    tables = sorted(path.stem for path in folder.glob("*.parquet") if path.stem not in own)
    return Results(
        about=about,
        experiment=(folder / "experiment.toml").read_text(encoding="utf-8"),
        rows=_table(folder, "results"),
        summary=_csv(folder / "summary.csv"),
        samples={name: _table(folder, name) for name in tables},
    )


def _table(folder, name):
    try:
        import polars

        return polars.read_parquet(folder / f"{name}.parquet")
    except ImportError:
        pass
    import pandas

    try:
        return pandas.read_parquet(folder / f"{name}.parquet")
    except ImportError:
        return _csv(folder / f"{name}.csv")


def _csv(path):
    try:
        import polars

        # All lines decide on the types: a column may be empty for long.
        return polars.read_csv(path, infer_schema_length=None)
    except ImportError:
        import pandas

        return pandas.read_csv(path)


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: read_results.py DIR")
    results = load(sys.argv[1])
    print(f"commit {results.about['commit']}, {len(results.rows)} finished runs")
    for name, table in results.samples.items():
        print(f"samples: {name}, {len(table)} lines")
    if hasattr(results.summary, "to_pandas"):
        import polars

        with polars.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200):
            print(results.summary)
    else:
        print(results.summary.to_string(index=False))


if __name__ == "__main__":
    main()
