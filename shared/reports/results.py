"""Published scores: the `results.json` of each task, and the tables in the documentation that are made from it.

A table in `tasks/TASK/README.md` or `docs/experiments/TASK.md` stands below the command that produced its scores:

        lstm-suite train sentiment --data imdb/train.csv.xz --test-data imdb/test.csv.xz

    <!-- table: accuracy* roc_auc -->
    …
    <!-- end table -->

It has one row per model and one column per metric; a star adds the interval, and slashes put several metrics into one column, as in
`crps_1d/crps_5d/crps_20d`. For commands that differ from the one above only by the value of one option, a cross-validation table has
one row per value, and the mean:

    <!-- cross-validation: --split.test-speakers accuracy -->
    …
    <!-- end cross-validation -->
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared import task
from shared.errors import SuiteError
from shared.evaluation.metric import Metric, Score, best_baseline, common_heading, find_metric
from shared.reports.report import markdown_table

Row = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
TABLE = re.compile(r"<!-- table: (?P<columns>[^>]+) -->\n.*?<!-- end table -->", re.DOTALL)
CROSS_VALIDATION = re.compile(
    r"<!-- cross-validation: (?P<option>\S+) (?P<metric>\S+) -->\n.*?<!-- end cross-validation -->", re.DOTALL
)
SUMMARY = re.compile(r"<!-- results -->\n.*?<!-- end -->", re.DOTALL)
COMMAND = re.compile(r"^    (lstm-suite train .*)$", re.MULTILINE)
OMITTED_OPTIONS = ("--output",)
"""Options that a published command omits, with their values. The mean of several seeds omits the seed too."""
SUMMARY_HEADER = [
    "task",
    "input",
    "output",
    "data set",
    "score (95 % interval, or ± deviation over seeds)",
    "best baseline",
    "minutes",
]


def read(name: str) -> list[Row]:
    """Returns the rows of a task's `results.json`; none if there is no such file."""
    path = _task_folder(name) / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def add(versions: Sequence[Path]) -> str:
    """Adds the scores of an exported version to the `results.json` of its task; rows of the same command are replaced.

    Args:
        versions: folders of versions. Of several, which differ only by their seed, the means and one standard deviation on both
            sides are added.

    Returns:
        The name of the task.

    Raises:
        SuiteError: a version has no scores, or the versions belong to different runs.
    """
    runs = []
    for version in versions:
        path = version / "metrics.json"
        if not path.is_file():
            raise SuiteError(f"{version}: there is no metrics.json. Name a version that `lstm-suite train` exported.")
        runs.append(json.loads(path.read_text(encoding="utf-8")))
    name = runs[0]["task"]
    new = merge_runs([run["results"] for run in runs], task.load_task(name).metrics)
    old = read(name)
    positions = [k for k, row in enumerate(old) if row["command"] == new[0]["command"]]
    position = positions[0] if positions else len(old)
    before, after = (
        [row for row in rows if row["command"] != new[0]["command"]] for rows in (old[:position], old[position:])
    )
    text = json.dumps([*before, *new, *after], indent=1, ensure_ascii=False, allow_nan=False)
    (_task_folder(name) / "results.json").write_text(text + "\n", encoding="utf-8")
    return str(name)


def merge_runs(runs: Sequence[Sequence[Row]], metrics: Sequence[Metric]) -> list[Row]:
    """Returns the rows to publish of one run, or of several runs with different seeds.

    Args:
        runs: the rows of each run.
        metrics: metrics of the task.

    Raises:
        SuiteError: the runs have different commands, or two have the same seed.
    """
    omitted = (*OMITTED_OPTIONS, "--training.seed") if len(runs) > 1 else OMITTED_OPTIONS
    commands = {published_command(row["command"], omitted) for rows in runs for row in rows}
    seeds = sorted({seed for rows in runs for row in rows for seed in row["seeds"]})
    if len(commands) != 1 or len(seeds) != len(runs):
        raise SuiteError(
            "results: versions that are published together must differ only by --training.seed. Received: "
            f"{'; '.join(sorted(commands))}; seeds {seeds}"
        )
    command = commands.pop()
    rows = [_mean_row(same, command, seeds) for same in _group_by_score(runs)]
    own = {row["model"] for row in rows if row["baseline"] is not None}
    scores = [Score(row["model"], row["metric"], row["value"], row["low"], row["high"]) for row in rows]
    for row in rows:
        metric = find_metric(metrics, row["metric"])
        best = best_baseline(scores, metric, tuple(own)) if row["model"] in own else None
        row["baseline"], row["baseline_value"] = (best.model, best.value) if best else (None, None)
    return rows


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


