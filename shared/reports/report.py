"""The report beside an exported model: `card.md`, one page; `report.html`, everything; `metrics.json`, `request.json` and plots."""

from __future__ import annotations

import base64
import html
import json
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from shared.config import as_dict
from shared.data.sources import Splits
from shared.evaluation import plots
from shared.evaluation.metric import Score, best_baseline, format_score
from shared.json_values import json_ready
from shared.task import EXPORTED, Evaluation, ExportSpec, Signature, Task, TrainedModel, load_summary

MAX_COLUMNS = 6
"""Metrics that are the columns of a table; with more metrics, they are its rows."""
MAX_HEADLINES = 5
"""Metrics on the card."""
MAX_SHOWN_REQUEST = 400
"""Characters of a request that the card shows; a longer one is only in request.json."""
EARLIER_CARD_NOTE = re.compile(r"\A> Recalibrated on .*\n\n")
REPORT_NOTE = re.compile(r'<p id="note">.*?</p>')
"""Paragraph of the report for a note on a later recalibration."""
TEMPLATE = Path(__file__).with_name("report.html.jinja")


@dataclass(frozen=True)
class Run:
    """Everything about a training run that the report shows."""

    task: Task
    config: Any
    splits: Splits
    trained_model: TrainedModel
    evaluation: Evaluation
    command: str
    """Command line that repeats the run."""

    @property
    def minutes(self) -> float:
        """Training time in minutes, until the model was trained; of an interrupted run, the completed epochs count."""
        return self.trained_model.history.seconds / 60

    @property
    def own_models(self) -> tuple[str, ...]:
        """Names of the scores that belong to the trained model and its components, not to a baseline."""
        return (EXPORTED, *self.evaluation.components)

    @property
    def notes(self) -> dict[str, Any]:
        """Further values of the training and the evaluation."""
        return {**self.trained_model.notes, **self.evaluation.description.notes}


