"""A model has the same scores in the training report and in `lstm-suite evaluate` on the file of its test split."""

from __future__ import annotations

import re

import pytest

from shared import workflow
from shared.export.versions import load_metadata
from shared.task import EXPORTED, load_readers, trained_config
from tests.contract.labelled_files import write_test_split

EXTRA_METRICS = {
    "next_word": r"perplexity_adaptive|top_\d|keystrokes_saved",  # caches of the text, and distributions over all words
    "stock": r"trajectory_mse_\d+d",  # the prices of the training days
}
"""By task: metrics that the outputs of the exported model do not give."""
TOLERANCES = {
    "next_word": {r"perplexity": 1e-3},  # the state does not continue from request to request
    "stock": {  # quantiles between the exported levels are interpolated, like the density; a request has a limited number of days
        r"crps_skill": 5e-3,
        r"(crps|pinball)_\d+d": 5e-3,
        r"log_score_\d+d": 0.2,
        r"coverage_\d+_\d+d": 5e-3,
        r"mase_\d+d": 1e-4,
        r"(accuracy|mcc)_\d+d": 2e-2,  # the trees of the direction are step functions of averages that depend on these days
    },
}
"""By task and metric: tolerance relative to the score, or absolute below 1; elsewhere it is 1e-5."""


def tolerance(task: str, metric: str) -> float:
    return next((value for name, value in TOLERANCES.get(task, {}).items() if re.fullmatch(name, metric)), 1e-5)


def test_the_file_of_the_test_split_has_the_scores_of_the_training_report(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.speech.audio.CACHE", tmp_path / "cache")
    name = trained.task.name
    source = write_test_split(trained, tmp_path)
    config = trained_config(load_metadata(trained.version))
    records = load_readers(name).read_records(config, source, load_metadata(trained.version))
    scores = {s.metric: s for s in workflow.evaluate(trained.task, records, trained.version)}
    expected = {s.metric: s for s in trained.run.evaluation.scores if s.model == EXPORTED}
    assert {s.model for s in scores.values()} == {EXPORTED}
    assert {m for m in expected if not re.fullmatch(EXTRA_METRICS.get(name, ""), m)} == set(scores)
    for metric, score in scores.items():
        for limit in ("value", "low", "high"):
            close = pytest.approx(
                getattr(expected[metric], limit), rel=tolerance(name, metric), abs=tolerance(name, metric), nan_ok=True
            )
            assert getattr(score, limit) == close, (metric, limit)
