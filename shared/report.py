"""What is written beside a model: `metrics.json`, `card.md` and plots."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared import plots
from shared.config import as_dict
from shared.evaluation import Score
from shared.sources import Splits
from shared.task import Evaluation, Task, TrainedModel

LOWER_IS_BETTER = {"log_loss", "expected_calibration_error", "crps", "pinball", "log_score", "mase", "path_mse"}
LOWER_IS_BETTER |= {"perplexity", "perplexity_adaptive", "perplexity_dynamic", "bits_per_character"}
LOWER_IS_BETTER |= {"word_error_rate", "character_error_rate"}
HORIZON = re.compile(r"_\d+d$")
"""What ends the name of a metric of so many days ahead."""
COVERAGE = re.compile(r"coverage_(\d+)$")
"""The name of a share that should be so many percent."""
WIDE = 6  # metrics that stand side by side in a table


@dataclass(frozen=True)
class Run:
    """Everything a report tells of."""

    task: Task
    config: Any
    splits: Splits
    trained_model: TrainedModel
    evaluation: Evaluation
    command: str
    """The command line that repeats the run."""

    @property
    def minutes(self) -> float:
        """Training time in minutes: everything up to the trained model; of an interrupted run the whole epochs count."""
        return self.trained_model.history.seconds / 60


def write(run: Run, folder: Path) -> None:
    """Writes `metrics.json`, `card.md` and `plots/` into a folder."""
    metrics = {
        "task": run.task.name,
        "results": results(run),
        "history": run.trained_model.history.epochs,
        "best_epoch": run.trained_model.history.best_epoch,
        "notes": {**run.trained_model.notes, **run.evaluation.notes},
        "config": as_dict(run.config),
        "data": run.splits.origin.__dict__,
        "machine": machine(),
    }
    text = json.dumps(_json_ready(metrics), indent=2, allow_nan=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    (folder / "card.md").write_text(card(run, folder.parent), encoding="utf-8")
    drawn = folder / "plots"
    drawn.mkdir(exist_ok=True)
    plots.learning_curve(run.trained_model.history.epochs, drawn / "learning_curve.png")
    for name, draw in run.evaluation.plots.items():
        draw(drawn / name)


def results(run: Run) -> list[dict[str, Any]]:
    """Returns one row for each score, of the exported model and its parts beside the best baseline by that metric.

    The form is that of every `results.json`: model, dataset, split, metric, value, low, high, baseline, baseline_value,
    minutes, seeds, command. Of a baseline's own rows, baseline, baseline_value and minutes are None.
    """
    own = ("exported", *run.trained_model.components)
    rows = []
    for score in run.evaluation.scores:
        baseline = best_baseline(run.evaluation.scores, score.metric, own) if score.model in own else None
        rows.append(
            {
                "model": score.model,
                "dataset": run.splits.origin.name,
                "split": "test",
                "metric": score.metric,
                "value": round(score.value, 5),
                "low": round(score.low, 5),
                "high": round(score.high, 5),
                "baseline": baseline.model if baseline else None,
                "baseline_value": round(baseline.value, 5) if baseline else None,
                "minutes": round(run.minutes, 1) if score.model in own else None,
                "seeds": [run.config.training.seed],
                "command": run.command,
            }
        )
    return rows


def best_baseline(scores: Sequence[Score], metric: str, own: Sequence[str]) -> Score | None:
    """Returns the best score by a metric among the models that are not one's own."""
    others = [s for s in scores if s.metric == metric and s.model not in own and np.isfinite(s.value)]
    name = HORIZON.sub("", metric)
    wanted = COVERAGE.match(name)
    if wanted:
        return min(others, key=lambda s: abs(s.value - int(wanted[1]) / 100), default=None)
    return (min if name in LOWER_IS_BETTER else max)(others, key=lambda s: s.value, default=None)


def machine() -> str:
    """Returns the kind of machine, without its name."""
    return f"{os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def card(run: Run, base_path: Path) -> str:
    """Returns the model card in Markdown; `base_path` is the folder that holds the versions."""
    served = base_path if base_path.is_absolute() else f"$PWD/{base_path}"
    origin, history = run.splits.origin, run.trained_model.history
    sizes = ", ".join(f"{name} {run.splits.size(name):,}" for name in ("train", "validation", "test"))
    signature, request = next(iter(run.task.export_spec(run.trained_model.model, run.trained_model.metadata).signatures.items()))
    notes = "\n".join(f"- {k}: {_short(v)}" for k, v in {**run.trained_model.notes, **run.evaluation.notes}.items())
    return f"""# {run.task.name}

{run.evaluation.output_description}

## Scores on the test split

95 % bootstrap intervals over the examples, or over what they belong together in, such as days or speakers. `exported` is what this folder serves.

{score_table(run.evaluation.scores)}

{notes}

## Data

| | |
|---|---|
| data | {origin.name} ({origin.location}) |
| licence | {origin.licence} |
| sha256 | `{origin.sha256}` |
| split | {origin.split}: {sizes} |

## Training

| | |
|---|---|
| command | `{run.command}` |
| seed | {run.config.training.seed} |
| epochs | {len(history.epochs)}, best {history.best_epoch} |
| minutes | {run.minutes:.1f} |
| machine | {machine()} |

## Serving

Signature `{signature}`: {", ".join(f"`{name}` {spec.dtype.name} {spec.shape}" for name, spec in request.inputs.items())}.

    tensorflow_model_server --rest_api_port=8501 --model_name={run.task.name} --model_base_path="{served}"
    curl -d '{json.dumps(_json_request(request.request))}' http://localhost:8501/v1/models/{run.task.name}:predict

## Limits

{run.task.limitations}
"""


def score_table(scores: Sequence[Score]) -> str:
    """Returns a Markdown table of the scores with their intervals (see `score_grid`)."""
    head, *rows = score_grid(scores, lambda s: f"{s.value:.4f} ({s.low:.4f}–{s.high:.4f})")
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def score_grid(scores: Sequence[Score], form: Callable[[Score], str]) -> list[list[str]]:
    """Returns a line of names and a line for each model, a column for each metric; of many metrics, the other way round.

    Args:
        scores: of any models and metrics.
        form: writes one score.
    """
    metrics, models = (list(dict.fromkeys(getattr(s, part) for s in scores)) for part in ("metric", "model"))
    cells = {(s.model, s.metric): form(s) for s in scores}
    if len(metrics) > WIDE:
        return [["metric", *models], *([name, *(cells.get((m, name), "") for m in models)] for name in metrics)]
    return [["model", *metrics], *([m, *(cells.get((m, name), "") for name in metrics)] for m in models)]


def _json_request(request: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {"instances": [{name: values[:1].tolist()[0] for name, values in request.items()}]}


def _json_ready(value: Any) -> Any:
    """JSON knows no NaN: a metric that is not defined on the data is null."""
    if isinstance(value, Mapping):
        return {key: _json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_ready(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_short(item)}" for name, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
