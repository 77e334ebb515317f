"""The tables of scores in the documents, which are made from the `results.json` of each task.

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

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks import results
from benchmarks.results import PublishedRun, option_value, without_options
from shared import task
from shared.errors import SuiteError
from shared.evaluation.metric import Metric, best_baseline, common_heading, find_metric
from shared.reports.grids import markdown_table

TABLE = re.compile(r"<!-- table: (?P<columns>[^>]+) -->\n.*?<!-- end table -->", re.DOTALL)
CROSS_VALIDATION = re.compile(
    r"<!-- cross-validation: (?P<option>\S+) (?P<metric>\S+) -->\n.*?<!-- end cross-validation -->", re.DOTALL
)
SUMMARY = re.compile(r"<!-- results -->\n.*?<!-- end -->", re.DOTALL)
COMMAND = re.compile(r"^    (lstm-suite train .*)$", re.MULTILINE)
SUMMARY_HEADER = [
    *("task", "input", "output", "data set"),
    *("score (95 % interval, or ± deviation over seeds)", "best baseline", "minutes"),
]


def rebuild() -> list[Path]:
    """Updates all tables of the documentation and returns the files that changed.

    Raises:
        SuiteError: a table has no command above it, or there are no scores for its command.
    """
    documents = updated_documents().items()
    changed = {path: text for path, text in documents if path.read_text(encoding="utf-8") != text}
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    return list(changed)


def updated_documents() -> dict[Path, str]:
    """Returns all documents with tables, as `rebuild` would write them."""
    documents, summary = {}, {}
    for name in task.list_task_names():
        runs, metrics = results.read(name), task.load_task(name).metrics
        if not runs:  # a new task, whose tables are still empty
            continue
        in_cross_validation: set[str] = set()
        for path in task_documents(name):
            text = path.read_text(encoding="utf-8")
            documents[path] = update_tables(text, runs, metrics)
            in_cross_validation |= cross_validation_ids(text, runs)
        summary[name] = [run for run in runs if run.id not in in_cross_validation]
    readme = results.ROOT / "README.md"
    table = _between("results", summary_table(summary), "end")
    return {readme: SUMMARY.sub(lambda _: table, readme.read_text(encoding="utf-8")), **documents}


def task_documents(name: str) -> list[Path]:
    """Returns the documents of a task that may hold tables: its README and, if present, its page of experiments."""
    experiments = results.ROOT / "docs" / "experiments" / f"{name}.md"
    return [results.task_folder(name) / "README.md", *([experiments] if experiments.is_file() else [])]


def update_tables(text: str, runs: Sequence[PublishedRun], metrics: Sequence[Metric]) -> str:
    """Returns a document with its tables made from the published runs and the metrics of a task.

    Raises:
        SuiteError: a table has no command above it, or there are no scores for its command.
    """

    def make_table(match: re.Match[str]) -> str:
        run = next((run for run in runs if run.command == _command_above(match)), None)
        if run is None:
            raise SuiteError(
                f"{match[0].splitlines()[0]}: results.json has no run of the command above it. Add its run."
            )
        return _between(f"table: {match['columns']}", score_table(run, match["columns"].split(), metrics), "end table")

    def make_cross_validation(match: re.Match[str]) -> str:
        option, metric = match["option"], find_metric(metrics, match["metric"])
        own = [run for run in _cross_validation_runs(match, runs) if run.list_scores(metric.name)]
        if not own:
            raise SuiteError(
                f"{match[0].splitlines()[0]}: results.json has no run with {metric.name} for the command above it with any value "
                f"of {option}. Check both names, or add its runs."
            )
        table = cross_validation_table(own, option, metric)
        return _between(f"cross-validation: {option} {metric.name}", table, "end cross-validation")

    return CROSS_VALIDATION.sub(make_cross_validation, TABLE.sub(make_table, text))


def cross_validation_ids(text: str, runs: Sequence[PublishedRun]) -> set[str]:
    """Returns the runs in the cross-validation tables of a document; none of them alone represents its data set."""
    return {run.id for match in CROSS_VALIDATION.finditer(text) for run in _cross_validation_runs(match, runs)}


def cross_validation_table(runs: Sequence[PublishedRun], option: str, metric: Metric) -> str:
    """Returns a Markdown table with one row per value of an option, one column per model, and a row of means.

    Args:
        runs: runs whose commands differ only by the value of the option.
        option: the option as typed, such as `--split.test-speakers`.
        metric: the metric to show.

    Raises:
        SuiteError: a model has no score for one of the values, so that the means cannot be compared.
    """
    values = {option_value(run.command, option): _values_by_model(run, metric) for run in runs}
    models = list(dict.fromkeys(model for by_model in values.values() for model in by_model))
    lines = [[f"`{option}`, {metric.heading}", *models]]
    for value, by_model in values.items():
        missing = [model for model in models if model not in by_model]
        if missing:
            raise SuiteError(f"{option} {value}: {missing[0]} has no {metric.name}, but other models do. Run it again.")
        lines.append([f"`{value}`", *(metric.format(by_model[model]) for model in models)])
    means = (float(np.mean([by_model[model] for by_model in values.values()])) for model in models)
    return markdown_table([*lines, ["mean", *(f"**{metric.format(mean)}**" for mean in means)]])


def score_table(run: PublishedRun, columns: Sequence[str], metrics: Sequence[Metric]) -> str:
    """Returns a Markdown table of a run with one row per model.

    Args:
        run: the run.
        columns: names of metrics; a star after one adds its interval, slashes separate several metrics in one column.
        metrics: metrics of the task.
    """
    groups = [[find_metric(metrics, name) for name in column.rstrip("*").split("/")] for column in columns]
    lines = [["model", *map(common_heading, groups)]]
    names = {metric.name for group in groups for metric in group}
    for model, scores in run.scores.items():
        if not names & set(scores):
            continue
        cells = []
        for group, column in zip(groups, columns, strict=True):
            values = [_cell(run, model, metric, column.endswith("*")) for metric in group]
            cells.append(" / ".join(values) if any(values) else "")
        if model == task.EXPORTED:
            cells[0] = f"**{cells[0]}**"
        lines.append([model, *cells])
    return markdown_table(lines)


def summary_table(runs: Mapping[str, Sequence[PublishedRun]]) -> str:
    """Returns the table of the main README: the primary metric of the exported model of each task, for the first run of each data
    set.

    Args:
        runs: published runs by the name of the task.
    """
    lines = [SUMMARY_HEADER]
    for name, own in runs.items():
        loaded = task.load_task(name)
        metric = loaded.metric(loaded.primary_metric)
        first_runs: dict[str, PublishedRun] = {}
        for run in own:
            if metric.name in run.scores[task.EXPORTED]:
                first_runs.setdefault(run.dataset, run)
        head = [f"[{name.replace('_', ' ')}](tasks/{name}/README.md)", *task.load_input_and_output(name)]
        for dataset, run in first_runs.items():
            best = best_baseline(run.list_scores(metric.name), metric, run.own_models)
            score = f"{metric.title} {_cell(run, task.EXPORTED, metric, True)}{' %' if metric.unit == '%' else ''}"
            baseline = f"{metric.format(best.value)} ({best.model})" if best else ""
            lines.append([*head, dataset, score, baseline, "" if run.minutes is None else f"{run.minutes:g}"])
            head = ["", "", ""]
    return markdown_table(lines)


def _values_by_model(run: PublishedRun, metric: Metric) -> dict[str, float]:
    return {score.model: score.value for score in run.list_scores(metric.name)}


def _cross_validation_runs(match: re.Match[str], runs: Sequence[PublishedRun]) -> list[PublishedRun]:
    """Returns the runs whose command equals the one above a cross-validation table, whatever value it gives the option."""
    option, command = match["option"], without_options(_command_above(match), (match["option"],))
    same = [run for run in runs if without_options(run.command, (option,)) == command]
    return [run for run in same if option_value(run.command, option) is not None]


def _command_above(match: re.Match[str]) -> str:
    """Returns the last command before a table; "" if there is none."""
    return ("", *COMMAND.findall(match.string[: match.start()]))[-1]


def _cell(run: PublishedRun, model: str, metric: Metric, with_interval: bool) -> str:
    if metric.name not in run.scores[model]:
        return ""
    value, low, high = run.scores[model][metric.name]
    text = metric.format(value)
    if not with_interval or low is None or high is None or low == high:
        return text
    if len(run.seeds) > 1:
        return f"{text} ± {metric.format(high - value)}"
    return f"{text} ({metric.format(low)}–{metric.format(high)})"


def _between(begin: str, text: str, end: str) -> str:
    return f"<!-- {begin} -->\n{text}\n<!-- {end} -->"
