"""Published runs for the tests of results and tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.results import PublishedRun

COMMAND = "lstm-suite train sentiment --data imdb/train.csv.xz"


def build_run(scores: dict[str, dict[str, Any]], seed: int = 1, command: str = COMMAND, **fields: Any) -> PublishedRun:
    """Returns a run with values by model and metric, whose intervals reach 0.01 to both sides; a tuple is used as it is."""
    intervals = {
        model: {name: v if isinstance(v, tuple) else (v, v - 0.01, v + 0.01) for name, v in values.items()}
        for model, values in scores.items()
    }
    defaults = {"id": "imdb-1", "dataset": "imdb", "minutes": 2.0 + seed, "own_models": ["exported"]}
    return PublishedRun(command=command, seeds=[seed], scores=intervals, **{**defaults, **fields})


def write_version(folder: Path, run: PublishedRun, undefined: tuple[str, ...] = ()) -> Path:
    """Writes the `metrics.json` of an exported version with the scores of a run; `undefined` metrics of the exported model are null."""
    rows = [
        {"model": model, "metric": metric, "value": value, "low": low, "high": high}
        for model, by_metric in run.scores.items()
        for metric, (value, low, high) in by_metric.items()
    ]
    rows += [{"model": "exported", "metric": metric, "value": None, "low": None, "high": None} for metric in undefined]
    folder.mkdir(parents=True)
    names = ("dataset", "command", "minutes", "own_models")
    metrics = {"task": "sentiment", "seed": run.seeds[0], "results": rows} | {n: getattr(run, n) for n in names}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder
