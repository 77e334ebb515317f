"""`tasks.sentiment.serving`: inputs, labelled files and requests."""

from __future__ import annotations

import numpy as np
import pytest

from shared.config import PredictOptions, as_dict
from shared.task import trained_config
from tasks.sentiment import serving
from tasks.sentiment.config import ColumnsConfig
from tasks.sentiment.evaluate import score
from tasks.sentiment.inputs import READERS

METADATA = {
    "task": "sentiment",
    "labels": ["bad", "good"],
    "columns": as_dict(ColumnsConfig(text="review", label="verdict")),
}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("review,other,verdict\nfine,so so,good\ndull,well,bad\n")
    return str(path)


def test_inputs_are_the_texts_of_a_file(table):
    assert list(next(READERS.read_inputs(trained_config(METADATA), table, METADATA, PredictOptions())).records) == [
        "fine",
        "dull",
    ]


def test_a_labelled_file_is_scored(table):
    def predictor(request):
        assert request["text"].tolist() == [b"fine", b"dull"]
        return {"probabilities": np.array([[0.1, 0.9], [0.2, 0.8]])}

    records = READERS.read_records(trained_config(METADATA), table, METADATA)
    scores = {
        s.metric: s.value for s in score(records, serving.predict_labelled(records, METADATA, predictor), METADATA)
    }
    assert scores["accuracy"] == 0.5


def test_predictions_have_the_order_of_the_texts():
    def predictor(request):
        return {"length": np.array([len(text) for text in request["text"]])}

    assert serving.predict(["three", "a", "to"], METADATA, predictor, PredictOptions())["length"].tolist() == [5, 1, 2]


def test_surrogate_escapes_become_their_bytes():
    assert serving.make_request(["caf\udce9", "naïve"])["text"].tolist() == [b"caf\xe9", "naïve".encode()]
