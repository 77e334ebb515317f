"""Published figures: the `results.json` of each task, and the tables that its page and the front page make of them.

A table of a page stands behind the command that made its figures:

        lstm-suite train sentiment --data imdb/train.csv.xz --test-data imdb/test.csv.xz

    <!-- table: accuracy* roc_auc -->
    …
    <!-- end table -->

A column each, with the interval where a star follows, or several metrics in one, as in `crps_1d/crps_5d/crps_20d`; a line for each
model of the rows with that command. Of commands that differ from the one above by an option's value alone, a line each and their mean:

    <!-- folds: --audio.test-names accuracy -->
    …
    <!-- end folds -->
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared import report, task
from shared.errors import SuiteError
from shared.evaluation import Score

Row = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
TABLE = re.compile(r"<!-- table: (?P<columns>[^>]+) -->\n.*?<!-- end table -->", re.DOTALL)
FOLDS = re.compile(r"<!-- folds: (?P<option>\S+) (?P<metric>\S+) -->\n.*?<!-- end folds -->", re.DOTALL)
SUMMARY = re.compile(r"<!-- results -->\n.*?<!-- end -->", re.DOTALL)
COMMAND = re.compile(r"^    (lstm-suite train .*)$", re.MULTILINE)
UNSAID = ("--output",)
"""Options that a published command leaves out, with their values: where the model went. Of several
seeds that are averaged, which is left out too."""
PERCENT = ("accuracy", "word_error_rate", "character_error_rate", "coverage")
"""Beginnings of the names of metrics that are told in percent."""
DIGITS = {"accuracy": 2, "word_error_rate": 2, "character_error_rate": 2, "coverage": 1, "perplexity": 2}
DIGITS |= {"pinball": 3, "log_score": 3, "mase": 3}
"""Decimals by such beginnings; of others, four."""
TITLES = {
    "roc_auc": "ROC AUC",
    "log_loss": "log loss, nats",
    "crps": "CRPS",
    "crps_skill": "CRPS skill",
    "mase": "MASE",
    "card_precision_at_100": "card precision@100",
    "perplexity_adaptive": "with a cache",
    "perplexity_dynamic": "dynamic evaluation",
    "top_1": "top 1",
    "top_3": "top 3",
    "top_5": "top 5",
}
HEAD = [
    "task",
    "data",
    "model",
    "score, with its 95 % interval or deviation over seeds",
    "best baseline",
    "minutes",
    "command",
]


def read(name: str) -> list[Row]:
    """Returns the rows of a task's `results.json`; none where there is no such file."""
    path = _folder(name) / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def add(versions: Sequence[Path]) -> str:
    """Takes the figures of an exported version into its task's `results.json`, in place of those of the same command; of several
    versions, which differ by their seed alone, the means, and one standard deviation on both sides.

    Returns:
        The task's name.

    Raises:
        SuiteError: a version holds no figures, or they are of different runs.
    """
    runs = []
    for version in versions:
        path = version / "metrics.json"
        if not path.is_file():
            raise SuiteError(f"{version}: holds no metrics.json. Name a version that `train` exported.")
        runs.append(json.loads(path.read_text(encoding="utf-8")))
    name = runs[0]["task"]
    new = merged([run["results"] for run in runs])
    before = read(name)
    places = [k for k, row in enumerate(before) if row["command"] == new[0]["command"]]
    place = places[0] if places else len(before)
    kept = [[row for row in part if row["command"] != new[0]["command"]] for part in (before[:place], before[place:])]
    text = json.dumps([*kept[0], *new, *kept[1]], indent=1, ensure_ascii=False, allow_nan=False)
    (_folder(name) / "results.json").write_text(text + "\n", encoding="utf-8")
    return str(name)


def merged(runs: Sequence[Sequence[Row]]) -> list[Row]:
    """Returns the rows of one run, or of several with other seeds, as they are published.

    Raises:
        SuiteError: the runs are not of one command, or two have the same seed.
    """
    unsaid = (*UNSAID, "--training.seed") if len(runs) > 1 else UNSAID
    commands = {published(row["command"], unsaid) for rows in runs for row in rows}
    seeds = sorted({seed for rows in runs for row in rows for seed in row["seeds"]})
    if len(commands) != 1 or len(seeds) != len(runs):
        raise SuiteError(
            "results: versions that are added together differ by --training.seed alone, and each has another. Received: "
            f"{'; '.join(sorted(commands))}; seeds {seeds}"
        )
    command = commands.pop()
    rows = [_mean(alike, command, seeds) for alike in _alike(runs)]
    own = {row["model"] for row in rows if row["baseline"] is not None}
    scores = [Score(row["model"], row["metric"], row["value"], row["low"], row["high"]) for row in rows]
    for row in rows:
        best = report.best_baseline(scores, row["metric"], tuple(own)) if row["model"] in own else None
        row["baseline"], row["baseline_value"] = (best.model, best.value) if best else (None, None)
    return rows