def write(run: Run, spec: ExportSpec, folder: Path, base_path: Path) -> None:
    """Writes the report of a run.

    Args:
        run: the training run.
        spec: the exported signatures.
        folder: folder to write to.
        base_path: folder that holds the published versions of the model, for the commands on the card.
    """
    metrics = {
        "task": run.task.name,
        "dataset": run.splits.origin.name,
        "command": run.command,
        "seed": run.config.training.seed,
        "minutes": round(run.minutes, 1),
        "own_models": run.own_models,
        "results": list_results(run),
        "history": run.trained_model.history.epochs,
        "best_epoch": run.trained_model.history.best_epoch,
        "notes": run.notes,
        "config": as_dict(run.config),
        "data": run.splits.origin.__dict__,
        "machine": machine(),
    }
    text = json.dumps(json_ready(metrics), indent=2, allow_nan=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    signature = next(iter(spec.signatures.values()))
    request = json.dumps(json_request(signature.example_request), ensure_ascii=False)
    (folder / "request.json").write_text(request + "\n", encoding="utf-8")
    (folder / "card.md").write_text(card(run, spec, base_path), encoding="utf-8")
    plots_folder = folder / "plots"
    plots_folder.mkdir(exist_ok=True)
    plots.learning_curve(run.trained_model.history.epochs, plots_folder / "learning_curve.png")
    for name, draw in run.evaluation.description.plots.items():
        draw(plots_folder / name)
    (folder / "report.html").write_text(html_report(run, plots_folder), encoding="utf-8")


def list_results(run: Run) -> list[dict[str, Any]]:
    """Returns one row per score on the test split: model, metric, value, low and high.

    The rows of the model and its components also have the best baseline by the same metric: baseline and baseline_value.
    """
    rows = []
    for score in run.evaluation.scores:
        row: dict[str, Any] = {"model": score.model, "metric": score.metric}
        row |= {name: round(getattr(score, name), 5) for name in ("value", "low", "high")}
        if score.model in run.own_models:
            baseline = best_baseline(run.evaluation.scores, run.task.metric(score.metric), run.own_models)
            row |= {"baseline": baseline and baseline.model, "baseline_value": baseline and round(baseline.value, 5)}
        rows.append(row)
    return rows


def machine() -> str:
    """Returns the kind of the machine, without its name."""
    return f"{os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def card(run: Run, spec: ExportSpec, base_path: Path) -> str:
    """Returns the model card: one page of Markdown.

    Args:
        run: the training run.
        spec: the exported signatures.
        base_path: folder that holds the published versions of the model.
    """
    models = base_path.parent if base_path.is_absolute() else f"$PWD/{base_path.parent}"
    name, signature = next(iter(spec.signatures.items()))
    origin, history = run.splits.origin, run.trained_model.history
    sizes = ", ".join(f"{split} {run.splits.size(split):,}" for split in ("train", "validation", "test"))
    return f"""# {run.task.name.replace("_", " ").capitalize()}

{load_summary(run.task.name)} {run.evaluation.description.output_description}

## Scores

{_headline_table(run)}

{verdict(run)} The intervals are 95 % bootstrap intervals. `report.html` has all scores, models and plots.

## Limits

{run.task.limitations}

## Usage

    lstm-suite serve --models "{models}"
    curl -d @request.json http://localhost:8501/v1/models/{run.task.name}:predict

`request.json` is in this folder.{_shown_request(signature)} TensorFlow Serving offers the same API:

    tensorflow_model_server --rest_api_port=8501 --model_name={run.task.name} --model_base_path="{models}/{run.task.name}"

Inputs of `{name}`:

{_input_table(signature)}

## Training

| | |
|---|---|
| data | {origin.name} ({origin.location}) |
| licence of the data | {origin.licence} |
| sha256 of the data | `{origin.sha256}` |
| split | {origin.split_description}: {sizes} |
| command | `{run.command}` |
| seed | {run.config.training.seed} |
| epochs | {len(history.epochs)}, best {history.best_epoch} |
| minutes | {run.minutes:.1f} |
| machine | {machine()} |
"""


def verdict(run: Run) -> str:
    """Returns a sentence that says whether the exported model or the best baseline has the better primary metric."""
    metric = run.task.metric(run.task.primary_metric)
    name = metric.title
    model = next(s for s in run.evaluation.scores if s.model == EXPORTED and s.metric == metric.name)
    baseline = best_baseline(run.evaluation.scores, metric, run.own_models)
    if not np.isfinite(model.value):
        return f"The {name} of the model is not defined on this test split, so it is not compared with a baseline."
    if baseline is None:
        return f"There is no baseline with a defined {name}."
    values = f"{format_score(metric, model)} and {format_score(metric, baseline)}"
    difference = metric.badness(baseline.value) - metric.badness(model.value)
    if metric.format(model.value) == metric.format(baseline.value):
        return f"By {name}, the model and the best baseline, {baseline.model}, are equal ({values})."
    word = "better" if difference > 0 else "worse"
    overlap = model.low <= baseline.high and baseline.low <= model.high
    caution = " Their intervals overlap, so the difference may be chance." if overlap else ""
    return f"By {name}, the model is {word} than the best baseline, {baseline.model} ({values}).{caution}"


def add_recalibration_note(folder: Path, line: str) -> None:
    """Writes to the copied report of a recalibrated version that its scores belong to the calibration from training.

    It replaces the note of an earlier recalibration.

    Args:
        folder: folder of the version; a file of the report that is missing stays missing.
        line: description of the recalibration.
    """
    note = f"{line} The scores below belong to the calibration from training."
    edits: dict[str, Callable[[str], str]] = {
        "card.md": lambda text: f"> {note}\n\n{EARLIER_CARD_NOTE.sub('', text)}",
        "report.html": lambda text: REPORT_NOTE.sub(lambda _: f'<p id="note">{html.escape(note)}</p>', text),
        "metrics.json": lambda text: json.dumps({**json.loads(text), "recalibrated": line}, indent=2) + "\n",
    }
    for name, edit in edits.items():
        if (folder / name).exists():
            (folder / name).write_text(edit((folder / name).read_text(encoding="utf-8")), encoding="utf-8")


def html_report(run: Run, plots_folder: Path) -> str:
    """Returns the whole report as one HTML page that needs no network: tables, notes, settings and the plots inlined.

    Args:
        run: the training run.
        plots_folder: folder with the plots as .png files.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    header, *rows = score_grid(
        run.evaluation.scores,
        lambda score: format_score(run.task.metric(score.metric), score),
        lambda name: run.task.metric(name).heading,
    )
    images = {path.stem.replace("_", " "): _data_url(path) for path in sorted(plots_folder.glob("*.png"))}
    return template.render(
        run=run,
        title=run.task.name.replace("_", " ").capitalize(),
        summary=load_summary(run.task.name),
        verdict=verdict(run),
        header=header,
        rows=rows,
        images=images,
        notes=json_ready(run.notes),
        config=as_dict(run.config),
        sizes={split: run.splits.size(split) for split in ("train", "validation", "test")},
        machine=machine(),
        history=run.trained_model.history,
    )


def score_table(scores: Sequence[Score]) -> str:
    """Returns a Markdown table of scores with their intervals (see `score_grid`)."""
    return markdown_table(score_grid(scores, lambda s: f"{s.value:.4f} ({s.low:.4f}–{s.high:.4f})"))


def score_grid(
    scores: Sequence[Score], format_cell: Callable[[Score], str], format_metric: Callable[[str], str] = str
) -> list[list[str]]:
    """Returns a header and one row per model, one column per metric; of many metrics, one row per metric.

    Args:
        scores: scores of any models and metrics.
        format_cell: function that writes one score.
        format_metric: function that writes the name of a metric.
    """
    metrics, models = (list(dict.fromkeys(getattr(s, part) for s in scores)) for part in ("metric", "model"))
    cells = {(s.model, s.metric): format_cell(s) for s in scores}
    if len(metrics) > MAX_COLUMNS:
        rows = [[format_metric(metric), *(cells.get((m, metric), "") for m in models)] for metric in metrics]
        return [["metric", *models], *rows]
    rows = [[m, *(cells.get((m, metric), "") for metric in metrics)] for m in models]
    return [["model", *map(format_metric, metrics)], *rows]


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table; the first row is its header."""
    header, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *others))