def rebuild() -> list[Path]:
    """Updates all tables of the documentation and returns the files that changed.

    Raises:
        SuiteError: a table has no command above it, or there are no scores for its command.
    """
    changed = []
    for path, text in updated_documents().items():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def updated_documents() -> dict[Path, str]:
    """Returns all documents with tables, as `rebuild` would write them."""
    documents, summary_rows = {}, {}
    for name in task.list_task_names():
        rows, metrics, in_cross_validation = read(name), task.load_task(name).metrics, set()
        for path in task_documents(name):
            text = path.read_text(encoding="utf-8")
            documents[path] = update_tables(text, rows, metrics)
            in_cross_validation |= cross_validation_commands(text, rows)
        summary_rows[name] = [row for row in rows if row["command"] not in in_cross_validation]
    readme = ROOT / "README.md"
    table = _between("results", summary_table(summary_rows), "end")
    return {readme: SUMMARY.sub(lambda _: table, readme.read_text(encoding="utf-8")), **documents}


def task_documents(name: str) -> list[Path]:
    """Returns the documents of a task that may hold tables: its README and, if present, its page of experiments."""
    experiments = ROOT / "docs" / "experiments" / f"{name}.md"
    return [_task_folder(name) / "README.md", *([experiments] if experiments.is_file() else [])]


def update_tables(text: str, rows: Sequence[Row], metrics: Sequence[Metric]) -> str:
    """Returns a document with its tables made from `rows`.

    Args:
        text: the document.
        rows: rows of `results.json`.
        metrics: metrics of the task.

    Raises:
        SuiteError: a table has no command above it, or there are no scores for its command.
    """

    def make_table(match: re.Match[str]) -> str:
        own = [row for row in rows if row["command"] == _command_above(match)]
        if not own:
            raise SuiteError(
                f"{match[0].splitlines()[0]}: results.json has no row for the command above it. Add its run."
            )
        return _between(f"table: {match['columns']}", score_table(own, match["columns"].split(), metrics), "end table")

    def make_cross_validation(match: re.Match[str]) -> str:
        option, metric = match["option"], match["metric"]
        own = [row for row in _cross_validation_rows(match, rows) if row["metric"] == metric]
        if not own:
            raise SuiteError(
                f"{match[0].splitlines()[0]}: results.json has no row with {metric} for the command above it with any value "
                f"of {option}. Check both names, or add its runs."
            )
        table = cross_validation_table(own, option, find_metric(metrics, metric))
        return _between(f"cross-validation: {option} {metric}", table, "end cross-validation")

    return CROSS_VALIDATION.sub(make_cross_validation, TABLE.sub(make_table, text))


def cross_validation_commands(text: str, rows: Sequence[Row]) -> set[str]:
    """Returns the commands in the cross-validation tables of a document; none of them alone represents its data set."""
    return {row["command"] for match in CROSS_VALIDATION.finditer(text) for row in _cross_validation_rows(match, rows)}


def cross_validation_table(rows: Sequence[Row], option: str, metric: Metric) -> str:
    """Returns a Markdown table with one row per value of an option, one column per model, and a row of means.

    Args:
        rows: rows of commands that differ only by the value of the option.
        option: the option as typed, such as `--split.test-speakers`.
        metric: the metric of the rows.

    Raises:
        SuiteError: a model has no score for one of the values, so that the means cannot be compared.
    """
    models = list(dict.fromkeys(row["model"] for row in rows))
    values: dict[str, dict[str, float]] = {}
    for row in rows:
        values.setdefault(option_value(row["command"], option) or "", {})[row["model"]] = row["value"]
    lines = [[f"`{option}`, {metric.heading}", *models]]
    for value, by_model in values.items():
        missing = [model for model in models if model not in by_model]
        if missing:
            raise SuiteError(f"{option} {value}: {missing[0]} has no {metric.name}, but other models do. Run it again.")
        lines.append([f"`{value}`", *(metric.format(by_model[model]) for model in models)])
    means = (float(np.mean([by_model[model] for by_model in values.values()])) for model in models)
    return markdown_table([*lines, ["mean", *(f"**{metric.format(mean)}**" for mean in means)]])