def _alike(runs: Sequence[Sequence[Row]]) -> list[list[Row]]:
    """Returns the rows of each model and metric together, without those that are not a number."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in (row for rows in runs for row in rows if row["value"] is not None):
        found.setdefault((row["model"], row["metric"]), []).append(row)
    return list(found.values())


def _mean(rows: Sequence[Row], command: str, seeds: Sequence[int]) -> Row:
    values = np.array([row["value"] for row in rows])
    low, high, value = rows[0]["low"], rows[0]["high"], float(values.mean())
    if len(seeds) > 1:
        spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        low, high = value - spread, value + spread
    minutes = [row["minutes"] for row in rows]
    told = None if None in minutes else round(float(np.mean(minutes)), 1)
    numbers = {name: None if v is None else round(v, 5) for name, v in (("value", value), ("low", low), ("high", high))}
    return {**rows[0], **numbers, "minutes": told, "seeds": list(seeds), "command": command}


def published(command: str, unsaid: Sequence[str] = UNSAID) -> str:
    """Returns a command as a page gives it: without some options and without the preset that is taken anyway."""
    usual = value_of(command, "--preset") == "default"
    return without(command, (*unsaid, "--preset") if usual else unsaid)


def without(command: str, options: Sequence[str]) -> str:
    """Returns a command without some options and their values."""
    return shlex.join(word for option, words in _parted(command) if option not in options for word in words)


def value_of(command: str, option: str) -> str | None:
    """Returns the value that a command gives an option, several with blanks between; None where it gives none."""
    for name, words in _parted(command):
        if name == option:
            return " ".join(words[1:] if words[0] == option else [words[0].partition("=")[2], *words[1:]])
    return None


def _parted(command: str) -> list[tuple[str, list[str]]]:
    """Returns the options of a command, each with its words up to the next; "" is what stands before them all."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    for word in shlex.split(command):
        if word.startswith("--"):
            parts.append((word.partition("=")[0], []))
        parts[-1][1].append(word)
    return parts


def rebuild() -> list[Path]:
    """Writes all tables anew; returns the pages that changed.

    Raises:
        SuiteError: a table stands behind no command, or behind one without figures.
    """
    changed = []
    for path, text in pages().items():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def pages() -> dict[Path, str]:
    """Returns all pages as `rebuild` would write them."""
    found, told = {}, {}
    for name in task.list_task_names():
        path, rows = _folder(name) / "README.md", read(name)
        page = path.read_text(encoding="utf-8")
        parts = in_folds(page, rows)
        found[path], told[name] = with_tables(page, rows), [row for row in rows if row["command"] not in parts]
    front = ROOT / "README.md"
    made = _between("results", summary(told), "end")
    return {front: SUMMARY.sub(lambda _: made, front.read_text(encoding="utf-8")), **found}


def with_tables(page: str, rows: Sequence[Row]) -> str:
    """Returns a page with its tables made of some rows."""

    def made(found: re.Match[str]) -> str:
        chosen = [row for row in rows if row["command"] == _command_above(found)]
        if not chosen:
            raise SuiteError(
                f"{found[0].splitlines()[0]}: no row of results.json has the command above it. Add its run."
            )
        return _between(f"table: {found['columns']}", table(chosen, found["columns"].split()), "end table")

    def made_of_folds(found: re.Match[str]) -> str:
        option, metric = found["option"], found["metric"]
        chosen = [row for row in _of_folds(found, rows) if row["metric"] == metric]
        if not chosen:
            raise SuiteError(
                f"{found[0].splitlines()[0]}: no row of results.json has {metric} for the command above it with any value of "
                f"{option}. Check both names, or add its runs."
            )
        return _between(f"folds: {option} {metric}", folds(chosen, option, metric), "end folds")

    return FOLDS.sub(made_of_folds, TABLE.sub(made, page))


def in_folds(page: str, rows: Sequence[Row]) -> set[str]:
    """Returns the commands that a page's tables of folds tell of, none of which by itself stands for its data set."""
    return {row["command"] for found in FOLDS.finditer(page) for row in _of_folds(found, rows)}


def _of_folds(found: re.Match[str], rows: Sequence[Row]) -> list[Row]:
    """Returns the rows of the command above a table of folds, whatever value it gives the option."""
    option, wanted = found["option"], without(_command_above(found), (found["option"],))
    alike = [row for row in rows if without(row["command"], (option,)) == wanted]
    return [row for row in alike if value_of(row["command"], option) is not None]


def _command_above(found: re.Match[str]) -> str:
    """Returns the command that stands last before a table; "" where none does."""
    return ("", *COMMAND.findall(found.string[: found.start()]))[-1]


