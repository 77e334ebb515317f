"""`tasks.sentiment.serving`: inputs and labelled files are read with the columns of the trained model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from shared.config import as_dict
from tasks.sentiment import serving
from tasks.sentiment.config import PRESETS, ColumnsConfig

CONFIG = PRESETS["default"]
METADATA = {"labels": ["bad", "good"], "columns": as_dict(ColumnsConfig(text="review", label="verdict"))}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("review,other,verdict\nfine,so so,good\ndull,well,bad\n")
    return str(path)


def test_inputs_come_from_the_text_column_of_the_trained_model(table):
    assert serving.read_inputs(CONFIG, table, METADATA) == ["fine", "dull"]


def test_a_text_column_on_the_command_line_replaces_that_of_the_trained_model(table):
    config = dataclasses.replace(CONFIG, columns=ColumnsConfig(text="other"))
    assert serving.read_inputs(config, table, METADATA) == ["so so", "well"]


def test_a_file_is_scored_with_the_columns_of_the_trained_model(table):
    def predictor(request):
        assert request["text"].tolist() == [b"fine", b"dull"]
        return {"probabilities": np.array([[0.1, 0.9], [0.2, 0.8]])}

    scores = {score.metric: score.value for score in serving.score_file(CONFIG, table, METADATA, predictor)}
    assert scores["accuracy"] == 0.5


def test_surrogate_escapes_become_their_bytes():
    assert serving.make_request(["caf\udce9", "naïve"])["text"].tolist() == [b"caf\xe9", "naïve".encode()]
