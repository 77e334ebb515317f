"""Published scores: the `results.json` of each task, one object per run. `benchmarks.result_tables` makes the tables of the documents.

A tool for maintainers, in a checkout of the project: see `python -m benchmarks.publish --help`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import SuiteError
from shared.evaluation.metric import Score

ROOT = Path(__file__).resolve().parents[1]
OMITTED_OPTIONS = ("--output",)
"""Options that a published command omits, with their values. The mean of several seeds omits the seed too."""
INNER_LIST = re.compile(r"\[\s+([^\[\]{}]*?)\s+\]")

Interval = tuple[float, float | None, float | None]
"""Value, lower and upper limit; for the mean of several seeds, the limits are one standard deviation away."""


@dataclass(frozen=True)
class PublishedRun:
    """Scores of one run, or of several runs that differ only by their seed."""

    id: str
    """Name of the run: the data set and a number."""
    dataset: str
    command: str
    """Command line that repeats the run."""
    seeds: list[int]
    minutes: float | None
    """Training time."""
    own_models: list[str]
    """The exported model and its components; the other models are baselines."""
    scores: dict[str, dict[str, Interval]]
    """Scores on the test split, by model and metric."""

    def list_scores(self, metric: str) -> list[Score]:
        """Returns the scores of all models by a metric."""
        scores = []
        for model, by_metric in self.scores.items():
            if metric in by_metric:
                value, low, high = (np.nan if number is None else number for number in by_metric[metric])
                scores.append(Score(model, metric, value, low, high))
        return scores


def read(name: str) -> list[PublishedRun]:
    """Returns the runs in a task's `results.json`; none if there is no such file."""
    path = task_folder(name) / "results.json"
    return [PublishedRun(**run) for run in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []


def write(name: str, runs: Sequence[PublishedRun]) -> None:
    """Writes a task's `results.json`, with one line per score."""
    text = json.dumps([dataclasses.asdict(run) for run in runs], indent=1, ensure_ascii=False, allow_nan=False)
    text = INNER_LIST.sub(lambda match: f"[{' '.join(match[1].split())}]", text)
    (task_folder(name) / "results.json").write_text(text + "\n", encoding="utf-8")


def add(versions: Sequence[Path]) -> str:
    """Adds the scores of an exported version to the `results.json` of its task; a run of the same command is replaced.

    Args:
        versions: folders of versions. Of several, which differ only by their seed, the means and one standard deviation on both
            sides are added.

    Returns:
        The name of the task.

    Raises:
        SuiteError: a version has no scores, or the versions belong to different runs.
    """
    metrics = []
    for version in versions:
        path = version / "metrics.json"
        if not path.is_file():
            raise SuiteError(f"{version}: there is no metrics.json. Name a version that `lstm-suite train` exported.")
        metrics.append(json.loads(path.read_text(encoding="utf-8")))
    name = metrics[0]["task"]
    new, runs = merge([_from_metrics(one) for one in metrics]), read(name)
    position = next((k for k, run in enumerate(runs) if run.command == new.command), len(runs))
    identifier = runs[position].id if position < len(runs) else _new_id(new.dataset, runs)
    runs[position : position + 1] = [dataclasses.replace(new, id=identifier)]
    write(name, runs)
    return str(name)


def merge(runs: Sequence[PublishedRun]) -> PublishedRun:
    """Returns the run to publish from one run, or from several runs with different seeds.

    Raises:
        SuiteError: the runs have different commands, or two have the same seed.
    """
    omitted = (*OMITTED_OPTIONS, "--training.seed") if len(runs) > 1 else OMITTED_OPTIONS
    commands = {published_command(run.command, omitted) for run in runs}
    seeds = sorted({seed for run in runs for seed in run.seeds})
    if len(commands) != 1 or len(seeds) != len(runs):
        raise SuiteError(
            "results: versions that are published together must differ only by --training.seed. Received: "
            f"{'; '.join(sorted(commands))}; seeds {seeds}"
        )
    scores: dict[str, dict[str, Interval]] = {}
    for model, metric in dict.fromkeys(
        (m, k) for run in runs for m, by_metric in run.scores.items() for k in by_metric
    ):
        values = [run.scores[model][metric] for run in runs if metric in run.scores.get(model, {})]
        scores.setdefault(model, {})[metric] = _mean(values, len(seeds))
    minutes = [run.minutes for run in runs if run.minutes is not None]
    mean_minutes = round(float(np.mean(minutes)), 1) if len(minutes) == len(runs) else None
    return dataclasses.replace(runs[0], command=commands.pop(), seeds=seeds, minutes=mean_minutes, scores=scores)


def published_command(command: str, omitted_options: Sequence[str] = OMITTED_OPTIONS) -> str:
    """Returns a command as the documentation shows it: without some options, and without the preset if it is the default."""
    has_default_preset = option_value(command, "--preset") == "default"
    return without_options(command, (*omitted_options, "--preset") if has_default_preset else omitted_options)


def without_options(command: str, options: Sequence[str]) -> str:
    """Returns a command without some options and their values."""
    return shlex.join(word for option, words in _split_options(command) if option not in options for word in words)


def option_value(command: str, option: str) -> str | None:
    """Returns the value of an option in a command, several values separated by spaces; None if the option is absent."""
    for name, words in _split_options(command):
        if name == option:
            return " ".join(words[1:] if words[0] == option else [words[0].partition("=")[2], *words[1:]])
    return None


def task_folder(name: str) -> Path:
    """Returns the folder of a task in a checkout.

    Raises:
        SuiteError: it has no README.
    """
    folder = ROOT / "tasks" / name
    if not (folder / "README.md").is_file():
        raise SuiteError(
            f"{folder}: there is no README.md. Scores can only be published from a checkout of the project."
        )
    return folder


def _from_metrics(metrics: dict[str, Any]) -> PublishedRun:
    """Returns the run of a `metrics.json`, without scores that are not defined."""
    scores: dict[str, dict[str, Interval]] = {}
    for row in metrics["results"]:
        if row["value"] is not None:
            scores.setdefault(row["model"], {})[row["metric"]] = (row["value"], row["low"], row["high"])
    fields = {name: metrics[name] for name in ("dataset", "command", "minutes", "own_models")}
    return PublishedRun(id="", seeds=[metrics["seed"]], scores=scores, **fields)


def _mean(values: Sequence[Interval], seeds: int) -> Interval:
    if seeds == 1:
        return values[0]
    numbers = np.array([value for value, *_ in values])
    value, deviation = float(numbers.mean()), float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
    return round(value, 5), round(value - deviation, 5), round(value + deviation, 5)


def _new_id(dataset: str, runs: Sequence[PublishedRun]) -> str:
    used = {run.id for run in runs}
    return next(name for number in range(1, len(runs) + 2) if (name := f"{dataset}-{number}") not in used)


def _split_options(command: str) -> list[tuple[str, list[str]]]:
    """Returns the options of a command, each with its words up to the next option; the words before the first belong to ""."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    for word in shlex.split(command):
        if word.startswith("--"):
            parts.append((word.partition("=")[0], []))
        parts[-1][1].append(word)
    return parts
