"""Evaluation of a trained model in a test, as the workflow does it."""

from __future__ import annotations

from shared import evaluation_run
from shared.task import load_task


def evaluate(name, trained_model, splits, config):
    """Returns the evaluation of a trained model of a task on the test split."""
    task = load_task(name)
    spec = task.export_spec(trained_model.model, trained_model.metadata)
    return evaluation_run.evaluate(task, trained_model, spec, splits, config)