def folds(rows: Sequence[Row], option: str, metric: str) -> str:
    """Returns a Markdown table with a line for each value of an option, a column for each model, and the means below.

    Args:
        rows: of commands that differ by the option's value alone.
        option: as it is typed, such as `--audio.test-names`.
        metric: that the rows are of.

    Raises:
        SuiteError: a model has no figure for one of the values, so that the means do not compare.
    """
    models = list(dict.fromkeys(row["model"] for row in rows))
    values: dict[str, dict[str, float]] = {}
    for row in rows:
        values.setdefault(value_of(row["command"], option) or "", {})[row["model"]] = row["value"]
    lines = [[f"`{option}`, {title(metric)}", *models], ["---"] * (len(models) + 1)]
    for value, each in values.items():
        missing = [model for model in models if model not in each]
        if missing:
            raise SuiteError(f"{option} {value}: no {metric} of {missing[0]}, while others have one. Run it again.")
        lines.append([f"`{value}`", *(number(metric, each[model]) for model in models)])
    means = (float(np.mean([each[model] for each in values.values()])) for model in models)
    return _markdown([*lines, ["mean", *(f"**{number(metric, mean)}**" for mean in means)]])


def table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Returns a Markdown table with a line for each model of the rows.

    Args:
        rows: of one command.
        columns: metrics; a star behind one asks for its interval, strokes part several.
    """
    names = [column.rstrip("*").split("/") for column in columns]
    cells = {(row["model"], row["metric"]): row for row in rows}
    lines = [["model", *map(_titles, names)], ["---"] * (len(names) + 1)]
    told = {name for several in names for name in several}
    for model in dict.fromkeys(row["model"] for row in rows if row["metric"] in told):
        line = []
        for several, column in zip(names, columns, strict=True):
            found = [_cell(cells.get((model, name)), column.endswith("*")) for name in several]
            line.append(" / ".join(found) if any(found) else "")
        if model == "exported":
            line[0] = f"**{line[0]}**"
        lines.append([model, *line])
    return _markdown(lines)


def summary(rows: Mapping[str, Sequence[Row]]) -> str:
    """Returns the table of the front page: what each task's exported model reached by the metric that matters most, of each data
    set by the first of its commands."""
    lines = [HEAD, ["---"] * len(HEAD)]
    for name, own in rows.items():
        primary, told = task.load_task(name).primary_metric, set()
        for row in own:
            if row["model"] == "exported" and row["metric"] == primary and row["dataset"] not in told:
                told.add(row["dataset"])
                baseline = f"{number(primary, row['baseline_value'])} ({row['baseline']})" if row["baseline"] else ""
                percent = " %" if primary.startswith(PERCENT) else ""
                score = f"{title(primary).removesuffix(' %')} {_cell(row, True)}{percent}"
                command = f"`{row['command']}`"
                lines.append(
                    [
                        name.replace("_", " "),
                        row["dataset"],
                        row["model"],
                        score,
                        baseline,
                        "" if row["minutes"] is None else f"{row['minutes']:g}",
                        command,
                    ]
                )
    return _markdown(lines)


def title(metric: str) -> str:
    """Returns a metric's name for a reader."""
    return TITLES.get(metric, metric.replace("_", " ")) + (" %" if metric.startswith(PERCENT) else "")


def _titles(metrics: Sequence[str]) -> str:
    """Returns what metrics have in common, and then what they have not: crps 1d / 5d / 20d."""
    if len(metrics) == 1:
        return title(metrics[0])
    words = [metric.split("_") for metric in metrics]
    common = [same[0] for same in itertools.takewhile(lambda same: len(set(same)) == 1, zip(*words, strict=False))]
    return f"{title('_'.join(common))} {' / '.join(' '.join(one[len(common) :]) for one in words)}"


def number(metric: str, value: float) -> str:
    """Writes a metric's value: shares of errors and of right answers in percent."""
    digits = next((count for begin, count in DIGITS.items() if metric.startswith(begin)), 4)
    return f"{100 * value if metric.startswith(PERCENT) else value:.{digits}f}"


def _cell(row: Row | None, interval: bool) -> str:
    if row is None:
        return ""
    value = number(row["metric"], row["value"])
    if not interval or row["low"] is None or row["low"] == row["high"]:
        return value
    low, high = (number(row["metric"], row[key]) for key in ("low", "high"))
    if len(row["seeds"]) > 1:
        return f"{value} ± {number(row['metric'], row['high'] - row['value'])}"
    return f"{value} ({low}–{high})"


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _between(begin: str, text: str, end: str) -> str:
    return f"<!-- {begin} -->\n{text}\n<!-- {end} -->"


def _folder(name: str) -> Path:
    folder = ROOT / "tasks" / name
    if not (folder / "README.md").is_file():
        raise SuiteError(f"{folder}: no page there. Figures are published from a checkout of the project.")
    return folder
