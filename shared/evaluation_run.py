"""The evaluation of a task: the exported model, its components and the baselines are scored on the test split by one function.

`Task.score` scores predictions, wherever they come from. `shared.workflow.evaluate` uses it for the records of a file.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from shared.data.sources import Splits
from shared.evaluation.metric import Score
from shared.progress import report_stage
from shared.task import EXPORTED, Evaluation, ExportSpec, Predictions, Predictor, Task, TrainedModel

MINUTES_NOTE = "minutes per baseline"


def evaluate(task: Task, trained_model: TrainedModel, spec: ExportSpec, splits: Splits, config: Any) -> Evaluation:
    """Scores the exported model, its components and the baselines on the test split.

    Args:
        task: the task.
        trained_model: the trained model.
        spec: its signatures; the function of a signature predicts like the SavedModel that is made from it.
        splits: the splits of the run.
        config: configuration of the run.
    """
    plan = task.plan_evaluation(trained_model, splits, config)
    metadata = trained_model.metadata
    baselines: dict[str, Predictions] = {}
    minutes = {}
    stages = [
        *(f"baseline {name}" for name in plan.baselines),
        "exported model",
        *map("component {}".format, plan.components),
    ]

    def begin(position: int) -> None:
        count = len(stages)
        report_stage(f"Evaluating {position + 1} of {count}: {stages[position]}", position / count)

    for position, (name, predict) in enumerate(plan.baselines.items()):
        begin(position)
        started = time.monotonic()
        baselines[name] = predict()
        minutes[name] = (time.monotonic() - started) / 60
    begin(len(baselines))
    if plan.exact_predictions is not None:
        exported = plan.exact_predictions()
    else:
        predictor = signature_predictor(spec, task.evaluation_signature)
        exported = task.predict_labelled(splits.test, metadata, predictor)
    components = {}
    for position, (name, predict) in enumerate(plan.components.items(), len(baselines) + 1):
        begin(position)
        components[name] = predict()
    report_stage("Computing scores and intervals")
    predictions = {EXPORTED: exported, **components, **baselines}
    scores: list[Score] = []
    for name, values in predictions.items():
        scores += [dataclasses.replace(s, model=name) for s in task.score(splits.test, values, metadata)]
    if plan.extra_scores is not None:
        scores += plan.extra_scores(predictions)
    description = plan.describe(predictions, scores)
    description = dataclasses.replace(description, notes={**description.notes, MINUTES_NOTE: minutes})
    return Evaluation(scores, description, tuple(plan.components), plan.primary_metric)


def signature_predictor(spec: ExportSpec, name: str) -> Predictor:
    """Returns a function that calls the function of a signature in batches, before the model is exported."""
    signature = spec.signatures[name]

    @tf.function(input_signature=[dict(signature.inputs)])
    def call(tensors: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return signature.function(**tensors)

    return in_batches(lambda **tensors: call(tensors))


def in_batches(signature: Callable[..., Mapping[str, Any]], batch_size: int = 64) -> Predictor:
    """Returns a function from a request to outputs that calls a signature in batches along the first axis.

    Args:
        signature: function from tensors, passed by name, to tensors by name.
        batch_size: maximum number of rows per call.

    The returned function raises a ValueError for a request without rows.
    """

    def predictor(request: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        count = len(next(iter(request.values())))
        if not count:
            raise ValueError("The request has no rows.")
        batches = []
        for start in range(0, count, batch_size):
            batch = {name: tf.constant(values[start : start + batch_size]) for name, values in request.items()}
            batches.append({name: value.numpy() for name, value in signature(**batch).items()})
        return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}

    return predictor
