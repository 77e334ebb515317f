"""The model card: one page of Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shared.evaluation.metric import best_baseline, format_score
from shared.json_values import json_ready
from shared.reports.grids import markdown_table
from shared.reports.run import Run, machine
from shared.reports.verdict import verdict
from shared.task import EXPORTED, ExportSpec, Signature, load_summary

MAX_HEADLINES = 5
"""Metrics on the card."""
MAX_SHOWN_REQUEST = 400
"""Characters of a request that the card shows; a longer one is only in request.json."""


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

**{verdict(run)}**

{load_summary(run.task.name)} {run.evaluation.description.output_description}

## Scores

{_headline_table(run)}

The intervals are 95 % bootstrap intervals. `report.html` has all scores, models and plots.{_export_note(run)}

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
{_notices(run)}"""


def _notices(run: Run) -> str:
    """Returns the section with the notices on the data; "" if there are none."""
    if not run.notices:
        return ""
    return "\n## Notices on the data\n\n" + "".join(f"- {notice}\n" for notice in run.notices)


def _export_note(run: Run) -> str:
    """Returns a paragraph about the training data of the exported model; "" if they are those of the evaluated model."""
    note = run.trained_model.export_note
    return f"\n\n{note}" if note else ""


def json_request(request: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns the first row of an example request as the body of a REST request."""
    return {"instances": [{name: json_ready(values[0]) for name, values in request.items()}]}


def _headline_table(run: Run) -> str:
    scores = [s for s in run.evaluation.scores if s.model == EXPORTED]
    scores.sort(key=lambda s: s.metric != run.primary_metric)  # the primary metric first
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