def json_request(request: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns the first row of an example request as the body of a REST request."""
    return {"instances": [{name: json_ready(values[0]) for name, values in request.items()}]}


def _headline_table(run: Run) -> str:
    scores = [s for s in run.evaluation.scores if s.model == EXPORTED]
    scores.sort(key=lambda s: s.metric != run.task.primary_metric)  # the primary metric first
    rows = [["metric", "model", "best baseline"]]
    for score in scores[:MAX_HEADLINES]:
        metric = run.task.metric(score.metric)
        baseline = best_baseline(run.evaluation.scores, metric, run.own_models)
        baseline_cell = f"{format_score(metric, baseline)} ({baseline.model})" if baseline else ""
        rows.append([metric.heading, format_score(metric, score), baseline_cell])
    return markdown_table(rows)


def _shown_request(signature: Signature) -> str:
    request = json.dumps(json_request(signature.example_request), ensure_ascii=False)
    return f" It holds `{request}`." if len(request) <= MAX_SHOWN_REQUEST else ""


def _input_table(signature: Signature) -> str:
    rows = [["input", "dtype", "shape"]]
    for name, spec in signature.inputs.items():
        shape = ", ".join("any" if size is None else str(size) for size in spec.shape)
        rows.append([f"`{name}`", spec.dtype.name, f"({shape})"])
    return markdown_table(rows)


def _data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
