"""Reproduces the IMDB scores of the README on the real reviews; takes half an hour, so it is marked slow."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from shared import task, workflow
from shared.reports import report
from tasks.sentiment.config import PRESETS

RESULTS = Path(__file__).resolve().parents[3] / "tasks" / "sentiment" / "results.json"


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
    scores = {(row["model"], row["metric"]): row["value"] for row in report.results(run)}
    for row in json.loads(RESULTS.read_text()):
        if row["dataset"] == "imdb" and row["metric"] == "accuracy":
            assert scores[row["model"], "accuracy"] == pytest.approx(row["value"], abs=0.005)
    assert scores["exported", "accuracy"] >= 0.925
    assert scores["lstm", "accuracy"] >= 0.900
    assert scores["exported", "expected_calibration_error"] <= 0.02
