"""A streamed file is scored like the whole history, and the memory does not grow with its length."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from shared.errors import DataError
from shared.state.memory import MemoryStore
from tasks.fraud.config import ColumnsConfig
from tasks.fraud.stream import score_stream, stream_batches
from tests.tasks.fraud.conftest import expected_probabilities

COLUMNS = ColumnsConfig(card="card", time="time", amount="amount", label="fraud", terminal="terminal")


@pytest.fixture
def config(config):
    return dataclasses.replace(config, columns=COLUMNS)


@pytest.fixture
def file(frame, tmp_path):
    path = tmp_path / "transactions.parquet"
    frame.to_parquet(path)
    return str(path)


@pytest.mark.parametrize("size", [7, 100])
def test_a_stream_is_scored_like_the_whole_history(builder, metadata, step_model, config, frame, file, size):
    batches = stream_batches(config, file, size)
    scores = list(score_stream(batches, step_model, MemoryStore()))
    probabilities = np.concatenate([batch["fraud_probability"] for batch in scores])
    np.testing.assert_allclose(probabilities, expected_probabilities(frame, builder, metadata), atol=1e-5)
    assert len(scores) == -(-len(frame) // size)


def test_transactions_of_one_second_are_scored_like_the_whole_history(builder, metadata, step_model, frame):
    """Dates without a time of day: many transactions of a card and of a terminal at the same time, also with equal amounts."""
    frame["time"] = frame["time"] // 86_400 * 86_400
    frame["amount"] = frame["amount"].round(-1)
    parts = np.array_split(np.arange(len(frame)), 9)
    scores = list(score_stream([frame.iloc[part] for part in parts], step_model, MemoryStore()))
    probabilities = np.concatenate([batch["fraud_probability"] for batch in scores])
    np.testing.assert_allclose(probabilities, expected_probabilities(frame, builder, metadata), atol=1e-5)


def test_the_states_do_not_grow_with_the_number_of_transactions(step_model):
    store, day = MemoryStore(), 86_400
    sizes = []
    for k in range(30):
        frame = pd.DataFrame(
            {
                "card": np.array(["x", "y"] * 5, object),
                "terminal": np.array(["a", "b"] * 5, object),
                "time": np.arange(10) * 600 + k * day,
                "amount": np.linspace(1, 2, 10, dtype=np.float32),
                "fraud": np.zeros(10, np.int8),
            }
        )
        list(score_stream([frame], step_model, store))
        sizes.append(sum(len(value) for values in store.values.values() for value in values.values()))
    assert sizes[20] == sizes[-1]
    assert {name: len(values) for name, values in store.values.items()} == {"cards": 2, "terminals": 2}


def test_a_file_that_is_not_in_time_order_raises_an_error(builder, metadata, step_model, config, frame, tmp_path):
    frame.iloc[::-1].to_parquet(tmp_path / "b.parquet")
    batches = stream_batches(config, str(tmp_path / "b.parquet"), 10)
    with pytest.raises(DataError, match="Sort the file by time"):
        list(score_stream(batches, step_model, MemoryStore()))


def test_a_file_in_another_format_or_without_a_column_raises_an_error(config, tmp_path):
    config = dataclasses.replace(config, columns=ColumnsConfig())
    (tmp_path / "a.parquet").write_text("text")
    with pytest.raises(DataError, match="Convert it to a Parquet file"):
        next(stream_batches(config, str(tmp_path / "a.parquet"), 10))
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r'no column "CUSTOMER_ID".*--columns\.card'):
        next(stream_batches(config, str(tmp_path / "b.parquet"), 10))


def test_an_invalid_value_within_the_stream_raises_an_error_with_its_row(
    builder, metadata, step_model, config, frame, tmp_path
):
    frame["amount"] = frame["amount"].astype(float)
    frame.loc[25, "amount"] = np.nan
    frame.to_parquet(tmp_path / "b.parquet")
    batches = stream_batches(config, str(tmp_path / "b.parquet"), 10)
    with pytest.raises(DataError, match=r'counted from row 21, row 6: column "amount"'):
        list(score_stream(batches, step_model, MemoryStore()))


def test_a_stream_without_labels_is_scored_with_empty_terminal_histories(
    builder, metadata, step_model, config, frame, tmp_path
):
    frame.drop(columns="fraud").to_parquet(tmp_path / "b.parquet")
    batches = stream_batches(config, str(tmp_path / "b.parquet"), 10)
    scores = list(score_stream(batches, step_model, MemoryStore()))
    probabilities = np.concatenate([batch["fraud_probability"] for batch in scores])
    unlabelled = frame.assign(fraud=np.int8(-1))
    np.testing.assert_allclose(probabilities, expected_probabilities(unlabelled, builder, metadata), atol=1e-5)
