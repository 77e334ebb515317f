"""The report beside an exported model: `card.md`, one page; `report.html`, everything; `metrics.json`, `request.json` and plots."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from shared.config import as_dict
from shared.data.notices import Notice, add_notice
from shared.evaluation import plots
from shared.evaluation.metric import best_baseline, format_score
from shared.json_values import json_ready
from shared.reports.card import card, json_request
from shared.reports.grids import score_grid
from shared.reports.run import Run, machine
from shared.reports.verdict import verdict
from shared.task import ExportSpec, load_summary

EARLIER_CARD_NOTE = re.compile(r"\A> Recalibrated on .*\n\n")
REPORT_NOTE = re.compile(r'<p id="note">.*?</p>')
"""Paragraph of the report for a note on a later recalibration."""
TEMPLATE = Path(__file__).with_name("report.html.jinja")


def write(run: Run, spec: ExportSpec, folder: Path, base_path: Path) -> None:
    """Writes the report of a run.

    Args:
        run: the training run.
        spec: the exported signatures.
        folder: folder to write to.
        base_path: folder that holds the published versions of the model, for the commands on the card.
    """
    run = _draw_plots(run, folder / "plots")
    metrics = {
        "task": run.task.name,
        "dataset": run.splits.origin.name,
        "command": run.command,
        "seed": run.config.training.seed,
        "minutes": round(run.minutes, 1),
        "own_models": run.own_models,
        "verdict": verdict(run).as_json(),
        "results": list_results(run),
        "history": run.trained_model.history.epochs,
        "best_epoch": run.trained_model.history.best_epoch,
        "notes": run.notes,
        "config": as_dict(run.config),
        "data": {**run.splits.origin.__dict__, "notices": run.notices},
        "machine": machine(),
    }
    text = json.dumps(json_ready(metrics), indent=2, allow_nan=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    signature = next(iter(spec.signatures.values()))
    request = json.dumps(json_request(signature.example_request), ensure_ascii=False)
    (folder / "request.json").write_text(request + "\n", encoding="utf-8")
    (folder / "card.md").write_text(card(run, spec, base_path), encoding="utf-8")
    (folder / "report.html").write_text(html_report(run, folder / "plots"), encoding="utf-8")


def _draw_plots(run: Run, folder: Path) -> Run:
    """Draws the plots of a run, and returns the run with a notice for each plot that failed: a plot never costs the export."""
    folder.mkdir(exist_ok=True)
    draw_curve: Callable[[Path], None] = partial(plots.learning_curve, run.trained_model.history.epochs)
    notices = list(run.splits.notices)
    for name, draw in {"learning_curve.png": draw_curve, **run.evaluation.description.plots}.items():
        try:
            draw(folder / name)
        except Exception as error:
            notice = Notice(f"The plot {name} is missing: {type(error).__name__}: {error}")
            add_notice(notice.message)
            notices.append(notice)
            (folder / name).unlink(missing_ok=True)
    return dataclasses.replace(run, splits=dataclasses.replace(run.splits, notices=tuple(notices)))


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
        notes=json_ready({**run.notes, **({"notices on the data": run.notices} if run.notices else {})}),
        config=as_dict(run.config),
        sizes={split: run.splits.size(split) for split in ("train", "validation", "test")},
        machine=machine(),
        history=run.trained_model.history,
    )


def _data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
