"""Reproduces the IMDB scores of the README on the real reviews; takes half an hour, so it is marked slow."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks import results
from shared import task, workflow
from shared.reports import report
from tasks.sentiment.config import PRESETS


@pytest.mark.slow
def test_the_default_preset_reaches_its_published_accuracy_on_imdb(real_data, tmp_path):
    folder, default = real_data / "sentiment" / "imdb", PRESETS["default"]
    config = dataclasses.replace(
        default,
        data=str(folder / "train.csv.xz"),
        test_data=str(folder / "test.csv.xz"),
        split=dataclasses.replace(default.split, group="title_id"),
        output=str(tmp_path),
    )
    _, run = workflow.train(task.load_task("sentiment"), config, "the slow test")
    scores = {(row["model"], row["metric"]): row["value"] for row in report.list_results(run)}
    published = next(one for one in results.read("sentiment") if one.dataset == "imdb")
    for score in published.list_scores("accuracy"):
        assert scores[score.model, "accuracy"] == pytest.approx(score.value, abs=0.005)
    assert scores["exported", "accuracy"] >= 0.925
    assert scores["lstm", "accuracy"] >= 0.900
    assert scores["exported", "expected_calibration_error"] <= 0.02