def score_table(rows: Sequence[Row], columns: Sequence[str], metrics: Sequence[Metric]) -> str:
    """Returns a Markdown table with one row per model.

    Args:
        rows: rows of one command.
        columns: names of metrics; a star after one adds its interval, slashes separate several metrics in one column.
        metrics: metrics of the task.
    """
    groups = [[find_metric(metrics, name) for name in column.rstrip("*").split("/")] for column in columns]
    cells = {(row["model"], row["metric"]): row for row in rows}
    lines = [["model", *map(common_heading, groups)]]
    names = {metric.name for group in groups for metric in group}
    for model in dict.fromkeys(row["model"] for row in rows if row["metric"] in names):
        line = []
        for group, column in zip(groups, columns, strict=True):
            values = [_cell(metric, cells.get((model, metric.name)), column.endswith("*")) for metric in group]
            line.append(" / ".join(values) if any(values) else "")
        if model == "exported":
            line[0] = f"**{line[0]}**"
        lines.append([model, *line])
    return markdown_table(lines)


def summary_table(rows: Mapping[str, Sequence[Row]]) -> str:
    """Returns the table of the main README: the primary metric of the exported model of each task, for the first command of each
    data set.

    Args:
        rows: rows of `results.json` by the name of the task.
    """
    lines = [SUMMARY_HEADER]
    for name, own in rows.items():
        loaded = task.load_task(name)
        metric = loaded.metric(loaded.primary_metric)
        data_sets: set[str] = set()
        link, *description = f"[{name.replace('_', ' ')}](tasks/{name}/README.md)", *task.load_input_and_output(name)
        for row in own:
            if row["model"] != "exported" or row["metric"] != metric.name or row["dataset"] in data_sets:
                continue
            first = not data_sets
            data_sets.add(row["dataset"])
            baseline = f"{metric.format(row['baseline_value'])} ({row['baseline']})" if row["baseline"] else ""
            percent = " %" if metric.unit == "%" else ""
            score = f"{metric.title} {_cell(metric, row, True)}{percent}"
            minutes = "" if row["minutes"] is None else f"{row['minutes']:g}"
            cells = [link, *description] if first else ["", "", ""]
            lines.append([*cells, row["dataset"], score, baseline, minutes])
    return markdown_table(lines)


def _group_by_score(runs: Sequence[Sequence[Row]]) -> list[list[Row]]:
    """Returns the rows of each model and metric together, without those whose value is not defined."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in (row for rows in runs for row in rows if row["value"] is not None):
        groups.setdefault((row["model"], row["metric"]), []).append(row)
    return list(groups.values())


def _mean_row(rows: Sequence[Row], command: str, seeds: Sequence[int]) -> Row:
    values = np.array([row["value"] for row in rows])
    low, high, value = rows[0]["low"], rows[0]["high"], float(values.mean())
    if len(seeds) > 1:
        deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        low, high = value - deviation, value + deviation
    minutes = [row["minutes"] for row in rows]
    mean_minutes = None if None in minutes else round(float(np.mean(minutes)), 1)
    numbers = {name: None if v is None else round(v, 5) for name, v in (("value", value), ("low", low), ("high", high))}
    return {**rows[0], **numbers, "minutes": mean_minutes, "seeds": list(seeds), "command": command}


def _split_options(command: str) -> list[tuple[str, list[str]]]:
    """Returns the options of a command, each with its words up to the next option; the words before the first belong to ""."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    for word in shlex.split(command):
        if word.startswith("--"):
            parts.append((word.partition("=")[0], []))
        parts[-1][1].append(word)
    return parts


def _cross_validation_rows(match: re.Match[str], rows: Sequence[Row]) -> list[Row]:
    """Returns the rows whose command equals the one above a cross-validation table, whatever value it gives the option."""
    option, command = match["option"], without_options(_command_above(match), (match["option"],))
    same = [row for row in rows if without_options(row["command"], (option,)) == command]
    return [row for row in same if option_value(row["command"], option) is not None]


def _command_above(match: re.Match[str]) -> str:
    """Returns the last command before a table; "" if there is none."""
    return ("", *COMMAND.findall(match.string[: match.start()]))[-1]


def _cell(metric: Metric, row: Row | None, with_interval: bool) -> str:
    if row is None:
        return ""
    value = metric.format(row["value"])
    if not with_interval or row["low"] is None or row["low"] == row["high"]:
        return value
    if len(row["seeds"]) > 1:
        return f"{value} ± {metric.format(row['high'] - row['value'])}"
    return f"{value} ({metric.format(row['low'])}–{metric.format(row['high'])})"


def _between(begin: str, text: str, end: str) -> str:
    return f"<!-- {begin} -->\n{text}\n<!-- {end} -->"


def _task_folder(name: str) -> Path:
    folder = ROOT / "tasks" / name
    if not (folder / "README.md").is_file():
        raise SuiteError(
            f"{folder}: there is no README.md. Scores can only be published from a checkout of the project."
        )
    return folder
